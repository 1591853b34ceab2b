"""Turn settled partitions into batches and hand them to the ledger in few, bounded commits."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from outlay.clock import Clock
from outlay.errors import LedgerBusyError
from outlay.model.batch import Account, Batch, Committed, Partition, Payload
from outlay.model.problem import Severity
from outlay.providers.base import Endpoint, Provider
from outlay.store import Ledger
from outlay.sync.check import Checked
from outlay.sync.digest import digest
from outlay.sync.report import DatasetReport

if TYPE_CHECKING:
    from outlay.store.lease import Lease

FLUSH_FACTS = 12_288
"""How many facts are gathered before they are written: what bounds memory, whatever the size of a sync."""


def new_id(moment: datetime) -> str:
    """Return an id that sorts by time and cannot be met twice."""
    return f"{int(moment.timestamp() * 1000):012x}{secrets.token_hex(6)}"


class Committer:
    """Collect one connection's batches; write them while the next pages are on their way."""

    def __init__(self, ledger: Ledger, lease: Lease, provider: Provider, account: Account, clock: Clock) -> None:
        self.account = account
        self._lease = lease
        self._ledger = ledger
        self._provider = provider
        self.clock = clock
        self._known: dict[Partition, Committed] = ledger.committed(account.connection)
        self._batches: list[Batch] = []
        self._payloads: list[Payload] = []
        self._facts = 0
        self._confirmed: list[Partition] = []
        self._writing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def known(self) -> dict[Partition, Committed]:
        """Return what the ledger held when the sync began."""
        return self._known

    def offer(
        self,
        endpoint: Endpoint[object],
        fetch_id: str,
        report: DatasetReport,
        checked: Iterable[tuple[Partition, Checked]],
        lacks: str | None = None,
    ) -> list[Partition]:
        """Take partitions; return those that changed and therefore need their payloads kept.

        A partition with a fatal problem is not taken: what was there stays and is marked stale. So is one of which a
        part was refused, `lacks` being the code of the refusal, where the whole of it is there from before; else what
        came of it is taken and marked as no whole. What the vendor itself has no more of is taken so too, unless all
        of what is there would go.
        """
        changed = []
        broken: dict[str, list[Partition]] = {}
        for partition, result in checked:
            report.tell(result.problems)
            fatal = next((p.code for p in result.problems if p.severity is Severity.FATAL), None)
            before = self._known.get(partition)
            untold = next((p.code for p in result.problems if p.severity is Severity.LACKING), None)
            if before is not None and before.lacks is None and (lacks or (untold and _emptied(before, result))):
                fatal = fatal or lacks or untold
            if fatal:
                broken.setdefault(fatal, []).append(partition)
                continue
            report.fetched += 1
            report.facts += len(result.facts)
            seal = digest(result.facts, lacks or untold)
            if before is not None and before.digest == seal:
                report.unchanged += 1
                self._confirmed.append(partition)
                continue
            report.restated += before is not None
            changed.append(partition)
            self._facts += len(result.facts)
            self._batches.append(self._batch(partition, endpoint, fetch_id, seal, result))
        for code, partitions in broken.items():
            self._ledger.failed(partitions, code, self.clock())
        return changed

    def keep(self, payloads: list[Payload]) -> None:
        """Take raw answers to be written with the next commit."""
        self._payloads.extend(payloads)

    async def flush(self, *, whole: bool = False) -> None:
        """Write what is gathered once there is enough of it; `whole` writes all and waits until it is safe."""
        if not whole and self._facts < FLUSH_FACTS:
            return
        # One at a time: those who come while a commit is waited for wait too, which is what bounds memory.
        async with self._turn:
            if self._batches and (whole or self._facts >= FLUSH_FACTS):
                await self._written()
                await self._write()
            if whole:
                await self._written()
                self._payloads = []
                confirmed, self._confirmed = self._confirmed, []
                if confirmed:
                    await asyncio.to_thread(self._ledger.checked, confirmed, self.clock())

    async def _write(self) -> None:
        # Asked at once and not left to the heartbeat: a machine that slept wakes up in the middle of things.
        await asyncio.to_thread(self._lease.renew)
        if self._lease.lost:
            raise LedgerBusyError(f"another sync has taken over {self.account.connection}")
        batches, payloads = self._batches, self._payloads
        self._batches, self._payloads, self._facts = [], [], 0
        self._writing = asyncio.create_task(asyncio.to_thread(self._ledger.commit, self.account, batches, payloads))

    async def settle_writing(self) -> None:
        """Wait for a commit under way, come what may: a thread cannot be stopped half-way and need not be."""
        if self._writing is not None:
            await asyncio.wait([self._writing])

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await asyncio.shield(writing)

    def _batch(
        self, partition: Partition, endpoint: Endpoint[object], fetch_id: str, seal: str, result: Checked
    ) -> Batch:
        now = self.clock()
        return Batch(
            batch_id=new_id(now),
            partition=partition,
            provider=self._provider.id,
            endpoint=endpoint.name,
            fetch_id=fetch_id,
            digest=seal,
            observed_at=now,
            facts=result.facts,
        )


def _emptied(before: Committed, result: Checked) -> bool:
    return not result.facts and before.digest != digest(())
