"""Totals that vendors state: compared where they speak of the same days as the charges do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from analysis.staging import NOW, charge, clock, put
from outlay.analysis.query import Query
from outlay.analysis.reconcile import mismatches
from outlay.model.facts import Statement
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.store import Ledger

QUERY = Query(from_=date(2026, 9, 1), to=date(2026, 12, 1))
PERIOD = Period(datetime(2026, 10, 8, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC))
RUNNING = Period(PERIOD.end, datetime(2026, 12, 8, tzinfo=UTC))


def stated(period: Period, amount: str) -> Statement:
    """Return the total of a period, as it was when it was read."""
    return Statement(period=period, dataset="usage", billed_cost=Money(Decimal(amount), "USD"))


def test_a_total_so_far_is_no_total_of_the_period_that_is_over_since(ledger: Ledger) -> None:
    """What was used after the last reading is in the charges and not in it; the running period's is compared."""
    last = PERIOD.end - timedelta(hours=14)
    put(ledger, "a", "usage", Period.of_day(date(2026, 11, 7)), [charge(date(2026, 11, 7), "9")])
    put(ledger, "a", "usage", Period.of_day(date(2026, 11, 9)), [charge(date(2026, 11, 9), "5")])
    put(ledger, "a", "customer", Period.of_day(last.date()), [stated(PERIOD, "4")], observed_at=last)
    put(ledger, "a", "customer", Period.of_day(NOW.date()), [stated(RUNNING, "5")])
    assert mismatches(ledger, QUERY, clock) == ()
    put(ledger, "a", "customer", Period.of_day(NOW.date()), [stated(RUNNING, "6")])
    assert [each.stated for each in mismatches(ledger, QUERY, clock)] == [6]


def test_a_total_that_was_read_once_its_period_was_over_is_compared(ledger: Ledger) -> None:
    """So is one that stands for the very days it was read with, whenever the vendor last changed it."""
    put(ledger, "a", "usage", Period.of_day(date(2026, 11, 7)), [charge(date(2026, 11, 7), "9")])
    put(ledger, "a", "customer", Period.of_day(PERIOD.end.date()), [stated(PERIOD, "4")], observed_at=PERIOD.end)
    month = Period.of_month(date(2026, 10, 1))
    put(ledger, "a", "totals", month, [stated(month, "3")], observed_at=month.end - timedelta(days=2))
    assert {each.stated for each in mismatches(ledger, QUERY, clock)} == {3, 4}
