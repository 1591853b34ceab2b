"""Take a vendor's monthly credit off what a month's metered calls cost: one estimated line, never more than the cost.

The vendor tells neither the credit nor what is left of it, so the line is no balance and says what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from outlay.errors import ConfigError
from outlay.model.basis import Basis
from outlay.model.batch import Account, Batch, Partition
from outlay.model.facts import Category, Charge, Frequency
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.sync.committer import new_id
from outlay.sync.digest import digest
from outlay.sync.report import DatasetReport

if TYPE_CHECKING:
    from outlay.clock import Clock
    from outlay.providers.base import Provider
    from outlay.store import Ledger

CREDITS = "metered.credit"
_COSTS = """
    SELECT date_trunc('month', ChargePeriodStart)::DATE AS month, sum(coalesce(ListCost, BilledCost))
    FROM charges WHERE x_Connection = ? AND x_Dataset = ? AND x_Provider = ? AND BillingCurrency = ? GROUP BY month
"""


def credited(
    ledger: Ledger, connection: str, provider: Provider, options: Mapping[str, str], dataset: str, clock: Clock
) -> DatasetReport | None:
    """Commit the credit of each month with metered cost and return what was done.

    Null:   None where the vendor gives no credit, or no month has a cost.
    Raises: ConfigError for an option that is no amount; StoreError.
    """
    metered = provider.metering
    if metered is None or metered.credit is None:
        return None
    given = _given(options.get(metered.credit.option), metered.credit.amount)
    known = ledger.committed(connection, CREDITS)
    report, batches = DatasetReport(CREDITS), list[Batch]()
    for month, cost in ledger.query(_COSTS, (connection, dataset, provider.id, given.currency)).rows:
        partition = Partition(connection, CREDITS, Period.of_month(month))
        facts = _line(partition.period, min(given.amount, cost), given.currency, metered.service_name)
        before, seal, now = known.get(partition), digest(facts), clock()
        if before is None and not facts:
            continue
        report.partitions += 1
        report.fetched += 1
        report.facts += len(facts)
        if before is not None and before.digest == seal:
            report.unchanged += 1
            continue
        report.restated += before is not None
        batches.append(
            Batch(batch_id=new_id(now), partition=partition, provider=provider.id, endpoint="meter", fetch_id=None,
                  digest=seal, observed_at=now, facts=facts, reason="meter")
        )  # fmt: skip
    if batches:
        ledger.commit(Account(connection=connection, provider=provider.id), batches)
    return report if report.partitions else None


def _given(option: str | None, usual: Money) -> Money:
    if not option:
        return usual
    try:
        given = Money(Decimal(option), usual.currency)
    except (InvalidOperation, ValueError):
        given = None
    if given is None or given.amount < 0:
        raise ConfigError(f"{option[:40]!r} is no amount of {usual.currency} for a monthly credit",
                          hint=f"Write a number such as {usual.amount.normalize():f}, or 0 for none.")  # fmt: skip
    return given


def _line(period: Period, amount: Decimal, currency: str, service: str) -> tuple[Charge, ...]:
    if amount <= 0:
        return ()
    return (
        Charge(
            charge_period=period,
            billed_cost=Money(-amount, currency),
            service_name=service,
            basis=Basis.ESTIMATED,
            charge_category=Category.CREDIT,
            charge_frequency=Frequency.RECURRING,
            charge_description="Monthly credit, at most what the month costs by the list",
        ),
    )
