"""Settle metering: put what meter events add up to into the ledger, a day of a connection at a time.

A day is committed whole from its totals, so settling twice changes nothing, a late event restates its day, and a crash
anywhere only means that a day is committed again as it was.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from outlay.clock import Clock, day_of, system_clock
from outlay.config import Config
from outlay.errors import ConfigError, LedgerBusyError, OutlayError, StoreError
from outlay.meter.bounds import RejectedError, check
from outlay.meter.ingest import LATE_DAYS, Intake, Taken, attribution
from outlay.meter.spool import pending
from outlay.model.batch import Account, Batch, Committed, Partition
from outlay.model.facts import Fact, Limit, LimitBasis
from outlay.model.metering import (
    LACKING,
    METERED,
    METERED_LIMITS,
    OBSERVED_AT,
    PARTLY_STATED,
    UNPRICED,
    MeterEvent,
)
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Provider
from outlay.store import Ledger, metering, packing
from outlay.store.commit import described
from outlay.store.metering import Day
from outlay.sync.committer import new_id
from outlay.sync.digest import digest
from outlay.sync.metered_credits import credited
from outlay.sync.metered_facts import Prices, facts_of
from outlay.sync.report import ConnectionReport, DatasetReport, Report

if TYPE_CHECKING:
    from outlay.store.lease import Lease

log = logging.getLogger(__name__)

BY = "meter"
LEASE_SECONDS = 120
_TOGETHER = 1000
_DAYS_TOGETHER = 31
"""How many days go into one commit: what bounds memory."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to settle, and how. Null: `prices` None are those of the configuration's home."""

    chosen: Callable[[str], bool] = lambda _name: True
    """Which connections."""
    prices: Prices | None = None
    again: bool = False
    """Every day that ever held an event, also those to which nothing came: for price lists that were corrected."""
    unpriced: bool = True
    """Also days of which something had no price when they were last committed."""


def settle(config: Config, ledger: Ledger, clock: Clock = system_clock, wish: Wish | None = None) -> Report:
    """Drain the spool and commit every day that something came to; return what was done, by connection.

    Raises: StoreError; ConfigError for price lists that cannot be read.
    """
    wish = wish or Wish()
    drain(config, ledger, clock)
    days = metering.all_days(ledger.state)
    report = Report()
    settler: _Settler | None = None
    for name, group in itertools.groupby(days, key=lambda day: day.connection):
        if wish.chosen(name):
            settler = settler or _Settler(ledger, clock, wish, wish.prices or _lists(config), config)
            done = settler.one(name, list(group))
            if done is not None:
                report.connections.append(done)
    metering.forget(ledger.state, day_of(clock()), LATE_DAYS)
    packing.pack(ledger.state, day_of(clock()) - timedelta(days=LATE_DAYS))
    return report


def settle_beside(report: Report, config: Config, ledger: Ledger, clock: Clock, chosen: Callable[[str], bool]) -> None:
    """Settle at the end of a sync and add what was done to its report, as datasets of the connections.

    Raises: StoreError; anything else that keeps it from settling is a problem in the report.
    """
    try:
        done = settle(config, ledger, clock, Wish(chosen=chosen))
    except StoreError:
        raise
    except OutlayError as error:
        problem = Problem(code=error.code, says=error.message, hint=error.hint)
        report.connections.append(ConnectionReport(METERED, "", problems=[problem]))
        return
    known = {each.connection: each for each in report.connections}
    for each in done.connections:
        if each.connection in known:
            known[each.connection].datasets += each.datasets
            known[each.connection].problems += each.problems
        else:
            report.connections.append(each)


def _lists(config: Config) -> Prices:
    from outlay.pricing.lists import lists

    return lists(config.home)


# ── from the spool into the state ────────────────────────────────────────────────────────────────────────────────


def drain(config: Config, ledger: Ledger, clock: Clock = system_clock) -> Taken:
    """Take what programs on this machine have metered; a file is removed only when its events are safe.

    Raises: StoreError; what was not taken is still in the spool.
    """
    taken, intake = Taken(0, 0), Intake(ledger, attribution(config), clock=clock)
    for file in pending(config.home):
        bad: list[str] = []
        events = _good(file.events(), clock(), bad)
        while chunk := list(itertools.islice(events, _TOGETHER)):
            taken += intake.take(chunk)
        file.unreadable += len(bad)  # what no total holds stays in the file, which is then kept
        if file.done() and file.unreadable:
            why = f" ({bad[0]})" if bad else ""
            log.warning("%s: %d lines hold no event that can be taken%s; it is kept as .unread",
                        file.path, file.unreadable, why)  # fmt: skip
    return taken


