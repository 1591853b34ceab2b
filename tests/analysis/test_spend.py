"""Sums of money: nothing counted twice, nothing mixed, nothing made up."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.staging import charge, clock, put, put_days
from outlay.analysis import Query, spend
from outlay.errors import ConfigError
from outlay.model.facts import Charge
from outlay.model.period import Period
from outlay.store import Ledger

DAY = date(2026, 11, 2)
NEXT = DAY + timedelta(days=1)


def totals(ledger: Ledger, query: Query) -> dict[tuple[str, str], Decimal]:
    """Return the billed cost per currency and basis over all rows."""
    found: dict[tuple[str, str], Decimal] = {}
    for row in spend(ledger, query, clock=clock).rows:
        key = (row.currency, str(row.basis))
        found[key] = found.get(key, Decimal(0)) + row.billed_cost
    return found


def test_the_json_is_exactly_as_documented(ledger: Ledger) -> None:
    """Keys, their order, and how numbers and days are written are what other programs rely on."""
    day = date(2026, 10, 3)
    put(ledger, "openai-prod", "costs", Period.of_day(day), [charge(day, "12.34")])
    query = Query(from_=date(2026, 10, 3), to=date(2026, 10, 4), by=("provider", "day"))
    assert json.dumps(spend(ledger, query, clock=clock).to_json_object()) == (
        '{"from": "2026-10-03", "to": "2026-10-04", "by": ["provider", "day"], "rows": [{"provider": "openai", '
        '"day": "2026-10-03", "currency": "USD", "basis": "billed", "billed_cost": "12.340000", '
        '"effective_cost": "12.340000", "list_cost": null}], "incomplete": []}'
    )


def test_every_digit_survives(ledger: Ledger) -> None:
    """An amount of eighteen decimals comes back as it went in; zeros beyond the sixth are not written."""
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "0.123456789012345678"), charge(DAY, "1000000")])
    (row,) = spend(ledger, clock=clock).to_json_object()["rows"]
    assert row["billed_cost"] == "1000000.123456789012345678"


def test_currencies_are_never_added(ledger: Ledger) -> None:
    """Two currencies stand on two rows."""
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "1"), charge(DAY, "2", currency="EUR")])
    assert totals(ledger, Query()) == {("USD", "billed"): Decimal(1), ("EUR", "billed"): Decimal(2)}


def test_the_best_basis_speaks_for_a_connection_day_and_service(ledger: Ledger) -> None:
    """An estimate beside a bill stays silent, also in another currency; on a day without a bill it speaks."""
    facts: dict[date, list[Charge]] = {
        DAY: [charge(DAY, "1"), charge(DAY, "9", basis="estimated"), charge(DAY, "5", basis="priced", currency="EUR")],
        NEXT: [charge(NEXT, "7", basis="estimated"), charge(NEXT, "3", basis="priced", service_name="Other")],
    }
    put_days(ledger, "a", "costs", facts)
    put(ledger, "b", "costs", Period.of_day(DAY), [charge(DAY, "20", basis="estimated")])
    assert totals(ledger, Query()) == {
        ("USD", "billed"): Decimal(1),
        ("USD", "estimated"): Decimal(27),
        ("USD", "priced"): Decimal(3),
    }


def test_all_bases_stand_beside_each_other(ledger: Ledger) -> None:
    """`all` shows what the best basis hides, on rows of its own; a basis's name shows that one alone."""
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "1"), charge(DAY, "9", basis="estimated")])
    assert totals(ledger, Query(basis="all")) == {("USD", "billed"): Decimal(1), ("USD", "estimated"): Decimal(9)}
    assert totals(ledger, Query(basis="estimated")) == {("USD", "estimated"): Decimal(9)}
    assert totals(ledger, Query(basis="entered")) == {}


def test_a_fine_filter_does_not_bring_an_estimate_forward(ledger: Ledger) -> None:
    """Where the bill has no such detail, the estimate that has it would count the money twice."""
    put(
        ledger,
        "a",
        "costs",
        Period.of_day(DAY),
        [charge(DAY, "10"), charge(DAY, "9", basis="estimated", sku_id="gpt-5/input")],
    )
    query = Query(where=(("sku", "gpt-5/input"),), by=("sku",))
    assert spend(ledger, query, clock=clock).rows == ()
    assert totals(ledger, Query(where=(("sku", "gpt-5/input"),), by=("sku",), basis="all")) == {
        ("USD", "estimated"): Decimal(9)
    }


def test_a_list_cost_is_known_only_when_all_are(ledger: Ledger) -> None:
    """One unknown list cost makes the sum unknown, and only that sum."""
    put_days(
        ledger,
        "a",
        "costs",
        {DAY: [charge(DAY, "1", list_cost="2"), charge(DAY, "1")], NEXT: [charge(NEXT, "1", list_cost="3")]},
    )
    assert [row.list_cost for row in spend(ledger, Query(by=("day",)), clock=clock).rows] == [None, Decimal(3)]


def test_effective_cost_is_its_own_sum(ledger: Ledger) -> None:
    """What a prepaid balance paid is spend in effect, though nothing is billed."""
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "0", effective_cost="4"), charge(DAY, "1")])
    (row,) = spend(ledger, clock=clock).rows
    assert (row.billed_cost, row.effective_cost) == (Decimal(1), Decimal(5))


