"""OpenAI API platform: costs, usage, names, limits and spend alerts of one organization.

Key:   an admin key (`sk-admin-`) that may read usage; project and service account keys are refused everywhere here.
Day:   a UTC day. Today is partial, yesterday still grows, and a month may move until it is invoiced.
Units: costs are dollars, spend limits and alerts are cents; `1000_tokens` counts thousands.
Never: add priced usage to billed costs; add cached tokens or a modality's tokens to `input_tokens`, which holds them;
       ask costs for `api_key_id` before 2025-12-06, which is a 400; ask usage for `user_id` beside `project_id`,
       which may be one.
Usage stands in `usage`; names, limits and alerts in `limits`: together they are too long for one page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from outlay.model.currency import currency_code
from outlay.model.facts import Category, Charge, Frequency
from outlay.model.money import Money, exact, product
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.base import (
    Ask,
    Bearer,
    Dataset,
    Endpoint,
    EpochWindow,
    KeyKind,
    Offer,
    Provider,
    Refusal,
    Service,
)
from outlay.providers.openai import limits, usage
from outlay.providers.openai.metering import METERING
from outlay.providers.openai.usage import BUCKETS, ORGANIZATION, SERVICE, UPDATE

KEYS_SINCE = date(2025, 12, 6)
"""Before this day costs refuse to be grouped by API key, and after it they do not."""


class Amount(Struct, gc=False):
    """Dollars, as a JSON number or numeric text; both fields have been seen absent."""

    value: Decimal | None = None
    currency: str | None = None


class CostRow(Struct, gc=False):
    """One line of one day; a dimension is null unless `group_by` names it."""

    object: str = "organization.costs.result"
    amount: Amount | None = None
    line_item: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    quantity: Decimal | None = None
    quantity_unit: str | None = None


class CostBucket(Struct, gc=False):
    """One UTC day."""

    start_time: int
    end_time: int
    results: list[CostRow]


class CostPage(Struct, gc=False):
    """A page of days."""

    data: list[CostBucket]
    has_more: bool
    next_page: str | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    """What a line item's text says: the SKU, and where the text has them, model and tier."""

    model: str | None
    meter: str
    tier: str | None
    sku_id: str
    sku_price_id: str


_TIERS = frozenset({"batch", "flex", "priority"})
_LAST_WORDS = ("cached", "cache", "write", "read")


@lru_cache(maxsize=8192)
def _item(text: str) -> _Item:
    """Read a line item, which is free text: `gpt-4o-2024-08-06, cached input` is `gpt-4o-2024-08-06/input-cached`.

    Null: `model` is None where nothing without spaces stands before the last comma; the SKU is the whole text then.
          A text of one hyphenated word is a model's name, billed as a whole: `whisper-2` is `whisper-2/usage`.
    """
    model, _, rest = (part.strip() for part in text.rpartition(","))
    if not model and re.fullmatch(r"[\w.:]+(-[\w.:]+)+", rest):
        model, rest = rest, "usage"
    elif not model or " " in model:
        model, rest = "", text
    words = re.findall(r"[\w.]+", rest.lower().replace("_", " "))
    tier = next((word for word in words if word in _TIERS), None) if model else None
    words = [word for word in words if word not in {"tokens", "token", tier}]
    ordered = [word for word in words if word not in _LAST_WORDS] + [word for word in words if word in _LAST_WORDS]
    if model and ordered and ordered[0] in _LAST_WORDS:
        ordered.insert(0, "input")  # only input is cached
    meter = "-".join(ordered) or "unnamed"
    family = re.sub(r"[\s/@]+", "-", model) or "openai"
    sku_id = f"{family}/{meter}"
    return _Item(model or None, meter, tier, sku_id, f"{sku_id}@{tier}" if tier else sku_id)


_ONE = Decimal(1)
_MILLIONTH = Decimal("0.000001")
_UNITS: Mapping[str, tuple[str, Decimal, str, Decimal]] = {
    "tokens": ("Tokens", _ONE, "1000000 Tokens", _MILLIONTH),
    "1000_tokens": ("Tokens", Decimal(1000), "1000000 Tokens", _MILLIONTH),
    "characters": ("Characters", _ONE, "1000000 Characters", _MILLIONTH),
    "images": ("Images", _ONE, "Images", _ONE),
    "duration_seconds": ("Seconds", _ONE, "Seconds", _ONE),
    "duration_minutes": ("Minutes", _ONE, "Minutes", _ONE),
    "duration_hours": ("Hours", _ONE, "Hours", _ONE),
    "gibibyte_hours": ("GiB-Hours", _ONE, "GiB-Hours", _ONE),
}
"""The vendor's unit to the FOCUS unit and how many of it that is, the pricing unit and how many of it one is."""

