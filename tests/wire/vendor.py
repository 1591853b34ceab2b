"""A made-up vendor to ask, and a clock that only moves when someone waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

import httpx2
import msgspec
import pytest
from msgspec.structs import replace

from outlay.credentials import Secret
from outlay.errors import OutlayError
from outlay.model.period import Period
from outlay.providers.base import Bearer, Cursor, Endpoint, EpochWindow, Option, Provider, Rate
from outlay.wire.client import Answer, Wire

KEY = "vk-" + "fake-fake-" + "0123"
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
PERIOD = Period.of_days(date(2026, 11, 1), date(2026, 11, 8))


class Row(msgspec.Struct):
    """One row of the vendor's pages."""

    amount: Decimal


class Page(msgspec.Struct):
    """One page of the vendor."""

    data: list[Row]
    has_more: bool = False
    next_page: str | None = None


class Asset(msgspec.Struct):
    """A page that wants more than others give."""

    name: str


ENDPOINT: Endpoint[Page] = Endpoint(
    name="costs",
    path="/v1/costs",
    page=Page,
    facts=lambda _page, _ask: (),
    window=EpochWindow("start_time", "end_time"),
    pages=Cursor("page", "next_page", "has_more"),
    query={"limit": 7},
)
VENDOR = Provider(
    id="vendor",
    title="Vendor",
    base_url="https://api.vendor.test",
    auth=Bearer(),
    environment=(),
    key_help="",
    keys=(),
    datasets=(),
    services={},
    offers={},
    sources=(),
    options=(Option("organization", "whose costs"),),
    rates=(Rate(1000, 1),),
)


class Time:
    """A clock that moves only when the wire sleeps, and remembers for how long it did."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        assert seconds > 0, "a wait of nothing is a busy loop"
        self.slept.append(round(seconds, 6))
        self.seconds += seconds

    def monotonic(self) -> float:
        """Return the seconds slept so far."""
        return self.seconds

    def clock(self) -> datetime:
        """Return the moment."""
        return NOW + timedelta(seconds=self.seconds)


Reply = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


class Script(httpx2.MockTransport):
    """Give prepared answers in order, the last one for ever, and remember what was asked."""

    def __init__(self, replies: Iterable[Reply]) -> None:
        super().__init__(self.answer)
        self.replies = list(replies)
        self.asked: list[httpx2.Request] = []

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Return or raise what comes next."""
        self.asked.append(request)
        reply = self.replies[min(len(self.asked), len(self.replies)) - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply(request) if callable(reply) else copied(reply)


def copied(response: httpx2.Response) -> httpx2.Response:
    """Return a fresh answer, so that one may be given many times."""
    return httpx2.Response(response.status_code, headers=response.headers.raw, content=response.content)


def page(*amounts: str, next_page: str | None = None, more: bool | None = None, **headers: str) -> httpx2.Response:
    """Return a page of amounts, written as the vendor writes them."""
    rows = ",".join(f'{{"amount": {amount}}}' for amount in amounts)
    more = next_page is not None if more is None else more
    text = (
        f'{{"data": [{rows}], "has_more": {str(more).lower()}, "next_page": {msgspec.json.encode(next_page).decode()}}}'
    )
    return refusal(200, text, **headers)


def refusal(status: int, text: str = "", **headers: str) -> httpx2.Response:
    """Return an answer with a JSON text; header names are written with underscores."""
    named = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, headers=named, content=text.encode())


def wire(transport: httpx2.AsyncBaseTransport | None, time: Time, provider: Provider = VENDOR, **settings: Any) -> Wire:
    """Return a wire to the vendor in which nothing waits for real."""
    settings = {"random": lambda: 1.0, "sleep": time.sleep, "monotonic": time.monotonic} | settings
    return Wire(provider, "mine", Secret(KEY), clock=time.clock, transport=transport, **settings)


async def collect(over: Wire, endpoint: Endpoint[Any] = ENDPOINT, period: Period = PERIOD, **more: Any) -> list[Answer]:
    """Return all pages of one ask, and close the wire."""
    async with over:
        return [answer async for answer in over.ask("costs", endpoint, period, fetch_id="f1", **more)]


def with_(provider: Provider = VENDOR, **changes: Any) -> Provider:
    """Return the vendor with some things told otherwise."""
    return replace(provider, **changes)


def endpoint_with(**changes: Any) -> Endpoint[Any]:
    """Return the endpoint with some things told otherwise."""
    return replace(ENDPOINT, **changes)


def amounts(answers: Iterable[Answer]) -> list[str]:
    """Return the amounts of all pages as text."""
    return [str(row.amount) for answer in answers for row in answer.page.data]


def query(request: httpx2.Request) -> Mapping[str, str]:
    """Return what a request asked."""
    return dict(request.url.params)


Failure = TypeVar("Failure", bound=OutlayError)


def run(
    *replies: Reply, provider: Any = VENDOR, endpoint: Any = ENDPOINT, time: Time | None = None, **settings: Any
) -> tuple[list[Answer], Script, Time]:
    """Return the pages, what was asked, and the waits of one ask."""
    script, time = Script(replies), time or Time()
    return asyncio.run(collect(wire(script, time, provider, **settings), endpoint)), script, time


def failing(kind: type[Failure], *replies: Reply, **settings: Any) -> tuple[Failure, Script, Time]:
    """Return the error one ask ends with, what was asked, and the waits."""
    script, time = Script(replies), settings.pop("time", None) or Time()
    endpoint = settings.pop("endpoint", ENDPOINT)
    provider = settings.pop("provider", VENDOR)
    with pytest.raises(kind) as caught:
        asyncio.run(collect(wire(script, time, provider, **settings), endpoint))
    assert type(caught.value) is kind
    return caught.value, script, time


class Chunks(httpx2.AsyncByteStream):
    """A body that comes in pieces, and says how many were taken."""

    def __init__(self, pieces: list[bytes], failure: Exception | None = None) -> None:
        self.pieces, self.failure = pieces, failure
        self.taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            self.taken += 1
            yield piece
        if self.failure is not None:
            raise self.failure

    async def aclose(self) -> None:
        """Remember that no more is wanted."""
        self.closed = True
