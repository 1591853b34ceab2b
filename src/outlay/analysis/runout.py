"""When a prepaid balance will be used up: an estimate from how it fell, and from nothing else.

A rise between two readings hides what was spent in between, so those days are left out. What a fall is made of is not
known: refunds and granted credit that expires look like spend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from outlay.analysis.readings import BalanceRow
from outlay.clock import Clock, day_of, midnight
from outlay.model.facts import NO_END
from outlay.model.money import ratio
from outlay.store import Ledger

LOOKED_BACK_DAYS = 28
DAYS_LEAST = 7
"""Over fewer days a pace says nothing: a weekend alone may be quiet."""
_AHEAD_DAYS_MAX = 3650
_ZERO = Decimal(0)


def runs_out_on(readings: Sequence[tuple[date, Decimal]]) -> date | None:
    """Return the day on which a balance is used up at the pace it fell between readings, the last one counted from.

    Null: None with readings over less than a week, where nothing fell, and where it is more than ten years off.
    Order: `readings` are one a day, oldest first.
    """
    if not readings:
        return None
    last, left = readings[-1]
    if left <= 0:
        return last
    fallen, days = _ZERO, 0
    for (earlier, before), (later, after) in pairwise(readings):
        if after <= before:
            fallen += before - after
            days += (later - earlier).days
    pace = ratio(fallen, Decimal(days)) if days >= DAYS_LEAST else None
    ahead = ratio(left, pace) if pace else None
    if ahead is None or ahead > _AHEAD_DAYS_MAX:
        return None
    return last + timedelta(days=int(ahead))


def run_outs(ledger: Ledger, rows: Sequence[BalanceRow], clock: Clock) -> Mapping[BalanceRow, date | None]:
    """Return for each balance the day on which it will be used up, from the readings of the last four weeks.

    Null: None also where a balance may as well be owed as be left.
    """
    if not rows:
        return {}
    [(key, told)] = NO_END.items()
    since = midnight(day_of(clock()) - timedelta(days=LOOKED_BACK_DAYS))
    found = ledger.query(
        "SELECT connection, dataset, name, coalesce(currency, unit), partition_start, amount FROM balances"
        " WHERE partition_start >= ? AND coalesce(json_extract_string(details, ?) <> ?, TRUE) ORDER BY partition_start",
        [since, f"$.{key}", told],
    ).rows
    readings: dict[tuple[str, ...], list[tuple[date, Decimal]]] = {}
    for connection, dataset, name, unit, start, amount in found:
        readings.setdefault((connection, dataset, name, unit), []).append((day_of(start), amount))
    return {row: runs_out_on(readings.get(_key(row), ())) for row in rows}


def _key(row: BalanceRow) -> tuple[str, ...]:
    return row.connection, row.dataset, row.name, row.currency or row.unit or ""
