"""Whole syncs over real sockets: a world, its simulator, a configuration, a ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from outlay.config import Config, Connection
from outlay.simulator import FACES, Simulator, World
from outlay.store import Ledger
from outlay.sync import Report, run
from outlay.sync.engine import Settings
from outlay.sync.plan import Span

TODAY = date(2026, 11, 22)
LEVELS = ("organization", "user", "enterprise")
KEYS = {"openai": "sim-openai-admin", "anthropic": "sim-anthropic-admin", "github": "sim-github-classic"}


@dataclass
class Bench:
    """One world and one home; `sync` runs the real engine against it."""

    simulator: Simulator
    home: Path
    providers: tuple[str, ...] = ("openai", "anthropic", "github")
    days: int = 20
    datasets: dict[str, tuple[str, ...]] | None = None
    level: str = "organization"
    keys: dict[str, str] | None = None
    clock_ahead: timedelta = timedelta()

    @property
    def world(self) -> World:
        """Return the world behind the simulator."""
        return self.simulator.world

    @property
    def first(self) -> date:
        """Return the first day that is synced."""
        return self.world.today - timedelta(days=self.days)

    def clock(self) -> Any:
        """Return the world's time, as far off as the test wants it."""
        return self.world.now() + self.clock_ahead

    def config(self) -> Config:
        """Return a configuration with one connection per provider, named after it."""
        return Config(
            path=None,
            currency="USD",
            store=None,
            state=None,
            home=self.home,
            connections={provider: self.connection(provider) for provider in self.providers},
        )

    def connection(self, provider: str) -> Connection:
        """Return a provider's connection to its simulated self."""
        options = {k: v for k, v in FACES[provider].options.items() if k not in LEVELS or k == self.level}
        return Connection(
            name=provider,
            provider=provider,
            credential=f"env:{provider.upper()}_KEY",
            base_url=self.simulator.base_url(provider),
            since=self.first,
            datasets=(self.datasets or {}).get(provider),
            options=options,
            allow_http=False,
        )

    def environ(self) -> dict[str, str]:
        """Return an environment that holds each provider's key."""
        return {f"{provider.upper()}_KEY": key for provider, key in {**KEYS, **(self.keys or {})}.items()}

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger for the length of the block."""
        with Ledger.open(self.home, clock=self.clock) as ledger:
            yield ledger

    def sync(self, *connections: str, span: Span | None = None, **wire: Any) -> Report:
        """Sync and return the report; `wire` settings (attempts, seconds) go to every wire."""
        with self.ledger() as ledger:
            return run(
                self.config(),
                ledger,
                connections=connections,
                span=span or Span(),
                settings=Settings(clock=self.clock, environ=self.environ(), wire=_impatient(wire)),
            )

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query over the ledger."""
        with self.ledger() as ledger:
            return [tuple(row) for row in ledger.query(sql, parameters).rows]

    def billed(self, provider: str) -> Any:
        """Return the ledger's billed total of one provider."""
        found = self.rows("SELECT sum(BilledCost) FROM charges WHERE x_Provider = ?", provider)
        return found[0][0] or 0


def _impatient(wire: dict[str, Any]) -> Callable[..., Any]:
    from outlay.wire.client import Wire

    async def at_once(_seconds: float) -> None:
        """Let no test wait for a vendor."""

    def made(*args: Any, **kwargs: Any) -> Wire:
        return Wire(*args, **{**kwargs, "sleep": at_once, **wire})

    return made


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Return a maker of benches; their simulators end with the test."""
    running: list[Simulator] = []

    def make(seed: int = 3, *, days: int = 20, world_days: int = 40, **fields: Any) -> Bench:
        quotas = dict.fromkeys(FACES)
        simulator = Simulator(World(seed, TODAY, world_days), quotas=quotas).start()
        running.append(simulator)
        return Bench(simulator, tmp_path / f"home-{len(running)}", days=days, **fields)

    yield make
    for simulator in running:
        simulator.stop()
