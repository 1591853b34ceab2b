"""Facts, batches and ledgers for the tests of the store, and what its other processes run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from outlay.model.batch import Account, Batch, Partition, Payload
from outlay.model.facts import Charge, Fact, Usage
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.store import Ledger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FIRST = date(2026, 10, 1)
ACCOUNT = Account(connection="alpha", provider="plain", account_id="org-1", account_name="The Org")


def clock() -> datetime:
    """Return the moment every test lives in."""
    return NOW


def day(number: int) -> Period:
    """Return the n-th day after the first."""
    return Period.of_day(FIRST + timedelta(days=number))


def charge(period: Period, cost: str | Decimal = "1", **fields: Any) -> Charge:
    """Return a charge with as little as possible said."""
    return Charge(charge_period=period, billed_cost=Money.of(cost, "USD"), service_name="API", **fields)


def usage(period: Period, quantity: int = 1) -> Usage:
    """Return a measurement."""
    return Usage(usage_period=period, meter="input", unit="tokens", quantity=Decimal(quantity), service_name="API")


def batch(period: Period, facts: Sequence[Fact], name: str, **fields: Any) -> Batch:
    """Return a batch of the connection `alpha` unless told otherwise; its digest is its name."""
    connection, dataset = fields.pop("connection", "alpha"), fields.pop("dataset", "costs")
    values: dict[str, Any] = {"endpoint": "costs", "fetch_id": "fetch-1", "observed_at": NOW, "digest": name, **fields}
    return Batch(
        batch_id=name,
        partition=Partition(connection, dataset, period),
        provider="plain",
        facts=tuple(facts),
        **values,
    )


def costs(number: int, version: int, rows: int = 3, **fields: Any) -> Batch:
    """Return day n in one of its versions: `rows` charges of `version` dollars each."""
    period = day(number)
    name = f"{fields.get('connection', 'alpha')}-{number}-v{version}"
    return batch(period, [charge(period, str(version), sku_id=f"s{row}") for row in range(rows)], name, **fields)


def payload(fetch_id: str, page: int, body: bytes = b'{"a": 1}') -> Payload:
    """Return one page of a kept answer."""
    return Payload(
        fetch_id=fetch_id,
        connection="alpha",
        provider="plain",
        dataset="costs",
        endpoint="costs",
        item=None,
        window=day(0),
        page_number=page,
        path="/v1/costs?page=x",
        status=200,
        fetched_at=NOW,
        body=body,
    )


def opened(home: Path, **options: Any) -> Ledger:
    """Open a ledger at the tests' moment."""
    return Ledger.open(home, clock=clock, **options)


def truth(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Return everything that must not depend on how it arrived."""
    return ledger.query(
        "SELECT x_Connection, x_Dataset, x_PartitionStart, x_BatchId, SkuId, BilledCost, count(*) "
        "FROM charges GROUP BY ALL ORDER BY ALL"
    ).rows


def processes() -> ForkServerContext:
    """Return a way to start clean processes quickly: the libraries are loaded once, no thread is inherited."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["store.making", "outlay.store.commit", "outlay.store.rebuild", "deltalake"])
    return context


# ── what other processes run ─────────────────────────────────────────────────────────────────────────────────────

STEPS = ("mark_writing", "payloads", "charges", "usage", "batches", "finish")


def commit_and_die(home: str, step: str, when: str) -> None:
    """Commit the second version of three days and kill this process before, after or in the middle of a step."""
    with opened(Path(home)) as ledger:
        if step in ("mark_writing", "finish"):
            setattr(ledger.state, step, _dying(getattr(ledger.state, step), when))
        else:
            _die_writing(ledger, step, when)
        ledger.commit(ACCOUNT, second_version(), [payload("fetch-2", 1)])


def second_version() -> list[Batch]:
    """Return days 0 to 2 restated, and day 3 for the first time; the second day's usage is gone."""
    restated = [costs(number, 2) for number in range(4)]
    with_usage = [*restated[0].facts, usage(day(0), 20)]
    return [batch(day(0), with_usage, restated[0].batch_id), *restated[1:]]


def first_version() -> list[Batch]:
    """Return days 0 to 2 with usage beside the charges."""
    return [
        batch(day(number), [*costs(number, 1).facts, usage(day(number), 10)], f"alpha-{number}-v1")
        for number in range(3)
    ]


def _dying(step: Callable[..., Any], when: str) -> Callable[..., Any]:
    def died(*args: Any, **kwargs: Any) -> None:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if when == "during":
            threading.Timer(0.004, os.kill, (os.getpid(), signal.SIGKILL)).start()
        step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    return died


def _die_writing(ledger: Ledger, table: str, when: str) -> None:
    original = ledger.tables._write

    def write(name: str, *args: Any, **kwargs: Any) -> None:
        (_dying(original, when) if name == table else original)(name, *args, **kwargs)

    ledger.tables._write = write  # type: ignore[method-assign]


def commit_versions(home: str, connection: str, versions: int) -> None:
    """Replace two days of a connection again and again."""
    account = Account(connection=connection, provider="plain")
    with opened(Path(home)) as ledger:
        for version in range(1, versions + 1):
            pair = [costs(number, version, connection=connection) for number in range(2)]
            ledger.commit(account, pair)


def hold_lease(home: str, held: Any, let_go: Any) -> None:
    """Hold a lease until told to let go."""
    with opened(Path(home)) as ledger, ledger.lease("alpha", 60):
        held.set()
        let_go.wait(600)


def hold_lease_and_die(home: str) -> None:
    """Take a lease and die with it."""
    with opened(Path(home)) as ledger, ledger.lease("alpha", 3600):
        os.kill(os.getpid(), signal.SIGKILL)
