"""`outlay prices` and `outlay meter reconcile`: what holds and why, what has no price, and the bill beside it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from analysis.staging import charge, put_days
from cli.conftest import NOW, Line
from outlay.cli.output.text import width
from outlay.config import load
from outlay.meter.ingest import Intake, attribution
from outlay.model.metering import MeterEvent
from outlay.store import Ledger

CONFIG = """
[connections.openai-prod]
provider = "openai"
credential = "env:NOTHING"
"""
OWN = """
provider = "openai"
currency = "USD"
checked = {checked}
source = "https://intranet.test/contract"
[[model]]
id = "gpt-own"
[[model.price]]
valid_from = 2026-11-01
input_tokens = "0.123456789 per million"
output_tokens = "0 per million"
"""
YESTERDAY = NOW - timedelta(days=1)


def list_of_own(line: Line, text: str = OWN, checked: str = "2026-11-20") -> None:
    """Write a price list of the user's own."""
    folder = line.home / "prices"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "contract.toml").write_text(text.format(checked=checked), "utf-8")


@pytest.fixture
def metered(line: Line, tmp_path: Path) -> Line:
    """Return a command line whose events are settled: one model priced, one without a price, one in part."""
    line.config = tmp_path / "outlay.toml"
    line.config.write_text(CONFIG, "utf-8")
    list_of_own(line)
    calls: list[dict[str, Any]] = [
        {"model": "gpt-own", "quantities": {"requests": 1, "input_tokens": 4_000_000, "output_tokens": 5}},
        {"model": "gpt-own", "quantities": {"requests": 1, "cached_input_tokens": 70, "uncounted_requests": 1}},
        {"model": "gpt-nobody-knows", "quantities": {"requests": 2, "input_tokens": 10, "reasoning_tokens": 3}},
        {"model": "gpt-5.5", "quantities": {"input_tokens": 10}},
        {"model": "gpt-5", "service_tier": "scale", "quantities": {"output_tokens": 9}},
    ]
    config = load(line.config, line.home, {})
    with Ledger.open(line.home, clock=lambda: NOW) as ledger:
        Intake(ledger, attribution(config), clock=lambda: NOW).take([_event(n, **call) for n, call in enumerate(calls)])
    assert line("meter", "settle", "--quiet").exit_code == 0
    return line


def _event(number: int, *, quantities: dict[str, int], **fields: Any) -> MeterEvent:
    counts = {meter: Decimal(quantity) for meter, quantity in quantities.items()}
    return MeterEvent(id=f"event-{number}", at=YESTERDAY, provider="openai", quantities=counts, **fields)


def widest(text: str) -> int:
    """Return how many columns a text takes."""
    return max(width(line) for line in text.splitlines())


def test_the_lists_are_named(line: Line) -> None:
    """Each provider's lists stand in the order in which they speak, with what they are and when somebody looked."""
    list_of_own(line)
    whole = line.json("prices")
    found = [(row["provider"], row["list"].split()[0], row["origin"]) for row in whole["rows"]]
    openai = [row for row in found if row[0] == "openai"]
    assert openai == [("openai", "contract", "own"), ("openai", "genai-prices", "catalogue")]
    assert ("railway", "railway", "shipped") in found
    assert ("deepseek", "deepseek", "shipped") in found
    result = line("prices")
    assert "brave" in result.stdout
    assert widest(result.stdout) <= 80


def test_a_provider_s_prices_fit_the_terminal(line: Line) -> None:
    """A line per model; the hours of a price by time of day are told once below."""
    result = line("prices", "deepseek")
    assert result.exit_code == 0
    words = " ".join(result.stdout.split())
    hours = "peak: 01:00-04:00, 06:00-10:00 UTC, Mon-Fri, not on holidays, holidays known until 2027-01-01."
    assert hours in words
    assert widest(result.stdout) <= 80


def test_what_a_vendor_measures_itself_has_a_list_too(line: Line) -> None:
    """Railway's quantities are of no model: their prices stand under the provider alone."""
    text = line("prices", "railway").stdout
    assert text.startswith("railway\nList: railway (shipped, checked 2026-08-08)\nSource: https://docs.railway.com")
    assert "CPU_USAGE 20 per vCPU-Months" in text
    assert "railway prices no models" in line("prices", "railway", "x").stderr


