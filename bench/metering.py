"""What metering adds to a call: plain and streamed answers through a transport that answers at once.

PYTHONPATH=src python bench/metering.py [--calls 3000] [--rounds 5]

Two clients alone and one that is metered take turns. What is added is the difference of their medians and of their
slowest hundredths: the median of the rounds, and the least and the most. Noise is how far the two alone lie apart.
Wall time holds what else the machine does; the time of the program's own thread ("cpu") mostly does not.
"""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import cycle, islice, permutations
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


def round_of(url: str, calls: int) -> dict[str, list[tuple[float, float]]]:
    """Return what calls took: of two clients alone, whose difference is the noise, and of a metered one."""
    with tempfile.TemporaryDirectory() as home, client() as alone, client() as again, client() as metered:
        outlay.meter.attach(metered, home=Path(home))
        clients = {"alone": alone, "again": again, "metered": metered}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
        orders = cycle(permutations(clients.items()))
        gc.collect()
        for order in islice(orders, calls):  # so that what else happens, and what one leaves behind, strikes all
            for name, asking in order:
                taken[name].append(call(asking, url))
            time.sleep(0.0005)  # a program that asks vendors waits for them: the writer's thread has its turn then
        outlay.meter.flush()
        assert outlay.meter.trouble() == {}, outlay.meter.trouble()
    return taken


def measure(what: str, url: str, calls: int, rounds: int) -> None:
    found = [round_of(url, calls) for _ in range(rounds)]
    for clock, kind in enumerate(("wall", "cpu")):
        for name, place in (("median", 49), ("p90", 89), ("p99", 98)):
            cuts = [
                {who: statistics.quantiles([each[clock] for each in times], n=100)[place] for who, times in one.items()}
                for one in found
            ]
            middle = {who: statistics.median(cut[who] for cut in cuts) for who in cuts[0]}
            added = sorted(cut["metered"] - (cut["alone"] + cut["again"]) / 2 for cut in cuts)
            noise = statistics.median(abs(cut["again"] - cut["alone"]) for cut in cuts)
            print(
                f"{what:8} {kind:4} {name:6} {middle['alone']:7.1f} us alone, {middle['metered']:7.1f} metered: "
                f"{statistics.median(added):+6.1f} ({added[0]:+.1f} to {added[-1]:+.1f}), noise {noise:.1f}"
            )


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000, help="of each client in a round")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    measure("plain", URL, asked.calls, asked.rounds)
    measure("streamed", f"{URL}?stream", asked.calls, asked.rounds)
