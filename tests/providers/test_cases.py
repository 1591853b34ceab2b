"""Every recorded answer of every provider maps to exactly the facts and problems written beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.case_files import Case, all_cases, fact_lines, problem_text


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_case(case: Case, pytestconfig: pytest.Config) -> None:
    """Recorded pages in, facts and problems out; `pytest --update` rewrites the expectation for review."""
    facts, problems = case.outcome()
    expected, refused = case.path / "facts.jsonl", case.path / "problem.json"
    got_facts, got_problems = fact_lines(facts), problem_text(problems) if problems else ""
    if pytestconfig.getoption("--update", default=False):
        _write(expected, got_facts, keep=not problems)
        _write(refused, got_problems, keep=False)
    assert case.pages(), "a case needs at least one page"
    assert expected.exists() or refused.exists(), "a case says what it expects"
    assert got_facts == (expected.read_text(encoding="utf-8") if expected.exists() else "")
    assert got_problems == (refused.read_text(encoding="utf-8") if refused.exists() else "")


def _write(path: Path, text: str, *, keep: bool) -> None:
    if text or keep:
        path.write_text(text, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)
