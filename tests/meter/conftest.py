"""A simulator, a home, and what the spool of that home says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

import outlay.meter
from outlay.meter import clients
from outlay.meter.counts import Stats
from outlay.meter.spool import pending
from outlay.model.metering import MeterEvent
from outlay.simulator import Simulator, World


@dataclass
class Metered:
    """What was metered below one home, beside what was true."""

    home: Path
    simulator: Simulator

    @property
    def events(self) -> list[MeterEvent]:
        """Return every event so far."""
        assert outlay.meter.flush()
        return [event for file in pending(self.home) for event in file.events()]

    def total(self, provider: str | None = None) -> dict[str, int]:
        """Return the sum of what was metered by meter."""
        total: Counter[str] = Counter()
        for event in self.events:
            if provider in {None, event.provider}:
                total.update({meter: int(count) for meter, count in event.quantities.items()})
        return dict(sorted(total.items()))

    def truth(self, provider: str | None = None) -> dict[str, int]:
        """Return what the simulated vendors really counted."""
        return self.simulator.world.inference.total(provider)

    def url(self, provider: str) -> str:
        """Return where a simulated vendor is."""
        return self.simulator.base_url(provider)


@pytest.fixture
def metered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Metered]:
    """Give a simulator and a home whose metering begins at nothing and has no trouble at the end."""
    monkeypatch.setattr(clients, "_spools", {})
    monkeypatch.setattr(clients, "_nowhere", Stats())
    with Simulator(World(5, date(2026, 11, 22), 3)) as simulator:
        yield Metered(tmp_path / "home", simulator)
        assert outlay.meter.trouble() == {}
