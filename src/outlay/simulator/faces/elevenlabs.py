"""ElevenLabs' workspace API: subscription, analytics in money and in credits, the deprecated statistics, caps.

Key:   "sim-elevenlabs-full" may read everything, "sim-elevenlabs-analytics" lacks user_read, "sim-elevenlabs-user" has
       nothing else, "sim-elevenlabs-spent" is a key whose own cap is used up. A missing permission answers 401, as a
       wrong key does. The label "credits" opens a workspace billed in credits, "moved" one that left credits.
Day:   UTC, asked for in milliseconds; anything shorter than 13 digits is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import msgspec

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Refusal, to_json
from outlay.simulator.faces.elevenlabs_workspace import groups, members, service_accounts, subscription, user
from outlay.simulator.worlds.elevenlabs import ElevenLabsAccount, Use
from outlay.simulator.worlds.truth import exact_sum

USER, ANALYTICS, WORKSPACE, MEMBERS, ACCOUNTS = (
    "user_read", "workspace_analytics_full_read", "workspace_read", "workspace_members_read", "service_account_write",
)  # fmt: skip
_DAY_MS = 86_400_000
_FIRST_MS = 1_577_836_800_000
_FREE = ("model", "request_source", "fiat_charge_type", "fiat_currency")
_TWO_AT_MOST = (
    "user_id", "hashed_xi_api_key", "region", "reporting_workspace_id", "billing_group_id", "product_type", "surface",
    "actor",
)  # fmt: skip
_CREDIT_GROUPS = (
    "product_type", "model", "voice_id", "user_id", "fiat_currency", "fiat_charge_type", "region",
    "reporting_workspace_id", "request_source", "resource_id", "subresource_id", "request_queue_type",
    "voice_multiplier", "hashed_xi_api_key", "billing_group_id", "surface", "actor",
)  # fmt: skip
_BREAKDOWNS = ("none", "product_type", "model", "api_keys", "voice", "user")


def _question(ask: Ask, groups: Sequence[str], known: Sequence[str]) -> tuple[date, date, tuple[str, ...]]:
    """Return first day, end day and grouping of a question, read as strictly as the contract writes it."""
    ask.query.finish()
    try:
        body = msgspec.json.decode(ask.body)
    except msgspec.DecodeError:
        raise _invalid("body", "JSON decode error") from None
    if not isinstance(body, dict) or set(body) - set(known):
        raise _invalid("body", "Extra inputs are not permitted")
    for name in ("start_time", "end_time"):
        if type(body.get(name)) is not int or body[name] < _FIRST_MS:
            raise _invalid(name, f"Input should be an integer greater than or equal to {_FIRST_MS}")
    if body["end_time"] <= body["start_time"]:
        raise _invalid("end_time", "Input should be greater than start_time")
    if body.get("interval_seconds") != 86_400:
        raise _invalid("interval_seconds", "Input should be a multiple of 86400")
    wanted = tuple(body.get("group_by") or ())
    for name in wanted:
        if name not in groups:
            raise _invalid("group_by", f"Input should be one of {', '.join(groups)}")
    return _day(body["start_time"]), _day(body["end_time"]), wanted


def _invalid(name: str, message: str) -> Refusal:
    return Refusal(422, message, loc=["body", name], type="value_error")


def _day(milliseconds: int) -> date:
    if milliseconds % _DAY_MS:
        raise _invalid("start_time", "This simulator answers for whole UTC days")
    return datetime.fromtimestamp(milliseconds // 1000, UTC).date()


def cost_usage(ask: Ask) -> Answer:
    """Answer daily cost; the exclusive end's bucket comes too, and empty buckets hold zeros and nulls."""
    account = cast(ElevenLabsAccount, ask.account)
    first, end, wanted = _question(
        ask, (*_FREE, *_TWO_AT_MOST), ("start_time", "end_time", "interval_seconds", "group_by", "filters")
    )
    if sum(name in _TWO_AT_MOST for name in wanted) > 1:
        raise _invalid("group_by", "Grouping by two of these columns needs a filter on one of them")
    if account.billed_by_cost_since > account.plot.today:
        raise Refusal(400, "This workspace is not on usage-based pricing.", word="invalid_workspace_billing")
    columns = ["total_cost", *wanted, "total_charge_count", "timestamp"]
    units = [account.currency, *(None for _ in wanted), None, None]
    rows: list[list[Any]] = []
    for day in _days(first, end):
        uses = account.uses.on(day) if day >= account.billed_by_cost_since else ()
        stamp = f"{day} 00:00:00"
        for key, part in _grouped(uses, wanted, account):
            cost, count = exact_sum(u.cost for u in part), exact_sum(u.count for u in part)
            # Some numbers come as text.
            rows.append([str(cost) if len(part) > 1 else cost, *key, count, stamp])
        if not uses:
            rows.append([None, *(None for _ in wanted), 0, stamp])
    return _table(columns, units, rows)


