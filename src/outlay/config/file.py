"""Find and read `outlay.toml`: which accounts there are, where the ledger lives, and nothing secret.

Every mistake is a `ConfigError` that names the file, the line where it can be told, and the spelling that was meant.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from outlay.config.values import (
    CONNECTION_KEYS,
    Config,
    Connection,
    check_base_url,
    check_credential,
    check_name,
    parse_day,
    suggestion,
)
from outlay.errors import ConfigError

FILE_NAME = "outlay.toml"
_FILE_BYTES_MAX = 1_000_000
_CURRENCY = re.compile(r"[A-Z]{3}")
_OUTLAY_KEYS = ("currency", "store", "state")
_STORES = ("file", "s3", "gs", "az")
_STATES = ("sqlite", "postgresql+psycopg")
_T = TypeVar("_T")


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────────────────────


def find(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the configuration file: as asked, by OUTLAY_CONFIG, in the working folder, in the user's folder.

    Null: None when nothing was asked for and there is none.
    Raises: ConfigError when the file that was asked for does not exist.
    """
    asked, by = (config, "--config") if config else (environ.get("OUTLAY_CONFIG"), "OUTLAY_CONFIG")
    if asked:
        path = Path(asked).expanduser()
        if not path.is_file():
            raise ConfigError(
                f"{by} names {path}, which is no file", hint=f"Write one with `outlay --config {path} init`."
            )
        return path
    return next((path for path in (Path(FILE_NAME), user_file()) if path.is_file()), None)


def user_file() -> Path:
    """Return where the user's own configuration file is, whether or not it exists."""
    import platformdirs

    return platformdirs.user_config_path("outlay", appauthor=False) / FILE_NAME


def data_home(home: Path | None, environ: Mapping[str, str]) -> Path:
    """Return the data folder: as asked, by OUTLAY_HOME, else the user's data folder."""
    asked = home or environ.get("OUTLAY_HOME")
    if asked:
        return Path(asked).expanduser().absolute()
    import platformdirs

    return platformdirs.user_data_path("outlay", appauthor=False)


