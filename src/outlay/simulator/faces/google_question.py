"""A query as it is asked, and as DuckDB reads it: what was written out once serves for the same words again."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from outlay.simulator.faces.base import Refusal

if TYPE_CHECKING:
    from sqlglot import exp

_PARAMETERS = {"STRING": "TEXT", "INT64": "BIGINT", "INTEGER": "BIGINT", "FLOAT64": "DOUBLE", "BOOL": "BOOLEAN",
               "NUMERIC": "DECIMAL(38, 9)", "BIGNUMERIC": "DECIMAL(38, 18)", "DATE": "DATE",
               "TIMESTAMP": "TIMESTAMPTZ"}  # fmt: skip
_KEPT_MAX = 64
_MARK = "\ue000"
Lookup = Callable[["exp.Table"], tuple[str, Sequence[Mapping[str, Any]], bool]]


@dataclass(frozen=True, slots=True)
class Question:
    """A query as it was asked. Units: `most` bytes may be billed. Null: None sets no such limit."""

    text: str
    project: str
    location: str
    dataset: str | None = None
    parameters: Sequence[Mapping[str, Any]] = ()
    most: int | None = None
    dry: bool = False

    def filled(self, sql: str) -> str:
        """Return SQL with the parameters' values where their marks are. Raises: Refusal for a value that is no text."""
        from outlay.simulator.faces.google_sql import invalid

        for each in self.parameters:
            mark = f"'{_mark(each)}'"
            if mark not in sql:
                continue
            value = each.get("parameterValue", {}).get("value")
            if value is not None and not isinstance(value, str):
                raise invalid("Invalid value at 'query_parameters.parameter_value.value' (TYPE_STRING)")
            sql = sql.replace(mark, "NULL" if value is None else "'" + value.replace("'", "''") + "'")
        return sql


@dataclass(frozen=True, slots=True)
class Part:
    """One table that is read: what counts its rows in the chosen partitions, and the leaves that are looked at."""

    table: str
    count: str
    paths: Sequence[Sequence[str]]


@dataclass(slots=True)
class Reading:
    """A query in DuckDB's words, with marks for the parameters' values. Null: `fields` are None until it has run."""

    sql: str
    parts: Sequence[Part]
    fields: Sequence[Mapping[str, Any]] | None = None


_KEPT: dict[object, Reading] = {}
_KEEPING = Lock()


def read(asked: Question, label: str, tables: Mapping[Any, Any], lookup: Lookup) -> Reading:
    """Return a question in DuckDB's words, from memory where it was asked of the same tables. Raises: Refusal."""
    kinds = [
        {"name": each.get("name"), "type": kind, "value": each.get("parameterValue") if _is_list(each) else None}
        for each in asked.parameters
        for kind in (each.get("parameterType"),)
    ]
    key = (asked.text, asked.project, asked.location, asked.dataset, json.dumps(kinds), label, tuple(tables.items()))
    with _KEEPING:
        found = _KEPT.get(key)
        if found is None:
            if len(_KEPT) >= _KEPT_MAX:
                _KEPT.clear()
            found = _KEPT[key] = _read(asked, lookup)
        return found


def _read(asked: Question, lookup: Lookup) -> Reading:
    from outlay.simulator.faces.google_sql import Reader

    tree = _parsed(asked)
    reader = Reader(lookup)
    reader.query(tree)
    _name(tree)
    parts = []
    for each in reader.reads:
        where = " AND ".join(f"({part.sql('duckdb')})" for part in each.pruning) or "TRUE"
        count = f'SELECT count(*) FROM "{each.table}" AS "{each.alias}" WHERE {where}'  # noqa: S608
        parts.append(Part(each.table, count, sorted(each.paths)))
    return Reading(tree.sql("duckdb"), parts)


def _is_list(parameter: Mapping[str, Any]) -> bool:
    return bool(parameter.get("parameterType", {}).get("type") == "ARRAY")


def _mark(parameter: Mapping[str, Any]) -> str:
    return f"{_MARK}{str(parameter.get('name', '')).lower()}{_MARK}"


def _parsed(asked: Question) -> exp.Expr:
    """Return the one SELECT of a text, its parameters put in. Raises: Refusal."""
    import sqlglot
    from sqlglot import exp

    from outlay.simulator.faces.google_sql import invalid

    try:
        trees = [tree for tree in sqlglot.parse(asked.text, read="bigquery") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise invalid(f"Syntax error: {str(error).splitlines()[0]}") from None
    if not trees:
        raise invalid("Syntax error: Unexpected end of statement")
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise Refusal(403, f"Access Denied: Project {asked.project}: the simulator's account may only read",
                      reason="accessDenied")  # fmt: skip
    [tree] = trees
    given = {str(each.get("name", "")).lower(): each for each in asked.parameters}
    for node in list(tree.find_all(exp.Parameter)):
        if node.name.lower() not in given:
            raise invalid(f"Query parameter '{node.name}' not found")
        parameter = given[node.name.lower()]
        kind = parameter.get("parameterType", {})
        value = parameter.get("parameterValue", {}) if _is_list(parameter) else {"value": _mark(parameter)}
        node.replace(_literal(kind, value))
    return tree


def _literal(kind: Mapping[str, Any], value: Mapping[str, Any]) -> exp.Expr:
    """Return a parameter as a value of its type. Raises: Refusal."""
    from sqlglot import exp

    from outlay.simulator.faces.google_sql import invalid

    if kind.get("type") == "ARRAY":
        inner = kind.get("arrayType", {})
        items = [_literal(inner, each) for each in value.get("arrayValues", ())]
        return exp.cast(exp.Array(expressions=items), f"{_PARAMETERS.get(inner.get('type', ''), 'TEXT')}[]",
                        dialect="duckdb")  # fmt: skip
    wanted, text = _PARAMETERS.get(str(kind.get("type")).upper()), value.get("value")
    if wanted is None:
        raise invalid(f"Invalid parameter type {kind.get('type')}")
    if text is not None and not isinstance(text, str):
        raise invalid("Invalid value at 'query_parameters.parameter_value.value' (TYPE_STRING)")
    return exp.cast(exp.null() if text is None else exp.Literal.string(text), wanted, dialect="duckdb")


def _name(tree: exp.Expr) -> None:
    """Name the columns of a result that have no name of their own: f0_, f1_ and so on."""
    from sqlglot import exp

    top: Any = tree
    while not isinstance(top, exp.Select):
        top = top.this
    numbers = iter(range(len(top.expressions)))
    top.set("expressions", [
        each if isinstance(each, exp.Alias) else exp.alias_(each, f"f{next(numbers)}_", quoted=True)
        for each in top.expressions
    ])  # fmt: skip
