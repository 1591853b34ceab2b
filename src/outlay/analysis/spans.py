"""What the state database knows of partitions, neighbours of which the same is known as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from outlay.analysis import overtaken
from outlay.store import Ledger
from outlay.store.standing import Standing, moment

NOT_SYNCED = "not_synced"


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Neighbouring partitions of one dataset of which the same is known."""

    connection: str
    dataset: str
    first: date
    end: date
    """Exclusive."""
    last_start: datetime
    """When the last of the partitions begins."""
    partitions: int
    committed: bool
    """Whether facts of them are in the ledger at all."""
    problem: str | None
    """The error code of the last fetch, when that failed; facts that are there are then stale."""
    since: datetime | None
    """When it began to fail."""
    checked_at: datetime | None
    """When the vendor last confirmed one of them."""
    unfinished: bool = False
    """Whether they were last asked for before they were over, so that their last hours are not in the ledger."""


def spans(ledger: Ledger, providers: Mapping[str, str]) -> Iterator[Span]:
    """Yield what the state database knows of every partition, neighbours alike as one.

    Read as plain numbers: a ledger of years holds tens of thousands of partitions, and every answer asks for them.
    """
    run: list[Standing] = []
    for row in overtaken.marked(ledger.standing(), providers, NOT_SYNCED):
        if run and (run[-1][:4] != row[:4] or run[-1].end != row.start or _unfinished(run[-1]) != _unfinished(row)):
            yield _span(run)
            run = []
        run.append(row)
    if run:
        yield _span(run)


def _unfinished(row: Standing) -> bool:
    return row.committed and row.checked_at is not None and row.checked_at < row.end


def _span(run: Sequence[Standing]) -> Span:
    first, last = run[0], run[-1]
    since = min((row.stale_since for row in run if row.stale_since is not None), default=None)
    checked_at = max((row.checked_at for row in run if row.checked_at is not None), default=None)
    return Span(
        connection=first.connection,
        dataset=first.dataset,
        first=moment(first.start).date(),
        end=(moment(last.end) - timedelta(microseconds=1)).date() + timedelta(days=1),
        last_start=moment(last.start),
        partitions=len(run),
        committed=first.committed,
        problem=first.problem,
        since=None if since is None else moment(since),
        checked_at=None if checked_at is None else moment(checked_at),
        unfinished=_unfinished(first),
    )
