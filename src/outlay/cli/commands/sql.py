"""`outlay sql`: read-only SQL on the ledger."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import click

from outlay.cli.lazy import Command
from outlay.cli.output import Column, Kind, Sheet, show
from outlay.cli.params import open_ledger
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import ConfigError

ROWS_MAX = 1_000


@click.command(
    cls=Command,
    epilog="""
    outlay sql "SELECT x_Provider, sum(BilledCost) FROM charges GROUP BY 1"
    outlay sql --file report.sql --format csv --limit 0
    echo "SELECT * FROM limits" | outlay sql -
    """,
)
@click.argument("query", required=False)
@click.option("--file", "path", type=click.Path(path_type=Path, dir_okay=False), help="Read the query from a file.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=ROWS_MAX, show_default=True, help="Rows at most; 0 for all."
)
@pass_settings
def sql(settings: Settings, query: str | None, *, path: Path | None, limit: int) -> None:
    """Run one SELECT on the ledger's views; nothing can be changed or read besides them.

    The views are charges, usage, limits, balances, invoices, budgets, revenue, names, statements and batches.
    """
    text = _text(query, path)
    config = settings.load()
    with open_ledger(settings, config) as ledger:
        result = ledger.user_sql(text, rows_max=limit + 1 if limit else None)
    rows = result.dicts()
    more = bool(limit) and len(rows) > limit
    rows = rows[:limit] if more else rows
    columns = [Column(name, name, _kind([row[name] for row in rows])) for name in result.columns]
    show(Sheet(columns, rows, head={"columns": list(result.columns)}, empty="No rows."), settings)
    if more:
        settings.warn(f"only the first {limit} rows are shown; --limit 0 shows all")


def _text(query: str | None, path: Path | None) -> str:
    if (query is None) == (path is None):
        raise click.UsageError("give one query, or --file")
    if path is None:
        return sys.stdin.read() if query == "-" else str(query)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read", hint=str(error)) from None


def _kind(values: list[object]) -> Kind:
    numbers = [
        isinstance(value, Decimal | int) and not isinstance(value, bool) for value in values if value is not None
    ]
    return Kind.EXACT if numbers and all(numbers) else Kind.TEXT
