"""The simulated vendors: one seeded world, served over HTTP as strictly as the vendors serve theirs.

    from outlay.simulator import Simulator, World

    world = World(seed=7, today=date(2026, 11, 22), days=120)
    with Simulator(world) as simulator:
        simulator.base_url("openai")           # "http://127.0.0.1:PORT/openai": a connection's base_url
        world.truth("openai").total()          # the exact total; .spend(by=…), .usage(by=…), .limits, .names
        simulator.faults.add("rate_limit", provider="openai", path="*costs", delay=2, times=3)
        world.restate("openai", day, "up")     # or "down", "nothing": faces and truth change together
        simulator.requests                     # what arrived, without credentials

Credentials are `FACES[provider].keys`, the options a connection needs are `FACES[provider].options`. A credential
followed by ":label" opens a further account of its own ("sim-openai-admin:team-b", `world.truth("openai", "team-b")`);
the label "empty" is an account without anything in it. `app(world)` is the same as an ASGI application for in-process
transports, `serve(…)` and `python -m outlay.simulator` are the same as a process.

Google's credential is a key file: `service_account_key(simulator.base_url("google"))`.

Over HTTP: POST, GET and DELETE /_control/faults, POST /_control/restate, GET /_control/truth, /_control/requests.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlay.simulator.faces import FACES
    from outlay.simulator.faces.base import Quota
    from outlay.simulator.faults import Faults
    from outlay.simulator.google_key import service_account_key
    from outlay.simulator.server import Simulator, app, serve
    from outlay.simulator.world import World

__all__ = ["FACES", "Faults", "Quota", "Simulator", "World", "app", "serve", "service_account_key"]

_HOMES = {
    "FACES": "faces",
    "Faults": "faults",
    "Quota": "faces.base",
    "Simulator": "server",
    "World": "world",
    "app": "server",
    "serve": "server",
    "service_account_key": "google_key",
}


def __getattr__(name: str) -> Any:
    """Load the web stack on first use only."""
    if name not in _HOMES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
