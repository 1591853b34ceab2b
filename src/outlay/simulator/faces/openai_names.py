"""OpenAI's lists of projects, people and keys, and its limits and alerts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from outlay.simulator.faces.base import Answer, Ask, Refusal, to_json
from outlay.simulator.worlds.openai import OpenAIAccount
from outlay.simulator.worlds.openai_parts import CHAT_MODELS, ApiKey, Person, Project

Listed = Mapping[str, Any]


def _account(ask: Ask) -> OpenAIAccount:
    return cast(OpenAIAccount, ask.account)


def _listing(
    ask: Ask,
    rows: Iterable[Listed],
    *,
    limits: tuple[int, int, int] = (1, 20, 100),
    ordered: bool = False,
    before: bool = False,
) -> Answer:
    """Answer one page of a list that continues after the last id of the page before."""
    query, rows = ask.query, list(rows)
    lowest, default, highest = limits
    limit = query.whole("limit", default)
    assert limit is not None
    if not lowest <= limit <= highest:
        bound = f"greater than or equal to {lowest}" if limit < lowest else f"less than or equal to {highest}"
        raise Refusal(400, f"Invalid limit provided: {limit}. Limit must be {bound}.", param="limit")
    if ordered and query.choice("order", ("asc", "desc"), "asc") == "desc":
        rows.reverse()
    after = query.one("after")
    until = query.one("before") if before else None
    query.finish()
    ids = [row["id"] for row in rows]
    for name, cursor in (("after", after), ("before", until)):
        if cursor is not None and cursor not in ids:
            raise Refusal(400, f"Invalid '{name}': no such object.", param=name)
    start = ids.index(after) + 1 if after is not None else 0
    stop = ids.index(until) if until is not None else len(rows)
    page = rows[start:stop][:limit] if limit else []
    edges = {"first_id": page[0]["id"], "last_id": page[-1]["id"]} if page else {"first_id": None, "last_id": None}
    return Answer(to_json({"object": "list", "data": page, **edges, "has_more": bool(limit) and start + limit < stop}))


def _project_row(project: Project) -> Listed:
    status = "archived" if project.archived_at else "active"
    return {
        "id": project.id, "object": "organization.project", "name": project.name, "created_at": project.created_at,
        "archived_at": project.archived_at, "status": status, "external_key_id": None, "residency": "GLOBAL",
    }  # fmt: skip


def _the_project(ask: Ask) -> Project:
    for project in _account(ask).projects:
        if project.id == ask.places["project_id"] and project.listed:
            return project
    # The vendor's contract gives this one error another shape.
    raise Refusal(404, f"No project found with id '{ask.places['project_id']}'.", bare=True)


def projects(ask: Ask) -> Answer:
    """Answer the projects, archived ones only when asked for."""
    archived = ask.query.flag("include_archived")
    return _listing(
        ask, [_project_row(p) for p in _account(ask).projects if p.listed and (archived or p.archived_at is None)]
    )


def project(ask: Ask) -> Answer:
    """Answer one project."""
    ask.query.finish()
    return Answer(to_json(_project_row(_the_project(ask))))


def _key_row(key: ApiKey) -> Listed:
    role = {"created_at": key.created_at, "role": "member"}
    owner: Listed
    if key.owner is None:
        owner = {"type": "service_account", "service_account": {"id": f"svc-{key.project.id}", "name": "robot", **role}}
    else:
        person = {"id": key.owner.id, "email": str(key.owner.email), "name": key.owner.name or "", **role}
        owner = {"type": "user", "user": person}
    return {
        "object": "organization.project.api_key", "redacted_value": f"***{key.id[-4:]}", "name": key.name,
        "created_at": key.created_at, "last_used_at": None, "id": key.id,
        "owner_project_access": "active" if key.active else "inactive", "owner": owner,
    }  # fmt: skip


def api_keys(ask: Ask) -> Answer:
    """Answer a project's keys; those whose owner left the project only when asked for."""
    access = ask.query.choice("owner_project_access", ("active", "inactive", "any"), "active")
    wanted = {"active": (True,), "inactive": (False,), "any": (True, False)}[str(access)]
    home = _the_project(ask)
    return _listing(
        ask, [_key_row(k) for k in _account(ask).keys if k.project == home and k.listed and k.active in wanted]
    )


def api_key(ask: Ask) -> Answer:
    """Answer one key of a project."""
    ask.query.finish()
    home = _the_project(ask)
    for key in _account(ask).keys:
        if key.project == home and key.listed and key.id == ask.places["api_key_id"]:
            return Answer(to_json(_key_row(key)))
    raise Refusal(404, "No such API key.")


