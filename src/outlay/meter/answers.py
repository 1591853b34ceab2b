"""Read what an answer used: OpenAI-compatible ones and Claude's messages; its content is never kept.

Units: tokens. `prompt_tokens` (or `input_tokens`) hold the cached, written and audio ones, `completion_tokens` (or
`output_tokens`) the reasoning and the audio ones: the parts are taken out, so that nothing is counted twice. The
`input_tokens` of a message hold neither what its cache gave nor what was written to it: those stand beside them.
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
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _Output(Struct):
    reasoning_tokens: int | None = None
    thinking_tokens: int | None = None
    audio_tokens: int | None = None


class _Written(Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _Tools(Struct):
    web_search_requests: int | None = None


class _Action(Struct):
    type: str | None = None


class _Item(Struct):
    type: str | None = None
    action: _Action | None = None


_items = msgspec.json.Decoder(list[_Item])


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
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Written | None = None
    server_tool_use: _Tools | None = None
    service_tier: str | None = None
    speed: str | None = None

    @property
    def prompt(self) -> int | None:
        """Return the whole prompt, cached tokens included."""
        if self.prompt_tokens is not None or self.input_tokens is None:
            return self.prompt_tokens
        return self.input_tokens + sum(self._beside())

    def _beside(self) -> tuple[int, int, int]:
        """Return what a message read from its cache and wrote to it, for minutes and for an hour."""
        if self.prompt_tokens is not None:
            return 0, 0, 0
        kept = self.cache_creation or _Written()
        long = kept.ephemeral_1h_input_tokens or 0
        # The parts have been seen to be 0 beside a total that is not; unless asked, tokens stay five minutes.
        short = max(kept.ephemeral_5m_input_tokens or 0, (self.cache_creation_input_tokens or 0) - long)
        return self.cache_read_input_tokens or 0, short, long

    def quantities(self) -> dict[str, Decimal]:
        """Return the quantities by meter. Raises: RejectedError where parts are more than their whole."""
        completion = self.completion_tokens if self.completion_tokens is not None else self.output_tokens
        if self.prompt is None and completion is None:
            raise RejectedError("the usage names no tokens")
        given = self.prompt_tokens_details or self.input_tokens_details or _Input()
        made = self.completion_tokens_details or self.output_tokens_details or _Output()
        cached = given.cached_tokens if given.cached_tokens is not None else self.prompt_cache_hit_tokens
        read, short, long = self._beside()
        found = dict(
            parts(
                self.prompt,
                completion,
                cached=read or cached,
                written=short or given.cache_write_tokens,
                written_long=long,
                reasoning=made.reasoning_tokens if made.reasoning_tokens is not None else made.thinking_tokens,
                audio_in=given.audio_tokens,
                audio_out=made.audio_tokens,
            )
        )
        searches = (self.server_tool_use and self.server_tool_use.web_search_requests) or 0
        return {**found, "searches": Decimal(searches)} if searches else found


class Answer(Struct):
    """An answer's figures: every other field, the content among them, is passed over."""

    id: str | None = None
    object: str | None = None
    model: str | None = None
    created: msgspec.Raw = msgspec.Raw()
    created_at: msgspec.Raw = msgspec.Raw()
    service_tier: str | None = None
    usage: Usage | None = None
    output: msgspec.Raw = msgspec.Raw()

    def quantities(self) -> dict[str, Decimal]:
        """Return the quantities by meter, with the web searches that a response's usage does not tell.

        Units:  pages opened and searched within are not billed as searches.
        Raises: RejectedError where there are none, or parts are more than their whole.
        """
        found = self.usage.quantities() if self.usage is not None else {}
        searches = sum(1 for each in self._items() if each.type == "web_search_call" and _searched(each.action))
        return {**found, "searches": Decimal(searches)} if searches else found

    def _items(self) -> list[_Item]:
        content = bytes(self.output)
        if self.object != "response" or not content:
            return []
        try:
            return _items.decode(content)
        except msgspec.ValidationError:
            return []

    @property
    def tier(self) -> str | None:
        """Return the service tier, wherever it stands; None for the standard one."""
        told = self.usage
        if told is not None and told.speed == "fast":
            return told.speed
        return tier(self.service_tier or (told.service_tier if told is not None else None))

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
    written_long: int | None = None,
    reasoning: int | None = None,
    audio_in: int | None = None,
    audio_out: int | None = None,
) -> Iterator[tuple[str, Decimal]]:
    """Yield disjoint quantities by meter of wholes and the parts within them; a part of zero is left out.

    Raises: RejectedError for negative figures and for parts that are more than their whole.
    """
    figures = (prompt, completion, cached, written, written_long, reasoning, audio_in, audio_out)
    if any(figure is not None and figure < 0 for figure in figures):
        raise RejectedError("a number of tokens is negative", "quantity_refused")
    yield "requests", Decimal(1)
    if prompt is not None:
        rest = prompt - sum(part or 0 for part in (cached, written, written_long, audio_in))
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
        "cache_write_1h_tokens": written_long,
        "reasoning_tokens": reasoning,
        "input_audio_tokens": audio_in,
        "output_audio_tokens": audio_out,
    }
    yield from ((meter, Decimal(figure)) for meter, figure in named.items() if figure)


def _searched(action: _Action | None) -> bool:
    return action is None or action.type in {None, "search"}


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
