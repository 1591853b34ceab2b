"""`outlay replay`: map the kept answers again with today's code."""

from __future__ import annotations

import click

from outlay.cli.commands.sync import sheet
from outlay.cli.lazy import Command
from outlay.cli.output import show
from outlay.cli.params import check_connections, connections_argument, open_ledger
from outlay.cli.settings import Settings, pass_settings


@click.command(
    cls=Command,
    epilog="""
    outlay replay
    outlay replay openai-prod
    """,
)
@connections_argument
@pass_settings
def replay(settings: Settings, connections: tuple[str, ...]) -> None:
    """Map the kept answers of the vendors again, without the network.

    What comes out otherwise than it stands in the ledger is committed as a restatement.
    """
    config = settings.load()
    check_connections(config, connections)
    import outlay.sync as engine

    with open_ledger(settings, config) as ledger:
        report = engine.replay(config, ledger, connections=connections, clock=settings.clock)
    show(sheet(report), settings)
    raise click.exceptions.Exit(int(report.exit))
