"""`outlay maintain`: upkeep of the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from outlay.cli.lazy import Group
from outlay.cli.output import Column, Sheet, show
from outlay.cli.params import open_ledger
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import Exit

KEEP_DAYS = 400
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(
    cls=Group,
    invoke_without_command=True,
    epilog="""
    outlay maintain
    outlay maintain verify
    outlay maintain backup ~/backups/outlay
    outlay --home ~/restored maintain restore ~/backups/outlay
    """,
)
@click.option(
    "--keep-days",
    type=click.IntRange(min=1),
    default=KEEP_DAYS,
    show_default=True,
    help="How long superseded batches stay readable.",
)
@click.pass_context
def maintain(ctx: click.Context, keep_days: int) -> None:
    """Merge small files and remove what is older than it has to be kept; a sync does so by itself when need be."""
    if ctx.invoked_subcommand is None:
        settings = ctx.ensure_object(Settings)
        with open_ledger(settings, settings.load()) as ledger:
            done = ledger.maintain(keep_days=keep_days)
        _facts("maintained", done, settings)


@maintain.command(epilog="outlay maintain verify")
@pass_settings
def verify(settings: Settings) -> None:
    """Read every file of the ledger and compare its rows with the record of batches; status 4 where they differ."""
    with open_ledger(settings, settings.load()) as ledger:
        done = ledger.verify()
    _facts("verified", done, settings)
    if getattr(done, "problems", ()):
        raise click.exceptions.Exit(int(Exit.STORE))


@maintain.command(epilog="outlay maintain rebuild")
@pass_settings
def rebuild(settings: Settings) -> None:
    """Bring the state database in step with the tables, where one of them was put back from another day.

    Let no sync run meanwhile. Nothing in the tables changes; what they lack is fetched by the next sync.
    """
    with open_ledger(settings, settings.load()) as ledger:
        count = ledger.rebuild()
    settings.say(f"the state database is in step with the tables: {count} partitions")


@maintain.command(epilog="outlay maintain backup ~/backups/outlay")
@click.argument("folder", type=_FOLDER)
@pass_settings
def backup(settings: Settings, folder: Path) -> None:
    """Copy the ledger as it is now into an empty folder; others may go on writing."""
    with open_ledger(settings, settings.load()) as ledger:
        ledger.backup(folder.expanduser())
    settings.say(f"backed up to {folder}")


@maintain.command(epilog="outlay --home ~/restored maintain restore ~/backups/outlay")
@click.argument("folder", type=_FOLDER)
@pass_settings
def restore(settings: Settings, folder: Path) -> None:
    """Put a backup in place as the ledger of a home folder that has none."""
    from outlay.store import Ledger

    home = settings.load().home
    Ledger.restore(folder.expanduser(), home)
    settings.say(f"restored to {home}")


def _facts(what: str, done: Any, settings: Settings) -> None:
    import msgspec

    values: dict[str, Any] = msgspec.to_builtins(done)
    rows = [{"what": name.replace("_", " "), "value": value} for name, value in values.items()]
    columns = [Column("what", what.capitalize()), Column("value", "")]
    show(Sheet(columns, rows, whole={what: values}), settings)
