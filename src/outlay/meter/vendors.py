"""Whose answer it is: the vendor by host, the kind of call by method and path."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from outlay.providers import PROVIDERS
from outlay.providers.metering import Metered, Metering

_KNOWN_MAX = 4096


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is metered: by whom and how, and what its path says of the model."""

    provider: str
    metered: Metered
    model: str | None = None
    asks: str | None = None
    """The field of the request that names the model, where the path does not."""


_known: dict[tuple[str | None, str, str, str], Call | None] = {}


def call_of(provider: str | None, method: str, host: str, path: str) -> Call | None:
    """Return what a request is, or None for one that is not metered; `provider` speaks for hosts nobody knows."""
    key = (provider, method, host, path)
    try:
        return _known[key]
    except KeyError:
        pass
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    found = _known[key] = _look(provider, method, host.lower().rstrip("."), path)
    return found


def _look(provider: str | None, method: str, host: str, path: str) -> Call | None:
    vendor = provider or _vendor(host)
    for metered, pattern in _calls().get(vendor or "", ()):
        match = pattern.fullmatch(path) if metered.method == method.upper() else None
        if vendor and match:
            model = match.groupdict().get("model")
            return Call(vendor, metered, model, metered.model_field if model is None else None)
    return None


def is_metered(provider: str) -> bool:
    """Return whether a provider's answers can be metered."""
    return provider in _calls()


@cache
def _metered() -> dict[str, Metering]:
    return {provider.id: provider.metering for provider in PROVIDERS if provider.metering is not None}


@cache
def _calls() -> dict[str, tuple[tuple[Metered, re.Pattern[str]], ...]]:
    return {
        name: tuple((call, re.compile(f"(?:/.*)?(?:{call.path})/?", re.DOTALL)) for call in metering.calls)
        for name, metering in _metered().items()
    }


@cache
def _hosts() -> tuple[tuple[str, str], ...]:
    return tuple((host.lower(), name) for name, metering in _metered().items() for host in metering.hosts)


def _vendor(host: str) -> str | None:
    for known, name in _hosts():
        if host == known or (known.startswith(".") and host.endswith(known)):
            return name
    return None
