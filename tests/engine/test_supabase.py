"""Supabase end to end: request counts equal the truth, list prices stay a floor, what is missed stays a gap."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.conftest import Bench
from outlay.analysis import Query, limits, spend, usage
from outlay.analysis.coverage import gaps
from outlay.model.facts import Usage
from outlay.providers.supabase.projects import REACH_DAYS
from outlay.simulator import Simulator, World
from outlay.simulator.worlds.supabase import SupabaseAccount

TODAY = date(2026, 11, 22)
COUNTS = """
    SELECT usage_period_start::DATE, meter, sub_account_id, sum(quantity) FROM usage
    WHERE dataset = ? AND NOT derived GROUP BY ALL HAVING sum(quantity) <> 0
"""


def account(one: Any) -> SupabaseAccount:
    """Return the account behind a bench."""
    found = one.world.account("supabase")
    assert isinstance(found, SupabaseAccount)
    return found


def true_counts(one: Any, first: date, end: date | None = None) -> dict[tuple[Any, ...], Decimal]:
    """Return the world's requests by day, meter and project."""
    by = ("day", "meter", "sub_account")
    found = one.world.truth("supabase").usage(by, first, end, dataset="api_counts")
    return {key: quantity for key, quantity in found.items() if quantity}


def counts(one: Any) -> dict[tuple[Any, ...], Decimal]:
    """Return the ledger's requests by day, meter and project."""
    return {tuple(row[:3]): row[3] for row in one.rows(COUNTS, "api_counts")}


def on(day: date, home: Path, seed: int = 3) -> Any:
    """Return a bench of the same world on another day, over the same home."""
    return Bench(Simulator(World(seed, day, 40 - (TODAY - day).days)).start(), home, providers=("supabase",))


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_request_counts_equal_the_truth(seed: int, bench: Callable[..., Any]) -> None:
    """Per day, project and service, for every whole day the vendor still knows and for today; nothing twice."""
    one = bench(seed, providers=("supabase",))
    report = one.sync()
    assert [each.state for each in report.connections] == ["ok"], report.to_json()
    first = TODAY - timedelta(days=REACH_DAYS)
    assert counts(one) == true_counts(one, first)
    assert {row[0] for row in counts(one)} == {first + timedelta(days=n) for n in range(REACH_DAYS + 1)}
    one.sync()
    assert counts(one) == true_counts(one, first)


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_list_prices_are_priced_and_never_billed(seed: int, bench: Callable[..., Any]) -> None:
    """What is selected costs its list price for the day it is read on, to the last digit, and nothing else does."""
    one = bench(seed, providers=("supabase",))
    one.sync()
    found = one.rows(
        "SELECT SubAccountId, SkuId, BilledCost, x_Basis, BillingCurrency, ChargePeriodStart::DATE FROM charges"
    )
    assert {(ref, sku): cost for ref, sku, cost, *_ in found} == account(one).listed(TODAY)
    assert {tuple(row[3:]) for row in found} == {("priced", "USD", TODAY)}
    assert one.rows("SELECT * FROM invoices") == one.rows("SELECT * FROM balances") == []


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_organizations_have_bills_of_their_own(seed: int, bench: Callable[..., Any]) -> None:
    """Each project's list prices stand on the account of its organization, and its use and levels name it."""
    one = bench(seed, providers=("supabase",))
    one.sync()
    owner = {project.ref: project.organization for project in account(one).projects}
    truth: dict[str, Decimal] = {}
    for (ref, _), cost in account(one).listed(TODAY).items():
        key = f"supabase:{owner[ref]}"
        truth[key] = truth.get(key, Decimal(0)) + cost
    found = dict(one.rows("SELECT BillingAccountId, sum(BilledCost) FROM charges GROUP BY ALL"))
    assert found == truth
    assert set(found) == {"supabase:sim-pro", "supabase:sim-own"}
    for table, column in (("usage", "sub_account_id"), ("limits", "sub_account_id")):
        places = one.rows(
            f"SELECT DISTINCT {column}, json_extract_string(details, '$.organization') FROM {table}"
            f" WHERE {column} IS NOT NULL"
        )
        assert places
        assert dict(places) == {ref: owner[ref] for ref, _ in places}
    assert not [seen for seen in one.simulator.requests if "sim-" in seen.path and "/projects/" in seen.path]


def test_list_prices_keep_to_focus_and_leave_the_bill_alone(bench: Callable[..., Any], tmp_path: Path) -> None:
    """An export holds them only where priced charges are asked for, and then they keep to every version of FOCUS."""
    from outlay import export
    from outlay.model.basis import Basis

    one = bench(providers=("supabase",))
    one.sync()
    with one.ledger() as ledger:
        for version in ("1.2", "1.3", "1.4"):
            wanted: dict[str, Any] = {"from_": TODAY, "to": TODAY + timedelta(days=1), "version": version}
            priced = export.focus(ledger, tmp_path / "priced.csv", bases=(Basis.PRICED,), **wanted)
            assert priced.rows > 0
            assert priced.checked.passed, priced.checked.problems
            assert export.focus(ledger, tmp_path / "stated.csv", **wanted).rows == 0


