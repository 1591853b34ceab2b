"""Hugging Face end to end: five units of money, days from windows, months of credits, and organizations apart."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.analysis.query import Query
from outlay.analysis.reconcile import mismatches
from outlay.analysis.spend import spend
from outlay.model.problem import Severity
from outlay.simulator.worlds.huggingface import ACME, INFERENCE, SHUT, USER
from outlay.sync.plan import Span
from outlay.sync.replay import replay

Make = Callable[..., Any]
NOVEMBER = date(2026, 11, 1)


def made(make: Make, seed: int = 3, key: str = "fine", **fields: Any) -> Any:
    """Return a bench with the one connection, from the first of October on."""
    return make(
        seed,
        days=52,
        world_days=53,
        providers=("huggingface",),
        keys={"huggingface": f"sim-huggingface-{key}"},
        **fields,
    )


def problems(report: Any) -> dict[str, set[str]]:
    """Return the codes of each dataset's problems."""
    [connection] = report.connections
    return {each.dataset: {problem.code for problem in each.problems} for each in connection.datasets if each.problems}


def charges(bench: Any) -> dict[Any, Decimal]:
    """Return the ledger's cost per day, organization, service and resource; credits per month."""
    found = bench.rows(
        "SELECT ChargePeriodStart::DATE, SubAccountId, IF(ChargeCategory = 'Credit', 'Credit', ServiceName),"
        " ResourceId, sum(BilledCost) FROM charges GROUP BY ALL"
    )
    return {tuple(row[:4]): row[4] for row in found if row[4]}


def true_charges(bench: Any) -> dict[Any, Decimal]:
    """Return the world's cost in the same terms."""
    lines: dict[Any, Decimal] = {}
    for charge in bench.world.truth("huggingface").charges():
        credit = charge.sku == "included-credits"
        day = charge.day.replace(day=1) if credit else charge.day
        key = (day, charge.sub_account, "Credit" if credit else charge.value("service"), charge.resource)
        lines[key] = lines.get(key, Decimal(0)) + charge.billed
    return {key: amount for key, amount in lines.items() if amount}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_money_equals_the_truth(seed: int, bench: Make) -> None:
    """Per day, organization, service and run the cost is the world's, from billionths, millionths and cents alike."""
    one = made(bench, seed)
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    assert charges(one) == true_charges(one) != {}
    for dataset in ("usage", "organization_usage"):
        truth = one.world.truth("huggingface").usage(("day", "meter"), dataset=dataset)
        found = one.rows(
            "SELECT usage_period_start::DATE, meter, sum(quantity) FROM usage WHERE dataset = ? GROUP BY ALL", dataset
        )
        assert {(day, meter): quantity for day, meter, quantity in found} == truth != {}


@pytest.mark.parametrize("seed", [1, 7])
def test_a_month_of_inference_is_use_less_credits_and_never_below_nothing(seed: int, bench: Make) -> None:
    """The included credits are the month's: taken off each day they would swallow the bill."""
    one = made(bench, seed)
    one.sync()
    account = one.world.account("huggingface")
    for owner, name in ((USER, None), (ACME, ACME)):
        used = account.spent(owner, NOVEMBER, date(2026, 12, 1), INFERENCE)
        billed = sum(
            amount for (day, who, service, _), amount in charges(one).items()
            if day >= NOVEMBER and who == name and service in {"Inference Providers", "Credit"}
        )  # fmt: skip
        assert billed == max(Decimal(0), used - {USER: 2, ACME: 6}[owner])


def test_a_month_begun_in_its_middle_is_still_whole(bench: Make) -> None:
    """The credit covers the whole month's use: taken off its last days alone it would leave less than was billed."""
    one = made(bench, changes={"huggingface": {"since": date(2026, 10, 28)}})
    one.sync()
    assert charges(one) == true_charges(one)
    assert min(day for day, *_ in charges(one)) == date(2026, 10, 1)


def test_days_add_up_to_the_months_the_vendor_states(bench: Make) -> None:
    """Each whole month of each bill is compared with its days; a day that is missing shows."""
    one = made(bench)
    one.sync()
    assert one.rows("SELECT count(*) FROM statements") == [(4,)]
    with one.ledger() as ledger:
        query = Query(from_=date(2026, 10, 1), to=date(2026, 12, 1))
        assert mismatches(ledger, query, one.clock) == ()
    diary = one.world.account("huggingface").diaries[ACME]
    day = next(day for day in (NOVEMBER + timedelta(days=n) for n in range(10)) if diary.on(day))
    diary.restate(day, "up")
    one.sync(span=Span(full=True, since=day + timedelta(days=1)))
    with one.ledger() as ledger:
        [found] = mismatches(ledger, query, one.clock)
    assert (found.dataset, found.period[0]) == ("organization_usage", NOVEMBER)
    assert found.stated - found.found > 25


