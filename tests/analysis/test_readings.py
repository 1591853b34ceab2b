"""Limits, balances, invoices and budgets: the latest reading, and what can be computed from the charges."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from analysis.staging import NOW, charge, clock, put
from outlay.analysis import Query, balances, budgets, invoices, limits
from outlay.analysis.lapse import lapsed
from outlay.errors import ConfigError
from outlay.model.facts import Balance, Budget, Fact, Invoice, Limit, LimitKind, Name
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.store import Ledger

OLD, LAST = date(2026, 11, 3), date(2026, 11, 20)


def limit(name: str = "spend_limit", **fields: Any) -> Limit:
    """Return a monthly spend limit of an organization."""
    given = {"scope": "organization", "kind": LimitKind.SPEND, "unit": "USD", "window": "month", **fields}
    return Limit(name=name, **given)


def read(ledger: Ledger, day: date, facts: Sequence[Fact], connection: str = "a") -> None:
    """Commit a reading of a day."""
    put(ledger, connection, "readings", Period.of_day(day), facts)


def spent(ledger: Ledger, *charges: Any) -> None:
    """Commit charges of the first of the month."""
    day = date(2026, 11, 1)
    put(ledger, "a", "costs", Period.of_day(day), [charge(day, amount, **fields) for amount, fields in charges])


def test_the_last_reading_speaks(ledger: Ledger) -> None:
    """A later reading replaces the earlier one whole: a limit that is gone does not linger."""
    read(ledger, OLD, [limit("a", quota=Decimal(1)), limit("b")])
    read(ledger, LAST, [limit("a", quota=Decimal(2))])
    assert [(row.name, row.quota) for row in limits(ledger, clock=clock).rows] == [("a", Decimal(2))]
    earlier = limits(ledger, Query(to=date(2026, 11, 10)), clock=clock)
    assert [(row.name, row.quota) for row in earlier.rows] == [("a", Decimal(1)), ("b", None)]


def test_an_empty_reading_speaks_too(ledger: Ledger) -> None:
    """When the vendor lists nothing any more, nothing is shown."""
    read(ledger, OLD, [limit()])
    read(ledger, LAST, [])
    assert limits(ledger, clock=clock).rows == ()


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({"window": "1 day", "resets_at": datetime(2026, 11, 22, 12, tzinfo=UTC)}, False),
        ({"window": "1 day", "resets_at": datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)}, True),
        ({"window": "1 minute"}, True),
        ({"window": None, "kind": LimitKind.STORAGE, "unit": "gb"}, True),
    ],
)
def test_what_was_used_of_a_window_that_is_over_is_unknown(ledger: Ledger, fields: dict[str, Any], known: bool) -> None:
    """The quota stands, and what was used of it is not known until the next reading."""
    read(ledger, LAST, [limit(**{"kind": LimitKind.QUOTA, "quota": Decimal(9), "used": Decimal(4), **fields})])
    (row,) = limits(ledger, clock=clock).rows
    assert (row.quota, row.used, row.remaining) == ((9, 4, 5) if known else (9, None, None))


def test_a_past_month_does_not_speak_for_this_one(ledger: Ledger) -> None:
    """A spend limit last read before it began again is used by what this month's charges say."""
    spent(ledger, ("15", {}))
    ends = datetime(2026, 11, 1, tzinfo=UTC)
    read(ledger, date(2026, 10, 31), [limit(quota=Decimal(60), used=Decimal(59), resets_at=ends)])
    (row,) = limits(ledger, clock=clock).rows
    assert (row.used, row.basis, row.resets_at) == (15, "derived", datetime(2026, 12, 1, tzinfo=UTC))
    (then,) = limits(ledger, Query(from_=date(2026, 10, 1), to=date(2026, 11, 1)), clock=clock).rows
    assert (then.used, then.remaining, then.basis) == (59, 1, "reported")


