"""What is known of every partition, as plain rows: the one question every answer asks of the state database.

SQLite is read by the standard library, because loading SQLAlchemy takes longer than most answers; a state database
that a server keeps, or one that is lost or older and must first be put in order, is read through it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from outlay.store.faults import storing
from outlay.store.version import HEAD, TABLE, sqlite_path

if TYPE_CHECKING:
    from outlay.store.delta import Tables
    from outlay.store.state import State

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SQL = """
    SELECT connection, dataset, batch_id IS NOT NULL, problem, period_start, period_end, stale_since, checked_at
    FROM outlay_partitions WHERE NOT writing ORDER BY connection, dataset, period_start
"""


class Standing(NamedTuple):
    """One partition as the state database knows it. Units: times in microseconds since 1970."""

    connection: str
    dataset: str
    committed: bool
    problem: str | None
    start: int
    end: int
    stale_since: int | None
    checked_at: int | None


def standing(url: str, tables: Tables, state: Callable[[], State]) -> list[Standing]:
    """Return what is known of every partition whose commit did not break off.

    Order: by connection, dataset and start.
    Raises: StoreError.
    """
    found = _plainly(url, tables)
    if found is None:
        from sqlalchemy import text

        with storing("reading the state database"), state().engine.connect() as connection:
            found = [tuple(row) for row in connection.execute(text(_SQL))]
    return [Standing(row[0], row[1], bool(row[2]), *row[3:]) for row in found]


def moment(micros: int) -> datetime:
    """Return the moment of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros)


def _plainly(url: str, tables: Tables) -> list[tuple[Any, ...]] | None:
    """Return the rows of a SQLite database that is at its present version and belongs to these tables, else None."""
    path = sqlite_path(url)
    if path is None or not path.exists():
        return None
    batches = tables.get("batches")
    with (
        storing(f"reading {path}"),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as connection,
    ):
        known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {TABLE, "outlay_meta", "outlay_partitions"} <= known or batches is None:
            return None
        version = connection.execute(f"SELECT version_num FROM {TABLE}").fetchone()
        owner = connection.execute("SELECT value FROM outlay_meta WHERE key = 'batches_table_id'").fetchone()
        if version != (HEAD,) or owner != (str(batches.metadata().id),):
            return None
        return connection.execute(_SQL).fetchall()
