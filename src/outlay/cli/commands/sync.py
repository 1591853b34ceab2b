"""`outlay sync`: the main job."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from outlay.cli.lazy import Command
from outlay.cli.output import Column, Kind, Sheet, show
from outlay.cli.params import DAY, check_connections, connections_argument, open_ledger
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import AccessDeniedError, ConfigError, NotOfferedError, PermissionMissingError, UnreachableError
from outlay.model.problem import Severity

if TYPE_CHECKING:
    from outlay.config import Config
    from outlay.sync import Report, Shard
    from outlay.sync.plan import Span


@click.command(
    cls=Command,
    epilog="""
    outlay sync
    outlay sync openai-prod --since 2026-01-01
    outlay sync --dry-run
    outlay sync --shard 1/4
    """,
)
@connections_argument
@click.option("--since", type=DAY, help="The first day to fetch.")
@click.option("--until", type=DAY, help="The day after the last one to fetch.")
@click.option("--full", is_flag=True, help="Fetch every day again, also what cannot have changed.")
@click.option("--dry-run", is_flag=True, help="Print the requests that would be made, and make none.")
@click.option("--shard", metavar="I/N", help="Only this share of the connections, for several processes side by side.")
@pass_settings
def sync(
    settings: Settings,
    connections: tuple[str, ...],
    *,
    since: date | None,
    until: date | None,
    full: bool,
    dry_run: bool,
    shard: str | None,
) -> None:
    """Fetch what is missing, failed, or may have changed since.

    A connection that fails does not keep the others back: the status is then 3 and what was there before stays.
    """
    if since and until and since >= until:
        raise click.BadParameter("is not after --since; the end is exclusive", param_hint="--until")
    if since and since > settings.today:
        raise ConfigError(f"--since {since} is in the future", hint=f"Today is {settings.today} (UTC).")
    config = settings.load()
    check_connections(config, connections)
    from outlay.sync import Shard
    from outlay.sync.plan import Span

    span = Span(since, until, full)
    share = Shard.parse(shard) if shard else None
    if dry_run:
        from outlay.cli.dryrun import show_plan

        show_plan(settings, config, connections, span, share)
        return
    report = run(settings, config, connections, span, share)
    show(sheet(report), settings)
    raise click.exceptions.Exit(int(report.exit))


def run(
    settings: Settings, config: Config, connections: tuple[str, ...], span: Span, shard: Shard | None = None
) -> Report:
    """Run a sync and draw it."""
    import outlay.sync as engine
    from outlay.cli.progress import progress
    from outlay.sync.engine import Settings as EngineSettings

    with open_ledger(settings, config, create=True) as ledger, progress(settings) as drawn:
        return engine.run(
            config,
            ledger,
            connections=connections,
            span=span,
            shard=shard,
            settings=EngineSettings(clock=settings.clock, progress=drawn, environ=settings.environ),
        )


COLUMNS = (
    Column("connection", "Connection"),
    Column("dataset", "Dataset"),
    Column("state", "State"),
    Column("partitions", "Parts", Kind.QUANTITY, keep=4),
    Column("fetched", "Fetched", Kind.QUANTITY),
    Column("unchanged", "Same", Kind.QUANTITY, keep=5),
    Column("restated", "Restated", Kind.QUANTITY),
    Column("facts", "Facts", Kind.QUANTITY),
    Column("requests", "Requests", Kind.QUANTITY, keep=6),
)


def sheet(report: Report) -> Sheet:
    """Return a sync's or replay's report: a row per dataset, and what went wrong under them."""
    rows: list[dict[str, Any]] = []
    lacking: list[dict[str, Any]] = []
    for connection in report.to_json()["connections"]:
        name = connection["connection"]
        lacking += [_lack(name, None, problem) for problem in connection["problems"]]
        for dataset in connection["datasets"]:
            problems = dataset["problems"]
            rows.append({**dataset, "connection": name, "state": _state(problems)})
            lacking += [_lack(name, dataset["dataset"], problem) for problem in problems]
        if not connection["datasets"]:
            rows.append({"connection": name, "state": connection["state"], "requests": connection["requests"]})
    problems_first = sorted(_alike(lacking), key=lambda problem: _SEVERITIES.index(problem["severity"]))
    return Sheet(
        COLUMNS,
        rows,
        incomplete=problems_first,
        whole=report.to_json(),
        trouble="What to know",
        empty="There was nothing to sync.",
    )


def _state(problems: list[dict[str, Any]]) -> str:
    if any(problem["severity"] == "fatal" for problem in problems):
        return "failed"
    return "not offered" if any(problem["code"] == "not_offered" for problem in problems) else "ok"


_ONE_CAUSE = {error.code for error in (AccessDeniedError, PermissionMissingError, UnreachableError, NotOfferedError)}


def _alike(lacking: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say once what one cause did to several datasets of a connection; the first one's words stand for all."""
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for number, problem in enumerate(lacking):
        shared = problem["code"] in _ONE_CAUSE and problem["dataset"] is not None
        key = (problem["connection"], problem["code"], problem["hint"], problem["severity"])
        known = groups.setdefault(key if shared else (*key, number), dict(problem))
        if shared and known["dataset"] != problem["dataset"]:
            known["dataset"] = f"{known['dataset']}, {problem['dataset']}"
    return list(groups.values())


_SEVERITIES = tuple(severity.value for severity in Severity)


def _lack(connection: str, dataset: str | None, problem: dict[str, Any]) -> dict[str, Any]:
    return {
        "connection": connection,
        "dataset": dataset,
        "period": problem.get("period"),
        "why": f"{problem['says']} ({problem['code']})",
        "code": problem["code"],
        "hint": problem["hint"],
        "severity": problem["severity"],
    }
