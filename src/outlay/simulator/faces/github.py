"""GitHub's billing API: usage, AI credits, budgets, cost centres, exports, seats and the quota of the API itself.

Key:   "sim-github-classic" reads everything; "sim-github-user" the personal account only; "sim-github-noscope" sees
       nothing (404); "sim-github-finegrained" is refused as reports of the field say (403, and 404 for enterprises).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Quota, Refusal, bearer, to_json
from outlay.simulator.faces.github_budgets import (
    budget,
    budgets,
    change_budget,
    cost_centre,
    cost_centres,
    create_budget,
    delete_budget,
    user_states,
)
from outlay.simulator.faces.github_reports import create_report, download, report, reports
from outlay.simulator.faces.github_usage import by_model, seats, summary, usage
from outlay.simulator.worlds.github import ENTERPRISE, ORGANIZATION, USER, GitHubAccount

_VERSIONS = ("2022-11-28", "2026-03-10")
_DOCS = "https://docs.github.com/rest"
_CORE = Quota(5000, 3600.0, windowed=True)
_ANONYMOUS_PER_HOUR = 60
_PERMISSIONS = {
    "user": "plan=read",
    "admin:org": "organization_administration=read",
    "manage_billing:copilot": "organization_copilot_seat_management=read",
    "read:enterprise": "enterprise_billing=read",
    "manage_billing:enterprise": "enterprise_billing=write",
}


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a wrong token, a wrong version, and hide what a token must not know of."""
    version = ask.headers.get("x-github-api-version", _VERSIONS[0])
    if version not in _VERSIONS:
        raise Refusal(400, f"API version '{version}' is not supported.")
    if ask.credential is None:
        raise Refusal(401, "Requires authentication")
    if ask.key is None:
        raise Refusal(401, "Bad credentials")
    needs = endpoint.needs if endpoint else ""
    if not needs or ask.key.may(needs):
        return
    headers = {"x-accepted-github-permissions": _PERMISSIONS[needs]}
    if ask.key.kind == "finegrained" and not needs.endswith("enterprise"):
        raise Refusal(403, "Resource not accessible by personal access token", headers)
    raise Refusal(404, "Not Found", headers)


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body; its status is a string."""
    body = {"message": no.message, "documentation_url": _DOCS}
    if no.status == 503:
        return Answer(to_json(body | {"code": "service_unavailable"}), 503, no.headers)
    if no.status == 422:
        return Answer(to_json(body | {"errors": no.extra.get("errors", [])}), 422, no.headers)
    return Answer(to_json(body | {"status": str(no.status)}), no.status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the quota's headers, and turn an unchanged answer into 304."""
    known = ask.key is not None
    limit = meter.quota.burst if meter else _CORE.burst if known else _ANONYMOUS_PER_HOUR
    remaining = meter.remaining if meter else limit - 1
    reset = int(ask.now.timestamp()) + (meter.wait_seconds if meter else 3600)
    answer.headers |= {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-used": str(limit - remaining),
        "x-ratelimit-reset": str(reset),
        "x-ratelimit-resource": "core",
        "x-github-request-id": ask.request_id,
        "x-github-api-version-selected": ask.headers.get("x-github-api-version", _VERSIONS[0]),
    }
    if answer.status == 200 and ask.method == "GET" and ask.credential is not None:
        tag = f'W/"{hashlib.blake2b(answer.body + ask.credential.encode(), digest_size=16).hexdigest()}"'
        answer.headers["etag"] = tag
        if ask.headers.get("if-none-match") == tag:
            answer.status, answer.body = 304, b""


def rate_limit(ask: Ask) -> Answer:
    """Answer the quota's state; the call is free."""
    ask.query.finish()
    if ask.credential is not None and ask.key is None:
        raise Refusal(401, "Bad credentials")
    limit = ask.meter.quota.burst if ask.meter else _CORE.burst if ask.key else _ANONYMOUS_PER_HOUR
    remaining = ask.meter.remaining if ask.meter else limit
    reset = int(ask.now.timestamp()) + (ask.meter.wait_seconds if ask.meter else 3600)
    core = {"limit": limit, "remaining": remaining, "reset": reset, "used": limit - remaining}
    search = {"limit": 30, "remaining": 30, "reset": int(ask.now.timestamp()) + 60, "used": 0}
    body = {"resources": {"core": core, "search": search}}
    if ask.headers.get("x-github-api-version", _VERSIONS[0]) == _VERSIONS[0]:
        body["rate"] = core  # type: ignore[assignment]
    return Answer(to_json(body))


