"""How committed numbers changed, told from the record of batches: each batch names the one it superseded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from outlay.clock import midnight
from outlay.model.batch import Partition, Payload
from outlay.model.period import Period

if TYPE_CHECKING:
    from outlay.store.query import Reader


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What the charges of one batch add up to in one currency and basis."""

    currency: str
    basis: str
    billed_cost: Decimal
    rows: int


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One batch as it was recorded, without its facts."""

    batch_id: str
    provider: str
    partition: Partition
    endpoint: str
    fetch_id: str | None
    digest: str
    rows: int
    totals: tuple[Total, ...]
    observed_at: datetime
    committed_at: datetime
    supersedes: str | None
    reason: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A partition whose committed facts a later batch restated."""

    provider: str
    partition: Partition
    batch_id: str
    supersedes: str
    at: datetime
    reason: str
    rows_before: int
    rows_after: int
    before: tuple[Total, ...]
    after: tuple[Total, ...]


_SAME_PARTITION = "PARTITION BY connection, dataset, period_start, period_end ORDER BY sequence"
_BATCH = """batch_id, connection, provider, dataset, endpoint, period_start, period_end, period_zone, fetch_id, digest,
    rows, totals, observed_at, committed_at, supersedes, reason"""


def recorded(reader: Reader, connection: str | None, dataset: str | None, *, current: bool) -> list[Recorded]:
    """Return the record of batches in the order of commit, or only those that stand."""
    standing = f" QUALIFY row_number() OVER ({_SAME_PARTITION} DESC) = 1" if current else ""
    found = reader.query(
        f"SELECT {_BATCH} FROM batches WHERE (connection = $1 OR $1 IS NULL) AND (dataset = $2 OR $2 IS NULL)"
        f"{standing} ORDER BY committed_at, sequence, period_start, dataset, batch_id",
        (connection, dataset),
    )
    return [_recorded(row) for row in found.dicts()]


def _recorded(row: Mapping[str, Any]) -> Recorded:
    return Recorded(
        batch_id=row["batch_id"],
        provider=row["provider"],
        partition=_partition(row),
        endpoint=row["endpoint"],
        fetch_id=row["fetch_id"],
        digest=row["digest"],
        rows=row["rows"],
        totals=_totals(row["totals"]),
        observed_at=row["observed_at"],
        committed_at=row["committed_at"],
        supersedes=row["supersedes"],
        reason=row["reason"],
    )


_CHANGES = f"""
WITH told AS (
    SELECT *, lag(batch_id) OVER same AS batch_before, lag(digest) OVER same AS digest_before,
           lag(rows) OVER same AS rows_before, lag(totals) OVER same AS totals_before
    FROM batches WHERE connection = $1 OR $1 IS NULL
    WINDOW same AS ({_SAME_PARTITION}))
SELECT connection, provider, dataset, period_start, period_end, period_zone, batch_id, batch_before AS supersedes,
       committed_at, reason, rows_before, rows AS rows_after, totals_before AS before, totals AS after
FROM told
WHERE digest_before <> digest
  AND ($2 IS NULL OR (period_start < $3::TIMESTAMPTZ AND period_end > $2::TIMESTAMPTZ))
ORDER BY committed_at, sequence, connection, dataset, period_start
"""


def changes(reader: Reader, connection: str | None, day: date | None) -> list[Change]:
    """Return every restatement in the order of commit, of one connection and touching one UTC day where asked."""
    start = None if day is None else midnight(day)
    end = None if day is None else Period.of_day(day).end
    texts = [None if moment is None else moment.isoformat() for moment in (start, end)]
    found = reader.query(_CHANGES, (connection, *texts))
    return [
        Change(
            provider=row["provider"],
            partition=_partition(row),
            batch_id=row["batch_id"],
            supersedes=row["supersedes"],
            at=row["committed_at"],
            reason=row["reason"],
            rows_before=row["rows_before"],
            rows_after=row["rows_after"],
            before=_totals(row["before"]),
            after=_totals(row["after"]),
        )
        for row in found.dicts()
    ]


def _partition(row: Mapping[str, Any]) -> Partition:
    period = Period(row["period_start"], row["period_end"], row["period_zone"])
    return Partition(row["connection"], row["dataset"], period)


def _totals(text: str) -> tuple[Total, ...]:
    return msgspec.json.decode(text, type=tuple[Total, ...])


def payload(row: Mapping[str, Any]) -> Payload:
    """Return a kept answer from its row."""
    window = Period(row["window_start"], row["window_end"], row["window_zone"])
    headers = msgspec.json.decode(row["headers"], type=dict[str, str]) if row["headers"] else None
    fields = {name: row[name] for name in Payload.__struct_fields__ if name not in ("window", "headers")}
    return Payload(window=window, headers=headers, **fields)
