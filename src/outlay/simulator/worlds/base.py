"""What every simulated account is made of: a plot to draw from, and a diary of its days."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Generic, Literal, TypeVar

from outlay.simulator.worlds.truth import Truth

Entry = TypeVar("Entry")
Value = TypeVar("Value")
_KEPT_MAX = 20_000
Change = Literal["up", "down", "nothing"]
_LETTERS = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Plot:
    """What an account is drawn from: equal plots give equal accounts, and a day does not depend on the others."""

    seed: int
    provider: str
    label: str
    today: date
    days: int
    rows_per_day: int | None = None
    scale: int = 1
    empty: bool = False

    @property
    def first_day(self) -> date:
        """Return the first day with data; `today` is the last, and partial."""
        return self.today - timedelta(days=self.days - 1)

    def random(self, *about: object) -> Random:
        """Return a source of chance for one subject of this account."""
        return Random("|".join(map(str, (self.seed, self.provider, self.label, *about))))

    def name(self, prefix: str, *about: object, length: int = 16) -> str:
        """Return an invented id that is the same in every world of this seed and label."""
        chance = self.random("id", prefix, *about)
        return prefix + "".join(chance.choices(_LETTERS, k=length))


class Diary(Generic[Entry]):
    """The entries of each day, made on first use, kept, and changed by restatements."""

    def __init__(
        self,
        plot: Plot,
        make: Callable[[date, Random], list[Entry]],
        double: Callable[[Entry], Entry],
    ) -> None:
        self._plot, self._make, self._double = plot, make, double
        self._days: dict[date, tuple[Entry, ...]] = {}
        self.revision = 0

    def on(self, day: date) -> tuple[Entry, ...]:
        """Return what happened on a day; nothing outside the world's span."""
        kept = self._days.get(day)
        if kept is None:
            kept = self._days[day] = self._first(day)
        return kept

    def _first(self, day: date) -> tuple[Entry, ...]:
        plot = self._plot
        if plot.empty or not plot.first_day <= day <= plot.today:
            return ()
        entries = self._make(day, plot.random("day", day))
        # A part of today has happened: the rest of its entries arrive when the world's today is a later day.
        return tuple(entries[: (len(entries) + 1) // 2] if day == plot.today and plot.rows_per_day is None else entries)

    def restate(self, day: date, change: Change) -> None:
        """Change a day: "up" doubles its first entry, "down" withdraws its last, "nothing" only reorders them.

        Null: an empty day stays empty.
        """
        entries = list(self.on(day))
        if entries and change == "up":
            entries[0] = self._double(entries[0])
        elif entries and change == "down":
            entries.pop()
        elif change == "nothing":
            entries.reverse()
        self._days[day] = tuple(entries)
        self.revision += 1


class Account(ABC):
    """One customer's account at one vendor; a subclass fills `diaries` and answers `truth`."""

    def __init__(self, plot: Plot) -> None:
        self.plot = plot
        self.diaries: dict[str, Diary[Any]] = {}
        self._kept: tuple[int, dict[Any, Any]] = (0, {})

    def kept(self, key: object, make: Callable[[], Value]) -> Value:
        """Return what `make` returns, remembered until the account is restated."""
        revision, memory = self._kept
        if revision != self.revision or len(memory) > _KEPT_MAX:
            memory = {}
            self._kept = (self.revision, memory)
        if key not in memory:
            memory[key] = make()
        value: Value = memory[key]
        return value

    @property
    def revision(self) -> int:
        """Return a number that grows with every restatement, for caches to compare."""
        return sum(diary.revision for diary in self.diaries.values())

    @abstractmethod
    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the account, or of one of its scopes where it has several."""

    def restate(self, day: date, change: Change, scope: str | None = None) -> None:
        """Change one day of the account, its faces and its truth together."""
        for name in self._scopes(scope):
            self.diaries[name].restate(day, change)

    def _scopes(self, scope: str | None) -> Iterable[str]:
        return self.diaries if scope is None else (scope,)
