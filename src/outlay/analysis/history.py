"""How committed numbers changed: what a day said before and what it says since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import ClassVar

from outlay.analysis.answer import Answer, Listed
from outlay.analysis.coverage import gaps
from outlay.analysis.query import Query
from outlay.clock import Clock, system_clock
from outlay.errors import ConfigError
from outlay.model.basis import Basis
from outlay.model.facts import Charge
from outlay.store import Ledger
from outlay.store.history import Change

_ZERO = Decimal(0)


class HistoryRow(Listed, frozen=True, kw_only=True):
    """One partition's billed cost in one currency and basis, before and after a batch replaced another.

    Null: `currency`, `basis`, `before` and `after` are None where the partition holds no charges; `before` or `after`
    alone is None where only that batch has none in this currency and basis.
    """

    connection: str
    provider: str
    dataset: str
    period_from: date
    period_to: date
    batch: str
    supersedes: str
    at: datetime
    reason: str
    currency: str | None
    basis: Basis | None
    before: Decimal | None
    after: Decimal | None
    rows_before: int
    rows_after: int
    shown: ClassVar = (
        "connection",
        "provider",
        "dataset",
        "period_from",
        "period_to",
        "batch",
        "supersedes",
        "at",
        "reason",
        "currency",
        "basis",
        "before",
        "after",
        "rows_before",
        "rows_after",
    )

    @property
    def difference(self) -> Decimal:
        """Return by how much the billed cost changed."""
        return (self.after or _ZERO) - (self.before or _ZERO)


def history(
    ledger: Ledger, query: Query | None = None, *, day: date | None = None, clock: Clock = system_clock
) -> Answer[HistoryRow]:
    """Return how committed numbers changed, of one day or of every day committed.

    Order: by the time of the change.
    Raises: ConfigError for filters that batches do not have.
    """
    query = query or Query()
    if query.where:
        raise ConfigError("history has no such filter", hint="Filter by --connection, --provider or --day.")
    chosen = query.connections[0] if len(query.connections) == 1 else None
    rows = [row for change in ledger.history(chosen, day) if _asked(query, change) for row in _rows(change)]
    first, to = (day, day + timedelta(days=1)) if day else _span(query, rows, clock)
    incomplete = gaps(ledger, Query(from_=first, to=to, connections=query.connections), (Charge,), clock)
    return Answer(from_=first, to=to, by=(), rows=tuple(rows), incomplete=incomplete, columns=HistoryRow.shown)


def _asked(query: Query, change: Change) -> bool:
    first = change.partition.period.first_day
    inside = (query.from_ is None or first >= query.from_) and (query.to is None or first < query.to)
    return inside and query.asked(change.partition.connection, change.provider)


def _rows(change: Change) -> Iterator[HistoryRow]:
    partition = change.partition
    before = {(total.currency, total.basis): total.billed_cost for total in change.before}
    after = {(total.currency, total.basis): total.billed_cost for total in change.after}
    keys: list[tuple[str, str] | None] = [*sorted(before.keys() | after.keys())]
    for key in keys or [None]:
        yield HistoryRow(
            connection=partition.connection,
            provider=change.provider,
            dataset=partition.dataset,
            period_from=partition.period.first_day,
            period_to=partition.period.end_day,
            batch=change.batch_id,
            supersedes=change.supersedes,
            at=change.at,
            reason=change.reason,
            currency=key[0] if key else None,
            basis=Basis(key[1]) if key else None,
            before=before.get(key) if key else None,
            after=after.get(key) if key else None,
            rows_before=change.rows_before,
            rows_after=change.rows_after,
        )


def _span(query: Query, rows: list[HistoryRow], clock: Clock) -> tuple[date, date]:
    first, to = query.period(clock)
    if query.from_ is None and rows:
        first = min(first, *(row.period_from for row in rows))
    return first, to
