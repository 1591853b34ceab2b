"""What a sync did, per connection and dataset, in the shape other programs read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from outlay.errors import Exit
from outlay.model.problem import Problem, Severity

TOLD_MAX = 20
"""How many problems of one kind a dataset's report spells out; a broken answer may hold one in every row."""


@dataclass(slots=True)
class DatasetReport:
    """Counts of one dataset: partitions asked for, committed anew, confirmed unchanged, changed from before."""

    dataset: str
    partitions: int = 0
    fetched: int = 0
    unchanged: int = 0
    restated: int = 0
    facts: int = 0
    requests: int = 0
    problems: list[Problem] = field(default_factory=list)
    _counts: dict[tuple[str, Severity], int] = field(default_factory=dict)
    _rest_at: dict[tuple[str, Severity], int] = field(default_factory=dict)

    def tell(self, problems: Iterable[Problem]) -> None:
        """Add problems; of one kind the first `TOLD_MAX` are spelt out and the others counted."""
        for problem in problems:
            kind = (problem.code, problem.severity)
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            if count <= TOLD_MAX:
                self.problems.append(problem)
                continue
            more = f"{count - TOLD_MAX} more of this kind"
            rest = Problem(code=problem.code, says=more, hint=problem.hint, severity=problem.severity)
            if kind in self._rest_at:
                self.problems[self._rest_at[kind]] = rest
            else:
                self._rest_at[kind] = len(self.problems)
                self.problems.append(rest)

    @property
    def failed(self) -> bool:
        """Tell whether anything asked for is missing."""
        return any(problem.severity is Severity.FATAL for problem in self.problems)


@dataclass(slots=True)
class ConnectionReport:
    """What one connection's sync came to."""

    connection: str
    provider: str
    datasets: list[DatasetReport] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """What concerns the connection as a whole."""
    requests: int = 0
    seconds: float = 0.0
    skipped: bool = False

    @property
    def state(self) -> str:
        """Return `ok`, `partial` (something is missing), `failed` (nothing came) or `skipped`."""
        if self.skipped:
            return "skipped"
        if any(problem.severity is Severity.FATAL for problem in self.problems):
            return "failed"
        if not any(dataset.failed for dataset in self.datasets):
            return "ok"
        return "partial" if any(dataset.fetched or not dataset.failed for dataset in self.datasets) else "failed"


@dataclass(slots=True)
class Report:
    """What a sync did in all."""

    connections: list[ConnectionReport] = field(default_factory=list)

    @property
    def exit(self) -> Exit:
        """Return the exit status the report deserves."""
        return Exit.DONE if all(report.state == "ok" for report in self.connections) else Exit.PROVIDER

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return {"connections": [_connection(report) for report in self.connections]}


def _connection(report: ConnectionReport) -> dict[str, Any]:
    return {
        "connection": report.connection,
        "provider": report.provider,
        "state": report.state,
        "datasets": [
            {
                "dataset": dataset.dataset,
                "partitions": dataset.partitions,
                "fetched": dataset.fetched,
                "unchanged": dataset.unchanged,
                "restated": dataset.restated,
                "facts": dataset.facts,
                "requests": dataset.requests,
                "problems": [_problem(problem) for problem in dataset.problems],
            }
            for dataset in report.datasets
        ],
        "problems": [_problem(problem) for problem in report.problems],
        "requests": report.requests,
        "seconds": round(report.seconds, 3),
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "where": problem.where,
        "says": problem.says,
        "hint": problem.hint,
        "period": [problem.period.first_day.isoformat(), problem.period.end_day.isoformat()]
        if problem.period
        else None,
    }
