"""Budgets: what is planned, and what of it the month's charges have consumed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from outlay.analysis.answer import Answer, Listed
from outlay.analysis.coverage import Coverage, gaps_of
from outlay.analysis.months import bounded, month_spend
from outlay.analysis.naming import names_of_scopes
from outlay.analysis.query import CHARGES, TAG, Query
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
    rows = budget_rows(ledger, query, coverage, clock)
    return Answer(
        from_=first,
        to=to,
        by=(),
        rows=rows,
        incomplete=gaps_of(coverage, query, (Budget,), clock),
        names=names_of_scopes(ledger, (row.scope for row in rows)),
        columns=BudgetRow.shown,
    )


def budget_rows(ledger: Ledger, query: Query, coverage: Coverage, clock: Clock) -> tuple[BudgetRow, ...]:
    """Return every budget as last read, with what can be computed filled in."""
    rows = [
        _row(dict(zip(_COLUMNS, values, strict=True)))
        for *values, dataset, start in latest_reading(ledger, "budgets", _COLUMNS, query, clock)
        if not coverage.superseded(values[0], dataset, start, query.period(clock)[1])
    ]
    called = _ids_by_name(ledger, rows)
    counted = {id(row): _by_id(row, wanted, called) for row in rows if (wanted := _counts(row)) is not None}
    if not counted:
        return tuple(rows)
    connections = {row.connection for row in rows if id(row) in counted}
    dimensions = tuple(sorted({name for wanted in counted.values() for name in wanted}))
    spent = month_spend(ledger, query, connections, coverage, clock, dimensions=dimensions)
    return tuple(
        msgspec.structs.replace(row, consumed=consumed, derived=True)
        if id(row) in counted
        and (consumed := spent.of(row.connection, row.currency or "", counted[id(row)])) is not None
        else row
        for row in rows
    )


def _row(values: dict[str, Any]) -> BudgetRow:
    thresholds = msgspec.json.decode(values.pop("thresholds") or "[]", type=tuple[Decimal, ...])
    covers = msgspec.json.decode(values.pop("covers") or "null", type=dict[str, str | None] | None)
    return BudgetRow(source=PROVIDER, thresholds=thresholds, covers=covers, **values)


def _counts(row: BudgetRow) -> Mapping[str, str | None] | None:
    """Return which charges say what a budget consumed, or None where none can.

    They can for a monthly amount of money over dimensions that charges have; without such, the scope says enough.
    """
    if row.consumed is not None or row.currency is None or "month" not in row.period:
        return None
    if row.covers is None:
        return bounded(row.scope)
    return row.covers if all(name in CHARGES.by_name or name.startswith(TAG) for name in row.covers) else None


def _ids_by_name(ledger: Ledger, rows: Iterable[BudgetRow]) -> dict[tuple[str, str], list[str]]:
    """Return the ids of a connection that go by a name, where a budget counts a tag and may name its value."""
    tagged = {row.connection for row in rows if any(name.startswith(TAG) for name in row.covers or ())}
    called: dict[tuple[str, str], list[str]] = {}
    for connection in sorted(tagged):
        for name in ledger.names(connection):
            if name.name:
                called.setdefault((connection, name.name.casefold()), []).append(name.id)
    return called


def _by_id(
    row: BudgetRow, wanted: Mapping[str, str | None], called: Mapping[tuple[str, str], list[str]]
) -> Mapping[str, str | None]:
    """Return what a budget counts with the ids beside the names: charges are tagged with ids."""
    return {
        name: ",".join([value, *called.get((row.connection, value.casefold()), ())])
        if value and name.startswith(TAG)
        else value
        for name, value in wanted.items()
    }
