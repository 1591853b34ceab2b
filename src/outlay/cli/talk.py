"""What libraries and layers below log becomes talk on stderr, without secrets."""

from __future__ import annotations

import logging

import click

from outlay.cli.output.text import neutral
from outlay.redaction import RedactingFilter

_CREDENTIALS = "outlay.credentials"


class _Talk(logging.Handler):
    """Print a record as one line on whatever stderr is at that moment, and where a bug happened if asked to."""

    tracebacks = False

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.told = set[str]()
        """What was said of credentials: a dozen connections say the same, and once is enough."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record; an error that came with it is named by its own last line."""
        level = "warning" if record.levelno < logging.ERROR else "error"
        told = [record.getMessage()]
        if record.exc_text:  # the filter has made the text of what was raised, and taken the secrets out
            where, _, what = record.exc_text.rstrip().rpartition("\n")
            told.append(what)
            if self.tracebacks:
                click.echo("\n".join(neutral(line) for line in where.splitlines()), err=True)
        says = f"{level}: {neutral(': '.join(told))}"
        if record.name == _CREDENTIALS:
            if says in self.told:
                return
            self.told.add(says)
        click.echo(says, err=True)


def listen(*, tracebacks: bool = False) -> None:
    """Show warnings and errors that are logged from here on; asking again sets what is shown of bugs alone."""
    root = logging.getLogger()
    handler = next((handler for handler in root.handlers if isinstance(handler, _Talk)), None)
    if handler is None:
        handler = _Talk(logging.WARNING)
        handler.addFilter(RedactingFilter())
        root.addHandler(handler)
    handler.told.clear()
    handler.tracebacks = tracebacks
