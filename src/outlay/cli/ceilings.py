"""Lay limits and budgets out for people: what is bounded in one column, the nearest first."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

from outlay.cli.output import Column, Sheet
from outlay.cli.output.columns import column
from outlay.cli.output.numbers import percent

if TYPE_CHECKING:
    from outlay.analysis.answer import Answer

_BYTES = (("GB", 9), ("MB", 6), ("kB", 3))
_EXACT = Context(prec=60)
_TAIL = ("used", "quota", "share", "remaining", "unit", "window", "resets_at", "basis", "observed_at")
_WHOLE = frozenset({"organization", "enterprise", "account", "user", "credential"})

LIMITS = (column("connection"), Column("subject", "Limit"), *(column(name) for name in _TAIL))
BUDGETS = (
    column("connection"),
    Column("subject", "Budget"),
    *(column(name) for name in ("consumed", "amount", "share", "currency", "unit", "period", "thresholds")),
)


def sheet(question: str, answer: Answer[Any]) -> Sheet:
    """Return limits or budgets ready to be shown as a table: those nearest to their end first."""
    whole, part = ("quota", "used") if question == "limits" else ("amount", "consumed")
    rows = [_row(each, answer.names, whole, part) for each in answer.rows]
    rows.sort(key=lambda row: _nearness(row[part], row[whole]))
    columns = [c for c in (LIMITS if question == "limits" else BUDGETS) if c.name != "unit" or _any(rows, "unit")]
    return Sheet(
        columns=columns,
        rows=rows,
        incomplete=[gap.record() for gap in answer.incomplete],
        empty=f"No {question} are known.",
    )


def _row(each: Any, names: Mapping[str, str], whole: str, part: str) -> dict[str, Any]:
    row = {**each.record(), "connection": each.connection, "unit": each.unit}
    ceiling, used = row[whole], row[part]
    share = percent(used, ceiling) if isinstance(used, Decimal) and isinstance(ceiling, Decimal) else None
    if row["unit"] == "bytes":
        row |= _shorter(row)
    return {**row, "share": share, "subject": subject(each, names)}


def _shorter(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told in bytes by the largest unit, up to gigabytes, that its largest number has a whole one of."""
    told = {name: row[name] for name in ("used", "quota", "remaining") if isinstance(row[name], Decimal)}
    largest = max(map(abs, told.values()), default=Decimal(0))
    unit, power = next(((unit, power) for unit, power in _BYTES if largest >= 10**power), ("bytes", 0))
    return {"unit": unit, **{name: value.scaleb(-power, _EXACT) for name, value in told.items()}}


def subject(each: Any, names: Mapping[str, str]) -> str:
    """Return what a limit or budget bounds: its name, and the model and the place where the name does not say them."""
    kind, _, id_ = each.scope.partition(":")
    place = names.get(id_, id_) or ("" if kind in _WHOLE else kind)
    said = _plain(each.name)
    more = [text for text in (getattr(each, "model", None), place) if text and _plain(text) not in said]
    return " · ".join([each.name, *more])


def _plain(text: str) -> str:
    return text.lower().replace("-", " ").replace("_", " ")


def _nearness(used: Decimal | None, ceiling: Decimal | None) -> tuple[bool, Decimal]:
    if used is None or not ceiling:
        return True, Decimal(0)
    return False, -(used / ceiling)


def _any(rows: list[dict[str, Any]], name: str) -> bool:
    return any(row.get(name) is not None for row in rows)
