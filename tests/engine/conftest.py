"""Whole syncs over real sockets: a world, its simulator, a configuration, a ledger.

After each test everything a bench has written, logged or reported is searched for the credentials it was given.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from outlay.config import Config, Connection
from outlay.simulator import FACES, Simulator, World
from outlay.store import Ledger
from outlay.sync import Report, run
from outlay.sync.engine import Settings
from outlay.sync.plan import Span
from outlay.sync.shard import Shard

TODAY = date(2026, 11, 22)
LEVELS = ("organization", "user", "enterprise")
KEYS = {"openai": "sim-openai-admin", "anthropic": "sim-anthropic-admin", "github": "sim-github-classic",
        "elevenlabs": "sim-elevenlabs-reader",
        "stripe": "sim-stripe-restricted", "supabase": "sim-supabase-full",
        "railway": "sim-railway-workspace"}  # fmt: skip
ROWS = {
    "openai": ("project_id", "line_item", "api_key_id"),
    "anthropic": (
        "workspace_id", "api_key_id", "model", "service_tier", "context_window", "cost_type", "token_type",
    ),
    "github": ("sub_account", "sku_id", "resource", "cost_center_id", "unit"),
    "elevenlabs": ("product_type", "model", "fiat_charge_type"),
    "stripe": ("sub_account", "sku", "resource", "balance_transaction"),
}  # fmt: skip
"""How finely each vendor's answer is grouped: what a ledger's row is."""
LINE = {
    "openai": ("SubAccountId, ChargeDescription, ResourceId", ("project_id", "line_item", "api_key_id")),
    "anthropic": ("SubAccountId, x_ApiKeyId", ("workspace_id", "api_key_id")),
    "github": ("SubAccountId, SkuId, ResourceId", ("sub_account", "sku_id", "resource")),
    "elevenlabs": (
        "split_part(ChargeDescription, ', ', 1), x_Model, SkuMeter",
        ("product_type", "model", "fiat_charge_type"),
    ),
    "stripe": ("SkuId, ResourceId", ("sku", "resource")),
}
"""Our columns of a line and the truth's names for them."""
Days = dict[date, dict[tuple[Any, ...], Decimal]]


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
    labels: dict[str, str] = field(default_factory=dict)
    """Further connections: a name and the label of the OpenAI account that it opens."""
    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What a connection has otherwise than the others."""
    reports: list[Report] = field(default_factory=list)

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
            connections={
                **{provider: self.connection(provider) for provider in self.providers},
                **{name: self.connection("openai", name) for name in self.labels},
            },
        )

    def connection(self, provider: str, name: str = "") -> Connection:
        """Return a provider's connection to its simulated self."""
        options = {k: v for k, v in FACES[provider].options.items() if k not in LEVELS or k == self.level}
        name = name or provider
        fields: dict[str, Any] = {
            "name": name,
            "provider": provider,
            "credential": f"env:{_variable(name)}",
            "base_url": self.simulator.base_url(provider),
            "since": self.first,
            "datasets": (self.datasets or {}).get(provider),
            "options": options,
            "allow_http": False,
        }
        return Connection(**{**fields, **self.changes.get(name, {})})

    def environ(self) -> dict[str, str]:
        """Return an environment that holds each connection's key; one of None is not set."""
        labelled = {name: f"{KEYS['openai']}:{label}" for name, label in self.labels.items()}
        keys: dict[str, str | None] = {**KEYS, **labelled, **(self.keys or {})}
        return {_variable(name): key for name, key in keys.items() if key is not None}

    def credentials(self) -> set[str]:
        """Return every key this bench was given."""
        return set(self.environ().values())

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger for the length of the block."""
        with Ledger.open(self.home, clock=self.clock) as ledger:
            yield ledger

    def sync(self, *connections: str, span: Span | None = None, shard: Shard | None = None, **wire: Any) -> Report:
        """Sync and return the report; `wire` settings (attempts, seconds) go to every wire."""
        with self.ledger() as ledger:
            report = run(
                self.config(),
                ledger,
                connections=connections,
                span=span or Span(),
                shard=shard,
                settings=Settings(clock=self.clock, environ=self.environ(), wire=_impatient(wire)),
            )
        self.reports.append(report)
        return report

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return the rows of a query over the ledger."""
        with self.ledger() as ledger:
            return [tuple(row) for row in ledger.query(sql, parameters).rows]

    def billed(self, provider: str) -> Any:
        """Return the ledger's billed total of one provider."""
        found = self.rows("SELECT sum(BilledCost) FROM charges WHERE x_Provider = ?", provider)
        return found[0][0] or 0

    def days_of(self, provider: str, connection: str = "") -> Days:
        """Return the ledger's lines of each day that has any, those of nothing left out."""
        return self._lines(provider).get(connection or provider, {})

    def _lines(self, provider: str) -> dict[str, Days]:
        found: dict[str, list[tuple[Any, ...]]] = {}
        for row in self.rows(
            f"SELECT x_Connection, ChargePeriodStart::DATE, sum(BilledCost), {LINE[provider][0]} FROM charges"
            " WHERE x_Provider = ? GROUP BY ALL",
            provider,
        ):
            found.setdefault(row[0], []).append((row[1], row[3:], row[2]))
        return {connection: _by_day(lines) for connection, lines in found.items()}

    def true_days(self, provider: str, connection: str = "") -> Days:
        """Return the world's lines of each synced day that has any."""
        truth = self.world.truth(provider, self.labels.get(connection, ""))
        spends = truth.spend(("day", *LINE[provider][1]), self.first, rows=ROWS[provider])
        return _by_day((key[0], key[1:], spend.billed) for key, spend in spends.items())

    def right(self, *connections: str) -> bool:
        """Return whether the ledger is the world's truth, to the last digit of each line of each day."""
        wanted: dict[str, list[str]] = {}
        for name in connections or (*self.providers, *self.labels):
            wanted.setdefault(name if name in KEYS else "openai", []).append(name)
        found = {provider: self._lines(provider) for provider in wanted}
        return all(
            found[provider].get(name, {}) == self.true_days(provider, name)
            for provider, names in wanted.items()
            for name in names
        )

    def leaks(self, texts: Iterable[str], credentials: set[str] | None = None) -> list[str]:
        """Return where a credential can be read: in texts, in any file below the home, in what its tables hold."""
        import duckdb

        keys = credentials or self.credentials()
        found = [f"text {text[:200]!r}" for text in texts for key in keys if key in text]
        tables: dict[str, list[str]] = {}
        for path in self.home.rglob("*"):
            content = path.read_bytes() if path.is_file() else b""
            found += [str(path) for key in keys if key.encode() in content]
            if path.suffix == ".parquet" and content.endswith(b"PAR1") and "ledger" in path.parts:
                tables.setdefault(path.relative_to(self.home / "ledger").parts[0], []).append(str(path))
        for name, files in tables.items():
            # Compression may hide a key from a plain search.
            texts = duckdb.sql(f"SELECT t::VARCHAR FROM read_parquet({files}, union_by_name = true) t").fetchall()
            found += [f"rows of {name}" for key in keys if any(key in text for (text,) in texts)]
        return found


