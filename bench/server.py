"""Serve a vendor's daily cost report from memory: so many pages, so many rows a page, nothing else.

Raw asyncio, so that what is measured is the client. Each page is one day's bucket in the shape of an organization cost
report; `--restate` is not needed: the same seed gives the same bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

DAY = 86_400
MODELS = [f"model-{n}-2026-0{n % 9 + 1}-01" for n in range(10)]
METERS = ["input", "cached input", "output", "audio input", "audio output"]


def bucket(start: int, rows: int, seed: int) -> bytes:
    """Return one day's bucket as JSON text, the amounts with as many digits as a vendor's floats have."""
    chance = random.Random(start * 7 + seed)  # noqa: S311 - test data
    lines = []
    for row in range(rows):
        model, meter = MODELS[row % len(MODELS)], METERS[row // len(MODELS) % len(METERS)]
        project = f"proj_{row // 50:04d}"
        tokens = chance.randrange(1, 10**7)
        value = f"{tokens * 25 // 10}e-7" if row % 97 == 0 else f"{tokens / 4e5:.17g}"
        lines.append(
            f'{{"object":"organization.costs.result","amount":{{"value":{value},"currency":"usd"}},'
            f'"line_item":"{model}, {meter}","project_id":"{project}","api_key_id":null,"user_id":null,'
            f'"api_source":null,"quantity":{tokens},"quantity_unit":"tokens"}}'
        )
    return (
        f'{{"object":"bucket","start_time":{start},"end_time":{start + DAY},"results":[' + ",".join(lines) + "]}"
    ).encode()


class Report:
    """Every page of the report, ready to be sent."""

    def __init__(self, pages: int, rows: int, last: date, seed: int) -> None:
        end = int(datetime(last.year, last.month, last.day, tzinfo=UTC).timestamp()) + DAY
        self.first = end - pages * DAY
        self.buckets = [bucket(self.first + n * DAY, rows, seed) for n in range(pages)]

    def answer(self, target: str) -> bytes:
        """Return the HTTP answer for a request target."""
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        if not parts.path.endswith("/costs") or "start_time" not in query:
            return _http(b'{"object":"list","data":[],"has_more":false,"next_page":null,"last_id":null}')
        start = max(int(query["start_time"][0]), self.first)
        end = int(query.get("end_time", [str(self.first + len(self.buckets) * DAY)])[0])
        index = int(query["page"][0].removeprefix("page_")) if "page" in query else (start - self.first) // DAY
        last = min((end - self.first) // DAY, len(self.buckets))
        if index >= last:
            return _http(b'{"object":"page","data":[],"has_more":false,"next_page":null}')
        more = index + 1 < last
        cursor = f'"page_{index + 1}"' if more else "null"
        tail = f'],"has_more":{"true" if more else "false"},"next_page":{cursor}}}'
        return _http(b'{"object":"page","data":[' + self.buckets[index] + tail.encode())


def _http(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


class Connection(asyncio.Protocol):
    """Answer GET requests on one kept-alive connection."""

    report: Report

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = transport
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            target = head.split(b" ", 2)[1].decode()
            self._transport.write(self.report.answer(target))  # type: ignore[attr-defined]


async def serve(report: Report, port: int) -> None:
    """Serve until killed; the first line on stdout is the port."""
    Connection.report = report
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--last", type=date.fromisoformat, default=datetime.now(UTC).date() - timedelta(days=1))
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    asyncio.run(serve(Report(args.pages, args.rows, args.last, args.seed), args.port))


if __name__ == "__main__":
    main()
