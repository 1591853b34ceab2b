"""The documentation says what the code does: reference, commands, settings, links and the README's two commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from outlay.cli.app import COMMANDS, cli
from outlay.config import parse
from outlay.providers import PROVIDERS

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
HAND_WRITTEN = [path for path in PAGES if path.parent.name != "reference"]
FENCE = re.compile(r"(?m)^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL)


def name(path: Path) -> str:
    """Return a page's path from the root."""
    return path.relative_to(ROOT).as_posix()


def blocks(path: Path, language: str) -> list[str]:
    """Return a page's code blocks in a language, without the indentation of lists."""
    found = FENCE.findall(path.read_text("utf-8"))
    return [re.sub(rf"(?m)^{indent}", "", body) for indent, kind, body in found if kind == language]


def commands_in(path: Path) -> list[list[str]]:
    """Return every `outlay …` call in a page's shell blocks as its arguments."""
    lines = [line for block in blocks(path, "sh") for line in block.splitlines()]
    calls = [part.strip() for line in lines for part in re.split(r"&&|\|", line)]
    return [shlex.split(call, comments=True)[1:] for call in calls if re.match(r"(\.venv/bin/)?outlay\b", call)]


def test_the_reference_is_fresh() -> None:
    """The generated pages are what the code says at this moment."""
    command = [sys.executable, str(ROOT / "tools" / "reference.py"), "--check"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=name)
def test_every_command_shown_exists(path: Path) -> None:
    """A command in the documentation is one the command line takes, option by option."""
    for arguments in commands_in(path):
        command: click.Command = cli
        ctx = click.Context(cli, info_name="outlay", resilient_parsing=True)
        rest = list(arguments)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            child = command.get_command(ctx, rest[0])
            assert child is not None, f"outlay {' '.join(arguments)}: no command {rest[0]}"
            command, ctx = child, click.Context(child, info_name=rest[0], parent=ctx)
            rest = rest[1:]
        command.make_parser(ctx).parse_args(list(rest))  # raises for an option that does not exist


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=name)
def test_every_configuration_shown_is_accepted(path: Path, tmp_path: Path) -> None:
    """A configuration in the documentation is one that Outlay reads, with providers and options it knows."""
    known = {provider.id: {option.name for option in provider.options} for provider in PROVIDERS}
    for block in blocks(path, "toml"):
        config = parse(block, Path("outlay.toml"), tmp_path)
        for connection in config.connections.values():
            assert set(connection.options) <= known[connection.provider]


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=name)
def test_every_python_example_compiles(path: Path) -> None:
    """A Python example is Python."""
    for block in blocks(path, "python"):
        compile(block, name(path), "exec")


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    """A relative link names a file that is there and, where it names a heading, one that page has."""
    for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", FENCE.sub("", path.read_text("utf-8"))):
        file, _, heading = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{target} leads nowhere"
        if heading:
            slugs = {
                re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-")
                for line in re.findall(r"(?m)^#+ (.*)$", there.read_text("utf-8"))
            }
            assert heading in slugs, f"{target} names no heading"


def test_the_index_leads_to_every_page() -> None:
    """Nothing in the documentation is out of the reader's reach."""
    index = (DOCS / "index.md").read_text("utf-8")
    missing = [
        name(path)
        for path in DOCS.rglob("*.md")
        if path.parent.name != "providers"
        and path.name != "index.md"
        and path.relative_to(DOCS).as_posix() not in index
    ]
    assert not missing


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.id)
def test_every_provider_has_a_page(provider: object) -> None:
    """A provider's page is there and opens with its title."""
    page = DOCS / "providers" / f"{provider.id}.md"  # type: ignore[attr-defined]
    assert page.read_text("utf-8").startswith(f"# {provider.title}")  # type: ignore[attr-defined]


def test_every_problem_code_is_documented() -> None:
    """A problem that data can have is explained on the page of errors, and no explanation is left over."""
    sources = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    raised = {code for text in sources for code in re.findall(r"Problem\(\s*code=\"(\w+)\"", text)}
    section = (DOCS / "errors.md").read_text("utf-8").partition("\n## Problems in data\n")[2]
    explained = set(re.findall(r"(?m)^\| `(\w+)` \|", section))
    assert raised
    assert raised <= explained
    assert not {code for code in explained if not any(f'"{code}"' in text for text in sources)}


def test_ci_runs_what_the_readme_tells() -> None:
    """The README has two commands, and CI runs these two, letter for letter, in their order."""
    told = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines()]
    ran = re.findall(r"(?m)^try '(.*)'$", (ROOT / ".ci" / "run").read_text("utf-8"))
    assert len(told) == 2
    assert told == ran


def test_the_readme_shows_only_commands_that_exist() -> None:
    """The commands listed in the README are the command line's."""
    listed = re.findall(r"(?m)^outlay (\w+)", (ROOT / "README.md").read_text("utf-8"))
    assert listed
    assert set(listed) <= set(COMMANDS)


def test_the_changelog_knows_the_version() -> None:
    """The version that pyproject.toml carries is released or about to be."""
    version = re.search(r'(?m)^version = "(.*)"$', (ROOT / "pyproject.toml").read_text("utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert version
    assert f"## {version[1]}" in changelog or "## Unreleased" in changelog
