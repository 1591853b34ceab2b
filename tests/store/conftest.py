from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store.making import opened

from outlay.store import Ledger


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder that does not exist yet."""
    return tmp_path / "home"


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    """A fresh ledger."""
    with opened(home) as fresh:
        yield fresh
