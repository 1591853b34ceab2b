"""Spans of partitions: which rows a replace takes out, and which earlier partitions that touches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from outlay.errors import StoreError
from outlay.model.batch import Partition
from outlay.store.delta import any_of, quoted
from outlay.store.schema import Table

if TYPE_CHECKING:
    from outlay.store.state import Prior

Span = tuple[str, datetime, datetime]
"""A dataset with a half-open stretch of time."""


def spans(of: Iterable[Partition]) -> list[Span]:
    """Return the stretches some partitions cover, neighbours taken together, ordered by dataset and time."""
    found: list[Span] = []
    for partition in sorted(of, key=lambda one: (one.dataset, one.period)):
        start, end = partition.period.start, partition.period.end
        if found and found[-1][0] == partition.dataset and start <= found[-1][2]:
            dataset, first, last = found[-1]
            found[-1] = (dataset, first, max(last, end))
        else:
            found.append((partition.dataset, start, end))
    return found


def predicate(table: Table, connection: str, of: Iterable[Partition]) -> str:
    """Return the SQL condition that selects exactly the rows of some partitions and of those inside their spans."""
    conditions = [
        f"({table.dataset} = {quoted(dataset)} AND {table.start} >= {_literal(start)}"
        f" AND {table.end} <= {_literal(end)})"
        for dataset, start, end in spans(of)
    ]
    return f"connection = {quoted(connection)} AND {any_of(conditions)}"


def _literal(at: datetime) -> str:
    return f"arrow_cast('{at:%Y-%m-%dT%H:%M:%S.%f}', 'Timestamp(Microsecond, Some(\"UTC\"))')"


def taken_in(fresh: Iterable[Partition], prior: Mapping[Partition, Prior]) -> list[Partition]:
    """Return earlier partitions of another cut that lie wholly inside what is committed: its rows replace theirs.

    Raises: StoreError when one lies there partly: its days would be counted twice.
    """
    new = set(fresh)
    covered = spans(new)
    inside: list[Partition] = []
    for old in prior:
        if old in new:
            continue
        where = _place(old, covered)
        if where == "inside":
            inside.append(old)
        elif where == "across" and prior[old].tables:
            raise StoreError(
                f"{old.connection} {old.dataset} is committed for {old.period.first_day} to {old.period.end_day} as "
                "one piece; a part of it cannot be replaced",
                hint="Commit the whole of that time at once, in any cut.",
            )
    return inside


def _place(old: Partition, covered: Sequence[Span]) -> str:
    start, end = old.period.start, old.period.end
    for dataset, first, last in covered:
        if dataset == old.dataset and start < last and first < end:
            return "inside" if first <= start and end <= last else "across"
    return "apart"
