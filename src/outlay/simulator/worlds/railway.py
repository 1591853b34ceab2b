"""Railway's workspaces: projects with services, what they use, and the account of the customer who pays.

Units: quantities are binary floats as the vendor sends them: a truth is the exact decimal of the float's shortest text.
       Prices are dollars per 43,200 unit-minutes, and per GB sent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from random import Random
from typing import Any
from uuid import UUID

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import EXACT, TrueCharge, TrueLimit, TrueUsage, Truth, at_ledger_scale, exact_sum

_DIVIDING = Context(prec=400, rounding=ROUND_HALF_EVEN)
_MONTH = Decimal(43_200)
PRICES: dict[str, tuple[Decimal, Decimal]] = {
    "CPU_USAGE": (Decimal(20), _MONTH),
    "MEMORY_USAGE_GB": (Decimal(10), _MONTH),
    "DISK_USAGE_GB": (Decimal("0.15"), _MONTH),
    "BACKUP_USAGE_GB": (Decimal("0.15"), _MONTH),
    "NETWORK_TX_GB": (Decimal("0.05"), Decimal(1)),
}
MEASURED = (*PRICES, "NETWORK_RX_GB", "EPHEMERAL_DISK_USAGE_GB", "CPU_USAGE_2")
_RANGES = {"CPU_USAGE": 2880, "MEMORY_USAGE_GB": 9000, "NETWORK_TX_GB": 12, "NETWORK_RX_GB": 30}
DELETED_ON = date(2026, 11, 10)
ANCHOR_DAY = 8
MAIN, SIDE = "main", "side"


@dataclass(frozen=True, slots=True)
class Thing:
    """A service or environment; a deleted one lives on in old use."""

    id: str
    name: str
    deleted_at: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A project with what it holds."""

    id: str
    name: str
    services: tuple[Thing, ...]
    environments: tuple[Thing, ...]
    deleted_at: str | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace, which is what is billed."""

    id: str
    name: str
    customer_id: str
    projects: tuple[Project, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """What one service, or none, used of one thing on one day."""

    project: str | None
    environment: str | None
    service: str | None
    measurement: str
    value: Decimal

    @property
    def cost(self) -> Decimal | None:
        """Return what it costs, as a ledger keeps one row; None where it is not billed."""
        price = PRICES.get(self.measurement)
        if price is None:
            return None
        return at_ledger_scale(_DIVIDING.divide(EXACT.multiply(self.value, price[0]), price[1]))


def doubled(use: Use) -> Use:
    """Return twice the use."""
    return replace(use, value=EXACT.multiply(use.value, Decimal(2)))


@dataclass(slots=True)
class Money:
    """What the customer's account holds beside its use; a test may set `unmeasured` or the limits."""

    unmeasured: Decimal = Decimal(0)
    """Dollars of the period that no measurement exposes, such as buckets."""
    credit_balance: Decimal = Decimal("-12.5")
    applied_credits: Decimal = Decimal("3.25")
    soft_limit: int = 75
    hard_limit: int | None = 125
    agent_used_cents: int = 1234
    invoices: list[dict[str, Any]] = field(default_factory=list)


