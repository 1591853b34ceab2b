"""`outlay history`: how committed numbers changed."""

from __future__ import annotations

from datetime import date

import click

from outlay.cli.answering import Given, ask
from outlay.cli.lazy import Command
from outlay.cli.params import DAY, connection_option, provider_option
from outlay.cli.settings import Settings, pass_settings


@click.command(
    cls=Command,
    epilog="""
    outlay history
    outlay history --connection openai-prod --day 2026-10-31
    """,
)
@connection_option
@provider_option
@click.option("--day", type=DAY, help="Only what was changed for this day.")
@pass_settings
def history(settings: Settings, *, connections: tuple[str, ...], providers: tuple[str, ...], day: date | None) -> None:
    """Show how committed numbers changed: batch, when, before, after."""
    given = Given(connections=connections, providers=providers)
    ask("history", settings, given, empty="No committed number has changed.", day=day)
