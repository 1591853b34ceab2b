"""Secrets are found where the user keeps them, and are never seen on the way."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay import credentials
from outlay.credentials import Secret, resolve
from outlay.errors import ConfigError, CredentialMissingError
from outlay.redaction import Redactor, redactor

KEY = "zk-" + "fake-fake-" + "0042"


@pytest.fixture(autouse=True)
def heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let warnings be logged: other tests run programs that silence the loggers they find."""
    monkeypatch.setattr(logging.getLogger("outlay.credentials"), "disabled", False)


def python(code: str) -> str:
    """Return a `cmd:` reference that runs Python code."""
    return f"cmd:{sys.executable} -c '{code}'"


@given(st.text(min_size=1, max_size=40))
def test_a_secret_prints_as_stars(value: str) -> None:
    """No way of turning a secret into text shows it."""
    # The process-wide redactor is spared what no later test asks for.
    with patch.object(credentials, "redactor", Redactor()):
        secret = Secret(value)
    assert [repr(secret), str(secret), f"{secret}", f"{secret!r:>3}", "%s" % secret, repr([secret])] == [  # noqa: UP031
        *["***"] * 5,
        "[***]",
    ]
    assert secret.reveal() == value
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    """A secret does not leave the process in a pickle, and is not copied."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret(KEY), protocol)
    with pytest.raises(TypeError):
        copy.deepcopy({"key": Secret(KEY)})


def test_every_secret_is_known_to_the_redactor() -> None:
    """Making a secret is enough for every log and message to hide it."""
    value = "made-" + "here-" + "777"
    Secret(value)
    assert redactor.text(f"with {value}.") == "with ***."


def test_from_the_environment() -> None:
    """`env:` reads the environment it is given."""
    assert resolve("env:MY_KEY", {"MY_KEY": KEY}).reveal() == KEY
    assert resolve(" env: MY_KEY ", {"MY_KEY": KEY}).reveal() == KEY


def test_a_variable_that_is_not_set_is_named() -> None:
    """A missing variable is an error that names it and says what to do."""
    with pytest.raises(CredentialMissingError, match="MY_KEY is not set") as caught:
        resolve("env:MY_KEY", {})
    assert "MY_KEY" in caught.value.hint


@pytest.mark.parametrize(
    "value",
    ["", "   ", " " + KEY, KEY + "\n", "\t" + KEY, "short"],
    ids=["empty", "blank", "left", "line", "tab", "short"],
)
def test_an_unusable_value_is_refused_without_showing_it(value: str) -> None:
    """Empty, padded and too short values are refused, and the message does not repeat them."""
    with pytest.raises(CredentialMissingError) as caught:
        resolve("env:MY_KEY", {"MY_KEY": value})
    assert KEY not in caught.value.message + caught.value.hint
    assert "short" not in caught.value.message


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_from_a_file(tmp_path: Path, ending: str) -> None:
    """`file:` reads a file and drops the one line break editors put at its end."""
    path = tmp_path / "key"
    path.write_bytes((KEY + ending).encode())
    path.chmod(0o600)
    assert resolve(f"file:{path}", {}).reveal() == KEY
    assert resolve("file:~/key", {"HOME": str(tmp_path)}).reveal() == KEY


def test_a_file_of_several_lines_keeps_them(tmp_path: Path) -> None:
    """A credential that is a document keeps its inner line breaks."""
    path = tmp_path / "key.json"
    path.write_text('{\n"client": "none"\n}\n')
    path.chmod(0o600)
    assert resolve(f"file:{path}", {}).reveal() == '{\n"client": "none"\n}'


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_file_others_can_read_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int) -> None:
    """A key file that group or world can read works and is warned about."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(mode)
    assert resolve(f"file:{path}", {}).reveal() == KEY
    assert "chmod 600" in caplog.text
    assert KEY not in caplog.text


