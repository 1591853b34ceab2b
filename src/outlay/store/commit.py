"""The commit: partitions are replaced whole, facts before the batch record, so that a crash only means fetching again.

Order: the state notes which partitions are about to change, then payloads, facts, batches, then the state notes that
they are whole. Wherever it breaks off, the partitions are marked `writing` and count as never fetched; the rows that a
broken-off commit left behind are replaced by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from arro3.core import Table as ArrowTable

from outlay.errors import BugError
from outlay.model.batch import Account, Batch, Committed, Partition, Payload
from outlay.providers.base import Bearer, Provider
from outlay.store import rows
from outlay.store.columns import Columns
from outlay.store.delta import Tables, quoted
from outlay.store.names import merged
from outlay.store.schema import TABLE_OF, Table, tables
from outlay.store.spans import predicate, taken_in

if TYPE_CHECKING:
    from outlay.store.state import Prior, State

_Write = tuple[str, ArrowTable, str | None]
"""A table, the rows to put into it, and the condition that selects those they replace; None where there are none."""

_NOTHING: frozenset[str] = frozenset()


class _Commit:
    """One commit in the making: its batches in order of time and what their partitions may hold already."""

    def __init__(self, account: Account, batches: Sequence[Batch], prior: Mapping[Partition, Prior]) -> None:
        self.account = account
        self.batches = sorted(batches, key=lambda batch: (batch.partition.period, batch.partition.dataset))
        self.prior = prior
        self.provider = described(account.provider)
        self.parted = {batch.partition: _parted(batch) for batch in self.batches}
        self.dropped = taken_in(self.parted, prior)

    def tables(self, partition: Partition) -> frozenset[str]:
        """Return the tables in which a partition holds rows once the commit is done."""
        return frozenset(self.parted[partition])

    def before(self, partition: Partition) -> frozenset[str]:
        """Return the tables in which a partition may hold rows of an earlier batch."""
        known = self.prior.get(partition)
        return known.tables if known else _NOTHING

    def touched(self) -> dict[Partition, frozenset[str]]:
        """Return, for every partition that changes, the tables in which rows of it may lie meanwhile."""
        return {
            **{partition: self.tables(partition) | self.before(partition) for partition in self.parted},
            **{partition: self.before(partition) for partition in self.dropped},
        }


def commit(
    store: Tables,
    state: State,
    account: Account,
    batches: Sequence[Batch],
    payloads: Sequence[Payload],
    now: datetime,
) -> None:
    """Put batches in the place of whatever their partitions held.

    Raises: StoreError; BugError when a batch is of another connection or two are of one partition. Where it raises
    before the first write, what was committed still counts as committed.
    """
    _refuse_mixed(account, batches)
    prior = state.prior(account.connection, [batch.partition for batch in batches]) if batches else {}
    plan = _Commit(account, batches, prior)
    # Everything that can be refused is worked out before anything is written, the chain of batches included:
    # a commit that broke off may have recorded its batch.
    writes = _writes(store, plan, payloads)
    supersedes = _supersedes(store, plan) if batches else {}
    if batches:
        state.mark_writing(plan.touched())
    while writes:
        # Let go of each table once it is written: together they are the larger part of a commit's memory.
        table, made, where = writes.pop(0)
        if where is None:
            store.append(table, made)
        else:
            store.replace(table, made, where)
    if batches:
        _record(store, plan, supersedes, now)
        state.finish([(_known(batch, now), plan.tables(batch.partition)) for batch in plan.batches], plan.dropped)


def _writes(store: Tables, plan: _Commit, payloads: Sequence[Payload]) -> list[_Write]:
    writes: list[_Write] = [("payloads", rows.payloads(payloads), None)] if payloads else []
    for name in TABLE_OF.values():
        write = _names(store, plan) if name == "names" else _facts(plan, tables()[name])
        if write is not None:
            writes.append(write)
    return writes


def _refuse_mixed(account: Account, batches: Sequence[Batch]) -> None:
    partitions = {batch.partition for batch in batches}
    if len(partitions) != len(batches):
        raise BugError("one commit holds two batches of the same partition")
    if any(partition.connection != account.connection for partition in partitions):
        raise BugError("one commit holds batches of several connections")


def described(provider_id: str) -> Provider:
    """Return a provider's description; one that is not known (an import) stands under its own id."""
    from outlay.providers import BY_ID

    return BY_ID.get(provider_id) or Provider(
        id=provider_id,
        title=provider_id,
        base_url="",
        auth=Bearer(),
        environment=(),
        key_help="",
        keys=(),
        datasets=(),
        services={},
        offers={},
        sources=(),
    )