def _good(events: Iterable[MeterEvent], now: datetime, bad: list[str]) -> Iterator[MeterEvent]:
    for event in events:
        try:
            yield check(event, now, any_age=True)
        except RejectedError as error:
            bad.append(f"{event.provider[:64]}: {error}")


# ── from the state into the tables ───────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Work:
    """One connection's days on their way into the tables."""

    name: str
    provider: Provider
    part_of: str | None
    known: dict[Partition, Committed]
    usage: DatasetReport = field(default_factory=lambda: DatasetReport(METERED))
    limits: DatasetReport = field(default_factory=lambda: DatasetReport(METERED_LIMITS))
    unpriced: dict[tuple[str | None, str, str], Decimal] = field(default_factory=dict)


class _Settler:
    def __init__(self, ledger: Ledger, clock: Clock, wish: Wish, prices: Prices, config: Config) -> None:
        self._ledger = ledger
        self._config = config
        self._clock = clock
        self._wish = wish
        self._prices = prices

    def one(self, name: str, days: Sequence[Day]) -> ConnectionReport | None:
        """Settle one connection. Null: None where there is nothing to do."""
        if not self._due(days):
            return None
        report = ConnectionReport(name, days[-1].provider)
        try:
            # Not the lease that a sync holds: these datasets are nobody else's, and neither should wait for the other.
            with self._ledger.lease(f"{name} (metered)", LEASE_SECONDS) as lease:
                # Read again: whoever held the lease before may have done it all.
                clashing, sound = _by_provider(metering.all_days(self._ledger.state, name))
                report.problems += [_clash(day) for day in clashing if day.due]
                for provider, own in itertools.groupby(self._due(sound), key=lambda day: day.provider):
                    work = self._work(name, provider)
                    for chunk in _chunks(list(own)):
                        _hold(lease)
                        self._commit(work, chunk)
                    _tell(work, report)
                    self._credit(work, report)
        except LedgerBusyError as error:
            report.skipped = True
            note = Problem(code=error.code, says=error.message, hint=error.hint, severity=Severity.NOTE)
            report.problems.append(note)
        return report

    def _credit(self, work: _Work, report: ConnectionReport) -> None:
        """Take off what the vendor takes off each month; a wrong option is told, and the costs stand without it."""
        connection = self._config.connections.get(work.name)
        options = connection.options if connection is not None else {}
        try:
            done = credited(self._ledger, work.name, work.provider, options, METERED, self._clock)
        except ConfigError as error:
            report.problems.append(Problem(code=error.code, says=error.message, hint=error.hint))
            return
        report.datasets += [done] if done is not None else []

    def _due(self, days: Sequence[Day]) -> list[Day]:
        whole = {provider: self._whole(days[0].connection, provider) for provider in {day.provider for day in days}}
        return [
            day
            for day in days
            if self._wish.again
            or day.due
            or day.part_of != whole[day.provider]
            or (day.lacking and self._wish.unpriced)
        ]

    def _whole(self, connection: str, provider: str) -> str | None:
        """Return the vendor's own dataset of the same usage, where the ledger holds it: metered usage is part of it."""
        metered = described(provider).metering
        dataset = None if metered is None else metered.usage_dataset
        return dataset if dataset and self._ledger.committed(connection, dataset) else None

    def _work(self, name: str, provider: str) -> _Work:
        known = {**self._ledger.committed(name, METERED), **self._ledger.committed(name, METERED_LIMITS)}
        return _Work(name, described(provider), self._whole(name, provider), known)

    def _commit(self, work: _Work, days: Sequence[Day]) -> None:
        seals: dict[Day, Sequence[str]] = {}
        batches: list[Batch] = []
        lacking: set[Day] = set()
        for day in days:
            period = Period.of_day(day.day)
            before = work.known.get(Partition(work.name, METERED, period))
            if before is not None and before.digest not in day.sealed:
                work.usage.partitions += 1
                work.usage.tell([_foreign(period)])
                continue
            made = facts_of(
                metering.totals_of(self._ledger.state, day), work.provider, period, self._prices, work.part_of
            )
            partition = Partition(work.name, METERED, period)
            after = self._batch(work, work.usage, partition, made.facts, lacks=made.lacks)
            seals[day] = [each.digest for each in (before, *after) if each is not None]
            batches += after
            batches += self._limits(work, day, period)
            for lack, quantity in made.unpriced.items():
                work.unpriced[lack] = work.unpriced.get(lack, Decimal(0)) + quantity
            if made.both:
                work.usage.tell([_both(period)])
            if made.unpriced:
                lacking.add(day)
        metering.begin(self._ledger.state, seals)
        if batches:
            account = Account(connection=work.name, provider=work.provider.id)
            self._ledger.commit(account, batches)
        for day in seals:
            metering.settled(self._ledger.state, day, part_of=work.part_of, lacking=day in lacking)

    def _limits(self, work: _Work, day: Day, period: Period) -> list[Batch]:
        found = metering.limits_of(self._ledger.state, day)
        partition = Partition(work.name, METERED_LIMITS, period)
        if not found:
            return []  # none came, or they are forgotten and what was committed of them stands
        facts = [_told(limit, at) for at, limit in found]
        return self._batch(work, work.limits, partition, facts, max(at for at, _ in found))

    def _batch(
        self,
        work: _Work,
        report: DatasetReport,
        partition: Partition,
        facts: Sequence[Fact],
        at: datetime | None = None,
        lacks: str | None = None,
    ) -> list[Batch]:
        before, seal, now = work.known.get(partition), digest(facts, lacks), self._clock()
        report.partitions += 1
        report.fetched += 1
        report.facts += len(facts)
        if before is not None and before.digest == seal:
            report.unchanged += 1
            return []
        report.restated += before is not None
        batch = Batch(
            batch_id=new_id(now),
            partition=partition,
            provider=work.provider.id,
            endpoint=BY,
            fetch_id=None,
            digest=seal,
            observed_at=at or now,
            facts=tuple(facts),
            reason=BY,
        )
        return [batch]


