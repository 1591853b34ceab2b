"""Time whole processes: wall, CPU and peak memory of each run, as the operating system accounts for them."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Run:
    """One finished process. Units: seconds of wall and CPU time, MiB of peak memory (largest single process)."""

    wall: float
    cpu: float
    peak: float
    output: str


@dataclass(slots=True)
class Figure:
    """Several runs of one command."""

    name: str
    runs: list[Run] = field(default_factory=list)

    def of(self, what: str) -> tuple[float, float, float]:
        """Return minimum, median and maximum of `wall`, `cpu` or `peak`."""
        values = sorted(getattr(run, what) for run in self.runs)
        return values[0], statistics.median(values), values[-1]


def once(command: Sequence[str], environ: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end and return what it took. Raises: RuntimeError when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(environ or {})}
    )
    assert process.stdout is not None
    assert process.stderr is not None
    output = process.stdout.read().decode()
    errors = process.stderr.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {errors[-2000:]}{output[-500:]}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, output)


def several(
    name: str, rounds: int, command: Callable[[int], Sequence[str]], environ: Mapping[str, str] | None = None
) -> Figure:
    """Run a command some times, each with its own round number."""
    figure = Figure(name)
    for round_ in range(rounds):
        figure.runs.append(once(command(round_), environ))
    return figure


def files_of(folder: Path) -> set[str]:
    """Return the names of the data files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
