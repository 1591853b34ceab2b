"""An organization at Anthropic: workspaces, people, keys, limits, and what each day used and cost.

Units: the vendor speaks of cents with fractions; truths are dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import product
from random import Random
from typing import Any

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import EXACT, TrueCharge, TrueLimit, TrueUsage, Truth, exact_sum

# Cents per thousand input tokens; every other price is a multiple of it.
MODELS: dict[str, tuple[str, Decimal]] = {
    "claude-opus-5": ("Claude Opus 5", Decimal("0.5")),
    "claude-sonnet-5": ("Claude Sonnet 5", Decimal("0.3")),
    "claude-haiku-5": ("Claude Haiku 5", Decimal("0.1")),
    "claude-sonnet-4-5-20250929": ("Claude Sonnet 4.5", Decimal("0.3")),
}
TOKEN_TYPES: dict[str, tuple[str, Decimal]] = {
    "uncached_input_tokens": ("Input Tokens", Decimal(1)),
    "output_tokens": ("Output Tokens", Decimal(5)),
    "cache_read_input_tokens": ("Input Tokens, Cache Read", Decimal("0.1")),
    "cache_creation.ephemeral_5m_input_tokens": ("Input Tokens, Cache Write (5m)", Decimal("1.25")),
    "cache_creation.ephemeral_1h_input_tokens": ("Input Tokens, Cache Write (1h)", Decimal(2)),
}
_MULTIPLES = {"batch": Decimal("0.5"), "200k-1M": Decimal(2), "us": Decimal("1.1"), "fast": Decimal(6)}
_ONE = Decimal(1)
COST_DIMS = ("cost_type", "model", "token_type", "service_tier", "context_window", "inference_geo", "speed")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace; old reports write the default one as null, the analytics write its id."""

    id: str
    name: str
    archived: bool = False
    default: bool = False


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody or something that calls: a person, who may have left, or a service account."""

    id: str
    name: str | None
    email: str | None
    service: bool = False
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a workspace; one that is not `listed` was deleted."""

    id: str
    name: str
    workspace: Workspace
    actor: Actor
    status: str = "active"
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Cost:
    """One cost of a run in cents: `amount` after, `listed` before the discount."""

    cost_type: str
    token_type: str | None
    amount: Decimal
    listed: Decimal


@dataclass(frozen=True, slots=True)
class Run:
    """One run of calls. `dims` has the vendor's dimension names with real workspace ids."""

    minute: int
    workspace: Workspace
    key: ApiKey | None
    actor: Actor | None
    dims: dict[str, str | None]
    tokens: Mapping[str, int]
    searches: int
    requests: int
    costs: tuple[Cost, ...]

    def cost_dims(self, cost: Cost) -> dict[str, str | None]:
        """Return the dimensions the cost reports know of one cost."""
        if cost.cost_type != "tokens":
            return {**dict.fromkeys(COST_DIMS), "cost_type": cost.cost_type}
        return {name: self.dims.get(name) for name in COST_DIMS} | {
            "cost_type": "tokens",
            "token_type": cost.token_type,
        }


def doubled(run: Run) -> Run:
    """Return a run with twice the use and twice the cost."""
    return replace(
        run,
        tokens={name: 2 * count for name, count in run.tokens.items()},
        searches=2 * run.searches,
        requests=2 * run.requests,
        costs=tuple(
            replace(cost, amount=EXACT.add(cost.amount, cost.amount), listed=EXACT.add(cost.listed, cost.listed))
            for cost in run.costs
        ),
    )


def described(dims: Mapping[str, str | None]) -> str:
    """Return the description of a cost; different dimensions have different descriptions."""
    if dims["cost_type"] != "tokens":
        return str(dims["cost_type"]).replace("_", " ").title() + " Usage"
    title, label = MODELS[str(dims["model"])][0], TOKEN_TYPES[str(dims["token_type"])][0]
    marks = [text for name, text in _MARKS.items() if name in dims.values()]
    return f"{title} Usage - {label}" + (f" ({', '.join(marks)})" if marks else "")


_MARKS = {"batch": "Batch", "200k-1M": "200k-1M context", "us": "US", "fast": "Fast"}


