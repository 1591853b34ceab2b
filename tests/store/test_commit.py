from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outlay.errors import BugError, CurrencyMixError, StoreError
from outlay.model import facts as f
from outlay.model.basis import Basis
from outlay.model.batch import Account, Batch, Partition
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.store import Ledger
from outlay.store.columns import numbers
from store.making import ACCOUNT, NOW, batch, charge, costs, day, opened, payload, truth, usage


def test_what_is_committed_is_found(ledger: Ledger) -> None:
    """A committed batch is known to the state and its facts to the queries, exact and in UTC."""
    ledger.commit(ACCOUNT, [costs(0, 1), costs(1, 2)])
    found = ledger.query("SELECT sum(BilledCost), min(ChargePeriodStart), count(*) FROM charges")
    assert found.rows == [(Decimal(9), datetime(2026, 10, 1, tzinfo=UTC), 6)]
    known = ledger.committed("alpha", "costs")
    assert [one.batch_id for one in known.values()] == ["alpha-0-v1", "alpha-1-v2"]
    assert known[costs(0, 1).partition].checked_at == NOW
    assert ledger.committed("alpha", "other") == {}


def test_a_later_batch_replaces_and_never_adds(ledger: Ledger) -> None:
    """A restated day holds the later facts only, and its neighbours stay as they are."""
    ledger.commit(ACCOUNT, [costs(number, 1) for number in range(3)])
    ledger.commit(ACCOUNT, [costs(1, 5, rows=2)])
    found = ledger.query("SELECT x_BatchId, sum(BilledCost), count(*) FROM charges GROUP BY ALL ORDER BY ALL")
    assert found.rows == [("alpha-0-v1", 3, 3), ("alpha-1-v5", 10, 2), ("alpha-2-v1", 3, 3)]


def test_a_table_that_a_dataset_no_longer_fills_is_cleared(ledger: Ledger) -> None:
    """A day that had usage and charges and is restated without usage keeps no usage."""
    ledger.commit(ACCOUNT, [batch(day(0), [charge(day(0)), usage(day(0))], "one"), batch(day(1), [usage(day(1))], "x")])
    ledger.commit(ACCOUNT, [batch(day(0), [charge(day(0), "2")], "two")])
    assert ledger.query("SELECT batch_id FROM usage").rows == [("x",)]
    ledger.commit(ACCOUNT, [batch(day(0), [], "three")])
    assert ledger.query("SELECT count(*) FROM charges").rows == [(0,)]
    assert ledger.committed("alpha")[costs(0, 1).partition].batch_id == "three"


def test_a_wider_partition_takes_in_those_inside_it(ledger: Ledger) -> None:
    """A month committed over its days replaces them, in the tables and in the state."""
    month = Period.of_month(date(2026, 10, 1))
    ledger.commit(ACCOUNT, [costs(0, 1), costs(1, 1)])
    ledger.commit(ACCOUNT, [batch(month, [charge(month, "40")], "month")])
    assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(40),)]
    assert [known.batch_id for known in ledger.committed("alpha").values()] == ["month"]


def test_days_may_take_the_place_of_a_month_but_not_of_a_part_of_it(ledger: Ledger) -> None:
    """A month is replaced by all of its days at once; a part of it is refused, because days would count twice."""
    month = Period.of_month(date(2026, 10, 1))
    ledger.commit(ACCOUNT, [batch(month, [charge(month, "40")], "month")])
    with pytest.raises(StoreError, match="cannot be replaced"):
        ledger.commit(ACCOUNT, [costs(3, 1)])
    assert [known.batch_id for known in ledger.committed("alpha").values()] == ["month"]
    ledger.commit(ACCOUNT, [costs(number, 1, rows=1) for number in range(31)])
    assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(31),)]
    assert len(ledger.committed("alpha")) == 31


def test_datasets_and_connections_do_not_touch_each_other(ledger: Ledger) -> None:
    """A replace of one dataset's day leaves the same day of another dataset and another connection alone."""
    ledger.commit(ACCOUNT, [costs(0, 1), batch(day(0), [charge(day(0), "7")], "other", dataset="it's")])
    ledger.commit(Account(connection="be'ta %", provider="plain"), [costs(0, 9, connection="be'ta %")])
    ledger.commit(ACCOUNT, [costs(0, 2)])
    ledger.commit(Account(connection="be'ta %", provider="plain"), [costs(0, 8, connection="be'ta %")])
    found = ledger.query("SELECT x_Connection, x_Dataset, sum(BilledCost) FROM charges GROUP BY ALL ORDER BY ALL")
    assert found.rows == [("alpha", "costs", 6), ("alpha", "it's", 7), ("be'ta %", "costs", 24)]


