"""FOCUS files: every value as FOCUS wants it, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.staging import charge, clock, put, put_days
from export.sample import END, FIRST, opened
from outlay.errors import ConfigError, StoreError
from outlay.export import facts, focus, run
from outlay.export.focus import STATED, rounded
from outlay.model.basis import Basis
from outlay.model.focus import columns
from outlay.model.period import Period
from outlay.store import Ledger

DAY = date(2026, 10, 2)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Give an empty ledger."""
    with Ledger.open(tmp_path / "home", clock=clock) as made:
        yield made


def exported(
    ledger: Ledger, out: Path, *, version: str = "1.3", bases: Sequence[Basis] = STATED
) -> list[dict[str, str]]:
    """Return the rows of a CSV export of October."""
    done = focus(ledger, out, from_=FIRST, to=END, version=version, bases=bases)
    assert done.checked.passed, done.checked.problems
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert done.rows == len(rows)
    return rows


@pytest.mark.parametrize("version", ["1.2", "1.3", "1.4"])
def test_a_version_has_its_columns_and_custom_ones_last(version: str, tmp_path: Path) -> None:
    """Exactly the version's columns, then ours; ProviderName goes with 1.4."""
    with opened(tmp_path / "home", days=1) as ledger:
        names = list(exported(ledger, tmp_path / "out.csv", version=version)[0])
    ours = [name for name in names if name.startswith("x_")]
    assert names == [column.name for column in columns(version)] + ours
    assert ("ProviderName" in names) is (version != "1.4")


def test_numbers_and_times_are_written_for_csv_readers(ledger: Ledger, tmp_path: Path) -> None:
    """Whole numbers keep a decimal point, times are UTC to the second, unknown is an empty field."""
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "12")])
    (row,) = exported(ledger, tmp_path / "out.csv")
    assert row["BilledCost"] == "12.0"
    assert row["ChargePeriodStart"] == "2026-10-02T00:00:00Z"
    assert row["RegionId"] == row["ChargeClass"] == ""


numbers = st.integers(-(10**24), 10**24).map(lambda units: Decimal(f"{units}E-18"))
ties = st.integers(-99, 99).map(lambda number: Decimal(f"{number}5E-13"))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(number=numbers | ties)
def test_rounding_is_half_even(number: Decimal) -> None:
    """What the ledger holds beyond the twelfth decimal is rounded as the ledger rounds."""
    found = _engine().execute(f"SELECT {rounded('n')} FROM (SELECT CAST(? AS DECIMAL(38,18)) AS n)", [f"{number:f}"])
    (row,) = found.fetchall()
    assert row[0] == number.quantize(Decimal("1E-12"), rounding=ROUND_HALF_EVEN)


def _engine(made: list[duckdb.DuckDBPyConnection] = []) -> duckdb.DuckDBPyConnection:  # noqa: B006 - made once
    if not made:
        made.append(duckdb.connect())
    return made[0]


def test_what_is_unknown_is_filled_as_documented_and_named(ledger: Ledger, tmp_path: Path) -> None:
    """A bare cost becomes one count at that cost, and x_Fallbacks says which columns were filled."""
    put(ledger, "a", "costs", Period.of_day(DAY), [charge(DAY, "3", sub_account_id="12")])
    (row,) = exported(ledger, tmp_path / "out.csv")
    assert row["ListCost"] == row["ContractedCost"] == row["ListUnitPrice"] == row["EffectiveCost"] == "3.0"
    assert (row["PricingQuantity"], row["PricingUnit"]) == ("1.0", "Count")
    assert (row["ConsumedQuantity"], row["ConsumedUnit"]) == ("1.0", "Count")
    assert (row["SubAccountId"], row["SubAccountName"], row["SubAccountType"]) == ("openai:12", "openai:12", "Project")
    assert row["PricingCurrency"] == "USD"
    assert row["x_Fallbacks"].split(",") == [
        "BillingAccountName",
        "ListCost",
        "ContractedCost",
        "PricingQuantity",
        "ConsumedQuantity",
        "SkuId",
        "SubAccountName",
    ]


