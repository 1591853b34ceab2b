"""Which of a day's metered ids are which of its billed ones: equal ids, a lone plain and dated id, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.staging import put_days
from analysis.test_side_by_side import DAY, ask, bill, billed, meter, priced, used
from outlay.analysis.billed_models import paired, plain
from outlay.analysis.side_by_side import State
from outlay.providers import PROVIDERS
from outlay.store import Ledger

FORMS = {each.id: each.metering.dated for each in PROVIDERS if each.metering}
OPENAI, ANTHROPIC = FORMS["openai"], FORMS["anthropic"]
AUGUST, SEPTEMBER = "gpt-x-2026-08-01", "gpt-x-2026-09-01"


@pytest.mark.parametrize(
    ("model", "form", "own"),
    [
        ("gpt-4o-2024-08-06", OPENAI, "gpt-4o"),
        ("gpt-4o-mini-2024-07-18", OPENAI, "gpt-4o-mini"),
        ("gpt-5.5-2026-04-02", OPENAI, "gpt-5.5"),
        ("gpt-4-0613", OPENAI, "gpt-4-0613"),
        ("ft:gpt-4o-2024-08-06:acme::1", OPENAI, "ft:gpt-4o-2024-08-06:acme::1"),
        ("claude-sonnet-4-5-20250929", OPENAI, "claude-sonnet-4-5-20250929"),
        ("-2024-08-06", OPENAI, "-2024-08-06"),
        ("claude-sonnet-4-5-20250929", ANTHROPIC, "claude-sonnet-4-5"),
        ("claude-sonnet-5", ANTHROPIC, "claude-sonnet-5"),
        ("claude-x-2025-09-29", ANTHROPIC, "claude-x-2025-09-29"),
        ("gpt-4o-2024-08-06", None, "gpt-4o-2024-08-06"),
    ],
)
def test_only_a_whole_day_in_the_vendors_own_way_is_a_date(model: str, form: str | None, own: str) -> None:
    """Another vendor's way of writing a day, a month and day, and a day in the middle are parts of a name."""
    assert plain(model, form) == own


def test_no_other_vendor_has_dated_ids() -> None:
    """Where no sheet tells of dated ids, models are the same by their full id alone."""
    assert {provider for provider, form in FORMS.items() if form} == {"openai", "anthropic"}


