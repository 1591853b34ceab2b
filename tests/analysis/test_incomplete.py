"""What an answer does not speak for is said beside it, and is never a zero."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from analysis.staging import NOW, charge, clock, put, put_days, usage
from outlay.analysis import Incomplete, Query, balances, history, invoices, limits, revenue, spend, status
from outlay.analysis import usage as used
from outlay.model.batch import Partition
from outlay.model.facts import Balance, Limit, LimitKind
from outlay.model.period import Period
from outlay.providers import PROVIDERS
from outlay.providers.base import Dataset
from outlay.store import Ledger

TODAY = NOW.date()


def fill(ledger: Ledger, first: date, end: date, *, connection: str = "a", but: Iterable[date] = ()) -> None:
    """Commit a day of cost for each day but some."""
    days = [first + timedelta(days=offset) for offset in range((end - first).days)]
    put_days(ledger, connection, "costs", {day: [charge(day, "1")] for day in days if day not in set(but)})


def told(gaps: Iterable[Incomplete]) -> list[tuple[str, str, date, date, str]]:
    """Return gaps as plain tuples."""
    return [(gap.connection, gap.dataset, *gap.period, gap.why) for gap in gaps]


def test_nothing_synced_is_said(ledger: Ledger) -> None:
    """An empty ledger answers with a reason, not with a zero."""
    answer = spend(ledger, clock=clock)
    assert answer.rows == ()
    assert told(answer.incomplete) == [("*", "*", date(2026, 11, 1), date(2026, 11, 23), "never_synced")]
    assert "outlay sync" in answer.incomplete[0].hint


@pytest.mark.parametrize("question", [used, limits, balances, invoices, revenue])
def test_every_question_says_that_nothing_is_there(ledger: Ledger, question: object) -> None:
    """Each question over an empty ledger has a gap."""
    assert [gap.why for gap in question(ledger, clock=clock).incomplete] == ["never_synced"]  # type: ignore[operator]


def test_a_whole_month_has_no_gap(ledger: Ledger) -> None:
    """Every day up to yesterday is there; the present one is not over and is not held against the answer."""
    fill(ledger, date(2026, 11, 1), TODAY)
    assert spend(ledger, clock=clock).incomplete == ()


def test_neighbouring_missing_days_are_one_gap(ledger: Ledger) -> None:
    """Two gaps of several days are two entries, each with its first day and its exclusive end."""
    missing = [date(2026, 11, 5), date(2026, 11, 6), date(2026, 11, 9)]
    fill(ledger, date(2026, 11, 1), TODAY, but=missing)
    assert told(spend(ledger, clock=clock).incomplete) == [
        ("a", "costs", date(2026, 11, 5), date(2026, 11, 7), "not_synced"),
        ("a", "costs", date(2026, 11, 9), date(2026, 11, 10), "not_synced"),
    ]


def test_days_since_the_last_sync_are_missing(ledger: Ledger) -> None:
    """A ledger that was not synced for days does not call those days zero."""
    fill(ledger, date(2026, 11, 1), date(2026, 11, 19))
    assert told(spend(ledger, clock=clock).incomplete) == [
        ("a", "costs", date(2026, 11, 19), date(2026, 11, 22), "not_synced")
    ]


def test_days_before_the_first_sync_are_missing(ledger: Ledger) -> None:
    """What was never asked for is no zero: neither alone nor as a part of a longer period."""
    fill(ledger, date(2026, 11, 10), TODAY)
    assert told(spend(ledger, clock=clock).incomplete) == [
        ("a", "costs", date(2026, 11, 1), date(2026, 11, 10), "not_synced")
    ]
    before = Query(from_=date(2026, 9, 1), to=date(2026, 10, 1))
    (gap,) = spend(ledger, before, clock=clock).incomplete
    assert told([gap]) == [("a", "costs", date(2026, 9, 1), date(2026, 10, 1), "not_synced")]
    assert "--since" in gap.hint
    assert spend(ledger, Query(from_=date(2026, 11, 10), to=TODAY), clock=clock).incomplete == ()


def test_days_a_vendor_no_longer_tells_of_are_missing_for_good(ledger: Ledger) -> None:
    """Where a vendor tells of today alone no sync brings back the days before, and the hint does not say so."""
    put_days(ledger, "a", "addons", {TODAY: [charge(TODAY, "1")]}, provider="supabase")
    (gap,) = spend(ledger, clock=clock).incomplete
    assert told([gap]) == [("a", "addons", date(2026, 11, 1), TODAY, "not_synced")]
    assert gap.hint.startswith(f"Supabase no longer tells of days before {TODAY}:")


def test_days_a_vendor_still_tells_of_are_named_apart_from_those_it_does_not(ledger: Ledger) -> None:
    """A sync brings the later ones back, and so their entry says how."""
    put_days(ledger, "a", "usage", {TODAY: [charge(TODAY, "1")]}, provider="railway")
    reach = TODAY - timedelta(days=89)
    lost, open_ = spend(ledger, Query(from_=date(2026, 8, 1), to=TODAY), clock=clock).incomplete
    assert told([lost, open_]) == [
        ("a", "usage", date(2026, 8, 1), reach, "not_synced"),
        ("a", "usage", reach, TODAY, "not_synced"),
    ]
    assert lost.hint.startswith(f"Railway no longer tells of days before {reach}:")
    assert "--since" in open_.hint


def test_failed_and_stale_days_name_the_error(ledger: Ledger) -> None:
    """A day that failed and one that only holds old truth carry the error's code and its hint."""
    fill(ledger, date(2026, 11, 1), date(2026, 11, 20))
    days = [date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)]
    ledger.failed([Partition("a", "costs", Period.of_day(day)) for day in days], "access_denied", NOW)
    answer = spend(ledger, clock=clock)
    assert told(answer.incomplete) == [("a", "costs", date(2026, 11, 18), date(2026, 11, 22), "access_denied")]
    assert "key" in answer.incomplete[0].hint
    assert answer.rows[0].billed_cost == 19


