"""The shell around every command: options, errors, statuses, completion, start-up."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from outlay.cli.app import COMMANDS, cli
from outlay.cli.fence import INTERRUPTED
from outlay.cli.fence import run as fenced
from outlay.cli.settings import Settings
from outlay.errors import Exit, ProviderError, StoreError

Run = Callable[..., Any]


def all_commands() -> list[tuple[str, ...]]:
    """Return the words of every command and subcommand."""
    found: list[tuple[str, ...]] = []
    root = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(root, name)
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, child) for child in command.list_commands(root)]
    return found


# ── Help ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", [(), *all_commands()], ids=" ".join)
def test_help_is_complete_and_fits(words: tuple[str, ...]) -> None:
    """Every command's help has an example and the global options, in eighty columns."""
    result = CliRunner().invoke(cli, [*words, "--help"], prog_name="outlay", terminal_width=80)
    assert result.exit_code == 0
    assert "Examples:" in result.output
    assert f"outlay {' '.join(words)}".strip() in result.output.partition("Examples:")[0]
    assert (words or ("outlay",))[-1] in result.output.partition("Examples:")[2]
    for option in ("--format", "--config", "--home", "--quiet", "--no-color"):
        assert option in result.output
    assert max(map(len, result.output.splitlines())) <= 100


def test_the_list_s_help_is_the_command_s_own() -> None:
    """The words beside a command in the list do not contradict it: the module and the name exist."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.help, name


def test_nothing_asked_shows_the_help() -> None:
    """`outlay` alone is a question, not a mistake."""
    result = CliRunner().invoke(cli, [])
    assert result.exit_code == 0
    assert "sync" in result.output


# ── Usage errors ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_command_gets_a_suggestion(line: Any) -> None:
    """A misspelled command ends with status 2 and the one that was meant."""
    result = line("spnd")
    assert result.exit_code == 2
    assert "`spend`" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("spend", "--from", "2026-13-01"),
        ("spend", "--from", "yesterday"),
        ("spend", "--from", "2026-11-02", "--to", "2026-11-02"),
        ("spend", "--from", "1026-11-02"),
        ("spend", "--where", "provider"),
        ("spend", "--basis", "guessed"),
        ("spend", "--by", ","),
        ("spend", "--wrong"),
        ("sync", "--since", "2026-11-02", "--until", "2026-11-01"),
        ("sql",),
        ("export", "focus"),
        ("export", "facts", "secrets", "--out", "x.csv"),
        ("maintain", "--keep-days", "0"),
        ("simulator", "--port", "70000"),
        ("completion", "powershell"),
        ("--format", "xml", "spend"),
    ],
    ids=" ".join,
)
def test_wrong_arguments_end_with_two(line: Any, arguments: tuple[str, ...]) -> None:
    """Arguments are checked before anything is opened; stdout stays empty."""
    result = line(*arguments)
    assert result.exit_code == Exit.USAGE
    assert result.stderr.startswith("error: ")
    assert "hint: " in result.stderr
    assert result.stdout == ""
    assert not line.home.exists()


@pytest.mark.parametrize(
    "arguments",
    [("--format", "json", "spnd"), ("spend", "--format=json", "--wrong"), ("spend", "--format", "json", "--from", "x")],
)
def test_errors_are_json_where_json_is_asked_for(line: Any, arguments: tuple[str, ...]) -> None:
    """The one shape of errors, on stderr, wherever `--format json` stands."""
    result = line(*arguments)
    assert result.exit_code == 2
    error = json.loads(result.stderr)["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == "usage"


# ── Global options ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("arguments", [("--format", "json", "providers"), ("providers", "--format", "json")])
def test_global_options_stand_on_either_side(line: Any, arguments: tuple[str, ...]) -> None:
    """`--format` means the same before and after the command."""
    assert "rows" in json.loads(line(*arguments).stdout)


def test_the_later_option_wins(line: Any) -> None:
    """Given twice, the one nearer to the command counts."""
    assert line("--format", "json", "providers", "--format", "csv").stdout.startswith("provider,title,")


def test_a_configuration_that_is_not_there(line: Any) -> None:
    """`--config` with a wrong path ends with 2 and says so."""
    result = line("spend", "--config", "nowhere.toml")
    assert result.exit_code == 2
    assert "nowhere.toml" in result.stderr


def test_a_ledger_that_is_not_there(line: Any) -> None:
    """Asking before the first sync is a matter of the store, status 4, and makes no ledger."""
    result = line("spend")
    assert result.exit_code == Exit.STORE
    assert "outlay sync" in result.stderr
    assert not line.home.exists()


# ── The fence ────────────────────────────────────────────────────────────────────────────────────────────────────


def ending(error: BaseException | None, capsys: pytest.CaptureFixture[str], **settings: Any) -> tuple[int, str]:
    """Return how the fence ends a call that raises, and what it says."""

    def call() -> None:
        if error is not None:
            raise error

    status = fenced(call, Settings(**{"environ": {}, **settings}), [])
    return status, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, 0),
        (ProviderError("no"), 3),
        (StoreError("no"), 4),
        (KeyboardInterrupt(), INTERRUPTED),
        (click.Abort(), 130),
    ],
)
def test_statuses(error: BaseException | None, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of end has its status, and none shows a traceback."""
    found, says = ending(error, capsys)
    assert found == status
    assert "Traceback" not in says