def test_breakdowns_are_part_of_what_they_break_down(bench: Make) -> None:
    """By group, session and job the money is a measurement that names its whole, and it adds up to that whole."""
    one = made(bench)
    one.sync()
    account = one.world.account("huggingface")
    rows = one.rows(
        "SELECT dataset, part_of, sum(quantity) FROM usage WHERE meter = 'cost' AND service_name IN"
        " ('Inference Providers', 'Jobs') AND usage_period_start >= DATE '2026-11-01' GROUP BY ALL"
    )
    found = {dataset: (whole, amount) for dataset, whole, amount in rows}
    december = date(2026, 12, 1)
    user = account.spent(USER, NOVEMBER, december, "inference"), account.spent(USER, NOVEMBER, december, "job")
    acme = account.spent(ACME, NOVEMBER, december, "inference"), account.spent(ACME, NOVEMBER, december, "job")
    assert found == {
        "sessions": ("usage", user[0]),
        "jobs": ("usage", user[1]),
        "organization_sessions": ("organization_usage", acme[0]),
        "resource_groups": ("organization_usage", acme[0] + acme[1]),
    }
    assert one.rows("SELECT count(*) FROM usage WHERE meter = 'cost' AND (part_of IS NULL OR basis IS NULL)") == [(0,)]


def test_placeholders_move_down_again(bench: Make) -> None:
    """Requests that are booked and dropped raise today and lower it again; no older day is touched."""
    one = made(bench)
    account = one.world.account("huggingface")
    account.pending = 3
    one.sync()
    assert sum(charges(one).values()) == sum(true_charges(one).values()) + Decimal("0.03")
    account.pending = 0
    one.sync()
    assert charges(one) == true_charges(one)


def test_whoami_is_asked_once_and_kept(bench: Make) -> None:
    """Its quota is strict: three syncs within hours ask who the token is once, and days that are settled not at all."""
    one = made(bench)
    for _ in range(3):
        one.sync()
    paths = [seen.path for seen in one.simulator.requests]
    assert paths.count("/api/whoami-v2") == 1
    first = int((one.first - date(1970, 1, 1)).total_seconds())
    assert (
        len([seen for seen in one.simulator.requests if f"startDate={first}&endDate={first + 86400}" in seen.query])
        <= 3
    )
    one.clock_ahead = timedelta(hours=7)
    one.sync()
    assert [seen.path for seen in one.simulator.requests].count("/api/whoami-v2") == 2


ALL_SEEN: dict[str, Any] = {"changes": {"huggingface": {"options": {}}}}
"""A connection that reads every organization the token sees, the one that shows no bill among them."""
OF_ORGANIZATIONS = {
    "organization_usage", "organization_credits", "organization_compute", "organization_invoice", "resource_groups",
    "organization_sessions", "spend_limits", "organization_inference_limit", "organization_live",
}  # fmt: skip


def incomplete(one: Any) -> set[tuple[str, str]]:
    """Return the datasets of which an answer about spend says that something is missing, and why."""
    with one.ledger() as ledger:
        answer = spend(ledger, Query(from_=NOVEMBER, to=one.world.today), clock=one.clock)
    return {(each.dataset, each.why) for each in answer.incomplete}


def test_an_organization_that_shows_no_bill_is_a_gap_and_ends_no_other(bench: Make) -> None:
    """Its cost is unknown and not nothing: everyone else's is right, and the answer says what it lacks."""
    one = made(bench, **ALL_SEEN)
    report = one.sync()
    [connection] = report.connections
    assert connection.state == "partial"
    assert problems(report) == {name: {"permission_missing"} for name in OF_ORGANIZATIONS}
    told = [problem for each in connection.datasets for problem in each.problems]
    assert all(SHUT in problem.where and "organizations" in problem.hint for problem in told)
    assert all(problem.severity is Severity.FATAL for problem in told)
    assert charges(one) == true_charges(one)
    lacking = {name for name in OF_ORGANIZATIONS if name in {"organization_usage", "organization_compute",
                                                             "organization_credits"}}  # fmt: skip
    assert incomplete(one) == {(name, "permission_missing") for name in lacking}


