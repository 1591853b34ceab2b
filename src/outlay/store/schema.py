"""What every table of the ledger holds: column names and kinds, and nothing that needs a library.

Fact tables derive from the structs in `outlay.model.facts`, so a field and its column cannot drift apart.
"""

from __future__ import annotations

import enum
import types
import typing
from datetime import datetime
from decimal import Decimal
from functools import lru_cache

import msgspec

from outlay.model.facts import Balance, Budget, Charge, Invoice, Limit, Name, Revenue, Statement, Usage
from outlay.model.focus import COLUMNS
from outlay.model.money import Money
from outlay.model.period import Period

VERSION = 2
"""Raised by one whenever a table or the state changes shape; an older ledger is upgraded when it is opened."""


class Kind(enum.Enum):
    """How a column is stored; the value is its DuckDB type."""

    TEXT = "VARCHAR"
    NUMBER = "DECIMAL(38,18)"
    MOMENT = "TIMESTAMP WITH TIME ZONE"
    COUNT = "BIGINT"
    FLAG = "BOOLEAN"
    BODY = "BLOB"


class Column(msgspec.Struct, frozen=True):
    """One column of a table."""

    name: str
    kind: Kind


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """One table: what is stored, what its view shows, and which columns name a partition in it."""

    name: str
    columns: tuple[Column, ...]
    view: tuple[Column, ...]
    """Columns of the view in order; one that is not stored is shown as a typed null."""
    dataset: str = "dataset"
    start: str = "partition_start"
    end: str = "partition_end"
    batch: str = "batch_id"
    renamed: tuple[tuple[str, str], ...] = ()
    """(view column, stored column) where the two differ."""

    @property
    def stats(self) -> str:
        """Return the columns whose minimum and maximum prune files, in Delta's own notation."""
        names = {column.name for column in self.columns}
        return ",".join(name for name in (self.dataset, self.start, self.end, "fetch_id") if name in names)


def _columns(kind: Kind, names: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind) for name in names.split())


COMMON = (
    *_columns(Kind.TEXT, "connection provider dataset batch_id"),
    *_columns(Kind.MOMENT, "observed_at partition_start partition_end"),
)
"""What a commit adds to every fact."""

RENAMED = {("statements", "dataset"): "statement_dataset"}
"""Fields whose own name is taken by one of the common columns."""

_CHARGE_EXTRA = (
    *_columns(Kind.TEXT, "x_Connection x_Provider x_Dataset x_Basis x_BatchId"),
    *_columns(Kind.MOMENT, "x_ObservedAt x_PartitionStart x_PartitionEnd"),
    *_columns(Kind.TEXT, "x_Model x_ServiceTier x_ContextWindow x_ApiKeyId x_UserId x_PriceListVersion x_Details"),
)
_NEVER_STATED = frozenset(
    [
        "AllocatedMethodDetails",
        "AllocatedMethodId",
        "AllocatedResourceId",
        "AllocatedResourceName",
        "AllocatedTags",
        "AvailabilityZone",
        "CapacityReservationId",
        "CapacityReservationStatus",
        "CommitmentDiscountCategory",
        "CommitmentDiscountId",
        "CommitmentDiscountName",
        "CommitmentDiscountQuantity",
        "CommitmentDiscountStatus",
        "CommitmentDiscountType",
        "CommitmentDiscountUnit",
        "CommitmentProgramEligibilityDetails",
        "ContractApplied",
        "InvoiceDetailId",
        "PricingCurrency",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyEffectiveCost",
        "PricingCurrencyListUnitPrice",
        "RegionName",
        "ResourceName",
        "SkuPriceDetails",
        "SubAccountName",
    ]
)
"""FOCUS columns no fact can fill: the view shows them as nulls and no file carries them."""

_FOCUS_KINDS = {"string": Kind.TEXT, "json": Kind.TEXT, "decimal": Kind.NUMBER, "datetime": Kind.MOMENT}


