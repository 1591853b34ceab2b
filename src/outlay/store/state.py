"""Operational state: which partition holds which batch, who is syncing what, and how runs ended.

SQLite beside the tables unless a URL names a server. The tables are the truth: what is here can be built again from
the `batches` table, except leases and runs, which matter to the present only, tokens, and what meter events add up to.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from outlay.errors import ConfigError
from outlay.model.batch import LACKS, Committed, Partition
from outlay.model.period import Period
from outlay.store.faults import storing

_BUSY_SECONDS = 30

metadata = sa.MetaData()

meta = sa.Table("outlay_meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))

partitions = sa.Table(
    "outlay_partitions",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("period_start", sa.BigInteger, primary_key=True),
    sa.Column("period_end", sa.BigInteger, primary_key=True),
    sa.Column("zone", sa.Text, primary_key=True),
    sa.Column("batch_id", sa.Text),
    sa.Column("digest", sa.Text),
    sa.Column("endpoint", sa.Text),
    sa.Column("committed_at", sa.BigInteger),
    sa.Column("checked_at", sa.BigInteger),
    sa.Column("stale_since", sa.BigInteger),
    sa.Column("problem", sa.Text),
    sa.Column("tables", sa.Text, nullable=False),
    sa.Column("writing", sa.Boolean, nullable=False),
)

runs = sa.Table(
    "outlay_runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("began_at", sa.BigInteger, nullable=False),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("report", sa.Text),
)

leases = sa.Table(
    "outlay_leases",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

_KEY = ("connection", "dataset", "period_start", "period_end", "zone")


class Prior(msgspec.Struct, frozen=True, kw_only=True):
    """What a partition may hold already: its batch, the tables its rows lie in, whether a commit broke off."""

    batch_id: str | None
    tables: frozenset[str]
    writing: bool


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A partition whose last fetch failed, with or without an earlier truth that still stands."""

    partition: Partition
    problem: str
    since: datetime
    committed: bool


