"""What may import what, and what loads at start-up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from outlay.cli.app import COMMANDS

ROOT = Path(__file__).parent.parent

HEAVY = {
    "alembic", "arro3", "deltalake", "duckdb", "httpx2", "jsonschema", "numpy", "pandas", "polars", "pyarrow", "rich",
    "sqlalchemy", "starlette", "uvicorn",
}  # fmt: skip
"""Libraries that take longer to import than a help text may take to appear."""


def loaded_by(program: str, *arguments: str) -> set[str]:
    """Return the top-level packages that are loaded once a program has run."""
    watched = f"""
import atexit, sys
atexit.register(lambda: sys.stderr.write("\\n" + " ".join(sorted({{name.partition(".")[0] for name in sys.modules}}))))
sys.path.insert(0, {str(ROOT / "src")!r})
{program}
"""
    done = subprocess.run([sys.executable, "-c", watched, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_imports_point_down() -> None:
    """The layers and prohibitions written in pyproject.toml hold for every import in the package."""
    linter = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", linter, "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_is_light() -> None:
    """`import outlay` loads no heavy library and not even the command line's."""
    assert not loaded_by("import outlay") & (HEAVY | {"click"})


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], []], ids=" ".join)
def test_the_command_line_starts_light(arguments: list[str]) -> None:
    """Help and version appear without the store, the wire or the terminal library."""
    assert not loaded_by("from outlay.cli import main; main()", *arguments) & HEAVY


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_command_s_help_starts_light(command: str) -> None:
    """Asking how a command is used loads nothing it would need to run."""
    assert not loaded_by("from outlay.cli import main; main()", command, "--help") & HEAVY


def test_providers_load_without_the_engine() -> None:
    """A provider is a description: all of them load without a socket, a table or a terminal."""
    assert not loaded_by("import outlay.providers; outlay.providers.PROVIDERS[0]") & (HEAVY | {"click"})
