"""Lemon Squeezy end to end: revenue counted once, refunds on their day, usage as reported, and no spend at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from engine.conftest import Bench
from outlay.simulator import Simulator, World
from outlay.simulator.faces.base import Quota
from outlay.simulator.faces.lemonsqueezy import TEST_LABEL
from outlay.simulator.worlds.lemonsqueezy import LemonSqueezyAccount, Sale
from outlay.sync import replay

LIVE, TEST = "sim-lemonsqueezy-live", "sim-lemonsqueezy-test"
ONLY: dict[str, Any] = {"providers": ("lemonsqueezy",), "keys": {"lemonsqueezy": LIVE}}
TODAY = date(2026, 11, 22)
SEEDS = (1, 7, 42)
Make = Callable[..., Any]
Sums = dict[tuple[Any, ...], Decimal]


def account(bench: Any) -> LemonSqueezyAccount:
    """Return the account behind the live key."""
    return cast(LemonSqueezyAccount, bench.world.account("lemonsqueezy"))


def earned(bench: Any) -> Sums:
    """Return the ledger's revenue by day, kind, record and currency."""
    found = bench.rows(
        "SELECT revenue_period_start::DATE, kind, record_id, currency, sum(gross) FROM revenue GROUP BY ALL"
    )
    return {tuple(row[:4]): row[4] for row in found}


def true_revenue(bench: Any) -> Sums:
    """Return the world's revenue in the same terms."""
    truth = bench.world.truth("lemonsqueezy")
    return cast(Sums, truth.revenue(("day", "kind", "record", "currency"), bench.first))


