"""Upkeep: small files are merged, unneeded ones removed, and every row can be checked against the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from outlay.errors import StoreError
from outlay.store.delta import Tables
from outlay.store.faults import storing
from outlay.store.schema import TABLE_OF, tables
from outlay.store.state import partitions

if TYPE_CHECKING:
    from outlay.store.query import Reader
    from outlay.store.state import State

FILES_PER_PARTITION = 40
"""More files than this of one connection in one table, beyond what its size asks for, and they are merged."""


class Maintained(msgspec.Struct, frozen=True, kw_only=True):
    """What upkeep did: files of each table before and after, and files removed for good."""

    files_before: dict[str, int]
    files_after: dict[str, int]
    removed: int


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of the whole ledger found; `problems` is empty when all is well."""

    files: int
    rows: dict[str, int]
    problems: tuple[str, ...]


def maintain(store: Tables, keep_days: int) -> Maintained:
    """Merge the small files of every table and remove files older than `keep_days` that no snapshot needs.

    Raises: StoreError.
    """
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    removed = 0
    for name in tables():
        if store.get(name) is None:
            continue
        before[name] = store.file_count(name)
        store.compact(name)
        removed += store.vacuum(name, keep_days * 24)
        after[name] = store.file_count(name)
    return Maintained(files_before=before, files_after=after, removed=removed)


def maintain_if_needed(store: Tables) -> bool:
    """Merge the small files of those tables that have too many; tell whether there were any."""
    crowded = [name for name in tables() if store.small_files(name) > FILES_PER_PARTITION]
    for name in crowded:
        store.compact(name)
    return bool(crowded)


def verify(store: Tables, reader: Reader, state: State) -> Verified:
    """Read every column of every row of the present snapshot and compare the rows with the record of batches."""
    problems: list[str] = []
    rows: dict[str, int] = {}
    files = 0
    for name in tables():
        files += store.file_count(name)
        try:
            rows[name] = _read_whole(reader, name)
        except StoreError as error:
            problems.append(f"{name}: {error.message}")
    if not problems:
        problems += _unexplained(reader, state)
        # Asked twice: a commit between the two questions of one round makes them differ, and not in the next.
        problems += sorted(_astray(reader, state) & _astray(reader, state))
    return Verified(files=files, rows=rows, problems=tuple(problems))


def _read_whole(reader: Reader, name: str) -> int:
    # A hash over all columns makes the engine decode every page; count(*) alone reads footers only.
    with storing(f"reading {name}"):
        found = reader.query(f"SELECT count(*), bit_xor(hash(t)) FROM {name} AS t")
    return int(found.rows[0][0])


def _unexplained(reader: Reader, state: State) -> list[str]:
    """Return where facts and the record of batches disagree; partitions in the middle of a commit are left out."""
    half = {
        (row.connection, row.dataset)
        for row in state.read(sa.select(partitions.c.connection, partitions.c.dataset).where(partitions.c.writing))
    }
    parts = []
    for name in TABLE_OF.values():
        if name != "names":
            spec = tables()[name]
            connection = "x_Connection" if name == "charges" else "connection"
            parts.append(
                f"SELECT {connection} AS connection, {spec.dataset} AS dataset, {spec.batch} AS batch_id FROM {name}"
            )
    facts = " UNION ALL ".join(parts)
    found = reader.query(
        f"""WITH facts AS ({facts}),
        counted AS (SELECT connection, dataset, batch_id, count(*) AS n FROM facts GROUP BY ALL),
        standing AS (
            SELECT connection, dataset, batch_id, rows FROM batches
            WHERE dataset NOT IN (SELECT DISTINCT dataset FROM names)
            QUALIFY row_number() OVER (PARTITION BY connection, dataset, period_start, period_end
                                       ORDER BY sequence DESC) = 1)
        SELECT coalesce(c.connection, s.connection), coalesce(c.dataset, s.dataset), coalesce(c.batch_id, s.batch_id),
               coalesce(c.n, 0), coalesce(s.rows, 0)
        FROM counted AS c FULL JOIN standing AS s USING (connection, dataset, batch_id)
        WHERE coalesce(c.n, 0) <> coalesce(s.rows, 0)
          AND (s.batch_id IS NOT NULL OR c.dataset NOT IN (SELECT dataset FROM names))
        ORDER BY ALL"""
    )
    return [
        f"batch {batch_id} of {connection} {dataset} has {have} rows, the record says {said}"
        for connection, dataset, batch_id, have, said in found.rows
        if (connection, dataset) not in half
    ]


def _astray(reader: Reader, state: State) -> set[str]:
    """Return the connections of which state and tables are of different moments, as when one of them was restored."""
    columns = "connection, dataset, epoch_us(period_start), epoch_us(period_end), batch_id, sequence"
    last = "PARTITION BY connection, dataset, period_start, period_end ORDER BY sequence DESC"
    sql = f"SELECT {columns} FROM batches QUALIFY row_number() OVER ({last}) = 1"
    recorded = {tuple(row[:4]): (row[4], row[5]) for row in reader.query(sql).rows}
    held = {
        (row.connection, row.dataset, row.period_start, row.period_end): row
        for row in state.read(sa.select(partitions))
    }
    apart: dict[str, int] = {}
    newest: dict[str, int] = {}
    for key, row in held.items():
        batch_id, sequence = recorded.get(key, (None, 0))
        if not row.writing and row.batch_id != batch_id:
            apart[row.connection] = apart.get(row.connection, 0) + 1
        elif batch_id is not None:
            newest[row.connection] = max(sequence, newest.get(row.connection, 0))
    for key, (_, sequence) in recorded.items():
        # An older one that is not held was taken in by a wider partition.
        if key not in held and sequence > newest.get(key[0], -1):
            apart[key[0]] = apart.get(key[0], 0) + 1
    return {
        f"the state database and the tables are of different moments in {count} partitions of {connection}: "
        "run `outlay maintain rebuild`"
        for connection, count in apart.items()
    }
