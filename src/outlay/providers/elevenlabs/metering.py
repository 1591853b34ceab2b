"""How ElevenLabs' answers are metered: the credits a header tells, the seconds a transcription tells."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec
from msgspec import Struct

from outlay.model.facts import Limit, LimitBasis, LimitKind
from outlay.model.money import exact
from outlay.providers.elevenlabs.tables import service_of
from outlay.providers.metering import UNCOUNTED, Counted, Metered, Metering, Seen
from outlay.providers.ratelimits import number

_COST, _RUNNING, _AT_MOST = "character-cost", "current-concurrent-requests", "maximum-concurrent-requests"
HEADERS = (_COST, _RUNNING, _AT_MOST)


class Transcription(Struct, gc=False):
    """A transcription without its text."""

    audio_duration_secs: Decimal | None = None


def speech(seen: Seen) -> Iterator[Counted]:
    """Count what was spoken. Units: the header, whatever its name, is credits."""
    if not seen.done:
        return
    credits_used = number(seen.headers.get(_COST))
    counts = UNCOUNTED if credits_used is None else {"requests": Decimal(1), "credits": credits_used}
    yield Counted(counts, model=seen.model)


def transcriptions(seen: Seen) -> Iterator[Counted]:
    """Count a transcription by the seconds of its audio."""
    if not seen.done:
        return
    seconds: Decimal | None = None
    for document in seen.documents:
        seconds = msgspec.json.decode(document, type=Transcription).audio_duration_secs
    counts = UNCOUNTED if seconds is None else {"requests": Decimal(1), "audio_seconds": exact(seconds)}
    yield Counted(counts, model=seen.model)


def limits(seen: Seen) -> Iterator[Limit]:
    """Turn the concurrency headers into a limit."""
    quota, used = number(seen.headers.get(_AT_MOST)), number(seen.headers.get(_RUNNING))
    if quota is not None:
        yield Limit(name="concurrent requests", scope="workspace", kind=LimitKind.RATE, unit="requests", quota=quota,
                    used=used, basis=LimitBasis.HEADER)  # fmt: skip


def _call(operation: str, path: str) -> Metered:
    return Metered(operation, path, speech, limits, HEADERS, model_field="model_id")


METERING = Metering(
    hosts=("api.elevenlabs.io", ".elevenlabs.io"),
    calls=(
        _call("speech", "/v1/text-to-speech/[^/]+(?:/stream)?(?:/with-timestamps)?"),
        _call("speech", "/v1/text-to-dialogue(?:/stream)?(?:/with-timestamps)?"),
        _call("voice_change", "/v1/speech-to-speech/[^/]+(?:/stream)?"),
        _call("sound", "/v1/sound-generation"),
        _call("music", "/v1/music(?:/stream|/detailed)?"),
        Metered("transcription", "/v1/speech-to-text", transcriptions, limits, HEADERS, model_field="model_id"),
    ),
    service_name=service_of(None),
)
