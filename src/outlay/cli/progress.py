"""Draw a sync while it runs: bars on a terminal, a line per connection elsewhere."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from outlay.cli.output.text import neutral
from outlay.cli.settings import Settings

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from outlay.sync.report import ConnectionReport


class Lines:
    """Say on stderr when a connection begins and ends."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def planned(self, connection: str, partitions: int) -> None:
        """Say how much a connection is asked for."""
        click.echo(f"{connection}: {partitions} partition{'' if partitions == 1 else 's'} to fetch", err=True)

    def advanced(self, connection: str, dataset: str, partitions: int) -> None:
        """Say nothing: a line for every step would be noise in a log."""

    def ended(self, report: ConnectionReport) -> None:
        """Say how a connection ended."""
        click.echo(ending(report), err=True)


class Silent(Lines):
    """Say nothing at all."""

    def planned(self, connection: str, partitions: int) -> None:
        """Say nothing."""

    def ended(self, report: ConnectionReport) -> None:
        """Say nothing."""


class Bars(Lines):
    """Draw one bar per connection."""

    def __init__(self, *, color: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True, no_color=not color, highlight=False)
        self._bars: RichProgress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[dataset]}", style="dim" if color else "none", markup=False),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def planned(self, connection: str, partitions: int) -> None:
        """Open a connection's bar."""
        self._tasks[connection] = self._bars.add_task(connection, total=partitions or None, dataset="")

    def advanced(self, connection: str, dataset: str, partitions: int) -> None:
        """Move a connection's bar."""
        self._bars.update(self._tasks[connection], advance=partitions, dataset=neutral(dataset))

    def ended(self, report: ConnectionReport) -> None:
        """Leave a connection's bar as it ended."""
        task = self._tasks.get(report.connection)
        if task is None:
            self._bars.console.print(ending(report), markup=False)
            return
        done = self._bars.tasks[task].completed
        self._bars.update(task, total=done or 1, completed=done or 1, dataset=report.state)


def ending(report: ConnectionReport) -> str:
    """Return how a connection's sync ended, in a line."""
    facts = sum(dataset.facts for dataset in report.datasets)
    counts = f"{facts} facts, {report.requests} requests, {report.seconds:.1f} s"
    return f"{report.connection}: {report.state} ({counts})"


def progress(settings: Settings) -> Lines:
    """Return what draws a sync for these settings."""
    if settings.quiet:
        return Silent()
    return Bars(color=settings.color) if sys.stderr.isatty() else Lines()
