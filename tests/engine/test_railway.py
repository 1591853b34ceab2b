"""Railway end to end: measured use priced to the last digit, compared with the vendor's own total, never added."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.conftest import Bench
from outlay.analysis import budgets, limits, spend
from outlay.analysis.query import Query
from outlay.analysis.reconcile import mismatches
from outlay.cli.ceilings import subject
from outlay.simulator import Simulator, World
from outlay.simulator.faces.base import Quota
from outlay.sync import replay

ONLY = {"providers": ("railway",)}
ACCOUNT, MEMBER, PROJECT = "sim-railway-account", "sim-railway-member", "sim-railway-project"
TODAY = date(2026, 11, 22)
Make = Callable[..., Any]


def charges(bench: Any, condition: str = "TRUE") -> Any:
    """Return the ledger's priced lines by day, project, service, environment and measurement."""
    found = bench.rows(
        "SELECT ChargePeriodStart::DATE, SubAccountId, ResourceId, x_Details->>'environmentId', SkuId, x_Basis,"
        f" BillingCurrency, sum(BilledCost) FROM charges WHERE {condition} GROUP BY ALL"
    )
    assert {row[5:7] for row in found} <= {("priced", "USD")}
    return {row[:5]: row[7] for row in found if row[7]}


def true_charges(bench: Any, scope: str | None = None) -> Any:
    """Return the world's lines in the same terms."""
    truth = bench.world.truth("railway", scope=scope)
    spends = truth.spend(("day", "sub_account", "resource", "environment", "sku"), bench.first)
    return {key: each.billed for key, each in spends.items() if each.billed}


def problems(report: Any) -> dict[str, set[str]]:
    """Return the codes of each dataset's problems."""
    [connection] = report.connections
    return {each.dataset: {problem.code for problem in each.problems} for each in connection.datasets if each.problems}


def differences(bench: Any) -> Any:
    """Return the stated totals that the charges do not add up to."""
    with bench.ledger() as ledger:
        return mismatches(ledger, Query(from_=bench.first, to=bench.world.today + timedelta(days=1)), bench.clock)


def optioned(make: Make, key: str, seed: int = 3, days: int = 20, **options: str) -> Any:
    """Return a bench whose connection has a key and options of its own."""
    return make(seed, **ONLY, days=days, keys={"railway": key}, changes={"railway": {"options": options}})


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_priced_use_equals_the_truth(seed: int, bench: Make) -> None:
    """Per day, project, environment, service and measurement, deleted ones too, to the last digit."""
    one = bench(seed, **ONLY)
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    found = charges(one)
    assert found == true_charges(one)
    assert len(found) > 100
    assert differences(one) == ()


@pytest.mark.parametrize("seed", [1, 7])
def test_use_equals_the_truth_and_estimates_stay_apart(seed: int, bench: Make) -> None:
    """Every measurement that is asked for is the world's per day; projections are marked and never charged."""
    one = bench(seed, **ONLY)
    one.sync()
    found = {
        (row[0], row[1]): row[2]
        for row in one.rows(
            "SELECT usage_period_start::DATE, meter, sum(quantity) FROM usage WHERE part_of IS NULL GROUP BY ALL"
        )
    }
    asked = {"CPU_USAGE", "MEMORY_USAGE_GB", "DISK_USAGE_GB", "BACKUP_USAGE_GB", "NETWORK_TX_GB", "NETWORK_RX_GB"}
    truth = one.world.truth("railway").usage(("day", "meter"), one.first)
    assert found == {
        key: quantity.quantize(Decimal(1).scaleb(-18)) for key, quantity in truth.items() if key[1] in asked
    }
    assert {meter for _, meter in truth} > asked, "the world measures what must not be asked for too"
    estimates = one.rows("SELECT meter, part_of FROM usage WHERE dataset = 'estimated_usage'")
    assert estimates
    assert all(meter.startswith("estimated ") and part == "usage" for meter, part in estimates)
    assert one.rows("SELECT DISTINCT x_Dataset FROM charges") == [("usage",)]
    assert one.rows("SELECT count(*) FROM charges WHERE SkuId IN ('NETWORK_RX_GB', 'CPU_USAGE_2')") == [(0,)]


