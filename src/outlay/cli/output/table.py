"""Tables of plain text that fit the terminal: text folds, columns may leave, and no number is ever cut."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal
from typing import Self

import click

from outlay.cli.output import numbers
from outlay.cli.output.sheet import ALWAYS, Column, Kind, Row, Sheet
from outlay.cli.output.text import fold, left, neutral, right, width

UNKNOWN = "–"
_GAP = "  "
_WIDTH = 80
_TEXT_MIN = 9
_WORD_MAX = 32
_CURRENCY = re.compile(r"[A-Z]{3}")
_ADDING = Context(prec=100)
_NUMBERS = frozenset({Kind.MONEY, Kind.QUANTITY, Kind.AMOUNT, Kind.EXACT, Kind.SHARE})

Cells = dict[str, str]


def print_table(sheet: Sheet, *, color: bool, columns: int | None = None) -> None:
    """Print a sheet for people; what it lacks stands under it."""
    space = columns or (shutil.get_terminal_size((_WIDTH, 24)).columns if sys.stdout.isatty() else _WIDTH)
    for line in lines(sheet, space):
        click.echo(line if color else click.unstyle(line))


def lines(sheet: Sheet, space: int) -> Iterator[str]:
    """Yield the lines of a table at most `space` columns wide, with the styles of a terminal."""
    if sheet.rows:
        yield from _body(sheet, space)
    else:
        yield from fold(sheet.empty, space)
    for note in sheet.notes:
        yield from (click.style(line, dim=True) for line in fold(neutral(note), space))
    if sheet.incomplete:
        yield ""
        yield click.style(f"{sheet.trouble}:", fg="yellow", bold=True)
        yield from _lacking(sheet.incomplete, space)


def cell(column: Column, row: Row) -> str:
    """Return a value as a table shows it."""
    value = row.get(column.name)
    if value is None:
        unlimited = column.name == "quota" and row.get("unlimited") is True
        return "unlimited" if unlimited else UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal | int):
        return _number(column, Decimal(value), row)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return neutral(", ".join(f"{name}={one}" for name, one in value.items())) or UNKNOWN
    if isinstance(value, list | tuple):
        return neutral(", ".join(numbers.exact(one) if isinstance(one, Decimal) else str(one) for one in value))
    return neutral(str(value)) or UNKNOWN


def _number(column: Column, value: Decimal, row: Row) -> str:
    currency = row.get("currency") or row.get("unit") if column.kind is Kind.AMOUNT else row.get("currency")
    if column.kind is Kind.MONEY or (column.kind is Kind.AMOUNT and _CURRENCY.fullmatch(str(currency))):
        return numbers.money(value, str(currency) if currency else None)
    return numbers.exact(value) if column.kind is Kind.EXACT else numbers.quantity(value)


def _body(sheet: Sheet, space: int) -> Iterator[str]:
    shown = [column for column in sheet.columns if column.table]
    cells = [_cells(sheet, shown, row) for row in sheet.rows]
    totals = list(_totals(sheet, shown))
    rooms = {column.name: _Room.of(column, [one[column.name] for one in [*cells, *totals]]) for column in shown}
    kept, widths = _layout(shown, rooms, space)
    if not kept:
        yield from _records(shown, cells, space)
        return
    left_out = [column for column in shown if column not in kept]
    yield click.style(_GAP.join(_aligned(c, c.title, widths[c.name]) for c in kept).rstrip(), bold=True)
    yield _GAP.join("─" * widths[column.name] for column in kept)
    for one in cells:
        yield from _folded(kept, one, widths)
    if totals:
        yield _GAP.join("─" * widths[column.name] for column in kept)
        for one in totals:
            yield from (click.style(line, bold=True) for line in _folded(kept, one, widths))
    if left_out:
        names = ", ".join(column.title for column in left_out)
        says = f"Left out to fit: {names}. A wider terminal or --format json shows all."
        yield from (click.style(line, dim=True) for line in fold(says, space))


def _cells(sheet: Sheet, columns: Sequence[Column], row: Row) -> Cells:
    cells = {column.name: cell(column, row) for column in columns}
    named = {
        c.name: neutral(sheet.names[cells[c.name]])
        for c in columns
        if c.kind is Kind.TEXT and cells[c.name] in sheet.names
    }
    return {**cells, **named}


@dataclass(frozen=True, slots=True)
class _Room:
    """How wide a column would be, how narrow it gets without breaking a word, and how narrow at the worst."""

    natural: int
    words: int
    least: int

    @classmethod
    def of(cls, column: Column, texts: Sequence[str]) -> Self:
        title = width(column.title)
        natural = max(title, *map(width, texts))
        if column.kind in _NUMBERS:
            return cls(natural, natural, natural)
        longest = max((width(word) for text in texts for word in text.split(" ")), default=0)
        return cls(natural, max(title, min(longest, _WORD_MAX)), min(natural, max(title, _TEXT_MIN)))


def _layout(columns: Sequence[Column], rooms: Mapping[str, _Room], space: int) -> tuple[list[Column], dict[str, int]]:
    """Return the columns that stay and their widths; no columns where they do not fit in any way."""
    kept = list(columns)
    while _needed(kept, {name: room.words for name, room in rooms.items()}) > space:
        weakest = min(reversed(kept), key=lambda column: column.keep)
        if weakest.keep >= ALWAYS:
            break
        kept.remove(weakest)
    widths = {column.name: rooms[column.name].natural for column in kept}
    for floor in ("words", "least"):
        while _needed(kept, widths) > space:
            able = [name for name, taken in widths.items() if taken > getattr(rooms[name], floor)]
            if not able:
                break
            widths[max(able, key=lambda name: widths[name])] -= 1
    return (kept, widths) if _needed(kept, widths) <= space else ([], {})


def _needed(columns: Sequence[Column], widths: Mapping[str, int]) -> int:
    return sum(widths[column.name] for column in columns) + len(_GAP) * (len(columns) - 1)


def _aligned(column: Column, text: str, columns: int) -> str:
    return right(text, columns) if column.kind in _NUMBERS else left(text, columns)


def _folded(columns: Sequence[Column], cells: Cells, widths: Mapping[str, int]) -> Iterator[str]:
    parts = {column.name: list(fold(cells[column.name], widths[column.name])) for column in columns}
    for index in range(max(len(part) for part in parts.values())):
        texts = ((column, parts[column.name][index : index + 1]) for column in columns)
        yield _GAP.join(_aligned(c, text[0] if text else "", widths[c.name]) for c, text in texts).rstrip()


def _records(columns: Sequence[Column], cells: Sequence[Cells], space: int) -> Iterator[str]:
    """Yield each row as a block of its own, where even the narrowest table is too wide."""
    titles = max(width(column.title) for column in columns)
    for number, one in enumerate(cells):
        if number:
            yield ""
        for column in columns:
            room = width(one[column.name]) if column.kind in _NUMBERS else space - titles - len(_GAP)
            first, *rest = fold(one[column.name], max(room, _TEXT_MIN))
            yield left(column.title, titles) + _GAP + first
            yield from (" " * titles + _GAP + line for line in rest)


def _totals(sheet: Sheet, shown: Sequence[Column]) -> Iterator[Cells]:
    """Yield one line of sums per currency and basis: neither is ever added across."""
    groups: dict[tuple[object, object], list[Row]] = {}
    for row in sheet.rows:
        groups.setdefault((row.get("currency"), row.get("basis")), []).append(row)
    if not sheet.sums or len(groups) == len(sheet.rows):
        return
    for (currency, basis), rows in groups.items():
        total: dict[str, object] = {"currency": currency, "basis": basis}
        for name in sheet.sums:
            total[name] = _sum([row.get(name) for row in rows])
        cells = {c.name: cell(c, total) if c.name in total else "" for c in shown}
        yield {**cells, shown[0].name: cells[shown[0].name] or "Total"}


def _sum(values: Sequence[object]) -> Decimal | None:
    """Return the sum, or None where one part is unknown: a sum of the rest would pass for the whole."""
    total = Decimal(0)
    for value in values:
        if not isinstance(value, Decimal):
            return None
        total = _ADDING.add(total, value)
    return total


def _lacking(incomplete: Sequence[Row], space: int) -> Iterator[str]:
    for line in lacking(incomplete):
        first, *rest = fold(line, space - 4)
        yield f"  - {first}"
        yield from (f"    {one}" for one in rest)


def lacking(incomplete: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence for each missing part: what, which days, why, and what to do."""
    for part in incomplete:
        period = part.get("period")
        days = f", {period[0]} to {period[1]}" if isinstance(period, list | tuple) and len(period) > 1 else ""
        names = " ".join(str(part[key]) for key in ("connection", "dataset") if part.get(key))
        hint = part.get("hint")
        yield neutral(f"{names}{days}: {part.get('why')}{f'. {hint}' if hint else ''}")