def test_two_batches_of_one_partition_are_a_bug(ledger: Ledger) -> None:
    """A commit that names a partition twice, or a foreign connection, is refused before anything is written."""
    with pytest.raises(BugError, match="same partition"):
        ledger.commit(ACCOUNT, [costs(0, 1), costs(0, 2)])
    with pytest.raises(BugError, match="several connections"):
        ledger.commit(ACCOUNT, [costs(0, 1, connection="beta")])
    assert ledger.query("SELECT count(*) FROM charges").rows == [(0,)]


def test_two_currencies_in_one_fact_are_refused(ledger: Ledger) -> None:
    """A charge billed in dollars and listed in euros never reaches a table."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    mixed = charge(day(0), list_cost=Money.of(1, "EUR"))
    with pytest.raises(CurrencyMixError, match="USD and EUR"):
        ledger.commit(ACCOUNT, [batch(day(0), [mixed], "mixed")])
    assert [known.batch_id for known in ledger.committed("alpha").values()] == ["alpha-0-v1"]


def test_a_charge_fills_the_focus_columns(ledger: Ledger) -> None:
    """What a charge states and the account adds stands in its FOCUS column; the rest is null, never a stand-in."""
    full = charge(
        day(0),
        "1.5",
        effective_cost=Money.of(0, "USD"),
        list_cost=Money.of(2, "USD"),
        basis=Basis.PRICED,
        correction=True,
        sub_account_id="proj_1",
        consumed_quantity=Decimal(1000),
        consumed_unit="Tokens",
        tags={"team": "web", "flag": True, "none": None},
        details={"b": "2", "a": "1"},
        model="m-1",
    )
    ledger.commit(ACCOUNT, [batch(day(0), [full, charge(day(0))], "b1")])
    row, bare = ledger.query("SELECT * FROM charges ORDER BY ListCost NULLS LAST").dicts()
    assert (row["EffectiveCost"], row["ListCost"], row["ContractedCost"]) == (0, 2, None)
    assert (row["ChargeClass"], row["x_Basis"], row["SubAccountType"]) == ("Correction", "priced", "Project")
    assert (row["Tags"], row["x_Details"]) == ('{"flag":true,"none":null,"team":"web"}', '{"a":"1","b":"2"}')
    assert (row["BillingAccountId"], row["BillingAccountName"]) == ("plain:org-1", "The Org")
    assert (row["BillingPeriodStart"], row["BillingPeriodEnd"]) == tuple(
        datetime(2026, month, 1, tzinfo=UTC) for month in (10, 11)
    )
    assert (row["ProviderName"], row["HostProviderName"], row["x_Connection"]) == ("plain", "Not Applicable", "alpha")
    assert bare["EffectiveCost"] == bare["BilledCost"] == 1
    unstated = ("ListCost", "SubAccountId", "SubAccountType", "ConsumedQuantity", "Tags", "x_Details", "ChargeClass")
    assert [bare[name] for name in unstated] == [None] * len(unstated)


def test_every_kind_of_fact_comes_back(ledger: Ledger) -> None:
    """Each struct's fields are found in its table as they were given."""
    later = NOW + timedelta(hours=1)
    facts: list[f.Fact] = [
        usage(day(0), 5),
        f.Limit(name="rpm", scope="org", kind=f.LimitKind.RATE, unit="requests", unlimited=True, resets_at=later),
        f.Balance(name="prepaid", amount=Decimal("3.25"), currency="EUR", basis=Basis.ENTERED),
        f.Invoice(invoice_id="in_1", total=Money.of("9.5", "JPY"), status="paid", period=day(0)),
        f.Budget(budget_id="b", name="n", scope="org", amount=Decimal(100), thresholds=(Decimal("0.8"), Decimal(1))),
        f.Revenue(revenue_period=day(0), kind="sale", gross=Money.of(3, "USD"), service_name="S", record_id="r"),
        f.Name(kind="project", id="p1", name="Website"),
        f.Statement(period=day(0), dataset="costs", billed_cost=Money.of(4, "USD"), tolerance=Decimal("0.01")),
    ]
    ledger.commit(ACCOUNT, [batch(day(0), facts, "b1", dataset="all")])

    def one(columns: str, table: str) -> tuple[Any, ...]:
        return ledger.query(f"SELECT {columns} FROM {table}").rows[0]

    assert one("quantity, unit, derived, basis, usage_period_end", "usage") == (5, "tokens", False, None, day(0).end)
    assert one("kind, quota, unlimited, resets_at", "limits") == ("rate", None, True, later)
    assert one("amount, currency, unit, basis, dataset", "balances") == (Decimal("3.25"), "EUR", None, "entered", "all")
    assert one("total, amount_due, currency, period_start", "invoices") == (Decimal("9.5"), None, "JPY", day(0).start)
    assert one("amount, thresholds, period", "budgets") == (100, '["0.8","1"]', "month")
    assert one("gross, net, currency, connection", "revenue") == (3, None, "USD", "alpha")
    assert one("kind, id, name, state", "names") == ("project", "p1", "Website", "active")
    assert one("dataset, statement_dataset, billed_cost, list_cost, tolerance", "statements") == (
        ("all", "costs", 4, None, Decimal("0.01"))
    )
    assert ledger.query("SELECT rows, totals FROM batches").rows == [(8, "[]")]


