"""DeepSeek end to end: the balance as read, day by day, and the export as the only source of cost."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from outlay.errors import ConfigError
from outlay.model.facts import Balance, Category, Charge, Fact, Usage
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import HEAD_BYTES, Ask
from outlay.providers.deepseek import PROVIDER, BalancePage, balances
from outlay.providers.deepseek.export import IMPORTS
from outlay.simulator import World
from outlay.simulator.worlds.deepseek import DeepSeekAccount
from outlay.sync import imports
from outlay.sync.entries import foreseen, state_typed
from outlay.wire.refusals import Said, declared

KEY = "sim-deepseek-key"
ONLY: dict[str, Any] = {"providers": ("deepseek",), "keys": {"deepseek": KEY}}
TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIRST = TODAY - timedelta(days=39)
COST = "user_id,start_time_iso,end_time_iso,model,wallet_type,cost,currency"
AMOUNT = "user_id,start_time_iso,end_time_iso,model,api_key_name,api_key,type,price,amount"
SPAN = "2026-11-02T00:00:00+08:00,2026-11-03T00:00:00+08:00"
HIDDEN = "sk-" + "plainly-no-key"
Make = Callable[..., Any]


def account(seed: int) -> DeepSeekAccount:
    """Return the account of a world of its own."""
    return cast(DeepSeekAccount, World(seed, TODAY, 40).account("deepseek"))


def account_of(bench: Any) -> DeepSeekAccount:
    """Return the account behind a bench's key."""
    return cast(DeepSeekAccount, bench.world.account("deepseek"))


def members(packed: bytes) -> dict[str, bytes]:
    """Return the files of an export."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read(content: str | bytes) -> list[Fact | Problem]:
    """Return what a file of the export says."""
    data = content.encode() if isinstance(content, str) else content
    [form] = [each for each in IMPORTS if each.identify("renamed.txt", data[:HEAD_BYTES])]
    return list(form.extract(data))


def problems(report: Any) -> set[tuple[str, str]]:
    """Return code and severity of every problem of a report's only connection."""
    [connection] = report.connections
    return {(p.code, p.severity) for each in connection.datasets for p in each.problems}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_the_balance_equals_the_truth(seed: int, bench: Make) -> None:
    """Each currency is a balance of its own, granted and topped up apart, whatever order the rows come in."""
    one = bench(seed, **ONLY)
    for _ in range(2):
        assert one.sync().connections[0].state == "ok"
        found = one.rows("SELECT name, currency, amount, granted, topped_up, unit FROM balances ORDER BY currency")
        truth = sorted(one.world.truth("deepseek").balances, key=lambda each: each.unit)
        assert found == [(each.name, each.unit, each.amount, each.granted, each.topped_up, None) for each in truth]
    assert len(truth) == 2
    assert one.rows("SELECT count(*) FROM charges UNION ALL SELECT count(*) FROM usage") == [(0,), (0,)]


def test_readings_are_the_balance_history(bench: Make) -> None:
    """Each day that was read keeps its reading, one that was not is a gap, and the same day twice is read once."""
    one = bench(7, **ONLY)
    one.sync()
    one.clock_ahead = timedelta(days=2)
    one.sync()
    one.clock_ahead += timedelta(hours=1)
    one.sync()
    found = one.rows("SELECT DISTINCT partition_start::DATE FROM balances ORDER BY 1")
    assert found == [(TODAY,), (TODAY + timedelta(days=2),)]


def test_no_row_is_no_zero(bench: Make) -> None:
    """An answer without rows is a problem, and what was read before stays and is stale."""
    one = bench(7, **ONLY)
    one.sync()
    before = one.rows("SELECT currency, amount FROM balances ORDER BY 1")
    one.simulator.faults.add("empty_organization", provider="deepseek")
    report = one.sync()
    assert report.connections[0].state == "failed"
    assert problems(report) == {("amount_missing", "fatal")}
    assert one.rows("SELECT currency, amount FROM balances ORDER BY 1") == before


def test_a_wrong_key_is_denied(bench: Make) -> None:
    """Nobody's key is refused as such, and the hint says which key to make."""
    one = bench(7, **{**ONLY, "keys": {"deepseek": "sim-deepseek-nobody"}})
    report = one.sync()
    assert problems(report) == {("access_denied", "fatal")}
    assert "api_keys" in report.connections[0].datasets[0].problems[0].hint


def test_an_empty_account_is_out_of_quota_and_not_denied(bench: Make) -> None:
    """402 and 401 carry the same code in the body: the status tells them apart."""
    one = bench(7, **ONLY)
    one.simulator.faults.add("server_error", provider="deepseek", status=402, times="forever")
    assert problems(one.sync()) == {("out_of_quota", "fatal")}


