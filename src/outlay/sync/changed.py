"""Ask a vendor what has changed since the last sync, and remember how far it told once that is committed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from outlay.clock import Clock
from outlay.model.batch import Partition
from outlay.model.period import Period
from outlay.providers.base import Changed, Dataset
from outlay.sync.plan import Plan, Work, expected, with_days

if TYPE_CHECKING:
    from outlay.store import Ledger
    from outlay.wire.client import Wire


@dataclass(frozen=True, slots=True)
class Told:
    """What a vendor told, and the windows that renew what is due and what it has changed."""

    dataset: Dataset
    changed: Changed
    wanted: frozenset[date]
    """The changed days that the connection holds at all."""
    works: tuple[Work, ...]


async def ask(plan: Plan, dataset: Dataset, wire: Wire, ledger: Ledger, clock: Clock) -> Told:
    """Return what has changed of a dataset since its mark. Raises: ProviderError, ConfigError, StoreError."""
    assert dataset.changes is not None
    now, connection = clock(), plan.connection
    all_days = list(expected(connection, dataset, now))
    mark = await asyncio.to_thread(ledger.mark, connection.name, dataset.name)
    period = Period(all_days[0].start, all_days[-1].end)
    changed = await wire.changes(dataset.name, dataset.endpoints[0], dataset.changes, period, mark)
    wanted = changed.days & {each.first_day for each in all_days}
    return Told(dataset, changed, wanted, with_days(plan, dataset, wanted, now))


async def remember(plan: Plan, told: Told, whole: set[Partition], ledger: Ledger, clock: Clock) -> None:
    """Note how far the vendor told, unless a changed day was not asked for or could not be committed.

    Without the note the same days are told again next time, which costs requests and loses nothing.
    """
    name = plan.connection.name
    if all(Partition(name, told.dataset.name, Period.of_day(day)) in whole for day in told.wanted):
        await asyncio.to_thread(ledger.note_mark, name, told.dataset.name, told.changed.mark, clock())
