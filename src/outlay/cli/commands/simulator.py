"""`outlay simulator`: the fake vendors on a local port."""

from __future__ import annotations

from datetime import date

import click

from outlay.cli.lazy import Command
from outlay.cli.params import DAY
from outlay.errors import ConfigError


@click.command(
    cls=Command,
    epilog="""
    outlay simulator
    outlay simulator --port 0 --seed 7 --today 2026-11-22
    """,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9100, show_default=True, help="0 picks a free one.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same world.")
@click.option("--today", type=DAY, help="The world's last, partial day; the machine's unless given.")
@click.option(
    "--days", type=click.IntRange(1, 3660), default=120, show_default=True, help="How far the world reaches back."
)
@click.option(
    "--scale", type=click.IntRange(1, 1000), default=1, show_default=True, help="Multiplies projects and keys."
)
@click.option("--rows-per-day", type=click.IntRange(4, 1_000_000), help="So many cost rows a day and nothing else.")
def simulator(
    *, host: str, port: int, seed: int, today: date | None, days: int, scale: int, rows_per_day: int | None
) -> None:
    """Serve simulated vendors until interrupted; the first line printed is the URL.

    A connection uses them by base_url = "http://127.0.0.1:9100/openai" and so on.
    """
    from outlay.simulator import serve

    try:
        serve(host, port, seed, today=today, days=days, scale=scale, rows_per_day=rows_per_day)
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on: {error.strerror}", hint="Choose another --port."
        ) from None
