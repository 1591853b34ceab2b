"""Google end to end: the billing export summed in BigQuery, what came late, what was taken back, what refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.analysis import Query, spend
from outlay.analysis.budgets import budgets
from outlay.analysis.readings import limits
from outlay.errors import Exit
from outlay.model.problem import Severity
from outlay.simulator.google_key import service_account_key
from outlay.sync.plan import Span
from outlay.sync.replay import replay

Make = Callable[..., Any]
TODAY = date(2026, 11, 22)
OPTIONS = {"project": "sim-billing", "dataset": "billing", "location": "EU"}
SERVICE = "//sim.googleapis.com/"


def made(make: Make, seed: int = 3, kind: str = "reader", label: str = "", **fields: Any) -> Any:
    """Return a bench with the one connection, over its days; `options` are those of the connection."""
    options = {**OPTIONS, **fields.pop("options", {})}
    days = fields.pop("days", 12)
    one = make(seed, days=days, world_days=days + 1, providers=("google",), **fields)
    one.keys = {"google": service_account_key(one.simulator.base_url("google"), kind, label)}
    one.changes = {"google": {"options": options, **one.changes.get("google", {})}}
    return one


def problems(report: Any, *severities: Severity) -> dict[str, set[str]]:
    """Return the codes of each dataset's problems, those that are more than a note."""
    wanted = severities or (Severity.FATAL, Severity.LACKING, Severity.WARNING)
    [connection] = report.connections
    found = {
        each.dataset: {one.code for one in each.problems if one.severity in wanted} for each in connection.datasets
    }
    return {dataset: codes for dataset, codes in found.items() if codes}


def charges(bench: Any) -> dict[Any, Decimal]:
    """Return the ledger's net cost by day, account, invoice month, project, SKU, resource and currency."""
    found = bench.rows(
        "SELECT ChargePeriodStart::DATE, BillingAccountId, strftime(BillingPeriodStart, '%Y%m'), SubAccountId, SkuId,"
        " ResourceId, BillingCurrency, sum(BilledCost) FROM charges GROUP BY ALL"
    )
    return {(row[0], row[1].removeprefix("google:"), *row[2:7]): row[7] for row in found if row[7]}


def true_charges(bench: Any, label: str = "", *, resources: bool = True) -> dict[Any, Decimal]:
    """Return the world's net cost in the same terms."""
    lines: dict[Any, Decimal] = {}
    account = bench.world.account("google", label)
    for charge in account.truth("all").charges():
        if charge.day < bench.first:
            continue
        sku = None if charge.value("cost_type") == "tax" else charge.sku
        resource = SERVICE + charge.resource if charge.resource and resources else None
        key = (charge.day, charge.value("billing_account"), charge.value("invoice_month"), charge.sub_account, sku,
               resource, charge.currency)  # fmt: skip
        lines[key] = lines.get(key, Decimal(0)) + charge.billed
    return {key: amount for key, amount in lines.items() if amount}


def committed(bench: Any) -> dict[date, int]:
    """Return how many batches each day of costs has had."""
    with bench.ledger() as ledger:
        found: dict[date, int] = {}
        for batch in ledger.batches("google", "costs"):
            day = batch.partition.period.first_day
            found[day] = found.get(day, 0) + 1
        return found


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_costs_and_use_equal_the_truth(seed: int, bench: Make) -> None:
    """Net cost of every day, invoice month, project, SKU and resource, in two currencies; use in base units."""
    one = made(bench, seed, days=39)
    report = one.sync()
    assert problems(report) == {}
    assert charges(one) == true_charges(one)
    found = one.rows("SELECT usage_period_start::DATE, sub_account_id, sku_id, sum(quantity) FROM usage GROUP BY ALL")
    true: dict[Any, Decimal] = {}
    for use in one.world.account("google").truth("all").usage_rows(one.first):
        key = (use.day, use.value("sub_account"), use.value("sku"))
        true[key] = true.get(key, Decimal(0)) + use.quantity
    commitments = {"A1F3-0B6D-5C28"}  # bought, not used
    wanted = {key: amount for key, amount in true.items() if amount and key[2] not in commitments}
    assert {tuple(row[:3]): row[3] for row in found} == wanted
    meters = {row[0] for row in one.rows("SELECT DISTINCT meter FROM usage WHERE unit = 'tokens'")}
    assert meters == {"input_tokens", "cached_input_tokens", "output_tokens"}


@pytest.mark.parametrize("label", ["standard", "numeric", "pages", "closed"])
def test_other_exports_hold_the_same_money(label: str, bench: Make) -> None:
    """The standard table alone (without resources), exact money columns, small pages, a closed account."""
    one = made(bench, label=label)
    assert problems(one.sync()) == {}
    assert charges(one) == true_charges(one, label, resources=label != "standard")


