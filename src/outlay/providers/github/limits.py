"""GitHub's budgets, cost centres, Copilot seats and the REST quota."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import Budget, Limit, LimitKind, Name
from outlay.model.money import exact
from outlay.providers.base import Ask, Endpoint, PageNumber, Refusal
from outlay.providers.github.names import COST_CENTER_TAG, CURRENCY, is_licence, repository, service_name, sku_id


class Alerting(Struct, gc=False):
    """Whether a budget warns; who is warned is not read."""

    will_alert: bool | None = None


class BudgetRow(Struct, gc=False):
    """A budget in whole dollars, or in licences; descriptions and examples disagree on the last field's number."""

    id: str
    budget_amount: Decimal
    budget_scope: str
    budget_type: str
    prevent_further_usage: bool | None = None
    budget_entity_name: str | None = None
    user: str | None = None
    consumed_amount: Decimal | None = None
    budget_product_sku: str | list[str] | None = None
    budget_product_skus: list[str] | None = None
    budget_alerting: Alerting | None = None

    @property
    def covered(self) -> list[str]:
        """Return the products or SKUs the budget counts."""
        one = self.budget_product_sku
        return self.budget_product_skus or ([one] if isinstance(one, str) else one or [])


class BudgetPage(Struct, gc=False):
    """A page of budgets."""

    budgets: list[BudgetRow]
    has_next_page: bool | None = None


class CostCenter(Struct, gc=False):
    """A cost centre of an enterprise."""

    id: str
    name: str
    state: str | None = None


class CostCenterList(Struct, rename="camel"):
    """Every cost centre in one state."""

    cost_centers: list[CostCenter] = field(default_factory=list)


class Seats(Struct, gc=False):
    """How the seats of this billing cycle are used."""

    total: int | None = None
    active_this_cycle: int | None = None
    inactive_this_cycle: int | None = None
    added_this_cycle: int | None = None
    pending_cancellation: int | None = None
    pending_invitation: int | None = None


class CopilotBilling(Struct, gc=False):
    """An organization's Copilot subscription."""

    seat_breakdown: Seats
    plan_type: str | None = None


class Quota(Struct, gc=False):
    """One REST quota; `reset` is Unix seconds.

    An entry without a limit is no quota.
    """

    limit: int | None = None
    used: int | None = None
    remaining: int | None = None
    reset: int | None = None


class RateLimits(Struct, gc=False):
    """The quotas of the credential that asks."""

    resources: dict[str, Quota]


def budgets(page: BudgetPage, ask: Ask) -> Iterator[Budget]:
    """Turn a page of budgets into budgets of a month.

    Units:  whole dollars, or licences where licences are what is bought.
    Null:   the vendor states what is consumed for budgets of a user alone.
    Source: https://docs.github.com/en/rest/billing/budgets
    """
    for row in page.budgets:
        licences = bool(row.covered) and all(is_licence(text, sku_id(text)) for text in row.covered)
        entity = row.user or row.budget_entity_name or ""
        alerts = row.budget_alerting.will_alert if row.budget_alerting else None
        yield Budget(
            budget_id=row.id,
            name=" ".join(part for part in (entity, ", ".join(row.covered)) if part) or row.id,
            scope=f"{row.budget_scope}:{entity}" if entity else row.budget_scope,
            amount=exact(row.budget_amount),
            currency=None if licences else CURRENCY,
            unit="seats" if licences else None,
            consumed=None if row.consumed_amount is None else exact(row.consumed_amount),
            enforced=row.prevent_further_usage,
            covers=_covers(row, entity, ask),
            details={"type": row.budget_type, "will_alert": None if alerts is None else str(alerts).lower()},
        )


def _covers(row: BudgetRow, entity: str, ask: Ask) -> dict[str, str | None]:
    """Return the dimensions a budget counts, in the words that charges carry; several values are joined by commas.

    Null: a dimension that charges do not have says that their sum is not what the budget consumed.
    """
    covers: dict[str, str | None] = {}
    if row.budget_type == "ProductPricing":
        covers["service"] = ",".join(service_name(text) for text in row.covered)
    elif row.budget_type == "SkuPricing":
        covers["sku"] = ",".join(sku_id(text) for text in row.covered)
    else:
        covers[row.budget_type] = ",".join(row.covered)
    return covers | _place(row.budget_scope, entity, ask)


