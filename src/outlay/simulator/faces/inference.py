"""The simulated vendors' models: answers that say nothing of sense and exactly what they used.

Key:   any credential; whether one may do more is for the faces to say.
Order: a stream tells its usage where the vendor does: in a last chunk without choices if it was asked for (OpenAI,
       DeepSeek), in `x_groq` of the last chunk (Groq), with the completed response, or in the first event and the last
       (Anthropic, whose first event's output tokens are a stand-in).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Refusal, to_json
from outlay.simulator.worlds.inference import Call, Drawn, drawn

STREAM = "text/event-stream; charset=utf-8"
SAID = "Answer-of-the-simulator"
"""The content of every answer: a text that must appear in no event, spool, log or error."""
_WORDS = 6
_SQUEEZED_BYTES = 200


def _question(ask: Ask, *needed: str) -> dict[str, Any]:
    if ask.credential is None:
        raise Refusal(401, "You did not provide an API key.", type="invalid_request_error")
    try:
        asked = msgspec.json.decode(ask.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise Refusal(400, "The body is not a JSON object.", type="invalid_request_error") from None
    for name in needed:
        if name not in asked:
            raise Refusal(400, f"Missing required parameter: '{name}'.", param=name, type="invalid_request_error")
    return asked


def _whole(ask: Ask, body: dict[str, Any], headers: dict[str, str]) -> Answer:
    content = to_json(body)
    if "gzip" in ask.headers.get("accept-encoding", "") and len(content) > _SQUEEZED_BYTES:
        return Answer(gzip.compress(content, mtime=0), headers={**headers, "content-encoding": "gzip"})
    return Answer(content, headers=headers)


def _data(events: Iterator[dict[str, Any]], *, named: bool = False, end: bytes = b"") -> bytes:
    lines = []
    for event in events:
        name = b"event: %s\n" % event["type"].encode() if named else b""
        lines.append(name + b"data: " + to_json(event) + b"\n\n")
    return b"".join(lines) + end


def _rates(counts: Drawn) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-limit-tokens": "2000000",
        "x-ratelimit-remaining-tokens": str(2000000 - counts.plain - counts.cached - counts.output),
        "x-ratelimit-reset-tokens": "1m2.5s",
    }


def _log(ask: Ask, provider: str, model: str, counts: dict[str, int], *, streamed: bool) -> None:
    ask.world.inference.add(Call(provider, model, {name: count for name, count in counts.items() if count}, streamed))


def _usage(provider: str, counts: Drawn) -> dict[str, Any]:
    prompt = counts.plain + counts.cached
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": counts.output,
        "total_tokens": prompt + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }
    if provider == "deepseek":
        usage |= {"prompt_cache_hit_tokens": counts.cached, "prompt_cache_miss_tokens": counts.plain}
    if provider == "groq":
        usage |= {"queue_time": 0.01, "prompt_time": 0.02, "completion_time": 0.3, "total_time": 0.32}
    return usage


def _chat(provider: str) -> Callable[[Ask], Answer]:
    def chat(ask: Ask) -> Answer:
        asked = _question(ask, "model", "messages")
        counts, model, streamed = drawn(ask.body), str(asked["model"]), bool(asked.get("stream"))
        usage = _usage(provider, counts)
        _log(ask, provider, model, {
            "input_tokens": counts.plain, "cached_input_tokens": counts.cached,
            "output_tokens": counts.output, "reasoning_tokens": counts.reasoning,
        }, streamed=streamed)  # fmt: skip
        headers = {} if provider == "deepseek" else _rates(counts)
        common = {"id": f"chatcmpl-{ask.request_id}", "created": int(ask.now.timestamp()), "model": model}
        tier = {"openai": "default", "groq": "on_demand"}.get(provider)
        if tier:
            common["service_tier"] = tier
        if streamed:
            wanted = bool((asked.get("stream_options") or {}).get("include_usage"))
            chunks = _chunks(provider, common, usage, wanted=wanted)
            return Answer(_data(chunks, end=b"data: [DONE]\n\n"), headers=headers, media_type=STREAM)
        message = {"role": "assistant", "content": SAID, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        more = {"x_groq": {"id": ask.request_id}} if provider == "groq" else {}
        return _whole(
            ask, {**common, "object": "chat.completion", "choices": [choice], "usage": usage, **more}, headers
        )

    return chat


def _chunks(provider: str, common: dict[str, Any], usage: dict[str, Any], *, wanted: bool) -> Iterator[dict[str, Any]]:
    base = {**common, "object": "chat.completion.chunk"}
    none = {"usage": None} if wanted and provider == "openai" else {}
    for place in range(_WORDS):
        delta = {"content": f'{SAID} "usage" {place} '}
        yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None, "logprobs": None}], **none}
    last: dict[str, Any] = {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "logprobs": None}]}
    if provider == "groq":
        yield {**last, "x_groq": {"id": "req_1", "usage": usage}}
    else:
        yield {**last, **none}
    if wanted:
        yield {**base, "choices": [], "usage": usage}


def _responses(ask: Ask) -> Answer:
    asked = _question(ask, "model", "input")
    counts, model, streamed = drawn(ask.body), str(asked["model"]), bool(asked.get("stream"))
    prompt = counts.plain + counts.cached + counts.written
    _log(ask, "openai", model, {
        "input_tokens": counts.plain, "cached_input_tokens": counts.cached, "cache_write_tokens": counts.written,
        "output_tokens": counts.output, "reasoning_tokens": counts.reasoning,
    }, streamed=streamed)  # fmt: skip
    usage = {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.written},
        "output_tokens": counts.output,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": prompt + counts.output,
    }
    text = {"type": "output_text", "text": SAID, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    begun = {
        "id": f"resp_{ask.request_id}", "object": "response", "created_at": int(ask.now.timestamp()), "model": model,
        "status": "in_progress", "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "service_tier": "default", "usage": None,
    }  # fmt: skip
    ended = {**begun, "status": "completed", "output": [item], "usage": usage}
    if not streamed:
        return _whole(ask, ended, _rates(counts))
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    events += [
        {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0,
         "delta": f"{SAID} {place}", "logprobs": []}
        for place in range(_WORDS)
    ]  # fmt: skip
    events.append({"type": "response.completed", "response": ended})
    numbered = ({**event, "sequence_number": number} for number, event in enumerate(events))
    return Answer(_data(numbered, named=True), headers=_rates(counts), media_type=STREAM)


def _embeddings(ask: Ask) -> Answer:
    asked = _question(ask, "model", "input")
    counts, model = drawn(ask.body), str(asked["model"])
    _log(ask, "openai", model, {"input_tokens": counts.plain}, streamed=False)
    row: dict[str, Any] = {"object": "embedding", "index": 0, "embedding": [0.25, -0.5]}
    if asked.get("encoding_format") == "base64":
        row["embedding"] = "AACAPgAAAL8="
    usage = {"prompt_tokens": counts.plain, "total_tokens": counts.plain}
    return _whole(ask, {"object": "list", "data": [row], "model": model, "usage": usage}, _rates(counts))


def _messages(ask: Ask) -> Answer:
    asked = _question(ask, "model", "messages", "max_tokens")
    if "anthropic-version" not in ask.headers:
        raise Refusal(400, "anthropic-version: header is required", type="invalid_request_error")
    counts, model, streamed = drawn(ask.body), str(asked["model"]), bool(asked.get("stream"))
    _log(ask, "anthropic", model, {
        "input_tokens": counts.plain, "cached_input_tokens": counts.cached, "cache_write_tokens": counts.written,
        "cache_write_1h_tokens": counts.written_long, "output_tokens": counts.output,
        "reasoning_tokens": counts.reasoning,
    }, streamed=streamed)  # fmt: skip
    usage = {
        "input_tokens": counts.plain,
        "cache_read_input_tokens": counts.cached,
        "cache_creation_input_tokens": counts.written + counts.written_long,
        "cache_creation": {
            "ephemeral_5m_input_tokens": counts.written, "ephemeral_1h_input_tokens": counts.written_long,
        },
        "output_tokens": counts.output,
        "output_tokens_details": {"thinking_tokens": counts.reasoning},
        "service_tier": "standard",
    }  # fmt: skip
    message = {
        "id": f"msg_{ask.request_id}", "type": "message", "role": "assistant", "model": model,
        "content": [{"type": "text", "text": SAID}], "stop_reason": "end_turn", "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    headers = _anthropic_rates(ask, counts)
    if not streamed:
        return _whole(ask, message, headers)
    return Answer(_data(_message_events(message, usage), named=True), headers=headers, media_type=STREAM)


def _message_events(message: dict[str, Any], usage: dict[str, Any]) -> Iterator[dict[str, Any]]:
    begun = {name: value for name, value in usage.items() if name != "output_tokens_details"} | {"output_tokens": 1}
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": begun}}
    yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    yield {"type": "ping"}
    for place in range(_WORDS):
        delta = {"type": "text_delta", "text": f'{SAID} "usage" {place}'}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    last = {name: usage[name] for name in ("output_tokens", "output_tokens_details")}
    yield {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": last}
    yield {"type": "message_stop"}


def _anthropic_rates(ask: Ask, counts: Drawn) -> dict[str, str]:
    full = ask.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    headers: dict[str, str] = {}
    for kind, quota, left in (("requests", 4000, 3999), ("input-tokens", 2000000, 2000000 - counts.plain // 1000),
                              ("output-tokens", 400000, 399000)):  # fmt: skip
        headers |= {
            f"anthropic-ratelimit-{kind}-limit": str(quota),
            f"anthropic-ratelimit-{kind}-remaining": str(left),
            f"anthropic-ratelimit-{kind}-reset": full,
        }
    return headers


def _endpoint(path: str, answer: Callable[[Ask], Answer]) -> Endpoint:
    return Endpoint(path, answer, method="POST", open=True, free=True)


OPENAI = (
    _endpoint("/v1/chat/completions", _chat("openai")),
    _endpoint("/v1/responses", _responses),
    _endpoint("/v1/embeddings", _embeddings),
)
ANTHROPIC = (_endpoint("/v1/messages", _messages),)
groq_chat = _chat("groq")
DEEPSEEK = (
    _endpoint("/chat/completions", _chat("deepseek")),
    _endpoint("/v1/chat/completions", _chat("deepseek")),
)
