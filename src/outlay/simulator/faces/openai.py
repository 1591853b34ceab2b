"""OpenAI's organization API: costs, usage, names and limits.

Key:   "sim-openai-admin" may read everything, "sim-openai-usage" only usage and costs, "sim-openai-restricted" neither
       of them, "sim-openai-project" is a project's key.
Day:   buckets have UTC day edges; every bucket of the window is answered, empty or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, cast

from outlay.simulator.faces import inference
from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Refusal, bearer, seal, to_json, unseal
from outlay.simulator.faces.openai_names import NAMES
from outlay.simulator.worlds.openai import OpenAIAccount
from outlay.simulator.worlds.openai_parts import Line, Use, epoch
from outlay.simulator.worlds.truth import exact_sum

USAGE_SCOPE, MANAGEMENT_SCOPE = "api.usage.read", "api.management.read"
API_KEY_COSTS_SINCE = 1764979200
_DAY = 86_400
_WIDTHS = {"1m": (60, 60, 1440), "1h": (3600, 24, 168), "1d": (_DAY, 7, 31)}
_COST_GROUPS = ("project_id", "line_item", "api_key_id", "user_id", "api_source")
_COMMON = ("project_id", "user_id", "api_key_id", "model")
_FILTERS = {"project_id": "project_ids", "user_id": "user_ids", "api_key_id": "api_key_ids", "model": "models"}
_SOURCES = ("image.generation", "image.edit", "image.variation")
_SIZES = ("256x256", "512x512", "1024x1024", "1792x1792", "1024x1792")

# kind: the dimensions it may be grouped by, the filters it takes beyond those, the object name of a result
_KINDS: dict[str, tuple[tuple[str, ...], Mapping[str, tuple[str, ...] | None], str]] = {
    "completions": ((*_COMMON, "batch", "service_tier", "api_source"), {}, "completions"),
    "decisions": ((*_COMMON, "batch", "service_tier", "api_source"), {}, "decisions"),
    "embeddings": (_COMMON, {}, "embeddings"),
    "moderations": (_COMMON, {}, "moderations"),
    "images": ((*_COMMON, "size", "source"), {"source": _SOURCES, "size": _SIZES}, "images"),
    "audio_speeches": (_COMMON, {}, "audio_speeches"),
    "audio_transcriptions": (_COMMON, {}, "audio_transcriptions"),
    "vector_stores": (("project_id",), {}, "vector_stores"),
    "code_interpreter_sessions": (("project_id",), {}, "code_interpreter_sessions"),
    "file_search_calls": (
        ("project_id", "user_id", "api_key_id", "vector_store_id"),
        {"vector_store_id": None},
        "file_searches",
    ),
    "web_search_calls": (
        (*_COMMON, "context_level", "api_source"),
        {"context_level": ("low", "medium", "high")},
        "web_searches",
    ),
}


def _window(ask: Ask, seconds: int) -> tuple[int, int]:
    now = int(ask.now.timestamp())
    ask.query.needed("start_time")
    start, end = ask.query.whole("start_time", 0), ask.query.whole("end_time", now)
    assert start is not None
    assert end is not None
    if start < 0 or end <= start:
        raise Refusal(400, "Invalid time range: 'end_time' must be greater than 'start_time'.", param="end_time")
    # The clock of a live world goes on past the day it was made on.
    if end > epoch(max(ask.now.date(), ask.world.today)) + _DAY:
        raise Refusal(400, "Invalid 'end_time': it must not be in the future.", param="end_time")
    return start // seconds * seconds, -(-end // seconds) * seconds


def _limit(ask: Ask, default: int, maximum: int) -> int:
    limit = ask.query.whole("limit", default)
    assert limit is not None
    if limit < 1:
        raise Refusal(400, f"Invalid limit provided: {limit}. Limit must be greater than or equal to 1.", param="limit")
    if limit > maximum:
        message = f"Invalid limit provided: {limit}. Limit must be less than or equal to {maximum}."
        raise Refusal(400, message, param="limit")
    return limit


def _page(ask: Ask, window: tuple[int, int], seconds: int, limit: int, bucket: Callable[[int], bytes]) -> Answer:
    start, end = window
    fingerprint = ask.query.fingerprint({"page"})
    cursor = ask.query.one("page")
    ask.query.finish()
    if cursor is not None:
        position = unseal("page_", cursor, fingerprint)
        if position is None:
            raise Refusal(400, "Invalid page cursor: it does not belong to this request.", param="page")
        start = position
    stop = min(end, start + limit * seconds)
    buckets = [bucket(at) for at in range(start, stop, seconds)]
    next_page = to_json(seal("page_", stop, fingerprint)) if stop < end else b"null"
    more = b"true" if stop < end else b"false"
    body = b'{"object":"page","data":[%b],"has_more":%b,"next_page":%b}' % (b",".join(buckets), more, next_page)
    return Answer(body)


def _bucket(start: int, seconds: int, results: Iterable[Mapping[str, Any]]) -> bytes:
    return to_json({"object": "bucket", "start_time": start, "end_time": start + seconds, "results": list(results)})


def _day_of(second: int) -> date:
    return datetime.fromtimestamp(second, UTC).date()


def costs(ask: Ask) -> Answer:
    """Answer daily cost buckets."""
    query, account = ask.query, cast(OpenAIAccount, ask.account)
    query.choice("bucket_width", ("1d",), "1d")
    groups = query.many("group_by", _COST_GROUPS)
    wanted = {
        "project_id": query.many("project_ids"),
        "api_key_id": query.many("api_key_ids"),
        "line_item": query.many("line_items"),
    }
    if "user_id" in groups and ("project_id" in groups or wanted["project_id"]):
        raise Refusal(400, "Grouping by 'user_id' cannot be combined with projects.", param="group_by")
    window = _window(ask, _DAY)
    if "api_key_id" in groups and window[0] < API_KEY_COSTS_SINCE:
        message = f"Grouping costs by 'api_key_id' is only supported for start_time on or after {API_KEY_COSTS_SINCE}."
        raise Refusal(400, message, param="start_time")
    limit = _limit(ask, 7, 180)
    question = ("costs", groups, tuple(wanted.items()))
    return _page(
        ask,
        window,
        _DAY,
        limit,
        lambda at: account.kept((question, at), partial(_cost_bucket, account, at, groups, wanted)),
    )


def _cost_bucket(account: OpenAIAccount, at: int, groups: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> bytes:
    rows: dict[tuple[str | None, ...], list[Line]] = {}
    wanted = {name: values for name, values in wanted.items() if values}
    for run in account.runs.on(_day_of(at)):
        for line in run.lines:
            if not wanted or all(line.dims[name] in values for name, values in wanted.items()):
                rows.setdefault(tuple(line.dims[name] for name in groups), []).append(line)
    return _bucket(at, _DAY, (_cost_result(dict(zip(groups, key, strict=True)), lines) for key, lines in rows.items()))


def _cost_result(dims: Mapping[str, str | None], lines: Sequence[Line]) -> dict[str, Any]:
    amount = lines[0].amount if len(lines) == 1 else exact_sum(line.amount for line in lines)
    value = format(amount, "f") if any(line.as_text for line in lines) else amount
    result: dict[str, Any] = {"object": "organization.costs.result", "amount": {"value": value, "currency": "usd"}}
    result |= {name: dims.get(name) for name in _COST_GROUPS}
    if "line_item" in dims:
        units = {line.unit for line in lines}
        quantities = [line.quantity for line in lines if line.quantity is not None]
        result["quantity"] = exact_sum(quantities) if quantities and len(units) == 1 else None
        result["quantity_unit"] = units.pop() if len(units) == 1 else None
    return result


def usage(kind: str, ask: Ask) -> Answer:
    """Answer usage buckets of one kind."""
    query, account = ask.query, cast(OpenAIAccount, ask.account)
    dimensions, extra, _ = _KINDS[kind]
    width = query.choice("bucket_width", tuple(_WIDTHS), "1d")
    assert width is not None
    seconds, limit_default, limit_max = _WIDTHS[width]
    groups = query.many("group_by", dimensions)
    wanted: dict[str, Sequence[Any]] = {name: query.many(_FILTERS[name]) for name in _FILTERS if name in dimensions}
    wanted |= {name: query.many(f"{name}s", known) for name, known in extra.items()}
    if "batch" in dimensions and (batch := query.flag("batch")) is not None:
        wanted["batch"] = (batch,)
    window = _window(ask, seconds)
    limit = _limit(ask, limit_default, limit_max)
    question = (kind, width, groups, tuple((name, tuple(values)) for name, values in wanted.items()))
    make = partial(_usage_bucket, account, kind, seconds, groups, wanted)
    return _page(ask, window, seconds, limit, lambda at: account.kept((question, at), partial(make, at)))


def _usage_bucket(
    account: OpenAIAccount, kind: str, seconds: int, groups: Sequence[str], wanted: Mapping[str, Sequence[Any]], at: int
) -> bytes:
    first_minute = at % _DAY // 60
    minutes = range(first_minute, first_minute + seconds // 60)
    rows: dict[tuple[Any, ...], list[Use]] = {}
    for run in account.runs.on(_day_of(at)):
        for use in run.uses:
            chosen = all(not values or use.dims.get(name) in values for name, values in wanted.items())
            if use.kind == kind and use.minute in minutes and chosen:
                rows.setdefault(tuple(use.dims.get(name) for name in groups), []).append(use)
    return _bucket(
        at, seconds, (_usage_result(kind, dict(zip(groups, key, strict=True)), uses) for key, uses in rows.items())
    )


def _usage_result(kind: str, dims: Mapping[str, Any], uses: Sequence[Use]) -> dict[str, Any]:
    dimensions, _, noun = _KINDS[kind]
    result: dict[str, Any] = {"object": f"organization.usage.{noun}.result"}
    for use in uses:
        for field, count in use.counts.items():
            result[field] = result.get(field, 0) + count
    return result | {name: dims.get(name) for name in dimensions}


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a missing, unknown or insufficient key."""
    if ask.credential is None:
        raise Refusal(401, "You didn't provide an API key. Provide it in an Authorization header using Bearer auth.")
    if ask.key is None:
        raise Refusal(
            401, "Incorrect API key provided. You can find your API key in the settings.", code="invalid_api_key"
        )
    needs = endpoint.needs if endpoint else ""
    if needs and not ask.key.may(needs):
        # The vendor answers either status; a project's key meets the one, a restricted admin key the other.
        status = 401 if ask.key.kind == "project" else 403
        raise Refusal(status, f"You have insufficient permissions for this operation. Missing scopes: {needs}.")


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body."""
    if no.extra.get("bare"):
        return Answer(to_json({"code": no.status, "message": no.message}), no.status, no.headers)
    kind = "invalid_request_error" if no.status < 500 else "server_error"
    error = {
        "message": no.message,
        "type": no.extra.get("type", kind),
        "param": no.extra.get("param"),
        "code": no.extra.get("code"),
    }
    return Answer(to_json({"error": error}), no.status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the headers that each answer carries."""
    answer.headers |= {"openai-version": "2020-10-01", "x-request-id": ask.request_id}


