"""Hugging Face's Spaces and Inference Endpoints: one line for each run within the present billing period."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct, field

from outlay.clock import day_of, midnight
from outlay.model.facts import Charge, Invoice
from outlay.model.money import Money, exact
from outlay.model.period import Period, parse_time
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Endpoint
from outlay.providers.huggingface.totals import (
    CURRENCY,
    EACH,
    ENDPOINTS,
    NO_COST,
    NO_ROLE,
    SPACES,
    UPDATE,
    account_of,
    money,
)

_UNITS = {"minute": "Minutes", "minutes": "Minutes", "hour": "Hours", "hours": "Hours"}
_MICRO = -6


class Item(Struct, rename="camel", gc=False):
    """One run; `stopped_at` is null while it goes on. The unit of its price is `unit_label`."""

    entity_id: str
    product: str
    quantity: Decimal | None = None
    label: str | None = None
    product_pretty_name: str | None = None
    unit_label: str | None = None
    started_at: str | None = None
    stopped_at: str | None = None
    total_cost_micro_usd: Decimal | None = field(default=None, name="totalCostMicroUSD")
    unit_cost_micro_usd: Decimal | None = field(default=None, name="unitCostMicroUSD")
    free_grant: bool = False


class Bill(Struct, rename="camel", gc=False):
    """The period's invoice, of which `no-invoice` says that there is none."""

    type: str
    id: str
    amount_due_cents: Decimal | None = None
    total_cents: Decimal | None = None
    status: str | None = None
    due_date: str | None = None


class BillingPeriod(Struct, rename="camel", gc=False):
    """The billing period the items are of; card payments within it are payments and are not read."""

    period_start: str
    period_end: str
    invoice: Bill | None = None


class Report(Struct, gc=False):
    """The present billing period of one account, its runs by kind."""

    period: BillingPeriod
    usage: dict[str, Raw]

    def runs(self, kind: str) -> list[Item]:
        """Return the runs of a kind; none where it is missing or null. Raises: msgspec.ValidationError."""
        return msgspec.json.decode(self.usage.get(kind, b"null"), type=list[Item] | None) or []


_KINDS = {"Spaces": SPACES, "Endpoints": ENDPOINTS}
_TOLD = frozenset({"inferenceproviders", "jobs"})
"""What the totals tell, wherever else it appears, in lower case."""


def compute(page: Report, ask: Ask) -> Iterator[Charge | Problem]:
    """Turn the runs of the present billing period into charges, clipped to the month that is asked for.

    Units:  millionths of a dollar; quantities in `unitLabel`, mostly minutes.
    Null:   a run that goes on has no end and is counted up to this day's; one without a start fills the period.
    Source: https://huggingface.co/docs/hub/billing
    """
    try:
        billing = Period.of_text(page.period.period_start, page.period.period_end)
    except ValueError as error:
        yield Problem(code="period_refused", says=str(error), hint=UPDATE, period=ask.period)
        return
    if not (ask.period.start <= billing.start and billing.end <= ask.period.end):
        # Its runs would be counted in two months, or those of the month's other billing period would be missing.
        yield Problem(
            code="another_span",
            says=f"the billing period is {billing.first_day} to {billing.end_day}, and not within the month",
            hint="What was committed before is kept. Where it stays so, enter what Spaces and Endpoints cost.",
            period=ask.period,
        )
        return
    yield from _unknown(page, ask)
    for kind, service in _KINDS.items():
        try:
            items = page.runs(kind)
        except msgspec.ValidationError as error:
            yield Problem(code="amount_refused", says=str(error), where=kind, hint=UPDATE, period=ask.period)
            continue
        for item in items:
            if item.product.startswith("jobs/"):
                continue
            try:
                yield _charge(item, service, _period(item, billing, ask), ask)
            except ValueError as error:
                yield Problem(
                    code="amount_refused", says=str(error), where=item.product, hint=UPDATE, period=ask.period
                )


