"""Stripe: what Stripe takes from one account, what it holds for it, and what the account's customers owe.

Key:   a restricted key (`rk_live_`) with balance_read, and invoice_read for revenue. Secret keys can do everything and
       work too; publishable keys are refused. Live and sandbox data never meet.
Day:   a UTC day by `created`, as Stripe's own monthly tax invoice counts. Movements of the balance are never changed:
       a correction is a later movement. Invoices change for months.
Units: whole numbers of the smallest unit, by Stripe's own table of currencies, which is not ISO 4217.
Never: add `fee` to `fee_details`, which explain it; amounts of charges to fees; `net` to anything; an invoice's total
       to its lines; what is due to what is paid; what is upcoming to what is issued; available to instantly available
       money, which is part of it; what a Connect platform takes to what Stripe takes; live to sandbox; one currency to
       another.
Fees stand in `fees`; invoices and customers in `revenue`; what customers used in `meters`; previews of next invoices in
`upcoming`.

API version 2026-10-28.endive is sent with each request: without it each account answers in a shape of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import NO_END, Balance
from outlay.model.problem import Problem
from outlay.providers.base import Ask, Bearer, Dataset, Endpoint, KeyKind, Offer, Option, Provider, Rate, Refusal
from outlay.providers.base import Service as Place
from outlay.providers.stripe import fees, meters, revenue, upcoming
from outlay.providers.stripe.amounts import money

VERSION = "2026-10-28.endive"


class Held(Struct, gc=False):
    """An amount of one currency."""

    amount: Decimal
    currency: str


class Fund(Struct, gc=False):
    """Money set apart for a purpose."""

    available: list[Held] = field(default_factory=list)
    pending: list[Held] = field(default_factory=list)


class Funds(Struct, gc=False):
    """What Stripe holds; `instant_available` is left unread because it is part of the others."""

    available: list[Held]
    pending: list[Held]
    livemode: bool = True
    connect_reserved: list[Held] = field(default_factory=list)
    issuing: Fund = field(default_factory=Fund)
    refund_and_dispute_prefunding: Fund = field(default_factory=Fund)


def balance(page: Funds, _ask: Ask) -> Iterator[Balance | Problem]:
    """Turn what Stripe holds into balances, one per purpose and currency; a negative one is owed to Stripe.

    Units:  whole numbers of the smallest unit.
    Source: https://docs.stripe.com/api/balance/balance_object
    """
    if not page.livemode:
        yield fees.SANDBOX
    prefunding = page.refund_and_dispute_prefunding
    held = {
        "available": page.available,
        "pending": page.pending,
        "connect_reserved": page.connect_reserved,
        "issuing": page.issuing.available,
        "refund_and_dispute_prefunding": prefunding.available,
        "refund_and_dispute_prefunding_pending": prefunding.pending,
    }
    for name, rows in held.items():
        for row in rows:
            amount = money(row.amount, row.currency)
            yield Balance(name=name, amount=amount.amount, currency=amount.currency, details={**NO_END})


BALANCE: Endpoint[Funds] = Endpoint(
    name="balance", path="/v1/balance", page=Funds, facts=balance, refusals=(fees.ACCOUNT, fees.PERMISSION)
)

_RESTRICTED = (
    "Create a restricted key in the Dashboard under Developers, API keys, with read access to Balance (balance_read) "
    "and, for revenue, to Invoices (invoice_read)"
)
_LIMITED = {
    "global-rate": "The account's requests a second are used up.",
    "endpoint-rate": "More than 25 requests a second went to one endpoint.",
    "global-concurrency": "Too many requests of the account run at the same time.",
    "endpoint-concurrency": "Too many requests run at the same time on one endpoint.",
    "resource-specific": "Another request works on the same object.",
}
"""Why a request came too soon, by Stripe's word for it."""
_SERVICES = (
    fees.PAYMENTS, fees.PAYOUTS, fees.NETWORK, fees.PASSED_ON, fees.OTHER, fees.PLATFORM, meters.METERS_SERVICE,
    *(f"Stripe {product}" for product in fees.PRODUCTS),
)  # fmt: skip
_OTHER = Place("Business Applications", "Other (Business Applications)")