def credit_usage(ask: Ask) -> Answer:
    """Answer daily credits with what the vendor rates them at; refused once the days reach the move to cost."""
    account = cast(ElevenLabsAccount, ask.account)
    first, end, wanted = _question(
        ask, _CREDIT_GROUPS, ("start_time", "end_time", "interval_seconds", "group_by", "filters", "time_zone")
    )
    if end > account.billed_by_cost_since:
        raise Refusal(
            400, "The range reaches days on usage-based pricing; use the usage endpoint.", word="invalid_range"
        )
    columns = [*wanted, "timestamp", "total_usage", "total_minutes", "total_cost", "usage_count", "total_charge_count"]
    units = [*(None for _ in wanted), None, "credits", "min", "usd", None, None]
    rows: list[list[Any]] = []
    for day in _days(first, end):
        stamp = f"{day}T00:00:00Z"
        uses = account.uses.on(day)
        for key, part in _grouped(uses, wanted, account):
            used = sum(use.credits for use in part)
            rated = Decimal(used) * Decimal("0.00036")
            minutes, requests = exact_sum(use.minutes for use in part), sum(use.requests for use in part)
            rows.append([*key, stamp, used, minutes, rated, requests, exact_sum(use.count for use in part)])
        if not uses:
            rows.append([*(None for _ in wanted), stamp, 0, 0, None, 0, 0])
    return _table(columns, units, rows)


def _days(first: date, end: date) -> Iterator[date]:
    day = first
    while day <= end:
        yield day
        day += timedelta(days=1)


def _grouped(
    uses: Sequence[Use], wanted: Sequence[str], account: ElevenLabsAccount
) -> Iterator[tuple[tuple[str | None, ...], list[Use]]]:
    parts: dict[tuple[str | None, ...], list[Use]] = {}
    for use in uses:
        dims = {
            "product_type": use.product, "model": use.model, "hashed_xi_api_key": use.key,
            "fiat_charge_type": use.kind, "fiat_currency": account.currency, "reporting_workspace_id": account.id,
        }  # fmt: skip
        parts.setdefault(tuple(dims.get(name) for name in wanted), []).append(use)
    yield from parts.items()


def _table(columns: list[str], units: list[str | None], rows: list[list[Any]]) -> Answer:
    kinds = {"timestamp": "DateTime", "total_usage": "Int", "usage_count": "Int"}
    types = [kinds.get(name, "Float" if name.startswith("total") else "String") for name in columns]
    return Answer(to_json({"columns": columns, "column_types": types, "column_units": units, "rows": rows}))


