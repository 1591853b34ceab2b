"""Lemon Squeezy's traps beside its cases: lists that shift, money told twice, refusals that are answers."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from outlay.model.facts import Revenue
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.base import Ask, Bearer
from outlay.providers.lemonsqueezy import ORDERS, PROVIDER, SalesPage, orders
from outlay.providers.lemonsqueezy.usage import CURRENT_USAGE, ITEMS, RECORDS
from outlay.sync.check import check
from outlay.wire.refusals import Said, declared, error
from outlay.wire.retry import ATTEMPTS_MAX

DAY = date(2026, 11, 3)
ASK = Ask("orders", Period.of_day(DAY), {}, datetime(2026, 11, 22, tzinfo=UTC))


def order(number: int, **fields: Any) -> dict[str, Any]:
    """Return an order as the vendor writes it."""
    sale = {"currency": "USD", "status": "paid", "total": 1000, "total_usd": 1000, "store_id": 7,
            "created_at": "2026-11-03T10:00:00.000000Z"}  # fmt: skip
    return {"type": "orders", "id": str(number), "attributes": {**sale, **fields}}


def page(*rows: dict[str, Any]) -> SalesPage:
    """Return a page of a list that moves on while it is read."""
    body = {"data": rows, "meta": {"page": {"currentPage": 1, "lastPage": 1, "from": None, "to": None}}}
    return msgspec.json.decode(json.dumps(body), type=SalesPage)


def test_a_row_on_two_pages_is_one_sale() -> None:
    """New rows move others to the next page: what is told twice counts once, as it was told last."""
    facts = [fact for rows in ([order(2), order(1)], [order(1, total=900)]) for fact in orders(page(*rows), ASK)]
    checked = check(PROVIDER.dataset("orders"), ASK.period, [fact for fact in facts if isinstance(fact, Revenue)])
    assert not checked.problems
    found = {fact.record_id: fact.gross.amount for fact in checked.facts if isinstance(fact, Revenue)}
    assert found == {"2": Decimal(10), "1": Decimal(9)}


def test_money_is_never_converted() -> None:
    """A sale stays in its currency, and the dollars stored with it are a detail: the rate is used for neither."""
    sale = order(1, currency="EUR", total=2420, total_usd=2624, currency_rate="99.5", total_formatted="€24.20")
    [found] = orders(page(sale), ASK)
    assert isinstance(found, Revenue)
    assert (found.gross.amount, found.gross.currency) == (Decimal("24.2"), "EUR")
    assert (found.details or {})["total_usd"] == "26.24"


@pytest.mark.parametrize(
    ("inclusive", "total"), [(True, 1000), (False, 1250)], ids=["tax within the subtotal", "tax on top"]
)
def test_tax_and_setup_fee_are_inside_the_total(inclusive: bool, total: int) -> None:
    """Whichever way tax is told, the total is what was paid, and its parts are details."""
    [found] = orders(page(order(1, total=total, tax=250, setup_fee=100, tax_inclusive=inclusive)), ASK)
    assert isinstance(found, Revenue)
    assert found.gross.amount == Decimal(total) / 100
    assert {name: (found.details or {})[name] for name in ("tax", "setup_fee")} == {"tax": "2.5", "setup_fee": "1"}


def test_days_are_utc_whatever_the_offset() -> None:
    """A sale an hour after midnight two hours east is of the day before, and so is its refund."""
    east = {"created_at": "2026-11-04T01:00:00+02:00", "refunded_at": "2026-11-04T01:30:00+02:00", "refunded_amount": 1}
    found = list(orders(page(order(1, **east)), ASK))
    assert [fact.revenue_period for fact in found if isinstance(fact, Revenue)] == [ASK.period, ASK.period]


@pytest.mark.parametrize(
    ("total", "text", "amount", "currency"),
    [
        (1500, "KWD 1.500", "1.5", "KWD"),
        (150, "KWD 1.500", "1.5", "KWD"),
        (1500, "¥1,500", "1500", "JPY"),
        (150000, "¥1,500", "1500", "JPY"),
        (1500, "1.500 ¥", "11", "USD"),
        (1500, "", "11", "USD"),
    ],
)
def test_doubtful_decimals_are_read_from_the_text_or_not_at_all(
    total: int, text: str, amount: str, currency: str
) -> None:
    """Where the text does not settle what an integer counts, the dollars that were stored with it stand in."""
    native = "KWD" if "KWD" in text else "JPY"
    [found] = orders(page(order(1, currency=native, total=total, total_usd=1100, total_formatted=text)), ASK)
    assert isinstance(found, Revenue)
    assert (found.gross.amount, found.gross.currency) == (Decimal(amount), currency)


def test_a_refund_counts_once() -> None:
    """A sale of the status `refunded` and its refunded amount are one return of money."""
    told = order(1, status="refunded", refunded=True, refunded_amount=1000, refunded_at="2026-11-03T12:00:00.000000Z")
    amounts = [fact.gross.amount for fact in orders(page(told), ASK) if isinstance(fact, Revenue)]
    assert amounts == [Decimal(10), Decimal(-10)]


@pytest.mark.parametrize(
    "told",
    [
        {"status": "partial_refund", "refunded": False},
        {"status": "partial_refund", "refunded_amount": 0},
        {"status": "refunded", "refunded": True, "refunded_amount": 0},
        {"status": "paid", "refunded": True, "refunded_amount": 0},
        {"currency": "JPY", "status": "partial_refund", "refunded_amount": 500, "total_formatted": "?"},
    ],
    ids=["part not stated", "part of nothing", "whole of nothing", "returned and paid", "no dollars of a part"],
)
def test_a_refund_of_unknown_size_leaves_its_own_day_unknown(told: dict[str, Any]) -> None:
    """Neither nothing nor everything was given back: the day of the refund is told, and the sale's own day stands."""
    sale = order(1, **told, refunded_at="2026-11-05T10:00:00.000000Z")
    both = replace(ASK, period=Period(ASK.period.start, ASK.period.start + timedelta(days=9)))
    fact, problem = orders(page(sale), both)
    assert isinstance(fact, Revenue)
    assert (fact.gross.amount, fact.revenue_period) == (Decimal(10), ASK.period)
    assert isinstance(problem, Problem)
    assert (problem.code, problem.severity.value) == ("amount_refused", "fatal")
    assert problem.period == Period.of_day(date(2026, 11, 5))


