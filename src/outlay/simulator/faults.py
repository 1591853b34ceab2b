"""Faults on demand: what a hostile or unlucky vendor does, chosen by provider, path and key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from fnmatch import fnmatchcase
from threading import Lock
from typing import Any, Literal

from outlay.simulator.faces.base import Answer, Ask, Face, Refusal, to_json

Times = int | Literal["forever"]

# kind: how often it strikes unless told otherwise
KINDS: dict[str, Times] = {
    "rate_limit": 1,
    "server_error": 1,
    "html": 1,
    "cut": 1,
    "slow": 1,
    "huge": 1,
    "redirect": 1,
    "revoked_key": "forever",
    "empty_organization": "forever",
    "repeat_cursor": "forever",
    "null_cursor": "forever",
    "extra_fields": "forever",
    "unknown_enums": "forever",
    "unknown_kinds": "forever",
    "string_amounts": "forever",
    "nan_amount": "forever",
    "duplicate_rows": "forever",
    "null_dimensions": "forever",
    "clock_skew": "forever",
}
_ANSWERING = frozenset({"rate_limit", "server_error", "html", "redirect", "revoked_key"})
_SLOW_SECONDS_MAX = 10.0
REPEATED_CURSOR = "page_AAAAcmVwZWF0ZWQ="
_HTML = b"<!DOCTYPE html><html><head><title>%d</title></head><body><h1>Something went wrong</h1></body></html>"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault and where it strikes.

    Null:  `provider`, `path` and `key` of None match everything; `path` is a pattern on the vendor's own path
           ("/v1/organization/costs", "*usage*"), `key` a credential with its label.
    Units: `after` matching requests pass before it strikes; `delay` is Retry-After seconds, None sends no such header,
           `delay_form` "date" writes it as an HTTP date; `seconds` slows an answer down; `megabytes` sizes a huge one;
           `days` skews the Date header; `text` is what stands for one amount, None for null.
    """

    kind: str
    provider: str | None = None
    path: str | None = None
    key: str | None = None
    times: Times = 1
    after: int = 0
    status: int | None = None
    delay: int | None = 1
    delay_form: Literal["seconds", "date"] = "seconds"
    seconds: float = 0.5
    megabytes: int = 50
    days: int = 1
    to: str = "http://elsewhere.invalid/"
    text: str | None = "NaN"
    id: int = 0


@dataclass(slots=True)
class Plan:
    """What the faults of one request come to: an answer of their own, changes to the real one, and its delivery."""

    answering: Fault | None = None
    bending: list[Fault] = field(default_factory=list)

    def first(self, kind: str) -> Fault | None:
        """Return the first fault of a kind."""
        return next((fault for fault in self.bending if fault.kind == kind), None)

    @property
    def slow_seconds(self) -> float:
        """Return how long the answer is held back, bounded."""
        return min(_SLOW_SECONDS_MAX, sum(fault.seconds for fault in self.bending if fault.kind == "slow"))

    @property
    def cursor_stuck(self) -> bool:
        """Return whether cursors sent are ignored, so that each page is the first again."""
        return self.first("repeat_cursor") is not None


CLEAR = Plan()


