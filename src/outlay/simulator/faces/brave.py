"""Brave's search, suggestions and answers: quotas in headers, costs in the answers of Answers, and refusals.

Key:   "sim-brave-capped" is of an older plan with a cap, "sim-brave-metered" of one without, "sim-brave-windows" has
       three windows, "sim-brave-answers" is of the plan Answers. "sim-brave-exhausted" has used its month up,
       "sim-brave-fast" is too fast, "sim-brave-unsubscribed" has no subscription, the headers of "sim-brave-odd" fit
       nothing.
Reset: seconds from now, to the end of the calendar month where a month is meant.
Only what succeeds is counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

from outlay.clock import next_month
from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Refusal, to_json
from outlay.simulator.worlds.brave import MONTH, Bill, BraveAccount, Subscription

_ROOT = "/res/v1"
_RESULT = "sim-result-of-a-search"
"""Stands in results, so that a test can look whether any was kept."""
_TEXT_MAX = 400
_COUNTS = {"web_search": 20, "llm_context": 50, "news_search": 50, "video_search": 50, "image_search": 200,
           "suggest": 20}  # fmt: skip
_PIECE = 7


def _token(headers: Mapping[str, str]) -> str | None:
    token = headers.get("x-subscription-token")
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return token or (bearer.strip() if scheme.lower() == "bearer" and bearer.strip() else None)


def _account(ask: Ask) -> BraveAccount:
    return cast(BraveAccount, ask.account)


def _plan(ask: Ask) -> Subscription:
    kind = ask.key.kind if ask.key else "metered"
    subscriptions = _account(ask).subscriptions
    return subscriptions.get({"exhausted": "capped", "fast": "capped"}.get(kind, kind), subscriptions["metered"])


def _invalid(*where: str, says: str) -> NoReturn:
    raise Refusal(422, "Unable to validate request parameter(s)", code="VALIDATION",
                  meta={"errors": [{"type": "missing", "loc": list(where), "msg": says}]})  # fmt: skip


def _search(operation: str) -> Any:
    def answer(ask: Ask) -> Answer:
        said = _said(ask)
        text = said.pop("q", None)
        if not isinstance(text, str) or not text.strip():
            _invalid("query", "q", says="Field required")
        if len(text) > _TEXT_MAX or len(text.split()) > 50:
            _invalid("query", "q", says="String should have at most 400 characters")
        _bounded(said, "count", 1, _COUNTS.get(operation, 0))
        _bounded(said, "offset", 0, 9)
        if said and ask.method == "GET":
            _invalid("query", min(said), says="Extra inputs are not permitted")
        return _counted(ask, operation, {"type": "search", "query": {"original": text}, "web": {"results": [_RESULT]}})

    return answer


def _by_id(operation: str, name: str) -> Any:
    def answer(ask: Ask) -> Answer:
        values = ask.query.many(name)
        ask.query.finish()
        if name != "q" and (not values or len(values) > 20):
            _invalid("query", name, says="Field required")
        return _counted(ask, operation, {"type": operation, "results": [_RESULT]})

    return answer


def _counted(ask: Ask, operation: str, body: Mapping[str, object]) -> Answer:
    _account(ask).count(ask.now.date(), operation)
    return Answer(to_json(body))


def _said(ask: Ask) -> dict[str, Any]:
    if ask.method == "POST":
        try:
            return dict(json.loads(ask.body))
        except (ValueError, TypeError):
            _invalid("body", says="JSON decode error")
    found = {name: ask.query.one(name) for name in ("q", "count", "offset", "key", "country", "search_lang")}
    ask.query.finish()
    return {
        name: value for name, value in found.items() if value is not None and name not in {"country", "search_lang"}
    }


def _bounded(said: dict[str, Any], name: str, least: int, most: int) -> None:
    value = said.pop(name, None)
    if value is not None and not (str(value).isdigit() and least <= int(value) <= most):
        _invalid("query", name, says=f"Input should be between {least} and {most}")


def answers(ask: Ask) -> Answer:
    """Answer a question: as a stream whose end holds the usage in pieces, or whole with the usage in its headers."""
    said = _said(ask)
    messages = said.get("messages")
    if not isinstance(messages, list) or len(messages) != 1:
        _invalid("body", "messages", says="List should have exactly 1 item")
    model, bill = str(said.get("model", "brave")), _account(ask).bill(ask.now.date())
    usage = _usage(bill)
    if said.get("stream", True):
        return Answer(_stream(model, usage).encode(), media_type="text/event-stream; charset=utf-8")
    tokens = {"prompt_tokens": bill.tokens_in, "completion_tokens": bill.tokens_out,
              "total_tokens": bill.tokens_in + bill.tokens_out}  # fmt: skip
    choice = {"index": 0, "message": {"role": "assistant", "content": _RESULT}, "finish_reason": "stop"}
    body = {"id": "sim", "object": "chat.completion", "model": model, "choices": [choice], "usage": tokens}
    return Answer(to_json(body), headers={name.lower(): f"{value}" for name, value in usage.items()})


def _usage(bill: Bill) -> dict[str, Any]:
    queries, given, made = bill.parts
    return {
        "X-Request-Requests": 1, "X-Request-Queries": bill.queries, "X-Request-Tokens-In": bill.tokens_in,
        "X-Request-Tokens-Out": str(bill.tokens_out), "X-Request-Queries-Cost": queries,
        "X-Request-Tokens-In-Cost": given, "X-Request-Tokens-Out-Cost": made, "X-Request-Total-Cost": bill.total,
    }  # fmt: skip


def _stream(model: str, usage: Mapping[str, Any]) -> str:
    """Return the events of a stream: an answer that quotes a tag, then the real one, cut anywhere."""
    quoted = f'{_RESULT} <usage>{{"X-Request-Total-Cost": 999}}</usage> was quoted. '
    text = quoted + f"<usage>{to_json(usage).decode()}</usage>"
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    chunks = [{"model": model, "choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    return "".join(f"data: {to_json(chunk).decode()}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a missing or unknown key, one without a subscription, and one whose quota is used up."""
    if ask.credential is None:
        _invalid("header", "x-subscription-token", says="Field required")
    if ask.key is None:
        raise Refusal(422, "The provided subscription token is invalid.", code="SUBSCRIPTION_TOKEN_INVALID",
                      meta={"component": "authentication"})  # fmt: skip
    if ask.headers.get("api-version"):
        raise Refusal(404, "No such version of the API.", code="NOT_FOUND")
    kind = ask.key.kind
    if kind == "unsubscribed":
        raise Refusal(404, "No subscription was found.", code="SUBSCRIPTION_NOT_FOUND")
    if kind in {"exhausted", "fast"}:
        month = _plan(ask).month
        used = month if kind == "exhausted" else _account(ask).used(_plan(ask), ask.now.date())
        meta = {"component": "rate_limiter", "plan": "Free", "rate_limit": 1, "rate_current": int(kind == "fast"),
                "quota_limit": month, "quota_current": used,
                "org_rate_limit": None, "org_rate_current": 0}  # fmt: skip
        code = "QUOTA_LIMITED" if kind == "exhausted" else "RATE_LIMITED"
        raise Refusal(429, "Request limit exceeded.", code=code, meta=meta)


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body."""
    error: dict[str, Any] = {"id": f"sim-{ask.request_id}", "status": no.status,
                             "code": no.extra.get("code", "VALIDATION" if no.status == 400 else "ERROR"),
                             "detail": no.message, "meta": no.extra.get("meta", {})}  # fmt: skip
    status = 422 if error["code"] == "VALIDATION" else no.status
    error["status"] = status
    body = {"type": "ErrorResponse", "error": error, "time": int(ask.now.timestamp())}
    return Answer(to_json(body), status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the quota's headers, which answers of Answers and refusals of a key do not have."""
    if ask.key is None or ask.key.kind == "unsubscribed" or ask.path == f"{_ROOT}/chat/completions":
        return
    plan, used = _plan(ask), _account(ask).used(_plan(ask), ask.now.date())
    if ask.key.kind == "exhausted":
        used = plan.month
    # Some answers write the list with spaces and some without.
    comma = ", " if int(ask.request_id.removeprefix("req_")) % 2 else ","
    left = [limit - used if seconds == MONTH and limit else max(limit - 1, 0) for limit, seconds in plan.windows]
    lists = {
        "limit": [str(limit) for limit, _ in plan.windows],
        "policy": [f"{limit};w={seconds}" for limit, seconds in plan.windows],
        "remaining": [str(number) for number in left],
        "reset": [str(_reset(ask, seconds)) for _, seconds in plan.windows],
    }
    if ask.key.kind == "odd":
        lists["remaining"] = ["many"]
    answer.headers.update({f"x-ratelimit-{name}": comma.join(parts) for name, parts in lists.items()})