@pytest.mark.parametrize(
    ("window", "hours", "over"),
    [("1 minute", 1, True), ("30 minutes", 1, True), ("1 day", 23, False), ("1 day", 24, True), ("2 weeks", 335, False),
     ("month", 30 * 24, False), ("month", 31 * 24, True), ("billing period", 9999, False), (None, 9999, False)],
)  # fmt: skip
def test_a_window_without_an_end_is_over_when_its_length_has_passed(window: str, hours: int, over: bool) -> None:
    """Only when all of it must have passed; a window whose length is not known is never said to be over."""
    assert lapsed(window, None, NOW - timedelta(hours=hours), NOW) is over


def test_unlimited_is_not_unknown(ledger: Ledger) -> None:
    """Both have no quota; only one of them says that there is none."""
    read(ledger, LAST, [limit("free", unlimited=True), limit("unknown")])
    rows = limits(ledger, clock=clock).to_json_object()["rows"]
    assert [(row["quota"], row["unlimited"]) for row in rows] == [(None, True), (None, False)]


def test_the_keys_of_a_limit_are_as_documented(ledger: Ledger) -> None:
    """Other programs rely on these keys."""
    read(ledger, LAST, [limit(quota=Decimal(100), used=Decimal(25))])
    (row,) = limits(ledger, clock=clock).to_json_object()["rows"]
    assert row == {
        "connection": "a",
        "provider": "openai",
        "name": "spend_limit",
        "scope": "organization",
        "kind": "spend",
        "quota": "100.000000",
        "unlimited": False,
        "used": "25.000000",
        "remaining": "75.000000",
        "unit": "USD",
        "window": "month",
        "resets_at": None,
        "observed_at": "2026-11-22T12:00:00Z",
        "basis": "reported",
    }


def test_a_spend_limit_is_used_by_the_months_billed_spend(ledger: Ledger) -> None:
    """Where the vendor does not say it: same currency, billed only, and said to be derived."""
    spent(
        ledger,
        ("10", {"sub_account_id": "proj_1"}),
        ("5", {}),
        ("7", {"currency": "EUR"}),
        ("99", {"basis": "estimated"}),
    )
    read(
        ledger,
        LAST,
        [
            limit("all", quota=Decimal(60)),
            limit("one", quota=Decimal(20), scope="project:proj_1"),
            limit("person", quota=Decimal(20), scope="user:u1"),
            limit("rate", quota=Decimal(20), kind=LimitKind.RATE, unit="requests"),
        ],
    )
    found = {row.name: row for row in limits(ledger, clock=clock).rows}
    assert [found["all"].used, found["all"].remaining, found["all"].percent] == [15, 45, 25]
    assert found["one"].used == 10
    assert str(found["one"].basis) == "derived"
    assert found["all"].resets_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert found["person"].used is None
    assert found["rate"].used is None
    assert str(found["rate"].basis) == "reported"


def test_without_charges_nothing_is_derived(ledger: Ledger) -> None:
    """Charges that were never fetched do not make a limit unused."""
    read(ledger, LAST, [limit(quota=Decimal(60))], connection="elsewhere")
    put(ledger, "elsewhere", "costs", Period.of_day(date(2026, 10, 1)), [], provider="openai")
    (row,) = limits(ledger, Query(where=(("dataset", "readings"),)), clock=clock).rows
    assert row.used is None


def test_balances_are_as_last_read(ledger: Ledger) -> None:
    """Money has a currency and credits a unit, never both."""
    read(ledger, OLD, [Balance(name="prepaid", amount=Decimal(9), currency="USD")])
    read(
        ledger,
        LAST,
        [
            Balance(name="prepaid", amount=Decimal("4.5"), currency="USD", granted=Decimal(1)),
            Balance(name="promo", amount=Decimal(100), unit="credits"),
        ],
    )
    rows = balances(ledger, clock=clock).to_json_object()["rows"]
    assert rows == [
        {
            "connection": "a",
            "provider": "openai",
            "name": name,
            "currency": currency,
            "unit": unit,
            "amount": amount,
            "granted": granted,
            "topped_up": None,
            "expires_at": None,
            "observed_at": "2026-11-22T12:00:00Z",
        }
        for name, currency, unit, amount, granted in (
            ("prepaid", "USD", None, "4.500000", "1.000000"),
            ("promo", None, "credits", "100.000000", None),
        )
    ]


