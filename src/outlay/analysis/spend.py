"""Spend and revenue: sums of money per currency and basis, with nothing counted twice."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from outlay.analysis.answer import Answer, Grouped
from outlay.analysis.coverage import Coverage, gaps, gaps_of_spend
from outlay.analysis.naming import names_for
from outlay.analysis.query import (
    ALL_BASES,
    CHARGES,
    REVENUE,
    Columns,
    Condition,
    Query,
    check_basis,
    dimension_value,
    scope,
    where_values,
)
from outlay.clock import Clock, system_clock
from outlay.model.basis import BEST_FIRST, Basis
from outlay.model.facts import Revenue
from outlay.store import Ledger

DEFAULT_BY = ("provider",)
RANK = "CASE basis " + " ".join(f"WHEN '{basis}' THEN {rank}" for rank, basis in enumerate(BEST_FIRST)) + " END"
_COARSE = {
    "connection": "c",
    "service": "s",
    "day": "CAST(t AS DATE)",
    "month": "CAST(date_trunc('month', t) AS DATE)",
}
"""Dimensions computed from the few grouped rows instead of from every charge."""
_IDENTITY = frozenset({"day", "month", "connection", "provider", "service"})
"""Filters on these cannot split a connection, day and service: they may run before the best basis is chosen."""


class SpendRow(Grouped, frozen=True, kw_only=True):
    """What was spent, in one currency and known in one way.

    Null: `list_cost` is None when the list cost of any charge in the sum is unknown.
    """

    currency: str
    basis: Basis
    billed_cost: Decimal
    effective_cost: Decimal
    list_cost: Decimal | None
    measures: ClassVar = ("currency", "basis", "billed_cost", "effective_cost", "list_cost")


class RevenueRow(Grouped, frozen=True, kw_only=True):
    """What the user's own customers owe, in one currency and known in one way; never spend.

    Null: `net` is None when the net amount of any record in the sum is unknown.
    """

    currency: str
    basis: Basis
    gross: Decimal
    net: Decimal | None
    measures: ClassVar = ("currency", "basis", "gross", "net")


def spend(ledger: Ledger, query: Query | None = None, *, clock: Clock = system_clock) -> Answer[SpendRow]:
    """Return what was spent in a period, grouped by the dimensions asked for.

    Order: by the dimensions, then currency and basis.
    Raises: ConfigError for unknown dimensions, an unknown basis or an empty period.
    """
    query = query or Query()
    by = query.dimensions(DEFAULT_BY)
    sql, parameters = spend_sql(query, by, clock)
    rows = tuple(_spend_row(by, values) for values in ledger.query(sql, parameters).rows)
    first, to = query.period(clock)
    return Answer(
        from_=first,
        to=to,
        by=by,
        rows=rows,
        incomplete=gaps_of_spend(Coverage.of(ledger, query, clock), query, clock),
        names=names_for(ledger, by, rows),
        columns=(*by, *SpendRow.measures),
    )


def spend_sql(query: Query, by: Sequence[str], clock: Clock, columns: Columns = CHARGES) -> tuple[str, list[object]]:
    """Return the one statement that answers `spend`.

    The charges are added up per connection, day and service first; only there can the best basis be told. A filter on
    anything finer picks what is added, not which basis speaks: it must not bring an estimate forward just because the
    bill beside it has no such detail.
    """
    basis = check_basis(query.basis)
    before, during = scope(CHARGES, query, clock), Condition.none()
    for dimension, values in where_values(query.where).items():
        expression, bound = CHARGES.expression(dimension)
        (before if dimension in _IDENTITY else during).add_choice(expression, bound, values)
    finer, finer_parameters = _finer(by, columns)
    only = f" FILTER (WHERE {during.sql})" if during.clauses else ""
    chosen = {None: "basis_rank = best_rank", ALL_BASES: "TRUE"}.get(basis, "basis = ?")
    keys = [f"{_COARSE.get(dimension, f'k{index}')} AS d{index}" for index, dimension in enumerate(by)]
    sql = f"""
        WITH fine AS (
            SELECT x_Connection AS c, ChargePeriodStart AS t, ServiceName AS s, {"".join(finer)}
                   BillingCurrency AS currency, x_Basis AS basis,
                   sum(BilledCost){only} AS billed, sum(EffectiveCost){only} AS effective, sum(ListCost){only} AS list,
                   count(*){only} AS counted, count(ListCost){only} AS listed
            FROM charges WHERE {before.sql} GROUP BY ALL
        ), ranked AS (
            SELECT *, {RANK} AS basis_rank, min({RANK}) OVER (PARTITION BY c, CAST(t AS DATE), s) AS best_rank FROM fine
        )
        SELECT {"".join(f"{key}, " for key in keys)}currency, basis, sum(billed), sum(effective),
               CASE WHEN sum(counted) = sum(listed) THEN sum(list) END
        FROM ranked WHERE counted > 0 AND {chosen} GROUP BY ALL
        ORDER BY {"".join(f"d{index} NULLS LAST, " for index in range(len(by)))}currency, min(basis_rank)
    """
    parameters = [*finer_parameters, *during.parameters * 5, *before.parameters]
    return sql, [*parameters, basis] if chosen.endswith("?") else parameters


def _finer(by: Sequence[str], columns: Columns) -> tuple[list[str], list[object]]:
    """Return the SQL of the dimensions that the connection, day and service do not settle."""
    parts, parameters = [], []
    for index, dimension in enumerate(by):
        if dimension not in _COARSE:
            expression, bound = columns.expression(dimension)
            # A connection has one provider: one more key to group by would only cost time.
            single = f"any_value({expression})" if dimension == "provider" else expression
            parts.append(f"{single} AS k{index}, ")
            parameters += bound
    return parts, parameters


def _dimensions(by: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    return {name: dimension_value(name, value) for name, value in zip(by, values, strict=False)}


def _spend_row(by: Sequence[str], values: Sequence[Any]) -> SpendRow:
    currency, basis, billed, effective, listed = values[len(by) :]
    return SpendRow(
        dimensions=_dimensions(by, values),
        currency=currency,
        basis=Basis(basis),
        billed_cost=billed,
        effective_cost=effective,
        list_cost=listed,
    )


def revenue(ledger: Ledger, query: Query | None = None, *, clock: Clock = system_clock) -> Answer[RevenueRow]:
    """Return what the user's own customers owe, grouped by the dimensions asked for.

    Raises: ConfigError for unknown dimensions, an unknown basis or an empty period.
    """
    query = query or Query()
    by = query.dimensions(DEFAULT_BY)
    condition = scope(REVENUE, query, clock)
    for dimension, values in where_values(query.where).items():
        condition.add_choice(*REVENUE.expression(dimension), values)
    basis = check_basis(query.basis)
    if basis not in {None, ALL_BASES}:
        condition.add("basis = ?", basis)
    keys = "".join(f"{REVENUE.expression(dimension)[0]}, " for dimension in by)
    sql = f"""
        SELECT {keys}currency, basis, sum(gross), CASE WHEN count(*) = count(net) THEN sum(net) END
        FROM revenue WHERE {condition.sql} GROUP BY ALL ORDER BY ALL
    """
    rows = tuple(
        RevenueRow(
            dimensions=_dimensions(by, values),
            currency=values[-4],
            basis=Basis(values[-3]),
            gross=values[-2],
            net=values[-1],
        )
        for values in ledger.query(sql, condition.parameters).rows
    )
    first, to = query.period(clock)
    incomplete = gaps(ledger, query, (Revenue,), clock)
    return Answer(from_=first, to=to, by=by, rows=rows, incomplete=incomplete, columns=(*by, *RevenueRow.measures))
