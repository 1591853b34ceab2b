"""What a simulated Google customer has: billing accounts, projects and the SKUs that are used."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from outlay.simulator.worlds.base import Plot

GEMINI, VERTEX, COMPUTE, STORAGE = "AEFD-7695-64FA", "C7E2-9256-1C43", "6F81-5844-456A", "95FF-2EF5-5EA1"
SERVICES = {GEMINI: "Gemini API", VERTEX: "Vertex AI", COMPUTE: "Compute Engine", STORAGE: "Cloud Storage"}
USD, EUR = "usd", "eur"
"""The two billing accounts, by the currency they pay in; the first is the main one."""
RATES = {USD: Decimal(1), EUR: Decimal("0.86")}
DEFAULT_MODEL, CUD_MODEL = ("7754-699E-0EBF", "Default"), ("D97B-0795-975B", "Compute Engine CUD - 1 Year")


@dataclass(frozen=True, slots=True)
class Sku:
    """One thing that is priced. Units: `price` is US dollars per pricing unit of `factor` base units."""

    id: str
    service: str
    text: str
    unit: str
    pricing_unit: str
    factor: int
    price: Decimal
    region: str | None
    group: str
    resource: str | None = None


SKUS = (
    Sku("911A-8880-A243", GEMINI, "Generate content output token count gemini 2.5 flash short input text", "count",
        "count", 1, Decimal("0.0000025"), None, "OutputText"),
    Sku("5B2D-1103-77C0", GEMINI, "Generate content input token count gemini 2.5 flash short input text", "count",
        "count", 1, Decimal("0.0000003"), None, "InputText"),
    Sku("77E1-40BB-1D9A", GEMINI, "Generate content cached input token count gemini 2.5 flash text", "count",
        "count", 1, Decimal("0.000000075"), None, "InputText"),
    Sku("0DA4-6C51-E2F7", VERTEX, "Gemini 2.5 Pro Text Output - Predictions", "count",
        "count", 1, Decimal("0.00001"), "us-central1", "Predictions", "endpoints"),
    Sku("2E27-4F75-95CD", COMPUTE, "E2 Instance Core running in Belgium", "seconds",
        "hour", 3600, Decimal("0.02411284"), "europe-west1", "CPU", "instances"),
    Sku("A1F3-0B6D-5C28", COMPUTE, "Commitment - dollar based v1: GCE for 1 year", "seconds",
        "hour", 3600, Decimal("0.01"), None, "Commitment"),
    Sku("E5F0-6A5D-7BAD", STORAGE, "Standard Storage Belgium", "byte-seconds",
        "gibibyte month", 2_876_000_000_000_000, Decimal("0.02"), "europe-west1", "RegionalStorage", "buckets"),
    Sku("F0D2-3A19-44BE", STORAGE, "Regional Standard Class A Operations", "requests",
        "count", 1, Decimal("0.000005"), "europe-west1", "RegionalOps", "buckets"),
)  # fmt: skip
COMMITMENT = SKUS[5]
MACHINE = SKUS[4]


@dataclass(frozen=True, slots=True)
class Project:
    """A project as its rows name it."""

    id: str
    number: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class BillingAccount:
    """A billing account and what is charged to it."""

    key: str
    id: str
    name: str
    currency: str
    projects: tuple[Project, ...]
    open: bool = True

    @property
    def underscored(self) -> str:
        """Return the id as table names hold it."""
        return self.id.replace("-", "_")


def billing_accounts(plot: Plot) -> dict[str, BillingAccount]:
    """Return a customer's two billing accounts."""
    made = {}
    for key, name, currency in ((USD, "Sim US", "USD"), (EUR, "Sim EU", "EUR")):
        digits = f"{plot.random('billing account', key).getrandbits(72):018X}"
        names = ("research", "shop", "batch") if key == USD else ("portal", "data")
        projects = tuple(
            _project(plot, key, name, n, names[n % len(names)]) for n in range(len(names) * plot.scale)
        )  # fmt: skip
        id_ = f"{digits[:6]}-{digits[6:12]}-{digits[12:]}"
        made[key] = BillingAccount(key, id_, name, currency, projects, key == USD or plot.label != "closed")
    return made


def _project(plot: Plot, key: str, account: str, n: int, name: str) -> Project:
    chance = plot.random("project", key, n)
    labels = (("team", name), ("env", "prod")) if n % 2 == 0 else ()
    number = f"{chance.randrange(10**11, 10**12)}"
    return Project(f"sim-{name}-{chance.randrange(10**6):06}", number, f"{account} {name}", labels)
