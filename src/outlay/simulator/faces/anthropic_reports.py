"""Anthropic's older reports: daily cost, bucketed usage, and Claude Code's day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, cast

from outlay.simulator.faces.base import Answer, Ask, Refusal, seal, to_json, unseal
from outlay.simulator.worlds.anthropic import AnthropicAccount, Run, described, legacy_id
from outlay.simulator.worlds.truth import exact_sum

BRACKETS = ("{}[]",)
WIDTHS = {"1d": (86_400, 7, 31), "1h": (3600, 24, 168), "1m": (60, 60, 1440)}
TIERS = ("batch", "flex", "flex_discount", "priority", "priority_on_demand", "standard")
CONTEXTS, GEOS, SPEEDS = ("0-200k", "200k-1M"), ("global", "not_available", "us"), ("fast", "standard")
_DESCRIBED = (
    "description",
    "cost_type",
    "model",
    "token_type",
    "service_tier",
    "context_window",
    "inference_geo",
    "speed",
)
_GROUPS = (
    "account_id",
    "api_key_id",
    "context_window",
    "inference_geo",
    "model",
    "service_account_id",
    "service_tier",
    "speed",
    "workspace_id",
)
_FILTERS: dict[str, tuple[str, Sequence[str] | None]] = {
    "account_id": ("account_ids", None),
    "api_key_id": ("api_key_ids", None),
    "workspace_id": ("workspace_ids", None),
    "service_account_id": ("service_account_ids", None),
    "model": ("models", None),
    "context_window": ("context_window", CONTEXTS),
    "inference_geo": ("inference_geos", GEOS),
    "service_tier": ("service_tiers", TIERS),
    "speed": ("speeds", SPEEDS),
}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)")
_RANGE = "Invalid date range: ending date must be after starting date"


def moment(ask: Ask, name: str, *, needed: bool = False) -> datetime | None:
    """Return a parameter that is an RFC 3339 instant."""
    text = ask.query.one(name)
    if text is None:
        if needed:
            raise Refusal(400, f"{name}: Field required")
        return None
    if not _MOMENT.fullmatch(text):
        raise Refusal(400, f"{name}: Input should be a valid RFC 3339 datetime")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise Refusal(400, f"{name}: Input should be a valid RFC 3339 datetime") from None


def stamp(second: int) -> str:
    """Return an instant as the vendor writes it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def text_of(amount: Decimal) -> str:
    """Return a decimal string without an exponent."""
    return format(amount, "f")


def limited(ask: Ask, default: int, maximum: int) -> int:
    """Return the page limit."""
    limit = ask.query.whole("limit", default)
    assert limit is not None
    if not 1 <= limit <= maximum:
        bound = "greater than or equal to 1" if limit < 1 else f"less than or equal to {maximum}"
        raise Refusal(400, f"limit: Input should be {bound}")
    return limit


def position(ask: Ask, start: int) -> tuple[int, bytes]:
    """Return where the page starts and what binds its successor's cursor; every parameter must be read by then."""
    fingerprint = ask.query.fingerprint({"page"})
    cursor = ask.query.one("page")
    ask.query.finish()
    if cursor is None:
        return start, fingerprint
    found = unseal("page_", cursor, fingerprint)
    if found is None:
        raise Refusal(400, "page: Invalid page token: it was issued for other parameters")
    return found, fingerprint


def paged(rows: Sequence[bytes], more: bytes | None, extra: bytes = b"") -> Answer:
    """Return a page of encoded rows."""
    flags = b"true" if more else b"false"
    return Answer(b'{"data":[%b],"has_more":%b,"next_page":%b%b}' % (b",".join(rows), flags, more or b"null", extra))


def _buckets(ask: Ask, start: int, end: int, seconds: int, limit: int, bucket: Callable[[int], bytes]) -> Answer:
    first, fingerprint = position(ask, start)
    stop = min(end, first + limit * seconds)
    more = to_json(seal("page_", stop, fingerprint)) if stop < end else None
    return paged([bucket(at) for at in range(first, stop, seconds)], more)


