"""Laws of exact decimals and money."""

from __future__ import annotations

from decimal import ROUND_UP, Decimal, localcontext
from fractions import Fraction
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import CurrencyMixError
from outlay.model.money import ZERO, Money, exact, plus, product, ratio, total
from strategies import currencies, ledger_decimals, moneys, no_numbers, small_decimals, small_moneys, vendor_decimals

SCALE = 10**18


def rounded(value: Fraction) -> Fraction:
    """Round to the eighteenth decimal, ties to even, by rational arithmetic: the oracle for the decimal code."""
    return Fraction(round(value * SCALE), SCALE)


@given(ledger_decimals)
def test_what_fits_is_kept_to_the_last_digit(value: Decimal) -> None:
    """All 38 digits of a ledger decimal survive, whatever precision the caller's decimal context has."""
    with localcontext() as context:
        context.prec = 5
        assert Fraction(exact(value)) == Fraction(value)


@given(vendor_decimals)
def test_rounding_is_half_even_and_once(value: Decimal) -> None:
    """What lies beyond the eighteenth decimal is rounded half-even, and rounding again changes nothing."""
    with localcontext() as context:
        context.rounding = ROUND_UP
        once = exact(value)
    assert Fraction(once) == rounded(Fraction(value))
    assert exact(once) == once
    assert exact(str(value)) == once
    assert once.as_tuple().exponent == -18


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("0.0000000000000000005", "0.000000000000000000"),
        ("0.0000000000000000015", "0.000000000000000002"),
        ("-0.0000000000000000025", "-0.000000000000000002"),
        ("0.00000000000000000050000000000000000000001", "0.000000000000000001"),
        ("0.1000000000000000055511151231257827", "0.100000000000000006"),
    ],
)
def test_ties_and_artefacts_by_hand(text: str, kept: str) -> None:
    """Ties go to the even digit; a digit behind the tie decides it; float artefacts are cut where the ledger ends."""
    assert f"{exact(text):f}" == kept


@given(no_numbers, currencies)
def test_what_is_no_amount_is_refused(text: str, currency: str) -> None:
    """NaN, infinities and magnitudes out of range are refused at every door, with one kind of error."""
    with pytest.raises(ValueError, match="not"):
        exact(text)
    with pytest.raises(ValueError, match="not"):
        Money.of(text, currency)
    with pytest.raises(ValueError, match="not"):
        Money.from_minor(text.replace("E+20", "E+24"), currency)


@pytest.mark.parametrize("text", ["", "abc", "1,5", "1.2.3", "0x10", "--1", "1e"])
def test_text_that_is_no_number_is_refused(text: str) -> None:
    """Text that is no number is refused and quoted, so that the reader can find it."""
    with pytest.raises(ValueError, match="not a number") as refused:
        exact(text)
    assert repr(text) in str(refused.value)


def test_a_refused_number_is_quoted_in_part() -> None:
    """A number of a hundred thousand digits is refused without printing all of them."""
    with pytest.raises(ValueError, match="not a number") as refused:
        exact("9" * 100_000)
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize("value", [0.1, float("nan"), True, False])
def test_floats_and_truth_values_never_become_money(value: float) -> None:
    """A float has lost its digits already and a truth value is no amount: both are refused by type."""
    with pytest.raises(TypeError):
        exact(value)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Money.of(value, "USD")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Money.from_minor(value, "USD")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Money(value, "USD")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["-0", "-0.0", "-0E-30", "-1E-400", "0E+50"])
def test_there_is_one_zero(text: str) -> None:
    """A vendor's negative zero is the same value and the same text as zero, so it cannot look like a restatement."""
    assert str(exact(text)) == str(ZERO)
    assert str(Money.of(text, "USD").amount) == str(ZERO)
    assert not Money.of(text, "USD")


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1), currencies)
def test_minor_units_add_up_exactly(counts: list[int], currency: str) -> None:
    """The sum of parsed lines is the parsed sum: nothing is lost to rounding."""
    lines = [Money.from_minor(count, currency) for count in counts]
    assert reduce(Money.__add__, lines) == Money.from_minor(sum(counts), currency)


@pytest.mark.parametrize(
    ("amount", "currency", "major"),
    [
        (1234, "USD", "12.34"),
        (1234, "JPY", "1234"),
        (1234, "KWD", "1.234"),
        ("0.5", "usd", "0.005"),
        (1, "CLF", "0.0001"),
    ],
)
def test_minor_units_follow_the_currency(amount: int | str, currency: str, major: str) -> None:
    """The smallest unit is a hundredth, a thousandth, a whole or less, as the currency says."""
    assert Money.from_minor(amount, currency) == Money.of(major, currency)