@pytest.mark.parametrize("available", [True, False])
def test_money_left_and_being_available_are_two_things(available: bool) -> None:
    """Neither tells the other: amounts stay what they are, and the flag is a detail."""
    rows = '[{"currency": "USD", "total_balance": "0.00"}, {"currency": "GBP", "total_balance": "7.10"}]'
    body = f'\n\n {{"is_available": {str(available).lower()}, "balance_infos": {rows}}}'
    found = list(balances(msgspec.json.decode(body, type=BalancePage), Ask("balance", Period.of_day(TODAY), {}, NOW)))
    assert [(each.currency, each.amount) for each in found if isinstance(each, Balance)] == [
        ("USD", Decimal(0)), ("GBP", Decimal("7.10")),
    ]  # fmt: skip
    assert {(each.details or {})["is_available"] for each in found if isinstance(each, Balance)} == {
        str(available).lower()
    }


@pytest.mark.parametrize(
    ("status", "body", "means", "hint"),
    [
        (404, b'{"error": {"message": "Not Found"}}', "request_refused", "must not end in /v1"),
        (401, b"Authentication fails", "access_denied", "api_keys"),
        (402, b'{"error": {"code": "invalid_request_error"}}', "out_of_quota", "Top up"),
    ],
)
def test_refusals_are_told_by_their_status(status: int, body: bytes, means: str, hint: str) -> None:
    """Bodies say the same code for everything, or are no JSON: the status decides, and the hint says what to do."""
    found = declared(PROVIDER, PROVIDER.datasets[0].endpoints[0], Said(status, {}, body))
    assert found is not None
    assert found.means == means
    assert hint in (found.hint or "")


def test_a_passing_fault_is_waited_out(bench: Make) -> None:
    """A 429 without a delay, a 503, a cut body and a page for people are asked again."""
    one = bench(7, **ONLY)
    for kind, more in (("rate_limit", {"delay": None}), ("server_error", {"status": 503}), ("cut", {}), ("html", {})):
        one.simulator.faults.add(kind, provider="deepseek", **more)
    assert one.sync().connections[0].state == "ok"
    assert len(one.rows("SELECT 1 FROM balances")) == 2


@pytest.mark.parametrize("dated", [False, True], ids=["stamped", "dated"])
@pytest.mark.parametrize("seed", [1, 7, 42])
def test_the_export_equals_the_truth(seed: int, dated: bool) -> None:
    """Per day and model billed cost, and per meter and key the usage, are the world's to the last digit."""
    world = account(seed)
    truth = world.truth()
    facts = [
        fact for data in members(world.export(FIRST, TODAY + timedelta(days=1), dated=dated)).values()
        for fact in read(data)
    ]  # fmt: skip
    charges = [fact for fact in facts if isinstance(fact, Charge)]
    usages = [fact for fact in facts if isinstance(fact, Usage)]
    assert len(charges) + len(usages) == len(facts)
    spent: dict[Any, Decimal] = {}
    for charge in charges:
        key = (charge.charge_period.first_day, charge.sku_id)
        spent[key] = spent.get(key, Decimal(0)) + charge.billed_cost.amount
    assert spent == {key: spend.billed for key, spend in truth.spend(("day", "sku")).items()}
    assert {charge.billed_cost.currency for charge in charges} == {"USD"}
    used: dict[Any, Decimal] = {}
    for usage in usages:
        key = (usage.usage_period.first_day, usage.meter, usage.model, usage.api_key_id)
        used[key] = used.get(key, Decimal(0)) + usage.quantity
    assert used == truth.usage(("day", "meter", "model", "api_key_name"))


def imported(bench: Any, path: Path) -> tuple[Any, list[str]]:
    """Import a file as the command does; return what was read and the state of each day's partition."""
    found = imports.read(path, PROVIDER, clock=bench.clock)
    with bench.ledger() as ledger:
        done = state_typed(
            ledger, bench.connection("deepseek"), found.partitions, reason="import", by="export", clock=bench.clock
        )
    return found, [outcome.state for outcome in done.outcomes]


