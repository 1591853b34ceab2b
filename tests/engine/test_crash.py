"""Processes that are killed or interrupted, in the middle of anything.

The campaign kills `outlay sync` at random moments, seeded. `OUTLAY_KILLS` says how often: 25 unless it is set; the
full campaign is `OUTLAY_KILLS=200 pytest tests/engine/test_crash.py`.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from random import Random
from time import monotonic, sleep
from typing import Any

import pytest

KILLS = int(os.environ.get("OUTLAY_KILLS", "25"))
FEW = {"openai": ("projects", "costs", "usage.completions"), "anthropic": ("costs", "usage"), "github": ("usage",)}
ALL = tuple(sorted(FEW))
PHASES = ("start", "fetch", "commit", "end")
TABLES = ("payloads", "charges", "usage", "batches")
"""In the order in which a commit writes them."""
LOOKED_EVERY = 4
LOOKED_MEANWHILE = 0.15
RESTATED = 0.8
FEW_LINES = 3
"""A day of fewer lines loses none, or the campaign would end on an empty world."""


class Campaign:
    """Kill syncs and know what the ledger may hold meanwhile: of each day a truth the world has had, in order."""

    def __init__(self, away: Any, chance: Random) -> None:
        self.away, self.bench, self.chance = away, away.bench, chance
        self.truths: dict[tuple[str, Any], list[Any]] = {}
        self.seen: dict[tuple[str, Any], int] = {}
        self.kills, self.torn, self.ended = 0, 0, 0
        self.moments = dict.fromkeys(PHASES, 0)
        self.first = self.tail = 0.0
        self.requests = 0

    def measure(self) -> None:
        """Time one sync that nobody interrupts, and begin from nothing again."""
        self.bench.simulator.forget()
        began = monotonic()
        process = self.away.start("sync", "--quiet")
        while not self.bench.simulator.requests and process.poll() is None:
            sleep(0.001)
        self.first = monotonic() - began
        last = monotonic()
        while process.poll() is None:
            if len(self.bench.simulator.requests) > self.requests:
                self.requests, last = len(self.bench.simulator.requests), monotonic()
            sleep(0.001)
        self.tail = monotonic() - last
        process.communicate()
        assert process.returncode == 0
        shutil.rmtree(self.bench.home)
        self.note()

    def note(self) -> None:
        """Remember what is true from this moment on; before everything else, nothing is."""
        for provider in ALL:
            days = self.bench.true_days(provider)
            for day in {*days, *(day for owner, day in self.truths if owner == provider)}:
                truths, lines = self.truths.setdefault((provider, day), [{}]), days.get(day, {})
                if truths[-1] != lines:
                    truths.append(lines)

    def restate(self) -> None:
        """Change a day or two of the world, or none."""
        while self.chance.random() < RESTATED / 2 or self.kills == 0:
            provider = self.chance.choice(ALL)
            day = self.bench.first + (self.bench.world.today - self.bench.first) * self.chance.random()
            few = len(self.truths.get((provider, day), [{}])[-1]) < FEW_LINES
            self.bench.world.restate(provider, day, "up" if few else self.chance.choice(("up", "down")))
            self.note()
            if self.kills == 0:
                return

    def strike(self, phase: str = "") -> None:
        """Start a sync and kill it in one of its phases, at a random moment."""
        simulator, chance = self.bench.simulator, self.chance
        simulator.forget()
        phase, table = phase or chance.choice(PHASES), chance.choice(TABLES)
        before = [self._written(name) for name in TABLES]
        written = self._written(table)
        after, wait = {
            "start": (lambda: True, chance.uniform(0, self.first)),
            "fetch": (partial(self._asked, chance.randint(1, self.requests)), chance.uniform(0, 0.03)),
            "commit": (lambda: self._written(table) != written, chance.uniform(0, 0.04)),
            "end": (partial(self._asked, self.requests), chance.uniform(0, self.tail)),
        }[phase]
        process = self.away.start("sync", "--quiet")
        if phase != "start" and chance.random() < LOOKED_MEANWHILE:
            self.look()
        while not after() and process.poll() is None:
            sleep(0.0005)
        until = monotonic() + wait
        while monotonic() < until and process.poll() is None:
            sleep(0.0005)
        process.kill()
        self.away.told.extend(process.communicate())
        assert process.returncode in (-signal.SIGKILL, 0), self.away.told[-1]
        if process.returncode:
            self.kills += 1
            self.moments[phase] += 1
            wrote = [self._written(name) for name in TABLES] != before
            self.torn += wrote and counted(self.bench, "outlay_partitions WHERE writing") > 0
        else:
            self.ended += 1

    def _asked(self, count: int) -> bool:
        return len(self.bench.simulator.requests) >= count

    def _written(self, table: str) -> int:
        """Return when a table was last committed to."""
        log = self.bench.home / "ledger" / table / "_delta_log"
        return log.stat().st_mtime_ns if log.exists() else 0

    def look(self) -> None:
        """Read the ledger as anybody may at any time: each day is one of its truths and never an older one again."""
        if not (self.bench.home / "ledger" / "charges" / "_delta_log").is_dir():
            return
        mixed = "SELECT x_Connection, x_PartitionStart FROM charges GROUP BY ALL HAVING count(DISTINCT x_BatchId) > 1"
        assert self.bench.rows(mixed) == []
        for provider in ALL:
            found = self.bench.days_of(provider)
            assert {(provider, day) for day in found} <= set(self.truths)
            for (owner, day), truths in self.truths.items():
                if owner == provider:
                    self._is_a_truth((provider, day), truths, found.get(day, {}))

    def _is_a_truth(self, key: tuple[str, Any], truths: list[Any], lines: Any) -> None:
        seen = self.seen.get(key, 0)
        fitting = [number for number, truth in enumerate(truths) if number >= seen and truth == lines]
        assert fitting, f"{key} holds what is neither the old nor the new truth"
        self.seen[key] = fitting[0]


@pytest.mark.slow
def test_killed_at_any_moment_the_ledger_is_whole(outside: Callable[..., Any]) -> None:
    """Whenever a sync is killed, each day holds an old or a new truth and no mix, and one sync repairs the rest."""
    campaign = Campaign(outside(seed=11, days=3, datasets=FEW), Random(20261122))  # noqa: S311
    campaign.measure()
    # Where a kill hits is the machine's doing: the campaign goes on until one has hit a commit.
    while campaign.kills < KILLS or not campaign.torn:
        campaign.restate()
        campaign.strike("commit" if campaign.kills >= KILLS else "")
        if campaign.kills % LOOKED_EVERY == 0:
            campaign.look()
        assert campaign.kills + campaign.ended <= 10 * (KILLS + 10), "the moments lie after the end"
    campaign.look()
    status, _, said = campaign.away.run("sync", "--quiet")
    assert status == 0, said
    one = campaign.bench
    assert one.right()
    for provider in ("openai", "anthropic"):
        found = one.rows(
            "SELECT usage_period_start::DATE, dataset, meter, sum(quantity) FROM usage WHERE connection = ?"
            " AND part_of IS NULL AND basis IS NULL GROUP BY ALL",
            provider,
        )
        ledger = {tuple(row[:3]): row[3] for row in found if row[3]}
        truth = {key: value for key, value in one.world.truth(provider).usage(start=one.first).items() if value}
        shared = ledger.keys() & truth.keys()
        assert shared
        assert {key: ledger[key] for key in shared} == {key: truth[key] for key in shared}
    with one.ledger() as ledger:
        assert ledger.verify().problems == ()
        assert ledger.troubles() == []
    print(  # noqa: T201
        f"\n{campaign.kills} kills {campaign.moments}, {campaign.torn} of them left a commit unfinished;"
        f" {campaign.ended} syncs ended before theirs"
    )


def begun(away: Any) -> Any:
    """Return a sync that is waiting for slow vendors, its leases taken."""
    away.bench.simulator.faults.add("slow", times="forever", seconds=10)
    process = away.start("sync")
    while len(away.bench.simulator.faults.active()) and process.poll() is None and not _leased(away.bench):
        sleep(0.01)
    assert process.poll() is None
    return process


def counted(one: Any, rows: str) -> int:
    """Return how many rows of the state there are, none where there is no state yet."""
    if not (one.home / "state.sqlite").exists():
        return 0
    with closing(sqlite3.connect(one.home / "state.sqlite")) as database:
        try:
            (count,) = database.execute(f"SELECT count(*) FROM {rows}").fetchone()
        except sqlite3.OperationalError:
            return 0
    return int(count)


def _leased(one: Any) -> bool:
    return counted(one, "outlay_leases") == len(one.providers)


def test_the_lease_of_a_killed_sync_is_free_at_once(outside: Callable[..., Any]) -> None:
    """Nobody waits for the lease of a process that is dead on this machine."""
    away = outside(days=2, datasets=FEW)
    process = begun(away)
    process.kill()
    process.communicate()
    assert _leased(away.bench)
    away.bench.simulator.faults.clear()
    status, _, said = away.run("sync", "--quiet")
    assert status == 0, said
    assert away.bench.right()


def test_ctrl_c_ends_a_sync_cleanly(outside: Callable[..., Any]) -> None:
    """Interrupted while vendors are slow: status 130, one line and no traceback; the ledger is whole."""
    away = outside(days=2, datasets=FEW)
    status, _, said = away.run("sync", "--quiet")
    assert status == 0, said
    before = {provider: away.bench.days_of(provider) for provider in ALL}
    away.bench.world.restate("openai", away.bench.world.today, "up")
    process = begun(away)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    away.told.extend((out, err))
    assert process.returncode == 130
    assert "interrupted" in err
    assert ": ok (" not in err
    assert "Traceback" not in err
    assert out == ""
    assert not _leased(away.bench)
    assert {provider: away.bench.days_of(provider) for provider in ALL} == before
    away.bench.simulator.faults.clear()
    status, _, said = away.run("sync", "--quiet")
    assert status == 0, said
    assert away.bench.right()
    with away.bench.ledger() as ledger:
        assert ledger.verify().problems == ()
