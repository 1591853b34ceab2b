"""`python -m outlay.simulator`: serve a world until interrupted."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date


def main() -> None:
    """Read the arguments and serve."""
    parser = ArgumentParser(prog="outlay.simulator", description="Serve simulated vendors on a local port.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100, help="0 picks a free one; the URL is the first line printed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--today", type=date.fromisoformat, default=None, help="the world's last, partial day")
    parser.add_argument("--days", type=int, default=120)
    parser.add_argument("--rows-per-day", type=int, default=None)
    parser.add_argument("--scale", type=int, default=1)
    wish = parser.parse_args()

    from outlay.simulator.server import serve

    serve(
        wish.host,
        wish.port,
        wish.seed,
        today=wish.today,
        days=wish.days,
        rows_per_day=wish.rows_per_day,
        scale=wish.scale,
    )


if __name__ == "__main__":
    main()