def test_the_imported_export_is_the_spend(bench: Make, tmp_path: Path) -> None:
    """The ZIP as it came is billed cost in the ledger; again changes nothing, and one of its files harms no other."""
    one = bench(7, **ONLY)
    one.sync()
    packed = account_of(one).export(one.first, TODAY)
    archive = tmp_path / "export.zip"
    archive.write_bytes(packed)
    found, states = imported(one, archive)
    assert not found.problems
    assert set(states) == {"new"}
    truth = one.world.truth("deepseek").spend(("day", "sku"), one.first, TODAY)

    def spent() -> dict[Any, Decimal]:
        rows = one.rows("SELECT ChargePeriodStart::DATE, SkuId, x_Basis, sum(BilledCost) FROM charges GROUP BY ALL")
        assert {row[2] for row in rows} == {"billed"}
        return {(row[0], row[1]): row[3] for row in rows}

    assert spent() == {key: spend.billed for key, spend in truth.items()}
    assert set(imported(one, archive)[1]) == {"unchanged"}
    for name, data in members(packed).items():
        (tmp_path / name).write_bytes(data)
        assert set(imported(one, tmp_path / name)[1]) == {"unchanged"}
    assert spent() == {key: spend.billed for key, spend in truth.items()}
    assert one.rows("SELECT count(*) > 0 FROM usage") == [(True,)]


def days(zone: str, first: int, count: int) -> str:
    """Return a cost file of days of a browser's zone, a dollar each."""
    spans = [f"2026-11-{n:02}T00:00:00{zone},2026-11-{n + 1:02}T00:00:00{zone}" for n in range(first, first + count)]
    return "\n".join([COST, *(f"u-1,{span},deepseek-flash,Paid,1.00,USD" for span in spans)])


def test_days_of_two_time_zones_are_never_added(bench: Make, tmp_path: Path) -> None:
    """An export whose days cut across those that stand is refused; of the same zone it is added to or replaces them."""
    one = bench(7, **ONLY)
    path = tmp_path / "cost.csv"
    path.write_text(days("+08:00", 2, 5))
    imported(one, path)
    total = "SELECT sum(BilledCost) FROM charges"
    assert one.rows(total) == [(5,)]
    path.write_text(days("+08:00", 4, 6))
    imported(one, path)
    assert one.rows(total) == [(8,)]
    for zone, first, count in (("+00:00", 2, 5), ("+03:00", 9, 3), ("+00:00", 9, 1)):
        path.write_text(days(zone, first, count))
        says = "count twice" if zone == "+00:00" else "would be lost"
        with pytest.raises(ConfigError, match=says):
            imported(one, path)
        partitions = imports.read(path, PROVIDER, clock=one.clock).partitions
        with one.ledger() as ledger, pytest.raises(ConfigError, match=says):
            foreseen(ledger, one.connection("deepseek"), partitions)
    assert one.rows(total) == [(8,)]
    path.write_text(days("+00:00", 10, 2))
    imported(one, path)
    assert one.rows(total) == [(10,)]
    path.write_text(days("+00:00", 1, 11))
    imported(one, path)
    assert one.rows(total) == [(11,)], "a file that holds all their hours takes the place of all of them"


def test_a_file_whose_own_lines_overlap_is_refused(bench: Make, tmp_path: Path) -> None:
    """Lines of two zones in one file would count hours twice, and nothing of it is imported."""
    one = bench(7, **ONLY)
    path = tmp_path / "cost.csv"
    path.write_text(days("+08:00", 2, 1) + "\n" + days("+00:00", 2, 1).partition("\n")[2])
    with pytest.raises(ConfigError, match="count twice"):
        imported(one, path)
    with one.ledger() as ledger:
        assert ledger.committed("deepseek") == {}


def test_the_key_column_goes_nowhere() -> None:
    """Neither a fact nor a problem holds what stands in the column of keys."""
    good = f"u-1,{SPAN},deepseek-flash,website,{HIDDEN},output_tokens,0.0000006,12"
    bad = f"u-1,{SPAN},deepseek-flash,website,{HIDDEN},output_tokens,0.0000006,many"
    found = read(f"{AMOUNT}\n{good}\n{bad}\n")
    assert [type(each) for each in found] == [Problem, Usage]
    assert HIDDEN not in repr(found)


def test_two_keys_of_one_name_are_one_line() -> None:
    """Lines that differ only in the key are added up, and peak and off-peak stay apart by their price."""
    lines = [
        f"u-1,{SPAN},deepseek-flash,website,{HIDDEN}-{n},output_tokens,{price},{n}"
        for n, price in ((1, "0.0000006"), (2, "0.0000006"), (4, "0.0000012"))
    ]
    found = cast(list[Usage], read("\n".join([AMOUNT, *lines])))
    assert [usage.quantity for usage in found] == [3, 4]


def test_granted_money_is_a_credit() -> None:
    """What a granted wallet paid is usage and its credit, so that only what the user paid is left."""
    lines = [f"u-1,{SPAN},deepseek-flash,{wallet},{cost},CNY" for wallet, cost in (("Paid", "1.25"), ("Granted", "3"))]
    found = cast(list[Charge], read("\n".join([COST, *lines])))
    assert sum(charge.billed_cost.amount for charge in found) == Decimal("1.25")
    assert [charge.charge_category for charge in found] == [Category.USAGE, Category.USAGE, Category.CREDIT]
    assert {charge.billed_cost.currency for charge in found} == {"CNY"}


