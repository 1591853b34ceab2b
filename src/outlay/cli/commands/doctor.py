"""`outlay doctor`: prove that every connection works, and say what is missing where one does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from outlay.cli.lazy import Command
from outlay.cli.output import Column, Sheet, show
from outlay.cli.params import check_connections, connections_argument
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import ConfigError, Exit

if TYPE_CHECKING:
    from outlay.cli.probe import DatasetProof, Proof
    from outlay.config import Connection


@click.command(
    cls=Command,
    epilog="""
    outlay doctor
    outlay doctor openai-prod --format json
    """,
)
@connections_argument
@pass_settings
def doctor(settings: Settings, connections: tuple[str, ...]) -> None:
    """Prove each connection: key, permissions, datasets, clock; status 3 where one fails.

    Every dataset is asked for once, with the smallest request the vendor takes. Nothing is stored. A connection of
    which nothing is asked, as of one that is only metered, is `unchecked`.
    """
    config = settings.load()
    check_connections(config, connections)
    if not config.connections:
        raise ConfigError("no connections are configured", hint="Run `outlay init` or `outlay connect PROVIDER`.")
    wanted = [config.connections[name] for name in dict.fromkeys(connections)] or list(config.connections.values())
    settings.say(f"checking {len(wanted)} connection{'' if len(wanted) == 1 else 's'} …")
    proofs = asyncio.run(_all(wanted, list(config.connections.values()), settings))
    show(sheet(proofs), settings)
    if settings.format == "table" and all(proof.state == "ok" for proof in proofs):
        settings.say("all is well; next: outlay sync")
    if any(proof.state not in ("ok", "unchecked") for proof in proofs):
        raise click.exceptions.Exit(int(Exit.PROVIDER))


async def _all(wanted: list[Connection], configured: list[Connection], settings: Settings) -> list[Proof]:
    from outlay.cli.probe import prove

    return list(await asyncio.gather(*(prove(connection, configured, settings) for connection in wanted)))


COLUMNS = (
    Column("connection", "Connection"),
    Column("dataset", "Dataset"),
    Column("state", "State"),
    Column("says", "What it says", table=False),
    Column("hint", "What to do", table=False),
)


def sheet(proofs: list[Proof]) -> Sheet:
    """Return the proofs as a row per dataset, with what is wrong and what to do under them."""
    rows: list[dict[str, object]] = []
    wrong: list[dict[str, object]] = []
    notes: list[str] = []
    for proof in proofs:
        rows += [
            {"connection": proof.connection, "dataset": d.dataset, "state": d.state, "says": d.says, "hint": d.hint}
            for d in proof.datasets
        ]
        if not proof.datasets:
            rows.append({"connection": proof.connection, "state": proof.state})
        wrong += [_wrong(proof, None, f"{error.message} ({error.code})", error.hint) for error in proof.problems]
        wrong += [] if proof.problems else _alike(proof)
        notes += [f"{proof.connection}: {text}" for text in (*_found(proof), *proof.warnings)]
    whole = {"connections": [proof.to_json() for proof in proofs]}
    return Sheet(COLUMNS, rows, incomplete=wrong, notes=notes, whole=whole, trouble="What is wrong")


def _found(proof: Proof) -> list[str]:
    key = [f"the key is: {proof.key.title}"] if proof.key else []
    return [*key, f"{proof.requests} requests"] if proof.requests else key


def _alike(proof: Proof) -> list[dict[str, object]]:
    """Return what fails, datasets that fail in the same way together: one missing permission is one thing to do."""
    groups: dict[tuple[str, str], list[DatasetProof]] = {}
    for one in proof.datasets:
        if one.failed:
            groups.setdefault((one.state, one.hint), []).append(one)
    wrong = []
    for (state, hint), alike in groups.items():
        names = ", ".join(one.dataset for one in alike)
        wrong.append(_wrong(proof, names, f"{alike[0].says} ({state})", hint))
    return wrong


def _wrong(proof: Proof, dataset: str | None, why: str, hint: str) -> dict[str, object]:
    return {"connection": proof.connection, "dataset": dataset, "why": why, "hint": hint}
