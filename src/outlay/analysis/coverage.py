"""Which days the ledger speaks for: what is committed, stale, failed or was never fetched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache

import msgspec

from outlay.analysis import typed
from outlay.analysis.answer import Incomplete
from outlay.analysis.query import Query
from outlay.analysis.spans import NOT_SYNCED, Span, spans
from outlay.clock import Clock, day_of, midnight, month_start
from outlay.errors import OutlayError
from outlay.model.facts import Balance, Budget, Charge, Limit, Name, Revenue, Usage
from outlay.model.metering import LACKING, METERED
from outlay.model.problem import UNTOLD
from outlay.model.terms import ENTRY
from outlay.providers import BY_ID
from outlay.providers.base import Dataset
from outlay.providers.differences import HINTS
from outlay.store import Ledger

NEVER_SYNCED = "never_synced"
COST_UNKNOWN = "cost_unknown"
"""Why nothing is said of what a connection costs: its vendor states it nowhere, and nobody entered or metered it."""
ANY = "*"
_TERMS = f"entered.{ENTRY}."
_DAILY = frozenset({Charge, Usage, Revenue})
"""Facts a vendor has for every day, so that none at all is a gap; a reading may be nothing."""
_READ = frozenset({Limit, Balance, Budget})
"""Facts that are read as they stand, so that what stood before the first reading is not known."""
_NOT_SYNCED_HINT = "Run `outlay sync {connection}`; days before the first synced one need `--since DAY`."
_LOST_HINT = (
    "{title} no longer tells of days before {reach}: sync in time; `outlay enter` takes the cost you know of them,"
    " `outlay import` the use."
)
_NEVER_HINT = "Nothing of the kind is in the ledger for this connection: run `outlay sync {connection}`."
_COST_HINT = "{title} tells no cost of this connection; `outlay providers {provider}` says what to do: {note}"
_LEFT_OUT_HINT = (
    "Nothing of the kind is in the ledger for this connection: run `outlay sync {connection}`, "
    "or add to its `datasets` what holds it."
)
_NOTHING_HINT = "The ledger holds nothing that this question asks for: run `outlay sync`."
_UNREAD_HINT = "It was first read on {day}, and a reading tells what stands when it is taken: ask for a later day."
_FAILED_HINT = "Run `outlay sync {connection}`: it asks again, and says what was wrong and what to do."


class Coverage(msgspec.Struct, frozen=True):
    """Everything that is known about the partitions of the ledger, by connection and dataset, oldest span first."""

    datasets: Mapping[tuple[str, str], Sequence[Span]]
    providers: Mapping[str, str]
    """Connection to provider."""
    today: date
    held: frozenset[tuple[str, str, type]] = frozenset()
    """Connection, dataset and kind of the daily facts that stand in datasets no provider describes."""
    filled: frozenset[tuple[str, str]] = frozenset()
    """Connection and dataset of what has ever held anything."""

    @classmethod
    def of(cls, ledger: Ledger, query: Query, clock: Clock) -> Coverage:
        """Return what a ledger knows at this moment."""
        batches = ledger.query('SELECT connection, provider, dataset, max("rows") FROM batches GROUP BY ALL').rows
        providers = {**query.configured, **{connection: provider for connection, provider, _, _ in batches}}
        filled = frozenset((connection, dataset) for connection, _, dataset, most in batches if most)
        named = {value for name, value in query.where if name == "dataset"}
        found: dict[tuple[str, str], list[Span]] = {}
        for span in spans(ledger, providers):
            # What stands apart is in no sum that it could be missing from.
            if span.dataset in named or span.dataset not in _apart(providers.get(span.connection, "")):
                found.setdefault((span.connection, span.dataset), []).append(span)
        strange = [name for name in found if name[1] not in _datasets(providers.get(name[0], ""))]
        return cls(found, providers, day_of(clock()), typed.kinds(ledger, strange), filled)

    @property
    def connections(self) -> frozenset[str]:
        """Return the connections of which anything is known."""
        return frozenset(connection for connection, _ in self.datasets)

    def of_connection(self, connection: str) -> list[Span]:
        """Return everything that is known of one connection."""
        return [span for (name, _), spans_ in self.datasets.items() if name == connection for span in spans_]

    def dataset(self, connection: str, name: str) -> Dataset | None:
        """Return the provider's description of a dataset, or None for one that was imported or is no longer known."""
        return _datasets(self.providers.get(connection, "")).get(name)

    def superseded(self, connection: str, dataset: str, start: datetime, to: date) -> bool:
        """Tell whether a later reading before a day is committed, so that an older one no longer speaks."""
        last = midnight(to) - timedelta(days=1)
        return any(
            span.committed and span.first < to and min(span.last_start, last) > start
            for span in self.datasets.get((connection, dataset), ())
        )

    def days(self, connection: str, kind: type) -> frozenset[date]:
        """Return the days for which a connection's facts of one kind are all committed and not stale.

        What was entered or imported is asked only where nothing is synced: it need not speak for every day.
        """
        described = any(
            name == connection and self.dataset(name, dataset) is not None and self.yields(name, dataset, (kind,))
            for name, dataset in self.datasets
        )
        each = [
            frozenset(
                day
                for span in spans_
                if span.committed and span.problem is None
                for day in days_between(span.first, span.end)
            )
            for (name, dataset), spans_ in self.datasets.items()
            if name == connection and self.yields(connection, dataset, (kind,))
            if not described or self.dataset(connection, dataset) is not None
        ]
        return frozenset.intersection(*each) if each else frozenset()

    def holds(self, connection: str, kind: type, first: date, to: date) -> bool:
        """Tell whether any partition of a dataset that is known to hold facts of one kind is committed in a period."""
        return any(
            span.committed and span.first < to and span.end > first
            for span in self.of_connection(connection)
            if self.dataset(connection, span.dataset) and self.yields(connection, span.dataset, (kind,))
        )

    def tells(self, connection: str, name: str, kinds: Sequence[type]) -> bool:
        """Tell whether a dataset says anything of some kinds: what was entered or imported does by what it holds."""
        asked = _DAILY.intersection(kinds)
        if not asked or name == METERED or self.dataset(connection, name) is not None:
            return self.yields(connection, name, kinds)
        return any((connection, name, kind) in self.held for kind in asked)

    def states_cost(self, connection: str, name: str) -> bool:
        """Tell whether a dataset tells what a connection costs.

        What comes on top of a fee is no more than a part of it, and an account that is billed in another way has
        nothing here and yet a cost.
        """
        if not self.tells(connection, name, (Charge,)) or name in _beyond_fee(self.providers.get(connection, "")):
            return False
        dataset = self.dataset(connection, name)
        other = dataset.else_in if dataset is not None else ""
        return (connection, name) in self.filled or (connection, other) not in self.filled

    def yields(self, connection: str, name: str, kinds: Sequence[type]) -> bool:
        """Tell whether a dataset may hold facts of one of some kinds; one that is not described may hold any."""
        if name.startswith(_TERMS):
            return Name in kinds
        dataset = self.dataset(connection, name)
        if dataset is None:
            derived = _derived(self.providers.get(connection, "")).get(name)
            return derived is None or derived in kinds
        return not set(kinds).isdisjoint(dataset.yields)


