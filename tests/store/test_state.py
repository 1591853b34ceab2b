from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from outlay.errors import ConfigError, LedgerBusyError, LedgerVersionError, StoreError
from outlay.model.period import Period
from outlay.store import Ledger
from outlay.store.migrations import upgrade
from outlay.store.state import metadata
from outlay.store.version import HEAD, TABLE
from store.making import ACCOUNT, FIRST, NOW, batch, clock, costs, hold_lease, hold_lease_and_die, opened, processes

LATER = NOW + timedelta(hours=2)


def test_checked_and_failed_are_remembered(ledger: Ledger) -> None:
    """A failure marks what stands as stale since its first day; a confirmation takes the mark away."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    partition = costs(0, 1).partition
    ledger.failed([partition, costs(1, 1).partition], "retry_later", NOW)
    ledger.failed([partition], "access_denied", LATER)
    known = ledger.committed("alpha")
    assert list(known) == [partition]
    assert (known[partition].stale_since, known[partition].problem) == (NOW, "access_denied")
    assert [(one.problem, one.since, one.committed) for one in ledger.troubles("alpha")] == [
        ("access_denied", NOW, True),
        ("retry_later", NOW, False),
    ]
    ledger.checked([partition], LATER)
    known = ledger.committed("alpha")
    assert (known[partition].checked_at, known[partition].stale_since) == (LATER, None)
    assert [one.partition for one in ledger.troubles()] == [costs(1, 1).partition]
    ledger.commit(ACCOUNT, [costs(1, 1)])
    assert ledger.troubles() == []
    assert ledger.query("SELECT count(*) FROM charges").rows == [(6,)]


def test_a_commit_looks_at_the_partitions_it_can_touch(ledger: Ledger) -> None:
    """Days of long ago are not read for a day of today; a partition of another cut that covers it is."""
    ledger.commit(ACCOUNT, [costs(0, 1), costs(1, 1), costs(40, 1)])
    week = batch(Period.of_days(FIRST + timedelta(days=70), FIRST + timedelta(days=77)), [], "week")
    ledger.commit(ACCOUNT, [week])
    read = [set(ledger.state.prior("alpha", [costs(number, 2).partition])) for number in (1, 39, 72)]
    assert read == [{costs(1, 1).partition}, set(), {week.partition}]


def test_runs_are_told_newest_first(home: Path) -> None:
    """A run has an end and a report only once it ended."""
    moments = iter([NOW, LATER, LATER])
    with Ledger.open(home, clock=lambda: next(moments)) as ledger:
        first = ledger.begin_run()
        second = ledger.begin_run("import")
        ledger.end_run(first, '{"ok": true}')
        newest, oldest = ledger.last_runs()
    assert (newest.run_id, newest.command, newest.ended_at) == (second, "import", None)
    assert (oldest.began_at, oldest.ended_at, oldest.report) == (NOW, LATER, '{"ok": true}')


def test_a_connection_is_held_by_one(home: Path, ledger: Ledger) -> None:
    """While a lease is held another one is refused, for other connections it is not, and afterwards it is free."""
    with opened(home) as other, ledger.lease("alpha", 60):
        with other.lease("beta", timedelta(seconds=60)):
            pass
        with pytest.raises(LedgerBusyError, match="alpha is being synced"), other.lease("alpha", 60):
            pass
    with ledger.lease("alpha", 60):
        pass


def test_an_expired_lease_is_taken_over(home: Path, ledger: Ledger) -> None:
    """A lease that was not renewed in time belongs to the next who asks, and its first owner learns of it."""
    with ledger.lease("alpha", 60) as first:
        with Ledger.open(home, clock=lambda: NOW + timedelta(seconds=61)) as other, other.lease("alpha", 60):
            first.renew()
            assert first.lost
        first.renew()
        assert first.lost


def test_a_renewed_lease_lasts(home: Path) -> None:
    """A renewal counts from the moment it is made."""
    moments = [NOW]
    with Ledger.open(home, clock=lambda: moments[-1]) as ledger, ledger.lease("alpha", 60) as held:
        moments.append(NOW + timedelta(seconds=50))
        held.renew()
        moments.append(NOW + timedelta(seconds=100))
        with opened(home) as other, pytest.raises(LedgerBusyError), other.lease("alpha", 60):
            pass
        assert not held.lost


def test_leases_hold_across_processes(home: Path) -> None:
    """A lease held by another process is respected, and that of a process which was killed is not."""
    context = processes()
    held, let_go = context.Event(), context.Event()
    child = context.Process(target=hold_lease, args=(str(home), held, let_go))
    child.start()
    assert held.wait(600)
    with opened(home) as ledger:
        with pytest.raises(LedgerBusyError, match=f"process {child.pid}"), ledger.lease("alpha", 60):
            pass
        let_go.set()
        child.join()
        with ledger.lease("alpha", 60):
            pass
        dying = context.Process(target=hold_lease_and_die, args=(str(home),))
        dying.start()
        dying.join()
        assert dying.exitcode == -9
        with ledger.lease("alpha", 60):
            pass


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _shape(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    inspector = sa.inspect(engine)
    return {
        table: [
            (column["name"], str(column["type"]), bool(column["nullable"]), column.get("primary_key"))
            for column in inspector.get_columns(table)
        ]
        for table in sorted(inspector.get_table_names())
        if table != TABLE
    }


def test_migrations_end_where_the_schema_is(tmp_path: Path) -> None:
    """A database made by all migrations and one made at once have the same tables."""
    migrated, made = (sa.create_engine(f"sqlite:///{tmp_path / name}") for name in ("migrated", "made"))
    upgrade(migrated)
    metadata.create_all(made)
    assert _shape(migrated) == _shape(made)
    with migrated.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT version_num FROM {TABLE}").scalar() == HEAD
    migrated.dispose()
    made.dispose()


def _set_version(home: Path, version: str | None) -> None:
    with sqlite3.connect(home / "state.sqlite") as connection:
        connection.execute(f"DELETE FROM {TABLE}")
        if version:
            connection.execute(f"INSERT INTO {TABLE} VALUES (?)", (version,))
    connection.close()


def test_an_older_state_is_upgraded(home: Path) -> None:
    """A state database whose creation broke off is brought to the present version and keeps what it holds."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
    _set_version(home, None)
    with opened(home) as ledger:
        assert len(ledger.committed("alpha")) == 1
    with sqlite3.connect(home / "state.sqlite") as connection:
        assert connection.execute(f"SELECT version_num FROM {TABLE}").fetchall() == [(HEAD,)]
    connection.close()


def test_a_newer_state_is_refused(home: Path) -> None:
    """A state database of a later Outlay is left alone when the ledger is opened."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
    _set_version(home, "9999")
    with pytest.raises(LedgerVersionError, match="9999"):
        opened(home)


def test_a_database_that_cannot_be_used_is_a_setting(tmp_path: Path) -> None:
    """A wrong URL, another kind of database and a missing driver are errors of the configuration."""
    for url in ("not a url", "mysql://localhost/x"):
        with opened(tmp_path / "home", state=url) as ledger, pytest.raises(ConfigError, match="state"):
            ledger.committed("alpha")


def test_a_ledger_that_must_exist_is_not_made(tmp_path: Path) -> None:
    """Reading commands do not create a ledger where there is none."""
    with pytest.raises(StoreError, match="no ledger"):
        Ledger.open(tmp_path / "none", clock=clock, create=False)
    assert not (tmp_path / "none").exists()
