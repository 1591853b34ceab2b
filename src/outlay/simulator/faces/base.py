"""The parts every face is made of: the question, the answer, the refusal, strict parameters, keys, quotas, cursors."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from outlay.simulator.world import World
from outlay.simulator.worlds.base import Account, Plot

_encode = msgspec.json.Encoder(decimal_format="number").encode


def to_json(value: object) -> bytes:
    """Return JSON bytes; decimals are exact JSON numbers."""
    return _encode(value)


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The vendor says no: a status, a message in the vendor's words and what its error body adds to them."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.headers, self.extra = status, message, dict(headers or {}), extra


@dataclass(slots=True)
class Answer:
    """What goes back over the wire."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


class Query:
    """Query parameters, read as strictly as the vendor reads them; what nobody asked for is refused at the end."""

    def __init__(self, text: str, path: str = "") -> None:
        self.text, self._path = text, path
        self._values: dict[str, list[str]] = {}
        for name, value in parse_qsl(text, keep_blank_values=True):
            self._values.setdefault(name, []).append(value)
        self._read: set[str] = set()

    def drop(self, names: Collection[str]) -> None:
        """Forget parameters, as if they had not been sent."""
        for name in names:
            self._values.pop(name, None)

    def one(self, name: str, default: str | None = None) -> str | None:
        """Return a parameter that may be sent once."""
        self._read.add(name)
        values = self._values.get(name)
        if values is None:
            return default
        if len(values) > 1:
            raise Refusal(400, f"Invalid value for '{name}': expected a single value.", param=name)
        return values[0]

    def needed(self, name: str) -> str:
        """Return a parameter that must be sent."""
        value = self.one(name)
        if value is None or value == "":
            raise Refusal(400, f"Missing required parameter: '{name}'.", param=name)
        return value

    def whole(self, name: str, default: int | None = None) -> int | None:
        """Return a parameter that is a whole number."""
        value = self.one(name)
        if value is None:
            return default
        if not (value.removeprefix("-").isascii() and value.removeprefix("-").isdigit()):
            raise Refusal(400, f"Invalid value for '{name}': expected an integer.", param=name)
        return int(value)

    def choice(self, name: str, known: Sequence[str], default: str | None = None) -> str | None:
        """Return a parameter that is one of a closed list."""
        value = self.one(name, default)
        if value is not None and value not in known:
            raise Refusal(
                400, f"Invalid value for '{name}': '{value}'. Supported values are: {', '.join(known)}.", param=name
            )
        return value

    def flag(self, name: str) -> bool | None:
        """Return a boolean parameter."""
        value = self.choice(name, ("true", "false"))
        return None if value is None else value == "true"

    def many(
        self, name: str, known: Sequence[str] | None = None, spellings: Sequence[str] = ("{}", "{}[]")
    ) -> tuple[str, ...]:
        """Return a parameter that may be repeated, under any of its spellings.

        Order: as sent, each value once.
        """
        names = [spelling.format(name) for spelling in spellings]
        self._read.update(names)
        values = tuple(dict.fromkeys(value for each in names for value in self._values.get(each, ())))
        for value in values:
            if known is not None and value not in known:
                raise Refusal(
                    400, f"Invalid value for '{name}': '{value}'. Supported values are: {', '.join(known)}.", param=name
                )
        return values

    def finish(self) -> None:
        """Refuse parameters that no one asked for."""
        for name in self._values:
            if name not in self._read:
                raise Refusal(400, f"Unknown parameter: '{name}'.", param=name)

    def fingerprint(self, without: Collection[str]) -> bytes:
        """Return a digest of every parameter but the named ones, to bind a cursor to its question."""
        rest = sorted((name, values) for name, values in self._values.items() if name not in without)
        return hashlib.blake2b(repr((self._path, rest)).encode(), digest_size=6).digest()


@dataclass(frozen=True, slots=True)
class Key:
    """A credential the simulator knows, and what it may do. `scopes` of None is everything."""

    kind: str
    scopes: frozenset[str] | None = None

    def may(self, scope: str) -> bool:
        """Return whether the key holds a scope."""
        return self.scopes is None or scope in self.scopes


@dataclass(frozen=True, slots=True)
class Quota:
    """A bucket of `burst` calls, refilled evenly over `seconds` or, when `windowed`, all at once at their end."""

    burst: int
    seconds: float
    windowed: bool = False


