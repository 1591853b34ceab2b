"""Leases: one sync at a time on a connection, across processes and machines that share a state database."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from outlay.clock import Clock
from outlay.errors import LedgerBusyError, StoreError
from outlay.store.state import State, leases, micros, moment

_log = logging.getLogger(__name__)


class Lease:
    """A connection held by this process until the block ends; renewed by a thread at a third of its time."""

    def __init__(self, state: State, connection: str, ttl: timedelta, clock: Clock) -> None:
        self.connection = connection
        self.owner = f"{_machine()}/{os.getpid()}/{uuid.uuid4().hex}"
        self._state = state
        self._ttl = ttl
        self._clock = clock
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._heart: threading.Thread | None = None

    @property
    def lost(self) -> bool:
        """Whether another process has taken the lease over since: what is not yet committed must not be."""
        return self._lost.is_set()

    def __enter__(self) -> Self:
        self._acquire()
        self._heart = threading.Thread(target=self._beat, name=f"lease-{self.connection}", daemon=True)
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._heart is not None:
            self._heart.join()
        with self._state.write() as connection:
            connection.execute(sa.delete(leases).where(self._mine()))

    def renew(self) -> None:
        """Hold on for another span, or note that the lease is lost."""
        with self._state.write() as connection:
            renewed = connection.execute(sa.update(leases).where(self._mine()).values(expires_at=self._expiry()))
            if renewed.rowcount == 0:
                self._lost.set()

    def _acquire(self) -> None:
        with self._state.write() as connection:
            row = connection.execute(
                sa.select(leases).where(leases.c.connection == self.connection).with_for_update()
            ).first()
            if row is not None and not self._free(row.owner, row.expires_at):
                raise _busy(self.connection, row.owner, moment(row.expires_at))
            if row is not None:
                connection.execute(sa.delete(leases).where(leases.c.connection == self.connection))
            try:
                connection.execute(
                    sa.insert(leases).values(connection=self.connection, owner=self.owner, expires_at=self._expiry())
                )
            except sa.exc.IntegrityError:
                raise _busy(self.connection, "another process", self._clock() + self._ttl) from None

    def _free(self, owner: str, expires_at: int) -> bool:
        return expires_at <= micros(self._clock()) or _is_dead(owner)

    def _expiry(self) -> int:
        return micros(self._clock() + self._ttl)

    def _mine(self) -> sa.ColumnElement[bool]:
        return sa.and_(leases.c.connection == self.connection, leases.c.owner == self.owner)

    def _beat(self) -> None:
        while not self._ended.wait(self._ttl.total_seconds() / 3):
            try:
                self.renew()
            except StoreError as error:
                # The next beat tries again; two of three may fail before the lease runs out.
                _log.warning("the lease on %s could not be renewed: %s", self.connection, error)
            if self.lost:
                return


def _busy(connection: str, owner: str, until: datetime) -> LedgerBusyError:
    process = owner.split("/")[-2] if "/" in owner else owner
    return LedgerBusyError(f"{connection} is being synced by process {process} (lease until {until:%H:%M:%S} UTC)")


def _machine() -> str:
    # Process numbers mean something only within one namespace of one machine.
    namespace = Path("/proc/self/ns/pid")
    return f"{socket.gethostname()}:{namespace.stat().st_ino if namespace.exists() else 0}"


def _is_dead(owner: str) -> bool:
    """Tell whether a lease's owner was a process of this machine that has ended without giving it back."""
    machine, process, _ = owner.rsplit("/", 2)
    if machine != _machine():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
