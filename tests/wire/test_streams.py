"""Of a stream that never ends, one event is read: within bounds, however its bytes are cut, and the rest is let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import PayloadError, ProviderError, RetryLaterError
from outlay.model.period import Period
from outlay.providers.base import NoWindow, One, Stream
from outlay.wire.events import Event, Events
from outlay.wire.request import build
from wire.vendor import KEY, PERIOD, VENDOR, Chunks, Time, collect, endpoint_with, wire

WHOLE = b'{"data": [{"amount": 1.10}]}'
SAID = (
    b": connected\n\nretry: 5000\n\n"
    b"event: keep-alive\ndata:\n\n"
    b'event: other\ndata: {"data": [{"amount": 9}]}\n\n'
    b'event: usage\ndata: {"part": 1}\n\n'
    b'event: usage\nid: 7\ndata: {"data": [\ndata: {"amount": 1.10}\ndata: ]}\n\n'
)
STREAM = Stream(event="usage", holds="data", seconds=300, bytes_max=2000)
TYPE = {"content-type": "text/event-stream; charset=utf-8", "x-request-id": "r1"}


class Endless(Chunks):
    """A body that stays open once its pieces have come, until whoever reads it lets go."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in super().__aiter__():
            yield piece
        await asyncio.Event().wait()


