"""A small strict GraphQL server: enough of the language to refuse what the vendor refuses.

A document is parsed, held against the vendor's types, and answered from values; a field nobody declared, an argument
nobody knows or a missing one is a validation failure, as it is at the vendor.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outlay.simulator.faces.base import Refusal
from outlay.simulator.shapes import load

_TOKEN = re.compile(r'[{}()\[\]:!=$]|-?\d+|[A-Za-z_]\w*|"(?:[^"\\]|\\.)*"|[\s,]+|(.)')


@dataclass(frozen=True, slots=True)
class Variable:
    """A place where a variable's value goes."""

    name: str


@dataclass(frozen=True, slots=True)
class Field:
    """A selected field with its arguments and what is selected of it."""

    name: str
    arguments: Mapping[str, Any]
    selection: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its kind, the types of its variables, its fields."""

    kind: str
    variables: Mapping[str, str]
    selection: tuple[Field, ...]


def failed(code: str, message: str) -> Refusal:
    """Return the refusal of a document that cannot be run."""
    return Refusal(400, message, code=code)


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        for match in _TOKEN.finditer(text):
            if match[1]:
                raise failed("GRAPHQL_PARSE_FAILED", f"Syntax Error: Unexpected character: {match[1]!r}.")
            if match[0].strip(" \t\r\n,"):
                self._tokens.append(match[0])
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else "<EOF>"

    def next(self, wanted: str | None = None) -> str:
        found = self.peek()
        if found == "<EOF>" or (wanted is not None and found != wanted):
            raise failed("GRAPHQL_PARSE_FAILED", f"Syntax Error: Unexpected {found}.")
        self._at += 1
        return found

    def operation(self) -> Operation:
        kind = "query"
        variables: dict[str, str] = {}
        if self.peek() != "{":
            kind = self.next()
            if self.peek() not in "({":
                self.next()
            if self.peek() == "(":
                self.next()
                while self.peek() != ")":
                    self.next("$")
                    name = self.next()
                    self.next(":")
                    variables[name] = self._type()
                self.next(")")
        found = Operation(kind, variables, self._selection())
        if self.peek() != "<EOF>":
            raise failed("GRAPHQL_PARSE_FAILED", f"Syntax Error: Unexpected {self.peek()}.")
        return found

    def _type(self) -> str:
        inner = self.next()
        if inner == "[":
            inner = f"[{self._type()}"
            inner += self.next("]")
        if self.peek() == "!":
            inner += self.next()
        return inner

    def _selection(self) -> tuple[Field, ...]:
        self.next("{")
        fields = []
        while self.peek() != "}":
            name = self.next()
            arguments: dict[str, Any] = {}
            if self.peek() == "(":
                self.next()
                while self.peek() != ")":
                    argument = self.next()
                    self.next(":")
                    arguments[argument] = self._value()
                self.next(")")
            fields.append(Field(name, arguments, self._selection() if self.peek() == "{" else ()))
        self.next("}")
        return tuple(fields)

    def _value(self) -> Any:
        word = self.next()
        if word == "$":
            return Variable(self.next())
        if word == "[":
            values = []
            while self.peek() != "]":
                values.append(self._value())
            self.next("]")
            return values
        if word.startswith('"'):
            return word[1:-1]
        known = {"true": True, "false": False, "null": None}
        return known[word] if word in known else int(word) if word.lstrip("-").isdigit() else word


def parse(text: str) -> Operation:
    """Return the one operation of a document. Raises: Refusal of status 400."""
    return _Reader(text).operation()


class Server:
    """Answers operations against a vendor's types from values, which may be functions of their arguments."""

    def __init__(self, provider: str) -> None:
        self._schema = load(provider)["graphql"]

    def run(self, text: str, variables: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
        """Return the data of an operation. Raises: Refusal of status 400 where it does not fit the types."""
        operation = parse(text)
        unknown = set(variables) - set(operation.variables)
        for name, kind in operation.variables.items():
            self._check(kind, variables.get(name), f'Variable "${name}"', "BAD_USER_INPUT")
        if unknown:
            # A variable that nobody declared is ignored by servers; a test that sends one has a slip in its document.
            raise failed("BAD_USER_INPUT", f'Variable "${min(unknown)}" is not defined by the operation.')
        if operation.kind != "query":
            raise failed("GRAPHQL_VALIDATION_FAILED", "This simulator only reads.")
        self._validate("Query", operation.selection, operation.variables)
        return self._object("Query", operation.selection, variables, root)

    def _validate(self, kind: str, selection: tuple[Field, ...], declared: Mapping[str, str]) -> None:
        fields = self._schema["types"][kind]
        for field in selection:
            known = fields.get(field.name)
            if known is None:
                raise failed("GRAPHQL_VALIDATION_FAILED", f'Cannot query field "{field.name}" on type "{kind}".')
            arguments = known.get("args", {})
            for name, value in field.arguments.items():
                if name not in arguments:
                    message = f'Unknown argument "{name}" on field "{kind}.{field.name}".'
                    raise failed("GRAPHQL_VALIDATION_FAILED", message)
                self._fits(arguments[name], value, declared, f"{field.name}.{name}")
            for name, wanted in arguments.items():
                if wanted.endswith("!") and field.arguments.get(name) is None:
                    message = f'Field "{field.name}" argument "{name}" of type "{wanted}" is required.'
                    raise failed("GRAPHQL_VALIDATION_FAILED", message)
            inner = known["type"].strip("[]!")
            if (inner in self._schema["types"]) != bool(field.selection):
                message = f'Field "{field.name}" of type "{known["type"]}" must have the right selection of subfields.'
                raise failed("GRAPHQL_VALIDATION_FAILED", message)
            if field.selection:
                self._validate(inner, field.selection, declared)

    def _fits(self, wanted: str, value: Any, declared: Mapping[str, str], where: str) -> None:
        if not isinstance(value, Variable):
            self._check(wanted, value, where, "GRAPHQL_VALIDATION_FAILED")
            return
        kind = declared.get(value.name)
        if kind is None:
            raise failed("GRAPHQL_VALIDATION_FAILED", f'Variable "${value.name}" is not defined.')
        if kind.rstrip("!") != wanted.rstrip("!") or (wanted.endswith("!") and not kind.endswith("!")):
            message = f'Variable "${value.name}" of type "{kind}" used in position expecting type "{wanted}".'
            raise failed("GRAPHQL_VALIDATION_FAILED", message)

    def _check(self, wanted: str, value: Any, where: str, code: str) -> None:
        if value is None:
            if wanted.endswith("!"):
                raise failed(code, f'{where} of required type "{wanted}" was not provided.')
            return
        kind = wanted.rstrip("!")
        if kind.startswith("["):
            for each in value if isinstance(value, list) else [value]:
                self._check(kind[1:-1], each, where, code)
            return
        scalar: type = {"Int": int, "Boolean": bool, "Float": float}.get(kind, str)
        fits = isinstance(value, scalar) and not (scalar is int and isinstance(value, bool))
        if not fits or (kind in self._schema["enums"] and value not in self._schema["enums"][kind]):
            raise failed(code, f'{where} got invalid value "{value}"; it does not exist in "{kind}".')

    def _object(
        self, kind: str, selection: tuple[Field, ...], variables: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        fields = self._schema["types"][kind]
        found: dict[str, Any] = {}
        for field in selection:
            value = values[field.name]
            if isinstance(value, Callable):  # type: ignore[arg-type]
                value = value({name: _filled(given, variables) for name, given in field.arguments.items()})
            found[field.name] = self._value(fields[field.name]["type"].strip("[]!"), field, variables, value)
        return found

    def _value(self, kind: str, field: Field, variables: Mapping[str, Any], value: Any) -> Any:
        if isinstance(value, list):
            return [self._value(kind, field, variables, each) for each in value]
        if not field.selection or value is None:
            return value
        return self._object(kind, field.selection, variables, value)


def _filled(value: Any, variables: Mapping[str, Any]) -> Any:
    if isinstance(value, Variable):
        return variables.get(value.name)
    return [_filled(each, variables) for each in value] if isinstance(value, list) else value
