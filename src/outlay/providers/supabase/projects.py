"""What Supabase tells of one project: list prices of its add-ons, API requests of the last days, its disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

from msgspec import Struct

from outlay.clock import month_start, next_month
from outlay.model.basis import Basis
from outlay.model.facts import Charge, Limit, LimitKind, Usage
from outlay.model.money import Money, exact, plus, product, ratio
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import PAIR, Ask, Endpoint, FanOut, Rate, Refusal
from outlay.providers.supabase.organizations import lacking

REACH_DAYS = 6
"""How many whole days before today an answer for seven times 24 hours reaches back."""
HOURS = Decimal(24)
CURRENCY = "USD"
_ADDONS = {
    "compute_instance": "Compute",
    "pitr": "Point-in-Time Recovery",
    "ipv4": "IPv4",
    "custom_domain": "Custom Domain",
    "auth_mfa_phone": "Auth",
    "auth_mfa_web_authn": "Auth",
    "log_drain": "Log Drains",
}
OTHER_ADDONS = "Add-ons"
_COUNTS = {
    "rest": "Data API",
    "auth": "Auth",
    "storage": "Storage",
    "realtime": "Realtime",
}


class Price(Struct, gc=False):
    """A list price in dollars, by the hour or by the month."""

    interval: str
    amount: Decimal
    type: str | None = None
    description: str | None = None


class Variant(Struct, gc=False):
    """The size of an add-on; its `meta` tells capacity and is not use."""

    id: str
    price: Price
    name: str | None = None


class Addon(Struct, gc=False):
    """An add-on a project has."""

    type: str
    variant: Variant


class Addons(Struct, gc=False):
    """What a project has; what it could have stands beside it and is not read."""

    selected_addons: list[Addon]


class Failure(Struct, gc=False):
    """An error that comes with status 200."""

    message: str | None = None


class Bucket(Struct, gc=False):
    """Requests from a moment on; how long a bucket lasts is not documented."""

    timestamp: str
    total_rest_requests: Decimal
    total_auth_requests: Decimal
    total_storage_requests: Decimal
    total_realtime_requests: Decimal


class Counts(Struct, gc=False):
    """A series of buckets; an error may come in their place, or beside them."""

    result: list[Bucket] | None = None
    error: str | Failure | None = None


class DiskAttributes(Struct, gc=False):
    """What is provisioned."""

    size_gb: Decimal
    type: str | None = None


class Disk(Struct, gc=False):
    """A project's disk."""

    attributes: DiskAttributes


class DiskMetrics(Struct, gc=False):
    """How full the file system is; it holds the write-ahead log too."""

    fs_size_bytes: Decimal
    fs_used_bytes: Decimal
    fs_avail_bytes: Decimal


class DiskUtil(Struct, gc=False):
    """A reading of the file system."""

    metrics: DiskMetrics


class Autoscale(Struct, gc=False):
    """How far the disk grows by itself; null is not set."""

    max_size_gb: Decimal | None = None


def _place(ask: Ask) -> tuple[str | None, str]:
    """Return the organization that a project belongs to, None where its name did not say, and the project."""
    organization, _, ref = (ask.item or "").rpartition(PAIR)
    return organization or None, ref


def _of(organization: str | None) -> dict[str, str | None] | None:
    return {"organization": organization} if organization else None


def addons(page: Addons, ask: Ask) -> Iterator[Charge | Problem]:
    """Turn the add-ons of a project into what they cost a day at list price: a floor, and never the bill.

    Units:  the price's currency is not stated; the vendor's pages name dollars. A monthly price counts with its share
            of the month's days. It is on the bill of the project's organization.
    Source: https://supabase.com/docs/guides/platform/billing-on-supabase
    """
    day, (organization, ref) = ask.period.first_day, _place(ask)
    for each in page.selected_addons:
        price, variant = each.variant.price, each.variant
        hourly = price.interval == "hourly"
        if not hourly and price.interval != "monthly":
            yield Problem(
                code="price_unreadable",
                says=f"{variant.id} has a price per {price.interval!r}, which is neither hour nor month",
                hint="Update Outlay; if it is up to date, report it.",
                severity=Severity.WARNING,
            )
            continue
        cost = product(price.amount, HOURS) if hourly else _share(price.amount, day)
        yield Charge(
            charge_period=Period.of_day(day),
            billed_cost=Money(cost, CURRENCY),
            list_cost=Money(cost, CURRENCY),
            service_name=_ADDONS.get(each.type, OTHER_ADDONS),
            basis=Basis.PRICED,
            charge_description=f"{variant.name or variant.id} at list price",
            sku_id=variant.id,
            sku_price_id=f"{variant.id}:{price.interval}",
            pricing_category="Standard",
            consumed_quantity=HOURS if hourly else None,
            consumed_unit="hours" if hourly else None,
            pricing_quantity=HOURS if hourly else None,
            pricing_unit="Hours" if hourly else None,
            list_unit_price=exact(price.amount) if hourly else None,
            billing_account_id=organization,
            sub_account_id=ref,
            price_list_version=day.isoformat(),
        )


def _share(monthly: Decimal, day: date) -> Decimal:
    days = (next_month(day) - month_start(day)).days
    return ratio(monthly, Decimal(days)) or Decimal(0)