def test_payloads_come_back_in_the_order_of_their_pages(ledger: Ledger) -> None:
    """A fetch's answers are kept byte for byte and read again page by page."""
    pages = [payload("f1", 2, b"\x00\xff"), payload("f1", 1), payload("f2", 1)]
    ledger.commit(ACCOUNT, [costs(0, 1)], pages)
    assert list(ledger.payloads("f1")) == [pages[1], pages[0]]
    assert list(ledger.payloads("f'3")) == []


LEDGER_DECIMALS = st.integers(-(10**38) + 1, 10**38 - 1).map(lambda units: Decimal((units < 0, _digits(units), -18)))


def _digits(units: int) -> tuple[int, ...]:
    return tuple(int(digit) for digit in str(abs(units)))


@given(st.lists(st.none() | LEDGER_DECIMALS | st.sampled_from([Decimal("1E-18"), Decimal("-0"), Decimal("1E+19")])))
def test_every_ledger_decimal_survives_the_column(values: list[Decimal | None]) -> None:
    """A column of decimals gives back exactly what went in, up to the thirty-eighth digit and with its nulls."""
    assert numbers(values).to_pylist() == values


def test_a_decimal_that_does_not_fit_is_never_a_null() -> None:
    """A number beyond thirty-eight digits raises instead of vanishing."""
    with pytest.raises(BugError, match="38 digits"):
        numbers([Decimal(1), Decimal("1E+20")])


def test_thirty_eight_digits_survive_the_whole_way(ledger: Ledger) -> None:
    """The largest and the smallest amounts come back from file and query digit by digit."""
    amounts = [Decimal("9" * 20 + "." + "9" * 18), Decimal("-0." + "0" * 17 + "1")]
    ledger.commit(ACCOUNT, [batch(day(0), [charge(day(0), amount) for amount in amounts], "b")])
    assert ledger.query("SELECT BilledCost FROM charges ORDER BY 1 DESC").rows == [(amount,) for amount in amounts]


ARRIVALS = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=6)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(days=ARRIVALS, cuts=st.lists(st.booleans(), min_size=6, max_size=6), order=st.randoms(use_true_random=False))
def test_order_and_splitting_do_not_matter(
    tmp_path_factory: pytest.TempPathFactory, days: list[tuple[int, int]], cuts: list[bool], order: Any
) -> None:
    """Whatever order days come in and however commits cut them, the last version of each day is the table."""
    last = dict(days)
    with opened(tmp_path_factory.mktemp("one") / "home") as pieces:
        _commit_in_pieces(pieces, days, cuts)
        shuffled = list(last.items())
        order.shuffle(shuffled)
        with opened(tmp_path_factory.mktemp("two") / "home") as whole:
            whole.commit(ACCOUNT, [costs(number, version) for number, version in shuffled])
            assert truth(pieces) == truth(whole)
            assert list(pieces.committed("alpha")) == list(whole.committed("alpha"))


def _commit_in_pieces(ledger: Ledger, days: list[tuple[int, int]], cuts: list[bool]) -> None:
    piece: dict[Partition, Batch] = {}
    for (number, version), cut in zip(days, cuts, strict=False):
        made = costs(number, version)
        if cut or made.partition in piece:
            ledger.commit(ACCOUNT, list(piece.values()))
            piece = {}
        piece[made.partition] = made
    ledger.commit(ACCOUNT, list(piece.values()))


def test_files_and_folders_are_private_whatever_the_umask(home: Path) -> None:
    """Nothing below the home can be read by others, checkpoints and journals included."""
    before = os.umask(0)
    try:
        with opened(home) as ledger:
            for version in range(1, 28):
                ledger.commit(ACCOUNT, [costs(0, version, rows=1)], [payload(f"f{version}", 1)])
            ledger.maintain(keep_days=0)
            assert list(home.rglob("*.checkpoint.parquet"))
            open_to_others = [path for path in (home, *home.rglob("*")) if path.stat().st_mode & 0o077]
    finally:
        os.umask(before)
    assert open_to_others == []
