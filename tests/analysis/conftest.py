"""The ledger tests of questions put facts in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.staging import clock
from outlay.store import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Give an empty ledger."""
    with Ledger.open(tmp_path / "home", clock=clock) as opened:
        yield opened
