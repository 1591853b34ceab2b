"""Each single fault put into a clean file is found, and a clean file is not accused."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from export.sample import END, FIRST, opened
from outlay.export import focus
from outlay.export.checks import PROBLEMS_MAX, Checked, Checker, check_file

VERSIONS = ("1.2", "1.3", "1.4")
Rows = list[dict[str, str]]
Fault = Callable[[Rows], None]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a clean export of each version, written once."""
    folder = tmp_path_factory.mktemp("clean")
    written: dict[str, Path] = {}

    def of(version: str) -> Path:
        if version not in written:
            with opened(folder / f"home-{version}", days=2, fees=True) as ledger:
                out = folder / f"clean-{version}.csv"
                focus(ledger, out, from_=FIRST, to=END, version=version)
            written[version] = out
        return written[version]

    return of


def row_of(rows: Rows, category: str = "Usage", **wanted: str) -> dict[str, str]:
    """Return the first row of a category with some values."""
    return next(
        row
        for row in rows
        if row["ChargeCategory"] == category
        and not row["ChargeClass"]
        and all(row[name] == value for name, value in wanted.items())
    )


def put(category: str = "Usage", /, **values: str) -> Fault:
    """Return the fault of overwriting cells of one row."""

    def fault(rows: Rows) -> None:
        row_of(rows, category).update(values)

    return fault


def swap(one: str, other: str) -> Fault:
    """Return the fault of two cells in each other's place."""

    def fault(rows: Rows) -> None:
        row = row_of(rows)
        row[one], row[other] = row[other], row[one]

    return fault


def drop(column: str) -> Fault:
    """Return the fault of a column left out."""

    def fault(rows: Rows) -> None:
        for row in rows:
            del row[column]

    return fault


def add(column: str) -> Fault:
    """Return the fault of a column that should not be there."""

    def fault(rows: Rows) -> None:
        for row in rows:
            row[column] = "something"

    return fault


def whole(column: str) -> Fault:
    """Return the fault of a column that holds whole numbers without a decimal point."""

    def fault(rows: Rows) -> None:
        for row in rows:
            row[column] = row[column].partition(".")[0]

    return fault


def custom_first(rows: Rows) -> None:
    """Put a custom column before those of FOCUS."""
    for row in rows:
        rest = dict(row)
        row.clear()
        row.update({"x_Early": "something", **rest})


FAULTS: dict[str, tuple[str, Fault]] = {
    "a date without a zone": ("datetime_format", put(ChargePeriodStart="2026-10-01T00:00:00")),
    "a date with an offset": ("datetime_format", put(ChargePeriodStart="2026-10-01T02:00:00+02:00")),
    "a date with fractions": ("datetime_format", put(BillingPeriodStart="2026-10-01T00:00:00.000Z")),
    "a date with a space": ("datetime_format", put(ChargePeriodEnd="2026-10-02 00:00:00Z")),
    "a reversed charge period": ("period_reversed", swap("ChargePeriodStart", "ChargePeriodEnd")),
    "a reversed billing period": ("period_reversed", swap("BillingPeriodStart", "BillingPeriodEnd")),
    "a number with a plus": ("number_format", put(BilledCost="+1.25")),
    "a number with thousands marks": ("number_format", put(ConsumedQuantity="500,000.0")),
    "a number with its currency": ("number_format", put(ListCost="$1.25")),
    "a column of whole numbers": ("whole_numbers", whole("BilledCost")),
    "a null cost": ("null_not_allowed", put(EffectiveCost="")),
    "a word in place of null": ("null_as_text", put(RegionName="N/A")),
    "an id of digits": ("id_not_text", put(SubAccountId="12345")),
    "a lower-case currency": ("currency_format", put(BillingCurrency="usd")),
    "an unknown charge category": ("value_not_allowed", put(ChargeCategory="Refund")),
    "an unknown commitment status": ("value_not_allowed", put(CommitmentDiscountStatus="Active")),
    "an unknown service category": ("value_not_allowed", put(ServiceCategory="AI")),
    "a subcategory of another category": ("subcategory_parent", put(ServiceSubcategory="Virtual Machines")),
    "a unit in prose": ("unit_format", put(PricingUnit="per 1M tokens")),
    "a size that is no FOCUS size": ("unit_format", put(ConsumedUnit="GBs")),
    "nested tags": ("json_nested", put(Tags='{"team": {"name": "web"}}')),
    "a tag given twice": ("json_duplicate_key", put(Tags='{"team": "web", "team": "api"}')),
    "price details without prefix": ("json_key_unprefixed", put(SkuPriceDetails='{"Model": "gpt-5"}')),
    "a custom column without prefix": ("column_unknown", add("Team")),
    "a custom column too early": ("column_order", custom_first),
    "a mandatory column left out": ("column_missing", drop("InvoiceIssuerName")),
    "another spelling of the issuer": ("issuer_differs", put(InvoiceIssuerName="OpenAI, LLC")),
    "usage without a SKU price": ("price_missing", put(SkuPriceId="")),
    "usage without a list price": ("price_missing", put(ListUnitPrice="")),
    "usage without a pricing quantity": ("price_missing", put(PricingQuantity="")),
    "usage without consumption": ("consumption_missing", put(ConsumedQuantity="", ConsumedUnit="")),
    "a cost that is not price times quantity": ("product", put(ListUnitPrice="3.5")),
    "a contracted cost that is not its product": ("product", put(ContractedCost="99.0")),
    "a credit with another effective cost": ("credit_effective", put("Credit", EffectiveCost="-4.0")),
    "a usage-based purchase": ("frequency", put("Purchase", ChargeFrequency="Usage-Based")),
    "a purchase that consumes": (
        "consumption_misplaced",
        put("Purchase", ConsumedQuantity="1.0", ConsumedUnit="Count"),
    ),
    "a tax with a price": ("price_misplaced", put("Tax", ListUnitPrice="1.0")),
    "a region without a name": ("pair_broken", put(RegionId="eu-1", RegionName="")),
    "a sub account without a type": ("pair_broken", put(SubAccountType="")),
    "a resource without a type": ("pair_broken", put(ResourceId="github:site", ResourceType="")),
    "a service in two categories": (
        "service_two_categories",
        put(ServiceCategory="Analytics", ServiceSubcategory="Search"),
    ),
    "a price of two SKUs": ("price_two_skus", put(SkuId="openai/another")),
    "a pricing currency that disagrees": ("pricing_currency", put(PricingCurrencyEffectiveCost="1.0")),
}
"""Name of the fault, the code it must be found under, and how to plant it."""