def test_what_the_vendor_states_stays(tmp_path: Path) -> None:
    """Prices, quantities, units and names that are known are written as they are."""
    with opened(tmp_path / "home", days=1) as ledger:
        rows = exported(ledger, tmp_path / "out.csv")
    row = next(row for row in rows if row["SkuPriceId"] == "gpt-5/input@batch")
    assert (row["ListUnitPrice"], row["PricingQuantity"], row["PricingUnit"]) == ("2.5", "0.5", "1000000 Tokens")
    assert (row["ConsumedQuantity"], row["ConsumedUnit"]) == ("500000.0", "Tokens")
    assert row["SubAccountName"] == "Website"
    assert json.loads(row["SkuPriceDetails"]) == {"x_Model": "gpt-5", "x_ServiceTier": "batch"}
    assert json.loads(row["Tags"]) == {"team": "web", "spot": True}
    tax = next(row for row in rows if row["ChargeCategory"] == "Tax")
    assert tax["SkuId"] == tax["ListUnitPrice"] == tax["PricingQuantity"] == ""


def test_estimates_stay_out_unless_asked_for(ledger: Ledger, tmp_path: Path) -> None:
    """FOCUS cannot mark an estimate; asked for, it speaks only where nothing better does."""
    other = DAY + timedelta(days=1)
    put_days(
        ledger,
        "a",
        "costs",
        {
            DAY: [charge(DAY, "1"), charge(DAY, "9", basis="estimated")],
            other: [charge(other, "7", basis="estimated"), charge(other, "4", basis="priced", service_name="Other")],
        },
    )
    assert [row["BilledCost"] for row in exported(ledger, tmp_path / "a.csv")] == ["1.0"]
    rows = exported(ledger, tmp_path / "b.csv", bases=tuple(Basis))
    assert sorted((row["x_Basis"], row["BilledCost"]) for row in rows) == [
        ("billed", "1.0"),
        ("estimated", "7.0"),
        ("priced", "4.0"),
    ]


def test_no_text_is_run_by_a_spreadsheet_and_no_number_is_touched(tmp_path: Path) -> None:
    """A text that begins a formula gets an apostrophe in CSV; negative numbers stay numbers; Parquet is verbatim."""
    with opened(tmp_path / "home", days=1) as ledger:
        rows = exported(ledger, tmp_path / "out.csv")
        focus(ledger, tmp_path / "out.parquet", from_=FIRST, to=END)
    (refund,) = [row for row in rows if row["ChargeClass"] == "Correction"]
    assert (refund["ChargeDescription"], refund["BilledCost"]) == ("'=refund", "-0.5")
    sql = "SELECT ChargeDescription, BilledCost FROM read_parquet(?) WHERE ChargeClass = 'Correction'"
    assert _engine().execute(sql, [str(tmp_path / "out.parquet")]).fetchall() == [("=refund", Decimal("-0.5"))]


def test_the_sum_is_the_ledgers(tmp_path: Path) -> None:
    """Every charge of the period is in the file once, in CSV and in Parquet, whatever the size of the parts."""
    with opened(tmp_path / "home", days=5) as ledger:
        (expected,) = ledger.query("SELECT sum(round(BilledCost, 12)) FROM charges WHERE x_Basis = 'billed'").rows[0]
        rows = exported(ledger, tmp_path / "whole.csv")
        assert sum(Decimal(row["BilledCost"]) for row in rows) == expected
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(run, "CHUNK_ROWS", 5)
            assert exported(ledger, tmp_path / "parts.csv") == rows
            focus(ledger, tmp_path / "parts.parquet", from_=FIRST, to=END)
    found = _engine().execute("SELECT sum(BilledCost) FROM read_parquet(?)", [str(tmp_path / "parts.parquet")])
    assert found.fetchall() == [(expected,)]


