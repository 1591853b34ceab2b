"""Priced use beside the bill: compared where both are known, never added, and spend as it is without metering."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.staging import charge, clock, put_days, usage
from outlay.analysis import Query, spend
from outlay.analysis import usage as usage_answer
from outlay.analysis.side_by_side import SideBySide, State, Week, share, shown, side_by_side
from outlay.errors import ConfigError
from outlay.model.facts import Charge, Fact, Usage
from outlay.store import Ledger

DAY = date(2026, 11, 2)  # a Monday
MONTH = Query(from_=date(2026, 11, 1), to=date(2026, 12, 1))


def priced(day: date, amount: str, meter: str = "input_tokens", quantity: str = "100", **fields: Any) -> Charge:
    """Return what a price list makes of a day's metered use of one meter."""
    fields = {"model": "gpt-x", "sku_id": "gpt-x", **fields}
    return charge(
        day, amount, basis="priced", sku_meter=meter, consumed_quantity=Decimal(quantity), consumed_unit="tokens",
        price_list_version="two 2026-01-01", **fields,
    )  # fmt: skip


def used(day: date, quantity: str = "100", meter: str = "input_tokens", **fields: Any) -> Usage:
    """Return a day's metered use of one meter."""
    return usage(day, quantity, meter=meter, **{"model": "gpt-x", **fields})


def billed(day: date, amount: str, model: str | None = "gpt-x", **fields: Any) -> Charge:
    """Return a line of the vendor's bill."""
    return charge(day, amount, model=model, sku_id=f"{model}/input", charge_description=f"{model}, input", **fields)


def meter(ledger: Ledger, *facts: Fact, connection: str = "acme") -> None:
    """Commit metered facts, each in its day."""
    put_days(ledger, connection, "metered", _by_day(facts))


def bill(ledger: Ledger, *facts: Fact, connection: str = "acme") -> None:
    """Commit the vendor's bill, each line in its day."""
    put_days(ledger, connection, "costs", _by_day(facts))


def _by_day(facts: tuple[Fact, ...]) -> dict[date, list[Fact]]:
    days: dict[date, list[Fact]] = {}
    for fact in facts:
        period = fact.charge_period if isinstance(fact, Charge) else fact.usage_period  # type: ignore[union-attr]
        days.setdefault(period.first_day, []).append(fact)
    return days


def ask(ledger: Ledger, period: str = "day", query: Query = MONTH) -> SideBySide:
    """Return the answer for November."""
    return side_by_side(ledger, query, period=period, clock=clock)


def test_a_day_that_both_sides_know_is_compared(ledger: Ledger) -> None:
    """The gap is what is priced less what is billed, and its ratio is an exact fraction of the bill."""
    meter(ledger, used(DAY), priced(DAY, "1.03"))
    bill(ledger, billed(DAY, "0.90"), billed(DAY, "0.10"))
    (row,) = ask(ledger).rows
    assert (row.period, row.connection, row.model, row.currency, row.state) == (DAY, "acme", "gpt-x", "USD", State.BOTH)
    assert (row.priced, row.billed, row.gap) == (Decimal("1.03"), Decimal(1), Decimal("0.03"))
    assert (row.ratio, row.gap_ratio) == (Fraction(3, 100), Decimal("0.030000"))


def test_a_day_that_one_side_lacks_is_told_and_has_no_gap(ledger: Ledger) -> None:
    """A bill that is late, and a day nobody metered, are not a gap of everything."""
    meter(ledger, used(DAY), priced(DAY, "1"), used(DAY + timedelta(1)), priced(DAY + timedelta(1), "2"))
    bill(ledger, billed(DAY, "1"), billed(DAY + timedelta(2), "3"))
    found = [(row.period.day, row.state, row.priced, row.billed, row.gap, row.gap_ratio) for row in ask(ledger).rows]
    assert found == [
        (2, State.BOTH, 1, 1, 0, 0),
        (3, State.PRICED_ONLY, 2, None, None, None),
        (4, State.BILLED_ONLY, None, 3, None, None),
    ]


