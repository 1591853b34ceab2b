"""Answers of the OpenAI kind, which many vendors speak: how their tokens are counted, each once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

import msgspec
from msgspec import Struct

from outlay.providers.metering import UNCOUNTED, Counted, Seen

STANDARD = frozenset({"default", "auto", "standard", "on_demand"})


class PromptParts(Struct, gc=False):
    """Parts of a prompt, each inside it."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class AnswerParts(Struct, gc=False):
    """Parts of an answer, each inside it."""

    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Tokens(Struct, gc=False):
    """A usage object: `prompt_tokens` or `input_tokens` is the whole prompt, the other two the whole answer."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: PromptParts | None = None
    input_tokens_details: PromptParts | None = None
    completion_tokens_details: AnswerParts | None = None
    output_tokens_details: AnswerParts | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's word for the cached part."""

    @property
    def prompt(self) -> int | None:
        """Return the whole prompt."""
        return self.prompt_tokens if self.prompt_tokens is not None else self.input_tokens

    @property
    def answer(self) -> int | None:
        """Return the whole answer."""
        return self.completion_tokens if self.completion_tokens is not None else self.output_tokens


class Told(Struct, gc=False):
    """A completion, a chunk of one or an embedding: its figures and nothing of its content."""

    model: str | None = None
    service_tier: str | None = None
    usage: Tokens | None = None


class Event(Struct, gc=False):
    """An event of a Responses stream, which holds the response so far."""

    response: Told | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: Tokens | None = None


def completions(seen: Seen) -> Iterator[Counted]:
    """Count a completion, response or embedding, whole or as a stream; a failed one counts nothing.

    Order:  a stream tells its usage last; where it is told twice, the later one holds the earlier.
    Null:   an answer without usage, as of a stream that did not ask for it or was left, is a call of unknown use.
    """
    if not seen.done:
        return
    model, tier, tokens = seen.model, None, None
    for document in seen.documents:
        event = msgspec.json.decode(document, type=Event)
        for said in (event, event.response) if event.response else (event,):
            model, tier = said.model or model, said.service_tier or tier
            tokens = said.usage if said.usage and said.usage.prompt is not None else tokens
    tier = None if tier in STANDARD else tier
    if tokens is None:
        yield Counted(UNCOUNTED, model=model, service_tier=tier)
    else:
        yield Counted(quantities(tokens), model=model, service_tier=tier, context_tokens=tokens.prompt)


def quantities(tokens: Tokens) -> Mapping[str, Decimal]:
    """Return what a call used by meters that exclude each other.

    Raises: ValueError where parts are more than the whole that should hold them.
    """
    given = tokens.prompt_tokens_details or tokens.input_tokens_details or PromptParts()
    made = tokens.completion_tokens_details or tokens.output_tokens_details or AnswerParts()
    prompt, answer = tokens.prompt or 0, tokens.answer or 0
    cached = given.cached_tokens if given.cached_tokens is not None else tokens.prompt_cache_hit_tokens
    counts = {
        "cached_input_tokens": cached or 0,
        "cache_write_tokens": given.cache_write_tokens or 0,
        "input_audio_tokens": given.audio_tokens or 0,
    }
    counts["input_tokens"] = prompt - sum(counts.values())
    spoken, reasoning = made.audio_tokens or 0, made.reasoning_tokens or 0
    counts |= {"output_tokens": answer - spoken, "output_audio_tokens": spoken, "reasoning_tokens": reasoning}
    if min(counts.values()) < 0 or reasoning > answer - spoken:
        raise ValueError(f"the parts of {prompt} and {answer} tokens are more than these")
    return {"requests": Decimal(1), **{meter: Decimal(count) for meter, count in counts.items() if count}}