def test_an_empty_period_is_an_empty_file_with_its_header(ledger: Ledger, tmp_path: Path) -> None:
    """A ledger without charges still writes every column."""
    assert exported(ledger, tmp_path / "out.csv") == []
    assert (tmp_path / "out.csv").read_text().startswith("AllocatedMethodDetails,")


def test_a_file_is_replaced_whole_or_not_at_all(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When writing fails the earlier file stays and nothing is left beside it."""
    out = tmp_path / "out" / "f.csv"
    out.parent.mkdir()
    out.write_text("earlier")

    def full(*_: object) -> int:
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr("outlay.store.query.Reader.copy", full)
    with pytest.raises(StoreError, match="No space left"):
        focus(ledger, out, from_=FIRST, to=END)
    assert out.read_text() == "earlier"
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("name", ["f.csv", "f.parquet"])
def test_what_is_written_is_its_owners_alone(ledger: Ledger, tmp_path: Path, name: str) -> None:
    """Amounts are nobody else's to read, whichever writer made the file."""
    focus(ledger, tmp_path / name, from_=FIRST, to=END)
    facts(ledger, "charges", tmp_path / f"facts-{name}")
    assert [path.stat().st_mode & 0o777 for path in tmp_path.glob(f"*{name}")] == [0o600, 0o600]


def test_a_table_that_cannot_be_read_is_the_stores_error(tmp_path: Path) -> None:
    """A damaged file of the ledger is no bug: the error says what to do, and nothing is written."""
    with opened(tmp_path / "home", days=1) as ledger:
        for part in (tmp_path / "home" / "ledger" / "charges").rglob("*.parquet"):
            part.write_bytes(b"damaged")
        for write in (focus, partial(facts, table="charges")):
            with pytest.raises(StoreError) as caught:
                write(ledger, out=tmp_path / "f.csv", from_=FIRST, to=END)
            assert "restore" in caught.value.hint
    assert not (tmp_path / "f.csv").exists()


def test_a_folder_that_is_not_there_is_the_stores_error(ledger: Ledger, tmp_path: Path) -> None:
    """The error names the file and what to check."""
    with pytest.raises(StoreError) as caught:
        focus(ledger, tmp_path / "nowhere" / "f.csv", from_=FIRST, to=END)
    assert "folder" in caught.value.hint


@pytest.mark.parametrize(("name", "version"), [("f.txt", "1.3"), ("f", "1.3"), ("f.csv", "1.0")])
def test_unknown_suffixes_and_versions_are_refused(ledger: Ledger, tmp_path: Path, name: str, version: str) -> None:
    """What cannot be written is said before anything is."""
    with pytest.raises(ConfigError):
        focus(ledger, tmp_path / name, from_=FIRST, to=END, version=version)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_facts_are_written_as_they_are(suffix: str, tmp_path: Path) -> None:
    """Any table in any format, all of it or a period, with every digit."""
    out = tmp_path / f"charges.{suffix}"
    with opened(tmp_path / "home", days=3) as ledger:
        assert facts(ledger, "charges", out) == 33
        assert facts(ledger, "charges", out, from_=FIRST, to=FIRST + timedelta(days=1)) == 11
        assert facts(ledger, "names", tmp_path / f"names.{suffix}") == 2
        with pytest.raises(ConfigError):
            facts(ledger, "payloads", out)
    smallest = "0.000012345678901234"
    if suffix == "jsonl":
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert smallest in {row["BilledCost"] for row in rows}
        assert {row["ChargePeriodStart"] for row in rows} == {"2026-10-01T00:00:00.000000Z"}
    else:
        reader = "read_csv(?, all_varchar = true)" if suffix == "csv" else "read_parquet(?)"
        found = _engine().execute(f"SELECT CAST(BilledCost AS VARCHAR) FROM {reader}", [str(out)]).fetchall()
        assert len(found) == 11
        assert (smallest,) in found
