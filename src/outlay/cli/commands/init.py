"""`outlay init`: a first configuration from the keys that the environment holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from outlay.cli.configfile import HEADER, Entry, options_lacking, target, write
from outlay.cli.lazy import Command
from outlay.cli.output import Column, Sheet, show
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import ConfigError

if TYPE_CHECKING:
    from outlay.providers.base import Provider


@click.command(
    cls=Command,
    epilog="""
    outlay init
    outlay init --user
    outlay --config ~/billing/outlay.toml init --force
    """,
)
@click.option("--force", is_flag=True, help="Replace a file that is already there.")
@click.option("--user", is_flag=True, help="Write to your own configuration folder instead of this one.")
@pass_settings
def init(settings: Settings, *, force: bool, user: bool) -> None:
    """Write outlay.toml from the keys found in the environment.

    Keys themselves are never written, only the names of the variables that hold them.
    """
    path = target(settings, user=user)
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already", hint="`outlay connect PROVIDER` adds to it; --force replaces it.")
    entries = found(settings)
    text = HEADER + "".join(f"\n{entry.toml()}" for entry in entries)
    if not entries:
        text += '\n# [connections.my-openai]\n# provider = "openai"\n# credential = "env:OPENAI_ADMIN_KEY"\n'
    write(path, text)
    columns = [Column("connection", "Connection"), Column("provider", "Provider")]
    columns += [Column("credential", "Credential"), Column("lacks", "Lacks")]
    rows = [
        {"connection": e.name, "provider": e.provider, "credential": e.credential, "lacks": e.lacks} for e in entries
    ]
    show(Sheet(columns, rows, head={"config": str(path)}, empty="No keys were found in the environment."), settings)
    settings.say(f"wrote {path}")
    ready = any(entry.lacks is None for entry in entries)
    settings.say("next: outlay doctor" if ready else "next: outlay connect PROVIDER (`outlay providers` lists them)")


def found(settings: Settings) -> list[Entry]:
    """Return a connection for every provider one of whose environment variables is set."""
    from outlay.providers import PROVIDERS

    return [entry for provider in PROVIDERS if (entry := _entry(provider, settings)) is not None]


def _entry(provider: Provider, settings: Settings) -> Entry | None:
    variable = _variable(provider, settings.environ)
    if variable is None:
        return None
    options = _asked(provider, settings) if settings.interactive and not settings.quiet else {}
    lacking = options_lacking(provider, options)
    kind = provider.key_kind(settings.environ[variable].strip())
    lacks = None
    if kind is not None and not kind.usable:
        lacks = f"{variable} holds a key of the wrong kind ({kind.title}). {kind.hint or provider.key_help}"
    elif lacking:
        one_of = any(option.one_of for option in lacking)
        lacks = f"{'Give one of these' if one_of else 'Give these'} and remove the comment marks:"
    wanted = tuple(f'{option.name} = ""  # {option.help}' for option in lacking)
    return Entry(provider.id, provider.id, f"env:{variable}", options, lacks=lacks, wanted=wanted)


def _variable(provider: Provider, environ: Mapping[str, str]) -> str | None:
    """Return the best variable that is set: the first whose key is not known to be of the wrong kind."""
    present = [name for name in provider.environment if environ.get(name, "").strip()]
    usable = [name for name in present if (kind := provider.key_kind(environ[name].strip())) is None or kind.usable]
    return next(iter(usable or present), None)


def _asked(provider: Provider, settings: Settings) -> dict[str, str]:
    options: dict[str, str] = {}
    while lacking := [option for option in options_lacking(provider, options) if option.name not in options]:
        option = lacking[0]
        settings.say(f"{provider.title}: {option.help}")
        value = click.prompt(f"{option.name} (empty to leave out)", default="", show_default=False, err=True).strip()
        options[option.name] = value
        if not value and not option.one_of:
            break
    return {name: value for name, value in options.items() if value}