def test_a_refund_is_a_part_or_all() -> None:
    """A part is what is stated; all of it is taken back where all was refunded and no part of it is named."""
    stated = orders(page(order(1, status="partial_refund", refunded_amount=300)), ASK)
    assert [fact.gross.amount for fact in stated if isinstance(fact, Revenue)] == [Decimal(10), Decimal(-3)]
    whole = orders(page(order(1, status="refunded", refunded=True)), ASK)
    assert [fact.gross.amount for fact in whole if isinstance(fact, Revenue)] == [Decimal(10), Decimal(-10)]
    free = orders(page(order(1, total=0, status="refunded", refunded=True, refunded_amount=0)), ASK)
    assert [fact.gross.amount for fact in free if isinstance(fact, Revenue)] == [Decimal(0)]


@pytest.mark.parametrize("told", [{"status": "on_hold"}, {"currency": "JPY", "total_usd": None}])
def test_a_sale_that_cannot_be_read_leaves_both_its_days_unknown(told: dict[str, Any]) -> None:
    """What was sold and what was given back are both not known, on whichever days they were."""
    sale = order(1, **told, refunded_amount=300, refunded_at="2026-11-05T10:00:00.000000Z")
    both = replace(ASK, period=Period(ASK.period.start, ASK.period.start + timedelta(days=9)))
    found = list(orders(page(sale), both))
    days = [problem.period for problem in found if isinstance(problem, Problem)]
    assert days == [ASK.period, Period.of_day(date(2026, 11, 5))]
    assert len(found) == len(days)


def test_used_up_calls_are_waited_out() -> None:
    """A 429 says no delay: the waits of all attempts together outlast the minute; other failures do not wait."""
    waited = PROVIDER.patience(b'{"message": "Too Many Attempts."}', datetime(2026, 11, 22, tzinfo=UTC))
    assert waited is not None
    assert waited * (ATTEMPTS_MAX - 1) > 60
    assert PROVIDER.patience(b'{"error": "Server Error"}', datetime(2026, 11, 22, tzinfo=UTC)) is None


def test_an_item_that_is_not_paid_by_use_has_no_running_total() -> None:
    """404 is an answer there and nowhere else: lists that are not found are a failure to be told."""
    said = Said(404, {}, b'{"errors": [{"status": "404", "title": "Not Found"}]}')
    found = declared(PROVIDER, CURRENT_USAGE, said)
    assert found is not None
    assert found.means == "empty"
    for endpoint in (ORDERS, ITEMS, RECORDS):
        refused = declared(PROVIDER, endpoint, said)
        assert refused is not None
        assert refused.means == "request_refused"


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "Unauthenticated."}',
        b'{"error": "Unauthenticated."}',
        b'{"jsonapi": {"version": "1.0"}, "errors": [{"status": "401", "title": "x", "detail": "Unauthenticated."}]}',
    ],
)
def test_each_shape_of_a_refusal_is_read(body: bytes) -> None:
    """The vendor has three, and each gives its words to the error."""
    said = Said(401, {}, body)
    refusal = declared(PROVIDER, ORDERS, said)
    assert refusal is not None
    told = error(PROVIDER, ORDERS, said, refusal)
    assert told.code == "access_denied"
    assert "Unauthenticated." in told.message


def test_every_day_is_compared_again() -> None:
    """Lists are read whole, so that a refund is found however late it comes; records of use never change."""
    horizons = {name: PROVIDER.dataset(name).horizon_days for name in ("orders", "subscription_invoices")}
    assert horizons == {"orders": 400, "subscription_invoices": 400}


def test_every_request_names_its_media_type() -> None:
    """Without both headers the vendor does not answer; the key goes as a bearer, 300 times a minute at most."""
    assert PROVIDER.headers == dict.fromkeys(("accept", "content-type"), "application/vnd.api+json")
    assert PROVIDER.auth == Bearer()
    assert [(rate.requests, rate.seconds) for rate in PROVIDER.rates] == [(300, 60)]
