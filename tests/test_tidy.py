"""The rules of the house that a program can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TOOLS = sorted((ROOT / "tools").rglob("*.py"))
TREES = {path: ast.parse(path.read_text("utf-8")) for path in (*SOURCES, *TESTS, *TOOLS)}

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 70
FENCES = {"src/outlay/cli/fence.py", "src/outlay/sync/engine.py", "src/outlay/meter/together.py"}
"""Where any exception may be caught: around a whole command, one connection of a sync, and a server's own thread."""
WIDE_NAMES = {"util", "utils", "helper", "helpers", "common", "misc", "base_utils"}
EXACT = ("model", "providers", "store", "sync")
"""Packages in which a binary float would be near money."""


def short(path: Path) -> str:
    """Return a path as it is written from the root."""
    return path.relative_to(ROOT).as_posix()


def texts() -> Iterator[Path]:
    """Yield every text file that is part of the project."""
    for folder in ("src", "tests", "tools", "docs", "requirements", "bench", ".ci"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".png" and not {"__pycache__", "out"} & {*path.parts}:
                yield path
    yield from (path for path in ROOT.glob("*") if path.suffix in {".md", ".toml", ""} and path.is_file())


def public(tree: ast.Module) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield a module's public classes and functions, and the public methods of those classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                for part in node.body:
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) and not part.name.startswith("_"):
                        yield part


def run(*command: str) -> None:
    """Run one of the checkers; what it finds is the failure."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_finds_nothing() -> None:
    """Ruff's rules, as pyproject.toml selects them, hold everywhere."""
    run("ruff", "check", "--no-cache", "--output-format=concise", ".")


def test_the_code_is_formatted() -> None:
    """The formatter would change nothing."""
    run("ruff", "format", "--no-cache", "--check", ".")


def test_the_types_fit() -> None:
    """The strict type check passes, and checkers see the interface as `typing/api.py` states, wrong calls included."""
    run("mypy", "--no-error-summary", "src/outlay", "tests/typing/api.py")


def test_dependencies_are_those_in_use() -> None:
    """What is imported is declared, and what is declared is imported."""
    run("deptry", "--no-ansi", "src")


@pytest.mark.parametrize("path", TREES, ids=short)
def test_files_and_functions_stay_small(path: Path) -> None:
    """A file can be read in one sitting, and a function seen at once."""
    lines = len(path.read_text("utf-8").splitlines())
    assert lines <= FILE_LINES_MAX, f"{lines} lines"
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_public_names_say_what_they_do(path: Path) -> None:
    """Every module, class and function has a docstring whose first line is one sentence."""
    for node in (TREES[path], *public(TREES[path])):
        name = getattr(node, "name", path.stem)
        words = ast.get_docstring(node)
        assert words, f"{name} has no docstring"
        first = re.split(r"\s+(?:Units|Null|Order|Raises|Source):", words.splitlines()[0])[0]
        assert first.endswith((".", ":")), f"{name}: {first!r} is no sentence"
        assert not re.search(r"\w{3}\. [A-Z]", first), f"{name}: {first!r} is more than one sentence"


@pytest.mark.parametrize("path", TESTS, ids=short)
def test_tests_say_what_they_prove(path: Path) -> None:
    """Every test carries a sentence."""
    silent = [
        node.name
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert not silent


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.parts[-2] in EXACT or path.parts[-3] in EXACT], ids=short
)
def test_no_float_comes_near_money(path: Path) -> None:
    """Nothing is turned into a binary float where facts are made, kept and moved."""
    calls = [
        node.lineno
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
    ]
    assert not calls, f"float( on lines {calls}"


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_errors_are_caught_where_something_is_done_about_them(path: Path) -> None:
    """Only the fences catch every exception and go on; elsewhere who catches all raises again."""
    wide = [
        node.lineno
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ExceptHandler)
        and not isinstance(node.body[-1], ast.Raise)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]
    assert not wide or short(path) in FENCES, f"catches everything on lines {wide}"


@pytest.mark.parametrize("path", [*SOURCES, *TOOLS], ids=short)
def test_modules_are_named_for_what_they_hold(path: Path) -> None:
    """There is no drawer for everything."""
    assert not {part.removesuffix(".py") for part in path.relative_to(ROOT).parts} & WIDE_NAMES


MARKS = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
PLACES = re.compile(r"(?<![\w.<}*)])/(?:home|root|Users|work|tmp)/")
INDEXES = re.compile(r"(?:py" + r"pi\.org|pytho" + r"nhosted\.org|--(?:extra-)?index-" + r"url|--find-" + r"links)")


@pytest.mark.parametrize("path", sorted(texts()), ids=short)
def test_texts_hold_for_every_reader(path: Path) -> None:
    """No open ends, no folder of somebody's machine, no address of a package index, no blank at a line's end."""
    text = path.read_text("utf-8")
    # The pattern of this very file and sandbox folders in strings that tests refuse to write to are meant.
    assert not MARKS.search(text)
    if path != Path(__file__):
        assert not PLACES.search(text)
    assert not INDEXES.search(text)
    if path.suffix in {".py", ".md", ".toml"}:
        assert text.endswith("\n") or not text
