"""Tests of keeping invented money out of a ledger of real money."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from outlay.cli.probe import prove
from outlay.cli.settings import Settings as Given
from outlay.clock import system_clock
from outlay.config import Config, Connection
from outlay.errors import UnreachableError
from outlay.store import Ledger
from outlay.sync.engine import Settings, run

LIVE, SANDBOX = "rk_live_" + "0", "rk_test_" + "0"
MIXED = "trial opens a sandbox of Stripe beside shop, which holds real money"


class Asked(list[str]):
    """Stands in for the wire: notes who would have asked a vendor, and is not connected."""

    def __call__(self, _provider: object, name: str, *_: object, **__: object) -> Any:
        """Open a connection that leads nowhere."""
        self.append(name)
        raise UnreachableError("nobody is there")


def configured(home: Path, **providers: str) -> Config:
    """Return a configuration of connections, each with a key in a variable of its own name."""
    connections = {name: Connection(name, provider, f"env:{name}") for name, provider in providers.items()}
    return Config(None, "USD", None, None, home, connections)


def codes(config: Config, keys: dict[str, str], only: tuple[str, ...] = ()) -> tuple[dict[str, str], list[str]]:
    """Sync, and return how each connection ended and who asked its vendor."""
    asked = Asked()
    with Ledger.open(config.home, clock=system_clock) as ledger:
        report = run(config, ledger, connections=only, settings=Settings(environ=keys, wire=asked))
    return {each.connection: each.problems[0].code for each in report.connections}, asked


@pytest.mark.parametrize("only", [(), ("trial",)], ids=["all", "alone"])
def test_a_sandbox_beside_a_live_account_is_not_read(tmp_path: Path, only: tuple[str, ...]) -> None:
    """Where another key of the vendor is live, a sandbox is refused before anything is asked; the live one is not."""
    config = configured(tmp_path, shop="stripe", trial="stripe")
    ended, asked = codes(config, {"shop": LIVE, "trial": SANDBOX}, only)
    assert ended == ({} if only else {"shop": "unreachable"}) | {"trial": "config"}
    assert asked == ([] if only else ["shop"])


@pytest.mark.parametrize(
    "keys",
    [
        {"shop": SANDBOX, "trial": SANDBOX},
        {"shop": "simulated", "trial": SANDBOX},
        {"trial": SANDBOX},
    ],
    ids=["both", "unknown kind", "no key"],
)
def test_a_sandbox_alone_is_read(tmp_path: Path, keys: dict[str, str]) -> None:
    """Sandboxes side by side, a key of no known kind and one that is not there stand in no sandbox's way."""
    config = configured(tmp_path, shop="stripe", trial="stripe", openai="openai")
    ended, asked = codes(config, {"openai": "no real key", **keys})
    assert ended == {"shop": ended["shop"], "trial": "unreachable", "openai": "unreachable"}
    assert "trial" in asked


def test_doctor_says_so_too(tmp_path: Path) -> None:
    """Who asks beforehand hears what a sync would say, and no vendor is asked."""
    config = configured(tmp_path, shop="stripe", trial="stripe")
    settings = Given(environ={"shop": LIVE, "trial": SANDBOX})
    asked = Asked()
    proof = asyncio.run(prove(config.connections["trial"], config.connections.values(), settings, asked))
    assert ([problem.message for problem in proof.problems], asked) == ([MIXED], [])
    assert "--home" in proof.problems[0].hint
