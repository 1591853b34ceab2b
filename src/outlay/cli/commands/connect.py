"""`outlay connect`: add one account to the configuration."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import click

from outlay.cli.configfile import HEADER, Entry, appended, options_lacking, target, write
from outlay.cli.lazy import Command
from outlay.cli.output import Column, Sheet, show
from outlay.cli.params import DAY, Listed, Pair, find_provider, provider_argument
from outlay.cli.settings import Settings, pass_settings
from outlay.config import check_base_url, check_credential, check_name, find, parse, read, validate
from outlay.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from outlay.config import Config
    from outlay.providers.base import Provider


@click.command(
    cls=Command,
    epilog="""
    outlay connect openai --credential env:OPENAI_ADMIN_KEY
    outlay connect github --name acme --credential file:~/.secrets/github --option organization=acme
    outlay connect anthropic --credential keyring:outlay/anthropic --since 2026-01-01
    """,
)
@provider_argument(required=True)
@click.option("--name", help="What to call the connection; the provider's id unless given.")
@click.option("--credential", metavar="WHERE", help="env:NAME, file:PATH, keyring:SERVICE/NAME or cmd:PROGRAM ARGS.")
@click.option(
    "--option", "options", type=Pair("NAME"), multiple=True, help="A provider option, such as organization=acme."
)
@click.option("--since", type=DAY, help="The first day to fetch.")
@click.option("--datasets", type=Listed("NAME[,NAME…]"), default=(), help="Only these datasets.")
@click.option("--base-url", help="Another address than the vendor's own: a proxy or a server of yours.")
@click.option("--allow-http", is_flag=True, help="Let the base URL be http on a network you trust.")
@pass_settings
def connect(
    settings: Settings,
    provider: str,
    *,
    name: str | None,
    credential: str | None,
    options: tuple[tuple[str, str], ...],
    since: date | None,
    datasets: tuple[str, ...],
    base_url: str | None,
    allow_http: bool,
) -> None:
    """Add one account to outlay.toml; what is there stays as it is.

    What is not given is asked for on a terminal.
    """
    found = find_provider(provider)
    path = find(settings.config, settings.environ) if _is_there(settings) else None
    place = path or target(settings)
    text = read(path) if path else HEADER
    config = parse(text, place, place.parent)
    entry = Entry(
        name=_name(found, name, config),
        provider=found.id,
        credential=_credential(settings, found, credential),
        options=_options(settings, found, dict(options)),
        since=since,
        datasets=datasets,
        base_url=None if base_url is None else check_base_url(base_url, allow_http=allow_http),
        allow_http=allow_http,
    )
    _append(place, text, entry, found)
    columns = [Column(key, key.capitalize()) for key in ("connection", "provider", "credential")]
    row = {"connection": entry.name, "provider": entry.provider, "credential": entry.credential}
    show(Sheet(columns, [row], head={"config": str(place)}), settings)
    settings.say(f"added to {place}\nnext: outlay doctor {entry.name}")


def _is_there(settings: Settings) -> bool:
    asked = settings.config or settings.environ.get("OUTLAY_CONFIG")
    return not asked or target(settings).exists()


def _name(provider: Provider, name: str | None, config: Config) -> str:
    if name is not None:
        check_name(name)
        if name in config.connections:
            raise ConfigError(f"there is a connection `{name}` already", hint="Choose another with --name.")
        return name
    if provider.id in config.connections:
        raise ConfigError(
            f"there is a connection `{provider.id}` already",
            hint=f"Name this account, for example --name {provider.id}-prod.",
        )
    return provider.id


def _credential(settings: Settings, provider: Provider, given: str | None) -> str:
    if given is not None:
        return check_credential(given)
    variable = next((name for name in provider.environment if settings.environ.get(name, "").strip()), None)
    if variable is not None:
        return f"env:{variable}"
    if not settings.interactive:
        raise ConfigError(
            f"no credential is given for {provider.title}", hint=f"{provider.key_help} Then: --credential env:NAME."
        )
    settings.say(f"How to get the key: {provider.key_help}")
    default = f"env:{provider.environment[0]}" if provider.environment else None
    answer: str = click.prompt("Where is the key kept", default=default, err=True)
    return check_credential(answer)


def _options(settings: Settings, provider: Provider, given: dict[str, str]) -> dict[str, str]:
    while settings.interactive and (lacking := options_lacking(provider, given)):
        names = [option.name for option in lacking]
        if len(lacking) > 1 and lacking[0].one_of:
            choice = click.prompt("Which kind of account", type=click.Choice(names), err=True)
            lacking = [option for option in lacking if option.name == choice]
        settings.say(lacking[0].help)
        given[lacking[0].name] = click.prompt(lacking[0].name, err=True).strip()
    return given


def _append(place: Path, text: str, entry: Entry, provider: Provider) -> None:
    """Write the file with the connection added, after reading it back as it will be read."""
    whole = appended(text, entry)
    try:
        config = parse(whole, place, place.parent)
    except ConfigError:
        raise ConfigError(
            f"a connection cannot be appended to {place}: its connections are not written as tables of their own",
            hint="Write each as [connections.NAME], then try again.",
        ) from None
    connection = config.connections[entry.name]
    validate(replace(connection, options=dict(entry.options)), provider)
    write(place, whole, keep_mode=True)
