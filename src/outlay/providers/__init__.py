"""Every provider Outlay knows, as one explicit list; a description is loaded when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlay.providers.base import Provider

    PROVIDERS: tuple[Provider, ...]

_IDS = (
    "openai",
    "anthropic",
    "github",
    "elevenlabs",
    "huggingface",
    "deepseek",
    "stripe",
    "lemonsqueezy",
    "supabase",
    "railway",
    "groq",
    "brave",
    "google",
)
"""Each is the name of a module here, which holds its `PROVIDER`."""


class _ById(Mapping[str, "Provider"]):
    """Load one provider at a time: all of them take a tenth of a small sync."""

    def __getitem__(self, id_: str) -> Provider:
        if id_ not in _IDS:
            raise KeyError(id_)
        found: Provider = import_module(f"{__name__}.{id_}").PROVIDER
        return found

    def __contains__(self, id_: object) -> bool:
        return id_ in _IDS

    def __iter__(self) -> Iterator[str]:
        return iter(_IDS)

    def __len__(self) -> int:
        return len(_IDS)


BY_ID: Mapping[str, Provider] = _ById()


def __getattr__(name: str) -> Any:
    if name != "PROVIDERS":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = tuple(BY_ID.values())
    return found
