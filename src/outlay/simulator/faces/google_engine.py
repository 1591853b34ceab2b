"""The database behind the simulated BigQuery: the export's rows in DuckDB, and the queries that are read from them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from threading import Lock
from typing import TYPE_CHECKING, Any

from outlay.simulator.faces.base import Refusal, to_json
from outlay.simulator.faces.google_question import Question, Reading, read
from outlay.simulator.shapes import load
from outlay.simulator.worlds.base import Plot
from outlay.simulator.worlds.google import GoogleAccount
from outlay.simulator.worlds.google_rows import MAKERS, pricing, stamp, tables

if TYPE_CHECKING:
    from sqlglot import exp

PROJECT, DATASET, LOCATION = "sim-billing", "billing", "EU"
MEBIBYTE = 2**20
_LEAST = 10 * MEBIBYTE
_SHARED_MAX, _RESULTS_MAX = 4, 32
_TYPES = {"STRING": "VARCHAR", "FLOAT": "DOUBLE", "NUMERIC": "DECIMAL(38,9)", "TIMESTAMP": "TIMESTAMPTZ",
          "BOOLEAN": "BOOLEAN", "INTEGER": "BIGINT", "DATE": "DATE"}  # fmt: skip
_LATER = frozenset({"price", "consumption_model", "cost_at_list_consumption_model", "cost_at_effective_price_default",
                    "tags", "subscription", "transaction_type", "seller_name"})  # fmt: skip
_WIDTHS = {"STRING": 14, "NUMERIC": 16, "BOOLEAN": 1}
_FLAT = {"VARCHAR": "STRING", "DOUBLE": "FLOAT", "FLOAT": "FLOAT", "BOOLEAN": "BOOLEAN", "DATE": "DATE",
         "TIMESTAMP": "TIMESTAMP", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP", "NULL": "INTEGER",
         "JSON": "STRING"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """What a query came to. Null: `rows` of None belong to a dry run."""

    fields: Sequence[Mapping[str, Any]]
    rows: Sequence[Sequence[Any]] | None
    processed: int
    billed: int


def fields_of(account: GoogleAccount, kind: str) -> list[dict[str, Any]]:
    """Return the columns of a kind of table: some customers' money is NUMERIC, some tables have fewer columns."""
    fields: list[dict[str, Any]] = load("google")["tables"][kind]
    if account.plot.label == "older":
        return [each for each in fields if each["name"] not in _LATER]
    return [_numeric(each) for each in reversed(fields)] if account.plot.label == "numeric" else fields


def _numeric(each: Mapping[str, Any]) -> dict[str, Any]:
    inner = {"fields": [_numeric(part) for part in each["fields"]]} if "fields" in each else {}
    money = each["type"] == "FLOAT" and each["name"] != "currency_conversion_rate"
    return {**each, "type": "NUMERIC" if money else each["type"], **inner}