def codes(report: Any) -> dict[str, set[tuple[str, str]]]:
    """Return code and severity of the problems of each dataset that has any."""
    [connection] = report.connections
    return {
        each.dataset: {(p.code, p.severity) for p in each.problems} for each in connection.datasets if each.problems
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_revenue_equals_the_truth(seed: int, bench: Make) -> None:
    """Every sale and refund is there once, on its day and in its currency, to the last digit; and nothing is spend."""
    one = bench(seed, **ONLY)
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    assert earned(one) == true_revenue(one)
    kinds = {key[1] for key in earned(one)}
    assert kinds == {"order", "order_refund", "subscription_invoice", "subscription_invoice_refund"}
    assert {key[3] for key in earned(one)} == {"USD", "EUR", "JPY"}
    assert one.rows("SELECT count(*) FROM charges UNION ALL SELECT count(*) FROM invoices") == [(0,), (0,)]
    assert one.rows("SELECT count(net) FROM revenue") == [(0,)]


def test_the_world_holds_the_traps(bench: Make) -> None:
    """Initial invoices, unpaid sales, old sales refunded now, illegible yen and credits are there to be fallen into."""
    one = bench(7, **ONLY)
    sales: list[Sale] = account(one).all_sales()
    assert {sale.reason for sale in sales} == {None, "initial", "renewal", "updated"}
    assert {"pending", "failed", "fraudulent", "void", "paid"} <= {sale.status for sale in sales}
    assert any(sale.at.date() < one.first <= sale.returned for sale in sales if sale.returned and sale.gone(TODAY))
    assert {(sale.decimals, sale.legible) for sale in sales} == {(0, True), (2, True), (0, False), (2, False)}
    assert any(sale.subtotal < 0 for sale in sales)
    assert len([sale for sale in sales if sale.reason is None]) > 100


@pytest.mark.parametrize("seed", SEEDS)
def test_usage_equals_the_truth(seed: int, bench: Make) -> None:
    """Increments add up per day and item; levels and running totals are there and in no sum."""
    one = bench(seed, **ONLY)
    one.sync()
    found = one.rows(
        "SELECT usage_period_start::DATE, meter, resource_id, sum(quantity) FROM usage WHERE dataset = 'usage_records'"
        " GROUP BY ALL"
    )
    ledger = {tuple(row[:3]): row[3] for row in found}
    assert ledger == one.world.truth("lemonsqueezy").usage(("day", "meter", "item"), one.first)
    assert one.rows("SELECT DISTINCT meter FROM usage WHERE part_of IS NULL") == [("increment",)]
    running = dict(one.rows("SELECT resource_id, quantity FROM usage WHERE dataset = 'current_usage'"))
    metered = [each for each in account(one).subscriptions if each.metered and each.start <= TODAY]
    assert running == {str(each.item_id): account(one).current(each) for each in metered}


def test_a_second_sync_changes_nothing(bench: Make) -> None:
    """Reading whole lists again confirms what is there and writes no batch."""
    one = bench(42, **ONLY)
    one.sync()
    before = one.rows("SELECT count(*) FROM batches")
    report = one.sync()
    assert not any(each.restated for each in report.connections[0].datasets)
    assert one.rows("SELECT count(*) FROM batches") == before
    assert earned(one) == true_revenue(one)


def test_a_late_refund_stands_on_its_own_day(bench: Make) -> None:
    """What was sold before the first synced day and refunded later is taken back on the day of the refund."""
    one = bench(7, **ONLY)
    one.sync()
    late = [
        sale
        for sale in account(one).all_sales()
        if sale.gone(TODAY) and sale.at.date() < one.first <= cast(date, sale.returned) and sale.reason != "initial"
    ]
    assert late
    for sale in late:
        found = one.rows(
            "SELECT kind, revenue_period_start::DATE FROM revenue WHERE record_id = ? AND kind NOT LIKE 'sub%'",
            str(sale.id),
        )
        if sale.reason is None:
            assert found == [("order_refund", sale.returned)]


def test_restated_sales_replace_what_was_there(bench: Make) -> None:
    """A sale that changes weeks later is found by the next sync."""
    one = bench(7, **ONLY)
    one.sync()
    day = next(sale.at.date() for sale in reversed(account(one).all_sales()) if sale.at.date() > one.first)
    one.world.restate("lemonsqueezy", day, "up")
    report = one.sync()
    assert any(each.restated for each in report.connections[0].datasets)
    assert earned(one) == true_revenue(one)


def test_one_store_is_one_store(bench: Make) -> None:
    """With the option, sales, subscriptions, items and usage are those of the store, and two stores make the whole."""
    whole = bench(7, **ONLY)
    whole.sync()
    sums: Sums = {}
    items: set[str] = set()
    for shop in account(whole).shops:
        one = bench(7, **ONLY, changes={"lemonsqueezy": {"options": {"store": str(shop.id)}}})
        assert one.sync().connections[0].state == "ok"
        assert {row[0] for row in one.rows("SELECT DISTINCT details->>'store_id' FROM revenue")} == {str(shop.id)}
        sums |= earned(one)
        own = {row[0] for row in one.rows("SELECT DISTINCT resource_id FROM usage")}
        assert own.isdisjoint(items)
        items |= own
    assert sums == earned(whole)
    assert items == {row[0] for row in whole.rows("SELECT DISTINCT resource_id FROM usage")}


def test_a_store_that_is_not_there_is_told(bench: Make) -> None:
    """A mistyped id finds no sales, which is no store without sales."""
    one = bench(7, **ONLY, changes={"lemonsqueezy": {"options": {"store": "1"}}})
    report = one.sync()
    assert report.connections[0].state == "partial"
    assert ("account_mismatch", "fatal") in codes(report)["stores"]


def test_usage_is_read_no_further_back_than_needed(bench: Make) -> None:
    """Once the older days are settled, the newest page of records is enough."""
    one = bench(7, **ONLY, datasets={"lemonsqueezy": ("usage_records",)})
    one.sync()
    first = sum("usage-records" in seen.path for seen in one.simulator.requests)
    one.clock_ahead = timedelta(days=30)
    one.sync()
    one.sync()
    again = sum("usage-records" in seen.path for seen in one.simulator.requests)
    assert first > 1
    assert again - first < 2 * first


def test_test_data_is_no_revenue(bench: Make) -> None:
    """A key of the test mode sees data of its own: nothing of it is earned, and the report warns."""
    one = bench(7, **{**ONLY, "keys": {"lemonsqueezy": TEST}})
    assert one.world.truth("lemonsqueezy", TEST_LABEL).revenue()
    report = one.sync()
    assert earned(one) == {}
    assert ("test_data", "warning") in codes(report)["orders"] & codes(report)["account"]


def test_a_wrong_key_is_denied(bench: Make) -> None:
    """The vendor's shortest error body is understood."""
    one = bench(7, **{**ONLY, "keys": {"lemonsqueezy": "sim-lemonsqueezy-nobody"}})
    report = one.sync()
    assert {code for found in codes(report).values() for code, _ in found} == {"access_denied"}
    assert earned(one) == {}


def test_an_account_without_sales_is_empty_and_known_to_be(bench: Make) -> None:
    """Pages without rows are an answer: settled days of nothing."""
    one = bench(7, **{**ONLY, "keys": {"lemonsqueezy": f"{LIVE}:empty"}})
    assert one.sync().connections[0].state == "ok"
    assert earned(one) == {}
    with one.ledger() as ledger:
        assert len([key for key in ledger.committed("lemonsqueezy") if key.dataset == "orders"]) == one.days + 1


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("rate_limit", {"delay": None}),
        ("rate_limit", {"delay": 3}),
        ("server_error", {"status": 503}),
        ("html", {"status": 502}),
        ("cut", {}),
        ("extra_fields", {}),
        ("duplicate_rows", {}),
        ("string_amounts", {}),
    ],
)
def test_what_passes_or_means_nothing_is_survived(kind: str, more: dict[str, Any], bench: Make) -> None:
    """After a fault that asking again heals, or that changes no meaning, the ledger is the truth."""
    one = bench(7, **ONLY)
    one.simulator.faults.add(kind, provider="lemonsqueezy", **more)
    assert one.sync().connections[0].state == "ok"
    assert earned(one) == true_revenue(one)


