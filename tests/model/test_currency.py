"""Currency codes and the exponents of their smallest units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.model.currency import currency_code, minor_unit_exponent


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", min_size=3, max_size=3))
def test_three_letters_become_capitals(text: str) -> None:
    """A code is read in any case and with blanks around it, and is written in capitals."""
    assert currency_code(f" {text}\n") == text.upper()


@given(st.text())
def test_anything_else_is_refused(text: str) -> None:
    """What is returned is always three ASCII capitals; every other text is refused."""
    try:
        code = currency_code(text)
    except ValueError:
        return
    assert len(code) == 3
    assert code.isascii()
    assert code.isalpha()
    assert code.isupper()


@pytest.mark.parametrize("text", ["u\u017fd", "u\u00df", "\uff35\uff33\uff24", "credits", "$", "", "12A"])
def test_lookalikes_are_refused(text: str) -> None:
    """Letters that only become ASCII when capitalised do not make a currency."""
    with pytest.raises(ValueError, match="not a currency code"):
        currency_code(text)


@pytest.mark.parametrize(
    ("code", "exponent"),
    [
        ("USD", 2),
        ("EUR", 2),
        ("JPY", 0),
        ("KRW", 0),
        ("ISK", 0),
        ("UGX", 0),
        ("HUF", 2),
        ("KWD", 3),
        ("TND", 3),
        ("CLF", 4),
    ],
)
def test_exponents_by_hand(code: str, exponent: int) -> None:
    """The exponents of the ISO 4217 list, where they are two and where they are not."""
    assert minor_unit_exponent(code) == exponent


def test_an_exception_is_for_its_currency_alone() -> None:
    """A vendor's exception may even be zero decimals, and touches no other currency."""
    assert minor_unit_exponent("TWD", {"TWD": 0}) == 0
    assert minor_unit_exponent("USD", {"TWD": 0}) == 2
    assert minor_unit_exponent("USD", {}) == 2
