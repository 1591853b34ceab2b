"""A price list, and ledgers that are settled by it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from meter_ingest.making import NOW, clock
from outlay.config import Config, Connection
from outlay.meter.ingest import Intake, attribution
from outlay.model.metering import MeterEvent
from outlay.model.money import Money
from outlay.pricing.meters import Line, Unpriced, Use
from outlay.store import Ledger, metering, packing
from outlay.sync.metered import Wish, settle
from outlay.sync.report import Report

TODAY = NOW.date()
YESTERDAY = NOW - timedelta(days=1)


class Two:
    """A list by which every token costs two cents of a cent, three from noon on, and model-x has no price."""

    version = "two 2026-01-01"

    def price(self, use: Use) -> tuple[Line | Unpriced, ...]:
        """Return lines as a list does."""
        if use.model == "model-x":
            return tuple(Unpriced(meter=meter, quantity=each, why="unknown") for meter, each in use.quantities.items())
        rate = Decimal(3) if use.at.hour >= 12 else Decimal(2)
        return tuple(
            Line(
                meter=meter, quantity=quantity, cost=Money(quantity * rate / 10_000, "USD"), unit_price=rate,
                pricing_unit="10000 Tokens", per=Decimal(10_000), rule=f"{use.model} at {rate}", version=self.version,
                source="https://prices.example",
            )
            for meter, quantity in use.quantities.items()
        )  # fmt: skip


PRICED = Wish(prices=Two())


def config(home: Path, **connections: str) -> Config:
    """Return a configuration of connections with their providers."""
    made = {name: Connection(name, provider, "none:") for name, provider in connections.items()}
    return Config(None, "USD", None, None, home, made)


def take(ledger: Ledger, *events: MeterEvent, **connections: str) -> None:
    """Take events in."""
    Intake(ledger, attribution(config(ledger.home, **connections)), clock=clock).take(events)


def settled(ledger: Ledger, wish: Wish = PRICED, **connections: str) -> Report:
    """Settle."""
    return settle(config(ledger.home, **connections), ledger, clock, wish)


def costs(ledger: Ledger) -> list[tuple[Any, ...]]:
    """Return what charges there are."""
    return ledger.query(
        "SELECT x_Connection, CAST(ChargePeriodStart AS DATE), x_Basis, BillingCurrency, sum(BilledCost) "
        "FROM charges GROUP BY ALL ORDER BY ALL"
    ).rows


def counts(report: Report) -> list[tuple[str, str, int, int, int]]:
    """Return what was done, by connection and dataset."""
    return [
        (one.connection, each.dataset, each.fetched, each.unchanged, each.restated)
        for one in report.connections
        for each in one.datasets
    ]


def settle_and_die(home: str, step: str, when: str) -> None:
    """Settle two days and be killed before or after a step."""
    with Ledger.open(Path(home), clock=clock) as ledger:
        holder: Any = ledger if step == "commit" else metering
        original = getattr(holder, step)

        def dying(*args: Any, **kwargs: Any) -> None:
            if when == "after":
                original(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(holder, step, dying)
        settled(ledger)


def pack_and_die(home: str, step: str, when: str) -> None:
    """Pack and be killed before or after a step."""
    with Ledger.open(Path(home), clock=clock) as ledger:
        holder: Any = ledger.state if step == "upsert" else packing
        original: Callable[..., Any] = getattr(holder, step)

        def dying(*args: Any, **kwargs: Any) -> None:
            if when == "after":
                original(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(holder, step, dying)
        packing.pack(ledger.state, NOW.date())
