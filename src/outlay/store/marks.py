"""How far a vendor has told its changes: one mark for each dataset that asks for them, in the provider's own words."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from outlay.store.state import State, metadata, micros

marks = sa.Table(
    "outlay_marks",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("dataset", sa.Text, primary_key=True),
    sa.Column("mark", sa.Text, nullable=False),
    sa.Column("noted_at", sa.BigInteger, nullable=False),
)


def mark(state: State, connection: str, dataset: str) -> str | None:
    """Return the mark of a dataset, None where nothing was told yet or the state was built again from the tables."""
    query = sa.select(marks.c.mark).where(marks.c.connection == connection, marks.c.dataset == dataset)
    found = state.read(query)
    return str(found[0].mark) if found else None


def note(state: State, connection: str, dataset: str, text: str, at: datetime) -> None:
    """Note how far a vendor has told, once everything up to there is committed."""
    row = {"connection": connection, "dataset": dataset, "mark": text, "noted_at": micros(at)}
    with state.write() as made:
        state.upsert(made, marks, [row])
