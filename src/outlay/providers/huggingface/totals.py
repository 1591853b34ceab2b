"""Hugging Face's totals per window: routed inference and jobs, by day, with the month's included credits."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from outlay.model.facts import Category, Charge, Frequency, Limit, LimitKind, Statement, Usage
from outlay.model.money import Money, exact
from outlay.model.period import Period, parse_time
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Endpoint, EpochWindow, FanOut, Refusal

UPDATE = "Update outlay; if it stays, report it."
CURRENCY = "USD"
INFERENCE, JOBS, SPACES, ENDPOINTS = "Inference Providers", "Jobs", "Spaces", "Inference Endpoints"
EACH = FanOut("organization", "name", among="organizations")
NO_ROLE = (
    # Its cost is then unknown and not nothing; the other organizations go on.
    Refusal(
        403,
        "permission_missing",
        hint="The token needs org.read and its owner a role that sees this organization's bill; or name only the"
        " organizations to read in `organizations`.",
    ),
)
NO_COST = (
    *NO_ROLE,
    Refusal(
        404,
        "permission_missing",
        hint="No organization of this name is told to the token, or the path is gone: correct `organizations`, or let"
        " the token read it.",
    ),
)
NO_PLAN = Refusal(404, "not_offered", hint="Resource groups need an Enterprise or Team plan.")
_NANO, _MICRO = -9, -6


class Inference(Struct, rename="camel", gc=False):
    """Routed inference: `used_nano_usd` is before, `included_nano_usd` what the plan's credits cover."""

    used_nano_usd: Decimal
    included_nano_usd: Decimal | None = None
    limit_nano_usd: Decimal | None = None
    num_requests: Decimal | None = None
    period_start: str | None = None
    period_end: str | None = None


class Jobs(Struct, rename="camel", gc=False):
    """Jobs; `total_minutes` is their time."""

    used_micro_usd: Decimal | None = None
    total_minutes: Decimal | None = None
    period_start: str | None = None
    period_end: str | None = None


class Other(Struct, rename="camel", gc=False):
    """A product that no one has described, as far as it is like the others."""

    used_nano_usd: Decimal | None = None
    used_micro_usd: Decimal | None = None


class Totals(Struct, gc=False):
    """The answer for one window, by product; `periodEnd` within it repeats what was asked and is no reset."""

    usage: dict[str, Raw]

    def product(self, name: str) -> Raw | None:
        """Return a product as it came; None where it is missing or null."""
        raw = self.usage.get(name)
        return None if raw is None or bytes(raw) == b"null" else raw


def money(amount: Decimal, exponent: int) -> Money:
    """Return dollars from an amount in units of ten to the exponent. Raises: ValueError for a negative amount."""
    if amount < 0:
        raise ValueError(f"a cost of {amount} is negative")
    return Money(amount.scaleb(exponent), CURRENCY)


def account_of(ask: Ask) -> dict[str, str | None]:
    """Return the fields that say whose bill a charge is on: an organization's, or none for the token's owner."""
    if ask.item is None:
        return {}
    return {"billing_account_id": ask.item, "sub_account_id": ask.item, "sub_account_type": "Organization"}


_INFERENCE, _JOBS = "inferenceProviders", "jobs"
_RUNS = frozenset({"spaces", "endpoints"})
"""What the runs of the billing period tell one by one, in lower case."""


def _inference(page: Totals) -> Inference | None:
    raw = page.product(_INFERENCE)
    return None if raw is None else msgspec.json.decode(raw, type=Inference)


def _jobs(page: Totals) -> Jobs:
    raw = page.product(_JOBS)
    return Jobs() if raw is None else msgspec.json.decode(raw, type=Jobs)


