"""The state of every connection, what the month will come to, and totals that do not agree."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.staging import NOW, charge, clock, put, put_days
from outlay.analysis import Query, status
from outlay.analysis.forecast import DAYS_LEAST, Fee, Series, month_total
from outlay.model.batch import Partition
from outlay.model.facts import Balance, Limit, LimitKind, Statement
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.store import Ledger

TODAY = NOW.date()
ONE = date(2026, 11, 1)


def test_one_row_says_it_all(ledger: Ledger) -> None:
    """Spend, nearest limit, balance, freshness and trouble of a connection stand in one row."""
    put(ledger, "a", "costs", Period.of_day(ONE), [charge(ONE, "30"), charge(ONE, "2", currency="EUR")])
    limits = [
        Limit(
            name=name, scope="organization", kind=LimitKind.SPEND, unit="USD", quota=Decimal(quota), used=Decimal(used)
        )
        for name, quota, used in (("near", 40, 38), ("far", 100, 10))
    ]
    put(ledger, "a", "readings", Period.of_day(TODAY), [*limits, Balance(name="p", amount=Decimal(7), currency="USD")])
    ledger.failed([Partition("a", "costs", Period.of_day(TODAY))], "access_denied", NOW)
    (row,) = status(ledger, clock=clock).rows
    assert [(spent.currency, spent.billed_cost) for spent in row.spend] == [("EUR", Decimal(2)), ("USD", Decimal(30))]
    assert row.nearest_limit is not None
    assert (row.nearest_limit.name, row.nearest_limit.percent) == ("near", Decimal(95))
    assert [balance.amount for balance in row.balances] == [7]
    assert (row.checked_at, row.stale_since) == (NOW, NOW)
    assert [(each.code, each.where) for each in row.trouble] == [("access_denied", "costs")]
    assert row.forecast == ()


def test_a_silent_connection_has_a_row(ledger: Ledger) -> None:
    """A configured connection that was never synced is there, with nothing known."""
    answer = status(ledger, Query(configured={"b": "anthropic"}), clock=clock)
    (row,) = answer.to_json_object()["rows"]
    assert row == {
        "connection": "b",
        "provider": "anthropic",
        "spend": [],
        "forecast": [],
        "nearest_limit": None,
        "balances": [],
        "checked_at": None,
        "stale_since": None,
        "trouble": [],
    }
    assert [gap.why for gap in answer.incomplete] == ["never_synced"]


def test_the_forecast_uses_every_known_day(ledger: Ledger) -> None:
    """A steady month is forecast as what it is, as an estimate beside the spend it was made from."""
    days = [TODAY - timedelta(days=offset) for offset in range(1, 31)]
    put_days(ledger, "a", "costs", {day: [charge(day, "2")] for day in days})
    (row,) = status(ledger, clock=clock).rows
    (forecast,) = row.forecast
    assert (forecast.currency, str(forecast.of), str(forecast.basis)) == ("USD", "billed", "estimated")
    assert forecast.billed_cost == 60


@pytest.mark.parametrize(
    ("stated", "tolerance", "found"), [("3", None, 0), ("3.5", None, 1), ("3.5", "0.5", 0), ("3.500000001", "0.5", 1)]
)
def test_a_total_that_the_charges_do_not_reach_is_trouble(
    ledger: Ledger, stated: str, tolerance: str | None, found: int
) -> None:
    """What the vendor states is compared with the sum of its charges, to the last digit or within its tolerance."""
    charges = [charge(ONE, "1"), charge(ONE, "2"), charge(ONE, "9", currency="EUR")]
    put(ledger, "a", "costs", Period.of_day(ONE), charges)
    statement = Statement(
        period=Period.of_month(ONE),
        dataset="costs",
        billed_cost=Money(Decimal(stated), "USD"),
        tolerance=None if tolerance is None else Decimal(tolerance),
    )
    put(ledger, "a", "totals", Period.of_month(ONE), [statement])
    (row,) = status(ledger, clock=clock).rows
    assert [each.code for each in row.trouble] == ["reconcile_mismatch"] * found
    if found:
        assert "3" in row.trouble[0].says
        assert stated in row.trouble[0].says


def test_a_total_is_compared_whatever_case_its_service_is_written_in(ledger: Ledger) -> None:
    """One vendor writes a product with a small letter in its rows and with a capital in its totals."""
    put(ledger, "a", "costs", Period.of_day(ONE), [charge(ONE, "3", service_name="sandbox")])
    said = Statement(
        period=Period.of_month(ONE), dataset="costs", billed_cost=Money(Decimal(3), "USD"), service_name="Sandbox"
    )
    put(ledger, "a", "totals", Period.of_month(ONE), [said])
    (row,) = status(ledger, clock=clock).rows
    assert row.trouble == ()


def series(usage: dict[date, Decimal], fees: list[Fee] | None = None) -> Series:
    """Return a series whose every day is known."""
    return Series(usage=usage, fees=fees or [], known=frozenset(usage))


def past(days: int, amount: Decimal = Decimal(10)) -> dict[date, Decimal]:
    """Return the same amount for each of the last days."""
    return {TODAY - timedelta(days=offset): amount for offset in range(1, days + 1)}


def test_too_little_history_gives_no_forecast() -> None:
    """Less than two weeks say nothing about a month."""
    assert month_total(series(past(DAYS_LEAST - 1)), TODAY) is None
    assert month_total(series(past(DAYS_LEAST)), TODAY) is not None


def test_weekends_are_forecast_as_weekends() -> None:
    """The rest of the month follows each weekday's own level."""
    usage = {day: Decimal(100 if day.weekday() < 5 else 20) for day in past(56)}
    november = [ONE + timedelta(days=offset) for offset in range(30)]
    assert month_total(series(usage), TODAY) == sum(100 if day.weekday() < 5 else 20 for day in november)


