"""The fence between metering and the program it works in: whatever fails inside is counted, and stays inside."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from outlay.meter.counts import Stats


class Fence:
    """A block whose failures are counted as one kind of trouble; only the class of an error is kept."""

    __slots__ = ("_kind", "_stats", "failed")

    def __init__(self, stats: Stats, kind: str) -> None:
        self._stats, self._kind = stats, kind
        self.failed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # What ends a program, an interrupt or an exit, is not metering's to keep.
        if not isinstance(error, Exception):
            return False
        self._stats.fail(self._kind, error)
        self.failed = True
        return True
