"""The same state in a PostgreSQL server: a real one, started for these tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from outlay.errors import LedgerBusyError, LedgerVersionError
from outlay.store import Ledger
from outlay.store.version import TABLE
from store.making import ACCOUNT, NOW, clock, costs, first_version, opened

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Start a server and say how to reach it."""
    if not BINARIES:
        pytest.skip("no PostgreSQL server is installed")
    pytest.importorskip("psycopg", reason="the postgres extra is not installed")
    # Not below pytest's own folder, which only its user may enter: the server runs as another one.
    folder = Path(tempfile.mkdtemp(prefix="outlay-"))
    try:
        as_user: list[str] = []
        if os.geteuid() == 0:
            runuser = shutil.which("runuser")
            if runuser is None:
                pytest.skip("PostgreSQL refuses to run as root and there is no runuser")
            as_user = [runuser, "-u", "nobody", "--"]
            shutil.chown(folder, "nobody")
        yield from _running(folder, as_user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _running(folder: Path, as_user: list[str]) -> Iterator[str]:
    bin_, data = BINARIES[-1].parent, folder / "data"

    def run(*command: str) -> None:
        with (folder / "said").open("ab") as said:
            done = subprocess.run([*as_user, *command], check=False, cwd="/", stdout=said, stderr=said)
        assert done.returncode == 0, (folder / "said").read_text()

    run(str(bin_ / "initdb"), "-D", str(data), "-U", "outlay", "-A", "trust")
    # It listens in its folder alone: a port that is free now may be another's in a moment.
    options = f"-k {folder} -c listen_addresses='' -c fsync=off"
    run(str(bin_ / "pg_ctl"), "-D", str(data), "-w", "-t", "600", "-o", options, "start")
    try:
        yield f"host={folder} user=outlay dbname=postgres"
    finally:
        run(str(bin_ / "pg_ctl"), "-D", str(data), "-w", "-t", "600", "-m", "immediate", "stop")


@pytest.fixture
def database(server: str) -> str:
    """Make a database of its own for one test and return its URL."""
    import psycopg

    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        folder = connection.info.host
    return f"postgresql+psycopg://outlay@/{name}?host={folder}"


def test_the_state_may_live_in_postgresql(home: Path, database: str) -> None:
    """Commits, restatements, failures, leases, runs and versions work as they do with SQLite."""
    with opened(home, state=database) as ledger:
        ledger.commit(ACCOUNT, first_version())
        ledger.commit(ACCOUNT, [costs(0, 2)])
        partition = costs(0, 2).partition
        ledger.failed([partition, costs(9, 1).partition], "retry_later", NOW)
        assert ledger.committed("alpha")[partition].problem == "retry_later"
        assert len(ledger.troubles()) == 2
        ledger.checked([partition], NOW + timedelta(hours=1))
        ledger.end_run(ledger.begin_run(), "{}")
        assert ledger.last_runs()[0].report == "{}"
        with opened(home, state=database) as other, ledger.lease("alpha", 60):
            assert len(other.committed("alpha")) == 3
            with pytest.raises(LedgerBusyError), other.lease("alpha", 60):
                pass
        with Ledger.open(home, state=database, clock=clock) as third, third.lease("alpha", 60):
            pass
        assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(12,)]
        assert ledger.verify().problems == ()
    assert not (home / "state.sqlite").exists()


def test_another_ledger_does_not_inherit_the_partitions(tmp_path: Path, database: str) -> None:
    """A state that belongs to other tables is built again, so nothing counts as committed that is not there."""
    with opened(tmp_path / "one", state=database) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
    with opened(tmp_path / "two", state=database) as ledger:
        assert ledger.committed("alpha") == {}
        ledger.commit(ACCOUNT, [costs(1, 5)])
        assert list(ledger.committed("alpha")) == [costs(1, 5).partition]


def test_a_newer_server_state_is_refused(home: Path, database: str) -> None:
    """A state database of a later Outlay is not touched."""
    with opened(home, state=database) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
    engine = sa.create_engine(database)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {TABLE} SET version_num = '9999'")
    engine.dispose()
    with opened(home, state=database) as ledger, pytest.raises(LedgerVersionError, match="9999"):
        ledger.committed("alpha")
