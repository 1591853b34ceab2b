"""How Groq's answers are metered: tokens, cached ones apart, and seconds of audio as they are billed.

Never: add up seconds of transcriptions before the least that each is billed for has taken the place of shorter ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct

from outlay.model.facts import Limit
from outlay.model.money import exact
from outlay.providers.groq.limits import HEADERS, error_message, header_limits, said_limits
from outlay.providers.groq.metrics import RANGE, SERVICE
from outlay.providers.metering import UNCOUNTED, Counted, Metered, Metering, Seen

HOSTS = ("api.groq.com",)
_STANDARD = "on_demand"
_ONE = Decimal(1)
_REFUSED = 429
_LEAST_SECONDS = Decimal(10)
"""What a shorter request is billed for."""


class CachedPart(Struct, gc=False):
    """The part of a prompt that was read from a cache."""

    cached_tokens: int | None = None


class ReasoningPart(Struct, gc=False):
    """The part of an answer that was reasoning."""

    reasoning_tokens: int | None = None


class Tokens(Struct, gc=False):
    """What a call used: a prompt holds its cached tokens, an answer its reasoning.

    Outside of streams `x_groq.usage` says only where cached tokens lay, and nothing of these.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: CachedPart | None = None
    completion_tokens_details: ReasoningPart | None = None


class Part(Struct, gc=False):
    """What a compound system used of one underlying model."""

    model: str
    usage: Tokens


class Breakdown(Struct, gc=False):
    """What a compound system used, model by model."""

    models: list[Part] = []


class Extra(Struct, gc=False):
    """Groq's own part of an answer; in a stream's last chunk it holds the usage."""

    usage: Tokens | None = None


class Completion(Struct, gc=False):
    """A completion or a chunk of one, without what the model said."""

    model: str | None = None
    service_tier: str | None = None
    usage: Tokens | None = None
    usage_breakdown: Breakdown | None = None
    x_groq: Extra | None = None


class Transcription(Struct, gc=False):
    """A transcription, of which the verbose form alone says how long it is."""

    duration: Decimal | None = None


def completions(seen: Seen) -> Iterator[Counted]:
    """Count a chat completion, whole or as a stream; a failed one counts nothing.

    Null:   an answer that ended before its usage was told is a request whose tokens are not known.
    Source: groq 1.7.0, types/completion_usage.py and types/chat/chat_completion_chunk.py
    """
    if not _done(seen):
        return
    model, tier, tokens, breakdown = seen.model, None, None, None
    for document in seen.documents:
        said = msgspec.json.decode(document, type=Completion)
        model, tier = said.model or model, said.service_tier or tier
        # A stream may tell its usage in both places: it is one and the same.
        for told in (said.x_groq and said.x_groq.usage, said.usage):
            tokens = told if told and told.prompt_tokens is not None else tokens
        breakdown = said.usage_breakdown or breakdown
    tier = None if tier == _STANDARD else tier
    if breakdown and breakdown.models:
        # The outer usage is the sum of its parts, whose prices differ.
        yield Counted({"requests": _ONE}, model=model, service_tier=tier)
        for part in breakdown.models:
            yield _counted(part.usage, part.model, tier)
    elif tokens is None:
        yield Counted(UNCOUNTED, model=model, service_tier=tier)
    else:
        yield _counted(tokens, model, tier, {"requests": _ONE})


def _counted(tokens: Tokens, model: str | None, tier: str | None, more: dict[str, Decimal] | None = None) -> Counted:
    prompt, answer = tokens.prompt_tokens or 0, tokens.completion_tokens or 0
    cached = (tokens.prompt_tokens_details and tokens.prompt_tokens_details.cached_tokens) or 0
    reasoning = (tokens.completion_tokens_details and tokens.completion_tokens_details.reasoning_tokens) or 0
    if not (0 <= cached <= prompt and 0 <= reasoning <= answer):
        raise ValueError(f"{cached} cached of {prompt} tokens, {reasoning} of {answer} reasoning cannot be right")
    counts = {
        "input_tokens": prompt - cached,
        "cached_input_tokens": cached,
        "output_tokens": answer,
        "reasoning_tokens": reasoning,
    }
    quantities = {**(more or {}), **{meter: Decimal(count) for meter, count in counts.items() if count}}
    return Counted(quantities, model=model, service_tier=tier, context_tokens=prompt)


def audio(seen: Seen) -> Iterator[Counted]:
    """Count a transcription or translation by the seconds it is billed for.

    Units:  seconds of audio, ten for whatever is shorter: totals of many requests no longer tell which were.
    Null:   the short forms do not say how long it is.
    Source: https://console.groq.com/docs/speech-to-text
    """
    if not _done(seen):
        return
    seconds = None
    for document in seen.documents:
        seconds = msgspec.json.decode(document, type=Transcription).duration
    if seconds is None:
        yield Counted(UNCOUNTED, model=seen.model)
        return
    length = exact(seconds)
    if length < 0:
        raise ValueError(f"{length} seconds of audio cannot be right")
    yield Counted({"requests": _ONE, "audio_seconds": max(length, _LEAST_SECONDS)}, model=seen.model)


def requests(seen: Seen) -> Iterator[Counted]:
    """Count a call whose answer tells nothing of what it used."""
    if _done(seen):
        yield Counted(UNCOUNTED, model=seen.model)


def limits(seen: Seen) -> Iterator[Limit]:
    """Turn an answer's headers into limits, and a refusal's words into the one it met."""
    told = list(header_limits(seen.headers, seen.observed_at, seen.model))
    yield from told
    if seen.status == _REFUSED:
        for document in seen.documents[:1]:
            yield from said_limits(error_message(document), told)


def _done(seen: Seen) -> bool:
    return 200 <= seen.status < 300  # noqa: PLR2004


_ROOT = "/openai/v1"
METERING = Metering(
    hosts=HOSTS,
    calls=(
        Metered("chat", f"{_ROOT}/chat/completions", completions, limits, HEADERS, model_field="model"),
        Metered("embeddings", f"{_ROOT}/embeddings", completions, limits, HEADERS, model_field="model"),
        Metered("transcription", f"{_ROOT}/audio/transcriptions", audio, limits, HEADERS, model_field="model"),
        Metered("translation", f"{_ROOT}/audio/translations", audio, limits, HEADERS, model_field="model"),
        Metered("speech", f"{_ROOT}/audio/speech", requests, limits, HEADERS, model_field="model"),
    ),
    service_name=SERVICE,
    usage_dataset=RANGE.name,
)
