"""OpenAI's names, rate limits, hard spend limits and spend alerts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from outlay.clock import day_of, midnight, next_month
from outlay.model.facts import Budget, Limit, LimitKind, Name
from outlay.model.money import Money, exact
from outlay.providers.base import AfterId, Ask, Dataset, Endpoint, FanOut, Refusal
from outlay.providers.openai.usage import ORGANIZATION


class Person(Struct, gc=False):
    """Who a member is."""

    name: str | None = None
    email: str | None = None


class Named(Struct, gc=False):
    """A project, user, key or service account."""

    id: str
    name: str | None = None
    email: str | None = None
    user: Person | None = None
    status: str | None = None
    archived_at: int | None = None


class NamedPage(Struct, gc=False):
    """A page of names."""

    data: list[Named]
    has_more: bool
    last_id: str | None = None


class RateLimit(Struct, gc=False):
    """What a project may ask of one model; only the first two ceilings are always present."""

    model: str
    max_requests_per_1_minute: Decimal | None = None
    max_tokens_per_1_minute: Decimal | None = None
    max_images_per_1_minute: Decimal | None = None
    max_audio_megabytes_per_1_minute: Decimal | None = None
    max_requests_per_1_day: Decimal | None = None
    batch_1_day_max_input_tokens: Decimal | None = None


class RateLimitPage(Struct, gc=False):
    """A page of rate limits."""

    data: list[RateLimit]
    has_more: bool
    last_id: str | None = None


class Enforcement(Struct, gc=False):
    """Whether a hard limit refuses requests at this moment."""

    status: str | None = None


class SpendLimit(Struct, gc=False):
    """A hard limit in cents."""

    threshold_amount: Decimal
    currency: str
    interval: str
    enforcement: Enforcement | None = None


class SpendAlert(Struct, gc=False):
    """An e-mail alert at an amount in cents."""

    id: str
    threshold_amount: Decimal
    currency: str
    interval: str


class SpendAlertPage(Struct, gc=False):
    """A page of alerts."""

    data: list[SpendAlert]
    has_more: bool
    last_id: str | None = None


def _names(kind: str, page: NamedPage, ask: Ask) -> Iterator[Name]:
    for row in page.data:
        state = row.status or "active"
        if row.archived_at is not None:
            state = "archived"
        person = row.user or Person()
        name = row.name or person.name or row.email or person.email or None
        yield Name(kind=kind, id=row.id, name=name, parent_id=ask.item, state=state)


def projects(page: NamedPage, ask: Ask) -> Iterator[Name]:
    """Turn projects into names, archived ones too: old costs still carry their ids."""
    return _names("project", page, ask)


def users(page: NamedPage, ask: Ask) -> Iterator[Name]:
    """Turn members into names. Null: a member without a name goes by e-mail address."""
    return _names("user", page, ask)


def api_keys(page: NamedPage, ask: Ask) -> Iterator[Name]:
    """Turn keys into names; a project's keys belong to the project that was asked for."""
    return _names("api_key", page, ask)


def service_accounts(page: NamedPage, ask: Ask) -> Iterator[Name]:
    """Turn a project's service accounts into names."""
    return _names("service_account", page, ask)


_RATES = (
    ("max_requests_per_1_minute", "requests", "1 minute"),
    ("max_tokens_per_1_minute", "tokens", "1 minute"),
    ("max_images_per_1_minute", "images", "1 minute"),
    ("max_audio_megabytes_per_1_minute", "megabytes", "1 minute"),
    ("max_requests_per_1_day", "requests", "1 day"),
    ("batch_1_day_max_input_tokens", "tokens", "1 day"),
)


def rate_limits(page: RateLimitPage, ask: Ask) -> Iterator[Limit]:
    """Turn a project's rate limits into limits, one per model and ceiling: the name says both.

    Null: what is used is not stated.
    """
    for row in page.data:
        for name, unit, window in _RATES:
            quota = getattr(row, name)
            if quota is not None:
                yield Limit(name=f"{row.model}: {name}", scope=_scope(ask), kind=LimitKind.RATE, unit=unit,
                            quota=exact(quota), window=window, sub_account_id=ask.item, model=row.model)  # fmt: skip


def spend_limit(page: SpendLimit, ask: Ask) -> Iterator[Limit]:
    """Turn a hard spend limit into a limit.

    Units: `threshold_amount` is cents. The vendor does not say in which zone its month begins; UTC is assumed.
    Null:  what is used is not stated; `enforced` is None for a status not known here.
    """
    quota = Money.from_minor(page.threshold_amount, page.currency)
    status = page.enforcement.status if page.enforcement else None
    monthly = page.interval == "month"
    yield Limit(name="spend_limit", scope=_scope(ask), kind=LimitKind.SPEND, unit=quota.currency, quota=quota.amount,
                window=page.interval, resets_at=midnight(next_month(day_of(ask.observed_at))) if monthly else None,
                sub_account_id=ask.item, enforced={"enforcing": True, "inactive": False}.get(status or ""),
                details={"enforcement_status": status})  # fmt: skip


