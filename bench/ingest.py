"""Measure taking meter events over HTTP: a server as a process of its own, senders that post for some seconds.

python bench/ingest.py [--seconds 10] [--batch 500] [--senders 2] [--connections 2,64,256]

Every event is distinct and acknowledged only when it is on disk; at the end the totals are compared with what was
sent. Each sender is a process with kept connections and one request under way on each; a batch sender has one. The
senders share the machine with the server, and their share of its time is told beside the server's.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple, Self

ROOT = Path(__file__).parent.parent
MODELS = [f"model-{number}" for number in range(8)]
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def event(sender: str, number: int, at: str) -> dict[str, object]:
    quantities = {"requests": 1, "input_tokens": 900, "cached_input_tokens": 100, "output_tokens": 250}
    return {
        "specversion": "1.0", "id": f"{number:09}", "source": sender, "type": "dev.outlay.meter.v1", "time": at,
        "data": {"provider": "openai", "model": MODELS[number % len(MODELS)], "operation": "chat",
                 "context_tokens": 1000, "quantities": quantities},
    }  # fmt: skip


class Wish(NamedTuple):
    """What one sender is to do. Units: `batch` 0 posts single events."""

    port: int
    name: str
    batch: int
    connections: int
    seconds: float


class Done(NamedTuple):
    """What came of it."""

    events: int
    waits: int
    """How often the server asked to come again."""
    cpu: float
    late: float
    """The longest time until an answer, in seconds."""


@dataclass
class Sender:
    """Posts over several connections, each waiting for its answer before the next request."""

    wish: Wish
    count: int = 0
    waits: int = 0
    late: float = 0
    sent: dict[socket.socket, tuple[int, bytes, float]] = field(default_factory=dict)

    def requests(self) -> Iterator[bytes]:
        """Yield requests for ever, made of a text in which only the numbers of the events change."""
        at, size = datetime.now(UTC).isoformat(), self.wish.batch or 1
        kind = "cloudevents-batch+json" if self.wish.batch else "cloudevents+json"
        texts = [json.dumps(event(self.wish.name, number, at)) for number in range(len(MODELS))]
        parts = [text.replace(f'"id": "{number:09}"', '"id": "%09d"') for number, text in enumerate(texts)]
        whole = ", ".join(parts[number % len(parts)] for number in range(size))
        body = f"[{whole}]" if self.wish.batch else whole
        length = len(body % tuple(range(size)))
        head = (
            f"POST /api/v1/events HTTP/1.1\r\nhost: 127.0.0.1:{self.wish.port}\r\n"
            f"content-type: application/{kind}\r\ncontent-length: {length}\r\n\r\n"
        )
        text, number = head + body, 0
        while True:
            yield (text % tuple(range(number, number + size))).encode()
            number += size

    def run(self) -> Done:
        """Post until the time is over, then wait for the last answers."""
        began, requests = time.process_time(), self.requests()
        until = time.monotonic() + self.wish.seconds
        with selectors.DefaultSelector() as selector:
            for _ in range(self.wish.connections):
                made = socket.create_connection(("127.0.0.1", self.wish.port))
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(made, selectors.EVENT_READ)
                self.send(made, next(requests))
            while self.sent:
                for key, _ in selector.select():
                    made = key.fileobj
                    assert isinstance(made, socket.socket)
                    if self.answered(made) and time.monotonic() < until:
                        self.send(made, next(requests))
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
        return Done(self.count, self.waits, time.process_time() - began, self.late)

    def send(self, made: socket.socket, request: bytes) -> None:
        """Post a request and note when."""
        self.sent[made] = (self.wish.batch or 1, request, time.monotonic())
        made.sendall(request)

    def answered(self, made: socket.socket) -> bool:
        """Read an answer and return whether its events were taken; where the server is busy, send them again."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += _received(made)
        head, _, body = answer.partition(b"\r\n\r\n")
        found = _LENGTH.search(head)
        assert found is not None, head
        while len(body) < int(found[1]):
            body += _received(made)
        size, request, began = self.sent.pop(made)
        if head.startswith(b"HTTP/1.1 429"):
            self.waits += 1
            time.sleep(0.05)
            self.send(made, request)
            return False
        assert b'"accepted":%d,' % size in body, (head, body)
        self.count += size
        self.late = max(self.late, time.monotonic() - began)
        return True


