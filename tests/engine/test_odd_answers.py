"""Whole syncs against answers, clocks and days that are odd.

Each test asks for the same four things: the user learns what happened and what to do; the number is the truth or the
old truth; nothing committed is lost; no credential is anywhere (the `bench` fixture searches for it). When the fault
is over, one more sync gives exactly the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.striking import ALL, EVERY_DAY, FEW, problems, repaired, restate, stale, states, struck, sums, synced
from outlay.errors import Exit
from outlay.sync.plan import Span


@pytest.mark.parametrize("kind", ["extra_fields", "string_amounts"])
def test_what_changes_nothing(kind: str, bench: Callable[..., Any]) -> None:
    """Fields nobody knows and amounts written as text give the same ledger, so that nothing is even restated."""
    one = synced(bench)
    one.simulator.faults.add(kind)
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.DONE, report.to_json()
    assert not any(dataset.restated for each in report.connections for dataset in each.datasets)
    assert one.right()
    repaired(one)


def test_names_nobody_has_heard_of(bench: Callable[..., Any]) -> None:
    """A new line item, tier or SKU is booked under the name it came with, and every day's sum is exact."""
    one = synced(bench)
    one.simulator.faults.add("unknown_enums")
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.DONE, report.to_json()
    for provider in ALL:
        assert sums(one.days_of(provider)) == sums(one.true_days(provider)), provider
    assert one.rows("SELECT count(*) FROM charges WHERE lower(SkuId) LIKE '%unheard%'") != [(0,)]
    repaired(one)


def test_rows_of_a_kind_nobody_has_heard_of(bench: Callable[..., Any]) -> None:
    """A row of another kind might be anything: its days keep their old truth."""
    one = synced(bench, providers=("openai",))
    one.simulator.faults.add("unknown_kinds")
    report = struck(one)
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, "openai")) == {"unknown_object"}
    assert stale(one, "openai")
    repaired(one)


def test_dimensions_that_are_null(bench: Callable[..., Any]) -> None:
    """Null is unknown: the day's sum is exact, or where lines can no longer be told apart the old truth stands."""
    one = synced(bench)
    before = {provider: one.days_of(provider) for provider in ALL}
    one.simulator.faults.add("null_dimensions")
    report = one.sync(span=EVERY_DAY)
    for provider in ALL:
        found = problems(report, provider)
        if found:
            assert set(found) == {"duplicate_rows"}
            assert one.days_of(provider) == before[provider]
        assert sums(one.days_of(provider)) == sums(one.true_days(provider)), provider
    assert states(report)["openai"] == states(report)["github"] == "ok"
    repaired(one)


@pytest.mark.parametrize("provider", ALL)
def test_an_amount_that_is_negative(provider: str, bench: Callable[..., Any]) -> None:
    """A correction is booked as it came, as a credit."""
    one = synced(bench, providers=(provider,))
    amount = "-3.25"
    one.simulator.faults.add("nan_amount", text=amount)
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.DONE, report.to_json()
    booked = one.rows("SELECT DISTINCT BilledCost, ChargeCategory FROM charges WHERE BilledCost < 0")
    assert {category for _, category in booked} <= {"Credit"}
    if provider == "openai":  # the others have several amounts in a row, and any one of them may be the bent one
        assert booked == [(Decimal(amount), "Credit")]
    repaired(one)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400"])
@pytest.mark.parametrize("provider", ALL)
def test_an_amount_that_is_no_number(provider: str, text: str, bench: Callable[..., Any]) -> None:
    """Its day keeps the old truth and is stale; the other days are renewed."""
    one = synced(bench, providers=(provider,))
    before = one.days_of(provider)
    restate(one, provider)
    one.simulator.faults.add("nan_amount", text=text)
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, provider)) == {"amount_refused"}
    broken, true, now = stale(one, provider), one.true_days(provider), one.days_of(provider)
    assert broken
    assert all(now.get(day) == (before if day in broken else true).get(day) for day in {*before, *true})
    repaired(one)


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_rows_that_come_twice(provider: str, bench: Callable[..., Any]) -> None:
    """Two equal lines are not added up: the day keeps its old truth, marked stale."""
    one = synced(bench, providers=(provider,))
    before = one.days_of(provider)
    restate(one, provider)
    one.simulator.faults.add("duplicate_rows")
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, provider)) == {"duplicate_rows"}
    broken, true, now = stale(one, provider), one.true_days(provider), one.days_of(provider)
    assert broken
    assert all(now.get(day) == (before if day in broken else true).get(day) for day in {*before, *true})
    repaired(one)