def test_disks_are_levels_and_hours(bench: Callable[..., Any]) -> None:
    """Provisioned gigabytes count for 24 hours and say that they are derived; use is a limit, in bytes, per project."""
    one = bench(providers=("supabase",))
    one.sync()
    hours = one.rows("SELECT sub_account_id, quantity, unit, derived FROM usage WHERE dataset = 'disk'")
    running = account(one).awake
    assert {row[0]: row[1] for row in hours} == {p.ref: 24 * account(one).disk_gb(p, TODAY) for p in running}
    assert {row[2:] for row in hours} == {("gb_hours", True)}
    used = one.rows("SELECT sub_account_id, used, quota - used - remaining FROM limits WHERE name = 'disk'")
    assert {row[0]: row[1] for row in used} == {p.ref: account(one).disk_used(p, TODAY) for p in running}
    assert {row[2] for row in used} == {Decimal(0)}


def test_limits_say_where_they_come_from(bench: Callable[..., Any]) -> None:
    """Entitlements are the vendor's; quotas of a plan are read off its page, with a date, once per organization."""
    one = bench(providers=("supabase",))
    one.sync()
    with one.ledger() as ledger:
        rows = limits(ledger, Query(), clock=one.clock).rows
    published = [row for row in rows if row.dataset == "plan_quotas"]
    assert {str(row.basis) for row in published} == {"derived"}
    assert sorted(row.quota for row in published if row.name == "egress") == [5, 250]
    assert all('"published"' in row[0] for row in one.rows("SELECT details FROM limits WHERE dataset = 'plan_quotas'"))
    assert any(row.unlimited for row in rows if row.dataset == "entitlements")
    assert "branching_limit" not in {row.name for row in rows}


def test_paused_projects_are_named_and_not_asked(bench: Callable[..., Any]) -> None:
    """A paused project has a name and a state, and no request is made for it."""
    one = bench(providers=("supabase",))
    one.sync()
    (paused,) = [project for project in account(one).projects if project.status == "INACTIVE"]
    assert one.rows("SELECT name, state FROM names WHERE id = ?", paused.ref) == [(paused.name, "archived")]
    assert not [seen for seen in one.simulator.requests if paused.ref in seen.path]


def test_a_project_in_an_unknown_state_ends_no_other(bench: Callable[..., Any]) -> None:
    """It is asked, and where it turns out to be paused that is told; everyone else's figures are whole."""
    one = bench(providers=("supabase",))
    one.simulator.faults.add("unknown_enums", path="*/organizations/*/projects", times="forever")
    (connection,) = one.sync().connections
    assert connection.state == "ok"
    (paused,) = [project for project in account(one).projects if project.status == "INACTIVE"]
    told = {each.dataset: problem for each in connection.datasets for problem in each.problems
            if problem.code == "not_offered"}  # fmt: skip
    assert set(told) == {"api_counts", "disk", "disk_util", "disk_autoscale"}
    assert all(paused.ref in problem.where for problem in told.values())
    assert counts(one) == true_counts(one, TODAY - timedelta(days=REACH_DAYS))
    found = one.rows("SELECT SubAccountId, SkuId, BilledCost FROM charges")
    assert {(ref, sku): cost for ref, sku, cost in found} == account(one).listed(TODAY)


def test_only_the_listed_organizations_are_read(bench: Callable[..., Any]) -> None:
    """With `organizations`, nothing of another one is asked for."""
    one = bench(providers=("supabase",), changes={"supabase": {"options": {"organizations": "sim-free"}}})
    one.sync()
    assert one.rows("SELECT DISTINCT parent_id FROM names WHERE kind = 'project'") == [("sim-free",)]
    assert not [seen for seen in one.simulator.requests if "sim-pro" in seen.path]


def test_an_organization_that_is_not_there_settles_no_day(bench: Callable[..., Any]) -> None:
    """A wrong slug leaves every day unknown and not empty; once it is corrected no day within reach is lost."""
    wrong = bench(providers=("supabase",), changes={"supabase": {"options": {"organizations": "sim-fre"}}})
    assert wrong.sync().connections[0].state == "failed"
    first = TODAY - timedelta(days=REACH_DAYS)
    with wrong.ledger() as ledger:
        assert not ledger.committed("supabase")
        missing = usage(ledger, Query(from_=first, to=TODAY), clock=wrong.clock).incomplete
    assert {(gap.dataset, gap.why) for gap in missing} >= {("api_counts", "request_refused")}
    right = replace(wrong, changes={"supabase": {"options": {"organizations": "sim-free,sim-pro,sim-own"}}})
    assert right.sync().connections[0].state == "ok"
    assert counts(right) == true_counts(right, first)


