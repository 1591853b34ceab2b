"""Limits as people see them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from outlay.analysis.answer import Answer
from outlay.analysis.readings import LimitRow
from outlay.cli.ceilings import sheet
from outlay.cli.output.table import cell
from outlay.model.facts import LimitBasis, LimitKind


def shown(used: str | None, quota: str | None, unit: str = "bytes") -> list[str]:
    """Return what a table shows of a limit: used, quota, remaining, unit."""
    row = LimitRow(
        connection="a", provider="openai", name="storage", scope="organization", kind=LimitKind.STORAGE,
        quota=None if quota is None else Decimal(quota), unlimited=False, used=None if used is None else Decimal(used),
        remaining=None, unit=unit, window=None, resets_at=None, observed_at=datetime(2026, 11, 22, tzinfo=UTC),
        basis=LimitBasis.REPORTED, dataset="limits",
    )  # fmt: skip
    made = sheet("limits", Answer(from_=date(2026, 11, 1), to=date(2026, 12, 1), by=(), rows=(row,)))
    cells = {column.name: cell(column, made.rows[0]) for column in made.columns}
    return [cells[name] for name in ("used", "quota", "remaining", "unit")]


@pytest.mark.parametrize(
    ("used", "quota", "told"),
    [
        ("734580688468", "1000000000000", ["734.581", "1,000", "–", "GB"]),
        ("999", "1000000000", ["0.000001", "1", "–", "GB"]),
        ("0", "999999999", ["0", "1,000", "–", "MB"]),
        ("1500", None, ["1.5", "–", "–", "kB"]),
        ("999", "0", ["999", "0", "–", "bytes"]),
        (None, None, ["–", "–", "–", "bytes"]),
    ],
)
def test_bytes_are_told_in_a_unit_that_can_be_read(used: str | None, quota: str | None, told: list[str]) -> None:
    """One unit for all of a limit; nothing that is used passes for nothing, and what is not known stays unknown."""
    assert shown(used, quota) == told


def test_other_units_stand_as_they_are() -> None:
    """Only bytes come in numbers that nobody reads."""
    assert shown("12000000", "50000000", "tokens") == ["12,000,000", "50,000,000", "–", "tokens"]
