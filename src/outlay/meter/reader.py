"""Read what one watched answer used: in the writer's thread, within bounds, whatever a vendor sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from outlay.meter.counts import Stats
from outlay.meter.fence import Fence
from outlay.meter.streams import Collected, Decoder, Nothing, TooLargeError, collector, decoder
from outlay.model.facts import Limit
from outlay.model.metering import MeterEvent
from outlay.providers.metering import UNCOUNTED, Counted, Seen

if TYPE_CHECKING:
    from outlay.meter.watch import Watch

_TEXT_MAX = 200
_REQUEST_BYTES_MAX = 32 << 20
_SECOND = 10**9


class Reader:
    """Takes an answer's pieces out of their encoding, and its figures out of the pieces."""

    __slots__ = ("_broken", "_collected", "_decode", "_decoded", "_headers", "_metered", "_stats")

    def __init__(self, watch: Watch) -> None:
        self._stats = watch.scribe.spool.stats
        self._headers = {_text(name).lower(): _text(value) for name, value in watch.pairs()}
        self._broken = False
        self._decode: Decoder | None = None
        self._decoded = watch.decoded
        self._metered = metered = watch.call.metered
        kind = self._headers.get("content-type", "")
        self._collected: Collected = collector(kind, metered.marks, metered.tail_bytes)

    def absorb(self, chunks: Iterable[bytes]) -> None:
        """Take the next pieces."""
        if self._broken:
            return
        with Fence(self._stats, "encoding") as fence:  # what a decoder raises must not lose the event
            try:
                self._feed(chunks)
            except TooLargeError:
                self._stats.fail("too_large")
                self._broken = True
        if self._broken or fence.failed:
            self._broken, self._collected = True, Nothing()

    def _feed(self, chunks: Iterable[bytes]) -> None:
        if self._decode is None:
            self._decode = decoder("" if self._decoded else self._headers.get("content-encoding", ""))
        # In one piece, for streams come in many small ones; it is no larger than what is handed over at once.
        for piece in self._decode(b"".join(chunks)):
            self._collected.feed(piece)

    def conclude(self, watch: Watch) -> Iterator[MeterEvent]:
        """Yield the events of the answer, which has ended."""
        seen = self._seen(watch)
        counted = tuple(self._counted(seen))
        limits = tuple(self._limits(seen))
        if not counted and limits:
            counted = (Counted({}, model=seen.model),)
        for place, each in enumerate(counted):
            yield _event(watch, seen, each, () if place else limits)

    def _seen(self, watch: Watch) -> Seen:
        headers, metered = self._headers, self._metered
        whole = watch.complete and not self._broken and not watch.lost
        documents: tuple[bytes, ...] = ()
        if not self._broken and not watch.lost:
            documents = self._collected.documents(complete=watch.complete)
        model = watch.call.model
        if watch.call.asks is not None and watch.body is not None:
            model = requested(watch.body, watch.call.asks, self._stats)
        read = {name: headers[name] for name in metered.headers_read if name in headers}
        seconds, rest = divmod(watch.ended_at, _SECOND)
        at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
        return Seen(watch.status, read, documents, at, model, complete=whole)

    def _counted(self, seen: Seen) -> Iterable[Counted]:
        counted: tuple[Counted, ...] = ()
        with Fence(self._stats, "unreadable") as fence:
            counted = tuple(self._metered.read(seen))
        if fence.failed:  # whatever a vendor sent, the call was made
            return (Counted(UNCOUNTED, model=seen.model),) if seen.done else ()
        if seen.done and not seen.complete and all(each.quantities.keys() <= {"requests"} for each in counted):
            return (Counted(UNCOUNTED, model=seen.model),)
        return counted

    def _limits(self, seen: Seen) -> Iterable[Limit]:
        with Fence(self._stats, "unreadable"):  # strange headers must not lose the counts
            return tuple(self._metered.limits(seen))
        return ()


def _event(watch: Watch, seen: Seen, counted: Counted, limits: tuple[Limit, ...]) -> MeterEvent:
    scribe, call = watch.scribe, watch.call
    return MeterEvent(
        id=uuid4().hex,
        at=seen.observed_at,
        provider=call.provider,
        connection=scribe.connection,
        model=_plain(counted.model),
        service_tier=_plain(counted.service_tier),
        operation=call.metered.operation,
        context_tokens=counted.context_tokens,
        quantities=dict(counted.quantities),
        cost=counted.cost,
        limits=limits,
        status=seen.status,
        tags=scribe.tags,
    )


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _plain(text: str | None) -> str | None:
    return text if text and len(text) <= _TEXT_MAX and text.isprintable() else None


def requested(content: Any, name: str, stats: Stats) -> str | None:
    """Return one field of a request, a JSON object or a form; everything else in it is passed over."""
    with Fence(stats, "unreadable"):  # a request that cannot be read is only a model that is not known
        value = _value(content, name)
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