def test_a_month_compares_only_its_comparable_days(ledger: Ledger) -> None:
    """Days of which the same is known are summed, each kind on a row of its own."""
    days = [DAY + timedelta(n) for n in range(4)]
    meter(ledger, *(used(day) for day in days[:3]), *(priced(day, "1.10") for day in days[:3]))
    bill(ledger, *(billed(day, "1") for day in days[1:]))
    found = [
        (row.period, row.state, row.days, row.priced, row.billed, row.gap_ratio) for row in ask(ledger, "month").rows
    ]
    first = date(2026, 11, 1)
    assert found == [
        (first, State.BILLED_ONLY, 1, None, 1, None),
        (first, State.BOTH, 2, Decimal("2.20"), 2, Decimal("0.1")),
        (first, State.PRICED_ONLY, 1, Decimal("1.10"), None, None),
    ]


def test_use_without_a_price_makes_no_gap(ledger: Ledger) -> None:
    """Where a meter, or part of one, has no price, the sum of the rest is not compared as if it were the whole."""
    meter(
        ledger, used(DAY), priced(DAY, "1"), used(DAY, "7", "cached_input_tokens"),
        used(DAY + timedelta(1), "100"), priced(DAY + timedelta(1), "0.6", quantity="60"),
        used(DAY + timedelta(2), "100"),
    )  # fmt: skip
    bill(ledger, *(billed(DAY + timedelta(n), "1") for n in range(3)))
    found = [(row.state, row.priced, row.billed, row.gap, row.unpriced) for row in ask(ledger).rows]
    assert found == [
        (State.UNPRICED, 1, 1, None, ("cached_input_tokens",)),
        (State.UNPRICED, Decimal("0.6"), 1, None, ("input_tokens",)),
        (State.UNPRICED, None, 1, None, ("input_tokens",)),
    ]


def test_requests_and_reasoning_need_no_price(ledger: Ledger) -> None:
    """What is counted but not billed, or inside another count, is nothing unknown; requests no one could count are."""
    more = [used(DAY, "3", "requests"), used(DAY, "40", "reasoning_tokens")]
    meter(ledger, used(DAY), *more, priced(DAY, "1"))
    bill(ledger, billed(DAY, "1"))
    assert [row.state for row in ask(ledger).rows] == [State.BOTH]
    meter(ledger, used(DAY), *more, used(DAY, "1", "uncounted_requests"), priced(DAY, "1"))
    assert [(row.state, row.unpriced) for row in ask(ledger).rows] == [(State.UNPRICED, ("uncounted_requests",))]


def test_only_what_is_metered_is_asked_of_the_bill(ledger: Ledger) -> None:
    """Other models, services, credits and connections stay out; what is billed for other models is told apart."""
    meter(ledger, used(DAY), priced(DAY, "1"))
    bill(
        ledger, billed(DAY, "1"), billed(DAY, "5", "gpt-y"), billed(DAY, "2", None),
        billed(DAY, "-3", charge_category="Credit"), billed(DAY, "7", service_name="Something else"),
        billed(DAY, "4", currency="EUR"),
    )  # fmt: skip
    bill(ledger, billed(DAY, "9"), connection="other")
    answer = ask(ledger)
    assert [(row.currency, row.state, row.priced, row.billed) for row in answer.rows] == [
        ("EUR", State.BILLED_ONLY, None, 4),
        ("USD", State.BOTH, 1, 1),
    ]
    assert [each.record() for each in answer.not_metered] == [
        {"connection": "acme", "currency": "USD", "models": 2, "billed": Decimal(7)}
    ]


def test_models_are_not_the_same_by_a_resemblance(ledger: Ledger) -> None:
    """A name that only begins like that of the calls is another model; `test_billed_models` has what is the same."""
    meter(ledger, used(DAY), priced(DAY, "1"))
    bill(ledger, billed(DAY, "1", "gpt-x-mini"))
    answer = ask(ledger)
    assert [(row.model, row.state) for row in answer.rows] == [("gpt-x", State.PRICED_ONLY)]
    assert answer.not_metered[0].billed == 1