def _unknown(page: Report, ask: Ask) -> Iterator[Problem]:
    """Say which kinds cost something and are read nowhere, so that they are missing from every sum."""
    for kind in page.usage:
        if kind in _KINDS or kind.lower().replace(" ", "") in _TOLD:
            continue
        try:
            items = [item for item in page.runs(kind) if not item.product.startswith("jobs/")]
        except msgspec.ValidationError:
            continue
        dollars = sum((item.total_cost_micro_usd or Decimal(0) for item in items), Decimal(0)).scaleb(_MICRO)
        if dollars:
            yield Problem(
                code="unknown_object",
                says=f"the runs hold {kind!r} of {dollars.normalize():f} {CURRENCY}, which is left out",
                where=f"{ask.item or 'user'} {kind}",
                hint="Update outlay; until it knows the product, enter what it costs.",
                period=ask.period,
                severity=Severity.WARNING,
            )


def _period(item: Item, billing: Period, ask: Ask) -> Period:
    """Return when a run took place within the billing period. Raises: ValueError for one that did not."""
    start = max(parse_time(item.started_at) if item.started_at else billing.start, billing.start)
    if start >= billing.end:
        raise ValueError(f"a run began on {start:%Y-%m-%d}, after its billing period")
    end = parse_time(item.stopped_at) if item.stopped_at else _running(item, billing, ask)
    return Period(start, max(min(end, billing.end), start + timedelta(seconds=1)))


def _running(item: Item, billing: Period, ask: Ask) -> datetime:
    if item.started_at is None:
        return billing.end
    return midnight(day_of(ask.observed_at) + timedelta(days=1))


def _charge(item: Item, service: str, period: Period, ask: Ask) -> Charge:
    """Return a run as a charge. Raises: ValueError for a cost that is negative or not told."""
    if item.total_cost_micro_usd is None:
        raise ValueError("a run without a cost, which is not known and not nothing")
    cost = money(item.total_cost_micro_usd, _MICRO)
    unit = _UNITS.get(item.unit_label or "", item.unit_label)
    quantity = exact(item.quantity) if item.quantity is not None and unit else None
    price = item.unit_cost_micro_usd
    return Charge(
        charge_period=period,
        billed_cost=cost,
        service_name=service,
        charge_description=item.product_pretty_name or item.product,
        sku_id=item.product,
        sku_price_id=item.product,
        consumed_quantity=quantity,
        consumed_unit=unit if quantity is not None else None,
        pricing_quantity=quantity,
        pricing_unit=unit if quantity is not None else None,
        pricing_category="Standard",
        list_unit_price=exact(price.scaleb(_MICRO)) if price is not None and quantity is not None else None,
        resource_id=item.entity_id,
        resource_type="Space" if service == SPACES else "Endpoint",
        details={"label": item.label, **({"freeGrant": "true"} if item.free_grant else {})},
        **account_of(ask),  # type: ignore[arg-type]
    )


def invoice(page: Report, ask: Ask) -> Iterator[Invoice]:
    """Turn the period's invoice into one; its total holds what the charges hold and is never added to them.

    Units: cents.
    """
    bill = page.period.invoice
    if bill is None or bill.type != "stripe" or bill.total_cents is None:
        return
    due = bill.amount_due_cents
    yield Invoice(
        invoice_id=bill.id,
        total=Money.from_minor(bill.total_cents, CURRENCY),
        amount_due=None if due is None else Money.from_minor(due, CURRENCY),
        status=bill.status or "open",
        period=Period.of_text(page.period.period_start, page.period.period_end),
        due_at=parse_time(bill.due_date) if bill.due_date else None,
        details={"organization": ask.item} if ask.item else None,
    )


_MINE, _THEIRS = "/api/settings/billing/usage", "/api/organizations/{name}/billing/usage"

COMPUTE = Endpoint(name="compute", path=_MINE, page=Report, facts=compute)
ORGANIZATION_COMPUTE = Endpoint(
    name="organization_compute", path=_THEIRS, each=EACH, refusals=NO_COST, page=Report, facts=compute
)
INVOICE = Endpoint(name="invoice", path=_MINE, page=Report, facts=invoice)
ORGANIZATION_INVOICE = Endpoint(
    name="organization_invoice", path=_THEIRS, each=EACH, refusals=NO_ROLE, page=Report, facts=invoice
)
