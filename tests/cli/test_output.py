"""What is printed: exact, safe, and as wide as the terminal."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.cli.output import show
from outlay.cli.output.numbers import exact, money, percent, quantity
from outlay.cli.output.plain import as_csv, as_json, guarded
from outlay.cli.output.sheet import Column, Kind, Sheet
from outlay.cli.output.table import lines
from outlay.cli.output.text import fold, neutral, width
from outlay.cli.settings import Settings

AMOUNTS = st.decimals(-(10**19), 10**19, places=18, allow_nan=False, allow_infinity=False)


def table(sheet: Sheet, space: int = 80) -> list[str]:
    """Return a table's lines without styles."""
    return [click.unstyle(line) for line in lines(sheet, space)]


# ── Numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1234567.891", "USD", "1,234,567.89"),
        ("12.340000000000000000", "USD", "12.34"),
        ("0", "USD", "0.00"),
        ("0.5", "USD", "0.50"),
        ("0.00421", "USD", "0.0042"),
        ("0.000000000000000001", "USD", "0.000000000000000001"),
        ("-0.004", "USD", "-0.0040"),
        ("1.005", "USD", "1.00"),
        ("1.015", "USD", "1.02"),
        ("1234.5", "JPY", "1,234"),
        ("1234.5", "KWD", "1,234.500"),
        ("99999999999999999999.999", "USD", "100,000,000,000,000,000,000.00"),
        ("-0.000000000000000000", "USD", "0.00"),
    ],
)
def test_money_reads_well(amount: str, currency: str, shown: str) -> None:
    """Cents where there are units, more digits where there are only fractions, rounded half-even."""
    assert money(Decimal(amount), currency) == shown


@given(AMOUNTS)
def test_money_that_is_there_is_never_shown_as_nothing(amount: Decimal) -> None:
    """An amount shows as zero exactly when it is zero."""
    shown = Decimal(money(amount, "USD").replace(",", ""))
    assert (shown == 0) == (amount == 0)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("1500.000000", "1,500"), ("404.76190", "404.762"), ("0.00001234", "0.000012"), ("0", "0"), ("2.5", "2.5")],
)
def test_quantities_read_well(value: str, shown: str) -> None:
    """Whole quantities have no decimals, others as few as say something."""
    assert quantity(Decimal(value)) == shown


def test_a_share_of_nothing_is_unknown() -> None:
    """A quota of zero has no percentage."""
    assert percent(Decimal(5), Decimal(0)) is None
    assert percent(Decimal(1), Decimal(3)) == "33 %"
    assert percent(Decimal(1), Decimal(300)) == "0.3 %"


@given(AMOUNTS, st.integers(0, 8))
def test_exact_text_is_the_number(amount: Decimal, places: int) -> None:
    """Every digit survives, with at least the decimals asked for and no exponent."""
    text = exact(amount, places)
    assert Decimal(text) == amount
    assert "E" not in text
    assert len(text.partition(".")[2]) >= places


# ── Text ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\x07", "\x00", "\u202e", "\u2066", "\u200b", "\x7f", "\u2028"])
def test_what_a_terminal_would_obey_is_made_visible(character: str) -> None:
    """Escape sequences, reordering marks and hidden characters in names reach no terminal."""
    assert neutral(f"a{character}[31mb") == "a�[31mb"


def test_line_breaks_become_spaces() -> None:
    """A name cannot begin a line of its own."""
    assert neutral("a\r\nb\tc") == "a b c"


@given(st.text(max_size=120), st.integers(2, 40))
def test_folded_text_fits(text: str, columns: int) -> None:
    """No line is wider than asked, and nothing but spaces is lost."""
    text = neutral(text)
    folded = list(fold(text, columns))
    assert all(width(part) <= columns for part in folded)
    assert "".join("".join(folded).split()) == "".join(text.split())


def test_long_words_break_where_they_are_joined() -> None:
    """A name that does not fit a line breaks behind a hyphen, an underscore or a slash, and else where it must."""
    assert list(fold("railway-demo", 11)) == ["railway-", "demo"]
    assert list(fold("private_storage of acme/shop", 9)) == ["private_", "storage", "of", "acme/shop"]
    assert list(fold("unbreakable", 6)) == ["unbrea", "kable"]


# ── Tables ───────────────────────────────────────────────────────────────────────────────────────────────────────

COLUMNS = (
    Column("service", "Service"),
    Column("note", "Note", keep=1),
    Column("currency", "Cur."),
    Column("basis", "Basis"),
    Column("cost", "Cost", Kind.MONEY),
)


def row(service: str, cost: str | None, **more: object) -> dict[str, object]:
    """Return a row of the test's columns."""
    amount = None if cost is None else Decimal(cost)
    return {"service": service, "note": None, "currency": "USD", "basis": "billed", "cost": amount, **more}


def test_unknown_is_a_dash_and_not_zero() -> None:
    """What is not known shows as `–`; zero shows as zero."""
    shown = table(Sheet(COLUMNS, [row("a", None), row("b", "0")]))
    assert shown[2].endswith("–")
    assert shown[3].endswith("0.00")


def test_sums_keep_currencies_and_bases_apart() -> None:
    """There is a total per currency and basis, and none across."""
    rows = [row("a", "1"), row("b", "2"), row("c", "5", currency="EUR"), row("d", "7", basis="estimated")]
    totals = table(Sheet(COLUMNS, rows, sums=("cost",)))[-3:]
    assert [line.split()[-3:] for line in totals] == [
        ["USD", "billed", "3.00"],
        ["EUR", "billed", "5.00"],
        ["USD", "estimated", "7.00"],
    ]


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    """A total that leaves something out would pass for the whole."""
    assert table(Sheet(COLUMNS, [row("a", "1"), row("b", None)], sums=("cost",)))[-1].endswith("–")


