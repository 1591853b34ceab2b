"""When a prepaid balance runs out: an estimate from its falls, and none where they say too little."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.staging import NOW, clock, put
from outlay.analysis import status
from outlay.analysis.runout import runs_out_on
from outlay.model.facts import NO_END, Balance
from outlay.model.period import Period
from outlay.store import Ledger

TODAY = NOW.date()


def readings(*amounts: str | None) -> list[tuple[date, Decimal]]:
    """Return readings of the days up to today; None is a day nobody read."""
    first = TODAY - timedelta(days=len(amounts) - 1)
    return [(first + timedelta(days=n), Decimal(text)) for n, text in enumerate(amounts) if text is not None]


def test_a_steady_fall_ends_where_the_line_does() -> None:
    """Ten a day and thirty left are three days."""
    found = readings("100", "90", "80", "70", "60", "50", "40", "30")
    assert runs_out_on(found) == TODAY + timedelta(days=3)


def test_days_nobody_read_are_part_of_the_pace() -> None:
    """A gap is no day of nothing: the fall over it is spread over its days."""
    assert runs_out_on(readings("100", None, None, None, None, None, None, "30")) == TODAY + timedelta(days=3)


def test_a_top_up_is_no_negative_spend() -> None:
    """A rise hides what was spent on its days, so they are left out."""
    found = readings("40", "30", "20", "10", "100", "90", "80", "70", "60")
    assert runs_out_on(found) == TODAY + timedelta(days=6)


@pytest.mark.parametrize(
    "amounts",
    [(), ("100",), ("100", "90", "80"), ("50",) * 20, ("10", "20", "30", "40", "50", "60", "70", "80")],
    ids=["nothing", "one", "three days", "level", "rising"],
)
def test_too_little_gives_no_date(amounts: tuple[str, ...]) -> None:
    """Less than a week, and a balance that does not fall, give no date and never one far away."""
    assert runs_out_on(readings(*amounts)) is None


def test_what_is_used_up_is_used_up() -> None:
    """At zero or below, the day of the reading is the day."""
    assert runs_out_on(readings("-0.37")) == TODAY


@given(st.lists(st.decimals(0, 10**9, places=2), min_size=1, max_size=28))
def test_a_date_is_never_before_the_last_reading(amounts: list[Decimal]) -> None:
    """Whatever the readings, the estimate lies at or after the last, and within reach of a calendar."""
    found = runs_out_on(readings(*map(str, amounts)))
    assert found is None or TODAY <= found <= TODAY + timedelta(days=3650)


def test_status_tells_it_per_currency(ledger: Ledger) -> None:
    """Each balance has its own pace; another dataset's balance of the same name is another balance."""
    for n in range(8):
        day = Period.of_day(TODAY - timedelta(days=7 - n))
        dollars = Balance(name="balance", amount=Decimal(100 - 10 * n), currency="USD")
        yuan = Balance(name="balance", amount=Decimal(50), currency="CNY")
        put(ledger, "a", "balance", day, [dollars, yuan])
    put(ledger, "a", "entered", Period.of_day(TODAY), [Balance(name="balance", amount=Decimal(9), currency="USD")])
    [row] = status(ledger, clock=clock).rows
    told = {(left.currency, left.amount): left.runs_out_on for left in row.balances}
    assert told == {
        ("USD", Decimal(30)): TODAY + timedelta(days=3),
        ("CNY", Decimal(50)): None,
        ("USD", Decimal(9)): None,
    }


def test_what_may_as_well_be_owed_has_no_end(ledger: Ledger) -> None:
    """A balance whose sign differs between accounts is not used up when it is zero or less."""
    balances = [
        Balance(name=str(n), amount=Decimal(n), currency="USD", details={"more": None, **NO_END}) for n in (-3, 0)
    ]
    plain = Balance(name="plain", amount=Decimal(0), currency="USD", details={"more": "x"})
    put(ledger, "a", "balance", Period.of_day(TODAY), [*balances, plain])
    [row] = status(ledger, clock=clock).rows
    assert {left.name: left.runs_out_on for left in row.balances} == {"-3": None, "0": None, "plain": TODAY}
