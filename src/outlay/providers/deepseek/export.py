"""The export of DeepSeek's usage page: what was deducted (`cost-*.csv`) and what was used (`amount-*.csv`).

Day:   a day of the browser that exported, told by the offset of its times; files until mid 2026 have UTC dates.
Units: `cost` is major units of `currency`; `amount` is tokens or requests; `price` is money per single token.
Never: read the column `api_key`, which may hold the key; add `amount` times `price` to `cost`; guess the zone of a time
       that has none; count what a granted wallet paid as billed; let days of two browsers' zones stand side by side.
The layout is observed and not documented: columns are found by name, in any order, and more of them change nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from outlay.model.facts import Category, Charge, Fact, Frequency, Usage
from outlay.model.money import Money, exact, plus
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Import

SERVICE = "DeepSeek API"
AMOUNTS = "import.usage_export"
_SPAN = frozenset({"start_time_iso", "end_time_iso"})
_COST = frozenset({"model", "wallet_type", "cost", "currency"})
_AMOUNT = frozenset({"model", "api_key_name", "type", "amount"})
_METERS = {
    "input_cache_hit_tokens": "tokens",
    "input_cache_miss_tokens": "tokens",
    "input_tokens": "tokens",
    "output_tokens": "tokens",
    "request_count": "requests",
}
_INPUT_PARTS = frozenset({"input_cache_hit_tokens", "input_cache_miss_tokens"})
_GRANTED = ("grant", "gift", "bonus", "promo")
_AGAIN = "Export again from the usage page; nothing of this file was imported."
_REPORT = "Report the file's header and this line without its amounts; nothing of this file was imported."
Row = Mapping[str, str]


def _begins_with(columns: frozenset[str]) -> Callable[[str, bytes], bool]:
    """Return what tells whether a file begins with these columns and a day, whatever the file is called."""

    def identify(_name: str, head: bytes) -> bool:
        first = head.decode("utf-8-sig", errors="replace").partition("\n")[0]
        names = {cell.strip().strip('"') for cell in first.split(",")}
        return names >= columns and (names >= _SPAN or "utc_date" in names)

    return identify


def _rows(content: bytes) -> Iterator[tuple[str, Row]]:
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    yield from ((f"line {number}", row) for number, row in enumerate(reader, 2))


def costs(content: bytes) -> Iterator[Fact | Problem]:
    """Turn a cost file into charges, in the file's order."""
    try:
        for where, row in _rows(content):
            yield from _charges(row, where)
    except (UnicodeDecodeError, csv.Error) as error:
        yield _unreadable(error)


def amounts(content: bytes) -> Iterator[Fact | Problem]:
    """Turn an amount file into usage; the key column is never read.

    Order: by first appearance, lines that differ in the key alone added up.
    """
    try:
        yield from _usage(_rows(content))
    except (UnicodeDecodeError, csv.Error) as error:
        yield _unreadable(error)


def _unreadable(error: Exception) -> Problem:
    return Problem(code="unknown_object", says=f"this is no readable CSV: {error}", hint=_AGAIN)


def _charges(row: Row, where: str) -> Iterator[Charge | Problem]:
    """Yield what a wallet paid; what was granted is usage and a credit that makes it cost nothing."""
    try:
        period, cost = _period(row), Money.of(_text(row, "cost"), _text(row, "currency"))
        model, wallet = _text(row, "model"), _text(row, "wallet_type")
    except (ValueError, InvalidOperation) as error:
        yield _refused(error, where)
        return
    granted = any(word in wallet.lower() for word in _GRANTED)
    if not granted and wallet.lower() != "paid":
        says = f"a wallet calls itself {wallet[:40]!r}, and whether it is money is not known"
        yield Problem(code="unknown_object", says=says, where=where, hint=_REPORT)
        return
    usage = Charge(
        charge_period=period,
        billed_cost=cost,
        service_name=SERVICE,
        sku_id=model,
        billing_account_id=row.get("user_id") or None,
        model=model,
        details={"wallet_type": wallet},
    )
    yield usage
    if granted:
        yield Charge(
            charge_period=period,
            billed_cost=-cost,
            service_name=SERVICE,
            charge_category=Category.CREDIT,
            charge_frequency=Frequency.ONE_TIME,
            charge_description="Paid from the granted balance",
            sku_id=model,
            billing_account_id=row.get("user_id") or None,
            model=model,
            details={"wallet_type": wallet},
        )


def _usage(rows: Iterator[tuple[str, Row]]) -> Iterator[Usage | Problem]:
    """Yield tokens and requests; two keys of one name are one line, for only their names are kept."""
    sums: dict[tuple[Period, str, str, str, str], Decimal] = {}
    for where, row in rows:
        try:
            meter = _text(row, "type")
            key = (_period(row), _text(row, "model"), row.get("api_key_name") or "", meter, row.get("price") or "")
            quantity = exact(_text(row, "amount"))
        except (ValueError, InvalidOperation) as error:
            yield _refused(error, where)
            continue
        if meter not in _METERS:
            says = f"lines of type {meter[:40]!r} are left out"
            yield Problem(code="unknown_object", says=says, where=where, severity=Severity.WARNING)
            continue
        sums[key] = plus(sums[key], quantity) if key in sums else quantity
    split = {key[:3] for key in sums if key[3] in _INPUT_PARTS}
    for key, quantity in sums.items():
        period, model, name, meter, price = key
        yield Usage(
            usage_period=period,
            meter=meter,
            unit=_METERS[meter],
            quantity=quantity,
            service_name=SERVICE,
            sku_id=model,
            model=model,
            api_key_id=name or None,
            # Where hits and misses stand beside it, the older total of input tokens holds them.
            part_of=AMOUNTS if meter == "input_tokens" and key[:3] in split else None,
            details={"price": price} if price else None,
        )


def _period(row: Row) -> Period:
    day = row.get("utc_date")
    if day:
        return Period.of_day(date.fromisoformat(day.strip()))
    return Period.of_text(_text(row, "start_time_iso"), _text(row, "end_time_iso"))


def _text(row: Row, name: str) -> str:
    value = (row.get(name) or "").strip()
    if not value:
        raise ValueError(f"`{name}` is empty")
    return value


def _refused(error: Exception, where: str) -> Problem:
    return Problem(code="amount_refused", says=str(error), where=where, hint=_AGAIN)


_WHERE = "platform.deepseek.com/usage, Export: a ZIP; set the browser's time zone to UTC for UTC days"
IMPORTS = (
    Import("import.cost_export", "DeepSeek's cost export", _WHERE, (Charge,), _begins_with(_COST), costs, apart=True),
    Import(AMOUNTS, "DeepSeek's usage export", _WHERE, (Usage,), _begins_with(_AMOUNT), amounts, apart=True),
)
