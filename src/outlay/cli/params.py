"""The kinds of arguments commands share: days, dimensions, filters, connections, providers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from outlay.cli.settings import Settings
from outlay.config import Config, load, parse_day
from outlay.errors import ConfigError, OutlayError

if TYPE_CHECKING:
    from outlay.providers.base import Provider
    from outlay.store import Ledger

_F = TypeVar("_F", bound=Callable[..., Any])


class Day(click.ParamType[date]):
    """A UTC day written YYYY-MM-DD."""

    name = "DAY"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day. Raises: click.BadParameter."""
        if isinstance(value, date):
            return value
        try:
            return parse_day(str(value))
        except ConfigError as error:
            self.fail(f"{error.message}. {error.hint}", param, ctx)


class Pair(click.ParamType[tuple[str, str]]):
    """A name and a value written NAME=VALUE."""

    def __init__(self, name: str) -> None:
        self.name = f"{name}=VALUE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return name and value. Raises: click.BadParameter."""
        if isinstance(value, tuple):
            return value
        name, equals, rest = str(value).partition("=")
        if not equals or not name.strip():
            self.fail(f"{str(value)[:40]!r} is not written {self.name}", param, ctx)
        return name.strip(), rest.strip()


class Listed(click.ParamType[tuple[str, ...]]):
    """Several names joined by commas."""

    def __init__(self, name: str, known: Callable[[], tuple[str, ...]] | None = None) -> None:
        self.name = name
        self._known = known

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names in order, each once. Raises: click.BadParameter when there is none."""
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip() for part in str(value).split(",") if part.strip()))
        if not names:
            self.fail("names nothing", param, ctx)
        return names

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Return the names that may follow the last comma."""
        head, comma, last = incomplete.rpartition(",")
        known = self._known() if self._known else ()
        return [CompletionItem(f"{head}{comma}{name}") for name in known if name.startswith(last)]


DAY = Day()


def _connections(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    settings = ctx.find_object(Settings) or Settings()
    try:
        names = load(settings.config, settings.home, settings.environ).connections
    except OutlayError:
        return []
    return [name for name in names if name.startswith(incomplete)]


def _providers(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from outlay.providers import PROVIDERS

    return [provider.id for provider in PROVIDERS if provider.id.startswith(incomplete)]


connections_argument = click.argument("connections", nargs=-1, metavar="[CONNECTION]...", shell_complete=_connections)
connection_argument = click.argument("connection", metavar="CONNECTION", shell_complete=_connections)


def provider_argument(*, required: bool) -> Callable[[_F], _F]:
    """Return an argument that names a provider."""
    metavar = "PROVIDER" if required else "[PROVIDER]"
    return click.argument("provider", required=required, metavar=metavar, shell_complete=_providers)


def connection_option(command: _F) -> _F:
    """Add `--connection`, which may be given several times."""
    return click.option(
        "--connection",
        "connections",
        multiple=True,
        metavar="NAME",
        shell_complete=_connections,
        help="Only this connection; may be given several times.",
    )(command)


def provider_option(command: _F) -> _F:
    """Add `--provider`, which may be given several times."""
    return click.option(
        "--provider",
        "providers",
        multiple=True,
        metavar="ID",
        shell_complete=_providers,
        help="Only this provider; may be given several times.",
    )(command)


def period_options(command: _F) -> _F:
    """Add `--from` and `--to`."""
    command = click.option("--to", type=DAY, help="The day after the last one: the end is exclusive.")(command)
    return click.option("--from", "from_", type=DAY, help="The first UTC day; this month's unless given.")(command)


def find_provider(name: str) -> Provider:
    """Return the provider of an id. Raises: ConfigError with the id that was meant."""
    from outlay.config import suggestion
    from outlay.providers import BY_ID

    if name in BY_ID:
        return BY_ID[name]
    hint = suggestion(name.lower(), tuple(BY_ID), otherwise="`outlay providers` lists them.")
    raise ConfigError(f"there is no provider `{name}`", hint=hint)


def check_connections(config: Config, names: tuple[str, ...]) -> None:
    """Refuse names that the configuration does not have. Raises: ConfigError."""
    from outlay.config import suggestion

    for name in names:
        if name not in config.connections:
            listed = ", ".join(config.connections) or "none; `outlay init` or `outlay connect` adds one"
            hint = suggestion(name, config.connections, otherwise=f"Connections here: {listed}.")
            raise ConfigError(f"there is no connection `{name}`", hint=hint)


def open_ledger(settings: Settings, config: Config, *, create: bool = False) -> Ledger:
    """Return the ledger of a configuration, to be used as a context manager. Raises: StoreError."""
    from outlay.store import Ledger

    return Ledger.open(config.home, store=config.store, state=config.state, clock=settings.clock, create=create)
