"""Map kept payloads again with today's code, without asking the vendor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from outlay.clock import Clock, system_clock
from outlay.config import Config
from outlay.errors import LedgerBusyError, PayloadError
from outlay.model.batch import Account, Batch, Committed, Payload
from outlay.model.problem import UNTOLD, Problem, Severity
from outlay.providers.base import Ask, Dataset, Endpoint, Provider
from outlay.store import Ledger
from outlay.sync.check import check
from outlay.sync.collect import Collector, Settled
from outlay.sync.committer import FLUSH_FACTS, new_id
from outlay.sync.digest import digest
from outlay.sync.engine import account_of, chosen, providers_by_id
from outlay.sync.estimates import settle
from outlay.sync.follow import again, decoded
from outlay.sync.plan import Work
from outlay.sync.report import ConnectionReport, DatasetReport, Report
from outlay.wire.client import Answer


def replay(config: Config, ledger: Ledger, *, connections: Iterable[str] = (), clock: Clock = system_clock) -> Report:
    """Map the payloads of every present batch again and commit those whose facts come out otherwise."""
    report = Report()
    known = providers_by_id()
    for connection in chosen(config, connections):
        provider = known.get(connection.provider)
        each = ConnectionReport(connection.name, connection.provider)
        report.connections.append(each)
        if provider is None:
            continue
        account = account_of(connection, provider, ledger)
        try:
            with ledger.lease(connection.name, 600):
                _Replay(ledger, provider, account=account, options=connection.options, report=each, clock=clock).run()
                each.datasets += settle(ledger, provider, account, clock)
        except LedgerBusyError as error:
            each.skipped = True
            each.problems.append(Problem(code=error.code, says=error.message, hint=error.hint))
    return report


class _Replay:
    """Replay one connection, fetch by fetch."""

    def __init__(
        self,
        ledger: Ledger,
        provider: Provider,
        *,
        account: Account,
        options: Mapping[str, str],
        report: ConnectionReport,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._provider = provider
        self._account = account
        self._options = options
        self._report = report
        self._clock = clock
        self._datasets: dict[str, DatasetReport] = {}
        self._batches: list[Batch] = []

    def run(self) -> None:
        """Go through the present batches in the order of their fetches."""
        fetches = self._fetches()
        present = [
            each for each in self._ledger.committed(self._account.connection).values() if each.batch_id in fetches
        ]
        present.sort(key=lambda each: (fetches[each.batch_id], each.partition))
        for fetch_id, committed in groupby(present, lambda each: fetches[each.batch_id]):
            self._fetch(fetch_id, list(committed))
            if sum(len(batch.facts) for batch in self._batches) >= FLUSH_FACTS:
                self._flush()
        self._flush()

    def _fetches(self) -> dict[str, str]:
        """Return the fetch of each batch that was mapped from one; imports and entries have none."""
        sql = "SELECT batch_id, fetch_id FROM batches WHERE connection = ? AND fetch_id IS NOT NULL"
        return dict(self._ledger.query(sql, (self._account.connection,)).rows)

    def _fetch(self, fetch_id: str, committed: list[Committed]) -> None:
        payloads = list(self._ledger.payloads(fetch_id))
        if not payloads:
            return
        report = self._dataset_report(payloads[0].dataset)
        report.partitions += len(committed)
        try:
            endpoint, dataset, pages, kept = self._sorted(payloads)
            work = Work(dataset, endpoint, pages[0].window, tuple(sorted(each.partition.period for each in committed)))
            settled = self._mapped(work, pages, kept)
        except PayloadError as error:
            report.problems.append(
                Problem(code=error.code, says=error.message, where=payloads[0].dataset, hint=error.hint)
            )
            return
        before = {each.partition.period: each for each in committed}
        for each in settled:
            self._offer(before[each.period], each, fetch_id, payloads[-1])

    def _offer(self, before: Committed, each: Settled, fetch_id: str, payload: Payload) -> None:
        dataset = self._provider.dataset(before.partition.dataset)
        report = self._dataset_report(dataset.name)
        result = check(dataset, each.period, each.facts)
        problems = (*each.problems, *result.problems)
        report.tell(problems)
        if any(problem.severity is Severity.FATAL for problem in problems):
            return
        report.fetched += 1
        report.facts += len(result.facts)
        untold = next((problem.code for problem in problems if problem.severity is Severity.LACKING), None)
        refused = None if before.lacks in UNTOLD else before.lacks
        seal = digest(result.facts, refused or untold)
        if seal == before.digest:
            report.unchanged += 1
            return
        report.restated += 1
        self._batches.append(
            Batch(
                batch_id=new_id(self._clock()),
                partition=before.partition,
                provider=self._provider.id,
                endpoint=before.endpoint,
                fetch_id=fetch_id,
                digest=seal,
                observed_at=payload.fetched_at,
                facts=result.facts,
                reason="replay",
            )
        )

    def _mapped(self, work: Work, payloads: Iterable[Payload], kept: Mapping[str, Iterable[Payload]]) -> list[Settled]:
        collector = Collector(work, streaming=False, lenient=True)
        for payload in payloads:
            page = decoded(work.endpoint, payload)
            ask = Ask(
                work.dataset.name,
                payload.window,
                self._options,
                payload.fetched_at,
                payload.item,
                payload.headers or {},
            )
            collector.add(again(work.endpoint, Answer(page, payload, ask), kept).answer)
        return collector.finish()

    def _sorted(
        self, payloads: Sequence[Payload]
    ) -> tuple[Endpoint[Any], Dataset, list[Payload], dict[str, list[Payload]]]:
        """Return the endpoint of a fetch, its pages, and by id the answers that the pages led to."""
        names = {payload.endpoint for payload in payloads}
        for dataset in self._provider.datasets:
            for endpoint in dataset.endpoints:
                further = {endpoint.then.endpoint.name} if endpoint.then else set()
                if dataset.name != payloads[0].dataset or names - further != {endpoint.name}:
                    continue
                kept: dict[str, list[Payload]] = {}
                for payload in payloads:
                    if payload.endpoint in further and payload.item is not None:
                        kept.setdefault(payload.item, []).append(payload)
                return endpoint, dataset, [each for each in payloads if each.endpoint == endpoint.name], kept
        shown = ", ".join(sorted(names))
        raise PayloadError(f"{payloads[0].dataset}: today's code has no endpoint {shown!r} to map the payload with")

    def _dataset_report(self, dataset: str) -> DatasetReport:
        if dataset not in self._datasets:
            self._datasets[dataset] = DatasetReport(dataset)
            self._report.datasets.append(self._datasets[dataset])
        return self._datasets[dataset]

    def _flush(self) -> None:
        if self._batches:
            self._ledger.commit(self._account, self._batches, [])
            self._batches = []
