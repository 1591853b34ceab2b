"""Usage: what was measured, no money, and no part added to the whole that holds it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from outlay.analysis.answer import Answer, Grouped
from outlay.analysis.coverage import gaps
from outlay.analysis.naming import names_for
from outlay.analysis.query import USAGE, Condition, Query, dimension_value, scope, where_values
from outlay.clock import Clock, system_clock
from outlay.model.basis import Basis
from outlay.model.facts import Usage
from outlay.store import Ledger

DEFAULT_BY = ("provider",)


class UsageRow(Grouped, frozen=True, kw_only=True):
    """How much of one meter was used, in one unit."""

    meter: str
    unit: str
    quantity: Decimal
    basis: Basis | None = None
    """Set only where the quantity is money by another name; quantities of different basis are on rows of their own."""
    measures: ClassVar = ("meter", "unit", "quantity")


def usage(ledger: Ledger, query: Query | None = None, *, clock: Clock = system_clock) -> Answer[UsageRow]:
    """Return what was used in a period, grouped by the dimensions asked for, per meter and unit.

    A breakdown (rows another dataset's rows already hold) is shown only when its dataset is asked for by name.
    Raises: ConfigError for unknown dimensions or an empty period.
    """
    query = query or Query()
    by = query.dimensions(DEFAULT_BY)
    condition = scope(USAGE, query, clock)
    filters = where_values(query.where)
    for dimension, values in filters.items():
        condition.add_choice(*USAGE.expression(dimension), values)
    _keep_wholes(condition, filters.get("dataset", []), apart="dataset" in by)
    keys, parameters = [], []
    for dimension in by:
        expression, bound = USAGE.expression(dimension)
        keys.append(f"{expression}, ")
        parameters += bound
    sql = f"""
        SELECT {"".join(keys)}meter, unit, basis, sum(quantity)
        FROM usage WHERE {condition.sql} GROUP BY ALL ORDER BY ALL NULLS LAST
    """
    found = ledger.query(sql, [*parameters, *condition.parameters]).rows
    rows = tuple(_row(by, values) for values in found)
    first, to = query.period(clock)
    return Answer(
        from_=first,
        to=to,
        by=by,
        rows=rows,
        incomplete=gaps(ledger, query, (Usage,), clock),
        names=names_for(ledger, by, rows),
        columns=(*by, *UsageRow.measures),
    )


def _row(by: Sequence[str], values: Sequence[Any]) -> UsageRow:
    meter, unit, basis, quantity = values[len(by) :]
    return UsageRow(
        dimensions={name: dimension_value(name, value) for name, value in zip(by, values, strict=False)},
        meter=meter,
        unit=unit,
        quantity=quantity,
        basis=Basis(basis) if basis else None,
    )


def _keep_wholes(condition: Condition, datasets: list[str], *, apart: bool) -> None:
    """Leave breakdowns out unless their dataset is named, and their whole is not in the same sum."""
    if not datasets:
        condition.add("part_of IS NULL")
    elif not apart:
        condition.add(f"(part_of IS NULL OR part_of NOT IN ({', '.join('?' * len(datasets))}))", *datasets)
