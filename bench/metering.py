"""What metering adds to a call: plain and streamed answers through a transport that answers at once.

Usage: PYTHONPATH=src python bench/metering.py [CALLS]
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

import outlay.meter

URL = "https://api.openai.com/v1/chat/completions"
USAGE = {"prompt_tokens": 1200, "completion_tokens": 300, "prompt_tokens_details": {"cached_tokens": 1024}}
HEADERS = {
    "x-ratelimit-limit-requests": "10000", "x-ratelimit-remaining-requests": "9999",
    "x-ratelimit-reset-requests": "6ms", "x-request-id": "req_1", "server": "bench",
}  # fmt: skip
BODY = json.dumps({"model": "gpt-5.5", "choices": [{"message": {"content": "word " * 400}}], "usage": USAGE}).encode()
CHUNKS = 100
EVENT = b'data: {"model":"gpt-5.5","choices":[{"index":0,"delta":{"content":"word "}}],"usage":null}\n\n'
LAST = b"data: " + json.dumps({"model": "gpt-5.5", "choices": [], "usage": USAGE}).encode() + b"\n\n"


class Stream(httpx2.SyncByteStream):
    """An answer in pieces, as a network gives it."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces


PLAIN = [BODY]
STREAMED = [*[EVENT] * CHUNKS, LAST, b"data: [DONE]\n\n"]


def answer(request: httpx2.Request) -> httpx2.Response:
    streamed = request.url.query == b"stream"
    kind = "text/event-stream" if streamed else "application/json"
    return httpx2.Response(
        200, headers={**HEADERS, "content-type": kind}, stream=Stream(STREAMED if streamed else PLAIN)
    )


def client() -> Any:
    return httpx2.Client(transport=httpx2.MockTransport(answer))


def call(asking: Any, url: str) -> tuple[float, float]:
    begun, worked = time.perf_counter(), time.thread_time()
    with asking.stream("POST", url, content=b"{}") as response:
        for _ in response.iter_raw():
            pass
    return (time.perf_counter() - begun) * 1e6, (time.thread_time() - worked) * 1e6


def measure(what: str, url: str, calls: int) -> None:
    with tempfile.TemporaryDirectory() as home, client() as plain, client() as metered:
        outlay.meter.attach(metered, home=Path(home))
        taken: dict[Any, list[tuple[float, float]]] = {plain: [], metered: []}
        gc.collect()
        for number in range(calls):  # in turn, each first every other time, so that what else happens strikes both
            for asking in (plain, metered) if number % 2 else (metered, plain):
                taken[asking].append(call(asking, url))
            time.sleep(0.0005)  # a program that asks vendors waits for them: the writer's thread has its turn then
        outlay.meter.flush()
        assert outlay.meter.trouble() == {}, outlay.meter.trouble()
        for clock, kind in enumerate(("wall", "cpu")):
            cuts = [statistics.quantiles([each[clock] for each in taken[one]], n=100) for one in (plain, metered)]
            for name, place in (("median", 49), ("p99", 98)):
                before, after = cuts[0][place], cuts[1][place]
                print(
                    f"{what:8} {kind:4} {name:6} {before:7.1f} us alone, {after:7.1f} metered: {after - before:+6.1f}"
                )


if __name__ == "__main__":
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    measure("plain", URL, number)
    measure("streamed", f"{URL}?stream", number)
