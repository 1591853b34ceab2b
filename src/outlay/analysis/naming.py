"""What ids are called, for display beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from outlay.analysis.answer import Grouped, named
from outlay.store import Ledger

_NAMED = frozenset({"sub_account", "resource"})


def names_for(ledger: Ledger, by: Sequence[str], rows: Sequence[Grouped]) -> dict[str, str]:
    """Return the names of the ids in those rows' dimensions; nothing is read when no dimension holds ids."""
    dimensions = _NAMED.intersection(by)
    if not dimensions:
        return {}
    ids = {row.dimensions[dimension] for row in rows for dimension in dimensions}
    return named(ids, all_names(ledger))


def names_of_scopes(ledger: Ledger, scopes: Iterable[str], more: Iterable[str | None] = ()) -> dict[str, str]:
    """Return the names of what limits or budgets bound, `workspace:w1` and the like, and of `more` ids."""
    ids = {id_ for scope in scopes if (id_ := scope.partition(":")[2])} | {id_ for id_ in more if id_}
    return named(ids, all_names(ledger)) if ids else {}


def all_names(ledger: Ledger) -> dict[str, str]:
    """Return every id's name; an id that two connections name differently keeps only the id."""
    names: dict[str, str] = {}
    clashing: set[str] = set()
    for name in ledger.names():
        if name.name and names.setdefault(name.id, name.name) != name.name:
            clashing.add(name.id)
    return {id_: name for id_, name in names.items() if id_ not in clashing}