_ANY_DAY = Period.of_day(KEYS_SINCE)
_ANY_AMOUNT = Money(Decimal(0), "USD")
_currency = lru_cache(maxsize=64)(currency_code)


def charges(page: CostPage, _ask: Ask) -> Iterator[Charge | Problem]:
    """Turn daily cost buckets into charges, one per result; a negative one is a credit.

    Units:  `amount.value` is dollars as a number or numeric text; `quantity` is counted in `quantity_unit`.
    Null:   a row without project is booked on the organization; a quantity without unit mixes several and is kept
            as a detail; list cost is not stated.
    Source: https://platform.openai.com/docs/api-reference/usage/costs
    """
    for bucket in page.data:
        try:
            period = Period.of_epoch(bucket.start_time, bucket.end_time)
        except ValueError as error:
            yield Problem(code="period_refused", says=f"a bucket's times are unusable: {error}", hint=UPDATE)
            continue
        for row in bucket.results:
            yield _charge(row, period)


def _charge(row: CostRow, period: Period) -> Charge | Problem:
    amount = row.amount
    if row.object != "organization.costs.result":
        return _refused("unknown_object", f"a cost row calls itself {row.object!r}", row, period)
    if amount is None or amount.value is None or amount.currency is None:
        return _refused("amount_missing", "a cost row states no amount or no currency", row, period)
    try:
        billed = Money(amount.value, _currency(amount.currency))
        line = _line(row.line_item, row.project_id, row.api_key_id, billed.amount < 0)
        if row.quantity is None:
            return replace(line, charge_period=period, billed_cost=billed)
        if row.quantity_unit is None or line.sku_price_id is None:
            # FOCUS has quantities on usage with a SKU only; what does not fit there is kept as the vendor says it.
            return replace(line, charge_period=period, billed_cost=billed, details=_details(row))
        consumed, consumed_unit, priced, pricing_unit = _quantities(row.quantity, row.quantity_unit)
    except ValueError as error:
        return _refused("amount_refused", str(error), row, period)
    return replace(
        line,
        charge_period=period,
        billed_cost=billed,
        consumed_quantity=consumed,
        consumed_unit=consumed_unit,
        pricing_quantity=priced,
        pricing_unit=pricing_unit,
    )


@lru_cache(maxsize=65_536)
def _line(line_item: str | None, project_id: str | None, api_key_id: str | None, credit: bool) -> Charge:
    """Return a line as it is every day, without day, amount and quantity: filling it in is four times as fast."""
    item = None if line_item is None else _item(line_item)
    return Charge(
        charge_period=_ANY_DAY,
        billed_cost=_ANY_AMOUNT,
        service_name=SERVICE,
        charge_category=Category.CREDIT if credit else Category.USAGE,
        charge_frequency=Frequency.ONE_TIME if credit else Frequency.USAGE_BASED,
        charge_description=line_item,
        sku_id=item.sku_id if item else None,
        sku_price_id=item.sku_price_id if item and not credit else None,
        sku_meter=item.meter if item else None,
        pricing_category="Standard" if item and not credit else None,
        sub_account_id=project_id,
        sub_account_type="Project" if project_id else None,
        resource_id=api_key_id,
        resource_type="API Key" if api_key_id else None,
        model=item.model if item else None,
        service_tier=item.tier if item else None,
        api_key_id=api_key_id,
    )


def _quantities(quantity: Decimal, unit: str) -> tuple[Decimal, str, Decimal | None, str | None]:
    """Return consumed quantity and unit, pricing quantity and unit; a unit not known here is kept and not priced.

    Raises: ValueError when the quantity does not fit.
    """
    known = _UNITS.get(unit)
    if known is None:
        return exact(quantity), unit, None, None
    name, factor, pricing_unit, block = known
    consumed = exact(quantity) if factor is _ONE else product(quantity, factor)
    return consumed, name, consumed if block is _ONE else product(consumed, block), pricing_unit


def _details(row: CostRow) -> dict[str, str | None]:
    return {"quantity": str(row.quantity), "quantity_unit": row.quantity_unit}


def _refused(code: str, says: str, row: CostRow, period: Period) -> Problem:
    where = f"{period.first_day} {row.line_item or 'no line item'}, {row.project_id or 'no project'}"
    return Problem(code=code, says=says, where=where, hint=UPDATE, period=period)