def service_accounts(ask: Ask) -> Answer:
    """Answer a project's service accounts."""
    home = _the_project(ask)
    row = {
        "object": "organization.project.service_account", "id": f"svc-{home.id}", "name": "robot", "role": "member",
        "created_at": home.created_at,
    }  # fmt: skip
    return _listing(ask, [row] if any(k.project == home and k.owner is None for k in _account(ask).keys) else [])


def _person_row(person: Person) -> Listed:
    return {
        "object": "organization.user", "id": person.id, "name": person.name, "email": person.email, "role": person.role,
        "added_at": person.added_at,
    }  # fmt: skip


def users(ask: Ask) -> Answer:
    """Answer the people of the organization."""
    emails = ask.query.many("emails")
    return _listing(
        ask, [_person_row(p) for p in _account(ask).people if p.listed and (not emails or p.email in emails)]
    )


def admin_api_keys(ask: Ask) -> Answer:
    """Answer the admin keys."""
    owner = {
        "type": "user",
        "object": "organization.user",
        "id": _account(ask).people[0].id,
        "name": "Ada",
        "role": "owner",
    }
    rows = [
        {
            "object": "organization.admin_api_key",
            "id": f"admin_key_{n}",
            "name": name,
            "redacted_value": f"***{n}",
            "owner": owner,
            "created_at": _account(ask).born,
            "expires_at": None,
            "last_used_at": None,
        }
        for n, name in enumerate(("reports", None))
    ]
    return _listing(ask, rows, ordered=True)


def rate_limits(ask: Ask) -> Answer:
    """Answer a project's rate limits, one row a model."""
    home, account = _the_project(ask), _account(ask)
    rows = [
        {"object": "project.rate_limit", "id": f"rl-{model}", "model": model, **account.rate_limits(home, model)}
        for model in CHAT_MODELS
    ]
    return _listing(ask, rows, limits=(1, 100, 1000), before=True)


def _spend_limit(kind: str, cents: int | None) -> Answer:
    if cents is None:
        raise Refusal(404, "No spend limit is configured.")
    limit = {
        "object": f"{kind}.spend_limit", "threshold_amount": cents, "currency": "USD", "interval": "month",
        "enforcement": {"status": "inactive"},
    }  # fmt: skip
    return Answer(to_json(limit))


def spend_limit(ask: Ask) -> Answer:
    """Answer the organization's hard limit, 404 without one."""
    ask.query.finish()
    return _spend_limit("organization", _account(ask).spend_limit_cents)


def project_spend_limit(ask: Ask) -> Answer:
    """Answer a project's hard limit, 404 without one."""
    ask.query.finish()
    return _spend_limit("project", _account(ask).project_limits_cents.get(_the_project(ask).id))


def _alerts(ask: Ask, kind: str, alerts: Sequence[tuple[str, int]]) -> Answer:
    channel = {"type": "email", "recipients": ["billing@example.com"], "subject_prefix": None}
    rows = [
        {
            "id": alert,
            "object": f"{kind}.spend_alert",
            "threshold_amount": cents,
            "currency": "USD",
            "interval": "month",
            "notification_channel": channel,
        }
        for alert, cents in alerts
    ]
    return _listing(ask, rows, limits=(0, 20, 100), ordered=True, before=True)


def spend_alerts(ask: Ask) -> Answer:
    """Answer the organization's alerts."""
    return _alerts(ask, "organization", _account(ask).alerts_cents)


def project_spend_alerts(ask: Ask) -> Answer:
    """Answer a project's alerts."""
    return _alerts(ask, "project", _account(ask).project_alerts_cents.get(_the_project(ask).id, []))


_PROJECT = "/v1/organization/projects/{project_id}"
NAMES: dict[str, Callable[[Ask], Answer]] = {
    "/v1/organization/projects": projects,
    _PROJECT: project,
    f"{_PROJECT}/api_keys": api_keys,
    f"{_PROJECT}/api_keys/{{api_key_id}}": api_key,
    f"{_PROJECT}/service_accounts": service_accounts,
    f"{_PROJECT}/rate_limits": rate_limits,
    f"{_PROJECT}/spend_limit": project_spend_limit,
    f"{_PROJECT}/spend_alerts": project_spend_alerts,
    "/v1/organization/users": users,
    "/v1/organization/admin_api_keys": admin_api_keys,
    "/v1/organization/spend_limit": spend_limit,
    "/v1/organization/spend_alerts": spend_alerts,
}
