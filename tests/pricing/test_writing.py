"""Observed prices go into a dated list: added when they change, never twice, never over what somebody wrote."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import PricesError
from outlay.pricing.book import Rate
from outlay.pricing.lists import Lists
from outlay.pricing.meters import Line, Use
from outlay.pricing.reading import read
from outlay.pricing.writing import Observed, Priced, Written, written

MONDAY = date(2026, 11, 16)
URL = "https://vendor.test/v2/prices"
MILLION = Decimal(10) ** 6


def row(price: str, model: str = "m-1", tier: str | None = None, above: int = 0, **more: str) -> Priced:
    """Return a row with an input price."""
    rates = {"input_tokens": price, **more}
    return Priced(model, tier, above, {meter: Rate(Decimal(text), MILLION) for meter, text in rates.items()})


def put(old: str | None, *rows: Priced, day: date = MONDAY, source: str = URL) -> Written:
    """Write rows that were observed on a day."""
    return written(old, "google.toml", Observed("google", "USD", day, source, rows))


def cost(text: str, day: date, model: str = "m-1", band: int | None = 0, tier: str | None = None) -> Decimal | None:
    """Return what a million input tokens cost at noon of a day."""
    lists = Lists(own=(read(text, "google.toml", "google", "own"),), with_catalogue=False)
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    use = Use(provider="google", model=model, at=at, context_band=band, service_tier=tier,
              quantities={"input_tokens": MILLION})  # fmt: skip
    [found] = lists.price(use)
    return found.cost.amount if isinstance(found, Line) else None


def test_a_changed_price_is_a_row_more() -> None:
    """Days before the change keep their price; what did not change has no second row."""
    first = put(None, row("2.5"), row("0.1", "m-2"))
    later = put(first.text, row("3"), row("0.10", "m-2"), day=MONDAY + timedelta(days=3))
    assert [each.model for each in later.added] == ["m-1"]
    assert [each.model for each in later.same] == ["m-2"]
    days = [MONDAY + timedelta(days=n) for n in (-1, 0, 2, 3, 30)]
    assert [cost(later.text, day) for day in days] == [None, Decimal("2.5"), Decimal("2.5"), Decimal(3), Decimal(3)]
    assert read(later.text, "x", "x", "own").checked == MONDAY + timedelta(days=3)
    assert all(line in later.text for line in first.text.splitlines() if not line.startswith("checked"))


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["m-1", "m-2", "m-3"]), st.integers(0, 3)), max_size=8))
def test_writing_twice_is_writing_once(steps: list[tuple[int, str, int]]) -> None:
    """However prices came, the last observation a second time changes nothing, and each holds from its day."""
    text, day = put(None, row("1")).text, MONDAY
    for days, model, price in steps:
        day += timedelta(days=days + 1)
        text = put(text, row(str(price), model), day=day).text
        assert cost(text, day, model) == price
        again = put(text, row(str(price), model), day=day)
        assert (again.text, again.added) == (text, ())


def test_rows_by_hand_stay_and_hold() -> None:
    """Comments, models and rows of one's own in the list stay where they are; a row by hand is not replaced."""
    mine = '\n[[model]]  # mine\nid = "m-9"\n[[model.price]]\nvalid_from = 2026-01-01\ninput_tokens = "7 per million"\n'
    text = put(None, row("1")).text + mine
    later = put(text, row("2"), row("5", "m-9"), day=MONDAY + timedelta(days=1))
    assert mine.strip() in later.text
    assert [each.model for each in later.kept] == ["m-9"]
    assert cost(later.text, MONDAY + timedelta(days=1), "m-9") == 7
    assert cost(later.text, MONDAY + timedelta(days=1)) == 2


def test_two_prices_of_one_day_are_not_two_truths() -> None:
    """A price that changes again on the day it was written keeps its row: a day has one price."""
    first = put(None, row("1"))
    again = put(first.text, row("2"))
    assert (again.text, [each.model for each in again.kept]) == (first.text, ["m-1"])


def test_a_price_by_size_that_is_one_price_again() -> None:
    """The row of long prompts does not outlive the difference."""
    text = put(None, row("1"), row("4", above=200000), row("2", tier="batch")).text
    assert [cost(text, MONDAY, band=band) for band in (0, 200000, None)] == [1, 4, None]
    later = put(text, row("1"), row("2", tier="batch"), day=MONDAY + timedelta(days=1)).text
    assert [cost(later, MONDAY + timedelta(days=1), band=band) for band in (0, 200000, None)] == [1, 1, 1]
    assert cost(later, MONDAY + timedelta(days=1), tier="batch") == 2


MINE = """provider = "google"
currency = "USD"
checked = 2026-11-01
source = "x"
[[model]]
id = "a"
[[model.price]]
valid_from = 2026-01-01
input_tokens = "1 per million"
"""


@pytest.mark.parametrize("text", [MINE, "provider ="])
def test_a_list_of_ones_own_is_refused(text: str) -> None:
    """A list that is not written here, or not readable, is left alone."""
    with pytest.raises(PricesError):
        put(text, row("1"))
