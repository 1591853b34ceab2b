"""What every question is answered with: typed rows, what is missing from them, and their one JSON form."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from outlay.errors import ConfigError

if TYPE_CHECKING:
    import arro3.core
    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl

Json = str | bool | int | None | list["Json"] | dict[str, "Json"]
_DECIMALS_MIN = 6


def plain(number: Decimal) -> str:
    """Return a decimal as exact text in plain notation.

    Units: at least six decimals; zeros beyond the sixth are cut, digits never.
    """
    whole, _, fraction = f"{number:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(_DECIMALS_MIN, '0')}"


def moment(value: datetime) -> str:
    """Return a time as RFC 3339 text in UTC."""
    text = value.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def json_value(value: object) -> Json:
    """Return a value as JSON holds it: decimals and times as text, unknown as null."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    return _text(value)


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return moment(value)
    return value.isoformat() if isinstance(value, date) else str(value)


class Row(Protocol):
    """One line of an answer."""

    def record(self) -> dict[str, Any]:
        """Return the row's values by name, in the order they are shown."""


class Grouped(msgspec.Struct, frozen=True, kw_only=True):
    """A row whose first columns are the dimensions that were asked for."""

    dimensions: dict[str, str | date | None]
    """The value of each dimension in the order asked for; None where the vendor does not say it."""

    measures: ClassVar[tuple[str, ...]] = ()
    """The columns after the dimensions, in order."""

    def record(self) -> dict[str, Any]:
        """Return the row's values by name, in the order they are shown."""
        return {**self.dimensions, **{name: getattr(self, name) for name in self.measures}}


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A row whose columns are fixed."""

    shown: ClassVar[tuple[str, ...]] = ()
    """The columns in order."""

    def record(self) -> dict[str, Any]:
        """Return the row's values by name, in the order they are shown."""
        return {name: getattr(self, name) for name in self.shown}


class Incomplete(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Days for which an answer lacks facts or has only old ones, why, and what to do about it.

    Null: `connection` and `dataset` are "*" where nothing more exact is known.
    """

    connection: str
    dataset: str
    period: tuple[date, date]
    """First day and exclusive end."""
    why: str
    """An error's code, `not_synced`, `never_synced` or `cost_unknown`."""
    hint: str

    def record(self) -> dict[str, Any]:
        """Return the values by name, in the order they are shown."""
        return {name: getattr(self, name) for name in ("connection", "dataset", "period", "why", "hint")}


RowT = TypeVar("RowT", bound=Row)


class Answer(msgspec.Struct, Generic[RowT], frozen=True, kw_only=True):
    """The answer to one question: rows, and the days they do not speak for.

    Order: rows by their dimensions, then currency and basis.
    """

    from_: date
    to: date
    """Exclusive."""
    by: tuple[str, ...]
    rows: tuple[RowT, ...]
    incomplete: tuple[Incomplete, ...] = ()
    names: dict[str, str] = {}
    """What the ids in the rows are called, for display; an id without a name is absent."""
    columns: tuple[str, ...] = ()
    """The rows' columns in order, also when there is no row."""

    def to_json_object(self) -> dict[str, Any]:
        """Return the answer as the one JSON object that commands, HTTP and MCP share."""
        return {
            "from": self.from_.isoformat(),
            "to": self.to.isoformat(),
            "by": list(self.by),
            "rows": [_json_object(row.record()) for row in self.rows],
            "incomplete": [_json_object(gap.record()) for gap in self.incomplete],
        }

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as dicts of Python values: Decimal, date, datetime, text, None."""
        return [row.record() for row in self.rows]

    def arrow(self) -> arro3.core.Table:
        """Return the rows as an Arrow table; money is `decimal128(38, 18)`."""
        from outlay.analysis.arrow import table

        return table(self.columns, self.records())

    def df(self) -> pd.DataFrame:
        """Return the rows as a pandas data frame; money stays Decimal.

        Raises: ConfigError when pandas is not installed.
        """
        frame: pd.DataFrame = _module("pandas").DataFrame(self.records(), columns=list(self.columns), dtype=object)
        return frame

    def pl(self) -> pl.DataFrame:
        """Return the rows as a polars data frame; money stays Decimal.

        Raises: ConfigError when polars is not installed.
        """
        frame: pl.DataFrame = _module("polars").DataFrame(self.arrow())
        return frame


def _json_object(record: Mapping[str, object]) -> dict[str, Json]:
    return {name: json_value(value) for name, value in record.items()}


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(
            f"{name} is not installed",
            hint=f"Install {name} beside Outlay, or use `.arrow()` or `.records()`, which need nothing more.",
        ) from None


def named(ids: Iterable[object], names: Mapping[str, str]) -> dict[str, str]:
    """Return the names of those ids that have one."""
    return {id_: names[id_] for id_ in ids if isinstance(id_, str) and id_ in names}
