"""`outlay serve`: the HTTP face."""

from __future__ import annotations

import click

from outlay.cli.lazy import Command
from outlay.cli.params import open_ledger
from outlay.cli.settings import Settings, pass_settings


@click.command(
    cls=Command,
    epilog="""
    outlay serve
    outlay serve --port 0
    outlay serve --host 0.0.0.0 --port 8484
    """,
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8484, show_default=True, help="0 picks a free one.")
@click.option("--require-token", is_flag=True, help="Ask for a token on loopback too, as behind a proxy.")
@click.option(
    "--settle-seconds",
    type=click.IntRange(0, 86_400),
    default=60,
    show_default=True,
    help="How often what is metered is put into the ledger; 0 leaves it to `outlay sync` and `outlay meter settle`.",
)
@pass_settings
def serve(settings: Settings, *, host: str, port: int, require_token: bool, settle_seconds: int) -> None:
    """Serve until interrupted; the first line printed is the URL.

    Whoever is on this machine may use it. An address that others can reach is served only when there is a token
    (`outlay meter token create`), and then every request needs one. Encryption is a proxy's task.
    """
    from outlay.web.server import serve as run

    config = settings.load()
    with open_ledger(settings, config, create=True) as ledger:
        run(
            config,
            ledger,
            host,
            port,
            clock=settings.clock,
            require_token=require_token,
            settle_seconds=settle_seconds,
            ready=click.echo,
        )
