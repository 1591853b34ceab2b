"""The official SDKs, unchanged, against simulated vendors over real HTTP: what is metered is what was used."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anthropic
import groq
import httpx
import httpx2
import openai
import pytest
import requests
import urllib3

import outlay.meter
from meter.conftest import Metered
from outlay.model.facts import LimitBasis
from outlay.simulator.faces.inference import SAID

KEY = "sim-any"
PROMPT = "Question-that-nobody-may-see"
GROQ_MODEL = "llama-3.3-70b-versatile"
CALLS = 12


def question(number: int) -> list[Any]:
    """Return messages that differ by number, so that each answer counts otherwise."""
    return [{"role": "user", "content": f"{PROMPT} {number}"}]


def attached(client: Any, metered: Metered, provider: str) -> Any:
    """Return a client that is metered."""
    return outlay.meter.attach(client, provider=provider, connection=f"my-{provider}", home=metered.home)


def no_content(metered: Metered, log: str) -> bool:
    """Return whether nothing that was asked or answered was kept anywhere."""
    kept = [path.read_bytes() for path in metered.home.rglob("*") if path.is_file()]
    texts = [log, repr(metered.events), repr(outlay.meter.trouble()), repr(outlay.meter.stats())]
    said = [SAID, PROMPT]
    return not any(word.encode() in content for word in said for content in kept) and not any(
        word in text for word in said for text in texts
    )


def test_openai(metered: Metered, caplog: pytest.LogCaptureFixture) -> None:
    """Chat, responses and embeddings, whole and streamed, add up to the last token; nothing said is kept."""
    caplog.set_level(logging.DEBUG, "outlay")
    with openai.OpenAI(api_key=KEY, base_url=f"{metered.url('openai')}/v1") as client:
        assert attached(client, metered, "openai") is client
        for number in range(CALLS):
            whole = client.chat.completions.create(model="gpt-5.5", messages=question(number))
            assert whole.choices[0].message.content == SAID
            chunks = list(
                client.chat.completions.create(
                    model="gpt-5.5", messages=question(number), stream=True, stream_options={"include_usage": True}
                )
            )
            assert chunks[-1].usage is not None
            assert client.responses.create(model="gpt-5.5", input=f"{PROMPT} {number}").output_text == SAID
            events = list(client.responses.create(model="gpt-5.5", input=f"{PROMPT} {number}", stream=True))
            assert events[-1].type == "response.completed"
            client.embeddings.create(model="text-embedding-3-small", input=f"{PROMPT} {number}")
    assert metered.total() == metered.truth()
    assert metered.total()["requests"] == 5 * CALLS
    events = metered.events
    assert {event.operation for event in events} == {"chat", "responses", "embeddings"}
    assert {event.connection for event in events} == {"my-openai"}
    assert all(limit.basis is LimitBasis.HEADER for event in events for limit in event.limits)
    assert {limit.unit for limit in events[0].limits} == {"requests", "tokens"}
    assert no_content(metered, caplog.text)


def test_openai_async(metered: Metered) -> None:
    """The asynchronous client is metered alike."""

    async def ask() -> None:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{metered.url('openai')}/v1") as client:
            attached(client, metered, "openai")
            await asyncio.gather(
                *(client.chat.completions.create(model="gpt-5.5", messages=question(n)) for n in range(CALLS))
            )
            for number in range(CALLS):
                stream = await client.chat.completions.create(
                    model="gpt-5.5", messages=question(number), stream=True, stream_options={"include_usage": True}
                )
                assert [chunk async for chunk in stream][-1].usage is not None

    asyncio.run(ask())
    assert metered.total() == metered.truth()


def test_anthropic(metered: Metered, caplog: pytest.LogCaptureFixture) -> None:
    """Messages, whole and streamed in both ways, add up: cache reads, writes of both kinds and output each once."""
    caplog.set_level(logging.DEBUG, "outlay")
    with anthropic.Anthropic(api_key=KEY, base_url=metered.url("anthropic")) as client:
        attached(client, metered, "anthropic")
        for number in range(CALLS):
            ask: dict[str, Any] = {"model": "claude-sonnet-5", "max_tokens": 50, "messages": question(number)}
            client.messages.create(**ask)
            assert list(client.messages.create(**ask, stream=True))[-1].type == "message_stop"
            with client.messages.stream(**ask) as stream:
                assert stream.get_final_message().usage.output_tokens > 1
    assert metered.total() == metered.truth()
    assert {meter for meter in metered.total() if meter.startswith("cache")} == {
        "cache_write_1h_tokens", "cache_write_tokens", "cached_input_tokens",
    }  # fmt: skip
    limit = metered.events[0].limits[0]
    assert (limit.window, limit.quota, limit.scope) == ("1 minute", 4000, "organization")
    assert no_content(metered, caplog.text)


def test_anthropic_async(metered: Metered) -> None:
    """The asynchronous client is metered alike."""

    async def ask() -> None:
        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=metered.url("anthropic")) as client:
            attached(client, metered, "anthropic")
            for number in range(CALLS):
                await client.messages.create(model="claude-sonnet-5", max_tokens=50, messages=question(number))
                async with client.messages.stream(
                    model="claude-sonnet-5", max_tokens=50, messages=question(number)
                ) as stream:
                    assert await stream.get_final_text()

    asyncio.run(ask())
    assert metered.total() == metered.truth()


def test_groq(metered: Metered) -> None:
    """Groq's SDK, whole and streamed: the usage of a stream is in `x_groq` of its last chunk."""
    with groq.Groq(api_key="sim-groq-key", base_url=metered.url("groq")) as client:
        attached(client, metered, "groq")
        for number in range(CALLS):
            client.chat.completions.create(model=GROQ_MODEL, messages=question(number))
            assert list(client.chat.completions.create(model=GROQ_MODEL, messages=question(number), stream=True))

    async def ask() -> None:
        async with groq.AsyncGroq(api_key="sim-groq-key", base_url=metered.url("groq")) as client:
            attached(client, metered, "groq")
            stream = await client.chat.completions.create(model=GROQ_MODEL, messages=question(0), stream=True)
            assert [chunk async for chunk in stream]

    asyncio.run(ask())
    assert metered.total() == metered.truth()


