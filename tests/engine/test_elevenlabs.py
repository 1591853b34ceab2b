"""ElevenLabs end to end: both ways of billing, keys with few permissions, and what must never be added."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

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
