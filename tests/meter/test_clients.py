"""Nothing of metering reaches the program: not a failure, not a byte, not a delay between pieces."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import requests

import outlay.meter
from meter.conftest import Metered
from outlay.meter import httpx_clients
from outlay.meter.counts import Stats
from outlay.meter.reader import requested
from outlay.meter.spool import pending
from outlay.providers.metering import Metered as Declared

SRC = Path(__file__).parents[2] / "src"
URL = "https://api.openai.com/v1/chat/completions"
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
USED = b'{"model":"m","usage":{"prompt_tokens":3,"completion_tokens":2}}'


def client_of(library: Any, home: Path, pieces: list[Any], kind: str = "application/json", **headers: str) -> Any:
    """Return an attached client whose every answer has these pieces; an exception among them is raised."""

    class Stream(library.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            for piece in pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece

    def answer(_: Any) -> Any:
        return library.Response(200, headers={"content-type": kind, **headers}, stream=Stream())

    return outlay.meter.attach(library.Client(transport=library.MockTransport(answer)), home=home)


@LIBRARIES
def test_pieces_are_passed_on_as_they_come(library: Any, metered: Metered) -> None:
    """Each piece reaches the program before the next is asked for, and is the very piece that came."""
    asked: list[int] = []

    class Stream(library.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            for number in range(5):
                asked.append(number)
                yield b"data: %d\n\n" % number

    transport = library.MockTransport(
        lambda _: library.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())
    )
    with (
        outlay.meter.attach(library.Client(transport=transport), home=metered.home) as client,
        client.stream("POST", URL, json={}) as response,
    ):
        for number, piece in enumerate(response.iter_raw()):
            assert piece == b"data: %d\n\n" % number
            assert asked == list(range(number + 1))


@LIBRARIES
def test_the_program_s_own_errors_are_its_own(library: Any, metered: Metered) -> None:
    """An error of the network reaches the program as it is; the call is one of unknown use."""
    broken = ConnectionResetError("the line broke")
    with client_of(library, metered.home, [USED[:20], broken]) as client:
        with pytest.raises(ConnectionResetError) as raised:
            client.post(URL, json={"model": "asked-for"})
        assert raised.value is broken
    (event,) = metered.events
    assert (event.model, dict(event.quantities)) == ("asked-for", {"requests": 1, "uncounted_requests": 1})


@LIBRARIES
def test_an_async_stream_that_is_left_is_closed(library: Any, metered: Metered) -> None:
    """Leaving an asynchronous stream closes what is below it, and tells a call of unknown use."""
    closed: list[bool] = []

    class Stream(library.AsyncByteStream):  # type: ignore[misc]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b"data: {}\n\n"

        async def aclose(self) -> None:
            closed.append(True)

    async def ask() -> None:
        transport = library.MockTransport(
            lambda _: library.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())
        )
        async with (
            outlay.meter.attach(library.AsyncClient(transport=transport), home=metered.home) as client,
            client.stream("POST", URL, json={}) as response,
        ):
            async for _ in response.aiter_bytes():
                break

    asyncio.run(ask())
    assert closed == [True]
    assert [dict(event.quantities) for event in metered.events] == [{"requests": 1, "uncounted_requests": 1}]


TROUBLES: dict[str, tuple[list[bytes], dict[str, str]]] = {
    "malformed": ([b'{"usage": SECRET-WORD'], {}),
    "a number too long": ([b'{"usage":{"prompt_tokens":1' + b"0" * 5000 + b"}}"], {}),
    "a wrong type": ([b'{"usage":{"prompt_tokens":"SECRET-WORD"}}'], {}),
    "parts above the whole": ([b'{"usage":{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":2}}}'], {}),
    "no JSON object": ([b'["SECRET-WORD"]'], {}),
    "not gzip": ([b"SECRET-WORD"], {"content-encoding": "gzip"}),
    "unknown encoding": ([b"SECRET-WORD"], {"content-encoding": "sim-zip"}),
    "strange headers": ([USED], {"x-ratelimit-limit-tokens": "SECRET-WORD", "x-ratelimit-reset-tokens": "soon"}),
}


@LIBRARIES
@pytest.mark.parametrize("what", TROUBLES)
def test_unreadable_answers_are_the_meter_s_trouble_alone(
    library: Any, what: str, metered: Metered, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be read is passed on as it is, counted as a call, and none of it is told."""
    pieces, headers = TROUBLES[what]
    with (
        client_of(library, metered.home, pieces, **headers) as client,
        client.stream("POST", URL, json={"model": "m"}) as response,
    ):
        assert b"".join(response.iter_raw()) == b"".join(pieces)
    (event,) = metered.events
    assert event.quantities["requests"] == 1
    assert ("uncounted_requests" in event.quantities) is (what != "strange headers")
    told = json.dumps(outlay.meter.trouble()) + caplog.text + repr(metered.events)
    assert "SECRET-WORD" not in told
    assert bool(outlay.meter.trouble()) is (what != "strange headers")
    for spool in list(outlay.meter.clients._spools.values()):
        spool.stats.troubles.clear()


