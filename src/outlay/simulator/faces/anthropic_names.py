"""Anthropic's organization, workspaces and keys, and its rate and spend limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, cast

from outlay.simulator.faces.anthropic_reports import BRACKETS, limited, position, text_of
from outlay.simulator.faces.base import Answer, Ask, Refusal, seal, to_json
from outlay.simulator.worlds.anthropic import AnthropicAccount, ApiKey, Workspace

ADMIN_SCOPE = "org:admin"
SPEND_BETA, SPEND_SCOPE = "spend-limit-reads-2026-09-26", "read:spend_limits"
_BORN, _CLOSED = "2025-03-01T09:00:00Z", "2026-09-30T00:00:00Z"
_LIMITERS = ("batch", "files", "model_group", "skills", "token_count", "web_search")
_SCOPES = ("organization", "organization_service", "rbac_group", "seat_tier", "usage_tier", "user", "workspace")
_STATES = ("active", "archived", "expired", "inactive")
_PERIODS = ("daily", "weekly", "monthly")


def _account(ask: Ask) -> AnthropicAccount:
    return cast(AnthropicAccount, ask.account)


def _listing(ask: Ask, rows: Iterable[Mapping[str, Any]]) -> Answer:
    """Answer one page of a list that continues after, or ends before, an id."""
    rows, limit = list(rows), limited(ask, 20, 1000)
    after, before = ask.query.one("after_id"), ask.query.one("before_id")
    ask.query.finish()
    ids = [row["id"] for row in rows]
    for name, cursor in (("after_id", after), ("before_id", before)):
        if cursor is not None and cursor not in ids:
            raise Refusal(400, f"{name}: no such object")
    if before is not None:
        stop = ids.index(before)
        page, more = rows[max(0, stop - limit) : stop], stop > limit
    else:
        start = ids.index(after) + 1 if after is not None else 0
        page, more = rows[start : start + limit], start + limit < len(rows)
    edges = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return Answer(to_json({"data": page, "has_more": more, **edges}))


def _tokened(ask: Ask, rows: Sequence[Mapping[str, Any]], limit_default: int) -> Answer:
    """Answer one page of a list that continues with a page token and says so in `next_page` alone."""
    limit = limited(ask, limit_default, 1000)
    first, fingerprint = position(ask, 0)
    stop = first + limit
    more = seal("page_", stop, fingerprint) if stop < len(rows) else None
    return Answer(to_json({"data": rows[first:stop], "next_page": more}))


def me(ask: Ask) -> Answer:
    """Answer the organization the key belongs to."""
    ask.query.finish()
    return Answer(to_json({"id": _account(ask).id, "name": "Simulated organization", "type": "organization"}))


def _workspace_row(space: Workspace) -> Mapping[str, Any]:
    residency = {"allowed_inference_geos": "unrestricted", "default_inference_geo": "global", "workspace_geo": "us"}
    return {
        "id": space.id,
        "type": "workspace",
        "name": space.name,
        "created_at": _BORN,
        "archived_at": _CLOSED if space.archived else None,
        "compartment_id": f"cmp_{space.id[7:]}",
        "data_residency": residency,
        "display_color": "#6C5BB9",
        "external_key_id": None,
        "tags": {},
        "user_profile_id": None,
    }


def workspaces(ask: Ask) -> Answer:
    """Answer the workspaces, archived and default ones only when asked for."""
    archived, default = ask.query.flag("include_archived"), ask.query.flag("include_default")
    chosen = [s for s in _account(ask).workspaces if (archived or not s.archived) and (default or not s.default)]
    return _listing(ask, [_workspace_row(space) for space in chosen])


def _key_row(key: ApiKey) -> Mapping[str, Any]:
    kind = "service_account" if key.actor.service else "user"
    principal = {"type": f"{kind}_actor", f"{kind}_id": key.actor.id}
    scope = (
        {"type": "organization"} if key.workspace.default else {"type": "workspace", "workspace_id": key.workspace.id}
    )
    return {
        "id": key.id,
        "type": "api_key",
        "name": key.name,
        "created_at": _BORN,
        "created_by": {"id": key.actor.id, "type": kind},
        "expires_at": _CLOSED if key.status == "expired" else None,
        "partial_key_hint": f"***{key.id[-4:]}",
        "principal": principal,
        "scope": scope,
        "status": key.status,
    }


def api_keys(ask: Ask) -> Answer:
    """Answer the keys of every state, or of one."""
    query = ask.query
    status, space, creator = query.choice("status", _STATES), query.one("workspace_id"), query.one("created_by_user_id")
    chosen = [
        key
        for key in _account(ask).keys
        if key.listed
        and status in (None, key.status)
        and space in (None, key.workspace.id)
        and creator in (None, key.actor.id)
    ]
    return _listing(ask, [_key_row(key) for key in chosen])


def _rates(ask: Ask) -> list[dict[str, Any]]:
    kind, model = ask.query.choice("group_type", _LIMITERS), ask.query.one("model")
    found = [rate for rate in _account(ask).rate_limits() if kind in (None, rate["group"]["type"])]
    found = [rate for rate in found if model is None or model in (rate["models"] or ())]
    if model is not None and not found:
        raise Refusal(404, f"model: {model} has no rate limits")
    return found


def rate_limits(ask: Ask) -> Answer:
    """Answer the organization's rate limits."""
    rows = [
        {"id": f"rl_{rate['group']['id'][4:]}", "type": "rate_limit", "group": rate["group"], "models": rate["models"],
         "limits": [{"type": limiter, "value": value} for limiter, value in rate["limits"].items()]}
        for rate in _rates(ask)
    ]  # fmt: skip
    return _tokened(ask, rows, 1000)


