"""One answer, from its first byte to its last: what the program does with it is noted, and read in another thread."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec

from outlay.meter.fence import Fence
from outlay.meter.spool import Spool
from outlay.meter.streams import Collected, Decoder, Nothing, TooLargeError, collector, decoder
from outlay.meter.vendors import Call
from outlay.model.facts import Limit
from outlay.model.metering import MeterEvent
from outlay.providers.metering import UNCOUNTED, Counted, Seen

ROOM_BYTES = 64 << 10
"""So much of an answer is held until the writer's thread gets it."""
_TEXT_MAX = 200
_REQUEST_BYTES_MAX = 32 << 20

Headers = Sequence[tuple[Any, Any]]
Body = Callable[[], Any]


class Scribe:
    """Where the events of one attached client go, and what they have in common."""

    __slots__ = ("connection", "provider", "spool", "tags")

    def __init__(
        self, spool: Spool, *, provider: str | None, connection: str | None, tags: dict[str, str] | None
    ) -> None:
        self.spool, self.provider, self.connection, self.tags = spool, provider, connection, tags


class Watch:
    """Takes an answer's pieces as they pass: at once and without looking at them.

    Nothing here raises.
    """

    __slots__ = ("_body", "_broken", "_call", "_chunks", "_collected", "_decode", "_decoded", "_ended", "_headers",
                 "_room", "_scribe", "_status", "append", "complete")  # fmt: skip

    def __init__(self, scribe: Scribe, call: Call, status: int, headers: Headers, body: Body) -> None:
        self._scribe, self._call, self._status, self._headers, self._body = scribe, call, status, headers, body
        self._chunks: list[bytes] = []
        self.append = self._chunks.append
        self._room = ROOM_BYTES
        self._ended = self._broken = False
        self._decoded = False
        self._decode: Decoder | None = None
        self._collected: Collected = Nothing()
        self.complete = False
        scribe.spool.stats.answers += 1

    def decoded(self, *, already: bool) -> None:
        """Say whether pieces come without the answer's content-encoding."""
        self._decoded = already

    def take(self, chunk: bytes) -> None:
        """Note a piece that was passed on."""
        self.append(chunk)
        self._room -= len(chunk)
        if self._room < 0:
            self._room = self.hand_over()

    def hand_over(self) -> int:
        """Give what was appended to the writer's thread; return how many bytes may be appended until the next time."""
        chunks = self._chunks[:]
        self._chunks.clear()  # and not another list: `append` is this one's
        size = sum(map(len, chunks))
        if not self._scribe.spool.later(lambda: self._absorb(chunks), size):
            self._broken = True
        return ROOM_BYTES

    def end(self, *, complete: bool) -> None:
        """Note that no more will come; `complete` where the answer was read to its end."""
        if self._ended:
            return
        self._ended, self.complete = True, complete
        with Fence(self._scribe.spool.stats, "unwatched"):
            at = datetime.now(UTC)
            self._scribe.spool.later(lambda: self._conclude(at), sum(map(len, self._chunks)))

    # From here on in the writer's thread.

    def _absorb(self, chunks: Iterable[bytes]) -> tuple[MeterEvent, ...]:
        if self._broken:
            return ()
        stats = self._scribe.spool.stats
        with Fence(stats, "encoding") as fence:  # what a decoder raises must not lose the event
            try:
                self._feed(chunks)
            except TooLargeError:
                stats.fail("too_large")
                self._broken = True
        if self._broken or fence.failed:
            self._broken, self._collected = True, Nothing()
        return ()

    def _feed(self, chunks: Iterable[bytes]) -> None:
        if self._decode is None:
            self._begin()
        assert self._decode is not None
        for chunk in chunks:
            for piece in self._decode(bytes(chunk)):
                self._collected.feed(piece)

    def _begin(self) -> None:
        self._headers = headers = [(_text(name).lower(), _text(value)) for name, value in self._headers]
        found = dict(headers)
        metered = self._call.metered
        self._collected = collector(found.get("content-type", ""), metered.marks, metered.tail_bytes)
        self._decode = decoder("" if self._decoded else found.get("content-encoding", ""))

    def _conclude(self, at: datetime) -> Iterator[MeterEvent]:
        self._absorb(self._chunks)
        self._chunks = []
        seen = self._seen(at)
        counted = tuple(self._counted(seen))
        limits = tuple(self._limits(seen))
        if not counted and limits:
            counted = (Counted({}, model=seen.model),)
        for place, each in enumerate(counted):
            yield self._event(seen, each, () if place else limits)

    def _seen(self, at: datetime) -> Seen:
        headers = {_text(name).lower(): _text(value) for name, value in self._headers}
        metered = self._call.metered
        documents: tuple[bytes, ...] = ()
        if not self._broken:
            documents = self._collected.documents(complete=self.complete)
        model = self._call.model
        if model is None and metered.model_field is not None:
            model = requested(self._body, metered.model_field, self._scribe.spool)
        read = {name: headers[name] for name in metered.headers_read if name in headers}
        return Seen(self._status, read, documents, at, model, complete=self.complete and not self._broken)

    def _counted(self, seen: Seen) -> Iterable[Counted]:
        counted: tuple[Counted, ...] = ()
        with Fence(self._scribe.spool.stats, "unreadable") as fence:
            counted = tuple(self._call.metered.read(seen))
        if fence.failed:  # whatever a vendor sent, the call was made
            return (Counted(UNCOUNTED, model=seen.model),) if seen.done else ()
        if seen.done and not seen.complete and all(each.quantities.keys() <= {"requests"} for each in counted):
            return (Counted(UNCOUNTED, model=seen.model),)
        return counted

    def _limits(self, seen: Seen) -> Iterable[Limit]:
        with Fence(self._scribe.spool.stats, "unreadable"):  # strange headers must not lose the counts
            return tuple(self._call.metered.limits(seen))
        return ()

    def _event(self, seen: Seen, counted: Counted, limits: tuple[Limit, ...]) -> MeterEvent:
        scribe = self._scribe
        return MeterEvent(
            id=uuid4().hex,
            at=seen.observed_at,
            provider=self._call.provider,
            connection=scribe.connection,
            model=_plain(counted.model),
            service_tier=_plain(counted.service_tier),
            operation=self._call.metered.operation,
            context_tokens=counted.context_tokens,
            quantities=dict(counted.quantities),
            cost=counted.cost,
            limits=limits,
            status=self._status,
            tags=scribe.tags,
        )


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _plain(text: str | None) -> str | None:
    return text if text and len(text) <= _TEXT_MAX and text.isprintable() else None


def requested(body: Body, name: str, spool: Spool) -> str | None:
    """Return one field of a request, a JSON object or a form; everything else in it is passed over."""
    with Fence(spool.stats, "unreadable"):  # a request that cannot be read is only a model that is not known
        value = _value(body(), name)
        return _plain(value) if isinstance(value, str) else None
    return None


def _value(content: Any, name: str) -> Any:
    if isinstance(content, Mapping):
        return content.get(name)
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, (bytes, bytearray)) or len(content) > _REQUEST_BYTES_MAX:
        return None
    if content.lstrip()[:1] != b"{":
        part = re.search(rb'name="%s"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]{1,200})\r\n' % name.encode(), content)
        return part and part[1].decode(errors="replace")
    raw = msgspec.json.decode(content, type=dict[str, msgspec.Raw]).get(name)
    return None if raw is None else msgspec.json.decode(raw)