def test_what_a_call_says_it_costs_is_no_price(ledger: Ledger) -> None:
    """Use whose cost the vendor states itself is neither priced nor without a price."""
    meter(ledger, used(DAY), charge(DAY, "2", model="gpt-x"))
    bill(ledger, billed(DAY, "1"))
    assert [(row.state, row.billed) for row in ask(ledger).rows] == [(State.BILLED_ONLY, 1)]


def test_what_a_list_makes_of_use_is_priced_however_well_it_is_known(ledger: Ledger) -> None:
    """A vendor whose counts are only an estimate is compared all the same."""
    meter(ledger, used(DAY), charge(DAY, "2", basis="estimated", model="gpt-x", sku_meter="input_tokens",
                                    consumed_quantity=Decimal(100), price_list_version="two"))  # fmt: skip
    bill(ledger, billed(DAY, "1"))
    assert [(row.state, row.gap) for row in ask(ledger).rows] == [(State.BOTH, 1)]


def test_the_trend_holds_exact_weeks(ledger: Ledger) -> None:
    """Each week's compared days are summed; weeks without any are left out."""
    days = [DAY, DAY + timedelta(1), DAY + timedelta(14), DAY + timedelta(7)]
    meter(
        ledger,
        *(used(day) for day in days[:3]),
        *(priced(day, cost) for day, cost in zip(days, ("1", "2", "4"), strict=False)),
    )
    bill(ledger, *(billed(day, "1") for day in days))
    answer = ask(ledger)
    (trend,) = answer.trend
    assert trend.weeks == (
        Week(week=DAY, days=2, priced=Decimal(3), billed=Decimal(2)),
        Week(week=DAY + timedelta(14), days=1, priced=Decimal(4), billed=Decimal(1)),
    )
    assert [week.ratio for week in trend.weeks] == [Fraction(1, 2), Fraction(3)]
    assert [(row.period, row.days) for row in ask(ledger, "week").rows if row.state is State.BOTH] == [
        (DAY, 2),
        (DAY + timedelta(14), 1),
    ]
    whole = json.loads(json.dumps(answer.to_json_object()))
    assert whole["trend"][0]["weeks"][0] == {
        "week": "2026-11-02", "days": 2, "priced": "3.000000", "billed": "2.000000", "gap_ratio": "0.500000",
    }  # fmt: skip
    assert whole["rows"][0]["gap"] == "0.000000"
    assert whole["not_metered"] == []


def test_filters_and_periods(ledger: Ledger) -> None:
    """A connection and days can be chosen; a period that is none is refused."""
    for name in ("acme", "beta"):
        meter(ledger, used(DAY), priced(DAY, "1"), connection=name)
    assert {row.connection for row in ask(ledger).rows} == {"acme", "beta"}
    chosen = Query(from_=DAY, to=DAY + timedelta(1), connections=("beta",))
    assert {row.connection for row in ask(ledger, query=chosen).rows} == {"beta"}
    assert ask(ledger, query=Query(from_=DAY + timedelta(1), to=DAY + timedelta(2))).rows == ()
    with pytest.raises(ConfigError, match="'year' is no period"):
        ask(ledger, "year")


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**30))
def test_a_ratio_is_exact_and_only_its_display_is_rounded(part: int, whole: int) -> None:
    """What is shown is off by no more than half of its sixth decimal."""
    ratio = share(Decimal(part), Decimal(whole))
    assert ratio == Fraction(part, whole)
    decimal = shown(ratio)
    assert decimal is not None
    assert abs(Fraction(decimal) - ratio) <= Fraction(1, 2 * 10**6)
    assert share(Decimal(1), Decimal(0)) is None


AMOUNTS = st.integers(0, 10**9).map(lambda n: Decimal(n).scaleb(-9))


