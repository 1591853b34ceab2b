"""What Stripe takes: every fee and tax on a movement of the balance, and every movement that is itself a fee."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import Category, Charge, Frequency
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import AfterId, Ask, Dataset, Endpoint, EpochWindow, Refusal
from outlay.providers.stripe.amounts import Reference, identity, money, text

UPDATE = "Look for a newer Outlay; if there is none, report it with the payload that `outlay sql` shows."
SANDBOX = Problem(
    code="sandbox",
    says="the key opens a sandbox, where all money is invented",
    hint="Keep it in a ledger of its own, so that nothing of it is added to real money.",
    severity=Severity.WARNING,
)
PAYMENTS, PAYOUTS, NETWORK = "Stripe Payments", "Stripe Payouts", "Stripe Network Costs"
PASSED_ON, OTHER, PLATFORM = "Stripe Pass-Through Fees", "Stripe Fees", "Connect Platform Fees"
PRODUCTS = ("Billing", "Radar", "Tax", "Connect", "Invoicing", "Issuing", "Terminal", "Sigma", "Identity", "Climate")
_PRODUCT = re.compile(rf"\b(?:{'|'.join(PRODUCTS)})\b")
_FEE_ROWS = {"fee": OTHER, "network_cost": NETWORK, "tax": OTHER}
"""Reporting categories whose own amount is a cost."""
_FEE_TYPES = frozenset({"stripe_fee", "stripe_fx_fee", "tax_fee"})
_TAXES = frozenset({"tax", "withheld_tax"})
_MOVEMENTS = re.compile(
    r"advance|anticipation|charge|climate|connect|contribution|dispute|financing|inbound|issuing|obligation|other_adj"
    r"|partial_capture|payment|payout|platform_earning|refund|reserve|risk_reserved|topup|transfer|unreconciled"
)
"""How the names of the categories begin that move the user's own or its customers' money, and are no cost."""


class FeeDetail(Struct, gc=False):
    """One part of a movement's fee; `application` is the platform that gets it instead of Stripe."""

    amount: Decimal
    currency: str
    type: str
    description: str | None = None
    application: str | None = None


class Movement(Struct, gc=False):
    """One movement of the balance; a negative amount leaves it. `net` is left unread: it is amount less fee."""

    id: str
    amount: Decimal
    fee: Decimal
    currency: str
    created: int
    type: str
    reporting_category: str | None = None
    description: str | None = None
    source: str | Reference | None = None
    fee_details: list[FeeDetail] = field(default_factory=list)


class MovementPage(Struct, gc=False):
    """A page of movements, newest first."""

    data: list[Movement]
    has_more: bool

    @property
    def last_id(self) -> str | None:
        """Return the id to continue after."""
        return self.data[-1].id if self.data else None


def fees(page: MovementPage, ask: Ask) -> Iterator[Charge | Problem]:
    """Turn movements into what Stripe takes: one charge per kind of fee, one per movement that is a fee.

    Units:  whole numbers of the smallest unit, in the currency of the settlement; a positive fee is a cost, a negative
            one is returned; a movement that is a fee has a negative amount.
    Null:   a movement without source is booked on none. Whether it is available yet is left out: the cost is the same.
    Source: https://docs.stripe.com/api/balance_transactions/object
    """
    for row in page.data:
        yield from _mapped(row, ask, platform=False)


def platform_fees(page: MovementPage, ask: Ask) -> Iterator[Charge | Problem]:
    """Turn the fees that a Connect platform takes into charges; they never reach Stripe."""
    for row in page.data:
        yield from _mapped(row, ask, platform=True)


def _mapped(row: Movement, ask: Ask, *, platform: bool) -> Iterator[Charge | Problem]:
    moment = datetime.fromtimestamp(row.created, UTC)
    day = Period.of_day(moment.date())
    try:
        parts = _parts(row)
        for (kind, _, description, application), amount in parts.items():
            if (kind == "application_fee" or application is not None) == platform:
                yield _charge(row, ask, day, amount, kind, description, application)
        if platform:
            return
        yield from _whole(row, ask, day)
        yield from _rest(row, ask, day, parts)
    except ValueError as error:
        yield Problem(code="amount_refused", says=str(error), where=row.id, hint=UPDATE, period=day)


_Kind = tuple[str, str, str | None, str | None]


def _parts(row: Movement) -> dict[_Kind, Money]:
    """Return a movement's fees, parts of one kind added up: two such parts are one line and no repetition."""
    parts: dict[_Kind, Money] = {}
    for part in row.fee_details:
        amount = money(part.amount, part.currency or row.currency)
        kind = (part.type, amount.currency, part.description, part.application)
        parts[kind] = parts[kind] + amount if kind in parts else amount
    return parts


def _whole(row: Movement, ask: Ask, day: Period) -> Iterator[Charge | Problem]:
    """Yield the movement's own amount where the movement is a fee, a network cost or a tax."""
    category = row.reporting_category or ""
    if category in _FEE_ROWS or row.type in _FEE_TYPES:
        kind = "tax" if row.type == "tax_fee" else category or "fee"
        yield _charge(row, ask, day, -money(row.amount, row.currency), kind, row.description, None, own=True)
    elif category and not _MOVEMENTS.match(category):
        yield Problem(
            code="unknown_object",
            says=f"a movement of the balance is of the unknown category {category!r} ({row.type})",
            where=row.id,
            hint=f"Its fee is booked, its amount is not taken for a cost. {UPDATE}",
            severity=Severity.WARNING,
            period=day,
        )


