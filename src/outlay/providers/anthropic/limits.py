"""Anthropic's ceilings: rate limits and spend limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from outlay.clock import midnight, next_month
from outlay.model.facts import Limit, LimitKind
from outlay.model.money import Money, exact
from outlay.providers.anthropic.names import Scope
from outlay.providers.anthropic.rows import BETA_REFUSALS
from outlay.providers.base import Ask, Cursor, Endpoint, FanOut

_PER = re.compile(r"_per_(second|minute|hour|day|month)")
_WINDOWS = {"daily": "1 day", "weekly": "7 days", "monthly": "month"}


class Group(Struct, gc=False):
    """What a rate limit is about: a group of models or a feature."""

    type: str
    id: str | None = None
    display_name: str | None = None


class Source(Struct, gc=False):
    """Who set a workspace's limit."""

    type: str


class Limiter(Struct, gc=False):
    """One ceiling of a group; the types are an open set."""

    type: str
    value: int
    org_limit: int | None = None
    source: Source | None = None


class RateLimit(Struct, gc=False):
    """The limiters of one group; older answers name the group by `group_type` alone."""

    limits: list[Limiter]
    id: str | None = None
    rate_limit_id: str | None = None
    workspace_id: str | None = None
    group: Group | None = None
    group_type: str | None = None
    models: list[str] | None = None

    @property
    def label(self) -> str:
        """Return what the limiters are about, in the vendor's words."""
        if self.group is not None and self.group.display_name:
            return self.group.display_name
        kind = self.group.type if self.group is not None else self.group_type
        return ", ".join(self.models) if self.models else kind or "all"


class RateLimitPage(Struct, gc=False):
    """A page of rate limits of an organization or a workspace."""

    data: list[RateLimit]
    next_page: str | None = None


class SpendLimit(Struct, gc=False):
    """A cap on spend in the currency's smallest unit; an amount of null is no cap."""

    id: str
    currency: str
    period: str
    scope: Scope
    is_enabled: bool = True
    amount: Decimal | None = None


class SpendLimitPage(Struct, gc=False):
    """A page of spend limits."""

    data: list[SpendLimit]
    next_page: str | None = None


class Spender(Struct, gc=False):
    """A person or a scoped key."""

    user_id: str | None = None
    scoped_api_key_id: str | None = None


class SpendSummary(Struct, gc=False):
    """The cap that counts for one spender, and what it has spent."""

    actor: Spender
    currency: str
    period: str
    period_to_date_spend: Decimal
    source: Scope
    spend_limit_id: str
    amount: Decimal | None = None


class SpendSummaryPage(Struct, gc=False):
    """A page of effective spend limits."""

    data: list[SpendSummary]
    next_page: str | None = None


def rate_limits(page: RateLimitPage, ask: Ask) -> Iterator[Limit]:
    """Turn a page of rate limits into limits, one per limiter.

    Units:  requests, tokens, searches, or a plain count for a limiter of unknown kind.
    Null:   a workspace without an entry inherits the organization's limit; the vendor states no use.
    Source: https://platform.claude.com/docs/en/manage-claude/rate-limits-api
    """
    for entry in page.data:
        workspace = entry.workspace_id or ask.item
        for limiter in entry.limits:
            per, unit = _PER.search(limiter.type), _unit(limiter.type)
            details = {
                "type": limiter.type,
                "models": ", ".join(entry.models) if entry.models else None,
                "organization_limit": None if limiter.org_limit is None else str(limiter.org_limit),
                "source": limiter.source.type if limiter.source else None,
            }
            yield Limit(
                name=f"{entry.label}: {limiter.type.replace('_', ' ')}",
                scope=f"workspace:{workspace}" if workspace else "organization",
                kind=LimitKind.RATE if per else LimitKind.STORAGE if unit == "bytes" else LimitKind.QUOTA,
                unit=unit,
                quota=exact(limiter.value),
                window=f"1 {per[1]}" if per else None,
                sub_account_id=workspace,
                model=entry.models[0] if entry.models and len(entry.models) == 1 else None,
                enforced=True,
                details={name: text for name, text in details.items() if text is not None},
            )