@pytest.mark.parametrize("known", [False, True])
def test_without_the_list_of_projects_no_day_is_settled_as_empty(known: bool, bench: Callable[..., Any]) -> None:
    """While projects cannot be listed their days are missing, and once they can no day within reach is lost."""
    one = bench(providers=("supabase",))
    if known:
        one.sync()
    one.simulator.faults.add("server_error", path="*/organizations/*/projects", times="forever")
    failed = {each.dataset for each in one.sync().connections[0].datasets if each.failed}
    assert failed == {"projects", "addons"} | (
        set() if known else {"api_counts", "disk", "disk_util", "disk_autoscale"}
    )
    with one.ledger() as ledger:
        answer = spend(ledger, Query(from_=TODAY, to=TODAY + timedelta(days=1)), clock=one.clock)
        trouble = {each.partition.dataset for each in ledger.troubles("supabase")}
    assert "addons" in trouble
    assert [str(row.basis) for row in answer.rows] == (["priced"] if known else [])
    one.simulator.faults.clear()
    assert one.sync().connections[0].state == "ok"
    assert counts(one) == true_counts(one, TODAY - timedelta(days=REACH_DAYS))


def test_many_projects_are_read_page_by_page(bench: Callable[..., Any], tmp_path: Path) -> None:
    """More projects than a page holds are all read, each once."""
    simulator = Simulator(World(3, TODAY, 2, scale=60), quotas={"supabase": None}).start()
    one = Bench(simulator, tmp_path / "many", providers=("supabase",), datasets={"supabase": ("projects",)})
    one.sync()
    simulator.stop()
    assert one.rows("SELECT count(*) FROM names WHERE kind = 'project'") == [(len(account(one).projects),)]
    assert len(account(one).projects) > 200
    assert sum("/projects" in seen.path for seen in simulator.requests) == 5


def test_a_quiet_project_is_told_and_is_no_zero(bench: Callable[..., Any]) -> None:
    """A series without a bucket is a warning, and the ledger holds no figure for that project."""
    one = bench(providers=("supabase",))
    (connection,) = one.sync().connections
    (quiet,) = [project for project in account(one).awake if not project.busy]
    problems = [problem for dataset in connection.datasets for problem in dataset.problems]
    assert [quiet.ref in problem.says for problem in problems if problem.code == "series_empty"] == [True]
    assert one.rows("SELECT count(*) FROM usage WHERE dataset = 'api_counts' AND sub_account_id = ?", quiet.ref) == [
        (0,)
    ]


def test_days_that_were_missed_are_gaps(tmp_path: Path) -> None:
    """After a pause longer than the vendor's memory the lost days are named, and the others equal the truth."""
    early, late = on(TODAY - timedelta(days=12), tmp_path), on(TODAY, tmp_path)
    early.sync()
    late.sync()
    first = TODAY - timedelta(days=REACH_DAYS)
    found = counts(late)
    assert {key: value for key, value in found.items() if key[0] >= first} == true_counts(late, first)
    with late.ledger() as ledger:
        query = Query(from_=TODAY - timedelta(days=14), to=TODAY)
        missing = [gap for gap in gaps(ledger, query, (Usage,), late.clock) if gap.dataset == "api_counts"]
        addons = [gap for gap in spend(ledger, query, clock=late.clock).incomplete if gap.dataset == "addons"]
    lost = {day for gap in missing for day in _days(*gap.period)}
    assert {first - timedelta(days=n) for n in range(1, 6)} <= lost
    assert TODAY - timedelta(days=12) in lost, "the day of the early sync was not over, and its rest is lost"
    assert not lost & {first + timedelta(days=n) for n in range(REACH_DAYS)}
    assert {day for gap in addons for day in _days(*gap.period)} >= {TODAY - timedelta(days=n) for n in range(1, 12)}
    for each in (early, late):
        each.simulator.stop()


def test_daily_syncs_keep_every_day(tmp_path: Path) -> None:
    """Synced day by day, request counts are whole beyond the vendor's memory, and each day has its own list prices."""
    days = [TODAY - timedelta(days=n) for n in (9, 6, 3, 0)]
    benches = [on(day, tmp_path) for day in days]
    for one in benches:
        one.sync()
    last = benches[-1]
    assert counts(last) == true_counts(last, days[0] - timedelta(days=REACH_DAYS))
    prices = last.rows("SELECT ChargePeriodStart::DATE, SubAccountId, SkuId, BilledCost FROM charges")
    listed = {(day, *key): cost for day in days for key, cost in account(last).listed(day).items()}
    assert {tuple(row[:3]): row[3] for row in prices} == listed
    for one in benches:
        one.simulator.stop()


