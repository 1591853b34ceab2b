"""JSON and CSV of the same sheet, every digit kept."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum

from outlay.cli.output import numbers
from outlay.cli.output.sheet import Column, Sheet

_PLACES = 6
"""As many decimals as every answer's JSON has at least."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def as_json(sheet: Sheet) -> str:
    """Return the sheet as one JSON object."""
    if sheet.whole is not None:
        return dumps(value(sheet.whole))
    whole = {**sheet.head, "rows": sheet.rows}
    if sheet.incomplete is not None:
        whole["incomplete"] = [dict(part) for part in sheet.incomplete]
    return dumps(value(whole))


def dumps(whole: object) -> str:
    """Return JSON text of values that are ready for it."""
    return json.dumps(whole, ensure_ascii=False, indent=None if not whole else 2)


def value(one: object) -> object:
    """Return a value as JSON has it: decimals as text, days `YYYY-MM-DD`, times RFC 3339 in UTC."""
    if isinstance(one, Enum):
        return one.value
    if isinstance(one, Decimal):
        return numbers.exact(one, _PLACES)
    if isinstance(one, datetime):
        return one.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(one, date):
        return one.isoformat()
    if isinstance(one, Mapping):
        return {str(name): value(inner) for name, inner in one.items()}
    if isinstance(one, list | tuple | frozenset | set):
        return [value(inner) for inner in one]
    return one


def as_csv(sheet: Sheet) -> Iterator[str]:
    """Yield the sheet's lines of CSV; text that a spreadsheet would run as a formula is quoted with `'`."""
    yield _line([column.name for column in sheet.columns])
    for row in sheet.rows:
        yield _line([_cell(column, row) for column in sheet.columns])


def _cell(column: Column, row: Mapping[str, object]) -> str:
    one = value(row.get(column.name))
    if one is None:
        return ""
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, dict | list):
        return json.dumps(one, ensure_ascii=False)
    return guarded(str(one))


def guarded(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; numbers stay numbers."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _line(cells: list[str]) -> str:
    out = io.StringIO()
    # With this terminator the writer quotes both kinds of line breaks within a cell.
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue().removesuffix("\r\n")
