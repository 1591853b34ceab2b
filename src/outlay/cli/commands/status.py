"""`outlay status`: each connection at a glance."""

from __future__ import annotations

import click

from outlay.cli.answering import Given, ask, end_if_crossed
from outlay.cli.lazy import Command
from outlay.cli.params import connection_option, provider_option
from outlay.cli.settings import Settings, pass_settings


@click.command(
    cls=Command,
    epilog="""
    outlay status
    outlay status --format json
    outlay status --check
    """,
)
@click.option("--check", is_flag=True, help="End with status 5 when a budget or limit is crossed.")
@connection_option
@provider_option
@pass_settings
def status(settings: Settings, *, check: bool, connections: tuple[str, ...], providers: tuple[str, ...]) -> None:
    """Show per connection: spend this month, forecast, nearest limit, balance, freshness, trouble."""
    given = Given(connections=connections, providers=providers)
    ask("status", settings, given)
    if check:
        end_if_crossed(settings, given, ("limits", "budgets"))
