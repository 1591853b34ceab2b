"""Lemon Squeezy's face: JSON:API headers, numbered pages, three shapes of refusal, and money told twice on purpose."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from outlay.simulator.shapes import check
from simulator.asking import Asker, Got

MEDIA = "application/vnd.api+json"
HEADERS = {"accept": MEDIA, "content-type": MEDIA}
LISTS = ("orders", "subscription-invoices", "subscriptions", "subscription-items", "usage-records", "stores")


def ask(asker: Asker, path: str, *query: tuple[str, object], **more: Any) -> Got:
    """Ask with the headers the vendor wants."""
    return asker("lemonsqueezy", f"/v1/{path}", list(query), **{"headers": HEADERS, **more})


def everything(asker: Asker, path: str, *query: tuple[str, object]) -> list[Any]:
    """Return all rows of a list, by its own page numbers."""
    rows: list[Any] = []
    for number in range(1, 1000):
        page = ask(asker, path, ("page[size]", 100), ("page[number]", number), *query).json
        rows += page["data"]
        if page["meta"]["page"]["currentPage"] >= page["meta"]["page"]["lastPage"]:
            assert "next" not in page["links"]
            return rows
        assert "next" in page["links"]
    raise AssertionError("the list never ends")


@pytest.mark.parametrize("label", ["", ":empty"], ids=["full", "empty"])
def test_answers_keep_to_the_contract(asker: Asker, label: str) -> None:
    """Every list, the key's user, a running total and every refusal have the shapes the vendor documents."""
    key = f"sim-lemonsqueezy-live{label}"
    for path in (*LISTS, "users/me"):
        for query in ((), (("page[size]", 3), ("page[number]", 2)), (("utterly", "unknown"),), (("page[size]", 101),)):
            got = ask(asker, path, *query, key=key)
            assert got.status in ({400} if query and (path == "users/me" or query[0][1] != 3) else {200})
            check("lemonsqueezy", f"/v1/{path}", got.status, got.body)
    for row in ask(asker, "subscription-items", key=key).json["data"]:
        got = ask(asker, f"subscription-items/{row['id']}/current-usage", key=key)
        assert got.status == (200 if row["attributes"]["is_usage_based"] else 404)
        check("lemonsqueezy", "/v1/subscription-items/{id}/current-usage", got.status, got.body)


def test_pages_hold_every_row_once_and_the_newest_first(asker: Asker) -> None:
    """Any page size gives the same rows in the same order."""
    for path in LISTS[:2]:
        rows = everything(asker, path)
        assert len({row["id"] for row in rows}) == len(rows) > 20
        times = [row["attributes"]["created_at"] for row in rows]
        assert times == sorted(times, reverse=True)
        assert ask(asker, path).json["data"] == rows[:10]


@pytest.mark.parametrize("missing", ["accept", "content-type"])
def test_both_headers_are_needed(asker: Asker, missing: str) -> None:
    """Without the media type, in either place, nothing is answered."""
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    assert ask(asker, "orders", headers=headers).status in {406, 415}


def test_refusals_have_three_shapes(asker: Asker) -> None:
    """An unknown key has a message, a wrong parameter errors, and a failure an error."""
    assert ask(asker, "orders", key=None).json == {"message": "Unauthenticated."}
    assert ask(asker, "orders", ("page[number]", 0)).json["errors"][0]["source"] == {"parameter": "page[number]"}
    asker.faults.add("server_error", provider="lemonsqueezy")
    assert set(ask(asker, "orders").json) == {"error"}


def test_the_quota_is_told_on_success_alone(asker: Asker) -> None:
    """What is left of 300 calls a minute stands on answers, and on no refusal; the 301st is refused without a delay."""
    assert ask(asker, "orders").headers["x-ratelimit-remaining"] == "299"
    assert "x-ratelimit-remaining" not in ask(asker, "orders", ("x", 1)).headers
    for _ in range(298):
        ask(asker, "users/me")
    got = ask(asker, "users/me")
    assert got.status == 429
    assert "retry-after" not in got.headers


def test_an_initial_invoice_is_its_orders_money(asker: Asker) -> None:
    """For each there is an order of the same total, which is why only one of the two may be counted."""
    orders = {row["id"]: row["attributes"] for row in everything(asker, "orders")}
    invoices = [row for row in everything(asker, "subscription-invoices") if row["attributes"]["billing_reason"]]
    initial = [row for row in invoices if row["attributes"]["billing_reason"] == "initial"]
    assert initial
    for row in initial:
        assert orders[str(int(row["id"]) - 500)]["total"] == row["attributes"]["total"]


def test_filters_are_by_store_subscription_and_item(asker: Asker) -> None:
    """Each filter leaves a part, and the parts of all stores make the whole."""
    shops = [row["id"] for row in everything(asker, "stores")]
    for path in ("orders", "subscription-invoices", "subscriptions"):
        parts = [everything(asker, path, ("filter[store_id]", shop)) for shop in shops]
        assert sorted(row["id"] for part in parts for row in part) == sorted(r["id"] for r in everything(asker, path))
    for item in everything(asker, "subscription-items"):
        records = everything(asker, "usage-records", ("filter[subscription_item_id]", item["id"]))
        assert {str(row["attributes"]["subscription_item_id"]) for row in records} <= {item["id"]}
        owner = item["attributes"]["subscription_id"]
        assert everything(asker, "subscription-items", ("filter[subscription_id]", owner)) == [item]


def test_live_and_test_keys_see_different_data(asker: Asker) -> None:
    """A key says its mode, and no sale is in both."""
    live = {row["id"]: row["attributes"]["total"] for row in everything(asker, "orders")}
    asker.keys["lemonsqueezy"] = "sim-lemonsqueezy-test"
    test = everything(asker, "orders")
    assert ask(asker, "users/me").json["meta"] == {"test_mode": True}
    assert all(row["attributes"]["test_mode"] for row in test)
    assert {row["id"]: row["attributes"]["total"] for row in test} != live


def test_revenue_is_what_the_rows_say(asker: Asker) -> None:
    """The truth in euros is the sum of the paid rows that no order stands for, refunds taken off."""
    rows = [*everything(asker, "orders"), *everything(asker, "subscription-invoices")]
    counted = [
        told
        for told in (row["attributes"] for row in rows)
        if told["status"] in {"paid", "refunded", "partial_refund"} and told.get("billing_reason") != "initial"
    ]
    euros = [told["total"] - told["refunded_amount"] for told in counted if told["currency"] == "EUR"]
    assert asker.world.truth("lemonsqueezy").revenue(("currency",))[("EUR",)] == Decimal(sum(euros)) / 100