def test_deepseek_by_openai_s_sdk(metered: Metered) -> None:
    """Another vendor behind the same SDK is that vendor, with its own words for cache hits."""
    with openai.OpenAI(api_key=KEY, base_url=metered.url("deepseek")) as client:
        attached(client, metered, "deepseek")
        for number in range(CALLS):
            client.chat.completions.create(model="deepseek-flash", messages=question(number))
            list(
                client.chat.completions.create(
                    model="deepseek-flash", messages=question(number), stream=True,
                    stream_options={"include_usage": True},
                )
            )  # fmt: skip
    assert metered.total("deepseek") == metered.truth()


@pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])
def test_plain_clients(metered: Metered, library: Any) -> None:
    """Plain calls of both libraries are metered, and their callers get every byte, squeezed or not."""
    url = f"{metered.url('openai')}/v1/chat/completions"
    for encoding in ("gzip", "identity"):
        headers = {"authorization": f"Bearer {KEY}", "accept-encoding": encoding}
        with (
            attached(library.Client(headers=headers), metered, "openai") as client,
            library.Client(headers=headers) as plain,
        ):
            ask = {"model": "gpt-5.5", "messages": question(1), "stream": encoding == "identity",
                   "stream_options": {"include_usage": True}}  # fmt: skip
            got, wanted = client.post(url, json=ask), plain.post(url, json=ask)
            assert got.headers.get("content-encoding", "identity") == encoding
            assert _same(got.content) == _same(wanted.content)
            assert got.elapsed.total_seconds() > 0
    assert {meter: 2 * count for meter, count in metered.total().items()} == metered.truth()