def test_one_model_says_what_holds_and_why(line: Line) -> None:
    """List, source, tier and size stand with the price, and JSON has every digit."""
    text = line("prices", "openai", "gpt-5.5-2026-04-23").stdout
    assert text.startswith("gpt-5.5 (openai)\nList: genai-prices ")
    assert "https://developers.openai.com/api/docs/pricing" in text
    assert widest(text) <= 80
    rows = line.json("prices", "openai", "gpt-5.5-2026-04-23", "--on", "2026-11-16")["rows"]
    above = [row for row in rows if row["tier"] is None and row["above"] == 272_000 and row["meter"] == "output_tokens"]
    assert [(row["unit_price"], row["unit"], row["currency"]) for row in above] == [
        ("45.000000", "1000000 Tokens", "USD")
    ]
    assert not [row for row in line.json("prices", "openai", "gpt-5", "--on", "2026-10-01")["rows"] if row["tier"]]


def test_a_price_that_changes_within_the_day_is_shown_on_both_sides(line: Line) -> None:
    """On 10 September the old price holds until four, the other from then on."""
    rows = line.json("prices", "deepseek", "deepseek-flash", "--on", "2026-09-10")["rows"]
    plain = [row for row in rows if row["meter"] == "input_tokens" and row["when"] is None]
    assert [(row["unit_price"], row["valid_from"], row["valid_until"]) for row in plain] == [
        ("0.220000", "2026-08-16T16:00:00Z", "2026-09-10T04:00:00Z"),
        ("0.150000", "2026-09-10T04:00:00Z", None),
    ]


