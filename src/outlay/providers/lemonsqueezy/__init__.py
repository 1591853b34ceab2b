"""Lemon Squeezy: what the user's customers pay, as revenue, and what they used of usage-based subscriptions.

Key:   an API key; it has no scopes, so it can also refund orders. Live and test keys see different data.
Day:   the UTC day on which an order or invoice was made; a refund stands on the day of the refund.
Units: integers in the smallest unit of `currency`. How many decimals currencies like JPY have here is not documented:
       there the formatted text decides, and where it does not, the stored dollars stand in.
Never: take sales for spend, for Lemon Squeezy is the merchant of record and no endpoint states its fees; add the
       invoice whose reason is `initial` to the order that made it; add native and `_usd` amounts; add tax or setup fee
       to the total, which holds both; take a refund twice; convert by `currency_rate`; count what is pending, failed,
       void or fraudulent.
Lists have no filter by time, and refunds of old sales come at any time: sales are read whole, usage until the window
is left. Usage and names stand in `usage`, what fees may come to in `fees`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

import msgspec
from msgspec import Struct

from outlay.model.currency import currency_code, minor_unit_exponent
from outlay.model.facts import Revenue
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import (
    Ask,
    Bearer,
    Dataset,
    Endpoint,
    JsonApi,
    KeyKind,
    Offer,
    Option,
    Provider,
    Rate,
    Refusal,
    Service,
)
from outlay.providers.lemonsqueezy import limits, usage
from outlay.providers.lemonsqueezy.fees import FEES
from outlay.providers.lemonsqueezy.usage import BRIDGED_DAYS, SERVICE, STORE, Numbered

_MEDIA = "application/vnd.api+json"
_UPDATE = "Nothing was overwritten. Update Outlay; if it is up to date, report it."
_PAID = frozenset({"paid", "refunded", "partial_refund"})
_RETURNED = frozenset({"refunded", "partial_refund"})
_UNPAID = frozenset({"pending", "failed", "void", "fraudulent"})
_INITIAL = "initial"
_CENTS = 2
"""How many decimals nearly every currency has, about which nothing is in doubt."""
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Sale(Struct, gc=False):
    """What an order and a subscription invoice have in common, and what only one of them has."""

    currency: str
    status: str
    total: Decimal
    created_at: Moment
    store_id: int | None = None
    customer_id: int | None = None
    billing_reason: str | None = None
    subscription_id: int | None = None
    order_number: int | None = None
    refunded: bool = False
    refunded_at: Moment | None = None
    refunded_amount: Decimal | None = None
    refunded_amount_usd: Decimal | None = None
    discount_total: Decimal | None = None
    discount_total_usd: Decimal | None = None
    tax: Decimal | None = None
    tax_usd: Decimal | None = None
    setup_fee: Decimal | None = None
    setup_fee_usd: Decimal | None = None
    total_usd: Decimal | None = None
    total_formatted: str | None = None
    test_mode: bool = False


class SaleRow(Struct, gc=False):
    """A row of either list; its id is text."""

    id: str
    attributes: Sale


class SalesPage(Struct, gc=False):
    """A page of orders or of subscription invoices."""

    data: list[SaleRow]
    meta: Numbered


@dataclass(frozen=True, slots=True)
class _Unit:
    """In which currency, and how many decimals, a sale's amounts are to be read."""

    currency: str
    exponent: int
    suffix: str = ""

    def money(self, sale: Sale, name: str) -> Money | None:
        """Return an amount; None where the sale does not state it. Raises: ValueError."""
        amount = getattr(sale, name + self.suffix)
        return None if amount is None else Money.from_minor(amount, self.currency, {self.currency: self.exponent})

    def text(self, sale: Sale, name: str) -> str | None:
        """Return an amount in major units as text."""
        money = self.money(sale, name)
        return None if money is None else _text(money)


def _unit_of(sale: Sale) -> _Unit:
    """Return how to read a sale's amounts: in doubt as the vendor's own dollars, which are cents.

    Raises: ValueError when the currency or the total is none.
    """
    currency = currency_code(sale.currency)
    if not sale.total.is_finite():
        raise ValueError(f"{sale.total} is not an amount")
    exponent = minor_unit_exponent(currency)
    if exponent == _CENTS:
        return _Unit(currency, exponent)
    shown = _shown(sale.total_formatted)
    fitting = [places for places in (exponent, _CENTS) if shown and sale.total.scaleb(-places) == shown]
    return _Unit(currency, fitting[0]) if fitting else _Unit("USD", _CENTS, "_usd")


