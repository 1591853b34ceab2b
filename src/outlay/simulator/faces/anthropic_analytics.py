"""Anthropic's analytics: flat rows of cost and usage over a range, grouped by up to five dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from outlay.simulator.faces.anthropic_reports import (
    BRACKETS,
    CONTEXTS,
    GEOS,
    SPEEDS,
    TIERS,
    WIDTHS,
    limited,
    measured,
    moment,
    paged,
    position,
    stamp,
    text_of,
)
from outlay.simulator.faces.base import Answer, Ask, Refusal, seal, to_json
from outlay.simulator.worlds.anthropic import AnthropicAccount, Cost, Run
from outlay.simulator.worlds.truth import exact_sum

ANALYTICS_BETA, ANALYTICS_SCOPE = "analytics-usage-cost-2026-08-24", "read:analytics"
_OPENED = datetime(2026, 1, 1, tzinfo=UTC)
_GROUPS_MAX, _SPAN_MAX, _LOOKBACK = 5, timedelta(days=31), timedelta(days=365)
_DIMS = (
    "actor",
    "actor_type",
    "agent_id",
    "api_key_id",
    "claude_tag_category",
    "claude_tag_user_id",
    "context_window",
    "deployment_id",
    "environment_id",
    "inference_geo",
    "model",
    "organization_id",
    "product",
    "rbac_group_id",
    "service_tier",
    "session_id",
    "slack_channel_id",
    "speed",
    "user_profile_id",
    "workspace_id",
)
_FANS = ("cost_type", "token_type")
_ACTORS = ("api_actor", "federated_actor", "service_account_actor", "user_actor")
_TAGS = ("dm", "engaged", "monitoring", "proactive", "scheduled")
_PRODUCTS = (
    "chat",
    "chat_cowork_unified",
    "claude_code",
    "claude_console",
    "claude_design",
    "claude_in_chrome",
    "claude_tag",
    "cowork",
    "managed_agents_api",
    "message_batches_api",
    "messages_api",
    "office_agent",
)
_FILTERS: dict[str, tuple[str, Sequence[str] | None]] = {
    "actor_id": ("actor_ids", None),
    "actor_type": ("actor_types", _ACTORS),
    "agent_id": ("agent_ids", None),
    "api_key_id": ("api_key_ids", None),
    "claude_tag_category": ("claude_tag_categories", _TAGS),
    "claude_tag_user_id": ("claude_tag_user_ids", None),
    "context_window": ("context_windows", CONTEXTS),
    "deployment_id": ("deployment_ids", None),
    "environment_id": ("environment_ids", None),
    "inference_geo": ("inference_geos", GEOS),
    "model": ("models", None),
    "organization_id": ("organization_ids", None),
    "product": ("products", _PRODUCTS),
    "rbac_group_id": ("rbac_group_ids", None),
    "service_tier": ("service_tiers", TIERS),
    "session_id": ("session_ids", None),
    "slack_channel_id": ("slack_channel_ids", None),
    "speed": ("speeds", SPEEDS),
    "user_profile_id": ("user_profile_ids", None),
    "workspace_id": ("workspace_ids", None),
}
_COST_ORDERS = ("amount", "list_amount", "time")
_USAGE_ORDERS = ("total_tokens", "output_tokens", "requests", "time", "uncached_input_tokens")

Spread = dict[tuple[str | None, ...], list[tuple[Run, Cost]]]
Choice = tuple[tuple[str, ...], dict[str, tuple[str, ...]], bool]
Groups = dict[tuple[int, int, tuple[str | None, ...]], list[Run]]


def _range(ask: Ask) -> tuple[int, int, int | None]:
    """Return the bounds of the question and the width of its buckets, None for one row over all of it."""
    width = ask.query.choice("time_bucket_width", tuple(WIDTHS))
    starting, ending = moment(ask, "starting_at", needed=True), moment(ask, "ending_at")
    assert starting is not None
    if starting < _OPENED or starting < ask.now.replace(hour=0, minute=0, second=0, microsecond=0) - _LOOKBACK:
        raise Refusal(400, "starting_at: must be within the last 365 days and not before 2026-01-01T00:00:00Z")
    if width and ending is None:
        raise Refusal(400, "ending_at: Field required with time_bucket_width")
    ending = ending or min(ask.now, starting + _SPAN_MAX)
    if ending <= starting:
        raise Refusal(400, "Invalid date range: ending date must be after starting date")
    if ending - starting > _SPAN_MAX:
        raise Refusal(400, "Invalid date range: the range must not exceed 31 days")
    if width == "1m" and ending - starting > timedelta(days=1):
        raise Refusal(400, "Invalid date range: the range must not exceed 24 hours with time_bucket_width 1m")
    seconds = WIDTHS[width][0] if width else None
    start, end, step = int(starting.timestamp()), int(ending.timestamp()), seconds or 3600
    return start // step * step, (-(-end // step) if seconds else end // step) * step, seconds


def _chosen(ask: Ask, fans: Sequence[str]) -> Choice:
    groups = ask.query.many("group_by", (*_DIMS, *fans), BRACKETS)
    if len([name for name in groups if name not in _FANS]) > _GROUPS_MAX:
        raise Refusal(400, "group_by: at most 5 dimensions, not counting cost_type and token_type")
    wanted = {dim: ask.query.many(name, known, BRACKETS) for dim, (name, known) in _FILTERS.items()}
    return (
        groups,
        {dim: values for dim, values in wanted.items() if values},
        bool(ask.query.flag("exclude_deleted_users")),
    )


def _dims(run: Run) -> dict[str, Any]:
    actor: dict[str, Any] | None = None
    if run.actor and run.actor.service:
        actor = {"type": "service_account_actor", "service_account_id": run.actor.id}
    elif run.actor:
        who = run.actor
        actor = {
            "type": "user_actor",
            "user_id": who.id,
            "name": who.name,
            "email_address": who.email,
            "deleted": who.deleted,
        }
    return {**dict.fromkeys(_DIMS), **{k: v for k, v in run.dims.items() if k in _DIMS}, "actor": actor,
            "actor_id": run.actor.id if run.actor else None}  # fmt: skip


def _grouped(ask: Ask, choice: Choice, bounds: tuple[int, int, int | None]) -> Groups:
    (groups, wanted, no_deleted), (start, end, seconds) = choice, bounds
    account, found = cast(AnthropicAccount, ask.account), Groups()
    names = [("actor_id" if name == "actor" else name) for name in groups if name not in _FANS]
    day = start // 86_400 * 86_400
    while day < end:
        for run in account.runs.on(datetime.fromtimestamp(day, UTC).date()):
            at, dims = day + 60 * run.minute, _dims(run)
            if not start <= at < end or (no_deleted and run.actor and run.actor.deleted):
                continue
            if all(dims[dim] in some for dim, some in wanted.items()):
                edges = (at // seconds * seconds, at // seconds * seconds + seconds) if seconds else (start, end)
                found.setdefault((*edges, tuple(dims[name] for name in names)), []).append(run)
        day += 86_400
    return found


def _answer(ask: Ask, key: object, limit: int, make: Callable[[], Sequence[Sequence[bytes]]]) -> Answer:
    """Answer one page: `limit` counts groups, whatever number of rows each fans out to."""
    first, fingerprint = position(ask, 0)
    groups = ask.account.kept(("analytics", key), make)
    stop = first + limit
    refreshed = (ask.now - timedelta(hours=4)).replace(minute=0, second=0, microsecond=0)
    more = to_json(seal("page_", stop, fingerprint)) if stop < len(groups) else None
    rows = [row for group in groups[first:stop] for row in group]
    return paged(rows, more, b',"data_refreshed_at":%b' % to_json(stamp(int(refreshed.timestamp()))))


def cost_analytics(ask: Ask) -> Answer:
    """Answer flat cost rows."""
    choice, bounds = _chosen(ask, _FANS), _range(ask)
    groups = choice[0]
    by, order = ask.query.choice("order_by", _COST_ORDERS, "amount"), ask.query.choice("order", ("asc", "desc"), "desc")
    limit = limited(ask, 20, 1000)
    fans = [name for name in groups if name in _FANS]

    def rows() -> list[list[bytes]]:
        found = _grouped(ask, choice, bounds)
        parts = [(key, runs, [cost for run in runs for cost in run.costs]) for key, runs in found.items()]
        parts = [part for part in parts if part[2]]
        measure: dict[str, Callable[[Any], Any]] = {
            "amount": lambda part: exact_sum(cost.amount for cost in part[2]),
            "list_amount": lambda part: exact_sum(cost.listed for cost in part[2]),
            "time": lambda part: part[0][0],
        }
        parts.sort(key=measure[str(by)], reverse=order == "desc")
        return [list(_cost_rows(key, runs, groups, fans)) for key, runs, _ in parts]

    return _answer(ask, ("cost", ask.query.fingerprint({"page", "limit"}), bounds), limit, rows)


def _cost_rows(
    key: tuple[int, int, Any], runs: Sequence[Run], groups: Sequence[str], fans: Sequence[str]
) -> Iterable[bytes]:
    spread: Spread = {}
    for run in runs:
        for cost in run.costs:
            spread.setdefault(
                tuple(str(getattr(cost, fan)) if getattr(cost, fan) else None for fan in fans), []
            ).append((run, cost))
    for values, pairs in spread.items():
        group = {**_group(runs[0], groups), **dict.fromkeys(_FANS), **dict(zip(fans, values, strict=True))}
        stated = {
            "amount": text_of(exact_sum(cost.amount for _, cost in pairs)),
            "list_amount": text_of(exact_sum(cost.listed for _, cost in pairs)),
            "currency": "USD",
            "requests": None if fans else sum(run.requests for run in runs),
        }
        yield to_json({"starting_at": stamp(key[0]), "ending_at": stamp(key[1]), "group": group, "cost": stated})


def _group(run: Run, groups: Sequence[str]) -> dict[str, Any]:
    dims = _dims(run)
    return {name: dims[name] if name in groups else None for name in _DIMS}


def usage_analytics(ask: Ask) -> Answer:
    """Answer flat usage rows."""
    choice, bounds = _chosen(ask, ()), _range(ask)
    groups = choice[0]
    by = str(ask.query.choice("order_by", _USAGE_ORDERS, "total_tokens"))
    order = ask.query.choice("order", ("asc", "desc"), "desc")
    limit = limited(ask, 20, 1000)

    def rows() -> list[list[bytes]]:
        found = _grouped(ask, choice, bounds)
        parts = [(key, _usage(runs), runs) for key, runs in found.items() if any(run.requests for run in runs)]
        parts.sort(key=lambda part: part[0][0] if by == "time" else part[1][by], reverse=order == "desc")
        return [
            [
                to_json(
                    {
                        "starting_at": stamp(key[0]),
                        "ending_at": stamp(key[1]),
                        "group": _group(runs[0], groups),
                        "usage": usage,
                    }
                )
            ]
            for key, usage, runs in parts
        ]

    return _answer(ask, ("usage", ask.query.fingerprint({"page", "limit"}), bounds), limit, rows)


def _usage(runs: Sequence[Run]) -> dict[str, Any]:
    total = sum(count for run in runs for count in run.tokens.values())
    return {**measured(runs), "total_tokens": total, "requests": sum(run.requests for run in runs)}
