"""Turn rows of Python values into Arrow columns, money exact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from arro3.core import Array, DataType, Table

from outlay.analysis.answer import json_value
from outlay.model.money import DIGITS, SCALE

_TEXT = DataType.utf8()
_NUMBER = DataType.decimal128(DIGITS, SCALE)
_MOMENT = DataType.timestamp("us", tz="UTC")
_DAY = DataType.date32()
_TYPES = ((Decimal, _NUMBER), (datetime, _MOMENT), (date, _DAY))
_NUMBERS = (
    "billed_cost effective_cost list_cost gross net quantity quota used remaining amount granted topped_up consumed "
    "total amount_due before after"
)
_MOMENTS = "resets_at observed_at expires_at issued_at due_at checked_at stale_since at"
_EMPTY = {
    **dict.fromkeys(_NUMBERS.split(), _NUMBER),
    **dict.fromkeys(_MOMENTS.split(), _MOMENT),
    **dict.fromkeys(("day", "period_from", "period_to"), _DAY),
    **dict.fromkeys(("rows_before", "rows_after"), DataType.int64()),
    "unlimited": DataType.bool(),
}
"""What a column holds when no row has a value, so that tables of two months can be put together."""


def table(columns: Sequence[str], records: Sequence[Mapping[str, Any]]) -> Table:
    """Return an Arrow table of the records; a column without any value has the type it always has."""
    if not columns:
        raise ValueError("a table needs columns")
    return Table.from_pydict({name: _array(name, [record.get(name) for record in records]) for name in columns})


def _array(name: str, values: list[Any]) -> Array:
    """Return a column; Arrow's own cast from text is exact for decimals, days and times."""
    sample = next((value for value in values if value is not None), None)
    if isinstance(sample, bool):
        return Array(values, type=DataType.bool())
    if isinstance(sample, int):
        return Array(values, type=DataType.int64())
    texts = Array([_text(value) for value in values], type=_TEXT)
    if sample is None:
        return texts.cast(_EMPTY.get(name, _TEXT))
    for kind, type_ in _TYPES:
        if isinstance(sample, kind):
            return texts.cast(type_)
    return texts


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, list | tuple | dict):
        return json.dumps(json_value(value))
    return str(value)
