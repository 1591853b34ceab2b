"""Write rows to a file: whole or not at all, in bounded memory, numbers and times as their readers expect them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from outlay.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from arro3.core.types import ArrowStreamExportable
    from duckdb import DuckDBPyConnection

_MEMORY = "1GB"
_FORMULA = r"^[=+\-@\t\r]"
"""What makes a spreadsheet run a cell as a formula when it begins with it."""


def format_of(out: Path, known: Sequence[str]) -> str:
    """Return the format a file's suffix stands for.

    Raises: ConfigError for a suffix that stands for none.
    """
    suffix = out.suffix.removeprefix(".").lower()
    if suffix in known:
        return suffix
    listed = ", ".join(f".{name}" for name in known)
    raise ConfigError(f"{out.name} does not say what to write", hint=f"End the file's name with one of: {listed}.")


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Give a path beside `out` to write to, and put it in `out`'s place when all went well.

    Raises: StoreError when the folder cannot be written to; `out` is then as it was.
    """
    draft = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(out)
    except OSError as error:
        hint = "Check the folder, its rights and its free space."
        raise StoreError(f"{out} cannot be written: {error.strerror or error}", hint=hint) from error
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def engine(spill: Path) -> Iterator[DuckDBPyConnection]:
    """Give a query engine of its own with little memory and the zone set to UTC."""
    import duckdb  # loads only when something is written

    connection = duckdb.connect(config={"memory_limit": _MEMORY, "threads": 2, "temp_directory": str(spill)})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
    finally:
        connection.close()


class Stage:
    """Rows gathered in parts beside the file to be, so that no more than one part is ever in memory."""

    def __init__(self, connection: DuckDBPyConnection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder
        self._parts: list[str] = []

    def add(self, rows: ArrowStreamExportable) -> None:
        """Put the next rows on disk."""
        from arro3.core import RecordBatchReader

        part = literal(str(self._folder / f"part-{len(self._parts):06d}.parquet"))
        source = RecordBatchReader.from_arrow(rows)  # noqa: F841 - the statement names it
        self._connection.execute(f"COPY (SELECT * FROM source) TO {part} (FORMAT parquet)")
        self._parts.append(part)

    def copy(self, select: str, out: Path, options: str) -> int:
        """Write all rows through a list of expressions to a file, in the order added; return how many there are."""
        source = f"read_parquet([{', '.join(self._parts)}])"
        found = self._connection.execute(
            f"COPY (SELECT {select} FROM {source}) TO {literal(str(out))} ({options})"
        ).fetchone()
        return int(found[0]) if found else 0


@contextmanager
def stage(out: Path) -> Iterator[Stage]:
    """Give a place to gather rows, gone afterwards.

    Raises: StoreError when the disk is full or the folder cannot be written to.
    """
    import duckdb

    try:
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder, engine(Path(folder)) as connection:
            yield Stage(connection, Path(folder))
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise StoreError(f"{out} cannot be written: {str(error).splitlines()[0]}") from error


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


CSV = "FORMAT csv, HEADER true, NULLSTR '', DELIMITER ',', QUOTE '\"', ESCAPE '\"'"
PARQUET = "FORMAT parquet, COMPRESSION zstd"
JSON_LINES = "FORMAT json, ARRAY false"


def quoted(name: str) -> str:
    """Return a column's name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_of(name: str, type_: str) -> str:
    """Return the SQL of a value as text: exact decimals with at least one decimal, RFC 3339 times, all else as it is.

    A whole number written without a decimal point is taken for an integer, and its column for one of integers.
    """
    column = quoted(name)
    if type_ == "decimal":
        trimmed = f"rtrim(CAST({column} AS VARCHAR), '0')"
        return f"CASE WHEN {trimmed} LIKE '%.' THEN {trimmed} || '0' ELSE {trimmed} END AS {column}"
    if type_ == "datetime":
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%SZ') AS {column}"
    if type_ == "moment":
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%fZ') AS {column}"
    return column


def guarded(name: str) -> str:
    """Return the SQL of a text that no spreadsheet runs: a leading apostrophe where it would begin a formula."""
    column = quoted(name)
    return f"CASE WHEN regexp_matches({column}, '{_FORMULA}') THEN '''' || {column} ELSE {column} END AS {column}"