def test_a_bug_is_told_as_one_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    """An unexpected exception is one redacted line, how to report it, and status 1."""
    secret = "sk-" + "admin-" + "abcdef123456"
    status, says = ending(ValueError(f"Authorization: Bearer {secret}"), capsys)
    assert status == Exit.BUG
    assert "this is a bug in Outlay" in says
    assert "OUTLAY_DEBUG=1" in says
    assert secret not in says
    assert "Traceback" not in says


def test_debug_adds_the_redacted_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    """OUTLAY_DEBUG=1 shows where it happened, still without secrets."""
    secret = "sk-" + "admin-" + "abcdef123456"
    _, says = ending(ValueError(secret), capsys, environ={"OUTLAY_DEBUG": "1"})
    assert "Traceback" in says
    assert secret not in says


@pytest.mark.parametrize("environ", [{}, {"OUTLAY_DEBUG": "1"}])
def test_what_is_logged_of_a_bug_names_it(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A layer below that stops a bug logs it: stderr has its last line, where it happened if asked, and no secret."""
    secret = "sk-" + "admin-" + "abcdef123456"
    (tmp_path / "outlay.toml").write_text("")
    Settings(config=tmp_path / "outlay.toml", home=tmp_path, environ=environ).load()
    try:
        {}[f"with {secret}"]
    except KeyError:
        logging.getLogger("outlay.sync").exception("a sync broke off")
    *traceback, last = capsys.readouterr().err.splitlines()
    assert last.startswith("error: a sync broke off: KeyError: 'with ")
    assert secret not in "".join((*traceback, last))
    assert [line.startswith("Traceback") for line in traceback[:1]] == [True for _ in environ]


def test_a_message_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences in an error's text are made visible."""
    _, says = ending(ProviderError("vendor said \x1b[2Jgone"), capsys)
    assert "\x1b" not in says


def test_a_reader_that_leaves_is_no_error(run: Run) -> None:
    """A pipe closed early ends quietly."""
    script = f'"{sys.executable}" -m outlay providers --format json | head -c 1'
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(["/bin/sh", "-c", script], env=environ, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert run("--version").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind exist on POSIX alone")
def test_ctrl_c_ends_cleanly() -> None:
    """An interrupted command says so in a line and ends with 130."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    arguments = [sys.executable, "-m", "outlay", "simulator", "--port", "0"]
    with subprocess.Popen(arguments, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # The first line is its address: from then on it serves until it is told to stop.
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == INTERRUPTED
    assert "interrupted" in said
    assert "Traceback" not in said


# ── Start-up ─────────────────────────────────────────────────────────────────────────────────────────────────────

HEAVY = ("duckdb", "deltalake", "httpx2", "sqlalchemy", "rich", "starlette", "msgspec", "asyncio")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["spend", "--help"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    """Asking for help imports neither engine nor store nor terminal library."""
    code = (
        "import sys\nfrom outlay.cli import main\nsys.argv[1:] = sys.argv[2:]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\nassert not loaded, loaded"
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code, "-", *arguments], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_list_of_commands_imports_none_of_them() -> None:
    """`outlay --help` reads the list and no command's module."""
    code = (
        "import sys\nfrom outlay.cli.app import cli\n"
        "try:\n    cli(['--help'])\nexcept SystemExit:\n    pass\n"
        "loaded = [name for name in sys.modules if name.startswith('outlay.cli.commands')]\nassert not loaded, loaded"
    )
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_version_names_the_program(run: Run) -> None:
    """`--version` is one line on stdout."""
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("outlay ")
    assert len(done.stdout.splitlines()) == 1


# ── Completion ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_scripts(line: Any, shell: str) -> None:
    """The script for a shell calls back into outlay."""
    result = line("completion", shell)
    assert result.exit_code == 0
    assert "_OUTLAY_COMPLETE" in result.stdout


def completed(run: Run, words: str, folder: Path) -> list[str]:
    """Return what zsh would offer after some words."""
    count = str(len(words.split()) - (0 if words.endswith(" ") else 1))
    environ = {
        "_OUTLAY_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": count,
        "OUTLAY_CONFIG": str(folder / "outlay.toml"),
    }
    done = run(environ=environ)
    return [entry.partition(",")[2] for entry in done.stdout.split()]


def test_names_complete(run: Run, tmp_path: Path) -> None:
    """Commands, providers, connections, formats and dimensions complete."""
    (tmp_path / "outlay.toml").write_text('[connections.acme]\nprovider = "openai"\ncredential = "env:KEY"\n')
    assert completed(run, "outlay spe", tmp_path) == ["spend"]
    assert completed(run, "outlay sync ac", tmp_path) == ["acme"]
    assert completed(run, "outlay providers open", tmp_path) == ["openai"]
    assert completed(run, "outlay spend --connection a", tmp_path) == ["acme"]
    assert completed(run, "outlay spend --format j", tmp_path) == ["json"]
    assert completed(run, "outlay spend --by provider,da", tmp_path) == ["provider,day", "provider,dataset"]
