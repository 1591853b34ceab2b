"""Answers in pieces: taken out of their encoding, cut into events, and all but those with figures let go.

Everything here works in the writer's thread and within bounds.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

DOCUMENT_BYTES_MAX = 32 << 20
"""The largest body, or event of a stream, that is read for its figures."""
_DOCUMENTS_MAX = 10_000
_PIECE = 1 << 20
_BOM = b"\xef\xbb\xbf"
_GZIP = 16 + zlib.MAX_WBITS


class TooLargeError(ValueError):
    """Say that an answer is larger than what is read."""


class EncodingError(ValueError):
    """Say that an encoding cannot be undone here."""


Decoder = Callable[[bytes], Iterator[bytes]]


def decoder(encoding: str) -> Decoder:
    """Return what undoes a content-encoding piece by piece. Raises: EncodingError for one that nothing here undoes."""
    names = [name.strip().lower() for name in encoding.split(",") if name.strip()]
    names = [name for name in names if name != "identity"]
    if not names:
        return _same
    if len(names) > 1:
        raise EncodingError(encoding)
    if names[0] in {"gzip", "x-gzip"}:
        return _Inflated(_GZIP)
    if names[0] == "deflate":
        return _Inflated(zlib.MAX_WBITS)
    if names[0] == "br":
        return _brotli()
    if names[0] == "zstd":
        return _zstd()
    raise EncodingError(encoding)


def _same(chunk: bytes) -> Iterator[bytes]:
    yield chunk


class _Inflated:
    """Undo gzip or deflate, a piece of bounded size at a time, however well it was compressed."""

    def __init__(self, bits: int) -> None:
        self._bits, self._started = bits, False
        self._inflate = zlib.decompressobj(bits)

    def __call__(self, chunk: bytes) -> Iterator[bytes]:
        """Yield what a chunk holds."""
        rest = chunk
        while rest:
            try:
                piece = self._inflate.decompress(rest, _PIECE)
            except zlib.error as error:
                if self._started or self._bits == _GZIP:
                    raise EncodingError("broken") from error
                # Some servers say deflate and send it without its header.
                self._inflate, self._started = zlib.decompressobj(-zlib.MAX_WBITS), True
                continue
            self._started = True
            if piece:
                yield piece
            rest = self._inflate.unconsumed_tail
            if self._inflate.eof:
                rest = self._inflate.unused_data if self._bits == _GZIP else b""
                self._inflate = zlib.decompressobj(self._bits)


class _Undo(Protocol):
    def decompress(self, chunk: bytes, /) -> bytes:
        """Return what a chunk holds."""
        ...


def _brotli() -> Decoder:
    from importlib import import_module

    for name in ("brotli", "brotlicffi"):
        try:
            module: Any = import_module(name)
        except ImportError:
            continue
        undo = module.Decompressor()
        return _through(undo.process if hasattr(undo, "process") else undo.decompress)
    raise EncodingError("br")


def _zstd() -> Decoder:
    from importlib import import_module

    for name, maker in (("compression.zstd", "ZstdDecompressor"), ("zstandard", "ZstdDecompressor")):
        try:
            undo: Any = getattr(import_module(name), maker)()
        except ImportError:
            continue
        made: _Undo = undo.decompressobj() if hasattr(undo, "decompressobj") else undo
        return _through(made.decompress)
    raise EncodingError("zstd")


def _through(undo: Callable[[bytes], bytes]) -> Decoder:
    def pieces(chunk: bytes) -> Iterator[bytes]:
        # These libraries have no bound on what they return: small pieces go in, so that what comes out is bounded.
        for start in range(0, len(chunk), 1 << 12):
            yield undo(chunk[start : start + (1 << 12)])

    return pieces


class Whole:
    """A body that is one document."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> None:
        """Take the next piece. Raises: TooLargeError."""
        self._size += len(piece)
        if self._size > DOCUMENT_BYTES_MAX:
            self._parts.clear()
            raise TooLargeError
        self._parts.append(piece)

    def documents(self, *, complete: bool) -> tuple[bytes, ...]:
        """Return the body, unless it was cut."""
        body = b"".join(self._parts).strip()
        return (body,) if complete and body else ()


