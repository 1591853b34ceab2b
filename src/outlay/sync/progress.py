"""What a sync tells while it runs; faces draw it, the engine only calls it."""

from __future__ import annotations

from typing import Protocol

from outlay.sync.report import ConnectionReport


class Progress(Protocol):
    """Receive a sync's progress.

    Calls come from one thread, in the order things happen.
    """

    def planned(self, connection: str, partitions: int) -> None:
        """Learn how many partitions a connection is asked for."""

    def advanced(self, connection: str, dataset: str, partitions: int) -> None:
        """Learn that partitions of a dataset are settled, committed or not."""

    def ended(self, report: ConnectionReport) -> None:
        """Learn that a connection is done, well or badly."""


class Quiet:
    """Say nothing."""

    def planned(self, connection: str, partitions: int) -> None:
        """Ignore it."""

    def advanced(self, connection: str, dataset: str, partitions: int) -> None:
        """Ignore it."""

    def ended(self, report: ConnectionReport) -> None:
        """Ignore it."""
