"""The simulator as an ASGI application, as a server on a thread, and as a process."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from datetime import date
from threading import Thread
from time import monotonic, sleep
from types import TracebackType
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from outlay.simulator import control
from outlay.simulator.desk import Desk, Door, Nowhere, Seen
from outlay.simulator.faces import FACES
from outlay.simulator.faces.base import Endpoint, Face, Quota
from outlay.simulator.faults import Faults
from outlay.simulator.world import World

_START_SECONDS_MAX = 120.0


def app(
    world: World,
    *,
    faults: Faults | None = None,
    faces: Mapping[str, Face] = FACES,
    quotas: Mapping[str, Quota | None] | None = None,
    check_shapes: bool = False,
) -> Starlette:
    """Return the ASGI application of a world; its desk is at `.state.desk`.

    Null: `quotas` None keeps each vendor's own; an entry of None lifts a vendor's.
    """
    desk = Desk(world, faces, faults or Faults(), quotas, check_shapes=check_shapes)
    routes: list[Route | Mount] = [Mount(f"/{face.id}", routes=_doors(desk, face)) for face in faces.values()]
    application = Starlette(routes=[*routes, *control.routes(desk), Route("/{rest:path}", Nowhere(desk))])
    application.state.desk = desk
    return application


def _doors(desk: Desk, face: Face) -> list[Route]:
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in face.endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [Route(path, Door(desk, face, methods)) for path, methods in paths.items()] + [
        Route("/{rest:path}", Door(desk, face, {}))
    ]


def _listener(host: str, port: int) -> socket.socket:
    # Named as TCP, or asyncio leaves Nagle's algorithm on and each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    return listener


def _config(application: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        application, log_level="critical", access_log=False, lifespan="off", http="h11", ws="none", loop="asyncio",
        date_header=False, server_header=False, timeout_graceful_shutdown=1, backlog=2048, interface="asgi3",
    )  # fmt: skip


class Simulator:
    """A simulator on a real socket of 127.0.0.1, served by a thread for as long as the block lasts."""

    def __init__(
        self,
        world: World,
        *,
        quotas: Mapping[str, Quota | None] | None = None,
        check_shapes: bool = False,
        port: int = 0,
    ) -> None:
        self.world, self.faults = world, Faults()
        self.app = app(world, faults=self.faults, quotas=quotas, check_shapes=check_shapes)
        self._desk: Desk = self.app.state.desk
        self._port = port
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None
        self.url = ""

    @property
    def requests(self) -> list[Seen]:
        """Return the requests so far, oldest first."""
        return list(self._desk.requests)

    def forget(self) -> None:
        """Empty the request log."""
        self._desk.requests.clear()

    def base_url(self, provider: str) -> str:
        """Return what a connection of a provider sets as its base_url."""
        return f"{self.url}/{provider}"

    def start(self) -> Self:
        """Serve; returns once requests are answered."""
        listener = _listener("127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        server = self._server = uvicorn.Server(_config(self.app))
        self._thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="simulator", daemon=True)
        self._thread.start()
        deadline = monotonic() + _START_SECONDS_MAX
        while not server.started:
            if not self._thread.is_alive() or monotonic() > deadline:
                raise RuntimeError("the simulator did not start")
            sleep(0.002)
        return self

    def stop(self) -> None:
        """Close every connection and end the thread."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(_START_SECONDS_MAX)
            self._server = self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(
    host: str = "127.0.0.1",
    port: int = 9100,
    seed: int = 1,
    *,
    today: date | None = None,
    days: int = 120,
    rows_per_day: int | None = None,
    scale: int = 1,
) -> None:
    """Serve a world until interrupted; the first line on stdout is its URL.

    Null: `today` None takes day and clock from the machine.
    """
    live = today is None and rows_per_day is None
    world = (
        World.live(seed, days, scale=scale)
        if live
        else World(seed, today or World.live(seed).today, days, rows_per_day=rows_per_day, scale=scale)
    )
    listener = _listener(host, port)
    sys.stdout.write(f"http://{host}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(_config(app(world))).run(sockets=[listener])
