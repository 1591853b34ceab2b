"""Which days the ledger speaks for: what is committed, stale, failed or was never fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from outlay.analysis.answer import Incomplete
from outlay.analysis.query import Query
from outlay.clock import Clock, day_of, month_start
from outlay.errors import OutlayError
from outlay.model.batch import Partition
from outlay.model.facts import Charge, Revenue, Usage
from outlay.providers import PROVIDERS
from outlay.providers.base import Dataset
from outlay.store import Ledger

NOT_SYNCED = "not_synced"
NEVER_SYNCED = "never_synced"
ANY = "*"
_DAILY = frozenset({Charge, Usage, Revenue})
"""Facts a vendor has for every day, so that none at all is a gap; a reading may be nothing."""
_NOT_SYNCED_HINT = "Run `outlay sync {connection}`; days before the first synced one need `--since DAY`."
_NEVER_HINT = "Nothing of the kind is in the ledger for this connection: run `outlay sync {connection}`."
_NOTHING_HINT = "The ledger holds nothing that this question asks for: run `outlay sync`."
_FAILED_HINT = "Run `outlay doctor` for this connection."


class Known(msgspec.Struct, frozen=True, order=True):
    """What is known of one partition."""

    partition: Partition
    committed: bool
    """Whether facts of it are in the ledger at all."""
    problem: str | None = None
    """The error code of its last fetch, when that failed; facts that are there are then stale."""
    since: datetime | None = None
    """When it began to fail."""
    checked_at: datetime | None = None
    """When the vendor last confirmed it."""


class Coverage(msgspec.Struct, frozen=True):
    """Everything that is known about the partitions of the ledger.

    Order: by connection, dataset and start.
    """

    known: tuple[Known, ...]
    providers: Mapping[str, str]
    """Connection to provider."""
    today: date

    @classmethod
    def of(cls, ledger: Ledger, query: Query, clock: Clock) -> Coverage:
        """Return what a ledger knows at this moment."""
        held = dict(ledger.query("SELECT DISTINCT connection, provider FROM batches").rows)
        known = {
            partition: Known(partition, committed=True, checked_at=each.checked_at)
            for connection in held
            for partition, each in ledger.committed(connection).items()
        }
        for trouble in ledger.troubles():
            partition = trouble.partition
            checked_at = known[partition].checked_at if partition in known else None
            known[partition] = Known(partition, trouble.committed, trouble.problem, trouble.since, checked_at)
        ordered = tuple(known[partition] for partition in sorted(known))
        return cls(ordered, {**query.configured, **held}, day_of(clock()))

    def datasets(self) -> dict[tuple[str, str], list[Known]]:
        """Return the partitions of each connection and dataset."""
        found: dict[tuple[str, str], list[Known]] = {}
        for each in self.known:
            found.setdefault((each.partition.connection, each.partition.dataset), []).append(each)
        return found

    def dataset(self, connection: str, name: str) -> Dataset | None:
        """Return the provider's description of a dataset, or None for one that was imported or is no longer known."""
        return _DATASETS.get((self.providers.get(connection, ""), name))

    def superseded(self, connection: str, dataset: str, start: datetime) -> bool:
        """Tell whether a later reading of a dataset is committed, so that an older one no longer speaks."""
        return any(
            each.committed and each.partition.period.start > start
            for each in self.known
            if each.partition.connection == connection and each.partition.dataset == dataset
        )

    def days(self, connection: str, kind: type) -> frozenset[date]:
        """Return the days for which a connection's facts of one kind are all committed and not stale."""
        spans: list[frozenset[date]] = []
        for (name, dataset), partitions in self.datasets().items():
            if name == connection and self.yields(connection, dataset, (kind,)):
                spans.append(
                    frozenset(
                        day
                        for each in partitions
                        if each.committed and each.problem is None
                        for day in each.partition.period.days()
                    )
                )
        return frozenset.intersection(*spans) if spans else frozenset()

    def holds(self, connection: str, kind: type, first: date, to: date) -> bool:
        """Tell whether any partition with facts of one kind is committed in a period."""
        return any(
            each.committed
            and each.partition.connection == connection
            and each.partition.period.first_day < to
            and each.partition.period.end_day > first
            and self.yields(connection, each.partition.dataset, (kind,))
            for each in self.known
        )

    def yields(self, connection: str, name: str, kinds: Sequence[type]) -> bool:
        """Tell whether a dataset may hold facts of one of some kinds; one that is not described may hold any."""
        dataset = self.dataset(connection, name)
        return dataset is None or not set(kinds).isdisjoint(dataset.yields)


_DATASETS = {(provider.id, dataset.name): dataset for provider in PROVIDERS for dataset in provider.datasets}


def gaps(ledger: Ledger, query: Query, kinds: Sequence[type], clock: Clock) -> tuple[Incomplete, ...]:
    """Return the days of a question for which facts of some kinds are missing, stale or failed."""
    return gaps_of(Coverage.of(ledger, query, clock), query, kinds, clock)


