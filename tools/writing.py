"""Markdown from Python: tables, docstrings, the fields of classes with the words written below them."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator

NOTE = "<!-- Written by tools/reference.py from the code. Change the code, then run it. -->"


def page(title: str, *parts: str) -> str:
    """Return a page from its parts, one blank line between them."""
    return "\n\n".join([f"# {title}", NOTE, *(part.strip("\n") for part in parts if part)]) + "\n"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table."""
    lines = [list(head), *([_cell(value) for value in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return " ".join(text.replace("|", "\\|").split())


def code(value: object) -> str:
    """Return a value in backticks, nothing for nothing."""
    return f"`{value}`" if value not in (None, "") else ""


def prose(text: str | None) -> str:
    """Return a docstring as Markdown: its fixed words (Units, Null, Order, Raises, Source) become items."""
    words = inspect.cleandoc(text or "").replace("\b", "")
    return re.sub(r"(?m)^(Units|Null|Order|Raises|Source):\s*", r"- **\1:** ", words)


def first_line(text: str | None) -> str:
    """Return the sentence a docstring begins with."""
    return inspect.cleandoc(text or "").split("\n")[0]


def fields(cls: type) -> Iterator[tuple[str, str, str]]:
    """Yield name, type and explanation of each field a class declares itself."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    for node, after in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, ast.unparse(node.annotation), _words(after)


def members(enumeration: type) -> Iterator[tuple[str, str]]:
    """Yield value and explanation of each member of an enumeration."""
    body = ast.parse(textwrap.dedent(inspect.getsource(enumeration))).body[0]
    assert isinstance(body, ast.ClassDef)
    for node, after in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(node, ast.Assign):
            yield str(ast.literal_eval(node.value)), _words(after)


def _words(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return inspect.cleandoc(node.value.value)
    return ""
