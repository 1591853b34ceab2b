"""Anthropic: cost and usage of one organization, by workspace, key, model, tier and token class.

Key:   an admin key (`sk-ant-admin01-`) of a Console organization, or a scoped key with `read:analytics` and
       `read:spend_limits` of an Enterprise organization. Workspace keys are refused.
Day:   a UTC day. Values may be revised for 30 days; 35 days are asked for again.
Units: every amount is a decimal in CENTS, fractions allowed; "123.45" is 1.2345 dollars.
Never: add the analytics report to the older reports (one of them speaks for a day), tokens times a price list to the
       report, Claude Code's estimated cost to anything, `total_tokens` to its parts.

Two generations of reports answer the same questions. The analytics reports come first: they state list and billed
cost, name the key, and serve Console and Enterprise organizations alike. The older ones speak for days before
2026-01-01, beyond 365 days, and where the analytics reports are not offered. A day is replaced whole, so the two never
stand side by side. The default workspace has no id in the older reports and a real one in the analytics reports: rows
without one carry the option `default_workspace`, or "default", of which the workspace list names the real id an alias.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from msgspec import Struct

from outlay.model.facts import Category, Charge, Frequency, Limit, Name, Usage
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.anthropic.limits import (
    RATE_LIMITS,
    SPEND_LIMITS,
    SPEND_LIMITS_EFFECTIVE,
    WORKSPACE_RATE_LIMITS,
)
from outlay.providers.anthropic.metering import METERING
from outlay.providers.anthropic.names import API_KEYS, ORGANIZATION, WORKSPACES
from outlay.providers.anthropic.rows import (
    API,
    BETA_REFUSALS,
    CODE,
    UPDATE,
    Dimensions,
    day_of_row,
    not_yet_told,
    sku,
    workspace_or_default,
)
from outlay.providers.anthropic.usage import ANALYTICS_USAGE, CLAUDE_CODE, MESSAGES_USAGE
from outlay.providers.base import (
    Ask,
    Cursor,
    Dataset,
    Endpoint,
    Header,
    IsoWindow,
    KeyKind,
    Offer,
    Option,
    Provider,
    Rate,
    Refusal,
    Service,
)


class ReportedCost(Dimensions, kw_only=True):
    """A line of the older report: one description in one workspace."""

    amount: Decimal
    currency: str


class CostBucket(Struct, gc=False):
    """A day of the older report; a day without cost has no results."""

    starting_at: str
    ending_at: str
    results: list[ReportedCost]


class CostReport(Struct, gc=False):
    """A page of the older report."""

    data: list[CostBucket]
    has_more: bool
    next_page: str | None = None


class CostMetrics(Struct, gc=False):
    """`amount` is after discounts and before credits, `list_amount` before discounts; both in cents."""

    amount: Decimal
    list_amount: Decimal
    currency: str


class CostRow(Struct, gc=False):
    """A row of the analytics report."""

    starting_at: str
    ending_at: str
    group: Dimensions
    cost: CostMetrics


class CostAnalytics(Struct, gc=False):
    """A page of the analytics report; what is later than `data_refreshed_at` is not in it yet."""

    data: list[CostRow]
    has_more: bool
    next_page: str | None = None
    data_refreshed_at: str | None = None


def cost_analytics(page: CostAnalytics, ask: Ask) -> Iterator[Charge | Problem]:
    """Turn a page of daily cost rows into charges, one per row.

    Units:  `cost.amount` and `cost.list_amount` are cents as decimal text.
    Null:   `workspace_id` is null for products without workspaces; `api_key_id` for the Console's own playground.
    Source: https://platform.claude.com/docs/en/manage-claude/usage-cost-analytics-api
    """
    for row in page.data:
        period = day_of_row(row.starting_at, row.ending_at)
        if isinstance(period, Problem):
            yield period
            continue
        yield _charge(
            period, row.group, row.group.workspace_id, row.cost.currency, row.cost.amount, row.cost.list_amount
        )
    if not page.has_more:
        yield from not_yet_told(page.data_refreshed_at, ask)


def cost_report(page: CostReport, ask: Ask) -> Iterator[Charge | Problem]:
    """Turn a page of daily buckets into charges, one per result.

    Units:  `amount` is cents as decimal text.
    Null:   `workspace_id` is null for the default workspace, even though the report is grouped by it.
    Source: https://platform.claude.com/docs/en/api/admin/cost_report/retrieve
    """
    for bucket in page.data:
        period = day_of_row(bucket.starting_at, bucket.ending_at)
        if isinstance(period, Problem):
            yield period
            continue
        for cost in bucket.results:
            yield _charge(period, cost, workspace_or_default(cost.workspace_id, ask), cost.currency, cost.amount)


def _charge(
    period: Period,
    row: Dimensions,
    workspace_id: str | None,
    currency: str,
    amount: Decimal,
    list_amount: Decimal | None = None,
) -> Charge | Problem:
    words = sku(row.model, row.meter)
    item = words or row.description
    variant = "/".join(part for part in (row.service_tier, row.context_window, row.region, row.speed) if part)
    try:
        billed = Money.from_minor(amount, currency)
        listed = None if list_amount is None else Money.from_minor(list_amount, currency)
    except ValueError as error:
        return Problem(code="amount_refused", says=str(error), where=item or "", hint=UPDATE, period=period)
    # FOCUS has prices on usage only; a negative line is a credit.
    usage = billed.amount >= 0
    return Charge(
        charge_period=period,
        billed_cost=billed,
        list_cost=listed,
        service_name=API,
        charge_category=Category.USAGE if usage else Category.CREDIT,
        charge_frequency=Frequency.USAGE_BASED if usage else Frequency.ONE_TIME,
        charge_description=row.description or (words.replace("/", " ").replace("_", " ") if words else None),
        sku_id=item,
        sku_price_id=(f"{item}@{variant}" if item and variant else item) if usage else None,
        sku_meter=row.meter,
        pricing_category="Standard" if item and usage else None,
        sub_account_id=workspace_id,
        sub_account_type="Workspace" if workspace_id else None,
        resource_id=row.api_key_id,
        resource_type="API Key" if row.api_key_id else None,
        region_id=row.region,
        model=row.model,
        service_tier=row.service_tier,
        context_window=row.context_window,
        api_key_id=row.api_key_id,
    )


_WINDOW = IsoWindow("starting_at", "ending_at", days_max=31, days_min=2)
"""The older report refuses the current day when it is asked for alone, and takes over the windows of the newer one."""

ANALYTICS_COST = Endpoint(
    name="analytics_cost",
    path="/v1/organizations/analytics/cost",
    window=_WINDOW,
    pages=Cursor(send="page", read="next_page", more="has_more"),
    query={
        "time_bucket_width": "1d",
        # Five dimensions at most; cost_type and token_type are not counted.
        "group_by[]": (
            "workspace_id", "api_key_id", "model", "service_tier", "context_window", "cost_type", "token_type",
        ),
        # The vendor's own order, by amount, can move a row from page to page while the report is read.
        "order_by": "time", "order": "asc", "limit": 1000,
    },
    headers={"anthropic-beta": "analytics-usage-cost-2026-08-24"},
    refusals=BETA_REFUSALS,
    since=date(2026, 1, 1),
    lookback_days=365,
    page=CostAnalytics,
    facts=cost_analytics,
)  # fmt: skip

COST_REPORT = Endpoint(
    name="cost_report",
    path="/v1/organizations/cost_report",
    window=_WINDOW,
    pages=Cursor(send="page", read="next_page", more="has_more"),
    query={"bucket_width": "1d", "group_by[]": ("workspace_id", "description"), "limit": 31},
    page_days=31,
    ordered=True,
    page=CostReport,
    facts=cost_report,
)

_SPENT = "The organization's own monthly cap is reached; it resets on the first at 00:00 UTC."

_REFUSALS = (
    Refusal(400, "not_offered", contains="organization_type_not_supported"),
    Refusal(400, "out_of_quota", contains="you have reached your specified api usage limits", hint=_SPENT),
    Refusal(429, "out_of_quota", contains="enforced_spend_limit_reached", hint=_SPENT),
    Refusal(429, "out_of_quota", contains="contract_spend_limit_reached", hint=_SPENT),
    Refusal(401, "access_denied", hint="Use an admin key (sk-ant-admin01-) or a scoped key of the organization."),
    Refusal(402, "out_of_quota", hint="The vendor reports a billing problem of the account: check its payment method."),
    Refusal(403, "permission_missing", hint="The key lacks a scope: read:analytics, or read:spend_limits for caps."),
    Refusal(429, "retry_later"),
    Refusal(529, "retry_later"),
)

_HORIZON_DAYS = 35

PROVIDER = Provider(
    id="anthropic",
    title="Anthropic",
    metering=METERING,
    base_url="https://api.anthropic.com",
    auth=Header("x-api-key", bearer_prefixes=("sk-ant-oat",)),
    environment=("ANTHROPIC_ADMIN_KEY", "ANTHROPIC_ADMIN_API_KEY"),
    key_help=(
        "Console organization: an admin creates an admin key under Settings, Admin keys. Enterprise organization: the "
        "primary owner creates an API access key with read:analytics and read:spend_limits. Keys of a workspace fail."
    ),
    keys=(
        KeyKind(
            "sk-ant-admin01-",
            "admin key",
            usable=True,
            more_than_read=True,
            hint="Console organizations have no narrower key; let it expire and keep it well.",
        ),
        KeyKind(
            "sk-ant-api01-",
            "scoped access key",
            usable=True,
            hint="Needs read:analytics, and read:spend_limits for spend limits.",
        ),
        KeyKind(
            "sk-ant-api03-", "workspace key", usable=False, hint="It may only call models; create an admin key instead."
        ),
        KeyKind("sk-ant-oat", "OAuth token", usable=True, more_than_read=True, hint="Needs org:admin; it expires."),
    ),
    headers={"anthropic-version": "2023-06-01"},
    rates=(Rate(60, 60),),
    refusals=_REFUSALS,
    request_id_header="request-id",
    sub_account_type="Workspace",
    options=(Option("default_workspace", "the default workspace's id, for rows that carry none"),),
    datasets=(
        Dataset("account", "Organization", (Name,), (ORGANIZATION,), grain="names", order=0),
        Dataset("workspaces", "Workspaces", (Name,), (WORKSPACES,), grain="names", order=0),
        Dataset("api_keys", "API keys", (Name,), (API_KEYS,), grain="names", order=0),
        Dataset("costs", "Daily cost", (Charge,), (ANALYTICS_COST, COST_REPORT), horizon_days=_HORIZON_DAYS),
        Dataset("usage", "Daily usage", (Usage,), (ANALYTICS_USAGE, MESSAGES_USAGE), horizon_days=_HORIZON_DAYS),
        # One request a day against 60 a minute: further back is not worth the wait, as its tokens are in `usage`.
        Dataset("claude_code", "Claude Code", (Usage,), (CLAUDE_CODE,), lookback_days=30, repeats="add"),
        Dataset("rate_limits", "Rate limits", (Limit,), (RATE_LIMITS,), grain="reading"),
        Dataset("workspace_rate_limits", "Workspace rate limits", (Limit,), (WORKSPACE_RATE_LIMITS,), grain="reading"),
        Dataset("spend_limits", "Spend limits", (Limit,), (SPEND_LIMITS,), grain="reading"),
        Dataset("spend_limits.effective", "Effective caps", (Limit,), (SPEND_LIMITS_EFFECTIVE,), grain="reading"),
    ),
    services={
        API: Service("AI and Machine Learning", "Generative AI"),
        CODE: Service("Developer Tools", "Development Environments"),
    },
    offers={
        "cost": Offer("api", "daily, by workspace, key, model, tier and token class; after discounts, before credits"),
        "usage": Offer("api", "daily tokens by class, searches, requests; Claude Code by person"),
        "limits": Offer("api", "rate limits; spend limits where the plan offers them"),
        "balance": Offer("none", "prepaid credits are shown in the Console only: enter them"),
        "invoices": Offer("none", "in the Console only: enter or import them"),
        "budgets": Offer("none", "hard caps exist and are shown as spend limits"),
        "revenue": Offer("none"),
        "writes": Offer("none", "the vendor's write operations are not used"),
    },
    sources=(
        "https://platform.claude.com/docs/en/manage-claude/usage-cost-api",
        "https://platform.claude.com/docs/en/manage-claude/usage-cost-analytics-api",
        "https://platform.claude.com/docs/en/manage-claude/claude-code-analytics-api",
        "https://platform.claude.com/docs/en/manage-claude/rate-limits-api",
        "https://platform.claude.com/docs/en/manage-claude/spend-limits-api",
        "https://platform.claude.com/docs/en/api/rate-limits",
        "https://platform.claude.com/docs/en/api/errors",
    ),
)
