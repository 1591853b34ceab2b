"""Decide what to fetch: pure, from what the provider offers, what is committed and the clock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec

from outlay.clock import day_of, midnight, month_start, next_month
from outlay.config import Connection
from outlay.errors import ConfigError
from outlay.model.batch import Committed, Partition
from outlay.model.period import Period
from outlay.model.problem import UNTOLD
from outlay.providers.base import Dataset, Endpoint, Provider
from outlay.wire.windows import split

DEFAULT_DAYS = 90
"""How far the first sync reaches back when neither the connection nor the vendor says otherwise."""
NAMES_PERIOD = Period.of_days(date(2000, 1, 1), date(2100, 1, 1))
"""Names have no time: their one partition spans it all."""


@dataclass(frozen=True, slots=True)
class Work:
    """One window to ask an endpoint for, and the partitions it renews."""

    dataset: Dataset
    endpoint: Endpoint[Any]
    window: Period
    partitions: tuple[Period, ...]

    @property
    def pages_least(self) -> int:
        """Return how many requests the window takes at the least, for one fan-out item."""
        if self.endpoint.page_days is None:
            return 1
        return _pages(len(self.partitions), self.endpoint.page_days)


@dataclass(frozen=True, slots=True)
class Span:
    """What the user asked for: days from `since` to `until` (exclusive); `full` fetches again what is settled too."""

    since: date | None = None
    until: date | None = None
    full: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one connection is to be asked, in order."""

    connection: Connection
    provider: Provider
    works: tuple[Work, ...]
    span: Span = Span()

    def works_of(self, dataset: str) -> tuple[Work, ...]:
        """Return the windows of one dataset."""
        return tuple(work for work in self.works if work.dataset.name == dataset)


def plan(
    connection: Connection,
    provider: Provider,
    committed: Mapping[Partition, Committed],
    now: datetime,
    span: Span = Span(),
) -> Plan:
    """Return what to fetch: never fetched, failed, or young enough when last checked to have been restated.

    Order: datasets others fan out over first; within a dataset oldest window first.
    Raises: ConfigError when the connection names a dataset the provider does not have.
    """
    works: list[Work] = []
    for dataset in sorted(datasets_of(connection, provider), key=lambda dataset: dataset.order):
        due = _due(connection, dataset, committed, now, span)
        works.extend(_works(dataset, due, now))
    return Plan(connection, provider, tuple(works), span)


def with_days(made: Plan, dataset: Dataset, days: Collection[date], now: datetime) -> tuple[Work, ...]:
    """Return a dataset's windows for what is due and for further days, of those that the plan's span holds."""
    due = {period for work in made.works_of(dataset.name) for period in work.partitions}
    due |= {period for period in expected(made.connection, dataset, now, made.span) if period.first_day in days}
    return tuple(_works(dataset, sorted(due), now))


def datasets_of(connection: Connection, provider: Provider) -> list[Dataset]:
    """Return the datasets a connection syncs, in the provider's order, with those that others fan out over."""
    known = {dataset.name: dataset for dataset in provider.datasets}
    if connection.datasets is not None:
        for name in connection.datasets:
            if name not in known:
                raise ConfigError(
                    f"connection {connection.name}: {provider.title} has no dataset {name!r}",
                    hint=f"Choose from: {', '.join(known)}.",
                )
        wanted = {known[name] for name in connection.datasets}
        if kinds := set(_fanned_over(wanted)):
            wanted |= {
                dataset
                for dataset in provider.datasets
                if dataset.grain == "names" and (not dataset.kinds or kinds & set(dataset.kinds))
            }
    else:
        wanted = {dataset for dataset in provider.datasets if dataset.default}
    return [
        dataset
        for dataset in provider.datasets
        if dataset in wanted and (dataset.when is None or dataset.when(connection.options))
    ]


def _fanned_over(datasets: Iterable[Dataset]) -> Iterator[str]:
    """Yield the kinds of names that datasets are asked for one by one."""
    for dataset in datasets:
        for endpoint in dataset.endpoints:
            each = endpoint.each
            while each is not None:
                yield each.kind
                each = each.within


def expected(connection: Connection, dataset: Dataset, now: datetime, span: Span = Span()) -> Iterator[Period]:
    """Yield every partition a dataset should have, oldest first.

    The present day or month counts, though it is not over. A wish for the future is cut at the end of today.
    """
    today = day_of(now)
    if dataset.grain == "names":
        yield NAMES_PERIOD
        return
    if dataset.grain == "reading":
        yield Period.of_day(today)
        return
    # No vendor has anything from before, and no period may begin there.
    first = max(span.since or connection.since or today - timedelta(days=DEFAULT_DAYS), NAMES_PERIOD.first_day)
    if dataset.lookback_days is not None:
        first = max(first, today - timedelta(days=dataset.lookback_days))
    end = min(span.until or today + timedelta(days=1), today + timedelta(days=1))
    credited = dataset.credited_by and (connection.datasets is None or dataset.credited_by in connection.datasets)
    if dataset.grain == "month" or credited:
        first = month_start(first)
    if dataset.grain == "month":
        while first < end:
            yield Period.of_month(first)
            first = next_month(first)
        return
    while first < end:
        yield Period.of_day(first)
        first += timedelta(days=1)