def _told(limit: Limit, at: datetime) -> Limit:
    details = {**(limit.details or {}), OBSERVED_AT: at.isoformat()}
    return msgspec.structs.replace(limit, basis=LimitBasis.HEADER, details=details)


def _hold(lease: Lease) -> None:
    lease.renew()
    if lease.lost:
        raise LedgerBusyError(f"another process has taken over {lease.connection}")


def _chunks(days: Sequence[Day]) -> Iterator[Sequence[Day]]:
    for start in range(0, len(days), _DAYS_TOGETHER):
        yield days[start : start + _DAYS_TOGETHER]


def _by_provider(days: Sequence[Day]) -> tuple[list[Day], list[Day]]:
    """Return the days that another provider has at the same connection already, and all others."""
    owners: dict[object, str] = {}
    for day in sorted(days, key=lambda each: (not each.sealed, each.provider)):
        owners.setdefault(day.day, day.provider)
    clashing = [day for day in days if owners[day.day] != day.provider]
    return clashing, [day for day in days if owners[day.day] == day.provider]


def _tell(work: _Work, report: ConnectionReport) -> None:
    work.usage.tell(_unpriced(work.unpriced))
    report.datasets += [each for each in (work.usage, work.limits) if each.partitions]


def _unpriced(lacking: dict[tuple[str | None, str, str], Decimal]) -> Iterator[Problem]:
    for (model, meter, why), quantity in sorted(lacking.items(), key=repr):
        yield Problem(
            code=UNPRICED,
            says=f"{quantity.normalize():f} {meter} of {model or 'no model'} have no price: {why}",
            where=f"{model or 'no model'}, {meter}",
            hint=LACKING[UNPRICED],
            severity=Severity.WARNING,
        )


def _both(period: Period) -> Problem:
    return Problem(
        code=PARTLY_STATED,
        says="some calls state what they cost and others do not",
        where=f"{period.first_day}",
        hint=LACKING[PARTLY_STATED],
        severity=Severity.WARNING,
        period=period,
    )


def _foreign(period: Period) -> Problem:
    return Problem(
        code="metered_elsewhere",
        says="the ledger holds metered use of this day that this state database does not know",
        where=f"{period.first_day}",
        hint="What stands is kept and what came is not added. Restore the state database that took those events.",
        period=period,
    )


def _clash(day: Day) -> Problem:
    return Problem(
        code="providers_mixed",
        says=f"the connection has metered use of another provider on that day than {day.provider}'s",
        where=f"{day.day}",
        hint="Give connections of different providers different names; what is not committed is kept.",
        period=Period.of_day(day.day),
    )
