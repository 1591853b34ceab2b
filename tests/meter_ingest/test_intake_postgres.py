"""The same intake with its state in a PostgreSQL server, and two writers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from meter_ingest.making import NOW, clock, event
from meter_ingest.settling import Two, costs
from meter_ingest.test_intake import everything, limit
from outlay.config import Config
from outlay.meter.ingest import Intake, Taken
from outlay.model.money import Money
from outlay.store import Ledger, metering, packing, tokens
from outlay.store.tokens import Scope
from outlay.sync.metered import Wish, settle
from store.test_postgres import database, server

__all__ = ["database", "server"]


def test_events_in_postgresql(tmp_path: Path, database: str) -> None:
    """Taking, settling, restating, forgetting and tokens work as they do with SQLite."""
    with Ledger.open(tmp_path / "home", state=database, clock=clock) as ledger:
        intake = Intake(ledger, clock=clock)
        events = [
            event("a", tags={"team": "x"}, limits=(limit(5),)),
            event("b", cost=Money.of("-0.000000000000000001", "USD")),
            event("c", quantities={"input_tokens": "0.1", "output_tokens": "9999999999.999999999999999999"}),
        ]
        assert intake.take([*events, events[0]]) == Taken(3, 1)
        assert intake.take(events) == Taken(0, 3)
        assert intake.take([event("d", limits=(limit(4),), at=NOW + timedelta(minutes=1))]) == Taken(1, 0)
        found = everything(ledger.state)
        assert sum(total.quantities["input_tokens"] for total in found) == Decimal("30.1")
        assert [total.costs["USD"] for total in found if total.costs] == [Decimal("-1E-18")]
        assert [each.remaining for _, each in metering.limits_of(ledger.state, metering.all_days(ledger.state)[0])] == [
            4
        ]
        config = Config(None, "USD", None, database, ledger.home, {})
        wish = Wish(prices=Two())
        assert settle(config, ledger, clock, wish).connections[0].state == "ok"
        assert settle(config, ledger, clock, wish).connections == []
        before = costs(ledger)
        intake.take([event("late")])
        settle(config, ledger, clock, wish)
        assert costs(ledger)[-1][-1] == before[-1][-1] + Decimal("0.003")
        metering.forget(ledger.state, (NOW + timedelta(days=60)).date(), 35)
        assert metering.remembered(ledger.state) == 0
        token, secret = tokens.create(ledger.state, "x", Scope.INGEST, NOW)
        assert tokens.scope_of(ledger.state, secret) is Scope.INGEST
        tokens.revoke(ledger.state, token.id, NOW)
        assert tokens.scope_of(ledger.state, secret) is None


def test_writers_side_by_side_in_postgresql(tmp_path: Path, database: str) -> None:
    """Writers that bring the same and other events at the same moment neither block each other nor count twice."""
    with Ledger.open(tmp_path / "home", state=database, clock=clock) as ledger:
        ledger.state  # noqa: B018 - made once, before they all ask for it

        def write(start: int) -> Taken:
            intake, taken = Intake(ledger, clock=clock), Taken(0, 0)
            for batch in range(start, start + 200, 20):
                events = [
                    event(f"{n}", model=f"model-{n % 7}", at=NOW - timedelta(hours=n % 5))
                    for n in range(batch, batch + 40)
                ]
                taken += intake.take(events)
            return taken

        with ThreadPoolExecutor(6) as pool:
            taken = list(pool.map(write, (0, 40, 0, 100, 60, 20)))
        assert sum(each.accepted for each in taken) == 320
        assert sum(total.quantities["input_tokens"] for total in everything(ledger.state)) == 3200


def test_packing_beside_writers_in_postgresql(tmp_path: Path, database: str) -> None:
    """While days are packed by two at once and events come for them, every total is in one place and read in one."""
    with Ledger.open(tmp_path / "home", state=database, clock=clock) as ledger:
        state = ledger.state
        tomorrow = (NOW + timedelta(days=1)).date()

        def write(start: int) -> None:
            for n in range(start, start + 60):
                at = NOW - timedelta(days=n % 2)
                Intake(ledger, clock=clock).take([event(f"{n}-{m}", at=at, model=f"model-{m}") for m in range(4)])

        def packed(_number: int) -> None:
            for _ in range(30):
                packing.pack(state, tomorrow)
                everything(state)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda each: each[0](each[1]), [(write, 0), (packed, 0), (write, 60), (packed, 1)]))
        assert sum(total.quantities["input_tokens"] for total in everything(state)) == 120 * 4 * 10
        packing.pack(state, tomorrow)
        assert sum(total.quantities["input_tokens"] for total in everything(state)) == 120 * 4 * 10