def read(source: Path) -> Rows:
    """Return a file's rows."""
    with source.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def checked(version: str, source: Path, fault: Fault) -> Checked:
    """Return what is found in a file's rows with a fault put into them."""
    rows = read(source)
    fault(rows)
    checker = Checker(version, list(rows[0]), text_file=True)
    for row in rows:
        checker.check([value or None for value in row.values()])
    return checker.finish()


def copied(source: Path, target: Path) -> Path:
    """Write a file again by other means than ours."""
    rows = read(source)
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return target


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FAULTS)
def test_a_single_fault_is_found(name: str, version: str, clean: Callable[[str], Path]) -> None:
    """One fault in a clean file is found under its own code, and nothing stays silent."""
    code, fault = FAULTS[name]
    found = checked(version, clean(version), fault)
    assert code in found.counts
    assert any(problem.code == code and problem.where and problem.says for problem in found.problems)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_clean_file_is_not_accused(version: str, clean: Callable[[str], Path], tmp_path: Path) -> None:
    """A clean file passes, also after being read and written by another program."""
    copy = copied(clean(version), tmp_path / "copy.csv")
    for path in (clean(version), copy):
        found = check_file(path, version, "csv")
        assert found.passed, found.problems
        assert found.rows > 20


def test_there_are_at_least_33_faults() -> None:
    """The matrix keeps its breadth."""
    assert len(FAULTS) >= 33
    assert len({code for code, _ in FAULTS.values()}) >= 25


@pytest.mark.parametrize("category", ["Usage", "Purchase"])
def test_a_quantity_needs_a_price_id_from_1_3_on(category: str, clean: Callable[[str], Path]) -> None:
    """A correction may lack its SKU, but then it has no quantity either; 1.2 does not say so."""
    for version, expected in (("1.2", False), ("1.3", True), ("1.4", True)):
        correction = put(category, ChargeClass="Correction", SkuId="", SkuMeter="", SkuPriceId="")
        found = checked(version, clean(version), correction)
        assert ("price_id_missing" in found.counts) is expected


def test_problems_are_counted_beyond_those_told(clean: Callable[[str], Path]) -> None:
    """A file that is wrong throughout costs no more memory: the first problems are told, all are counted."""

    def everywhere(rows: Rows) -> None:
        rows.extend(dict(row) for row in rows * 9)
        for row in rows:
            row["BilledCost"] = "much"

    found = checked("1.3", clean("1.3"), everywhere)
    assert found.counts["number_format"] == found.rows > PROBLEMS_MAX
    assert len(found.problems) == PROBLEMS_MAX