def _charges() -> Table:
    focus = tuple(Column(column.name, _FOCUS_KINDS[column.type]) for column in COLUMNS)
    stated = tuple(column for column in focus if column.name not in _NEVER_STATED)
    return Table(
        name="charges",
        columns=(Column("connection", Kind.TEXT), *stated, *_CHARGE_EXTRA),
        view=(*focus, *_CHARGE_EXTRA),
        dataset="x_Dataset",
        start="x_PartitionStart",
        end="x_PartitionEnd",
        batch="x_BatchId",
        # The folder's own value lets a filter leave out whole connections without opening their files.
        renamed=(("x_Connection", "connection"),),
    )


FACTS: dict[str, type[msgspec.Struct]] = {
    "usage": Usage,
    "limits": Limit,
    "balances": Balance,
    "invoices": Invoice,
    "budgets": Budget,
    "revenue": Revenue,
    "names": Name,
    "statements": Statement,
}
"""The fact tables besides `charges`, by the struct whose fields they hold."""

TABLE_OF: dict[type[msgspec.Struct], str] = {Charge: "charges", **{fact: name for name, fact in FACTS.items()}}
"""The table each kind of fact is stored in."""


def field_type(fact: type[msgspec.Struct], name: str) -> type:
    """Return a field's type without its `| None` and without its parameters."""
    hint = _hints(fact)[name]
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    plain = next(option for option in options if option is not types.NoneType)
    return typing.cast("type", typing.get_origin(plain) or plain)


@lru_cache(maxsize=16)
def _hints(fact: type[msgspec.Struct]) -> dict[str, typing.Any]:
    return typing.get_type_hints(fact)


def _fact_columns(table: str, fact: type[msgspec.Struct]) -> list[Column]:
    columns: list[Column] = []
    currency = False
    for name in fact.__struct_fields__:
        kind = field_type(fact, name)
        stored = RENAMED.get((table, name), name)
        if kind is Period:
            columns += _columns(Kind.MOMENT, f"{stored}_start {stored}_end")
        elif kind is Money or kind is Decimal:
            currency = currency or kind is Money
            columns.append(Column(stored, Kind.NUMBER))
        elif kind is datetime:
            columns.append(Column(stored, Kind.MOMENT))
        else:
            columns.append(Column(stored, Kind.FLAG if kind is bool else Kind.TEXT))
    return [*columns, Column("currency", Kind.TEXT)] if currency else columns


def _facts(name: str, fact: type[msgspec.Struct]) -> Table:
    columns = (*COMMON, *_fact_columns(name, fact))
    return Table(name=name, columns=columns, view=columns)


def _plain(name: str, *columns: Column) -> Table:
    return Table(name=name, columns=columns, view=columns)


@lru_cache(maxsize=1)
def tables() -> dict[str, Table]:
    """Return every table by name."""
    batches = _plain(
        "batches",
        *_columns(Kind.TEXT, "batch_id connection provider dataset endpoint"),
        *_columns(Kind.MOMENT, "period_start period_end"),
        *_columns(Kind.TEXT, "period_zone fetch_id digest"),
        Column("rows", Kind.COUNT),
        Column("totals", Kind.TEXT),
        *_columns(Kind.MOMENT, "observed_at committed_at"),
        *_columns(Kind.TEXT, "supersedes reason"),
        # The table's version when the batch was written: clocks may stand still or go back, this does not.
        Column("sequence", Kind.COUNT),
    )
    payloads = _plain(
        "payloads",
        *_columns(Kind.TEXT, "fetch_id connection provider dataset endpoint item"),
        *_columns(Kind.MOMENT, "window_start window_end"),
        Column("window_zone", Kind.TEXT),
        Column("page_number", Kind.COUNT),
        Column("path", Kind.TEXT),
        Column("status", Kind.COUNT),
        Column("fetched_at", Kind.MOMENT),
        Column("body", Kind.BODY),
        Column("headers", Kind.TEXT),
    )
    found = [_charges(), *(_facts(name, fact) for name, fact in FACTS.items()), batches, payloads]
    return {table.name: table for table in found}
