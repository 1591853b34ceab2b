"""The CSV anyone can write: a day, a service and an amount or a quantity on each line.

Strict on purpose: a line that could be meant in two ways is refused, with its number, and then nothing is imported.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TypeVar

from outlay.config import parse_day, suggestion
from outlay.errors import ConfigError
from outlay.model.basis import Basis
from outlay.model.facts import Category, Charge, Fact, Usage
from outlay.model.money import Money, exact
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.model.units import UNITS
from outlay.providers.base import Import
from outlay.sync.check import natural_key

NEEDED = ("day", "service")
MONEY = ("amount", "currency")
MEASURE = ("quantity", "unit")
OTHERS = ("sku", "description", "category", "sub_account", "region", "invoice_id")
COLUMNS = (*NEEDED, *MONEY, *MEASURE, *OTHERS)
FIELD_CHARACTERS_MAX = 1_000
LINES_MAX = 1_000_000
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,18})?")
_T = TypeVar("_T")


def identify(_name: str, head: bytes) -> bool:
    """Tell whether a file begins with a header of these columns, or with one that is clearly meant to be."""
    first = head.decode("utf-8-sig", errors="replace").partition("\n")[0]
    return set(NEEDED) <= {cell.strip().strip('"').lower() for cell in re.split("[,;\t]", first)}


def extract(data: bytes) -> Iterator[Fact | Problem]:
    """Turn the lines of a file into entered charges and usage, or say of each wrong line what is wrong with it."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        yield _problem(data[: error.start].count(b"\n") + 1, "the text is not UTF-8", "Save the file as UTF-8.")
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        wrong = _header(header)
        if wrong is not None:
            yield wrong
            return
        yield from _lines(reader, [cell.strip() for cell in header])
    except csv.Error as error:
        yield _problem(reader.line_num, str(error), "Quote a field that holds commas, quotes or line breaks.")


def _header(header: list[str]) -> Problem | None:
    names = [cell.strip() for cell in header]
    if len(names) == 1 and re.search("[;\t]", names[0]):
        return _problem(1, "the columns are not separated by commas", "Save the file with commas.")
    for name in names:
        if name not in COLUMNS:
            known = suggestion(name.lower(), COLUMNS, otherwise=f"Columns: {', '.join(COLUMNS)}.")
            return _problem(1, f"there is no column {name[:40]!r}", known)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        return _problem(1, f"the column {twice!r} stands there twice")
    lacking = [name for name in NEEDED if name not in names]
    if lacking or not (set(MONEY) <= set(names) or set(MEASURE) <= set(names)):
        return _problem(
            1,
            f"the header lacks {', '.join(lacking) or 'amount and currency, or quantity and unit'}",
            f"It needs {', '.join(NEEDED)}, and {' and '.join(MONEY)} or {' and '.join(MEASURE)}.",
        )
    return None


def _lines(reader: Iterator[list[str]], names: list[str]) -> Iterator[Fact | Problem]:
    seen: dict[tuple[object, ...], int] = {}
    for count, cells in enumerate(reader, 1):
        number = reader.line_num  # type: ignore[attr-defined]
        if count > LINES_MAX:
            yield _problem(number, f"the file has more than {LINES_MAX:,} lines", "Split it.")
            return
        if not cells:
            continue
        try:
            facts = list(_facts(_row(names, cells)))
            for fact in facts:
                _first_time(fact, number, seen)
        except ConfigError as error:
            yield _problem(number, error.message, error.hint)
        else:
            yield from facts


def _first_time(fact: Fact, number: int, seen: dict[tuple[object, ...], int]) -> None:
    first = seen.setdefault(natural_key(fact), number)
    if first != number:
        raise ConfigError(
            f"this is line {first} again, but for its amount or quantity",
            hint="Tell them apart by `description`, or add them up.",
        )


