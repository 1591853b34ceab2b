"""Which version a state database has, told without loading SQLAlchemy where it is SQLite."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import unquote

from outlay.errors import LedgerVersionError
from outlay.store.faults import RESTORE_HINT, storing

HEAD = "0004"
"""The newest migration in `outlay.store.migrations`."""
TABLE = "outlay_version"


def check_state(url: str) -> None:
    """Refuse a state database that a later Outlay wrote; one that a server keeps is asked when it is first used.

    Raises: LedgerVersionError, StoreError.
    """
    path = sqlite_path(url)
    if path is None:
        return
    with storing(f"opening {path}", hint=RESTORE_HINT):
        if not path.exists():
            return
        with sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True) as connection:
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (TABLE,)).fetchone()
            row = connection.execute(f"SELECT version_num FROM {TABLE}").fetchone() if known else None
        connection.close()
    if row:
        refuse_newer(row[0], str(path))


def sqlite_path(url: str) -> Path | None:
    """Return the file of a SQLite URL, None where a server keeps the database."""
    return Path(unquote(url.removeprefix("sqlite:///"))) if url.startswith("sqlite:///") else None


def refuse_newer(version: str, where: str) -> None:
    """Raise when a version is later than this Outlay knows. Raises: LedgerVersionError."""
    if version > HEAD:
        raise LedgerVersionError(f"{where} has version {version}; this Outlay knows up to {HEAD}")
