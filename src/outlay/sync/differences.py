"""Tell days by a counter: the last reading of a day less the last of the day before it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any, NamedTuple

from outlay.clock import Clock
from outlay.config import Connection
from outlay.model.basis import Basis
from outlay.model.batch import Account, Batch, Partition
from outlay.model.facts import Balance, Charge, Fact, Limit, Usage
from outlay.model.money import Money, plus
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Dataset, Difference, Provider
from outlay.providers.differences import HINTS, MISSED, RESET
from outlay.store import Ledger
from outlay.sync.committer import new_id
from outlay.sync.digest import digest
from outlay.sync.plan import datasets_of
from outlay.sync.report import ConnectionReport, DatasetReport

_DAY = timedelta(days=1)
_SAYS = {
    MISSED: "no reading was taken, so that the counter's difference belongs to several days",
    RESET: "the counter began again, so that a difference of readings is not the day's use",
}
_COLUMNS = {
    Limit: ("limits", "name", "used", "unit", "scope", "resets_at"),
    Balance: ("balances", "name", "amount", "coalesce(currency, unit)", "name", "expires_at"),
    Usage: ("usage", "meter", "quantity", "unit", "resource_id", "NULL::TIMESTAMPTZ"),
}
"""Where readings of a kind are: table, name, counter, unit, the part it is of, and when it begins again."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a counter said last on a day; readings whose `mark` differs are not of one period."""

    day: date
    at: datetime
    value: Decimal
    unit: str
    resets_at: datetime | None = None
    mark: tuple[str | None, ...] = ()


class Told(NamedTuple):
    """What a difference tells of a day. Null: `used` None is a gap, for the reason in `why`."""

    day: date
    used: Decimal | None
    unit: str
    why: str | None = None


def told(
    readings: Sequence[Reading], *, falling: bool = False, reset_slack: timedelta = timedelta(0)
) -> Iterator[Told]:
    """Yield each day after the first reading's, up to the last reading's, oldest first.

    Order: readings are by day, one for each.
    """
    for before, after in pairwise(readings):
        days = (after.day - before.day).days
        if days > 1:
            yield from (Told(before.day + _DAY * n, None, after.unit, MISSED) for n in range(1, days + 1))
            continue
        used = plus(before.value, -after.value) if falling else plus(after.value, -before.value)
        if used < 0 or _began_again(before, after, reset_slack):
            yield Told(after.day, None, after.unit, RESET)
        else:
            yield Told(after.day, used, after.unit)


def _began_again(before: Reading, after: Reading, slack: timedelta) -> bool:
    if (before.unit, before.mark) != (after.unit, after.mark):
        return True
    if before.resets_at is None or after.resets_at is None:
        return before.resets_at != after.resets_at
    return after.at >= before.resets_at or abs(after.resets_at - before.resets_at) > slack


def derive(
    ledger: Ledger,
    connection: Connection,
    provider: Provider,
    account: Account,
    report: ConnectionReport,
    clock: Clock,
) -> None:
    """Commit the days that a connection's counters tell, those alone that come out otherwise than they stand.

    All days are told again from the readings that stand: where the vendor has meanwhile told a day itself, the
    difference becomes a part of it.

    Raises: StoreError.
    """
    for dataset in datasets_of(connection, provider):
        for difference in dataset.differences:
            _Derivation(ledger, connection, account, difference, clock).run(dataset, report)


Series = tuple[str | None, str | None]
"""The scope or part that a counter is of, and its sub-account."""