@pytest.mark.parametrize(
    ("kind", "more", "code"),
    [
        ("unknown_enums", {"path": "/v1/orders"}, "unknown_object"),
        ("nan_amount", {"path": "/v1/orders"}, "amount_refused"),
        ("nan_amount", {"path": "/v1/orders", "text": None}, "payload_unreadable"),
        ("repeat_cursor", {"path": "/v1/orders"}, "payload_unreadable"),
        ("server_error", {"status": 500, "times": "forever", "path": "/v1/orders"}, "retry_later"),
        ("server_error", {"status": 403, "times": "forever", "path": "/v1/orders"}, "permission_missing"),
        ("server_error", {"status": 404, "times": "forever", "path": "/v1/orders"}, "request_refused"),
    ],
)
def test_what_cannot_be_right_leaves_what_was_there(kind: str, more: dict[str, Any], code: str, bench: Make) -> None:
    """A bad answer about orders is told, stops no other dataset, and takes nothing from the ledger."""
    one = bench(7, **ONLY)
    one.sync()
    one.simulator.faults.add(kind, provider="lemonsqueezy", **more)
    report = one.sync()
    assert report.connections[0].state == "partial"
    assert {found for found, severity in codes(report)["orders"] if severity == "fatal"} == {code}
    assert earned(one) == true_revenue(one)
    one.simulator.faults.clear()
    assert one.sync().connections[0].state == "ok"


def test_calls_left_are_read_from_headers(bench: Make, tmp_path: Path) -> None:
    """The ceiling and what is left stand in the headers alone; an answer without them leaves nothing, and no zero."""
    one = bench(7, **ONLY)
    one.sync()
    assert one.rows("SELECT count(*) FROM limits") == [(0,)], "this bench's simulator has no quota to tell of"
    simulator = Simulator(World(7, TODAY, 3), quotas={"lemonsqueezy": Quota(300, 60, windowed=True)}).start()
    told = Bench(simulator, tmp_path / "told", **{**ONLY, "days": 2})
    told.sync()
    simulator.stop()
    rows = told.rows('SELECT name, kind, quota, used + remaining, remaining < 300, basis, unit, "window" FROM limits')
    assert rows == [("API calls", "rate", 300, 300, True, "header", "requests", "1 minute")]
    with told.ledger() as ledger:
        replayed = replay(told.config(), ledger, clock=told.clock)
    assert not any(each.restated or each.problems for each in replayed.connections[0].datasets if each.dataset != FEES)


FEES = "estimated_fees"
