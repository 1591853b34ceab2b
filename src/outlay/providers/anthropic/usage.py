"""Anthropic's usage: tokens by class, searches and requests, and what Claude Code did for whom."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from msgspec import Struct

from outlay.model.basis import Basis
from outlay.model.facts import Usage
from outlay.model.money import Money, exact
from outlay.model.period import Period, parse_time
from outlay.model.problem import Problem, Severity
from outlay.providers.anthropic.rows import (
    API,
    BETA_REFUSALS,
    CODE,
    Dimensions,
    day_of_row,
    not_yet_told,
    sku,
    workspace_or_default,
)
from outlay.providers.base import Ask, Cursor, DayText, Endpoint, IsoWindow


class CacheCreation(Struct, gc=False):
    """Tokens written to the cache, by how long they are kept."""

    ephemeral_5m_input_tokens: int = 0
    ephemeral_1h_input_tokens: int = 0


class ServerTools(Struct, gc=False):
    """Uses of tools that run at the vendor."""

    web_search_requests: int = 0


class Counts(Dimensions, kw_only=True):
    """Disjoint token classes; the older report has the dimensions beside them, the analytics report in `group`."""

    uncached_input_tokens: int
    cache_read_input_tokens: int
    cache_creation: CacheCreation
    output_tokens: int
    server_tool_use: ServerTools
    total_tokens: int | None = None
    requests: int | None = None


class UsageBucket(Struct, gc=False):
    """A day of the older report; a day without usage has no results."""

    starting_at: str
    ending_at: str
    results: list[Counts]


class UsageReport(Struct, gc=False):
    """A page of the older report."""

    data: list[UsageBucket]
    has_more: bool
    next_page: str | None = None


class UsageRow(Struct, gc=False):
    """A row of the analytics report."""

    starting_at: str
    ending_at: str
    group: Dimensions
    usage: Counts


class UsageAnalytics(Struct, gc=False):
    """A page of the analytics report."""

    data: list[UsageRow]
    has_more: bool
    next_page: str | None = None
    data_refreshed_at: str | None = None


class Actor(Struct, gc=False):
    """Who used Claude Code: a person or a key."""

    email_address: str | None = None
    api_key_name: str | None = None


class LinesOfCode(Struct, frozen=True):
    """Lines Claude Code added and removed."""

    added: int = 0
    removed: int = 0


class CoreMetrics(Struct, gc=False):
    """What Claude Code did for one actor."""

    num_sessions: int = 0
    lines_of_code: LinesOfCode = LinesOfCode()
    commits_by_claude_code: int = 0
    pull_requests_by_claude_code: int = 0


class CodeTokens(Struct, frozen=True):
    """Token classes of Claude Code."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_creation: int = 0


class EstimatedCost(Struct, gc=False):
    """An estimate in cents, never billed as such."""

    amount: Decimal
    currency: str


class CodeModel(Struct, gc=False):
    """One model's part in an actor's day."""

    model: str
    tokens: CodeTokens = CodeTokens()
    estimated_cost: EstimatedCost | None = None


class CodeRow(Struct, gc=False):
    """One actor's day on one kind of terminal."""

    date: str
    actor: Actor
    customer_type: str
    core_metrics: CoreMetrics
    model_breakdown: list[CodeModel]
    terminal_type: str | None = None


class CodeReport(Struct, gc=False):
    """A page of the Claude Code report."""

    data: list[CodeRow]
    has_more: bool
    next_page: str | None = None


