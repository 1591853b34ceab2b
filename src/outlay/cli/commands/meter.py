"""`outlay meter`: what was used, observed where it happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outlay.cli.lazy import Command, Entry, Group
from outlay.cli.output import Column, Kind, Sheet, show
from outlay.cli.params import DAY, check_connections, find_provider, open_ledger
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import ConfigError

if TYPE_CHECKING:
    from outlay.meter.jsonlines import Found
    from outlay.model.metering import MeterEvent
    from outlay.store import Ledger
    from outlay.store.tokens import Token

ENTRIES: dict[str, Entry] = {
    "reconcile": Entry("outlay.cli.commands.meter_reconcile:reconcile", "Compare what is priced with what is billed."),
}
"""Commands of this group that stand in modules of their own."""
SCOPES = ("read", "ingest", "admin")
_TOGETHER = 2000


@click.group(
    cls=Group,
    entries=ENTRIES,
    epilog="""
    outlay meter status
    outlay meter settle
    outlay meter import batch-output.jsonl --provider openai
    outlay meter token create collector --scope ingest
    """,
)
def meter() -> None:
    """Meter requests, for vendors that bill by the call and tell it through no API; docs/metering-http.md shows how."""


# ── settle and status ────────────────────────────────────────────────────────────────────────────────────────────


@meter.command(
    epilog="""
    outlay meter settle
    outlay meter settle --again
    """
)
@click.option("--again", is_flag=True, help="Every day that ever held an event: for price lists that were corrected.")
@pass_settings
def settle(settings: Settings, *, again: bool) -> None:
    """Put what was metered into the ledger, priced by the lists of its hour; `sync` and `serve` do so by themselves."""
    from outlay.cli.commands.sync import sheet
    from outlay.sync import metered

    config = settings.load()
    with open_ledger(settings, config, create=True) as ledger:
        report = metered.settle(config, ledger, settings.clock, metered.Wish(again=again))
        ledger.maintain_if_needed()
    show(sheet(report), settings)
    raise click.exceptions.Exit(int(report.exit))


_STATUS = (
    Column("connection", "Connection"),
    Column("provider", "Provider", keep=6),
    Column("days", "Days", Kind.QUANTITY),
    Column("from", "From"),
    Column("to", "To", keep=7),
    Column("waiting", "Waiting", Kind.QUANTITY),
    Column("unpriced", "Unpriced", Kind.QUANTITY),
)


@meter.command(epilog="outlay meter status")
@pass_settings
def status(settings: Settings) -> None:
    """Show what was metered at each connection: how many days, how many wait to be settled, how many lack prices."""
    from outlay.meter.spool import pending
    from outlay.store import metering

    config = settings.load()
    with open_ledger(settings, config, create=True) as ledger:
        days = metering.all_days(ledger.state)
        remembered = metering.remembered(ledger.state)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for day in days:
        row = rows.setdefault(
            (day.connection, day.provider),
            {"connection": day.connection, "provider": day.provider, "days": 0, "from": day.day, "to": day.day,
             "waiting": 0, "unpriced": 0},
        )  # fmt: skip
        row.update(days=row["days"] + 1, to=day.day)
        row["waiting"] += day.due
        row["unpriced"] += day.lacking
    files = len(list(pending(config.home)))
    head = {"spool_files": files, "ids_remembered": remembered}
    notes = [f"In the spool: {files} files."] if files else []
    show(Sheet(_STATUS, list(rows.values()), head=head, notes=notes, empty="Nothing was metered."), settings)


# ── import ───────────────────────────────────────────────────────────────────────────────────────────────────────

_IMPORT = (
    Column("what", "What"),
    Column("count", "Count", Kind.QUANTITY),
)


@meter.command(
    "import",
    epilog="""
    outlay meter import batch-output.jsonl --provider openai --preview
    outlay meter import batch-output.jsonl --connection openai-prod
    outlay meter import embeddings.jsonl --provider openai --day 2026-11-20
    """,
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--provider", metavar="ID", help="Whose answers they are; not needed with --connection.")
@click.option("--connection", metavar="NAME", help="The connection whose calls they are.")
@click.option("--day", type=DAY, help="The UTC day of lines that do not say when they were.")
@click.option("--tier", "service_tier", metavar="WORD", help="The service tier of all lines, such as batch or flex.")
@click.option("--preview", "--dry-run", "preview", is_flag=True, help="Show what would be taken, and take nothing.")
@pass_settings
def import_(
    settings: Settings,
    file: Path,
    *,
    provider: str | None,
    connection: str | None,
    day: date | None,
    service_tier: str | None,
    preview: bool,
) -> None:
    """Take in a log of answers, OpenAI-compatible or Claude's, one JSON object a line; their content is never kept.

    Lines are answers, a batch's output file, or requests with their responses. A file taken in twice is taken once.
    Do not import the log of calls that Outlay meters already: they would count twice.
    """
    from outlay.clock import midnight
    from outlay.meter.ingest import Intake, Taken, attribution
    from outlay.meter.jsonlines import Found, Wish, read

    config = settings.load()
    if connection is not None:
        check_connections(config, (connection,))
    asked = provider or (config.connections[connection].provider if connection else None)
    if asked is None:
        raise ConfigError("whose answers they are is not said", hint="Give --provider ID or --connection NAME.")
    vendor = find_provider(asked)
    if connection is not None and config.connections[connection].provider != vendor.id:
        raise ConfigError(f"{connection} is no connection of {vendor.title}", hint="Give only --connection.")
    at = None if day is None else midnight(day)
    wish, found = Wish(vendor.id, connection, at, service_tier), Found()
    taken = Taken(0, 0)
    with open_ledger(settings, config, create=True) as ledger:
        intake = Intake(ledger, attribution(config), clock=settings.clock)
        for events in _chunks(read(file.expanduser(), wish, settings.clock(), found)):
            taken += _foreseen(intake, events) if preview else intake.take(events, keep=True)
    _show_import(settings, found, taken)
    settings.say("nothing was taken" if preview else "`outlay sync` or `outlay meter settle` puts it into the ledger")


def _chunks(events: Iterator[MeterEvent]) -> Iterator[list[MeterEvent]]:
    while chunk := list(islice(events, _TOGETHER)):
        yield chunk


def _foreseen(intake: Any, events: Sequence[MeterEvent]) -> Any:
    from outlay.meter.ingest import Taken

    unique = list({event.id: event for event in events}.values())
    known = intake.known(unique)
    return Taken(len(unique) - known, len(events) - len(unique) + known)


def _show_import(settings: Settings, found: Found, taken: Any) -> None:
    counts = {
        "lines": found.lines,
        "accepted": taken.accepted,
        "duplicates": taken.duplicates,
        "without_usage": found.without_usage,
        "rejected": found.rejected_count,
    }
    rejected = [{"line": each.place, "code": each.code, "message": each.says} for each in found.rejected]
    lacking = [{"why": f"line {each['line']}: {each['message']} ({each['code']})", "hint": ""} for each in rejected]
    rows = [{"what": name.replace("_", " "), "count": count} for name, count in counts.items()]
    whole = {**counts, "problems": rejected}
    show(Sheet(_IMPORT, rows, incomplete=lacking or None, whole=whole, trouble="Lines left out"), settings)


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────


@meter.group(
    cls=Group,
    epilog="""
    outlay meter token create collector --scope ingest
    outlay meter token list
    outlay meter token revoke 0a1b2c3d
    """,
)
def token() -> None:
    """Make, list and revoke the tokens that let programs in over HTTP."""


@token.command(cls=Command, epilog="outlay meter token create collector --scope ingest")
@click.argument("name")
@click.option("--scope", type=click.Choice(SCOPES), default="ingest", show_default=True, help="What it opens.")
@pass_settings
def create(settings: Settings, name: str, *, scope: str) -> None:
    """Make a token and print it, this once: only a digest of it is kept."""
    from outlay.config import check_name
    from outlay.store.tokens import Scope
    from outlay.store.tokens import create as make

    check_name(name)
    with _ledger(settings) as ledger:
        made, secret = make(ledger.state, name, Scope(scope), settings.clock())
    if settings.format == "table":
        click.echo(secret)
    else:
        row = {**_row(made), "token": secret}
        show(Sheet([*_TOKENS, Column("token", "Token")], [row], whole=row), settings)
    settings.say(f"keep it: it is shown this once. To end it: outlay meter token revoke {made.id}")


@token.command("list", cls=Command, epilog="outlay meter token list")
@pass_settings
def list_(settings: Settings) -> None:
    """List the tokens, never their secrets."""
    from outlay.store.tokens import listed

    with _ledger(settings) as ledger:
        found = listed(ledger.state)
    show(Sheet(_TOKENS, [_row(each) for each in found], empty="There are no tokens."), settings)


@token.command(cls=Command, epilog="outlay meter token revoke 0a1b2c3d")
@click.argument("id_", metavar="ID")
@pass_settings
def revoke(settings: Settings, id_: str) -> None:
    """End a token; a running server lets it in for a few seconds more."""
    from outlay.store.tokens import revoke as end

    with _ledger(settings) as ledger:
        ended = end(ledger.state, id_, settings.clock())
    settings.say(f"{ended.name} ({ended.id}) opens nothing any more")


_TOKENS = (
    Column("id", "Id"),
    Column("name", "Name"),
    Column("scope", "Scope"),
    Column("created_at", "Made"),
    Column("revoked_at", "Revoked"),
)


def _row(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "scope": token.scope.value,
        "created_at": token.created_at,
        "revoked_at": token.revoked_at,
    }


def _ledger(settings: Settings) -> Ledger:
    return open_ledger(settings, settings.load(), create=True)
