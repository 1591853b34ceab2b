from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.conftest import Line

ROOT = Path(__file__).parents[2]
PRICES = """
provider = "openai"
currency = "USD"
checked = 2026-11-22
source = "https://prices.example"

[[model]]
id = "model-a"

[[model.price]]
valid_from = 2026-01-01
input_tokens = "2 per million"
output_tokens = "8 per million"
"""


def answer(number: int, model: str = "model-a") -> dict[str, object]:
    """Return an answer of the API."""
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 1795000000,
        "model": model,
        "usage": usage,
    }


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log of three calls, one of a model that no list knows."""
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in (answer(1), answer(2), answer(3, "model-unheard-of"))))
    return path


def test_a_log_becomes_spend(line: Line, log: Path) -> None:
    """Imported, settled and asked: calls are in the ledger at their price, once, and what has none is told."""
    (line.home / "prices").mkdir(parents=True)
    (line.home / "prices" / "openai.toml").write_text(PRICES)
    preview = line.json("meter", "import", str(log), "--provider", "openai", "--preview")
    assert (preview["accepted"], preview["duplicates"]) == (3, 0)
    assert line.json("meter", "status")["rows"] == []
    assert line.json("meter", "import", str(log), "--provider", "openai")["accepted"] == 3
    again = line.json("meter", "import", str(log), "--provider", "openai", "--dry-run")
    assert (again["accepted"], again["duplicates"]) == (0, 3)
    assert line.json("meter", "import", str(log), "--provider", "openai")["duplicates"] == 3
    (row,) = line.json("meter", "status")["rows"]
    assert (row["connection"], row["waiting"], row["unpriced"]) == ("openai", 1, 0)
    settled = line.json("meter", "settle")
    (dataset,) = settled["connections"][0]["datasets"]
    assert {problem["code"] for problem in dataset["problems"]} == {"unpriced_meter"}
    (spent,) = line.json("spend", "--from", "2026-11-01", "--to", "2026-12-01", "--by", "connection")["rows"]
    assert (spent["connection"], spent["basis"], spent["billed_cost"]) == ("openai", "priced", "12.000000")
    focus = ("export", "focus", "--from", "2026-11-01", "--to", "2026-12-01", "--out", str(log.with_suffix(".csv")))
    stated, priced = line(*focus), line(*focus, "--basis", "priced")
    assert "left out: openai, 12 USD: --basis priced writes it" in stated.stderr
    assert "left out" not in priced.stderr
    (row,) = line.json("meter", "status")["rows"]
    assert (row["days"], row["waiting"], row["unpriced"]) == (1, 0, 1)
    assert line.json("meter", "settle", "--again")["connections"][0]["datasets"][0]["unchanged"] == 1


def test_lines_left_out_are_told(line: Line, log: Path) -> None:
    """A table names each line that was not taken."""
    with log.open("a") as file:
        file.write("\nnot JSON\n")
    result = line("meter", "import", str(log), "--provider", "openai")
    assert result.exit_code == 0, result.output
    assert "line 4" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("meter", "import", "log.jsonl"),
        ("meter", "import", "log.jsonl", "--provider", "nobody"),
        ("meter", "import", "none.jsonl", "--provider", "openai"),
        ("meter", "import", "log.jsonl", "--connection", "nobody"),
        ("meter", "token", "create", "no name!"),
        ("meter", "token", "revoke", "none"),
        ("serve", "--host", "0.0.0.0", "--port", "0"),  # noqa: S104 - it is refused
        ("serve", "--host", "203.0.113.7"),
    ],
    ids=" ".join,
)
def test_what_the_user_must_correct(line: Line, log: Path, arguments: tuple[str, ...]) -> None:
    """A wrong argument is told with a hint, and nothing is done."""
    result = line(*arguments)
    assert result.exit_code == 2
    assert "hint:" in result.output


def test_a_token_is_shown_once(line: Line) -> None:
    """Its making prints the secret and nothing else on stdout; the list has everything but the secret."""
    made = line("meter", "token", "create", "collector")
    secret = made.stdout.strip()
    assert secret.startswith("outlay_")
    (row,) = line.json("meter", "token", "list")["rows"]
    assert (row["name"], row["scope"], row["revoked_at"]) == ("collector", "ingest", None)
    assert secret not in json.dumps(row)
    assert line("meter", "token", "revoke", row["id"]).exit_code == 0
    assert line.json("meter", "token", "list")["rows"][0]["revoked_at"] is not None
    whole = line.json("meter", "token", "create", "reader", "--scope", "read")
    assert whole["token"].startswith("outlay_")


def test_serve_takes_events_settles_them_and_ends_well(tmp_path: Path) -> None:
    """The server as a process: an event posted is spend after the server was told to end, in whatever moment."""
    (tmp_path / "home" / "prices").mkdir(parents=True)
    (tmp_path / "home" / "prices" / "openai.toml").write_text(PRICES)
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "HOME": str(tmp_path),
        "OUTLAY_HOME": str(tmp_path / "home"),
    }  # fmt: skip
    outlay = [sys.executable, "-m", "outlay"]
    now = datetime.now(UTC)
    event = {
        "specversion": "1.0", "id": "1", "source": "/tests", "type": "dev.outlay.meter.v1", "time": now.isoformat(),
        "data": {"provider": "openai", "model": "model-a", "quantities": {"input_tokens": "1000000"}},
    }  # fmt: skip
    with subprocess.Popen(
        [*outlay, "serve", "--port", "0"], env=environ, stdout=subprocess.PIPE, text=True, cwd=tmp_path
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=300)
            kind = {"content-type": "application/cloudevents+json"}
            connection.request("POST", "/api/v1/events", json.dumps(event), kind)
            assert json.loads(connection.getresponse().read()) == {"accepted": 1, "duplicates": 0, "rejected": []}
            connection.close()
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait() in {0, -signal.SIGTERM}
    for command in (["meter", "settle", "--quiet"], ["spend", "--format", "json", "--from", f"{now:%Y-%m-%d}"]):
        done = subprocess.run(
            [*outlay, *command], env=environ, capture_output=True, text=True, cwd=tmp_path, check=True
        )
    assert [row["billed_cost"] for row in json.loads(done.stdout)["rows"]] == ["2.000000"]