def test_late_rows_change_their_old_days_and_no_others(bench: Make) -> None:
    """A day raised by a late row and one taken back are right after the next sync; other old days are not asked for."""
    one = made(bench, days=20)
    one.sync()
    up, down = TODAY - timedelta(days=18), TODAY - timedelta(days=15)
    before = committed(one)
    one.world.restate("google", up, "up")
    one.world.restate("google", down, "down")
    report = one.sync()
    assert problems(report) == {}
    assert charges(one) == true_charges(one)
    after = committed(one)
    assert {day for day in after if after[day] != before.get(day)} == {up, down}
    [costs] = [each for each in report.connections[0].datasets if each.dataset == "costs"]
    assert costs.partitions < 8


def test_rows_that_come_to_nothing_change_nothing(bench: Make) -> None:
    """A row and its reversal make Google tell the day, and the day is what it was."""
    one = made(bench)
    one.sync()
    before = charges(one)
    one.world.restate("google", TODAY - timedelta(days=8), "nothing")
    assert problems(one.sync()) == {}
    assert charges(one) == before == true_charges(one)


def test_focus_is_read_where_it_is_all_there_is(bench: Make) -> None:
    """Google's own FOCUS table of one account is the same net cost; its credits are not added, and that is told."""
    one = made(bench)
    [dollars] = [each for each in one.world.account("google").accounts.values() if each.currency == "USD"]
    one.changes["google"]["options"]["dataset"] = f"gcp_billing_immutable_{dollars.underscored}_eu"
    report = one.sync()
    assert problems(report) == {}
    assert "credits_as_stated" in problems(report, Severity.NOTE)["costs"]
    wanted = {key: amount for key, amount in true_charges(one).items() if key[1] == dollars.id}
    assert charges(one) == wanted


def test_one_of_two_billing_accounts(bench: Make) -> None:
    """`billing_accounts` leaves the other's costs and budgets out."""
    one = made(bench)
    [euros] = [each for each in one.world.account("google").accounts.values() if each.currency == "EUR"]
    one.changes["google"]["options"]["billing_accounts"] = euros.id
    assert problems(one.sync()) == {}
    assert {key[1] for key in charges(one)} == {euros.id}
    assert {row[0] for row in one.rows("SELECT DISTINCT currency FROM budgets")} == {"EUR"}


def test_budgets_caps_and_quotas(bench: Make) -> None:
    """Budgets have their amounts and no spend; a budget of last period's spend is told; a cap and quotas are limits."""
    one = made(bench)
    report = one.sync()
    found = {(row[0], row[1]): row[2] for row in one.rows("SELECT name, currency, amount FROM budgets")}
    assert found.pop(("Launch", "USD")) == 500  # of a span of its own
    true = {(each.name, each.unit): each.quota for each in one.world.account("google").truth("all").limits}
    assert found == true
    assert one.rows("SELECT count(*) FROM budgets WHERE consumed IS NOT NULL") == [(0,)]
    assert "budget_without_figure" in problems(report, Severity.NOTE).get("budgets", set())
    assert one.rows("SELECT count(*) > 0 FROM limits WHERE kind = 'spend'") == [(True,)]
    with one.ledger() as ledger:
        # A budget counts by Google's rules, in Pacific days, over projects by number: no sum of ours is its use.
        assert {row.consumed for row in budgets(ledger, clock=one.clock).rows} == {None}
        assert {row.used for row in limits(ledger, clock=one.clock).rows} == {None}
    assert one.rows("SELECT count(*) > 0 FROM limits WHERE kind = 'rate' AND model IS NOT NULL") == [(True,)]


def test_a_wrong_location_is_no_empty_export(bench: Make) -> None:
    """Another location is refused with the one to set, and nothing is committed."""
    one = made(bench, options={"location": "us-central1"})
    report = one.sync()
    assert problems(report)["costs"] == {"request_refused"}
    [hint] = {each.hint for dataset in report.connections[0].datasets if dataset.dataset == "costs"
              for each in dataset.problems}  # fmt: skip
    assert "location" in hint
    assert charges(one) == {}


def test_more_than_the_cap_is_not_read(bench: Make) -> None:
    """The estimate refuses: nothing is billed, nothing committed, and the number to set is told."""
    one = made(bench, options={"max_bytes_billed": "10485760"})
    assert problems(one.sync())["costs"] == {"request_refused"}
    assert charges(one) == {}


@pytest.mark.parametrize(
    ("kind", "failing"),
    [
        ("no-jobs", {"costs": {"permission_missing"}}),
        ("no-data", {"costs": {"permission_missing"}}),
        ("no-bigquery", {"costs": {"permission_missing"}}),
        ("no-budgets", {"budgets": {"permission_missing"}}),
        ("no-quotas", {"gemini_quotas": {"permission_missing"}}),
    ],
)
def test_a_missing_role_costs_its_dataset_alone(kind: str, failing: dict[str, set[str]], bench: Make) -> None:
    """What the credential may read is read; what it may not is named."""
    one = made(bench, kind=kind)
    assert problems(one.sync()) == failing
    assert bool(charges(one)) == ("costs" not in failing)