def workspace_rate_limits(ask: Ask) -> Answer:
    """Answer a workspace's own rate limits, the inherited ones only when asked for."""
    spaces = {space.id: n for n, space in enumerate(_account(ask).workspaces)}
    space = ask.places["workspace_id"]
    if space not in spaces:
        raise Refusal(404, "Workspace not found")
    inherited, rows = ask.query.flag("include_inherited"), []
    for n, rate in enumerate(_rates(ask)):
        own = spaces[space] == 1 and n == 0
        if own or inherited:
            limits = [
                {"type": limiter, "value": value // 2 if own else value, "org_limit": value,
                 "source": {"type": "workspace" if own else "organization"}}
                for limiter, value in rate["limits"].items()
            ]  # fmt: skip
            rows.append(
                {
                    "type": "workspace_rate_limit",
                    "rate_limit_id": f"rl_{rate['group']['id'][4:]}",
                    "workspace_id": space,
                    "group": rate["group"],
                    "models": rate["models"],
                    "limits": limits,
                }
            )
    return _tokened(ask, rows, 1000)


def spend_limits(ask: Ask) -> Answer:
    """Answer the spend limits in cents; null is no cap."""
    kinds, space = ask.query.many("scope_type", _SCOPES, BRACKETS), ask.query.one("workspace_id")
    rows = [
        {
            "id": f"sl_{n:04}",
            "type": "spend_limit",
            "created_at": _BORN,
            "updated_at": _BORN,
            "currency": "USD",
            "period": "monthly",
            **limit,
        }
        for n, limit in enumerate(_account(ask).spend_limits())
        if (not kinds or limit["scope"]["type"] in kinds) and space in (None, limit["scope"].get("workspace_id"))
    ]
    return _tokened(ask, rows, 20)


def effective_spend_limits(ask: Ask) -> Answer:
    """Answer what caps each person and what they spent this month; an Enterprise organization's only."""
    assert ask.key is not None
    if ask.key.kind != "enterprise":
        raise Refusal(400, "This organization type is not supported.", error_code="organization_type_not_supported")
    periods, users = ask.query.many("period", _PERIODS, BRACKETS), ask.query.many("user_ids", None, BRACKETS)
    if len(users) > 100:
        raise Refusal(400, "user_ids: at most 100 values")
    account, today = _account(ask), ask.world.today
    month = [today.replace(day=1) + timedelta(days=n) for n in range(today.day)]
    rows = []
    for n, who in enumerate(account.actors):
        if who.service or (users and who.id not in users) or (periods and "monthly" not in periods):
            continue
        spent = account.spent_cents(who, month).quantize(Decimal("0.001"), rounding=ROUND_HALF_EVEN)
        actor = {
            "type": "user_actor",
            "user_id": who.id,
            "name": who.name,
            "email_address": who.email,
            "deleted": who.deleted,
        }
        scope = {"type": "user", "user_id": who.id}
        rows.append(
            {
                "actor": actor,
                "amount": None if n == 2 else str(20_000 * (n + 1)),
                "currency": "USD",
                "period": "monthly",
                "period_to_date_spend": text_of(spent) if spent else "0",
                "scope": scope,
                "source": scope if n == 0 else {"type": "organization"},
                "spend_limit_id": f"sl_u{n}",
            }
        )
    return _tokened(ask, rows, 20)


NAMES: dict[str, Callable[[Ask], Answer]] = {
    "/me": me,
    "/workspaces": workspaces,
    "/workspaces/{workspace_id}/rate_limits": workspace_rate_limits,
    "/api_keys": api_keys,
    "/rate_limits": rate_limits,
}
SPEND_LIMITS: dict[str, Callable[[Ask], Answer]] = {
    "/spend_limits": spend_limits,
    "/spend_limits/effective": effective_spend_limits,
}
