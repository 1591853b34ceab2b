"""The simulator on real sockets: as a thread, and as a process."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from outlay.simulator import Simulator, World
from simulator.asking import TODAY, epoch

SOURCE = Path(__file__).parents[2] / "src"
COSTS = f"/openai/v1/organization/costs?start_time={epoch(TODAY - timedelta(days=9))}&limit=180"
KEY = {"authorization": "Bearer sim-openai-admin"}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Serve a small world."""
    with Simulator(World(7, TODAY, 10)) as running:
        yield running


def get(url: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Send one request over a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=300)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_simulator_answers_and_ends(simulator: Simulator) -> None:
    """It answers on a port of its own while the block lasts, and not after it."""
    assert simulator.base_url("openai") == f"{simulator.url}/openai"
    status, body = get(simulator.url, COSTS, KEY)
    assert status == 200
    assert len(json.loads(body)["data"]) == 10
    simulator.stop()
    with pytest.raises(OSError, match="refused"):
        get(simulator.url, COSTS, KEY)


def test_requests_are_logged_without_secrets(simulator: Simulator) -> None:
    """The log says what was asked and by which kind of key, never the key."""
    get(simulator.url, COSTS, KEY)
    get(simulator.url, COSTS, {"authorization": "Bearer something-secret"})
    get(simulator.url, "/elsewhere", {"authorization": "Bearer something-secret"})
    get(simulator.url, "/elsewhere")
    seen = simulator.requests
    assert [(line.provider, line.status, line.key, line.credential) for line in seen] == [
        ("openai", 200, "admin", True), ("openai", 401, None, True), (None, 404, None, True), (None, 404, None, False),
    ]  # fmt: skip
    assert "secret" not in repr(seen)
    assert "limit=180" in seen[0].query
    simulator.forget()
    assert simulator.requests == []


def test_a_cut_body_closes_the_connection(simulator: Simulator) -> None:
    """The client is told how much would come, gets half, and the line goes dead."""
    simulator.faults.add("cut")
    with pytest.raises(http.client.IncompleteRead) as caught:
        get(simulator.url, COSTS, KEY)
    assert caught.value.expected is not None
    assert caught.value.expected - len(caught.value.partial) in {0, 1}
    assert get(simulator.url, COSTS, KEY)[0] == 200


def test_a_slow_answer_arrives(simulator: Simulator) -> None:
    """A slow answer is a whole answer."""
    whole = get(simulator.url, COSTS, KEY)
    simulator.faults.add("slow", seconds=0.01)
    assert get(simulator.url, COSTS, KEY) == whole


def test_a_huge_page_streams(simulator: Simulator) -> None:
    """Fifty megabytes arrive, and are JSON."""
    simulator.faults.add("huge")
    status, body = get(simulator.url, COSTS, KEY)
    assert status == 200
    assert len(body) > 50 * 2**20
    assert len(json.loads(body)["data"]) == 10


def restate_often(simulator: Simulator) -> None:
    """Restate a day fifty times."""
    for _ in range(50):
        simulator.world.restate("openai", TODAY, "nothing")


def test_many_clients_are_served_at_once(simulator: Simulator) -> None:
    """Parallel clients get the same answer, also while a day is restated and faults come and go."""
    expected = get(simulator.url, COSTS, KEY)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: get(simulator.url, COSTS, KEY), range(60)))
    assert answers == [expected] * 60
    with ThreadPoolExecutor(8) as pool:
        changing = pool.submit(restate_often, simulator)
        statuses = list(pool.map(lambda _: get(simulator.url, COSTS, KEY)[0], range(60)))
        changing.result()
    assert set(statuses) == {200}


def test_two_simulators_stand_side_by_side(simulator: Simulator) -> None:
    """Each has a port, a world and a log of its own."""
    with Simulator(World(8, TODAY, 10)) as other:
        assert other.url != simulator.url
        assert get(other.url, COSTS, KEY)[1] != get(simulator.url, COSTS, KEY)[1]
        assert len(other.requests) == len(simulator.requests) == 1


def test_a_process_says_where_it_listens() -> None:
    """`python -m outlay.simulator` prints its URL first, serves the seeded world, and takes orders over HTTP."""
    command = [
        sys.executable,
        "-m",
        "outlay.simulator",
        "--port",
        "0",
        "--seed",
        "7",
        "--today",
        TODAY.isoformat(),
        "--days",
        "10",
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        status, body = get(url, "/_control/truth?provider=openai&by=&rows=project_id,line_item")
        assert status == 200
        [row] = json.loads(body)["rows"]
        truth = World(7, TODAY, 10).truth("openai")
        assert row["billed_cost"] == format(truth.total(rows=("project_id", "line_item")), "f")
        assert get(url, COSTS, KEY)[0] == 200
        assert len(json.loads(get(url, "/_control/requests")[1])["requests"]) == 1
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_the_package_loads_without_the_web_stack() -> None:
    """Naming the simulator loads no server."""
    program = "import sys, outlay.simulator; assert not {'starlette', 'uvicorn', 'jsonschema'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)})
