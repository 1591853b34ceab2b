"""GitHub's billing of an organization, a person and an enterprise with cost centres.

Units: dollars, as binary floating point leaves them; a truth is the exact decimal of the shortest text of the float.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import EXACT, TrueCharge, TrueUsage, Truth

CREDITS_SINCE = date(2026, 6, 1)
DELETED_SINCE = date(2026, 10, 15)
ORGANIZATION, USER, ENTERPRISE = "sim-org", "sim-user", "sim-enterprise"
ENTERPRISE_ORGANIZATIONS = ("sim-east", "sim-west")
MODELS = ("GPT-5.5", "Claude Sonnet 5", "Auto: Claude Haiku 5")
PEOPLE = ("dana", "eli", "farid")


@dataclass(frozen=True, slots=True)
class Sku:
    """A thing GitHub bills: its id and how the two reports spell it."""

    id: str
    product: str
    product_title: str
    title: str
    unit: str
    unit_id: str
    price: float


SKUS = {
    sku.id: sku
    for sku in (
        Sku("actions_linux", "actions", "Actions", "Actions Linux", "Minutes", "minutes", 0.006),
        Sku("actions_windows", "actions", "Actions", "Actions Windows", "Minutes", "minutes", 0.01),
        Sku("actions_macos", "actions", "Actions", "Actions macOS", "Minutes", "minutes", 0.062),
        Sku("actions_storage", "actions", "Actions", "Actions storage", "GigabyteHours", "gigabyte-hours", 0.00033602),
        Sku("packages_bandwidth", "packages", "Packages", "Packages data transfer", "Gigabytes", "gigabytes", 0.5),
        Sku(
            "git_lfs_storage",
            "git_lfs",
            "Git LFS",
            "Git LFS storage",
            "GigabyteHours",
            "gigabyte-hours",
            0.0000940860215,
        ),
        Sku("codespaces_compute_d4", "codespaces", "Codespaces", "Codespaces compute 4-core", "Hours", "hours", 0.36),
        Sku("models_inference", "models", "Models", "Models inference", "TokenUnits", "token-units", 1.35e-7),
        Sku("copilot_for_business", "copilot", "Copilot", "Copilot Business", "UserMonths", "user-months", 19.0),
        Sku("copilot_ai_credits", "copilot", "Copilot", "Copilot AI Credits", "ai-credits", "ai-credits", 0.01),
        Sku("copilot_premium_request", "copilot", "Copilot", "Copilot Premium Request", "requests", "requests", 0.04),
        Sku("ghec_licenses", "ghec", "GHEC", "GitHub Enterprise Cloud", "UserMonths", "user-months", 21.0),
    )
}
_IN_REPOSITORIES = tuple(SKUS)[:7]


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository; public ones are free of charge, `deleted` ones live on in old rows."""

    owner: str
    name: str
    public: bool = False
    deleted: bool = False

    @property
    def full(self) -> str:
        """Return owner/name."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True)
class Share:
    """One person's part of an item with one model."""

    person: str
    model: str
    quantity: Decimal
    discounted: Decimal


@dataclass(frozen=True, slots=True)
class Item:
    """One line of usage: a SKU of an organization or person, in a repository or not, in a cost centre or not."""

    second: int
    sku: Sku
    owner: str
    repository: Repository | None
    cost_centre: str | None
    quantity: Decimal
    discounted: Decimal
    shares: tuple[Share, ...] = ()

    @property
    def gross(self) -> float:
        """Return the list price of the quantity."""
        return float(self.quantity) * self.sku.price

    @property
    def discount(self) -> float:
        """Return what the plan or the openness of the repository covers."""
        return self.gross if self.discounted == self.quantity else float(self.discounted) * self.sku.price

    @property
    def net(self) -> float:
        """Return what is billed."""
        return self.gross - self.discount


def stated(amount: float) -> Decimal:
    """Return the exact decimal of a float's JSON text."""
    return Decimal(repr(amount))


def doubled(item: Item) -> Item:
    """Return an item with twice the quantity."""
    two = Decimal(2)
    shares = tuple(
        replace(share, quantity=EXACT.multiply(share.quantity, two), discounted=EXACT.multiply(share.discounted, two))
        for share in item.shares
    )
    return replace(
        item,
        quantity=EXACT.multiply(item.quantity, two),
        discounted=EXACT.multiply(item.discounted, two),
        shares=shares,
    )


@dataclass(slots=True)
class CostCentre:
    """A cost centre of the enterprise."""

    id: str
    name: str
    state: str
    resources: list[dict[str, str]]