class Faults:
    """The faults in force, safe to change while requests are served."""

    def __init__(self) -> None:
        self._active: list[Fault] = []
        self._lock = Lock()
        self._count = 0

    def add(self, kind: str, **where: Any) -> Fault:
        """Put a fault in force and return it.

        Raises: ValueError for an unknown kind or setting.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; known are {', '.join(KINDS)}")
        try:
            fault = Fault(kind, **{"times": KINDS[kind], **where})
        except TypeError as error:
            raise ValueError(str(error)) from None
        if fault.times != "forever" and not (isinstance(fault.times, int) and fault.times > 0):
            raise ValueError("times is a positive whole number or 'forever'")
        with self._lock:
            self._count += 1
            fault = replace(fault, id=self._count)
            self._active.append(fault)
        return fault

    def remove(self, fault_id: int) -> None:
        """Lift one fault; one that is spent already is no error."""
        with self._lock:
            self._active = [fault for fault in self._active if fault.id != fault_id]

    def clear(self) -> None:
        """Lift all faults."""
        with self._lock:
            self._active = []

    def active(self) -> list[dict[str, Any]]:
        """Return the faults in force as plain values."""
        with self._lock:
            return [asdict(fault) for fault in self._active]

    def plan(self, provider: str, path: str, key: str | None) -> Plan:
        """Return what strikes this request, and count it down.

        Order: of several faults that answer by themselves the earliest added strikes; the others wait their turn.
        """
        if not self._active:
            return CLEAR
        plan = Plan()
        with self._lock:
            remaining = []
            for fault in self._active:
                if not _matches(fault, provider, path, key):
                    remaining.append(fault)
                elif fault.after:
                    remaining.append(replace(fault, after=fault.after - 1))
                elif fault.kind in _ANSWERING and plan.answering is not None:
                    remaining.append(fault)
                else:
                    if fault.kind in _ANSWERING:
                        plan.answering = fault
                    else:
                        plan.bending.append(fault)
                    remaining += _spent(fault)
            self._active = remaining
        return plan


def _matches(fault: Fault, provider: str, path: str, key: str | None) -> bool:
    return (
        fault.provider in (None, provider)
        and fault.key in (None, key)
        and (fault.path is None or fnmatchcase(path, fault.path))
    )


def _spent(fault: Fault) -> list[Fault]:
    if fault.times == "forever":
        return [fault]
    return [replace(fault, times=fault.times - 1)] if fault.times > 1 else []


def answer_of(fault: Fault, face: Face, ask: Ask) -> Answer:
    """Return the answer of a fault that speaks instead of the vendor."""
    if fault.kind == "html":
        status = fault.status or 502
        return Answer(_HTML % status, status, {}, "text/html; charset=utf-8")
    if fault.kind == "redirect":
        return Answer(b"", fault.status or 307, {"location": fault.to})
    if fault.kind == "server_error":
        return face.refuse(ask, Refusal(fault.status or 500, "The server had an error while processing your request."))
    if fault.kind == "revoked_key":
        ask.key = None
        try:
            face.admit(ask, None)
        except Refusal as no:
            return face.refuse(ask, no)
    headers = {} if fault.delay is None else {"retry-after": _delay(fault, ask.now)}
    return face.refuse(ask, Refusal(fault.status or 429, "Rate limit reached.", headers))


def _delay(fault: Fault, now: datetime) -> str:
    assert fault.delay is not None
    if fault.delay_form == "date":
        return format_datetime(now + timedelta(seconds=fault.delay), usegmt=True)
    return str(fault.delay)


def bend(answer: Answer, face: Face, faults: Iterable[Fault]) -> None:
    """Change the JSON of an answer as the faults say; anything but a JSON 200 stays as it is."""
    bends = [fault for fault in faults if fault.kind in _BENDS]
    if not bends or answer.status != 200 or not answer.media_type.endswith(("json", "event-stream")):
        return
    value = json.loads(answer.body, parse_float=Decimal)
    for fault in bends:
        value = _BENDS[fault.kind](value, face, fault)
    answer.body = to_json(value)


def _everywhere(value: Any, change: Callable[[dict[str, Any]], None]) -> Any:
    if isinstance(value, dict):
        for part in value.values():
            _everywhere(part, change)
        change(value)
    elif isinstance(value, list):
        for part in value:
            _everywhere(part, change)
    return value


def _extra_fields(value: Any, face: Face, fault: Fault) -> Any:
    def add(row: dict[str, Any]) -> None:
        row["x_unheard_of"] = {"since": "tomorrow", "list": [1, None]}

    return _everywhere(value, add)


def _unknown_enums(value: Any, face: Face, fault: Fault) -> Any:
    def rename(row: dict[str, Any]) -> None:
        row.update({k: f"{v}-unheard-of" for k, v in row.items() if k in face.enum_fields and isinstance(v, str)})

    return _everywhere(value, rename)


def _unknown_kinds(value: Any, face: Face, fault: Fault) -> Any:
    def rename(row: dict[str, Any]) -> None:
        if isinstance(row.get("object"), str) and not _has_rows(row):
            row["object"] = f"{row['object']}.unheard_of"

    return _everywhere(value, rename)


def _string_amounts(value: Any, face: Face, fault: Fault) -> Any:
    def quote(row: dict[str, Any]) -> None:
        for name in face.money_fields & row.keys():
            if isinstance(row[name], int | Decimal):
                row[name] = format(Decimal(row[name]), "f")

    return _everywhere(value, quote)


def _nan_amount(value: Any, face: Face, fault: Fault) -> Any:
    spoiled: list[str] = []

    def spoil(row: dict[str, Any]) -> None:
        for name in [name for name in row if name in face.money_fields]:
            if not spoiled and not isinstance(row[name], dict):
                row[name] = fault.text
                spoiled.append(name)

    return _everywhere(value, spoil)


def _duplicate_rows(value: Any, face: Face, fault: Fault) -> Any:
    def copy(row: dict[str, Any]) -> None:
        for name, part in row.items():
            if not (isinstance(part, list) and part and isinstance(part[-1], dict)):
                continue
            if name in face.row_lists if face.row_lists else not _has_rows(part[-1]):
                part.append(part[-1])

    return _everywhere(value, copy)


def _has_rows(row: dict[str, Any]) -> bool:
    return any(isinstance(part, list) and (not part or isinstance(part[0], dict)) for part in row.values())


def _null_dimensions(value: Any, face: Face, fault: Fault) -> Any:
    def blank(row: dict[str, Any]) -> None:
        row.update(dict.fromkeys(face.dimension_fields & row.keys()))

    return _everywhere(value, blank)


def _repeat_cursor(value: Any, face: Face, fault: Fault) -> Any:
    if isinstance(value, dict):
        value |= {name: True for name in ("has_more", "has_next_page") if name in value}
        value |= {"next_page": REPEATED_CURSOR} if "next_page" in value else {}
    return value


def _null_cursor(value: Any, face: Face, fault: Fault) -> Any:
    if isinstance(value, dict):
        value |= {name: True for name in ("has_more", "has_next_page") if name in value}
        value |= {name: None for name in ("next_page", "last_id") if name in value}
    return value


_BENDS: dict[str, Callable[[Any, Face, Fault], Any]] = {
    "extra_fields": _extra_fields,
    "unknown_enums": _unknown_enums,
    "unknown_kinds": _unknown_kinds,
    "string_amounts": _string_amounts,
    "nan_amount": _nan_amount,
    "duplicate_rows": _duplicate_rows,
    "null_dimensions": _null_dimensions,
    "repeat_cursor": _repeat_cursor,
    "null_cursor": _null_cursor,
}