def _unit(limiter: str) -> str:
    for word, unit in (("token", "tokens"), ("request", "requests"), ("search", "searches"), ("byte", "bytes")):
        if word in limiter:
            return unit
    return "count"


def spend_limits(page: SpendLimitPage, ask: Ask) -> Iterator[Limit]:
    """Turn a page of spend limits into limits.

    Units:  `amount` is in the currency's smallest unit.
    Null:   an amount of null is no cap, and neither is a cap that is switched off: its amount is a detail.
    Source: https://platform.claude.com/docs/en/manage-claude/spend-limits-api
    """
    for cap in page.data:
        amount = None if cap.amount is None else Money.from_minor(cap.amount, cap.currency).amount
        off = None if cap.is_enabled or amount is None else f"{amount.normalize():f}"
        yield Limit(
            name=f"{cap.period} spend",
            scope=cap.scope.text,
            kind=LimitKind.SPEND,
            unit=cap.currency,
            quota=amount if cap.is_enabled else None,
            unlimited=amount is None or not cap.is_enabled,
            window=_WINDOWS.get(cap.period, cap.period),
            resets_at=_resets_at(cap.period, ask.observed_at),
            sub_account_id=cap.scope.workspace_id,
            enforced=cap.is_enabled,
            details={"id": cap.id, **({} if off is None else {"switched_off": off})},
        )


def spend_limits_effective(page: SpendSummaryPage, ask: Ask) -> Iterator[Limit]:
    """Turn a page of spenders into the limit that counts for each.

    Units:  `amount` and `period_to_date_spend` are in the currency's smallest unit.
    Null:   the vendor writes "0" also where it cannot read the spend, so a zero is not known to be one.
    Source: https://platform.claude.com/docs/en/manage-claude/spend-limits-api
    """
    for spender in page.data:
        used = Money.from_minor(spender.period_to_date_spend, spender.currency)
        who = f"user:{spender.actor.user_id}" if spender.actor.user_id else f"api_key:{spender.actor.scoped_api_key_id}"
        yield Limit(
            name=f"effective {spender.period} spend",
            scope=who,
            kind=LimitKind.SPEND,
            unit=spender.currency,
            quota=None if spender.amount is None else Money.from_minor(spender.amount, spender.currency).amount,
            used=used.amount if used else None,
            unlimited=spender.amount is None,
            window=_WINDOWS.get(spender.period, spender.period),
            resets_at=_resets_at(spender.period, ask.observed_at),
            enforced=spender.amount is not None,
            details={"id": spender.spend_limit_id, "source": spender.source.text},
        )


def _resets_at(period: str, observed_at: datetime) -> datetime | None:
    """Return when a calendar window ends; the vendor does not say on which day its weeks begin."""
    today = observed_at.astimezone(UTC).date()
    if period == "monthly":
        return midnight(next_month(today))
    return midnight(today + timedelta(days=1)) if period == "daily" else None


RATE_LIMITS = Endpoint(
    name="rate_limits",
    path="/v1/organizations/rate_limits",
    pages=Cursor(send="page", read="next_page"),
    query={"limit": 1000},
    page=RateLimitPage,
    facts=rate_limits,
)

WORKSPACE_RATE_LIMITS = Endpoint(
    name="workspace_rate_limits",
    path="/v1/organizations/workspaces/{workspace_id}/rate_limits",
    pages=Cursor(send="page", read="next_page"),
    query={"limit": 1000},
    each=FanOut("workspace", "workspace_id"),
    page=RateLimitPage,
    facts=rate_limits,
)

SPEND_LIMITS = Endpoint(
    name="spend_limits",
    path="/v1/organizations/spend_limits",
    pages=Cursor(send="page", read="next_page"),
    query={"limit": 100},
    headers={"anthropic-beta": "spend-limit-reads-2026-09-26"},
    refusals=BETA_REFUSALS,
    page=SpendLimitPage,
    facts=spend_limits,
)

SPEND_LIMITS_EFFECTIVE = Endpoint(
    name="spend_limits_effective",
    path="/v1/organizations/spend_limits/effective",
    pages=Cursor(send="page", read="next_page"),
    query={"limit": 100},
    refusals=BETA_REFUSALS,
    page=SpendSummaryPage,
    facts=spend_limits_effective,
)
