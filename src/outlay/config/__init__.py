"""The configuration: which accounts there are, where the ledger lives, and nothing secret.

Every mistake is a `ConfigError` that names the file, the line where it can be told, and the spelling that was meant.
"""

from __future__ import annotations

from outlay.config.against import Described, validate, validate_options
from outlay.config.file import FILE_NAME, data_home, find, load, parse, read, user_file, warnings
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

__all__ = [
    "CONNECTION_KEYS",
    "FILE_NAME",
    "Config",
    "Connection",
    "Described",
    "check_base_url",
    "check_credential",
    "check_name",
    "data_home",
    "find",
    "load",
    "parse",
    "parse_day",
    "read",
    "suggestion",
    "user_file",
    "validate",
    "validate_options",
    "warnings",
]
