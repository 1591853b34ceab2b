"""Supabase's organizations and projects: their names, what a plan is published to include, what it is entitled to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from outlay.model.facts import Limit, LimitBasis, LimitKind, Name
from outlay.model.money import exact
from outlay.model.problem import Problem, Severity
from outlay.providers.base import AfterId, Ask, Endpoint, FanOut, Refusal

PUBLISHED = "2026-11"
"""The month in which the quotas below were read off the vendor's page."""
_ASLEEP = frozenset({"INACTIVE", "PAUSING", "INIT_FAILED", "RESTORE_FAILED"})
_GONE = frozenset({"REMOVED", "GOING_DOWN"})


class Organization(Struct, gc=False):
    """An organization; its `id` is a deprecated alias of the slug."""

    slug: str
    name: str | None = None


class Project(Struct, gc=False):
    """A project; a branch is one too."""

    ref: str
    name: str | None = None
    status: str | None = None


class Position(Struct, gc=False):
    """Where a page stands among all projects."""

    count: int
    offset: int


class ProjectPage(Struct, gc=False):
    """A page of an organization's projects."""

    projects: list[Project]
    pagination: Position

    @property
    def next_offset(self) -> int:
        """Return where the next page begins."""
        return self.pagination.offset + len(self.projects)

    @property
    def more(self) -> bool:
        """Tell whether projects are left."""
        return self.next_offset < self.pagination.count


class Plan(Struct, gc=False):
    """An organization with its plan, which may be absent."""

    plan: str | None = None


class Feature(Struct, gc=False):
    """What an entitlement is about."""

    key: str


class Config(Struct, gc=False):
    """How far an entitlement goes; only numeric ones have a value."""

    value: Decimal | None = None
    unlimited: bool = False
    unit: str | None = None


class Entitlement(Struct, rename="camel", gc=False):
    """A feature of the plan."""

    feature: Feature
    has_access: bool
    type: str
    config: Config


class Entitlements(Struct, gc=False):
    """Every feature of an organization."""

    entitlements: list[Entitlement]


class _Quota(Struct, frozen=True):
    """What a plan includes: quota, unit, kind, window, and whether it is counted for each project."""

    quota: int
    unit: str
    kind: LimitKind = LimitKind.QUOTA
    window: str | None = "month"
    each: bool = False
    enforced: bool | None = None


def _levels(egress: int, storage: int, mau: int, calls: int, messages: int, peak: int) -> dict[str, _Quota]:
    return {
        "egress": _Quota(egress, "gb"),
        "storage": _Quota(storage, "gb", LimitKind.STORAGE, None),
        "monthly active users": _Quota(mau, "users"),
        "function invocations": _Quota(calls, "requests"),
        "realtime messages": _Quota(messages, "messages"),
        "realtime peak connections": _Quota(peak, "connections"),
        "logs ingest": _Quota(5, "gb", enforced=False),
    }


_PAID = {
    **_levels(250, 100, 100_000, 2_000_000, 5_000_000, 500),
    "disk included": _Quota(8, "gb", LimitKind.STORAGE, None, each=True),
    "SSO monthly active users": _Quota(50, "users"),
    "image transformations": _Quota(100, "images"),
}
QUOTAS: Mapping[str, Mapping[str, _Quota]] = {
    "free": {
        **_levels(5, 1, 50_000, 500_000, 2_000_000, 200),
        "database": _Quota(500_000_000, "bytes", LimitKind.STORAGE, None, each=True),
    },
    "pro": _PAID,
    "team": _PAID,
}
"""What each plan is published to include, pooled over an organization's projects unless counted for each of them."""


def organizations(page: list[Organization], ask: Ask) -> Iterator[Name | Problem]:
    """Turn the organizations of the token into names, or those of them the connection lists.

    Null:   none at all is no account without costs: nothing can be asked, so that nothing is known.
    Source: https://supabase.com/docs/guides/platform/management-api
    """
    wanted = {slug.strip() for slug in ask.options.get("organizations", "").split(",") if slug.strip()}
    chosen = [each for each in page if not wanted or each.slug in wanted]
    for each in chosen:
        yield Name(kind="organization", id=each.slug, name=each.name or None)
    severity = Severity.WARNING if chosen else Severity.FATAL
    for slug in sorted(wanted - {each.slug for each in page}):
        yield Problem(
            code="organization_unseen",
            says=f"the token sees no organization {slug!r}",
            hint="Correct `organizations` on the connection, or let the token read it.",
            severity=severity,
        )
    if not page and not wanted:
        yield Problem(
            code="organization_unseen",
            says="the token sees no organization at all",
            hint="Let the token read the organizations, or create one of an account that belongs to them.",
            severity=severity,
        )


