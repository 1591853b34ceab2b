"""`enter` and `import`: what no API tells is in the ledger once, as what it is, and can be taken back."""

from __future__ import annotations

import json
import zipfile
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from outlay.simulator import World

TODAY = date(2026, 11, 22)
HEAD = "day,service,sku,amount,currency,quantity,unit,description\n"
FILE = (
    HEAD
    + '2026-11-01,API,tokens,1.50,USD,1000,tokens,\n2026-11-02,API,,2.5,USD,,,"extra, more"\n'
    + "2026-11-02,API,,0.7,EUR,,,\n"
)
OCTOBER = ("--from", "2026-10-01", "--to", "2026-11-01")
YEAR = ("--from", "2026-01-01", "--to", "2027-01-01")


@pytest.fixture
def acme(line: Any, tmp_path: Path) -> Any:
    """Return a command line with one connection that has no credential."""
    line.config = tmp_path / "outlay.toml"
    line.config.write_text('[connections.acme]\nprovider = "openai"\ncredential = "none:"\n')
    return line


def file(tmp_path: Path, text: str | bytes, name: str = "november.csv") -> str:
    """Return the path of a file with a text in it."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def zipped(tmp_path: Path, members: dict[str, bytes]) -> str:
    """Return the path of a ZIP of some members."""
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return str(path)


def spent(acme: Any, *arguments: str) -> dict[tuple[str, str], str]:
    """Return what was spent, by currency and basis."""
    rows = acme.json("spend", *YEAR, *arguments)["rows"]
    return {(row["currency"], row["basis"]): row["billed_cost"] for row in rows}


def forecast_of(line: Any, connection: str) -> Any:
    """Return what a connection's month is estimated to come to."""
    return line.json("status", "--connection", connection)["rows"][0]["forecast"]


def states(answer: Any) -> list[str]:
    """Return the states of an answer's rows."""
    return [row["state"] for row in answer["rows"]]


# ── import ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_file_is_spend_with_the_basis_entered(acme: Any, tmp_path: Path) -> None:
    """Each currency stands by itself, and what is typed never passes for a bill."""
    assert acme("import", file(tmp_path, FILE), "--connection", "acme").exit_code == 0
    assert spent(acme) == {("USD", "entered"): "4.000000", ("EUR", "entered"): "0.700000"}
    (row,) = acme.json("usage", *YEAR)["rows"]
    assert (row["meter"], row["unit"], row["quantity"]) == ("tokens", "tokens", "1000.000000")


def test_a_file_imported_twice_is_there_once(acme: Any, tmp_path: Path) -> None:
    """The second time changes nothing; a longer file adds its days, a corrected one replaces them with a history."""
    path = file(tmp_path, FILE)
    assert states(acme.json("import", path)) == ["new", "new", "new"]
    again = acme.json("import", path)
    assert set(states(again)) == {"unchanged"}
    assert again["id"] is None
    file(tmp_path, FILE.replace("2.5", "3.5") + "2026-11-03,API,,1,USD,,,\n")
    assert sorted(set(states(acme.json("import", path)))) == ["new", "replaced", "unchanged"]
    assert spent(acme)["USD", "entered"] == "6.000000"
    assert {row["reason"] for row in acme.json("history")["rows"]} == {"import"}


