"""Stripe's whole numbers of the smallest unit as money, by Stripe's own table of currencies."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from msgspec import Struct

from outlay.model.currency import currency_code
from outlay.model.money import Money

DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0, "IQD": 2, "LYD": 2, "UYI": 2, "CLF": 2, "UYW": 2}
"""Where Stripe departs from ISO 4217: krónur and Ugandan shillings keep two decimals that are always 00, ariary have
none, and every currency its table does not name has two.

Source: https://docs.stripe.com/currencies
"""

_currency = lru_cache(maxsize=256)(currency_code)


class Reference(Struct, gc=False):
    """An object that came expanded, or deleted, where its id was expected."""

    id: str | None = None


def money(amount: Decimal, currency: str) -> Money:
    """Return an amount of the smallest unit as money.

    Raises: ValueError when it is no number or the currency no code.
    """
    return Money.from_minor(amount, _currency(currency), DECIMALS)


def text(amount: Money) -> str:
    """Return an amount as it is kept among details: without the zeros of a ledger decimal."""
    shown = f"{amount.amount:f}".rstrip("0").rstrip(".")
    return shown or "0"


def identity(found: str | Reference | None) -> str | None:
    """Return the id of an object that is named, expanded or absent."""
    return found.id if isinstance(found, Reference) else found
