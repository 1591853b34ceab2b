"""ElevenLabs end to end: both ways of billing, keys with few permissions, and what must never be added."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.analysis.query import Query
from outlay.analysis.spend import spend as spent
from outlay.analysis.usage import usage
from outlay.errors import Exit
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.simulator import FACES, Simulator, World
from outlay.simulator.worlds.elevenlabs import CREDITS, ElevenLabsAccount
from outlay.sync.entries import state_typed
from outlay.sync.entries_facts import Cost, charge

ONLY = {"providers": ("elevenlabs",)}
FULL, READER = "sim-elevenlabs-full", "sim-elevenlabs-reader"
Make = Callable[..., Any]


def with_label(make: Make, label: str, seed: int = 3, **fields: Any) -> Any:
    """Return a bench whose one connection opens the workspace of a label."""
    return make(seed, **ONLY, keys={"elevenlabs": f"{READER}:{label}"}, **fields)


def problems(report: Any) -> dict[str, set[str]]:
    """Return the codes of each dataset's problems."""
    [connection] = report.connections
    return {each.dataset: {problem.code for problem in each.problems} for each in connection.datasets if each.problems}


def spend(bench: Any, label: str) -> Any:
    """Return the world's cost per day, product, model and kind of a labelled workspace."""
    rows = ("product_type", "model", "fiat_charge_type")
    spends = bench.world.truth("elevenlabs", label).spend(("day", *rows), bench.first, rows=rows)
    return {key: (each.currency, each.billed) for key, each in spends.items() if each.billed}


def charges(bench: Any) -> Any:
    """Return the ledger's cost in the same terms."""
    found = bench.rows(
        "SELECT ChargePeriodStart::DATE, split_part(ChargeDescription, ', ', 1), x_Model, SkuMeter, BillingCurrency,"
        " sum(BilledCost) FROM charges WHERE x_Basis = 'billed' GROUP BY ALL"
    )
    return {tuple(row[:4]): (row[4], row[5]) for row in found if row[5]}


def used(bench: Any, meter: str) -> dict[Any, Decimal]:
    """Return the ledger's measurements of one meter by day."""
    found = bench.rows("SELECT usage_period_start::DATE, sum(quantity) FROM usage WHERE meter = ? GROUP BY 1", meter)
    return dict(found)


def true_use(bench: Any, label: str, meter: str) -> dict[Any, Decimal]:
    """Return the world's measurements of one meter by day."""
    found = bench.world.truth("elevenlabs", label).usage(("day", "meter"), bench.first)
    return {day: quantity for (day, name), quantity in found.items() if name == meter}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_money_equals_the_truth_where_billed_by_cost(seed: int, bench: Make) -> None:
    """Per day, product, model and charge type the cost is the world's to the last digit, in both currencies."""
    for label in ("", "euro"):
        one = with_label(bench, label, seed)
        report = one.sync()
        assert [each.state for each in report.connections] == ["ok"], report.to_json()
        assert charges(one) == spend(one, label) != {}
        assert used(one, "credits") == true_use(one, label, "credits"), "the statistics stand in for the report"


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_credits_equal_the_truth_where_billed_in_credits(seed: int, bench: Make) -> None:
    """Credits, minutes and requests are the world's; the rating of credits is nowhere a cost."""
    one = with_label(bench, "credits", seed)
    report = one.sync()
    assert problems(report) == {"costs": {"not_offered"}}
    for meter in ("credits", "minutes", "requests"):
        assert used(one, meter) == true_use(one, "credits", meter) != {}
    assert used(one, "rated_cost")
    assert one.rows("SELECT DISTINCT basis FROM usage WHERE meter = 'rated_cost'") == [("estimated",)]
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]


def test_a_workspace_said_to_be_billed_in_credits_is_not_asked_for_cost(bench: Make) -> None:
    """With the option, nothing is missing and no question is refused."""
    one = with_label(bench, "credits", changes={"elevenlabs": {"options": {"billing": "credits"}}})
    report = one.sync()
    assert report.connections[0].state == "ok"
    assert not [seen for seen in one.simulator.requests if seen.path == "/v1/workspace/analytics/usage"]


