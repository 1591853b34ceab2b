"""`outlay import`: vendors' exports and your own CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outlay.cli.lazy import Command
from outlay.cli.output import Column, Kind, Sheet, show
from outlay.cli.params import check_connections, find_provider, open_ledger
from outlay.cli.settings import Settings, pass_settings
from outlay.config import check_name
from outlay.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from outlay.config import Config, Connection
    from outlay.model.problem import Problem
    from outlay.sync.entries import Done, Outcome
    from outlay.sync.imports import Read

COLUMNS = (
    Column("connection", "Connection", keep=6),
    Column("dataset", "Dataset"),
    Column("from", "From"),
    Column("to", "To", keep=4),
    Column("state", "State"),
    Column("facts", "Facts", Kind.QUANTITY, keep=7),
    Column("currency", "Cur."),
    Column("basis", "Basis", keep=5),
    Column("billed_cost", "Cost", Kind.MONEY),
    Column("batch", "Batch", table=False),
)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    cls=Command,
    epilog="""
    outlay import november.csv --connection supabase --preview
    outlay import november.csv --connection supabase
    outlay import export.zip --connection deepseek
    outlay import --withdraw 019aabc0ffee019aabc0ffee
    """,
)
@click.argument("file", type=_FILE, required=False)
@click.option("--connection", metavar="NAME", help="The connection whose cost or usage the file tells.")
@click.option("--name", help="Keep a source of your own apart: its lines stand in the dataset import.NAME.")
@click.option("--preview", "--dry-run", "preview", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--withdraw", metavar="ID", help="Take back a batch, or everything one import or entry brought.")
@pass_settings
def import_(
    settings: Settings,
    file: Path | None,
    *,
    connection: str | None,
    name: str | None,
    preview: bool,
    withdraw: str | None,
) -> None:
    """Import a vendor's export (CSV or ZIP), or a CSV of your own; docs/importing.md has the columns.

    A file is taken whole or not at all. Each day it speaks of replaces what the same source said of that day before:
    importing a file twice changes nothing.
    """
    if (file is None) == (withdraw is None):
        raise click.UsageError("give either a FILE to import or --withdraw ID")
    config = settings.load()
    if withdraw is not None:
        _withdraw(settings, config, withdraw, preview=preview)
        return
    assert file is not None
    if name is not None:
        check_name(name)
    chosen = connection_of(config, connection)
    from outlay.sync.imports import read

    found = read(file.expanduser(), find_provider(chosen.provider), name=name, clock=settings.clock)
    if found.wrong:
        _refuse(settings, file, found)
    commit(settings, config, chosen, found.partitions, by=found.form.title, reason="import", preview=preview,
           problems=found.problems)  # fmt: skip


def connection_of(config: Config, name: str | None) -> Connection:
    """Return the connection named, or the only one. Raises: ConfigError."""
    if name is None:
        if len(config.connections) == 1:
            return next(iter(config.connections.values()))
        raise ConfigError("whose it is, is not said", hint="Name the connection with --connection NAME.")
    check_connections(config, (name,))
    return config.connections[name]


def commit(
    settings: Settings,
    config: Config,
    connection: Connection,
    typed: Sequence[Any],
    *,
    by: str,
    reason: str,
    preview: bool,
    problems: Sequence[Problem] = (),
) -> None:
    """Put typed partitions into the ledger, or with `preview` only look, and print what that changes."""
    from outlay.sync.entries import foreseen, state_typed

    if preview:
        outcomes = _foreseen(settings, config, connection, typed, foreseen)
        _show(settings, connection.name, outcomes, None, problems)
        settings.say("nothing was committed")
        return
    with open_ledger(settings, config, create=True) as ledger:
        done = state_typed(ledger, connection, typed, reason=reason, by=by, clock=settings.clock)
        ledger.maintain_if_needed()
    _show(settings, connection.name, done.outcomes, done.id, problems)
    _tell(settings, done)


def _foreseen(settings: Settings, config: Config, connection: Connection, typed: Sequence[Any], foreseen: Any) -> Any:
    try:
        with open_ledger(settings, config) as ledger:
            return foreseen(ledger, connection, typed)
    except StoreError:
        if config.store is None and not (config.home / "ledger").exists():
            return foreseen(None, connection, typed)
        raise


def _withdraw(settings: Settings, config: Config, name: str, *, preview: bool) -> None:
    from outlay.sync.entries import withdraw

    with open_ledger(settings, config) as ledger:
        connection, done = withdraw(ledger, name, preview=preview, clock=settings.clock)
    _show(settings, connection, done.outcomes, done.id, ())
    settings.say("nothing was committed" if preview else "withdrawn; `outlay history` shows what stood there")


def _refuse(settings: Settings, file: Path, found: Read) -> None:
    """Print each line that is wrong, and leave: nothing was imported. Raises: ConfigError."""
    from outlay.cli.fence import printable
    from outlay.sync.imports import PROBLEMS_MAX

    rows = [{"where": one.where, "says": one.says, "hint": one.hint, "code": one.code} for one in found.wrong]
    if settings.format == "json":
        show(Sheet((), [], whole={"file": file.name, "imported": False, "problems": rows}), settings)
    else:
        for row in rows:
            where = f"{file.name}, {row['where']}" if row["where"] else file.name
            click.echo(printable(f"{where}: {row['says']}. {row['hint']}".rstrip()), err=True)
    more = "at least " if len(rows) >= PROBLEMS_MAX else ""
    says = f"{file.name}: wrong lines: {more}{len(rows)}; nothing was imported"
    raise ConfigError(says, hint="Correct the lines that are named and import the file again.")


def _show(
    settings: Settings, connection: str, outcomes: Iterable[Outcome], id_: str | None, problems: Sequence[Problem]
) -> None:
    rows: list[dict[str, Any]] = []
    for each in outcomes:
        row = {
            "connection": connection,
            "dataset": each.dataset,
            "from": each.period.first_day,
            "to": each.period.end_day,
            "state": each.state,
            "facts": each.facts,
            "batch": each.batch,
        }
        sums: Mapping[Any, Any] = each.costs or {(None, None): None}
        rows += [
            {**row, "currency": currency, "basis": basis, "billed_cost": cost}
            for (currency, basis), cost in sums.items()
        ]
    noted = [{"why": f"{one.says} ({one.code})", "dataset": one.where, "hint": one.hint} for one in problems]
    head = {"connection": connection, "id": id_}
    show(
        Sheet(COLUMNS, rows, head=head, incomplete=noted or None, trouble="What to know", empty="It holds nothing."),
        settings,
    )


def _tell(settings: Settings, done: Done) -> None:
    if done.id is None:
        settings.say("nothing changed: the ledger says so already")
        return
    replaced = sum(outcome.state == "replaced" for outcome in done.outcomes)
    if replaced:
        settings.warn(
            f"{replaced} partition{'s' if replaced > 1 else ''} said something else before; `outlay history` shows what"
        )
    settings.say(f"to take it back: outlay import --withdraw {done.id}")