def _same(content: bytes) -> bytes:
    import re

    return re.sub(rb"req_\d+", b"", content)


def test_requests(metered: Metered) -> None:
    """A session of requests is metered: at once, in pieces, in lines, and read raw."""
    url = f"{metered.url('openai')}/v1/chat/completions"
    with attached(requests.Session(), metered, "openai") as session:
        session.headers["authorization"] = f"Bearer {KEY}"
        for number in range(4):
            ask = {"model": "gpt-5.5", "messages": question(number)}
            assert session.post(url, json=ask).json()["usage"]["completion_tokens"] > 0
            with session.post(url, json=ask, stream=True) as got:
                assert b"".join(got.iter_content(7)).startswith(b"{")
            with session.post(url, json=ask, stream=True) as got:
                assert got.raw.read()[:2] == b"\x1f\x8b"
            with session.post(url, json=ask, stream=True) as got:
                assert b"".join(iter(lambda got=got: got.raw.read(11, decode_content=True), b"")).startswith(b"{")
            streamed = {**ask, "stream": True, "stream_options": {"include_usage": True}}
            with session.post(url, json=streamed, stream=True) as got:
                assert b"data: [DONE]" in list(got.iter_lines())
    assert metered.total() == metered.truth()


def test_urllib3(metered: Metered) -> None:
    """A pool of urllib3 is metered, whether answers are read at once or later."""
    url = f"{metered.url('openai')}/v1/chat/completions"
    with urllib3.PoolManager(headers={"authorization": f"Bearer {KEY}"}) as pool:
        attached(pool, metered, "openai")
        ask = {"model": "gpt-5.5", "messages": question(1)}
        assert pool.request("POST", url, json=ask).json()["usage"]
        later = pool.request("POST", url, json=ask, preload_content=False)
        assert b"".join(later.stream(13)).startswith(b"{")
        later.release_conn()
    assert metered.total() == metered.truth()


def test_a_stream_that_is_left_is_a_call_of_unknown_use(metered: Metered) -> None:
    """What was told by then is counted; what was not is marked as unknown and is not zero."""
    with openai.OpenAI(api_key=KEY, base_url=f"{metered.url('openai')}/v1") as client:
        attached(client, metered, "openai")
        with client.chat.completions.create(model="gpt-5.5", messages=question(1), stream=True) as stream:
            next(iter(stream))
        list(client.chat.completions.create(model="gpt-5.5", messages=question(1), stream=True))
    left, unasked = metered.events
    assert dict(left.quantities) == dict(unasked.quantities) == {"requests": 1, "uncounted_requests": 1}
    assert left.model == unasked.model == "gpt-5.5"


def test_failed_calls_cost_nothing(metered: Metered) -> None:
    """A call the vendor refused counts nothing; the caller gets the SDK's own error."""
    with openai.OpenAI(api_key=KEY, base_url=f"{metered.url('openai')}/v1", max_retries=0) as client:
        attached(client, metered, "openai")
        with pytest.raises(openai.BadRequestError):
            client.post("/chat/completions", body={"model": "gpt-5.5"}, cast_to=object)
    assert metered.events == []
    assert outlay.meter.stats().answers == 1


def test_attaching_twice_does_nothing_and_detaching_ends_it(metered: Metered) -> None:
    """Each call is counted once however often its client was attached, and not at all afterwards."""
    with openai.OpenAI(api_key=KEY, base_url=f"{metered.url('openai')}/v1") as client:
        for each in (client, client, client._client):
            attached(each, metered, "openai")
        client.chat.completions.create(model="gpt-5.5", messages=question(1))
        assert metered.total()["requests"] == 1
        outlay.meter.detach(client)
        client.chat.completions.create(model="gpt-5.5", messages=question(2))
        assert metered.total()["requests"] == 1
    session = attached(requests.Session(), metered, "openai")
    outlay.meter.detach(session)
    assert "get_adapter" not in vars(session)
