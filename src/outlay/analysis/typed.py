"""What was typed in or imported, told by the facts that stand there: no provider describes such datasets."""

from __future__ import annotations

from collections.abc import Sequence

from outlay.analysis.query import CHARGES, REVENUE, USAGE
from outlay.model.facts import Charge, Revenue, Usage
from outlay.store import Ledger

_TABLES = ((Charge, CHARGES), (Usage, USAGE), (Revenue, REVENUE))


def kinds(ledger: Ledger, datasets: Sequence[tuple[str, str]]) -> frozenset[tuple[str, str, type]]:
    """Return connection, dataset and kind of the daily facts that stand in some datasets."""
    if not datasets:
        return frozenset()
    names = sorted({dataset for _, dataset in datasets})
    marks = ", ".join("?" * len(names))
    found = set[tuple[str, str, type]]()
    for kind, columns in _TABLES:
        connection, dataset = columns.by_name["connection"], columns.by_name["dataset"]
        sql = f"SELECT DISTINCT {connection}, {dataset} FROM {columns.table} WHERE {dataset} IN ({marks})"
        found |= {(held[0], held[1], kind) for held in ledger.query(sql, names).rows}
    return frozenset(found)
