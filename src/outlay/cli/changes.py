"""Spread restatements into rows: one per batch, currency and basis whose total changed."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outlay.store.history import Change

_EXACT = Context(prec=100)
_NOTHING = Decimal(0)


def rows(changes: Iterable[Change]) -> list[dict[str, object]]:
    """Return a row per changed total; facts without money have one row with their counts.

    Null: amounts are None where neither batch holds money.
    """
    return [row for change in changes for row in _of(change)]


def _of(change: Change) -> list[dict[str, object]]:
    period = change.partition.period
    head: dict[str, object] = {
        "connection": change.partition.connection,
        "provider": change.provider,
        "dataset": change.partition.dataset,
        "day": period.first_day,
        "period": [period.first_day, period.end_day],
        "committed_at": change.at,
        "reason": change.reason,
        "batch": change.batch_id,
        "supersedes": change.supersedes,
    }
    counts: dict[str, object] = {"rows_before": change.rows_before, "rows_after": change.rows_after}
    before = {(total.currency, total.basis): total.billed_cost for total in change.before}
    after = {(total.currency, total.basis): total.billed_cost for total in change.after}
    moneys = [
        {
            **head,
            "currency": currency,
            "basis": basis,
            "before": before.get((currency, basis), _NOTHING),
            "after": after.get((currency, basis), _NOTHING),
            "change": _EXACT.subtract(after.get((currency, basis), _NOTHING), before.get((currency, basis), _NOTHING)),
            **counts,
        }
        for currency, basis in sorted({*before, *after})
    ]
    blank = dict.fromkeys(("currency", "basis", "before", "after", "change"))
    return moneys or [{**head, **blank, **counts}]