def test_a_move_from_credits_to_cost_loses_and_doubles_nothing(bench: Make) -> None:
    """Before the move credits and no cost, after it cost; credits of every day are counted once."""
    one = with_label(bench, "moved")
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    assert charges(one) == spend(one, "moved") != {}
    assert used(one, "credits") == true_use(one, "moved", "credits")
    assert min(used(one, "minutes")) < min(day for day, *_ in charges(one))


def test_times_are_milliseconds(bench: Make) -> None:
    """Every analytics question is accepted by a vendor that refuses anything shorter than thirteen digits."""
    one = with_label(bench, "")
    one.sync()
    asked = [seen for seen in one.simulator.requests if "analytics" in seen.path]
    assert {seen.method for seen in asked} == {"POST"}
    assert not [seen for seen in asked if seen.status == 422]


@pytest.mark.parametrize(
    ("key", "denied"),
    [("analytics", {"account", "subscription", "members", "groups"}), ("user", {"costs", "members", "groups"})],
)
def test_a_missing_permission_costs_only_its_dataset(key: str, denied: set[str], bench: Make) -> None:
    """ElevenLabs answers 401 for it too; the rest of the connection still works and no one calls the key invalid."""
    one = bench(3, **ONLY, keys={"elevenlabs": f"sim-elevenlabs-{key}"})
    report = one.sync()
    assert report.connections[0].state == "partial"
    assert problems(report) == {name: {"permission_missing"} for name in denied}
    assert used(one, "credits") == true_use(one, "", "credits")
    if key == "analytics":
        assert charges(one) == spend(one, "")


def test_a_spent_key_and_a_wrong_key_are_told_apart(bench: Make) -> None:
    """Both are answered 401: one is out of quota, the other is denied."""
    for key, code in (("sim-elevenlabs-spent", "out_of_quota"), ("sim-elevenlabs-nobody", "access_denied")):
        one = bench(3, **ONLY, keys={"elevenlabs": key})
        report = one.sync()
        assert report.connections[0].state == "failed"
        assert {code} == set().union(*problems(report).values())


def test_readings_of_a_plan(bench: Make) -> None:
    """The ceiling is what is included plus what it may be exceeded by; alike open invoices stay two."""
    one = bench(3, **ONLY, keys={"elevenlabs": FULL})
    one.sync()
    account = one.world.account("elevenlabs")
    [(quota, spent, unlimited)] = one.rows(
        "SELECT quota, used, unlimited FROM limits WHERE name = 'credits' AND scope = 'workspace'"
    )
    assert spent == account.used
    assert unlimited == (account.extension == "unlimited")
    assert unlimited or quota == account.limit + account.extension
    bills = one.rows("SELECT status, basis, count(*), sum(total) FROM invoices GROUP BY ALL ORDER BY 1")
    assert bills == [("open", "billed", 3, Decimal("61.80")), ("upcoming", "estimated", 1, Decimal(264))]
    assert one.rows("SELECT scope, quota FROM limits WHERE name = 'concurrency'") == [
        (f"group:{list(account.groups)[1]}", 5)
    ]


def test_an_empty_free_workspace(bench: Make) -> None:
    """No currency, no reset and no days of cost are no problem."""
    one = with_label(bench, "empty")
    report = one.sync()
    assert problems(report) == {"costs": {"not_offered"}}
    assert one.rows("SELECT count(*) FROM usage") == [(0,)]
    assert one.rows("SELECT resets_at FROM limits WHERE name = 'credits'") == [(None,)]


def test_restated_days_are_replaced(bench: Make) -> None:
    """A late charge of the last days replaces what was there; syncing twice changes nothing."""
    one = with_label(bench, "")
    one.sync()
    day = max(day for day, *_ in charges(one))
    before = charges(one)
    one.sync()
    assert charges(one) == before
    one.world.restate("elevenlabs", day, "up")
    one.sync()
    assert charges(one) == spend(one, "") != before


# ── days told by the subscription's counters ─────────────────────────────────────────────────────────────────────

TODAY = date(2026, 11, 22)
RESET_DAY = date(2026, 12, 4)
ONLY_READINGS: dict[str, Any] = {"datasets": {"elevenlabs": ("subscription",)}}


def moved_to(one: Any, day: date) -> ElevenLabsAccount:
    """Let the bench's world be the same one on a later day, and return the account as it is then."""
    seed, first = one.world.seed, one.world.today - timedelta(days=one.world.days - 1)
    one.simulator.stop()
    one.simulator = Simulator(World(seed, day, (day - first).days + 1), quotas=dict.fromkeys(FACES)).start()
    return account_of(one)


