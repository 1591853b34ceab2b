"""What ids are called: merged into what is known, never replaced, so that an id keeps its name after it is gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from arro3.core import Table as ArrowTable

from outlay.model.batch import Account, Batch
from outlay.model.facts import Name
from outlay.providers.base import Provider
from outlay.store.columns import Columns
from outlay.store.schema import Table

_Row = dict[str, Any]


def merged(
    table: Table,
    account: Account,
    provider: Provider,
    batches: Sequence[Batch],
    datasets: Iterable[str],
    known: Sequence[Mapping[str, Any]],
) -> ArrowTable:
    """Return every name of some datasets after the batches.

    Later observations win, and what a full list of names no longer holds stays with the state `deleted`.
    """
    rows: list[_Row] = []
    for dataset in sorted(datasets):
        have = {(row["kind"], row["id"]): _Row(row) for row in known if row["dataset"] == dataset}
        mine = [batch for batch in batches if batch.partition.dataset == dataset]
        complete = _lists_everything(provider, dataset, mine)
        _merge(account, mine, have, complete=complete)
        rows += [have[key] for key in sorted(have)]
    columns = Columns(table, len(rows))
    if rows:
        for column in table.columns:
            columns.put(column.name, [row[column.name] for row in rows])
    return columns.table()


def _lists_everything(provider: Provider, dataset: str, batches: Sequence[Batch]) -> bool:
    """Tell whether a name that is missing from a dataset's answer is gone, or was merely not mentioned that day."""
    for described in provider.datasets:
        if described.name == dataset:
            return described.grain == "names"
    return all(isinstance(fact, Name) for batch in batches for fact in batch.facts)


def _merge(account: Account, batches: Sequence[Batch], have: dict[tuple[str, str], _Row], *, complete: bool) -> None:
    """Bring a dataset's names up to date in place."""
    if not batches:
        return
    newest = max((row["observed_at"] for row in have.values()), default=datetime.min.replace(tzinfo=UTC))
    listed: set[tuple[str, str]] = set()
    for batch in sorted(batches, key=lambda one: one.observed_at):
        for fact in batch.facts:
            if not isinstance(fact, Name):
                continue
            key = (fact.kind, fact.id)
            listed.add(key)
            old = have.get(key)
            if old is None or old["observed_at"] <= batch.observed_at:
                have[key] = _row(account, batch, fact)
            if old is None and complete and batch.observed_at < newest:
                # A later list, already stored, did not hold it any more.
                have[key]["state"] = "deleted"
    if not complete:
        return
    last = max(batches, key=lambda one: one.observed_at)
    for key, row in have.items():
        if key not in listed and row["observed_at"] <= last.observed_at and row["state"] != "deleted":
            row.update(_envelope(account, last), state="deleted")


def _row(account: Account, batch: Batch, fact: Name) -> _Row:
    return {**_envelope(account, batch), **{name: getattr(fact, name) for name in Name.__struct_fields__}}


def _envelope(account: Account, batch: Batch) -> _Row:
    return {
        "connection": account.connection,
        "provider": account.provider,
        "dataset": batch.partition.dataset,
        "batch_id": batch.batch_id,
        "observed_at": batch.observed_at,
        "partition_start": batch.partition.period.start,
        "partition_end": batch.partition.period.end,
    }
