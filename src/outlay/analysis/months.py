"""The month's billed spend so far, for limits and budgets whose vendor does not say how much of them is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from outlay.analysis.coverage import Coverage
from outlay.analysis.query import CHARGES, Condition, Query
from outlay.clock import Clock, midnight, month_start
from outlay.model.basis import Basis
from outlay.model.facts import Charge
from outlay.store import Ledger

_ZERO = Decimal(0)
_WHOLE = frozenset({"organization", "enterprise", "account"})
_SUB_ACCOUNTS = frozenset({"project", "workspace"})


class MonthSpend(msgspec.Struct, frozen=True):
    """Billed spend of one month per connection, currency and the dimensions it is cut by."""

    dimensions: tuple[str, ...]
    sums: Mapping[tuple[str, str], list[tuple[tuple[str | None, ...], Decimal]]]
    covered: frozenset[str]
    """The connections whose charges of the month are in the ledger at all."""

    def of(self, connection: str, currency: str, wanted: Mapping[str, str | None]) -> Decimal | None:
        """Return the spend in one currency of what has the wanted values, compared without regard to case.

        Several values of a dimension are joined by commas; any of them counts.
        Null: None when the month's charges are not in the ledger, or a dimension is not one the sums are cut by.
        """
        if connection not in self.covered or not set(wanted) <= set(self.dimensions):
            return None
        wants = [(self.dimensions.index(name), _values(value)) for name, value in wanted.items()]
        lines = self.sums.get((connection, currency), [])
        return sum((amount for key, amount in lines if all(_fold(key[at]) in values for at, values in wants)), _ZERO)


def _values(text: str | None) -> frozenset[str]:
    return frozenset({_fold(text), *(_fold(part) for part in (text or "").split(","))})


def _fold(text: str | None) -> str:
    return (text or "").strip().casefold()


def bounded(scope: str, sub_account_id: str | None = None) -> dict[str, str | None] | None:
    """Return which charges a limit or budget of some scope counts, or None where the ledger cannot tell them apart."""
    kind, _, id_ = scope.partition(":")
    if kind in _SUB_ACCOUNTS and (sub_account_id or id_):
        return {"sub_account": sub_account_id or id_}
    return {} if kind in _WHOLE and sub_account_id is None else None


def month_spend(
    ledger: Ledger,
    query: Query,
    connections: Iterable[str],
    coverage: Coverage,
    clock: Clock,
    *,
    dimensions: tuple[str, ...] = ("sub_account",),
) -> MonthSpend:
    """Return the billed spend of the month the question's period ends in, up to that end."""
    _, to = query.period(clock)
    first: date = month_start(to - timedelta(days=1))
    names = sorted(set(connections))
    condition = Condition.none()
    condition.add("ChargePeriodStart >= ? AND ChargePeriodStart < ?", midnight(first), midnight(to))
    condition.add("x_Basis = ?", str(Basis.BILLED))
    condition.add_choice("x_Connection", [], names)
    expressions = [CHARGES.expression(name) for name in dimensions]
    keys = "".join(f"{expression}, " for expression, _ in expressions)
    bound = [parameter for _, parameters in expressions for parameter in parameters]
    sql = f"""
        SELECT x_Connection, BillingCurrency, {keys}sum(BilledCost)
        FROM charges WHERE {condition.sql} GROUP BY ALL
    """
    sums: dict[tuple[str, str], list[tuple[tuple[str | None, ...], Decimal]]] = {}
    for connection, currency, *key, amount in ledger.query(sql, [*bound, *condition.parameters]).rows:
        sums.setdefault((connection, currency), []).append((tuple(key), amount))
    charged = {connection for connection, _ in sums}
    covered = frozenset(name for name in names if name in charged or coverage.holds(name, Charge, first, to))
    return MonthSpend(dimensions, sums, covered)
