"""A command line to call, and a ledger that a real sync with the simulator has filled."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from outlay.cli.app import cli
from outlay.cli.settings import Settings
from outlay.simulator import FACES, Simulator, World

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAYS = 25


@dataclass
class Line:
    """A command line with a home, a configuration and an environment of its own."""

    home: Path
    config: Path | None = None
    environ: dict[str, str] = field(default_factory=dict)
    now: datetime = NOW

    def __call__(self, *arguments: str, input: str | None = None) -> Result:  # noqa: A002 - click's word
        """Run a command."""
        settings = Settings(
            config=self.config, home=self.home, environ={"HOME": str(self.home), **self.environ}, clock=lambda: self.now
        )
        result = CliRunner().invoke(cli, list(arguments), obj=settings, input=input, prog_name="outlay")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    def json(self, *arguments: str, status: int = 0) -> Any:
        """Run a command with `--format json` and return what it printed."""
        result = self(*arguments, "--format", "json")
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    """Return a command line that finds nothing: no file, no ledger, no keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("outlay.config.file.user_file", lambda: tmp_path / "user" / "outlay.toml")
    return Line(home=tmp_path / "home")


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """Serve the simulated vendors for the whole run."""
    with Simulator(World(7, TODAY, DAYS)) as running:
        yield running


def configuration(simulator: Simulator, *, since: str = "2026-11-01") -> str:
    """Return a configuration with a connection to each simulated vendor."""
    tables = []
    for provider in ("openai", "anthropic", "github"):
        option = f'organization = "{FACES["github"].options["organization"]}"\n' if provider == "github" else ""
        tables.append(
            f'[connections.{provider}-test]\nprovider = "{provider}"\ncredential = "env:{provider.upper()}"\n'
            f'base_url = "{simulator.base_url(provider)}"\nsince = "{since}"\n{option}'
        )
    return "\n".join(tables)


def keys() -> dict[str, str]:
    """Return the environment that holds the simulated vendors' keys."""
    return {provider.upper(): next(iter(FACES[provider].keys)) for provider in ("openai", "anthropic", "github")}


@pytest.fixture(scope="session")
def synced(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Line:
    """Return a command line whose ledger holds a month of three vendors; tests only read it."""
    folder = tmp_path_factory.mktemp("synced")
    config = folder / "outlay.toml"
    config.write_text(configuration(simulator))
    found = Line(home=folder / "home", config=config, environ=keys())
    result = found("sync", "--quiet")
    assert result.exit_code == 0, result.output
    return found


@pytest.fixture
def run() -> Callable[..., Any]:
    """Return what starts the command line as a process of its own."""
    import subprocess
    import sys

    root = Path(__file__).parents[2]

    def start(*arguments: str, environ: dict[str, str] | None = None, **options: Any) -> Any:
        inherited = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
        variables = {**inherited, "PYTHONPATH": str(root / "src"), **(environ or {})}
        return subprocess.run(
            [sys.executable, "-m", "outlay", *arguments],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )

    return start
