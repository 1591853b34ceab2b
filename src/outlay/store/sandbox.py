"""SQL that a user typed: one SELECT on the views, in a connection of its own that can reach nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from outlay.errors import ConfigError
from outlay.store.delta import Tables, quoted
from outlay.store.faults import storing
from outlay.store.query import Result, connect, fetched, mentioned, show, snapshot

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_HINT = (
    "Ask one SELECT; the views are charges, usage, limits, balances, invoices, budgets, revenue, names, statements, "
    "batches."
)


def run(store: Tables, spill: Path, sql: str, *, rows_max: int | None, seconds: float | None) -> Result:
    """Return the rows of a user's query.

    Raises: ConfigError when it is not one SELECT, is wrong, or takes longer than allowed.
    """
    import duckdb

    with storing("opening the query engine"):
        connection = connect(spill)
    try:
        _refuse_all_but_select(connection, sql)
        with storing("reading the ledger"):
            _lock(connection, store, sql)
        with _bounded(connection, seconds):
            relation = connection.sql(sql)
            return fetched(relation if rows_max is None or relation is None else relation.limit(rows_max))
    except duckdb.InterruptException:
        raise ConfigError(f"the query took longer than {seconds} seconds", hint="Ask for less.") from None
    except duckdb.Error as error:
        raise ConfigError(f"the query failed: {str(error).strip()[:500]}", hint=_HINT) from None
    finally:
        connection.close()


def _refuse_all_but_select(connection: DuckDBPyConnection, sql: str) -> None:
    import duckdb

    statements = connection.extract_statements(sql)
    allowed = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
    if len(statements) != 1 or statements[0].type not in allowed:
        raise ConfigError("only one SELECT statement is answered", hint=_HINT)


def _lock(connection: DuckDBPyConnection, store: Tables, sql: str) -> None:
    """Make the views, then close every door: only the files of this snapshot stay readable, and nothing can be set."""
    shown = [snapshot(store, name) for name in mentioned(sql)]
    for found in shown:
        show(connection, store, found)
    if store.local:
        files = ", ".join(quoted(file) for found in shown for file in found.files)
        connection.execute(f"SET allowed_paths = [{files}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


@contextmanager
def _bounded(connection: DuckDBPyConnection, seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    timer = threading.Timer(seconds, connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
