"""The commands on a ledger that a real sync over HTTP has filled."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from outlay.simulator import Simulator

MONTH = ("--from", "2026-11-01", "--to", "2026-12-01")
QUESTIONS = ("spend", "usage", "limits", "balances", "invoices", "budgets", "revenue", "status", "history")


# ── sync ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_second_sync_changes_nothing(synced: Any) -> None:
    """What is known is confirmed, in the exact shape other programs read."""
    report = synced.json("sync", "openai-test", "--quiet")
    (connection,) = report["connections"]
    assert connection["state"] == "ok"
    assert {"connection", "provider", "state", "datasets", "requests", "seconds"} <= set(connection)
    for dataset in connection["datasets"]:
        assert {"dataset", "partitions", "fetched", "unchanged", "restated", "facts", "requests", "problems"} <= set(
            dataset
        )
        assert dataset["restated"] == 0


def test_a_dry_run_asks_nothing(synced: Any, simulator: Simulator) -> None:
    """The plan is printed with every request and their count, and none is sent."""
    sent = len(simulator.requests)
    plan = synced.json("sync", "--dry-run", "--full")
    assert len(simulator.requests) == sent
    assert plan["count"] == sum(one["count"] for one in plan["connections"])
    requests = [request for one in plan["connections"] for request in one["requests"]]
    assert all(request["method"] == "GET" and request["path"].startswith("/") for request in requests)
    assert "nothing was sent" in synced("sync", "--dry-run", "--full").stdout


def test_a_dry_run_before_the_first_sync_makes_nothing(synced: Any, line: Any) -> None:
    """Without a ledger the plan is everything, and there is still no ledger afterwards."""
    line.config, line.environ = synced.config, synced.environ
    assert line.json("sync", "--dry-run")["count"] > 0
    assert not line.home.exists()


def test_a_failing_connection_leaves_the_others_alone(synced: Any, line: Any) -> None:
    """A connection without its key fails with status 3; the other is synced all the same."""
    line.config = synced.config
    line.environ = {**synced.environ, "OPENAI": ""}
    result = line("sync", "openai-test", "anthropic-test", "--since", "2026-11-20", "--format", "json")
    states = {one["connection"]: one["state"] for one in json.loads(result.stdout)["connections"]}
    assert result.exit_code == 3
    assert states == {"openai-test": "failed", "anthropic-test": "ok"}


def test_a_connection_that_never_answered_has_failed(synced: Any, line: Any) -> None:
    """One that was asked in vain is told from one that nobody has asked yet."""
    line.config, line.environ = synced.config, {**synced.environ, "OPENAI": "not-the-key"}
    assert line("sync", "openai-test", "--since", "2026-11-20", "--quiet").exit_code == 3
    table = line("status").stdout.split("\n\n")[0].splitlines()
    states = {row.split()[0]: row.split("–")[-1].split()[0] for row in table if "-test " in row}
    assert (states["openai-test"], states["github-test"]) == ("failed", "never")


def test_secrets_in_the_file_are_warned_of_once(synced: Any, line: Any, tmp_path: Path) -> None:
    """A dozen trial connections are one warning, and the next command says it again."""
    line.config = tmp_path / "plain.toml"
    text = synced.config.read_text()
    for provider, key in synced.environ.items():
        text = text.replace(f"env:{provider}", f"plain:{key}")
    line.config.write_text(text)
    for _ in range(2):
        assert line("sync", "--since", "2026-11-22", "--quiet").stderr.count("plain text") == 1


def test_sync_talks_on_stderr_only(synced: Any) -> None:
    """Progress is talk: stdout holds the report alone, and --quiet silences the rest."""
    result = synced("sync", "github-test", "--format", "json")
    json.loads(result.stdout)
    assert "github-test" in result.stderr
    assert synced("sync", "github-test", "--quiet").stderr == ""


@pytest.mark.parametrize("arguments", [("nobody",), ("--shard", "5/4"), ("--since", "2027-01-01")], ids=" ".join)
def test_sync_refuses_what_makes_no_sense(synced: Any, arguments: tuple[str, ...]) -> None:
    """Wrong names, shares and days end with 2 before anything is asked."""
    assert synced("sync", *arguments).exit_code == 2


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_spend_is_the_truth_to_the_last_digit(synced: Any, simulator: Simulator) -> None:
    """What the vendors' world says they cost is what the answer says, exactly."""
    answer = synced.json("spend", "--by", "provider", "--from", "2026-11-01", "--to", "2026-11-23")
    found = {row["provider"]: Decimal(row["billed_cost"]) for row in answer["rows"]}
    assert set(found) == {"openai", "anthropic", "github"}
    assert all(isinstance(row["billed_cost"], str) for row in answer["rows"])
    table = synced("spend", "--by", "provider", "--from", "2026-11-01", "--to", "2026-11-23").stdout
    assert all(f"{cost:,.2f}" in table for cost in found.values())