class Nothing:
    """A body that holds no figures, such as sound."""

    def feed(self, piece: bytes) -> None:
        """Let it pass."""

    def documents(self, *, complete: bool) -> tuple[bytes, ...]:
        """Return nothing."""
        del complete
        return ()


class Lines:
    """A body of one document a line."""

    def __init__(self, marks: tuple[bytes, ...], tail_bytes: int = 0) -> None:
        self._marks, self._tail_bytes = marks, tail_bytes
        self._kept: list[tuple[int, bytes]] = []
        self._tail: list[tuple[int, bytes]] = []
        self._tail_size = self._seen = 0
        self._buffer = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next piece, wherever it was cut. Raises: TooLargeError."""
        ended = b"\n" in piece or b"\r" in piece
        self._buffer += piece
        if ended or self._buffer.endswith(b"\r"):
            # A carriage return at the very end may be half of a line's end.
            end = len(self._buffer) - self._buffer.endswith(b"\r")
            cut = max(self._buffer.rfind(b"\n", 0, end), self._buffer.rfind(b"\r", 0, end)) + 1
            lines = bytes(self._buffer[:cut])
            del self._buffer[:cut]
            for line in lines.splitlines():
                self._line(line)
        if len(self._buffer) > DOCUMENT_BYTES_MAX:
            self._buffer.clear()
            raise TooLargeError

    def _line(self, line: bytes) -> None:
        self._event(line)

    def _event(self, content: bytes) -> None:
        if not content:
            return
        self._seen += 1
        for mark in self._marks:
            if mark in content:
                if len(self._kept) >= _DOCUMENTS_MAX:
                    del self._kept[1]  # the first and the last say most
                self._kept.append((self._seen, content))
                break
        if self._tail_bytes:
            self._tail.append((self._seen, content))
            self._tail_size += len(content)
            while self._tail and self._tail_size > self._tail_bytes:
                self._tail_size -= len(self._tail.pop(0)[1])

    def documents(self, *, complete: bool) -> tuple[bytes, ...]:
        """Return the documents that are kept, oldest first; one that was cut is none."""
        self.finish(complete=complete)
        return tuple(content for _, content in sorted(dict([*self._kept, *self._tail]).items()))

    def finish(self, *, complete: bool) -> None:
        """Take what is left as a line of its own where the answer is complete."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        if complete and rest:
            for line in rest.splitlines():
                self._line(line)


class Events(Lines):
    """A stream of server-sent events, whose data are the documents."""

    def __init__(self, marks: tuple[bytes, ...], tail_bytes: int = 0) -> None:
        super().__init__(marks, tail_bytes)
        self._data: list[bytes] = []
        self._data_size = 0
        self._first = True

    def _line(self, line: bytes) -> None:
        if self._first:
            line, self._first = line.removeprefix(_BOM), False
        if not line:
            self._event(b"\n".join(self._data))
            self._data, self._data_size = [], 0
        elif line.startswith(b"data:"):
            content = line[5:].removeprefix(b" ")
            self._data_size += len(content)
            if self._data_size > DOCUMENT_BYTES_MAX:
                self._data, self._data_size = [], 0
                raise TooLargeError
            self._data.append(content)

    def finish(self, *, complete: bool) -> None:
        """End the last event where the answer is complete and left out its empty line."""
        super().finish(complete=complete)
        if complete and self._data:
            self._event(b"\n".join(self._data))
        self._data = []


Collected = Whole | Nothing | Lines


def collector(media_type: str, marks: tuple[bytes, ...], tail_bytes: int = 0) -> Collected:
    """Return what collects the documents of a body of a media type."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return Events(marks, tail_bytes)
    if kind in {"application/x-ndjson", "application/jsonl", "application/jsonlines"}:
        return Lines(marks, tail_bytes)
    if kind in {"application/json", "text/json", ""} or kind.endswith("+json"):
        return Whole()
    return Nothing()
