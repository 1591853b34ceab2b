"""One renderer for every answer: a table for people, JSON and CSV for programs."""

from __future__ import annotations

import click

from outlay.cli.output.sheet import Column, Kind, Row, Sheet
from outlay.cli.settings import Settings

__all__ = ["Column", "Kind", "Row", "Sheet", "show", "show_json"]


def show(sheet: Sheet, settings: Settings) -> None:
    """Print a sheet on stdout in the format asked for."""
    if settings.format == "json":
        from outlay.cli.output.plain import as_json

        click.echo(as_json(sheet))
    elif settings.format == "csv":
        from outlay.cli.output.plain import as_csv
        from outlay.cli.output.table import lacking

        for line in as_csv(sheet):
            click.echo(line)
        parts = sheet.incomplete or ()
        for part, sentence in zip(parts, lacking(parts), strict=True):
            _tell(part.get("severity"), sentence, settings)
    else:
        from outlay.cli.output.table import print_table

        print_table(sheet, color=settings.color)


def _tell(severity: object, sentence: str, settings: Settings) -> None:
    if severity == "note":
        settings.say(f"note: {sentence}")
    else:
        settings.warn(sentence if severity else f"incomplete: {sentence}")


def show_json(whole: object) -> None:
    """Print one JSON object whose values may be decimals, days and times."""
    from outlay.cli.output.plain import dumps, value

    click.echo(dumps(value(whole)))
