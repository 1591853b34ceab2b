from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meter_ingest.making import clock
from outlay.store import Ledger


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    """Open a fresh ledger."""
    with Ledger.open(home, clock=clock) as fresh:
        yield fresh
