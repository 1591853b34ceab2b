"""Organizations at Supabase: their projects, the add-ons and disks of these, and the requests of every hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import TrueCharge, TrueLimit, TrueUsage, Truth

SERVICES = ("auth", "realtime", "rest", "storage")
PRICES: dict[str, tuple[str, str, str, Decimal]] = {
    # variant: its type, name, interval and price
    "ci_micro": ("compute_instance", "Micro", "hourly", Decimal("0.01344")),
    "ci_small": ("compute_instance", "Small", "hourly", Decimal("0.0206")),
    "ci_medium": ("compute_instance", "Medium", "hourly", Decimal("0.0822")),
    "ipv4_default": ("ipv4", "IPv4", "monthly", Decimal(4)),
    "pitr_7": ("pitr", "7 days", "monthly", Decimal(100)),
    "cd_default": ("custom_domain", "Custom Domain", "monthly", Decimal(10)),
}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ORGANIZATIONS = (("sim-pro", "Sim Pro", "pro"), ("sim-free", "Sim Free", "free"), ("sim-own", "Sim Own", "enterprise"))
_GROWS_EVERY_DAYS = 9
_GROWN_ON = 21
"""The day of a month from which the first project has a larger machine."""


@dataclass(frozen=True, slots=True)
class Organization:
    """One organization and its plan."""

    slug: str
    name: str
    plan: str


@dataclass(frozen=True, slots=True)
class Project:
    """One project; `busy` tells whether anyone uses it at all."""

    ref: str
    name: str
    organization: str
    status: str = "ACTIVE_HEALTHY"
    busy: bool = True
    branch: bool = False
    paid: bool = True
    number: int = 0


@dataclass(frozen=True, slots=True)
class Hour:
    """The requests of one project in one hour, by service in the order of `SERVICES`."""

    ref: str
    hour: int
    counts: tuple[int, int, int, int]


def doubled(hour: Hour) -> Hour:
    """Return twice as many requests, and one more where there were none."""
    first, *rest = (2 * count for count in hour.counts)
    return replace(hour, counts=(first + 1, rest[0], rest[1], rest[2]))


class SupabaseAccount(Account):
    """What one token sees."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.organizations = [] if plot.empty else [Organization(*each) for each in _ORGANIZATIONS]
        self.projects = [] if plot.empty else list(self._projects())
        self.hours: Diary[Hour] = Diary(plot, self._day, doubled)
        self.diaries["requests"] = self.hours
        self.counts_broken = False
        self.counts_gone = False
        """Every series is empty, as where what answers swallows an error of its own."""
        """Whether the vendor answers request counts with an error that has status 200."""

    def _projects(self) -> list[Project]:
        found = []
        for number in range(4 * self.plot.scale):
            branch, paused = number == 1, number % 4 == 3
            found.append(
                Project(
                    self._ref("pro", number), f"Shop {number}", "sim-pro", branch=branch, number=number,
                    status="INACTIVE" if paused else "ACTIVE_HEALTHY",
                )
            )  # fmt: skip
        found.append(Project(self._ref("free", 0), "Blog", "sim-free", paid=False))
        found.append(Project(self._ref("free", 1), "Idle", "sim-free", paid=False, busy=False))
        found.append(Project(self._ref("own", 0), "Core", "sim-own", status="ACTIVE_UNHEALTHY"))
        return found

    def _ref(self, *about: object) -> str:
        return "".join(self.plot.random("ref", *about).choices(_LETTERS, k=20))

    @property
    def awake(self) -> list[Project]:
        """Return the projects that run."""
        return [project for project in self.projects if project.status.startswith("ACTIVE")]

    def _day(self, _day: date, chance: Random) -> list[Hour]:
        refs = [project.ref for project in self.awake if project.busy]
        return [Hour(ref, hour, self._counts(chance, hour)) for hour in range(24) for ref in refs]

    @staticmethod
    def _counts(chance: Random, hour: int) -> tuple[int, int, int, int]:
        if chance.random() < 0.2:
            return (0, 0, 0, 0)
        most = 40 if hour < 7 else 900
        return (chance.randrange(most), chance.randrange(9), chance.randrange(most * 4), chance.randrange(most))

    def variants(self, project: Project, day: date) -> list[str]:
        """Return the add-ons a project has on a day; the first one's machine grows within a month."""
        if not project.paid:
            return []
        if project.number == 0:
            return ["ci_medium" if day.day >= _GROWN_ON else "ci_small", "ipv4_default", "pitr_7", "cd_default"]
        return ["ci_micro"]

    def disk_gb(self, project: Project, day: date) -> int:
        """Return what is provisioned on a day; it grows every few days."""
        return 8 + project.number + (day - date(2026, 1, 1)).days // _GROWS_EVERY_DAYS

    def disk_used(self, project: Project, day: date) -> int:
        """Return the bytes in use on a day."""
        return self.plot.random("disk", project.ref, day).randrange(10**9, 7 * 10**9)

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts: nothing is billed that the API would tell, requests and disks are."""
        return Truth(
            self.plot.first_day,
            self.plot.today,
            self._charges,
            self._usage,
            limits=[
                TrueLimit("disk", f"project:{project.ref}", "storage", None, "bytes", "") for project in self.awake
            ],
            names={
                "organization": {each.slug: each.name for each in self.organizations},
                "project": {each.ref: each.name for each in self.projects},
            },
        )

    def _charges(self, _day: date) -> Sequence[TrueCharge]:
        return ()

    def _usage(self, day: date) -> Sequence[TrueUsage]:
        rows = [
            TrueUsage(day, "api_counts", f"{service}_requests", Decimal(count), {"sub_account": hour.ref})
            for hour in self.hours.on(day)
            for service, count in zip(SERVICES, hour.counts, strict=True)
        ]
        for project in self.awake:
            size = Decimal(24 * self.disk_gb(project, day))
            rows.append(TrueUsage(day, "disk", "provisioned_disk", size, {"sub_account": project.ref}))
        return rows

    def listed(self, day: date) -> dict[tuple[str, str], Decimal]:
        """Return what a day's add-ons cost at list price, by project and variant, rounded as a ledger rounds."""
        days = ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - day.replace(day=1)).days
        found = {}
        for project in self.awake:
            for variant in self.variants(project, day):
                _, _, interval, price = PRICES[variant]
                cost = price * 24 if interval == "hourly" else (price / days).quantize(Decimal("1e-18"))
                found[project.ref, variant] = cost
        return found
