"""Compare the sum of the charges with the totals the vendors state themselves."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec

from outlay.analysis.query import Condition, Query
from outlay.clock import Clock, midnight
from outlay.model.basis import Basis
from outlay.store import Ledger

_ZERO = Decimal(0)


class Mismatch(msgspec.Struct, frozen=True, kw_only=True):
    """A total the charges do not add up to within the tolerance stated with it."""

    connection: str
    dataset: str
    period: tuple[date, date]
    service: str | None
    column: str
    """`billed_cost` or `list_cost`."""
    currency: str
    stated: Decimal
    found: Decimal

    @property
    def where(self) -> str:
        """Return which total it is, in words."""
        service = f", {self.service}" if self.service else ""
        return f"{self.dataset} {self.period[0]} to {self.period[1]}{service}, {self.column}"


_COMPARABLE = """
    (period_end > ? OR observed_at >= period_end OR partition_end - partition_start >= period_end - period_start)
"""
_SQL = """
    WITH said AS (
        SELECT connection, statement_dataset AS dataset, service_name, period_start, period_end, currency,
               billed_cost, list_cost, tolerance, coalesce(basis, '{billed}') AS basis, billing_account_id,
               provider || ':' || billing_account_id AS account
        FROM statements WHERE {condition}
        QUALIFY partition_start = max(partition_start) OVER (
            PARTITION BY connection, dataset, statement_dataset, service_name, period_start, period_end, currency,
                basis, billing_account_id)
    )
    SELECT said.connection, said.dataset, said.service_name, said.period_start, said.period_end, said.currency,
           said.billed_cost, said.list_cost, said.tolerance, said.account, said.basis,
           coalesce(sum(BilledCost), 0), coalesce(sum(ListCost), 0),
           count(x_Connection) = count(ListCost)
    FROM said LEFT JOIN charges
      ON x_Connection = said.connection AND x_Dataset = said.dataset AND BillingCurrency = said.currency
     AND x_Basis = said.basis
     AND (said.account IS NULL OR BillingAccountId = said.account)
     AND ChargePeriodStart >= said.period_start AND ChargePeriodStart < said.period_end
     AND (said.service_name IS NULL OR lower(ServiceName) = lower(said.service_name))
    GROUP BY ALL ORDER BY ALL
"""


def mismatches(ledger: Ledger, query: Query, clock: Clock) -> tuple[Mismatch, ...]:
    """Return the stated totals of a period that the charges do not add up to.

    Null: a stated list cost is not compared where the list cost of a charge is unknown, nor a total so far of a period
          that was not over when it was last read and is now: what came after it is in the charges alone.
    Order: by connection and dataset.
    """
    first, to = query.period(clock)
    condition = Condition.none()
    condition.add("period_start < ? AND period_end > ?", midnight(to), midnight(first))
    condition.add(_COMPARABLE, clock())
    if query.connections:
        condition.add_choice("connection", [], query.connections)
    sql = _SQL.format(condition=condition.sql, billed=Basis.BILLED)
    found = []
    for row in ledger.query(sql, condition.parameters).rows:
        connection, dataset, service, start, end, currency, billed, listed, tolerance = row[:9]
        billed_sum, list_sum, full = row[11:]
        totals = [("billed_cost", billed, billed_sum), ("list_cost", listed if full else None, list_sum)]
        found += [
            Mismatch(
                connection=connection,
                dataset=dataset,
                period=(start.date(), end.date()),
                service=service,
                column=column,
                currency=currency,
                stated=stated,
                found=total,
            )
            for column, stated, total in totals
            if stated is not None and abs(stated - total) > (tolerance or _ZERO)
        ]
    return tuple(found)