@pytest.mark.parametrize("word", ["--preview", "--dry-run"])
def test_a_preview_changes_nothing(acme: Any, tmp_path: Path, word: str) -> None:
    """What would change is shown, and there is no ledger afterwards where there was none."""
    assert states(acme.json("import", file(tmp_path, FILE), word)) == ["new", "new", "new"]
    assert not acme.home.exists()


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('2026-11-01,API,,"1.234,56",USD,,,\n', "no plain number"),
        ("01.11.2026,API,,1,USD,,,\n", "is not a day"),
        ("2026-11-01,API,,1,USD,,\n", "7 fields"),
        ("2026-11-01,API,,1,,,,\n", "without `currency`"),
        ("2026-11-01,API,,1,usd,,,\n", "no currency code"),
        ("2026-11-01,API,,1e3,USD,,,\n", "no plain number"),
        ("2026-11-01,API,,NaN,USD,,,\n", "no plain number"),
        ("2026-11-01,API,,999999999999999999999,USD,,,\n", "no plain number"),
        ("2026-11-01,,,1,USD,,,\n", "`service` is empty"),
        ("2026-11-01,API,,,,,,\n", "neither an amount nor a quantity"),
        ("2026-11-01,API,,1,USD,5,,\n", "without `unit`"),
        ("2026-11-01,API,,1,USD,,,a\x1b[31m\n", "control characters"),
        ("2026-11-01,API,,1,USD,,," + "x" * 1001 + "\n", "longer than"),
        ("2026-11-01,API,,1,USD,,," + "x" * 200_000 + "\n", "field limit"),
        ("2026-11-01,API,,1,USD,,,\n2026-11-01,API,,2,USD,,,\n", "line 2 again"),
        ('2026-11-01,API,,1,USD,,,"open\n', "unexpected end"),
    ],
    ids=lambda value: value[:12] if len(value) < 60 else "",
)
def test_one_wrong_line_keeps_the_file_out(acme: Any, tmp_path: Path, lines: str, says: str) -> None:
    """The line is named with its number, and nothing of the file is committed."""
    good = "2026-10-31,Good,,1,USD,,,\n" if "again" not in says else ""
    result = acme("import", file(tmp_path, HEAD + lines + good))
    assert result.exit_code == 2
    assert says in result.stderr
    assert "nothing was imported" in result.stderr
    assert "\x1b" not in result.output
    assert not acme.home.exists()


def test_a_file_that_is_kept_out_has_its_lines_on_stdout_and_one_error_for_programs(acme: Any, tmp_path: Path) -> None:
    """With `--format json` stderr is the one shape of errors, and every wrong line is data."""
    result = acme("import", file(tmp_path, HEAD + "2026-11-01,API,,NaN,USD,,,\n"), "--format", "json")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["error"]["code"] == "config"
    assert [each["where"] for each in json.loads(result.stdout)["problems"]] == ["line 2"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("day;service;amount;currency\n2026-11-01;API;1;USD\n", "not separated by commas"),
        ("day,service,amount,curency\n", "Did you mean `currency`"),
        ("day,service,amount\n", "lacks amount and currency"),
        ("day,service,amount,currency,day\n", "twice"),
        ("day,service,amount,currency\n2026-11-01,\xff,1,USD\n".encode("latin-1"), "not UTF-8"),
        ("date,cost\n2026-11-01,1\n", "no form that is known"),
        ("", "holds nothing"),
        ("day,service,amount,currency\n2026-11-01,API,1,USD\n".encode("utf-16"), "UTF-16"),
    ],
    ids=["semicolons", "typo", "lack", "twice", "encoding", "foreign", "empty", "utf-16"],
)
def test_a_wrong_file_says_what_is_wrong(acme: Any, tmp_path: Path, text: str | bytes, says: str) -> None:
    """Headers and encodings are judged before the lines."""
    result = acme("import", file(tmp_path, text))
    assert result.exit_code == 2
    assert says in result.stderr


def test_problems_are_data_where_json_is_asked_for(acme: Any, tmp_path: Path) -> None:
    """Every wrong line is in the JSON object, with its place."""
    result = acme("import", file(tmp_path, HEAD + "x,API,,1,USD,,,\ny,API,,1,USD,,,\n"), "--format", "json")
    whole = json.loads(result.stdout)
    assert whole["imported"] is False
    assert [problem["where"] for problem in whole["problems"]] == ["line 2", "line 3"]


