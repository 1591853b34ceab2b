"""The simulated Stripe answers as its contract says, refuses as Stripe does, and lists what the world knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

from outlay.simulator.faces.base import Quota
from outlay.simulator.shapes import check, load
from outlay.simulator.worlds.stripe import StripeAccount
from simulator.asking import TODAY, VENDOR_HEADERS, Asker, Got, epoch

LEDGER = "/v1/balance_transactions"
KEY = "sim-stripe-restricted"
WEEK = [("created[gte]", epoch(TODAY - timedelta(days=7))), ("created[lt]", epoch(TODAY + timedelta(days=1)))]


def account(asker: Asker, label: str = "") -> StripeAccount:
    """Return the world's account."""
    return cast(StripeAccount, asker.world.account("stripe", label))


def questions(asker: Asker) -> Iterator[tuple[str, str, list[tuple[str, object]]]]:
    """Yield each route with parameters that it takes."""
    ledger, shop = account(asker), account(asker).shop
    movement = next(row for day in range(8) for row in ledger.rows.on(TODAY - timedelta(days=day)))
    bill = next(bill for day in range(8) for bill in ledger.bills.on(TODAY - timedelta(days=day)))
    yield "/v1/account", "/v1/account", []
    yield "/v1/balance", "/v1/balance", []
    for more in ([], [("limit", 3)], [("currency", "usd")], [("type", "charge")], [("payout", "po_1")], WEEK):
        yield LEDGER, LEDGER, list(more)
    yield f"{LEDGER}/{movement.id}", f"{LEDGER}/{{id}}", []
    for more in ([], [("status", "paid")], [("customer", bill.customer.id)], WEEK):
        yield "/v1/invoices", "/v1/invoices", list(more)
    yield f"/v1/invoices/{bill.id}", "/v1/invoices/{invoice}", []
    yield f"/v1/invoices/{bill.id}/lines", "/v1/invoices/{invoice}/lines", [("limit", 100)]
    for more in ([], [("status", "all")], [("status", "past_due")], [("customer", bill.customer.id)]):
        yield "/v1/subscriptions", "/v1/subscriptions", list(more)
    yield "/v1/billing/meters", "/v1/billing/meters", [("status", "active")]
    meter, customer = shop.meters[0].id, shop.customers[0].id
    yield f"/v1/billing/meters/{meter}", "/v1/billing/meters/{id}", []
    span = [("start_time", WEEK[0][1]), ("end_time", WEEK[1][1]), ("value_grouping_window", "day")]
    path = f"/v1/billing/meters/{meter}/event_summaries"
    yield path, "/v1/billing/meters/{id}/event_summaries", [("customer", customer), *span]


def test_answers_keep_to_the_contract(make_asker: Callable[..., Asker]) -> None:
    """Each route answers what its contract allows, and so do the refusals of parameters that nobody knows."""
    asker, asked = make_asker(days=8, quotas={"stripe": None}), set()
    for path, template, pairs in questions(asker):
        got = asker("stripe", path, pairs)
        assert got.status == 200, (path, got.body)
        check("stripe", template, 200, got.body)
        asked.add(template)
        wrong = asker("stripe", path, [*pairs, ("utterly", "unknown")])
        assert wrong.status == 400
        check("stripe", template, 400, wrong.body)
    assert {path.removeprefix("GET ") for path in load("stripe")["paths"] if not path.startswith("POST ")} == asked


def test_a_preview_is_a_form_for_one_subscription(asker: Asker) -> None:
    """The next invoice is told by POST; what is no form, names nothing, or asks for more than is known is refused."""
    path = "/v1/invoices/create_preview"
    form = {"content-type": "application/x-www-form-urlencoded"}
    headers = {**VENDOR_HEADERS["stripe"], "authorization": f"Bearer {KEY}"}
    contracts = account(asker).shop.contracts

    def preview(text: str, more: dict[str, str] = form, query: str = "") -> Got:
        return asker.raw("POST", f"/stripe{path}", query, {**headers, **more}, text.encode())

    for contract in contracts:
        got = preview(f"subscription={contract.id}")
        if contract.next is None:
            assert (got.status, got.json["error"]["code"]) == (404, "invoice_upcoming_none")
            continue
        check("stripe", path, 200, got.body, method="POST")
        assert got.json["total"] == contract.next.total
        assert got.json["id"] != preview(f"subscription={contract.id}").json["id"], "each preview is another one"
    who = f"subscription={contracts[0].id}"
    assert preview(f"{who}&customer={contracts[0].customer.id}&preview_mode=next").status == 200
    assert preview(f"{who}&customer=cus_nobody").status == preview("subscription=sub_nobody").status == 404
    for text in ("", f"customer={contracts[0].customer.id}", f"{who}&{who}", f"{who}&limit=1"):
        assert preview(text).status == 400, text
    assert preview(who, {"content-type": "application/json"}).status == 400
    assert preview(who, query="limit=1").status == 400
    assert asker("stripe", path).status == 405, "it is not to be had by GET"