def test_only_datasets_with_such_facts_count(ledger: Ledger) -> None:
    """A gap of usage is none of spend, and the other way round."""
    fill(ledger, date(2026, 11, 1), TODAY)
    put(ledger, "a", "usage.completions", Period.of_day(date(2026, 11, 1)), [usage(date(2026, 11, 1), "5")])
    assert spend(ledger, clock=clock).incomplete == ()
    assert told(used(ledger, clock=clock).incomplete) == [
        ("a", "usage.completions", date(2026, 11, 2), date(2026, 11, 22), "not_synced")
    ]


def test_a_kind_of_fact_that_was_never_fetched_is_said(ledger: Ledger) -> None:
    """A connection that has costs and no usage at all says so when asked for usage."""
    fill(ledger, date(2026, 11, 1), TODAY)
    assert [(gap.connection, gap.why) for gap in used(ledger, clock=clock).incomplete] == [("a", "never_synced")]


def test_a_configured_connection_that_is_silent_is_named(ledger: Ledger) -> None:
    """A connection in the configuration without anything in the ledger is missing from the answer by name."""
    fill(ledger, date(2026, 11, 1), TODAY)
    query = Query(configured={"a": "openai", "b": "anthropic"})
    assert [(gap.connection, gap.why) for gap in spend(ledger, query, clock=clock).incomplete] == [
        ("b", "never_synced")
    ]
    only = Query(configured={"a": "openai", "b": "anthropic"}, providers=("openai",))
    assert spend(ledger, only, clock=clock).incomplete == ()


def test_filters_narrow_what_must_be_there(ledger: Ledger) -> None:
    """Another connection's gap is not this question's."""
    fill(ledger, date(2026, 11, 1), TODAY)
    fill(ledger, date(2026, 11, 1), date(2026, 11, 3), connection="b")
    assert spend(ledger, Query(connections=("a",)), clock=clock).incomplete == ()
    assert spend(ledger, Query(where=(("connection", "a"),)), clock=clock).incomplete == ()
    assert [gap.connection for gap in spend(ledger, clock=clock).incomplete] == ["b"]


def test_a_reading_is_incomplete_when_its_last_attempt_failed_or_is_long_ago(ledger: Ledger) -> None:
    """Days between readings are no gap; those since the last are, and a failed one is: the older still shows."""
    limit = Limit(name="spend_limit", scope="organization", kind=LimitKind.SPEND, unit="USD")
    dataset = next(each.name for each in _readings() if Limit in each.yields)
    query = Query(where=(("dataset", dataset),))
    put(ledger, "a", dataset, Period.of_day(date(2026, 11, 3)), [limit])
    assert told(limits(ledger, query, clock=clock).incomplete) == [
        ("a", dataset, date(2026, 11, 4), TODAY, "not_synced")
    ]
    put(ledger, "a", dataset, Period.of_day(TODAY - timedelta(days=1)), [limit])
    assert limits(ledger, query, clock=clock).incomplete == ()
    ledger.failed([Partition("a", dataset, Period.of_day(TODAY))], "retry_later", NOW)
    answer = limits(ledger, query, clock=clock)
    assert told(answer.incomplete) == [("a", dataset, TODAY, TODAY + timedelta(days=1), "retry_later")]
    assert len(answer.rows) == 1


