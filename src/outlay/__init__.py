"""Outlay: what every SaaS and AI vendor costs, how much of it is used, and how close each limit is.

    import outlay

    with outlay.open() as ledger:
        for row in ledger.spend(from_="2026-10-01", to="2026-11-01", by=("provider", "day")).rows:
            print(row.dimensions["provider"], row.billed_cost, row.currency)

Importing the package is cheap: what is heavy loads when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlay.analysis.answer import Answer, Incomplete
    from outlay.api import Ledger, open  # noqa: A004 - `outlay.open` reads as it should
    from outlay.errors import ConfigError, OutlayError, ProviderError, StoreError

    __version__: str

__all__ = [
    "Answer",
    "ConfigError",
    "Incomplete",
    "Ledger",
    "OutlayError",
    "ProviderError",
    "StoreError",
    "__version__",
    "open",
]

_HOMES = {
    "Answer": "outlay.analysis.answer",
    "ConfigError": "outlay.errors",
    "Incomplete": "outlay.analysis.answer",
    "Ledger": "outlay.api",
    "OutlayError": "outlay.errors",
    "ProviderError": "outlay.errors",
    "StoreError": "outlay.errors",
    "open": "outlay.api",
}


def __getattr__(name: str) -> Any:
    """Return a public name, loaded when it is first asked for."""
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("outlay")
        except PackageNotFoundError:
            return "0+source"
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'outlay' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