def days_between(first: date, end: date) -> Iterator[date]:
    """Yield the days from the first up to but not including the end."""
    for offset in range((end - first).days):
        yield first + timedelta(days=offset)


@cache
def _datasets(provider: str) -> Mapping[str, Dataset]:
    known = BY_ID.get(provider)
    return {dataset.name: dataset for dataset in known.all_datasets} if known else {}


@cache
def _apart(provider: str) -> frozenset[str]:
    described = _datasets(provider).values()
    return frozenset(rule.dataset for each in described for rule in each.differences if rule.apart)


@cache
def _derived(provider: str) -> Mapping[str, type]:
    """Return what the days of a provider's counters are: use where they have a meter, else cost."""
    described = _datasets(provider).values()
    return {rule.dataset: Usage if rule.meter else Charge for each in described for rule in each.differences}


@cache
def _beyond_fee(provider: str) -> frozenset[str]:
    described = _datasets(provider).values()
    return frozenset(rule.dataset for each in described for rule in each.differences if rule.beyond_fee)


def gaps(ledger: Ledger, query: Query, kinds: Sequence[type], clock: Clock) -> tuple[Incomplete, ...]:
    """Return the days of a question for which facts of some kinds are missing, stale or failed."""
    return gaps_of(Coverage.of(ledger, query, clock), query, kinds, clock)


