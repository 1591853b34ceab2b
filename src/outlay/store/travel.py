"""Travel in time: the facts of a superseded batch, read from the version of the table that still held them."""

from __future__ import annotations

from outlay.errors import BugError
from outlay.store.delta import Tables, quoted
from outlay.store.query import Result
from outlay.store.schema import TABLE_OF, tables


def facts_of(store: Tables, batch_id: str, table: str) -> Result:
    """Return the rows a batch put into a table, in the order they are stored.

    Null: no rows where the batch is unknown, had none in this table, or its files are past their retention.
    Raises: StoreError.
    """
    if table not in TABLE_OF.values():
        raise BugError(f"{table} is no table of facts")
    spec = tables()[table]
    recorded = store.select(
        "batches",
        f"SELECT sequence FROM t WHERE batch_id = {quoted(batch_id)} ORDER BY sequence DESC LIMIT 1",
    )
    names = tuple(column.name for column in spec.columns)
    if not recorded:
        return Result(names, [])
    sql = f'SELECT * FROM t WHERE "{spec.batch}" = {quoted(batch_id)}'
    found = store.select(table, sql)
    if not found:
        found = store.select_at(table, store.moment_after("batches", recorded[0]["sequence"]), sql)
    return Result(names, [tuple(row[name] for name in names) for row in found])
