"""Groq's Enterprise metrics, models and completions.

Key:   "sim-groq-key" has the Enterprise metrics under their present names, "sim-groq-both" under both generations of
       names, "sim-groq-earlier" under the earlier one alone; "sim-groq-plain" and "sim-groq-forbidden" lack the feature
       (404 and 403), "sim-groq-spent" has reached its spend limit, "sim-groq-busy" its limit of tokens per day.
Query: a metric's name, its last value in less than five minutes, or the values of single minutes added up and counted;
       anything else is refused. A bare name repeats the sample of five minutes before where one is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from outlay.simulator.faces import inference
from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Refusal, bearer, to_json
from outlay.simulator.worlds.groq import METERS, MODELS, REQUESTS, STEP, GroqAccount, Line

_METRICS = "/v1/metrics/prometheus/api/v1"
PRESENT = {f"model_project_id{'_status_code' if meter == REQUESTS else ''}:{meter}:rate5m": meter for meter in METERS}
EARLIER = ("requests:increase1m", "requests:rate1m")
_DECOYS = {
    "present": (
        "le_model_project_id:tokens_in_bucket:rate5m",
        "le_model_project_id:ttft_latency_seconds_bucket:rate5m",
    ),
    "earlier": ("tokens_in:p50:rate5m", "tokens_out:p99:rate5m", "e2e_latency_seconds:p50:rate5m"),
}
_POINTS_MAX = 11_000
_LAST = re.compile(r"last_over_time\((?P<name>[a-z0-9_:]+)\[(?P<seconds>[0-9]{1,3})s\]\)")
_FIVE = r"_over_time\(last_over_time\((?P<{0}>[a-z0-9:]+)\[59s\]\)\[290s:1m\]\)"
_MINUTES = re.compile(f"sum{_FIVE.format('a')} and count{_FIVE.format('b')} == 5")
_REQUESTS_A_DAY, _TOKENS_A_MINUTE = 14_400, 18_000


def values(ask: Ask) -> Answer:
    """Answer the values of a label: the metrics' names."""
    ask.query.finish()
    if ask.places["label_name"] != "__name__":
        return Answer(to_json({"status": "success", "data": []}))
    kind = ask.key.kind if ask.key else ""
    account = cast(GroqAccount, ask.account)
    names = ["up"]
    if kind != "earlier":
        names += [*(name for name in PRESENT if PRESENT[name] not in account.unlisted), *_DECOYS["present"]]
    if kind in {"earlier", "both"}:
        names += [*EARLIER, *_DECOYS["earlier"]]
    if account.plot.empty:
        names = []
    return Answer(to_json({"status": "success", "data": sorted(names)}))


def query_range(ask: Ask) -> Answer:
    """Answer the samples of a query, from `start` to `end` with both, `step` seconds apart."""
    query, start, end, step = (ask.query.needed(name) for name in ("query", "start", "end", "step"))
    ask.query.finish()
    first, last, width = (_number(name, text) for name, text in (("start", start), ("end", end), ("step", step)))
    if last < first:
        raise _bad('invalid parameter "end": end timestamp must not be before start time')
    if width <= 0:
        raise _bad("zero or negative query resolution step widths are not accepted. Try a positive integer")
    if (last - first) / width > _POINTS_MAX:
        raise _bad("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution")
    moments = [first + n * width for n in range(int((last - first) / width) + 1)]
    series = [
        {"metric": labels, "values": found}
        for labels, samples, held in _asked(ask, query, first, last)
        if (found := [[moment, text] for moment in moments if (text := _in_force(samples, moment, held)) is not None])
    ]
    return Answer(to_json({"status": "success", "data": {"resultType": "matrix", "result": series}}))


def _in_force(samples: dict[int, str], moment: int, held: int) -> str | None:
    """Return the sample in force at a moment: the last one that is at most so many seconds old."""
    age = moment % STEP
    if age <= held and (text := samples.get(moment - age)) is not None:
        return text
    return samples.get(moment - age - STEP) if age + STEP <= held else None