def test_what_a_key_may_not_read_is_asked_once_and_not_for_each_day(bench: Make) -> None:
    """Fifty days of an organization that refuses cost no more than the requests that were under way at once."""
    one = made(bench, **ALL_SEEN)
    one.sync()
    asked = [seen for seen in one.simulator.requests if SHUT in seen.path and seen.path.endswith("usage-v2")]
    assert 1 <= len(asked) <= 3 * 4
    assert {seen.status for seen in asked} == {403}


def test_settled_days_of_the_others_are_not_asked_again_while_one_refuses(bench: Make) -> None:
    """Each sync asks whether it still refuses, with a few windows and those that may yet change, and not with all."""
    one = made(bench, **ALL_SEEN)
    one.sync()
    one.clock_ahead = timedelta(hours=1)
    one.sync()
    one.simulator.forget()
    one.sync()
    asked = [seen for seen in one.simulator.requests if f"{ACME}/billing/usage-v2" in seen.path]
    assert len(asked) <= 20, "of fifty-three days and three months"
    assert ("organization_usage", "permission_missing") in incomplete(one)
    one.world.restate("huggingface", one.world.today - timedelta(days=1), "up")
    one.sync()
    assert charges(one) == true_charges(one), "what may change is asked for"


def test_a_refused_organization_is_still_a_gap_after_another_sync_and_a_replay(bench: Make) -> None:
    """Nothing that is looked at again unchanged becomes whole by that; naming the others ends it."""
    one = made(bench, **ALL_SEEN)
    one.sync()
    before = incomplete(one)
    one.sync()
    assert incomplete(one) == before != set()
    with one.ledger() as ledger:
        replay(one.config(), ledger, clock=one.clock)
    assert incomplete(one) == before
    (one.home / "state.sqlite").unlink()
    assert incomplete(one) == before, "told by the tables alone"
    one.changes = {}
    one.sync()
    assert incomplete(one) == set()
    assert charges(one) == true_charges(one)


def test_a_role_that_is_taken_away_replaces_no_whole_day_by_a_part(bench: Make) -> None:
    """What both organizations were is kept and stale; the smaller sum does not take its place."""
    one = made(bench)
    one.sync()
    before = charges(one)
    one.changes = ALL_SEEN["changes"]
    one.world.restate("huggingface", one.world.today - timedelta(days=1), "up")
    one.clock_ahead = timedelta(hours=7)
    assert one.sync().connections[0].state == "partial"
    own = {line: amount for line, amount in true_charges(one).items() if line[1] is None}
    assert {line: amount for line, amount in charges(one).items() if line[1] is None} == own
    theirs = {line: amount for line, amount in before.items() if line[1] is not None}
    assert {line: amount for line, amount in charges(one).items() if line[1] is not None} == theirs
    assert ("organization_usage", "permission_missing") in incomplete(one)


def test_only_named_organizations_are_asked(bench: Make) -> None:
    """The option leaves the others out, in any case."""
    one = made(bench, changes={"huggingface": {"options": {"organizations": "Acme"}}})
    assert problems(one.sync()) == {}
    assert not [seen for seen in one.simulator.requests if SHUT in seen.path]
    assert charges(one) == true_charges(one)


def test_a_named_organization_that_is_not_there_is_a_gap(bench: Make) -> None:
    """One that was renamed costs what it did before: without it the sum is told as lacking, and not as whole."""
    one = made(bench, changes={"huggingface": {"options": {"organizations": "Acme, Renamed"}}})
    report = one.sync()
    assert problems(report)["account"] == {"organization_unseen"}
    assert charges(one) == true_charges(one), "the others are read"
    costs = {"organization_usage", "organization_compute", "organization_credits"}
    assert incomplete(one) == {(name, "permission_missing") for name in costs}
    asked = [seen for seen in one.simulator.requests if "Renamed" in seen.path and seen.path.endswith("usage-v2")]
    assert 1 <= len(asked) <= 3 * 4
    one.changes = {"huggingface": {"options": {"organizations": "Acme"}}}
    one.clock_ahead = timedelta(hours=7)
    one.sync()
    assert incomplete(one) == set()
    assert charges(one) == true_charges(one)


