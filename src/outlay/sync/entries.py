"""Commit what the user typed or imported: batches like any other, except that nobody is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from outlay.clock import Clock, system_clock
from outlay.config import Connection
from outlay.errors import ConfigError
from outlay.model.batch import Account, Batch, Committed, Partition
from outlay.model.facts import Charge, Fact, Usage
from outlay.model.money import Money, plus, product, ratio
from outlay.model.period import Period
from outlay.store import Ledger
from outlay.sync import overlaps
from outlay.sync.committer import new_id
from outlay.sync.digest import digest
from outlay.sync.engine import account_of, provider_of, providers_by_id
from outlay.sync.estimates import settle

ENTERED, IMPORTED = "entered", "import"
LEASE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Typed:
    """A partition as the user states it."""

    dataset: str
    period: Period
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became, or with a preview would become, of one partition: `new`, `unchanged`, `replaced` or `withdrawn`.

    Null: `batch` is None where nothing was committed.
    """

    dataset: str
    period: Period
    state: str
    facts: int
    costs: Mapping[tuple[str, str], Decimal]
    """Billed cost by currency and basis; two of them are never added."""
    batch: str | None = None

    @property
    def changes(self) -> bool:
        """Tell whether the ledger is another one afterwards."""
        return self.state != "unchanged"


@dataclass(frozen=True, slots=True)
class Done:
    """The outcomes of one command, oldest partition first.

    Null: `id` is None where nothing was committed; else it names all the batches together, to withdraw them.
    """

    id: str | None
    outcomes: tuple[Outcome, ...]


def foreseen(ledger: Ledger | None, connection: Connection, typed: Iterable[Typed]) -> tuple[Outcome, ...]:
    """Return what stating facts would do, and do nothing. Null: without a ledger everything is new.

    Raises: ConfigError for what would be refused.
    """
    provider, typed = provider_of(connection, providers_by_id()), _ordered(typed)
    if ledger is not None:
        overlaps.refuse(ledger, provider, connection.name, typed)
    known = {} if ledger is None else ledger.committed(connection.name)
    return tuple(_outcome(known, connection.name, each) for each in typed)


def state_typed(
    ledger: Ledger,
    connection: Connection,
    typed: Iterable[Typed],
    *,
    reason: str,
    by: str,
    clock: Clock = system_clock,
) -> Done:
    """Put what the user states in the place of what the same partitions held; what is stated already is left alone.

    `reason` is `enter` or `import`; `by` names the form that read it.
    Raises: ConfigError for an unknown provider or option, or hours that would count twice; StoreError.
    """
    provider, typed = provider_of(connection, providers_by_id()), _ordered(typed)
    with ledger.lease(connection.name, LEASE_SECONDS):
        overlaps.refuse(ledger, provider, connection.name, typed)
        known = ledger.committed(connection.name)
        now, group = clock(), new_id(clock())
        outcomes, batches = [], []
        for each in typed:
            outcome = _outcome(known, connection.name, each)
            if outcome.changes:
                outcome = replace(outcome, batch=new_id(now))
                partition = Partition(connection.name, each.dataset, each.period)
                sealed = (by, group, digest(each.facts), reason)
                batches.append(_batch(outcome.batch, partition, provider.id, sealed, now, each.facts))
            outcomes.append(outcome)
        if batches:
            account = account_of(connection, provider, ledger)
            ledger.commit(account, batches)
            settle(ledger, provider, account, clock)
    return Done(group if batches else None, tuple(outcomes))


def withdraw(ledger: Ledger, name: str, *, preview: bool = False, clock: Clock = system_clock) -> tuple[str, Done]:
    """Take back what was entered or imported, by the id of a batch or of the whole command; name its connection.

    Raises: ConfigError when there is none, or when something else stands in its place; StoreError.
    """
    found = [
        record
        for record in ledger.batches()
        if record.reason in {"enter", "import"} and name in (record.batch_id, record.fetch_id)
    ]
    if not found:
        raise ConfigError(
            f"nothing was entered or imported as {name[:64]!r}",
            hint="`outlay history` and the report of `outlay enter` or `outlay import` name the ids.",
        )
    connection, provider = found[0].partition.connection, found[0].provider
    with ledger.lease(connection, LEASE_SECONDS):
        standing = {known.batch_id for known in ledger.committed(connection).values()}
        present = [record for record in found if record.batch_id in standing]
        if not present:
            raise ConfigError(
                f"{name[:64]!r} does not stand any more: it was replaced or withdrawn",
                hint="`outlay history` shows what stands in its place.",
            )
        now, group = clock(), new_id(clock())
        outcomes, batches = [], []
        for record in sorted(present, key=lambda one: (one.partition.period, one.partition.dataset)):
            batch_id = None if preview else new_id(now)
            dataset, period = record.partition.dataset, record.partition.period
            outcomes.append(Outcome(dataset, period, "withdrawn", 0, {}, batch_id))
            if batch_id is not None:
                sealed = (record.endpoint, group, digest(()), "withdraw")
                batches.append(_batch(batch_id, record.partition, provider, sealed, now, ()))
        if batches:
            account = Account(connection=connection, provider=provider)
            ledger.commit(account, batches)
            if (described := providers_by_id().get(provider)) is not None:
                settle(ledger, described, account, clock)
    return connection, Done(group if batches else None, tuple(outcomes))


