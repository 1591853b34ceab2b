"""Read meter events out of logs: answers of the OpenAI or Claude kind, one JSON object a line; content is never kept.

A line is an answer as the API gave it, a line of a batch's output file (`custom_id`, `response.body`), or a request
with its response as proxies log them. Ids are derived from what a line says, so a file read twice is taken once.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from outlay.errors import ConfigError
from outlay.meter.answers import Answer, written
from outlay.meter.bounds import Rejected, RejectedError, check
from outlay.model.metering import MeterEvent

LINE_BYTES_MAX = 16 << 20
REJECTED_MAX = 100
"""How many lines that are not taken are told one by one; all are counted."""
_TIMES = ("timestamp", "time", "end_time", "endTime", "completed_at", "created_at", "created", "date")


class _Request(Struct):
    model: str | None = None
    service_tier: str | None = None


class _Response(Answer):
    status_code: int | None = None
    body: msgspec.Raw = msgspec.Raw()


class _Line(Answer):
    custom_id: str | None = None
    request: msgspec.Raw = msgspec.Raw()
    request_body: msgspec.Raw = msgspec.Raw()
    response: msgspec.Raw = msgspec.Raw()
    response_body: msgspec.Raw = msgspec.Raw()


_line = msgspec.json.Decoder(_Line)
_answer = msgspec.json.Decoder(_Response)
_asked = msgspec.json.Decoder(_Request)
_times = msgspec.json.Decoder(dict[str, msgspec.Raw])
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)


@dataclass(slots=True)
class Wish:
    """What a file does not say of its lines. Null: `at` None leaves out lines that do not say when they were."""

    provider: str
    connection: str | None = None
    at: datetime | None = None
    service_tier: str | None = None


@dataclass(slots=True)
class Found:
    """What became of a file's lines so far."""

    lines: int = 0
    events: int = 0
    without_usage: int = 0
    """Lines of calls that failed, or of something else: nothing in them is billed by tokens."""
    rejected_count: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    """The first of those that could not be read, by line number."""


def read(path: Path, wish: Wish, now: datetime, found: Found) -> Iterator[MeterEvent]:
    """Yield the events of a file, holding one line of it at a time; what became of its lines is counted in `found`.

    Raises: ConfigError when the file cannot be read.
    """
    twins: Counter[bytes] = Counter()
    try:
        with path.open("rb") as file:
            for number, line in _lines(file):
                found.lines += 1
                try:
                    event = _event(line, wish, now, twins)
                except RejectedError as error:
                    found.rejected_count += 1
                    if len(found.rejected) < REJECTED_MAX:
                        found.rejected.append(Rejected(number, error.code, str(error)))
                    continue
                if event is None:
                    found.without_usage += 1
                else:
                    found.events += 1
                    yield event
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="Name a file of JSON lines.") from None


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines that are not empty, with their number; None for one that is too long."""
    for number in itertools.count(1):
        line = file.readline(LINE_BYTES_MAX + 1)
        if not line:
            return
        if len(line) > LINE_BYTES_MAX:
            while line and not line.endswith(b"\n"):
                line = file.readline(LINE_BYTES_MAX)
            yield number, None
        elif line.strip():
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line


def _event(line: bytes | None, wish: Wish, now: datetime, twins: Counter[bytes]) -> MeterEvent | None:
    if line is None:
        raise RejectedError(f"the line is longer than {LINE_BYTES_MAX} bytes", "line_too_long")
    try:
        whole = _line.decode(line)
        answer, batched = _answer_of(whole)
        asked = _asked_of(whole)
    except _UNREADABLE as error:
        # Only where it stands and of which type it is: never what stands there.
        says = str(error)[:200] if isinstance(error, msgspec.ValidationError) else "not a JSON object"
        raise RejectedError(f"the line cannot be read: {says}", "line_unreadable") from None
    if answer is None or answer.usage is None:
        return None
    quantities = answer.quantities()
    at = answer.at or _logged_at(line) or wish.at
    if at is None:
        raise RejectedError("it does not say when it was; give the day with --day", "time_missing")
    model = answer.model or asked.model or (whole.model if answer is not whole else None)
    made = MeterEvent(
        id=_id(whole, answer, wish.provider, (at, model, answer.usage), twins),
        at=at,
        provider=wish.provider,
        connection=wish.connection,
        model=model,
        service_tier=wish.service_tier or ("batch" if batched else answer.tier),
        operation=answer.operation,
        context_tokens=answer.usage.prompt,
        quantities=quantities,
    )
    return check(made, now, any_age=True)


def _answer_of(line: _Line) -> tuple[Answer | None, bool]:
    """Return the answer a line holds, and whether it came through the batch API."""
    held = _held(line.response) or _held(line.response_body)
    if not held:
        return line, False
    found = _answer.decode(_plain(held))
    body = _held(found.body)
    if body:
        return _answer.decode(_plain(body)), line.custom_id is not None
    return found, False


def _asked_of(line: _Line) -> _Request:
    held = _held(line.request) or _held(line.request_body)
    return _Request() if not held else _asked.decode(_plain(held))


def _held(raw: msgspec.Raw) -> bytes:
    content = bytes(raw).strip()
    return b"" if content == b"null" else content


def _plain(content: bytes) -> bytes:
    """Return an object's JSON, also where a log wrote it as text; what is no object becomes an empty one."""
    if content.startswith(b'"'):
        content = msgspec.json.decode(content, type=str).strip().encode()
    return content if content.startswith(b"{") else b"{}"


def _logged_at(line: bytes) -> datetime | None:
    fields = _times.decode(line)
    return next((at for name in _TIMES if (at := written(fields.get(name, msgspec.Raw()))) is not None), None)


def _id(whole: _Line, answer: Answer, provider: str, said: object, twins: Counter[bytes]) -> str:
    """Return the id of a call: the answer's own, else a digest of its figures and how many like it came before."""
    if answer.id:
        return f"{provider} {answer.id[:400]}"
    figures = msgspec.msgpack.encode((whole.custom_id, whole.id, said))
    seal = blake2b(figures, digest_size=16).digest()
    twins[seal] += 1
    return f"{provider} line {seal.hex()} {twins[seal]}"