@LIBRARIES
def test_a_bug_of_ours_is_counted_and_not_felt(library: Any, metered: Metered, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where recognising an answer fails, the program gets it all the same."""

    def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(httpx_clients, "call_of", fail)
    with client_of(library, metered.home, [USED]) as client:
        assert client.post(URL, json={}).content == USED
    assert "unwatched" in outlay.meter.trouble()
    next(iter(outlay.meter.clients._spools.values())).stats.troubles.clear()


def test_a_home_that_cannot_be_written_is_not_felt(tmp_path: Path, metered: Metered) -> None:
    """With a full or forbidden disk the program goes on, and trouble says so."""
    (tmp_path / "file").write_text("")
    with client_of(httpx2, tmp_path / "file", [USED]) as client:
        assert client.post(URL, json={}).content == USED
    assert not outlay.meter.flush()
    assert "disk_refuses" in outlay.meter.trouble()
    outlay.meter.clients._spools.clear()  # the writer's thread tries again and again, and tells of it each time


@pytest.mark.parametrize("client", [None, object(), "text", 3])
def test_what_cannot_be_attached_is_counted(client: object, metered: Metered) -> None:
    """Attaching what is no client returns it and tells of it."""
    assert outlay.meter.attach(client, home=metered.home) is client
    assert "unwatched" in outlay.meter.trouble()
    next(iter(outlay.meter.clients._spools.values())).stats.troubles.clear()


def test_other_hosts_and_paths_pass_by(metered: Metered) -> None:
    """Only known calls of known vendors are watched, a vendor's subdomains and proxies' prefixes among them."""
    with client_of(httpx2, metered.home, [USED]) as client:
        for url in ("https://example.com/v1/chat/completions", "https://api.openai.com.example.com/v1/responses",
                    "https://api.openai.com/v1/files", "https://api.openai.com/v1/chat/completions/x"):  # fmt: skip
            client.post(url, json={})
        client.get(URL)
        assert metered.events == []
        client.post("https://eu.api.openai.com/v1/chat/completions?x=1", json={})
        client.post("https://api.openai.com/gateway/v1/chat/completions", json={})
    assert len(metered.events) == 2


def test_records_are_taken_or_counted(metered: Metered) -> None:
    """A record of one's own is an event; one that no event can hold is counted and raises nothing."""
    given = {"home": metered.home, "connection": "mine", "tags": {"team": "a"}}
    assert outlay.meter.record("openai", model="m", input_tokens=10**18, output_tokens=2, **given)
    assert outlay.meter.record("anthropic", cost=("0.25", "usd"), event_id="told-twice", **given)
    assert not outlay.meter.record("nobody", **given)
    assert not outlay.meter.record("openai", no_such_meter=1, **given)
    assert not outlay.meter.record("openai", input_tokens=0.5, **given)  # type: ignore[arg-type]
    first, second = metered.events
    assert dict(first.quantities) == {"requests": 1, "input_tokens": 10**18, "output_tokens": 2}
    assert (first.connection, first.tags) == ("mine", {"team": "a"})
    assert (second.id, str(second.cost and second.cost.amount)[:4]) == ("told-twice", "0.25")
    assert "3 times" in outlay.meter.trouble()["refused"]
    outlay.meter.clients._nowhere.troubles.clear()


HOST = """
import sys, time, httpx2
import outlay.meter
body = b'{"model":"m","usage":{"prompt_tokens":3,"completion_tokens":2}}'
class Stream(httpx2.SyncByteStream):
    def __iter__(self):
        yield body
transport = httpx2.MockTransport(lambda _: httpx2.Response(200, headers={"content-type": "application/json"},
                                                           stream=Stream()))
client = outlay.meter.attach(httpx2.Client(transport=transport), home=sys.argv[1])
while True:
    client.post("https://api.openai.com/v1/chat/completions", content=b"{}")
    print(flush=True)
    time.sleep(0.002)
"""


def test_a_killed_program_keeps_the_calls_that_were_on_disk(tmp_path: Path) -> None:
    """Calls get to the disk while the program goes on, and stay there after `kill -9`."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SRC)!r})\n{HOST}", str(tmp_path)]

    def found() -> list[str]:
        return [event.id for file in pending(tmp_path) for event in file.events()]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        before: list[str] = []
        for calls, _ in enumerate(process.stdout, 1):
            # Counted in its own steps: a machine that is busy slows it down as it slows down its writer.
            assert calls < 100_000, "its writer writes nothing"
            if calls % 50 == 0 and len(before := found()) >= 200:
                break
        process.send_signal(signal.SIGKILL)
        made = calls + sum(1 for _ in process.stdout)
    after = found()
    assert len(before) >= 200
    assert after[: len(before)] == before
    assert len(set(after)) == len(after) <= made + 1


def test_importing_the_meter_is_light() -> None:
    """A program that imports it has loaded no provider, no HTTP client and nothing that is heavy."""
    watched = (
        f"import sys; sys.path.insert(0, {str(SRC)!r}); import outlay.meter; "
        "print(*sorted(name for name in sys.modules if name.partition('.')[0] in "
        "{'outlay', 'httpx', 'httpx2', 'requests', 'urllib3', 'msgspec', 'duckdb', 'sqlalchemy'}))"
    )
    done = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["outlay", "outlay.meter"]


def test_every_call_declares_meters_that_exist() -> None:
    """Each provider's description holds together: paths that compile, words for the same operation everywhere."""
    from outlay.meter.vendors import _calls

    declared = [call for calls in _calls().values() for call, _ in calls]
    assert declared
    assert all(isinstance(call, Declared) and call.operation.isidentifier() for call in declared)


@LIBRARIES
def test_long_answers_are_read_as_they_pass(library: Any, metered: Metered, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long stream and a long body are handed over piece by piece, and their figures are found at the end."""
    word = b'data: {"choices":[{"delta":{"content":"' + b"x" * 1000 + b'"}}]}\n\n'
    stream = [word] * 400 + [b"data: " + USED + b"\n\n", b"data: [DONE]\n\n"]
    with client_of(library, metered.home, stream, "text/event-stream") as client:
        assert client.post(URL, json={}).content == b"".join(stream)
    body = [b'{"data":"', *[b"y" * 1000] * 400, b'",', USED[1:]]
    with client_of(library, metered.home, body) as client:
        assert client.post(URL, json={}).content == b"".join(body)
    assert [dict(event.quantities) for event in metered.events] == [
        {"requests": 1, "input_tokens": 3, "output_tokens": 2}
    ] * 2
    assert next(iter(outlay.meter.clients._spools.values()))._bytes == 0


def test_events_lost_to_a_full_queue_are_told(metered: Metered) -> None:
    """A stream that the queue has no room for is lost loudly; the program gets all of it."""
    with client_of(httpx2, metered.home, [USED]) as client:
        spool = next(iter(outlay.meter.clients._spools.values()))
        spool._items_max = 0
        assert client.post(URL, json={}).content == USED
        spool._items_max = 10
    assert metered.events == []
    assert spool.stats.lost == {"queue_full": 1}
    assert "lost" in outlay.meter.trouble()["queue_full"]
    spool.stats.troubles.clear()


@LIBRARIES
def test_what_was_asked_counts_against_the_memory_for_metering(library: Any, metered: Metered) -> None:
    """A request is held only while there is room for it; beyond that its model is not known, and its use still is."""
    unnamed = USED.replace(b'"model":"m",', b"")
    with client_of(library, metered.home, [unnamed]) as client:
        spool = next(iter(outlay.meter.clients._spools.values()))
        with spool._writing:  # the writer's thread has to wait
            client.post(URL, json={"model": "told", "prompt": "x" * 1000})
            held = spool._bytes
            assert held > 1000
            spool._bytes_max = held + 500
            client.post(URL, json={"model": "large", "prompt": "x" * 1000})
            assert spool._bytes == held + len(unnamed)
    assert [(event.model, event.quantities["input_tokens"]) for event in metered.events] == [("told", 3), (None, 3)]
    assert spool._bytes == 0


AUDIO = "https://api.openai.com/v1/audio/transcriptions"
HEARD = b'{"text":"SECRET-WORD","usage":{"type":"duration","seconds":2.5}}'


@LIBRARIES
def test_the_model_is_read_from_a_form(library: Any, metered: Metered) -> None:
    """Where no answer names the model, the request's form does; its file and its other fields are passed over."""
    with client_of(library, metered.home, [HEARD]) as client:
        client.post(AUDIO, data={"model": "whisper-1", "prompt": "SECRET-WORD"}, files={"file": ("a.wav", b"RIFF")})
        client.post(AUDIO, content=iter([b"no", b"thing"]))
    first, second = metered.events
    assert (first.model, first.operation, second.model) == ("whisper-1", "transcription", None)
    assert first.quantities == second.quantities == {"requests": 1, "audio_seconds": Decimal("2.5")}
    outlay.meter.clients._spools[metered.home].stats.troubles.clear()


def test_the_model_is_read_from_what_was_sent() -> None:
    """JSON, a form's bytes, text and a mapping; what is none of these or strange names none."""
    stats = Stats()
    form = requests.Request("POST", AUDIO, data={"model": "whisper-1"}, files={"file": b"RIFF"}).prepare().body
    for content, model in (
        (b'{"messages": [1], "model": "m"}', "m"), ('{"model": "m"}', "m"), (form, "whisper-1"), ({"model": "m"}, "m"),
        (b"{}", None), (b'{"model": 3}', None), (b'{"model": "a\\nb"}', None), (None, None), (b"\x00", None),
    ):  # fmt: skip
        assert requested(content, "model", stats) == model
    assert stats.troubles == {}
    assert requested(b"{", "model", stats) is None
    assert stats.last == {"unreadable": "DecodeError"}