def _row(names: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(names):
        raise ConfigError(
            f"it has {len(cells)} fields and the header {len(names)}", hint="Quote commas within a field."
        )
    row = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    for name, value in row.items():
        if len(value) > FIELD_CHARACTERS_MAX:
            raise ConfigError(f"`{name}` is longer than {FIELD_CHARACTERS_MAX} characters", hint="Shorten it.")
        if not value.isprintable():
            raise ConfigError(f"`{name}` holds control characters or line breaks", hint="Remove them.")
    return row


def _facts(row: Mapping[str, str]) -> Iterator[Fact]:
    for name in NEEDED:
        if not row[name]:
            raise ConfigError(f"`{name}` is empty", hint="Every line needs it.")
    _together(row, MONEY)
    _together(row, MEASURE)
    if not row.get("amount") and not row.get("quantity"):
        raise ConfigError("there is neither an amount nor a quantity", hint="A line is a cost, a measurement or both.")
    period = Period.of_day(parse_day(row["day"]))
    quantity = number(row["quantity"], "quantity") if row.get("quantity") else None
    if row.get("amount"):
        yield _charge(row, period, quantity)
    if quantity is not None:
        yield Usage(
            usage_period=period,
            meter=row.get("sku") or row["service"],
            unit=row["unit"],
            quantity=quantity,
            service_name=row["service"],
            sku_id=row.get("sku") or None,
            sub_account_id=row.get("sub_account") or None,
            region_id=row.get("region") or None,
        )


def _charge(row: Mapping[str, str], period: Period, quantity: Decimal | None) -> Charge:
    category = _category(row.get("category", ""))
    sku = row.get("sku") or None
    # FOCUS ties a consumed quantity to usage of a SKU with a price, in units it can spell; others are usage alone.
    consumed = quantity if sku and category is Category.USAGE and row.get("unit") in UNITS else None
    return Charge(
        charge_period=period,
        billed_cost=money(row["amount"], row["currency"]),
        service_name=row["service"],
        basis=Basis.ENTERED,
        charge_category=category,
        charge_description=row.get("description") or None,
        sku_id=sku,
        sku_price_id=sku,
        consumed_quantity=consumed,
        consumed_unit=None if consumed is None else row["unit"],
        sub_account_id=row.get("sub_account") or None,
        region_id=row.get("region") or None,
        invoice_id=row.get("invoice_id") or None,
    )


def _together(row: Mapping[str, str], pair: tuple[str, str]) -> None:
    first, second = pair
    if bool(row.get(first)) != bool(row.get(second)):
        lacking, given = (second, first) if row.get(first) else (first, second)
        raise ConfigError(f"`{given}` stands there without `{lacking}`", hint=f"Give both {first} and {second}.")


def _category(text: str) -> Category:
    known = {category.value.lower(): category for category in Category}
    if not text:
        return Category.USAGE
    if text.lower() not in known:
        raise ConfigError(f"{text[:40]!r} is no category", hint=f"Use {', '.join(known)}, or leave it empty.")
    return known[text.lower()]


def number(text: str, name: str) -> Decimal:
    """Return a number written plainly. Raises: ConfigError for separators of thousands, exponents and words."""
    if not text.isascii() or not _NUMBER.fullmatch(text):
        raise ConfigError(
            f"`{name}` {text[:40]!r} is no plain number", hint="Write it like 1234.56, at most eighteen decimals."
        )
    return _right(lambda: exact(text))


def money(amount: str, currency: str) -> Money:
    """Return an amount of a currency. Raises: ConfigError."""
    value = number(amount, "amount")
    if not re.fullmatch("[A-Z]{3}", currency):
        raise ConfigError(f"`currency` {currency[:40]!r} is no currency code", hint="Write three capitals, like USD.")
    return _right(lambda: Money(value, currency))


def _right(make: Callable[[], _T]) -> _T:
    try:
        return make()
    except ValueError as error:
        raise ConfigError(str(error), hint="The ledger holds up to twenty digits before the point.") from None


def _problem(line: int, says: str, hint: str = "") -> Problem:
    return Problem(code="import_line", says=says, where=f"line {line}", hint=hint)


CSV = Import(
    dataset="import.csv",
    title="Outlay's own CSV",
    where="Written by you, or by a spreadsheet: see docs/importing.md.",
    yields=(Charge, Usage),
    identify=identify,
    extract=extract,
)
