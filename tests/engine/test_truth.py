"""The ledger equals the world's truth to the last digit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.conftest import TODAY, Bench
from outlay.errors import Exit
from outlay.simulator import FACES, Simulator, World

SEEDS = (1, 7, 42)
TOKENS = """CASE SkuMeter
    WHEN 'uncached-input' THEN 'uncached_input_tokens' WHEN 'output' THEN 'output_tokens'
    WHEN 'cache-read' THEN 'cache_read_input_tokens'
    WHEN 'cache-write-5m' THEN 'cache_creation.ephemeral_5m_input_tokens'
    WHEN 'cache-write-1h' THEN 'cache_creation.ephemeral_1h_input_tokens' END"""
"""The token type a charge is for, None for charges that are not for tokens and therefore have no model in the truth."""
LINES = {
    # provider: our columns, the truth's names for them, and how finely the vendor's answer is grouped
    "openai": (
        "SubAccountId, ChargeDescription, ResourceId",
        ("project_id", "line_item", "api_key_id"),
        ("project_id", "line_item", "api_key_id"),
    ),
    "anthropic": (
        f"x_ApiKeyId, {TOKENS}, IF({TOKENS} IS NULL, NULL, x_Model), IF({TOKENS} IS NULL, NULL, x_ServiceTier)",
        ("api_key_id", "token_type", "model", "service_tier"),
        ("workspace_id", "api_key_id", "model", "service_tier", "context_window", "cost_type", "token_type"),
    ),
    "github": (
        "SubAccountId, SkuId, ResourceId",
        ("sub_account", "sku_id", "resource"),
        ("sub_account", "sku_id", "resource", "cost_center_id", "unit"),
    ),
}


def truth_of(
    world: World, provider: str, first: Any, names: tuple[str, ...], rows: tuple[str, ...], **scope: Any
) -> Any:
    """Return the truth's sums by day and names, without the groups that come to nothing."""
    spends = world.truth(provider, **scope).spend(("day", *names), first, rows=rows)
    return {key: (spend.currency, spend.billed) for key, spend in spends.items() if spend.billed}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_line_equals_the_truth(seed: int, bench: Callable[..., Any]) -> None:
    """Per day, project and line item, in its own currency, nothing is lost, added or rounded away."""
    one = bench(seed)
    report = one.sync()
    assert [each.state for each in report.connections] == ["ok"] * 3, report.to_json()
    for provider, (columns, names, rows) in LINES.items():
        found = one.rows(
            f"SELECT ChargePeriodStart::DATE, {columns}, BillingCurrency, x_Basis, sum(BilledCost) FROM charges"
            " WHERE x_Provider = ? GROUP BY ALL",
            provider,
        )
        assert {row[-2] for row in found} == {"billed"}
        ledger = {tuple(row[:-3]): (row[-3], row[-1]) for row in found if row[-1]}
        assert ledger == truth_of(one.world, provider, one.first, names, rows), provider
        assert ledger


@pytest.mark.parametrize("provider", ["anthropic", "github"])
def test_list_costs_equal_the_truth(provider: str, bench: Callable[..., Any]) -> None:
    """Where the vendor states list prices, their sum is the truth's."""
    one = bench(7, providers=(provider,))
    one.sync()
    found = one.rows("SELECT sum(ListCost), count(*) FILTER (ListCost IS NULL) FROM charges")
    _, _, rows = LINES[provider]
    spend = one.world.truth(provider).spend((), one.first, rows=rows)[()]
    assert found == [(spend.listed, 0)]


@pytest.mark.parametrize("level", ["user", "enterprise"])
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_every_level_of_github_equals_its_truth(level: str, seed: int, bench: Callable[..., Any]) -> None:
    """An enterprise is whole only with every cost centre, deleted ones too, and is never added to its organization."""
    one = bench(seed, days=8, providers=("github",), level=level)
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    truth = one.world.truth("github", scope=level)
    rows = LINES["github"][2]
    assert one.billed("github") == truth.total(one.first, rows=rows)


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_usage_equals_the_truth(seed: int, bench: Callable[..., Any]) -> None:
    """Every meter that both know is equal per day; a total and its parts agree."""
    one = bench(seed)
    one.sync()
    for provider in ("openai", "anthropic"):
        found = one.rows(
            "SELECT usage_period_start::DATE, dataset, meter, sum(quantity) FROM usage"
            " WHERE provider = ? AND part_of IS NULL AND basis IS NULL GROUP BY ALL",
            provider,
        )
        ledger = {tuple(row[:3]): row[3] for row in found if row[3]}
        truth = {key: value for key, value in one.world.truth(provider).usage(start=one.first).items() if value}
        shared = ledger.keys() & truth.keys()
        assert len(shared) > 20, provider
        assert {key: ledger[key] for key in shared} == {key: truth[key] for key in shared}, provider


