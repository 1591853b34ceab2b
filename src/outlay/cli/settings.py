"""What holds for a whole run: the global options, the streams, the clock."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outlay.clock import Clock, day_of, system_clock

if TYPE_CHECKING:
    from datetime import date

    from outlay.config import Config

FORMATS = ("table", "json", "csv")


@dataclass
class Settings:
    """The global options as given, before or after the command's name, and what derives from them."""

    format: str = "table"
    config: Path | None = None
    home: Path | None = None
    quiet: bool = False
    no_color: bool = False
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = system_clock

    @property
    def color(self) -> bool:
        """Tell whether colour is wanted where the stream is a terminal."""
        return not self.no_color and not self.environ.get("NO_COLOR")

    @property
    def debug(self) -> bool:
        """Tell whether bugs are to be told with their tracebacks."""
        return self.environ.get("OUTLAY_DEBUG") == "1"

    @property
    def today(self) -> date:
        """Return the present UTC day."""
        return day_of(self.clock())

    def load(self) -> Config:
        """Return the configuration in effect. Raises: ConfigError."""
        from outlay.cli.talk import listen
        from outlay.config import load

        listen(tracebacks=self.debug)
        return load(self.config, self.home, self.environ)

    def say(self, text: str) -> None:
        """Tell the user something that is not data, unless `--quiet`."""
        if not self.quiet:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Tell the user of something that needs attention, also with `--quiet`."""
        click.echo(f"warning: {text}", err=True)

    @property
    def interactive(self) -> bool:
        """Tell whether there is somebody to ask."""
        return sys.stdin.isatty() and sys.stderr.isatty()


pass_settings = click.make_pass_decorator(Settings, ensure=True)


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    if value is not None and value is not False and param.name:
        setattr(ctx.ensure_object(Settings), param.name, value)


def global_options() -> list[click.Parameter]:
    """Return the options every command takes; the one given last wins."""
    path = click.Path(path_type=Path)
    return [
        click.Option(
            ["--format"], type=click.Choice(FORMATS), help="How to print: table (default), json or csv.", **_QUIETLY
        ),
        click.Option(["--config"], type=path, help="The configuration file to read.", **_QUIETLY),
        click.Option(["--home"], type=path, help="The folder that holds the ledger.", **_QUIETLY),
        click.Option(["--quiet"], is_flag=True, help="Print data and errors, nothing else.", **_QUIETLY),
        click.Option(["--no-color"], is_flag=True, help="Print without colour; NO_COLOR does the same.", **_QUIETLY),
    ]


_QUIETLY: dict[str, Any] = {"callback": _keep, "expose_value": False, "is_eager": True}