def _rest(row: Movement, ask: Ask, day: Period, parts: dict[_Kind, Money]) -> Iterator[Charge | Problem]:
    """Yield the part of a fee that its details leave unexplained: what Stripe takes is the fee."""
    fee = money(row.fee, row.currency)
    if any(amount.currency != fee.currency for amount in parts.values()):
        return
    for amount in parts.values():
        fee -= amount
    if fee:
        says = f"the details of a fee add up to {text(fee)} {fee.currency} less than the fee"
        yield Problem(code="total_differs", says=says, where=row.id, hint="The difference is booked on its own.",
                      severity=Severity.WARNING, period=day)  # fmt: skip
        yield _charge(row, ask, day, fee, "unexplained", row.description, None)


def _charge(
    row: Movement,
    ask: Ask,
    day: Period,
    amount: Money,
    kind: str,
    description: str | None,
    application: str | None,
    *,
    own: bool = False,
) -> Charge:
    tax, returned = kind in _TAXES, amount.amount < 0
    counted = not (tax or returned)
    source, account = identity(row.source), ask.options.get("account")
    sku = None if tax else f"stripe/{kind}/{row.type}"
    one = Decimal(1) if counted else None
    return Charge(
        charge_period=day,
        billed_cost=amount,
        service_name=_service(row, kind, application, own=own),
        charge_category=Category.TAX if tax else Category.CREDIT if returned else Category.USAGE,
        charge_frequency=Frequency.USAGE_BASED if counted else Frequency.ONE_TIME,
        charge_description=description,
        sku_id=sku,
        sku_price_id=sku if counted else None,
        sku_meter=None if tax else kind,
        consumed_quantity=one,
        consumed_unit="Count" if counted else None,
        pricing_quantity=one,
        pricing_unit="Count" if counted else None,
        pricing_category="Standard" if counted else None,
        sub_account_id=account,
        sub_account_type="Connected account" if account else None,
        resource_id=source,
        resource_type=row.type.replace("_", " ").capitalize() if source else None,
        publisher_name=application,
        details=_details(row, kind, own=own),
    )


def _details(row: Movement, kind: str, *, own: bool) -> dict[str, str | None]:
    details: dict[str, str | None] = {
        "balance_transaction": row.id, "type": row.type, "reporting_category": row.reporting_category, "fee": kind,
    }  # fmt: skip
    return details if own else {**details, "amount": text(money(row.amount, row.currency)), "currency": row.currency}


def _service(row: Movement, kind: str, application: str | None, *, own: bool) -> str:
    if kind == "application_fee" or application is not None:
        return PLATFORM
    if kind == "payment_method_passthrough_fee":
        return PASSED_ON
    if own:
        product = _PRODUCT.search(row.description or "") if kind == "fee" else None
        return f"Stripe {product[0]}" if product else _FEE_ROWS.get(kind, OTHER)
    if row.type.startswith("payout"):
        return PAYOUTS
    return _FEE_ROWS.get(row.reporting_category or "", PAYMENTS)


AFTER = AfterId(send="starting_after")
CREATED = EpochWindow("created[gte]", "created[lt]", days_max=7)
ACCOUNT = Refusal(
    403,
    "access_denied",
    contains="does not have access to account",
    hint="The option `account` names an account that this key does not open: set it to one that has connected your "
    "platform and has not withdrawn since, or leave it out.",
)
"""Said of every question alike, so it is no permission of the key; each endpoint must hear it before its own 403."""
SHIFTED = Refusal(
    404,
    "retry_later",
    contains="resource_missing",
    hint="The row that the next page begins after is gone; the next sync begins again.",
)
"""Said of a list, which is asked for by no id but that of the row to go on after, whether or not it is named."""
PERMISSION = Refusal(
    403, "permission_missing", hint="Give the restricted key the permission balance_read (Balance: read)."
)

FEES: Endpoint[MovementPage] = Endpoint(
    name="balance_transactions", path="/v1/balance_transactions", page=MovementPage, facts=fees, window=CREATED,
    pages=AFTER, query={"limit": 100}, refusals=(ACCOUNT, PERMISSION, SHIFTED),
)  # fmt: skip
PLATFORM_FEES: Endpoint[MovementPage] = Endpoint(
    name="application_fees", path="/v1/balance_transactions", page=MovementPage, facts=platform_fees, window=CREATED,
    pages=AFTER, query={"limit": 100}, refusals=(ACCOUNT, PERMISSION, SHIFTED),
)  # fmt: skip

DATASETS = (
    Dataset("fees", "Stripe's fees and taxes on them", (Charge,), (FEES,), repeats="latest"),
    Dataset("application_fees", "Fees of a Connect platform", (Charge,), (PLATFORM_FEES,), repeats="latest",
            default=False),
)  # fmt: skip