def _by_day(lines: Any) -> Days:
    days: Days = {}
    for day, line, amount in lines:
        if amount:
            days.setdefault(day, {})[line] = amount
    return days


def _variable(connection: str) -> str:
    return f"{connection.upper().replace('-', '_')}_KEY"


def _impatient(wire: dict[str, Any]) -> Callable[..., Any]:
    from outlay.wire.client import Wire

    def made(*args: Any, **kwargs: Any) -> Wire:
        skipped = [0.0]

        async def at_once(seconds: float) -> None:
            """Let no test wait for a vendor: the time is skipped."""
            skipped[0] += seconds
            await asyncio.sleep(0)

        def monotonic() -> float:
            return time.monotonic() + skipped[0]

        return Wire(*args, **{**kwargs, "sleep": at_once, "monotonic": monotonic, **wire})

    return made


@pytest.fixture
def bench(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Bench]]:
    """Return a maker of benches; their simulators end with the test, and no credential may have gone anywhere."""
    made: list[Bench] = []
    caplog.set_level(logging.DEBUG)

    def make(seed: int = 3, *, days: int = 20, world_days: int = 40, **fields: Any) -> Bench:
        simulator = Simulator(World(seed, TODAY, world_days), quotas=dict.fromkeys(FACES)).start()
        made.append(Bench(simulator, tmp_path / f"home-{len(made)}", days=days, **fields))
        return made[-1]

    yield make
    for one in made:
        one.simulator.stop()
    for one in made:
        texts = [caplog.text, *(json.dumps(report.to_json()) for report in one.reports)]
        assert one.leaks(texts) == []


@dataclass
class Outside:
    """A bench whose syncs are processes of their own: `outlay sync` with a configuration file, on the real clock."""

    bench: Bench
    config: Path
    told: list[str] = field(default_factory=list)
    """Everything commands have said."""

    def start(self, *arguments: str, through: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start a command, by another program where one is named, and return its process."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        places = ("--config", str(self.config), "--home", str(self.bench.home))
        return subprocess.Popen(
            [*through, sys.executable, "-m", "outlay", *arguments, *places],
            env={**inherited, **self.bench.environ(), "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end; return its status and what it said on stdout and stderr."""
        process = self.start(*arguments)
        out, err = process.communicate()
        self.told.extend((out, err))
        return process.returncode, out, err

    def peak(self, *arguments: str) -> tuple[int, str, int]:
        """Run a command; return its status, what it said, and the most bytes its process held."""
        process = self.start(*arguments, through=(sys.executable, "-c", MEASURED))
        out, err = process.communicate()
        self.told.extend((out, err))
        *_, kilobytes = out.split()
        return process.returncode, err, int(kilobytes) * 1024


MEASURED = """
import resource, subprocess, sys
status = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""
"""A process of little memory in between: one that is started counts what its parent held until then as its own."""


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Callable[..., Outside]]:
    """Return a maker of benches that are synced by processes; what these said and wrote is searched for keys."""
    made: list[Outside] = []

    def make(seed: int = 3, *, days: int = 4, **fields: Any) -> Outside:
        simulator = Simulator(World.live(seed, days + 2), quotas=dict.fromkeys(FACES)).start()
        one = Bench(simulator, tmp_path / f"home-{len(made)}", days=days, **fields)
        config = tmp_path / f"outlay-{len(made)}.toml"
        config.write_text(_toml(one))
        made.append(Outside(one, config))
        return made[-1]

    yield make
    for each in made:
        each.bench.simulator.stop()
    for each in made:
        assert each.bench.leaks(each.told) == []


def _toml(bench: Bench) -> str:
    tables = []
    for name, connection in bench.config().connections.items():
        values: dict[str, Any] = {
            "provider": connection.provider,
            "credential": connection.credential,
            "base_url": connection.base_url,
            "since": str(connection.since),
            **connection.options,
        }
        if connection.datasets:
            values["datasets"] = list(connection.datasets)
        tables.append("\n".join([f"[connections.{name}]", *(f"{key} = {json.dumps(v)}" for key, v in values.items())]))
    return "\n\n".join(tables)