def load(config: Path | None, home: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration in effect; without a file it has no connections.

    Raises: ConfigError.
    """
    path = find(config, environ)
    folder = data_home(home, environ)
    if path is None:
        return Config(None, "USD", None, None, folder, {})
    return parse(read(path), path, folder)


def read(path: Path) -> str:
    """Return a configuration file's text. Raises: ConfigError when it cannot be read as UTF-8."""
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise ConfigError(f"{path} is larger than a configuration file can be")
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: the file is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


class _Source:
    """A file's text, to say on which line a mistake is."""

    def __init__(self, path: Path, text: str) -> None:
        self.path, self.text = path, text

    def error(self, says: str, *, table: str = "", key: str = "", hint: str | None = None) -> ConfigError:
        line = self._line(table, key)
        place = f"{self.path}, line {line}" if line else str(self.path)
        return ConfigError(f"{place}: {says}", hint=hint)

    def _line(self, table: str, key: str) -> int | None:
        here, of_table = "", None
        for number, line in enumerate(self.text.splitlines(), 1):
            stripped = line.strip()
            if stripped.startswith("["):
                here = re.sub(r"[\"']", "", stripped.partition("]")[0].strip("[ "))
                if here == f"{table}.{key}".strip(".") or (not table and here.startswith(f"{key}.")):
                    return number
                if table and here == table:
                    of_table = number
            elif key and here == table and re.match(rf"[\"']?{re.escape(key)}[\"']?\s*[=.]", stripped):
                return number
        return of_table


def parse(text: str, path: Path, home: Path) -> Config:
    """Return the configuration a file's text holds.

    Raises: ConfigError, with the line where it can be told.
    """
    source = _Source(path, text)
    try:
        whole = tomllib.loads(text)
    except ValueError as error:
        raise _broken(source, str(error)) from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply") from None
    _known(source, whole, ("outlay", "connections"), "", "a table")
    general = _table(source, whole.get("outlay", {}), "outlay")
    _known(source, general, _OUTLAY_KEYS, "outlay", "a setting")
    connections = _table(source, whole.get("connections", {}), "connections")
    return Config(
        path=path,
        currency=_currency(source, general.get("currency", "USD")),
        store=_address(source, general, "store", _STORES),
        state=_address(source, general, "state", _STATES),
        home=home,
        connections={name: _connection(source, name, table) for name, table in connections.items()},
    )


def _broken(source: _Source, says: str) -> ConfigError:
    found = re.search(r"\(at line (\d+), column (\d+)\)", says)
    what = says.partition(" (at ")[0]
    place = f", line {found[1]}, column {found[2]}" if found else ", at its end"
    return ConfigError(f"{source.path}{place}: not valid TOML: {what}", hint='Texts need quotes: provider = "openai".')


def _table(source: _Source, value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise source.error(f"`{name}` must be a table, written [{name}]", key=name)
    return value


def _known(source: _Source, table: Mapping[str, object], keys: Sequence[str], name: str, what: str) -> None:
    for key in table:
        if key not in keys:
            where = f" of [{name}]" if name else ""
            hint = suggestion(key, keys, otherwise=f"Known here: {', '.join(keys)}.")
            raise source.error(f"`{key}` is not {what}{where}", table=name, key=key, hint=hint)


def _currency(source: _Source, value: object) -> str:
    if isinstance(value, str) and _CURRENCY.fullmatch(value):
        return value
    meant = value.strip().upper() if isinstance(value, str) else ""
    hint = f'Write "{meant}".' if _CURRENCY.fullmatch(meant) else 'Use a three-letter code such as "USD" or "EUR".'
    raise source.error("`currency` is not a currency code", table="outlay", key="currency", hint=hint)


def _address(source: _Source, table: Mapping[str, object], key: str, schemes: Sequence[str]) -> str | None:
    value = table.get(key)
    if value is None:
        return None
    scheme, found, _rest = value.partition("://") if isinstance(value, str) else ("", "", "")
    if isinstance(value, str) and found and scheme in schemes:
        return value
    kinds = ", ".join(f"{one}://…" for one in schemes)
    hint = suggestion(scheme, schemes, otherwise=f"Use one of {kinds}.", form="Did you mean {}://…?")
    raise source.error(f"`{key}` is not an address Outlay can use", table="outlay", key=key, hint=hint)


# ── Connections ──────────────────────────────────────────────────────────────────────────────────────────────────


def _connection(source: _Source, name: str, value: object) -> Connection:
    title = f"connections.{name}"
    table = _table(source, value, title)
    _located(source, title, "", lambda: check_name(name))
    options = {key: _option(source, title, key, table[key]) for key in table if key not in CONNECTION_KEYS}
    for key in ("provider", "credential"):
        if key not in table:
            meant = difflib.get_close_matches(key, options, 1, 0.7)
            hint = f"Did you mean `{key}` where it says `{meant[0]}`?" if meant else f'Add {key} = "…" to [{title}].'
            raise source.error(f"[{title}] has no `{key}`", table=title, key=meant[0] if meant else "", hint=hint)
    allow_http = table.get("allow_http", False)
    if not isinstance(allow_http, bool):
        raise source.error("`allow_http` is true or false, without quotes", table=title, key="allow_http")
    base_url = table.get("base_url")
    return Connection(
        name=name,
        provider=_text(source, title, "provider", table["provider"]),
        credential=_located(source, title, "credential", lambda: check_credential(table["credential"])),
        base_url=None
        if base_url is None
        else _located(source, title, "base_url", lambda: check_base_url(base_url, allow_http=allow_http)),
        since=_located(source, title, "since", lambda: _since(table.get("since"))),
        datasets=_datasets(source, title, table.get("datasets")),
        options=options,
        allow_http=allow_http,
    )


def _located(source: _Source, table: str, key: str, check: Callable[[], _T]) -> _T:
    try:
        return check()
    except ConfigError as error:
        where = f"[{table}] {error.message}" if key else error.message
        raise source.error(where, table=table, key=key, hint=error.hint) from None


def _text(source: _Source, table: str, key: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise source.error(f"[{table}] `{key}` must be text in quotes", table=table, key=key)
    return value.strip()


def _since(value: object) -> date | None:
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if not isinstance(value, str):
        raise ConfigError("`since` must be a day", hint='Write since = "2026-01-01".')
    return parse_day(value)


def _datasets(source: _Source, table: str, value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
        hint = 'Write datasets = ["costs"], or leave it out for all.'
        raise source.error(f"[{table}] `datasets` must be a list of texts", table=table, key="datasets", hint=hint)
    return tuple(dict.fromkeys(value))


def _option(source: _Source, table: str, key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        return str(value).strip()
    if isinstance(value, list) and value and all(isinstance(one, str) and one and "," not in one for one in value):
        return ",".join(one.strip() for one in value)
    hint = f'A connection name with a dot needs quotes: [connections."{table[12:]}.{key}"].'
    raise source.error(
        f"[{table}] `{key}` must be a text or a list of texts",
        table=table,
        key=key,
        hint=hint if isinstance(value, dict) else None,
    )


def warnings(config: Config) -> list[str]:
    """Return what is allowed and yet unwise: secrets written into the file."""
    return [
        f"connection {one.name} keeps its secret in the configuration file (plain:); use env: or keyring: instead"
        for one in config.connections.values()
        if one.credential.startswith("plain:")
    ]
