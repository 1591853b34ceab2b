"""One answer, from its first byte to its last: what the program does with it is noted, and read in another thread.

Whatever happens here happens in every call of the program: pieces and what came with them are kept as they are, in as
few objects as can be, for each of them brings the next garbage collection nearer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from outlay.meter.fence import Fence
from outlay.meter.reader import Reader
from outlay.meter.spool import Spool
from outlay.meter.vendors import Call
from outlay.model.metering import MeterEvent

ROOM_BYTES = 64 << 10
"""So much of an answer is held until the writer's thread gets it."""

Headers = Callable[[Any], Iterable[tuple[Any, Any]]]


class Scribe:
    """Where the events of one attached client go, and what they have in common."""

    __slots__ = ("connection", "fence", "provider", "spool", "tags")

    def __init__(
        self, spool: Spool, *, provider: str | None, connection: str | None, tags: dict[str, str] | None
    ) -> None:
        self.spool, self.provider, self.connection, self.tags = spool, provider, connection, tags
        self.fence = Fence(spool.stats, "unwatched")
        """Around everything that is done in the program's own threads."""


class Watch(msgspec.Struct, gc=False):
    """Takes an answer's pieces as they pass: at once and without looking at them.

    Nothing here raises. The collector need not follow it, for nothing it holds leads back to it.
    """

    scribe: Scribe
    call: Call
    status: int
    headers: Any
    """As the library has them."""
    listed: Headers
    """Lists them, in the writer's thread."""
    body: Any = None
    """What was asked, where that may be needed to tell the model and lies in memory anyway."""
    chunks: list[bytes] = []
    """What passed and is not handed over; one and the same list to the end."""
    size: int = 0
    """How many bytes those are, where it is known."""
    decoded: bool = False
    """Whether pieces come without the answer's content-encoding."""
    ended_at: int = 0
    """Units: nanoseconds since 1970, 0 until it has ended."""
    complete: bool = False
    lost: bool = False
    """Whether there was no room for a part of it."""
    reader: Reader | None = None

    def take(self, chunk: bytes) -> None:
        """Note a piece that was passed on."""
        self.chunks.append(chunk)
        self.size += len(chunk)
        if self.size > ROOM_BYTES:
            self.hand_over()

    def hand_over(self) -> int:
        """Give what has passed to the writer's thread; return how many bytes may pass until the next time."""
        chunks = self.chunks[:]
        self.chunks.clear()
        self.size = 0
        if not self.scribe.spool.later(lambda: self._absorb(chunks), sum(map(len, chunks))):
            self.lost = True
        return ROOM_BYTES

    def end(self, *, complete: bool) -> None:
        """Note that no more will come; `complete` where the answer was read to its end."""
        if self.ended_at:
            return
        self.ended_at, self.complete = time.time_ns(), complete
        with self.scribe.fence:
            spool = self.scribe.spool
            size = self.size or sum(map(len, self.chunks))
            if self.body is not None:
                if spool.has_room(size + len(self.body)):
                    size += len(self.body)
                else:  # rather the model is not known, where the answer does not name it, than all of it is lost
                    self.body = None
            spool.later(self, size)

    # From here on in the writer's thread.

    def pairs(self) -> Iterable[tuple[Any, Any]]:
        """Return the answer's headers."""
        return self.listed(self.headers)

    def _absorb(self, chunks: Iterable[bytes]) -> tuple[MeterEvent, ...]:
        if self.reader is None:
            self.reader = Reader(self)
        self.reader.absorb(() if self.lost else chunks)
        return ()

    def __call__(self) -> Iterator[MeterEvent]:
        """Yield the events of the answer, which has ended."""
        self._absorb(self.chunks)
        self.chunks = []
        assert self.reader is not None
        yield from self.reader.conclude(self)
