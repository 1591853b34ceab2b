"""Lemon Squeezy's JSON:API: stores, subscriptions, usage, orders and subscription invoices.

Key:   "sim-lemonsqueezy-live" reads everything, "sim-lemonsqueezy-test" is of the test mode and sees data of its own.
       There are no scopes.
Order: lists begin with the newest and take no window; stores are ordered by name.
There is no endpoint for fees or payouts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, TypeVar, cast

from outlay.simulator.faces.base import (
    Answer,
    Ask,
    Endpoint,
    Face,
    Key,
    Meter,
    Quota,
    Refusal,
    bearer,
    to_json,
)
from outlay.simulator.worlds.lemonsqueezy import (
    AMOUNTS,
    RATES,
    RENEWED_DAYS,
    LemonSqueezyAccount,
    Record,
    Sale,
    Shop,
    Subscription,
)

MEDIA = "application/vnd.api+json"
TEST_LABEL = "test mode"
_PAGE_MAX, _PAGE_DEFAULT = 100, 10
_ORDER_STATES = ("pending", "failed", "paid", "refunded", "partial_refund", "fraudulent")
_INVOICE_STATES = ("pending", "paid", "void", "refunded", "partial_refund")
Row = TypeVar("Row")
Json = dict[str, Any]


def _account(ask: Ask) -> LemonSqueezyAccount:
    if ask.key is not None and ask.key.kind == "test":
        return cast(LemonSqueezyAccount, ask.world.account("lemonsqueezy", TEST_LABEL))
    return cast(LemonSqueezyAccount, ask.account)


def _test(ask: Ask) -> bool:
    return ask.key is not None and ask.key.kind == "test"


def _answer(body: Json) -> Answer:
    return Answer(to_json({"jsonapi": {"version": "1.0"}, **body}), media_type=MEDIA)


def _resource(ask: Ask, kind: str, number: object, attributes: Json) -> Json:
    link = f"{ask.base_url}/v1/{kind}/{number}"
    return {"type": kind, "id": str(number), "attributes": attributes, "links": {"self": link}}


def _list(ask: Ask, rows: Sequence[Row], write: Callable[[Row], Json]) -> Answer:
    """Answer one page of a list."""
    number = ask.query.whole("page[number]", 1)
    size = ask.query.whole("page[size]", _PAGE_DEFAULT)
    assert number is not None
    assert size is not None
    ask.query.one("include")
    ask.query.finish()
    if number < 1:
        raise Refusal(400, "The page number must be at least 1.", param="page[number]")
    if not 1 <= size <= _PAGE_MAX:
        raise Refusal(400, "The page size must be between 1 and 100.", param="page[size]")
    start, last = (number - 1) * size, max(1, -(-len(rows) // size))
    shown = rows[start : start + size]
    page = {
        "currentPage": number,
        "from": start + 1 if shown else None,
        "lastPage": last,
        "perPage": size,
        "to": start + len(shown) if shown else None,
        "total": len(rows),
    }
    links = {"first": _page_link(ask, 1, size), "last": _page_link(ask, last, size)}
    if number < last:
        links["next"] = _page_link(ask, number + 1, size)
    if number > 1:
        links["prev"] = _page_link(ask, number - 1, size)
    return _answer({"data": [write(row) for row in shown], "links": links, "meta": {"page": page}})


def _page_link(ask: Ask, number: int, size: int) -> str:
    return f"{ask.base_url}{ask.path}?page%5Bnumber%5D={number}&page%5Bsize%5D={size}"


def _number(ask: Ask, name: str) -> int | None:
    return ask.query.whole(f"filter[{name}]")


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000000Z"


def me(ask: Ask) -> Answer:
    """Answer whose key it is, and of which mode."""
    ask.query.finish()
    user = _resource(ask, "users", 1, {"name": "Sim Seller", "email": "seller@example.com"})
    return _answer({"meta": {"test_mode": _test(ask)}, "data": user})


def stores(ask: Ask) -> Answer:
    """Answer the stores, by name."""
    account = _account(ask)
    rows = [] if account.plot.empty else sorted(account.shops, key=lambda shop: shop.name)
    return _list(ask, rows, lambda shop: _resource(ask, "stores", shop.id, _store(account, shop)))


def _store(account: LemonSqueezyAccount, shop: Shop) -> Json:
    born = _moment(datetime.combine(account.plot.first_day, time(1)))
    sold = account.sold_dollars(shop)
    slug = f"shop-{shop.id}"
    return {
        "name": shop.name, "slug": slug, "domain": f"{slug}.example.com", "url": f"https://{slug}.example.com",
        "avatar_url": None, "plan": "fresh", "country": "NO", "country_nicename": "Norway", "currency": shop.currency,
        "total_sales": len(account.all_sales()), "total_revenue": sold, "thirty_day_sales": 0, "thirty_day_revenue": 0,
        "created_at": born, "updated_at": born,
    }  # fmt: skip


def subscriptions(ask: Ask) -> Answer:
    """Answer the subscriptions, the newest first."""
    shop = _number(ask, "store_id")
    rows = [each for each in _begun(ask) if shop is None or each.shop.id == shop]
    return _list(ask, rows, lambda each: _resource(ask, "subscriptions", each.id, _subscription(ask, each)))


def _begun(ask: Ask) -> list[Subscription]:
    account = _account(ask)
    begun = [each for each in account.subscriptions if each.start <= account.plot.today]
    return sorted(begun, key=lambda each: (each.start, each.id), reverse=True)


def _subscription(ask: Ask, each: Subscription) -> Json:
    born = _moment(datetime.combine(each.start, time(1)))
    renewed = _account(ask).cycle(each)[1]
    status = "expired" if each.expired else "active"
    return {
        "store_id": each.shop.id, "customer_id": 1, "order_id": each.id, "order_item_id": each.id, "product_id": 5,
        "variant_id": 6, "product_name": "Analytics", "variant_name": each.metered or "Flat", "user_name": "A. Buyer",
        "user_email": "a@example.com", "status": status, "status_formatted": status.capitalize(), "card_brand": None,
        "card_last_four": None, "pause": None, "cancelled": each.expired, "trial_ends_at": None, "billing_anchor": 1,
        "first_subscription_item": None, "urls": {}, "renews_at": _midnight(renewed),
        "ends_at": born if each.expired else None, "created_at": born, "updated_at": born, "test_mode": _test(ask),
    }  # fmt: skip


def _midnight(day: date) -> str:
    return _moment(datetime.combine(day, time()))


def items(ask: Ask) -> Answer:
    """Answer the items of subscriptions."""
    wanted = _number(ask, "subscription_id")
    ask.query.whole("filter[price_id]")
    rows = [each for each in _begun(ask) if wanted in (None, each.id)]

    def attributes(each: Subscription) -> Json:
        born = _moment(datetime.combine(each.start, time(1)))
        metered = each.metered is not None
        return {"subscription_id": each.id, "price_id": 3, "quantity": 0 if metered else 1, "is_usage_based": metered,
                "created_at": born, "updated_at": born}  # fmt: skip

    return _list(ask, rows, lambda each: _resource(ask, "subscription-items", each.item_id, attributes(each)))


def current_usage(ask: Ask) -> Answer:
    """Answer the running total of an item; an item that is not paid by use is not found."""
    ask.query.finish()
    account = _account(ask)
    found = [each for each in _begun(ask) if str(each.item_id) == ask.places["id"] and each.metered]
    if not found:
        raise Refusal(404, "The related resource does not exist, or is not usage-based.")
    first, end = account.cycle(found[0])
    meta = {"period_start": f"{first}T00:00:00+00:00", "period_end": f"{end}T00:00:00+00:00",
            "quantity": account.current(found[0]), "interval_unit": "day",
            "interval_quantity": RENEWED_DAYS}  # fmt: skip
    return _answer({"meta": meta})


def records(ask: Ask) -> Answer:
    """Answer usage records, the newest first."""
    wanted = _number(ask, "subscription_item_id")
    rows = [record for record in _account(ask).all_records() if wanted in (None, record.item_id)]

    def attributes(record: Record) -> Json:
        at = _moment(record.at)
        return {"subscription_item_id": record.item_id, "quantity": record.quantity, "action": record.action,
                "created_at": at, "updated_at": at}  # fmt: skip

    return _list(ask, rows, lambda record: _resource(ask, "usage-records", record.id, attributes(record)))


def orders(ask: Ask) -> Answer:
    """Answer orders, the newest first."""
    shop = _number(ask, "store_id")
    ask.query.one("filter[user_email]")
    rows = [sale for sale in _account(ask).all_sales() if sale.reason is None and shop in (None, sale.shop.id)]
    return _list(ask, rows, lambda sale: _resource(ask, "orders", sale.id, _order(ask, sale)))


def invoices(ask: Ask) -> Answer:
    """Answer subscription invoices, the newest first; the initial ones are the money of an order."""
    shop, wanted = _number(ask, "store_id"), _number(ask, "subscription_id")
    status = ask.query.choice("filter[status]", _INVOICE_STATES)
    refunded = ask.query.flag("filter[refunded]")
    today = _account(ask).plot.today
    rows = [
        sale
        for sale in _account(ask).all_sales()
        if sale.reason is not None
        and shop in (None, sale.shop.id)
        and (wanted is None or (sale.subscription is not None and sale.subscription.id == wanted))
        and status in (None, sale.state(today))
        and refunded in (None, sale.gone(today))
    ]
    return _list(ask, rows, lambda sale: _resource(ask, "subscription-invoices", sale.id, _invoice(ask, sale)))


def _sale(ask: Ask, sale: Sale, known: Sequence[str], names: Sequence[str]) -> Json:
    today = _account(ask).plot.today
    state = sale.state(today)
    status = state if state in known else "pending"
    gone = sale.gone(today)
    amounts: Json = {}
    for name in names:
        amounts |= {
            name: sale.native(name, today),
            f"{name}_usd": sale.dollars(name, today),
            f"{name}_formatted": sale.formatted(name, today),
        }
    returned = _moment(datetime.combine(sale.returned, time(9))) if gone and sale.returned else None
    return amounts | {
        "store_id": sale.shop.id, "customer_id": sale.customer, "user_name": "A. Buyer", "user_email": "a@example.com",
        "currency": sale.currency, "currency_rate": f"{RATES[sale.currency]:.8f}", "status": status,
        "status_formatted": status.replace("_", " ").capitalize(), "refunded": status == "refunded",
        "refunded_at": returned, "tax_inclusive": sale.tax_inclusive, "created_at": _moment(sale.at),
        "updated_at": returned or _moment(sale.at), "test_mode": _test(ask),
    }  # fmt: skip


def _order(ask: Ask, sale: Sale) -> Json:
    return _sale(ask, sale, _ORDER_STATES, AMOUNTS) | {
        "identifier": f"sim-{sale.id}", "order_number": sale.id, "first_order_item": None, "urls": {}, "tax_name": None,
        "tax_rate": "25.00",
    }  # fmt: skip


def _invoice(ask: Ask, sale: Sale) -> Json:
    assert sale.subscription is not None
    names = [name for name in AMOUNTS if name != "setup_fee"]
    return _sale(ask, sale, _INVOICE_STATES, names) | {
        "subscription_id": sale.subscription.id, "billing_reason": sale.reason, "card_brand": None,
        "card_last_four": None, "urls": {"invoice_url": None},
    }  # fmt: skip


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a missing or unknown key, and requests that are not JSON:API."""
    if ask.key is None:
        raise Refusal(401, "Unauthenticated.", bare=True)
    for name in ("accept", "content-type"):
        if ask.headers.get(name) != MEDIA:
            raise Refusal(406 if name == "accept" else 415, f"The {name} header must be {MEDIA}.")


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write one of the vendor's three error bodies."""
    body: Mapping[str, Any]
    if no.extra.get("bare") or no.status == 429:
        body = {"message": no.message}
    elif no.status >= 500:
        body = {"error": no.message}
    else:
        error: Json = {"status": str(no.status), "title": "Refused", "detail": no.message}
        if "param" in no.extra:
            error["source"] = {"parameter": no.extra["param"]}
        body = {"jsonapi": {"version": "1.0"}, "errors": [error]}
    return Answer(to_json(body), no.status, no.headers, MEDIA)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Say what is left of the quota, on answers that succeed alone."""
    if meter is not None and answer.status == 200:
        answer.headers["x-ratelimit-limit"] = str(meter.quota.burst)
        answer.headers["x-ratelimit-remaining"] = str(meter.remaining)


FACE = Face(
    id="lemonsqueezy",
    title="Lemon Squeezy",
    account=LemonSqueezyAccount,
    endpoints=(
        Endpoint("/v1/users/me", me),
        Endpoint("/v1/stores", stores),
        Endpoint("/v1/subscriptions", subscriptions),
        Endpoint("/v1/subscription-items", items),
        Endpoint("/v1/subscription-items/{id}/current-usage", current_usage),
        Endpoint("/v1/usage-records", records),
        Endpoint("/v1/orders", orders),
        Endpoint("/v1/subscription-invoices", invoices),
    ),
    keys={"sim-lemonsqueezy-live": Key("live"), "sim-lemonsqueezy-test": Key("test")},
    credential=bearer,
    admit=admit,
    refuse=refuse,
    dress=dress,
    quota=lambda _: Quota(300, 60, windowed=True),
    exhausted=lambda _: Refusal(429, "Too Many Attempts."),
    money_fields=frozenset({"total", "quantity"}),
    enum_fields=frozenset({"status", "action"}),
    dimension_fields=frozenset({"customer_id", "store_id"}),
    cursor_parameters=frozenset({"page[number]"}),
)
