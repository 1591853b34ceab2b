"""The list of commands, and the root that runs them inside the fence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from outlay.cli.fence import run
from outlay.cli.lazy import Entry, Group
from outlay.cli.settings import Settings

_SETUP, _LEDGER, _ANSWERS, _MORE = "Set up", "Fill the ledger", "Ask it", "More"


def _entry(module: str, name: str, help_: str, section: str) -> Entry:
    return Entry(f"outlay.cli.commands.{module}:{name}", help_, section)


COMMANDS = {
    "demo": _entry("demo", "demo", "See it work: fake vendors, a real sync, no keys needed.", _SETUP),
    "init": _entry("init", "init", "Write outlay.toml from the keys found in the environment.", _SETUP),
    "connect": _entry("connect", "connect", "Add one account to outlay.toml.", _SETUP),
    "doctor": _entry("doctor", "doctor", "Prove each connection: key, permissions, clock.", _SETUP),
    "providers": _entry("providers", "providers", "What each provider offers and needs.", _SETUP),
    "sync": _entry("sync", "sync", "Fetch what is missing or may have changed.", _LEDGER),
    "import": _entry("import_", "import_", "Take in a vendor's export or a CSV of your own.", _LEDGER),
    "enter": _entry("enter", "enter", "Type in what no API tells.", _LEDGER),
    "replay": _entry("replay", "replay", "Map the kept answers again, without the network.", _LEDGER),
    "meter": _entry("meter", "meter", "What requests used: settle, import, tokens.", _LEDGER),
    "maintain": _entry("maintain", "maintain", "Compact, vacuum, verify, back up, restore.", _LEDGER),
    "status": _entry("status", "status", "Each connection at a glance.", _ANSWERS),
    "spend": _entry("answers", "spend", "What was spent, by any dimension.", _ANSWERS),
    "usage": _entry("answers", "usage", "What was used.", _ANSWERS),
    "limits": _entry("answers", "limits", "How close each limit is.", _ANSWERS),
    "balances": _entry("answers", "balances", "Prepaid money and credits left.", _ANSWERS),
    "invoices": _entry("answers", "invoices", "The vendors' bills.", _ANSWERS),
    "budgets": _entry("answers", "budgets", "Budgets and what they have consumed.", _ANSWERS),
    "revenue": _entry("answers", "revenue", "What your own customers owe; never spend.", _ANSWERS),
    "prices": _entry("prices", "prices", "Which prices hold for metered use, and what has none.", _ANSWERS),
    "history": _entry("history", "history", "How committed numbers changed.", _ANSWERS),
    "sql": _entry("sql", "sql", "Read-only SQL on the ledger.", _ANSWERS),
    "export": _entry("export", "export", "Write FOCUS files or any fact table.", _ANSWERS),
    "serve": _entry("serve", "serve", "Take meter events over HTTP.", _MORE),
    "simulator": _entry("simulator", "simulator", "Serve the fake vendors on a local port.", _MORE),
    "completion": _entry("completion", "completion", "Print the completion script of your shell.", _MORE),
}


class Outlay(Group):
    """The root: whatever happens below it ends in the fence."""

    def main(  # type: ignore[override]  # it always leaves, and says with which status
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        **extra: Any,
    ) -> NoReturn:
        """Run the command line and leave with its exit status."""
        given = list(sys.argv[1:] if args is None else args)
        settings = extra.pop("obj", None) or Settings()
        extra["standalone_mode"] = False

        def call() -> object:
            return super(Outlay, self).main(given, prog_name or "outlay", obj=settings, **extra)

        sys.exit(run(call, settings, given))


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from outlay.cli.version import line

        click.echo(line())
        ctx.exit()


@click.group(
    cls=Outlay,
    entries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
    epilog="""
    outlay demo --no-serve
    outlay init && outlay doctor && outlay sync
    outlay spend --by provider,day --from 2026-10-01 --to 2026-11-01
    """,
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version and end."
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Know what every SaaS and AI vendor costs, how much is used, and how close each limit is."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