@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
@given(
    st.lists(st.tuples(st.integers(0, 20), AMOUNTS, AMOUNTS), min_size=1, max_size=6, unique_by=lambda each: each[0])
)
def test_rows_of_any_length_hold_the_same_money(ledger: Ledger, drawn: list[tuple[int, Decimal, Decimal]]) -> None:
    """Days, weeks and months add up to the same two sums, each side for itself."""
    days = [(DAY + timedelta(n), a, b) for n, a, b in drawn]
    name = f"c{abs(hash(tuple(days))) % 10**12}"
    meter(ledger, *(used(day) for day, _, _ in days), *(priced(day, f"{a:f}") for day, a, _ in days), connection=name)
    bill(ledger, *(billed(day, f"{b:f}") for day, _, b in days), connection=name)
    query = Query(from_=MONTH.from_, to=MONTH.to, connections=(name,))
    for period in ("day", "week", "month"):
        rows = ask(ledger, period, query).rows
        assert sum(row.priced or 0 for row in rows) == sum(a for _, a, _ in days)
        assert sum(row.billed or 0 for row in rows) == sum(b for _, _, b in days)
        assert all(row.gap == (row.priced or 0) - (row.billed or 0) for row in rows)


# ── spend beside metering ────────────────────────────────────────────────────────────────────────────────────────


def totals(ledger: Ledger, basis: str | None = None, by: tuple[str, ...] = ("connection",)) -> list[tuple[Any, ...]]:
    """Return spend as basis, currency and amount."""
    query = Query(from_=MONTH.from_, to=MONTH.to, by=by, basis=basis)
    rows = spend(ledger, query, clock=clock).rows
    return [(*row.dimensions.values(), row.basis, row.currency, row.billed_cost) for row in rows]


@pytest.mark.parametrize("by", [("connection",), ("day",), ("sku",), ("dataset",), ("service", "day")], ids=",".join)
def test_metering_does_not_change_what_was_spent(ledger: Ledger, by: tuple[str, ...]) -> None:
    """On a day with a bill the bill speaks, however it is grouped; the priced side stands beside it when asked for."""
    bill(ledger, billed(DAY, "1"), billed(DAY, "5", "gpt-y"), billed(DAY + timedelta(1), "2"))
    before = totals(ledger, by=by)
    meter(ledger, used(DAY), priced(DAY, "1.03"), used(DAY + timedelta(1)), priced(DAY + timedelta(1), "99"))
    assert totals(ledger, by=by) == before
    assert sum(row[-1] for row in totals(ledger, "priced", by)) == Decimal("100.03")
    both = totals(ledger, "all", by)
    assert {row[-3] for row in both} == {"billed", "priced"}
    assert sum(row[-1] for row in both if row[-3] == "billed") == 8


def test_a_day_without_a_bill_shows_what_is_priced_as_priced(ledger: Ledger) -> None:
    """Until the vendor bills a day, its priced use speaks, on a row of its own and never in one sum with bills."""
    bill(ledger, billed(DAY, "1"))
    meter(ledger, used(DAY), priced(DAY, "1.03"), used(DAY + timedelta(1)), priced(DAY + timedelta(1), "2"))
    assert totals(ledger) == [("acme", "billed", "USD", 1), ("acme", "priced", "USD", 2)]
    bill(ledger, billed(DAY, "1"), billed(DAY + timedelta(1), "1.90"))
    assert totals(ledger) == [("acme", "billed", "USD", Decimal("2.90"))]


def test_a_filter_does_not_bring_the_priced_side_forward(ledger: Ledger) -> None:
    """Asking for what only the metered dataset has does not make it speak on a day that is billed."""
    bill(ledger, billed(DAY, "1"))
    meter(ledger, used(DAY), priced(DAY, "1.03"))
    query = Query(from_=DAY, to=DAY + timedelta(1), where=(("dataset", "metered"),))
    assert spend(ledger, query, clock=clock).rows == ()


def test_metered_use_that_the_vendor_tells_too_is_not_added(ledger: Ledger) -> None:
    """Rows that are part of the vendor's own usage dataset are left out of usage unless asked for."""
    put_days(ledger, "acme", "usage.completions", {DAY: [used(DAY, "500")]})
    meter(ledger, used(DAY, "100", part_of="usage.completions"))
    answer = usage_answer(ledger, Query(from_=DAY, to=DAY + timedelta(1), by=("connection",)), clock=clock)
    assert [row.quantity for row in answer.rows] == [500]
