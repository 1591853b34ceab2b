"""GoogleSQL as BigQuery reads it: names are looked up here, by BigQuery's rules, before DuckDB sees a query.

A column is found among the sources in scope and written out in full, so that what BigQuery refuses is refused here
(unknown and ambiguous names, aliases used too early, operands of two types) and DuckDB's kinder rules find no use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlglot import exp

from outlay.simulator.faces.base import Refusal

Field = Mapping[str, Any]
Columns = dict[str, tuple[str, "Field | None"]]
PSEUDO = ("_PARTITIONTIME", "_PARTITIONDATE")
_PSEUDO_FIELDS = ({"name": PSEUDO[0], "type": "TIMESTAMP", "mode": "NULLABLE"},
                  {"name": PSEUDO[1], "type": "DATE", "mode": "NULLABLE"})  # fmt: skip
_CASTS = {"TIMESTAMPTZ": "TIMESTAMP", "DATE": "DATE", "TEXT": "STRING", "VARCHAR": "STRING", "DECIMAL": "NUMBER",
          "BIGDECIMAL": "NUMBER", "DOUBLE": "NUMBER", "BIGINT": "NUMBER", "INT": "NUMBER",
          "BOOLEAN": "BOOL"}  # fmt: skip
_KINDS = {"FLOAT": "NUMBER", "NUMERIC": "NUMBER", "INTEGER": "NUMBER", "BOOLEAN": "BOOL"}
_SPELLED = {"NUMBER": "NUMERIC"}
_SIGNS: dict[type[exp.Expr], str] = {exp.EQ: "=", exp.NEQ: "!=", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_MOMENTS = (exp.Timestamp, exp.TimestampAdd, exp.TimestampSub, exp.TimestampTrunc, exp.CurrentTimestamp)
_DAYS = (exp.Date, exp.CurrentDate, exp.DateAdd, exp.DateSub, exp.DateTrunc, exp.LastDay)


def invalid(message: str) -> Refusal:
    """Return the refusal of a query that makes no sense."""
    return Refusal(400, message, reason="invalidQuery", location="query")


@dataclass(slots=True)
class Read:
    """One table a query reads: which leaves of it, and what it says of the partitions."""

    table: str
    alias: str
    paths: set[tuple[str, ...]] = field(default_factory=set)
    pruning: list[exp.Expr] = field(default_factory=list)


@dataclass(slots=True)
class Source:
    """What a FROM clause names. `fields` of None inside is a type nobody knows; `element` is an array's element."""

    alias: str
    name: str
    fields: Columns
    hidden: Columns = field(default_factory=dict)
    read: Read | None = None
    unnest: bool = False
    element: Field | None = None

    def find(self, name: str) -> tuple[str, Field | None] | None:
        """Return a column by its name in any case, pseudo-columns too."""
        return self.fields.get(name.lower()) or self.hidden.get(name.lower())


@dataclass(slots=True)
class Scope:
    """The sources one SELECT sees, and the scope around it."""

    outer: Scope | None
    tables: dict[str, Columns] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    using: set[str] = field(default_factory=set)
    aliases: set[str] = field(default_factory=set)

    def table(self, name: str) -> Columns | None:
        """Return the columns of a named sub-query."""
        scope: Scope | None = self
        while scope is not None:
            if name.lower() in scope.tables:
                return scope.tables[name.lower()]
            scope = scope.outer
        return None


