"""The units quantities are counted in, with their dimension, and the arithmetic that keeps a part out of its whole.

A unit converts only within its dimension. A quantity contained in another (cached tokens within input tokens) is
subtracted before anything is added; a negative remainder is an error that names both.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal

import msgspec

from outlay.errors import BasisMixError
from outlay.model.money import exact

_WIDE = Context(prec=100)


class Unit(msgspec.Struct, frozen=True):
    """A unit of measure: `name` as stored, its `dimension`, how many of the dimension's base unit it holds."""

    name: str
    dimension: str
    base: Decimal
    focus: str
    """The FOCUS spelling for ConsumedUnit."""


def _unit(name: str, dimension: str, focus: str, base: str = "1") -> Unit:
    return Unit(name, dimension, Decimal(base), focus)


UNITS: Mapping[str, Unit] = {
    unit.name: unit
    for unit in (
        _unit("tokens", "tokens", "Tokens"),
        _unit("characters", "characters", "Characters"),
        _unit("requests", "requests", "Requests"),
        _unit("images", "images", "Images"),
        _unit("sessions", "sessions", "Sessions"),
        _unit("searches", "searches", "Searches"),
        _unit("credits", "credits", "Credits"),
        _unit("ai_credits", "ai_credits", "Credits"),
        _unit("user_months", "user time", "User-Months"),
        _unit("seats", "seats", "Seats"),
        _unit("lines", "lines", "Lines"),
        _unit("count", "count", "Count"),
        _unit("seconds", "time", "Seconds"),
        _unit("minutes", "time", "Minutes", "60"),
        _unit("hours", "time", "Hours", "3600"),
        _unit("bytes", "storage", "B"),
        _unit("gb", "storage", "GB", "1000000000"),
        _unit("gib", "storage", "GiB", "1073741824"),
        _unit("gb_hours", "storage time", "GB-Hours", "60"),
        _unit("gb_minutes", "storage time", "GB-Minutes"),
        _unit("vcpu_minutes", "vcpu time", "vCPU-Minutes"),
        _unit("byte_seconds", "storage time (bytes)", "B-Seconds"),
        _unit("gib_hours", "storage time (binary)", "GiB-Hours"),
    )
}
"""Every unit Outlay converts; a vendor's word that is not here is kept verbatim and never converted."""


def convert(quantity: Decimal, unit: str, to: str) -> Decimal:
    """Return a quantity in another unit of the same dimension.

    Raises: ValueError when the units measure different things or one is unknown.
    """
    if unit == to:
        return quantity
    source, target = UNITS.get(unit), UNITS.get(to)
    if source is None or target is None or source.dimension != target.dimension:
        raise ValueError(f"{unit} cannot be expressed in {to}")
    return exact(_WIDE.divide(_WIDE.multiply(quantity, source.base), target.base))


def remainder(whole_name: str, whole: Decimal, parts: Mapping[str, Decimal]) -> Decimal:
    """Return what is left of a whole when its named parts are taken out.

    Raises: BasisMixError when the parts are larger than the whole, naming both: adding them would count twice.
    """
    rest = exact(whole)
    for part in parts.values():
        rest = _WIDE.subtract(rest, exact(part))
    if rest < 0:
        named = " + ".join(f"{name} {value:f}" for name, value in parts.items())
        raise BasisMixError(f"{named} is more than the {whole_name} {whole:f} that should hold it")
    return rest
