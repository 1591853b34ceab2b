"""Open a file the user downloaded, within bounds: a CSV as it is, a ZIP file by file, nothing written to disk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from outlay.errors import ConfigError

FILE_BYTES_MAX = 64 * 2**20
"""The largest file, and the largest sum of what an archive unpacks to."""
MEMBERS_MAX = 1_000
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_PACKED = (*_ZIP, b"\x1f\x8b", b"7z\xbc\xaf", b"BZh", b"\xfd7zXZ", b"Rar!")
_ENCRYPTED = 0x1


class Content(NamedTuple):
    """A plain file: its name without folders, and what it holds."""

    name: str
    data: bytes


def contents(path: Path) -> list[Content]:
    """Return the plain files that a file is or, where it is a ZIP, holds.

    Raises: ConfigError when it cannot be read, is too large, is encrypted, or packs archives into an archive.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="Name a file that is there.") from None
    if len(data) > FILE_BYTES_MAX:
        raise _too_large(path.name)
    if not data.startswith(_ZIP):
        _refuse_packed(path.name, data)
        return [Content(path.name, data)]
    try:
        with zipfile.ZipFile(path) as archive:
            return list(_members(archive, path.name))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError):
        raise ConfigError(
            f"{path.name} is a damaged archive, or packed in a way that is not read here",
            hint="Download it again, or unpack it and import the files.",
        ) from None


def _members(archive: zipfile.ZipFile, where: str) -> Iterator[Content]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > MEMBERS_MAX:
        raise ConfigError(f"{where} holds more than {MEMBERS_MAX} files", hint="Import the files one by one.")
    left = FILE_BYTES_MAX
    for member in members:
        if member.flag_bits & _ENCRYPTED:
            raise ConfigError(f"{where} is encrypted", hint="Unpack it and import the files.")
        with archive.open(member) as file:
            data = _bounded(file, left, where)
        left -= len(data)
        name = member.filename.replace("\\", "/").rpartition("/")[2]
        _refuse_packed(f"{where}: {name}", data)
        yield Content(name, data)


def _bounded(file: IO[bytes], most: int, where: str) -> bytes:
    # What the archive's directory says of sizes is the sender's claim: only what is really unpacked counts.
    data = file.read(most + 1)
    if len(data) > most:
        raise _too_large(where)
    return data


def _refuse_packed(name: str, data: bytes) -> None:
    if data.startswith(_PACKED):
        raise ConfigError(f"{name} is an archive that is not opened here", hint="Unpack it and import what it holds.")


def _too_large(name: str) -> ConfigError:
    return ConfigError(
        f"{name} is larger than {FILE_BYTES_MAX // 2**20} MiB, unpacked",
        hint="Export a shorter period, or split the file.",
    )
