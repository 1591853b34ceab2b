"""Time the month view's query over an existing ledger, apart from starting Python: month_view.py HOME ROUNDS."""

from __future__ import annotations

import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import outlay


def main() -> None:
    """Print minimum, median and maximum milliseconds of the answer by provider and day."""
    today = datetime.now(UTC).date()
    first = (today.replace(day=1) - timedelta(days=1)).replace(day=1)
    took = []
    with outlay.open(home=Path(sys.argv[1]), config=Path(sys.argv[1]).parent / "outlay.toml") as ledger:
        for _ in range(int(sys.argv[2])):
            started = time.perf_counter()
            answer = ledger.spend(from_=first, to=today.replace(day=1), by=("provider", "day"))
            took.append((time.perf_counter() - started) * 1000)
            assert answer.rows
    print(f"month: first {took[0]:.0f} ms, then median {statistics.median(took[1:]):.0f} ms (max {max(took[1:]):.0f})")


if __name__ == "__main__":
    main()