def _place(scope: str, entity: str, ask: Ask) -> dict[str, str | None]:
    """Return which part of the connection's charges a scope means; a budget of many people gives each the amount."""
    if scope == "enterprise" and ask.options.get("enterprise"):
        return {}
    if scope == "organization" and not entity and ask.options.get("organization"):
        return {}
    if scope == "organization" and entity:
        return {"sub_account": entity}
    if scope == "repository" and entity:
        return {"resource": repository(entity, ask.options.get("organization"))}
    if scope == "cost_center" and entity and ask.options.get("enterprise"):
        return {f"tag:{COST_CENTER_TAG}": entity}
    return {scope: entity or None}


def cost_centers(page: CostCenterList, ask: Ask) -> Iterator[Name]:
    """Turn the cost centres of one state into names.

    Null:   an answer without `state` is of the state that was asked for.
    Source: https://docs.github.com/en/enterprise-cloud@latest/rest/billing/cost-centers
    """
    asked = "deleted" if ask.dataset.endswith(".deleted") else "active"
    for row in page.cost_centers:
        yield Name(kind="cost_center", id=row.id, name=row.name, state=row.state or asked)


def copilot_seats(page: CopilotBilling, ask: Ask) -> Iterator[Limit]:
    """Turn a Copilot subscription into a limit on seats: what is paid for, and how much of it was used this cycle.

    Source: https://docs.github.com/en/rest/copilot/copilot-user-management
    """
    seats = page.seat_breakdown
    details = {
        "plan_type": page.plan_type,
        "added_this_cycle": seats.added_this_cycle,
        "pending_cancellation": seats.pending_cancellation,
        "pending_invitation": seats.pending_invitation,
    }
    yield Limit(
        name="Copilot seats",
        scope="organization",
        kind=LimitKind.SEATS,
        unit="seats",
        quota=None if seats.total is None else exact(seats.total),
        used=None if seats.active_this_cycle is None else exact(seats.active_this_cycle),
        remaining=None if seats.inactive_this_cycle is None else exact(seats.inactive_this_cycle),
        window="month",
        sub_account_id=ask.options.get("organization"),
        details={name: str(value) for name, value in details.items() if value is not None},
    )


_WINDOWS = {"core": "1 hour", "graphql": "1 hour", "search": "1 minute", "code_search": "1 minute"}


def rate_limit(page: RateLimits, _ask: Ask) -> Iterator[Limit]:
    """Turn the REST quotas of the credential into limits.

    Units:  requests; GraphQL counts points.
    Null:   the window is None where the documentation names none.
    Source: https://docs.github.com/en/rest/rate-limit/rate-limit
    """
    for name, quota in page.resources.items():
        if quota.limit is None:
            continue
        yield Limit(
            name=f"REST API: {name.replace('_', ' ')}",
            scope="credential",
            kind=LimitKind.RATE,
            unit="points" if name == "graphql" else "requests",
            quota=exact(quota.limit),
            used=None if quota.used is None else exact(quota.used),
            remaining=None if quota.remaining is None else exact(quota.remaining),
            window=_WINDOWS.get(name),
            resets_at=None if quota.reset is None else datetime.fromtimestamp(quota.reset, UTC),
            enforced=True,
        )


BUDGETS = Endpoint(
    name="budgets",
    path="/{level}/{account}/settings/billing/budgets",
    pages=PageNumber("page", more="has_next_page"),
    query={"per_page": 100},
    page=BudgetPage,
    facts=budgets,
)

COST_CENTERS = Endpoint(
    name="cost_centers",
    path="/enterprises/{enterprise}/settings/billing/cost-centers",
    query={"state": "active"},
    page=CostCenterList,
    facts=cost_centers,
)

COST_CENTERS_DELETED = Endpoint(
    name="cost_centers_deleted",
    path="/enterprises/{enterprise}/settings/billing/cost-centers",
    query={"state": "deleted"},
    page=CostCenterList,
    facts=cost_centers,
)

COPILOT_SEATS = Endpoint(
    name="copilot_seats",
    path="/orgs/{organization}/copilot/billing",
    refusals=(Refusal(422, "not_offered"),),
    page=CopilotBilling,
    facts=copilot_seats,
)

RATE_LIMIT = Endpoint(
    name="rate_limit",
    path="/rate_limit",
    refusals=(Refusal(404, "not_offered", hint="An Enterprise Server may have rate limits turned off."),),
    page=RateLimits,
    facts=rate_limit,
)
