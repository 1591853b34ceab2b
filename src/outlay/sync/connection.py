"""One connection's sync: ask in order, fail dataset by dataset, never let one stop the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from msgspec.structs import replace

from outlay.errors import (
    AccessDeniedError,
    NotOfferedError,
    PermissionMissingError,
    ProviderError,
    RequestRefusedError,
)
from outlay.model.batch import LACKS, Partition
from outlay.model.facts import Charge, Name
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Dataset, Endpoint, FanOut
from outlay.store import Ledger
from outlay.sync.changed import Told, ask, remember
from outlay.sync.check import check
from outlay.sync.collect import Collector, Settled
from outlay.sync.committer import Committer, new_id
from outlay.sync.digest import digest
from outlay.sync.follow import followed
from outlay.sync.plan import Plan, Work, fallbacks, settled_from
from outlay.sync.progress import Progress
from outlay.sync.report import ConnectionReport, DatasetReport
from outlay.wire.client import Answer, Wire

log = logging.getLogger(__name__)

SKEW_WARNED = timedelta(minutes=5)


class ConnectionSync:
    """Carry out one plan against one vendor account."""

    def __init__(
        self,
        plan: Plan,
        wire: Wire,
        committer: Committer,
        ledger: Ledger,
        *,
        report: ConnectionReport,
        progress: Progress,
    ) -> None:
        self._plan = plan
        self._wire = wire
        self._committer = committer
        self._ledger = ledger
        self._report = report
        self._clock = committer.clock
        self._progress = progress
        self._denied: AccessDeniedError | None = None
        self._unlisted: ProviderError | None = None
        """Why a list that others ask once per entry of could not be read, or is not the one that is meant."""
        self._absent: dict[str, NotOfferedError] = {}
        """Why there are no names of a kind, where their list is not offered."""
        self._known_names: dict[str, list[Name]] = {}
        """Names by kind as they stood when this turn's first dataset asked for them."""
        self._whole: set[Partition] = set()
        """What was fetched and is fit to be committed."""
        self._told: list[Told] = []
        self._refused: dict[tuple[str, str], ProviderError] = {}
        """What the key may not read, by endpoint and fan-out item: asked once, whatever the number of windows."""

    async def run(self) -> None:
        """Fetch names first, because others ask once per name; then every dataset side by side."""
        datasets = list(dict.fromkeys(work.dataset for work in self._plan.works))
        for order in sorted({dataset.order for dataset in datasets}):
            turn = [dataset for dataset in datasets if dataset.order == order]
            async with asyncio.TaskGroup() as group:
                for dataset in turn:
                    group.create_task(self._dataset(dataset))
            await self._committer.flush(whole=True)
            self._known_names.clear()
            for told in self._told:
                await remember(self._plan, told, self._whole, self._ledger, self._clock)
            self._told.clear()
        self._note_skew()

    async def _dataset(self, dataset: Dataset) -> None:
        report = DatasetReport(dataset.name)
        self._report.datasets.append(report)
        works = await self._works(dataset, report)
        report.partitions = report.partitions or sum(len(work.partitions) for work in works)
        gate = asyncio.Semaphore(self._plan.provider.concurrency)

        async def one(work: Work) -> None:
            async with gate:
                await self._work(work, report)
                self._progress.advanced(self._report.connection, dataset.name, len(work.partitions))

        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(one(work))

    async def _works(self, dataset: Dataset, report: DatasetReport) -> tuple[Work, ...]:
        """Return what to ask of a dataset: what is due, and what the vendor says has changed."""
        due = self._plan.works_of(dataset.name)
        if dataset.changes is None:
            return due
        try:
            if self._denied is not None:
                raise self._denied
            told = await ask(self._plan, dataset, self._wire, self._ledger, self._clock)
        except ProviderError as error:
            # What has changed is not known, so nothing of it can be said to be whole.
            report.partitions = sum(len(work.partitions) for work in due)
            for work in due:
                self._give_up(Collector(work, streaming=False), error, report)
            return ()
        self._told.append(told)
        return told.works

    async def _work(self, work: Work, report: DatasetReport) -> None:
        collector = Collector(work, streaming=work.endpoint.ordered and work.endpoint.each is None)
        try:
            if self._denied is not None:
                raise self._denied
            await self._window(work, collector, report)
        except ProviderError as error:
            instead = self._instead(work, collector, error)
            if not instead:
                self._give_up(collector, error, report)
            for other in instead:
                log.info("%s %s: %s; asking another way", self._report.connection, work.dataset.name, error)
                await self._work(other, report)

    async def _window(self, work: Work, collector: Collector, report: DatasetReport) -> None:
        fetch_id = new_id(self._clock())
        items, refused = self._items(work), dict[str, ProviderError]()
        if self._still_lacks(work, items):
            report.fetched += len(work.partitions)
            report.unchanged += len(work.partitions)
            return
        for item in items:
            try:
                await self._item(work, item, fetch_id, collector, report)
            except (NotOfferedError, PermissionMissingError) as error:
                # Names that are missing would be taken for gone.
                if item is None or (work.dataset.grain == "names" and not isinstance(error, NotOfferedError)):
                    raise
                refused[item] = error
        lacking = [error for error in refused.values() if not _harmless(work.dataset, error)]
        if lacking and (len(lacking) == len(items) or fallbacks(work.dataset, work, self._clock())):
            raise lacking[0]
        self._tell_refused(work, refused, report)
        remarks = collector.remarks()
        report.problems.extend(remarks)
        lacks = lacking[0].code if lacking else None
        settled = [self._doubted(work, each, remarks) for each in collector.finish()]
        self._offer(work, fetch_id, collector, settled, report, lacks)
        await self._committer.flush()

    def _still_lacks(self, work: Work, items: Sequence[str | None]) -> bool:
        """Tell whether a window is settled but for a part that is refused still: its other parts need not be asked."""
        if not any((work.endpoint.name, item) in self._refused for item in items if item is not None):
            return False
        known = (self._committer.known.get(self._named(work, period)) for period in work.partitions)
        return all(
            each is not None and each.lacks and each.checked_at >= settled_from(work.dataset, each.partition.period)
            for each in known
        )

    async def _item(
        self, work: Work, item: str | None, fetch_id: str, collector: Collector, report: DatasetReport
    ) -> None:
        known = self._refused.get((work.endpoint.name, item)) if item is not None else None
        if known is not None:
            raise known
        try:
            async for answer in self._wire.ask(work.dataset.name, work.endpoint, work.window, item, fetch_id=fetch_id):
                report.requests += 1
                await self._take(work, collector, answer, report)
        except PermissionMissingError as error:
            if item is not None:
                self._refused[work.endpoint.name, item] = error
            raise

    def _tell_refused(self, work: Work, refused: Mapping[str, ProviderError], report: DatasetReport) -> None:
        """Tell once of each that one of several is refused; the others go on."""
        for item, error in refused.items():
            severity = Severity.NOTE if _harmless(work.dataset, error) else Severity.FATAL
            where = f"{work.dataset.name} of {item}"
            if not any((told.code, told.where) == (error.code, where) for told in report.problems):
                report.problems.append(_problem(error, where, severity))

    async def _take(self, work: Work, collector: Collector, answer: Answer, report: DatasetReport) -> None:
        page = await followed(work.endpoint, answer, partial(self._further, work, answer.payload.fetch_id))
        report.requests += len(page.payloads)
        settled = collector.add(page.answer, page.payloads)
        if settled:
            self._offer(work, answer.payload.fetch_id, collector, settled, report)
            await self._committer.flush()

    def _further(self, work: Work, fetch_id: str, endpoint: Endpoint[Any], item: str) -> AsyncIterator[Answer]:
        return self._wire.ask(work.dataset.name, endpoint, work.window, item, fetch_id=fetch_id)

    def _offer(
        self,
        work: Work,
        fetch_id: str,
        collector: Collector,
        settled: Sequence[Settled],
        report: DatasetReport,
        lacks: str | None = None,
    ) -> None:
        checked = []
        for each in settled:
            result = check(work.dataset, each.period, each.facts)
            if each.problems:
                result = type(result)(result.facts, (*each.problems, *result.problems))
            self._heed(work.dataset, result.problems)
            checked.append((self._partition(work, each), result))
        if lacks is None:
            sound = (
                place for place, result in checked if not any(p.severity is Severity.FATAL for p in result.problems)
            )
            self._whole.update(sound)
        changed = self._committer.offer(work.endpoint, fetch_id, report, checked, lacks)
        self._committer.keep(collector.take_payloads(partition.period for partition in changed))

    def _doubted(self, work: Work, settled: Settled, remarks: Sequence[Problem]) -> Settled:
        """Keep days that hold something from being emptied by an answer that comes with a warning: it may be broken."""
        known = self._committer.known.get(self._partition(work, settled))
        warning = next((each for each in remarks if each.severity is Severity.WARNING), None)
        if warning is None or settled.facts or known is None or work.dataset.grain not in {"day", "month"}:
            return settled
        if known.digest.partition(LACKS)[0] == digest(()):
            return settled
        settled.problems.append(replace(warning, severity=Severity.FATAL, period=settled.period))
        return settled

    def _heed(self, dataset: Dataset, problems: Sequence[Problem]) -> None:
        """Take a list that is not committed for one that could not be read: whoever asks by it would find nothing."""
        wrong = next((problem for problem in problems if problem.severity is Severity.FATAL), None)
        if wrong is not None and self._is_list(dataset):
            self._unlisted = RequestRefusedError(wrong.says, hint=wrong.hint)

    def _partition(self, work: Work, settled: Settled) -> Partition:
        return self._named(work, settled.period)

    def _named(self, work: Work, period: Period) -> Partition:
        return Partition(self._report.connection, work.dataset.name, period)

    def _items(self, work: Work) -> list[str | None]:
        each = work.endpoint.each
        if each is None or not each.applies(self._plan.connection.options):
            return [None]
        return each.items(lambda fan_out: self._ids(work, fan_out))

    def _ids(self, work: Work, each: FanOut) -> list[str]:
        names = self._names(each.kind)
        # An old list serves for limits. Costs of what it lacks would be missing, and a smaller total is a wrong one.
        if self._unlisted is not None and (not names or Charge in work.dataset.yields):
            raise self._unlisted
        # Nothing can be asked for, which is not the same as having asked and found nothing.
        if each.kind in self._absent:
            raise self._absent[each.kind]
        options = self._plan.connection.options
        asked = [name for name in names if name.state in each.states and each.chosen(name.id, options)]
        return [each.item(name.id, name.parent_id) for name in asked]

    def _names(self, kind: str) -> list[Name]:
        if kind not in self._known_names:
            self._known_names[kind] = self._ledger.names(self._report.connection, kind)
        return self._known_names[kind]

    def _instead(self, work: Work, collector: Collector, error: ProviderError) -> list[Work]:
        """Return the next endpoint's windows where this one is not for us and nothing of it is committed yet."""
        if not isinstance(error, NotOfferedError | PermissionMissingError):
            return []
        if len(collector.unsettled) != len(work.partitions):
            return []
        return fallbacks(work.dataset, work, self._clock())

    def _give_up(self, collector: Collector, error: ProviderError, report: DatasetReport) -> None:
        """Mark what is missing; the facts of partitions already whole stay."""
        dataset = collector.work.dataset
        if isinstance(error, AccessDeniedError) and not isinstance(error, PermissionMissingError):
            self._denied = error
        if self._is_list(dataset) and not isinstance(error, NotOfferedError):
            self._unlisted = error
        if dataset.grain == "names" and isinstance(error, NotOfferedError):
            self._absent.update(dict.fromkeys(dataset.kinds, error))
        harmless = _harmless(dataset, error)
        severity = Severity.NOTE if harmless else Severity.FATAL
        problem = _problem(error, dataset.name, severity)
        # Days that fail alike are told once: their messages differ in the vendor's request id alone.
        if not any(
            (told.code, told.severity, told.hint) == (problem.code, severity, problem.hint) for told in report.problems
        ):
            report.problems.append(problem)
        if not harmless:
            missing = [Partition(self._report.connection, dataset.name, period) for period in collector.unsettled]
            self._ledger.failed(missing, error.code, self._clock())

    def _is_list(self, dataset: Dataset) -> bool:
        """Tell whether a dataset's names are asked for before others that are asked once per name."""
        return dataset.grain == "names" and any(
            other.order > dataset.order and endpoint.each is not None
            for other in self._plan.provider.datasets
            for endpoint in other.endpoints
        )

    def _note_skew(self) -> None:
        skew = self._wire.clock_skew_seconds
        if skew is not None and abs(skew) > SKEW_WARNED.total_seconds():
            side = "behind" if skew > 0 else "ahead of"
            self._report.problems.append(
                Problem(
                    code="clock_skew",
                    says=f"this machine's clock is {_span(abs(skew))} {side} the vendor's",
                    hint="Set the clock (NTP): days near the present may be asked for too early or too late.",
                    severity=Severity.WARNING,
                )
            )


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{round(minutes / 60)} hours"  # noqa: PLR2004


def _harmless(dataset: Dataset, error: ProviderError) -> bool:
    """Tell whether a refusal says that there is nothing, and not that something is out of sight."""
    return isinstance(error, NotOfferedError) and (dataset.optional or Charge not in dataset.yields)


def _problem(error: ProviderError, where: str, severity: Severity) -> Problem:
    return Problem(code=error.code, says=error.message, where=where, hint=error.hint, severity=severity)
