"""Tests of committing what coroutines bring: those of one turn of a loop share a commit and are told together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from meter_ingest.making import clock, event
from outlay.errors import StoreError
from outlay.meter.ingest import Intake, Taken
from outlay.meter.together import FullError, Together
from outlay.model.metering import MeterEvent
from outlay.store import Ledger


class Held:
    """An intake whose commits wait until they are let go, and which tells what came in each."""

    def __init__(self, intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
        self.intake = intake
        self.began, self.go = threading.Event(), threading.Event()
        self.groups: list[list[str]] = []
        self.error: Exception | None = None
        original = intake.take_several

        def slow(groups: Sequence[Sequence[MeterEvent]], **options: Any) -> list[Taken]:
            self.groups.append([each.id for group in groups for each in group])
            self.began.set()
            assert self.go.wait(300)
            if self.error is not None:
                raise self.error
            return original(groups, **options)

        monkeypatch.setattr(intake, "take_several", slow)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    """Take events into a fresh ledger, when they are let go."""
    with Ledger.open(tmp_path, clock=clock) as ledger:
        yield Held(Intake(ledger, clock=clock), monkeypatch)


async def begun(held: Held, together: Together) -> asyncio.Task[Taken]:
    """Send one event, and return when its commit has begun and waits."""
    first = asyncio.create_task(together.sent([event("first")]))
    await asyncio.to_thread(held.began.wait, 300)
    return first


def test_what_comes_while_a_commit_runs_shares_the_next(held: Held) -> None:
    """Each coroutine is told of its own events, and who has gone away meanwhile has not sent any."""
    together = Together(held.intake)

    async def main() -> tuple[Taken, list[Taken | BaseException]]:
        first = await begun(held, together)
        sent = [asyncio.create_task(together.sent([event(name)])) for name in ("a", "b", "gone", "a")]
        await asyncio.sleep(0)
        sent[2].cancel()
        await asyncio.wait([sent[2]])
        held.go.set()
        return await first, list(await asyncio.gather(*sent, return_exceptions=True))

    first, (one, two, gone, again) = asyncio.run(main())
    together.close()
    assert held.groups == [["first"], ["a", "b", "a"]]
    assert [first, one, two, again] == [Taken(1, 0), Taken(1, 0), Taken(1, 0), Taken(0, 1)]
    assert isinstance(gone, asyncio.CancelledError)


def test_what_is_refused_is_told(held: Held) -> None:
    """A store that refuses and a bound that is reached are told to the coroutine; nothing of it waits any more."""
    together = Together(held.intake, waiting_max=1)
    held.error = StoreError("the disk is full", hint="Free some space.")

    async def main() -> None:
        first = await begun(held, together)
        with pytest.raises(FullError):
            await together.sent([event("more")])
        held.go.set()
        with pytest.raises(StoreError, match="the disk is full"):
            await first
        held.error = None
        assert await together.sent([event("more")]) == Taken(1, 0)

    asyncio.run(main())
    together.close()


def test_a_loop_that_ended_harms_nobody(held: Held) -> None:
    """Events whose sender's loop is closed during their commit are taken, and so are those that come later."""
    together = Together(held.intake)

    async def main() -> None:
        await begun(held, together)  # and what still runs at the end is cancelled

    asyncio.run(main())
    held.go.set()
    assert together.send([event("first"), event("later")]).result(300) == Taken(1, 1)
    assert together.alive
    together.close()
