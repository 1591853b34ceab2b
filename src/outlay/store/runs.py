"""The record of runs: when each began and ended, and the report it ended with."""

from __future__ import annotations

import uuid
from datetime import datetime

import msgspec
import sqlalchemy as sa

from outlay.store.state import State, micros, moment, runs


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run. Null: `ended_at` and `report` are None while it runs, and for ever where it died."""

    run_id: str
    command: str
    began_at: datetime
    ended_at: datetime | None
    report: str | None


def begin(state: State, command: str, now: datetime) -> str:
    """Note that a run begins and return its id."""
    run_id = uuid.uuid4().hex
    with state.write() as connection:
        connection.execute(sa.insert(runs).values(run_id=run_id, began_at=micros(now), command=command))
    return run_id


def end(state: State, run_id: str, report: str, now: datetime) -> None:
    """Note how a run ended."""
    with state.write() as connection:
        connection.execute(sa.update(runs).where(runs.c.run_id == run_id).values(ended_at=micros(now), report=report))


def last(state: State, count: int) -> list[Run]:
    """Return the latest runs, newest first."""
    found = state.read(sa.select(runs).order_by(runs.c.began_at.desc(), runs.c.run_id).limit(count))
    return [
        Run(
            run_id=row.run_id,
            command=row.command,
            began_at=moment(row.began_at),
            ended_at=None if row.ended_at is None else moment(row.ended_at),
            report=row.report,
        )
        for row in found
    ]