class Meter:
    """Counts the calls of one credential against a quota."""

    def __init__(self, quota: Quota, clock: Callable[[], float] = monotonic) -> None:
        self.quota, self._clock = quota, clock
        self._level, self._at = float(quota.burst), clock()
        self._lock = Lock()

    def take(self) -> bool:
        """Take a call from the bucket; False when it is empty."""
        with self._lock:
            self._refill(self._clock())
            if self._level < 1:
                return False
            self._level -= 1
            return True

    def _refill(self, now: float) -> None:
        full, elapsed = float(self.quota.burst), now - self._at
        if not self.quota.windowed:
            self._level, self._at = min(full, self._level + elapsed * full / self.quota.seconds), now
        elif elapsed >= self.quota.seconds:
            self._level, self._at = full, now

    @property
    def remaining(self) -> int:
        """Return how many calls are left."""
        return int(self._level)

    @property
    def wait_seconds(self) -> int:
        """Return the whole seconds until a call is possible again, or until the window ends."""
        if self.quota.windowed:
            return max(1, -int(-(self._at + self.quota.seconds - self._clock()) // 1))
        return max(1, -int(-max(0.0, 1 - self._level) * self.quota.seconds // self.quota.burst))


@dataclass(slots=True)
class Ask:
    """One request, taken apart. `key` is None when the credential is missing or unknown."""

    method: str
    path: str
    query: Query
    headers: Mapping[str, str]
    body: bytes
    places: Mapping[str, str]
    world: World
    account: Account
    key: Key | None
    credential: str | None
    now: datetime
    base_url: str
    request_id: str
    meter: Meter | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of a vendor: `path` below the vendor's root, `needs` the scope a key must hold.

    An `open` one takes no key; a `free` one does not count against the quota.
    """

    path: str
    answer: Callable[[Ask], Answer]
    needs: str = ""
    method: str = "GET"
    open: bool = False
    free: bool = False


@dataclass(frozen=True)
class Face:
    """One simulated vendor.

    `keys` are the test credentials it accepts; any of them followed by ":" and a label opens another account.
    `options` are the provider options a connection to it needs. `admit` refuses wrong keys, headers and spent quotas;
    `refuse` writes the vendor's error body; `dress` adds the headers each answer carries.
    The last five name what faults bend: money, open enumerations, dimensions, the lists that hold rows where rows hold
    lists themselves, and cursor parameters.
    """

    id: str
    title: str
    account: Callable[[Plot], Account]
    endpoints: Sequence[Endpoint]
    keys: Mapping[str, Key]
    credential: Callable[[Mapping[str, str]], str | None]
    admit: Callable[[Ask, Endpoint | None], None]
    refuse: Callable[[Ask, Refusal], Answer]
    dress: Callable[[Ask, Answer, Meter | None], None]
    options: Mapping[str, str] = field(default_factory=dict)
    quota: Callable[[Key], Quota | None] = lambda _: None
    exhausted: Callable[[Meter], Refusal] = lambda meter: Refusal(
        429, "Rate limit reached.", {"retry-after": str(meter.wait_seconds)}
    )
    money_fields: frozenset[str] = frozenset()
    enum_fields: frozenset[str] = frozenset()
    dimension_fields: frozenset[str] = frozenset()
    row_lists: frozenset[str] = frozenset()
    cursor_parameters: frozenset[str] = frozenset({"page"})


def bearer(headers: Mapping[str, str]) -> str | None:
    """Return the token of an Authorization header."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() in {"bearer", "token"} else None


def seal(prefix: str, position: int, fingerprint: bytes) -> str:
    """Return an opaque cursor for a position, bound to a question."""
    return prefix + base64.b64encode(b"\0\0\1" + fingerprint + position.to_bytes(7, "big", signed=True)).decode()


def unseal(prefix: str, cursor: str, fingerprint: bytes) -> int | None:
    """Return the position of a cursor; None when it is not ours or belongs to another question."""
    try:
        raw = base64.b64decode(cursor.removeprefix(prefix), validate=True)
    except ValueError:
        return None
    if not cursor.startswith(prefix) or len(raw) != 16 or raw[:3] != b"\0\0\1" or raw[3:9] != fingerprint:
        return None
    return int.from_bytes(raw[9:], "big", signed=True)
