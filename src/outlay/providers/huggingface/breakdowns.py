"""Hugging Face's breakdowns: by resource group, by inference session, by job.

A breakdown tells again what the totals and the runs hold, so its money is a measurement that is part of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.basis import Basis
from outlay.model.facts import Usage
from outlay.model.money import Money, exact
from outlay.model.period import Period, parse_time
from outlay.providers.base import Ask, Endpoint, IsoWindow
from outlay.providers.huggingface.totals import EACH, ENDPOINTS, INFERENCE, JOBS, NO_PLAN, NO_ROLE, SPACES

_STORAGE = "Storage"
_CENT, _MICRO = -2, -6


class Compute(Struct, rename="camel", gc=False):
    """One product of a group; cents may have fractions."""

    uptime_sec: Decimal = Decimal(0)
    cost_cents: Decimal = Decimal(0)


class Computes(Struct, gc=False):
    """A group's compute by product."""

    spaces: Compute = field(default_factory=Compute)
    endpoints: Compute = field(default_factory=Compute)
    jobs: Compute = field(default_factory=Compute)


class Requests(Struct, rename="camel", gc=False):
    """Routed inference of a group or a session."""

    request_count: Decimal = Decimal(0)
    cost_cents: Decimal = Decimal(0)


class Storage(Struct, gc=False):
    """Peak gigabytes of a month, for which no cost is told."""

    private: Decimal = field(default=Decimal(0), name="privateGB")
    public: Decimal = field(default=Decimal(0), name="publicGB")


class Group(Struct, gc=False):
    """A resource group of a month; without an id, what belongs to none."""

    id: str | None = None
    inference: Requests = field(default_factory=Requests)
    storage: Storage = field(default_factory=Storage)
    compute: Computes = field(default_factory=Computes)


class GroupMonth(Struct, rename="camel", gc=False):
    """One month."""

    period: str
    resource_groups: list[Group] = []


class Groups(Struct, gc=False):
    """Months by resource group."""

    currency: str
    periods: list[GroupMonth] = []


def resource_groups(page: Groups, ask: Ask) -> Iterator[Usage]:
    """Turn months by resource group into measurements: cost, requests, seconds, and the peak of storage.

    Units:  cents, fractions allowed; storage in gigabytes and not in anything else that is stored.
    Null:   a group without an id is what belongs to none.
    Source: https://huggingface.co/docs/hub/security-resource-groups
    """
    for month in page.periods:
        period = _month(month.period, ask)
        if period is None:
            continue
        for group in month.resource_groups:
            of = _Part(period, ask.item, group.id or "none")
            yield from of.use(INFERENCE, "requests", "requests", group.inference.request_count)
            yield from of.cost(INFERENCE, group.inference.cost_cents, page.currency)
            computes = (
                (SPACES, group.compute.spaces),
                (ENDPOINTS, group.compute.endpoints),
                (JOBS, group.compute.jobs),
            )
            for service, compute in computes:
                yield from of.use(service, "uptime", "seconds", compute.uptime_sec)
                yield from of.cost(service, compute.cost_cents, page.currency)
            for meter, gigabytes in (("private_peak", group.storage.private), ("public_peak", group.storage.public)):
                yield from of.use(_STORAGE, meter, "gb", gigabytes)


class _Part(Struct, frozen=True):
    """Where measurements of one month and one part belong."""

    period: Period
    organization: str | None
    resource: str

    def whole(self, service: str) -> str | None:
        """Return the dataset that holds a service's money already; none holds storage."""
        dataset = {INFERENCE: "usage", JOBS: "usage", SPACES: "compute", ENDPOINTS: "compute"}.get(service)
        return f"organization_{dataset}" if dataset and self.organization else dataset

    def use(self, service: str, meter: str, unit: str, quantity: Decimal) -> Iterator[Usage]:
        """Yield a quantity unless it is zero."""
        if quantity:
            yield Usage(
                usage_period=self.period,
                meter=meter,
                unit=unit,
                quantity=exact(quantity),
                service_name=service,
                sub_account_id=self.organization,
                resource_id=self.resource,
                part_of=self.whole(service),
            )

    def cost(self, service: str, cents: Decimal, currency: str) -> Iterator[Usage]:
        """Yield a cost in cents as money by another name."""
        if cents:
            amount = Money.from_minor(cents, currency)
            yield Usage(
                usage_period=self.period,
                meter="cost",
                unit=amount.currency,
                quantity=amount.amount,
                service_name=service,
                sub_account_id=self.organization,
                resource_id=self.resource,
                part_of=self.whole(service),
                basis=Basis.BILLED,
            )


