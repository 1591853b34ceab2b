from __future__ import annotations

import random
import shutil
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from meter_ingest.making import NOW, clock, event
from meter_ingest.settling import TODAY, YESTERDAY, Two, costs, counts, settle_and_die, settled, take
from outlay.model.problem import Severity
from outlay.pricing.meters import Line, Unpriced, Use
from outlay.store import Ledger
from outlay.sync.metered import Wish
from store.making import processes

STEPS = ("begin", "commit", "settled")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_anywhere_nothing_is_lost_or_doubled(home: Path, step: str, when: str) -> None:
    """Whatever step a settling dies at, the next one ends where an undisturbed one would have."""
    with Ledger.open(home, clock=clock) as ledger:
        take(ledger, event("a"), event("b", at=YESTERDAY))
    child = processes().Process(target=settle_and_die, args=(str(home), step, when))
    child.start()
    child.join()
    assert child.exitcode == -9
    with Ledger.open(home, clock=clock) as ledger:
        report = settled(ledger)
        assert report.connections[0].state == "ok"
        assert [row[-1] for row in costs(ledger)] == [Decimal("0.003"), Decimal("0.003")]
        assert settled(ledger).connections == []
        assert ledger.verify().problems == ()
        assert len(ledger.batches("openai", "metered")) == 2


def test_an_event_that_comes_meanwhile_is_not_passed_over(ledger: Ledger) -> None:
    """What is taken while a day is being committed keeps that day due."""

    class Busy(Two):
        def price(self, use: Use) -> tuple[Line | Unpriced, ...]:
            take(ledger, event("meanwhile"))
            return super().price(use)

    take(ledger, event("a"))
    settled(ledger, Wish(prices=Busy()))
    assert costs(ledger)[0][-1] == Decimal("0.003")
    settled(ledger)
    assert costs(ledger)[0][-1] == Decimal("0.006")


def test_a_lost_state_never_makes_a_day_smaller(ledger: Ledger, home: Path) -> None:
    """Where the totals behind a committed day are gone, what stands is kept, and what comes late is told, not added."""
    take(ledger, event("a"), event("b"))
    settled(ledger)
    ledger.close()
    for path in home.glob("state.sqlite*"):
        path.unlink()
    with Ledger.open(home, clock=clock) as fresh:
        take(fresh, event("c"), event("d", at=YESTERDAY))
        report = settled(fresh)
        assert [row[-1] for row in costs(fresh)] == [Decimal("0.003"), Decimal("0.006")]
        (problem,) = report.connections[0].datasets[0].problems
        assert (problem.code, problem.severity) == ("metered_elsewhere", Severity.FATAL)
        assert report.connections[0].state == "partial"


def test_an_older_state_never_makes_a_day_smaller(ledger: Ledger, home: Path, tmp_path: Path) -> None:
    """Where the state is from before some events of a committed day, what stands is kept too."""
    take(ledger, event("a"))
    settled(ledger)
    ledger.backup(tmp_path / "backup")
    take(ledger, event("b"))
    settled(ledger)
    ledger.close()
    for path in home.glob("state.sqlite*"):
        path.unlink()
    (tmp_path / "backup" / "state.sqlite").rename(home / "state.sqlite")
    with Ledger.open(home, clock=clock) as older:
        take(older, event("c"))
        report = settled(older)
        assert [problem.code for problem in report.connections[0].datasets[0].problems] == ["metered_elsewhere"]
        assert [row[-1] for row in costs(older)] == [Decimal("0.006")]


def test_a_connection_that_changes_its_provider_is_told(ledger: Ledger) -> None:
    """Two providers' events of one day at one name: the first stands, the second waits and is told."""
    take(ledger, event("a", connection="main"), main="openai")
    settled(ledger, main="openai")
    take(ledger, event("b", connection="main", provider="anthropic"), main="anthropic")
    report = settled(ledger, main="anthropic")
    assert [problem.code for problem in report.connections[0].problems] == ["providers_mixed"]
    assert costs(ledger) == [("main", TODAY, "priced", "USD", Decimal("0.003"))]


def test_who_settles_already_is_not_disturbed(ledger: Ledger, home: Path) -> None:
    """While another process settles a connection this one leaves it, and a sync of it is not in the way."""
    take(ledger, event("a"))
    with Ledger.open(home, clock=clock) as other:
        with other.lease("openai (metered)", 60):
            assert settled(ledger).connections[0].state == "skipped"
        with other.lease("openai", 60):
            assert counts(settled(ledger)) == [("openai", "metered", 1, 0, 0)]


@pytest.mark.parametrize("seed", range(5))
def test_any_course_of_events_ends_in_the_same_ledger(tmp_path: Path, seed: int) -> None:
    """Events in any order, again and again, settled at any moment: the tables hold what one settling would have."""
    chance = random.Random(seed)  # noqa: S311 - it mixes, it keeps no secret
    events = [
        event(
            f"e{number}",
            at=datetime.combine(date(2026, 11, 20), NOW.timetz()) + timedelta(hours=chance.randint(0, 47)),
            model=chance.choice(["model-a", "model-b"]),
            quantities={"input_tokens": chance.randint(1, 10**6), "output_tokens": chance.randint(1, 999)},
        )
        for number in range(30)
    ]
    with Ledger.open(tmp_path / "one", clock=clock) as ledger:
        take(ledger, *events)
        settled(ledger)
        whole = costs(ledger)
    course = [*events, *chance.choices(events, k=20)]
    chance.shuffle(course)
    with Ledger.open(tmp_path / "two", clock=clock) as ledger:
        while course:
            count = chance.randint(1, len(course))
            take(ledger, *course[:count])
            del course[:count]
            if chance.random() < 0.5:
                settled(ledger)
        settled(ledger)
        assert costs(ledger) == whole


@pytest.mark.parametrize("back", [0, 1])
def test_tables_of_an_earlier_moment_get_their_metered_days_back(
    ledger: Ledger, home: Path, tmp_path: Path, back: int
) -> None:
    """Days that the tables lack, or hold as they were before, are committed again from their totals."""
    take(ledger, event("before", at=YESTERDAY - timedelta(days=1)))
    settled(ledger)
    if back:
        take(ledger, event("a", at=YESTERDAY))
        settled(ledger)
    shutil.copytree(home / "ledger", tmp_path / "ledger")
    take(ledger, event("b", at=YESTERDAY), event("c"))
    settled(ledger)
    whole = costs(ledger)
    ledger.close()
    shutil.rmtree(home / "ledger")
    (tmp_path / "ledger").rename(home / "ledger")
    with Ledger.open(home, clock=clock) as mixed:
        assert len(mixed.verify().problems) == 1
        mixed.rebuild()
        report = settled(mixed)
        assert report.connections[0].state == "ok"
        assert costs(mixed) == whole
        assert mixed.verify().problems == ()