def _bucket(at: int, seconds: int, results: Iterable[Mapping[str, Any]]) -> bytes:
    return to_json({"starting_at": stamp(at), "ending_at": stamp(at + seconds), "results": list(results)})


def _day_of(second: int) -> date:
    return datetime.fromtimestamp(second, UTC).date()


def cost_report(ask: Ask) -> Answer:
    """Answer daily cost buckets.

    The vendor wants whole days: what lies between the first midnight and the last one must not be empty, and a day
    that is not over cannot be asked for alone.
    """
    query, account = ask.query, cast(AnthropicAccount, ask.account)
    query.choice("bucket_width", ("1d",), "1d")
    groups = query.many("group_by", ("workspace_id", "description"), BRACKETS)
    starting, ending, now = moment(ask, "starting_at", needed=True), moment(ask, "ending_at"), ask.now
    assert starting is not None
    start, end, day = int(starting.timestamp()), int((ending or now).timestamp()), 86_400
    if min(end, int(now.timestamp())) // day <= -(-start // day):
        raise Refusal(400, _RANGE)
    limit = limited(ask, 7, 31)
    last = min(-(-end // day), int(now.timestamp()) // day + 1) * day
    make = partial(_cost_bucket, account, groups)
    return _buckets(
        ask, start // day * day, last, day, limit, lambda at: account.kept(("cost", groups, at), partial(make, at))
    )


def _cost_bucket(account: AnthropicAccount, groups: Sequence[str], at: int) -> bytes:
    names = (("workspace_id",) if "workspace_id" in groups else ()) + (_DESCRIBED if "description" in groups else ())
    rows: dict[tuple[str | None, ...], list[Decimal]] = {}
    for run in account.runs.on(_day_of(at)):
        for cost in run.costs:
            dims = run.cost_dims(cost)
            dims |= {"workspace_id": legacy_id(run.workspace), "description": described(dims)}
            rows.setdefault(tuple(dims[name] for name in names), []).append(cost.amount)
    blank = dict.fromkeys(("workspace_id", *_DESCRIBED))
    return _bucket(
        at,
        86_400,
        (
            {"currency": "USD", "amount": text_of(exact_sum(amounts)), **blank, **dict(zip(names, key, strict=True))}
            for key, amounts in rows.items()
        ),
    )


def messages_report(ask: Ask) -> Answer:
    """Answer usage buckets."""
    query, account = ask.query, cast(AnthropicAccount, ask.account)
    width = str(query.choice("bucket_width", tuple(WIDTHS), "1d"))
    seconds, default, maximum = WIDTHS[width]
    groups = query.many("group_by", _GROUPS, BRACKETS)
    wanted = {dim: query.many(name, known, BRACKETS) for dim, (name, known) in _FILTERS.items()}
    starting, ending = moment(ask, "starting_at", needed=True), moment(ask, "ending_at")
    assert starting is not None
    now = int(ask.now.timestamp())
    start, end = int(starting.timestamp()), int(ending.timestamp()) if ending else now
    if end <= start:
        raise Refusal(400, _RANGE)
    limit = limited(ask, default, maximum)
    last = min(-(-end // seconds), now // seconds + 1) * seconds
    question = ("messages", width, groups, tuple(wanted.items()))
    make = partial(_usage_bucket, account, seconds, groups, wanted)
    first = start // seconds * seconds
    return _buckets(
        ask, first, max(last, first), seconds, limit, lambda at: account.kept((question, at), partial(make, at))
    )


def _usage_bucket(
    account: AnthropicAccount, seconds: int, groups: Sequence[str], wanted: Mapping[str, Sequence[str]], at: int
) -> bytes:
    minutes = range(at % 86_400 // 60, (at % 86_400 + seconds) // 60)
    rows: dict[tuple[str | None, ...], list[Run]] = {}
    for run in account.runs.on(_day_of(at)):
        dims = {**run.dims, "workspace_id": legacy_id(run.workspace)}
        if (
            run.requests
            and run.minute in minutes
            and all(not some or dims[dim] in some for dim, some in wanted.items())
        ):
            rows.setdefault(tuple(dims[name] for name in groups), []).append(run)
    blank = dict.fromkeys(_GROUPS)
    return _bucket(
        at, seconds, ({**measured(runs), **blank, **dict(zip(groups, key, strict=True))} for key, runs in rows.items())
    )


def measured(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the token classes and searches of some runs, in the vendor's nesting."""
    total = {name: sum(run.tokens.get(name, 0) for run in runs) for name in _TOKENS}
    return {
        "uncached_input_tokens": total["uncached_input_tokens"],
        "cache_creation": {
            "ephemeral_1h_input_tokens": total["cache_creation.ephemeral_1h_input_tokens"],
            "ephemeral_5m_input_tokens": total["cache_creation.ephemeral_5m_input_tokens"],
        },
        "cache_read_input_tokens": total["cache_read_input_tokens"],
        "output_tokens": total["output_tokens"],
        "server_tool_use": {"web_search_requests": sum(run.searches for run in runs)},
    }


_TOKENS = (
    "uncached_input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens", "cache_creation.ephemeral_1h_input_tokens",
)  # fmt: skip


def claude_code(ask: Ask) -> Answer:
    """Answer the Claude Code records of one UTC day."""
    account, text = cast(AnthropicAccount, ask.account), ask.query.one("starting_at")
    if text is None or not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise Refusal(400, "starting_at: Input should be a valid date in the format YYYY-MM-DD")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Refusal(400, "starting_at: Input should be a valid date in the format YYYY-MM-DD") from None
    limit = limited(ask, 20, 1000)
    first, fingerprint = position(ask, 0)
    rows = account.kept(("claude_code", day), lambda: [to_json(row) for row in _claude_code_rows(account, day)])
    stop = first + limit
    return paged(rows[first:stop], to_json(seal("page_", stop, fingerprint)) if stop < len(rows) else None)


def _claude_code_rows(account: AnthropicAccount, day: date) -> Iterable[dict[str, Any]]:
    callers: dict[str, list[Run]] = {}
    for run in account.runs.on(day):
        if run.dims["product"] == "claude_code" and run.actor and run.key:
            callers.setdefault(run.actor.email or run.key.name, []).append(run)
    for caller, runs in callers.items():
        person = "@" in caller
        actor = (
            {"type": "user_actor", "email_address": caller} if person else {"type": "api_actor", "api_key_name": caller}
        )
        models = dict.fromkeys(str(run.dims["model"]) for run in runs)
        yield {
            "date": stamp(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())),
            "actor": actor,
            "organization_id": account.id,
            "customer_type": "api",
            "subscription_type": None,
            "terminal_type": "xterm",
            "is_remote": False,
            "core_metrics": {
                "num_sessions": len(runs),
                "commits_by_claude_code": 1,
                "pull_requests_by_claude_code": 0,
                "lines_of_code": {"added": 10 * len(runs), "removed": len(runs)},
            },
            "tool_actions": {"edit_tool": {"accepted": len(runs), "rejected": 0}},
            "model_breakdown": [
                _model_row(model, [run for run in runs if run.dims["model"] == model]) for model in models
            ],
        }


def _model_row(model: str, runs: Sequence[Run]) -> dict[str, Any]:
    usage = measured(runs)
    listed = exact_sum(cost.listed for run in runs for cost in run.costs if cost.cost_type == "tokens")
    return {
        "model": model,
        "tokens": {
            "input": usage["uncached_input_tokens"],
            "output": usage["output_tokens"],
            "cache_read": usage["cache_read_input_tokens"],
            "cache_creation": sum(usage["cache_creation"].values()),
        },
        "estimated_cost": {"amount": round(listed, 2), "currency": "USD"},
    }