def test_a_zip_is_read_file_by_file(acme: Any, tmp_path: Path) -> None:
    """The files of a form are one import; what is of no form is named and left out, folders do not matter."""
    later = HEAD + "2026-11-09,API,,1,USD,,,\n"
    path = zipped(tmp_path, {"a/1.csv": FILE.encode(), "../../2.csv": later.encode(), "readme.txt": b"hello"})
    answer = acme.json("import", path)
    assert {row["from"] for row in answer["rows"]} == {"2026-11-01", "2026-11-02", "2026-11-09"}
    assert [part["dataset"] for part in answer["incomplete"]] == ["readme.txt"]
    assert not (tmp_path.parent / "2.csv").exists()


@pytest.mark.parametrize(
    ("files", "says"), [({}, "holds nothing"), ({"xl/workbook.xml": b"<x/>", "xl/a.xml": b"<y/>"}, "Save the sheet")]
)
def test_a_zip_without_a_form_says_what_it_is(acme: Any, tmp_path: Path, files: dict[str, bytes], says: str) -> None:
    """An archive of nothing, and the workbook that a spreadsheet saves unless told otherwise."""
    result = acme("import", zipped(tmp_path, files))
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_zip_bomb_is_not_unpacked(acme: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an archive unpacks to is counted as it is unpacked, over all its files."""
    monkeypatch.setattr("outlay.sync.imports_files.FILE_BYTES_MAX", 100_000)
    half = b"day,service,amount,currency\n" + b" " * 60_000
    result = acme("import", zipped(tmp_path, {"1.csv": half, "2.csv": half}))
    assert result.exit_code == 2
    assert "larger than" in result.stderr


def test_an_archive_in_an_archive_is_refused(acme: Any, tmp_path: Path) -> None:
    """Depth is bounded: nothing is unpacked twice."""
    inner = Path(zipped(tmp_path, {"1.csv": FILE.encode()})).read_bytes()
    result = acme("import", zipped(tmp_path, {"inner.zip": inner}))
    assert result.exit_code == 2
    assert "inner.zip" in result.stderr


def test_a_damaged_archive_is_refused(acme: Any, tmp_path: Path) -> None:
    """Half an archive is no archive."""
    whole = Path(zipped(tmp_path, {"1.csv": FILE.encode()})).read_bytes()
    assert acme("import", file(tmp_path, whole[:60], "half.zip")).exit_code == 2


def test_too_many_files_in_an_archive(acme: Any, tmp_path: Path) -> None:
    """A thousand files are enough."""
    result = acme("import", zipped(tmp_path, {f"{number}.csv": b"" for number in range(1001)}))
    assert result.exit_code == 2


def test_what_is_imported_and_entered_makes_a_focus_file(acme: Any, tmp_path: Path) -> None:
    """Units of one's own stay usage, so that the export of the charges keeps to FOCUS in every version."""
    acme("import", file(tmp_path, FILE + "2026-11-05,API,widgets,4,USD,3,my widgets,\n"))
    entry = ("--amount", "25", "--currency", "USD", "--sku", "plan-pro")
    assert acme("enter", "subscription", "--service", "Plan", *entry, "--from", "2026-10-14").exit_code == 0
    assert acme("enter", "charge", "--service", "Tax", *entry[:4], "--category", "tax").exit_code == 0
    for version in ("1.2", "1.3", "1.4"):
        out = ("--out", str(tmp_path / "focus.csv"), "--version", version)
        result = acme("export", "focus", *out, *YEAR)
        assert result.exit_code == 0, result.output
    assert "my widgets" in {row["unit"] for row in acme.json("usage", *YEAR)["rows"]}


def test_sources_of_ones_own_stand_apart(acme: Any, tmp_path: Path) -> None:
    """Files of two names that speak of one day do not replace each other."""
    path = file(tmp_path, FILE)
    acme("import", path)
    acme("import", path, "--name", "second")
    assert spent(acme)["USD", "entered"] == "8.000000"


def test_a_vendors_export_equals_the_truth(line: Any, tmp_path: Path) -> None:
    """A ZIP of two files of one vendor, as its page exports it, is recognised and is the world's truth, twice too."""
    from outlay.simulator.worlds.deepseek import DeepSeekAccount

    line.config = tmp_path / "outlay.toml"
    line.config.write_text('[connections.deep]\nprovider = "deepseek"\ncredential = "none:"\n')
    world = World(7, TODAY, 40).account("deepseek")
    assert isinstance(world, DeepSeekAccount)
    path = file(tmp_path, world.export(TODAY - timedelta(days=20), TODAY), "export.zip")
    assert set(states(line.json("import", path))) == {"new"}
    assert set(states(line.json("import", path))) == {"unchanged"}
    truth = world.truth().spend(("currency", "day"), TODAY - timedelta(days=20), TODAY)
    rows = line.json("spend", *YEAR, "--by", "day")["rows"]
    found = {(row["currency"], row["day"]): Decimal(row["billed_cost"]) for row in rows if row["basis"] == "billed"}
    assert found
    assert {key: cost for key, cost in found.items() if cost} == {
        (currency, str(day)): spend.billed for (currency, day), spend in truth.items() if spend.billed
    }


def test_an_import_is_taken_back(acme: Any, tmp_path: Path) -> None:
    """Its days are empty afterwards, its past is in the history, and it can be imported again."""
    path = file(tmp_path, FILE)
    name = acme.json("import", path)["id"]
    assert states(acme.json("import", "--withdraw", name, "--preview")) == ["withdrawn", "withdrawn"]
    assert spent(acme)
    acme.json("import", "--withdraw", name)
    assert spent(acme) == {}
    assert {row["reason"] for row in acme.json("history")["rows"]} == {"withdraw"}
    assert acme("import", "--withdraw", name).exit_code == 2
    acme("import", path)
    assert spent(acme)["USD", "entered"] == "4.000000"


def test_what_a_vendor_said_cannot_be_withdrawn(synced: Any) -> None:
    """Only what was entered or imported is the user's to take back."""
    (batch,) = synced.json("sql", "SELECT batch_id FROM batches WHERE reason = 'sync' LIMIT 1")["rows"]
    assert synced("import", "--withdraw", batch["batch_id"]).exit_code == 2


@pytest.mark.parametrize(
    "arguments", [(), ("a.csv", "--withdraw", "x"), ("missing.csv",)], ids=["none", "both", "gone"]
)
def test_import_refuses_what_makes_no_sense(acme: Any, arguments: tuple[str, ...]) -> None:
    """Nothing to import, two wishes at once, and a file that is not there end with 2."""
    assert acme("import", *arguments).exit_code == 2


# ── enter ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_entry_is_known_by_its_name_and_days(acme: Any) -> None:
    """Entering it again changes nothing, another amount replaces it, another name stands beside it."""
    charge = ("enter", "charge", "--service", "Egress", "--currency", "USD", "--day", "2026-11-03", "--amount")
    assert states(acme.json(*charge, "4.50")) == ["new"]
    assert states(acme.json(*charge, "4.50")) == ["unchanged"]
    assert states(acme.json(*charge, "5")) == ["replaced"]
    assert states(acme.json(*charge, "1", "--name", "other")) == ["new"]
    assert spent(acme) == {("USD", "entered"): "6.000000"}


def test_an_invoice_is_no_spend_unless_it_is_said(acme: Any) -> None:
    """A bill is listed; with a service its total is spend of its days, to the last digit."""
    bill = ("enter", "invoice", "--id", "INV-7", "--total", "35", "--currency", "USD", "--day", "2026-11-02")
    acme.json(*bill)
    assert spent(acme) == {}
    assert (
        acme("enter", "invoice", "--id", "INV-8", "--total", "1", "--currency", "USD", "--service", "S").exit_code == 2
    )
    acme.json(*bill[:3], "INV-9", *bill[4:], *OCTOBER, "--service", "Cloud")
    days = acme.json("spend", *OCTOBER, "--by", "day")["rows"]
    assert len(days) == 31
    assert spent(acme) == {("USD", "entered"): "35.000000"}
    assert [row["id"] for row in acme.json("invoices")["rows"]] == ["INV-7", "INV-9"]


def test_a_subscription_is_a_charge_for_each_cycle_that_has_begun(acme: Any) -> None:
    """Cycles begin on the first one's day, or the last of a shorter month; the next is added when it begins."""
    fee = ("enter", "subscription", "--service", "Plan", "--amount", "25", "--currency", "USD", "--from", "2026-08-31")
    rows = acme.json(*fee)["rows"]
    assert [(row["from"], row["to"]) for row in rows] == [
        ("2026-08-31", "2026-09-30"),
        ("2026-09-30", "2026-10-31"),
        ("2026-10-31", "2026-11-30"),
    ]
    acme.now += timedelta(days=10)
    assert states(acme.json(*fee)) == ["unchanged", "unchanged", "unchanged", "new"]
    assert spent(acme) == {("USD", "entered"): "100.000000"}


def test_readings_of_different_names_stand_side_by_side(acme: Any) -> None:
    """A later entry of one balance or limit does not make another one old."""
    acme.json("enter", "balance", "--amount", "12.5", "--currency", "USD", "--day", "2026-11-01")
    acme.json("enter", "balance", "--amount", "300", "--unit", "credits", "--name", "credits")
    acme.json("enter", "limit", "--name", "egress", "--quota", "250", "--unit", "gb", "--window", "month")
    acme.json("enter", "limit", "--name", "seats", "--unlimited", "--kind", "seats", "--unit", "seats")
    assert {row["name"]: row["amount"] for row in acme.json("balances")["rows"]} == {
        "balance": "12.500000",
        "credits": "300.000000",
    }
    limits = {row["name"]: (row["quota"], row["unlimited"], row["basis"]) for row in acme.json("limits")["rows"]}
    assert limits == {"egress": ("250.000000", False, "entered"), "seats": (None, True, "entered")}


def test_fee_terms_are_kept_to_be_looked_up(acme: Any) -> None:
    """Agreed terms are in the ledger under their first day; a vendor that is not paid by share has no cost of them."""
    terms = ("enter", "fee-terms", "--percent", "5", "--fixed", "0.50", "--currency", "USD", "--from", "2026-11-01")
    acme.json(*terms)
    (row,) = acme.json("sql", "SELECT kind, id, name FROM names")["rows"]
    assert row == {"kind": "fee_terms", "id": "fees:2026-11-01", "name": "5 % + 0.5 USD, from 2026-11-01"}
    assert spent(acme) == {}
    acme.json(*terms, "--extra", "subscription_invoice=0.50", "--extra", "order=1")
    (row,) = acme.json("sql", "SELECT name FROM names")["rows"]
    assert row == {"name": "5 %, order +1 %, subscription_invoice +0.5 % + 0.5 USD, from 2026-11-01"}


@pytest.mark.parametrize(
    "wrong",
    [
        ("--percent", "-1"),
        ("--percent", "100"),
        ("--percent", "5", "--fixed", "-0.1"),
        ("--percent", "5", "--extra", "order"),
        ("--percent", "5", "--extra", "two words=1"),
        ("--percent", "5", "--extra", "order=-1"),
    ],
)
def test_terms_that_cannot_be_are_refused(wrong: tuple[str, ...], acme: Any) -> None:
    """A share outside 0 to 100 per cent, a negative amount or an unreadable kind enters nothing."""
    assert acme("enter", "fee-terms", "--currency", "USD", *wrong).exit_code == 2
    assert not (acme.home / "ledger").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("balance", "--amount", "1"),
        ("balance", "--amount", "1,5", "--currency", "USD"),
        ("balance", "--amount", "1", "--currency", "dollar"),
        ("balance", "--amount", "1", "--currency", "USD", "--day", "2027-01-01"),
        ("limit", "--unit", "gb"),
        ("limit", "--unit", "gb", "--quota", "1", "--unlimited"),
        ("charge", "--service", "S", "--amount", "1", "--currency", "USD", "--from", "2026-11-02"),
        ("charge", "--service", "///", "--amount", "1", "--currency", "USD"),
        ("charge", "--service", "S", "--amount", "1", "--currency", "USD", "--connection", "nobody"),
        ("subscription", "--service", "S", "--amount", "1", "--currency", "USD", "--from", "2027-01-01"),
    ],
    ids=lambda arguments: " ".join(arguments)[:40],
)
def test_enter_refuses_what_makes_no_sense(acme: Any, arguments: tuple[str, ...]) -> None:
    """Amounts without a currency, days to come, half a period: status 2, and nothing is committed."""
    result = acme("enter", *arguments)
    assert result.exit_code == 2, result.output
    assert not acme.home.exists()


