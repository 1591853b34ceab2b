"""Clients of httpx and httpx2, sync and async: their answers' streams are watched through the clients' own hooks."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import Any

from outlay.meter.vendors import call_of
from outlay.meter.watch import ROOM_BYTES, Scribe, Watch

LIBRARIES = ("httpx2", "httpx")


def library_of(client: object) -> Any:
    """Return the library a client is of, or None."""
    for kind in type(client).__mro__:
        root = kind.__module__.partition(".")[0]
        if root in LIBRARIES and kind.__name__ in {"Client", "AsyncClient"}:
            return sys.modules[root]
    return None


def hook(client: Any, scribe: Scribe) -> Callable[[], None]:
    """Watch a client's answers from here on; return what ends it."""
    library = library_of(client)
    is_async = isinstance(client, library.AsyncClient)
    sync_stream, async_stream = _streams(library)

    stream = async_stream if is_async else sync_stream
    provider, stats, fence = scribe.provider, scribe.spool.stats, scribe.fence

    def watch(response: Any) -> None:
        with fence:
            request = response.request
            url = request.url
            call = call_of(provider, request.method, url.host, url.path)
            if call is None:
                return
            stats.answers += 1
            body = None if call.asks is None else _content(request, call.asks)
            watching = Watch(scribe, call, response.status_code, response.headers, _pairs, body)
            if hasattr(response, "_content"):  # made by a transport that had it all, and decoded
                watching.decoded = True
                watching.take(response.content)
                watching.end(complete=True)
            else:
                response.stream = stream(response.stream, watching)

    async def watch_async(response: Any) -> None:
        watch(response)

    mine = watch_async if is_async else watch
    # First of all hooks: one of the program's own may read the answer.
    client.event_hooks["response"].insert(0, mine)

    def end() -> None:
        hooks = client.event_hooks["response"]
        if mine in hooks:
            hooks.remove(mine)

    return end


def _pairs(headers: Any) -> Any:
    return headers.raw


def _content(request: Any, name: str) -> Any:
    if hasattr(request, "_content"):
        return request.content
    # A form in several parts, whose files are never read here, or a stream, which is gone.
    fields = getattr(request.stream, "fields", ())
    values = (getattr(each, "value", None) for each in fields if each.name == name)
    value = next((value for value in values if isinstance(value, str)), None)
    return None if value is None else {name: value}


@cache
def _streams(library: Any) -> tuple[Any, Any]:
    """Return the two kinds of watched stream, made of the library's own so that its checks hold."""

    class Watched(library.SyncByteStream):  # type: ignore[misc]
        """A stream that is noted while it passes."""

        def __init__(self, stream: Any, watching: Watch) -> None:
            self._stream, self._watching = stream, watching

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__dict__["_stream"], name)

        def __iter__(self) -> Iterator[bytes]:
            append, room, complete = self._watching.chunks.append, ROOM_BYTES, False
            pieces = iter(self._stream)
            try:
                for piece in pieces:
                    append(piece)
                    room -= len(piece)
                    if room < 0:
                        room = self._watching.hand_over()
                    yield piece
                complete = True
            finally:
                self._watching.end(complete=complete)
                if not complete and hasattr(pieces, "close"):
                    pieces.close()

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._watching.end(complete=False)

    class AsyncWatched(library.AsyncByteStream):  # type: ignore[misc]
        """The same for those who wait."""

        def __init__(self, stream: Any, watching: Watch) -> None:
            self._stream, self._watching = stream, watching

        def __getattr__(self, name: str) -> Any:
            return getattr(self.__dict__["_stream"], name)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            append, room, complete = self._watching.chunks.append, ROOM_BYTES, False
            pieces = self._stream.__aiter__()
            try:
                async for piece in pieces:
                    append(piece)
                    room -= len(piece)
                    if room < 0:
                        room = self._watching.hand_over()
                    yield piece
                complete = True
            finally:
                self._watching.end(complete=complete)
                if not complete and hasattr(pieces, "aclose"):
                    await pieces.aclose()

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._watching.end(complete=False)

    return Watched, AsyncWatched
