"""What is true in a simulated account, as values a test can compare with a ledger.

Every amount is the exact decimal of the vendor's own JSON text, in major units. Sums are exact: an operation that
would lose a digit raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from functools import reduce
from typing import Any

EXACT = Context(prec=400, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
_LEDGER_UNIT = Decimal(1).scaleb(-18)
ZERO = Decimal(0)


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of decimals without losing a digit."""
    return reduce(EXACT.add, amounts, ZERO)


def at_ledger_scale(amount: Decimal) -> Decimal:
    """Return an amount rounded half-even at the eighteenth decimal, as a ledger keeps one row."""
    return amount.quantize(_LEDGER_UNIT, context=_ROUNDING)


@dataclass(frozen=True, slots=True)
class TrueCharge:
    """One line of cost at the finest grain the vendor knows.

    Units: `billed` and `listed` are major units of `currency`.
    Null:  `sub_account`, `sku` and `resource` are None where the vendor states none; `listed` where it states no list
           price.
    """

    day: date
    sub_account: str | None
    sku: str | None
    resource: str | None
    billed: Decimal
    listed: Decimal | None = None
    currency: str = "USD"
    quantity: Decimal | None = None
    unit: str | None = None
    dims: Mapping[str, str | None] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """Return a dimension by our name or by the vendor's."""
        return self.dims[name] if name in self.dims else getattr(self, name)


@dataclass(frozen=True, slots=True)
class TrueUsage:
    """One measured quantity of one day under the vendor's own field name."""

    day: date
    dataset: str
    meter: str
    quantity: Decimal
    dims: Mapping[str, str | None] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """Return a dimension by our name or by the vendor's; one that the row lacks is None."""
        return getattr(self, name) if name in {"day", "dataset", "meter"} else self.dims.get(name)


@dataclass(frozen=True, slots=True)
class TrueLimit:
    """One ceiling the vendor states; a quota of None is unlimited."""

    name: str
    scope: str | None
    kind: str
    quota: Decimal | None
    unit: str
    window: str


@dataclass(frozen=True, slots=True)
class TrueBalance:
    """Prepaid money or credits left at this moment. Units: major units of `unit`, a currency or a word for credits."""

    name: str
    unit: str
    amount: Decimal
    granted: Decimal | None = None
    topped_up: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TrueRevenue:
    """One sale to the user's own customers, or its refund as a negative amount: never spend.

    Units: `gross` and `net` are major units of `currency`.
    Null:  `net`, the amount without tax, is None where the vendor does not state it.
    """

    day: date
    kind: str
    record: str
    gross: Decimal
    net: Decimal | None = None
    currency: str = "USD"
    dims: Mapping[str, str | None] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """Return a dimension by our name or by the vendor's."""
        return self.dims[name] if name in self.dims else getattr(self, name)


@dataclass(frozen=True, slots=True)
class Spend:
    """A sum of charges of one currency; `listed` is None when any part of it has no list price."""

    currency: str
    billed: Decimal
    listed: Decimal | None