class AnthropicAccount(Account):
    """One organization at Anthropic."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.id = plot.name("org-", "organization")
        self.discount = plot.random("discount").choice((_ONE, Decimal("0.9"), Decimal("0.925")))
        self.workspaces = self._workspaces()
        self.default = self.workspaces[0]
        self.actors = self._actors()
        self.keys = self._keys()
        self.runs: Diary[Run] = Diary(plot, self._day, doubled)
        self.diaries["organization"] = self.runs

    def _workspaces(self) -> list[Workspace]:
        name = self.plot.name
        spaces = [Workspace(name("wrkspc_", "default"), "Default", default=True)]
        if self.plot.empty:
            return spaces
        spaces += [Workspace(name("wrkspc_", title), title) for title in ("Production", "Évaluations", "")]
        spaces.append(Workspace(name("wrkspc_", "archived"), "Pilot 2025", archived=True))
        return spaces + [
            Workspace(name("wrkspc_", "extra", n), f"Team {n:03}") for n in range(5 * (self.plot.scale - 1))
        ]

    def _actors(self) -> list[Actor]:
        name = self.plot.name
        people = [
            Actor(name("user_", n), who, f"{(who or 'x').lower()}@example.com")
            for n, who in enumerate(("Cleo", "Dmitri", None))
        ]
        people.append(Actor(name("user_", "gone"), None, None, deleted=True))
        return [*people, Actor(name("svac_", "robot"), "robot", None, service=True)]

    def _keys(self) -> list[ApiKey]:
        keys = []
        for n, (space, k) in enumerate(product(self.workspaces, range(2))):
            status = ("active", "active", "inactive", "archived", "expired")[n % 5]
            keys.append(
                ApiKey(
                    self.plot.name("apikey_", n, k), f"key {n}", space, self.actors[n % 5], status, listed=n % 7 != 6
                )
            )
        return keys

    def _day(self, day: date, chance: Random) -> list[Run]:
        if self.plot.rows_per_day is not None:
            kinds = product(self.workspaces, MODELS, ("standard", "batch"), ("0-200k", "200k-1M"), ("global", "us"))
            chosen = [kind for kind, _ in zip(kinds, range(-(-self.plot.rows_per_day // 5)), strict=False)]
            return [self._run(chance, space, *rest, speed="standard") for space, *rest in chosen]
        mood = chance.random()
        if mood < 0.06:
            return []
        runs = [self._drawn(chance, key) for key in self.keys for _ in MODELS if chance.random() < 0.2]
        runs.append(self._drawn(chance, None))
        if mood > 0.9:
            amount = Decimal(-chance.randrange(1, 90_000)).scaleb(-3)
            dims = runs[0].dims | {"service_tier": "standard"}
            cost = Cost("tokens", "output_tokens", amount, amount)
            runs.append(replace(runs[0], dims=dims, tokens={}, searches=0, requests=0, costs=(cost,)))
        chance.shuffle(runs)
        return runs

    def _drawn(self, chance: Random, key: ApiKey | None) -> Run:
        model, tier = chance.choice(tuple(MODELS)), chance.choices(("standard", "batch", "priority"), (8, 2, 1))[0]
        context, geo = chance.choice(("0-200k", "0-200k", "200k-1M")), chance.choice(("global", "global", "us"))
        speed = "fast" if tier == "standard" and chance.random() < 0.1 else "standard"
        space = key.workspace if key else self.default
        return self._run(chance, space, model, tier, context, geo, speed=speed, key=key)

    def _run(
        self,
        chance: Random,
        space: Workspace,
        model: str,
        tier: str,
        context: str,
        geo: str,
        *,
        speed: str,
        key: ApiKey | None = None,
    ) -> Run:
        bulk = self.plot.rows_per_day is not None
        tokens = {
            name: chance.randrange(1, 900_000)
            for name in TOKEN_TYPES
            if bulk or name == "output_tokens" or chance.random() < 0.8
        }
        searches = chance.randrange(1, 60) if not bulk and chance.random() < 0.25 else 0
        product_name = (
            "message_batches_api" if tier == "batch" else chance.choice(("messages_api", "messages_api", "claude_code"))
        )
        actor = key.actor if key else None if bulk else self.actors[0]
        dims: dict[str, str | None] = {
            "workspace_id": space.id,
            "api_key_id": key.id if key else None,
            "model": model,
            "service_tier": tier,
            "context_window": context,
            "inference_geo": geo,
            "speed": speed,
            "product": product_name if key else "claude_console",
            "account_id": actor.id if actor and not actor.service else None,
            "organization_id": self.id,
            "service_account_id": actor.id if actor and actor.service else None,
            "actor_type": _actor_type(actor, key),
        }
        costs = list(self._token_costs(chance, dims, tokens))
        if searches:
            costs.append(self._cost(chance, "web_search", None, Decimal(searches)))
        if not bulk and chance.random() < 0.1:
            costs.append(
                self._cost(
                    chance, chance.choice(("code_execution", "session_usage")), None, Decimal(chance.randrange(900)) / 8
                )
            )
        return Run(
            chance.randrange(1440), space, key, actor, dims, tokens, searches, chance.randrange(1, 900), tuple(costs)
        )

    def _token_costs(self, chance: Random, dims: Mapping[str, str | None], tokens: Mapping[str, int]) -> Iterable[Cost]:
        if dims["service_tier"] == "priority":  # committed capacity is never in the cost reports
            return
        factor = MODELS[str(dims["model"])][1]
        for mark, multiple in _MULTIPLES.items():
            factor = EXACT.multiply(factor, multiple if mark in dims.values() else _ONE)
        for name, count in tokens.items():
            listed = EXACT.multiply(EXACT.multiply(Decimal(count).scaleb(-3), factor), TOKEN_TYPES[name][1])
            yield self._cost(chance, "tokens", name, listed)

    def _cost(self, chance: Random, cost_type: str, token_type: str | None, listed: Decimal) -> Cost:
        amount = EXACT.multiply(listed, self.discount)
        mood = 1.0 if self.plot.rows_per_day else chance.random()
        if mood < 0.04:  # more decimals of a dollar than a ledger keeps
            amount = EXACT.add(amount, Decimal(chance.randrange(1, 1000)).scaleb(-20))
        elif mood < 0.3:
            amount = EXACT.add(amount, Decimal(chance.randrange(1, 1000)).scaleb(-14))
        elif mood < 0.35:
            amount, listed = Decimal(0), Decimal(0)
        return Cost(cost_type, token_type, amount, listed)

    def charges_on(self, day: date) -> list[TrueCharge]:
        """Return the cost lines of a day; the default workspace is its real id, `legacy_workspace_id` its null."""
        return [
            TrueCharge(
                day,
                run.workspace.id,
                described(dims),
                run.dims["api_key_id"],
                cost.amount.scaleb(-2),
                cost.listed.scaleb(-2),
                dims=run.dims
                | dims
                | {"description": described(dims), "legacy_workspace_id": legacy_id(run.workspace)},
            )
            for run in self.runs.on(day)
            for cost in run.costs
            for dims in (run.cost_dims(cost),)
        ]

    def usage_on(self, day: date) -> list[TrueUsage]:
        """Return the token classes, searches and requests of a day, dataset `usage`."""
        return [
            TrueUsage(day, "usage", meter, Decimal(count), run.dims | {"legacy_workspace_id": legacy_id(run.workspace)})
            for run in self.runs.on(day)
            if run.requests
            for meter, count in (*run.tokens.items(), ("web_search_requests", run.searches), ("requests", run.requests))
        ]

    def spend_limits(self) -> list[dict[str, Any]]:
        """Return the spend limits: scope, amount in cents or None for no cap."""
        if self.plot.empty:
            return []
        production = {"type": "workspace", "workspace_id": self.workspaces[1].id}
        return [
            {"scope": {"type": "organization"}, "amount": "500000", "is_enabled": True},
            {"scope": production, "amount": "120000", "is_enabled": True},
            {
                "scope": {"type": "workspace", "workspace_id": self.workspaces[2].id},
                "amount": None,
                "is_enabled": False,
            },
            {"scope": {"type": "usage_tier"}, "amount": "20000000", "is_enabled": True},
        ]

    def rate_limits(self) -> list[dict[str, Any]]:
        """Return the organization's rate limits: group, models, and values by limiter."""
        chance = self.plot.random("rates")
        groups: list[dict[str, Any]] = [
            {
                "group": {"type": "model_group", "id": f"rlg_{model}", "display_name": title},
                "models": [model],
                "limits": {
                    "requests_per_minute": 50 * chance.randrange(1, 80),
                    "output_tokens_per_minute": 1000 * chance.randrange(8, 400),
                    "input_tokens_per_minute_cache_aware": 1000 * chance.randrange(30, 2000),
                },
            }
            for model, (title, _) in MODELS.items()
        ]
        singles = {
            "batch": ("enqueued_batch_requests", 100_000),
            "token_count": ("requests_per_minute", 2000),
            "files": ("storage_bytes", 100 * 2**30),
            "skills": ("requests_per_minute", 100),
            "web_search": ("requests_per_second", 30),
        }
        return groups + [
            {"group": {"type": kind, "id": f"rlg_{kind}"}, "models": None, "limits": {limiter: value}}
            for kind, (limiter, value) in singles.items()
        ]

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the organization."""
        limits = [
            TrueLimit("spend_limit", limit["scope"].get("workspace_id") or limit["scope"]["type"], "spend",
                      None if limit["amount"] is None else Decimal(limit["amount"]).scaleb(-2), "USD", "month")
            for limit in self.spend_limits()
        ]  # fmt: skip
        limits += [
            TrueLimit(
                f"{rate['group']['id']}.{limiter}",
                None,
                "rate",
                Decimal(value),
                limiter,
                limiter.rpartition("_per_")[2],
            )
            for rate in self.rate_limits()
            for limiter, value in rate["limits"].items()
        ]
        names: dict[str, dict[str, str | None]] = {
            "workspace": {space.id: space.name for space in self.workspaces},
            "api_key": {key.id: key.name for key in self.keys if key.listed},
            "organization": {self.id: "Simulated organization"},
        }
        return Truth(self.plot.first_day, self.plot.today, self.charges_on, self.usage_on, limits, (), names)

    def spent_cents(self, actor: Actor, days: Iterable[date]) -> Decimal:
        """Return what one actor cost over some days."""
        return exact_sum(
            cost.amount for day in days for run in self.runs.on(day) if run.actor == actor for cost in run.costs
        )


def legacy_id(space: Workspace) -> str | None:
    """Return a workspace's id as the old reports write it."""
    return None if space.default else space.id


def _actor_type(actor: Actor | None, key: ApiKey | None) -> str | None:
    if actor is None:
        return "api_actor" if key else None
    return "service_account_actor" if actor.service else "user_actor"
