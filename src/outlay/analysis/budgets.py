"""Budgets: what is planned, and what of it the month's charges have consumed."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from outlay.analysis.answer import Answer, Listed
from outlay.analysis.coverage import Coverage, gaps_of
from outlay.analysis.months import month_spend
from outlay.analysis.query import CHARGES, Query
from outlay.analysis.readings import latest_reading, used_percent
from outlay.clock import Clock, system_clock
from outlay.model.facts import Budget
from outlay.store import Ledger

PROVIDER = "provider"


class BudgetRow(Listed, frozen=True, kw_only=True):
    """A plan to spend no more than an amount, and what of it is consumed.

    Null: `consumed` is None where neither the vendor nor the charges can say it; `currency` is None for budgets that
    count licences.
    """

    source: str
    """`provider` for budgets kept at the vendor."""
    name: str
    scope: str
    currency: str | None
    amount: Decimal
    period: str
    consumed: Decimal | None
    thresholds: tuple[Decimal, ...]
    """Fractions of the amount at which the vendor warns."""
    connection: str
    provider: str
    unit: str | None
    enforced: bool | None
    covers: dict[str, str | None] | None
    derived: bool = False
    """Whether `consumed` is the sum of the month's billed charges and not the vendor's own figure."""
    shown: ClassVar = ("source", "name", "scope", "currency", "amount", "period", "consumed", "thresholds")

    @property
    def percent(self) -> Decimal | None:
        """Return how much of the amount is consumed, in percent; None where it is not known."""
        return used_percent(self.consumed, self.amount)


_COLUMNS = (
    "connection",
    "provider",
    "name",
    "scope",
    "currency",
    "amount",
    "period",
    "consumed",
    "thresholds",
    "unit",
    "enforced",
    "covers",
)


def budgets(ledger: Ledger, query: Query | None = None, *, clock: Clock = system_clock) -> Answer[BudgetRow]:
    """Return every budget as last read, with what the month's charges consumed where the vendor does not say it.

    Order: by connection, dataset and name.
    Raises: ConfigError for a filter that readings do not have.
    """
    query = query or Query()
    first, to = query.period(clock)
    coverage = Coverage.of(ledger, query, clock)
    return Answer(
        from_=first,
        to=to,
        by=(),
        rows=budget_rows(ledger, query, coverage, clock),
        incomplete=gaps_of(coverage, query, (Budget,), clock),
        columns=BudgetRow.shown,
    )


def budget_rows(ledger: Ledger, query: Query, coverage: Coverage, clock: Clock) -> tuple[BudgetRow, ...]:
    """Return every budget as last read, with what can be computed filled in."""
    rows = [
        _row(dict(zip(_COLUMNS, values, strict=True)))
        for *values, dataset, start in latest_reading(ledger, "budgets", _COLUMNS, query, clock)
        if not coverage.superseded(values[0], dataset, start)
    ]
    open_ = {row.connection: row for row in rows if _countable(row)}
    if not open_:
        return tuple(rows)
    dimensions = tuple(sorted({name for row in rows if _countable(row) for name in row.covers or {}}))
    spent = month_spend(ledger, query, open_, coverage, clock, dimensions)
    return tuple(
        msgspec.structs.replace(row, consumed=consumed, derived=True)
        if _countable(row) and (consumed := spent.of(row.connection, row.currency or "", row.covers or {})) is not None
        else row
        for row in rows
    )


def _row(values: dict[str, Any]) -> BudgetRow:
    thresholds = msgspec.json.decode(values.pop("thresholds") or "[]", type=tuple[Decimal, ...])
    covers = msgspec.json.decode(values.pop("covers") or "null", type=dict[str, str | None] | None)
    return BudgetRow(source=PROVIDER, thresholds=thresholds, covers=covers, **values)


def _countable(row: BudgetRow) -> bool:
    """Tell whether the charges can say what a budget consumed: a monthly amount of money over known dimensions."""
    if row.consumed is not None or row.currency is None or row.covers is None or "month" not in row.period:
        return False
    return _known(row.covers)


def _known(covers: Mapping[str, str | None]) -> bool:
    return set(covers) <= set(CHARGES.by_name)