class RailwayAccount(Account):
    """One person's two workspaces; a workspace's token opens the main one."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.workspaces = {name: self._workspace(name) for name in (MAIN, SIDE)}
        self.money = {name: Money(invoices=[] if plot.empty else self._invoices(name)) for name in (MAIN, SIDE)}
        for name in self.workspaces:
            self.diaries[name] = Diary(plot, lambda day, chance, n=name: self._day(n, day, chance), doubled)  # type: ignore[misc]

    def uuid(self, *about: object) -> str:
        """Return an invented UUID that is the same in every world of this seed."""
        return str(UUID(int=self.plot.random("uuid", *about).getrandbits(128), version=4))

    def _workspace(self, name: str) -> Workspace:
        gone = f"{DELETED_ON}T09:00:00.000Z"
        titles = [] if self.plot.empty else ["shop", "gone"] if name == MAIN else ["lab"]
        titles += [f"fleet-{n:03}" for n in range(self.plot.scale - 1)]
        projects = tuple(
            Project(
                id=self.uuid(name, title),
                name=title,
                services=tuple(
                    Thing(self.uuid(name, title, service), service, gone if "gone" in (title, service) else None)
                    for service in ("web", "worker", "gone")
                ),
                environments=(
                    Thing(self.uuid(name, title, "production"), "production"),
                    Thing(self.uuid(name, title, "staging"), "staging"),
                ),
                deleted_at=gone if title == "gone" else None,
            )
            for title in titles
        )
        return Workspace(self.uuid(name), f"{name.title()} & Co", self.uuid(name, "customer"), projects)

    def _day(self, name: str, day: date, chance: Random) -> list[Use]:
        workspace = self.workspaces[name]
        if self.plot.rows_per_day is not None:
            billed, project = tuple(PRICES), workspace.projects[0]
            place = project.environments[0].id
            return [
                _use(chance, project.id, place, self.uuid(name, "bench", n // len(billed)), billed[n % len(billed)])
                for n in range(self.plot.rows_per_day)
            ]
        found: list[Use] = []
        if chance.random() < 0.04:
            return found
        for project in workspace.projects:
            for environment in project.environments:
                for service in project.services:
                    if service.deleted_at and str(day) > service.deleted_at[:10]:
                        continue
                    if environment.name == "staging" and chance.random() < 0.5:
                        continue
                    found += [
                        _use(chance, project.id, environment.id, service.id, measurement)
                        for measurement in MEASURED
                        if measurement in _RANGES or chance.random() < 0.3
                    ]
            # Traffic and memory that the vendor could not tell whose they were.
            found.append(_use(chance, project.id, None, None, "NETWORK_TX_GB"))
        if workspace.projects and chance.random() < 0.4:
            found.append(_use(chance, None, None, None, "MEMORY_USAGE_GB"))
        chance.shuffle(found)
        # Lines that cost something stand first and last, so that a restatement of either moves money.
        moving = [use for use in found if use.cost]
        return moving[:1] + [use for use in found if not use.cost] + moving[1:]

    def _invoices(self, name: str) -> list[dict[str, Any]]:
        start, _ = self.period(name)
        found = []
        for n in range(3):
            end = start
            start = (end.replace(day=1) - timedelta(days=1)).replace(day=ANCHOR_DAY)
            cents = self.plot.random("invoice", name, n).randrange(500, 9000)
            as_text = n == 1  # the vendor has been seen to write both
            found.append(
                {
                    "invoiceId": f"in_{self.plot.name('', 'invoice', name, n)}",
                    "status": "paid" if n else None,
                    "total": cents,
                    "amountDue": Decimal(cents),
                    "amountPaid": Decimal(cents if n else 0),
                    "periodStart": str(int(start.timestamp())) if as_text else iso(start),
                    "periodEnd": str(int(end.timestamp())) if as_text else iso(end),
                    "items": [
                        {"itemId": "si_1", "priceId": "price_1", "productId": "prod_pro",
                         "priceDollars": Decimal(20), "quantity": 1}
                    ],
                }
            )  # fmt: skip
        return found

    def period(self, _name: str) -> tuple[datetime, datetime]:
        """Return the billing period that is running, anchored mid-month."""
        today = self.plot.today
        first = today.replace(day=1) if today.day >= ANCHOR_DAY else (today.replace(day=1) - timedelta(days=1))
        start = datetime(first.year, first.month, ANCHOR_DAY, tzinfo=UTC)
        after = (start.replace(day=1) + timedelta(days=32)).replace(day=ANCHOR_DAY)
        return start, after

    def current_usage(self, name: str) -> Decimal:
        """Return the running period's dollars as the vendor states them: with what no measurement exposes."""
        day, amounts = self.period(name)[0].date(), [self.money[name].unmeasured]
        while day <= self.plot.today:
            amounts += [use.cost for use in self.uses(name, day) if use.cost is not None]
            day += timedelta(days=1)
        return exact_sum(amounts).quantize(Decimal("0.0001"), context=_DIVIDING)

    def uses(self, name: str, day: date) -> tuple[Use, ...]:
        """Return what a workspace used on a day."""
        diary: Diary[Use] = self.diaries[name]
        return diary.on(day)

    def charges_on(self, name: str, day: date) -> list[TrueCharge]:
        """Return the billed lines of a day."""
        return [
            TrueCharge(day, use.project, use.measurement, use.service, use.cost, use.cost, "USD", use.value,
                       dims={"environment": use.environment})
            for use in self.uses(name, day)
            if use.cost is not None
        ]  # fmt: skip

    def usage_on(self, name: str, day: date) -> list[TrueUsage]:
        """Return the measurements of a day."""
        return [
            TrueUsage(day, "usage", use.measurement, use.value,
                      {"sub_account": use.project, "resource": use.service, "environment": use.environment})
            for use in self.uses(name, day)
        ]  # fmt: skip

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of a workspace: the main one's, or those of "side"."""
        name = scope or MAIN
        workspace, money = self.workspaces[name], self.money[name]
        where = f"workspace:{workspace.id}"
        projects = workspace.projects
        hard = None if not money.hard_limit else Decimal(money.hard_limit)
        return Truth(
            self.plot.first_day,
            self.plot.today,
            lambda day: self.charges_on(name, day),
            lambda day: self.usage_on(name, day),
            limits=(
                TrueLimit("compute hard limit", where, "spend", hard, "USD", "billing period"),
                TrueLimit("agent hard limit", where, "spend", Decimal(50), "USD", "billing period"),
            ),
            names={
                "project": {project.id: project.name for project in projects},
                "service": {each.id: each.name for project in projects for each in project.services},
                "environment": {each.id: each.name for project in projects for each in project.environments},
            },
        )

    def restate(self, day: date, change: Any, scope: str | None = None) -> None:
        """Change one day of the main workspace, or of another."""
        self.diaries[scope or MAIN].restate(day, change)


def _use(chance: Random, project: str | None, environment: str | None, service: str | None, measurement: str) -> Use:
    idle = chance.random() < 0.03
    value = Decimal(0) if idle else Decimal(repr(chance.random() * _RANGES.get(measurement, 1500)))
    return Use(project, environment, service, measurement, value)


def iso(moment: datetime) -> str:
    """Return a time as the vendor writes it."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
