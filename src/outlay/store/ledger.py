"""The ledger as the rest of Outlay sees it: one object, safe to use from several threads, heavy parts loaded late."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from outlay.clock import Clock
from outlay.errors import StoreError
from outlay.model.batch import Account, Batch, Committed, Partition, Payload
from outlay.model.facts import Name
from outlay.store.delta import Tables, local_path, quoted
from outlay.store.faults import storing
from outlay.store.query import Reader, Result
from outlay.store.version import check_state

if TYPE_CHECKING:
    from outlay.store.history import Change, Recorded
    from outlay.store.lease import Lease
    from outlay.store.runs import Run
    from outlay.store.standing import Standing
    from outlay.store.state import State, Trouble
    from outlay.store.upkeep import Maintained, Verified


class Ledger:
    """Facts, batches and payloads in tables; what is going on in a state database."""

    def __init__(self, home: Path, store: Tables, state_url: str, clock: Clock) -> None:
        self.home = home
        self.tables = store
        self._state_url = state_url
        self._clock = clock
        self._state: State | None = None
        self._reader: Reader | None = None
        self._lock = threading.RLock()

    @classmethod
    def open(
        cls,
        home: Path,
        *,
        store: str | None = None,
        state: str | None = None,
        clock: Clock,
        create: bool = True,
    ) -> Self:
        """Open the ledger of a home folder, and make it where there is none yet.

        Raises: StoreError, LedgerVersionError.
        """
        root = store or str(home / "ledger")
        folder = local_path(root)
        if not create and folder is not None and not folder.is_dir():
            raise StoreError(f"there is no ledger at {folder}", hint="Run `outlay sync` first, or name its --home.")
        with storing(f"opening {home}"):
            for private in (home, folder):
                if private is not None:
                    private.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder is not None and not store:
                folder.chmod(0o700)
        url = state or f"sqlite:///{home / 'state.sqlite'}"
        check_state(url)
        return cls(home, Tables(root), url, clock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the query engine and of the state database."""
        with self._lock:
            if self._reader is not None:
                self._reader.close()
            if self._state is not None:
                self._state.close()
            self._reader = self._state = None

    @property
    def state(self) -> State:
        """The state database, opened when first asked for."""
        with self._lock:
            if self._state is None:
                from outlay.store.rebuild import opened

                self._state = opened(self._state_url, self.tables)
            return self._state

    @property
    def reader(self) -> Reader:
        """The query engine, loaded when first asked for."""
        with self._lock:
            if self._reader is None:
                self._reader = Reader(self.tables, self.home / "spill")
            return self._reader

    # ── partitions ───────────────────────────────────────────────────────────────────────────────────────────────

    def committed(self, connection: str, dataset: str | None = None) -> dict[Partition, Committed]:
        """Return every partition that holds a whole batch; one whose commit broke off is not among them."""
        return self.state.committed(connection, dataset)

    def commit(self, account: Account, batches: Sequence[Batch], payloads: Sequence[Payload] = ()) -> None:
        """Put batches in the place of whatever their partitions held.

        Raises: StoreError; BugError when a batch is of another connection or two are of one partition.
        """
        from outlay.store.commit import commit

        commit(self.tables, self.state, account, batches, payloads, self._clock())

    def checked(self, partitions: Iterable[Partition], at: datetime) -> None:
        """Note that the vendor confirmed partitions unchanged."""
        self.state.checked(partitions, at)

    def failed(self, partitions: Iterable[Partition], code: str, at: datetime) -> None:
        """Note that partitions could not be fetched; what they hold stays and is stale."""
        self.state.failed(partitions, code, at)

    def troubles(self, connection: str | None = None) -> list[Trouble]:
        """Return the partitions whose last fetch failed, those that hold nothing yet included."""
        return self.state.troubles(connection)

    def mark(self, connection: str, dataset: str) -> str | None:
        """Return how far a vendor has told the changes of a dataset, in its provider's own words."""
        from outlay.store.marks import mark

        return mark(self.state, connection, dataset)

    def note_mark(self, connection: str, dataset: str, text: str, at: datetime) -> None:
        """Note how far a vendor has told, once everything up to there is committed."""
        from outlay.store.marks import note

        note(self.state, connection, dataset, text, at)

    def standing(self) -> list[Standing]:
        """Return what is known of every partition, by connection, dataset and start. Raises: StoreError."""
        from outlay.store.standing import standing

        return standing(self._state_url, self.tables, lambda: self.state)

    def lease(self, connection: str, ttl: timedelta | float) -> Lease:
        """Hold a connection against other syncs; it is renewed meanwhile and given back at the end.

        Units: seconds where `ttl` is a number.
        Raises: LedgerBusyError.
        """
        from outlay.store.lease import Lease

        span = ttl if isinstance(ttl, timedelta) else timedelta(seconds=ttl)
        return Lease(self.state, connection, span, self._clock)

    # ── what was kept ────────────────────────────────────────────────────────────────────────────────────────────

    def names(self, connection: str | None = None, kind: str | None = None) -> list[Name]:
        """Return what ids are called, deleted ones included, ordered by connection, kind and id."""
        wanted = [("connection", connection), ("kind", kind)]
        where = " AND ".join(f"{column} = {quoted(value)}" for column, value in wanted if value is not None) or "true"
        fields = Name.__struct_fields__
        found = self.tables.select(
            "names",
            f"SELECT {', '.join(fields)} FROM t WHERE {where} ORDER BY connection, kind, id, observed_at",
        )
        return [Name(**row) for row in found]

    def payloads(self, fetch_id: str) -> Iterator[Payload]:
        """Yield the answers of one fetch in the order of their items, windows and pages."""
        from outlay.store.history import payload

        order = "item, window_start, page_number"
        sql = f"SELECT * FROM t WHERE fetch_id = {quoted(fetch_id)} ORDER BY {order}"
        yield from (payload(row) for row in self.tables.select("payloads", sql))

    def batches(
        self, connection: str | None = None, dataset: str | None = None, *, current: bool = False
    ) -> list[Recorded]:
        """Return the record of every batch in the order of commit, or only those that stand."""
        from outlay.store.history import recorded

        return recorded(self.reader, connection, dataset, current=current)

    def history(self, connection: str | None = None, day: date | None = None) -> list[Change]:
        """Return how committed numbers changed: the first batch of a partition is no change, a restated one is."""
        from outlay.store.history import changes

        return changes(self.reader, connection, day)

    def superseded(self, batch_id: str, table: str = "charges") -> Result:
        """Return the facts of any batch, also of one that was superseded, while its files are kept."""
        from outlay.store.travel import facts_of

        return facts_of(self.tables, batch_id, table)

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin_run(self, command: str = "sync") -> str:
        """Note that a run begins and return its id."""
        from outlay.store.runs import begin

        return begin(self.state, command, self._clock())

    def end_run(self, run_id: str, report_json: str) -> None:
        """Note how a run ended."""
        from outlay.store.runs import end

        end(self.state, run_id, report_json, self._clock())

    def last_runs(self, count: int = 10) -> list[Run]:
        """Return the latest runs, newest first; one without an end is running or died."""
        from outlay.store.runs import last

        return last(self.state, count)

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Result:
        """Return the rows of a query over the views, as of the latest commit.

        Raises: StoreError.
        """
        return self.reader.query(sql, parameters)

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the result of a query as an Arrow table, without pyarrow.

        Raises: StoreError.
        """
        return self.reader.arrow(sql, parameters)

    @contextmanager
    def snapshot(self) -> Iterator[Reader]:
        """Give a reader whose queries all see the same commit of every table."""
        with self.reader.pinned() as reader:
            yield reader

    def user_sql(self, sql: str, *, rows_max: int | None = None, seconds: float | None = None) -> Result:
        """Return the rows of a query that a user typed: one SELECT, on the views and on nothing else.

        Raises: ConfigError when it is anything else or is wrong.
        """
        from outlay.store.sandbox import run

        return run(self.tables, self.home / "spill", sql, rows_max=rows_max, seconds=seconds)

    # ── upkeep ───────────────────────────────────────────────────────────────────────────────────────────────────

    def maintain(self, *, keep_days: int = 400) -> Maintained:
        """Merge small files and remove what no snapshot within `keep_days` needs."""
        from outlay.store.upkeep import maintain

        return maintain(self.tables, keep_days)

    def maintain_if_needed(self) -> bool:
        """Merge small files of the tables that have too many; cheap when there are none."""
        from outlay.store.upkeep import maintain_if_needed

        return maintain_if_needed(self.tables)

    def verify(self) -> Verified:
        """Read every file of the present snapshot and compare its rows with the record of batches."""
        from outlay.store.upkeep import verify

        return verify(self.tables, self.reader, self.state)

    def rebuild(self) -> int:
        """Build what the state database knows of partitions again from the tables; return how many there are.

        Raises: StoreError.
        """
        from outlay.store.rebuild import rebuild

        return rebuild(self.state, self.tables)

    def backup(self, to: Path) -> None:
        """Copy the ledger as it is now into an empty folder, while others go on writing.

        Raises: StoreError.
        """
        from outlay.store.backup import backup

        backup(self.tables, self.state, to)

    @staticmethod
    def restore(source: Path, home: Path) -> None:
        """Put a backup in place as the ledger of a home folder that has none.

        Raises: StoreError.
        """
        from outlay.store.backup import restore

        restore(source, home)