COSTS_BY_KEY: Endpoint[CostPage] = Endpoint(
    name="costs_by_key",
    path=f"{ORGANIZATION}/costs",
    page=CostPage,
    facts=charges,
    window=EpochWindow("start_time", "end_time", days_max=180, never_ahead=True),
    pages=BUCKETS,
    query={"bucket_width": "1d", "limit": 180, "group_by": ("project_id", "line_item", "api_key_id")},
    refusals=(Refusal(400, "not_offered", contains="api_key_id", hint="Costs come without API keys instead."),),
    since=KEYS_SINCE,
    page_days=180,
    ordered=True,
)
COSTS_BY_LINE: Endpoint[CostPage] = Endpoint(
    name="costs_by_line",
    path=f"{ORGANIZATION}/costs",
    page=CostPage,
    facts=charges,
    window=EpochWindow("start_time", "end_time", days_max=180, never_ahead=True),
    pages=BUCKETS,
    query={"bucket_width": "1d", "limit": 180, "group_by": ("project_id", "line_item")},
    page_days=180,
    ordered=True,
)

_SCOPES = "Give the admin key read access to usage (api.usage.read) and, for names and limits, to management."
_ADMIN_ONLY = "An organization owner creates an admin key at platform.openai.com/settings/organization/admin-keys."
_TOP_UP = "Raise the limit or the prepaid balance on the vendor's billing page."

PROVIDER = Provider(
    id="openai",
    title="OpenAI",
    metering=METERING,
    base_url="https://api.openai.com",
    auth=Bearer(),
    environment=("OPENAI_ADMIN_KEY",),
    key_help=f"{_ADMIN_ONLY} Restrict it to reading usage, projects, users and limits.",
    keys=(
        KeyKind("sk-admin-", "admin key", usable=True, more_than_read=True,
                hint="Restrict the key to read access where the organization allows it."),
        KeyKind("sk-proj-", "project key", usable=False, hint=f"Project keys cannot read reports. {_ADMIN_ONLY}"),
        KeyKind("sk-svcacct-", "service account key", usable=False,
                hint=f"Service account keys cannot read reports. {_ADMIN_ONLY}"),
    ),
    datasets=(
        # One page of costs holds six months: reading a month again until its invoice is out costs nothing.
        Dataset("costs", "Daily costs", (Charge,), (COSTS_BY_KEY, COSTS_BY_LINE), horizon_days=35),
        *usage.DATASETS,
        *limits.DATASETS,
    ),
    services={SERVICE: Service("AI and Machine Learning", "Generative AI")},
    default_service=Service("AI and Machine Learning", "Generative AI"),
    offers={
        "cost": Offer("api", "Per UTC day, project and line item, and per API key from 2025-12-06 on. Before tax, and "
                             "without credits, free daily tokens and refunds."),
        "usage": Offer("api", "Eleven kinds per UTC day. It may not reconcile exactly with costs, which the invoice "
                              "follows."),
        "limits": Offer("api", "Rate limits per project and model, hard spend limits; what is used is not stated."),
        "balance": Offer("entered", "No public endpoint: enter the prepaid balance from the billing page."),
        "invoices": Offer("entered", "Only as PDF on the billing page."),
        "budgets": Offer("api", "Spend alerts of the organization and its projects; they warn by e-mail."),
        "revenue": Offer("none", "OpenAI bills you and not your customers."),
        "writes": Offer("none", "Limits, alerts and keys could be changed through the API; Outlay never does."),
    },
    sources=(
        "https://platform.openai.com/docs/api-reference/usage",
        "https://developers.openai.com/api/docs/guides/spend-limits",
        "https://help.openai.com/en/articles/10478918",
        "https://help.openai.com/en/articles/8554956",
        "https://github.com/openai/openai-openapi",
    ),
    rates=(),  # none is published for these endpoints; a 429 is honoured as it comes
    refusals=(
        Refusal(401, "permission_missing", contains="missing scopes", hint=_SCOPES),
        Refusal(403, "permission_missing", contains="missing scopes", hint=_SCOPES),
        Refusal(403, "permission_missing", contains="insufficient permissions", hint=_SCOPES),
        Refusal(401, "access_denied", hint=_ADMIN_ONLY),
        Refusal(403, "access_denied", hint=_ADMIN_ONLY),
        Refusal(429, "out_of_quota", contains="insufficient_quota", hint=_TOP_UP),
        Refusal(429, "out_of_quota", contains="organization_spend_limit_exceeded", hint=_TOP_UP),
        Refusal(429, "out_of_quota", contains="project_spend_limit_exceeded", hint=_TOP_UP),
    ),
)  # fmt: skip