def test_the_end_is_exclusive_and_the_default_is_this_month(ledger: Ledger) -> None:
    """The day of the end is out; without a period the present UTC month up to today speaks."""
    before, today = date(2026, 10, 31), date(2026, 11, 22)
    put_days(ledger, "a", "costs", {day: [charge(day, "1")] for day in (before, DAY, today)})
    assert totals(ledger, Query(from_=before, to=DAY)) == {("USD", "billed"): Decimal(1)}
    answer = spend(ledger, clock=clock)
    assert (answer.from_, answer.to) == (date(2026, 11, 1), date(2026, 11, 23))
    assert totals(ledger, Query()) == {("USD", "billed"): Decimal(2)}


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        ("day", date(2026, 11, 2)),
        ("month", "2026-11"),
        ("connection", "a"),
        ("provider", "openai"),
        ("service", "OpenAI API"),
        ("sku", "gpt-5/input"),
        ("sub_account", "proj_1"),
        ("resource", "key_1"),
        ("region", "us"),
        ("charge_category", "Usage"),
        ("dataset", "costs"),
        ("tag:team/front end", "web"),
        ("tag:owner", None),
    ],
)
def test_every_dimension_groups_and_filters(ledger: Ledger, dimension: str, value: object) -> None:
    """Each dimension shows its value, and filtering by that value finds the same row."""
    fact = charge(
        DAY,
        "1",
        sku_id="gpt-5/input",
        sub_account_id="proj_1",
        resource_id="key_1",
        region_id="us",
        tags={"team/front end": "web"},
    )
    put(ledger, "a", "costs", Period.of_day(DAY), [fact])
    (row,) = spend(ledger, Query(by=(dimension,)), clock=clock).rows
    assert row.dimensions == {dimension: value}
    same = Query(by=(dimension,), where=((dimension, str(value or "")),))
    assert spend(ledger, same, clock=clock).rows == (row,)
    other = {"day": "2026-11-03", "month": "2026-12"}.get(dimension, "something else")
    assert spend(ledger, Query(by=(dimension,), where=((dimension, other),)), clock=clock).rows == ()


def test_one_dimension_named_twice_means_either_value(ledger: Ledger) -> None:
    """Filters of one dimension widen, filters of two narrow."""
    facts = [charge(DAY, "1", sku_id="a"), charge(DAY, "2", sku_id="b"), charge(DAY, "4", sku_id=None)]
    put(ledger, "a", "costs", Period.of_day(DAY), facts)
    either = Query(where=(("sku", "a"), ("sku", "")))
    assert totals(ledger, either) == {("USD", "billed"): Decimal(5)}
    assert totals(ledger, Query(where=(("sku", "a"), ("service", "Other")))) == {}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (Query(by=("servce",)), "service"),
        (Query(where=(("prvider", "openai"),)), "provider"),
        (Query(by=("tag:",)), "tag:KEY"),
        (Query(basis="guessed"), "estimated"),
        (Query(from_=date(2026, 11, 2), to=date(2026, 11, 2)), "exclusive"),
    ],
)
def test_a_wrong_question_is_told_what_was_meant(ledger: Ledger, query: Query, says: str) -> None:
    """Unknown words and empty periods are the user's to change, and the hint names the way."""
    with pytest.raises(ConfigError) as caught:
        spend(ledger, query, clock=clock)
    assert says in caught.value.hint


def test_values_are_never_sql(ledger: Ledger) -> None:
    """A quote in a filter is a character and nothing else."""
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "1", sku_id="it's")])
    assert totals(ledger, Query(where=(("sku", "it's"),))) == {("USD", "billed"): Decimal(1)}
    assert totals(ledger, Query(where=(("sku", "' OR 1=1 --"),))) == {}
    assert totals(ledger, Query(by=("tag:' OR 1=1 --",))) == {("USD", "billed"): Decimal(1)}


BASES = ("billed", "entered", "priced", "estimated")
lines = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from([DAY, NEXT]),
        st.sampled_from(["X", "Y"]),
        st.sampled_from(BASES),
        st.sampled_from(["USD", "EUR"]),
        st.integers(-(10**9), 10**9),
    ),
    max_size=12,
)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(lines=lines)
def test_the_sums_are_those_a_pencil_gives(ledger: Ledger, lines: list[tuple[str, date, str, str, str, int]]) -> None:
    """For any charges: of each connection, day and service the best basis is added up, and every view agrees."""
    by_partition: dict[tuple[str, date], list[Charge]] = {(name, day): [] for name in "ab" for day in (DAY, NEXT)}
    best: dict[tuple[str, date, str], int] = {}
    for name, day, service, basis, currency, units in lines:
        amount = f"{units}e-9"
        by_partition[name, day].append(charge(day, amount, service_name=service, basis=basis, currency=currency))
        key = (name, day, service)
        best[key] = min(best.get(key, 9), BASES.index(basis))
    for (name, day), facts in by_partition.items():
        put(ledger, name, "costs", Period.of_day(day), facts)
    expected: dict[tuple[str, str], Decimal] = {}
    for name, day, service, basis, currency, units in lines:
        if BASES.index(basis) == best[name, day, service]:
            expected[currency, basis] = expected.get((currency, basis), Decimal(0)) + Decimal(f"{units}e-9")
    for by in ((), ("day",), ("connection", "service"), ("month", "provider", "sku")):
        assert totals(ledger, Query(by=by)) == expected