def test_an_own_list_speaks_first_and_a_stale_one_says_so(line: Line) -> None:
    """The user's own price is shown with its source; one nobody looked at for long has a note."""
    list_of_own(line, checked="2026-01-02")
    text = line("prices", "openai", "gpt-own").stdout
    assert "List: contract (own, checked 2026-01-02)" in text
    assert "0.123456789" in text
    assert "contract was last checked on 2026-01-02: prices may have changed since." in " ".join(text.split())
    rows = list(csv.DictReader(io.StringIO(line("prices", "openai", "gpt-own", "--format", "csv").stdout)))
    assert [(row["meter"], row["unit_price"], row["version"]) for row in rows] == [
        ("input_tokens", "0.123456789", "contract 2026-11-01"),
        ("output_tokens", "0.000000", "contract 2026-11-01"),
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nobody",), "no list has prices of `nobody`"),
        (("openai", "gpt-5.55"), "no list has a price of `gpt-5.55` on 2026-11-22"),
        (("deepseek", "deepseek-v4-pro", "--on", "2026-08-01"), "by time of day cannot be told apart by date"),
    ],
)
def test_what_no_list_knows_is_the_user_s_to_correct(line: Line, arguments: tuple[str, ...], says: str) -> None:
    """A name that is wrong ends with status 2 and what was meant."""
    result = line("prices", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "hint:" in result.stderr


def test_a_broken_own_list_stops_every_command_that_prices(line: Line) -> None:
    """The file and line are named; no other list steps in."""
    list_of_own(line, OWN.replace("per million", "for a million"))
    for arguments in (("prices",), ("prices", "openai", "gpt-5")):
        result = line(*arguments)
        assert result.exit_code == 2
        assert "contract.toml, line 10: `input_tokens`" in result.stderr


def test_what_has_no_price_is_listed_with_what_to_do(metered: Line) -> None:
    """Each meter without a price has its quantity, days, reason and way out; what is priced is not among them."""
    rows = metered.json("prices", "check")["rows"]
    day = f"{YESTERDAY:%Y-%m-%d}"
    assert [(row["model"], row["service_tier"], row["meter"], row["quantity"]) for row in rows] == [
        ("gpt-5", "scale", "output_tokens", "9.000000"),
        ("gpt-5.5", None, "input_tokens", "10.000000"),
        ("gpt-nobody-knows", None, "input_tokens", "10.000000"),
        ("gpt-own", None, "cached_input_tokens", "70.000000"),
        ("gpt-own", None, "uncounted_requests", "1.000000"),
    ]
    assert {(row["first_day"], row["last_day"], row["connection"]) for row in rows} == {(day, day, "openai-prod")}
    assert [row["hint"].split()[0] for row in rows] == ["Add", "Tell", "Add", "Add", "Let"]
    assert all(row["why"] for row in rows)


def test_the_check_fits_the_terminal_and_fails_only_when_asked(metered: Line) -> None:
    """The table is for people and ends well; `--check` ends with status 5."""
    result = metered("prices", "check")
    assert result.exit_code == 0
    assert "gpt-nobody-knows" in result.stdout
    assert "gpt-5 (scale)" in result.stdout
    assert widest(result.stdout) <= 80
    assert metered("prices", "check", "--check").exit_code == 5
    assert metered("prices", "check", "--connection", "nobody").exit_code == 2


def test_without_the_catalogue_every_command_says_how_to_get_it(metered: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """The core install prices no model of these vendors: it says so, and what to install or to write."""
    from outlay.pricing import catalogue

    monkeypatch.setattr(catalogue, "book", lambda _provider: None)
    monkeypatch.setattr(catalogue, "release", lambda: None)
    install = "pip install 'outlay[prices]'"
    said = " ".join(metered("prices").stdout.split())
    assert f"Calls of anthropic, google, groq, huggingface have no price: {install} brings a catalogue" in said
    unknown = metered("prices", "groq", "whisper-large-v3")
    assert unknown.exit_code == 2
    assert f"Install the catalogue ({install}), or write a list of your own, prices/groq.toml" in " ".join(
        unknown.stderr.split()
    )
    assert install not in metered("prices", "stripe").stderr
    rows = metered.json("prices", "check")["rows"]
    hints = {row["model"]: row["hint"] for row in rows}
    assert hints["gpt-nobody-knows"].startswith(f"Install the catalogue ({install}), or add the model to a list")


def test_a_price_that_is_added_settles_what_waited_for_it(metered: Line) -> None:
    """Once a list has the price the check is silent, and the next settling prices the days."""
    text = OWN.format(checked="2026-11-20")
    text += 'cached_input_tokens = "1 per million"\n'
    for model in ("gpt-nobody-knows", "gpt-5.5", "gpt-5"):
        text += f'[[model]]\nid = "{model}"\n[[model.price]]\nvalid_from = 2026-01-01\ninput_tokens = "1 per million"\n'
    text += '[[model.price]]\nvalid_from = 2026-01-01\ntier = "scale"\noutput_tokens = "1 per million"\n'
    (metered.home / "prices" / "contract.toml").write_text(text, "utf-8")
    assert [row["meter"] for row in metered.json("prices", "check")["rows"]] == ["uncounted_requests"]
    assert metered("meter", "settle", "--quiet").exit_code == 0
    spent = metered.json("spend", "--basis", "priced", "--by", "sku")["rows"]
    assert {row["sku"]: row["billed_cost"] for row in spent} == {
        "gpt-own": "0.493897156",  # 4,000,000 x 0.123456789 + 70 x 1, for a million
        "gpt-nobody-knows": "0.000010",
        "gpt-5.5": "0.000010",
        "gpt-5": "0.000009",
    }


def test_a_peak_hour_without_known_holidays_says_who_must_write_what(line: Line, tmp_path: Path) -> None:
    """From 2027 on: one line for all such days, the reason, the file to write and where its form is shown."""
    line.now = datetime(2027, 1, 8, 12, tzinfo=UTC)
    line.config = tmp_path / "outlay.toml"
    line.config.write_text('[connections.deep]\nprovider = "deepseek"\ncredential = "none:"\n', "utf-8")
    config = load(line.config, line.home, {})
    with Ledger.open(line.home, clock=lambda: line.now) as ledger:
        events = [
            MeterEvent(
                id=f"e{day}-{hour}", at=datetime(2027, 1, day, hour, 30, tzinfo=UTC), provider="deepseek",
                model="deepseek-flash", quantities={"output_tokens": Decimal(1_000_000)},
            )
            for day in (4, 5) for hour in (2, 5)
        ]  # fmt: skip
        Intake(ledger, attribution(config), clock=lambda: line.now).take(events)
    settled = line("meter", "settle")
    assert "2000000 output_tokens of deepseek-flash have no price" in " ".join(settled.stdout.split())
    [row] = line.json("prices", "check")["rows"]
    assert (row["quantity"], row["first_day"], row["last_day"]) == ("2000000.000000", "2027-01-04", "2027-01-05")
    assert row["why"] == "deepseek: its peak price does not hold on holidays, and it lists none from 2027-01-01 on"
    assert row["hint"] == (
        "Write prices/deepseek.toml in the data folder: the model's prices, and the window `peak` with the holidays "
        "from 2027-01-01 on and a later `known_until`. docs/prices.md shows one."
    )
    assert widest(line("prices", "check").stdout) <= 80
    spent = line.json("spend", "--basis", "priced", "--from", "2027-01-01", "--to", "2027-01-08", "--by", "sku")
    assert [row["billed_cost"] for row in spent["rows"]] == ["1.200000"]  # the two hours off peak alone
    assert "unpriced_meter" in {each["why"] for each in spent["incomplete"]}


def test_nothing_without_a_price_says_so(line: Line) -> None:
    """An empty answer is a sentence and status 0, also with `--check`."""
    with Ledger.open(line.home, clock=lambda: NOW):
        pass
    result = line("prices", "check", "--check")
    assert (result.exit_code, result.stdout) == (0, "Everything metered has a price.\n")


def test_reconcile_shows_both_sides(metered: Line) -> None:
    """Compared and not comparable days are told apart, the sides are never added, and the rest of the bill is named."""
    day = YESTERDAY.date()
    with Ledger.open(metered.home, clock=lambda: NOW) as ledger:
        lines = [
            charge(day, "0.50", model="gpt-own"),
            charge(day, "3", model="gpt-nobody-knows"),
            charge(day, "7", model="gpt-other"),
        ]
        put_days(ledger, "openai-prod", "costs", {day: lines})
    rows = metered.json("meter", "reconcile")["rows"]
    assert [(row["model"], row["state"], row["priced"], row["billed"], row["gap"]) for row in rows] == [
        ("gpt-nobody-knows", "unpriced", None, "3.000000", None),
        ("gpt-own", "unpriced", "0.493827156", "0.500000", None),
    ]
    result = metered("meter", "reconcile", "--by", "month")
    assert "unpriced" in result.stdout
    assert "openai-prod: USD 7.00 are billed for 1 model that nobody metered." in " ".join(result.stdout.split())
    assert widest(result.stdout) <= 80


def test_reconcile_compares_and_tells_how_the_gap_moved(line: Line, tmp_path: Path) -> None:
    """Almost three per cent in one week and one in the next: exact in JSON, in words below the table."""
    line.config = tmp_path / "outlay.toml"
    line.config.write_text(CONFIG, "utf-8")
    list_of_own(line)
    days = (date(2026, 11, 10), date(2026, 11, 17))
    config = load(line.config, line.home, {})
    with Ledger.open(line.home, clock=lambda: NOW) as ledger:
        events = [
            MeterEvent(
                id=f"e{day}", at=datetime(day.year, day.month, day.day, 9, tzinfo=UTC), provider="openai",
                model="gpt-own", quantities={"input_tokens": Decimal(10_000_000)},
            )
            for day in days
        ]  # fmt: skip
        Intake(ledger, attribution(config), clock=lambda: NOW).take(events)
        bills = {day: [charge(day, bill, model="gpt-own")] for day, bill in zip(days, ("1.2", "1.222"), strict=True)}
        put_days(ledger, "openai-prod", "costs", bills)
    assert line("meter", "settle", "--quiet").exit_code == 0
    whole = line.json("meter", "reconcile", "--by", "week")
    assert [(row["period"], row["priced"], row["billed"], row["gap"]) for row in whole["rows"]] == [
        ("2026-11-09", "1.23456789", "1.200000", "0.03456789"),
        ("2026-11-16", "1.23456789", "1.222000", "0.01256789"),
    ]
    assert [week["gap_ratio"] for week in whole["trend"][0]["weeks"]] == ["0.028807", "0.010285"]
    text = " ".join(line("meter", "reconcile").stdout.split())
    assert "openai-prod gpt-own: gap +2.88 % in the week of 2026-11-09, +1.03 % in that of 2026-11-16." in text
    rows = list(csv.DictReader(io.StringIO(line("meter", "reconcile", "--format", "csv").stdout)))
    assert [row["gap_ratio"] for row in rows] == ["0.028807", "0.010285"]


def test_reconcile_says_under_which_id_a_model_is_billed_and_what_it_cannot_tell(metered: Line) -> None:
    """A dated bill stands beside its plain calls; where two dated ids may be meant, words below the table say so."""
    day = YESTERDAY.date()
    with Ledger.open(metered.home, clock=lambda: NOW) as ledger:
        lines = [
            charge(day, "0.50", model="gpt-own-2026-08-01"),
            charge(day, "3", model="gpt-5-2026-08-01"),
            charge(day, "4", model="gpt-5-2026-09-01"),
        ]
        put_days(ledger, "openai-prod", "costs", {day: lines})
    rows = metered.json("meter", "reconcile")["rows"]
    assert [(row["model"], row["billed_as"], row["billed"], row["why"]) for row in rows] == [
        ("gpt-5-2026-08-01", None, "3.000000", "calls were metered as gpt-5"),
        ("gpt-5-2026-09-01", None, "4.000000", "calls were metered as gpt-5"),
        ("gpt-own", "gpt-own-2026-08-01", "0.500000", None),
    ]
    text = metered("meter", "reconcile").stdout
    assert widest(text) <= 80
    words = " ".join(text.split())
    assert "openai-prod gpt-own, 1 day: billed as gpt-own-2026-08-01." in words
    assert "openai-prod gpt-5-2026-08-01, 1 day: calls were metered as gpt-5." in words
    assert "only on a day that has no other id of it." in words
