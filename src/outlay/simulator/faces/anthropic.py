"""Anthropic's organization API: the old cost and usage reports, the analytics, names and limits.

Key:   "sim-anthropic-admin" (x-api-key) and "sim-anthropic-oauth" (bearer) may read a Console organization;
       "sim-anthropic-enterprise" holds read:analytics and read:spend_limits, "sim-anthropic-analytics" the first only;
       "sim-anthropic-workspace" is a workspace's key and fails.
Units: cents with fractions, as decimal strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlay.simulator.faces import inference
from outlay.simulator.faces.anthropic_analytics import ANALYTICS_BETA, ANALYTICS_SCOPE, cost_analytics, usage_analytics
from outlay.simulator.faces.anthropic_names import ADMIN_SCOPE, NAMES, SPEND_BETA, SPEND_LIMITS, SPEND_SCOPE
from outlay.simulator.faces.anthropic_reports import claude_code, cost_report, messages_report
from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Quota, Refusal, bearer, to_json
from outlay.simulator.worlds.anthropic import AnthropicAccount

_ROOT = "/v1/organizations"
_VERSION = "2023-06-01"
_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 405: "invalid_request_error", 409: "conflict_error", 413: "request_too_large",
    429: "rate_limit_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
_BETAS = {ANALYTICS_SCOPE: ANALYTICS_BETA, SPEND_SCOPE: SPEND_BETA}
_PER_ENTERPRISE = Quota(60, 60.0)
_PER_CONSOLE = Quota(600, 60.0)


def credential(headers: Mapping[str, str]) -> str | None:
    """Return the key or, for OAuth, the bearer token."""
    return headers.get("x-api-key") or bearer(headers)


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a wrong key, a key without the scope, and missing headers."""
    if ask.credential is None:
        raise Refusal(401, "x-api-key header is required")
    if ask.key is None or ask.key.kind == "workspace":
        raise Refusal(401, "invalid x-api-key")
    if (ask.key.kind == "oauth") == ("x-api-key" in ask.headers):
        raise Refusal(401, "invalid x-api-key")
    version = ask.headers.get("anthropic-version")
    if version != _VERSION:
        raise Refusal(
            400,
            "anthropic-version: header is required"
            if version is None
            else f"anthropic-version: {version} is not valid",
        )
    needs = endpoint.needs if endpoint else ""
    if needs and not ask.key.may(needs):
        held = ", ".join(sorted(ask.key.scopes or ())) or "none"
        raise Refusal(403, f"This key lacks the required scope. Held: {held}. Needed: {needs}.")
    beta = _BETAS.get(needs)
    if beta and beta not in {part.strip() for part in ask.headers.get("anthropic-beta", "").split(",")}:
        if endpoint and endpoint.path.endswith("/effective"):
            return
        raise Refusal(400, f"anthropic-beta: this endpoint requires the value {beta}")


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body."""
    error: dict[str, Any] = {"type": _TYPES.get(no.status, "api_error"), "message": no.message}
    if "error_code" in no.extra:
        error |= {"details": {"error_code": no.extra["error_code"]}}
    return Answer(to_json({"type": "error", "error": error, "request_id": ask.request_id}), no.status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the headers that each answer carries."""
    answer.headers["request-id"] = ask.request_id
    if ask.key is not None and isinstance(ask.account, AnthropicAccount):
        answer.headers["anthropic-organization-id"] = ask.account.id


def quota(key: Key) -> Quota:
    """Return what the vendor publishes: 60 a minute for an Enterprise key, bursts for paging on the Console."""
    return _PER_ENTERPRISE if key.kind == "enterprise" else _PER_CONSOLE


FACE = Face(
    id="anthropic",
    title="Anthropic",
    account=AnthropicAccount,
    endpoints=(
        *inference.ANTHROPIC,
        Endpoint(f"{_ROOT}/cost_report", cost_report, ADMIN_SCOPE),
        Endpoint(f"{_ROOT}/usage_report/messages", messages_report, ADMIN_SCOPE),
        Endpoint(f"{_ROOT}/usage_report/claude_code", claude_code, ADMIN_SCOPE),
        Endpoint(f"{_ROOT}/analytics/cost", cost_analytics, ANALYTICS_SCOPE),
        Endpoint(f"{_ROOT}/analytics/usage", usage_analytics, ANALYTICS_SCOPE),
        *(Endpoint(f"{_ROOT}{path}", answer, ADMIN_SCOPE) for path, answer in NAMES.items()),
        *(Endpoint(f"{_ROOT}{path}", answer, SPEND_SCOPE) for path, answer in SPEND_LIMITS.items()),
    ),
    keys={
        "sim-anthropic-admin": Key("admin"),
        "sim-anthropic-oauth": Key("oauth"),
        "sim-anthropic-enterprise": Key("enterprise", frozenset({ANALYTICS_SCOPE, SPEND_SCOPE})),
        "sim-anthropic-analytics": Key("enterprise", frozenset({ANALYTICS_SCOPE})),
        "sim-anthropic-workspace": Key("workspace", frozenset()),
    },
    credential=credential,
    admit=admit,
    refuse=refuse,
    dress=dress,
    quota=quota,
    exhausted=lambda meter: Refusal(
        429, "This request would exceed your rate limit.", {"retry-after": str(meter.wait_seconds)}
    ),
    money_fields=frozenset({"amount", "list_amount", "period_to_date_spend"}),
    enum_fields=frozenset(
        {"cost_type", "token_type", "service_tier", "context_window", "inference_geo", "speed", "product", "status"}
    ),
    dimension_fields=frozenset(
        {"workspace_id", "api_key_id", "model", "description", "service_tier", "context_window"}
    ),
    cursor_parameters=frozenset({"page", "after_id", "before_id"}),
)