class GitHubAccount(Account):
    """One customer's organization, personal account and enterprise, each billed by itself."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.cost_centres = [] if plot.empty else self._cost_centres()
        self.budgets = {scope: [] if plot.empty else self._budgets(scope) for scope in ("organization", "enterprise")}
        self.reports: dict[str, dict[str, Any]] = {}
        self._repositories = {
            scope: [repo for owner in owners for repo in self._owned(owner)]
            for scope, owners in (
                ("organization", (ORGANIZATION,)),
                ("user", (USER,)),
                ("enterprise", ENTERPRISE_ORGANIZATIONS),
            )
        }
        for scope in self._repositories:
            self.diaries[scope] = Diary(plot, lambda day, chance, s=scope: self._day(s, day, chance), doubled)  # type: ignore[misc]

    def uuid(self, *about: object) -> str:
        """Return an invented UUID that is the same in every world of this seed."""
        return str(UUID(int=self.plot.random("uuid", *about).getrandbits(128), version=4))

    def items(self, scope: str, day: date) -> tuple[Item, ...]:
        """Return the lines of a day."""
        diary: Diary[Item] = self.diaries[scope]
        return diary.on(day)

    def _owned(self, owner: str) -> list[Repository]:
        repos = [
            Repository(owner, "api"),
            Repository(owner, "web"),
            Repository(owner, "docs", public=True),
            Repository(owner, "gone", deleted=True),
        ]
        count = max(4 * (self.plot.scale - 1), -(-(self.plot.rows_per_day or 0) // len(_IN_REPOSITORIES)) - len(repos))
        return repos + [Repository(owner, f"service-{n:03}") for n in range(count)]

    def _cost_centres(self) -> list[CostCentre]:
        east, west = ENTERPRISE_ORGANIZATIONS
        return [
            CostCentre(
                self.uuid("centre", 0),
                "Platform",
                "active",
                [{"type": "Repo", "name": f"{east}/api"}, {"type": "Org", "name": west}],
            ),
            CostCentre(
                self.uuid("centre", 1), "Research & développement", "active", [{"type": "User", "name": "dana"}]
            ),
            CostCentre(self.uuid("centre", 2), "Closed in spring", "deleted", []),
        ]

    def _budgets(self, scope: str) -> list[dict[str, Any]]:
        entity = ORGANIZATION if scope == "organization" else ENTERPRISE
        chance = self.plot.random("budgets", scope)
        kinds = [
            ("ProductPricing", "actions"),
            ("ProductPricing", "copilot"),
            ("SkuPricing", "actions_linux"),
            ("SkuPricing", "copilot_ai_credits"),
        ]
        budgets = []
        for n in range(13):
            kind, target = kinds[n % len(kinds)]
            where, name = ((scope, entity), ("repository", f"{entity}/api"), ("user", PEOPLE[n % 3]))[
                0 if n < 4 else 1 + n % 2
            ]
            if scope == "enterprise" and n == 12:
                where, name = "multi_user_customer", entity
            budget = {
                "id": self.uuid("budget", scope, n),
                "budget_type": kind,
                "budget_product_sku": target,
                "budget_scope": where,
                "budget_entity_name": name,
                "budget_amount": 50 * chance.randrange(1, 40),
                "prevent_further_usage": n % 3 == 0,
                "budget_alerting": {"will_alert": n % 2 == 0, "alert_recipients": ["dana"] if n % 2 == 0 else []},
            }
            budgets.append(
                budget | ({"user": name, "consumed_amount": chance.randrange(9000) / 100} if where == "user" else {})
            )
        return budgets

    def _day(self, scope: str, day: date, chance: Random) -> list[Item]:
        repos = self._repositories[scope]
        if self.plot.rows_per_day is not None:
            pairs = [(SKUS[sku], repo) for repo in repos for sku in _IN_REPOSITORIES][: self.plot.rows_per_day]
            return [self._item(chance, sku, repo.owner, repo) for sku, repo in pairs]
        if chance.random() < 0.06:
            return []
        items = [
            self._item(chance, SKUS[sku], repo.owner, repo, self._centre(scope, repo, chance))
            for repo in repos
            if not (repo.deleted and day >= DELETED_SINCE)
            for sku in _IN_REPOSITORIES
            if chance.random() < 0.35
        ]
        if scope == "enterprise" and items and chance.random() < 0.5:  # one repository in two cost centres on one day
            twin = items[0]
            other = self.cost_centres[2].id if twin.cost_centre != self.cost_centres[2].id else self.cost_centres[1].id
            items.append(self._item(chance, twin.sku, twin.owner, twin.repository, other))
        for owner in dict.fromkeys(repo.owner for repo in repos):
            items += self._owner_items(scope, owner, day, chance)
        chance.shuffle(items)
        return items

    def _centre(self, scope: str, repo: Repository, chance: Random) -> str | None:
        if scope != "enterprise":
            return None
        if repo.deleted:
            return self.cost_centres[2].id
        if repo.full == f"{ENTERPRISE_ORGANIZATIONS[0]}/api" or repo.owner == ENTERPRISE_ORGANIZATIONS[1]:
            return self.cost_centres[0].id
        return None if chance.random() < 0.8 else self.cost_centres[1].id

    def _owner_items(self, scope: str, owner: str, day: date, chance: Random) -> Iterable[Item]:
        centre = self.cost_centres[0].id if scope == "enterprise" and owner == ENTERPRISE_ORGANIZATIONS[1] else None
        if chance.random() < 0.8:
            sku = SKUS["copilot_ai_credits" if day >= CREDITS_SINCE else "copilot_premium_request"]
            yield self._shared(chance, sku, owner, centre, (owner,) if scope == "user" else PEOPLE)
        if chance.random() < 0.4:
            yield self._item(chance, SKUS["models_inference"], owner, None, centre)
        if scope != "user":
            seats = Decimal(chance.randrange(1, 400)) / 1000
            yield Item(0, SKUS["copilot_for_business"], owner, None, centre, seats, Decimal(0))
        if scope == "enterprise" and day.day == 1:
            yield Item(0, SKUS["ghec_licenses"], owner, None, None, Decimal(12), Decimal(0))

    def _item(self, chance: Random, sku: Sku, owner: str, repo: Repository | None, centre: str | None = None) -> Item:
        whole = sku.unit == "Minutes"
        quantity = Decimal(chance.randrange(1, 900)) if whole else Decimal(chance.randrange(1, 40_000_000)).scaleb(-6)
        if sku.id == "models_inference":
            quantity = Decimal(chance.randrange(1, 4000))
        mood, discounted = chance.random(), Decimal(0)
        if (repo and repo.public) or mood < 0.3:
            discounted = quantity
        elif mood < 0.6:
            discounted = Decimal(chance.randrange(1, 100)) / 100 * quantity
        return Item(chance.randrange(86_400), sku, owner, repo, centre, quantity, discounted)

    def _shared(self, chance: Random, sku: Sku, owner: str, centre: str | None, people: Iterable[str]) -> Item:
        shares = []
        for person in people:
            for model in MODELS:
                if chance.random() < 0.6:
                    quantity = Decimal(chance.randrange(1, 90_000)) / 10
                    shares.append(Share(person, model, quantity, chance.choice((Decimal(0), quantity, quantity / 2))))
        quantity = sum((share.quantity for share in shares), Decimal(0))
        discounted = sum((share.discounted for share in shares), Decimal(0))
        return Item(chance.randrange(86_400), sku, owner, None, centre, quantity, discounted, tuple(shares))

    def charges_on(self, scope: str, day: date) -> list[TrueCharge]:
        """Return the lines of a day; `listed` is the gross amount."""
        return [
            TrueCharge(
                day,
                item.owner,
                item.sku.title,
                item.repository.full if item.repository else None,
                stated(item.net),
                stated(item.gross),
                "USD",
                item.quantity,
                item.sku.unit,
                self._dims(item),
            )
            for item in self.items(scope, day)
        ]

    def _dims(self, item: Item) -> dict[str, str | None]:
        return {
            "sku_id": item.sku.id,
            "product": item.sku.product,
            "cost_center_id": item.cost_centre,
            "unit_id": item.sku.unit_id,
            "discount": format(stated(item.discount), "f"),
        }

    def usage_on(self, scope: str, day: date) -> list[TrueUsage]:
        """Return the quantities of a day: dataset `usage` by SKU id, `ai_credit` and `premium_request` by model."""
        rows = []
        for item in self.items(scope, day):
            where = {
                "sub_account": item.owner,
                "repository": item.repository.full if item.repository else None,
                **self._dims(item),
            }
            rows.append(TrueUsage(day, "usage", item.sku.id, item.quantity, where))
            dataset = "premium_request" if item.sku.id == "copilot_premium_request" else "ai_credit"
            rows += [
                TrueUsage(
                    day, dataset, item.sku.id, share.quantity, where | {"model": share.model, "user": share.person}
                )
                for share in item.shares
            ]
        return rows

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the organization (the default), the user or the enterprise."""
        scope = scope or "organization"
        names: dict[str, dict[str, str | None]] = {
            "cost_center": {centre.id: centre.name for centre in self.cost_centres}
        }
        return Truth(
            self.plot.first_day,
            self.plot.today,
            lambda day: self.charges_on(scope, day),
            lambda day: self.usage_on(scope, day),
            (),
            tuple(self.budgets.get(scope, ())),
            names,
        )