def test_a_page_of_fifty_megabytes(outside: Callable[..., Any]) -> None:
    """A page may be that large and gives the exact truth; the process stays far below a gigabyte."""
    away = outside(days=2, datasets=FEW, providers=("openai",))
    away.bench.simulator.faults.add("huge", path="*costs", megabytes=50)
    status, said, peak = away.peak("sync", "--quiet")
    assert status == 0, said
    assert away.bench.simulator.faults.active() == []
    assert away.bench.right()
    assert peak < 600 * 2**20


def test_a_page_larger_than_any(bench: Callable[..., Any]) -> None:
    """Beyond the bound a page is refused while it comes in, with what to do, and the old truth stands."""
    one = synced(bench, providers=("openai",), datasets={"openai": ("costs",)})
    one.simulator.faults.add("huge", megabytes=70, times="forever")
    report = struck(one)
    found = problems(report, "openai")["payload_unreadable"]
    assert "MiB" in found.says
    assert stale(one, "openai")
    repaired(one)


# ── clocks and days ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_a_day_off(days: int, bench: Callable[..., Any]) -> None:
    """The user is warned which way the clock is off; once it is right, so is the ledger."""
    one = bench(days=4, datasets=FEW, clock_ahead=timedelta(days=days))
    report = one.sync()
    for provider in ALL:
        found = problems(report, provider)["clock_skew"]
        assert found.severity.value == "warning"
        assert ("ahead of" if days > 0 else "behind") in found.says
    true = {provider: one.true_days(provider) for provider in ALL}
    for provider in ALL:
        assert all(lines == true[provider][day] for day, lines in one.days_of(provider).items())
    one.clock_ahead = timedelta()
    for provider in ALL:
        restate(one, provider)
    report = one.sync()
    assert report.exit is Exit.DONE, report.to_json()
    assert one.right()
    # Tomorrow was asked for and refused; it stays noted until it has come.
    assert all(stale(one, provider) <= {one.world.today + timedelta(days=1)} for provider in ALL)


def test_days_long_before_there_was_anything(bench: Callable[..., Any]) -> None:
    """Asked since 1970, a vendor is asked within its bounds and what there is comes exactly."""
    one = bench(days=39, datasets=FEW, providers=("openai",))
    report = one.sync(span=Span(since=date(1970, 1, 1)))
    assert states(report) == {"openai": "ok"}, report.to_json()
    assert len(one.simulator.requests) < 100
    assert one.right()
    assert one.sync().exit is Exit.DONE
    assert one.right()


def test_days_that_are_yet_to_come(bench: Callable[..., Any]) -> None:
    """A wish for the future asks for nothing, fails nothing and leaves no gap that is taken for zero."""
    one = synced(bench)
    report = one.sync(span=Span(since=date(2099, 1, 1)))
    assert report.exit is Exit.DONE
    until = one.sync(span=Span(until=date(2099, 1, 1)))
    assert until.exit is Exit.DONE
    assert one.right()
    with one.ledger() as ledger:
        assert max(
            each.period.end for each in ledger.committed("github", "usage")
        ).date() <= one.world.today + timedelta(1)


def test_an_empty_organization_that_fills(bench: Callable[..., Any]) -> None:
    """Nothing used is nothing billed and no failure; what comes later is found."""
    one = bench(days=4, datasets=FEW)
    one.simulator.faults.add("empty_organization")
    report = one.sync()
    assert report.exit is Exit.DONE, report.to_json()
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]
    repaired(one)


def test_a_project_without_a_name(bench: Callable[..., Any]) -> None:
    """An id that has no name is shown by its id, with its money."""
    one = synced(bench, providers=("openai",), days=10)
    nameless = {key for key, name in one.world.truth("openai").names["project"].items() if not name}
    assert nameless
    found = dict(one.rows("SELECT id, name FROM names WHERE kind = 'project'"))
    assert {key for key, name in found.items() if not name} == nameless
    assert one.right()