def gaps_of(coverage: Coverage, query: Query, kinds: Sequence[type], clock: Clock) -> tuple[Incomplete, ...]:
    """Return the days of a question for which facts of some kinds are missing, stale or failed.

    A dataset is expected from the first day the ledger knows of it up to the end of yesterday; the present day or
    month is not over, so it is not held against an answer. Neighbouring days with one reason are one entry.
    Order: by connection, dataset and day.
    """
    first, to = query.period(clock)
    found: list[Incomplete] = []
    spoken: set[str] = set()
    wanted = {value for name, value in query.where if name == "dataset"}
    for (connection, dataset), partitions in coverage.datasets().items():
        if not query.asked(connection, coverage.providers.get(connection, "")):
            continue
        spoken.add(connection)
        if (wanted and dataset not in wanted) or not coverage.yields(connection, dataset, kinds):
            continue
        found += _gaps(coverage, partitions, first, to)
    found += _silent(query, coverage, spoken, first, to)
    if not set(kinds).isdisjoint(_DAILY):
        found += _never(query, coverage, kinds, first, to)
    return tuple(sorted(found))


def _gaps(coverage: Coverage, partitions: list[Known], first: date, to: date) -> list[Incomplete]:
    connection, name = partitions[0].partition.connection, partitions[0].partition.dataset
    dataset = coverage.dataset(connection, name)
    if dataset is not None and dataset.grain in {"reading", "names"}:
        return _reading_gaps(coverage, partitions, to)
    reasons = dict.fromkeys(_expected(coverage, dataset, partitions, first, to), NOT_SYNCED)
    for each in partitions:
        for day in each.partition.period.days():
            if first <= day < to:
                reasons[day] = each.problem or ""
    return [
        Incomplete(connection=connection, dataset=name, period=span, why=why, hint=hint_for(why, connection))
        for span, why in _merged(reasons)
        if why
    ]


def _expected(
    coverage: Coverage, dataset: Dataset | None, partitions: list[Known], first: date, to: date
) -> list[date]:
    """Return the days a dataset should speak for: all from its first to yesterday, by its own grain."""
    if dataset is None:
        return []
    known_from = min(each.partition.period.first_day for each in partitions)
    until = month_start(coverage.today) if dataset.grain == "month" else coverage.today
    begin, end = max(first, known_from), min(to, until)
    if not any(first <= day < to for each in partitions for day in each.partition.period.days()):
        begin = first
        end = max(end, min(to, coverage.today + timedelta(days=1)))
    return [begin + timedelta(days=offset) for offset in range((end - begin).days)]


def _reading_gaps(coverage: Coverage, partitions: list[Known], to: date) -> list[Incomplete]:
    """Say when the last attempt to read the present state failed."""
    seen = [each for each in partitions if each.partition.period.first_day < to]
    last = seen[-1] if seen else None
    if last is None or last.problem is None:
        return []
    connection, name = last.partition.connection, last.partition.dataset
    why = last.problem
    span = (last.partition.period.first_day, min(last.partition.period.end_day, coverage.today + timedelta(days=1)))
    return [Incomplete(connection=connection, dataset=name, period=span, why=why, hint=hint_for(why, connection))]


def _merged(reasons: Mapping[date, str]) -> list[tuple[tuple[date, date], str]]:
    spans: list[tuple[tuple[date, date], str]] = []
    for day in sorted(reasons):
        after = day + timedelta(days=1)
        if spans and spans[-1][0][1] == day and spans[-1][1] == reasons[day]:
            spans[-1] = ((spans[-1][0][0], after), reasons[day])
        else:
            spans.append(((day, after), reasons[day]))
    return spans


def _silent(
    query: Query, coverage: Coverage, spoken: Iterable[str], first: date, to: date
) -> list[Incomplete]:
    """Name the connections that should be in the ledger and are not; an answer over nothing is never a zero."""
    configured = {name for name, provider in query.configured.items() if query.asked(name, provider)}
    expected = configured | set(query.connections)
    held = {each.partition.connection for each in coverage.known}
    missing = sorted(expected - held)
    found = [
        Incomplete(
            connection=name, dataset=ANY, period=(first, to), why=NEVER_SYNCED, hint=_NEVER_HINT.format(connection=name)
        )
        for name in missing
    ]
    if not found and not list(spoken):
        found.append(
            Incomplete(connection=ANY, dataset=ANY, period=(first, to), why=NEVER_SYNCED, hint=_NOTHING_HINT)
        )
    return found


def _never(query: Query, coverage: Coverage, kinds: Sequence[type], first: date, to: date) -> list[Incomplete]:
    """Name the connections whose vendor offers such facts by default, while the ledger knows of none."""
    held = {each.partition.connection for each in coverage.known}
    datasets = coverage.datasets()
    return [
        Incomplete(
            connection=name, dataset=ANY, period=(first, to), why=NEVER_SYNCED, hint=_NEVER_HINT.format(connection=name)
        )
        for name, provider in coverage.providers.items()
        if name in held and query.asked(name, provider) and _offers(provider, kinds)
        if not any(known == name and coverage.yields(name, dataset, kinds) for known, dataset in datasets)
    ]


def _offers(provider: str, kinds: Sequence[type]) -> bool:
    return any(
        id_ == provider and dataset.default and dataset.when is None and not set(kinds).isdisjoint(dataset.yields)
        for (id_, _), dataset in _DATASETS.items()
    )


def hint_for(code: str, connection: str) -> str:
    """Return what to do about a reason days are missing for."""
    if code == NOT_SYNCED:
        return _NOT_SYNCED_HINT.format(connection=connection)
    return _hints().get(code, _FAILED_HINT)


def _hints() -> dict[str, str]:
    found, waiting = {}, [OutlayError]
    while waiting:
        error = waiting.pop()
        found[error.code] = error.default_hint
        waiting += error.__subclasses__()
    return found