class Reader:
    """Reads one query: `lookup` gives a table's name in DuckDB, its fields and if it has partitions, or refuses."""

    def __init__(self, lookup: Callable[[exp.Table], tuple[str, Sequence[Field], bool]]) -> None:
        self._lookup = lookup
        self._numbers = count()
        self.reads: list[Read] = []

    def query(self, node: exp.Expr, outer: Scope | None = None) -> Columns:
        """Write out a query in place and return its columns."""
        if isinstance(node, exp.Subquery):
            return self.query(node.this, outer)
        scope = Scope(outer)
        if (named := node.args.get("with_")) is not None:
            for part in named.expressions:
                scope.tables[part.alias.lower()] = self.query(part.this, scope)
        if isinstance(node, exp.SetOperation):
            columns = self.query(node.this, scope)
            self.query(node.expression, scope)
            scope.aliases = set(columns)
            self._clauses(node, scope, ("order", "limit"))
            return columns
        if not isinstance(node, exp.Select):
            raise invalid("Only SELECT statements are read here")
        return self._select(node, scope)

    def _select(self, node: exp.Select, scope: Scope) -> Columns:
        if (begin := node.args.get("from_")) is not None:
            begin.set("this", self._source(begin.this, scope))
        for join in node.args.get("joins") or ():
            join.set("this", self._source(join.this, scope))
            scope.using |= {column.name.lower() for column in join.args.get("using") or ()}
            self._clauses(join, scope, ("on",))
        self._clauses(node, scope, ("where",))
        node.set("expressions", [self._named(each) for each in self._spread(node.expressions, scope)])
        for each in node.expressions:
            self._visit(each, scope)
        columns: Columns = {}
        for n, each in enumerate(node.expressions):
            name = each.alias_or_name or f"f{n}_"
            columns[name.lower()] = (name, each.unalias().meta.get("field"))
        names = [each.alias.lower() for each in node.expressions if isinstance(each, exp.Alias)]
        twice = {name for name in names if names.count(name) > 1}
        scope.aliases = set(names) - twice
        if node.parent is None and twice:
            raise invalid(f"Duplicate column names in the result are not supported. Found duplicate(s): {min(twice)}")
        self._clauses(node, scope, ("group", "having", "qualify", "order", "limit", "distinct"), twice)
        self._prune(node, scope)
        return columns

    def _clauses(self, node: exp.Expr, scope: Scope, names: Iterable[str], twice: Iterable[str] = ()) -> None:
        for name in names:
            if isinstance(part := node.args.get(name), exp.Expr):
                for column in part.find_all(exp.Column):
                    if len(column.parts) == 1 and column.name.lower() in twice and name in ("group", "order"):
                        raise invalid(f"Column name {column.name} is ambiguous")
                self._visit(part, scope, name)

    def _source(self, node: exp.Expr, scope: Scope) -> exp.Expr:
        if isinstance(node, exp.Unnest):
            return self._unnest(node, scope)
        if isinstance(node, exp.Subquery):
            alias = node.alias or f"_q{next(self._numbers)}"
            # What stands beside a sub-query is not seen by it.
            around = Scope(scope.outer, scope.tables)
            scope.sources.append(Source(alias, alias, self.query(node, around)))
            node.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))
            return node
        if not isinstance(node, exp.Table):
            raise invalid("Syntax error: Unexpected item in the FROM clause")
        alias = node.alias or node.name.rpartition(".")[2]
        if any(source.name.lower() == alias.lower() for source in scope.sources):
            raise invalid(f"Duplicate table alias {alias} in the same FROM clause")
        columns = None if node.args.get("db") else scope.table(node.name)
        if columns is not None:
            scope.sources.append(Source(alias, alias, columns))
            target = node.name
        else:
            target, fields, parted = self._lookup(node)
            read = Read(target, alias)
            self.reads.append(read)
            named: Columns = {each["name"].lower(): (each["name"], each) for each in fields}
            hidden: Columns = {each["name"].lower(): (each["name"], each) for each in _PSEUDO_FIELDS if parted}
            scope.sources.append(Source(alias, alias, named, hidden, read))
        return exp.Table(this=exp.to_identifier(target, quoted=True),
                         alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)))  # fmt: skip

    def _unnest(self, node: exp.Unnest, scope: Scope) -> exp.Expr:
        if node.args.get("offset"):
            raise invalid("WITH OFFSET is not simulated")
        named = node.args.get("alias")
        name = (named.columns[0].name if named and named.columns else named.name if named else "") or ""
        for each in node.expressions:
            self._visit(each, scope)
        array = node.expressions[0].meta.get("field")
        if array is not None and array["mode"] != "REPEATED":
            raise invalid("Values referenced in UNNEST must be arrays")
        element = None if array is None else {**array, "mode": "NULLABLE"}
        alias, column = f"_u{next(self._numbers)}", name or "_value"
        fields: Columns = {each["name"].lower(): (each["name"], each) for each in (element or {}).get("fields", ())}
        scope.sources.append(Source(alias, name, fields, {}, None, unnest=True, element=element))
        scope.sources[-1].hidden = {"": (column, element)}
        node.set("alias", exp.TableAlias(this=exp.to_identifier(alias, quoted=True),
                                         columns=[exp.to_identifier(column, quoted=True)]))  # fmt: skip
        return node

    def _spread(self, nodes: Iterable[exp.Expr], scope: Scope) -> list[exp.Expr]:
        """Return the items of a SELECT with its stars written out; pseudo-columns are in none."""
        found: list[exp.Expr] = []
        for node in nodes:
            star = node if isinstance(node, exp.Star) else node.this if isinstance(node, exp.Column) else None
            if not isinstance(star, exp.Star):
                found.append(node)
                continue
            owner = node.table.lower() if isinstance(node, exp.Column) else None
            without = {each.name.lower() for each in star.args.get("except_") or ()}
            sources = [each for each in scope.sources if owner in (None, each.name.lower())]
            if not sources:
                raise invalid(f"Unrecognized name: {owner}" if owner else "SELECT * must have a FROM clause")
            for source in sources:
                names = [name for name, _ in source.fields.values()]
                if source.unnest and not names:
                    found.append(exp.column(source.name))
                found += [_full(source, name, ()) for name in names if name.lower() not in without]
        return found

    @staticmethod
    def _named(node: exp.Expr) -> exp.Expr:
        """Return an item under the name its column has, so that writing it out does not change it."""
        name = "" if isinstance(node, exp.Alias) else node.name if isinstance(node, exp.Column | exp.Dot) else ""
        if isinstance(node, exp.Dot):
            name = node.expression.name
        return exp.alias_(node, name, quoted=True, copy=False) if name else node

    def _visit(self, node: exp.Expr, scope: Scope, clause: str = "") -> None:
        if isinstance(node, exp.Query):
            self.query(node, scope)
            return
        if isinstance(node, exp.Column):
            if not isinstance(node.this, exp.Star) and "field" not in node.meta:
                self._column(node, scope, clause)
            return
        if isinstance(node, exp.Dot) and "field" in node.meta:
            return
        for child in list(node.iter_expressions()):
            self._visit(child, scope, clause)
        _retype(node)

    def _column(self, node: exp.Column, scope: Scope, clause: str) -> None:
        parts = [part.name for part in node.parts]
        # ORDER BY reads the names of the result first, every other clause those of the sources.
        by_alias = len(parts) == 1 and parts[0].lower() in scope.aliases
        if by_alias and clause == "order":
            return
        at: Scope | None = scope
        while at is not None:
            if len(parts) == 1 and parts[0].lower() in at.using:
                return
            if (found := self._found(parts, at)) is not None:
                node.replace(found)
                return
            if by_alias and clause in ("group", "having", "qualify"):
                return
            at = at.outer
        raise invalid(f"Unrecognized name: {parts[0]}")

    @staticmethod
    def _found(parts: list[str], scope: Scope) -> exp.Expr | None:
        for source in scope.sources:
            if source.name.lower() != parts[0].lower() or not source.name:
                continue
            if source.unnest:
                return _path(source, "", source.element, parts[1:])
            if len(parts) > 1 and (column := source.find(parts[1])) is not None:
                return _path(source, column[0], column[1], parts[2:])
            raise invalid(f"Name {parts[1]} not found inside {parts[0]}" if len(parts) > 1 else
                          f"Rows as values are not simulated: {parts[0]}")  # fmt: skip
        owners = [source for source in scope.sources if source.find(parts[0]) is not None]
        if len(owners) > 1:
            raise invalid(f"Column name {parts[0]} is ambiguous")
        for source in owners:
            name, kind = source.find(parts[0]) or ("", None)
            return _path(source, name, kind, parts[1:])
        return None

    @staticmethod
    def _prune(node: exp.Select, scope: Scope) -> None:
        """Keep, for each table, the conditions that choose its partitions and need no look into the rows."""
        where = node.args.get("where")
        if where is None:
            return
        for part in where.this.flatten() if isinstance(where.this, exp.And) else (where.this,):
            columns = list(part.find_all(exp.Column))
            owners = {column.table for column in columns}
            if part.find(exp.Query) or len(owners) != 1 or any(column.name not in PSEUDO for column in columns):
                continue
            for source in scope.sources:
                if source.read is not None and source.alias in owners:
                    source.read.pruning.append(part.copy())