def test_one_wild_day_does_not_move_the_forecast() -> None:
    """An outlier counts once, as what was spent, and is not expected again."""
    calm, wild = past(56), past(56)
    wild[date(2026, 11, 11)] = Decimal(5000)
    difference = (month_total(series(wild), TODAY) or 0) - (month_total(series(calm), TODAY) or 0)
    assert difference == 4990


def test_a_monthly_fee_is_counted_once() -> None:
    """A fee that came this month is not spread over the days to come; one still due comes as it did last month."""
    last, this = Fee("seats", date(2026, 10, 25), Decimal(84)), Fee("seats", date(2026, 11, 1), Decimal(84))
    base = month_total(series(past(56)), TODAY) or Decimal(0)
    assert month_total(series(past(56), [this, last]), TODAY) == base + 84
    assert month_total(series(past(56), [last]), TODAY) == base + 84
    older = Fee("seats", date(2026, 9, 25), Decimal(84))
    assert month_total(series(past(56), [older]), TODAY) == base


def test_a_daily_fee_goes_on() -> None:
    """A fee charged every day is expected on every day left."""
    fees = [Fee("seat", day, Decimal(3)) for day in past(56)]
    base = month_total(series(past(56)), TODAY) or Decimal(0)
    assert month_total(series(past(56), fees), TODAY) == base + 90


@given(st.lists(st.integers(0, 10**9), min_size=56, max_size=56))
def test_a_forecast_is_never_below_what_was_spent(amounts: list[int]) -> None:
    """Usage that is never negative adds to the month, whatever its shape."""
    usage = {day: Decimal(amount) / 1000 for day, amount in zip(past(56), amounts, strict=True)}
    spent = sum(amount for day, amount in usage.items() if day >= ONE)
    total = month_total(series(usage), TODAY)
    assert total is not None
    assert total >= spent


def test_a_window_that_is_over_is_not_near(ledger: Ledger) -> None:
    """What a header said of a second that has passed is no measure of the present."""
    limits = [
        Limit(name=name, scope="subscription", kind=LimitKind.RATE, unit="requests", quota=Decimal(10),
              used=Decimal(used), resets_at=ends)
        for name, used, ends in (("over", 10, NOW), ("open", 3, NOW + timedelta(hours=1)))
    ]  # fmt: skip
    put(ledger, "a", "readings", Period.of_day(TODAY), limits)
    (row,) = status(ledger, clock=clock).rows
    assert row.nearest_limit is not None
    assert row.nearest_limit.name == "open"