def account_of(one: Any) -> ElevenLabsAccount:
    """Return the workspace billed in credits as it is on the world's day."""
    account = one.world.account("elevenlabs", CREDITS)
    assert isinstance(account, ElevenLabsAccount)
    return account


def derived(one: Any) -> dict[date, Decimal]:
    """Return the credits of each day that the counter told."""
    return dict(
        one.rows("SELECT usage_period_start::DATE, quantity FROM usage WHERE derived AND dataset = 'credits_by_day'")
    )


def estimates(one: Any) -> dict[date, Decimal]:
    """Return the overage of each day that the counter told."""
    return dict(one.rows("SELECT ChargePeriodStart::DATE, BilledCost FROM charges WHERE x_Basis = 'estimated'"))


def gaps(one: Any, dataset: str) -> dict[date, str]:
    """Return the days of a dataset that are known to be no whole, and why."""
    with one.ledger() as ledger:
        troubles = ledger.troubles("elevenlabs")
    return {each.partition.period.first_day: each.problem for each in troubles if each.partition.dataset == dataset}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_days_of_the_counter_are_the_worlds_differences(seed: int, bench: Make) -> None:
    """A sync a day tells each day's credits and overage exactly; the first tells nothing."""
    one = with_label(bench, CREDITS, seed, **ONLY_READINGS)
    before = account_of(one)
    used, due = {}, {}
    assert one.sync().exit is Exit.DONE
    assert (derived(one), estimates(one)) == ({}, {})
    for n in range(1, 7):
        account = moved_to(one, TODAY + timedelta(days=n))
        assert one.sync().exit is Exit.DONE
        used[account.plot.today] = account.used - before.used
        due[account.plot.today] = account.overage - before.overage
        before = account
    assert derived(one) == {day: amount for day, amount in used.items() if amount} != {}
    assert estimates(one) == {day: cost for day, cost in due.items() if cost} != {}
    assert gaps(one, "credits_by_day") == gaps(one, "overage_by_day") == {}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_a_day_without_a_sync_is_a_gap(seed: int, bench: Make) -> None:
    """Neither it nor the day after is told, and no answer passes over that."""
    one = with_label(bench, CREDITS, seed, **ONLY_READINGS)
    one.sync()
    moved_to(one, TODAY + timedelta(days=2))
    report = one.sync()
    missed = {TODAY + timedelta(days=1): "reading_missed", TODAY + timedelta(days=2): "reading_missed"}
    assert derived(one) == estimates(one) == {}
    assert gaps(one, "credits_by_day") == gaps(one, "overage_by_day") == missed
    assert report.exit is Exit.DONE, "a note, because nothing can be done about it"
    assert problems(report) == {"credits_by_day": {"reading_missed"}, "overage_by_day": {"reading_missed"}}
    query = Query(from_=TODAY, to=TODAY + timedelta(days=3))
    with one.ledger() as ledger:
        for answer in (usage(ledger, query, clock=one.clock), spent(ledger, query, clock=one.clock)):
            told = [each for each in answer.incomplete if each.why == "reading_missed"]
            assert told
            assert all("sync daily" in each.hint for each in told)
    before, account = account_of(one), moved_to(one, TODAY + timedelta(days=3))
    one.sync()
    assert derived(one).get(account.plot.today, 0) == account.used - before.used, "and the days go on"


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_the_day_of_a_reset_is_a_gap_and_never_negative(seed: int, bench: Make) -> None:
    """The counter falls when credits come back; what was used of that day before is not known."""
    one = with_label(bench, CREDITS, seed, **ONLY_READINGS)
    moved_to(one, RESET_DAY - timedelta(days=1))
    one.sync()
    before = moved_to(one, RESET_DAY)
    one.sync()
    account = moved_to(one, RESET_DAY + timedelta(days=1))
    one.sync()
    assert gaps(one, "credits_by_day") == gaps(one, "overage_by_day") == {RESET_DAY: "counter_reset"}
    assert derived(one) == {account.plot.today: account.used - before.used}
    assert all(cost > 0 for cost in estimates(one).values())