def micros(moment: datetime) -> int:
    """Return a moment in microseconds since 1970: both databases keep it exactly and sort it."""
    span = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def moment(value: int) -> datetime:
    """Return the moment of microseconds since 1970."""
    return datetime.fromtimestamp(value // 1_000_000, UTC).replace(microsecond=value % 1_000_000)


def engine(url: str) -> sa.Engine:
    """Return an engine for a state database, with SQLite in WAL mode and durable.

    Raises: ConfigError when the URL names no database Outlay can use.
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise ConfigError(
            "`state` is not a database URL", hint="Write sqlite:///PATH or postgresql+psycopg://…"
        ) from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigError(f"`state` cannot be kept in {parsed.get_backend_name()}", hint="Use SQLite or PostgreSQL.")
    if parsed.get_backend_name() == "sqlite":
        _private_file(Path(parsed.database or ""))
    try:
        made = sa.create_engine(parsed, pool_pre_ping=parsed.get_backend_name() == "postgresql")
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"`state` needs the package {error.name}", hint='Install it with: pip install "outlay[postgres]"'
        ) from None
    if parsed.get_backend_name() == "sqlite":
        sa.event.listen(made, "connect", _sqlite_connected)
        sa.event.listen(made, "begin", _sqlite_begun)
    return made


def _private_file(path: Path) -> None:
    with storing(f"opening {path}"):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its journal files the rights of the database file, so this one call covers them all.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        path.chmod(0o600)


def _sqlite_connected(connection: Any, _record: object) -> None:
    # The driver's own transactions begin late; BEGIN IMMEDIATE makes waiting for another writer the rule.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def _sqlite_begun(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


class State:
    """The state database of one ledger; every method is one transaction and may be called from any thread."""

    def __init__(self, made: sa.Engine, where: str) -> None:
        self.engine = made
        self.where = where

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction. Raises: StoreError."""
        with storing(f"writing {self.where}"), self.engine.begin() as connection:
            yield connection

    def read(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Return the rows of a query. Raises: StoreError."""
        with storing(f"reading {self.where}"), self.engine.connect() as connection:
            return connection.execute(query).all()

    def read_together(self, *queries: sa.Select[Any]) -> list[Sequence[sa.Row[Any]]]:
        """Return the rows of several queries, all as of one moment. Raises: StoreError."""
        # SQLite's transactions see one moment anyway; a server's would see a later one with each query.
        level = {"isolation_level": "REPEATABLE READ"} if self.engine.dialect.name == "postgresql" else {}
        with storing(f"reading {self.where}"), self.engine.connect().execution_options(**level) as connection:
            return [connection.execute(query).all() for query in queries]

    def _dialect(self) -> Any:
        # Only the dialect in use is loaded: the other one takes as long as a small commit.
        return importlib.import_module(f"sqlalchemy.dialects.{self.engine.dialect.name}")

    def upsert(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, or overwrite those with the same key."""
        if not rows:
            return
        dialect = self._dialect()
        statement = dialect.insert(table)
        keys = [column.name for column in table.primary_key]
        changed = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), list(rows))

    # ── partitions ───────────────────────────────────────────────────────────────────────────────────────────────

    def committed(self, connection: str, dataset: str | None) -> dict[Partition, Committed]:
        """Return every whole partition of a connection with what is known about its present batch."""
        query = sa.select(partitions).where(
            partitions.c.connection == connection, partitions.c.batch_id.is_not(None), ~partitions.c.writing
        )
        if dataset is not None:
            query = query.where(partitions.c.dataset == dataset)
        found = (_committed(row) for row in self.read(query.order_by(*(partitions.c[name] for name in _KEY))))
        return {known.partition: known for known in found}

    def prior(self, connection: str, of: Collection[Partition]) -> dict[Partition, Prior]:
        """Return what the partitions that lie between some may hold already, broken-off commits included.

        Those with names are among them wherever they lie: a list of names speaks of all that was ever listed.
        """
        first, end = min(each.period.start for each in of), max(each.period.end for each in of)
        between = sa.and_(partitions.c.period_start < micros(end), partitions.c.period_end > micros(first))
        query = sa.select(partitions).where(
            partitions.c.connection == connection,
            partitions.c.dataset.in_(sorted({each.dataset for each in of})),
            sa.or_(between, partitions.c.tables.contains("names")),
        )
        return {
            _partition(row): Prior(
                batch_id=row.batch_id,
                tables=frozenset(filter(None, row.tables.split(","))),
                writing=row.writing,
            )
            for row in self.read(query)
        }

    def mark_writing(self, tables: Mapping[Partition, frozenset[str]]) -> None:
        """Note before the first byte is written that partitions are about to change, and in which tables."""
        rows = [
            {**_key(partition), "tables": ",".join(sorted(names)), "writing": True}
            for partition, names in tables.items()
        ]
        with self.write() as connection:
            self.upsert(connection, partitions, rows)

    def finish(self, rows: Sequence[tuple[Committed, frozenset[str]]], dropped: Iterable[Partition]) -> None:
        """Note that partitions are whole again, and forget those that a wider one has taken in."""
        values = [
            {
                **_key(known.partition),
                "batch_id": known.batch_id,
                "digest": known.digest,
                "endpoint": known.endpoint,
                "committed_at": micros(known.committed_at),
                "checked_at": micros(known.checked_at),
                # A part of it was refused: what came is there, and nobody takes it for the whole.
                "stale_since": micros(known.committed_at) if known.lacks else None,
                "problem": known.lacks,
                "tables": ",".join(sorted(names)),
                "writing": False,
            }
            for known, names in rows
        ]
        with self.write() as connection:
            self.upsert(connection, partitions, values)
            for partition in dropped:
                connection.execute(sa.delete(partitions).where(_is(partition)))

    def checked(self, of: Iterable[Partition], at: datetime) -> None:
        """Note that the vendor confirmed partitions as they are; one that lacks a part goes on lacking it."""
        whole = sa.not_(partitions.c.digest.contains(LACKS))
        with self.write() as connection:
            for partition in of:
                same = _is(partition)
                connection.execute(sa.update(partitions).where(same).values(checked_at=micros(at)))
                connection.execute(sa.update(partitions).where(same, whole).values(stale_since=None, problem=None))

    def failed(self, of: Iterable[Partition], code: str, at: datetime) -> None:
        """Note that partitions could not be fetched; what was there stays and is stale since the first failure."""
        fresh = [{**_key(partition), "tables": "", "writing": False} for partition in of]
        dialect = self._dialect()
        with self.write() as connection:
            if fresh:
                connection.execute(dialect.insert(partitions).on_conflict_do_nothing(), fresh)
            for row in fresh:
                since = sa.func.coalesce(partitions.c.stale_since, micros(at))
                same = sa.and_(*(partitions.c[name] == row[name] for name in _KEY))
                connection.execute(sa.update(partitions).where(same).values(problem=code, stale_since=since))

    def troubles(self, connection: str | None) -> list[Trouble]:
        """Return the partitions whose last fetch failed."""
        query = sa.select(partitions).where(partitions.c.problem.is_not(None))
        if connection is not None:
            query = query.where(partitions.c.connection == connection)
        return [
            Trouble(
                partition=_partition(row),
                problem=row.problem,
                since=moment(row.stale_since),
                committed=row.batch_id is not None,
            )
            for row in self.read(query.order_by(*(partitions.c[name] for name in _KEY)))
        ]


def _key(partition: Partition) -> dict[str, Any]:
    return {
        "connection": partition.connection,
        "dataset": partition.dataset,
        "period_start": micros(partition.period.start),
        "period_end": micros(partition.period.end),
        "zone": partition.period.zone,
    }


def _is(partition: Partition) -> sa.ColumnElement[bool]:
    return sa.and_(*(partitions.c[name] == value for name, value in _key(partition).items()))


def _partition(row: sa.Row[Any]) -> Partition:
    return Partition(row.connection, row.dataset, Period(moment(row.period_start), moment(row.period_end), row.zone))


def _committed(row: sa.Row[Any]) -> Committed:
    return Committed(
        partition=_partition(row),
        batch_id=row.batch_id,
        digest=row.digest,
        endpoint=row.endpoint,
        committed_at=moment(row.committed_at),
        checked_at=moment(row.checked_at),
        stale_since=None if row.stale_since is None else moment(row.stale_since),
        problem=row.problem,
    )