def projects(page: ProjectPage, ask: Ask) -> Iterator[Name]:
    """Turn a page of projects into names; paused ones answer no questions and cost nothing, so none are put to them.

    Source: https://supabase.com/docs/guides/platform/management-api
    """
    for each in page.projects:
        status = each.status or ""
        state = "archived" if status in _ASLEEP else "deleted" if status in _GONE else "active"
        yield Name(kind="project", id=each.ref, name=each.name or None, parent_id=ask.item, state=state)


def plan_quotas(page: Plan, ask: Ask) -> Iterator[Limit | Problem]:
    """Turn an organization's plan into the quotas published for it; how much is used is on the dashboard alone.

    Source: https://supabase.com/docs/guides/platform/billing-on-supabase
    """
    known = QUOTAS.get(page.plan or "")
    if known is None:
        yield Problem(
            code="plan_without_quotas",
            says=f"{ask.item} has the plan {page.plan or '(not stated)'}, for which no quotas are published",
            hint="Enter those you have agreed on with `outlay enter limit`.",
            severity=Severity.NOTE,
        )
        return
    for name, each in known.items():
        yield Limit(
            name=name,
            scope=f"organization:{ask.item}{', each project' if each.each else ''}",
            kind=each.kind,
            unit=each.unit,
            quota=exact(each.quota),
            window=each.window,
            basis=LimitBasis.DERIVED,
            enforced=each.enforced,
            details={"plan": page.plan, "published": PUBLISHED},
        )


def entitlements(page: Entitlements, ask: Ask) -> Iterator[Limit]:
    """Turn numeric entitlements into limits; switches and sets bound nothing, and what is not granted has no ceiling.

    Source: https://supabase.com/docs/guides/platform/management-api
    """
    for each in page.entitlements:
        if each.type != "numeric" or not each.has_access or (each.config.value is None and not each.config.unlimited):
            continue
        key = each.feature.key
        rate = key.endswith("_per_second")
        value = each.config.value
        yield Limit(
            name=key,
            scope=f"organization:{ask.item}",
            kind=LimitKind.RATE if rate else LimitKind.QUOTA,
            unit=(each.config.unit or "count").lower(),
            quota=None if each.config.unlimited or value is None else exact(value),
            unlimited=each.config.unlimited,
            window="1 second" if rate else None,
            enforced=True,
        )


def lacking(permission: str, what: str) -> tuple[Refusal, ...]:
    """Return what a refusal means where a token needs one permission, so that it is told by name."""
    hint = f"Let the token read {what} ({permission}); it can never do more than its owner."
    return (Refusal(403, "permission_missing", hint=hint),)


_SETTINGS = lacking("organization_admin_read", "organization settings")

ORGANIZATIONS = Endpoint(
    name="organizations",
    path="/v1/organizations",
    refusals=lacking("organizations_read", "organizations"),
    page=list[Organization],
    facts=organizations,
)

PROJECTS = Endpoint(
    name="projects",
    path="/v1/organizations/{slug}/projects",
    pages=AfterId(send="offset", read="next_offset", more="more"),
    query={"limit": 100, "sort": "created_asc"},
    each=FanOut("organization", "slug"),
    refusals=lacking("organization_projects_read", "an organization's projects"),
    page=ProjectPage,
    facts=projects,
)

PLAN = Endpoint(
    name="plan",
    path="/v1/organizations/{slug}",
    each=FanOut("organization", "slug"),
    refusals=_SETTINGS,
    page=Plan,
    facts=plan_quotas,
)

ENTITLEMENTS = Endpoint(
    name="entitlements",
    path="/v1/organizations/{slug}/entitlements",
    each=FanOut("organization", "slug"),
    refusals=_SETTINGS,
    page=Entitlements,
    facts=entitlements,
)