class Server(httpx2.AsyncBaseTransport):
    """Answer every request with a fresh body."""

    def __init__(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.body, self.status, self.headers = body, status, TYPE if headers is None else headers
        self.asked: list[httpx2.Request] = []
        self.bodies: list[Any] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer."""
        self.asked.append(request)
        self.bodies.append(self.body())
        return httpx2.Response(self.status, headers=self.headers, stream=self.bodies[-1])


def asked(server: Server, stream: Stream = STREAM) -> list[Any]:
    """Return the pages of one ask."""
    endpoint = endpoint_with(stream=stream, window=NoWindow(), pages=One(), query={})
    return asyncio.run(collect(wire(server, Time()), endpoint))


def failing(server: Server, stream: Stream = STREAM) -> ProviderError:
    """Return the error that one ask ends with; it has a hint and names no key."""
    with pytest.raises(ProviderError) as caught:
        asked(server, stream)
    assert caught.value.hint
    assert KEY not in caught.value.message + caught.value.hint
    return caught.value


def pieces(text: bytes, size: int) -> list[bytes]:
    """Return a text cut into pieces of one size."""
    return [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_first_whole_event_is_the_page_and_the_stream_is_closed(size: int, end: bytes) -> None:
    """Comments, keep-alives, other events and parts are passed over, whatever ends a line and wherever it is cut."""
    server = Server(lambda: Endless(pieces(SAID.replace(b"\n", end), size)))
    [answer] = asked(server)
    assert [row.amount for row in answer.page.data] == [Decimal("1.10")]
    assert answer.payload.body.split() == WHOLE.replace(b'[{"amount": 1.10}]', b'[ {"amount": 1.10} ]').split()
    assert (answer.payload.status, len(server.asked)) == (200, 1)
    assert server.bodies[0].closed


def test_a_stream_is_asked_for_as_one() -> None:
    """Without the right Accept header the vendor answers with an error."""
    server = Server(lambda: Endless([SAID]))
    asked(server)
    assert server.asked[0].headers["accept"] == "text/event-stream"
    assert "accept-encoding" not in server.asked[0].headers
    plain = build(VENDOR, endpoint_with(), {}, PERIOD)
    assert plain.headers["accept"] == "application/json"


def test_more_than_one_event_may_be_awaited() -> None:
    """The last of them is the page."""
    later = b'event: usage\ndata: {"data": [{"amount": 2}]}\n\n'
    [answer] = asked(Server(lambda: Endless([SAID + later])), Stream(event="usage", holds="data", events=2))
    assert [row.amount for row in answer.page.data] == [2]


@pytest.mark.parametrize("said", [b"", b": nothing\n\n", b'event: usage\ndata: {"data": []}\n', SAID[:-40]])
def test_a_stream_without_a_whole_event_asks_for_patience(said: bytes) -> None:
    """It ends in time, is not asked again at once, and lets go of the connection."""
    server = Server(lambda: Endless([said] if said else []))
    error = failing(server, Stream(event="usage", holds="data", seconds=0.02))
    assert type(error) is RetryLaterError
    assert "next sync" in error.hint
    assert len(server.asked) == 1
    assert server.bodies[0].closed


def test_a_stream_that_says_too_much_is_left() -> None:
    """The bound holds for bytes without a single line's end too."""
    for filler in (b"x" * 100, b"data: " + b"x" * 93 + b"\n", b": noise\n\n" * 11):
        server = Server(lambda piece=filler: Chunks([piece] * 1000))
        error = failing(server)
        assert type(error) is PayloadError
        assert server.bodies[0].taken <= 2000 // len(filler) + 2
        assert len(server.asked) == 1


def test_a_stream_that_ends_or_breaks_early_is_asked_again() -> None:
    """An end and a broken connection before the event are an answer that is cut off."""
    for failure in (None, httpx2.RemoteProtocolError("peer closed connection")):
        server = Server(lambda broken=failure: Chunks([SAID[:120]], broken))
        error = failing(server)
        assert type(error) is PayloadError
        assert "cut off" in error.message
        assert len(server.asked) > 1


def test_a_page_for_people_is_no_stream() -> None:
    """HTML with status 200 is told as such."""
    for kind in ("text/html", "text/plain"):
        error = failing(
            Server(lambda: Chunks([b"<!DOCTYPE html><title>Sign in</title>"]), headers={"content-type": kind})
        )
        assert type(error) is PayloadError
        assert "Sign in" in error.message


def test_a_document_is_no_stream() -> None:
    """JSON where events belong is not taken for an event."""
    error = failing(Server(lambda: Chunks([WHOLE]), headers={"content-type": "application/json"}))
    assert type(error) is PayloadError
    assert "stream" in error.message


def test_a_refusal_is_read_as_one() -> None:
    """Statuses mean what they mean elsewhere."""
    body = b'{"error": "Access denied"}'
    for status, code in ((401, "access_denied"), (403, "permission_missing"), (404, "not_offered")):
        error = failing(Server(lambda: Chunks([body]), status, {"content-type": "application/json"}))
        assert error.code == code
        assert "Access denied" in error.message


def test_an_event_that_is_no_json_is_told() -> None:
    """Without a field to wait for, the first event counts whatever it holds, and then has to be a page."""
    server = Server(lambda: Endless([b"data: hello\n\n"]))
    error = failing(server, Stream(seconds=300))
    assert type(error) is PayloadError


LINES = st.lists(
    st.sampled_from(
        [b"", b":", b": hi", b"data", b"data:", b"data: a", b"data:b", b"event: e", b"event", b"id: 1", b"x"]
    )
)


@given(LINES, st.data())
def test_where_a_stream_is_cut_changes_nothing(lines: list[bytes], data: st.DataObject) -> None:
    """Every way to end lines and to cut bytes gives the events of the plain text in one piece."""
    ends = data.draw(st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=len(lines), max_size=len(lines)))
    # A return and the feed of the next line are one line's end for every reader.
    text = b"".join(line + end for line, end in zip(lines, ends, strict=True))
    plain = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    parts = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    reader, whole = Events(), Events()
    found = [event for part in parts for event in reader.feed(part)]
    assert found == list(whole.feed(plain))
    assert all(isinstance(event, Event) and event.data is not None for event in found)


def test_a_byte_order_mark_is_passed_over() -> None:
    """Also where it comes in pieces."""
    for size in (1, 2, 3, 50):
        reader = Events()
        found = [event for part in pieces(b"\xef\xbb\xbfdata: a\n\n", size) for event in reader.feed(part)]
        assert found == [Event("message", b"a")]


def test_the_window_of_a_stream_is_the_present() -> None:
    """Nothing about time is sent."""
    request = build(
        VENDOR, endpoint_with(stream=STREAM, window=NoWindow(), query={}), {}, Period.of_day(PERIOD.first_day)
    )
    assert request.params == []
