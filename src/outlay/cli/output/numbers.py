"""Exact decimals as people read them; what is shown may be shorter than what is known, never something else."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

from outlay.model.currency import minor_unit_exponent

_WIDE = Context(prec=100, rounding=ROUND_HALF_EVEN)
_TINY_DIGITS = 2
_SCALE = 18


def money(amount: Decimal, currency: str | None) -> str:
    """Return an amount with its currency's decimals; below one unit with as many as two digits of it need."""
    places = minor_unit_exponent(currency) if currency else 2
    return _rounded(amount, places if abs(amount) >= 1 else max(places, _places(amount)))


def quantity(value: Decimal) -> str:
    """Return a quantity: whole where it is whole, else with three decimals, or more where it is tiny."""
    if value == value.to_integral_value(context=_WIDE):
        return _rounded(value, 0)
    return _rounded(value, max(3, _places(value))).rstrip("0").rstrip(".")


def percent(part: Decimal, whole: Decimal) -> str | None:
    """Return how much of a whole a part is, or None where the whole is nothing."""
    if not whole:
        return None
    share = _WIDE.divide(part * 100, whole)
    return f"{_rounded(share, 0 if abs(share) >= 1 or not share else 1)} %"


def exact(value: Decimal, places: int = 0) -> str:
    """Return every digit of a number, with at least so many decimals and no exponent."""
    whole, point, decimals = f"{value:f}".partition(".")
    decimals = decimals.rstrip("0").ljust(places, "0") if point or places else ""
    text = f"{whole}.{decimals}" if decimals else whole
    return "0" + text[2:] if value == 0 and text.startswith("-") else text


def _places(value: Decimal) -> int:
    if not value:
        return 0
    return min(max(-value.adjusted() - 1 + _TINY_DIGITS, 0), _SCALE)


def _rounded(value: Decimal, places: int) -> str:
    rounded = value.quantize(Decimal(1).scaleb(-places), context=_WIDE)
    return f"{rounded or abs(rounded):,f}"