_Found = tuple[dict[str, str], dict[int, str], int]


def _asked(ask: Ask, query: str, first: int, last: int) -> Iterator[_Found]:
    """Yield each series of a query with its samples by time, and how many seconds a sample stays in force."""
    kind = ask.key.kind if ask.key else ""
    minutes, recent = _MINUTES.fullmatch(query), _LAST.fullmatch(query)
    name, held = (recent["name"], int(recent["seconds"])) if recent else (query, STEP)
    if name in PRESENT and kind != "earlier":
        for line, samples in _series(ask, PRESENT[name], first - STEP, last):
            status = {"status_code": line.status} if line.status else {}
            labels = {"__name__": name, "model": line.model, "project_id": line.project, **status}
            yield labels, samples, held
    elif minutes and minutes["a"] == minutes["b"] in EARLIER and kind in {"earlier", "both"}:
        times = Decimal(300) if minutes["a"] == "requests:increase1m" else Decimal(5)
        for line, samples in _series(ask, REQUESTS, first, last):
            if line.status == "200":
                whole = {at: f"{times * number:f}" for at, text in samples.items()
                         if (number := Decimal(text)).is_finite()}  # fmt: skip
                yield {"model": line.model, "project_id": line.project}, whole, STEP - 1
    elif not minutes and not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name):
        raise _bad('invalid parameter "query": this server knows no such expression')


def _series(ask: Ask, meter: str, first: int, last: int) -> Iterator[tuple[Line, dict[int, str]]]:
    """Yield the series of a meter; what has not happened yet has no sample."""
    account, now = cast(GroqAccount, ask.account), int(ask.now.timestamp())
    span = (datetime.fromtimestamp(moment, UTC).date() for moment in (first - STEP, last))
    found: dict[tuple[str, str, str | None], tuple[Line, dict[int, str]]] = {}
    for day, line in account.lines(*span):
        if line.meter != meter:
            continue
        midnight = int(datetime.combine(day, datetime.min.time(), UTC).timestamp())
        _, samples = found.setdefault((line.model, line.project, line.status), (line, {}))
        for slot, text in enumerate(line.samples, 1):
            if text is not None and midnight + slot * STEP <= now:
                samples[midnight + slot * STEP] = text
    yield from found.values()


