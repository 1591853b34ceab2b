"""Delta tables: one folder each, appended to or replaced by predicate in a single atomic commit."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from outlay.errors import LedgerVersionError, StoreError
from outlay.store.faults import RESTORE_HINT, said, storing
from outlay.store.rights import guard
from outlay.store.schema import VERSION, Kind, Table, tables

if TYPE_CHECKING:
    from arro3.core import Table as ArrowTable
    from deltalake import DeltaTable, WriterProperties

FILE_BYTES = 2 * 1024 * 1024
"""Files stay small, because a replace rewrites every file that holds a row it replaces."""

_ROW_GROUP = 16_384
_ATTEMPTS = 12
_CHECKPOINT_EVERY = 25
_VERSION_KEY = "outlay.schemaVersion"
_RETENTION = "interval 400 days"
_STORAGE_PREFIXES = ("AWS_", "AZURE_", "GOOGLE_")


class Tables:
    """Every Delta table below one root, opened when first asked for; safe to use from several threads."""

    def __init__(self, root: str, environ: Mapping[str, str] | None = None) -> None:
        self.local = local_path(root)
        self._root = str(self.local) if self.local else root.rstrip("/")
        environ = os.environ if environ is None else environ
        options = {name: value for name, value in environ.items() if name.startswith(_STORAGE_PREFIXES)}
        self._options = None if self.local else options
        self._open: dict[str, DeltaTable] = {}
        # Every worker of the Rust side keeps buffers of its own: one saves 20 MB and costs a commit no time.
        os.environ.setdefault("TOKIO_WORKER_THREADS", "1")
        self._locks = {name: threading.RLock() for name in tables()}

    def uri(self, name: str) -> str:
        """Return where a table lies."""
        return f"{self._root}/{name}"

    def get(self, name: str) -> DeltaTable | None:
        """Return a table at its latest version, or None where nothing was ever stored in it.

        Raises: StoreError, LedgerVersionError.
        """
        with self._locks[name], _reading(self.uri(name)):
            table = self._open.get(name)
            if table is None:
                table = self._load(name)
            else:
                table.update_incremental()
            if table is not None:
                self._open[name] = table
            return table

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[DeltaTable | None]:
        """Give a table at its latest version and keep this process's writers away from it meanwhile."""
        with self._locks[name]:
            yield self.get(name)

    def append(self, name: str, rows: ArrowTable) -> None:
        """Add rows to a table in one commit. Raises: StoreError."""
        if rows.num_rows:
            self._write(name, rows, predicate=None)

    def replace(self, name: str, rows: ArrowTable, predicate: str) -> None:
        """Put rows in the place of those a predicate selects, in one commit. Raises: StoreError."""
        self._write(name, rows, predicate=predicate)

    def select(self, name: str, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a small query over one table, called `t` in the SQL, without loading the query engine."""
        with self._locks[name]:
            table = self.get(name)
            if table is None:
                return []
            with _reading(self.uri(name)):
                return _rows(table, sql)

    def select_at(self, name: str, at: datetime, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query over one table, called `t` in the SQL, as it was at a moment.

        Null: no rows where files of that time are gone, as upkeep and backups leave them behind.
        Raises: StoreError.
        """
        from deltalake import DeltaTable

        if self.get(name) is None:
            return []
        with _reading(self.uri(name)):
            past = DeltaTable(self.uri(name), storage_options=self._options)
            past.load_as_version(at)
            if self.local and not all(Path(file).exists() for file in self._files(name, past)):
                return []
            return _rows(past, sql)

    def moment_after(self, name: str, version: int) -> datetime:
        """Return when the commit that followed a version was made, by the clock of the machine that made it."""
        with self.held(name) as table, _reading(self.uri(name)):
            assert table is not None
            commits = table.history(table.version() - version)
        milliseconds = next(commit["timestamp"] for commit in reversed(commits) if commit["version"] == version + 1)
        # Rounded up: the log keeps whole milliseconds, and the next commit of a table is many of them later.
        return datetime.fromtimestamp(milliseconds // 1000, UTC) + timedelta(milliseconds=milliseconds % 1000 + 1)

    def version(self, name: str) -> int:
        """Return how many commits a table has seen."""
        with self.held(name) as table:
            return 0 if table is None else table.version()

    def files(self, name: str) -> list[str]:
        """Return the files a table consists of: paths where the tables are local, else URLs."""
        with self.held(name) as table:
            return [] if table is None else self._files(name, table)

    def _files(self, name: str, table: DeltaTable) -> list[str]:
        uris = table.file_uris()
        if self.local is None:
            return uris
        # Only the table's own folder is escaped in these URIs; what follows is the path on the disk.
        length = len(table.table_uri.removeprefix("file://").rstrip("/")) + 1
        folder = self.local / name
        return [str(folder / uri.removeprefix("file://")[length:]) for uri in uris]

    def file_count(self, name: str) -> int:
        """Return of how many files a table consists."""
        return len(self.files(name))

    def small_files(self, name: str) -> int:
        """Return the most files any connection has in a table beyond those its size asks for."""
        with self.held(name) as table, _reading(self.uri(name)):
            if table is None:
                return 0
            actions = table.get_add_actions(flatten=True)
            sizes = zip(
                actions.column("partition.connection").to_pylist(),
                actions.column("size_bytes").to_pylist(),
                strict=True,
            )
            small: dict[str, int] = {}
            for connection, size in sizes:
                if size < FILE_BYTES // 2:
                    small[connection] = small.get(connection, 0) + 1
            return max(small.values(), default=0)

    def compact(self, name: str) -> None:
        """Merge a table's small files in one commit that changes no row. Raises: StoreError."""
        with self.held(name) as table, storing(f"compacting {name}"):
            if table is None:
                return
            from deltalake.exceptions import CommitFailedError

            before = table.version()
            try:
                table.optimize.compact(
                    target_size=FILE_BYTES * 2, max_concurrent_tasks=1, writer_properties=writer(tables()[name])
                )
                self._checkpoint(table)
            except CommitFailedError:
                # Somebody replaced these files meanwhile; the next upkeep finds what is left.
                self._open.pop(name, None)
                return
            self._guard(table, before + 1)

    def vacuum(self, name: str, hours: int) -> int:
        """Remove files that no snapshot of the last `hours` needs and return how many. Raises: StoreError."""
        with self.held(name) as table, storing(f"vacuuming {name}"):
            if table is None:
                return 0
            before = table.version()
            removed = table.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True)
            self._guard(table, before + 1)
            return len(removed)

    def _load(self, name: str) -> DeltaTable | None:
        from deltalake import DeltaTable

        if self.local and not _begun(self.local / name):
            return None
        if not self.local and not DeltaTable.is_deltatable(self.uri(name), self._options):
            return None
        table = DeltaTable(self.uri(name), storage_options=self._options)
        written = int(table.metadata().configuration.get(_VERSION_KEY) or 0)
        if written > VERSION:
            raise LedgerVersionError(f"the table {name} has version {written}; this Outlay knows up to {VERSION}")
        if written < VERSION:
            table = upgrade(table, tables()[name], self._options)
            self._guard(table, 0)
        return table

    def create(self, name: str) -> DeltaTable:
        """Return a table, created where it does not exist."""
        from deltalake import DeltaTable
        from deltalake.exceptions import CommitFailedError

        from outlay.store.columns import schema

        spec = tables()[name]
        if self.local:
            (self.local / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            table = DeltaTable.create(
                self.uri(name),
                schema(spec),
                mode="ignore",
                partition_by=["connection"],
                configuration=configuration(spec),
                storage_options=self._options,
                raise_if_key_not_exists=False,
            )
        except CommitFailedError:
            made = self.get(name)  # another process has made it at the same moment
            if made is None:
                raise
            return made
        self._guard(table, 0)
        return table

    def _write(self, name: str, rows: ArrowTable, *, predicate: str | None) -> None:
        from deltalake.exceptions import CommitFailedError

        with self._locks[name], storing(f"writing {name}"):
            for attempt in range(_ATTEMPTS):
                table = self.get(name) or self.create(name)
                self._open[name] = table
                before = table.version()
                try:
                    _commit(table, rows, predicate, writer(tables()[name]))
                except CommitFailedError:
                    # Another process replaced or compacted the same files; a replace may be done again at will.
                    self._open.pop(name, None)
                    if attempt == _ATTEMPTS - 1:
                        raise
                    continue
                except BaseException:
                    self._open.pop(name, None)
                    raise
                self._finish(table, before)
                return

    def _finish(self, table: DeltaTable, before: int) -> None:
        if table.version() // _CHECKPOINT_EVERY > before // _CHECKPOINT_EVERY:
            self._checkpoint(table)
        self._guard(table, before + 1)

    def _checkpoint(self, table: DeltaTable) -> None:
        table.create_checkpoint()
        folder = local_path(table.table_uri)
        if folder is not None:
            for made in (folder / "_delta_log").glob("*checkpoint*"):
                with contextlib.suppress(FileNotFoundError):  # what another process was writing has its name now
                    made.chmod(0o600)

    def _guard(self, table: DeltaTable, first: int) -> None:
        """Take the rights of others off every file that commits from `first` on have made."""
        folder = local_path(table.table_uri)
        if folder is not None:
            guard(folder, first, table.version())


def _begun(folder: Path) -> bool:
    """Tell whether a table is there: who is killed while making one leaves its log without a commit, and no data."""
    try:
        inside = {path.name for path in folder.iterdir()}
        return "_delta_log" in inside and (
            len(inside) > 1 or any(path.suffix in {".json", ".parquet"} for path in (folder / "_delta_log").iterdir())
        )
    except (FileNotFoundError, NotADirectoryError):
        return False


def _rows(table: DeltaTable, sql: str) -> list[dict[str, Any]]:
    from deltalake import QueryBuilder

    found = QueryBuilder().register("t", table).execute(sql).read_all()
    columns = {column: found.column(column).to_pylist() for column in found.column_names}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _commit(table: DeltaTable, rows: ArrowTable, predicate: str | None, properties: WriterProperties) -> None:
    from deltalake import write_deltalake

    if predicate is None:
        write_deltalake(table, rows, mode="append", target_file_size=FILE_BYTES, writer_properties=properties)
    else:
        write_deltalake(
            table,
            rows,
            mode="overwrite",
            predicate=predicate,
            target_file_size=FILE_BYTES,
            writer_properties=properties,
        )


def writer(spec: Table) -> WriterProperties:
    """Return how Parquet files are written: small row groups keep a commit's memory small.

    Of a body nobody asks for the least and the greatest: to keep them takes four times its size while it is written.
    """
    from deltalake import ColumnProperties, WriterProperties

    whole = ColumnProperties(statistics_enabled="NONE")
    return WriterProperties(
        compression="SNAPPY",
        max_row_group_size=_ROW_GROUP,
        column_properties={column.name: whole for column in spec.columns if column.kind is Kind.BODY},
    )


def configuration(spec: Table) -> dict[str, str | None]:
    """Return the properties a table is created with."""
    return {
        "delta.deletedFileRetentionDuration": _RETENTION,
        "delta.logRetentionDuration": _RETENTION,
        "delta.dataSkippingStatsColumns": spec.stats,
        _VERSION_KEY: str(VERSION),
    }


def upgrade(table: DeltaTable, spec: Table, options: dict[str, str] | None) -> DeltaTable:
    """Write an older table again in its present shape, in one commit; a column it lacks is null.

    Raises: StoreError.
    """
    from deltalake import DeltaTable, QueryBuilder, write_deltalake

    have = {field.name for field in table.schema().fields}
    parts = [
        f'"{column.name}"'
        if column.name in have
        else f"arrow_cast(NULL, '{_ARROW_NAMES[column.kind]}') AS \"{column.name}\""
        for column in spec.columns
    ]
    reader = QueryBuilder().register("t", table).execute(f"SELECT {', '.join(parts)} FROM t")
    write_deltalake(
        table,
        reader,
        mode="overwrite",
        schema_mode="overwrite",
        target_file_size=FILE_BYTES,
        writer_properties=writer(spec),
        storage_options=options,
    )
    table.alter.set_table_properties(
        {key: value or "" for key, value in configuration(spec).items()}, raise_if_not_exists=False
    )
    return DeltaTable(table.table_uri, storage_options=options)


_ARROW_NAMES = {
    Kind.TEXT: "Utf8",
    Kind.NUMBER: "Decimal128(38, 18)",
    Kind.MOMENT: 'Timestamp(Microsecond, Some("UTC"))',
    Kind.COUNT: "Int64",
    Kind.FLAG: "Boolean",
    Kind.BODY: "Binary",
}


@contextlib.contextmanager
def _reading(uri: str) -> Iterator[None]:
    with storing(f"reading {uri}"):
        try:
            yield
        except StoreError:
            raise
        except Exception as error:
            # The Rust side reports a torn log under bare exception types.
            if type(error).__module__ not in ("builtins", "_internal") or isinstance(error, OSError):
                raise
            raise StoreError(f"reading {uri}: {said(error)}", hint=RESTORE_HINT) from error


def local_path(root: str) -> Path | None:
    """Return the folder a root names, or None when it is an object store's URL."""
    parts = urlsplit(root)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if "://" in root else Path(root)


def quoted(text: str) -> str:
    """Return text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def any_of(conditions: Sequence[str]) -> str:
    """Return conditions joined by OR, in brackets."""
    return "(" + " OR ".join(conditions) + ")"