def test_what_no_measurement_exposes_is_shown_and_not_charged(bench: Make) -> None:
    """Buckets and the like make the vendor's total larger: the difference is told, the charges stay what they are."""
    one = bench(7, **ONLY)
    one.world.account("railway").money["main"].unmeasured = Decimal("4.2")
    one.sync()
    (found,) = differences(one)
    assert abs(found.stated - found.found - Decimal("4.2")) < Decimal("0.01")
    assert found.column == "billed_cost"
    assert charges(one) == true_charges(one)


def test_billing_periods_are_anchored(bench: Make) -> None:
    """A charge's billing period runs from the 8th to the 8th, also for days before the present one."""
    one = bench(7, **ONLY)
    one.sync()
    found = one.rows(
        "SELECT DISTINCT ChargePeriodStart::DATE >= DATE '2026-11-08', BillingPeriodStart::DATE, BillingPeriodEnd::DATE"
        " FROM charges ORDER BY 1"
    )
    assert [(late, str(start), str(end)) for late, start, end in found] == [
        (False, "2026-10-08", "2026-11-08"),
        (True, "2026-11-08", "2026-12-08"),
    ]


def test_dollars_cents_and_signs(bench: Make) -> None:
    """Limits of compute are dollars, of agents cents; the credit balance keeps its sign; invoices are cents."""
    one = bench(7, **ONLY)
    one.sync()
    limits = {row[0]: row[1:] for row in one.rows("SELECT name, quota, used, unit, enforced FROM limits")}
    account = one.world.account("railway")
    assert limits["compute hard limit"] == (125, account.current_usage("main"), "USD", True)
    assert limits["agent hard limit"] == (50, Decimal("12.34"), "USD", True)
    assert limits["API points"][0] is None
    assert {row[0]: row[1] for row in one.rows("SELECT name, amount FROM budgets")} == {
        "compute soft limit": 75,
        "agent soft limit": 40,
    }
    balances = {row[0].split()[0]: row[1:] for row in one.rows("SELECT name, amount, details FROM balances")}
    assert set(balances) == {"creditBalance", "remainingUsageCreditBalance"}
    assert balances["creditBalance"][0] == Decimal("-12.5")
    assert '"appliedCredits":"3.25"' in balances["creditBalance"][1]
    invoices = {row[0]: row[1:] for row in one.rows("SELECT invoice_id, total, status, period_start FROM invoices")}
    for said in account.money["main"].invoices:
        total, status, start = invoices[said["invoiceId"]]
        assert (total, status) == (Decimal(said["total"]) / 100, said["status"] or "unknown")
        assert start.day == 8
    assert invoices["sub_main/next"][1] == "upcoming"


def test_whose_limit_it_is_has_a_name(bench: Make) -> None:
    """A person with two workspaces reads their names beside limits and budgets, and not ids of 36 characters."""
    one = optioned(bench, ACCOUNT)
    one.sync()
    workspaces = one.world.account("railway").workspaces.values()
    with one.ledger() as ledger:
        for answer in (limits(ledger, clock=one.clock), budgets(ledger, clock=one.clock)):
            assert answer.rows
            assert answer.names == {workspace.id: workspace.name for workspace in workspaces}
            assert {subject(row, answer.names).partition(" · ")[2] for row in answer.rows} == {
                workspace.name for workspace in workspaces
            }


def test_requests_left_are_read_from_headers(bench: Make, tmp_path: Path) -> None:
    """The ceiling of an hour stands in headers alone; where an answer has none, nothing is told and no zero."""
    one = bench(7, **ONLY, days=2)
    one.sync()
    columns = "quota, used + remaining, remaining < 1000, basis, resets_at > observed_at"
    asked = f"SELECT {columns} FROM limits WHERE name = 'API requests'"
    assert one.rows(asked) == [], "this bench's simulator has no quota to tell of"
    simulator = Simulator(World(7, TODAY, 3), quotas={"railway": Quota(1000, 3600.0, windowed=True)}).start()
    told = Bench(simulator, tmp_path / "told", **ONLY, days=2)
    told.sync()
    simulator.stop()
    assert told.rows(asked) == [(1000, 1000, True, "header", True)]
    with told.ledger() as ledger:
        replayed = replay(told.config(), ledger, clock=told.clock)
    assert not any(each.restated or each.problems for each in replayed.connections[0].datasets)