def gaps_of(coverage: Coverage, query: Query, kinds: Sequence[type], clock: Clock) -> tuple[Incomplete, ...]:
    """Return the days of a question for which facts of some kinds are missing, stale or failed.

    A dataset the ledger knows of is expected up to the end of yesterday, also before its first day: nobody has asked
    what was then. The present day or month is not over, so it is not held against an answer. Neighbouring days with
    one reason are one entry.
    Order: by connection, dataset and day.
    """
    first, to = query.period(clock)
    found: list[Incomplete] = []
    spoken: set[str] = set()
    wanted = {value for name, value in query.where if name == "dataset"}
    for (connection, dataset), spans_ in coverage.datasets.items():
        if not query.asked(connection, coverage.providers.get(connection, "")):
            continue
        spoken.add(connection)
        if (wanted and dataset not in wanted) or not coverage.yields(connection, dataset, kinds):
            continue
        if dataset == METERED and Charge not in kinds:
            continue  # what metered use can lack is its price
        found += _gaps(coverage, spans_, first, to, unread=not _READ.isdisjoint(kinds))
    found += _silent(query, coverage, spoken, first, to)
    if not set(kinds).isdisjoint(_DAILY):
        found += _never(query, coverage, kinds, first, to)
    return tuple(sorted(found))


def gaps_of_spend(coverage: Coverage, query: Query, clock: Clock) -> tuple[Incomplete, ...]:
    """Return the days for which costs are missing, and the connections of which no cost is known: that is no zero."""
    found = list(gaps_of(coverage, query, (Charge,), clock))
    if not any(name == "dataset" for name, _ in query.where):
        found += _costless(query, coverage, *query.period(clock))
    return tuple(sorted(found))


def _gaps(coverage: Coverage, spans_: Sequence[Span], first: date, to: date, *, unread: bool) -> list[Incomplete]:
    connection, name = spans_[0].connection, spans_[0].dataset
    dataset = coverage.dataset(connection, name)
    if dataset is not None and dataset.grain in {"reading", "names"}:
        gaps_ = _reading_gaps(coverage, spans_, to)
        return gaps_ if gaps_ is not None else _unread(spans_, first, to) if unread else []
    reach = _reach(dataset, coverage.today)
    reasons = dict.fromkeys(_expected(coverage, dataset, spans_, first, to), NOT_SYNCED)
    over = month_start(coverage.today) if dataset is not None and dataset.grain == "month" else coverage.today
    for span in spans_:
        for day in days_between(max(span.first, first), min(span.end, to)):
            lacking = span.unfinished and dataset is not None and day < over
            reasons[day] = span.problem or (NOT_SYNCED if lacking else "")
    return [
        Incomplete(
            connection=connection,
            dataset=name,
            period=part,
            why=why,
            hint=_hint(why, coverage, connection, part, reach),
        )
        for days, why in _merged(reasons)
        if why
        for part in (_parted(days, reach) if why == NOT_SYNCED else [days])
    ]


def _parted(days: tuple[date, date], reach: date | None) -> list[tuple[date, date]]:
    """Return days in two where the vendor still tells of the later ones only, for something can be done about those."""
    return [days] if reach is None or not days[0] < reach < days[1] else [(days[0], reach), (reach, days[1])]


def _hint(why: str, coverage: Coverage, connection: str, days: tuple[date, date], reach: date | None) -> str:
    """Return what to do about days that are missing; some can no longer be asked for."""
    if why == NOT_SYNCED and reach is not None and days[0] < reach:
        return _LOST_HINT.format(title=BY_ID[coverage.providers[connection]].title, reach=reach)
    return hint_for(why, connection)


def _reach(dataset: Dataset | None, today: date) -> date | None:
    """Return the first day a vendor still tells of. Null: no end is known."""
    if dataset is None or dataset.lookback_days is None:
        return None
    day = today - timedelta(days=dataset.lookback_days)
    return month_start(day) if dataset.grain == "month" else day


def _expected(
    coverage: Coverage, dataset: Dataset | None, spans_: Sequence[Span], first: date, to: date
) -> Iterator[date]:
    """Yield the days a dataset should speak for: all up to yesterday, by its own grain.

    Of a period that holds nothing of the dataset at all it is today too: its sums would be empty.
    """
    if dataset is None:
        return
    end = min(to, month_start(coverage.today) if dataset.grain == "month" else coverage.today)
    if not any(span.first < to and span.end > first for span in spans_):
        end = min(to, coverage.today + timedelta(days=1))
    yield from days_between(first, end)


