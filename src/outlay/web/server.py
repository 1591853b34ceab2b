"""Serve the application on a socket, refusing to be open to others without a token."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from outlay.clock import Clock, system_clock
from outlay.config import Config
from outlay.errors import ConfigError
from outlay.store import Ledger, tokens
from outlay.web.app import app
from outlay.web.guard import is_loopback
from outlay.web.service import Service


def listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises: ConfigError when the address cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        # Named as TCP, or asyncio leaves Nagle's algorithm on and answers wait for an acknowledgement.
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(1024)
        except OSError:
            made.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"{host}:{port} cannot be listened on: {error.strerror}", hint="Choose another --host or --port."
        ) from None
    return made


def serve(
    config: Config,
    ledger: Ledger,
    host: str = "127.0.0.1",
    port: int = 8484,
    *,
    clock: Clock = system_clock,
    require_token: bool = False,
    settle_seconds: int = 60,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until interrupted; `ready` is told the URL once connections are taken.

    Raises: ConfigError where others could come in and there is no token to tell them by.
    """
    made = listener(host, port)
    address, own_port = made.getsockname()[:2]
    local = is_loopback(address) and not require_token
    try:
        known = tokens.any_valid(ledger.state)  # opened here, so that a ledger that cannot be used is told at once
    except BaseException:
        made.close()
        raise
    if not local and not known:
        made.close()
        raise ConfigError(
            f"{host} can be reached by others, and there is no token to let them in by",
            hint="Make one first: outlay meter token create NAME --scope ingest",
        )
    service = Service(config, ledger, clock=clock, settle_seconds=settle_seconds)
    server = uvicorn.Server(
        uvicorn.Config(
            app(service, local=local), log_config=None, log_level="warning", access_log=False, lifespan="on",
            ws="none", server_header=False, proxy_headers=False, timeout_graceful_shutdown=10, backlog=1024,
        )
    )  # fmt: skip
    ready(f"http://[{address}]:{own_port}" if ":" in address else f"http://{address}:{own_port}")
    server.run(sockets=[made])