def test_the_deleted_keep_their_names(bench: Make) -> None:
    """Projects, services and environments are named, those that are gone as deleted, with the use of their days."""
    one = bench(7, **ONLY)
    one.sync()
    names = one.world.truth("railway").names
    for kind in ("project", "service", "environment"):
        found = one.rows("SELECT id, name, state FROM names WHERE kind = ?", kind)
        assert {row[0]: row[1] for row in found} == dict(names[kind])
        assert kind == "environment" or "deleted" in {row[2] for row in found}
    gone = one.rows("SELECT count(*) FROM charges JOIN names ON SubAccountId = id WHERE state = 'deleted'")
    assert gone[0][0] > 0


def test_an_account_s_token_reads_every_workspace_or_the_chosen_one(bench: Make) -> None:
    """Two workspaces are two billing accounts, each compared with its own total; an option chooses one."""
    both = optioned(bench, ACCOUNT)
    report = both.sync()
    assert report.connections[0].state == "ok", report.to_json()
    for scope, workspace in both.world.account("railway").workspaces.items():
        assert charges(both, f"BillingAccountId = 'railway:{workspace.id}'") == true_charges(both, scope)
    assert differences(both) == ()
    for wanted in ("Side & Co", both.world.account("railway").workspaces["side"].id):
        one = optioned(bench, ACCOUNT, workspace=wanted)
        report = one.sync()
        assert report.connections[0].state == "ok", report.to_json()
        assert charges(one) == true_charges(one, "side")


def test_a_workspace_that_is_not_there_settles_no_day(bench: Make) -> None:
    """Without a workspace nothing is asked and nothing known; once it is called right, days of old are read too."""
    wrong = optioned(bench, ACCOUNT, workspace="nobody's")
    report = wrong.sync()
    assert problems(report)["workspaces"] == {"account_mismatch"}
    assert report.connections[0].state == "failed"
    with wrong.ledger() as ledger:
        assert not ledger.committed("railway")
        asked = Query(from_=wrong.first, to=wrong.world.today, configured={"railway": "railway"})
        missing = spend(ledger, asked, clock=wrong.clock).incomplete
    assert [(gap.dataset, gap.period, gap.why) for gap in missing] == [
        ("usage", (wrong.first, wrong.world.today), "request_refused")
    ]
    right = replace(wrong, changes={"railway": {"options": {"workspace": "Side & Co"}}})
    assert right.sync().connections[0].state == "ok"
    assert charges(right) == true_charges(right, "side")


def test_a_project_s_token_goes_in_its_own_header(bench: Make) -> None:
    """It reads its project's use and nothing else; with a bearer, or for another project, it is told apart."""
    project = bench(3, **ONLY).world.account("railway").workspaces["main"].projects[0].id
    one = optioned(bench, PROJECT, project=project)
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    assert charges(one) == {key: cost for key, cost in true_charges(one).items() if key[1] == project}
    assert {each.dataset for each in report.connections[0].datasets} == {
        "project_token", "project_usage", "project_estimated_usage",
    }  # fmt: skip
    as_bearer = optioned(bench, PROJECT)
    assert problems(as_bearer.sync())["workspaces"] == {"access_denied"}
    other = optioned(bench, PROJECT, project="another")
    assert problems(other.sync())["project_token"] == {"account_mismatch"}
    no_project_s = optioned(bench, "sim-railway-workspace", project=project)
    assert problems(no_project_s.sync())["project_token"] == {"access_denied"}


def test_who_may_not_read_billing_still_reads_use(bench: Make) -> None:
    """An unreadable customer costs the billing period and what the account says, never the priced use."""
    one = optioned(bench, MEMBER)
    report = one.sync()
    found = problems(report)
    assert {name: codes for name, codes in found.items() if codes == {"permission_missing"}}.keys() == {
        "customer", "invoices", "agent_usage",
    }  # fmt: skip
    assert charges(one) == true_charges(one)
    assert one.rows("SELECT count(*) FROM balances") == [(0,)]