def _reset(ask: Ask, seconds: int) -> int:
    if seconds != MONTH:
        return seconds
    end = next_month(ask.now.date())
    return int((datetime(end.year, end.month, 1, tzinfo=UTC) - ask.now).total_seconds())


_PATHS = {
    "/web/search": _search("web_search"), "/llm/context": _search("llm_context"),
    "/news/search": _search("news_search"), "/videos/search": _search("video_search"),
    "/images/search": _search("image_search"), "/suggest/search": _search("suggest"),
    "/spellcheck/search": _search("spellcheck"), "/web/rich": _by_id("rich_search", "callback_key"),
    "/local/place_search": _by_id("local_search", "q"), "/local/pois": _by_id("local_search", "ids"),
    "/local/descriptions": _by_id("local_search", "ids"), "/summarizer/search": _by_id("summarizer", "key"),
}  # fmt: skip
_BOTH = ("/web/search", "/llm/context", "/news/search", "/videos/search")
FACE = Face(
    id="brave",
    title="Brave Search",
    account=BraveAccount,
    endpoints=(
        *(Endpoint(_ROOT + path, answer) for path, answer in _PATHS.items()),
        *(Endpoint(_ROOT + path, _PATHS[path], method="POST") for path in _BOTH),
        Endpoint(f"{_ROOT}/chat/completions", answers, method="POST"),
    ),
    keys={
        "sim-brave-capped": Key("capped"),
        **{
            f"sim-brave-{kind}": Key(kind, frozenset({"plan"}))
            for kind in ("metered", "windows", "answers", "exhausted", "fast", "unsubscribed", "odd")
        },
    },
    credential=_token,
    admit=admit,
    refuse=refuse,
    dress=dress,
    options={"probe": "free"},
)
