"""Metering of requests: what each call to a vendor used, observed where its answer is received.

    import openai, outlay.meter

    client = openai.OpenAI()
    outlay.meter.attach(client, connection="openai-prod", tags={"team": "search"})

Counts and headers are read, never what is asked or answered; nothing of it can fail the program or hold it up.
Importing this is cheap: what it needs loads with the first client that is attached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlay.meter.clients import attach, detach, flush, record, stats, trouble

__all__ = ["attach", "detach", "flush", "record", "stats", "trouble"]


def __getattr__(name: str) -> Any:
    """Return a public name, loaded when it is first asked for."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("outlay.meter.clients"), name)
    raise AttributeError(f"module 'outlay.meter' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