def pairs(metered: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """Return the calls' id by the bill's."""
    return paired(metered, theirs, OPENAI).metered_as


def test_a_lone_plain_and_dated_id_are_one_model_either_way_round() -> None:
    """A call may name the plain id and the bill the dated one, or the other way round."""
    assert pairs(["gpt-x"], [AUGUST]) == {AUGUST: "gpt-x"}
    assert pairs([AUGUST], ["gpt-x"]) == {"gpt-x": AUGUST}
    assert pairs(["gpt-x", "gpt-x-mini"], [AUGUST, "gpt-x-mini-2026-08-01"]) == {
        AUGUST: "gpt-x",
        "gpt-x-mini-2026-08-01": "gpt-x-mini",
    }


@pytest.mark.parametrize(
    ("metered", "theirs", "why"),
    [
        (["gpt-x"], [AUGUST, SEPTEMBER], {"gpt-x": f"the bill has {AUGUST} and {SEPTEMBER}",
                                          AUGUST: "calls were metered as gpt-x",
                                          SEPTEMBER: "calls were metered as gpt-x"}),
        ([AUGUST, SEPTEMBER], ["gpt-x"], {"gpt-x": f"calls were metered as {AUGUST} and {SEPTEMBER}",
                                          AUGUST: "the bill has gpt-x", SEPTEMBER: "the bill has gpt-x"}),
        ([AUGUST], ["gpt-x", SEPTEMBER], {AUGUST: "the bill has gpt-x", "gpt-x": f"calls were metered as {AUGUST}"}),
        ([AUGUST], [SEPTEMBER], {}),
        (["gpt-y"], [AUGUST], {}),
    ],
)  # fmt: skip
def test_what_may_mean_several_is_paired_with_none(metered: list[str], theirs: list[str], why: dict[str, str]) -> None:
    """Two dated ids on one side, or one beside a plain one, leave all apart, each with its reason."""
    found = paired(metered, theirs, OPENAI)
    assert (found.metered_as, found.why) == ({}, why)


def test_an_equal_id_comes_first_and_says_what_else_it_may_hold() -> None:
    """The equal ids are compared; what is left over is not put upon anything else."""
    found = paired(["gpt-x", AUGUST], [AUGUST], OPENAI)
    assert found.metered_as == {AUGUST: AUGUST}
    assert found.why == {"gpt-x": f"the bill has {AUGUST}", AUGUST: "it may be the bill of gpt-x too"}
    found = paired(["gpt-x"], ["gpt-x", AUGUST], OPENAI)
    assert found.metered_as == {"gpt-x": "gpt-x"}
    assert found.why == {AUGUST: "calls were metered as gpt-x", "gpt-x": f"its calls may be billed as {AUGUST} too"}
    found = paired(["gpt-x", AUGUST], ["gpt-x", AUGUST], OPENAI)
    assert (found.metered_as, found.why) == ({"gpt-x": "gpt-x", AUGUST: AUGUST}, {})
    assert paired([AUGUST], [AUGUST, SEPTEMBER], OPENAI).why == {}


IDS = st.sets(st.sampled_from(["gpt-x", AUGUST, SEPTEMBER, "gpt-y", "gpt-y-2026-08-01", ""]))


@given(IDS, IDS)
def test_no_id_is_ever_given_away_twice(metered: set[str], theirs: set[str]) -> None:
    """Whatever the ids: pairs are one to one, equal ids stay together, and dates are never swapped."""
    found = paired(metered, theirs, OPENAI)
    assert len(set(found.metered_as.values())) == len(found.metered_as)
    assert set(found.metered_as) <= theirs
    assert set(found.metered_as.values()) <= metered
    for theirs_, own in found.metered_as.items():
        assert own == theirs_ or (theirs_ not in metered and own not in theirs)
        assert plain(own, OPENAI) == plain(theirs_, OPENAI)
        assert own == theirs_ or plain(own, OPENAI) in (own, theirs_)
    assert set(found.why).isdisjoint(own for billed_, own in found.metered_as.items() if own != billed_)


# ── in the answer ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dated_bill_is_compared_with_its_plain_calls(ledger: Ledger) -> None:
    """The row says under which id the vendor bills, and the gap and its trend are as with equal ids."""
    later = DAY + timedelta(7)
    meter(ledger, used(DAY), priced(DAY, "1.10"), used(later), priced(later, "1.50"))
    bill(ledger, billed(DAY, "1", AUGUST), billed(later, "1", SEPTEMBER))
    answer = ask(ledger)
    assert [(row.model, row.billed_as, row.state, row.gap, row.why) for row in answer.rows] == [
        ("gpt-x", AUGUST, State.BOTH, Decimal("0.10"), None),
        ("gpt-x", SEPTEMBER, State.BOTH, Decimal("0.50"), None),
    ]
    assert answer.not_metered == ()
    (trend,) = answer.trend
    assert [(week.priced, week.billed) for week in trend.weeks] == [(Decimal("1.10"), 1), (Decimal("1.50"), 1)]
    assert answer.to_json_object()["rows"][0]["billed_as"] == AUGUST


def test_an_unclear_day_shows_both_sides_apart_and_says_why(ledger: Ledger) -> None:
    """No amount is lost, none is put beside another by a guess, and the trend has nothing of it."""
    meter(ledger, used(DAY), priced(DAY, "1"))
    bill(ledger, billed(DAY, "2", AUGUST), billed(DAY, "4", SEPTEMBER))
    answer = ask(ledger)
    assert [(row.model, row.state, row.priced, row.billed, row.gap, row.why) for row in answer.rows] == [
        ("gpt-x", State.PRICED_ONLY, 1, None, None, f"the bill has {AUGUST} and {SEPTEMBER}"),
        (AUGUST, State.BILLED_ONLY, None, 2, None, "calls were metered as gpt-x"),
        (SEPTEMBER, State.BILLED_ONLY, None, 4, None, "calls were metered as gpt-x"),
    ]
    assert (answer.trend, answer.not_metered) == ((), ())


def test_each_day_is_judged_by_its_own_ids(ledger: Ledger) -> None:
    """A day with one candidate is compared though another day has two; a month shows them on rows of their own."""
    later = DAY + timedelta(1)
    meter(ledger, used(DAY), priced(DAY, "1"), used(later), priced(later, "1"))
    bill(ledger, billed(DAY, "2", AUGUST), billed(later, "3", AUGUST), billed(later, "4", SEPTEMBER))
    rows = ask(ledger, "month").rows
    assert [(row.model, row.billed_as, row.state, row.days, row.priced, row.billed) for row in rows] == [
        ("gpt-x", AUGUST, State.BOTH, 1, 1, 2),
        ("gpt-x", None, State.PRICED_ONLY, 1, 1, None),
        (AUGUST, None, State.BILLED_ONLY, 1, None, 3),
        (SEPTEMBER, None, State.BILLED_ONLY, 1, None, 4),
    ]


def test_calls_of_another_day_are_no_candidates(ledger: Ledger) -> None:
    """What calls were named on one day neither helps nor hinders on another."""
    later = DAY + timedelta(1)
    meter(ledger, used(DAY), priced(DAY, "1"), used(later, model=AUGUST), priced(later, "1", model=AUGUST))
    bill(ledger, billed(DAY, "2", AUGUST), billed(later, "3", AUGUST))
    assert [(row.model, row.billed_as, row.state, row.billed, row.why) for row in ask(ledger).rows] == [
        ("gpt-x", AUGUST, State.BOTH, 2, None),
        (AUGUST, None, State.BOTH, 3, None),
    ]


def test_a_bill_of_another_dated_id_is_not_metered(ledger: Ledger) -> None:
    """Two dated ids are two models, and what nobody metered is told as such."""
    meter(ledger, used(DAY, model=AUGUST), priced(DAY, "1", model=AUGUST, sku_id=AUGUST))
    bill(ledger, billed(DAY, "5", SEPTEMBER))
    answer = ask(ledger)
    assert [(row.model, row.state) for row in answer.rows] == [(AUGUST, State.PRICED_ONLY)]
    assert [each.billed for each in answer.not_metered] == [5]


def test_unpriced_use_stays_so_under_a_dated_bill(ledger: Ledger) -> None:
    """A bill found under another id makes no gap where a meter has no price."""
    meter(ledger, used(DAY), priced(DAY, "1"), used(DAY, "7", "cached_input_tokens"))
    bill(ledger, billed(DAY, "1", AUGUST))
    assert [(row.model, row.billed_as, row.state, row.billed, row.gap) for row in ask(ledger).rows] == [
        ("gpt-x", AUGUST, State.UNPRICED, 1, None)
    ]


def test_other_vendors_ids_are_not_taken_apart(ledger: Ledger) -> None:
    """At a vendor that tells of no dated ids, an id with a day is another model."""
    facts = {DAY: [used(DAY), priced(DAY, "1")]}
    put_days(ledger, "acme", "metered", facts, provider="deepseek")
    put_days(ledger, "acme", "import.cost_export", {DAY: [billed(DAY, "1", AUGUST)]}, provider="deepseek")
    answer = ask(ledger)
    assert [(row.model, row.state) for row in answer.rows] == [("gpt-x", State.PRICED_ONLY)]
    assert answer.not_metered[0].billed == 1


DAYS = st.dictionaries(
    st.integers(0, 3),
    st.tuples(st.sets(st.sampled_from(["gpt-x", AUGUST, SEPTEMBER])), st.sets(st.sampled_from(["gpt-x", AUGUST, "z"]))),
    min_size=1,
)
_count = iter(range(10**6))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(DAYS)
def test_no_money_is_lost_or_shown_twice(ledger: Ledger, drawn: dict[int, tuple[set[str], set[str]]]) -> None:
    """Whatever is paired: both sides' sums, with what nobody metered, are those of the ledger."""
    name = f"c{next(_count)}"
    ours: list[tuple[date, str]] = [(DAY + timedelta(n), model) for n, (left, _) in drawn.items() for model in left]
    theirs = [(DAY + timedelta(n), model) for n, (_, right) in drawn.items() for model in right]
    meter(ledger, *(used(day, model=model) for day, model in ours),
          *(priced(day, "1", model=model, sku_id=model) for day, model in ours), connection=name)  # fmt: skip
    bill(ledger, *(billed(day, "100", model) for day, model in theirs), connection=name)
    answer = ask(ledger, "month")
    rows = [row for row in answer.rows if row.connection == name]
    others = [each.billed for each in answer.not_metered if each.connection == name]
    assert sum(row.priced or 0 for row in rows) == len(ours)
    if ours:
        assert sum(row.billed or 0 for row in rows) + sum(others) == 100 * len(theirs)