def gone(ask: Ask) -> Answer:
    """Answer for the retired endpoints."""
    raise Refusal(410, "This endpoint has been moved.")


_SCOPES: Mapping[str, tuple[str, str]] = {
    "organization": ("/organizations/{org}/settings/billing", "admin:org"),
    "user": ("/users/{username}/settings/billing", "user"),
    "enterprise": ("/enterprises/{enterprise}/settings/billing", "read:enterprise"),
}
_USAGE: Mapping[str, Callable[[str, Ask], Answer]] = {
    "/usage": usage,
    "/usage/summary": summary,
    "/ai_credit/usage": partial(by_model, "copilot_ai_credits"),
    "/premium_request/usage": partial(by_model, "copilot_premium_request"),
}
_OLD = [
    f"/{who}/{{name}}/settings/billing/{what}"
    for who in ("orgs", "users", "enterprises")
    for what in ("actions", "packages", "shared-storage")
]


def _endpoints() -> list[Endpoint]:
    found = [
        Endpoint(f"{root}{path}", partial(answer, scope), needs)
        for scope, (root, needs) in _SCOPES.items()
        for path, answer in _USAGE.items()
    ]
    for scope in ("organization", "enterprise"):
        root, needs = _SCOPES[scope]
        found += [
            Endpoint(f"{root}/budgets", partial(budgets, scope), needs),
            Endpoint(f"{root}/budgets", partial(create_budget, scope), needs, "POST"),
            Endpoint(f"{root}/budgets/{{budget_id}}", partial(budget, scope), needs),
            Endpoint(f"{root}/budgets/{{budget_id}}", partial(change_budget, scope), needs, "PATCH"),
            Endpoint(f"{root}/budgets/{{budget_id}}", partial(delete_budget, scope), needs, "DELETE"),
        ]
    root, needs = _SCOPES["enterprise"]
    return [
        *found,
        Endpoint(f"{root}/budgets/{{budget_id}}/user-states", user_states, needs),
        Endpoint(f"{root}/cost-centers", cost_centres, needs),
        Endpoint(f"{root}/cost-centers/{{cost_center_id}}", cost_centre, needs),
        Endpoint(f"{root}/reports", reports, needs),
        Endpoint(f"{root}/reports", create_report, "manage_billing:enterprise", "POST"),
        Endpoint(f"{root}/reports/{{report_id}}", report, needs),
        Endpoint("/_files/{report_id}", download, open=True, free=True),
        Endpoint("/orgs/{org}/copilot/billing", seats, "manage_billing:copilot"),
        Endpoint("/rate_limit", rate_limit, open=True, free=True),
        *(Endpoint(path, gone) for path in _OLD),
    ]


FACE = Face(
    id="github",
    title="GitHub",
    account=GitHubAccount,
    endpoints=_endpoints(),
    keys={
        "sim-github-classic": Key("classic"),
        "sim-github-user": Key("classic", frozenset({"user"})),
        "sim-github-noscope": Key("classic", frozenset()),
        "sim-github-finegrained": Key("finegrained", frozenset()),
    },
    options={"organization": ORGANIZATION, "user": USER, "enterprise": ENTERPRISE},
    credential=bearer,
    admit=admit,
    refuse=refuse,
    dress=dress,
    quota=lambda _: _CORE,
    exhausted=lambda _: Refusal(403, "API rate limit exceeded for this token."),
    money_fields=frozenset({"netAmount", "grossAmount", "discountAmount"}),
    enum_fields=frozenset({"sku", "unitType", "product", "model", "budget_scope", "budget_type", "state"}),
    dimension_fields=frozenset({"repositoryName", "organizationName"}),
)
