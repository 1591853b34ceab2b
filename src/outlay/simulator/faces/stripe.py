"""Stripe's API: movements of the balance, what is held, invoices issued and to come, meters and their summaries.

Key:   "sim-stripe-restricted" may read all of it, "sim-stripe-balance" the balance alone, "sim-stripe-secret" is a
       secret key, "sim-stripe-publishable" is a browser's and fails.
Units: whole numbers of the smallest unit of each currency.
Order: every list is newest first and goes on after the id of its last row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Query, Quota, Refusal, bearer, to_json
from outlay.simulator.faces.stripe_rows import invoice as invoice_row
from outlay.simulator.faces.stripe_rows import meter as meter_row
from outlay.simulator.faces.stripe_rows import movement, preview, subscription, summary
from outlay.simulator.worlds.stripe import Row, StripeAccount
from outlay.simulator.worlds.stripe_sales import Bill, lines_of

VERSION = "2026-10-28.endive"
BALANCE, INVOICE, METER, EVENT = "balance_read", "invoice_read", "billing_meter_read", "billing_meter_event_read"
SUBSCRIPTION = "subscription_read"
CONNECTED = "connected"
"""The label of the account that a platform's key opens with the header `Stripe-Account`."""
SANDBOX = "sandbox"
"""The kind of key that opens the other mode, and the label of the account it opens."""
_DAY = 86_400
_FAR = 2**40
Object = dict[str, Any]


def _account(ask: Ask) -> StripeAccount:
    wanted = ask.headers.get("stripe-account")
    if ask.key is not None and ask.key.kind == SANDBOX:
        return cast(StripeAccount, ask.world.account("stripe", SANDBOX))
    if wanted is None:
        return cast(StripeAccount, ask.account)
    connected = cast(StripeAccount, ask.world.account("stripe", CONNECTED))
    if wanted != connected.id:
        message = f"The provided key does not have access to account '{wanted}' (or that account does not exist)."
        raise Refusal(403, message, code="account_invalid")
    return connected


def _days(account: StripeAccount, since: int, until: int) -> list[date]:
    """Return the days that hold any second from `since` to `until`, both in, newest first."""
    plot = account.plot
    days = [plot.today - timedelta(days=n) for n in range(plot.days)]
    starts = {day: int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) for day in days}
    return [day for day in days if starts[day] <= until and since < starts[day] + _DAY]


def _created(ask: Ask) -> tuple[int, int]:
    """Return the first and the last second that a list is asked for."""
    query = ask.query
    exact = query.whole("created")
    if exact is not None:
        return exact, exact
    bounds = {name: query.whole(f"created[{name}]") for name in ("gt", "gte", "lt", "lte")}
    since = max(-1 if bounds["gt"] is None else bounds["gt"] + 1, 0 if bounds["gte"] is None else bounds["gte"])
    until = min(_FAR if bounds["lt"] is None else bounds["lt"] - 1, _FAR if bounds["lte"] is None else bounds["lte"])
    return since, until


def _listing(ask: Ask, rows: Sequence[Object], kind: str) -> Answer:
    """Answer one page of a list; a row that a page should begin after and that is gone is not found."""
    query = ask.query
    limit = query.whole("limit", 10)
    after, before = query.one("starting_after"), query.one("ending_before")
    query.finish()
    assert limit is not None
    if not 1 <= limit <= 100:
        raise Refusal(400, "Invalid integer: limit must be between 1 and 100.", param="limit")
    if after is not None and before is not None:
        raise Refusal(400, "You may only specify one of these parameters: ending_before, starting_after.")
    ids = [row["id"] for row in rows]
    for name, cursor in (("starting_after", after), ("ending_before", before)):
        if cursor is not None and cursor not in ids:
            raise Refusal(404, f"No such {kind}: '{cursor}'", code="resource_missing", param=name)
    if before is not None:
        stop = ids.index(before)
        start = max(0, stop - limit)
        page, more = rows[start:stop], start > 0
    else:
        start = ids.index(after) + 1 if after is not None else 0
        page, more = rows[start : start + limit], start + limit < len(rows)
    return Answer(to_json({"object": "list", "data": page, "has_more": more, "url": ask.path}))


def _movements(ask: Ask, since: int, until: int) -> list[Row]:
    account = _account(ask)
    found = [row for day in _days(account, since, until) for row in account.rows.on(day)]
    return sorted((row for row in found if since <= row.created <= until), key=lambda row: (-row.created, row.id))