def test_a_private_file_is_not_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A key file of mode 600 passes in silence."""
    path = tmp_path / "key"
    path.write_text(KEY)
    path.chmod(0o600)
    resolve(f"file:{path}", {})
    assert not caplog.records


def test_a_file_that_cannot_be_a_key(tmp_path: Path) -> None:
    """A missing file, a folder, a large file and a binary file are each refused."""
    large, binary = tmp_path / "large", tmp_path / "binary"
    large.write_bytes(b"x" * 70_000)
    binary.write_bytes(b"\xff\xfe\x00" * 8)
    for path, word in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "directory"),
        (large, "longer"),
        (binary, "not text"),
    ):
        with pytest.raises(CredentialMissingError, match=word):
            resolve(f"file:{path}", {})


def test_from_a_command() -> None:
    """`cmd:` runs a program without a shell and takes what it prints."""
    assert resolve(python(f'print("{KEY}")'), {}).reveal() == KEY
    assert resolve(f"cmd:echo {KEY}$HOME;", dict(os.environ)).reveal() == f"{KEY}$HOME;"


def test_a_command_gets_the_environment_and_no_input() -> None:
    """The program sees the environment given and an empty standard input."""
    code = 'import os,sys; print(os.environ["MY_KEY"] + "-" + str(len(sys.stdin.read())))'
    assert resolve(python(code), {"MY_KEY": KEY}).reveal() == KEY + "-0"


def test_a_command_that_fails_shows_no_secret() -> None:
    """Of a failed program the exit status and its redacted complaint are shown, never what it printed."""
    Secret(KEY)
    code = f'import sys; print("printed-secret"); print("no entry {KEY}", file=sys.stderr); sys.exit(3)'
    with pytest.raises(CredentialMissingError) as caught:
        resolve(python(code), {})
    assert "exit status 3, no entry ***" in caught.value.message
    shown = "".join(traceback.format_exception(caught.value))
    assert "printed-secret" not in shown.replace(code, "")
    assert caught.value.__cause__ is None


def test_a_command_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that waits for ever is killed, and what it printed before is not in the error."""
    monkeypatch.setattr(credentials, "COMMAND_SECONDS_MAX", 0.2)
    code = f'import time; print("{KEY}", flush=True); time.sleep(600)'
    with pytest.raises(CredentialMissingError, match="no credential within") as caught:
        resolve(python(code), {})
    assert caught.value.__suppress_context__


def test_a_command_that_is_not_there() -> None:
    """A program that cannot be started is named."""
    with pytest.raises(CredentialMissingError, match="no-such-program-here cannot be run"):
        resolve("cmd:no-such-program-here get key", {"PATH": "/nowhere"})


class FakeKeyring:
    """A keyring with one entry, or with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def get_password(self, service: str, name: str) -> str | None:
        """Return the one entry, None for others."""
        if self.error:
            raise self.error
        return KEY if (service, name) == ("outlay/team", "openai") else None


def install(monkeypatch: pytest.MonkeyPatch, keyring: object) -> None:
    """Put a fake keyring package in the place of the real one."""
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", SimpleNamespace(KeyringError=LookupError))


def test_from_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """`keyring:` asks the system's keyring; the last slash parts service from name."""
    install(monkeypatch, FakeKeyring())
    assert resolve("keyring:outlay/team/openai", {}).reveal() == KEY
    with pytest.raises(CredentialMissingError, match="holds nothing under outlay / other"):
        resolve("keyring:outlay/other", {})


def test_a_machine_without_a_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyring that has no backend is an error with another way to go."""
    install(monkeypatch, FakeKeyring(LookupError("no backend")))
    with pytest.raises(CredentialMissingError, match="keyring cannot be used") as caught:
        resolve("keyring:outlay/openai", {})
    assert "`env:`" in caught.value.hint


def test_a_missing_keyring_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error says what to install."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(CredentialMissingError) as caught:
        resolve("keyring:outlay/openai", {})
    assert "outlay[secrets]" in caught.value.hint


def test_plain_text_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    """`plain:` works for trials and is warned about without showing the value."""
    assert resolve(f"plain:{KEY}", {}).reveal() == KEY
    assert "local trials" in caplog.text
    assert KEY not in caplog.text
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("reference", [KEY, "", "bearer:" + KEY, "https://" + KEY, "ENV:" + KEY, ":" + KEY])
def test_anything_else_is_refused_and_hidden(reference: str) -> None:
    """A key pasted where a reference belongs is refused, not repeated, and hidden from then on."""
    with pytest.raises(ConfigError) as caught:
        resolve(reference, {})
    assert all(form in caught.value.message for form in credentials.FORMS)
    assert KEY not in caught.value.message + caught.value.hint
    assert reference not in redactor.text(f"<{reference}>") or not reference


@pytest.mark.parametrize(
    "reference", ["env:", "env:" + KEY, "file:", "keyring:x", "keyring:/x", "keyring:x/", "cmd:", "cmd:'a"]
)
def test_an_unfinished_reference_is_refused(reference: str) -> None:
    """A known form without what belongs after it is a mistake in the configuration."""
    with pytest.raises(ConfigError) as caught:
        resolve(reference, {})
    assert not isinstance(caught.value, CredentialMissingError)
    assert KEY not in caught.value.message
