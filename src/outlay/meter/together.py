"""Commit what many senders bring in one transaction, and let no more wait than a bound allows."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import NamedTuple

from outlay.errors import StoreError
from outlay.meter.ingest import Intake, Taken
from outlay.model.metering import MeterEvent

log = logging.getLogger(__name__)

WAITING_MAX = 50_000
"""How many events may wait for a commit before senders are told to come again."""
TOGETHER_MAX = 10_000
"""How many events are committed at once."""


class FullError(Exception):
    """Too much is waiting: whoever sends must send again later, and nothing of it was taken."""


Done = Future[Taken] | asyncio.Future[Taken]
Outcome = Taken | BaseException


class _Waiting(NamedTuple):
    events: Sequence[MeterEvent]
    done: Done

    @property
    def wanted(self) -> bool:
        """Tell whether somebody still waits for it, who from here on cannot go away any more."""
        return self.done.set_running_or_notify_cancel() if isinstance(self.done, Future) else not self.done.cancelled()


class Together:
    """A thread that commits; who sends is told when their events are safe, or why they are not."""

    def __init__(self, intake: Intake, *, waiting_max: int = WAITING_MAX, together_max: int = TOGETHER_MAX) -> None:
        self._intake = intake
        self._waiting_max, self._together_max = waiting_max, together_max
        self._queue: deque[_Waiting] = deque()
        self._events = 0
        self._changed = threading.Condition()
        self._ending = self._waking = False
        self._thread = threading.Thread(target=self._run, name="outlay-intake", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Tell whether events are still taken."""
        return self._thread.is_alive() and not self._ending

    def send(self, events: Sequence[MeterEvent]) -> Future[Taken]:
        """Put events into the next commit. Raises: FullError when too many wait, and none of these was taken."""
        done: Future[Taken] = Future()
        with self._changed:
            self._put(events, done)
            self._changed.notify()
        return done

    async def sent(self, events: Sequence[MeterEvent]) -> Taken:
        """Put events into the next commit, and return when they are safe.

        Raises: FullError when too many wait, StoreError when they cannot be committed; none of these was then taken.
        """
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Taken] = loop.create_future()
        with self._changed:
            self._put(events, done)
            waking, self._waking = self._waking, True
        if not waking:
            # Once for all that come in the same turn of the loop: waking a thread takes longer than handing it one.
            loop.call_soon(self._wake)
        return await done

    def _put(self, events: Sequence[MeterEvent], done: Done) -> None:
        if self._ending or (self._events and self._events + len(events) > self._waiting_max):
            raise FullError
        self._events += len(events)
        self._queue.append(_Waiting(events, done))

    def _wake(self) -> None:
        with self._changed:
            self._waking = False
            self._changed.notify()

    def close(self) -> None:
        """Commit what waits, and end the thread."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._ending)
                if not self._queue:
                    return
                chosen = self._next()
            count = sum(len(each.events) for each in chosen)
            # Who has gone away meanwhile was told nothing, and sends again.
            self._commit([each for each in chosen if each.wanted], count)

    def _next(self) -> list[_Waiting]:
        chosen = [self._queue.popleft()]
        count = len(chosen[0].events)
        while self._queue and count + len(self._queue[0].events) <= self._together_max:
            chosen.append(self._queue.popleft())
            count += len(chosen[-1].events)
        return chosen

    def _commit(self, chosen: list[_Waiting], count: int) -> None:
        try:
            taken = self._intake.take_several([each.events for each in chosen])
        except StoreError as error:
            self._leave(count)
            _tell([(each.done, error) for each in chosen])
            return
        except BaseException as error:
            # A bug must not leave senders waiting for ever; the thread ends, and whoever comes next is told.
            log.exception("taking events broke off, and no more are taken")
            self._break(chosen, error)
            return
        self._leave(count)
        _tell([(each.done, own) for each, own in zip(chosen, taken, strict=True)])

    def _leave(self, count: int) -> None:
        # Before anybody is told: whoever hears that theirs is done finds its place free.
        with self._changed:
            self._events -= count

    def _break(self, chosen: list[_Waiting], error: BaseException) -> None:
        with self._changed:
            self._ending = True
            left = [*chosen, *self._queue]
            self._queue.clear()
        _tell([(each.done, error) for each in left if each in chosen or each.wanted])


def _tell(outcomes: Sequence[tuple[Done, Outcome]]) -> None:
    """Tell each what became of theirs: those of one loop all at once."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Done, Outcome]]] = {}
    for done, outcome in outcomes:
        if isinstance(done, Future):
            _settle([(done, outcome)])
        else:
            loops.setdefault(done.get_loop(), []).append((done, outcome))
    for loop, own in loops.items():
        with suppress(RuntimeError):  # the loop has ended, and with it whoever waited there
            loop.call_soon_threadsafe(_settle, own)


def _settle(outcomes: Sequence[tuple[Done, Outcome]]) -> None:
    for done, outcome in outcomes:
        if done.done():  # cancelled meanwhile
            continue
        if isinstance(outcome, BaseException):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
