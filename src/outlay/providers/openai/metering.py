"""How OpenAI's answers are metered: chat, responses, embeddings, images, transcriptions, speech.

Never: add cached, cache-write, audio or reasoning tokens to the totals that hold them; take a stream that tells no
       usage (without `stream_options.include_usage`) for one that used nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from outlay.model.facts import Limit
from outlay.model.money import exact
from outlay.providers.completions import completions
from outlay.providers.metering import UNCOUNTED, Counted, Metered, Metering, Seen
from outlay.providers.openai.usage import SERVICE
from outlay.providers.ratelimits import header_limit

_UNITS = ("requests", "tokens")
HEADERS = tuple(f"x-ratelimit-{what}-{unit}" for unit in _UNITS for what in ("limit", "remaining", "reset"))
_ONE = Decimal(1)


class AudioParts(Struct, gc=False):
    """The part of a transcription's prompt that is sound."""

    audio_tokens: int | None = None


class TranscriptionUsage(Struct, gc=False):
    """What a transcription is billed by: tokens or seconds, as its model is."""

    seconds: Decimal | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: AudioParts | None = None


class Transcription(Struct, gc=False):
    """A transcription without its text."""

    usage: TranscriptionUsage | None = None
    duration: Decimal | None = None


class ImageUsage(Struct, gc=False):
    """What an image is billed by, where its model counts tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None


class Images(Struct, gc=False):
    """Generated images without the images."""

    data: list[object] = []
    usage: ImageUsage | None = None


class Action(Struct, gc=False):
    """What a tool did, without what it was asked for."""

    type: str | None = None


class Item(Struct, gc=False):
    """One item of a response's output, without its content."""

    type: str | None = None
    action: Action | None = None


class Output(Struct, gc=False):
    """A response's items, or an event of a stream that holds the response."""

    output: list[Item] = []
    response: Output | None = None


def responses(seen: Seen) -> Iterator[Counted]:
    """Count a response, with its web searches: these are billed by the call and are not in the usage.

    Units: pages opened and searched within are not billed as searches.
    """
    searches = 0
    for document in seen.documents if seen.done else ():
        said = msgspec.json.decode(document, type=Output)
        items = (said.response or said).output
        searches = sum(1 for each in items if _is_search(each)) or searches
    for counted in completions(seen):
        more = {"searches": Decimal(searches)} if searches else {}
        yield replace(counted, quantities={**counted.quantities, **more})


def _is_search(item: Item) -> bool:
    return item.type == "web_search_call" and (item.action is None or item.action.type in {None, "search"})


def transcriptions(seen: Seen) -> Iterator[Counted]:
    """Count a transcription by its tokens or its seconds, whichever the vendor bills. Units: seconds of audio."""
    if not seen.done:
        return
    used: TranscriptionUsage | None = None
    for document in seen.documents:
        said = msgspec.json.decode(document, type=Transcription)
        used = said.usage or used or (TranscriptionUsage(seconds=said.duration) if said.duration else None)
    if used is None or (used.seconds is None and used.input_tokens is None):
        yield Counted(UNCOUNTED, model=seen.model)
        return
    if used.seconds is not None:
        yield Counted({"requests": _ONE, "audio_seconds": exact(used.seconds)}, model=seen.model)
        return
    prompt = used.input_tokens or 0
    sound = (used.input_token_details and used.input_token_details.audio_tokens) or 0
    if sound > prompt:
        raise ValueError(f"{sound} tokens of audio are more than the {prompt} that hold them")
    counts = {"input_tokens": prompt - sound, "input_audio_tokens": sound, "output_tokens": used.output_tokens or 0}
    yield Counted(
        {"requests": _ONE, **{meter: Decimal(count) for meter, count in counts.items() if count}}, model=seen.model
    )


def images(seen: Seen) -> Iterator[Counted]:
    """Count generated images; their tokens have prices of their own that no meter here stands for."""
    if not seen.done:
        return
    made = 0
    for document in seen.documents:
        made = len(msgspec.json.decode(document, type=Images).data) or made
    yield Counted({"requests": _ONE, "images": Decimal(made)} if made else UNCOUNTED, model=seen.model)


def uncounted(seen: Seen) -> Iterator[Counted]:
    """Count a call whose answer does not say what it used."""
    if seen.done:
        yield Counted(UNCOUNTED, model=seen.model)


def limits(seen: Seen) -> Iterator[Limit]:
    """Turn the rate limit headers into limits.

    Units:  resets are durations from the answer on.
    Null:   the window is not told, for accounts have limits per minute and per day.
    """
    for unit in _UNITS:
        limit = header_limit(
            seen.headers, f"x-ratelimit-{{}}-{unit}", seen.observed_at, name=f"{unit} (as answers tell)", unit=unit,
            scope="key", model=seen.model,
        )  # fmt: skip
        if limit is not None:
            yield limit


def _call(operation: str, path: str, read: object = completions, **more: object) -> Metered:
    return Metered(operation, f"/v1/{path}", read, limits, HEADERS, model_field="model", **more)  # type: ignore[arg-type]


METERING = Metering(
    hosts=("api.openai.com", ".api.openai.com"),
    calls=(
        _call("chat", "chat/completions"),
        _call("responses", "responses", responses),
        _call("completion", "completions"),
        _call("embeddings", "embeddings"),
        _call("transcription", "audio/transcriptions", transcriptions),
        _call("translation", "audio/translations", transcriptions),
        _call("speech", "audio/speech", uncounted),
        _call("image", "images/(?:generations|edits|variations)", images),
    ),
    service_name=SERVICE,
    usage_dataset="usage.completions",
    dated=r"-\d{4}-\d{2}-\d{2}",
)
