"""Open the state database, and build it again from the tables where it is lost or belongs to other tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from outlay.model.batch import LACKS
from outlay.model.metering import METERED
from outlay.store import marks, metering, tokens  # noqa: F401 - their tables are part of the state
from outlay.store.delta import Tables
from outlay.store.faults import storing
from outlay.store.schema import TABLE_OF, tables
from outlay.store.state import State, engine, meta, metadata, micros, partitions
from outlay.store.version import HEAD, TABLE, refuse_newer

_TABLES_ID = "batches_table_id"
_DAY = 86_400_000_000
_DAY_KEY = ("connection", "provider", "day")
_Key = tuple[str, str, int, int]


def opened(url: str, store: Tables) -> State:
    """Return the state database at its present version and in step with the tables.

    Raises: StoreError, LedgerVersionError, ConfigError.
    """
    made = engine(url)
    state = State(made, f"the state database ({made.dialect.name})")
    try:
        with storing(f"opening {state.where}"):
            _migrate(state)
        _match(state, store)
    except BaseException:
        state.close()
        raise
    return state


def _match(state: State, store: Tables) -> None:
    """Build the partitions again unless the state is known to belong to these very tables."""
    batches = store.get("batches") or store.create("batches")
    table_id = str(batches.metadata().id)
    known = state.read(sa.select(meta.c.value).where(meta.c.key == _TABLES_ID))
    if not known or known[0].value != table_id:
        _build(state, store, table_id)


def rebuild(state: State, store: Tables) -> int:
    """Build the partitions again from the tables; return how many there are.

    Raises: StoreError.
    """
    batches = store.get("batches") or store.create("batches")
    return _build(state, store, str(batches.metadata().id))


def _migrate(state: State) -> None:
    inspector = sa.inspect(state.engine)
    if not inspector.has_table(TABLE):
        with state.write() as connection:
            # Another process may have been faster: creation checks each table, and the version is written last.
            metadata.create_all(connection)
            connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {TABLE} (version_num VARCHAR(32) PRIMARY KEY)")
            connection.exec_driver_sql(f"INSERT INTO {TABLE} VALUES ('{HEAD}') ON CONFLICT DO NOTHING")
        return
    with state.engine.connect() as connection:
        row = connection.exec_driver_sql(f"SELECT version_num FROM {TABLE}").first()
    version = row[0] if row else ""
    refuse_newer(version, state.where)
    if version != HEAD:
        from outlay.store.migrations import upgrade

        upgrade(state.engine)


class _Found(msgspec.Struct):
    """What the tables say about one partition."""

    zone: str = "UTC"
    batch: Mapping[str, Any] | None = None
    tables: set[str] = msgspec.field(default_factory=set)
    batch_ids: set[str] = msgspec.field(default_factory=set)


def _build(state: State, store: Tables, table_id: str) -> int:
    """Fill the partitions from the record of batches; facts that no record explains are marked to be fetched again.

    Metered days that the tables do not hold as they were last committed are due again.
    """
    found: dict[_Key, _Found] = {}
    for row in _latest(store):
        key = (row["connection"], row["dataset"], micros(row["period_start"]), micros(row["period_end"]))
        found[key] = _Found(zone=row["period_zone"], batch=row)
    for name in TABLE_OF.values():
        _add_facts(store, name, found)
    values = [_row(key, known) for key, known in found.items()]
    with state.write() as connection:
        connection.execute(sa.delete(partitions))
        # What a vendor told up to a mark may be in tables that are no longer these: everything is asked for again.
        connection.execute(sa.delete(marks.marks))
        state.upsert(connection, partitions, values)
        state.upsert(connection, meta, [{"key": _TABLES_ID, "value": table_id}])
        for metered in connection.execute(sa.select(metering.days)).all():
            known = found.get((metered.connection, METERED, metered.day, metered.day + _DAY))
            held = None if known is None or known.batch is None else known.batch["digest"]
            before, _, after = (metered.sealed or "").rpartition(" ")
            if held is None or (held == before and held != after):
                same = sa.and_(*(metering.days.c[name] == getattr(metered, name) for name in _DAY_KEY))
                connection.execute(sa.update(metering.days).where(same).values(settled=None))
    return len(values)


def _latest(store: Tables) -> list[dict[str, Any]]:
    numbered = (
        "SELECT *, row_number() OVER (PARTITION BY connection, dataset, period_start, period_end "
        "ORDER BY sequence DESC) AS place FROM t"
    )
    return store.select("batches", f"SELECT * FROM ({numbered}) WHERE place = 1")


def _add_facts(store: Tables, name: str, found: dict[_Key, _Found]) -> None:
    spec = tables()[name]
    chosen = f'connection, "{spec.dataset}" AS d, "{spec.start}" AS s, "{spec.end}" AS e, "{spec.batch}" AS b'
    for row in store.select(name, f"SELECT DISTINCT {chosen} FROM t"):
        key = (row["connection"], row["d"], micros(row["s"]), micros(row["e"]))
        known = found.setdefault(key, _Found())
        known.tables.add(name)
        # Names are merged, so rows of earlier batches rightly stand beside the latest one's.
        if name != "names":
            known.batch_ids.add(row["b"])


def _row(key: _Key, known: _Found) -> dict[str, Any]:
    connection, dataset, start, end = key
    batch = known.batch
    committed_at = None if batch is None else micros(batch["committed_at"])
    lacks = None if batch is None else batch["digest"].partition(LACKS)[2] or None
    return {
        "connection": connection,
        "dataset": dataset,
        "period_start": start,
        "period_end": end,
        "zone": known.zone,
        "batch_id": None if batch is None else batch["batch_id"],
        "digest": None if batch is None else batch["digest"],
        "endpoint": None if batch is None else batch["endpoint"],
        "committed_at": committed_at,
        "checked_at": committed_at,
        "stale_since": committed_at if lacks else None,
        "problem": lacks,
        "tables": ",".join(sorted(known.tables)),
        "writing": batch is None or bool(known.batch_ids - {batch["batch_id"]}),
    }
