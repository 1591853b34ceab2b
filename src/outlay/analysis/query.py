"""What can be asked: a period, dimensions, filters, and the columns of the ledger they stand for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import msgspec

from outlay.clock import Clock, day_of, midnight, month_start
from outlay.errors import ConfigError
from outlay.model.basis import BEST_FIRST

DIMENSIONS = (
    "day",
    "month",
    "connection",
    "provider",
    "service",
    "sku",
    "sub_account",
    "resource",
    "region",
    "charge_category",
    "dataset",
)
"""What rows can be grouped and filtered by, besides `tag:KEY`."""
TAG = "tag:"
ALL_BASES = "all"


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One question.

    Null: `from_` and `to` default to the present UTC month up to and including today; `by` to the question's own
    default; `basis` None lets the best basis speak for each connection, day and service, "all" shows every basis on
    rows of its own, and a basis's name shows that one.
    """

    from_: date | None = None
    to: date | None = None
    """Exclusive."""
    by: tuple[str, ...] | None = None
    where: tuple[tuple[str, str], ...] = ()
    """Dimension and value; one dimension named twice means either value, an empty value means unknown."""
    connections: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    basis: str | None = None
    configured: Mapping[str, str] = {}
    """The connections that should be in the ledger, name to provider, so that a silent one is named."""

    def period(self, clock: Clock) -> tuple[date, date]:
        """Return the first day and the exclusive end.

        Raises: ConfigError when the end is not after the start.
        """
        today = day_of(clock())
        to = self.to or max(today + timedelta(days=1), (self.from_ or today) + timedelta(days=1))
        first = self.from_ or month_start(min(today, to - timedelta(days=1)))
        if first >= to:
            raise ConfigError(
                f"the period from {first} to {to} holds no day",
                hint="The end is exclusive: `--from 2026-10-01 --to 2026-11-01` is October.",
            )
        return first, to

    def dimensions(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return what rows are grouped by, each dimension once."""
        return tuple(dict.fromkeys(default if self.by is None else self.by))

    def asked(self, connection: str, provider: str) -> bool:
        """Tell whether a connection is within the question's filters."""
        return _allows(self.connections, self.where, "connection", connection) and _allows(
            self.providers, self.where, "provider", provider
        )


def _allows(chosen: tuple[str, ...], where: Iterable[tuple[str, str]], dimension: str, value: str) -> bool:
    values = [wanted for name, wanted in where if name == dimension]
    return (not chosen or value in chosen) and (not values or value in values)


def check_basis(basis: str | None) -> str | None:
    """Return the basis asked for. Raises: ConfigError for a word that is none."""
    if basis is None or basis == ALL_BASES or basis in BEST_FIRST:
        return basis
    known = ", ".join([ALL_BASES, *BEST_FIRST])
    raise ConfigError(f"{basis!r} is not a basis", hint=f"Use one of: {known}.")


class Columns(msgspec.Struct, frozen=True):
    """How one table of the ledger spells the dimensions it has."""

    table: str
    start: str
    """The column of the period's start, by which days are told."""
    tags: str | None
    by_name: Mapping[str, str]

    def expression(self, dimension: str) -> tuple[str, list[object]]:
        """Return the SQL of a dimension and its parameters.

        Raises: ConfigError for a word that is no dimension of this table, with the nearest one that is.
        """
        if dimension == "day":
            return f"CAST({self.start} AS DATE)", []
        if dimension == "month":
            return f"CAST(date_trunc('month', {self.start}) AS DATE)", []
        if dimension.startswith(TAG) and len(dimension) > len(TAG) and self.tags:
            key = dimension.removeprefix(TAG).replace("~", "~0").replace("/", "~1")
            return f"json_extract_string({self.tags}, ?)", [f"/{key}"]
        if dimension in self.by_name:
            return self.by_name[dimension], []
        raise self._unknown(dimension)

    def _unknown(self, dimension: str) -> ConfigError:
        known = ["day", "month", *self.by_name, *(["tag:KEY"] if self.tags else [])]
        near = difflib.get_close_matches(dimension, known, n=1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        return ConfigError(
            f"{dimension!r} is not a dimension of {self.table}", hint=f"{meant}The dimensions are: {', '.join(known)}."
        )


CHARGES = Columns(
    "charges",
    "ChargePeriodStart",
    "Tags",
    {
        "connection": "x_Connection",
        "provider": "x_Provider",
        "service": "ServiceName",
        "sku": "SkuId",
        "sub_account": "SubAccountId",
        "resource": "ResourceId",
        "region": "RegionId",
        "charge_category": "ChargeCategory",
        "dataset": "x_Dataset",
    },
)
USAGE = Columns(
    "usage",
    "usage_period_start",
    "tags",
    {
        "connection": "connection",
        "provider": "provider",
        "service": "service_name",
        "sku": "sku_id",
        "sub_account": "sub_account_id",
        "resource": "resource_id",
        "region": "region_id",
        "dataset": "dataset",
    },
)
REVENUE = Columns(
    "revenue",
    "revenue_period_start",
    None,
    {"connection": "connection", "provider": "provider", "service": "service_name", "dataset": "dataset"},
)


class Condition(msgspec.Struct):
    """A growing AND of SQL conditions with their parameters."""

    clauses: list[str]
    parameters: list[object]

    @classmethod
    def none(cls) -> Condition:
        """Return the condition that everything meets."""
        return cls([], [])

    def add(self, clause: str, *parameters: object) -> None:
        """Require one more clause."""
        self.clauses.append(clause)
        self.parameters.extend(parameters)

    def add_choice(self, expression: str, parameters: list[object], values: Iterable[str]) -> None:
        """Require an expression to have one of some texts; the empty text stands for unknown."""
        chosen = list(values)
        known = [value for value in chosen if value]
        parts, bound = [], []
        if known:
            parts.append(f"CAST({expression} AS VARCHAR) IN ({', '.join('?' * len(known))})")
            bound += [*parameters, *known]
        if len(known) < len(chosen):
            parts.append(f"{expression} IS NULL")
            bound += parameters
        self.add(f"({' OR '.join(parts)})", *bound)

    @property
    def sql(self) -> str:
        """Return the condition as SQL."""
        return " AND ".join(self.clauses) or "TRUE"


def where_values(where: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the filters by dimension; a month is written as its first day, as the ledger compares it."""
    values: dict[str, list[str]] = {}
    for dimension, value in where:
        text = f"{value}-01" if dimension == "month" and value.count("-") == 1 else value
        values.setdefault(dimension, []).append(text)
    return values


def scope(columns: Columns, query: Query, clock: Clock) -> Condition:
    """Return the condition of a question's period, connections and providers on one table."""
    first, to = query.period(clock)
    condition = Condition.none()
    condition.add(f"{columns.start} >= ? AND {columns.start} < ?", midnight(first), midnight(to))
    if query.connections:
        condition.add_choice(columns.by_name["connection"], [], query.connections)
    if query.providers:
        condition.add_choice(columns.by_name["provider"], [], query.providers)
    return condition


def dimension_value(dimension: str, value: object) -> str | date | None:
    """Return a value as the answer carries it: days are dates, months are `YYYY-MM`."""
    if value is None:
        return None
    if dimension == "month" and isinstance(value, date):
        return f"{value:%Y-%m}"
    return value if isinstance(value, date) else str(value)
