"""Lay a connection's state out in one line of a table, and in flat rows of CSV."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from outlay.cli.output import Column, Kind, Sheet
from outlay.cli.output.numbers import money, percent, quantity

if TYPE_CHECKING:
    from outlay.analysis.answer import Answer
    from outlay.analysis.status import Nearest, StatusRow

_LINE = (
    Column("connection", "Connection"),
    Column("month", "This month", Kind.SHARE),
    Column("by_month_end", "Forecast", Kind.SHARE),
    Column("known", "Basis"),
    Column("nearest", "Nearest limit"),
    Column("left", "Balance", Kind.SHARE, keep=4),
    Column("checked", "Checked", keep=5),
    Column("state", "State"),
)
"""What a table shows of a connection."""
_FLAT = tuple(
    Column(name, name, table=False)
    for name in (
        "connection",
        "provider",
        "currency",
        "basis",
        "billed_cost",
        "effective_cost",
        "forecast",
        "limit",
        "limit_used",
        "limit_quota",
        "limit_unit",
        "checked_at",
        "stale_since",
        "trouble",
    )
)
"""What CSV holds: a row per connection, currency and basis."""


def sheet(answer: Answer[StatusRow], now: datetime, *, flat: bool) -> Sheet:
    """Return the state of all connections ready to be printed, with their troubles under them."""
    rows = [row for each in answer.rows for row in _flat(each)] if flat else [_line(row, now) for row in answer.rows]
    troubles: list[dict[str, Any]] = [
        {"connection": row.connection, "dataset": one.where, "why": f"{one.says} ({one.code})", "hint": one.hint}
        for row in answer.rows
        for one in row.trouble
    ]
    told = {(each["connection"], each["dataset"]) for each in troubles}
    gaps = [gap.record() for gap in answer.incomplete if (gap.connection, gap.dataset) not in told]
    line = [column for column in _LINE if column.name != "left" or any(row.balances for row in answer.rows)]
    return Sheet(
        _FLAT if flat else line,
        rows,
        incomplete=[*troubles, *gaps],
        whole=answer.to_json_object(),
        trouble="What to know",
        empty="No connection is in the ledger yet: run `outlay sync`.",
    )


def _line(row: StatusRow, now: datetime) -> dict[str, object]:
    nearest = row.nearest_limit
    return {
        "connection": row.connection,
        "month": _joined(f"{money(one.billed_cost, one.currency)} {one.currency}" for one in row.spend),
        "by_month_end": _joined(f"{money(one.billed_cost, one.currency)} {one.currency}" for one in row.forecast),
        "known": _joined(dict.fromkeys(str(one.basis) for one in row.spend)),
        "nearest": None if nearest is None else f"{nearest.name} {_share(nearest)}",
        "left": _joined(
            f"{money(one.amount, one.currency)} {one.currency}"
            if one.currency
            else f"{quantity(one.amount)} {one.unit}"
            for one in row.balances
        ),
        "checked": None if row.checked_at is None else age(now, row.checked_at),
        "state": _state(row),
    }


def _share(limit: Nearest) -> str:
    # A no-break space: a number and its unit stay on one line.
    return (percent(limit.used, limit.quota) or "").replace(" ", "\u00a0")


def _state(row: StatusRow) -> str:
    if row.checked_at is None:
        return "failed" if row.stale_since else "never synced"
    return "stale" if row.stale_since else "trouble" if row.trouble else "ok"


def _joined(texts: Any) -> str | None:
    """Return several amounts side by side: they are of different currencies and never added."""
    return " | ".join(texts) or None


def age(now: datetime, then: datetime) -> str:
    """Return how long ago a moment is, in the largest unit that says it."""
    seconds = max(int((now - then).total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"


def _flat(row: StatusRow) -> list[dict[str, object]]:
    nearest = row.nearest_limit
    tail: dict[str, object] = {
        "limit": nearest.name if nearest else None,
        "limit_used": nearest.used if nearest else None,
        "limit_quota": nearest.quota if nearest else None,
        "limit_unit": nearest.unit if nearest else None,
        "checked_at": row.checked_at,
        "stale_since": row.stale_since,
        "trouble": ", ".join(f"{one.where}: {one.code}" for one in row.trouble) or None,
    }
    head = {"connection": row.connection, "provider": row.provider}
    forecasts = {(one.currency, one.of): one.billed_cost for one in row.forecast}
    return [
        {
            **head,
            "currency": one.currency,
            "basis": one.basis,
            "billed_cost": one.billed_cost,
            "effective_cost": one.effective_cost,
            "forecast": forecasts.get((one.currency, one.basis)),
            **tail,
        }
        for one in row.spend
    ] or [{**head, **tail}]
