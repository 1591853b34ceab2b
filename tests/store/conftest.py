from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from outlay.store import Ledger
from store.making import opened


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a home folder that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    """Open a fresh ledger."""
    with opened(home) as fresh:
        yield fresh
