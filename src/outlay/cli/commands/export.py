"""`outlay export`: files for other programs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from outlay.cli.answering import Given
from outlay.cli.lazy import Group
from outlay.cli.output import Column, Sheet, show
from outlay.cli.params import DAY, open_ledger, period_options
from outlay.cli.settings import Settings, pass_settings
from outlay.clock import month_start
from outlay.errors import Exit

if TYPE_CHECKING:
    from outlay.analysis.answer import Answer
    from outlay.analysis.spend import SpendRow
    from outlay.export import Checked

_F = TypeVar("_F", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path, dir_okay=False)
TABLES = ("charges", "usage", "limits", "balances", "invoices", "budgets", "revenue", "names", "statements", "batches")
VERSIONS = ("1.2", "1.3", "1.4")
BASES = ("billed", "entered", "priced", "estimated")


def _out(command: _F) -> _F:
    return click.option("--out", type=_FILE, required=True, help="The file to write; its suffix settles the format.")(
        command
    )


@click.group(
    cls=Group,
    epilog="""
    outlay export focus --out october.csv --from 2026-10-01 --to 2026-11-01
    outlay export facts usage --out usage.parquet
    """,
)
def export() -> None:
    """Write a FOCUS dataset, or any table of facts, to a file."""


@export.command(epilog="outlay export focus --out october.parquet --from 2026-10-01 --to 2026-11-01")
@_out
@period_options
@click.option(
    "--version",
    "--focus-version",
    "version",
    type=click.Choice(VERSIONS),
    default="1.3",
    show_default=True,
    help="The FOCUS version.",
)
@click.option(
    "--basis",
    "bases",
    type=click.Choice(BASES),
    multiple=True,
    help="What to write: billed and entered unless given; may be given several times.",
)
@pass_settings
def focus(
    settings: Settings, *, out: Path, from_: date | None, to: date | None, version: str, bases: tuple[str, ...]
) -> None:
    """Write the charges of a period as a FOCUS Cost and Usage file, CSV or Parquet, and check it."""
    from outlay import analysis
    from outlay import export as exports
    from outlay.export.focus import STATED
    from outlay.model.basis import Basis

    first, end = _period(settings, from_, to)
    chosen = tuple(Basis(basis) for basis in bases) or STATED
    config = settings.load()
    with open_ledger(settings, config) as ledger:
        done = exports.focus(ledger, out, from_=first, to=end, version=version, bases=chosen)
        spent = analysis.spend(ledger, Given(from_=first, to=end).query(config), clock=settings.clock)
    head = {"version": version, "from": first, "to": end}
    _written(settings, out, done.rows, head, _found(done.checked), [gap.record() for gap in spent.incomplete])
    if not bases:
        _left_out(settings, spent)
    if not done.checked.passed:
        raise click.exceptions.Exit(int(Exit.BUG))


def _left_out(settings: Settings, spent: Answer[SpendRow]) -> None:
    """Name the spend that stands in no file of what is stated, because the vendor or the user states it nowhere."""
    for row in spent.rows:
        if row.basis in ("priced", "estimated"):
            amount = f"{row.billed_cost.normalize():f} {row.currency}"
            settings.warn(f"left out: {row.dimensions['provider']}, {amount}: --basis {row.basis} writes it")


def _found(checked: Checked) -> list[str]:
    """Return a sentence for each kind of problem, with how often it was found and where first."""
    firsts = {problem.code: problem for problem in reversed(checked.problems)}
    return [
        f"{code}, {count} time{'s' if count > 1 else ''}"
        + (f": {firsts[code].says} (first at {firsts[code].where}). {firsts[code].hint}" if code in firsts else "")
        for code, count in checked.counts.items()
    ]


@export.command(epilog="outlay export facts limits --out limits.jsonl")
@click.argument("table", type=click.Choice(TABLES))
@_out
@click.option("--from", "from_", type=DAY, help="The first UTC day; the oldest there is unless given.")
@click.option("--to", type=DAY, help="The day after the last one: the end is exclusive.")
@pass_settings
def facts(settings: Settings, table: str, *, out: Path, from_: date | None, to: date | None) -> None:
    """Write a table of facts as it stands: CSV, Parquet or JSON lines; all of it unless a period is given."""
    from outlay import export as exports

    if from_ and to:
        _period(settings, from_, to)
    with open_ledger(settings, settings.load()) as ledger:
        rows = exports.facts(ledger, table, out, from_=from_, to=to)
    _written(settings, out, rows, {"table": table}, [], None)


def _period(settings: Settings, from_: date | None, to: date | None) -> tuple[date, date]:
    """Return the days to write, this month up to today unless given."""
    end = to or settings.today + timedelta(days=1)
    first = from_ or month_start(end - timedelta(days=1))
    if first >= end:
        raise click.BadParameter(
            f"the period from {first} to {end} holds no day: the end is exclusive", param_hint="--to"
        )
    return first, end


def _written(
    settings: Settings,
    out: Path,
    rows: int,
    head: dict[str, object],
    problems: list[str],
    incomplete: list[dict[str, Any]] | None,
) -> None:
    row: dict[str, object] = {"file": str(out), "rows": rows, **head}
    columns = [Column(name, name.capitalize()) for name in row]
    show(Sheet(columns, [row], head={"problems": problems}, incomplete=incomplete), settings)
    for problem in problems:
        settings.warn(problem)