def spread(charge: Charge) -> tuple[Charge, ...]:
    """Return a charge as one of each of its days: equal amounts, the last with what division leaves over.

    So a bill for a month speaks, day by day, in place of weaker figures for the same days and service.
    """
    days = list(charge.charge_period.days())
    whole, currency = charge.billed_cost.amount, charge.billed_cost.currency
    share = ratio(whole, Decimal(len(days))) or whole
    rest = plus(whole, product(share, Decimal(1 - len(days))))
    return tuple(
        msgspec.structs.replace(
            charge,
            charge_period=Period.of_day(day),
            billed_cost=Money(rest if day == days[-1] else share, currency),
        )
        for day in days
    )


def by_days(dataset: str, facts: Iterable[Fact], otherwise: datetime) -> list[Typed]:
    """Return facts as partitions: each belongs to the UTC day it begins in, or to `otherwise` where it has no time."""
    days: dict[Period, list[Fact]] = {}
    for fact in facts:
        days.setdefault(Period.of_day((_begin(fact) or otherwise).date()), []).append(fact)
    return [Typed(dataset, period, tuple(facts)) for period, facts in sorted(days.items())]


def cycles(first: datetime, until: datetime, months: int) -> list[Period]:
    """Return the billing cycles from a day on whose start lies before `until`, each so many months long.

    A cycle that would start on a day its month does not have starts on that month's last.
    """
    found: list[Period] = []
    start, count = first, 0
    while start < until:
        count += 1
        end = _months_after(first, count * months)
        found.append(Period(start, end))
        start = end
    return found


def _months_after(first: datetime, months: int) -> datetime:
    index = first.year * 12 + first.month - 1 + months
    month = first.replace(year=index // 12, month=index % 12 + 1, day=1)
    last = ((month + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
    return month.replace(day=min(first.day, last))


def _ordered(typed: Iterable[Typed]) -> list[Typed]:
    return sorted(typed, key=lambda each: (each.period, each.dataset))


def _outcome(known: Mapping[Partition, Committed], connection: str, each: Typed) -> Outcome:
    before = known.get(Partition(connection, each.dataset, each.period))
    state = "new" if before is None else "unchanged" if before.digest == digest(each.facts) else "replaced"
    return Outcome(each.dataset, each.period, state, len(each.facts), _costs(each.facts))


def _costs(facts: Iterable[Fact]) -> dict[tuple[str, str], Decimal]:
    sums: dict[tuple[str, str], Decimal] = {}
    for fact in facts:
        if isinstance(fact, Charge):
            key = (fact.billed_cost.currency, fact.basis.value)
            sums[key] = plus(sums.get(key, Decimal(0)), fact.billed_cost.amount)
    return sums


def _begin(fact: Fact) -> datetime | None:
    if isinstance(fact, Charge):
        return fact.charge_period.start
    if isinstance(fact, Usage):
        return fact.usage_period.start
    issued = getattr(fact, "issued_at", None)
    if isinstance(issued, datetime):
        return issued
    period = getattr(fact, "revenue_period", None) or getattr(fact, "period", None)
    return period.start if isinstance(period, Period) else None


def _batch(
    batch_id: str | None,
    partition: Partition,
    provider: str,
    sealed: tuple[str, str, str, str],
    now: datetime,
    facts: Sequence[Fact],
) -> Batch:
    by, group, seal, reason = sealed
    assert batch_id is not None
    return Batch(
        batch_id=batch_id,
        partition=partition,
        provider=provider,
        endpoint=by,
        fetch_id=group,
        digest=seal,
        observed_at=now,
        facts=tuple(facts),
        reason=reason,
    )
