"""Commit what many senders bring in one transaction, and let no more wait than a bound allows."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

from outlay.errors import StoreError
from outlay.meter.ingest import Intake, Taken
from outlay.model.metering import MeterEvent

WAITING_MAX = 50_000
"""How many events may wait for a commit before senders are told to come again."""
TOGETHER_MAX = 10_000
"""How many events are committed at once."""


class FullError(Exception):
    """Too much is waiting: whoever sends must send again later, and nothing of it was taken."""


class _Waiting(NamedTuple):
    events: Sequence[MeterEvent]
    done: Future[Taken]


class Together:
    """A thread that commits; a sender's future is done when its events are safe, or failed when they are not."""

    def __init__(self, intake: Intake, *, waiting_max: int = WAITING_MAX, together_max: int = TOGETHER_MAX) -> None:
        self._intake = intake
        self._waiting_max, self._together_max = waiting_max, together_max
        self._queue: deque[_Waiting] = deque()
        self._events = 0
        self._changed = threading.Condition()
        self._ending = False
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
            if self._ending or (self._events and self._events + len(events) > self._waiting_max):
                raise FullError
            self._events += len(events)
            self._queue.append(_Waiting(events, done))
            self._changed.notify()
        return done

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
            self._commit([each for each in chosen if each.done.set_running_or_notify_cancel()], count)

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
            for each in chosen:
                each.done.set_exception(error)
            return
        except BaseException as error:
            # A bug must not leave senders waiting for ever; the thread ends, and whoever comes next is told.
            self._break(chosen, error)
            raise
        self._leave(count)
        for each, own in zip(chosen, taken, strict=True):
            each.done.set_result(own)

    def _leave(self, count: int) -> None:
        # Before anybody is told: whoever hears that theirs is done finds its place free.
        with self._changed:
            self._events -= count

    def _break(self, chosen: list[_Waiting], error: BaseException) -> None:
        with self._changed:
            self._ending = True
            left = [*chosen, *self._queue]
            self._queue.clear()
        for each in left:
            if each in chosen or each.done.set_running_or_notify_cancel():
                each.done.set_exception(error)