def api_counts(page: Counts, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn the series of a project into requests per UTC day and service; no plan bills them.

    Null:   a day without buckets is absent and not zero; a series without any is told, for it may be broken.
    Source: https://supabase.com/docs/reference/api/v1-get-project-usage-api-count
    """
    organization, ref = _place(ask)
    if page.error is not None:
        said = page.error if isinstance(page.error, str) else page.error.message
        yield Problem(
            code="error_in_answer",
            says=f"the counts of project {ref} came with an error: {(said or 'without a message')[:200]}",
            hint="Nothing was overwritten; sync again within the week, after which these days cannot be asked for.",
        )
        return
    if not page.result:
        yield Problem(
            code="series_empty",
            says=f"the counts of project {ref} hold no bucket at all, not even a zero: quiet or broken",
            hint="Compare with the project's dashboard; `outlay doctor` tells whether the token is right.",
            severity=Severity.WARNING,
        )
        return
    seen: set[datetime] = set()
    sums: dict[date, dict[str, Decimal]] = {}
    for bucket in page.result:
        moment = _moment(bucket.timestamp)
        if moment in seen:
            yield Problem(
                code="duplicate_rows",
                says=f"the counts of project {ref} hold the bucket of {moment:%Y-%m-%d %H:%M} twice",
                hint="What was committed before is kept. Sync again; if it stays, report it to the vendor.",
                period=Period.of_day(moment.date()),
            )
            continue
        seen.add(moment)
        if ask.period.start <= moment < ask.period.end:
            day = sums.setdefault(moment.date(), dict.fromkeys(_COUNTS, Decimal(0)))
            for name in _COUNTS:
                day[name] = plus(day[name], getattr(bucket, f"total_{name}_requests"))
    for date_, counts in sorted(sums.items()):
        for name, count in counts.items():
            yield Usage(
                usage_period=Period.of_day(date_),
                meter=f"{name}_requests",
                unit="requests",
                quantity=count,
                service_name=_COUNTS[name],
                sub_account_id=ref,
                details=_of(organization),
            )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def disk(page: Disk, ask: Ask) -> Iterator[Usage]:
    """Turn the disk that is provisioned into the gigabyte-hours of the day it was read on.

    Source: https://supabase.com/docs/guides/platform/billing-on-supabase
    """
    organization, ref = _place(ask)
    yield Usage(
        usage_period=Period.of_day(ask.period.first_day),
        meter="provisioned_disk",
        unit="gb_hours",
        quantity=product(page.attributes.size_gb, HOURS),
        service_name="Disk",
        sub_account_id=ref,
        derived=True,
        details=_of(organization),
    )


def disk_util(page: DiskUtil, ask: Ask) -> Iterator[Limit]:
    """Turn a reading of the file system into a level; it is larger than the database, for it holds its log.

    Source: https://supabase.com/docs/guides/platform/database-size
    """
    read, (organization, ref) = page.metrics, _place(ask)
    yield Limit(
        name="disk",
        scope=f"project:{ref}",
        kind=LimitKind.STORAGE,
        unit="bytes",
        quota=exact(read.fs_size_bytes),
        used=exact(read.fs_used_bytes),
        remaining=exact(read.fs_avail_bytes),
        sub_account_id=ref,
        details=_of(organization),
    )


def disk_autoscale(page: Autoscale, ask: Ask) -> Iterator[Limit]:
    """Turn the size a disk may grow to by itself into a ceiling; one that is not set is not known."""
    organization, ref = _place(ask)
    if page.max_size_gb is not None:
        yield Limit(
            name="disk growth",
            scope=f"project:{ref}",
            kind=LimitKind.STORAGE,
            unit="gb",
            quota=exact(page.max_size_gb),
            sub_account_id=ref,
            details=_of(organization),
        )


_EACH = FanOut("project", "ref", with_parent=True)

# A project may be paused after it was listed, or be in a state no one has described: it ends no other project's answer.
_PAUSED = Refusal(400, "not_offered", contains="paused", hint="A paused project answers no questions; resume it.")
_COSTS_NOTHING = Refusal(400, "empty", contains="paused")
_DISKS = (*lacking("infra_disk_config_read", "disk configuration"), _PAUSED)

ADDONS = Endpoint(
    name="addons",
    path="/v1/projects/{ref}/billing/addons",
    each=_EACH,
    refusals=(*lacking("infra_add_ons_read", "add-ons"), _COSTS_NOTHING),
    page=Addons,
    facts=addons,
)

API_COUNTS = Endpoint(
    name="api_counts",
    path="/v1/projects/{ref}/analytics/endpoints/usage.api-counts",
    query={"interval": "7day"},
    each=_EACH,
    lookback_days=REACH_DAYS,
    rates=(Rate(30, 60),),
    refusals=(*lacking("analytics_usage_read", "analytics usage"), _PAUSED),
    page=Counts,
    facts=api_counts,
)

DISK = Endpoint(name="disk", path="/v1/projects/{ref}/config/disk", each=_EACH, refusals=_DISKS, page=Disk, facts=disk)

DISK_UTIL = Endpoint(
    name="disk_util",
    path="/v1/projects/{ref}/config/disk/util",
    each=_EACH,
    refusals=_DISKS,
    page=DiskUtil,
    facts=disk_util,
)

DISK_AUTOSCALE = Endpoint(
    name="disk_autoscale",
    path="/v1/projects/{ref}/config/disk/autoscale",
    each=_EACH,
    refusals=_DISKS,
    page=Autoscale,
    facts=disk_autoscale,
)