FACE = Face(
    id="openai",
    title="OpenAI",
    account=OpenAIAccount,
    endpoints=(
        *inference.OPENAI,
        Endpoint("/v1/organization/costs", costs, USAGE_SCOPE),
        *(Endpoint(f"/v1/organization/usage/{kind}", partial(usage, kind), USAGE_SCOPE) for kind in _KINDS),
        *(Endpoint(path, answer, MANAGEMENT_SCOPE) for path, answer in NAMES.items()),
    ),
    keys={
        "sim-openai-admin": Key("admin"),
        "sim-openai-usage": Key("usage", frozenset({USAGE_SCOPE})),
        "sim-openai-restricted": Key("restricted", frozenset({MANAGEMENT_SCOPE})),
        "sim-openai-project": Key("project", frozenset()),
    },
    credential=bearer,
    admit=admit,
    refuse=refuse,
    dress=dress,
    exhausted=lambda meter: Refusal(
        429,
        "Rate limit reached for requests.",
        {"retry-after": str(meter.wait_seconds)},
        type="requests",
        code="rate_limit_exceeded",
    ),
    money_fields=frozenset({"value"}),
    enum_fields=frozenset({"line_item", "service_tier", "api_source", "quantity_unit", "status"}),
    dimension_fields=frozenset({"project_id", "line_item", "api_key_id", "user_id", "model"}),
    cursor_parameters=frozenset({"page", "after", "before"}),
)