def test_no_billing_role_is_said_and_no_error(bench: Make) -> None:
    """An empty list of billing accounts means none is in sight; costs come from the export all the same."""
    one = made(bench, kind="no-billing")
    report = one.sync()
    assert problems(report) == {}
    assert "no_billing_accounts" in problems(report, Severity.NOTE)["billing_accounts"]
    assert charges(one) == true_charges(one)


def test_interfaces_that_are_switched_off_are_named(bench: Make) -> None:
    """Not offered, with the command that switches one on; missing costs are an error."""
    one = made(bench, kind="apis-off")
    report = one.sync()
    told = {each.code for dataset in report.connections[0].datasets for each in dataset.problems}
    hints = {each.hint for dataset in report.connections[0].datasets for each in dataset.problems}
    assert told == {"not_offered"}
    assert any("gcloud services enable" in hint for hint in hints)
    assert problems(report)["costs"] == {"not_offered"}


def test_an_export_that_has_not_begun_is_not_no_cost(bench: Make) -> None:
    """A dataset without export tables says how to switch it on, and no day is said to be known."""
    one = made(bench, label="new")
    report = one.sync()
    assert problems(report)["costs"] == {"not_offered"}
    with one.ledger() as ledger:
        assert [each for each in ledger.committed("google") if each.dataset == "costs"] == []


def test_days_before_the_export_began_are_not_known(bench: Make) -> None:
    """What an export holds nothing of is missing from answers, is no failure, and is not read over and over."""
    one = made(bench, days=6)
    begun = one.world.account("google").plot.first_day
    one.changes["google"] |= {"since": begun - timedelta(days=30)}
    report = one.sync()
    assert report.exit is Exit.DONE
    assert problems(report)["costs"] == {"not_exported"}
    first = min(key[0] for key in charges(one))
    asked = Query(from_=begun - timedelta(days=30), to=TODAY, configured={"google": "google"})
    with one.ledger() as ledger:
        (gap,) = spend(ledger, asked, clock=one.clock).incomplete
    assert (gap.connection, gap.dataset, gap.why) == ("google", "costs", "not_exported")
    assert gap.period == (begun - timedelta(days=30), min(first, begun))
    [costs] = [each for each in one.sync().connections[0].datasets if each.dataset == "costs"]
    assert costs.partitions <= 2
    assert {str(each.severity) for each in costs.problems} <= {"note"}
    with one.ledger() as ledger:
        assert replay(one.config(), ledger, clock=one.clock).exit is Exit.DONE
        assert spend(ledger, asked, clock=one.clock).incomplete == (gap,)


def test_part_of_the_days(bench: Make) -> None:
    """A span holds its days and no more."""
    one = made(bench)
    first = TODAY - timedelta(days=9)
    one.sync(span=Span(since=first, until=first + timedelta(days=3)))
    assert {key[0] for key in charges(one)} <= {first, first + timedelta(days=1), first + timedelta(days=2)}
    assert charges(one)


def test_no_key_is_written_anywhere(bench: Make) -> None:
    """Neither the private key nor a token is in any file, report or payload."""
    one = made(bench)
    one.sync()
    pem = json.loads(one.keys["google"])["private_key"]
    lines = {text for text in pem.splitlines() if "PRIVATE" not in text and len(text) > 16}
    assert one.leaks([json.dumps(report.to_json()) for report in one.reports], lines | {"sim-google-reader-"}) == []


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "html", "cut"])
def test_faults_that_pass_change_nothing(fault: str, bench: Make) -> None:
    """A busy or broken answer in the middle of a query is asked for again; the query is run once all the same."""
    one = made(bench, days=6)
    one.simulator.faults.add(fault, path="*/queries*", times=2, status=503 if fault == "html" else None)
    assert problems(one.sync()) == {}
    assert charges(one) == true_charges(one)


def test_a_token_that_is_refused_is_minted_again(bench: Make) -> None:
    """A token revoked in the middle of a sync costs one more; the connection goes on."""
    one = made(bench, days=6)
    one.simulator.faults.add("revoked_key", path="*/queries", times=1)
    assert problems(one.sync()) == {}
    assert charges(one) == true_charges(one)


@pytest.mark.parametrize(("fault", "label"), [("duplicate_rows", ""), ("repeat_cursor", "pages")])
def test_a_result_that_does_not_add_up_is_not_committed(fault: str, label: str, bench: Make) -> None:
    """Rows sent twice and pages that repeat are told by the count of rows and by their tokens."""
    one = made(bench, label=label, days=6)
    one.simulator.faults.add(fault, path="*/queries*", times="forever")
    assert problems(one.sync())["costs"] == {"payload_unreadable"}
    assert charges(one) == {}
