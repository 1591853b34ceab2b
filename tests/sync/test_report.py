"""A report says what went wrong without drowning its reader."""

from __future__ import annotations

from outlay.model.problem import Problem, Severity
from outlay.sync.report import TOLD_MAX, DatasetReport


def problem(row: int, code: str = "amount_refused", severity: Severity = Severity.FATAL) -> Problem:
    """Return the problem of one row."""
    return Problem(code=code, says=f"row {row}", hint="look", severity=severity)


def test_problems_of_one_kind_are_counted_beyond_the_first() -> None:
    """A thousand bad rows are twenty lines and a count that is right, wherever other kinds stand between."""
    report = DatasetReport("costs")
    report.tell(problem(row) for row in range(500))
    report.tell([problem(0, "currency_unknown", Severity.WARNING)])
    report.tell(problem(row) for row in range(500))
    assert [told.says for told in report.problems[:TOLD_MAX]] == [f"row {row}" for row in range(TOLD_MAX)]
    assert report.problems[TOLD_MAX].says == f"{1000 - TOLD_MAX} more of this kind"
    assert report.problems[TOLD_MAX].severity is Severity.FATAL
    assert [told.code for told in report.problems[TOLD_MAX + 1 :]] == ["currency_unknown"]
    assert report.failed


def test_few_problems_are_told_one_by_one() -> None:
    """Up to the bound nothing is summed up, and equal codes of another weight are another kind."""
    report = DatasetReport("costs")
    report.tell(problem(row) for row in range(TOLD_MAX))
    report.tell(problem(row, severity=Severity.WARNING) for row in range(TOLD_MAX))
    assert len(report.problems) == 2 * TOLD_MAX
    assert not any("more of this kind" in told.says for told in report.problems)