def daily(page: Totals, ask: Ask) -> Iterator[Charge | Usage | Problem]:
    """Turn the totals of one day into what inference and jobs cost before the month's credits.

    Units:  inference in billionths, jobs in millionths of a dollar.
    Null:   a product without use may be missing or null. A figure that says a longer period than the day's is refused.
    Source: https://huggingface.co/docs/inference-providers/pricing
    """
    try:
        inference = _inference(page)
        if inference is not None:
            used = money(inference.used_nano_usd, _NANO)
            yield from _beyond(inference, INFERENCE, used, ask)
            yield from _day(ask, INFERENCE, used, "requests", "requests", inference.num_requests)
        jobs = _jobs(page)
        if jobs.used_micro_usd is not None:
            used = money(jobs.used_micro_usd, _MICRO)
            yield from _beyond(jobs, JOBS, used, ask)
            yield from _day(ask, JOBS, used, "minutes", "minutes", jobs.total_minutes)
    except (ValueError, msgspec.ValidationError) as error:
        yield _refused(error, ask.period)


def _beyond(meter: Inference | Jobs, service: str, used: Money, ask: Ask) -> Iterator[Problem]:
    """Refuse what is told of more than was asked for: a month's use on each of its days is thirty times the bill.

    Nothing used in a longer span is nothing used in this one. What says no period is taken for the window's.
    """
    try:
        start = parse_time(meter.period_start) if meter.period_start else ask.period.start
        end = parse_time(meter.period_end) if meter.period_end else ask.period.end
    except ValueError:
        return
    if used and (start < ask.period.start or end > ask.period.end):
        yield Problem(
            code="another_span",
            says=f"{service} of {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} are told for"
            f" {ask.period.first_day} to {ask.period.end_day}",
            where=ask.item or "user",
            hint="What was committed before is kept. Where it stays so, enter what the vendor's billing page tells.",
            period=ask.period,
        )


def _day(
    ask: Ask, service: str, used: Money, meter: str, unit: str, quantity: Decimal | None
) -> Iterator[Charge | Usage]:
    sku = service.lower().replace(" ", "-")
    if used:
        yield Charge(
            charge_period=ask.period,
            billed_cost=used,
            list_cost=used,
            service_name=service,
            charge_description=service,
            sku_id=sku,
            sku_price_id=sku,
            pricing_category="Standard",
            **account_of(ask),  # type: ignore[arg-type]
        )
    if quantity:
        yield Usage(
            usage_period=ask.period,
            meter=meter,
            unit=unit,
            quantity=exact(quantity),
            service_name=service,
            sku_id=sku,
            sub_account_id=ask.item,
        )


def monthly(page: Totals, ask: Ask) -> Iterator[Charge | Statement | Problem]:
    """Turn the totals of one month into the included credits, which only a month knows, and a total to compare with.

    The bill is the greater of nothing and use less credits, so the credit is never more than the use. What the totals
    hold beyond what Outlay can place is said.

    Units:  billionths of a dollar.
    Null:   no credits are included in the free plan.
    Source: https://huggingface.co/docs/inference-providers/pricing
    """
    yield from _unknown(page, ask)
    try:
        inference = _inference(page)
        if inference is None:
            return
        used = money(inference.used_nano_usd, _NANO)
        yield from _beyond(inference, INFERENCE, used, ask)
        included = money(inference.included_nano_usd or Decimal(0), _NANO).amount
        covered = min(used.amount, included)
        if included > covered and _jobs(page).used_micro_usd:
            yield _left_over(exact(included - covered), ask)
    except (ValueError, msgspec.ValidationError) as error:
        yield _refused(error, ask.period)
        return
    if covered:
        yield Charge(
            charge_period=ask.period,
            billed_cost=Money(-covered, CURRENCY),
            service_name=INFERENCE,
            charge_category=Category.CREDIT,
            charge_frequency=Frequency.ONE_TIME,
            charge_description="Included credits",
            sku_id="included-credits",
            **account_of(ask),  # type: ignore[arg-type]
        )
    yield Statement(
        period=ask.period,
        dataset="organization_usage" if ask.item else "usage",
        service_name=INFERENCE,
        list_cost=used,
        tolerance=_MOVING,
        billing_account_id=ask.item,
    )


