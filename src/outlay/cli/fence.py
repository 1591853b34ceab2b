"""The one fence around the command line: every error becomes a short text for the user and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise

import click

from outlay.cli.settings import Settings
from outlay.errors import Exit, OutlayError

INTERRUPTED = 130
"""The exit status shells give a program that Ctrl-C ended."""


def run(call: Callable[[], object], settings: Settings, args: Sequence[str]) -> int:
    """Return the exit status of a call; errors are told on stderr, never with a secret or a traceback."""
    try:
        status = call()
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.Abort:
        return _interrupted()
    except click.UsageError as error:
        return _usage(error, settings, args)
    except OutlayError as error:
        tell(settings.format, error.code, error.message, error.hint)
        return int(error.exit)
    except KeyboardInterrupt:
        return _interrupted()
    except BrokenPipeError:
        # The reader has gone. Point stdout elsewhere, so that the interpreter's last flush does not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return int(Exit.DONE)
    except Exception as error:  # noqa: BLE001 - the fence: whatever gets here is a bug and is told as one
        return _bug(error, settings)
    return status if isinstance(status, int) else int(Exit.DONE)


def tell(form: str, code: str, message: str, hint: str) -> None:
    """Write an error to stderr, as text or in the one JSON shape of errors."""
    from outlay.redaction import redactor

    message, hint = redactor.text(message), redactor.text(hint)
    if form == "json":
        import json

        click.echo(
            json.dumps({"error": {"code": code, "message": message, "hint": hint}}, ensure_ascii=False), err=True
        )
        return
    click.echo(f"error: {printable(message)}\nhint: {printable(hint)}", err=True)


def printable(text: str) -> str:
    """Return text without anything a terminal would obey."""
    from outlay.cli.output.text import neutral

    return "\n".join(neutral(line) for line in text.splitlines())


def _interrupted() -> int:
    click.echo("\ninterrupted; what was committed before is intact", err=True)
    return INTERRUPTED


def _usage(error: click.UsageError, settings: Settings, args: Sequence[str]) -> int:
    # A usage error can come before --format is read.
    asked = "json" if _asks_for_json(args) else settings.format
    command = error.ctx.command_path if error.ctx else "outlay"
    tell(asked, "usage", _sentence(error.format_message()), f"Run `{command} --help` for how it is used.")
    return int(Exit.USAGE)


def _asks_for_json(args: Sequence[str]) -> bool:
    return "--format=json" in args or ("--format", "json") in pairwise(args)


def _sentence(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _bug(error: Exception, settings: Settings) -> int:
    from outlay.redaction import redactor

    says = redactor.text(f"{type(error).__name__}: {error}").splitlines()
    message = f"this is a bug in Outlay: {says[0] if says else type(error).__name__}"
    hint = "Please report it with the command you ran and what OUTLAY_DEBUG=1 adds; secrets are removed from it."
    if settings.debug:
        import traceback

        click.echo(redactor.text("".join(traceback.format_exception(error))), err=True)
        hint = "Please report it with the command you ran and the traceback above; secrets are removed from it."
    tell(settings.format, "bug", message, hint)
    return int(Exit.BUG)
