"""A workspace at ElevenLabs: products, keys, groups, and what each day used, in credits and in money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import EXACT, TrueCharge, TrueLimit, TrueUsage, Truth

CREDITS, MOVED = "credits", "moved"
"""Labels of further workspaces: one billed in credits, and one that moved from credits to cost on the way."""
PRODUCTS = {
    # product: its models, how its billed quantity is counted, and what one of that costs
    "TTS": (("eleven_multilingual_v2", "eleven_flash_v2_5"), "characters", "0.0000503"),
    "STT": (("scribe_v2",), "minutes", "0.0066666666666666671"),
    "Music": ((None,), "minutes", "0.31"),
    "Conversational AI": (("eleven_turbo_v2_5",), "minutes", "0.08"),
    "Conversational AI - LLM": (("gpt-6-astra",), "tokens", "0.00000213"),
}


PER_CREDIT = Decimal("0.00030")
"""What a credit beyond the plan costs."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one key did with one model of a product in a day; `cost` is in the workspace's currency."""

    product: str
    model: str | None
    key: str
    kind: str
    credits: int
    minutes: Decimal
    requests: int
    count: Decimal
    cost: Decimal


def doubled(use: Use) -> Use:
    """Return twice as much use."""
    return replace(
        use,
        credits=use.credits * 2,
        minutes=EXACT.multiply(use.minutes, Decimal(2)),
        requests=use.requests * 2,
        count=EXACT.multiply(use.count, Decimal(2)),
        cost=EXACT.multiply(use.cost, Decimal(2)) or Decimal("0.07"),
    )