def test_spend_has_the_shape_of_the_design(synced: Any) -> None:
    """The object and its rows carry exactly the keys other programs rely on."""
    answer = synced.json("spend", "--by", "provider,day", *MONTH)
    assert list(answer) == ["from", "to", "by", "rows", "incomplete"]
    assert answer["by"] == ["provider", "day"]
    keys = ["provider", "day", "currency", "basis", "billed_cost", "effective_cost", "list_cost"]
    assert list(answer["rows"][0]) == keys


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_every_question_in_every_format(synced: Any, question: str, form: str) -> None:
    """Each answer prints in each format: a table within eighty columns, one JSON object, CSV with one header."""
    result = synced(question, "--format", form)
    assert result.exit_code == 0, result.stderr
    if form == "json":
        assert isinstance(json.loads(result.stdout), dict)
    elif form == "csv":
        rows = list(csv.reader(io.StringIO(result.stdout)))
        assert len({len(row) for row in rows}) == 1
    else:
        assert max(map(len, result.stdout.splitlines())) <= 80


def test_filters_narrow_the_answer(synced: Any) -> None:
    """Connections, providers and dimensions filter; a wrong one gets a suggestion."""
    for filters in (("--connection", "github-test"), ("--provider", "github"), ("--where", "provider=github")):
        assert {row["provider"] for row in synced.json("spend", *filters)["rows"]} == {"github"}
    for wrong in (("--connection", "github-tset"), ("--provider", "gihub"), ("--by", "provder")):
        result = synced("spend", *wrong)
        assert result.exit_code == 2
        assert "Did you mean" in result.stderr


def test_csv_holds_what_json_holds(synced: Any) -> None:
    """The same rows, the same digits."""
    rows = synced.json("spend", "--by", "provider,service", *MONTH)["rows"]
    cells = list(
        csv.DictReader(io.StringIO(synced("spend", "--by", "provider,service", *MONTH, "--format", "csv").stdout))
    )
    assert cells == [{name: "" if value is None else value for name, value in row.items()} for row in rows]


def test_the_nearest_limit_stands_first(synced: Any) -> None:
    """People see what is about to be reached before what is not; programs get the ledger's order."""
    rows = synced("limits").stdout.splitlines()[2:]
    shares = [Decimal(row.split(" %")[0].split()[-1]) for row in rows if " %" in row]
    assert shares
    assert shares == sorted(shares, reverse=True)
    assert " %" in rows[0]


def test_what_is_missing_is_said(synced: Any, tmp_path: Path) -> None:
    """A connection that is configured and was never synced is named, in every format."""
    config = tmp_path / "outlay.toml"
    config.write_text(
        synced.config.read_text() + '\n[connections.late]\nprovider = "openai"\ncredential = "env:LATE"\n'
    )
    asking = replace(synced, config=config)
    gaps = asking.json("spend")["incomplete"]
    assert {gap["connection"] for gap in gaps} == {"late"}
    assert all(set(gap) == {"connection", "dataset", "period", "why", "hint"} for gap in gaps)
    assert "Incomplete" in asking("spend").stdout
    assert "late" in asking("spend", "--format", "csv").stderr


def test_check_ends_with_five_where_something_is_crossed(synced: Any) -> None:
    """`--check` prints the same answer and names what is crossed on stderr."""
    over = [
        row
        for row in synced.json("budgets")["rows"]
        if row["consumed"] is not None and Decimal(row["consumed"]) >= Decimal(row["amount"])
    ]
    result = synced("budgets", "--check")
    assert result.exit_code == (5 if over else 0)
    assert result.stderr.count("crossed: budget") == len(over)
    assert synced("status", "--check").exit_code == (5 if over else synced("limits", "--check").exit_code)


# ── sql, maintain, export, replay ────────────────────────────────────────────────────────────────────────────────