def _path(source: Source, name: str, kind: Field | None, rest: Sequence[str]) -> exp.Expr:
    """Return a column and the way into it, refusing fields it does not have."""
    names: list[str] = []
    for part in rest:
        if kind is not None:
            if kind["mode"] == "REPEATED":
                raise invalid(f"Cannot access field {part} on a value with type ARRAY<STRUCT<...>>")
            if "fields" not in kind:
                raise invalid(f"Cannot access field {part} on a value with type {kind['type']}")
            inner = {each["name"].lower(): each for each in kind["fields"]}
            if part.lower() not in inner:
                raise invalid(f"Field name {part} does not exist in STRUCT<...>")
            kind = inner[part.lower()]
        names.append(part if kind is None else kind["name"])
    found = _full(source, name, names)
    found.meta["field"] = kind
    return found


def _full(source: Source, name: str, names: Sequence[str]) -> exp.Expr:
    if source.unnest:
        column = source.hidden[""][0]
        names = [name, *names] if name else names
    else:
        column = name
        if source.read is not None:
            source.read.paths.add((name, *names))
    found: exp.Expr = exp.column(exp.to_identifier(column, quoted=True),
                                       table=exp.to_identifier(source.alias, quoted=True))  # fmt: skip
    found.meta["field"] = None
    for part in names:
        found = exp.Dot(this=found, expression=exp.to_identifier(part, quoted=True))
        found.meta["field"] = None
    if not names:
        known = source.hidden[""][1] if source.unnest else (source.find(name) or ("", None))[1]
        found.meta["field"] = known
    elif source.unnest and len(names) == 1:
        found.meta["field"] = source.fields.get(names[0].lower(), ("", None))[1]
    return found