def test_what_was_entered_tells_only_what_it_is(ledger: Ledger) -> None:
    """A balance typed in is no cost, and a cost no use: what nothing tells is unknown all the same."""
    put(ledger, "a", "rate_limits", Period.of_day(TODAY), provider="groq")
    put(
        ledger,
        "a",
        "entered.balance.credits",
        Period.of_day(TODAY),
        [Balance(name="credits", unit="credits", amount=Decimal(5))],
        provider="groq",
    )
    assert [gap.why for gap in spend(ledger, clock=clock).incomplete] == ["cost_unknown"]
    put(ledger, "b", "costs", Period.of_day(TODAY), [charge(TODAY, "1")])
    put(ledger, "b", "entered.charge.plan", Period.of_day(TODAY), [charge(TODAY, "1")])
    assert ("b", "never_synced") in [(gap.connection, gap.why) for gap in used(ledger, clock=clock).incomplete]


def test_what_stood_before_the_first_reading_is_unknown(ledger: Ledger) -> None:
    """No limits are in the ledger for a day that nobody read: that is no answer of there having been none."""
    limit = Limit(name="spend_limit", scope="organization", kind=LimitKind.SPEND, unit="USD")
    dataset = next(each.name for each in _readings() if Limit in each.yields)
    put(ledger, "a", dataset, Period.of_day(TODAY), [limit])
    asked = Query(where=(("dataset", dataset),), to=date(2026, 11, 1))
    answer = limits(ledger, asked, clock=clock)
    assert answer.rows == ()
    assert told(answer.incomplete) == [("a", dataset, date(2026, 10, 1), date(2026, 11, 1), "not_synced")]
    assert f"{TODAY}" in answer.incomplete[0].hint
    assert limits(ledger, Query(where=(("dataset", dataset),)), clock=clock).incomplete == ()


def _readings() -> list[Dataset]:
    openai = next(provider for provider in PROVIDERS if provider.id == "openai")
    return [dataset for dataset in openai.datasets if dataset.grain == "reading"]


def test_a_vendor_that_states_no_cost_is_no_zero(ledger: Ledger) -> None:
    """Where nothing tells what a connection costs it is said with what to do, until something does."""
    put(ledger, "a", "rate_limits", Period.of_day(TODAY), provider="groq")
    (gap,) = spend(ledger, clock=clock).incomplete
    assert told([gap]) == [("a", "*", date(2026, 11, 1), date(2026, 11, 23), "cost_unknown")]
    assert "outlay providers groq" in gap.hint
    assert gap in status(ledger, clock=clock).incomplete
    assert spend(ledger, Query(where=(("dataset", "rate_limits"),)), clock=clock).incomplete == ()
    assert history(ledger, clock=clock).incomplete == ()
    put_days(ledger, "a", "entered.charge", {TODAY: [charge(TODAY, "1")]}, provider="groq")
    assert spend(ledger, clock=clock).incomplete == ()


def test_a_report_of_nothing_is_no_cost_of_an_account_that_is_billed_otherwise(ledger: Ledger) -> None:
    """An empty report of cost beside use in credits leaves the cost unknown; without any use it is nothing."""
    days = [date(2026, 11, 1) + timedelta(days=offset) for offset in range((TODAY - date(2026, 11, 1)).days)]
    put_days(ledger, "a", "costs", {day: [] for day in days}, provider="elevenlabs")
    put_days(ledger, "a", "usage", {day: [] for day in days}, provider="elevenlabs")
    assert spend(ledger, clock=clock).incomplete == ()
    put_days(ledger, "a", "usage", {days[3]: [usage(days[3], "40", meter="credits")]}, provider="elevenlabs")
    assert told(spend(ledger, clock=clock).incomplete) == [
        ("a", "*", days[0], TODAY + timedelta(days=1), "cost_unknown")
    ]
    put_days(ledger, "a", "costs", {days[3]: [charge(days[3], "1")]}, provider="elevenlabs")
    assert spend(ledger, clock=clock).incomplete == ()
