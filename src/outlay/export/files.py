"""Write rows to a file: whole or not at all, in bounded memory, numbers and times as their readers expect them."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from outlay.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from outlay.store.query import Reader

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
        draft.chmod(0o600)  # the query engine makes files anew, for everybody to read
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


@contextmanager
def beside(out: Path) -> Iterator[Path]:
    """Give a folder for parts of a file to be, on the same disk and gone afterwards.

    Raises: StoreError when the disk is full or the folder cannot be written to.
    """
    import duckdb

    try:
        with TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            yield Path(folder)
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise StoreError(f"{out} cannot be written: {str(error).splitlines()[0]}") from error


Question = tuple[str, Sequence[object]]
"""The SQL of some rows and its parameters."""


def write(reader: Reader, asked: Iterable[Question], shown: str, draft: Path, format_: str) -> int:
    """Write the rows of questions, one after another, through a list of expressions; return how many there are.

    The query engine holds a part of one question's rows at a time, and spills where that is more than its memory.
    """
    with beside(draft) as folder:
        return (_texts if format_ == "csv" else _columns)(reader, asked, shown, draft, folder)


def _texts(reader: Reader, asked: Iterable[Question], shown: str, draft: Path, folder: Path) -> int:
    part, rows = folder / "part.csv", 0
    with draft.open("wb") as file:
        for count, (sql, parameters) in enumerate(asked):
            options = _HEADLESS if count else CSV
            rows += reader.copy(f"SELECT {shown} FROM ({sql})", parameters, part, options)
            with part.open("rb") as written:
                shutil.copyfileobj(written, file)
    return rows


def _columns(reader: Reader, asked: Iterable[Question], shown: str, draft: Path, folder: Path) -> int:
    parts = []
    for count, (sql, parameters) in enumerate(asked):
        part = folder / f"part-{count:06d}.parquet"
        reader.copy(sql, parameters, part, "FORMAT parquet")
        parts.append(literal(str(part)))
    return reader.copy(f"SELECT {shown} FROM read_parquet([{', '.join(parts)}])", (), draft, PARQUET)


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


CSV = "FORMAT csv, HEADER true, NULLSTR '', DELIMITER ',', QUOTE '\"', ESCAPE '\"'"
_HEADLESS = CSV.replace("HEADER true", "HEADER false")
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
