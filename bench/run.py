"""Measure Outlay, and a peer beside it in the same run, on this machine; write the table that docs/benchmarks.md shows.

    python bench/run.py --rounds 3                 # Outlay alone
    python bench/run.py --rounds 3 --peer          # installs dlt into bench/out/peer and measures it too

Everything runs on loopback; the server keeps its answers in memory. Quote medians: machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measure import Figure, files_of, once, several

HERE = Path(__file__).parent
OUT = HERE / "out"
OUTLAY = [str(Path(sys.executable).parent / "outlay")]
KEY = {"BENCH_KEY": "bench-key-of-no-vendor"}
PEER_REQUIREMENTS = ["dlt[duckdb]==1.31.0", "duckdb==2.0.0", "pyarrow>=20"]


@contextmanager
def server(pages: int, rows: int) -> Iterator[str]:
    """Serve a report for the length of the block; yields its base URL."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "server.py"), "--pages", str(pages), "--rows", str(rows)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def simulator() -> Iterator[str]:
    """Serve the simulated vendors for the length of the block; yields the URL."""
    process = subprocess.Popen([*OUTLAY, "simulator", "--port", "0", "--quiet"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().decode().split()[-1].strip()
    finally:
        process.kill()
        process.wait()


def home(name: str, base_url: str, *, days: int, keep: bool = False) -> Path:
    """Return a fresh folder with a configuration of one connection."""
    folder = OUT / name
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    since = datetime.now(UTC).date() - timedelta(days=days)
    (folder / "outlay.toml").write_text(
        f'[connections.bench]\nprovider = "openai"\ncredential = "env:BENCH_KEY"\nbase_url = "{base_url}"\n'
        f'since = "{since}"\ndatasets = ["costs"]\n'
    )
    return folder


def sync(folder: Path, *more: str) -> list[str]:
    """Return the command that syncs a folder's configuration."""
    return [
        *OUTLAY,
        "sync",
        "--config",
        str(folder / "outlay.toml"),
        "--home",
        str(folder / "home"),
        "--format",
        "json",
        *more,
    ]


def first_sync(name: str, pages: int, rows: int, rounds: int, *, check: str | None = None) -> list[Figure]:
    """Measure a first sync, the same again, and the same again with every day asked for."""
    first, again, full = (
        Figure(f"{name}, first sync"),
        Figure(f"{name}, sync again"),
        Figure(f"{name}, sync again --full"),
    )
    with server(pages, rows) as url:
        for round_ in range(rounds):
            folder = home(f"{name}-{round_}".replace(" ", "-").replace(",", ""), url, days=pages)
            first.runs.append(once(sync(folder), KEY))
            dataset = json.loads(first.runs[-1].output)["connections"][0]["datasets"][0]
            assert dataset["facts"] == pages * rows, dataset
            before = files_of(folder / "home")
            again.runs.append(once(sync(folder), KEY))
            full.runs.append(once(sync(folder, "--full"), KEY))
            assert files_of(folder / "home") == before, "a sync that changed nothing wrote data files"
            if round_ and check is None:
                shutil.rmtree(folder)
    return [first, again, full]


def small_sync(rounds: int) -> Figure:
    """Measure three connections of a few rows each."""
    figure = Figure("small sync, three connections")
    day = datetime.now(UTC).date() - timedelta(days=1)
    with simulator() as url:
        for round_ in range(rounds + 1):
            folder = OUT / f"small-{round_}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "outlay.toml").write_text(
                f'[connections.openai]\nprovider = "openai"\ncredential = "env:K1"\nbase_url = "{url}/openai"\n'
                f'since = "{day}"\ndatasets = ["costs"]\n'
                '[connections.anthropic]\nprovider = "anthropic"\ncredential = "env:K2"\n'
                f'base_url = "{url}/anthropic"\n'
                f'since = "{day}"\ndatasets = ["costs"]\n'
                f'[connections.github]\nprovider = "github"\ncredential = "env:K3"\nbase_url = "{url}/github"\n'
                f'organization = "sim-org"\nsince = "{day}"\ndatasets = ["usage"]\n'
            )
            keys = {"K1": "sim-openai-admin", "K2": "sim-anthropic-admin", "K3": "sim-github-classic"}
            run = once(sync(folder), keys)
            if round_:
                figure.runs.append(run)
    return figure


def answers(folder: Path, rounds: int) -> list[Figure]:
    """Measure answers over a ledger that is already there."""
    where = ["--config", str(folder / "outlay.toml"), "--home", str(folder / "home")]
    return [
        several("status, whole process", rounds, lambda _: [*OUTLAY, "status", *where], KEY),
        several(
            "spend by provider and day, whole process",
            rounds,
            lambda _: [*OUTLAY, "spend", "--by", "provider,day", *where],
            KEY,
        ),
        several(
            "month view, query alone",
            1,
            lambda _: [sys.executable, str(HERE / "month_view.py"), str(folder / "home"), str(max(rounds, 5))],
            KEY,
        ),
    ]


def peer(pages: int, rows: int, rounds: int) -> list[Figure]:
    """Measure dlt's REST source into DuckDB, with its Parquet loader and with its defaults."""
    folder = OUT / "peer"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PEER_REQUIREMENTS], check=True)
    figures = []
    with server(pages, rows) as url:
        for name, words in (("dlt, Parquet loader", ["parquet"]), ("dlt, defaults", [])):
            figure = Figure(name)
            for round_ in range(rounds):
                work = OUT / f"peer-work-{round_}"
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir(parents=True)
                figure.runs.append(once([str(python), str(HERE / "peer_dlt.py"), url, str(work), *words]))
                assert figure.runs[-1].output.split()[-1] == str(pages * rows), figure.runs[-1].output
                shutil.rmtree(work)
            figures.append(figure)
    return figures