def _month(text: str, ask: Ask) -> Period | None:
    """Return a month that was asked for; the answer reaches to this moment whatever was asked."""
    month = Period.of_month(parse_time(text).date())
    return month if ask.period.start <= month.start < ask.period.end else None


class Session(Struct, rename="camel", gc=False):
    """A session of routed inference, named by the caller."""

    id: str
    request_count: Decimal = Decimal(0)
    cost_cents: Decimal = Decimal(0)


class SessionMonth(Struct, gc=False):
    """One month."""

    period: str
    sessions: list[Session] = []


class Sessions(Struct, gc=False):
    """Months by session."""

    currency: str
    periods: list[SessionMonth] = []


def sessions(page: Sessions, ask: Ask) -> Iterator[Usage]:
    """Turn months by session into measurements that are part of the totals.

    Units: cents, fractions allowed.
    """
    for month in page.periods:
        period = _month(month.period, ask)
        for session in month.sessions if period is not None else ():
            assert period is not None
            of = _Part(period, ask.item, session.id)
            yield from of.use(INFERENCE, "requests", "requests", session.request_count)
            yield from of.cost(INFERENCE, session.cost_cents, page.currency)


class Job(Struct, rename="camel", gc=False):
    """One job; without `completed_at` it goes on."""

    job_id: str
    hardware_flavor: str
    started_at: str
    total_minutes: Decimal = Decimal(0)
    total_cost_micro_usd: Decimal = Decimal(0)


class JobList(Struct, rename="camel", gc=False):
    """The jobs of the present subscription period."""

    job_details: list[Job] = []


class JobReport(Struct, gc=False):
    """The jobs and their sum, which the totals hold too."""

    usage: JobList


def jobs(page: JobReport, ask: Ask) -> Iterator[Usage]:
    """Turn the jobs that began in the asked month into measurements that are part of the totals.

    Units: millionths of a dollar; minutes.
    """
    for job in page.usage.job_details:
        start = parse_time(job.started_at)
        if not ask.period.start <= start < ask.period.end:
            continue
        period = Period.of_day(start.date())
        for meter, unit, quantity, basis in (
            ("minutes", "minutes", job.total_minutes, None),
            ("cost", "USD", job.total_cost_micro_usd.scaleb(_MICRO), Basis.BILLED),
        ):
            if quantity:
                yield Usage(
                    usage_period=period, meter=meter, unit=unit, quantity=exact(quantity), service_name=JOBS,
                    sku_id=f"jobs/{job.hardware_flavor}/minutes", resource_id=job.job_id, part_of="usage", basis=basis,
                )  # fmt: skip


# The answer reaches to this moment; an end in the future is not asked for.
_SINCE = IsoWindow("startDate", "", days_max=366)

RESOURCE_GROUPS = Endpoint(
    name="resource_groups", path="/api/organizations/{name}/billing/usage-by-resource-group", window=_SINCE, each=EACH,
    refusals=(*NO_ROLE, NO_PLAN), page=Groups, facts=resource_groups,
)  # fmt: skip
SESSIONS = Endpoint(
    name="sessions", path="/api/settings/billing/usage-by-inference-session", window=_SINCE, page=Sessions,
    facts=sessions,
)  # fmt: skip
ORGANIZATION_SESSIONS = Endpoint(
    name="organization_sessions", path="/api/organizations/{name}/billing/usage-by-inference-session", window=_SINCE,
    each=EACH, refusals=NO_ROLE, page=Sessions, facts=sessions,
)  # fmt: skip
JOB_DETAILS = Endpoint(name="jobs", path="/api/settings/billing/usage/jobs", page=JobReport, facts=jobs)