def usage_analytics(page: UsageAnalytics, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn a page of daily usage rows into measurements, one per meter that moved.

    Units:  tokens, searches and requests as whole numbers.
    Null:   `workspace_id` is null for products without workspaces; `api_key_id` for the Console's own playground.
    Source: https://platform.claude.com/docs/en/manage-claude/usage-cost-analytics-api
    """
    for row in page.data:
        period = day_of_row(row.starting_at, row.ending_at)
        if isinstance(period, Problem):
            yield period
        else:
            yield from _usage(period, row.group, row.usage, row.group.workspace_id)
    if not page.has_more:
        yield from not_yet_told(page.data_refreshed_at, ask)


def usage_report(page: UsageReport, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn a page of daily usage buckets into measurements, one per meter that moved.

    Null:   `workspace_id` is null for the default workspace, even though the report is grouped by it.
    Source: https://platform.claude.com/docs/en/manage-claude/usage-cost-api
    """
    for bucket in page.data:
        period = day_of_row(bucket.starting_at, bucket.ending_at)
        if isinstance(period, Problem):
            yield period
            continue
        for row in bucket.results:
            yield from _usage(period, row, row, workspace_or_default(row.workspace_id, ask))


def _usage(period: Period, row: Dimensions, counts: Counts, workspace_id: str | None) -> Iterator[Usage | Problem]:
    tokens = (
        ("uncached_input_tokens", "uncached-input", counts.uncached_input_tokens),
        ("cache_read_input_tokens", "cache-read", counts.cache_read_input_tokens),
        ("cache_write_5m_input_tokens", "cache-write-5m", counts.cache_creation.ephemeral_5m_input_tokens),
        ("cache_write_1h_input_tokens", "cache-write-1h", counts.cache_creation.ephemeral_1h_input_tokens),
        ("output_tokens", "output", counts.output_tokens),
    )
    meters = [(meter, "tokens", sku(row.model, name), count) for meter, name, count in tokens]
    searches = counts.server_tool_use.web_search_requests
    meters.append(("web_searches", "searches", sku(row.model, "web_search"), searches))
    meters.append(("requests", "requests", None, counts.requests or 0))
    for meter, unit, sku_id, count in meters:
        if count:
            yield Usage(
                usage_period=period,
                meter=meter,
                unit=unit,
                quantity=exact(count),
                service_name=API,
                sku_id=sku_id,
                sub_account_id=workspace_id,
                resource_id=row.api_key_id,
                region_id=row.region,
                model=row.model,
                service_tier=row.service_tier,
                context_window=row.context_window,
                api_key_id=row.api_key_id,
                details={"speed": row.speed} if row.speed else None,
            )
    parts = sum(count for _, _, count in tokens)
    if counts.total_tokens is not None and counts.total_tokens != parts:
        yield Problem(
            code="total_differs",
            says=f"total_tokens is {counts.total_tokens} where the token classes add up to {parts}",
            where=row.model or "",
            hint="A token class may be missing: update Outlay; if it is up to date, report it.",
            severity=Severity.WARNING,
            period=period,
        )


def claude_code(page: CodeReport, _ask: Ask) -> Iterator[Usage]:
    """Turn a day of the Claude Code report into measurements, one per actor, terminal and meter that moved.

    Units:  `estimated_cost.amount` is cents; it becomes a quantity of the currency's major unit, basis estimated.
    Null:   an actor that is a key has a name only, no id.
    Source: https://platform.claude.com/docs/en/manage-claude/claude-code-analytics-api
    """
    for row in page.data:
        yield from _code_row(row)


def _code_row(row: CodeRow) -> Iterator[Usage]:
    period = Period.of_day(parse_time(row.date).date())
    details = {
        "customer_type": row.customer_type,
        "terminal_type": row.terminal_type,
        "api_key_name": row.actor.api_key_name,
    }

    def measured(
        meter: str, unit: str, quantity: Decimal | int, model: str | None = None, *,
        part_of: str | None = None, basis: Basis | None = None,
    ) -> Iterator[Usage]:  # fmt: skip
        if quantity:
            yield Usage(
                usage_period=period, meter=meter, unit=unit, quantity=exact(quantity), service_name=CODE, model=model,
                user_id=row.actor.email_address, part_of=part_of, basis=basis,
                details={name: text for name, text in details.items() if text is not None},
            )  # fmt: skip

    done = row.core_metrics
    yield from measured("sessions", "sessions", done.num_sessions)
    yield from measured("lines_added", "lines", done.lines_of_code.added)
    yield from measured("lines_removed", "lines", done.lines_of_code.removed)
    yield from measured("commits", "count", done.commits_by_claude_code)
    yield from measured("pull_requests", "count", done.pull_requests_by_claude_code)
    # A subscription's tokens are in no other report; those of API customers are in the usage report already.
    whole = None if row.customer_type == "subscription" else "usage"
    for used in row.model_breakdown:
        for meter, count in (
            ("input_tokens", used.tokens.input),
            ("cache_read_input_tokens", used.tokens.cache_read),
            ("cache_creation_input_tokens", used.tokens.cache_creation),
            ("output_tokens", used.tokens.output),
        ):
            yield from measured(meter, "tokens", count, used.model, part_of=whole)
        if used.estimated_cost is not None:
            cost = Money.from_minor(used.estimated_cost.amount, used.estimated_cost.currency)
            yield from measured(
                "estimated_cost", cost.currency, cost.amount, used.model, part_of="costs", basis=Basis.ESTIMATED
            )


_DIMENSIONS = ("workspace_id", "api_key_id", "model", "service_tier", "context_window")

ANALYTICS_USAGE = Endpoint(
    name="analytics_usage",
    path="/v1/organizations/analytics/usage",
    window=IsoWindow("starting_at", "ending_at", days_max=31),
    pages=Cursor(send="page", read="next_page", more="has_more"),
    query={
        "time_bucket_width": "1d", "group_by[]": _DIMENSIONS, "order_by": "time", "order": "asc", "limit": 1000,
    },
    headers={"anthropic-beta": "analytics-usage-cost-2026-08-24"},
    refusals=BETA_REFUSALS,
    since=date(2026, 1, 1),
    lookback_days=365,
    page=UsageAnalytics,
    facts=usage_analytics,
)  # fmt: skip

MESSAGES_USAGE = Endpoint(
    name="messages_usage",
    path="/v1/organizations/usage_report/messages",
    window=IsoWindow("starting_at", "ending_at", days_max=31),
    pages=Cursor(send="page", read="next_page", more="has_more"),
    query={"bucket_width": "1d", "group_by[]": _DIMENSIONS, "limit": 31},
    page_days=31,
    ordered=True,
    page=UsageReport,
    facts=usage_report,
)

CLAUDE_CODE = Endpoint(
    name="claude_code",
    path="/v1/organizations/usage_report/claude_code",
    window=DayText("starting_at"),
    pages=Cursor(send="page", read="next_page", more="has_more"),
    query={"limit": 1000},
    page=CodeReport,
    facts=claude_code,
)