def _number(name: str, text: str) -> int:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _bad(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp') from None
    if number % 1:
        raise _bad(f'invalid parameter "{name}": this server takes whole seconds')
    return int(number)


def _bad(says: str) -> Refusal:
    return Refusal(400, says, type="bad_data")


def models(ask: Ask) -> Answer:
    """Answer the models a key may call."""
    ask.query.finish()
    listed = [{"id": name, "object": "model", "created": 1_700_000_000, "owned_by": "someone"} for name in MODELS]
    return Answer(to_json({"object": "list", "data": listed}))


def completions(ask: Ask) -> Answer:
    """Answer a completion of a few tokens, with the limits in its headers."""
    said = _document(ask)
    model, messages = said.get("model"), said.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refusal(400, "'messages' : minimum number of items is 1", type="invalid_request_error")
    if model not in MODELS:
        raise Refusal(404, f"The model `{model}` does not exist or you do not have access to it.",
                      type="invalid_request_error", code="model_not_found")  # fmt: skip
    if ask.key is not None and ask.key.kind == "busy":
        raise Refusal(
            429,
            f"Rate limit reached for model `{model}` in organization `org_sim` service tier `on_demand` on tokens per "
            "day (TPD): Limit 100000, Used 97050, Requested 3619. Please try again in 9m38.016s.",
            {**_limits(0), "retry-after": "579"},
            type="tokens",
            code="rate_limit_exceeded",
        )
    if said.get("max_completion_tokens", said.get("max_tokens")) != 1:
        answer = inference.groq_chat(ask)
        answer.headers |= _limits(14_370)
        return answer
    usage = {"prompt_tokens": 37, "completion_tokens": 1, "total_tokens": 38, "total_time": Decimal("0.003")}
    choice = {"index": 0, "message": {"role": "assistant", "content": "sim-said-this"}, "finish_reason": "length"}
    body = {"id": "chatcmpl-sim", "object": "chat.completion", "created": int(ask.now.timestamp()), "model": model,
            "choices": [choice], "usage": usage, "service_tier": "on_demand",
            "x_groq": {"id": ask.request_id}}  # fmt: skip
    return Answer(to_json(body), headers=_limits(14_370))


def _document(ask: Ask) -> dict[str, Any]:
    ask.query.finish()
    try:
        said = json.loads(ask.body)
    except ValueError:
        raise Refusal(400, "the body is no JSON", type="invalid_request_error") from None
    unknown = set(said) - {"model", "messages", "max_completion_tokens", "max_tokens", "service_tier", "stream"}
    if unknown:
        raise Refusal(400, f"property '{min(unknown)}' is unsupported", type="invalid_request_error")
    return cast(dict[str, Any], said)


def _limits(left: int) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(_REQUESTS_A_DAY),
        "x-ratelimit-remaining-requests": str(left),
        "x-ratelimit-reset-requests": "2m59.56s",
        "x-ratelimit-limit-tokens": str(_TOKENS_A_MINUTE),
        "x-ratelimit-remaining-tokens": "17997",
        "x-ratelimit-reset-tokens": "59ms",
    }


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse unknown keys, keys without the feature, and an organization that has spent its limit."""
    if ask.key is None:
        raise Refusal(401, "Invalid API Key", type="invalid_request_error", code="invalid_api_key")
    kind = ask.key.kind
    if kind == "spent":
        raise Refusal(400, "Your organization has reached its spend limit.", type="invalid_request_error",
                      code="blocked_api_access")  # fmt: skip
    if ask.path.startswith(_METRICS) and kind in {"plain", "forbidden", "busy"}:
        status = 403 if kind == "forbidden" else 404
        raise Refusal(status, f"Unknown request URL: {ask.method} {ask.path}", type="invalid_request_error",
                      code="unknown_url")  # fmt: skip


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the error body of the metrics or that of everything else."""
    kind = no.extra.get("type")
    if ask.path.startswith(_METRICS) and no.status in {400, 422, 503}:
        body: dict[str, Any] = {"status": "error", "errorType": kind or "bad_data", "error": no.message}
        if no.extra.get("code") == "blocked_api_access":
            body = {"error": {"message": no.message, "type": kind, "code": "blocked_api_access"}}
        return Answer(to_json(body), no.status, no.headers)
    error = {"message": no.message, "type": kind or "invalid_request_error"}
    if no.extra.get("code"):
        error["code"] = no.extra["code"]
    return Answer(to_json({"error": error}), no.status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the headers that each answer carries."""
    answer.headers["x-request-id"] = ask.request_id
    answer.headers["via"] = "1.1 sim"


_LIMITED = frozenset({"limited"})
FACE = Face(
    id="groq",
    title="Groq",
    account=GroqAccount,
    endpoints=(
        Endpoint(f"{_METRICS}/label/{{label_name}}/values", values),
        Endpoint(f"{_METRICS}/query_range", query_range),
        Endpoint("/openai/v1/models", models),
        Endpoint("/openai/v1/chat/completions", completions, method="POST"),
    ),
    keys={
        "sim-groq-key": Key("key"),
        **{
            f"sim-groq-{kind}": Key(kind, _LIMITED)
            for kind in ("both", "earlier", "plain", "forbidden", "spent", "busy")
        },
    },
    credential=bearer,
    admit=admit,
    refuse=refuse,
    dress=dress,
    options={"probe": MODELS[0]},
)