def _parted(batch: Batch) -> Mapping[str, Sequence[Any]]:
    kinds = set(map(type, batch.facts))
    if len(kinds) == 1:
        return {TABLE_OF[kinds.pop()]: batch.facts}
    parted: dict[str, list[Any]] = {}
    for fact in batch.facts:
        parted.setdefault(TABLE_OF[type(fact)], []).append(fact)
    return parted


def _record(store: Tables, plan: _Commit, supersedes: Mapping[Partition, str | None], now: datetime) -> None:
    # A commit that broke off after its record is taken up again under the same batch: that is one batch, not two.
    fresh = [batch for batch in plan.batches if supersedes[batch.partition] != batch.batch_id]
    if fresh:
        sequence = store.version("batches")
        before = [supersedes[batch.partition] for batch in fresh]
        store.append("batches", rows.batches(plan.account, fresh, before, now, sequence))


def _supersedes(store: Tables, plan: _Commit) -> dict[Partition, str | None]:
    broken = [partition for partition in plan.parted if partition in plan.prior and plan.prior[partition].writing]
    recorded = _last_batches(store, plan.account.connection, broken) if broken else {}
    return {
        partition: recorded.get(partition) or (plan.prior[partition].batch_id if partition in plan.prior else None)
        for partition in plan.parted
    }


def _last_batches(store: Tables, connection: str, of: Sequence[Partition]) -> dict[Partition, str]:
    datasets = ", ".join(quoted(name) for name in sorted({partition.dataset for partition in of}))
    found = store.select(
        "batches",
        "SELECT batch_id, dataset, period_start, period_end FROM t "
        f"WHERE connection = {quoted(connection)} AND dataset IN ({datasets}) ORDER BY sequence",
    )
    last = {(row["dataset"], row["period_start"], row["period_end"]): row["batch_id"] for row in found}
    keys = {partition: (partition.dataset, partition.period.start, partition.period.end) for partition in of}
    return {partition: last[key] for partition, key in keys.items() if key in last}


def _facts(plan: _Commit, table: Table) -> _Write | None:
    chunks = [
        (batch, plan.parted[batch.partition][table.name])
        for batch in plan.batches
        if table.name in plan.parted[batch.partition]
    ]
    stale = [partition for partition in (*plan.parted, *plan.dropped) if table.name in plan.before(partition)]
    connection = plan.account.connection
    if not chunks:
        return (table.name, _empty(table), predicate(table, connection, stale)) if stale else None
    made = (
        rows.charges(plan.account, plan.provider, chunks)
        if table.name == "charges"
        else rows.facts(table.name, plan.account, chunks)
    )
    covered = {*stale, *(batch.partition for batch, _ in chunks)}
    return table.name, made, predicate(table, connection, covered) if stale else None


def _names(store: Tables, plan: _Commit) -> _Write | None:
    named = {old.dataset for old, known in plan.prior.items() if "names" in known.tables}
    datasets = {
        batch.partition.dataset
        for batch in plan.batches
        if batch.partition.dataset in named or "names" in plan.parted[batch.partition]
    }
    if not datasets:
        return None
    listed = ", ".join(quoted(name) for name in sorted(datasets))
    where = f"connection = {quoted(plan.account.connection)} AND dataset IN ({listed})"
    known = store.select("names", f"SELECT * FROM t WHERE {where}")
    made = merged(tables()["names"], plan.account, plan.provider, plan.batches, datasets, known)
    return "names", made, where if known else None


def _empty(table: Table) -> ArrowTable:
    return Columns(table, 0).table()


def _known(batch: Batch, now: datetime) -> Committed:
    return Committed(
        partition=batch.partition,
        batch_id=batch.batch_id,
        digest=batch.digest,
        endpoint=batch.endpoint,
        committed_at=now,
        checked_at=now,
    )
