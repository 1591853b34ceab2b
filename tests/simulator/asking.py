"""A way to ask the simulator without a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from outlay.simulator import FACES, World, app
from outlay.simulator.desk import Desk

TODAY = date(2026, 11, 22)
VENDOR_HEADERS = {
    "openai": {},
    "anthropic": {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "analytics-usage-cost-2026-08-24,spend-limit-reads-2026-09-26",
    },
    "github": {"accept": "application/vnd.github+json", "x-github-api-version": "2026-03-10"},
    "stripe": {"stripe-version": "2026-10-28.endive"},
}
DEFAULT_KEYS = {
    **{face.id: next(name for name, key in face.keys.items() if key.scopes is None) for face in FACES.values()},
    "github": "sim-github-classic",
}
Query = Sequence[tuple[str, object]] | Mapping[str, object]


@dataclass
class Got:
    """One answer, its JSON numbers exact."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body, parse_float=Decimal)


class Asker:
    """Asks a world's application directly: its endpoints never wait, so no event loop is needed."""

    def __init__(self, world: World, **settings: Any) -> None:
        self.world = world
        self.app = app(world, **settings)
        self.desk: Desk = self.app.state.desk
        self.faults = self.desk.faults
        self.keys = dict(DEFAULT_KEYS)

    def raw(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes = b"") -> Got:
        """Send one request as it stands."""
        sent: list[dict[str, Any]] = []
        coming = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> dict[str, Any]:
            # Whoever asks for more, as an endless stream does, learns that nobody listens any longer.
            return next(coming, {"type": "http.disconnect"})

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "scheme": "http",
            "server": ("127.0.0.1", 1),
            "client": ("127.0.0.1", 2),
            "http_version": "1.1",
        }
        call = self.app(scope, receive, send)  # type: ignore[arg-type]
        with pytest.raises(StopIteration):
            call.send(None)
        found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Got(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))

    def __call__(
        self,
        provider: str,
        path: str,
        query: Query = (),
        *,
        key: str | None = "",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: object = None,
    ) -> Got:
        """Ask a vendor with its own headers; a key of None sends no credential."""
        key = self.keys[provider] if key == "" else key
        asked = {**VENDOR_HEADERS.get(provider, {}), **(headers or {})}
        if key is not None:
            by_key = provider == "anthropic" and "oauth" not in key
            asked |= {"x-api-key": key} if by_key else {"authorization": f"Bearer {key}"}
        pairs = list(query.items() if isinstance(query, Mapping) else query)
        data = b"" if body is None else json.dumps(body).encode()
        return self.raw(method, f"/{provider}{path}", urlencode(pairs), asked, data)

    def pages(self, provider: str, path: str, query: Query, **more: Any) -> Iterator[Any]:
        """Yield the pages of a cursor until the vendor says there are no more."""
        pairs = list(query.items() if isinstance(query, Mapping) else query)
        cursor: list[tuple[str, object]] = []
        for _ in range(10_000):
            got = self(provider, path, [*pairs, *cursor], **more)
            assert got.status == 200, got.body
            page = got.json
            yield page
            if not page["has_more"]:
                assert page["next_page"] is None
                return
            cursor = [("page", page["next_page"])]


def epoch(day: date) -> int:
    """Return the Unix second of a UTC midnight."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
