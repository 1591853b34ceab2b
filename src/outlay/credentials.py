"""Find the secret a connection names, and keep it from being seen.

A reference says where a secret lives: `env:NAME`, `file:PATH`, `keyring:SERVICE/NAME`, `cmd:PROGRAM ARGS`, or
`plain:VALUE` for local trials; `adc:` is the identity that Google's own tools use here. It is read when a connection is
opened, never earlier, and no message repeats what follows the colon where a user might have pasted the secret itself.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from outlay.errors import ConfigError, CredentialMissingError
from outlay.redaction import MASK, redactor

FORMS = ("env:NAME", "file:PATH", "keyring:SERVICE/NAME", "cmd:PROGRAM ARGS", "plain:VALUE (local trials only)")
ADC_NONE = "adc:metadata"
"""What `adc:` stands for where no file of Google's is found: the machine's own identity, if it has one."""
COMMAND_SECONDS_MAX = 60
SECRET_CHARACTERS_MIN = 6
_SECRET_BYTES_MAX = 64 * 1024
_STDERR_SHOWN_MAX = 200
_OTHERS_MAY_READ = stat.S_IRGRP | stat.S_IROTH
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_log = logging.getLogger(__name__)


class Secret:
    """A value that prints as `***` wherever it turns up and cannot be pickled.

    Making one teaches the process-wide redactor its value.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        redactor.learn(value)

    def reveal(self) -> str:
        """Return the value itself; only the code that signs a request asks for it."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __str__(self) -> str:
        return MASK

    def __format__(self, _spec: str) -> str:
        return MASK

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")


def resolve(reference: str, environ: Mapping[str, str]) -> Secret:
    """Return the secret a reference names.

    Raises: ConfigError when the reference has no known form; CredentialMissingError when nothing usable is there.
    """
    form, colon, rest = reference.strip().partition(":")
    if not colon or form not in _READERS:
        # The user may have pasted the key itself, so the text is hidden from now on and never shown.
        redactor.learn(reference.strip())
        raise ConfigError(
            "a credential is written as one of: " + ", ".join(FORMS),
            hint="Keep the key in an environment variable or a file and name that, not the key itself.",
        )
    rest = rest if form == "plain" else rest.strip()
    value = _READERS[form](rest, environ)
    return Secret(_usable(value, form))


def _usable(value: str, form: str) -> str:
    if not value.strip():
        raise CredentialMissingError(f"the credential that `{form}:` names is empty")
    redactor.learn(value.strip())
    if value != value.strip():
        raise CredentialMissingError(
            f"the credential that `{form}:` names begins or ends with white space",
            hint="Store the key without spaces or line breaks around it.",
        )
    if len(value) < SECRET_CHARACTERS_MIN:
        raise CredentialMissingError(
            f"the credential that `{form}:` names has fewer than {SECRET_CHARACTERS_MIN} characters, which no key has"
        )
    return value


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if not _ENVIRONMENT_NAME.fullmatch(name):
        redactor.learn(name)
        raise ConfigError("`env:` is followed by the name of an environment variable")
    value = environ.get(name)
    if value is None:
        shown = redactor.text(name)
        raise CredentialMissingError(
            f"the environment variable {shown} is not set", hint=f"Set {shown} to the key, or name another place."
        )
    return value


def _from_file(text: str, environ: Mapping[str, str]) -> str:
    if not text:
        raise ConfigError("`file:` is followed by a path")
    home = environ.get("HOME")
    path = Path(home + text[1:]) if home and text.startswith("~/") else Path(text).expanduser()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise CredentialMissingError(
            f"the credential file {redactor.text(str(path))} cannot be read: {error.strerror}",
            hint="Create the file with the key in it and make it readable for you alone (chmod 600).",
        ) from None
    if os.name == "posix" and stat.S_ISREG(mode) and mode & _OTHERS_MAY_READ:
        _log.warning("the credential file %s can be read by others: chmod 600 it", path)
    return _decoded(content, "file")


def _from_keyring(text: str, _environ: Mapping[str, str]) -> str:
    service, slash, name = text.rpartition("/")
    if not slash or not service or not name:
        raise ConfigError("`keyring:` is followed by SERVICE/NAME")
    try:
        import keyring  # an extra, and slow to load
        from keyring.errors import KeyringError
    except ImportError:
        raise CredentialMissingError(
            "`keyring:` needs the keyring package", hint="Install it with: pip install 'outlay[secrets]'"
        ) from None
    try:
        value = keyring.get_password(service, name)
    except KeyringError as error:
        raise CredentialMissingError(
            f"the system's keyring cannot be used ({type(error).__name__})",
            hint="On a machine without a desktop session use `env:`, `file:` or `cmd:` instead.",
        ) from None
    if value is None:
        shown = redactor.text(f"{service} / {name}")
        raise CredentialMissingError(
            f"the keyring holds nothing under {shown}", hint="Store it with: keyring set SERVICE NAME"
        )
    return value


def _from_command(text: str, environ: Mapping[str, str]) -> str:
    try:
        arguments = shlex.split(text)
    except ValueError:
        arguments = []
    if not arguments:
        raise ConfigError("`cmd:` is followed by a program and its arguments, quoted as in a shell")
    program = redactor.text(arguments[0])
    try:
        # The user's own configuration names the program; without a shell nothing in it is expanded.
        done = subprocess.run(  # noqa: S603
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
            env=dict(environ),
        )
    except subprocess.TimeoutExpired:
        raise CredentialMissingError(
            f"{program} gave no credential within {COMMAND_SECONDS_MAX} seconds",
            hint="It gets no input: unlock the store first, so that it answers without a question.",
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a usable command"
        raise CredentialMissingError(f"{program} cannot be run: {reason}") from None
    if done.returncode:
        said = redactor.text(" ".join(done.stderr[:4096].decode(errors="replace").split()))[:_STDERR_SHOWN_MAX]
        raise CredentialMissingError(
            f"{program} gave no credential: exit status {done.returncode}" + (f", {said}" if said else ""),
            hint="Run the command by hand to see what it needs.",
        )
    return _decoded(done.stdout, "cmd")


def _from_text(text: str, _environ: Mapping[str, str]) -> str:
    _log.warning("a credential is written as plain text in the configuration: fit for local trials only")
    return text


def _decoded(content: bytes, form: str) -> str:
    if len(content) > _SECRET_BYTES_MAX:
        raise CredentialMissingError(f"what `{form}:` gives is longer than any key: over {_SECRET_BYTES_MAX} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise CredentialMissingError(f"what `{form}:` gives is not text") from None
    return text.removesuffix("\n").removesuffix("\r")


def _from_google(text: str, environ: Mapping[str, str]) -> str:
    """Return Google's application default credentials: the file the environment names, else the user's own."""
    if text:
        raise ConfigError("`adc:` stands alone", hint="Use `file:PATH` for a key file.")
    if named := environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
        return _from_file(named, environ)
    folder = environ.get("CLOUDSDK_CONFIG")
    if not folder:
        roaming, home = environ.get("APPDATA"), environ.get("HOME")
        folder = f"{roaming}/gcloud" if os.name == "nt" and roaming else f"{home}/.config/gcloud" if home else ""
    path = Path(folder, "application_default_credentials.json") if folder else None
    return _from_file(str(path), environ) if path and path.is_file() else ADC_NONE


def _from_nowhere(_text: str, _environ: Mapping[str, str]) -> str:
    raise CredentialMissingError(
        "the connection has no credential (`none:`): nothing can be fetched for it",
        hint="Fill it with `outlay enter` and `outlay import`, or name where its key is.",
    )


_READERS = {
    "env": _from_environment,
    "file": _from_file,
    "keyring": _from_keyring,
    "cmd": _from_command,
    "plain": _from_text,
    "none": _from_nowhere,
    "adc": _from_google,
}
