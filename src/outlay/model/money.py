"""Exact decimals and money.

A ledger decimal has 38 digits, 18 of them behind the point. Vendors send binary-float artefacts with twenty and more
digits; what lies beyond the eighteenth decimal is rounded half-even once, here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation, Overflow
from typing import Self

import msgspec
from msgspec.structs import force_setattr

from outlay.errors import CurrencyMixError
from outlay.model.currency import currency_code, is_currency_code, minor_unit_exponent

SCALE = 18
DIGITS = 38
_QUANTUM = Decimal(1).scaleb(-SCALE)
_DOOR = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN)
_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_SHOWN_MAX = 40
ZERO = Decimal(0).quantize(_QUANTUM)


def exact(value: Decimal | int | str) -> Decimal:
    """Return a number as a ledger decimal: eighteen decimals, rounded half-even once.

    Raises: ValueError for NaN, infinities, text that is no number, and magnitudes of 1e20 and above.
    """
    try:
        return _fitted(value if type(value) is Decimal else _decimal(value))
    except InvalidOperation:
        raise ValueError(f"{_shown(value)} is not a number the ledger can hold") from None


def _decimal(value: Decimal | int | str) -> Decimal:
    if isinstance(value, (bool, float)):
        raise TypeError("a ledger decimal is made from Decimal, int or text, never from float or bool")
    return Decimal(value)


def plus(a: Decimal, b: Decimal) -> Decimal:
    """Return a plus b as a ledger decimal, whatever precision the caller's decimal context has."""
    return exact(_WIDE.add(a, b))


def product(a: Decimal, b: Decimal) -> Decimal:
    """Return a times b as a ledger decimal."""
    return exact(_WIDE.multiply(a, b))


def ratio(a: Decimal, b: Decimal) -> Decimal | None:
    """Return a divided by b as a ledger decimal, or None when b is zero."""
    return exact(_WIDE.divide(a, b)) if b else None


def _fitted(value: Decimal) -> Decimal:
    fitted = value.quantize(_QUANTUM, None, _DOOR)
    if fitted.is_nan():  # a quiet NaN passes through quantize
        raise InvalidOperation
    return fitted or ZERO  # "-0.0" and "0" are one value, so they give one digest


def _shown(value: object) -> str:
    text = str(value)
    return repr(text if len(text) <= _SHOWN_MAX else text[: _SHOWN_MAX - 3] + "...")


class Money(msgspec.Struct, frozen=True, gc=False):
    """An exact amount of one currency.

    Units: the currency's major unit (dollars, not cents); negative is a credit.
    Raises: ValueError when the amount is not finite or does not fit, or the currency is not three capitals.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        try:
            force_setattr(self, "amount", _fitted(self.amount))
        except InvalidOperation:
            raise ValueError(f"{_shown(self.amount)} is not an amount the ledger can hold") from None
        except AttributeError:
            raise TypeError("money is made from Decimal") from None
        if not is_currency_code(self.currency):
            raise ValueError(f"{self.currency!r} is not a currency code")

    @classmethod
    def of(cls, amount: Decimal | int | str, currency: str) -> Self:
        """Return money from a number or numeric text in the major unit and a currency code in any case."""
        if isinstance(amount, bool | float):
            raise TypeError("money is made from Decimal, int or text, never from float or bool")
        try:
            number = amount if isinstance(amount, Decimal) else Decimal(amount)
        except InvalidOperation:
            raise ValueError(f"{_shown(amount)} is not an amount") from None
        return cls(number, currency_code(currency))

    @classmethod
    def from_minor(cls, amount: Decimal | int | str, currency: str, exceptions: dict[str, int] | None = None) -> Self:
        """Return money from an amount in the currency's smallest unit (cents), fractions allowed.

        Units: shifted by the ISO 4217 exponent unless the vendor's declared `exceptions` say otherwise.
        """
        if isinstance(amount, bool | float):
            raise TypeError("money is made from Decimal, int or text, never from float or bool")
        code = currency_code(currency)
        try:
            number = amount if isinstance(amount, Decimal) else Decimal(amount)
            major = number.scaleb(-minor_unit_exponent(code, exceptions), context=_WIDE)
        except (InvalidOperation, Overflow):
            raise ValueError(f"{_shown(amount)} is not an amount") from None
        return cls(major, code)

    def __add__(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise CurrencyMixError(f"cannot add {other.currency} to {self.currency}")
        return Money(_WIDE.add(self.amount, other.amount), self.currency)

    def __sub__(self, other: Money) -> Money:
        return self + (-other)

    def __neg__(self) -> Money:
        return Money(_WIDE.minus(self.amount), self.currency)

    def __bool__(self) -> bool:
        return bool(self.amount)


def total(monies: Iterable[Money]) -> dict[str, Decimal]:
    """Return the sum of each currency on its own."""
    sums: dict[str, Decimal] = {}
    for money in monies:
        sums[money.currency] = _WIDE.add(sums.get(money.currency, ZERO), money.amount)
    return sums
