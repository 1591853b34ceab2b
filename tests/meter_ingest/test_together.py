"""Tests of committing what many senders bring."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from meter_ingest.making import clock, event
from outlay.errors import StoreError
from outlay.meter.ingest import Intake, Taken
from outlay.meter.together import FullError, Together
from outlay.model.metering import MeterEvent
from outlay.store import Ledger


@pytest.fixture
def intake(tmp_path: Path) -> Iterator[Intake]:
    """Take events into a fresh ledger."""
    with Ledger.open(tmp_path, clock=clock) as ledger:
        yield Intake(ledger, clock=clock)


def held(monkeypatch: pytest.MonkeyPatch, error: Exception | None = None) -> tuple[threading.Event, threading.Event]:
    """Hold commits back until the second event is set, and set the first when one has begun."""
    began, go = threading.Event(), threading.Event()
    original = Intake.take_several

    def slow(self: Intake, groups: Sequence[Sequence[MeterEvent]], **options: Any) -> list[Taken]:
        began.set()
        assert go.wait(300)
        if error is not None:
            raise error
        return original(self, groups, **options)

    monkeypatch.setattr(Intake, "take_several", slow)
    return began, go


@pytest.mark.parametrize("error", [None, StoreError("the disk is full", hint="Free some space.")])
def test_who_is_told_finds_the_place_free(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, error: StoreError | None
) -> None:
    """The moment a sender hears of its events, taken or refused, as many more may be sent."""
    began, go = held(monkeypatch, error)
    together = Together(intake, waiting_max=2)
    later: list[Future[Taken]] = []
    told = threading.Event()

    def again(_: Future[Taken]) -> None:
        try:
            later.append(together.send([event("3"), event("4")]))
        finally:
            told.set()

    first = together.send([event("1"), event("2")])
    first.add_done_callback(again)
    assert began.wait(300)
    with pytest.raises(FullError):
        together.send([event("5")])
    go.set()
    assert told.wait(300)
    together.close()
    assert len(later) == 1
    assert (first.exception(300), later[0].exception(300)) == (error, error)
    if error is None:
        assert (first.result(), later[0].result()) == (Taken(2, 0), Taken(2, 0))


def test_closing_commits_what_waits(intake: Intake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was sent before the end is safe when the end has come, and nothing is taken after it."""
    began, go = held(monkeypatch)
    together = Together(intake)
    sent = [together.send([event(str(number))]) for number in range(20)]
    assert began.wait(300)
    go.set()
    together.close()
    assert [each.result(0) for each in sent] == [Taken(1, 0)] * 20
    assert not together.alive
    with pytest.raises(FullError):
        together.send([event("late")])