def kind_of(node: exp.Expr) -> str | None:
    """Return the type of an expression as far as its outside tells. Null: None is one that could be any."""
    known = node.meta.get("field")
    if known is not None:
        return None if known["mode"] == "REPEATED" else str(_KINDS.get(known["type"], known["type"]))
    if isinstance(node, exp.Paren | exp.Max | exp.Min):
        return kind_of(node.this)
    if isinstance(node, exp.Cast | exp.TryCast):
        return _CASTS.get(node.to.this.name)
    if isinstance(node, exp.Literal):
        return None if node.is_string else "NUMBER"
    if isinstance(node, exp.Sum | exp.Count):
        return "NUMBER"
    return "TIMESTAMP" if isinstance(node, _MOMENTS) else "DATE" if isinstance(node, _DAYS) else None


def _retype(node: exp.Expr) -> None:
    """Refuse operands of two types, and write out what DuckDB would type in another way."""
    sides: list[exp.Expr] = []
    if isinstance(node, tuple(_SIGNS)):
        sides = [node.this, node.expression]
    elif isinstance(node, exp.Between):
        sides = [node.this, node.args["low"], node.args["high"]]
    kinds = {kind: None for kind in map(kind_of, sides) if kind is not None}
    if len(kinds) > 1:
        sign = _SIGNS.get(type(node), "BETWEEN")
        spelled = ", ".join(_SPELLED.get(kind, kind) for kind in kinds)
        raise invalid(f"No matching signature for operator {sign} for argument types: {spelled}")
    if isinstance(node, exp.Cast | exp.TryCast) and node.to.this.name in ("DECIMAL", "BIGDECIMAL"):
        # By way of its text a float becomes the decimal it is read as; the ninth decimal is rounded half away from 0.
        if not node.to.expressions:
            scale = 9 if node.to.this.name == "DECIMAL" else 18
            node.set("to", exp.DataType.build(f"DECIMAL(38, {scale})"))
            node.set("this", exp.cast(node.this, "TEXT"))
    elif isinstance(node, exp.DateAdd | exp.DateSub | exp.DateTrunc) and not isinstance(node.parent, exp.Cast):
        if kind_of(node.this) != "TIMESTAMP":
            node.replace(exp.cast(node.copy(), "DATE"))
    elif isinstance(node, exp.Extract) and node.this.name.upper() == "DATE":
        node.replace(exp.cast(node.expression.copy(), "DATE"))