class ElevenLabsAccount(Account):
    """One workspace at ElevenLabs."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.id = plot.name("", "workspace", length=28)
        self.user_id = plot.name("", "user", length=28)
        self.keys = [plot.name("", "key", n, length=32) for n in range(3 * plot.scale)]
        self.currency = "eur" if plot.label == "euro" else "usd"
        self.uses: Diary[Use] = Diary(plot, self._day, doubled)
        self.diaries["workspace"] = self.uses
        self.groups = {} if plot.empty else {plot.name("", "group", n): caps for n, caps in enumerate(_GROUPS)}
        people = () if plot.empty else enumerate(("Ada", None, "Gone"))
        self.members = [(plot.name("", "member", n, length=28), name, name == "Gone") for n, name in people]
        self.limit = 10_000 if plot.empty else plot.random("plan").choice((121_000, 600_000, 2_400_000))
        self.extension: int | str = 0 if plot.empty else plot.random("extension").choice((0, 100_000, "unlimited"))
        if plot.label == CREDITS:
            self.extension = "unlimited"
        self._left = 0 if plot.empty else plot.random("used").randrange(self.limit, self.limit + 40_000)

    @property
    def billed_by_cost_since(self) -> date:
        """Return the first day that is billed by cost; a day after the last where none is."""
        plot = self.plot
        if plot.label == CREDITS or plot.empty:
            return date(2099, 1, 1)
        return plot.today - timedelta(days=min(9, plot.days // 2)) if plot.label == MOVED else plot.first_day

    @property
    def moved(self) -> bool:
        """Return whether the workspace has ever been billed in credits."""
        return self.billed_by_cost_since > self.plot.first_day

    @property
    def used(self) -> int:
        """Return what the counter of credits says: since its reset, or as it was left where cost is billed."""
        if self.plot.label != CREDITS:
            return self._left
        days = ((self.plot.today - self.period_start).days + 1) if self.plot.today >= self.period_start else 0
        return sum(use.credits for n in range(days) for use in self.uses.on(self.period_start + timedelta(days=n)))

    @property
    def overage(self) -> Decimal:
        """Return what is due for credits beyond the plan since the reset."""
        if self.plot.label != CREDITS:
            return Decimal(0)
        return (max(0, self.used - self.limit) * PER_CREDIT).quantize(Decimal("0.01"))

    @property
    def period_start(self) -> date:
        """Return the day on which credits came back last: the fourth of a month."""
        fourth = self.plot.today.replace(day=4)
        return fourth if self.plot.today >= fourth else (fourth.replace(day=1) - timedelta(days=1)).replace(day=4)

    @property
    def reset(self) -> int | None:
        """Return when credits come back, in Unix seconds; the free plan says nothing."""
        if self.plot.empty:
            return None
        following = (self.period_start.replace(day=1) + timedelta(days=32)).replace(day=4)
        return int(datetime.combine(following, time(7, 30), UTC).timestamp())

    def _day(self, day: date, chance: Random) -> list[Use]:
        combos = [
            (product, model, key)
            for product, (models, _, _) in PRODUCTS.items()
            for model in models
            for key in self.keys
        ]
        if self.plot.rows_per_day is not None:
            wanted = [(f"Product {n}", None, self.keys[0]) for n in range(self.plot.rows_per_day)]
            return [self._use(chance, product, model, key) for product, model, key in wanted]
        if chance.random() < 0.08:
            return []
        return [self._use(chance, *combo) for combo in combos if chance.random() < 0.4]

    def _use(self, chance: Random, product: str, model: str | None, key: str) -> Use:
        _, kind, price = PRODUCTS.get(product, ((None,), "characters", "0.01"))
        count = Decimal(chance.randrange(1, 90_000)).scaleb(-chance.choice((3, 4)) if kind == "minutes" else 0)
        return Use(
            product,
            model,
            key,
            kind,
            credits=chance.randrange(1, 30_000),
            minutes=Decimal(chance.randrange(1, 9_000)).scaleb(-2),
            requests=chance.randrange(1, 300),
            count=count,
            # Some of what is used is granted and costs nothing.
            cost=EXACT.multiply(count, Decimal(price if chance.random() < 0.9 else 0)),
        )

    def truth(self, scope: str | None = None) -> Truth:
        """Return the workspace's true facts: money where it is billed by cost, credits on every day."""
        return Truth(
            self.plot.first_day,
            self.plot.today,
            self._charges,
            self._usage,
            limits=self._limits(),
            names={"account": {self.id: None}, "user": {user: name for user, name, _ in self.members}},
        )

    def _charges(self, day: date) -> Sequence[TrueCharge]:
        if day < self.billed_by_cost_since:
            return ()
        return [
            TrueCharge(day, None, use.product, None, use.cost, None, self.currency.upper(), use.count, use.kind,
                       {"product_type": use.product, "model": use.model, "fiat_charge_type": use.kind})
            for use in self.uses.on(day)
        ]  # fmt: skip

    def _usage(self, day: date) -> Sequence[TrueUsage]:
        by_cost = day >= self.billed_by_cost_since
        rows = []
        for use in self.uses.on(day):
            dims: dict[str, str | None] = {"product_type": use.product, "model": None if by_cost else use.model}
            dims["hashed_xi_api_key"] = None if by_cost else use.key
            measures: dict[str, Any] = {"credits": Decimal(use.credits)}
            if not by_cost:
                measures |= {"minutes": use.minutes, "requests": Decimal(use.requests)}
            rows += [TrueUsage(day, "usage", meter, quantity, dims) for meter, quantity in measures.items()]
        return rows

    def _limits(self) -> list[TrueLimit]:
        quota = None if self.extension == "unlimited" else Decimal(self.limit + int(self.extension))
        limits = [TrueLimit("credits", "workspace", "credit", quota, "credits", "month")]
        for group, caps in self.groups.items():
            cap = caps["group_usage_limit"]
            if cap is not None:
                amount = None if cap == "unlimited" else Decimal(cap)
                limits.append(TrueLimit("credits", f"group:{group}", "credit", amount, "credits", ""))
        return limits


_GROUPS: tuple[dict[str, Any], ...] = (
    {"name": "Everyone", "group_usage_limit": "unlimited", "group_concurrency_limit": None, "character_count": 81_250},
    {"name": "Localisation", "group_usage_limit": 50_000, "group_concurrency_limit": 5, "character_count": 12_000},
    {"name": "Trial", "group_usage_limit": None, "group_concurrency_limit": None, "character_count": None},
)