def test_a_customer_that_cannot_be_read_costs_no_use(bench: Make) -> None:
    """Whatever fails beyond `customer` takes its whole answer with it, so that use is asked for without it then."""
    one = optioned(bench, "sim-railway-customerless", days=5)
    report = one.sync()
    assert problems(report) == {"customer": {"retry_later"}, "invoices": {"retry_later"}}
    assert charges(one) == true_charges(one)
    assert charges(one)


def test_a_dead_token_is_told_once_and_at_once(bench: Make) -> None:
    """The same words mean a dead token where every token is answered: one question, and nothing is overwritten."""
    one = bench(7, **ONLY)
    one.sync()
    before = charges(one)
    one.simulator.forget()
    one.simulator.faults.add("revoked_key", provider="railway")
    report = one.sync()
    assert report.connections[0].state == "failed"
    assert problems(report)["workspaces"] == {"access_denied"}
    assert len(one.simulator.requests) == 1
    assert charges(one) == before


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("rate_limit", {"times": 3}),
        ("server_error", {"times": 2}),
        ("cut", {"times": 2}),
        ("html", {"times": 2}),
        ("extra_fields", {}),
        ("string_amounts", {}),
    ],
)
def test_faults_that_pass_change_nothing(kind: str, settings: dict[str, Any], bench: Make) -> None:
    """Whatever hits the vendor in between, the ledger is the truth in the end."""
    one = bench(7, **ONLY, days=6)
    one.simulator.faults.add(kind, provider="railway", **settings)
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    assert charges(one) == true_charges(one)


@pytest.mark.parametrize("kind", ["duplicate_rows", "unknown_enums", "nan_amount"])
def test_what_cannot_be_right_is_not_committed(kind: str, bench: Make) -> None:
    """A line sent twice, a measurement nobody knows and an amount that is none leave a day as it was."""
    one = bench(7, **ONLY, days=4)
    one.simulator.faults.add(kind, provider="railway")
    report = one.sync()
    assert report.connections[0].state in {"failed", "partial"}
    assert charges(one) == {}
    one.simulator.faults.clear()
    one.sync()
    assert charges(one) == true_charges(one)


@pytest.mark.parametrize("kind", ["up", "down", "nothing"])
def test_a_restated_day_is_replaced_whole(kind: str, bench: Make) -> None:
    """The ledger follows the vendor and never adds."""
    one = bench(7, **ONLY, days=5)
    one.sync()
    truth = one.world.truth("railway")
    one.world.restate(
        "railway", max(each.day for each in truth.charges(one.first, one.world.today) if each.billed), kind
    )
    report = one.sync()
    restated = {each.dataset: each.restated for each in report.connections[0].datasets if each.restated}
    assert ("usage" in restated) == (kind != "nothing")
    assert charges(one) == true_charges(one)


def test_no_more_than_ninety_days_are_asked_for(bench: Make) -> None:
    """A first sync of a long past is cut to what the vendor answers for, and every request only reads."""
    one = bench(3, **ONLY, days=110, world_days=120, datasets={"railway": ("usage",)})
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    (usage,) = (each for each in report.connections[0].datasets if each.dataset == "usage")
    assert usage.partitions == 90
    assert {(seen.method, seen.path, seen.query) for seen in one.simulator.requests} == {
        ("POST", "/graphql/v2", "source=outlay")
    }


def test_a_workspace_without_anything_is_empty_and_known_to_be(bench: Make) -> None:
    """No use is no rows, not a failure; no limit is told as none."""
    one = bench(7, **ONLY, keys={"railway": "sim-railway-workspace:empty"})
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    assert charges(one) == {}
    assert one.rows("SELECT unlimited FROM limits WHERE name = 'compute hard limit'") == [(True,)]


def test_payloads_tell_what_was_asked(bench: Make) -> None:
    """A kept answer names its window and workspace, so that two of one path can be told apart."""
    one = bench(7, **ONLY, days=2)
    one.sync()
    paths = [row[0] for row in one.rows("SELECT path FROM payloads WHERE dataset = 'usage'")]
    assert len(set(paths)) == len(paths) == 3
    workspace = one.world.account("railway").workspaces["main"].id
    assert all(f"workspaceId={workspace}" in path and "startDate=2026-11-2" in path for path in paths)
    assert json.dumps(paths).count("sim-railway") == 0