@pytest.mark.parametrize("limit", [1, 7, 100])
def test_pages_hold_every_movement_once(make_asker: Callable[..., Asker], limit: int) -> None:
    """Walking by the last row's id gives each movement of the week once, newest first, whatever the page's size."""
    asker = make_asker(days=8, quotas={"stripe": None})
    found: list[Any] = []
    after: list[tuple[str, object]] = []
    more = True
    while more:
        page = asker("stripe", LEDGER, [*WEEK, ("limit", limit), *after]).json
        assert len(page["data"]) <= limit
        found += page["data"]
        more, after = page["has_more"], [("starting_after", page["data"][-1]["id"])]
    days = [TODAY - timedelta(days=n) for n in range(8)]
    assert {row["id"] for row in found} == {row.id for day in days for row in account(asker).rows.on(day)}
    assert len({row["id"] for row in found}) == len(found)
    assert [row["created"] for row in found] == sorted((row["created"] for row in found), reverse=True)
    assert all(row["net"] == row["amount"] - row["fee"] for row in found)
    assert all(row["fee"] == sum(part["amount"] for part in row["fee_details"]) for row in found)


def test_a_window_is_half_open_when_asked_so(asker: Asker) -> None:
    """`gte` and `lt` cut a day exactly; `gt` and `lte` cut it a second later."""
    day = max(charge.day for charge in asker.world.truth("stripe").charges(end=TODAY))
    first, after = epoch(day), epoch(day + timedelta(days=1))
    rows = {row.id for row in account(asker).rows.on(day)}
    whole = asker("stripe", LEDGER, [("created[gte]", first), ("created[lt]", after), ("limit", 100)]).json["data"]
    assert {row["id"] for row in whole} == rows
    late = asker("stripe", LEDGER, [("created[gt]", first), ("created[lte]", after), ("limit", 100)]).json["data"]
    assert {row["id"] for row in late} != rows
    assert all(first < row["created"] <= after for row in late)


@pytest.mark.parametrize(
    ("query", "status", "param"),
    [
        ([("limit", 0)], 400, "limit"),
        ([("limit", 101)], 400, "limit"),
        ([("created[gte]", "today")], 400, "created[gte]"),
        ([("starting_after", "txn_nobody")], 404, "starting_after"),
        ([("page", 2)], 400, "page"),
    ],
)
def test_wrong_questions_are_refused(asker: Asker, query: list[tuple[str, object]], status: int, param: str) -> None:
    """A parameter out of its bounds is named."""
    got = asker("stripe", LEDGER, query)
    assert (got.status, got.json["error"]["param"]) == (status, param)
    assert got.headers["request-id"]


def test_keys_may_do_what_they_may(asker: Asker) -> None:
    """A missing permission is named, wrong and publishable keys are refused, and the version must be said."""
    assert asker("stripe", "/v1/balance", key="sim-stripe-balance").status == 200
    lacking = asker("stripe", "/v1/invoices", key="sim-stripe-balance")
    assert lacking.status == 403
    assert "'invoice_read'" in lacking.json["error"]["message"]
    for key in (None, "sim-stripe-nobody", "sim-stripe-publishable"):
        assert asker("stripe", "/v1/balance", key=key).status == 401
    assert asker("stripe", "/v1/balance", headers={"stripe-version": "2024-06-20"}).status == 400


def test_the_other_mode_has_objects_of_its_own(asker: Asker) -> None:
    """A sandbox's key sees no live object, and each object that it sees says so."""
    rows = {key: asker("stripe", "/v1/invoices", [("limit", 100)], key=key).json["data"] for key in (
        KEY, "sim-stripe-sandbox")}  # fmt: skip
    live, invented = rows.values()
    assert {row["livemode"] for row in live} == {True}
    assert {row["livemode"] for row in invented} == {False}
    assert {row["id"] for row in live}.isdisjoint(row["id"] for row in invented)
    assert asker("stripe", f"/v1/invoices/{live[0]['id']}", key="sim-stripe-sandbox").status == 404
    assert asker("stripe", "/v1/balance", key="sim-stripe-sandbox").json["livemode"] is False


def test_summaries_are_strict(asker: Asker) -> None:
    """A customer must be named, and the span must fall on UTC days."""
    shop = account(asker).shop
    path = f"/v1/billing/meters/{shop.meters[0].id}/event_summaries"
    start, end = epoch(TODAY - timedelta(days=3)), epoch(TODAY)
    base: list[tuple[str, object]] = [("value_grouping_window", "day"), ("end_time", end)]
    who: list[tuple[str, object]] = [("customer", shop.customers[0].id)]
    assert asker("stripe", path, [*base, *who, ("start_time", start)]).status == 200
    assert asker("stripe", path, [*base, ("start_time", start)]).status == 400
    assert asker("stripe", path, [*base, *who, ("start_time", start + 3600)]).status == 400
    assert asker("stripe", path, [*base, ("customer", "cus_nobody"), ("start_time", start)]).status == 404


def test_a_spent_quota_says_which_one(make_asker: Callable[..., Asker]) -> None:
    """When the requests are used up Stripe names the limit in a header; nothing else says what is left."""
    asker = make_asker(days=3, quotas={"stripe": Quota(2, 3600.0)})
    first, second, third = (asker("stripe", "/v1/balance") for _ in range(3))
    assert (first.status, second.status, third.status) == (200, 200, 429)
    assert third.headers["stripe-rate-limited-reason"] == "endpoint-rate"
    assert not [name for name in first.headers if "limit" in name]


def test_a_connected_account_is_opened_by_its_header(asker: Asker) -> None:
    """With `Stripe-Account` the key reads that account, and no other that it cannot reach."""
    connected = account(asker, "connected")
    assert asker("stripe", "/v1/account", headers={"stripe-account": connected.id}).json["id"] == connected.id
    assert asker("stripe", "/v1/account", headers={"stripe-account": "acct_nobody"}).status == 403
