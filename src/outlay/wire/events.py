"""Read server-sent events from the bytes of a stream, however they are cut."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from outlay.providers.base import Stream

_LINE_END = re.compile(rb"\r\n|\r|\n")
_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its name and its data, whose lines are joined by line feeds."""

    name: str
    data: bytes


class Events:
    """Take the bytes of one stream in pieces and give its events.

    A comment, a keep-alive without data and an event that is cut off by the end of the stream are no events.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._name = "message"
        self._data: list[bytes] = []
        self._begun = self._returned = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Yield the events that end in a piece."""
        self._rest += piece
        if not self._begun:
            if _MARK.startswith(self._rest) and self._rest != _MARK:
                return
            self._rest, self._begun = self._rest.removeprefix(_MARK), True
        if self._returned and self._rest:
            # The other half of a line's end: the line before is read already.
            self._rest, self._returned = self._rest.removeprefix(b"\n"), False
        position = 0
        while (end := _LINE_END.search(self._rest, position)) is not None:
            self._returned = end.group() == b"\r" and end.end() == len(self._rest)
            event = self._line(self._rest[position : end.start()])
            position = end.end()
            if event is not None:
                yield event
        self._rest = self._rest[position:]

    def _line(self, line: bytes) -> Event | None:
        if not line:
            event = Event(self._name, b"\n".join(self._data)) if self._data else None
            self._name, self._data = "message", []
            return event
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode(errors="replace")
        return None


def fits(event: Event, stream: Stream) -> bool:
    """Tell whether an event is one of those that are waited for, and whole."""
    if stream.event not in ("", event.name):
        return False
    if not stream.holds:
        return True
    try:
        found = msgspec.json.decode(event.data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return bytes(found.get(stream.holds, msgspec.Raw(b"null"))) != b"null"
