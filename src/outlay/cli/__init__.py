"""The command line: parse, call, print; everything it shows comes from the same answers as the other faces."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit status."""
    if sys.argv[1:] == ["--version"]:
        from outlay.cli.version import line

        sys.stdout.write(line() + "\n")
        return
    try:
        from outlay.cli.app import cli
    except KeyboardInterrupt:  # the fence that tells it well is not loaded yet
        sys.exit(130)
    cli(prog_name="outlay")