@pytest.mark.parametrize("key", ["user", "plain"])
def test_what_a_token_may_not_read_costs_only_that(key: str, bench: Make) -> None:
    """Without the permission for organizations the user's own bill is whole; without any, identity and ZeroGPU are."""
    one = made(bench, key=key)
    report = one.sync()
    if key == "user":
        own = {line: amount for line, amount in true_charges(one).items() if line[1] is None}
        assert charges(one) == own != {}
    else:
        assert report.connections[0].state == "partial"
        assert problems(report)["usage"] == {"permission_missing"}
        assert charges(one) == {}
    assert one.rows("SELECT used, remaining FROM limits WHERE name = 'zero_gpu'") == [
        (Decimal("187.5"), Decimal("1312.5"))
    ]


def test_a_wrong_token_is_denied(bench: Make) -> None:
    """It is told once per dataset and nothing is written."""
    one = made(bench, key="nobody")
    report = one.sync()
    assert report.connections[0].state == "failed"
    assert set().union(*problems(report).values()) == {"access_denied"}


def test_ceilings(bench: Make) -> None:
    """Spend limits are whole cents, a limit on inference billionths, 0 there is none and 0 of spend is nothing."""
    one = made(bench)
    one.sync()
    found = one.rows("SELECT name, quota FROM limits WHERE kind = 'spend' AND dataset NOT LIKE '%live' ORDER BY 1")
    assert found == [("inference", 25), ("jobs_spend", 0), ("total_spend", 500)]
    account = one.world.account("huggingface")
    bills = dict(
        one.rows("SELECT coalesce(json_extract_string(details, '$.organization'), 'user'), total FROM invoices")
    )
    whole = sum(account.spent(USER, NOVEMBER, date(2026, 12, 1), kind) for kind in ("inference", "job", "run"))
    assert bills["user"] == int(whole * 100) / Decimal(100)


def test_an_empty_account(bench: Make) -> None:
    """Nothing used and no organizations are no problem."""
    one = made(bench, key="fine:empty", changes={"huggingface": {"options": {}}})
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    assert charges(one) == {}


def test_a_restated_day_is_replaced(bench: Make) -> None:
    """A day of the last three that changes is right after the next sync, its month's credit with it."""
    one = made(bench)
    one.sync()
    one.world.restate("huggingface", one.world.today - timedelta(days=1), "up")
    one.world.restate("huggingface", one.world.today, "down")
    one.sync()
    assert charges(one) == true_charges(one)


# ── what is never added ──────────────────────────────────────────────────────────────────────────────────────────


def test_no_wallet_is_made_of_credits_or_limits(bench: Make) -> None:
    """The balance is on a page for people alone: none is told, and no limit claims to come back when a window ends."""
    one = made(bench)
    one.sync()
    assert one.rows("SELECT count(*) FROM balances") == [(0,)]
    assert one.rows("SELECT count(*) FROM limits WHERE kind = 'spend' AND resets_at IS NOT NULL") == [(0,)]


def test_every_charge_is_the_vendors_own_figure(bench: Make) -> None:
    """Nothing is priced from tokens or lists; invoices, gauges and breakdowns add nothing to it."""
    one = made(bench)
    one.sync()
    assert one.rows("SELECT DISTINCT x_Basis FROM charges") == [("billed",)]
    assert {name for (name,) in one.rows("SELECT DISTINCT x_Dataset FROM charges")} == {
        "usage", "organization_usage", "credits", "organization_credits", "compute", "organization_compute",
    }  # fmt: skip
    assert one.rows("SELECT count(*) > 0 FROM invoices") == [(True,)]


def test_an_unknown_product_is_a_run_like_any_other(bench: Make) -> None:
    """The list of products grows often: what is not known costs what it costs."""
    one = made(bench)
    one.simulator.faults.add("unknown_enums", path="*billing/usage")
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    assert charges(one) == true_charges(one)


def test_a_bill_that_is_counted_from_another_day_is_told_and_not_counted_twice(bench: Make) -> None:
    """Where the billing period ended and no other has begun, the month is missing and everything else is right."""
    one = made(bench)
    one.sync()
    before = charges(one)
    account = one.world.account("huggingface")
    account.billing_period = (date(2026, 10, 15), date(2026, 11, 15))
    report = one.sync()
    assert problems(report) == {"compute": {"another_span"}, "organization_compute": {"another_span"}}
    assert charges(one) == before