def spend_alerts(page: SpendAlertPage, ask: Ask) -> Iterator[Budget]:
    """Turn spend alerts into budgets that warn when they are used up. Units: `threshold_amount` is cents."""
    for row in page.data:
        amount = Money.from_minor(row.threshold_amount, row.currency)
        yield Budget(budget_id=row.id, name="spend alert", scope=_scope(ask), amount=amount.amount,
                     currency=amount.currency, period=row.interval, thresholds=(Decimal(1),),
                     enforced=False)  # fmt: skip


def _scope(ask: Ask) -> str:
    return f"project:{ask.item}" if ask.item else "organization"


_PROJECT = ORGANIZATION + "/projects/{project_id}"
_LIST = AfterId(send="after")
_EACH_PROJECT = FanOut("project", "project_id")
_NONE = (Refusal(404, "empty"),)
"""No limit is set, or the project went away since its name was read."""

PROJECTS: Endpoint[NamedPage] = Endpoint(
    name="projects", path=f"{ORGANIZATION}/projects", page=NamedPage, facts=projects, pages=_LIST,
    query={"limit": 100, "include_archived": "true"},
)  # fmt: skip
USERS: Endpoint[NamedPage] = Endpoint(
    name="users", path=f"{ORGANIZATION}/users", page=NamedPage, facts=users, pages=_LIST, query={"limit": 100},
)  # fmt: skip
ADMIN_KEYS: Endpoint[NamedPage] = Endpoint(
    name="admin_api_keys", path=f"{ORGANIZATION}/admin_api_keys", page=NamedPage, facts=api_keys, pages=_LIST,
    query={"limit": 100},
)  # fmt: skip
PROJECT_KEYS: Endpoint[NamedPage] = Endpoint(
    name="project_api_keys", path=f"{_PROJECT}/api_keys", page=NamedPage, facts=api_keys, pages=_LIST,
    query={"limit": 100, "owner_project_access": "any"}, refusals=_NONE,
    each=FanOut("project", "project_id", states=("active", "archived")),
)  # fmt: skip
SERVICE_ACCOUNTS: Endpoint[NamedPage] = Endpoint(
    name="service_accounts", path=f"{_PROJECT}/service_accounts", page=NamedPage, facts=service_accounts, pages=_LIST,
    query={"limit": 100}, each=_EACH_PROJECT, refusals=_NONE,
)  # fmt: skip
RATE_LIMITS: Endpoint[RateLimitPage] = Endpoint(
    name="rate_limits", path=f"{_PROJECT}/rate_limits", page=RateLimitPage, facts=rate_limits, pages=_LIST,
    query={"limit": 100}, each=_EACH_PROJECT, refusals=_NONE,
)  # fmt: skip
SPEND_LIMIT: Endpoint[SpendLimit] = Endpoint(
    name="spend_limit", path=f"{ORGANIZATION}/spend_limit", page=SpendLimit, facts=spend_limit, refusals=_NONE,
)  # fmt: skip
PROJECT_SPEND_LIMITS: Endpoint[SpendLimit] = Endpoint(
    name="project_spend_limits", path=f"{_PROJECT}/spend_limit", page=SpendLimit, facts=spend_limit,
    each=_EACH_PROJECT, refusals=_NONE,
)  # fmt: skip
SPEND_ALERTS: Endpoint[SpendAlertPage] = Endpoint(
    name="spend_alerts", path=f"{ORGANIZATION}/spend_alerts", page=SpendAlertPage, facts=spend_alerts, pages=_LIST,
    query={"limit": 100}, refusals=_NONE,
)  # fmt: skip
PROJECT_SPEND_ALERTS: Endpoint[SpendAlertPage] = Endpoint(
    name="project_spend_alerts", path=f"{_PROJECT}/spend_alerts", page=SpendAlertPage, facts=spend_alerts, pages=_LIST,
    query={"limit": 100}, each=_EACH_PROJECT, refusals=_NONE,
)  # fmt: skip

DATASETS = (
    Dataset("projects", "Project names", (Name,), (PROJECTS,), grain="names", order=0),
    Dataset("users", "Member names", (Name,), (USERS,), grain="names"),
    Dataset("admin_api_keys", "Admin key names", (Name,), (ADMIN_KEYS,), grain="names"),
    Dataset("project_api_keys", "API key names", (Name,), (PROJECT_KEYS,), grain="names"),
    Dataset("service_accounts", "Service accounts", (Name,), (SERVICE_ACCOUNTS,), grain="names", default=False),
    Dataset("rate_limits", "Rate limits of each project", (Limit,), (RATE_LIMITS,), grain="reading"),
    Dataset("spend_limit", "The organization's spend limit", (Limit,), (SPEND_LIMIT,), grain="reading"),
    Dataset("project_spend_limits", "Projects' spend limits", (Limit,), (PROJECT_SPEND_LIMITS,), grain="reading"),
    Dataset("spend_alerts", "The organization's spend alerts", (Budget,), (SPEND_ALERTS,), grain="reading"),
    Dataset("project_spend_alerts", "Projects' spend alerts", (Budget,), (PROJECT_SPEND_ALERTS,), grain="reading"),
)
