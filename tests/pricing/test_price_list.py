"""Dated price lists: a fraction rounded once, and a past day that keeps its price."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.pricing import PriceList, parse, price_list

ENTRY = """
[[entry]]
version = "{version}"
valid_from = {day}
checked = {day}
source = "https://vendor.test/prices"
currency = "USD"
[entry.prices.CPU]
amount = "{amount}"
per = "43200"
unit = "vCPU-Months"
"""


def entries(*rows: tuple[str, str, str]) -> PriceList:
    """Return a list of entries, each a version, a day and an amount."""
    return parse("".join(ENTRY.format(version=version, day=day, amount=amount) for version, day, amount in rows))


def test_a_day_has_the_price_of_its_time() -> None:
    """An appended entry changes its own day and those after it, and nothing before."""
    prices = entries(("one", "2026-01-01", "20"), ("two", "2026-06-01", "25"))
    for day, version in ((date(2026, 1, 1), "one"), (date(2026, 5, 31), "one"), (date(2026, 6, 1), "two")):
        found = prices.on(day, "CPU")
        assert found is not None
        assert found.version == version
    assert prices.on(date(2025, 12, 31), "CPU") is None
    assert not prices.known_on(date(2025, 12, 31))
    assert prices.on(date(2026, 6, 1), "unbilled") is None


@given(st.integers(0, 10**15).map(lambda n: Decimal(n).scaleb(-6)))
def test_a_cost_is_the_fraction_rounded_once(quantity: Decimal) -> None:
    """The cost differs from the true fraction by no more than half of the last place kept."""
    price = price_list("railway").on(date(2026, 11, 1), "MEMORY_USAGE_GB")
    assert price is not None
    true = Fraction(quantity) * 10 / 43200
    assert abs(Fraction(price.cost(quantity).amount) - true) <= Fraction(1, 2 * 10**18)


@pytest.mark.parametrize(
    "rows",
    [
        (("one", "2026-06-01", "20"), ("two", "2026-01-01", "25")),
        (("one", "2026-06-01", "20"), ("two", "2026-06-01", "25")),
        (("one", "2026-01-01", "20"), ("one", "2026-06-01", "25")),
        (("one", "2026-01-01", "-1"),),
        (("one", "2026-01-01", "NaN"),),
    ],
)
def test_a_list_that_cannot_be_right_is_refused(rows: tuple[tuple[str, str, str], ...]) -> None:
    """Entries out of order, versions used twice, negative and non-finite prices never get as far as a cost."""
    with pytest.raises(ValueError, match="price"):
        entries(*rows)


def test_railway_s_printed_prices_are_the_documented_fractions() -> None:
    """A vCPU for a month of 43,200 minutes is 20 dollars, a GB of memory 10, of volume 0.15, a GB sent 0.05."""
    day = date(2026, 11, 1)
    costs = {}
    for meter, quantity in (("CPU_USAGE", 43200), ("MEMORY_USAGE_GB", 43200), ("DISK_USAGE_GB", 43200),
                            ("BACKUP_USAGE_GB", 43200), ("NETWORK_TX_GB", 1)):  # fmt: skip
        price = price_list("railway").on(day, meter)
        assert price is not None
        costs[meter] = price.cost(Decimal(quantity)).amount
        assert price.pricing_quantity(Decimal(quantity)) == 1
    assert costs == {
        "CPU_USAGE": 20,
        "MEMORY_USAGE_GB": 10,
        "DISK_USAGE_GB": Decimal("0.15"),
        "BACKUP_USAGE_GB": Decimal("0.15"),
        "NETWORK_TX_GB": Decimal("0.05"),
    }
    for unbilled in ("CPU_USAGE_2", "NETWORK_RX_GB", "EPHEMERAL_DISK_USAGE_GB", "CPU_LIMIT"):
        assert price_list("railway").on(day, unbilled) is None