@dataclass(slots=True)
class _Derivation:
    """One difference of one connection."""

    ledger: Ledger
    connection: Connection
    account: Account
    difference: Difference
    clock: Clock

    def run(self, dataset: Dataset, report: ConnectionReport) -> None:
        """Tell its days and commit what changed."""
        days: dict[date, dict[Series, Told]] = {}
        for series, readings in self._series(dataset).items():
            slack = timedelta(seconds=self.difference.reset_slack_seconds)
            for each in told(readings, falling=self.difference.falling, reset_slack=slack):
                days.setdefault(each.day, {})[series] = each
        if not days:
            return
        own = DatasetReport(self.difference.dataset)
        report.datasets.append(own)
        known = self.ledger.committed(self.connection.name, self.difference.dataset)
        whole = frozenset(self._days_of_whole())
        batches = []
        for day, parts in sorted(days.items()):
            partition = Partition(self.connection.name, self.difference.dataset, Period.of_day(day))
            facts = tuple(self._facts(day, parts, dataset.name, spoken=day in whole))
            lacks = None if day in whole else next((each.why for each in parts.values() if each.why), None)
            seal, before = digest(facts, lacks), known.get(partition)
            if before is None and day in whole and not facts:
                continue
            own.partitions += 1
            own.fetched += 1
            own.facts += len(facts)
            if before is not None and before.digest == seal:
                own.unchanged += 1
                continue
            own.restated += before is not None
            batches.append(self._batch(partition, seal, facts))
            if lacks is not None:
                own.tell([self._gap(lacks, partition.period)])
        if batches:
            self.ledger.commit(self.account, batches)

    def _series(self, dataset: Dataset) -> dict[Series, list[Reading]]:
        table, name, value, unit, part, resets = _COLUMNS[self.difference.of]
        wanted = [self.difference.name, *filter(None, [self.difference.period_of])]
        sub_account = "NULL" if table == "balances" else "sub_account_id"
        sql = f"""
            SELECT {part}, {sub_account}, partition_start, observed_at, {name}, {value}, {unit}, {resets}, details
            FROM {table} WHERE connection = ? AND dataset = ? AND {name} IN ({", ".join("?" * len(wanted))})
            ORDER BY 1 NULLS FIRST, 2 NULLS FIRST, 3
        """  # noqa: S608 - every name is one of ours
        rows = self.ledger.query(sql, (self.connection.name, dataset.name, *wanted)).rows
        found: dict[Series, list[Reading]] = {}
        for series, group in groupby(rows, lambda row: (row[0], row[1])):
            if self.difference.scope in (None, series[0]):
                found[series] = list(self._readings(group))
        return found

    def _readings(self, rows: Iterable[Sequence[Any]]) -> Iterator[Reading]:
        """Yield what one counter said on each day, with what tells its period."""
        marker = self.difference.period_of or self.difference.name
        for start, group in groupby(rows, lambda row: row[2]):
            named = {row[4]: row for row in group}
            row, mark = named.get(self.difference.name), named.get(marker)
            if row is None or row[5] is None:
                continue
            details: Mapping[str, str | None] = json.loads(mark[8]) if mark is not None and mark[8] else {}
            yield Reading(
                day=start.date(),
                at=row[3],
                value=row[5],
                unit=row[6],
                resets_at=None if mark is None else mark[7],
                mark=tuple(details.get(name) for name in self.difference.same),
            )

    def _days_of_whole(self) -> Iterator[date]:
        if self.difference.whole is not None:
            for partition, known in self.ledger.committed(self.connection.name, self.difference.whole).items():
                if known.lacks is None:
                    yield from partition.period.days()

    def _facts(self, day: date, parts: Mapping[Series, Told], source: str, *, spoken: bool) -> Iterator[Fact]:
        rule, period = self.difference, Period.of_day(day)
        part_of = source if rule.apart else rule.whole if spoken else None
        for (part, sub_account), each in parts.items():
            if not each.used:
                continue
            if rule.meter is not None:
                yield Usage(
                    usage_period=period,
                    meter=rule.meter,
                    unit=each.unit,
                    quantity=each.used,
                    service_name=rule.service,
                    sub_account_id=sub_account,
                    resource_id=part if rule.scope is None else None,
                    part_of=part_of,
                    derived=True,
                )
            elif not spoken:
                yield Charge(
                    charge_period=period,
                    billed_cost=Money(each.used, each.unit),
                    service_name=rule.service,
                    basis=Basis.ESTIMATED,
                    charge_description=f"Difference of two readings of {rule.name}",
                    sku_id=f"difference/{rule.name}",
                    sub_account_id=sub_account,
                )

    def _batch(self, partition: Partition, seal: str, facts: tuple[Fact, ...]) -> Batch:
        now = self.clock()
        return Batch(
            batch_id=new_id(now),
            partition=partition,
            provider=self.account.provider,
            endpoint="differences",
            fetch_id=None,
            digest=seal,
            observed_at=now,
            facts=facts,
            reason="derive",
        )

    def _gap(self, why: str, period: Period) -> Problem:
        where = f"{self.difference.dataset} of {period.first_day}"
        return Problem(code=why, says=_SAYS[why], where=where, hint=HINTS[why], severity=Severity.NOTE, period=period)
