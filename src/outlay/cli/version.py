"""Say which Outlay this is, quickly."""

from __future__ import annotations


def line() -> str:
    """Return the program's name and version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"outlay {version('outlay')}"
    except PackageNotFoundError:
        return "outlay (not installed: run from its source)"