def test_a_vendor_may_count_minor_units_its_own_way() -> None:
    """A vendor's declared exception outranks the standard's exponent, for that currency alone."""
    assert Money.from_minor(500, "ISK", {"ISK": 2}) == Money.of(5, "ISK")
    assert Money.from_minor(500, "JPY", {"ISK": 2}) == Money.of(500, "JPY")


@given(small_moneys, small_decimals, small_decimals)
def test_addition_is_a_group(money: Money, second: Decimal, third: Decimal) -> None:
    """Order and grouping do not matter, zero changes nothing, and what is added can be taken away again."""
    b, c = Money(second, money.currency), Money(third, money.currency)
    assert money + b == b + money
    assert (money + b) + c == money + (b + c)
    assert money + Money(ZERO, money.currency) == money
    assert (money + b) - b == money
    assert money - money == Money(ZERO, money.currency)


@given(moneys)
def test_negation_keeps_every_digit(money: Money) -> None:
    """A credit of 38 digits is the exact opposite of its charge."""
    assert Fraction((-money).amount) == -Fraction(money.amount)
    opposite = -money
    assert -opposite == money


@given(small_moneys, small_moneys)
def test_two_currencies_never_meet(a: Money, b: Money) -> None:
    """Adding or taking away another currency is a bug that raises, even when the amount is zero."""
    if a.currency == b.currency:
        assert (a + b).currency == a.currency
        return
    for operation in (Money.__add__, Money.__sub__):
        with pytest.raises(CurrencyMixError):
            operation(a, b)
        with pytest.raises(CurrencyMixError):
            operation(a, Money(ZERO, b.currency))


@given(st.lists(small_moneys))
def test_a_total_keeps_each_currency_apart(lines: list[Money]) -> None:
    """Each currency is summed on its own, exactly, and only currencies that occur have a sum."""
    sums = total(lines)
    assert set(sums) == {line.currency for line in lines}
    for currency, amount in sums.items():
        assert Fraction(amount) == sum(Fraction(line.amount) for line in lines if line.currency == currency)


@given(small_decimals, small_decimals)
def test_sums_beyond_the_ledger_are_refused_not_wrapped(a: Decimal, b: Decimal) -> None:
    """A sum is exact or refused."""
    money = Money.of("99999999999999999999.999999999999999999", "USD")
    step = Money(abs(a) + abs(b) + Decimal("1E-18"), "USD")
    with pytest.raises(ValueError, match="can hold"):
        money + step


@given(small_decimals, small_decimals)
def test_decimals_add_exactly_in_any_context(a: Decimal, b: Decimal) -> None:
    """Adding quantities keeps every digit, whatever precision the caller's decimal context has."""
    with localcontext() as context:
        context.prec = 5
        assert Fraction(plus(a, b)) == Fraction(a) + Fraction(b)


@given(small_decimals, st.integers(-(10**12), 10**12).map(lambda n: Decimal(f"{n}E-12")))
def test_a_product_is_rounded_once(a: Decimal, b: Decimal) -> None:
    """Quantity times price is the true product, rounded half-even at the eighteenth decimal."""
    assert Fraction(product(a, b)) == rounded(Fraction(a) * Fraction(b))


@given(small_decimals, st.integers(10**15, 10**30).map(lambda n: Decimal(f"{n}E-18")))
def test_a_ratio_is_rounded_once(a: Decimal, b: Decimal) -> None:
    """A ratio is the true quotient, rounded half-even at the eighteenth decimal."""
    quotient = Fraction(a) / Fraction(b)
    if abs(quotient) < 10**19:
        assert Fraction(ratio(a, b) or ZERO) == rounded(quotient)


def test_a_ratio_to_nothing_is_unknown() -> None:
    """Nothing divided by zero has a value, so the answer is None and not zero."""
    assert ratio(Decimal(5), Decimal(0)) is None
    assert ratio(ZERO, ZERO) is None


@pytest.mark.parametrize("code", ["", "US", "USDX", "usd", "U$D", "US1", "ÄÖÜ", "US ", "USD\n"])
def test_money_needs_a_currency_code(code: str) -> None:
    """Money is made with three ASCII capitals and nothing else."""
    with pytest.raises(ValueError, match="not a currency code"):
        Money(Decimal(1), code)