def character_stats(ask: Ask) -> Answer:
    """Answer daily credits in one breakdown."""
    account, query = cast(ElevenLabsAccount, ask.account), ask.query
    query.needed("start_unix")
    query.needed("end_unix")
    start, end = query.whole("start_unix") or 0, query.whole("end_unix") or 0
    whole = query.flag("include_workspace_metrics")
    breakdown = query.choice("breakdown_type", _BREAKDOWNS, "none")
    query.choice("aggregation_interval", ("day",), "day")
    query.choice("metric", ("credits",), "credits")
    query.finish()
    if start < _FIRST_MS or end <= start:
        raise Refusal(422, "Input should be in unix milliseconds", loc=["query", "start_unix"], type="value_error")
    days = [day for day in _days(_day(start), _day(end)) if day < _day(end)]
    names = {"product_type": "product", "model": "model", "api_keys": "key"}
    usage: dict[str, list[float]] = {}
    for position, day in enumerate(days):
        for use in account.uses.on(day) if whole else ():
            name = str(getattr(use, names[breakdown]) if breakdown in names else "All")
            usage.setdefault(name, [0] * len(days))[position] += use.credits
    time = [start + n * _DAY_MS for n in range(len(days))]
    return Answer(to_json({"time": time, "usage": usage or {"All": [0] * len(days)}}))


def credential(headers: Mapping[str, str]) -> str | None:
    """Return the key; a bearer token is not looked at."""
    return headers.get("xi-api-key") or None


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a wrong key, a key without the permission, and one whose cap is used up, all with 401."""
    if ask.credential is None:
        raise Refusal(401, "Neither authorization header nor xi-api-key received.", word="needs_authorization")
    if ask.key is None:
        raise Refusal(401, "Invalid API key", word="invalid_api_key")
    if ask.key.kind == "spent":
        raise Refusal(401, "This request exceeds your quota of 100 credits.", word="quota_exceeded")
    needs = endpoint.needs if endpoint else ""
    if needs and not ask.key.may(needs):
        message = f"The API key you used is missing the permission {needs} to execute this operation."
        raise Refusal(401, message, word="missing_permissions")


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body: an object, a list where a parameter is wrong."""
    status: int = no.status
    detail: list[dict[str, Any]]
    if "param" in no.extra:
        status, detail = 422, [{"loc": ["query", no.extra["param"]], "msg": no.message, "type": "value_error"}]
    elif "loc" in no.extra:
        detail = [{"loc": no.extra["loc"], "msg": no.message, "type": no.extra["type"]}]
    else:
        words = {404: "not_found", 405: "method_not_allowed", 429: "too_many_concurrent_requests"}
        said = no.extra.get("word") or words.get(no.status, "system_busy")
        return Answer(to_json({"detail": {"status": said, "message": no.message}}), status, no.headers)
    return Answer(to_json({"detail": detail}), status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the headers that each answer carries."""
    answer.headers |= {"request-id": ask.request_id, "x-trace-id": f"trace-{ask.request_id}"}


FACE = Face(
    id="elevenlabs",
    title="ElevenLabs",
    account=ElevenLabsAccount,
    endpoints=(
        Endpoint("/v1/user", user, USER),
        Endpoint("/v1/user/subscription", subscription, USER),
        Endpoint("/v1/workspace/analytics/usage", cost_usage, ANALYTICS, method="POST"),
        Endpoint("/v1/workspace/analytics/query/usage-by-product-over-time", credit_usage, ANALYTICS, method="POST"),
        Endpoint("/v1/usage/character-stats", character_stats),
        Endpoint("/v1/workspace/groups", groups, WORKSPACE),
        Endpoint("/v1/workspace/members", members, MEMBERS),
        Endpoint("/v1/service-accounts", service_accounts, ACCOUNTS),
    ),
    keys={
        "sim-elevenlabs-full": Key("full"),
        "sim-elevenlabs-reader": Key("reader", frozenset({USER, ANALYTICS, WORKSPACE, MEMBERS})),
        "sim-elevenlabs-analytics": Key("analytics", frozenset({ANALYTICS})),
        "sim-elevenlabs-user": Key("user", frozenset({USER})),
        "sim-elevenlabs-spent": Key("spent", frozenset({USER})),
    },
    credential=credential,
    admit=admit,
    refuse=refuse,
    dress=dress,
    exhausted=lambda _: Refusal(429, "Too many concurrent requests.", word="too_many_concurrent_requests"),
    money_fields=frozenset({"amount_due_cents", "amount"}),
    enum_fields=frozenset({"tier", "status"}),
    dimension_fields=frozenset({"id", "name"}),
    cursor_parameters=frozenset(),
)