def _received(made: socket.socket) -> bytes:
    piece = made.recv(1 << 16)
    assert piece, "the server hung up"
    return piece


def post(wish: Wish) -> Done:
    return Sender(wish).run()


class Watched:
    """A server's process: its memory, looked at again and again, and its time."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._over = threading.Event()
        self._found: list[float] = []
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._cpu = self._time()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._found.append(self._mib("VmRSS"))
        self.cpu = self._time() - self._cpu

    def _look(self) -> None:
        while True:
            self._found.append(self._mib("VmRSS"))
            if self._over.wait(0.5):
                return

    def _mib(self, name: str) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text("utf-8")
        return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) / 1024

    def _time(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def __str__(self) -> str:
        """Tell the memory at five points of the time, and its highest ever."""
        last = len(self._found) - 1
        points = " ".join(f"{self._found[last * fifth // 4]:.0f}" for fifth in range(5))
        return f"memory {points} MiB from start to end, peak {self._mib('VmHWM'):.0f}"


def measure(pid: int, pool: Pool, senders: int, wish: Wish) -> int:  # type: ignore[valid-type]
    """Let all senders do as is wished, say what came of it, and return how many events were taken."""
    wishes = [wish._replace(name=f"{wish.name} {number}") for number in range(senders)]
    began = time.monotonic()
    with Watched(pid) as server:
        done = pool.map(post, wishes)  # type: ignore[attr-defined]
    seconds = time.monotonic() - began
    count = sum(each.events for each in done)
    print(
        f"{wish.name}: {count / seconds:,.0f} events/s, {count:,} events in {seconds:.1f} s, slowest answer "
        f"{max(each.late for each in done):.2f} s, asked to wait {sum(each.waits for each in done)} times\n"
        f"  CPU of the server {server.cpu / seconds:.2f} of a core, {server.cpu / count * 1e6:.0f} us an event; "
        f"of the senders {sum(each.cpu for each in done) / seconds:.2f}\n  {server}",
        flush=True,
    )
    return count


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--batch", type=int, default=500, help="0 leaves batches out")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--connections", default="2,64,256", help="of all senders of single events together")
    asked = parser.parse_args()
    kinds = [(asked.batch, asked.senders)] if asked.batch else []
    kinds += [(0, int(each)) for each in asked.connections.split(",") if each]
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OUTLAY_HOME": folder}
        command = [sys.executable, "-m", "outlay", "serve", "--port", "0", "--settle-seconds", "5"]
        server = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, cwd=folder)
        assert server.stdout is not None
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        total = 0
        for batch, connections in kinds:
            name = f"batches of {batch}" if batch else f"single events, {connections} connections"
            senders = min(asked.senders, connections)
            with Pool(senders) as pool:
                wish = Wish(port, name, batch, connections // senders, asked.seconds)
                total += measure(server.pid, pool, senders, wish)
        server.terminate()
        server.wait()
        subprocess.run([sys.executable, "-m", "outlay", "meter", "settle", "--quiet"], env=environ, check=True,
                       cwd=folder, stdout=subprocess.DEVNULL)  # fmt: skip
        found = subprocess.run([sys.executable, "-m", "outlay", "usage", "--format", "json"], env=environ, check=True,
                               cwd=folder, capture_output=True, text=True)  # fmt: skip
        used = {row["meter"]: int(row["quantity"].partition(".")[0]) for row in json.loads(found.stdout)["rows"]}
        assert used == {"requests": total, "input_tokens": 900 * total, "cached_input_tokens": 100 * total,
                        "output_tokens": 250 * total}, (used, total)  # fmt: skip
        print(f"in the ledger: {total:,} events, every one of them once")


if __name__ == "__main__":
    main()
