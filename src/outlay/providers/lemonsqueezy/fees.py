"""What Lemon Squeezy may have kept of each payment: an estimate at the terms the user entered, for nothing states it.

Taken: a share of what the customer paid, tax included, and a fixed amount, per order and per later invoice; the invoice
       that an order makes is the order's own payment and no record of revenue. Credits and free orders pay nothing.
Money: in the currency of the terms. A sale in another one is taken at the dollars that were stored with it, where the
       terms are in dollars; where neither fits, the day is unknown. Nothing is converted.
Round: not at all, for how it is rounded is not documented: amounts are exact to the ledger's last digit.
Never: give fees back with a refund, for they are kept; take payouts, chargebacks or affiliates to be in it; tell cards
       of other countries or PayPal apart, for no field does: put what they add on average into the share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from outlay.errors import TermsMissingError
from outlay.model.basis import Basis
from outlay.model.facts import Charge, Revenue
from outlay.model.money import Money, plus, product
from outlay.model.period import Period
from outlay.model.terms import FeeTerms, in_force
from outlay.providers.base import Dataset, Estimate
from outlay.providers.lemonsqueezy.usage import SERVICE

_ZERO, _CENT = Decimal(0), Decimal("0.01")
_STORED = "USD"
"""The currency in which every sale is stored beside its own."""


@dataclass(slots=True)
class _Sum:
    """The payments of one store under one set of terms."""

    fees: Decimal = _ZERO
    paid: Decimal = _ZERO
    payments: int = 0


def estimated(day: date, sales: Sequence[Revenue], terms: Sequence[FeeTerms]) -> Iterator[Charge]:
    """Turn a day's payments into what the terms that hold on it make of them, by store and currency.

    Raises: TermsMissingError when none hold, or none that fit the currency of a payment.
    Source: https://docs.lemonsqueezy.com/help/getting-started/fees
    """
    holding = in_force(terms, day)
    if not holding:
        raise TermsMissingError(f"no fee terms hold on {day}")
    sums: dict[tuple[str, str | None], _Sum] = {}
    for sale in sales:
        if sale.kind.endswith("_refund") or sale.gross.amount <= _ZERO:
            continue
        paid = _paid(sale, holding)
        held = holding[paid.currency]
        one = sums.setdefault((paid.currency, (sale.details or {}).get("store_id")), _Sum())
        share = product(product(paid.amount, held.share(sale.kind)), _CENT)
        one.fees = plus(one.fees, plus(share, held.fixed.amount))
        one.paid = plus(one.paid, paid.amount)
        one.payments += 1
    for (currency, store), one in sums.items():
        yield _charge(day, one, holding[currency], store)


def _paid(sale: Revenue, holding: dict[str, FeeTerms]) -> Money:
    """Return what was paid in a currency that terms are in. Raises: TermsMissingError."""
    if sale.gross.currency in holding:
        return sale.gross
    stored = (sale.details or {}).get("total_usd")
    if stored is None or _STORED not in holding:
        day, currency = sale.revenue_period.first_day, sale.gross.currency
        raise TermsMissingError(f"a payment of {day} is in {currency}, and no fee terms that hold then are")
    return Money.of(stored, _STORED)


def _charge(day: date, one: _Sum, held: FeeTerms, store: str | None) -> Charge:
    return Charge(
        charge_period=Period.of_day(day),
        billed_cost=Money(one.fees, held.fixed.currency),
        service_name=SERVICE,
        basis=Basis.ESTIMATED,
        charge_description="Fees at the terms entered; those of refunded payments are kept",
        sku_id="platform_fee",
        consumed_quantity=Decimal(one.payments),
        consumed_unit="Count",
        sub_account_id=store,
        price_list_version=f"{held.id} {held.text}",
        details={"paid": f"{one.paid:f}", "refunded_fees": "kept"},
    )


FEES = Estimate(
    dataset=Dataset("estimated_fees", "Fees at the terms entered", (Charge,), ()),
    of=("orders", "subscription_invoices"),
    charges=estimated,
)
