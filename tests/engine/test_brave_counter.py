"""A capped Brave subscription's days, told by its month's counter: apart from every sum, a gap where it cannot tell."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.conftest import TODAY
from engine.test_brave import GETS, Make, Watcher, account, brave
from outlay.analysis import Query, status, usage
from outlay.simulator import FACES, Simulator, World
from outlay.simulator.worlds.brave import MONTH, Subscription


def later(one: Any, days: int) -> None:
    """Let the bench's world be the same one some days later, with the calls that were made in it."""
    world, calls = one.world, account(one).calls
    one.simulator.stop()
    moved = World(world.seed, world.today + timedelta(days=days), world.days + days)
    one.simulator = Simulator(moved, quotas=dict.fromkeys(FACES)).start()
    account(one).calls.update(calls)


def by_counter(one: Any) -> dict[str, Decimal]:
    """Return the requests of each day that the subscription's counter told."""
    rows = one.rows(
        "SELECT usage_period_start::DATE, quantity FROM usage"
        " WHERE derived AND dataset = 'subscription_by_day' AND meter = 'subscription_requests'"
    )
    return {f"{day:%m-%d}": quantity for day, quantity in rows}


def gaps(one: Any) -> dict[str, str]:
    """Return the days of the counter that are not known, and why."""
    with one.ledger() as ledger:
        found = [each for each in ledger.troubles("brave") if each.partition.dataset == "subscription_by_day"]
    return {f"{each.partition.period.first_day:%m-%d}": each.problem for each in found}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_a_capped_subscription_s_days_are_told_by_its_counter(seed: int, bench: Make) -> None:
    """What others used shows too, by days, though each reading tells its reset by another second."""
    one = brave(bench, seed, "capped", probe="free")
    one.sync()
    for made, ahead in ((4, 0.7), (0, -1.2), (9, 40.0)):
        later(one, 1)
        one.clock_ahead = timedelta(seconds=ahead)
        for _ in range(made):
            Watcher(one, "capped").call(GETS[0])  # nobody meters these
        one.sync()
    assert by_counter(one) == {"11-23": 4, "11-25": 9}
    assert gaps(one) == {}


def test_what_the_counter_tells_is_in_no_sum_with_what_was_metered(bench: Make) -> None:
    """Metered calls are a part of it: it is shown alone, where its dataset is asked for, and costs nothing."""
    one = brave(bench, 7, "capped", probe="free")
    one.sync()
    later(one, 1)
    watcher = Watcher(one, "capped")
    for _ in range(3):
        watcher.call(GETS[0])
    for _ in range(5):
        Watcher(one, "capped").call(GETS[0])
    watcher.settle()
    one.sync()
    query = Query(from_=TODAY, to=TODAY + timedelta(days=3), by=("connection",))
    asked = Query(from_=query.from_, to=query.to, by=("connection",), where=(("dataset", "subscription_by_day"),))
    with one.ledger() as ledger:
        whole, apart = (usage(ledger, each, clock=one.clock).rows for each in (query, asked))
    assert [(row.meter, row.quantity) for row in whole] == [("requests", 3)]
    assert [(row.meter, row.quantity) for row in apart] == [("subscription_requests", 8)]
    assert one.rows("SELECT sum(ListCost) FROM charges WHERE ChargeCategory = 'Usage'") == [(Decimal("0.015"),)]


def test_a_day_without_a_reading_and_a_month_that_begins_are_gaps(bench: Make) -> None:
    """A difference over several days belongs to none of them, and one over a reset is no use at all."""
    one = brave(bench, 7, "capped", probe="free")
    one.sync()
    for days in (2, 5, 1, 1, 1):  # 24, 29, 30 November, 1 and 2 December
        later(one, days)
        Watcher(one, "capped").call(GETS[0])
        one.sync()
    assert by_counter(one) == {"11-30": 1, "12-02": 1}
    missed = ("11-23", "11-24", "11-25", "11-26", "11-27", "11-28", "11-29")
    assert gaps(one) == {**dict.fromkeys(missed, "reading_missed"), "12-01": "counter_reset"}
    span = {"from_": TODAY, "to": one.world.today}
    with one.ledger() as ledger:
        asked = usage(ledger, Query(**span, where=(("dataset", "subscription_by_day"),)), clock=one.clock)
        assert {each.why for each in asked.incomplete} == {"reading_missed", "counter_reset"}
        assert usage(ledger, Query(**span), clock=one.clock).incomplete == (), "it is in no sum that could lack it"
        assert status(ledger, clock=one.clock).rows[0].trouble == ()


def test_another_allowance_is_another_counter(bench: Make) -> None:
    """What a plan's change does to the counter is not documented: that day is a gap, and the next is told."""
    one = brave(bench, 7, "capped", probe="free")
    one.sync()
    for _ in range(2):
        later(one, 1)
        subscription = account(one).capped
        changed = Subscription(subscription.plan, ((1, 1), (subscription.month + 5_000, MONTH)))
        account(one).subscriptions["capped"] = account(one).capped = changed
        Watcher(one, "capped").call(GETS[0])
        one.sync()
    assert (by_counter(one), gaps(one)) == ({"11-24": 1}, {"11-23": "counter_reset"})


def test_a_subscription_without_a_cap_has_no_counter(bench: Make) -> None:
    """A limit of 0 says nothing of what was used: no day is told, and none is missing."""
    one = brave(bench, 7, "metered", probe="free")
    for _ in range(3):
        one.sync()
        later(one, 1)
    assert (by_counter(one), gaps(one)) == ({}, {})