def test_sql_reads_and_nothing_else(synced: Any) -> None:
    """A SELECT answers exactly; anything else is refused with status 2."""
    answer = synced.json("sql", "SELECT sum(BilledCost) AS total FROM charges WHERE x_Provider = 'github'")
    spent = synced.json("spend", "--provider", "github", "--from", "2026-11-01", "--to", "2026-11-23")["rows"]
    assert answer["columns"] == ["total"]
    assert Decimal(answer["rows"][0]["total"]) >= Decimal(spent[0]["billed_cost"])
    for query in ("DROP TABLE charges", "SELECT 1; SELECT 2", "COPY charges TO 'x.csv'", "SELEC 1"):
        assert synced("sql", query).exit_code == 2, query


def test_sql_says_when_it_cuts(synced: Any, tmp_path: Path) -> None:
    """More rows than asked for are left out with a warning, and a file or stdin may hold the query."""
    result = synced("sql", "SELECT * FROM range(5)", "--limit", "3", "--format", "csv")
    assert len(result.stdout.splitlines()) == 4
    assert "first 3 rows" in result.stderr
    path = tmp_path / "query.sql"
    path.write_text("SELECT 42 AS answer")
    assert synced.json("sql", "--file", str(path))["rows"] == [{"answer": 42}]
    assert "42" in synced("sql", "-", input="SELECT 42 AS answer").stdout


def test_a_backup_restores(synced: Any, line: Any, tmp_path: Path) -> None:
    """A backup put in place elsewhere answers the same, and never over a ledger that is there."""
    backup = tmp_path / "backup"
    assert synced("maintain", "backup", str(backup)).exit_code == 0
    line.config, line.environ = synced.config, synced.environ
    assert line("maintain", "restore", str(backup)).exit_code == 0
    assert line.json("spend", *MONTH) == synced.json("spend", *MONTH)
    assert line("maintain", "restore", str(backup)).exit_code == 4
    assert line("maintain", "verify").exit_code == 0


def test_exports_are_written(synced: Any, tmp_path: Path) -> None:
    """A FOCUS file holds the month's charges; a table of facts as many rows as the ledger."""
    out = tmp_path / "limits.jsonl"
    (row,) = synced.json("export", "facts", "limits", "--out", str(out))["rows"]
    assert row["rows"] == len(out.read_text().splitlines()) > 0
    focus = tmp_path / "focus.csv"
    (row,) = synced.json("export", "focus", "--out", str(focus), "--from", "2026-11-01", "--to", "2026-11-23")["rows"]
    assert row["rows"] == len(list(csv.reader(io.StringIO(focus.read_text())))) - 1 > 0
    assert synced("export", "focus", "--out", str(tmp_path / "focus.doc")).exit_code == 2


def test_an_export_says_what_its_file_lacks(synced: Any, tmp_path: Path) -> None:
    """A file for finance names the same gaps as the answer of the same days."""
    period = ("--from", "2026-10-01", "--to", "2026-11-23")
    done = synced.json("export", "focus", "--out", str(tmp_path / "focus.csv"), *period)
    assert done["incomplete"] == synced.json("spend", *period)["incomplete"] != []
    assert "not_synced" in synced("export", "focus", "--out", str(tmp_path / "focus.csv"), *period).stdout


def test_replay_changes_nothing_without_a_change(synced: Any) -> None:
    """The kept answers map to the facts that are there."""
    report = synced.json("replay")
    assert {one["state"] for one in report["connections"]} == {"ok"}
    assert all(dataset["restated"] == 0 for one in report["connections"] for dataset in one["datasets"])


def test_the_demo_needs_nothing(run: Callable[..., Any], tmp_path: Path) -> None:
    """As a process of its own, with no keys and no file: a real sync and the overview, in a folder of its own."""
    home = tmp_path / "demo"
    done = run("demo", "--no-serve", "--home", str(home), environ={"HOME": str(tmp_path)}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "This month" in done.stdout
    assert "openai-demo" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo"]
    again = run("demo", "--no-serve", "--home", str(home), environ={"HOME": str(tmp_path)}, cwd=tmp_path)
    assert again.returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind exist on POSIX alone")
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminate"])
def test_a_demo_that_is_interrupted_leaves_nothing_behind(told: int, tmp_path: Path) -> None:
    """Ended in the middle of its sync, the demo says so in a line and its folder is gone."""
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
    }  # fmt: skip
    command = [sys.executable, "-m", "outlay", "demo", "--no-serve"]
    with subprocess.Popen(
        command, env=environ, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert "syncing" in process.stderr.readline()
        (folder,) = tmp_path.glob("outlay-demo-*")
        assert (folder / "outlay.toml").exists()
        process.send_signal(told)
        out, said = process.communicate()
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert out == ""
    assert list(tmp_path.iterdir()) == []
