"""Read what an OpenAI-compatible answer used: chat, responses, completions, embeddings; its content is never kept.

Units: tokens. `prompt_tokens` (or `input_tokens`) hold the cached and the audio ones, `completion_tokens` (or
`output_tokens`) the reasoning and the audio ones: the parts are taken out, so that nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from outlay.meter.bounds import RejectedError

_OPERATIONS = {
    "chat.completion": "chat",
    "text_completion": "completion",
    "response": "responses",
    "list": "embeddings",
}
_STANDARD = frozenset({"default", "auto", "standard", "on_demand", ""})


class _Input(Struct):
    cached_tokens: int | None = None
    audio_tokens: int | None = None


class _Output(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(Struct):
    """The figures of one answer under any of the names they have."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    prompt_tokens_details: _Input | None = None
    completion_tokens_details: _Output | None = None
    input_tokens_details: _Input | None = None
    output_tokens_details: _Output | None = None
    prompt_cache_hit_tokens: int | None = None

    @property
    def prompt(self) -> int | None:
        """Return the whole prompt, cached tokens included."""
        return self.prompt_tokens if self.prompt_tokens is not None else self.input_tokens

    def quantities(self) -> dict[str, Decimal]:
        """Return the quantities by meter. Raises: RejectedError where parts are more than their whole."""
        completion = self.completion_tokens if self.completion_tokens is not None else self.output_tokens
        if self.prompt is None and completion is None:
            raise RejectedError("the usage names no tokens")
        given = self.prompt_tokens_details or self.input_tokens_details or _Input()
        made = self.completion_tokens_details or self.output_tokens_details or _Output()
        cached = given.cached_tokens if given.cached_tokens is not None else self.prompt_cache_hit_tokens
        return dict(
            parts(
                self.prompt,
                completion,
                cached=cached,
                reasoning=made.reasoning_tokens,
                audio_in=given.audio_tokens,
                audio_out=made.audio_tokens,
            )
        )


class Answer(Struct):
    """An answer's figures: every other field, the content among them, is passed over."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    created: msgspec.Raw = msgspec.Raw()
    created_at: msgspec.Raw = msgspec.Raw()
    service_tier: str | None = None
    usage: Usage | None = None

    @property
    def operation(self) -> str | None:
        """Return what kind of call it answers."""
        return _OPERATIONS.get(self.object or "")

    @property
    def at(self) -> datetime | None:
        """Return when it was made, where it says so."""
        return written(self.created) or written(self.created_at)


def parts(
    prompt: int | None,
    completion: int | None,
    *,
    cached: int | None = None,
    written: int | None = None,
    reasoning: int | None = None,
    audio_in: int | None = None,
    audio_out: int | None = None,
) -> Iterator[tuple[str, Decimal]]:
    """Yield disjoint quantities by meter of wholes and the parts within them; a part of zero is left out.

    Raises: RejectedError for negative figures and for parts that are more than their whole.
    """
    figures = (prompt, completion, cached, written, reasoning, audio_in, audio_out)
    if any(figure is not None and figure < 0 for figure in figures):
        raise RejectedError("a number of tokens is negative", "quantity_refused")
    yield "requests", Decimal(1)
    if prompt is not None:
        rest = prompt - (cached or 0) - (written or 0) - (audio_in or 0)
        if rest < 0:
            raise RejectedError(f"cached, written and audio tokens are more than the {prompt} of the prompt",
                                "parts_exceed_whole")  # fmt: skip
        yield "input_tokens", Decimal(rest)
    if completion is not None:
        if max(audio_out or 0, reasoning or 0) > completion:
            raise RejectedError(f"reasoning or audio tokens are more than the {completion} of the answer",
                                "parts_exceed_whole")  # fmt: skip
        yield "output_tokens", Decimal(completion - (audio_out or 0))
    named = {
        "cached_input_tokens": cached,
        "cache_write_tokens": written,
        "reasoning_tokens": reasoning,
        "input_audio_tokens": audio_in,
        "output_audio_tokens": audio_out,
    }
    yield from ((meter, Decimal(figure)) for meter, figure in named.items() if figure)


def tier(word: str | None) -> str | None:
    """Return a vendor's word for a service tier; None for its standard one."""
    return None if word is None or word.lower() in _STANDARD else word


def written(raw: msgspec.Raw) -> datetime | None:
    """Return a time as JSON has it, text or number. Null: None for what is neither, or no time."""
    content = bytes(raw)
    if content.startswith(b'"'):
        return moment(msgspec.json.decode(content, type=str))
    return moment(msgspec.json.decode(content, type=Decimal)) if content[:1].isdigit() else None


_MILLIS = 10**11
_MICROS = 10**14


def moment(stated: object) -> datetime | None:
    """Return a time given as Unix seconds, milliseconds or RFC 3339 text. Null: None for what is none of them."""
    if isinstance(stated, str):
        try:
            found = msgspec.convert(stated.strip().replace(" ", "T", 1), datetime)
        except msgspec.ValidationError:
            return None
        return found.astimezone(UTC) if found.tzinfo is not None else None
    if not isinstance(stated, int | Decimal) or isinstance(stated, bool) or not 0 < stated < _MICROS:
        return None
    seconds: Any = stated if stated < _MILLIS else Decimal(stated) / 1000
    whole = int(seconds)
    return datetime.fromtimestamp(whole, UTC).replace(microsecond=int((seconds - whole) * 1_000_000))
