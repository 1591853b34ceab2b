"""Gather the facts of one window and hand over each partition once it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from outlay.errors import BasisMixError, PayloadError
from outlay.model.batch import Payload
from outlay.model.facts import Charge, Fact, Revenue, Statement, Usage
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.sync.plan import Work
from outlay.wire.client import Answer


@dataclass(slots=True)
class Settled:
    """One whole partition: its facts and what the mapping found wrong with it."""

    period: Period
    facts: list[Fact]
    problems: list[Problem]


@dataclass(slots=True)
class _Kept:
    payload: Payload
    starts: set[datetime]
    stored: bool = False


@dataclass(slots=True)
class Collector:
    """Hold what is not yet whole: memory is bounded by the largest partition where the vendor answers in order.

    A page is kept until every partition it touches is settled, so that the raw answers of a changed partition can be
    stored together.
    """

    work: Work
    streaming: bool
    lenient: bool = False
    """Leave rows of other days out: a replayed page may hold partitions that a later fetch renewed."""
    _facts: dict[datetime, list[Fact]] = field(default_factory=dict)
    _problems: list[Problem] = field(default_factory=list)
    _open: list[Period] = field(default_factory=list)
    _pages: list[_Kept] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._open = list(self.work.partitions)

    @property
    def unsettled(self) -> tuple[Period, ...]:
        """Return the partitions that are not handed over yet."""
        return tuple(self._open)

    def add(self, answer: Answer, more: Iterable[Payload] = ()) -> list[Settled]:
        """Map one page and return the partitions that are whole now; `more` are raw answers the page is read with.

        Raises: PayloadError when the page cannot be mapped or holds days it should not.
        """
        starts = self._sort_in(_mapped(self.work, answer))
        self._pages += [_Kept(payload, starts) for payload in (answer.payload, *more)]
        if not self.streaming or not starts:
            return []
        return self._settle(before=min(starts))

    def finish(self) -> list[Settled]:
        """Return the rest: the window is answered to its end."""
        return self._settle(before=None)

    def take_payloads(self, changed: Iterable[Period]) -> list[Payload]:
        """Return the raw pages that changed partitions came from, each once, and let go of pages no longer needed."""
        starts = {period.start for period in changed}
        taken = []
        for page in self._pages:
            if starts and not page.stored and (not page.starts or page.starts & starts):
                page.stored = True
                taken.append(page.payload)
        still_open = {period.start for period in self._open}
        self._pages = [page for page in self._pages if page.starts & still_open]
        return taken

    def _sort_in(self, facts: Iterable[Fact | Problem]) -> set[datetime]:
        starts: set[datetime] = set()
        last: Period | None = None
        bucket: list[Fact] = []
        for fact in facts:
            if isinstance(fact, Problem):
                self._problems.append(fact)
                continue
            when = _WHEN.get(type(fact))
            period = when(fact) if when is not None else None
            if period is not last or period is None:
                start = self._home(period)
                last = period
                if start is None:
                    bucket = []
                    continue
                bucket = self._facts.setdefault(start, [])
                starts.add(start)
            bucket.append(fact)
        return starts

    def _home(self, period: Period | None) -> datetime | None:
        """Return the start of the partition a fact belongs to."""
        # A reading is of the moment it was taken, whatever period it speaks of.
        if period is None or self.work.dataset.grain == "reading":
            return self.work.partitions[0].start
        for home in self._open:
            if home.start <= period.start < home.end:
                return home.start
        if self.lenient:
            return None
        inside = any(home.start <= period.start < home.end for home in self.work.partitions)
        says = "after a later day" if inside else f"outside the asked {_span(self.work.window)}"
        raise PayloadError(
            f"{self.work.dataset.name}: the vendor sent rows of {period.start:%Y-%m-%d} {says}",
            hint="Nothing was overwritten; sync again, and report it if it stays.",
        )

    def _settle(self, before: datetime | None) -> list[Settled]:
        whole = [period for period in self._open if before is None or period.end <= before]
        if not whole:
            return []
        self._open = self._open[len(whole) :]
        done = [Settled(period, self._facts.pop(period.start, []), self._problems_of(period)) for period in whole]
        if before is None or not self._open:
            self._problems.clear()
        return done

    def _problems_of(self, period: Period) -> list[Problem]:
        """Return what is wrong with a partition; what several answers find alike is told once."""
        found = (
            problem
            for problem in self._problems
            if (problem.period is None and problem.severity is Severity.FATAL)
            or (problem.period is not None and period.start <= problem.period.start < period.end)
        )
        return list(dict.fromkeys(found))

    def remarks(self) -> list[Problem]:
        """Return warnings and notes that concern no partition in particular, once each."""
        loose = [p for p in self._problems if p.period is None and p.severity is not Severity.FATAL]
        return list(dict.fromkeys(loose))


def _mapped(work: Work, answer: Answer) -> list[Fact | Problem]:
    try:
        return list(work.endpoint.facts(answer.page, answer.ask))
    except (ValueError, TypeError, ArithmeticError, KeyError, BasisMixError) as error:
        raise PayloadError(
            f"{work.dataset.name}: the answer holds what cannot be right: {error}", status=answer.payload.status
        ) from error


_WHEN: Mapping[type[Fact], Callable[[Any], Period]] = {
    Charge: attrgetter("charge_period"),
    Usage: attrgetter("usage_period"),
    Revenue: attrgetter("revenue_period"),
    Statement: attrgetter("period"),
}
"""What a fact of each kind is about; the other kinds are readings of the present."""


def _span(window: Period) -> str:
    return f"{window.first_day} to {window.end_day}"
