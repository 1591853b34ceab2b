"""The public interface as type checkers must see it; nothing here is run."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import assert_type

import outlay
from outlay.analysis.answer import Incomplete
from outlay.analysis.readings import LimitRow
from outlay.analysis.spend import SpendRow
from outlay.model.basis import Basis
from outlay.store import Result


def spend() -> None:
    """Check that an answer's rows are typed: money is Decimal, unknown is None."""
    with outlay.open(home="somewhere", config=None) as ledger:
        assert_type(ledger, outlay.Ledger)
        answer = ledger.spend(from_=date(2026, 10, 1), to="2026-11-01", by=("provider", "day"))
        assert_type(answer, outlay.Answer[SpendRow])
        row = answer.rows[0]
        assert_type(row.billed_cost, Decimal)
        assert_type(row.list_cost, Decimal | None)
        assert_type(row.currency, str)
        assert_type(row.basis, Basis)
        assert_type(row.dimensions["day"], str | date | None)
        assert_type(answer.incomplete, tuple[Incomplete, ...])


def others() -> None:
    """Check that every question gives an answer of its own kind of row."""
    ledger = outlay.open()
    assert_type(ledger.limits().rows, tuple[LimitRow, ...])
    assert_type(ledger.limits().rows[0].percent, Decimal | None)
    assert_type(ledger.usage(by="service").rows[0].quantity, Decimal)
    assert_type(ledger.sql("SELECT 1"), Result)
    assert_type(outlay.__version__, str)
    ledger.spend("2026-10-01")  # type: ignore[call-arg]
    ledger.spend(grouped_by="day")  # type: ignore[call-arg]


def errors() -> None:
    """Check that every error says what to do."""
    try:
        outlay.open()
    except outlay.OutlayError as error:
        assert_type(error.hint, str)