def test_sums_are_exact_beyond_the_usual_precision() -> None:
    """Adding does not round: thirty-eight digits add up to the last one."""
    rows = [row("a", "99999999999999999999.1"), row("b", "0.000000000000000001"), row("c", "-99999999999999999999.1")]
    assert table(Sheet(COLUMNS, rows, sums=("cost",)))[-1].endswith("0.000000000000000001")


@given(
    st.lists(
        st.tuples(st.text(max_size=60), st.text(max_size=30), AMOUNTS),
        min_size=1,
        max_size=6,
    ),
    st.integers(60, 120),
)
def test_tables_fit_and_numbers_stay_whole(rows: list[tuple[str, str, Decimal]], space: int) -> None:
    """Whatever names and amounts come, no line is too wide and every amount is there uncut."""
    sheet = Sheet(COLUMNS, [row(name, str(cost), note=note) for name, note, cost in rows])
    shown = table(sheet, space)
    assert all(width(line) <= space for line in shown)
    text = "\n".join(shown)
    assert all(money(cost, "USD") in text for _, _, cost in rows)


def test_a_table_too_narrow_becomes_records() -> None:
    """Where not even the narrowest table fits, each row is a block and still complete."""
    shown = table(Sheet(COLUMNS, [row("service", "12345678901234567.89")]), 40)
    assert all(width(line) <= 40 for line in shown)
    assert any("12,345,678,901,234,567.89" in line for line in shown)


def test_columns_left_out_are_named() -> None:
    """The reader learns what a narrow table does not show."""
    wide = row("s" * 30, "1", note="n" * 31)
    assert any("Left out to fit: Note" in line for line in table(Sheet(COLUMNS, [wide]), 60))


def test_what_is_missing_stands_under_the_table() -> None:
    """Incomplete parts are shown with their days, their reason and what to do."""
    gap = {
        "connection": "github-acme",
        "dataset": "usage",
        "period": (date(2026, 10, 30), date(2026, 11, 1)),
        "why": "access_denied",
        "hint": "Create a new key.",
    }
    text = " ".join(" ".join(table(Sheet(COLUMNS, [row("a", "1")], incomplete=[gap]))).split())
    assert "Incomplete" in text
    assert "github-acme usage, 2026-10-30 to 2026-11-01: access_denied. Create a new key." in text


@pytest.mark.parametrize(
    ("severity", "told"),
    [("note", "note: a b: c\n"), ("warning", "warning: a b: c\n"), (None, "warning: incomplete: a b: c\n")],
)
def test_beside_csv_each_word_of_caution_has_its_own_weight(
    severity: str | None, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is only worth knowing is no warning and no gap, and --quiet leaves it out."""
    part = {"connection": "a", "dataset": "b", "why": "c", "severity": severity}
    for quiet in (False, True):
        show(Sheet(COLUMNS, [], incomplete=[part]), Settings(format="csv", quiet=quiet))
        assert capsys.readouterr().err == ("" if quiet and severity == "note" else told)


def test_names_stand_for_ids_in_tables_only() -> None:
    """People read names, programs get ids."""
    sheet = Sheet((Column("sub_account", "Sub-account"),), [{"sub_account": "proj_x"}], names={"proj_x": "Web\x1bsite"})
    assert table(sheet)[2] == "Web�site"
    assert json.loads(as_json(sheet))["rows"] == [{"sub_account": "proj_x"}]


# ── JSON and CSV ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_json_keeps_every_digit() -> None:
    """Decimals are texts with every digit, times RFC 3339 in UTC, days ISO, unknown null."""
    sheet = Sheet(
        COLUMNS,
        [row("a", "0.123456789012345678", at=datetime(2026, 11, 22, 12, tzinfo=UTC), day=date(2026, 11, 22))],
        head={"from": date(2026, 11, 1)},
        incomplete=[],
    )
    assert json.loads(as_json(sheet)) == {
        "from": "2026-11-01",
        "rows": [
            {
                "service": "a",
                "note": None,
                "currency": "USD",
                "basis": "billed",
                "cost": "0.123456789012345678",
                "at": "2026-11-22T12:00:00Z",
                "day": "2026-11-22",
            }
        ],
        "incomplete": [],
    }


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-cmd", "@sum", "\tx", "\rx", "+49 30", "-1-1", "=", "-"])
def test_formulas_are_disarmed(text: str) -> None:
    """A cell that a spreadsheet would run gets a leading apostrophe."""
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-12.5", "-3", "0", "a=b", "", "proj-1"])
def test_numbers_and_plain_text_stay(text: str) -> None:
    """Negative numbers and harmless texts are left alone."""
    assert guarded(text) == text


@given(st.text(max_size=40), AMOUNTS)
def test_csv_reads_back(name: str, amount: Decimal) -> None:
    """A CSV reader gets the name, guarded at most, and the amount to the last digit."""
    text = "\n".join(as_csv(Sheet(COLUMNS, [row(name, str(amount))])))
    header, cells = csv.reader(io.StringIO(text, newline=""))
    found = dict(zip(header, cells, strict=True))
    assert Decimal(found["cost"]) == amount
    assert found["note"] == ""
    assert found["service"] in (name, f"'{name}")