def _reading_gaps(coverage: Coverage, spans_: Sequence[Span], to: date) -> list[Incomplete] | None:
    """Say when the last attempt to read the present state failed, or that none was made up to yesterday.

    Null: nobody had read it by then.
    """
    last = max((span for span in spans_ if span.first < to), key=lambda span: span.last_start, default=None)
    if last is None:
        return None
    why, days = last.problem, (last.first, min(last.end, coverage.today + timedelta(days=1)))
    if why is None:
        why, days = NOT_SYNCED, (last.end, min(to, coverage.today))
        if days[0] >= days[1]:
            return []
    hint = hint_for(why, last.connection)
    return [Incomplete(connection=last.connection, dataset=last.dataset, period=days, why=why, hint=hint)]


def _unread(spans_: Sequence[Span], first: date, to: date) -> list[Incomplete]:
    """Say that what stood before the first reading is not known: no vendor tells what it was."""
    earliest = min(spans_, key=lambda span: span.first)
    hint = _UNREAD_HINT.format(day=earliest.first)
    return [
        Incomplete(
            connection=earliest.connection, dataset=earliest.dataset, period=(first, to), why=NOT_SYNCED, hint=hint
        )
    ]


def _merged(reasons: Mapping[date, str]) -> list[tuple[tuple[date, date], str]]:
    spans: list[tuple[tuple[date, date], str]] = []
    for day in sorted(reasons):
        after = day + timedelta(days=1)
        if spans and spans[-1][0][1] == day and spans[-1][1] == reasons[day]:
            spans[-1] = ((spans[-1][0][0], after), reasons[day])
        else:
            spans.append(((day, after), reasons[day]))
    return spans


def _silent(query: Query, coverage: Coverage, spoken: Iterable[str], first: date, to: date) -> list[Incomplete]:
    """Name the connections that should be in the ledger and are not; an answer over nothing is never a zero."""
    configured = {name for name, provider in query.configured.items() if query.asked(name, provider)}
    expected = configured | set(query.connections)
    missing = sorted(expected - coverage.connections)
    found = [
        Incomplete(
            connection=name, dataset=ANY, period=(first, to), why=NEVER_SYNCED, hint=_NEVER_HINT.format(connection=name)
        )
        for name in missing
    ]
    if not found and not list(spoken):
        found.append(Incomplete(connection=ANY, dataset=ANY, period=(first, to), why=NEVER_SYNCED, hint=_NOTHING_HINT))
    return found


def _never(query: Query, coverage: Coverage, kinds: Sequence[type], first: date, to: date) -> list[Incomplete]:
    """Name the connections whose vendor offers such facts by default, while the ledger knows of none."""
    return [
        Incomplete(
            connection=name,
            dataset=ANY,
            period=(first, to),
            why=NEVER_SYNCED,
            hint=_LEFT_OUT_HINT.format(connection=name),
        )
        for name, provider in coverage.providers.items()
        if name in coverage.connections and query.asked(name, provider) and _offers(provider, kinds)
        if not any(known == name and coverage.tells(name, dataset, kinds) for known, dataset in coverage.datasets)
    ]


def _costless(query: Query, coverage: Coverage, first: date, to: date) -> list[Incomplete]:
    """Name the connections whose vendor need not state a cost, while nothing in the ledger does."""
    return [
        Incomplete(
            connection=name,
            dataset=ANY,
            period=(first, to),
            why=COST_UNKNOWN,
            hint=_cost_hint(coverage.providers[name]),
        )
        for name in coverage.connections
        if query.asked(name, coverage.providers.get(name, ""))
        and coverage.providers.get(name) in BY_ID
        and not _offers(coverage.providers[name], (Charge,))
        and not any(known == name and coverage.states_cost(name, dataset) for known, dataset in coverage.datasets)
    ]


def _cost_hint(provider: str) -> str:
    described = BY_ID[provider]
    return _COST_HINT.format(title=described.title, provider=provider, note=described.offers["cost"].note)


def _offers(provider: str, kinds: Sequence[type]) -> bool:
    return any(
        dataset.default and dataset.when is None and not set(kinds).isdisjoint(dataset.yields)
        for dataset in _datasets(provider).values()
    )


def hint_for(code: str, connection: str) -> str:
    """Return what to do about a reason days are missing for."""
    if code == NOT_SYNCED:
        return _NOT_SYNCED_HINT.format(connection=connection)
    return _hints().get(code, _FAILED_HINT.format(connection=connection))


def _hints() -> dict[str, str]:
    found, waiting = {**HINTS, **LACKING, **UNTOLD}, [OutlayError]
    while waiting:
        error = waiting.pop()
        found[error.code] = error.default_hint
        waiting += error.__subclasses__()
    return found