def test_cached_tokens_are_counted_once(bench: Callable[..., Any]) -> None:
    """The disjoint classes of input tokens add up to the vendor's own total, and not to more."""
    one = bench(7, providers=("openai",))
    one.sync()
    ((found,),) = one.rows(
        "SELECT sum(quantity) FROM usage WHERE dataset = 'usage.completions' AND meter LIKE 'input%'"
    )
    truth = one.world.truth("openai").usage(("meter",), one.first, dataset="usage.completions")
    assert found == truth[("input_tokens",)]


def test_names_are_kept_apart_from_facts(bench: Callable[..., Any]) -> None:
    """Archived projects have names, a project without a name stays without one."""
    one = bench(7, providers=("openai",))
    one.sync()
    found = {row[0]: row[1] for row in one.rows("SELECT id, name FROM names WHERE kind = 'project'")}
    assert found == dict(one.world.truth("openai").names["project"])


def test_an_empty_organization_is_empty_and_known_to_be(bench: Callable[..., Any]) -> None:
    """Nothing used is zero rows of settled days, not a failure and not a gap."""
    one = bench(
        7, keys={name: f"sim-{name}-admin:empty" for name in ("openai", "anthropic")}, providers=("openai", "anthropic")
    )
    report = one.sync()
    assert [each.state for each in report.connections] == ["ok", "ok"], report.to_json()
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]
    with one.ledger() as ledger:
        settled = [key for key in ledger.committed("openai") if key.dataset == "costs"]
    assert len(settled) == one.days + 1


def test_a_second_sync_changes_nothing(bench: Callable[..., Any]) -> None:
    """What is confirmed writes no data file and no batch."""
    one = bench(42)
    one.sync()
    files = {path for path in (one.home / "ledger").rglob("*.parquet") if "limits" not in str(path)}
    before = one.rows("SELECT count(*) FROM batches WHERE dataset NOT LIKE '%limit%'")
    report = one.sync()
    restated = {d.dataset: d.restated for c in report.connections for d in c.datasets if d.restated}
    assert set(restated) <= {"rate_limit"}
    assert {path for path in (one.home / "ledger").rglob("*.parquet") if "limits" not in str(path)} >= files
    assert one.rows("SELECT count(*) FROM batches WHERE dataset NOT LIKE '%limit%'") == before
    assert one.billed("openai") == one.world.truth("openai").total(one.first, rows=LINES["openai"][2])


@pytest.mark.parametrize("kind", ["up", "down", "nothing"])
@pytest.mark.parametrize("provider", sorted(LINES))
def test_a_restated_day_is_replaced_whole(provider: str, kind: str, bench: Callable[..., Any]) -> None:
    """Up, down or only in another order: the ledger follows, never adds, and history tells before and after."""
    one = bench(7, providers=(provider,), days=5)
    one.sync()
    before = one.billed(provider)
    day = max(charge.day for charge in one.world.truth(provider).charges(one.first, one.world.today) if charge.billed)
    one.world.restate(provider, day, kind)
    report = one.sync()
    assert report.connections[0].state == "ok"
    after = one.billed(provider)
    assert after == one.world.truth(provider).total(one.first, rows=LINES[provider][2])
    assert (after != before) == (kind != "nothing")
    restated = sum(d.restated for d in report.connections[0].datasets if d.dataset in {"costs", "usage"})
    assert (restated > 0) == (kind != "nothing")
    if kind != "nothing":
        with one.ledger() as ledger:
            changes = [row for row in ledger.history(connection=provider) if row.before is not None]
        assert changes
        assert Decimal(0) not in {before, after}


def test_a_day_that_ends_while_it_is_synced(tmp_path: Path) -> None:
    """Past midnight a live world has nothing of its next day to tell, and refuses nobody who asks for it."""
    now = [datetime.combine(TODAY, time(23, 59, 59), UTC)]
    world = World(3, TODAY, 6, clock=lambda: now[0])
    with Simulator(world, quotas=dict.fromkeys(FACES)) as simulator:
        one = Bench(simulator, tmp_path / "home", days=4)
        assert one.sync().exit is Exit.DONE
        now[0] += timedelta(seconds=2)
        report = one.sync()
        assert report.exit is Exit.DONE, report.to_json()
        assert one.right()
