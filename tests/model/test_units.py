"""Laws of units: what converts, and a part that stays out of its whole."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import BasisMixError
from outlay.model.units import UNITS, convert, remainder
from strategies import ledger_decimals

names = st.sampled_from(sorted(UNITS))
quantities = st.integers(0, 10**30).map(lambda units: Decimal(f"{units}E-18"))


@given(st.integers(0, 10**24).map(lambda n: Decimal(f"{n}E-6")), names, names)
def test_conversion_keeps_the_measure(quantity: Decimal, unit: str, to: str) -> None:
    """The base quantity is the same before and after, to the last place kept; other dimensions are refused."""
    if UNITS[unit].dimension != UNITS[to].dimension:
        with pytest.raises(ValueError, match="cannot be expressed"):
            convert(quantity, unit, to)
        return
    there = Fraction(convert(quantity, unit, to))
    true = Fraction(quantity) * Fraction(UNITS[unit].base) / Fraction(UNITS[to].base)
    assert abs(there - true) <= Fraction(1, 2 * 10**18)


@given(st.integers(0, 10**33).map(lambda n: Decimal(f"{n}E-18")))
def test_every_digit_survives_conversion(hours: Decimal) -> None:
    """Hours as seconds and back are the same hours, with more digits than a default decimal context keeps."""
    assert convert(convert(hours, "hours", "seconds"), "seconds", "hours") == hours


@given(ledger_decimals)
def test_the_same_unit_is_the_same_quantity(quantity: Decimal) -> None:
    """A quantity in its own unit is untouched, also in a vendor's word that Outlay does not know."""
    assert convert(quantity, "tokens", "tokens") is quantity
    assert convert(quantity, "flops", "flops") is quantity


@pytest.mark.parametrize(
    ("unit", "to"), [("flops", "tokens"), ("tokens", "flops"), ("credits", "ai_credits"), ("gb", "gb_hours")]
)
def test_different_things_do_not_convert(unit: str, to: str) -> None:
    """Unknown units, two vendors' credits and a size against a size over time are refused by name."""
    with pytest.raises(ValueError, match=f"{unit} cannot be expressed in {to}"):
        convert(Decimal(1), unit, to)


def test_binary_and_decimal_sizes_by_hand() -> None:
    """A gibibyte is 1.073741824 gigabytes."""
    assert convert(Decimal(1), "gib", "gb") == Decimal("1.073741824")
    assert convert(Decimal(90), "minutes", "hours") == Decimal("1.5")


def test_units_are_named_once() -> None:
    """A unit is listed under its own name, has a size, and says how FOCUS spells it."""
    assert all(key == unit.name and unit.base > 0 and unit.focus for key, unit in UNITS.items())


@given(st.dictionaries(st.sampled_from(["cached", "audio", "written"]), quantities), quantities)
def test_parts_and_remainder_make_the_whole(parts: dict[str, Decimal], rest: Decimal) -> None:
    """Parts and remainder add up to the whole, exactly."""
    whole = Decimal(f"{sum(int(Fraction(part) * 10**18) for part in (*parts.values(), rest))}E-18")
    assert remainder("input tokens", whole, parts) == rest


@given(quantities, st.integers(1, 10**18).map(lambda n: Decimal(f"{n}E-18")))
def test_parts_larger_than_the_whole_are_refused(whole: Decimal, excess: Decimal) -> None:
    """A part that cannot be inside its whole, be it by the last digit, is an error that names both."""
    part = Decimal(f"{int((Fraction(whole) + Fraction(excess)) * 10**18)}E-18")
    with pytest.raises(BasisMixError, match=r"cached tokens .* is more than the input tokens"):
        remainder("input tokens", whole, {"cached tokens": part})
