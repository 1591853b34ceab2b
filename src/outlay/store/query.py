"""Questions to the tables: DuckDB over the files of one snapshot, with exact decimals and times in UTC."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from outlay.store.delta import Tables, quoted
from outlay.store.faults import storing
from outlay.store.schema import Table, tables

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

MEMORY_LIMIT = "512MB"
THREADS = 2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZONED = "TIMESTAMP WITH TIME ZONE"


class Result(msgspec.Struct, frozen=True):
    """What a query found: column names, and rows of Python values (Decimal, aware datetime, None)."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def dicts(self) -> list[dict[str, Any]]:
        """Return each row by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Reader:
    """One DuckDB connection whose views show one snapshot of the tables until it is refreshed.

    Queries are answered one at a time: an open result owns the connection.
    """

    def __init__(self, store: Tables, spill: Path | None) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._shown: dict[str, int | None] = {}
        self._pinned = False
        with storing("opening the query engine"):
            self._duckdb = connect(spill)

    def close(self) -> None:
        """Let go of the connection."""
        with self._lock:
            self._duckdb.close()

    @contextmanager
    def pinned(self) -> Iterator[Reader]:
        """Keep every view at the snapshot it has when first used, for several queries that must agree.

        Raises: StoreError.
        """
        with self._lock:
            self._shown.clear()
            self._pinned = True
            try:
                with storing("reading the ledger"):
                    self.show(tables())
                yield self
            finally:
                self._pinned = False

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Result:
        """Return the rows of a query. Raises: StoreError."""
        with self._lock, storing("querying the ledger"):
            self.show(mentioned(sql))
            return fetched(self._duckdb.sql(sql, params=list(parameters) or None))

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the result of a query as an Arrow table. Raises: StoreError."""
        from arro3.core import Table as ArrowTable

        with self._lock, storing("querying the ledger"):
            self.show(mentioned(sql))
            return ArrowTable.from_arrow(self._duckdb.sql(sql, params=list(parameters) or None))

    def copy(self, sql: str, parameters: Sequence[Any], out: Path, options: str) -> int:
        """Write the rows of a query to a file, in order and without holding them; return how many there are.

        Raises: StoreError.
        """
        with self._lock, storing(f"writing {out.name}"):
            self.show(mentioned(sql))
            copied = self._duckdb.execute(f"COPY ({sql}) TO {quoted(str(out))} ({options})", list(parameters) or None)
            return int(copied.fetchall()[0][0])

    def show(self, names: Sequence[str] | dict[str, Table]) -> None:
        """Bring the views of some tables to the latest snapshot."""
        for name in names:
            if self._pinned and name in self._shown:
                continue
            found = snapshot(self._store, name)
            if name not in self._shown or self._shown[name] != found.version:
                show(self._duckdb, self._store, found)
                self._shown[name] = found.version


class Snapshot(msgspec.Struct, frozen=True):
    """One table at one version: None and no files where nothing was ever stored."""

    name: str
    version: int | None
    files: tuple[str, ...]


def snapshot(store: Tables, name: str) -> Snapshot:
    """Return the files a table consists of now."""
    with store.held(name) as table:
        if table is None:
            return Snapshot(name, None, ())
        return Snapshot(name, table.version(), tuple(store.files(name)))


def connect(spill: Path | None) -> DuckDBPyConnection:
    """Return a fresh in-memory DuckDB connection, bounded in memory and set to UTC."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": THREADS,
        "memory_limit": MEMORY_LIMIT,
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        # Without this a table name that is not found would be looked up among Python's variables.
        "python_enable_replacements": "false",
    }
    if spill is not None:
        config["temp_directory"] = str(spill)
    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")
    return connection


def mentioned(sql: str) -> list[str]:
    """Return the tables whose names occur in a query; one too many costs little, so no parsing is done."""
    words = set(re.findall(r"\w+", sql.lower()))
    return [name for name in tables() if name in words]


def show(connection: DuckDBPyConnection, store: Tables, found: Snapshot) -> None:
    """Create or replace the view of one table."""
    spec = tables()[found.name]
    connection.execute(f"DROP VIEW IF EXISTS {found.name}")
    if not found.files:
        typed = ", ".join(f'CAST(NULL AS {column.kind.value}) AS "{column.name}"' for column in spec.view)
        connection.execute(f"CREATE VIEW {found.name} AS SELECT {typed} WHERE false")
        return
    if store.local:
        listed = ", ".join(quoted(file) for file in found.files)
        source = f"read_parquet([{listed}], hive_partitioning = true, hive_types = {{'connection': VARCHAR}})"
    else:
        source = _loaded(connection, store, found.name)
    connection.execute(f"CREATE VIEW {found.name} AS SELECT {_selected(spec)} FROM {source}")


def _loaded(connection: DuckDBPyConnection, store: Tables, name: str) -> str:
    # DuckDB reaches object stores only through an extension it would have to download; delta-rs reaches them itself.
    from deltalake import QueryBuilder

    with store.held(name) as table:
        assert table is not None
        reader = QueryBuilder().register("t", table).execute("SELECT * FROM t")
        connection.register(f"stream_{name}", reader)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE loaded_{name} AS SELECT * FROM stream_{name}")
        connection.unregister(f"stream_{name}")
    return f"loaded_{name}"


def _selected(spec: Table) -> str:
    stored = {column.name for column in spec.columns}
    renamed = dict(spec.renamed)
    parts = []
    for column in spec.view:
        source = renamed.get(column.name, column.name)
        value = f'"{source}"' if source in stored else f"CAST(NULL AS {column.kind.value})"
        parts.append(f'{value} AS "{column.name}"')
    return ", ".join(parts)


def fetched(relation: DuckDBPyRelation | None) -> Result:
    """Return a relation's rows; zoned times come as microseconds, because DuckDB's own way needs a package of zones."""
    if relation is None:
        return Result((), [])
    columns = tuple(relation.columns)
    types = [str(type_) for type_ in relation.types]
    zoned = [index for index, type_ in enumerate(types) if type_ == _ZONED]
    if zoned or any(_ZONED in type_ for type_ in types):
        relation = relation.project(", ".join(_portable(index, type_) for index, type_ in enumerate(types)))
    rows = relation.fetchall()
    if zoned:
        rows = [_timed(row, zoned) for row in rows]
    return Result(columns, rows)


def _portable(index: int, type_: str) -> str:
    if type_ == _ZONED:
        return f"epoch_us(#{index + 1})"
    return f"CAST(#{index + 1} AS VARCHAR)" if _ZONED in type_ else f"#{index + 1}"


def _timed(row: tuple[Any, ...], zoned: Sequence[int]) -> tuple[Any, ...]:
    values = list(row)
    for index in zoned:
        if values[index] is not None:
            values[index] = _EPOCH + timedelta(microseconds=values[index])
    return tuple(values)
