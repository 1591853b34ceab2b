"""Work out what no vendor states from revenue in the ledger and terms the user entered, whenever either changes.

An estimate's day is the day of its revenue, and is known as far as that is: stale where it is stale, unknown where it
is not there. It is unknown too where no terms hold, and then nothing stands in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from outlay.clock import Clock
from outlay.errors import TermsMissingError
from outlay.model.batch import Account, Batch, Committed, Partition
from outlay.model.facts import Charge, Revenue
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.model.terms import KIND, FeeTerms
from outlay.providers.base import Estimate, Provider
from outlay.store import Ledger
from outlay.sync.committer import new_id
from outlay.sync.digest import digest
from outlay.sync.report import DatasetReport

REASON = "derive"
NOT_SYNCED = "not_synced"
"""Why a day is unknown whose revenue was never asked for, or asked for before the day was over."""


@dataclass(slots=True)
class _Round:
    """What one estimate's days come to."""

    report: DatasetReport
    batches: list[Batch] = field(default_factory=list)
    sound: list[Partition] = field(default_factory=list)
    amiss: dict[str, list[Partition]] = field(default_factory=dict)


def settle(ledger: Ledger, provider: Provider, account: Account, clock: Clock) -> list[DatasetReport]:
    """Bring a provider's estimates up to date for one connection, whose lease the caller holds.

    Raises: StoreError.
    """
    if not provider.estimates:
        return []
    known = ledger.committed(account.connection)
    troubles = {each.partition: each.problem for each in ledger.troubles(account.connection)}
    terms = [FeeTerms.of(name) for name in ledger.names(account.connection, KIND) if name.state == "active"]
    reports = []
    for estimate in provider.estimates:
        done = _worked_out(_Source(ledger, estimate, account, known, troubles), terms, clock())
        if done.batches:
            ledger.commit(account, done.batches)
        for code, partitions in done.amiss.items():
            ledger.failed(partitions, code, clock())
        if done.sound:
            ledger.checked(done.sound, clock())
        if done.report.partitions:
            reports.append(done.report)
    return reports


@dataclass(slots=True)
class _Source:
    """What the ledger holds of the revenue that an estimate is worked out from."""

    ledger: Ledger
    estimate: Estimate
    account: Account
    known: Mapping[Partition, Committed]
    troubles: Mapping[Partition, str]

    def days(self) -> list[Period]:
        """Return every day of which anything is known, or was."""
        names = {*self.estimate.of, self.estimate.dataset.name}
        return sorted({each.period for each in (*self.known, *self.troubles) if each.dataset in names})

    def partition(self, dataset: str, day: Period) -> Partition:
        """Return a dataset's partition of a day."""
        return Partition(self.account.connection, dataset, day)

    def whole(self, day: Period) -> bool:
        """Tell whether revenue of a day is there from every dataset, stale or not."""
        return all(self.partition(name, day) in self.known for name in self.estimate.of)

    def trouble(self, day: Period, now: datetime) -> str | None:
        """Return why a day's revenue is not known to be right; None where it is."""
        for name in self.estimate.of:
            partition = self.partition(name, day)
            known = self.known.get(partition)
            found = self.troubles.get(partition) or (known.lacks if known else NOT_SYNCED)
            if found:
                return found
            if known is not None and known.checked_at < day.end <= now:
                return NOT_SYNCED
        return None

    def sales(self) -> dict[Period, list[Revenue]]:
        """Return the revenue of each day, in the order of its records."""
        names = ", ".join("?" for _ in self.estimate.of)
        sql = f"""
            SELECT revenue_period_start, kind, record_id, gross, currency, service_name, details FROM revenue
            WHERE connection = ? AND dataset IN ({names}) ORDER BY revenue_period_start, kind, record_id
        """  # noqa: S608 - placeholders alone
        found: dict[Period, list[Revenue]] = {}
        for start, kind, record, gross, currency, service, details in self.ledger.query(
            sql, (self.account.connection, *self.estimate.of)
        ).rows:
            day = Period.of_day(start.date())
            sale = Revenue(revenue_period=day, kind=kind, gross=Money(gross, currency), service_name=service,
                           record_id=record, details=msgspec.json.decode(details) if details else None)  # fmt: skip
            found.setdefault(day, []).append(sale)
        return found


def _worked_out(source: _Source, terms: Sequence[FeeTerms], now: datetime) -> _Round:
    name = source.estimate.dataset.name
    days = source.days()
    done = _Round(DatasetReport(name, partitions=len(days)))
    sales = source.sales() if terms and days else {}
    unknown = 0
    for day in days:
        trouble = source.trouble(day, now)
        try:
            facts = tuple(source.estimate.charges(day.first_day, sales.get(day, ()), terms))
        except TermsMissingError as error:
            facts = ()
            if source.whole(day):
                trouble, unknown = error.code, unknown + 1
        _put(source, done, source.partition(name, day), facts, trouble, now)
    if unknown:
        says = f"the fees of {unknown} of {len(days)} days are unknown: no terms were entered that hold for them"
        hint = TermsMissingError.default_hint
        done.report.tell([Problem(code=TermsMissingError.code, says=says, hint=hint, severity=Severity.NOTE)])
    return done


def _put(
    source: _Source, done: _Round, partition: Partition, facts: tuple[Charge, ...], trouble: str | None, now: datetime
) -> None:
    """Put a day in the place of what it held, and note whether it is known to be right."""
    before, untold = source.known.get(partition), trouble == TermsMissingError.code
    # Without terms nothing may stand; without revenue nothing can be worked out, and what stood stays as stale.
    stands = before is not None if untold else source.whole(partition.period)
    changed = stands and (before is None or before.digest != digest(facts))
    if changed:
        done.batches.append(_batch(source.account, partition, facts, now))
        done.report.restated += before is not None
    if trouble is None:
        done.report.fetched += 1
        done.report.facts += len(facts)
        done.report.unchanged += not changed
        done.sound.append(partition)
    elif changed or source.troubles.get(partition) != trouble:  # a commit takes the trouble away
        done.amiss.setdefault(trouble, []).append(partition)


def _batch(account: Account, partition: Partition, facts: tuple[Charge, ...], now: datetime) -> Batch:
    return Batch(
        batch_id=new_id(now),
        partition=partition,
        provider=account.provider,
        endpoint=REASON,
        fetch_id=None,
        digest=digest(facts),
        observed_at=now,
        facts=facts,
        reason=REASON,
    )