def _shown(text: str | None) -> Decimal | None:
    digits = re.sub(r"[^\d.-]", "", text or "")
    try:
        return Decimal(digits) if digits else None
    except InvalidOperation:
        return None


def _text(money: Money) -> str:
    whole = f"{money.amount:f}"
    return whole.rstrip("0").rstrip(".") or "0"


def orders(page: SalesPage, ask: Ask) -> Iterator[Revenue | Problem]:
    """Turn orders into revenue, and what was refunded of them into revenue taken back.

    Source: https://docs.lemonsqueezy.com/api/orders/the-order-object
    """
    return _sales("order", page.data, ask)


def subscription_invoices(page: SalesPage, ask: Ask) -> Iterator[Revenue | Problem]:
    """Turn renewals and changes into revenue; the initial invoice is the order's money and left to it.

    Source: https://docs.lemonsqueezy.com/api/subscription-invoices/the-subscription-invoice-object
    """
    later = [row for row in page.data if row.attributes.billing_reason != _INITIAL]
    return _sales("subscription_invoice", later, ask)


def _sales(kind: str, rows: Sequence[SaleRow], ask: Ask) -> Iterator[Revenue | Problem]:
    if any(row.attributes.test_mode for row in rows):
        yield Problem(
            code="test_data",
            says="the key is of the test mode: its sales are not real and left out",
            hint="Create a key with the store in live mode.",
            severity=Severity.WARNING,
        )
    for row in rows:
        sale = row.attributes
        if sale.test_mode or sale.status in _UNPAID:
            continue
        made = _day(sale.created_at)
        returned = _day(sale.refunded_at) if sale.refunded_at else made
        asked = [day for day in dict.fromkeys((made, returned)) if _asked(day, ask)]
        if not asked:
            continue
        where = f"{kind} {row.id}"
        if sale.status not in _PAID:
            says = f"whether a sale whose status is {sale.status[:40]!r} is money is not known"
            yield from _untold("unknown_object", says, where, asked)
            continue
        try:
            facts = list(_facts(kind, row, made, returned))
        except ValueError as error:
            yield from _untold("amount_refused", str(error), where, asked)
            continue
        yield from (fact for fact in facts if _asked(fact.revenue_period, ask))
        if returned in asked and _refund_unknown(sale, facts):
            says = "it was refunded in part or whole, and how much is not stated"
            yield from _untold("amount_refused", says, where, [returned])


def _untold(code: str, says: str, where: str, days: Sequence[Period]) -> Iterator[Problem]:
    """Yield a problem for each day that lacks money by it."""
    yield from (Problem(code=code, says=says, where=where, hint=_UPDATE, period=day) for day in days)


def _refund_unknown(sale: Sale, facts: Sequence[Revenue]) -> bool:
    """Return whether money was given back, and nothing says how much: an amount of zero is not what was refunded."""
    return bool(sale.total) and _is_returned(sale) and len(facts) == 1


def _is_returned(sale: Sale) -> bool:
    return sale.refunded or sale.status in _RETURNED or bool(sale.refunded_amount)


def _facts(kind: str, row: SaleRow, made: Period, returned: Period) -> Iterator[Revenue]:
    sale = row.attributes
    unit = _unit_of(sale)
    gross = unit.money(sale, "total")
    if gross is None:
        raise ValueError(f"it states {sale.currency} in a scale that is not known, and no dollars")
    details = {
        "status": sale.status,
        "billing_reason": sale.billing_reason,
        "store_id": _id(sale.store_id),
        "subscription_id": _id(sale.subscription_id),
        "order_number": _id(sale.order_number),
        "tax": unit.text(sale, "tax"),
        "discount_total": unit.text(sale, "discount_total"),
        "setup_fee": unit.text(sale, "setup_fee"),
        "total_usd": None if sale.total_usd is None else _text(Money.from_minor(sale.total_usd, "USD")),
        "native_currency": sale.currency if unit.suffix else None,
    }
    known: dict[str, str | None] = {name: text for name, text in details.items() if text is not None}
    yield Revenue(revenue_period=made, kind=kind, gross=gross, service_name=SERVICE, record_id=row.id,
                  customer_id=_id(sale.customer_id), details=known)  # fmt: skip
    refunded = unit.money(sale, "refunded_amount")
    if refunded is None and sale.refunded_amount is None and sale.status != "partial_refund" and _is_returned(sale):
        refunded = gross
    if refunded:
        yield Revenue(revenue_period=returned, kind=f"{kind}_refund", gross=-refunded, service_name=SERVICE,
                      record_id=row.id, customer_id=_id(sale.customer_id), details=known)  # fmt: skip