def _due(
    connection: Connection,
    dataset: Dataset,
    committed: Mapping[Partition, Committed],
    now: datetime,
    span: Span,
) -> list[Period]:
    due = []
    for period in expected(connection, dataset, now, span):
        known = committed.get(Partition(connection.name, dataset.name, period))
        # A month that is asked for whole begins before the days that are to be fetched again.
        again = span.full and (span.since is None or midnight(span.since) < period.end)
        if known is not None and not again and _kept(dataset, known, now):
            continue
        if (
            known is None
            or again
            or dataset.grain in {"names", "reading"}
            or (known.stale_since is not None and not _told_whole(known))
            # Checked in the future: the clock was wrong then, and the day may have been too young to be settled.
            or known.checked_at > now
            or known.checked_at < settled_from(dataset, period)
        ):
            due.append(period)
    return due


def _kept(dataset: Dataset, known: Committed, now: datetime) -> bool:
    """Tell whether what is known is fresh enough for a vendor that wants to be asked rarely."""
    return known.stale_since is None and now - timedelta(hours=dataset.keep_hours) < known.checked_at <= now


def _told_whole(known: Committed) -> bool:
    """Tell whether all that a partition lacks is what the vendor has not: it is asked for as long as any other."""
    return known.lacks in UNTOLD and known.problem == known.lacks


def settled_from(dataset: Dataset, period: Period) -> datetime:
    """Return the moment from which the vendor no longer changes what it says of a period."""
    horizon = period.end + timedelta(days=dataset.horizon_days)
    if not dataset.closing_days:
        return horizon
    return max(horizon, midnight(next_month(period.first_day) + timedelta(days=dataset.closing_days)))


def _works(dataset: Dataset, due: Sequence[Period], now: datetime) -> Iterator[Work]:
    for endpoint, periods in _by_endpoint(dataset.endpoints, due, now):
        for run in _runs(periods, endpoint.page_days):
            whole = Period(run[0].start, run[-1].end)
            for window in split(endpoint, whole):
                inside = tuple(period for period in run if window.contains(period))
                yield Work(dataset, endpoint, window, inside)


def fallbacks(dataset: Dataset, work: Work, now: datetime) -> list[Work]:
    """Return the same partitions asked of the next endpoint that can answer for them, when `work`'s is not offered."""
    position = dataset.endpoints.index(work.endpoint)
    later = dataset.endpoints[position + 1 :]
    rest = msgspec.structs.replace(dataset, endpoints=later)
    return [replace(found, dataset=dataset) for found in _works(rest, work.partitions, now)]


def _by_endpoint(
    endpoints: Sequence[Endpoint[Any]], due: Iterable[Period], now: datetime
) -> Iterator[tuple[Endpoint[Any], list[Period]]]:
    groups: dict[int, list[Period]] = {}
    for period in due:
        for index, endpoint in enumerate(endpoints):
            if _answers(endpoint, period, day_of(now)):
                groups.setdefault(index, []).append(period)
                break
    for index in sorted(groups):
        yield endpoints[index], groups[index]


def _answers(endpoint: Endpoint[Any], period: Period, today: date) -> bool:
    if endpoint.since is not None and period.start < midnight(endpoint.since):
        return False
    if endpoint.until is not None and period.start >= midnight(endpoint.until):
        return False
    return endpoint.lookback_days is None or period.start >= midnight(today - timedelta(days=endpoint.lookback_days))


def _runs(periods: Sequence[Period], page_days: int | None) -> list[list[Period]]:
    """Group neighbouring days; bridge a gap where the days between cost fewer pages than asking twice."""
    runs: list[list[Period]] = [[periods[0]]] if periods else []
    for before, after in pairwise(periods):
        gap = Period(before.end, after.start) if before.end < after.start else None
        if gap is None:
            runs[-1].append(after)
        elif page_days and _pages(len(runs[-1]) + len(list(gap.days())) + 1, page_days) <= _pages(
            len(runs[-1]), page_days
        ):
            runs[-1].extend(Period.of_day(day) for day in gap.days())
            runs[-1].append(after)
        else:
            runs.append([after])
    return runs


def _pages(days: int, page_days: int) -> int:
    return -(-days // page_days)
