"""A wire survives broken answers and networks: whole pages or an error, never half of one."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import httpx2
import pytest

from outlay.errors import (
    PayloadError,
    UnreachableError,
)
from outlay.wire.client import Answer
from wire.vendor import (
    ENDPOINT,
    PERIOD,
    Asset,
    Chunks,
    Script,
    Time,
    amounts,
    collect,
    endpoint_with,
    failing,
    page,
    refusal,
    run,
    wire,
    with_,
)


def test_half_a_body_is_asked_for_again() -> None:
    """An answer cut off in the middle is tried again, and the whole one counts."""
    whole = page("1", "2")
    half = httpx2.Response(200, headers={"content-type": "application/json"}, content=whole.content[:20])
    answers, script, _ = run(half, whole)
    assert amounts(answers) == ["1", "2"]
    assert len(script.asked) == 2


@pytest.mark.parametrize(
    "text", ['{"data": [', "", "not json", '{"data": []} trailing', '{"data": [{"amount": 1e}]}', "\ufeff{}"]
)
def test_json_that_stays_broken_is_unreadable(text: str) -> None:
    """JSON that never becomes readable ends as an unreadable payload that names the endpoint."""
    error, script, _ = failing(PayloadError, refusal(200, text))
    assert len(script.asked) == 6
    assert "Vendor costs" in error.message


def test_a_body_shorter_than_declared_is_cut_off() -> None:
    """Fewer bytes than the vendor announced are not taken for the whole, even if they are JSON."""

    def short(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-length": "500"}, stream=Chunks([page("1").content]))

    error, script, _ = failing(PayloadError, short)
    assert "cut off" in error.message
    assert len(script.asked) == 6


def test_a_connection_lost_in_the_middle_is_asked_for_again() -> None:
    """A connection that breaks while the body comes is tried again."""
    lost = httpx2.RemoteProtocolError("peer closed connection")
    answers, _, _ = run(lambda _: httpx2.Response(200, stream=Chunks([b'{"data"'], lost)), page("1"))
    assert amounts(answers) == ["1"]


def test_a_corrupt_compression_is_cut_off() -> None:
    """A compressed body that does not unpack is tried again and then unreadable."""
    packed = gzip.compress(page("1").content)
    broken = httpx2.Response
    error, _, _ = failing(
        PayloadError, lambda _: broken(200, headers={"content-encoding": "gzip"}, stream=Chunks([b"\x00" + packed]))
    )
    assert "cut off" in error.message


def test_a_body_that_never_ends_is_refused() -> None:
    """A page above the limit is refused as soon as the limit is passed, without reading on, and not asked for again."""
    body = Chunks([b" " * 1024] * 10_000)
    error, script, _ = failing(PayloadError, lambda _: httpx2.Response(200, stream=body), body_bytes_max=64 * 1024)
    assert "larger than 0.0625 MiB" in error.message
    assert body.taken == 65
    assert body.closed
    assert len(script.asked) == 1


def test_a_compressed_bomb_is_refused() -> None:
    """The limit holds for what a body unpacks to, not for what is sent."""
    bomb = gzip.compress(b" " * 4_000_000)
    assert len(bomb) < 10_000
    error, _, _ = failing(
        PayloadError,
        lambda _: httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Chunks([bomb])),
        body_bytes_max=1_000_000,
    )
    assert "larger than" in error.message


def test_a_large_page_works() -> None:
    """A page of fifty million bytes is one page."""
    row = b'{"amount": 0.25, "padding": "' + b"x" * 99_000 + b'"},'
    body = b'{"data": [' + row * 505 + b'{"amount": 1}]}'
    assert len(body) > 50_000_000
    pieces = [body[start : start + 65_536] for start in range(0, len(body), 65_536)]
    answers, _, _ = run(lambda _: httpx2.Response(200, stream=Chunks(pieces)))
    assert len(answers[0].page.data) == 506
    assert answers[0].payload.body == body


def test_a_wrong_type_names_endpoint_and_path() -> None:
    """A field of another type is not asked for again; the error says where it is."""
    error, script, _ = failing(PayloadError, refusal(200, '{"data": [{"amount": 1}, {"amount": []}]}'))
    assert "Vendor costs" in error.message
    assert "$.data[1].amount" in error.message
    assert len(script.asked) == 1


def test_a_missing_field_is_named() -> None:
    """A page without a field that belongs there is unreadable, not empty."""
    error, _, _ = failing(PayloadError, page("1"), endpoint=endpoint_with(page=Asset))
    assert "`name`" in error.message


def test_json_nested_without_end_is_unreadable() -> None:
    """A depth no page has is an error and not a crash."""
    error, _, _ = failing(PayloadError, refusal(200, '{"data": [], "deep": ' + "[" * 100_000 + "]" * 100_000 + "}"))
    assert "nested" in error.message


def test_unknown_fields_change_nothing() -> None:
    """Fields we do not know are ignored."""
    assert amounts(run(refusal(200, '{"data": [{"amount": 1, "new": {"x": 1}}], "object": "page"}'))[0]) == ["1"]


def test_a_repeated_cursor_is_an_error_after_the_pages() -> None:
    """Pages before a repeated cursor are handed over, then the error comes."""
    script = Script([page("1", next_page="c"), page("2", next_page="c")])

    async def ask() -> list[Answer]:
        async with wire(script, Time()) as over:
            pages = over.ask("costs", ENDPOINT, PERIOD)
            got = [await anext(pages), await anext(pages)]
            with pytest.raises(PayloadError, match="same next_page twice"):
                await anext(pages)
        return got

    assert amounts(asyncio.run(ask())) == ["1", "2"]
    assert len(script.asked) == 2


# ── Network ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("Name or service not known"),
        httpx2.ConnectTimeout("slow"),
        httpx2.ReadTimeout("slow"),
        httpx2.RemoteProtocolError("Server disconnected without sending a response."),
        httpx2.ProxyError("502 Bad Gateway"),
    ],
)
def test_no_answer_is_unreachable_after_some_tries(error: Exception) -> None:
    """Whatever breaks before an answer comes is tried again, then said in words."""
    assert amounts(run(error, page("1"))[0]) == ["1"]
    found, script, _ = failing(UnreachableError, error)
    assert len(script.asked) == 6
    assert str(error) in found.message
    assert "https://" not in found.message


def test_a_proxys_password_is_not_shown() -> None:
    """What the network library says about a proxy is redacted."""
    secret = "hunter2" + "hunter2"
    error, _, _ = failing(UnreachableError, httpx2.ProxyError(f"cannot reach http://me:{secret}@proxy.test:3128"))
    assert secret not in error.message


def test_a_vendor_that_hangs_is_left() -> None:
    """An answer that does not come within the time for one request is given up; the deadline bounds the whole."""

    async def hang(_request: httpx2.Request) -> httpx2.Response:
        await asyncio.Event().wait()
        raise AssertionError

    over = wire(httpx2.MockTransport(hang), Time(), request_seconds=0.01, attempts_max=2)
    with pytest.raises(UnreachableError, match="no whole answer"):
        asyncio.run(collect(over))
    assert over.requests == 2


def test_cancellation_is_clean() -> None:
    """A cancelled ask ends as cancelled, closes its answer and leaves the connection usable."""
    reached = asyncio.Event()

    class Waiting(Chunks):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            reached.set()
            await asyncio.Event().wait()

    body = Waiting([])

    async def cancel() -> list[str]:
        async with wire(
            Script([lambda _: httpx2.Response(200, stream=body), page("1")]), Time(), with_(concurrency=1)
        ) as over:

            async def one() -> list[Answer]:
                return [answer async for answer in over.ask("costs", ENDPOINT, PERIOD)]

            task = asyncio.create_task(one())
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return amounts(await one())

    assert asyncio.run(cancel()) == ["1"]
    assert body.closed
