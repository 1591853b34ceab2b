"""What libraries and layers below log becomes talk on stderr, without secrets."""

from __future__ import annotations

import logging

import click

from outlay.cli.output.text import neutral
from outlay.redaction import RedactingFilter


class _Talk(logging.Handler):
    """Print a record as one line on whatever stderr is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record."""
        level = "warning" if record.levelno < logging.ERROR else "error"
        click.echo(f"{level}: {neutral(record.getMessage())}", err=True)


def listen() -> None:
    """Show warnings and errors that are logged from here on; asking twice changes nothing."""
    root = logging.getLogger()
    if not any(isinstance(handler, _Talk) for handler in root.handlers):
        handler = _Talk(logging.WARNING)
        handler.addFilter(RedactingFilter())
        root.addHandler(handler)
