"""Groq's metrics asked of a real Prometheus server with recorded series, through the real wire."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

Make = Callable[..., Any]
PROGRAMS = ("prometheus", "promtool")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)), reason="no Prometheus server here: install the package `prometheus`"
)
TODAY = date(2026, 11, 22)
DAYS = [TODAY - timedelta(days=n) for n in (3, 2, 1)]
TOKENS, REQUESTS = "model_project_id:tokens_in:rate5m", "model_project_id_status_code:requests:rate5m"
EARLIER = "requests:increase1m"
MODELS = ("model-a", "model-b")
LOST = {17, 18, 100, 287}
"""Five minutes of model-b for which nothing was recorded."""
NO_NUMBERS = {30: "NaN", 31: "+Inf"}


def midnight(day: date) -> int:
    """Return a day's beginning in Unix seconds."""
    return int(datetime.combine(day, datetime.min.time(), UTC).timestamp())


def rate(model: str, day: date, slot: int) -> Decimal:
    """Return the recorded rate of five minutes: the slots of a day count from 1."""
    return Decimal((day.toordinal() * 31 + slot * 7 + len(model) + 11 * MODELS.index(model)) % 977).scaleb(-3)


def samples(model: str, day: date) -> Iterator[tuple[int, str]]:
    """Yield what is recorded of one model on one day, by the end of each five minutes."""
    for slot in range(1, 289):
        if model == "model-b" and slot in LOST:
            continue
        text = NO_NUMBERS.get(slot) if model == "model-b" else None
        yield midnight(day) + slot * 300, text or f"{rate(model, day, slot):f}"


def recorded() -> Iterator[str]:
    """Yield the series as OpenMetrics text: each metric by itself, each series in the order of time."""
    for name, more in ((TOKENS, ""), (REQUESTS, ',status_code="200"')):
        yield f"# TYPE {name} gauge"
        for model in MODELS:
            labels = f'model="{model}",project_id="project_x"{more}'
            yield from (f"{name}{{{labels}}} {text} {at}" for day in DAYS for at, text in samples(model, day))
    yield "# TYPE up gauge"
    yield f"up 1 {midnight(DAYS[0]) + 60}"
    yield "# EOF"


def minutes() -> Iterator[str]:
    """Yield the earlier generation: an increase for each minute, of which one is missing."""
    yield f"# TYPE {EARLIER} gauge"
    for minute in range(1, 1441):
        if minute != 603:
            yield f'{EARLIER}{{model="model-a"}} {minute % 7} {midnight(DAYS[0]) + minute * 60}'
    yield "# EOF"


def _program(name: str) -> str:
    """Return where a program is; the tests are skipped where it is not."""
    return shutil.which(name) or name


def running(folder: Path, text: str) -> Iterator[str]:
    """Record series, serve them below Groq's path on a free port, and yield the address before that path."""
    source = folder / "recorded.txt"
    source.write_text(text + "\n")
    data = folder / "data"
    subprocess.run([_program("promtool"), "tsdb", "create-blocks-from", "openmetrics", str(source), str(data)],
                   check=True, capture_output=True)  # fmt: skip
    (folder / "prometheus.yml").write_text("global: {}\n")
    for _ in range(5):
        address, server = _begun(folder, data)
        try:
            if _ready(f"http://{address}/v1/metrics/prometheus/-/ready", server):
                yield f"http://{address}"
                return
        finally:
            server.terminate()
            server.wait()
    raise AssertionError((folder / "log").read_text())


def _begun(folder: Path, data: Path) -> tuple[str, subprocess.Popen[bytes]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("ab") as log:
        return address, subprocess.Popen(
            [_program("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={data}",
             "--storage.tsdb.retention.time=100y", f"--web.listen-address={address}",
             "--web.route-prefix=/v1/metrics/prometheus"],
            stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip


def _ready(url: str, server: subprocess.Popen[bytes]) -> bool:
    """Wait until the server answers; where its port was taken by another meanwhile it ends, and another is tried."""
    while server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=120) as answer:  # noqa: S310 - a loopback address of our own
                if answer.status == 200 and server.poll() is None:
                    return True
        except OSError:
            time.sleep(0.1)
    return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the present generation of metrics."""
    yield from running(tmp_path_factory.mktemp("present"), "\n".join(recorded()))


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the earlier generation of metrics."""
    yield from running(tmp_path_factory.mktemp("earlier"), "\n".join(minutes()))


def synced(bench: Make, address: str) -> Any:
    """Return a bench whose metrics were read from a server, and its report."""
    one = bench(
        7, providers=("groq",), keys={"groq": "plainly-no-key"}, days=4,
        changes={"groq": {"base_url": address, "datasets": ("usage",)}},
    )  # fmt: skip
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    return one


def test_a_real_server_gives_the_recorded_sums(bench: Make, server: str) -> None:
    """Names are found, windows and steps understood, and each day's quantity is the sum over its own five minutes."""
    one = synced(bench, server)
    wanted = {}
    for model in MODELS:
        for day in DAYS:
            numbers = [Decimal(text) for _, text in samples(model, day) if text not in NO_NUMBERS.values()]
            for meter in ("input_tokens", "requests"):
                wanted[day, meter, model] = sum(numbers, Decimal(0)) * 300
    rows = one.rows("SELECT usage_period_start::DATE, meter, model, quantity, sub_account_id FROM usage")
    assert {row[:3]: row[3] for row in rows} == wanted
    assert {row[4] for row in rows} == {"project_x"}


def test_a_real_server_shows_the_same_holes(bench: Make, server: str) -> None:
    """What was not recorded, and what is no number, is left out of the day and told with its share."""
    one = synced(bench, server)
    share = (Decimal(288 - len(LOST) - len(NO_NUMBERS)) / 288).quantize(Decimal("0.0001"), "ROUND_DOWN")
    rows = one.rows("SELECT DISTINCT model, json_extract_string(details, '$.covered_share') FROM usage ORDER BY model")
    assert rows == [("model-a", None), ("model-b", f"{share:f}")]
    told = [p for each in one.reports[-1].connections[0].datasets for p in each.problems if p.code == "samples_missing"]
    assert {p.period.first_day for p in told} == set(DAYS)


def test_a_real_server_adds_up_single_minutes(bench: Make, earlier: str) -> None:
    """Of the earlier generation five minutes count where all five are there: a missing one takes its four with it."""
    one = synced(bench, earlier)
    known = [minute for minute in range(1, 1441) if not 601 <= minute <= 605]
    rows = one.rows("SELECT usage_period_start::DATE, meter, model, quantity FROM usage")
    assert rows == [(DAYS[0], "requests", "model-a", sum(minute % 7 for minute in known))]