def test_the_last_reading_of_a_day_counts_and_telling_it_again_changes_nothing(bench: Make) -> None:
    """A later sync of the same day renews its figure; one that reads the same commits nothing."""
    one = with_label(bench, CREDITS, **ONLY_READINGS)
    before = account_of(one).used
    one.sync()
    account = moved_to(one, TODAY + timedelta(days=1))
    one.sync()
    batches = one.rows("SELECT count(*) FROM batches")
    one.sync()
    assert one.rows("SELECT count(*) FROM batches") == batches
    account.restate(account.plot.today, "up")
    one.sync()
    assert derived(one) == {account.plot.today: account.used - before}


def test_what_the_reports_tell_is_not_added_to(bench: Make) -> None:
    """Days of the reports hold the counter's: the sum of all credits is the world's with and without it."""
    one = with_label(bench, CREDITS)
    one.sync()
    account = moved_to(one, TODAY + timedelta(days=1))
    one.sync()
    assert one.rows("SELECT DISTINCT part_of FROM usage WHERE derived") == [("usage",)]
    assert derived(one)
    with one.ledger() as ledger:
        query = Query(from_=one.first - timedelta(days=1), to=TODAY + timedelta(days=2))
        rows = usage(ledger, query, clock=one.clock).rows
    [found] = [row.quantity for row in rows if row.meter == "credits"]
    first = one.first - timedelta(days=1)
    assert found == sum(
        use.credits for n in range((account.plot.today - first).days + 1)
        for use in account.uses.on(first + timedelta(days=n))
    )  # fmt: skip


def test_a_workspace_billed_by_cost_gets_no_estimate(bench: Make) -> None:
    """Its days are billed; a counter that stands still is nobody's cost and no gap of theirs."""
    one = with_label(bench, "")
    one.sync()
    moved_to(one, TODAY + timedelta(days=3))
    report = one.sync()
    assert one.rows("SELECT DISTINCT x_Basis FROM charges") == [("billed",)]
    assert not any("reading_missed" in codes for codes in problems(report).values())
    assert gaps(one, "overage_by_day") == gaps(one, "credits_by_day") == {}


def test_an_entered_fee_does_not_take_the_place_of_the_overage(bench: Make) -> None:
    """A plan's fee and what is due beyond it are two costs: both are told, each by its own basis."""
    one = with_label(bench, CREDITS, 1, **ONLY_READINGS)
    before = account_of(one).overage
    one.sync()
    account = moved_to(one, TODAY + timedelta(days=1))
    one.sync()
    fee = Cost(Money(Decimal(22), "USD"), "ElevenLabs", name="plan")
    month = Period.of_month(TODAY)
    with one.ledger() as ledger:
        connection = one.config().connections["elevenlabs"]
        typed = charge(fee, month, daily=True)
        state_typed(ledger, connection, typed, reason="enter", by="charge", clock=one.clock)
        rows = spent(ledger, Query(from_=month.first_day, to=month.end_day), clock=one.clock).rows
    assert {(row.basis.value, row.billed_cost) for row in rows} == {
        ("entered", Decimal(22)), ("estimated", account.overage - before),
    }  # fmt: skip


def test_what_comes_on_top_of_a_fee_is_not_what_a_workspace_costs(bench: Make) -> None:
    """Without the fee an overage, of nothing or of something, is a part: spend says that the cost is not known."""
    one = with_label(bench, CREDITS, 1)
    one.sync()
    moved_to(one, TODAY + timedelta(days=1))
    one.sync()
    moved_to(one, TODAY + timedelta(days=3))
    one.sync()
    month = Period.of_month(TODAY)
    question = Query(from_=TODAY, to=TODAY + timedelta(days=3))
    with one.ledger() as ledger:
        assert estimates(one) != {}
        lacking = {(gap.dataset, gap.why) for gap in spent(ledger, question, clock=one.clock).incomplete}
        assert lacking == {("*", "cost_unknown"), ("overage_by_day", "reading_missed")}
        connection = one.config().connections["elevenlabs"]
        fee = Cost(Money(Decimal(22), "USD"), "ElevenLabs", name="plan")
        state_typed(ledger, connection, charge(fee, month, daily=True), reason="enter", by="charge", clock=one.clock)
        lacking = {(gap.dataset, gap.why) for gap in spent(ledger, question, clock=one.clock).incomplete}
    assert lacking == {("overage_by_day", "reading_missed")}