def test_an_invoice_shows_once_as_last_read(ledger: Ledger) -> None:
    """Each reading lists all invoices; each invoice is one row with its last status, within the period asked for."""
    issued = datetime(2026, 10, 5, tzinfo=UTC)
    bill = Invoice(invoice_id="in_1", total=Money(Decimal(40), "USD"), status="open", issued_at=issued)
    month = Period.of_days(date(2026, 9, 1), date(2026, 10, 1))
    paid = Invoice(invoice_id="in_1", total=Money(Decimal(40), "USD"), status="paid", issued_at=issued, period=month)
    read(ledger, OLD, [bill])
    read(ledger, LAST, [paid])
    (row,) = invoices(ledger, clock=clock).to_json_object()["rows"]
    assert row == {
        "connection": "a",
        "provider": "openai",
        "id": "in_1",
        "number": None,
        "status": "paid",
        "currency": "USD",
        "total": "40.000000",
        "amount_due": None,
        "period_from": "2026-09-01",
        "period_to": "2026-10-01",
        "issued_at": "2026-10-05T00:00:00Z",
        "due_at": None,
    }
    assert invoices(ledger, Query(from_=date(2026, 11, 1)), clock=clock).rows == ()


def budget(**fields: Any) -> Budget:
    """Return a monthly budget of 50 dollars."""
    given = {"budget_id": "b", "name": "b", "scope": "organization", "amount": Decimal(50), "currency": "USD", **fields}
    return Budget(**given)


@pytest.mark.parametrize(
    ("fields", "consumed"),
    [
        ({}, 15),
        ({"scope": "project:proj_1"}, 10),
        ({"covers": {"service": "openai api"}}, 15),
        ({"covers": {"sku": "x,y"}}, 10),
        ({"covers": {"tag:team": "web"}}, 10),
        ({"covers": {"person": "u1"}}, None),
        ({"consumed": Decimal(1)}, 1),
        ({"period": "year"}, None),
        ({"currency": None, "unit": "seats"}, None),
        ({"currency": "EUR"}, 0),
    ],
)
def test_a_budget_is_consumed_by_what_it_covers(ledger: Ledger, fields: dict[str, Any], consumed: int | None) -> None:
    """The vendor's own figure stands; else the month's billed charges of the covered dimensions, or nothing."""
    spent(ledger, ("10", {"sub_account_id": "proj_1", "sku_id": "x", "tags": {"team": "web"}}), ("5", {}))
    read(ledger, LAST, [budget(**fields)])
    (row,) = budgets(ledger, clock=clock).rows
    assert row.consumed == consumed


def test_a_budget_may_call_a_tag_by_its_name(ledger: Ledger) -> None:
    """Charges are tagged with the ids of cost centres; a budget may say how one is called."""
    spent(ledger, ("10", {"tags": {"cost_center": "cc_1"}}), ("5", {"tags": {"cost_center": "cc_2"}}))
    put(ledger, "a", "cost_centers", Period.of_day(LAST), [Name(kind="cost_center", id="cc_1", name="Games")])
    read(ledger, LAST, [budget(covers={"tag:cost_center": called}, name=called) for called in ("games", "cc_2")])
    assert {row.name: row.consumed for row in budgets(ledger, clock=clock).rows} == {"games": 10, "cc_2": 5}


def test_the_keys_of_a_budget_are_as_documented(ledger: Ledger) -> None:
    """Other programs rely on these keys."""
    read(ledger, LAST, [budget(consumed=Decimal(5), thresholds=(Decimal("0.8"),))])
    assert budgets(ledger, clock=clock).to_json_object()["rows"] == [
        {
            "source": "provider",
            "name": "b",
            "scope": "organization",
            "currency": "USD",
            "amount": "50.000000",
            "period": "month",
            "consumed": "5.000000",
            "thresholds": ["0.800000"],
        }
    ]


def test_readings_refuse_filters_they_do_not_have(ledger: Ledger) -> None:
    """A limit has no SKU, so filtering by one is a mistake and not an empty answer."""
    with pytest.raises(ConfigError):
        limits(ledger, Query(where=(("sku", "x"),)), clock=clock)
