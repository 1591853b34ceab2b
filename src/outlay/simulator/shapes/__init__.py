"""The vendors' answer shapes, one file each, and the check that an answer keeps to them.

A file names, for each operation and status, a schema among its own. The check is stricter than the vendor's contract:
a field the contract does not name fails, and so does a value outside a list of known values, because a simulator must
not invent what no vendor sends. `x-declared-type` marks the two places where live answers depart from their contract:
OpenAI's amounts that come as numeric strings and GitHub's quantities that come as decimals.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_PATTERNS = {
    "date-time": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$",
    "date": r"^\d{4}-\d\d-\d\d$",
    "uuid": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
}


class ShapeError(AssertionError):
    """An answer that no vendor would give: operation, place in the answer, and what is wrong there."""


@cache
def load(provider: str) -> dict[str, Any]:
    """Return a vendor's shapes, closed against unnamed fields."""
    document: dict[str, Any] = json.loads((files(__name__) / f"{provider}.json").read_text("utf-8"))
    schemas: dict[str, Any] = {name: _closed(schema) for name, schema in document["schemas"].items()}
    document["schemas"] = {name: _by_kind(schema, schemas) for name, schema in schemas.items()}
    return document


def _by_kind(schema: Any, schemas: dict[str, Any]) -> Any:
    """Return a schema whose alternatives are told apart by their `object`, so that only the right one is tried."""
    if isinstance(schema, list):
        return [_by_kind(part, schemas) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "oneOf" not in schema or not all("$ref" in part for part in schema["oneOf"]):
        return {name: _by_kind(part, schemas) for name, part in schema.items()}
    kinds = {
        schemas[part["$ref"].rpartition("/")[2]]["properties"]["object"]["enum"][0]: part for part in schema["oneOf"]
    }
    cases = [{"if": {"properties": {"object": {"const": kind}}}, "then": part} for kind, part in kinds.items()]
    return {"type": "object", "properties": {"object": {"enum": list(kinds)}}, "required": ["object"], "allOf": cases}


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {
        name: {k: _closed(v) for k, v in part.items()} if name == "properties" else _closed(part)
        for name, part in schema.items()
    }
    if isinstance(schema.get("properties"), dict):
        shut.setdefault("additionalProperties", False)
    if isinstance(schema.get("x-extensible-enum"), list):
        shut["enum"] = schema["x-extensible-enum"]
    if isinstance(schema.get("format"), str) and schema["format"] in _PATTERNS:
        shut["pattern"] = _PATTERNS[schema["format"]]
    return shut


@cache
def _validator(provider: str, schema: str) -> Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator({"$ref": f"#/schemas/{schema}", "schemas": load(provider)["schemas"]})


def schema_of(provider: str, method: str, path: str, status: int) -> str | None:
    """Return the name of the schema an answer must keep to.

    Null: the contract gives the operation no body for this status.
    """
    document = load(provider)
    statuses: dict[str, str] = document["paths"].get(f"{method} {path}", {})
    found = statuses.get(str(status))
    if found is None and status >= 300:
        found = document["errors"].get(str(status), document["errors"]["default"])
    return found


def check(provider: str, path: str, status: int, body: bytes, *, method: str = "GET") -> None:
    """Refuse an answer that departs from the vendor's shape.

    Raises: ShapeError, naming the place.
    """
    where = f"{provider} {method} {path} {status}"
    schema = schema_of(provider, method, path, status)
    if schema is None:
        if load(provider)["paths"].get(f"{method} {path}") is not None:
            raise ShapeError(f"{where}: the contract knows no such answer")
        return
    for error in _validator(provider, schema).iter_errors(json.loads(body)):
        raise ShapeError(f"{where}: {error.json_path}: {error.message[:400]}")
