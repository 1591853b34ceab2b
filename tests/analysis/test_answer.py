"""Answers as text, Arrow and data frames: exact everywhere."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import get_type_hints

import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pytest
from hypothesis import given

from analysis.staging import charge, clock, put
from outlay.analysis import Answer, Query, history, spend
from outlay.analysis.answer import json_value, moment, plain
from outlay.analysis.arrow import table
from outlay.analysis.budgets import BudgetRow
from outlay.analysis.history import HistoryRow
from outlay.analysis.readings import BalanceRow, InvoiceRow, LimitRow
from outlay.analysis.spend import RevenueRow, SpendRow
from outlay.analysis.usage import UsageRow
from outlay.errors import ConfigError
from outlay.model.period import Period
from outlay.store import Ledger
from strategies import ledger_decimals

DAY = date(2026, 11, 2)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("12.34", "12.340000"),
        ("0", "0.000000"),
        ("-0.5", "-0.500000"),
        ("1E+3", "1000.000000"),
        ("1E-18", "0.000000000000000001"),
        ("12.340000000000000000", "12.340000"),
    ],
)
def test_numbers_are_plain(number: str, text: str) -> None:
    """Six decimals at least, every digit kept, no exponent."""
    assert plain(Decimal(number)) == text


@given(ledger_decimals)
def test_a_number_as_text_is_the_same_number(number: Decimal) -> None:
    """Nothing is rounded on the way out."""
    assert Decimal(plain(number)) == number
    assert "E" not in plain(number)


def test_times_end_in_z() -> None:
    """Times are RFC 3339 in UTC, whole seconds without a fraction."""
    assert moment(datetime(2026, 11, 22, 12, tzinfo=UTC)) == "2026-11-22T12:00:00Z"
    assert json_value({"a": [None, True, 3, Decimal(1)], "b": DAY}) == {
        "a": [None, True, 3, "1.000000"],
        "b": "2026-11-02",
    }


@pytest.fixture
def answer(ledger: Ledger) -> Answer[SpendRow]:
    """Give an answer of two rows, one with an amount of eighteen decimals."""
    facts = [charge(DAY, "0.123456789012345678", list_cost="1"), charge(DAY, "2", currency="EUR")]
    put(ledger, "a", "costs", Period.of_day(DAY), facts)
    return spend(ledger, Query(by=("day", "sku")), clock=clock)


def test_arrow_keeps_every_digit(answer: Answer[SpendRow]) -> None:
    """Money is decimal128(38, 18), days are dates, and what no row has is text."""
    table = answer.arrow()
    assert table.column_names == list(answer.columns)
    assert table.column("billed_cost").to_pylist() == [Decimal(2), Decimal("0.123456789012345678")]
    assert table.column("day").to_pylist() == [DAY, DAY]
    assert table.column("list_cost").to_pylist() == [None, Decimal(1)]


def test_a_column_without_a_value_has_the_type_it_always_has(ledger: Ledger, answer: Answer[SpendRow]) -> None:
    """Tables of an empty month and of a full one can be put together: an unknown amount is no text."""
    full, empty = answer.arrow().schema, spend(ledger, Query(by=("day", "sku"), to=DAY), clock=clock).arrow().schema
    assert [str(field.type) for field in empty] == [str(field.type) for field in full]
    told = {Decimal: "Decimal128", datetime: "Timestamp", date: "Date32"}
    for row in (SpendRow, RevenueRow, UsageRow, LimitRow, BalanceRow, InvoiceRow, BudgetRow, HistoryRow):
        for name, hint in get_type_hints(row).items():
            kinds = [type_ for kind, type_ in told.items() if hint in {kind, kind | None}]
            held = str(table([name], []).schema.field(name).type)
            assert all(kind in held for kind in kinds), f"{row.__name__}.{name} is empty as {held}"


def test_pandas_keeps_every_digit(answer: Answer[SpendRow]) -> None:
    """A data frame holds Decimal, not float."""
    frame = answer.df()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(answer.columns)
    assert frame["billed_cost"].tolist() == [Decimal(2), Decimal("0.123456789012345678")]


def test_polars_keeps_every_digit(answer: Answer[SpendRow]) -> None:
    """A polars frame holds decimals of the ledger's own scale."""
    frame = answer.pl()
    assert frame.schema["billed_cost"] == pl.Decimal(38, 18)
    assert frame["billed_cost"].to_list() == [Decimal(2), Decimal("0.123456789012345678")]


def test_no_rows_still_have_columns(ledger: Ledger) -> None:
    """An empty answer is an empty table with its columns."""
    empty = spend(ledger, clock=clock)
    assert empty.arrow().column_names == list(empty.columns)
    assert list(empty.df().columns) == list(empty.pl().columns) == list(empty.columns)


@pytest.mark.parametrize(("library", "method"), [("pandas", "df"), ("polars", "pl")])
def test_a_library_that_is_absent_is_named(
    answer: Answer[SpendRow], library: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the library the error says what to install or use instead."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=library) as caught:
        getattr(answer, method)()
    assert "arrow" in caught.value.hint


def test_history_says_what_a_day_said_before(ledger: Ledger) -> None:
    """A restated day is one row per currency and basis with both amounts; the first word is no change."""
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "1")])
    assert history(ledger, clock=clock).rows == ()
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "3"), charge(DAY, "1", currency="EUR")])
    rows = history(ledger, day=DAY, clock=clock).rows
    assert [(row.currency, row.before, row.after, row.difference) for row in rows] == [
        ("EUR", None, Decimal(1), Decimal(1)),
        ("USD", Decimal(1), Decimal(3), Decimal(2)),
    ]
    assert history(ledger, day=date(2026, 11, 3), clock=clock).rows == ()
    assert history(ledger, Query(providers=("github",)), clock=clock).rows == ()
