"""What a vendor changed is fetched again beside what is due; how far it told is remembered once that stands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from outlay.config import Config, Connection
from outlay.model.problem import Severity
from outlay.providers.google import PROVIDER
from outlay.store import Ledger
from outlay.sync import Report, engine
from outlay.sync.engine import Settings
from outlay.sync.plan import Span
from outlay.sync.replay import replay
from outlay.wire.client import Wire
from providers.test_google import Warehouse, line, table
from providers.test_google_talk import SEEN

OPTIONS = {"project": "acme", "dataset": "billing", "location": "EU"}
TODAY = date(2026, 11, 22)
TOKEN = "ya29." + "plainly-fake"


class BigQuery(httpx2.MockTransport):
    """Answers BigQuery's paths from one table, two rows a page, the first answer always unfinished."""

    def __init__(self, *rows: Mapping[str, Any]) -> None:
        super().__init__(self.answer)
        self.house, self.table = Warehouse(), table()
        self.house.fill(self.table, *rows)
        self.results: dict[str, tuple[list[tuple[Any, ...]], int]] = {}
        self.queries: list[dict[str, Any]] = []
        self.bytes = 1000

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Append rows as an export does."""
        for row in rows:
            marks = ", ".join("?" for _ in row)
            self.house.connection.execute(
                f'INSERT INTO acme.billing."{self.table.name}" ({", ".join(row)}) VALUES ({marks})', list(row.values())
            )

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        path = request.url.path
        if path.endswith("/tables"):
            return httpx2.Response(200, json={"tables": [{"tableReference": {"tableId": self.table.name}}]})
        if "/tables/" in path:
            return httpx2.Response(200, json=SEEN)
        if path.endswith("/queries"):
            return httpx2.Response(200, json=self.query(json.loads(request.content)))
        return httpx2.Response(200, json=self.page(path.rpartition("/")[2], request.url.params.get("pageToken")))

    def query(self, body: dict[str, Any]) -> dict[str, Any]:
        """Estimate a query, or run it and say that it is not finished."""
        if body.get("dryRun"):
            return {"totalBytesProcessed": str(self.bytes), "jobComplete": True}
        given = {each["name"]: datetime.fromisoformat(each["parameterValue"]["value"])
                 for each in body["queryParameters"]}  # fmt: skip
        self.queries.append(body)
        name = f"job{len(self.queries)}"
        sql = body["query"]
        changes = "last_export" in sql
        found = self.house.run(sql, given)
        if changes:
            found = [(name, day, _micros(at)) for name, day, at in found]
        self.results[name] = (found, 0)
        return {"jobComplete": False, "jobReference": {"jobId": name}}

    def page(self, job: str, token: str | None) -> dict[str, Any]:
        """Return two rows of a result."""
        rows, start = self.results[job][0], int(token or 0)
        part = [{"f": [{"v": None if cell is None else str(cell)} for cell in row]} for row in rows[start : start + 2]]
        page: dict[str, Any] = {"jobComplete": True, "jobReference": {"jobId": job}, "totalRows": str(len(rows)),
                                "totalBytesProcessed": str(self.bytes)}  # fmt: skip
        if part:
            page["rows"] = part
        if start + 2 < len(rows):
            page["pageToken"] = str(start + 2)
        return page

    @property
    def asked(self) -> list[set[str]]:
        """Return which days each query over costs was for, since the last look."""
        spans = []
        for body in self.queries:
            if "last_export" not in body["query"]:
                given = {each["name"]: each["parameterValue"]["value"][:10] for each in body["queryParameters"]}
                spans.append({given["start_0"], given["finish_0"]})
        self.queries.clear()
        return spans


def _micros(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return str(int(moment.timestamp()) * 1_000_000 + moment.microsecond)


class Bench:
    """A ledger of one Google connection."""

    def __init__(self, home: Path, google: BigQuery) -> None:
        self.home, self.google = home, google
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)
        self.options = dict(OPTIONS)

    def config(self) -> Config:
        """Return the configuration."""
        connection = Connection(
            "google", "google", "env:GOOGLE", since=date(2026, 11, 1), datasets=("costs",), options=self.options
        )
        return Config(None, "USD", None, None, self.home, {"google": connection})

    def sync(self, span: Span = Span()) -> Report:  # noqa: B008 - frozen
        """Sync once, an hour after the last time."""
        self.now += timedelta(hours=1)
        settings = Settings(
            clock=lambda: self.now, environ={"GOOGLE": TOKEN}, wire=partial(Wire, transport=self.google)
        )
        with Ledger.open(self.home, clock=lambda: self.now) as ledger:
            return engine.run(self.config(), ledger, span=span, settings=settings)

    def days(self) -> dict[int, Decimal]:
        """Return the ledger's cost by day of November."""
        with Ledger.open(self.home, clock=lambda: self.now) as ledger:
            sql = "SELECT day(ChargePeriodStart), sum(BilledCost) FROM charges GROUP BY ALL ORDER BY ALL"
            return {int(row[0]): row[1] for row in ledger.query(sql).rows}

    def mark(self) -> str | None:
        """Return how far Google told."""
        with Ledger.open(self.home, clock=lambda: self.now) as ledger:
            return ledger.mark("google", "costs")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Return a bench over three days of costs."""
    monkeypatch.setattr(engine, "BY_ID", {PROVIDER.id: PROVIDER})
    rows = [line(day=day, sku={"id": f"SKU-{n}", "description": "words"}) for day in (2, 3, 20) for n in range(3)]
    return Bench(tmp_path / "home", BigQuery(*rows))


def late(day: int, cost: float, at: int = 22) -> dict[str, Any]:
    """Return a row of an old day that is exported now."""
    moment = datetime(2026, 11, at, 12, 30, tzinfo=UTC)
    return line(day=day, cost=cost, export_time=moment, _PARTITIONTIME=moment.replace(hour=0, minute=0))


def problems(report: Report) -> list[str]:
    """Return the codes of what is more than a note."""
    return [problem.code for each in report.connections for dataset in each.datasets for problem in dataset.problems
            if problem.severity is not Severity.NOTE]  # fmt: skip


def test_only_days_with_new_rows_are_fetched_again(bench: Bench) -> None:
    """Late rows and corrections change their old days; beside them today is due, and the newest is told once more."""
    assert problems(bench.sync()) == []
    assert bench.days() == {2: 3, 3: 3, 20: 3}
    assert bench.google.asked == [{"2026-11-01", "2026-11-23"}]
    bench.google.add(late(2, 0.25), late(3, -1.0))
    assert problems(bench.sync()) == []
    assert bench.days() == {2: Decimal("3.25"), 3: 2, 20: 3}
    asked = sorted(map(sorted, bench.google.asked))
    # Rows exported within six hours of the newest may have been out of sight, so that day is asked for too.
    assert asked == [["2026-11-02", "2026-11-04"], ["2026-11-20", "2026-11-21"], ["2026-11-22", "2026-11-23"]]
    bench.sync()
    assert sorted(map(sorted, bench.google.asked)) == [["2026-11-02", "2026-11-04"], ["2026-11-22", "2026-11-23"]]


def test_how_much_a_query_reads_is_told(bench: Bench) -> None:
    """The report says the bytes, as a note: nothing is wrong."""
    [connection] = bench.sync().connections
    [costs] = connection.datasets
    assert [(each.code, each.severity) for each in costs.problems] == [("bytes_scanned", Severity.NOTE)]
    assert "1000 bytes" in costs.problems[0].says


def test_beyond_the_cap_nothing_is_run_or_committed(bench: Bench) -> None:
    """The estimate alone refuses; what was there stays, and the mark too, so that nothing is lost."""
    bench.sync()
    mark, before = bench.mark(), bench.days()
    bench.google.add(late(2, 0.25))
    bench.google.bytes = 10**12
    bench.google.queries.clear()
    report = bench.sync()
    assert problems(report) == ["request_refused"]
    assert bench.google.queries == []
    assert (bench.mark(), bench.days()) == (mark, before)
    bench.google.bytes = 1000
    assert problems(bench.sync()) == []
    assert bench.days()[2] == Decimal("3.25")


def test_a_day_that_fails_holds_the_mark(bench: Bench) -> None:
    """While one changed day cannot be committed Google tells the same days again, so it is not forgotten."""
    bench.sync()
    mark = bench.mark()
    bench.google.add(late(2, float("nan")), late(3, 1.0))
    assert problems(bench.sync()) == ["amount_refused"]
    assert bench.days() == {2: 3, 3: 4, 20: 3}
    assert bench.mark() == mark
    bench.google.house.connection.execute(f"DELETE FROM {bench.google.table.path.replace('`', '')} WHERE isnan(cost)")
    bench.google.add(late(2, 2.0))
    assert problems(bench.sync()) == []
    assert bench.days() == {2: 5, 3: 4, 20: 3}
    assert bench.mark() != mark


def test_a_sync_of_some_days_holds_the_mark(bench: Bench) -> None:
    """Days that changed and were not asked for are told again when they are."""
    bench.sync()
    bench.google.add(late(2, 1.0))
    bench.sync(Span(since=date(2026, 11, 15)))
    assert bench.days()[2] == 3
    bench.sync()
    assert bench.days()[2] == 4


def test_without_its_mark_everything_is_asked_again(bench: Bench) -> None:
    """A state built anew from the tables does not know how far Google told: every day is compared, none changes."""
    bench.sync()
    bench.google.asked  # noqa: B018 - forget what was asked
    with Ledger.open(bench.home, clock=lambda: bench.now) as ledger, ledger.state.write() as connection:
        connection.exec_driver_sql("DELETE FROM outlay_marks")
    report = bench.sync()
    [costs] = report.connections[0].datasets
    assert (costs.unchanged, costs.restated) == (costs.fetched, 0)
    assert costs.fetched == 4


def test_kept_pages_are_mapped_again_without_asking(bench: Bench) -> None:
    """What a conversation kept is enough to replay it, and comes to the same."""
    bench.sync()
    bench.google.queries.clear()
    with Ledger.open(bench.home, clock=lambda: bench.now) as ledger:
        report = replay(bench.config(), ledger, clock=lambda: bench.now)
    [costs] = report.connections[0].datasets
    assert (costs.fetched, costs.unchanged) == (22, 22)
    assert problems(report) == []
    assert bench.google.queries == []