def test_a_viewers_day_is_kept_as_it_is() -> None:
    """The offset of the times says which hours a line is for; columns may come in any order, and more of them."""
    header = "cost,currency,wallet_type,model,new_column,end_time_iso,start_time_iso"
    start, end = SPAN.split(",")
    [charge] = read(f"{header}\n1.2345678900000000,CNY,Paid,deepseek-flash,x,{end},{start}\n")
    assert isinstance(charge, Charge)
    assert charge.charge_period == Period.of_text("2026-11-01T16:00:00Z", "2026-11-02T16:00:00Z")
    assert charge.billed_cost.amount == Decimal("1.23456789")


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 25),
     ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 23)],
)  # fmt: skip
def test_a_viewers_day_may_have_other_than_24_hours(start: str, end: str, hours: int) -> None:
    """Where the browser's clock was put back or forward, the day is as long as its own times say."""
    [charge] = read(f"{COST}\nu-1,{start},{end},deepseek-flash,Paid,1.00,USD\n")
    assert isinstance(charge, Charge)
    assert charge.charge_period.end - charge.charge_period.start == timedelta(hours=hours)


def test_an_older_total_of_input_is_not_added_to_its_parts() -> None:
    """`input_tokens` beside hits and misses is a breakdown's whole, and alone it counts."""
    parts = ("input_tokens,,30", "input_cache_hit_tokens,0.1,20", "input_cache_miss_tokens,0.2,10")
    lines = [f"u-1,{SPAN},deepseek-flash,website,,{part}" for part in parts]
    together, alone = read("\n".join([AMOUNT, *lines])), read("\n".join([AMOUNT, lines[0]]))
    assert sum(u.quantity for u in together if isinstance(u, Usage) and u.part_of is None) == 30
    assert [u.part_of for u in alone if isinstance(u, Usage)] == [None]


@pytest.mark.parametrize(
    ("line", "code", "severity"),
    [
        (f"u-1,{SPAN},deepseek-flash,Loaned,1.00,USD", "unknown_object", Severity.FATAL),
        (f"u-1,{SPAN},deepseek-flash,Paid,NaN,USD", "amount_refused", Severity.FATAL),
        (f"u-1,{SPAN},deepseek-flash,Paid,,USD", "amount_refused", Severity.FATAL),
        (f"u-1,{SPAN},deepseek-flash,Paid,1.00,", "amount_refused", Severity.FATAL),
        (f"u-1,{SPAN},,Paid,1.00,USD", "amount_refused", Severity.FATAL),
        (f"u-1,{SPAN.replace('+08:00', '')},deepseek-flash,Paid,1.00,USD", "amount_refused", Severity.FATAL),
        ("u-1,2026-11-03T00:00:00Z,2026-11-02T00:00:00Z,deepseek-flash,Paid,1.00,USD", "amount_refused",
         Severity.FATAL),
        (f"u-1,{SPAN}", "amount_refused", Severity.FATAL),
        (f'u-1,{SPAN},deepseek-flash,Paid,"1.00,USD', "unknown_object", Severity.FATAL),
    ],
)  # fmt: skip
def test_lines_that_cannot_be_right_are_told(line: str, code: str, severity: Severity) -> None:
    """A wallet, amount, currency, model or time that is not known is a problem and never a guess."""
    [found] = read(f"{COST}\n{line}\n")
    assert isinstance(found, Problem)
    assert (found.code, found.severity) == (code, severity)


def test_a_kind_of_use_nobody_knows_is_left_out_and_told() -> None:
    """A new type in the amount file is a warning: its unit is not known."""
    [found] = read(f"{AMOUNT}\nu-1,{SPAN},deepseek-flash,website,,picture_count,0.1,3\n")
    assert isinstance(found, Problem)
    assert (found.code, found.severity) == ("unknown_object", Severity.WARNING)


def test_a_file_of_nothing_but_its_header_is_empty() -> None:
    """An export of days without use has no facts and no problems."""
    assert read(f"\ufeff{COST}\r\n") == read(AMOUNT) == []


@pytest.mark.parametrize(
    "head", [b"", b"PK\x03\x04", b"day,service,amount,currency\n", b"\xff\xfe\x00", b"model,cost\n"]
)
def test_other_files_are_not_taken_for_an_export(head: bytes) -> None:
    """Archives, Outlay's own CSV, other texts and no text at all are not of this form."""
    assert not any(form.identify("cost-2026-11.csv", head) for form in PROVIDER.imports)
