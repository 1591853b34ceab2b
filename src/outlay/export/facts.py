"""Write any table of the ledger as it is, for other tools."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from outlay.clock import midnight
from outlay.errors import ConfigError
from outlay.export import files
from outlay.store import Ledger

FORMATS = ("csv", "parquet", "jsonl")
TABLES = {
    "charges": "x_PartitionStart",
    "usage": "partition_start",
    "limits": "partition_start",
    "balances": "partition_start",
    "invoices": "partition_start",
    "budgets": "partition_start",
    "revenue": "partition_start",
    "statements": "partition_start",
    "names": None,
    "batches": "period_start",
}
"""The tables that can be written, and the column a period is told by; names have no time."""


def facts(ledger: Ledger, table: str, out: Path, *, from_: date | None = None, to: date | None = None) -> int:
    """Write the rows of a table to a CSV, Parquet or JSON Lines file by its suffix; return how many there are.

    Units: `from_` and `to` (exclusive) choose by the start of the partition a row came in.
    Raises: ConfigError for an unknown table or suffix; StoreError when the file cannot be written, in which case what
    was there stays.
    """
    if table not in TABLES:
        raise ConfigError(f"{table!r} is no table of facts", hint=f"Choose from: {', '.join(TABLES)}.")
    format_ = files.format_of(out, FORMATS)
    sql, parameters = f"SELECT * FROM {table}", []
    if column := TABLES[table]:
        bounds = [(f"{column} >= ?", from_), (f"{column} < ?", to)]
        parameters = [midnight(day) for _, day in bounds if day]
        sql += f" WHERE {' AND '.join(clause for clause, day in bounds if day) or 'TRUE'} ORDER BY {column}"
    with files.replacing(out) as draft, ledger.snapshot() as reader, files.beside(out):
        schema = reader.arrow(f"SELECT * FROM ({sql}) LIMIT 0", parameters).schema
        types = {field.name: _kind(str(field.type)) for field in schema}
        return reader.copy(f"SELECT {_shown(types, format_)} FROM ({sql})", parameters, draft, _OPTIONS[format_])


_OPTIONS = {"csv": files.CSV, "parquet": files.PARQUET, "jsonl": files.JSON_LINES}


def _kind(type_: str) -> str:
    lowered = type_.lower()
    if "decimal" in lowered:
        return "decimal"
    if "timestamp" in lowered:
        return "moment"
    return "string" if "utf8" in lowered else "other"


def _shown(types: dict[str, str], format_: str) -> str:
    if format_ == "parquet":
        return "*"
    guard = files.guarded if format_ == "csv" else files.quoted
    shown = [guard(name) if kind == "string" else files.text_of(name, kind) for name, kind in types.items()]
    return ", ".join(shown)