@dataclass(frozen=True)
class Truth:
    """The facts of one account, read from the same entries the faces answer from.

    Order: days ascend, ends are exclusive.
    """

    first_day: date
    today: date
    charges_on: Callable[[date], Sequence[TrueCharge]]
    usage_on: Callable[[date], Sequence[TrueUsage]]
    limits: Sequence[TrueLimit] = ()
    budgets: Sequence[Mapping[str, Any]] = ()
    names: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    balances: Sequence[TrueBalance] = ()
    revenue_on: Callable[[date], Sequence[TrueRevenue]] = lambda _: ()

    def _days(self, start: date | None, end: date | None) -> Iterator[date]:
        day = max(start or self.first_day, self.first_day)
        last = min(end or self.today + timedelta(days=1), self.today + timedelta(days=1))
        while day < last:
            yield day
            day += timedelta(days=1)

    def charges(self, start: date | None = None, end: date | None = None) -> list[TrueCharge]:
        """Return the charges of the days from `start` up to `end`."""
        return [charge for day in self._days(start, end) for charge in self.charges_on(day)]

    def usage_rows(self, start: date | None = None, end: date | None = None) -> list[TrueUsage]:
        """Return the measurements of the days from `start` up to `end`."""
        return [row for day in self._days(start, end) for row in self.usage_on(day)]

    def revenue_rows(self, start: date | None = None, end: date | None = None) -> list[TrueRevenue]:
        """Return the sales and refunds of the days from `start` up to `end`."""
        return [row for day in self._days(start, end) for row in self.revenue_on(day)]

    def revenue(
        self, by: Sequence[str] = ("day", "kind", "currency"), start: date | None = None, end: date | None = None
    ) -> dict[tuple[Any, ...], Decimal]:
        """Return gross revenue summed per group; keep "currency" among `by`, currencies are not added up."""
        groups: dict[tuple[Any, ...], list[TrueRevenue]] = {}
        for row in self.revenue_rows(start, end):
            groups.setdefault(tuple(row.value(name) for name in by), []).append(row)
        for rows in groups.values():
            if len({row.currency for row in rows}) > 1:
                raise ValueError("revenue of several currencies cannot be added up")
        return {key: exact_sum(row.gross for row in rows) for key, rows in groups.items()}

    def spend(
        self,
        by: Sequence[str] = ("day", "sub_account", "sku"),
        start: date | None = None,
        end: date | None = None,
        *,
        rows: Sequence[str] | None = None,
    ) -> dict[tuple[Any, ...], Spend]:
        """Return sums per group, keyed by the values of `by`.

        Units: exact; with `rows`, charges are first added up per day, currency and these dimensions as the vendor's
               answer does when asked to group by them, and each such row is rounded as a ledger rounds it.
        Raises: ValueError when `by` names what such rows do not know.
        """
        lines: Iterable[TrueCharge] = self.charges(start, end)
        if rows is not None:
            if finer := set(by) - {*rows, "day"}:
                raise ValueError(f"rows grouped by {', '.join(rows)} do not know {', '.join(sorted(finer))}")
            lines = rounded_rows(lines, rows)
        groups: dict[tuple[Any, ...], list[TrueCharge]] = {}
        for line in lines:
            groups.setdefault(tuple(line.value(name) for name in by), []).append(line)
        return {key: _spend(lines) for key, lines in groups.items()}

    def total(
        self, start: date | None = None, end: date | None = None, *, rows: Sequence[str] | None = None
    ) -> Decimal:
        """Return the billed total, exact or, with `rows`, as the sum of rounded rows."""
        return exact_sum(spend.billed for spend in self.spend((), start, end, rows=rows).values())

    def usage(
        self,
        by: Sequence[str] = ("day", "dataset", "meter"),
        start: date | None = None,
        end: date | None = None,
        *,
        dataset: str | None = None,
    ) -> dict[tuple[Any, ...], Decimal]:
        """Return summed quantities keyed by the values of `by`; keep "meter" among them, units differ."""
        groups: dict[tuple[Any, ...], list[Decimal]] = {}
        for row in self.usage_rows(start, end):
            if dataset is None or row.dataset == dataset:
                groups.setdefault(tuple(row.value(name) for name in by), []).append(row.quantity)
        return {key: exact_sum(amounts) for key, amounts in groups.items()}


def rounded_rows(charges: Iterable[TrueCharge], dims: Sequence[str]) -> list[TrueCharge]:
    """Return charges added up per day, currency and `dims`, each rounded at the ledger's scale."""
    groups: dict[tuple[Any, ...], list[TrueCharge]] = {}
    for charge in charges:
        key = (charge.day, charge.currency, *(charge.value(name) for name in dims))
        groups.setdefault(key, []).append(charge)
    result = []
    for lines in groups.values():
        first, spend = lines[0], _spend(lines)
        listed = None if spend.listed is None else at_ledger_scale(spend.listed)
        result.append(TrueCharge(first.day, first.sub_account, first.sku, first.resource, at_ledger_scale(spend.billed),
                                 listed, spend.currency, dims=first.dims))  # fmt: skip
    return result


def _spend(lines: Sequence[TrueCharge]) -> Spend:
    currencies = {line.currency for line in lines}
    if len(currencies) != 1:
        raise ValueError(f"{sorted(currencies)} cannot be added up")
    listed = [line.listed for line in lines if line.listed is not None]
    total = exact_sum(listed) if len(listed) == len(lines) else None
    return Spend(currencies.pop(), exact_sum(line.billed for line in lines), total)
