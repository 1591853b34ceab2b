"""Measure taking meter events over HTTP: a server as a process of its own, clients that post for some seconds.

python bench/ingest.py [--seconds 10] [--batch 500] [--clients 2]

Every event is distinct and acknowledged only when it is on disk; at the end the totals are compared with what was
sent. The clients share the machine with the server.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from multiprocessing import Pool
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODELS = [f"model-{number}" for number in range(8)]


def event(sender: str, number: int, at: str) -> dict[str, object]:
    quantities = {"requests": 1, "input_tokens": 900, "cached_input_tokens": 100, "output_tokens": 250}
    return {
        "specversion": "1.0", "id": f"{number}", "source": sender, "type": "dev.outlay.meter.v1", "time": at,
        "data": {"provider": "openai", "model": MODELS[number % len(MODELS)], "operation": "chat",
                 "context_tokens": 1000, "quantities": quantities},
    }  # fmt: skip


def post(wish: tuple[int, str, int, float]) -> tuple[int, int]:
    """Post for some seconds and return how many events were acknowledged, and how often the server asked to wait."""
    port, sender, batch, seconds = wish
    connection = http.client.HTTPConnection("127.0.0.1", port)
    at = datetime.now(UTC).isoformat()
    kind = "application/cloudevents-batch+json" if batch else "application/cloudevents+json"
    count = waits = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        made = [event(sender, count + number, at) for number in range(batch or 1)]
        connection.request("POST", "/api/v1/events", json.dumps(made if batch else made[0]), {"content-type": kind})
        answer = connection.getresponse()
        said = json.loads(answer.read())
        if answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
            waits += 1
            time.sleep(0.05)
            continue
        assert answer.status == http.HTTPStatus.OK, said
        assert said["accepted"] == len(made), said
        count += len(made)
    return count, waits


def post_side_by_side(wish: tuple[int, str, int, float, int]) -> tuple[int, int]:
    port, sender, batch, seconds, senders = wish
    with ThreadPoolExecutor(senders) as pool:
        done = list(pool.map(post, [(port, f"{sender} {number}", batch, seconds) for number in range(senders)]))
    return sum(count for count, _ in done), sum(waits for _, waits in done)


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--clients", type=int, default=2)
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OUTLAY_HOME": folder}
        command = [sys.executable, "-m", "outlay", "serve", "--port", "0", "--settle-seconds", "5"]
        server = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, cwd=folder)
        assert server.stdout is not None
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        total = 0
        with Pool(wish.clients) as pool:
            for batch, senders in ((wish.batch, 1), (0, 1), (0, 32)):
                name = f"batches of {batch}" if batch else f"single events, {senders * wish.clients} senders"
                began = time.monotonic()
                asked = [(port, f"{name} {client}", batch, wish.seconds, senders) for client in range(wish.clients)]
                done = pool.map(post_side_by_side, asked)
                count, waits = (sum(column) for column in zip(*done, strict=True))
                total += count
                rate = count / (time.monotonic() - began)
                print(f"{name}: {rate:,.0f} events/s, {count:,} events, asked to wait {waits} times, "
                      f"peak {peak_mib(server.pid):.0f} MiB")  # fmt: skip
        server.terminate()
        server.wait()
        subprocess.run([sys.executable, "-m", "outlay", "meter", "settle", "--quiet"], env=environ, check=True,
                       cwd=folder, stdout=subprocess.DEVNULL)  # fmt: skip
        found = subprocess.run([sys.executable, "-m", "outlay", "usage", "--format", "json"], env=environ, check=True,
                               cwd=folder, capture_output=True, text=True)  # fmt: skip
        used = {row["meter"]: float(row["quantity"]) for row in json.loads(found.stdout)["rows"]}
        assert used["requests"] == total, (used, total)
        print(f"in the ledger: {total:,} events, every one of them once")


if __name__ == "__main__":
    main()
