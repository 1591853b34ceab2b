"""Estimates that what they are worked out from has overtaken: a crash between the two leaves them as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from outlay.model.terms import ENTRY
from outlay.providers import BY_ID
from outlay.store.standing import Standing

_TERMS = f"entered.{ENTRY}."


def marked(rows: Sequence[Standing], providers: Mapping[str, str], problem: str) -> Iterator[Standing]:
    """Yield what is known of every partition, estimates with a problem that are older than their revenue or terms.

    Every sync, import and entry works them out at its end, and says of each day that it was looked at. `providers` are
    those of the connections.
    """
    of = {
        (connection, estimate.dataset.name): estimate.of
        for connection, provider in providers.items()
        if provider in BY_ID
        for estimate in BY_ID[provider].estimates
    }
    revenue, terms = _told(rows, {(connection, name) for (connection, _), names in of.items() for name in names})
    for row in rows:
        names = of.get((row.connection, row.dataset))
        if names is None or row.problem is not None or row.checked_at is None:
            yield row
            continue
        days = (revenue.get((row.connection, name, row.start), 0) for name in names)
        since = max((*days, terms.get(row.connection, 0)))
        yield row._replace(problem=problem, stale_since=since) if since > row.checked_at else row


def _told(
    rows: Sequence[Standing], sources: set[tuple[str, str]]
) -> tuple[dict[tuple[str, str, int], int], dict[str, int]]:
    """Return when each day of revenue was last looked at, and when a connection's terms were last entered."""
    revenue: dict[tuple[str, str, int], int] = {}
    terms: dict[str, int] = {}
    if not sources:
        return revenue, terms
    for row in rows:
        if row.checked_at is None:
            continue
        if (row.connection, row.dataset) in sources:
            revenue[row.connection, row.dataset, row.start] = row.checked_at
        elif row.dataset.startswith(_TERMS):
            terms[row.connection] = max(row.checked_at, terms.get(row.connection, 0))
    return revenue, terms
