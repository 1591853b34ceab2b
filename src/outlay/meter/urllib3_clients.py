"""Sessions of requests and pools of urllib3: what is read of their answers is noted as it passes."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from outlay.meter.vendors import call_of
from outlay.meter.watch import Scribe, Watch

_MARK = "_outlay_watch"


def is_session(client: object) -> bool:
    """Return whether it is a session of requests."""
    return _is(client, "requests", "Session")


def is_pool(client: object) -> bool:
    """Return whether it is a pool manager of urllib3."""
    return _is(client, "urllib3", "PoolManager")


def _is(client: object, library: str, name: str) -> bool:
    return any(kind.__module__.partition(".")[0] == library and kind.__name__ == name for kind in type(client).__mro__)


def hook_session(session: Any, scribe: Scribe) -> Callable[[], None]:
    """Watch a session's answers from here on; return what ends it."""
    get_adapter = session.get_adapter

    def adapter_of(*args: Any, **kwargs: Any) -> Any:
        return _Adapter(get_adapter(*args, **kwargs), scribe)

    session.get_adapter = adapter_of

    def end() -> None:
        if session.__dict__.get("get_adapter") is adapter_of:
            del session.get_adapter

    return end


class _Adapter:
    """An adapter whose answers are watched; in everything else it is the session's own."""

    def __init__(self, adapter: Any, scribe: Scribe) -> None:
        self._adapter, self._scribe = adapter, scribe

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_adapter"], name)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        response = self._adapter.send(request, *args, **kwargs)
        with self._scribe.fence:
            _watch(self._scribe, request.method or "", request.url or "", request.body, response.raw)
        return response


def hook_pool(pool: Any, scribe: Scribe) -> Callable[[], None]:
    """Watch a pool manager's answers from here on; return what ends it."""
    urlopen = pool.urlopen

    def opened(method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        response = urlopen(method, url, *args, **kwargs)
        with scribe.fence:
            if not hasattr(response, _MARK):  # the answer after a redirect comes through here twice
                _watch(scribe, method, url, kwargs.get("body"), response)
        return response

    pool.urlopen = opened

    def end() -> None:
        if pool.__dict__.get("urlopen") is opened:
            del pool.urlopen

    return end


def _watch(scribe: Scribe, method: str, url: str, body: Any, raw: Any) -> None:
    place = urlsplit(url)
    call = call_of(scribe.provider, method, place.hostname or "", place.path)
    if call is None:
        return
    scribe.spool.stats.answers += 1
    said = body if call.asks is not None and isinstance(body, (bytes, bytearray, str)) else None
    watching = Watch(scribe, call, raw.status, raw.headers, _pairs, said)
    setattr(raw, _MARK, True)
    if getattr(raw, "_body", None) is not None:  # read already, and decoded
        watching.decoded = True
        watching.take(raw.data)
        watching.end(complete=True)
        return
    _Reading(raw, watching)


def _pairs(headers: Any) -> Any:
    return headers.items()


class _Reading:
    """Stands before the reading methods of one answer; those call each other, and only the outermost is noted."""

    def __init__(self, raw: Any, watching: Watch) -> None:
        self._watching, self._inside, self._default = watching, False, bool(getattr(raw, "decode_content", True))
        for name, decodes_at in (("read", 1), ("read1", 1)):
            if hasattr(raw, name):
                setattr(raw, name, self._reader(getattr(raw, name), decodes_at, weakref.ref(raw)))
        for name in ("stream", "read_chunked"):
            if hasattr(raw, name):
                setattr(raw, name, self._streamer(getattr(raw, name)))
        raw.close = self._closer(raw.close)
        raw.release_conn = self._closer(raw.release_conn)
        weakref.finalize(raw, watching.end, complete=False).atexit = False

    def _reader(self, read: Callable[..., bytes], decodes_at: int, of: Callable[[], Any]) -> Callable[..., bytes]:
        def noted(*args: Any, **kwargs: Any) -> bytes:
            if self._inside:
                return read(*args, **kwargs)
            self._inside = True
            try:
                piece = read(*args, **kwargs)
            finally:
                self._inside = False
            decode = args[decodes_at] if len(args) > decodes_at else kwargs.get("decode_content")
            self._note(piece, decode)
            amount = args[0] if args else kwargs.get("amt")
            raw = of()
            if amount is None or (not piece and amount != 0) or (raw is not None and raw.isclosed()):
                self._watching.end(complete=True)
            return piece

        return noted

    def _streamer(self, stream: Callable[..., Iterator[bytes]]) -> Callable[..., Iterator[bytes]]:
        def noted(*args: Any, **kwargs: Any) -> Iterator[bytes]:
            if self._inside:
                yield from stream(*args, **kwargs)
                return
            pieces = stream(*args, **kwargs)
            decode = args[1] if len(args) > 1 else kwargs.get("decode_content")
            complete = False
            try:
                while True:
                    self._inside = True
                    try:
                        piece = next(pieces)
                    except StopIteration:
                        complete = True
                        return
                    finally:
                        self._inside = False
                    self._note(piece, decode)
                    yield piece
            finally:
                if complete:
                    self._watching.end(complete=True)

        return noted

    def _closer(self, close: Callable[[], None]) -> Callable[[], None]:
        def noted() -> None:
            close()
            if not self._inside:
                self._watching.end(complete=False)

        return noted

    def _note(self, piece: bytes, decode: bool | None) -> None:
        if piece:
            self._watching.decoded = self._default if decode is None else bool(decode)
            self._watching.take(piece)