def _day(moment: datetime) -> Period:
    return Period.of_day(moment.astimezone(UTC).date())


def _asked(period: Period, ask: Ask) -> bool:
    return ask.period.start <= period.start < ask.period.end


def _id(number: int | None) -> str | None:
    return None if number is None else str(number)


ORDERS: Endpoint[SalesPage] = Endpoint(
    name="orders", path="/v1/orders", page=SalesPage, facts=orders, pages=JsonApi(), query={"page[size]": 100},
    query_options=STORE, page_days=BRIDGED_DAYS,
)  # fmt: skip
SUBSCRIPTION_INVOICES: Endpoint[SalesPage] = Endpoint(
    name="subscription_invoices", path="/v1/subscription-invoices", page=SalesPage, facts=subscription_invoices,
    pages=JsonApi(), query={"page[size]": 100}, query_options=STORE, page_days=BRIDGED_DAYS,
)  # fmt: skip

_KEY = "Create a key in live mode under Settings, API, for Outlay alone."

PROVIDER = Provider(
    id="lemonsqueezy",
    title="Lemon Squeezy",
    base_url="https://api.lemonsqueezy.com",
    auth=Bearer(),
    environment=("LEMONSQUEEZY_API_KEY", "LEMON_SQUEEZY_API_KEY"),
    key_help=f"{_KEY} Keys have no scopes.",
    keys=(
        KeyKind("eyJ", "API key", usable=True, more_than_read=True,
                hint="There is no read-only key: whoever has this one can refund orders. Keep it well."),
    ),
    options=(Option("store", "the id of one store; without it, all stores of the account"),),
    headers={"accept": _MEDIA, "content-type": _MEDIA},
    datasets=(
        *usage.DATASETS,
        # A list is read whole whenever it is read at all: looking at every day again costs nothing, and refunds are
        # found however late they come.
        Dataset("orders", "Orders and their refunds", (Revenue,), (ORDERS,), horizon_days=400, repeats="latest"),
        Dataset("subscription_invoices", "Renewals and their refunds", (Revenue,), (SUBSCRIPTION_INVOICES,),
                horizon_days=400, repeats="latest"),
        *limits.DATASETS,
    ),
    estimates=(FEES,),
    services={SERVICE: Service("Business Applications", "Other (Business Applications)")},
    default_service=Service("Business Applications", "Other (Business Applications)"),
    account_type="Account",
    sub_account_type="Store",
    offers={
        "cost": Offer("entered", "No endpoint states fees or payouts, and orders are revenue: spend is unknown until "
                                 "you enter your fee terms, from which it is estimated by day, or what payouts show."),
        "usage": Offer("api", "Usage records by day, and the running total of each usage-based item's period."),
        "limits": Offer("headers", "300 calls a minute, to which Outlay keeps, and what is left of them when it asks."),
        "balance": Offer("entered", "Payouts and what is held are in the dashboard only: enter them."),
        "invoices": Offer("entered", "Those of the API are your customers' and stand under revenue; enter yours."),
        "budgets": Offer("none", "Lemon Squeezy has none; set one in Outlay."),
        "revenue": Offer("api", "Paid orders, renewals and changes of subscriptions, refunds; before fees, with tax."),
        "writes": Offer("none", "Usage records and refunds could be written through the API; Outlay never does."),
    },
    sources=(
        "https://docs.lemonsqueezy.com/api",
        "https://docs.lemonsqueezy.com/api/getting-started/responses",
        "https://docs.lemonsqueezy.com/help/getting-started/fees",
        "https://docs.lemonsqueezy.com/help/payments/refunds-chargebacks",
        "https://github.com/lmsqueezy/lemonsqueezy.js",
    ),
    rates=(Rate(300, 60),),
    patience=limits.patience,
    refusals=(
        Refusal(401, "access_denied", hint=_KEY),
        # Every account has every list: one that is not found is no plan's lack but a wrong address or option.
        Refusal(404, "request_refused", hint="Check the options `store` and `base_url` of the connection."),
    ),
)  # fmt: skip