def _unknown(page: Totals, ask: Ask) -> Iterator[Problem]:
    """Say which products cost something and are read nowhere, so that they are missing from every sum."""
    for name, raw in page.usage.items():
        if name in (_INFERENCE, _JOBS) or name.lower() in _RUNS:
            continue
        try:
            other = msgspec.json.decode(raw, type=Other)
        except msgspec.ValidationError:
            continue
        dollars = (other.used_nano_usd or Decimal(0)).scaleb(_NANO) + (other.used_micro_usd or Decimal(0)).scaleb(
            _MICRO
        )
        if dollars:
            yield Problem(
                code="unknown_object",
                says=f"the totals hold {name!r} of {dollars.normalize():f} {CURRENCY}, which is left out",
                where=f"{ask.item or 'user'} {name}",
                hint="Update outlay; until it knows the product, enter what it costs.",
                period=ask.period,
                severity=Severity.WARNING,
            )


def _left_over(amount: Decimal, ask: Ask) -> Problem:
    return Problem(
        code="credits_unplaced",
        says=f"inference has left {amount.normalize():f} {CURRENCY} of the month's included credits, which may have"
        " covered jobs, Spaces or Endpoints",
        where=ask.item or "user",
        hint="The vendor tells only what is included: compare with the invoice, and enter the credit if it was given.",
        period=ask.period,
        severity=Severity.NOTE,
    )


_MOVING = Decimal("0.5")
"""Requests of the last half hour are booked with a placeholder, so day and month may be told a little apart."""


def ceiling(page: Totals, ask: Ask) -> Iterator[Limit | Problem]:
    """Turn a limit on routed inference into a ceiling; 0 and absent mean that there is none."""
    try:
        inference = _inference(page)
        if inference is None or not inference.limit_nano_usd:
            return
        quota = money(inference.limit_nano_usd, _NANO).amount
    except (ValueError, msgspec.ValidationError) as error:
        yield _refused(error, None)
        return
    yield Limit(
        name="inference",
        scope=f"organization:{ask.item}" if ask.item else "account",
        kind=LimitKind.SPEND,
        unit=CURRENCY,
        quota=quota,
        window="month",
        sub_account_id=ask.item,
    )


def _refused(error: Exception, period: Period | None) -> Problem:
    return Problem(code="amount_refused", says=str(error), hint=UPDATE, period=period, severity=Severity.FATAL)


# Milliseconds are refused; a window says its own start and end, so a day is asked for as a day.
_DAYS, _MONTHS = EpochWindow("startDate", "endDate", days_max=1), EpochWindow("startDate", "endDate", by_month=True)
_MINE, _THEIRS = "/api/settings/billing/usage-v2", "/api/organizations/{name}/billing/usage-v2"

USAGE = Endpoint(name="usage", path=_MINE, window=_DAYS, page=Totals, facts=daily)
ORGANIZATION_USAGE = Endpoint(
    name="organization_usage", path=_THEIRS, window=_DAYS, each=EACH, refusals=NO_COST, page=Totals, facts=daily
)
CREDITS = Endpoint(name="credits", path=_MINE, window=_MONTHS, page=Totals, facts=monthly)
ORGANIZATION_CREDITS = Endpoint(
    name="organization_credits", path=_THEIRS, window=_MONTHS, each=EACH, refusals=NO_COST, page=Totals, facts=monthly
)
INFERENCE_LIMIT = Endpoint(name="inference_limit", path=_MINE, window=_DAYS, page=Totals, facts=ceiling)
ORGANIZATION_INFERENCE_LIMIT = Endpoint(
    name="organization_inference_limit",
    path=_THEIRS,
    window=_DAYS,
    each=EACH,
    refusals=NO_ROLE,
    page=Totals,
    facts=ceiling,
)