def test_an_entered_invoice_is_never_added_to_list_prices(bench: Callable[..., Any]) -> None:
    """The bill the user enters and the floor at list price have their own rows, whatever they are grouped by."""
    from outlay.model.money import Money
    from outlay.model.period import Period
    from outlay.sync.entries import state_typed
    from outlay.sync.entries_facts import Cost, charge

    one = bench(providers=("supabase",))
    one.sync()
    floor = sum(account(one).listed(TODAY).values())
    bill = charge(Cost(Money.of("35", "USD"), "Supabase"), Period.of_day(TODAY))
    with one.ledger() as ledger:
        state_typed(ledger, one.connection("supabase"), bill, reason="enter", by="enter", clock=one.clock)
        rows = spend(ledger, Query(from_=TODAY, to=TODAY + timedelta(days=1)), clock=one.clock).rows
    assert {str(row.basis): row.billed_cost for row in rows} == {"entered": Decimal(35), "priced": floor}


@pytest.mark.parametrize(
    ("key", "state", "codes"),
    [
        ("sim-supabase-wrong", "failed", {"access_denied"}),
        ("sim-supabase-names", "partial", {"permission_missing"}),
        ("sim-supabase-noanalytics", "partial", {"permission_missing", "plan_without_quotas"}),
        ("sim-supabase-full:empty", "failed", {"organization_unseen", "request_refused"}),
    ],
)
def test_lesser_keys_say_what_they_lack(key: str, state: str, codes: set[str], bench: Callable[..., Any]) -> None:
    """A wrong key fails, a lesser one brings what it may, and one that sees no organization leaves all unknown."""
    one = bench(providers=("supabase",), keys={"supabase": key})
    (connection,) = one.sync().connections
    assert connection.state == state
    assert {problem.code for dataset in connection.datasets for problem in dataset.problems} == codes


def test_an_error_with_status_200_keeps_what_was_there(bench: Callable[..., Any]) -> None:
    """An error in the place of a series is a failure: the figures stay, marked stale, and are no zeros."""
    one = bench(providers=("supabase",))
    one.sync()
    before = counts(one)
    account(one).counts_broken = True
    (connection,) = one.sync().connections
    assert counts(one) == before
    assert connection.state == "partial"
    (broken,) = [dataset for dataset in connection.datasets if dataset.dataset == "api_counts"]
    assert {problem.code for problem in broken.problems} == {"error_in_answer"}
    with one.ledger() as ledger:
        answer = usage(ledger, Query(from_=TODAY - timedelta(days=1), to=TODAY), clock=one.clock)
    assert "error_in_answer" in {gap.why for gap in answer.incomplete}


def test_series_that_are_empty_all_at_once_take_nothing_away(bench: Callable[..., Any]) -> None:
    """Requests of yesterday do not unhappen: they stay, marked stale, and are the truth again once it is told again."""
    one = bench(providers=("supabase",))
    one.sync()
    before = counts(one)
    account(one).counts_gone = True
    (connection,) = one.sync().connections
    assert counts(one) == before
    assert connection.state == "partial"
    with one.ledger() as ledger:
        answer = usage(ledger, Query(from_=TODAY - timedelta(days=1), to=TODAY), clock=one.clock)
    assert ("api_counts", "series_empty") in {(gap.dataset, gap.why) for gap in answer.incomplete}
    account(one).counts_gone = False
    assert one.sync().connections[0].state == "ok"
    assert counts(one) == before == true_counts(one, TODAY - timedelta(days=REACH_DAYS))


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "cut"])
def test_faults_that_pass_change_nothing(fault: str, bench: Callable[..., Any]) -> None:
    """A vendor that is busy or broken for a moment is asked again, and the ledger is the truth."""
    one = bench(providers=("supabase",))
    one.simulator.faults.add(fault, times=2)
    assert [each.state for each in one.sync().connections] == ["ok"]
    assert counts(one) == true_counts(one, TODAY - timedelta(days=REACH_DAYS))


def test_a_repeated_page_is_an_error(bench: Callable[..., Any]) -> None:
    """A vendor that answers the first page for ever is told so; no loop runs on."""
    one = bench(providers=("supabase",))
    account(one).projects *= 60
    one.simulator.faults.add("repeat_cursor", path="*projects", times="forever")
    (connection,) = one.sync().connections
    (projects,) = [dataset for dataset in connection.datasets if dataset.dataset == "projects"]
    assert {problem.code for problem in projects.problems} == {"payload_unreadable"}


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((end - first).days)]
