"""The one fence around the storage libraries: what they raise becomes a `StoreError` that names what and what to do."""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from outlay.errors import StoreError

RESTORE_HINT = "Restore the ledger from a backup (`outlay maintain restore`), or sync again into a fresh home."
_LIBRARY_ERRORS = (
    ("deltalake.exceptions", "DeltaError"),
    ("deltalake.exceptions", "TableNotFoundError"),
    ("sqlalchemy.exc", "SQLAlchemyError"),
    ("sqlite3", "Error"),
    ("duckdb", "Error"),
)
_TRACE = re.compile(r"\s*(?:stack )?backtrace\b|\s0: ", re.IGNORECASE)
_FULL = ("no space left", "disk is full", "os error 28", "database or disk is full")
_DENIED = ("permission denied", "read-only", "readonly", "os error 13", "os error 30", "unable to open database")


@contextmanager
def storing(what: str, *, hint: str | None = None) -> Iterator[None]:
    """Raise what the storage libraries say about `what` as a StoreError.

    Raises: StoreError.
    """
    try:
        yield
    except _storage_errors() as error:
        raise _told(what, error, hint) from error


def _storage_errors() -> tuple[type[BaseException], ...]:
    # Looked up in what is loaded already: a fence must not be the reason for loading an engine.
    loaded = ((sys.modules.get(module), name) for module, name in _LIBRARY_ERRORS)
    return (OSError, *(getattr(module, name) for module, name in loaded if module is not None))


def said(error: BaseException) -> str:
    """Return a library's message in one line, without the stack trace that the Rust side appends."""
    return _TRACE.split(" ".join(str(error).split()))[0][:300]


def _told(what: str, error: BaseException, hint: str | None) -> StoreError:
    says = said(error)
    lowered = says.lower()
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT) or any(mark in lowered for mark in _FULL):
        return StoreError(
            f"{what}: the disk is full",
            hint="Free some space and run the command again; what was committed before is intact.",
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS) or any(mark in lowered for mark in _DENIED):
        return StoreError(
            f"{what}: the folder cannot be written or read ({says})",
            hint="Give this user read and write permission on the data folder, or choose another with --home.",
        )
    return StoreError(f"{what}: {says}", hint=hint or RESTORE_HINT)
