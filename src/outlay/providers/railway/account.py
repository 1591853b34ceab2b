"""What Railway says of the customer's account: money, limits, invoices; and how it writes times and periods."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from outlay.model.basis import Basis
from outlay.model.facts import NO_END, Balance, Budget, Invoice, Limit, LimitBasis, LimitKind, Statement
from outlay.model.money import ZERO, Money, exact
from outlay.model.period import Period, parse_time
from outlay.model.problem import Problem
from outlay.providers.base import Ask, Dataset, Endpoint, FanOut, GraphQL

PATH = "/graphql/v2"
QUERY = {"source": "outlay"}
"""Calls without a query string meet a stricter limit at the vendor's edge."""
EACH_WORKSPACE = FanOut("workspace", "workspaceId", place="query")
UPDATE = "Nothing was overwritten. Update Outlay; if it is up to date, report it."
CURRENCY = "USD"
LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER = "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"
_COUNT = re.compile(r"\d{1,9}")
_HOUR = "1 hour"
_CENT = Decimal("0.01")
"""`currentUsage` is a cached binary float: what is less than a cent is not a difference."""


class Span(Struct):
    """A billing period in UTC, anchored to a day of the month; its end may be the last millisecond."""

    start: str
    end: str


class UsageLimit(Struct, rename="camel"):
    """Limits of compute in whole dollars; 0 and null are none."""

    soft_limit: Decimal | None = None
    hard_limit: Decimal | None = None
    is_over_limit: bool | None = None


class Item(Struct, rename="camel"):
    """A line of an invoice: dollars, where the invoice is in cents."""

    product_id: str | None = None
    price_dollars: Decimal | None = None
    quantity: Decimal | None = None


class VendorInvoice(Struct, rename="camel"):
    """An invoice in cents; its times are ISO text or Unix seconds as text."""

    invoice_id: str
    total: Decimal
    period_start: str
    period_end: str
    amount_due: Decimal | None = None
    amount_paid: Decimal | None = None
    status: str | None = None
    items: list[Item] = []


class Subscription(Struct, rename="camel"):
    """A subscription and the running total of its next invoice, in cents."""

    id: str
    next_invoice_current_total: Decimal
    next_invoice_date: str | None = None
    status: str | None = None


class Customer(Struct, rename="camel", kw_only=True):
    """Who is billed for a workspace; which fields are there depends on what was asked."""

    id: str
    state: str | None = None
    current_usage: Decimal | None = None
    credit_balance: Decimal | None = None
    applied_credits: Decimal | None = None
    remaining_usage_credit_balance: Decimal | None = None
    billing_period: Span | None = None
    usage_limit: UsageLimit | None = None
    invoices: list[VendorInvoice] = []
    subscriptions: list[Subscription] = []


class RateLimit(Struct, rename="camel"):
    """What is left of the API's quota."""

    remaining_points: Decimal
    resets_at: str


class Workspace(Struct, rename="camel", kw_only=True):
    """A workspace; which fields are there depends on what was asked."""

    id: str
    plan: str | None = None
    customer: Customer | None = None
    api_token_rate_limit: RateLimit | None = None


class WorkspaceData(Struct):
    """What was asked for."""

    workspace: Workspace


class WorkspacePage(Struct):
    """An answer about a workspace."""

    data: WorkspaceData


class AgentUsage(Struct, rename="camel"):
    """Spend of AI agents in cents, apart from compute."""

    billing_period_end: str
    total_used_cents: Decimal
    soft_limit_cents: Decimal | None = None
    hard_limit_cents: Decimal | None = None


class AgentData(Struct, rename="camel"):
    """What was asked for."""

    agent_usage: AgentUsage


class AgentPage(Struct):
    """An answer about agents."""

    data: AgentData


def moment(text: str) -> datetime:
    """Return a time that comes as ISO text or as Unix seconds in text; the last millisecond of a span is its end.

    Raises: ValueError when it is neither.
    """
    found = datetime.fromtimestamp(int(text), UTC) if text.isdecimal() else parse_time(text)
    return found.replace(microsecond=0) + timedelta(seconds=1) if found.microsecond else found


def billing_period(now: Span, day: datetime) -> Period:
    """Return the billing period a day's first instant falls in, stepping back by months from the present one.

    A period anchored to the 31st ends on the last day of shorter months and goes back to the 31st after them.
    """
    start, end = moment(now.start), moment(now.end)
    anchor = max(start.day, end.day)
    while day < start:
        start, end = _month_before(start, anchor), start
    while day >= end:
        start, end = end, _month_after(end, anchor)
    return Period(start, end)


def _month_before(moment: datetime, anchor: int) -> datetime:
    last_of_month_before = moment.replace(day=1) - timedelta(days=1)
    return last_of_month_before.replace(day=min(anchor, last_of_month_before.day))


