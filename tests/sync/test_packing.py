"""Days of long ago in one row each: whatever comes afterwards, the ledger holds what all events add up to."""

from __future__ import annotations

import random
import signal
from collections import defaultdict
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from meter_ingest.making import NOW, clock, event
from meter_ingest.settling import PRICED, Two, config, costs, pack_and_die, take
from outlay.meter.ingest import LATE_DAYS, Intake
from outlay.model.metering import MeterEvent
from outlay.store import Ledger, metering, packing
from outlay.sync.metered import Wish, settle
from outlay.sync.report import Report
from store.making import processes

OLD = NOW - timedelta(days=LATE_DAYS + 5)
LIVE = sa.select(sa.func.count()).select_from(metering.totals)


def settled(ledger: Ledger, wish: Wish = PRICED) -> Report:
    """Settle, which packs too."""
    return settle(config(ledger.home), ledger, clock, wish)


def sums(events: list[MeterEvent]) -> dict[date, Decimal]:
    """Return what events cost by day."""
    found: dict[date, Decimal] = defaultdict(Decimal)
    for each in events:
        rate = Decimal(3 if each.at.hour >= 12 else 2)
        found[each.at.date()] += sum(each.quantities.values()) * rate / 10_000
    return dict(found)


def by_day(ledger: Ledger) -> dict[date, Decimal]:
    """Return what the ledger holds by day."""
    return {row[1]: row[-1] for row in costs(ledger)}


def some(chance: random.Random, number: int) -> MeterEvent:
    """Return an event of one of a few hours of a few days, most of them long ago."""
    at = NOW - timedelta(days=chance.choice([0, 1, 34, 36, 40, 41]), hours=chance.randint(0, 11))
    quantities = {"input_tokens": chance.randint(1, 10**6), "output_tokens": chance.randint(1, 999)}
    return event(f"e{number}", at=at, model=chance.choice(["model-a", "model-b"]), quantities=quantities)


@pytest.mark.parametrize("seed", range(6))
def test_any_course_of_events_settles_packs_and_breaks_ends_in_their_sum(
    ledger: Ledger, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order events come, again or late, and days are settled, packed, or broken off while packed."""
    chance = random.Random(seed)  # noqa: S311 - it mixes, it keeps no secret
    events = [some(chance, number) for number in range(40)]
    intake, coming = Intake(ledger, clock=clock), [*events, *chance.choices(events, k=20)]
    chance.shuffle(coming)

    def broken(*_args: Any) -> None:
        raise RuntimeError

    while coming:
        count = chance.randint(1, 8)
        intake.take(coming[:count], keep=chance.random() < 0.5)
        del coming[:count]
        step = chance.choice(["settle", "again", "pack", "break", "wait"])
        if step in {"settle", "again"}:
            settled(ledger, Wish(prices=Two(), again=step == "again"))
        elif step == "pack":
            packing.pack(ledger.state, (NOW - timedelta(days=chance.choice([0, 30, 38]))).date())
        elif step == "break":
            intake.take([event("twice", at=OLD)], keep=True)
            events += [event("twice", at=OLD)] * ("twice" not in {each.id for each in events})
            with monkeypatch.context() as patched, suppress(RuntimeError):  # nothing breaks where nothing is packed
                patched.setattr(packing, "together", broken)
                packing.pack(ledger.state, NOW.date() + timedelta(days=1))
    settled(ledger)
    assert by_day(ledger) == sums(events)
    assert ledger.verify().problems == ()
    settled(ledger, Wish(prices=Two(), again=True))
    assert by_day(ledger) == sums(events)


def test_a_late_event_finds_the_whole_of_a_packed_day(ledger: Ledger) -> None:
    """It restates its day to what was there and itself, and the day is packed again."""
    take(ledger, event("a", at=OLD), event("b", at=OLD, model="model-b"), event("c"))
    settled(ledger)
    (live,) = ledger.state.read(LIVE)[0]
    assert live == 1
    take(ledger, event("late", at=OLD))
    settled(ledger)
    assert by_day(ledger) == {OLD.date(): Decimal("0.009"), NOW.date(): Decimal("0.003")}
    assert ledger.state.read(LIVE)[0][0] == 1


def test_a_day_is_packed_once(ledger: Ledger) -> None:
    """Only days to which something came are packed again, and those that are young never."""
    take(ledger, event("a", at=OLD), event("b", at=OLD - timedelta(days=1)), event("c"))
    before = (NOW - timedelta(days=LATE_DAYS)).date()
    assert packing.pack(ledger.state, before) == 2
    assert packing.pack(ledger.state, before) == 0
    take(ledger, event("d", at=OLD))
    assert packing.pack(ledger.state, before) == 1


def test_a_packed_day_takes_little_room(ledger: Ledger) -> None:
    """A day of many models and tags is one row of some bytes a total, where each total was a row of two hundred."""
    events = [
        event(f"{hour} {n}", at=OLD.replace(hour=hour), model=f"model-{n}", tags={"team": f"team-{n % 3}"},
              quantities={"input_tokens": 10_000 + n, "output_tokens": 100 * n + 1, "requests": 1})
        for hour in range(24) for n in range(10)
    ]  # fmt: skip
    take(ledger, *events)
    packing.pack(ledger.state, NOW.date())
    (row,) = ledger.state.read(sa.select(metering.packed))
    assert len(row.totals) < 24 * 10 * 3 * 20
    (day,) = metering.all_days(ledger.state)
    found = metering.totals_of(ledger.state, day)
    assert len(found) == 240
    assert sum(total.quantities["input_tokens"] for total in found) == 24 * sum(10_000 + n for n in range(10))


@pytest.mark.parametrize("step", ["_pack", "together", "upsert"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_packing_nothing_is_lost_or_doubled(home: Path, step: str, when: str) -> None:
    """Whatever moment it dies at, each total is either live or packed."""
    with Ledger.open(home, clock=clock) as ledger:
        take(ledger, event("a", at=OLD), event("b", at=OLD - timedelta(days=1)))
        packing.pack(ledger.state, OLD.date())
        take(ledger, event("c", at=OLD - timedelta(days=1)))
    child = processes().Process(target=pack_and_die, args=(str(home), step, when))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with Ledger.open(home, clock=clock) as ledger:
        settled(ledger)
        assert by_day(ledger) == {OLD.date(): Decimal("0.003"), OLD.date() - timedelta(days=1): Decimal("0.006")}
        assert ledger.state.read(LIVE)[0][0] == 0