def table(figures: list[Figure], rows: dict[str, int]) -> str:
    """Return the figures as a Markdown table; each cell is the median, with minimum to maximum in brackets."""
    lines = ["| what | wall s | CPU s | peak MiB | rows/s |", "|---|---|---|---|---|"]
    for figure in figures:
        count = rows.get(figure.name)
        cells = [_cell(figure.of("wall"), 2), _cell(figure.of("cpu"), 2), _cell(figure.of("peak"), 0)]
        speed = f"{count / figure.of('wall')[1]:,.0f}" if count else ""
        lines.append(f"| {figure.name} | {' | '.join(cells)} | {speed} |")
    return "\n".join(lines)


def _cell(values: tuple[float, float, float], digits: int) -> str:
    low, middle, high = (f"{value:.{digits}f}" for value in values)
    return f"{middle} ({low}-{high})"


def main() -> None:
    """Run what was asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--big", action="store_true", help="also a first sync ten times the size")
    args = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    figures = [
        several("outlay --version", args.rounds * 3, lambda _: [*OUTLAY, "--version"]),
        several("outlay --help", args.rounds * 3, lambda _: [*OUTLAY, "--help"]),
        small_sync(args.rounds),
        *first_sync("100,000 rows", 1000, 100, args.rounds),
    ]
    if args.big:
        figures += first_sync("1,000,000 rows", 1000, 1000, 1, check="keep")
        figures += answers(OUT / "1000000-rows-0", args.rounds)
    if args.peer:
        figures += peer(1000, 100, min(args.rounds, 2))
    rows = {
        f.name: 1_000_000 if f.name.startswith("1,000,000") else 100_000
        for f in figures
        if "first" in f.name or "dlt" in f.name
    }
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {platform.machine()}, {platform.system()}\n"
    )
    print(table(figures, rows))
    for figure in figures:
        if figure.name == "month view, query alone":
            print("\n" + figure.runs[0].output.strip())


if __name__ == "__main__":
    main()
