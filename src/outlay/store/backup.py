"""Backups: a copy of one snapshot of every table and of the state, taken while others go on writing."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from outlay.errors import StoreError
from outlay.store.delta import Tables
from outlay.store.faults import storing
from outlay.store.rights import guard_tree
from outlay.store.schema import tables

if TYPE_CHECKING:
    from outlay.store.state import State


def backup(store: Tables, state: State, to: Path) -> None:
    """Copy the ledger as it is now into an empty folder.

    The state is copied first: partitions that change between the two copies are in it as they were, and where that
    differs from the tables, `restore` builds the partitions again from the record of batches.

    Raises: StoreError when the tables are in an object store, the folder is not empty, or a copy fails.
    """
    if store.local is None:
        raise StoreError(
            "tables in an object store are not copied by Outlay",
            hint="Use the store's own versioning or replication; each table is one folder.",
        )
    if to.exists() and any(to.iterdir()):
        raise StoreError(f"{to} is not empty", hint="Name a new or an empty folder.")
    with storing(f"writing {to}"):
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        if state.engine.dialect.name == "sqlite":
            _copy_sqlite(Path(str(state.engine.url.database)), to / "state.sqlite")
        for name in tables():
            _copy_table(store, name, to / "ledger" / name)
        guard_tree(to)


def _copy_sqlite(source: Path, target: Path) -> None:
    origin, copy = sqlite3.connect(source), sqlite3.connect(target)
    try:
        origin.backup(copy)
        # A restored state must be compared with its tables before it is believed.
        copy.execute("DELETE FROM outlay_meta WHERE key = 'batches_table_id'")
        copy.execute("DELETE FROM outlay_leases")
        copy.commit()
    finally:
        copy.close()
        origin.close()


def _copy_table(store: Tables, name: str, to: Path) -> None:
    with store.held(name) as table:
        if table is None or store.local is None:
            return
        version = table.version()
        files = [Path(file) for file in store.files(name)]
    folder = store.local / name
    (to / "_delta_log").mkdir(mode=0o700, parents=True)
    for file in files:
        # Times are copied too, because the past is looked up by them.
        # Data files are never changed once written, and vacuum keeps them for the retention, so a plain copy is whole.
        target = to / file.relative_to(folder)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(file, target)
    for entry in sorted((folder / "_delta_log").iterdir()):
        number = entry.name.split(".")[0]
        # What a writer is still writing has a `#` in its name, and may be gone the next moment.
        if number.isdigit() and int(number) <= version and "#" not in entry.name:
            shutil.copy2(entry, to / "_delta_log" / entry.name)


def restore(source: Path, home: Path) -> None:
    """Put a backup in place as the ledger of a home folder that has none.

    Raises: StoreError when the source is no backup or the home already has a ledger.
    """
    if not (source / "ledger").is_dir():
        raise StoreError(f"{source} is no backup of a ledger", hint="Name the folder that `backup` wrote.")
    for taken in (home / "ledger", home / "state.sqlite"):
        if taken.exists():
            raise StoreError(f"{taken} exists already", hint="Move it away first, or restore into another --home.")
    with storing(f"writing {home}"):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        half = home / "ledger.restoring"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(source / "ledger", half)
        guard_tree(half)
        if (source / "state.sqlite").exists():
            shutil.copyfile(source / "state.sqlite", home / "state.sqlite")
            (home / "state.sqlite").chmod(0o600)
        # The rename comes last: a restore that breaks off leaves no ledger rather than half of one.
        half.rename(home / "ledger")
