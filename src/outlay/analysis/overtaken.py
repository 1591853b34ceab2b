"""Estimates that what they are worked out from has overtaken: a crash between the two leaves them as they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from outlay.model.terms import ENTRY
from outlay.providers import PROVIDERS
from outlay.store.standing import Standing

_OF: Mapping[str, frozenset[str]] = {
    estimate.dataset.name: frozenset(estimate.of) for provider in PROVIDERS for estimate in provider.estimates
}
"""The datasets that an estimate is worked out from, by the dataset it stands in."""
_SOURCES = frozenset(name for names in _OF.values() for name in names)
_TERMS = f"entered.{ENTRY}."


def marked(rows: Sequence[Standing], problem: str) -> Iterator[Standing]:
    """Yield what is known of every partition, estimates with a problem that are older than their revenue or terms.

    Every sync, import and entry works them out at its end, and says of each day that it was looked at.
    """
    if not any(row.dataset in _OF for row in rows):
        yield from rows
        return
    revenue: dict[tuple[str, str, int], int] = {}
    terms: dict[str, int] = {}
    for row in rows:
        if row.checked_at is None:
            continue
        if row.dataset in _SOURCES:
            revenue[row.connection, row.dataset, row.start] = row.checked_at
        elif row.dataset.startswith(_TERMS):
            terms[row.connection] = max(row.checked_at, terms.get(row.connection, 0))
    for row in rows:
        if row.dataset not in _OF or row.problem is not None or row.checked_at is None:
            yield row
            continue
        days = (revenue.get((row.connection, name, row.start), 0) for name in _OF[row.dataset])
        since = max(*days, terms.get(row.connection, 0))
        yield row._replace(problem=problem, stale_since=since) if since > row.checked_at else row