PROVIDER = Provider(
    id="stripe",
    title="Stripe",
    base_url="https://api.stripe.com",
    auth=Bearer(),
    environment=("STRIPE_RESTRICTED_KEY", "STRIPE_API_KEY", "STRIPE_SECRET_KEY"),
    key_help=f"{_RESTRICTED}; reading meters takes billing_meter_read and billing_meter_event_read, "
             "previews of next invoices read access to Subscriptions.",
    keys=(
        KeyKind("rk_live_", "restricted key", usable=True),
        KeyKind("rk_test_", "restricted key of a sandbox", usable=True, sandbox=True,
                hint="It reads invented money only."),
        KeyKind("sk_live_", "secret key", usable=True, more_than_read=True,
                hint=f"It can move money. {_RESTRICTED}."),
        KeyKind("sk_test_", "secret key of a sandbox", usable=True, more_than_read=True, sandbox=True,
                hint="It reads invented money only."),
        KeyKind("pk_", "publishable key", usable=False, hint=f"It is for browsers and reads nothing. {_RESTRICTED}."),
    ),
    headers={"stripe-version": VERSION},
    header_options={"stripe-account": "account"},
    rates=(Rate(25, 1),),
    request_id_header="request-id",
    retry_header="stripe-should-retry",
    reason_header="stripe-rate-limited-reason",
    account_type="Account",
    sub_account_type="Connected account",
    options=(Option("account", "the id of a connected account (acct_…) that a platform's key reads"),),
    refusals=(
        Refusal(401, "access_denied", contains="api_key_expired", hint=f"The key has expired. {_RESTRICTED}."),
        Refusal(401, "access_denied", hint=f"The key is wrong or revoked. {_RESTRICTED}."),
        Refusal(402, "request_refused"),
        Refusal(403, "permission_missing", hint=f"{_RESTRICTED}."),
        Refusal(404, "retry_later", contains="starting_after", hint=fees.SHIFTED.hint),
        Refusal(404, "not_offered", contains="resource_missing",
                hint="Objects that were deleted or are of the other mode, live or sandbox, are not found."),
        # Every account has every list: one that is not found is no plan's lack but a wrong address.
        Refusal(404, "request_refused", hint="Check the option `base_url` of the connection."),
        Refusal(409, "retry_later"),
        *(Refusal(429, "retry_later", header=f"stripe-rate-limited-reason: {reason}", hint=f"{says} ({reason})")
          for reason, says in _LIMITED.items()),
        Refusal(429, "retry_later", contains="lock_timeout", hint="Another request holds the object."),
    ),
    datasets=(
        *fees.DATASETS,
        Dataset("balance", "Money held at Stripe", (Balance,), (BALANCE,), grain="reading"),
        *revenue.DATASETS,
        *meters.DATASETS,
        *upcoming.DATASETS,
    ),
    services=dict.fromkeys(_SERVICES, _OTHER),
    default_service=_OTHER,
    offers={
        "cost": Offer("api", "Every fee and tax on every movement of the balance, in the settlement's currency. What a "
                             "Connect platform takes is a dataset of its own."),
        "usage": Offer("api", "What each customer used of each billing meter, per day: asked one by one, on demand."),
        "limits": Offer("none", "No endpoint states them: 25 requests a second for one endpoint, 100 for an account."),
        "balance": Offer("api", "Available, pending and reserved money per currency; it is the account's own."),
        "invoices": Offer("api", "Only what your customers are billed next, on demand, as `upcoming`. Stripe's own tax "
                                 "invoice is in the Dashboard only: enter or import it."),
        "budgets": Offer("none", "Billing alerts watch what customers use and not what Stripe takes."),
        "revenue": Offer("api", "Issued invoices by line. Nobody owes an upcoming one yet: it is previewed on demand "
                                "and kept as an invoice, never as revenue."),
        "writes": Offer("none", "Meter events and much else could be written through the API; Outlay never does."),
    },
    sources=(
        "https://docs.stripe.com/api/balance_transactions/object",
        "https://docs.stripe.com/currencies",
        "https://docs.stripe.com/reports/reporting-categories",
        "https://docs.stripe.com/rate-limits",
        "https://docs.stripe.com/keys/permissions-reference",
        "https://docs.stripe.com/api/billing/meter-event-summary/list",
        "https://docs.stripe.com/api/subscriptions/list",
        "https://docs.stripe.com/api/invoices/create_preview",
        "https://support.stripe.com/questions/understanding-your-monthly-tax-invoice",
    ),
)  # fmt: skip
