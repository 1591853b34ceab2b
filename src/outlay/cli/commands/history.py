"""`outlay history`: how committed numbers changed."""

from __future__ import annotations

from datetime import date

import click

from outlay.cli.answering import check_known
from outlay.cli.lazy import Command
from outlay.cli.output import Column, Kind, Sheet, show
from outlay.cli.params import DAY, connection_option, open_ledger
from outlay.cli.settings import Settings, pass_settings

COLUMNS = (
    Column("connection", "Connection"),
    Column("dataset", "Dataset"),
    Column("day", "Day"),
    Column("committed_at", "When", keep=5),
    Column("reason", "Why", keep=3),
    Column("currency", "Cur."),
    Column("before", "Before", Kind.MONEY),
    Column("after", "After", Kind.MONEY),
    Column("change", "Change", Kind.MONEY, keep=6),
    Column("batch", "Batch", table=False),
)


@click.command(
    cls=Command,
    epilog="""
    outlay history
    outlay history --connection openai-prod --day 2026-10-31
    """,
)
@connection_option
@click.option("--day", type=DAY, help="Only what was changed for this day.")
@pass_settings
def history(settings: Settings, *, connections: tuple[str, ...], day: date | None) -> None:
    """Show how committed numbers changed: batch, when, before, after."""
    from outlay.cli.changes import rows

    config = settings.load()
    with open_ledger(settings, config) as ledger:
        check_known(ledger, config, connections)
        found = [row for name in connections or (None,) for row in rows(ledger.history(name, day))]
    show(Sheet(COLUMNS, found, empty="No committed number has changed."), settings)