def test_the_bill_speaks_before_what_is_entered(synced: Any, line: Any, simulator: Any) -> None:
    """For a day and service that the vendor bills, an entry stands beside the bill and is never added to it."""
    line.config, line.environ = synced.config, synced.environ
    line("sync", "openai-test", "--since", "2026-11-01", "--quiet")
    day = ("--from", "2026-11-20", "--to", "2026-11-21", "--by", "service")
    before, forecast = line.json("spend", *day)["rows"], forecast_of(line, "openai-test")
    service = before[0]["service"]
    entry = ("--service", service, "--amount", "1000", "--currency", "USD", "--day", "2026-11-20")
    line.json("enter", "charge", "--connection", "openai-test", *entry)
    assert line.json("spend", *day)["rows"] == before
    assert forecast
    assert forecast_of(line, "openai-test") == forecast
    (entered,) = line.json("spend", *day, "--basis", "entered")["rows"]
    assert entered["billed_cost"] == "1000.000000"


def test_a_connection_without_a_credential_cannot_be_synced(acme: Any) -> None:
    """It fails by itself, with a hint, and what was entered stays."""
    acme.json("enter", "balance", "--amount", "1", "--currency", "USD")
    (report,) = acme.json("sync", status=3)["connections"]
    assert [problem["code"] for problem in report["problems"]] == ["credential_missing"]
    assert acme.json("balances")["rows"]


