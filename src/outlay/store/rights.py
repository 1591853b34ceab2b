"""Rights: every file of the ledger is 0600 and every folder 0700, whatever the umask."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import msgspec


def guard(folder: Path, first: int, last: int) -> None:
    """Make files 0600 and folders 0700, whatever the umask: those of the commits `first` to `last`."""
    log = folder / "_delta_log"
    for made in (folder, log):
        made.chmod(0o700)
    for version in range(first, last + 1):
        entry = log / f"{version:020d}.json"
        with contextlib.suppress(FileNotFoundError):
            for path in _added(entry):
                target = folder / path
                target.chmod(0o600)
                target.parent.chmod(0o700)
            entry.chmod(0o600)


def guard_tree(folder: Path) -> None:
    """Make every file below a folder 0600 and every folder 0700."""
    folder.chmod(0o700)
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


class _Add(msgspec.Struct):
    path: str


class _Action(msgspec.Struct):
    add: _Add | None = None


def _added(entry: Path) -> Iterator[str]:
    for line in entry.read_bytes().splitlines():
        action = msgspec.json.decode(line, type=_Action)
        if action.add is not None:
            yield unquote(action.add.path)
