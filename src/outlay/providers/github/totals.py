"""GitHub's totals: the month's summary, which the daily rows must add up to, and AI use by model, which they hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import Statement, Usage
from outlay.model.money import Money, exact
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.base import Ask, DayParts, Endpoint, MonthParts, Refusal
from outlay.providers.github.names import CURRENCY, UPDATE, service_name, sku_id, unit

_CENT = Decimal("0.01")
_AI_CREDITS_SINCE = date(2026, 6, 1)
"""From this day on AI use is counted in credits, before in premium requests."""


class TimePeriod(Struct):
    """The filter as the vendor understood it."""

    year: int
    month: int | None = None
    day: int | None = None


class TotalItem(Struct, rename="camel"):
    """One SKU, and in the AI reports one model, over the whole filter; `sku` is a machine id."""

    product: str
    sku: str
    unit_type: str
    gross_quantity: Decimal
    gross_amount: Decimal
    net_amount: Decimal
    model: str | None = None
    discount_quantity: Decimal | None = None
    net_quantity: Decimal | None = None


class TotalReport(Struct, rename="camel"):
    """Totals over one filter."""

    time_period: TimePeriod
    usage_items: list[TotalItem] = field(default_factory=list)


def summary(page: TotalReport, ask: Ask) -> Iterator[Statement | Problem]:
    """Turn a month's summary into one statement per service, to be compared with the daily rows.

    Units:  dollars. Row by row, daily figures are rounded differently: a cent per service is let pass.
    Source: https://docs.github.com/en/rest/billing/usage
    """
    asked = ask.period.first_day
    if (page.time_period.year, page.time_period.month) != (asked.year, asked.month) or page.time_period.day:
        yield _another_span(page, ask)
        return
    sums: dict[str, tuple[Money, Money]] = {}
    zero = Money(Decimal(0), CURRENCY)
    for row in page.usage_items:
        billed, listed = sums.get(service_name(row.product), (zero, zero))
        sums[service_name(row.product)] = (
            billed + Money(row.net_amount, CURRENCY),
            listed + Money(row.gross_amount, CURRENCY),
        )
    for service, (billed, listed) in sums.items():
        yield Statement(
            period=Period.of_month(asked),
            dataset="usage",
            service_name=service,
            billed_cost=billed,
            list_cost=listed,
            tolerance=_CENT,
        )


def by_model(page: TotalReport, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn a day's AI credits or premium requests into measurements by model: parts of the usage rows.

    Units:  credits of 0.01 dollars from June 2026 on, requests before.
    Null:   the vendor names neither organization nor repository here.
    Source: https://docs.github.com/en/rest/billing/usage
    """
    asked, said = ask.period.first_day, page.time_period
    if (said.year, said.month, said.day) != (asked.year, asked.month, asked.day):
        yield _another_span(page, ask)
        return
    for row in page.usage_items:
        stated = {
            "discountQuantity": row.discount_quantity,
            "netQuantity": row.net_quantity,
            "grossAmount": row.gross_amount,
            "netAmount": row.net_amount,
        }
        yield Usage(
            usage_period=ask.period,
            meter=sku_id(row.sku),
            unit=unit(row.unit_type),
            quantity=exact(row.gross_quantity),
            service_name=service_name(row.product),
            sku_id=sku_id(row.sku),
            sub_account_id=ask.options.get("organization") or ask.options.get("user") or None,
            model=row.model,
            part_of="usage",
            details={name: f"{value:f}" for name, value in stated.items() if value is not None},
        )


def _another_span(page: TotalReport, ask: Ask) -> Problem:
    said = page.time_period
    span = "-".join(str(part) for part in (said.year, said.month, said.day) if part is not None)
    return Problem(
        code="another_span",
        says=f"asked for {ask.period.first_day} to {ask.period.end_day}, GitHub answered for {span}",
        hint=UPDATE,
        period=ask.period,
    )


CLASSIC = "Use a classic personal access token of an owner or billing manager"
ELSEWHERE = Refusal(
    404,
    "permission_missing",
    hint=f"GitHub hides what a token may not see. {CLASSIC}. If the organization is billed at its enterprise, set "
    "`enterprise` in place of `organization`; else check the name for typing errors.",
)
_AT_ENTERPRISE = Refusal(
    404, "not_offered", hint="Where the organization is billed at its enterprise, set `enterprise` to read this."
)

SUMMARY = Endpoint(
    name="usage_summary",
    path="/{level}/{account}/settings/billing/usage/summary",
    window=MonthParts(),
    refusals=(ELSEWHERE,),
    lookback_days=730,
    page=TotalReport,
    facts=summary,
)

AI_CREDIT = Endpoint(
    name="ai_credit",
    path="/{level}/{account}/settings/billing/ai_credit/usage",
    window=DayParts(),
    refusals=(_AT_ENTERPRISE,),
    since=_AI_CREDITS_SINCE,
    lookback_days=730,
    page=TotalReport,
    facts=by_model,
)

PREMIUM_REQUEST = Endpoint(
    name="premium_request",
    path="/{level}/{account}/settings/billing/premium_request/usage",
    window=DayParts(),
    refusals=(_AT_ENTERPRISE,),
    until=_AI_CREDITS_SINCE,
    lookback_days=730,
    page=TotalReport,
    facts=by_model,
)
