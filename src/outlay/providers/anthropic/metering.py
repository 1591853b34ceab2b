"""How Claude's answers are metered: messages, whole and as streams.

Never: take the output tokens of a stream's first event for its output: they are a stand-in that the last event
       replaces; add cache reads or writes to input tokens twice: these exclude each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct, structs

from outlay.model.facts import Limit
from outlay.providers.anthropic.rows import API
from outlay.providers.metering import UNCOUNTED, Counted, Metered, Metering, Seen
from outlay.providers.ratelimits import header_limit

_KINDS = {
    "requests": "requests", "tokens": "tokens", "input-tokens": "tokens", "output-tokens": "tokens",
}  # fmt: skip
_PRIORITY = {"input-tokens": "tokens", "output-tokens": "tokens"}
_WORKSPACE = "anthropic-workspace-id"
HEADERS = (
    _WORKSPACE,
    *(f"anthropic-ratelimit-{kind}-{what}" for kind in _KINDS for what in ("limit", "remaining", "reset")),
    *(f"anthropic-priority-{kind}-{what}" for kind in _PRIORITY for what in ("limit", "remaining", "reset")),
)


class CacheCreation(Struct, gc=False):
    """Tokens written to the cache, by how long they stay."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class ServerTools(Struct, gc=False):
    """Calls of tools that are billed by the call."""

    web_search_requests: int | None = None


class OutputParts(Struct, gc=False):
    """Parts of the output, inside it."""

    thinking_tokens: int | None = None


class Tokens(Struct, gc=False):
    """A usage object; the last event of a stream repeats only some of its fields, as totals."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputParts | None = None
    server_tool_use: ServerTools | None = None
    service_tier: str | None = None
    speed: str | None = None


class Message(Struct, gc=False):
    """A message without what it says."""

    model: str | None = None
    usage: Tokens | None = None


class Event(Struct, gc=False):
    """A whole message, or an event of a stream: the first holds the message, the last a usage of its own."""

    type: str | None = None
    model: str | None = None
    usage: Tokens | None = None
    message: Message | None = None


def messages(seen: Seen) -> Iterator[Counted]:
    """Count a message; a failed one counts nothing.

    Null:   a stream that was left before its last event told its input and not its output.
    Source: https://platform.claude.com/docs/en/build-with-claude/streaming
    """
    if not seen.done:
        return
    model, tokens, ended = seen.model, Tokens(), False
    for document in seen.documents:
        event = msgspec.json.decode(document, type=Event)
        if event.message is not None:
            model, told = event.message.model or model, event.message.usage
        else:
            model, told = event.model or model, event.usage
            ended = ended or told is not None
        tokens = _later(tokens, told)
    if tokens.input_tokens is None:
        yield Counted(UNCOUNTED, model=model)
        return
    tier = "fast" if tokens.speed == "fast" else tokens.service_tier
    used = dict(_prompt(tokens))
    whole = int(sum(used.values()))
    if ended:
        used |= {"requests": Decimal(1), **_answer(tokens)}
    else:
        used |= UNCOUNTED
    yield Counted(used, model=model, service_tier=None if tier == "standard" else tier, context_tokens=whole)


def _later(tokens: Tokens, told: Tokens | None) -> Tokens:
    stated = {} if told is None else {name: value for name, value in structs.asdict(told).items() if value is not None}
    return structs.replace(tokens, **stated)


def _prompt(tokens: Tokens) -> Mapping[str, Decimal]:
    written = tokens.cache_creation or CacheCreation()
    short, long = written.ephemeral_5m_input_tokens or 0, written.ephemeral_1h_input_tokens or 0
    # The parts have been seen to be 0 beside a total that is not; five minutes is how long tokens stay unless asked.
    short = max(short, (tokens.cache_creation_input_tokens or 0) - long)
    return _counts(
        input_tokens=tokens.input_tokens or 0, cached_input_tokens=tokens.cache_read_input_tokens or 0,
        cache_write_tokens=short, cache_write_1h_tokens=long,
    )  # fmt: skip


def _answer(tokens: Tokens) -> Mapping[str, Decimal]:
    return _counts(
        output_tokens=tokens.output_tokens or 0,
        reasoning_tokens=(tokens.output_tokens_details and tokens.output_tokens_details.thinking_tokens) or 0,
        searches=(tokens.server_tool_use and tokens.server_tool_use.web_search_requests) or 0,
    )


def _counts(**counts: int) -> Mapping[str, Decimal]:
    if min(counts.values()) < 0:
        raise ValueError("a count is below zero")
    return {meter: Decimal(count) for meter, count in counts.items() if count}


def limits(seen: Seen) -> Iterator[Limit]:
    """Turn the rate limit headers into limits. Units: per minute; a reset is the instant of the full refill."""
    workspace = seen.headers.get(_WORKSPACE)
    scope = f"workspace:{workspace}" if workspace else "organization"
    for prefix, kinds, note in (("anthropic-ratelimit", _KINDS, ""), ("anthropic-priority", _PRIORITY, "priority ")):
        for kind, unit in kinds.items():
            limit = header_limit(
                seen.headers, f"{prefix}-{kind}-{{}}", seen.observed_at, window="1 minute", unit=unit, scope=scope,
                name=f"{note}{kind.replace('-', ' ')} (as answers tell)", model=seen.model,
            )  # fmt: skip
            if limit is not None:
                yield limit


METERING = Metering(
    hosts=("api.anthropic.com",),
    calls=(Metered("chat", "/v1/messages", messages, limits, HEADERS, model_field="model"),),
    service_name=API,
    usage_dataset="usage",
    dated=r"-\d{8}",
)
