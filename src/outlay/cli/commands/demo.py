"""`outlay demo`: fake vendors, a real sync over real HTTP, and what the ledger then says."""

from __future__ import annotations

import shlex
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from outlay.cli.answering import Given, ask
from outlay.cli.commands.sync import run
from outlay.cli.configfile import Entry, write
from outlay.cli.lazy import Command
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import ConfigError

if TYPE_CHECKING:
    from outlay.providers.base import Provider
    from outlay.simulator import Simulator

DAYS, WORLD_DAYS = 90, 120


@click.command(
    cls=Command,
    epilog="""
    outlay demo --no-serve
    outlay demo --no-serve --seed 7
    """,
)
@click.option("--no-serve", is_flag=True, help="Print the overview and end.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same world.")
@pass_settings
def demo(settings: Settings, *, no_serve: bool, seed: int) -> None:
    """See Outlay work without any key: simulated vendors, 90 days synced over HTTP, the overview.

    Nothing of yours is read or written: configuration and ledger go to a folder of their own.
    """
    from outlay.simulator import FACES, Simulator, World

    with _folder(settings) as home:
        today = settings.today
        # The world ends with the day it is made on: a demo at midnight asks for nothing after it.
        last = datetime.combine(today, time.max, UTC)

        def clock() -> datetime:
            return min(settings.clock(), last)

        with Simulator(World(seed, today, WORLD_DAYS, clock=clock)) as simulator:
            providers = _providers()
            keys = {_variable(provider): next(iter(FACES[provider.id].keys)) for provider in providers}
            environ = {**_without_ours(settings), **keys}
            config = home / "outlay.toml"
            inside = replace(settings, home=home, config=config, environ=environ, clock=clock)
            _configure(inside, simulator, providers)
            settings.say(f"{len(providers)} simulated vendors at {simulator.url}; syncing {DAYS} days over HTTP")
            from outlay.sync.plan import Span

            report = run(inside, inside.load(), (), Span())
        _overview(inside)
        _explore(settings, home, no_serve=no_serve)
    raise click.exceptions.Exit(int(report.exit))


@contextmanager
def _folder(settings: Settings) -> Iterator[Path]:
    """Give an empty folder for the demo; one made here is gone again where the demo does not come to its end.

    Raises: ConfigError when the folder asked for holds something.
    """
    if settings.home is not None:
        if settings.home.exists() and (not settings.home.is_dir() or any(settings.home.iterdir())):
            hint = "The demo wants a folder of its own; leave --home out."
            raise ConfigError(f"{settings.home} is not empty", hint=hint)
        yield settings.home
        return
    with _told_to_end_as_interrupted():
        home = Path(tempfile.mkdtemp(prefix="outlay-demo-"))
        try:
            yield home
        except BaseException:
            shutil.rmtree(home, ignore_errors=True)
            raise


@contextmanager
def _told_to_end_as_interrupted() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's alone
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _without_ours(settings: Settings) -> dict[str, str]:
    return {name: value for name, value in settings.environ.items() if name not in ("OUTLAY_CONFIG", "OUTLAY_HOME")}


def _providers() -> list[Provider]:
    from outlay.providers import PROVIDERS
    from outlay.simulator import FACES

    return [provider for provider in PROVIDERS if provider.id in FACES]


def _variable(provider: Provider) -> str:
    return f"OUTLAY_DEMO_{provider.id.upper()}"


def _configure(settings: Settings, simulator: Simulator, providers: list[Provider]) -> None:
    """Write a configuration with a connection to every simulated vendor."""
    assert settings.config is not None, "the demo has a configuration of its own"
    text = "# The demo's own configuration: simulated vendors, fake keys.\n"
    write(settings.config, text + "".join(f"\n{_entry(each, simulator).toml()}" for each in providers))


def _entry(provider: Provider, simulator: Simulator) -> Entry:
    from outlay.simulator import FACES

    return Entry(
        name=f"{provider.id}-demo",
        provider=provider.id,
        credential=f"env:{_variable(provider)}",
        options=_options(provider, FACES[provider.id].options),
        base_url=simulator.base_url(provider.id),
    )


def _options(provider: Provider, offered: Mapping[str, str]) -> dict[str, str]:
    """Return the options a connection takes: of those that exclude each other, the first that the vendor offers."""
    options: dict[str, str] = {}
    groups: set[str] = set()
    for option in provider.options:
        if option.name in offered and option.one_of not in groups:
            options[option.name] = offered[option.name]
            groups |= {option.one_of} if option.one_of else set()
    return options


def _overview(settings: Settings) -> None:
    if settings.format == "json":
        ask("status", settings, Given())
        return
    for title, question, given in (
        ("Status", "status", Given()),
        ("Spend this month", "spend", Given(by=("provider", "service"))),
    ):
        click.echo(f"\n{title}\n")
        ask(question, settings, given, sums=("billed_cost", "effective_cost") if question == "spend" else ())


def _explore(settings: Settings, home: Path, *, no_serve: bool) -> None:
    where = f"--config {shlex.quote(str(home / 'outlay.toml'))} --home {shlex.quote(str(home))}"
    if not no_serve:
        settings.say("\nThis version shows the overview in the terminal; it has no dashboard in the browser.")
    settings.say(f"\nLook around:\n  outlay {where} spend --by provider,day")
    settings.say(f'  outlay {where} limits\n  outlay {where} sql "FROM charges LIMIT 5"')
    settings.say(f"Remove it with: rm -r {shlex.quote(str(home))}")
