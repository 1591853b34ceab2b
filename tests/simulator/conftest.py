"""The worlds most tests ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from outlay.simulator import World
from simulator.asking import TODAY, Asker


@pytest.fixture
def make_asker() -> Callable[..., Asker]:
    """Return a way to make an asker of a world of one's own."""

    def make(seed: int = 7, today: date = TODAY, days: int = 40, **settings: Any) -> Asker:
        return Asker(World(seed, today, days, **settings.pop("world", {})), **settings)

    return make


@pytest.fixture
def asker(make_asker: Callable[..., Asker]) -> Asker:
    """Return an asker of a fresh world."""
    return make_asker()