CHARGE = ("enter", "charge", "--amount", "4.50", "--currency", "USD", "--day", "2026-11-03")
LIMIT = ("enter", "limit", "--name", "egress", "--unit", "gb")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*CHARGE, "--service", ""), "`service` is empty"),
        ((*CHARGE, "--service", "a\nb"), "control characters"),
        ((*CHARGE, "--service", "API", "--description", "x" * 1001), "`description` is empty, longer than 1000"),
        ((*CHARGE, "--service", "API", "--sku", " "), "`sku` is empty"),
        ((*LIMIT, "--quota", "-5"), "at least 0"),
        ((*LIMIT, "--quota", "5", "--used", "-1"), "at least 0"),
        (("enter", "balance", "--amount", "5", "--unit", "\x1b[31m"), "`unit` is empty"),
        (("enter", "invoice", "--id", "", "--total", "5", "--currency", "USD"), "`invoice` is empty"),
    ],
)
def test_what_cannot_be_right_is_not_entered(acme: Any, arguments: tuple[str, ...], says: str) -> None:
    """Empty and endless texts, control characters and figures below nothing: nothing of it is taken."""
    result = acme(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not acme.home.exists()


@pytest.mark.parametrize(
    ("one", "other"), [("\u4fdd\u5b88", "\u901a\u4fe1"), ("a long name " * 6 + "1", "a long name " * 6 + "2")]
)
def test_entries_whose_names_look_alike_as_datasets_stay_apart(acme: Any, one: str, other: str) -> None:
    """A name in other letters, or longer than a dataset's, does not take the place of another one."""
    for service in (one, other, one):
        acme.json(*CHARGE, "--service", service)
    assert spent(acme) == {("USD", "entered"): "9.000000"}
