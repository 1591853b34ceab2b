"""Write `outlay.toml`: as text, so that what the user wrote in it stays as it is."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from outlay.cli.settings import Settings
from outlay.config import FILE_NAME, user_file
from outlay.errors import ConfigError

if TYPE_CHECKING:
    from outlay.providers.base import Option, Provider

_BARE = re.compile(r"[A-Za-z0-9_-]+")
HEADER = """\
# Which accounts Outlay reads. Nothing here is secret: `credential` says where the key is kept,
# as env:NAME, file:PATH, keyring:SERVICE/NAME or cmd:PROGRAM ARGS.

[outlay]
currency = "USD"
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A connection about to be written. `lacks` says why it is written as a comment only."""

    name: str
    provider: str
    credential: str
    options: Mapping[str, str] = field(default_factory=dict)
    since: date | None = None
    datasets: Sequence[str] = ()
    base_url: str | None = None
    allow_http: bool = False
    lacks: str | None = None
    wanted: tuple[str, ...] = ()
    """Options to be filled in, with what they are."""

    def toml(self) -> str:
        """Return the connection as a TOML table; one that lacks something as comments."""
        lines = [f"[connections.{_key(self.name)}]"]
        lines += [f"provider = {_quoted(self.provider)}", f"credential = {_quoted(self.credential)}"]
        if self.base_url:
            lines.append(f"base_url = {_quoted(self.base_url)}")
        if self.allow_http:
            lines.append("allow_http = true")
        if self.since:
            lines.append(f"since = {_quoted(self.since.isoformat())}")
        if self.datasets:
            lines.append(f"datasets = [{', '.join(map(_quoted, self.datasets))}]")
        lines += [f"{_key(name)} = {_quoted(value)}" for name, value in self.options.items()]
        if self.lacks is None:
            return "".join(f"{line}\n" for line in lines)
        comments = [self.lacks, *lines, *self.wanted]
        return "".join(f"# {line}\n" for line in comments)


def _quoted(text: str) -> str:
    # A JSON text is a TOML basic string, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def target(settings: Settings, *, user: bool = False) -> Path:
    """Return the file to write: as asked, by OUTLAY_CONFIG, else the working folder's or the user's own."""
    asked = settings.config or settings.environ.get("OUTLAY_CONFIG")
    if asked:
        return Path(asked).expanduser()
    return user_file() if user else Path(FILE_NAME)


def write(path: Path, text: str, *, keep_mode: bool = False) -> None:
    """Put a file in place whole, readable by its owner alone unless it was there and keeps its mode.

    Raises: ConfigError.
    """
    temporary = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A link stays a link: what it points to is replaced.
        path = path.resolve()
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        if keep_mode and path.exists():
            Path(temporary).chmod(path.stat().st_mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="Choose another with --config.") from None


def appended(text: str, entry: Entry) -> str:
    """Return a configuration's text with one connection more; what was there stays as it was."""
    end = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text or text.endswith("\n") else end
    return f"{text}{gap}{end if text else ''}{entry.toml().replace(chr(10), end)}"


def options_lacking(provider: Provider, given: Mapping[str, str]) -> list[Option]:
    """Return the options still to be given: those required, and those of a group of which none is there."""
    settled = {option.one_of for option in provider.options if option.one_of and option.name in given}
    return [
        option
        for option in provider.options
        if option.name not in given and (option.required or (option.one_of and option.one_of not in settled))
    ]
