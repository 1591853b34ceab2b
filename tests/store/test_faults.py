"""Disks that are full, folders that are closed, files that are broken: always a StoreError that says what to do."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outlay.errors import StoreError
from outlay.store import Ledger
from store.making import ACCOUNT, clock, costs, opened, truth


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "cannot be written"), (errno.EIO, "Input/output error")],
)
def test_a_write_that_fails_keeps_the_old_truth(
    home: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    """Whatever the disk says, the error is ours, the old facts stand, and the next commit repairs the rest."""
    import deltalake

    ledger.commit(ACCOUNT, [costs(0, 1), costs(1, 1)])
    before = truth(ledger)

    def failing(*_args: Any, **_options: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(deltalake, "write_deltalake", failing)
        with pytest.raises(StoreError, match=says) as caught:
            ledger.commit(ACCOUNT, [costs(0, 2)])
    assert caught.value.hint
    assert truth(ledger) == before
    with opened(home) as again:
        assert len(again.committed("alpha")) == 1
        again.commit(ACCOUNT, [costs(0, 2)])
        assert again.verify().problems == ()
        assert len(again.committed("alpha")) == 2


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of a few hundred kilobytes."""
    mount, where = shutil.which("mount"), tmp_path / "tiny"
    where.mkdir()
    command = [str(mount), "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(where)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield where
    subprocess.run([str(shutil.which("umount")), str(where)], check=True, capture_output=True)


def test_a_disk_that_really_fills_up(tiny_disk: Path) -> None:
    """On a disk without room the commit fails as a whole and what was committed can still be read."""
    with opened(tiny_disk / "home") as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
        filler = tiny_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"x" * 1_000_000)
        with pytest.raises(StoreError, match="disk is full"):
            ledger.commit(ACCOUNT, [costs(1, 2, rows=500)])
        filler.unlink()
    with opened(tiny_disk / "home") as ledger:
        ledger.commit(ACCOUNT, [costs(1, 2)])
        assert [row[5] for row in truth(ledger)] == [1, 1, 1, 2, 2, 2]
        assert ledger.verify().problems == ()


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    """A file where the folder should be is named, with what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="opening"):
        opened(tmp_path / "file" / "home")


def test_a_torn_log_is_named(home: Path) -> None:
    """A log entry that is no JSON stops every reader with the table's name and the way back."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
    entry = max((home / "ledger" / "charges" / "_delta_log").glob("*.json"))
    entry.write_bytes(entry.read_bytes()[:50] + b"\n{torn")
    with opened(home) as ledger:
        for broken in (lambda: truth(ledger), lambda: ledger.commit(ACCOUNT, [costs(0, 2)])):
            with pytest.raises(StoreError, match="charges") as caught:
                broken()
            assert "backup" in caught.value.hint


def test_a_missing_file_is_named(home: Path) -> None:
    """A data file that is gone is an error and never a smaller sum."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
        next(home.glob("ledger/charges/connection=*/*.parquet")).unlink()
        with pytest.raises(StoreError, match="parquet") as caught:
            truth(ledger)
        assert "backup" in caught.value.hint


def test_a_broken_state_is_named(home: Path) -> None:
    """A state database that is no database is refused when the ledger is opened."""
    home.mkdir()
    (home / "state.sqlite").write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreError, match=r"state\.sqlite") as caught:
        opened(home)
    assert caught.value.hint


def test_a_state_that_breaks_while_open_is_named(home: Path, ledger: Ledger) -> None:
    """A state table that vanishes is an error of the store, not of the database library."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    with sqlite3.connect(home / "state.sqlite") as connection:
        connection.execute("DROP TABLE outlay_partitions")
    connection.close()
    with pytest.raises(StoreError, match="state database"):
        ledger.committed("alpha")


def test_bugs_pass_the_fence(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that no storage library raised stays what it is."""
    import deltalake

    def failing(*_args: Any, **_options: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(deltalake, "write_deltalake", failing)
    with pytest.raises(ZeroDivisionError):
        ledger.commit(ACCOUNT, [costs(0, 1)])


def test_opening_needs_no_heavy_library(home: Path) -> None:
    """Opening a ledger and reading what is committed loads neither the query engine nor the migrations."""
    code = (
        "import sys; from pathlib import Path; from store.making import opened, costs, ACCOUNT\n"
        f"home = Path({str(home)!r})\n"
        "with opened(home) as ledger:\n"
        "    assert not {'sqlalchemy', 'duckdb', 'deltalake', 'alembic'} & set(sys.modules), 'opening'\n"
        "    ledger.commit(ACCOUNT, [costs(0, 1)]); ledger.committed('alpha'); ledger.names()\n"
        "    assert not {'duckdb', 'alembic', 'pyarrow'} & set(sys.modules), 'committing'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, env=_environment(), text=True)
    assert done.returncode == 0, done.stderr


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_the_clock_is_asked_once_a_commit(home: Path) -> None:
    """All batches of one commit have one time."""
    with Ledger.open(home, clock=clock) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1), costs(1, 1)])
        assert len({batch.committed_at for batch in ledger.batches()}) == 1
