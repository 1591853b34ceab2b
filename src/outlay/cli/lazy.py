"""Commands that are imported when they are called, and take the global options wherever they stand."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

from outlay.cli.settings import global_options

GLOBAL = ("format", "config", "home", "quiet", "no_color")
_SUMMARY_MAX = 160
"""How many characters of its first sentence a list of commands shows; they wrap."""


class Command(click.Command):
    """A command that takes the global options too and shows its examples as they are written."""

    def __init__(self, *args: Any, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params = [*self.params, *global_options()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first, the global ones apart."""
        own, everywhere = _split(self, ctx)
        for title, records in (("Options", own), ("Everywhere", everywhere)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples."""
        _examples(self.epilog, formatter)


def _split(command: click.Command, ctx: click.Context) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    own: list[tuple[str, str]] = []
    everywhere: list[tuple[str, str]] = []
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None:
            (everywhere if param.name in GLOBAL else own).append(record)
    return own, everywhere


def _examples(epilog: str | None, formatter: click.HelpFormatter) -> None:
    if epilog:
        with formatter.section("Examples"):
            formatter.write("".join(f"  {line.strip()}\n" for line in epilog.strip().splitlines()))


@dataclass(frozen=True, slots=True)
class Entry:
    """A command not imported yet: where it is (`module:name`), what it does in a few words, under which heading."""

    target: str
    help: str
    section: str = "Commands"


class Group(click.Group):
    """A group whose subcommands may be entries, imported on first use."""

    command_class = Command

    def __init__(self, *args: Any, entries: Mapping[str, Entry] | None = None, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.params = [*self.params, *global_options()]
        self.entries = dict(entries or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, those of entries in their order."""
        return [*self.entries, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing it where need be."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = entry.target.partition(":")
        found: click.Command = getattr(importlib.import_module(module), name)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called; a wrong name gets a suggestion."""
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            from outlay.config import suggestion

            hint = suggestion(args[0], self.list_commands(ctx), otherwise="")
            raise click.UsageError(f"there is no command `{args[0]}`{f'. {hint}' if hint else ''}", ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what may follow; entries are not imported for it."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        from click.shell_completion import CompletionItem

        named = [CompletionItem(n, help=e.help) for n, e in self.entries.items() if n.startswith(incomplete)]
        return [*named, *(CompletionItem(name) for name in self.commands if name.startswith(incomplete))]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, then the options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            entry = self.entries.get(name)
            if entry is not None:
                sections.setdefault(entry.section, []).append((name, entry.help))
            else:
                command = self.commands[name]
                sections.setdefault("Commands", []).append((name, command.get_short_help_str(_SUMMARY_MAX)))
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)
        own, everywhere = _split(self, ctx)
        with formatter.section("Options"):
            formatter.write_dl([*own, *everywhere])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the examples."""
        _examples(self.epilog, formatter)