def _month_after(moment: datetime, anchor: int) -> datetime:
    first_of_next = (moment.replace(day=28) + timedelta(days=4)).replace(day=1)
    last_of_next = (first_of_next.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first_of_next.replace(day=min(anchor, last_of_next.day))


def customer(page: WorkspacePage, _ask: Ask) -> Iterator[Limit | Budget | Balance | Statement]:
    """Turn the customer's account into its limits, balances and the total its use must be compared with.

    Units: dollars. The sign of `creditBalance` differs between accounts and is kept as it is: what is left and what is
           owed cannot be told apart.
    Null:  a hard limit of 0 or null is none. Being over a limit says nothing of whether it stops anything: a hard one
           does, a soft one warns.
    """
    workspace = page.data.workspace
    found, scope = workspace.customer, f"workspace:{workspace.id}"
    if found is None:
        return
    details = {"plan": workspace.plan, "state": found.state}
    limits = found.usage_limit or UsageLimit()
    now = found.billing_period
    period = Period(moment(now.start), moment(now.end)) if now else None
    used = None if found.current_usage is None else exact(found.current_usage)
    hard = exact(limits.hard_limit) if limits.hard_limit else None
    over = None if limits.is_over_limit is None else str(limits.is_over_limit).lower()
    yield Limit(name="compute hard limit", scope=scope, kind=LimitKind.SPEND, unit=CURRENCY, quota=hard, used=used,
                window="billing period", resets_at=period.end if period else None, unlimited=hard is None,
                enforced=None if hard is None else True, details=details | {"isOverLimit": over})  # fmt: skip
    if limits.soft_limit:
        yield Budget(budget_id=f"{found.id}/soft", name="compute soft limit", scope=scope, currency=CURRENCY,
                     amount=exact(limits.soft_limit), consumed=used, period="billing period", thresholds=(Decimal(1),),
                     enforced=False)  # fmt: skip
    applied = None if found.applied_credits is None else f"{found.applied_credits:f}"
    for name, amount, more in (
        ("creditBalance", found.credit_balance, {"appliedCredits": applied, **NO_END}),
        ("remainingUsageCreditBalance", found.remaining_usage_credit_balance, {}),
    ):
        if amount is not None:
            yield Balance(name=f"{name} of {scope}", amount=exact(amount), currency=CURRENCY, details=details | more)
    if used is not None and period is not None:
        yield Statement(period=period, dataset="usage", billed_cost=Money(used, CURRENCY), tolerance=_CENT,
                        basis=Basis.PRICED, billing_account_id=workspace.id)  # fmt: skip


def agents(page: AgentPage, ask: Ask) -> Iterator[Limit | Budget]:
    """Turn the spend of AI agents, which is no part of compute, into a limit and its alert. Units: cents."""
    found, scope = page.data.agent_usage, f"workspace:{ask.item}"
    used = Money.from_minor(found.total_used_cents, CURRENCY).amount
    hard = None if found.hard_limit_cents is None else Money.from_minor(found.hard_limit_cents, CURRENCY).amount
    yield Limit(name="agent hard limit", scope=scope, kind=LimitKind.SPEND, unit=CURRENCY, quota=hard, used=used,
                window="billing period", resets_at=moment(found.billing_period_end),
                enforced=None if hard is None else True)  # fmt: skip
    if found.soft_limit_cents:
        yield Budget(budget_id=f"{ask.item}/agents/soft", name="agent soft limit", scope=scope, currency=CURRENCY,
                     amount=Money.from_minor(found.soft_limit_cents, CURRENCY).amount, consumed=used,
                     period="billing period", thresholds=(Decimal(1),), enforced=False)  # fmt: skip


def quota(page: WorkspacePage, ask: Ask) -> Iterator[Limit]:
    """Turn what is left of the API's own quota into limits: the points of the token, and the requests of an hour.

    Null: the whole number of points is not stated, and requests are told by headers, which an answer may lack. How the
          headers write the time is not documented: what cannot be read as a time to come is none.
    """
    workspace = page.data.workspace
    scope, found = f"workspace:{workspace.id}", workspace.api_token_rate_limit
    if found is not None:
        yield Limit(name="API points", scope=scope, kind=LimitKind.RATE, unit="points",
                    remaining=exact(found.remaining_points), window=_HOUR,
                    resets_at=moment(found.resets_at))  # fmt: skip
    ceiling, left = (ask.headers.get(name, "").strip() for name in (LIMIT_HEADER, REMAINING_HEADER))
    if _COUNT.fullmatch(ceiling) and _COUNT.fullmatch(left):
        yield Limit(name="API requests", scope=scope, kind=LimitKind.RATE, unit="requests", quota=exact(ceiling),
                    used=max(exact(ceiling) - exact(left), ZERO), remaining=exact(left), window=_HOUR,
                    resets_at=_to_come(ask), basis=LimitBasis.HEADER, enforced=True)  # fmt: skip


def _to_come(ask: Ask) -> datetime | None:
    """Return when the quota is whole again; None where it is not told, or not as a time after the answer's."""
    try:
        found = moment(ask.headers.get(RESET_HEADER, "").strip())
    except (ValueError, OverflowError):
        return None
    return found if found > ask.observed_at else None


def invoices(page: WorkspacePage, _ask: Ask) -> Iterator[Invoice | Problem]:
    """Turn invoices and the running total of each next one into invoices, which are never added to use.

    Units: cents; the prices of their lines are dollars. An invoice mixes the next month's fee with the last one's use.
    Null:  one that was made out in an instant, as for a fee at its start, is of no period.
    """
    workspace = page.data.workspace
    found = workspace.customer
    for row in found.invoices if found else ():
        try:
            start, end = moment(row.period_start), moment(row.period_end)
            period = Period(start, end) if start != end else None
        except ValueError as error:
            yield Problem(code="period_refused", says=str(error), where=row.invoice_id, hint=UPDATE)
            continue
        paid = None if row.amount_paid is None else Money.from_minor(row.amount_paid, CURRENCY)
        yield Invoice(invoice_id=row.invoice_id, total=Money.from_minor(row.total, CURRENCY),
                      status=row.status or "unknown", period=period, issued_at=end,
                      amount_due=None if row.amount_due is None else Money.from_minor(row.amount_due, CURRENCY),
                      details={"workspaceId": workspace.id, "items": str(len(row.items)),
                               "amountPaid": None if paid is None else f"{paid.amount.normalize():f}"})  # fmt: skip
    for each in found.subscriptions if found else ():
        yield Invoice(invoice_id=f"{each.id}/next", total=Money.from_minor(each.next_invoice_current_total, CURRENCY),
                      status="upcoming", due_at=moment(each.next_invoice_date) if each.next_invoice_date else None,
                      details={"workspaceId": workspace.id, "subscription": each.status})  # fmt: skip


_OF_WORKSPACE = "($workspaceId: String!) { workspace(workspaceId: $workspaceId)"
CUSTOMER: Endpoint[WorkspacePage] = Endpoint(
    name="customer", path=PATH, query=QUERY, page=WorkspacePage, facts=customer, each=EACH_WORKSPACE,
    body=GraphQL(
        f"query customer{_OF_WORKSPACE} {{ id plan customer {{ id state currentUsage creditBalance appliedCredits"
        " remainingUsageCreditBalance billingPeriod { start end } usageLimit { softLimit hardLimit isOverLimit }"
        " } } }"
    ),
)  # fmt: skip
INVOICES: Endpoint[WorkspacePage] = Endpoint(
    name="invoices", path=PATH, query=QUERY, page=WorkspacePage, facts=invoices, each=EACH_WORKSPACE,
    body=GraphQL(
        f"query invoices{_OF_WORKSPACE} {{ id customer {{ id invoices {{ invoiceId status total amountDue amountPaid"
        " periodStart periodEnd items { productId priceDollars quantity } }"
        " subscriptions { id status nextInvoiceDate nextInvoiceCurrentTotal } } } }"
    ),
)  # fmt: skip
AGENTS: Endpoint[AgentPage] = Endpoint(
    name="agent_usage", path=PATH, query=QUERY, page=AgentPage, facts=agents, each=EACH_WORKSPACE,
    body=GraphQL(
        "query agents($workspaceId: String!) { agentUsage(workspaceId: $workspaceId) { totalUsedCents softLimitCents"
        " hardLimitCents billingPeriodEnd } }"
    ),
)  # fmt: skip
QUOTA: Endpoint[WorkspacePage] = Endpoint(
    name="api_quota", path=PATH, query=QUERY, page=WorkspacePage, facts=quota, each=EACH_WORKSPACE,
    headers_read=(LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER),
    body=GraphQL(f"query quota{_OF_WORKSPACE} {{ id apiTokenRateLimit {{ remainingPoints resetsAt }} }} }}"),
)  # fmt: skip

When = Callable[[Mapping[str, str]], bool]


def readings(by_workspace: When) -> tuple[Dataset, ...]:
    """Return the datasets of the customer's account."""
    return (
        Dataset("customer", "Limits, balances, total of the billing period", (Limit, Budget, Balance, Statement),
                (CUSTOMER,), grain="reading", when=by_workspace),
        Dataset("invoices", "Invoices", (Invoice,), (INVOICES,), grain="reading", when=by_workspace),
        Dataset("agent_usage", "Limits of AI agents", (Limit, Budget), (AGENTS,), grain="reading", when=by_workspace),
        Dataset("api_quota", "The API's own quota", (Limit,), (QUOTA,), grain="reading", when=by_workspace),
    )  # fmt: skip