def movements(ask: Ask) -> Answer:
    """Answer the movements of the balance, newest first."""
    since, until = _created(ask)
    wanted = {name: ask.query.one(name) for name in ("currency", "type", "source", "payout")}
    now = int(ask.now.timestamp())

    def make() -> list[Object]:
        return [movement(row, now) for row in _movements(ask, since, until)]

    rows = _account(ask).kept(("movements", since, until, now // 3600), make)
    asked = {name: value for name, value in wanted.items() if value is not None}
    if "payout" in asked:
        rows = []
    return _listing(
        ask, [r for r in rows if all(r.get(name) == value for name, value in asked.items())], "balance_transaction"
    )


def _the(ask: Ask, rows: Sequence[Object], place: str, kind: str) -> Object:
    for row in rows:
        if row["id"] == ask.places[place]:
            return row
    raise Refusal(404, f"No such {kind}: '{ask.places[place]}'", code="resource_missing", param="id")


def one_movement(ask: Ask) -> Answer:
    """Answer one movement."""
    ask.query.finish()
    rows = [movement(row, int(ask.now.timestamp())) for row in _movements(ask, 0, _FAR)]
    return Answer(to_json(_the(ask, rows, "id", "balance_transaction")))


def balance(ask: Ask) -> Answer:
    """Answer what is held; what is instantly available is a part of what is available."""
    ask.query.finish()
    account = _account(ask)
    held: dict[str, list[Object]] = {"available": [], "pending": []}
    for name, currency, amount in account.held():
        held[name].append({"amount": amount, "currency": currency, "source_types": {"card": amount}})
    instant = [{**row, "amount": max(0, row["amount"]) // 2, "source_types": {}} for row in held["available"]]
    return Answer(to_json({"object": "balance", **held, "instant_available": instant, "livemode": True}))


def account(ask: Ask) -> Answer:
    """Answer the account."""
    ask.query.finish()
    found = _account(ask)
    return Answer(to_json({"id": found.id, "object": "account", "country": "US", "default_currency": "usd"}))


def _bills(ask: Ask, since: int, until: int) -> list[Bill]:
    account = _account(ask)
    found = [bill for day in _days(account, since, until) for bill in account.bills.on(day)]
    return sorted((bill for bill in found if since <= bill.created <= until), key=lambda bill: (-bill.created, bill.id))


def invoices(ask: Ask) -> Answer:
    """Answer the invoices, newest first; there is no way to ask for those that changed."""
    since, until = _created(ask)
    wanted = {
        "status": ask.query.choice("status", ("draft", "open", "paid", "uncollectible", "void")),
        "collection_method": ask.query.choice("collection_method", ("charge_automatically", "send_invoice")),
        "customer": ask.query.one("customer"),
    }
    rows = [invoice_row(bill) for bill in _bills(ask, since, until)]
    asked = {name: value for name, value in wanted.items() if value is not None}
    return _listing(ask, [r for r in rows if all(r[name] == value for name, value in asked.items())], "invoice")


def invoice(ask: Ask) -> Answer:
    """Answer one invoice."""
    ask.query.finish()
    return Answer(to_json(_the(ask, [invoice_row(bill) for bill in _bills(ask, 0, _FAR)], "invoice", "invoice")))


def lines(ask: Ask) -> Answer:
    """Answer all lines of an invoice."""
    bills = _bills(ask, 0, _FAR)
    found = _the(ask, [invoice_row(bill) for bill in bills], "invoice", "invoice")
    return _listing(ask, next(lines_of(bill) for bill in bills if bill.id == found["id"]), "line_item")


def subscriptions(ask: Ask) -> Answer:
    """Answer the subscriptions; without a status those that were canceled are left out."""
    states = ("active", "all", "canceled", "ended", "incomplete", "past_due", "paused", "trialing", "unpaid")
    status, customer = ask.query.choice("status", states), ask.query.one("customer")
    rows = [subscription(found) for found in _account(ask).shop.contracts]
    if status is None:
        rows = [row for row in rows if row["status"] != "canceled"]
    elif status != "all":
        rows = [row for row in rows if row["status"] == status]
    return _listing(ask, [row for row in rows if customer in (None, row["customer"])], "subscription")


def create_preview(ask: Ask) -> Answer:
    """Answer what a subscription comes to next: a form sent by POST that changes nothing."""
    ask.query.finish()
    if ask.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise Refusal(400, "Invalid request: the body must be form-encoded.")
    form = Query(ask.body.decode())
    customer, wanted = form.one("customer"), form.one("subscription")
    form.choice("preview_mode", ("next", "recurring"))
    form.finish()
    if not wanted:
        raise Refusal(400, "You must provide a subscription, a schedule or their details.", param="subscription")
    found = next((each for each in _account(ask).shop.contracts if each.id == wanted), None)
    if found is None or customer not in (None, found.customer.id):
        raise Refusal(404, f"No such subscription: '{wanted}'", code="resource_missing", param="subscription")
    if found.next is None:
        raise Refusal(404, "No upcoming invoices for the subscription.", code="invoice_upcoming_none")
    return Answer(to_json(preview(found, found.next, ask.request_id)))


def meters(ask: Ask) -> Answer:
    """Answer the meters."""
    status = ask.query.choice("status", ("active", "inactive"))
    rows = [meter_row(found) for found in _account(ask).shop.meters]
    return _listing(ask, [row for row in rows if status in (None, row["status"])], "billing_meter")


def one_meter(ask: Ask) -> Answer:
    """Answer one meter."""
    ask.query.finish()
    return Answer(to_json(_the(ask, [meter_row(found) for found in _account(ask).shop.meters], "id", "billing_meter")))


def summaries(ask: Ask) -> Answer:
    """Answer what one customer used of one meter, whole or by UTC day."""
    query, shop = ask.query, _account(ask).shop
    who = query.needed("customer")
    query.needed("start_time")
    query.needed("end_time")
    start, end = query.whole("start_time", 0), query.whole("end_time", 0)
    window = query.choice("value_grouping_window", ("day", "hour"))
    assert start is not None
    assert end is not None
    step = {"day": _DAY, "hour": 3600}.get(window or "", 60)
    for name, value in (("start_time", start), ("end_time", end)):
        if value % step:
            raise Refusal(400, f"{name} must be aligned to the {window or 'minute'} boundary.", param=name)
    if end <= start:
        raise Refusal(400, "end_time must be after start_time.", param="end_time")
    found = next((meter for meter in shop.meters if meter.id == ask.places["id"]), None)
    if found is None:
        raise Refusal(404, f"No such billing_meter: '{ask.places['id']}'", code="resource_missing", param="id")
    customer = next((each for each in shop.customers if each.id == who), None)
    if customer is None:
        raise Refusal(404, f"No such customer: '{who}'", code="resource_missing", param="customer")
    if window != "day":
        raise Refusal(400, "The simulator knows whole days alone.", param="value_grouping_window")
    rows = []
    for at in range(start, end, _DAY):
        used = shop.used(datetime.fromtimestamp(at, UTC).date(), found, customer)
        if used is not None:
            rows.append(summary(found, at, used))
    return _listing(ask, rows[::-1], "billing_meter_event_summary")


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a wrong key, a key without the permission, and a request that does not say its version."""
    if ask.credential is None:
        raise Refusal(401, "You did not provide an API key.")
    if ask.key is None:
        raise Refusal(401, "Invalid API Key provided: sim-************")
    if ask.key.kind == "publishable":
        raise Refusal(401, "This API call cannot be made with a publishable API key.", code="secret_key_required")
    if ask.headers.get("stripe-version") != VERSION:
        # An account's own default version has other shapes, which this face does not know.
        raise Refusal(400, f"Invalid Stripe API version: {ask.headers.get('stripe-version')}")
    needs = endpoint.needs if endpoint else ""
    if needs and not ask.key.may(needs):
        raise Refusal(
            403,
            "The provided key does not have the required permissions for this endpoint. "
            f"Having '{needs}' would allow this request to continue.",
        )


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body; a 429 says in a header which limit it was."""
    kind = "api_error" if no.status >= 500 else "invalid_request_error"
    error: Object = {"type": kind, "message": no.message, "request_log_url": f"https://sim.invalid/{ask.request_id}"}
    error |= {name: no.extra[name] for name in ("code", "param") if name in no.extra}
    if no.status == 429:
        no.headers.setdefault("stripe-rate-limited-reason", "endpoint-rate")
    return Answer(to_json({"error": error}), no.status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the headers that each answer carries, of which none says what is left, and to each object its mode."""
    if ask.key is not None and ask.key.kind == SANDBOX:
        answer.body = answer.body.replace(b'"livemode":true', b'"livemode":false')
    answer.headers["request-id"] = ask.request_id
    answer.headers["stripe-version"] = VERSION


_LISTS: tuple[tuple[str, Callable[[Ask], Answer], str], ...] = (
    ("/v1/account", account, ""),
    ("/v1/balance", balance, BALANCE),
    ("/v1/balance_transactions", movements, BALANCE),
    ("/v1/balance_transactions/{id}", one_movement, BALANCE),
    ("/v1/invoices", invoices, INVOICE),
    ("/v1/invoices/{invoice}", invoice, INVOICE),
    ("/v1/invoices/{invoice}/lines", lines, INVOICE),
    ("/v1/subscriptions", subscriptions, SUBSCRIPTION),
    ("/v1/billing/meters", meters, METER),
    ("/v1/billing/meters/{id}", one_meter, METER),
    ("/v1/billing/meters/{id}/event_summaries", summaries, EVENT),
)

FACE = Face(
    id="stripe",
    title="Stripe",
    account=StripeAccount,
    endpoints=(
        Endpoint("/v1/invoices/create_preview", create_preview, INVOICE, method="POST"),
        *(Endpoint(path, answer, needs) for path, answer, needs in _LISTS),
    ),
    keys={
        "sim-stripe-secret": Key("secret"),
        "sim-stripe-restricted": Key("restricted", frozenset({BALANCE, INVOICE, METER, EVENT, SUBSCRIPTION})),
        "sim-stripe-sandbox": Key(SANDBOX),
        "sim-stripe-balance": Key("restricted", frozenset({BALANCE})),
        "sim-stripe-publishable": Key("publishable", frozenset()),
    },
    credential=bearer,
    admit=admit,
    refuse=refuse,
    dress=dress,
    quota=lambda _: Quota(25, 1.0),
    exhausted=lambda _: Refusal(429, "Request rate limit exceeded.", {"stripe-rate-limited-reason": "endpoint-rate"}),
    money_fields=frozenset({"amount"}),
    enum_fields=frozenset({"type", "reporting_category"}),
    dimension_fields=frozenset({"description", "source"}),
    row_lists=frozenset({"data"}),
    cursor_parameters=frozenset({"starting_after", "ending_before"}),
)
