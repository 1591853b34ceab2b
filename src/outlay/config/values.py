"""The values a configuration file may hold, each with the one check that decides."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

from outlay.errors import ConfigError

SCHEMES = ("env", "file", "keyring", "cmd", "plain", "adc", "none")
"""How a connection may name its credential, written `scheme:rest`; `none:` has none, and its facts are entered."""
CONNECTION_KEYS = ("provider", "credential", "base_url", "since", "datasets", "allow_http")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_YEARS = range(2000, 2100)


@dataclass(frozen=True, slots=True)
class Connection:
    """One account at one provider, as the user named it."""

    name: str
    provider: str
    credential: str
    base_url: str | None = None
    since: date | None = None
    datasets: tuple[str, ...] | None = None
    options: dict[str, str] = field(default_factory=dict)
    """The provider's own options; a list is joined by commas."""
    allow_http: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the file and the environment settle. Null: `path` is None where no file was found."""

    path: Path | None
    currency: str
    store: str | None
    state: str | None
    home: Path
    connections: dict[str, Connection]


def check_name(name: str) -> None:
    """Refuse a connection name that is not letters, digits, `-`, `_` and `.`. Raises: ConfigError."""
    if not _NAME.fullmatch(name):
        slug = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:64]
        raise ConfigError(
            f"{name!r} cannot name a connection",
            hint=f"Use letters, digits, `-`, `_` and `.`, at most 64{f', such as {slug}' if slug else ''}.",
        )


def check_credential(value: object) -> str:
    """Return a credential reference, refusing a bare secret; the value itself is never part of the message.

    Raises: ConfigError.
    """
    if not isinstance(value, str) or not value.strip():
        raise ConfigError("`credential` must be text in quotes", hint='Write credential = "env:NAME".')
    scheme, found, rest = value.strip().partition(":")
    if found and scheme in SCHEMES:
        if not rest.strip() and scheme not in {"adc", "none"}:
            raise ConfigError(f"`credential` names nothing after {scheme}:")
        return value.strip()
    if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", value.strip()):
        raise ConfigError("`credential` has no kind", hint=f'Write "env:{value.strip()}" for an environment variable.')
    raise ConfigError(
        "`credential` looks like a plain secret, which does not belong in this file",
        hint="Name where it is kept: env:NAME, file:PATH, keyring:SERVICE/NAME or cmd:PROGRAM ARGS; "
        "plain:SECRET only for local trials.",
    )


def check_base_url(value: object, *, allow_http: bool = False) -> str:
    """Return a base URL without its last slash: https unless loopback or allowed, no user, query or fragment.

    Raises: ConfigError, never with what may be a password.
    """
    if not isinstance(value, str):
        raise ConfigError("`base_url` must be text in quotes")
    try:
        parts = urlsplit(value.strip())
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("`base_url` is not a URL", hint="Write it like https://api.example.com/prefix.") from None
    if parts.username is not None or parts.password is not None:
        raise ConfigError("`base_url` holds a user or password", hint="Credentials belong in `credential` alone.")
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\s\\]", value.strip()):
        raise ConfigError("`base_url` is not an https URL", hint="Write it like https://api.example.com/prefix.")
    if "?" in value or "#" in value:
        raise ConfigError("`base_url` has a query or fragment", hint="Give scheme, host and at most a path prefix.")
    if parts.scheme == "http" and not allow_http and not _loopback(host):
        raise ConfigError(
            f"`base_url` would send the key to {host} unencrypted",
            hint="Use https, or set allow_http = true if that network is trusted.",
        )
    return value.strip().rstrip("/")


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def parse_day(text: str) -> date:
    """Return a day written YYYY-MM-DD. Raises: ConfigError when it is none, or outside 2000 to 2099."""
    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise ConfigError(f"{text[:40]!r} is not a day", hint="Write days as YYYY-MM-DD, such as 2026-01-31.")
    if day.year not in _YEARS:
        raise ConfigError(f"{text} is out of range", hint="Days from 2000-01-01 to 2099-12-31 are accepted.")
    return day


def suggestion(word: str, known: Iterable[str], *, otherwise: str, form: str = "Did you mean `{}`?") -> str:
    """Return a hint that names the known word nearest to a wrong one, or `otherwise`."""
    near = difflib.get_close_matches(word, list(known), 1, 0.6)
    return form.format(near[0]) if near else otherwise
