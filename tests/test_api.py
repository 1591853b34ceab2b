"""The Python interface: light to import, typed, and the same answers as everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

import outlay
from analysis.staging import charge, clock, put
from outlay.model.period import Period
from outlay.store import Ledger as Store

ROOT = Path(__file__).parents[1]
DAY = date(2026, 11, 2)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give the home of a ledger with one charge and a configuration beside it."""
    folder = tmp_path / "home"
    with Store.open(folder, clock=clock) as ledger:
        put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "1.5", sku_id="x")])
    config = '[connections.a]\nprovider = "openai"\ncredential = "env:NOT_SET"\n'
    (tmp_path / "outlay.toml").write_text(config, encoding="utf-8")
    return folder


def opened(home: Path) -> outlay.Ledger:
    """Return the ledger opened as a program would."""
    return outlay.open(home=home, config=home.parent / "outlay.toml", environ={}, clock=clock)


def test_every_public_name_is_there_and_no_other() -> None:
    """What `__all__` names can be had, `dir` shows the same, and a wrong name is an AttributeError."""
    assert sorted(outlay.__all__) == outlay.__all__ == dir(outlay)
    for name in outlay.__all__:
        assert getattr(outlay, name) is not None
    with pytest.raises(AttributeError, match="opne"):
        outlay.opne  # noqa: B018 - asking is the test


def test_importing_is_light() -> None:
    """`import outlay` loads no library beyond the standard one."""
    code = (
        "import sys; before = set(sys.modules); import outlay\n"
        "print([name for name in set(sys.modules) - before if name.split('.')[0] not in {*sys.stdlib_module_names, "
        "'outlay'}])"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ)
    assert done.stdout.strip() == "[]"


def test_answers_are_the_same_as_everywhere(home: Path) -> None:
    """Days may be text, one dimension may stand alone, filters are by keyword."""
    with opened(home) as ledger:
        answer = ledger.spend(from_="2026-11-01", to=date(2026, 12, 1), by="sku", where={"sku": ["x", "y"]})
        assert [(row.dimensions["sku"], row.billed_cost) for row in answer.rows] == [("x", Decimal("1.5"))]
        assert ledger.spend(connection="b", basis="all").rows == ()
        assert ledger.spend(provider=["openai"]).rows != ()
        assert [row.connection for row in ledger.status().rows] == ["a"]
        for question in (ledger.usage, ledger.revenue, ledger.limits, ledger.balances, ledger.budgets):
            assert question().rows == ()
        assert ledger.invoices().rows == ()
        assert ledger.history(day=DAY).rows == ()


def test_sql_is_read_only(home: Path) -> None:
    """A SELECT is answered; anything else is the user's mistake."""
    with opened(home) as ledger:
        found = ledger.sql("SELECT x_Connection, BilledCost FROM charges")
        assert found.rows == [("a", Decimal("1.5"))]
        with pytest.raises(outlay.ConfigError):
            ledger.sql("DROP TABLE charges")


def test_exports_are_written(home: Path, tmp_path: Path) -> None:
    """FOCUS files and tables of facts come from the same open ledger."""
    with opened(home) as ledger:
        done = ledger.export_focus(tmp_path / "f.csv", from_="2026-11-01", to="2026-12-01", version="1.4")
        assert (done.rows, done.checked.passed) == (1, True)
        assert ledger.export_facts("charges", str(tmp_path / "c.jsonl")) == 1


def test_a_sync_without_its_credential_is_reported(home: Path) -> None:
    """What is wrong with a connection is in the report; a connection that is not there is an error."""
    with opened(home) as ledger:
        report = ledger.sync("a")
        assert [each.state for each in report.connections] == ["failed"]
        with pytest.raises(outlay.ConfigError):
            ledger.sync("nowhere")


def test_wrong_days_are_told(home: Path) -> None:
    """A day that is none is the user's mistake."""
    with opened(home) as ledger:
        for day in ("yesterday", datetime(2026, 11, 2, 5, tzinfo=UTC)):
            with pytest.raises(outlay.ConfigError):
                ledger.spend(from_=day)