class Database:
    """The tables of one customer as they stand; each is loaded when a query first reads it."""

    def __init__(self, account: GoogleAccount) -> None:
        import duckdb

        self._account = account
        self.tables = tables(account)
        self._loaded: set[str] = set()
        self._results: dict[str, list[Any]] = {}
        self._lock = Lock()
        self._open = duckdb.connect(":memory:", config={"threads": 1})
        self._open.execute("SET TimeZone='UTC'")
        self._open.execute("SET enable_external_access=false")

    @classmethod
    def of(cls, account: GoogleAccount) -> Database:
        """Return an account's tables; accounts of the same plot to which nothing was added have the same ones."""
        plot = account.plot
        if account.revision or plot.rows_per_day is not None:
            return account.kept("database", lambda: cls(account))
        with _SHARING:
            found = _SHARED.pop(plot, None) or cls(GoogleAccount(plot))
            _SHARED[plot] = found
            if len(_SHARED) > _SHARED_MAX:
                del _SHARED[next(iter(_SHARED))]
            return found

    def _load(self, name: str) -> None:
        if name in self._loaded:
            return
        self._loaded.add(name)
        [(kind, key)] = [found for (_, table), found in self.tables.items() if table == name]
        account = self._account.accounts[key]
        fields = fields_of(self._account, kind)
        columns = ", ".join(f'"{each["name"]}" {_type(each)}' for each in fields)
        self._open.execute(f'CREATE TABLE "{name}" ({columns}, _PARTITIONTIME TIMESTAMPTZ, _PARTITIONDATE DATE)')
        if kind == "pricing":
            rows = pricing(self._account, account)
        else:
            rows = [(row.partition, MAKERS[kind](account, row)) for row in self._account.rows(key)]
        values = [
            row | {"_PARTITIONTIME": stamp(datetime.combine(day, time(), UTC)), "_PARTITIONDATE": day}
            for day, row in rows
        ]
        shape = {each["name"]: _shape(each) for each in fields}
        shape |= {"_PARTITIONTIME": "TIMESTAMPTZ", "_PARTITIONDATE": "DATE"}
        self._open.execute(f'INSERT INTO "{name}" SELECT x.* FROM (SELECT unnest(from_json(?, ?)) AS x)',  # noqa: S608
                           [to_json(values).decode(), json.dumps([shape])])  # fmt: skip

    def run(self, asked: Question) -> Result:
        """Run a query, or only weigh it. Raises: Refusal."""
        import duckdb

        from outlay.simulator.faces.google_sql import invalid

        with self._lock:
            reading = read(asked, self._account.plot.label, self.tables, lambda node: self._table(node, asked))
            try:
                for part in reading.parts:
                    self._load(part.table)
                processed, billed = self._weigh(reading, asked)
                fields = self._fields(reading, asked)
                if asked.dry:
                    return Result(fields, None, processed, 0)
                if asked.most is not None and billed > asked.most:
                    raise Refusal(400, f"Query exceeded limit for bytes billed: {asked.most}. {billed} or higher"
                                  " required.", reason="bytesBilledLimitExceeded")  # fmt: skip
                return Result(fields, self._rows(reading, asked), processed, billed)
            except duckdb.Error as error:
                raise invalid(str(error).splitlines()[0]) from None

    def _fields(self, reading: Reading, asked: Question) -> Sequence[Mapping[str, Any]]:
        if reading.fields is None:
            relation = self._open.sql(asked.filled(reading.sql))
            named = zip(relation.columns, relation.types, strict=True)
            reading.fields = [_field(name, kind) for name, kind in named]
        return reading.fields

    def _rows(self, reading: Reading, asked: Question) -> list[Any]:
        """Return the rows of a result; a table never changes, so that a statement is run once."""
        sql = asked.filled(reading.sql)
        if sql not in self._results:
            taken = ", ".join(
                f'epoch_us("{each["name"]}")' if each["type"] == "TIMESTAMP" and each["mode"] != "REPEATED"
                else f'"{each["name"]}"' for each in reading.fields or ()
            )  # fmt: skip
            if len(self._results) >= _RESULTS_MAX:
                self._results.clear()
            self._results[sql] = self._open.execute(f"SELECT {taken} FROM ({sql})").fetchall()  # noqa: S608
        return self._results[sql]

    def _table(self, node: exp.Table, asked: Question) -> tuple[str, Sequence[Mapping[str, Any]], bool]:
        """Return a table by the name a query gives it. Raises: Refusal."""
        from outlay.simulator.faces.google_sql import invalid

        dataset = node.db or asked.dataset
        if not dataset:
            raise invalid(f'Table "{node.name}" must be qualified with a dataset (e.g. dataset.table).')
        kind = self.tables.get((dataset, node.name))
        project = node.catalog or asked.project
        if kind is None or project != PROJECT or asked.location.upper() != LOCATION:
            known = project == PROJECT and any(dataset == place for place, _ in [*self.tables, (DATASET, "")])
            what = "Table" if known else "Dataset"
            name = f"{project}:{dataset}" + (f".{node.name}" if what == "Table" else "")
            raise Refusal(404, f"Not found: {what} {name} was not found in location {asked.location}",
                          reason="notFound")  # fmt: skip
        return node.name, fields_of(self._account, kind[0]), kind[0] != "focus"

    def _weigh(self, reading: Reading, asked: Question) -> tuple[int, int]:
        """Return the bytes read, and those billed: at least ten mebibytes of each table."""
        processed = billed = 0
        kinds = {name: kind for (_, name), (kind, _) in self.tables.items()}
        for part in reading.parts:
            row = self._open.execute(asked.filled(part.count)).fetchone()
            fields = {each["name"]: each for each in fields_of(self._account, kinds[part.table])}
            bytes_ = (row[0] if row else 0) * sum(_width(fields, path) for path in part.paths)
            processed += bytes_
            billed += max(_LEAST, -(-bytes_ // MEBIBYTE) * MEBIBYTE)
        return processed, billed


_SHARED: dict[Plot, Database] = {}
"""The tables last asked for, the latest last: many short-lived worlds of one process are the same."""
_SHARING = Lock()


def _type(each: Mapping[str, Any]) -> str:
    inner = ", ".join(f'"{part["name"]}" {_type(part)}' for part in each.get("fields", ()))
    return (f"STRUCT({inner})" if inner else _TYPES[each["type"]]) + ("[]" if each["mode"] == "REPEATED" else "")


def _shape(each: Mapping[str, Any]) -> Any:
    inner: Any = {part["name"]: _shape(part) for part in each.get("fields", ())} or _TYPES[each["type"]]
    return [inner] if each["mode"] == "REPEATED" else inner


def _width(fields: Mapping[str, Mapping[str, Any]], path: Sequence[str]) -> int:
    """Return the bytes a column or a field of it takes; a table's pseudo-columns are free."""
    each = fields.get(path[0])
    if each is None:
        return 0
    for name in path[1:]:
        each = next((part for part in each.get("fields", ()) if part["name"] == name), each)
    return _leaves(each)


def _leaves(each: Mapping[str, Any]) -> int:
    inner = each.get("fields")
    return sum(map(_leaves, inner)) if inner else _WIDTHS.get(each["type"], 8)


def _field(name: str, kind: Any) -> dict[str, Any]:
    """Return the schema of a result's column. Raises: Refusal for what is not simulated."""
    from outlay.simulator.faces.google_sql import invalid

    if kind.id == "list":
        return {**_field(name, kind.children[0][1]), "mode": "REPEATED"}
    base = {"name": name, "mode": "NULLABLE"}
    if kind.id == "struct":
        return {**base, "type": "RECORD", "fields": [_field(part, inner) for part, inner in kind.children]}
    if kind.id == "decimal":
        scale = dict(kind.children)["scale"]
        return {**base, "type": "NUMERIC" if int(str(scale)) <= 9 else "BIGNUMERIC"}
    if kind.id in ("tinyint", "smallint", "integer", "bigint", "hugeint", "ubigint"):
        return {**base, "type": "INTEGER"}
    if str(kind).strip('"') not in _FLAT:
        raise invalid(f"A result of type {kind} is not simulated")
    return {**base, "type": _FLAT[str(kind).strip('"')]}


def cell(value: Any, each: Mapping[str, Any], moments: str) -> Any:
    """Return a value as a row's cell holds it: text, null, a record's cells or an array's."""
    if each["mode"] == "REPEATED":
        return [{"v": cell(item, {**each, "mode": "NULLABLE"}, moments)} for item in value or ()]
    if value is None:
        return None
    if each["type"] == "RECORD":
        return {"f": [{"v": cell(value[part["name"]], part, moments)} for part in each["fields"]]}
    if isinstance(value, bool):
        return "true" if value else "false"
    if each["type"] == "TIMESTAMP":
        return _moment(int(value), moments)
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    if isinstance(value, float):
        return double(value)
    return value.isoformat() if isinstance(value, date) else str(value)


def _moment(micros: int, form: str) -> str:
    if form == "INT64":
        return str(micros)
    if form == "ISO8601_STRING":
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros):%Y-%m-%dT%H:%M:%S.%f}Z"
    return double(micros / 1e6)


def double(value: float) -> str:
    """Return a float as the vendor writes it: plain between a thousandth and ten millions, else "1.0E-6"."""
    if value != value:  # noqa: PLR0124 - only NaN differs from itself
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    power = int(exponent) + len(digits) - 1
    rest = "".join(map(str, digits[1:])) or "0"
    return f"{'-' if sign else ''}{digits[0]}.{rest}E{power}"
