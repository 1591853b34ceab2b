"""Check a FOCUS file row by row, in one pass and bounded memory: the truth the official validator does not see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from outlay.export import files
from outlay.export.focus import CUSTOM
from outlay.export.rules import RULES, Across, Finding
from outlay.export.values import Defect, check_for
from outlay.model.focus import columns as focus_columns
from outlay.model.problem import Problem

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PROBLEMS_MAX = 100
"""How many problems are told one by one; all are counted."""
_REMEMBERED = 50_000
_ROWS = 4096
_PREFIX = "x_"
_HINT = "Report it with the connection's provider: the export's mapping has a gap."


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What checking found: the first problems, and how many there are of each kind."""

    rows: int
    problems: tuple[Problem, ...]
    counts: dict[str, int]

    @property
    def passed(self) -> bool:
        """Tell whether nothing was found."""
        return not self.counts


class Checker:
    """Check rows of one file, given in order as text."""

    def __init__(self, version: str, header: Sequence[str], *, text_file: bool) -> None:
        self._header = tuple(header)
        self._text_file = text_file
        self._rows = 0
        self._counts: Counter[str] = Counter()
        self._problems: list[Problem] = []
        self._across = Across()
        known = {column.name: column for column in focus_columns(version)}
        types = {**{name: column.type for name, column in known.items()}, **dict(CUSTOM)}
        self._checks = [
            (name, check_for(name, types.get(name, "string")), name not in known or known[name].nullable)
            for name in self._header
        ]
        self._decimals = [name for name in self._header if name in known and known[name].type == "decimal"]
        self._pointed: dict[str, bool] = {}
        self._good: dict[str, set[str]] = {name: set() for name in self._header}
        self._check_header(version)

    def _check_header(self, version: str) -> None:
        known = {column.name: column for column in focus_columns(version)}
        for name, column in known.items():
            if column.level(version) == "M" and name not in self._header:
                self._found("column_missing", name, f"FOCUS {version} requires the column")
        custom_began = False
        for name in self._header:
            custom_began = custom_began or name.startswith(_PREFIX)
            if name not in known and not name.startswith(_PREFIX):
                self._found("column_unknown", name, f"FOCUS {version} has no such column and it does not begin with x_")
            elif custom_began and name in known:
                self._found("column_order", name, "FOCUS columns come before custom ones")
        for name, count in Counter(self._header).items():
            if count > 1:
                self._found("column_twice", name, "the column is there twice")

    def check(self, values: Sequence[str | None]) -> None:
        """Check the next row."""
        self._rows += 1
        where = f"row {self._rows}"
        for (name, check, nullable), value in zip(self._checks, values, strict=True):
            if value is None:
                if not nullable:
                    self._found("null_not_allowed", name, "null is not allowed", where)
            elif value not in self._good[name]:
                self._value(name, check, value, where)
        row = dict(zip(self._header, values, strict=True))
        for rule in RULES:
            self._take(rule(row), where)
        self._take(self._across.check(row), where)
        for name in self._decimals:
            value = row[name]
            if value is not None and not self._pointed.get(name):
                self._pointed[name] = "." in value

    def _value(self, name: str, check: Callable[[str], Defect], value: str, where: str) -> None:
        defect = check(value)
        if defect is not None:
            self._found(defect[0], name, defect[1], where)
            return
        good = self._good[name]
        if len(good) >= _REMEMBERED:
            good.clear()
        good.add(value)

    def _take(self, findings: Iterable[Finding], where: str) -> None:
        for code, column, says in findings:
            self._found(code, column, says, where)

    def _found(self, code: str, column: str, says: str, where: str = "header") -> None:
        self._counts[code] += 1
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(Problem(code=code, says=says, where=f"{where}, {column}", hint=_HINT))

    def finish(self) -> Checked:
        """Return what was found in all rows."""
        if self._text_file:
            for name, pointed in self._pointed.items():
                if not pointed:
                    self._found("whole_numbers", name, "every number is whole, so the column reads as integers", "file")
        return Checked(rows=self._rows, problems=tuple(self._problems), counts=dict(self._counts))


def check_file(path: Path, version: str, format_: str) -> Checked:
    """Return what is wrong with a FOCUS file, CSV or Parquet.

    Null: an empty field is null, a quoted empty field is an empty text.
    """
    with TemporaryDirectory() as spill, files.engine(Path(spill)) as connection:
        header, rows = _opened(connection, path, format_)
        checker = Checker(version, header, text_file=format_ == "csv")
        for row in rows:
            checker.check(row)
    return checker.finish()


def _opened(
    connection: DuckDBPyConnection, path: Path, format_: str
) -> tuple[list[str], Iterator[Sequence[str | None]]]:
    name = files.literal(str(path))
    if format_ == "csv":
        shape = "all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"'"
        strict = "allow_quoted_nulls = false, null_padding = false, parallel = false"
        found = connection.execute(f"SELECT * FROM read_csv({name}, {shape}, {strict})")
    else:
        types = connection.execute(f"DESCRIBE SELECT * FROM read_parquet({name})").fetchall()
        shown = ", ".join(files.text_of(column, _kind(type_)) for column, type_, *_ in types)
        found = connection.execute(f"SELECT {shown} FROM read_parquet({name})")
    header = [column[0] for column in found.description]
    return header, _fetched(found)


def _kind(type_: str) -> str:
    if type_.startswith("DECIMAL"):
        return "decimal"
    return "datetime" if type_.startswith("TIMESTAMP") else "string"


def _fetched(found: DuckDBPyConnection) -> Iterator[Sequence[str | None]]:
    while rows := found.fetchmany(_ROWS):
        yield from rows
