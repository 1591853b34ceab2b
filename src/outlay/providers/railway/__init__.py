"""Railway: measured use of workspaces, priced; what the customer's account says; invoices, limits, names.

Key:   a workspace token, or an account token; both as a bearer. A project token reads one project's use only and has a
       header of its own. No token reads without being able to write. "Not Authorized" is said of dead tokens and of
       missing permissions alike: where tokens of any kind are answered it is the token.
Day:   one `usage` call per UTC day, because an answer has no time buckets; the last 90 days are answered.
Units: quantities are vCPU-minutes, GB-minutes and GB. `currentUsage`, balances and compute limits are dollars, invoices
       and agent limits cents. Billing periods are anchored to a day of the month, not to the calendar.
Never: add `currentUsage` to priced use, or invoices, or the next invoice to either; take `estimatedUsage` for use;
       price what is not billed (`CPU_USAGE_2`, received traffic); leave out what is deleted; leave out `groupBy`.
Names stand in `names`, the customer's account and invoices in `account`: together they are too long for one page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from msgspec import Struct

from outlay.model.basis import Basis
from outlay.model.facts import Charge, Usage
from outlay.model.money import exact
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.pricing import price_list
from outlay.providers.base import (
    Ask,
    Bearer,
    ByOption,
    Dataset,
    Endpoint,
    GraphQL,
    Header,
    IsoWindow,
    KeyKind,
    Offer,
    Option,
    Provider,
    QuotaHeaders,
    Rate,
    Refusal,
    Service,
)
from outlay.providers.railway import account, names
from outlay.providers.railway.account import EACH_WORKSPACE, PATH, QUERY, UPDATE, Span, billing_period

COMPUTE, VOLUMES, EGRESS = "Railway Compute", "Railway Volumes", "Railway Network"


@dataclass(frozen=True, slots=True)
class _Meter:
    service: str
    unit: str
    consumed_unit: str


_METERS: Mapping[str, _Meter] = {
    "CPU_USAGE": _Meter(COMPUTE, "vcpu_minutes", "vCPU-Minutes"),
    "MEMORY_USAGE_GB": _Meter(COMPUTE, "gb_minutes", "GB-Minutes"),
    "DISK_USAGE_GB": _Meter(VOLUMES, "gb_minutes", "GB-Minutes"),
    "BACKUP_USAGE_GB": _Meter(VOLUMES, "gb_minutes", "GB-Minutes"),
    "NETWORK_TX_GB": _Meter(EGRESS, "gb", "GB"),
    "NETWORK_RX_GB": _Meter(EGRESS, "gb", "GB"),
}
"""What is asked for. Received traffic is not billed; a measurement whose unit no page documents is not asked for."""
_BILLED = tuple(name for name in _METERS if name != "NETWORK_RX_GB")


class Tags(Struct, rename="camel", gc=False):
    """Where something was used; each may be null, and ids may be of what is deleted since."""

    project_id: str | None = None
    environment_id: str | None = None
    service_id: str | None = None


class Measured(Struct, gc=False):
    """One measurement over the whole window, for one set of tags."""

    measurement: str
    value: Decimal
    tags: Tags


class Customer(Struct, rename="camel"):
    """The billing period at the moment of asking."""

    billing_period: Span


class Workspace(Struct):
    """Who is billed."""

    customer: Customer


class UsageData(Struct):
    """What was used, and in which billing period the workspace is now, where that was asked."""

    usage: list[Measured]
    workspace: Workspace | None = None


class UsagePage(Struct):
    """An answer about one day."""

    data: UsageData


class Estimated(Struct, rename="camel", gc=False):
    """What one measurement of a project will come to at the end of the billing period."""

    measurement: str
    estimated_value: Decimal
    project_id: str | None = None


class EstimateData(Struct, rename="camel"):
    """Every projection."""

    estimated_usage: list[Estimated]


class EstimatePage(Struct):
    """An answer of projections."""

    data: EstimateData


def measured(page: UsagePage, ask: Ask) -> Iterator[Usage | Charge | Problem]:
    """Turn one day's measurements into usage and, where they are billed, into charges priced by the dated list.

    Units:  vCPU-minutes, GB-minutes, GB; dollars. An amount is rounded once, after multiplying and dividing.
    Null:   use that is no project's or no service's has no sub-account or resource. A project token cannot read the
            billing period.
    Source: https://docs.railway.com/pricing/plans
    """
    prices, day = price_list("railway"), ask.period.first_day
    if not prices.known_on(day):
        says = f"no price list holds on {day}: use is kept without cost"
        yield Problem(code="price_missing", says=says, hint=UPDATE, severity=Severity.WARNING, period=ask.period)
    billed = None
    if page.data.workspace is not None:
        billed = billing_period(page.data.workspace.customer.billing_period, ask.period.start)
    for row in page.data.usage:
        meter = _METERS.get(row.measurement)
        if meter is None:
            yield _refused("unknown_object", f"a measurement is called {row.measurement!r}", row, ask)
            continue
        try:
            usage = _usage(row, meter, ask)
        except ValueError as error:
            yield _refused("quantity_refused", str(error), row, ask)
            continue
        yield usage
        charge = _charge(usage, meter, ask, billed)
        if charge is not None:
            yield charge


def _usage(row: Measured, meter: _Meter, ask: Ask) -> Usage:
    details = {"workspaceId": ask.item, "environmentId": row.tags.environment_id}
    return Usage(
        usage_period=ask.period,
        meter=row.measurement,
        unit=meter.unit,
        quantity=exact(row.value),
        service_name=meter.service,
        sku_id=row.measurement,
        sub_account_id=row.tags.project_id,
        resource_id=row.tags.service_id,
        details={name: value for name, value in details.items() if value} or None,
    )


def _charge(usage: Usage, meter: _Meter, ask: Ask, billed: Period | None) -> Charge | None:
    price = price_list("railway").on(ask.period.first_day, usage.meter)
    if price is None:
        return None
    cost = price.cost(usage.quantity)
    return Charge(
        charge_period=ask.period,
        billed_cost=cost,
        list_cost=cost,
        service_name=usage.service_name,
        basis=Basis.PRICED,
        charge_description=usage.meter,
        sku_id=usage.meter,
        sku_price_id=f"{usage.meter}/{price.version}",
        sku_meter=usage.meter,
        consumed_quantity=usage.quantity,
        consumed_unit=meter.consumed_unit,
        pricing_quantity=price.pricing_quantity(usage.quantity),
        pricing_unit=price.pricing_unit,
        pricing_category="Standard",
        list_unit_price=price.amount,
        billing_period=billed,
        billing_account_id=ask.item,
        sub_account_id=usage.sub_account_id,
        sub_account_type="Project" if usage.sub_account_id else None,
        resource_id=usage.resource_id,
        resource_type="Service" if usage.resource_id else None,
        price_list_version=price.version,
        details=usage.details,
    )


def _refused(code: str, says: str, row: Measured, ask: Ask) -> Problem:
    where = f"{ask.period.first_day} {row.measurement}, {row.tags.project_id or 'no project'}"
    return Problem(code=code, says=says, where=where, hint=UPDATE, period=ask.period)


def projected(page: EstimatePage, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn the vendor's own projection into readings beside the usage, which are never added to it nor priced.

    Units: as usage, for the whole billing period that is running.
    """
    for row in page.data.estimated_usage:
        meter = _METERS.get(row.measurement)
        if meter is None:
            says = f"a projected measurement is called {row.measurement!r}"
            yield Problem(code="unknown_object", says=says, hint=UPDATE, severity=Severity.WARNING)
            continue
        yield Usage(
            usage_period=ask.period,
            meter=f"estimated {row.measurement}",
            unit=meter.unit,
            quantity=exact(row.estimated_value),
            service_name=meter.service,
            sku_id=row.measurement,
            sub_account_id=row.project_id,
            part_of="usage",
            details={"workspaceId": ask.item} if ask.item else None,
        )


_GROUPS = "groupBy: [PROJECT_ID, ENVIRONMENT_ID, SERVICE_ID], includeDeleted: true"
_ROWS = "{ measurement value tags { projectId environmentId serviceId } }"
_WHEN = "$startDate: DateTime!, $endDate: DateTime!, $measurements: [MetricMeasurement!]!"
_ASKED = "startDate: $startDate, endDate: $endDate, measurements: $measurements"
_DAY = IsoWindow("startDate", "endDate", days_max=1)
_ESTIMATED = "{ measurement estimatedValue projectId }"
_LOOKBACK_DAYS = 89
"""Midnight of the ninetieth day before today is more than ninety days ago for all of today but an instant."""
_CURRENT_PERIOD_AND_THREE_DAYS = 34

USAGE_IN_PERIOD: Endpoint[UsagePage] = Endpoint(
    name="usage_in_period", path=PATH, query=QUERY, page=UsagePage, facts=measured, window=_DAY, each=EACH_WORKSPACE,
    lookback_days=_LOOKBACK_DAYS,
    body=GraphQL(
        f"query usage($workspaceId: String!, {_WHEN}) {{ usage(workspaceId: $workspaceId, {_ASKED}, {_GROUPS}) {_ROWS}"
        " workspace(workspaceId: $workspaceId) { customer { billingPeriod { start end } } } }",
        {"measurements": list(_METERS)},
    ),
)  # fmt: skip
USAGE_ALONE: Endpoint[UsagePage] = Endpoint(
    name="usage_alone", path=PATH, query=QUERY, page=UsagePage, facts=measured, window=_DAY, each=EACH_WORKSPACE,
    lookback_days=_LOOKBACK_DAYS,
    body=GraphQL(
        f"query usage($workspaceId: String!, {_WHEN}) {{ usage(workspaceId: $workspaceId, {_ASKED}, {_GROUPS}) {_ROWS}"
        " }",
        {"measurements": list(_METERS)},
    ),
)  # fmt: skip
PROJECT_USAGE: Endpoint[UsagePage] = Endpoint(
    name="project_usage", path=PATH, query=QUERY, page=UsagePage, facts=measured, window=_DAY,
    lookback_days=_LOOKBACK_DAYS,
    body=GraphQL(
        f"query usage($projectId: String!, {_WHEN}) {{ usage(projectId: $projectId, {_ASKED}, {_GROUPS}) {_ROWS} }}",
        {"measurements": list(_METERS)},
        {"projectId": "project"},
    ),
)  # fmt: skip
_NO_ESTIMATE = (
    Refusal(200, "permission_missing", contains="Not Authorized"),
    Refusal(200, "not_offered", contains="INTERNAL_SERVER_ERROR", hint="The vendor gives no projection; use is whole."),
)
ESTIMATED_USAGE: Endpoint[EstimatePage] = Endpoint(
    name="estimated_usage", path=PATH, query=QUERY, page=EstimatePage, facts=projected, each=EACH_WORKSPACE,
    refusals=_NO_ESTIMATE,
    body=GraphQL(
        "query estimate($workspaceId: String!, $measurements: [MetricMeasurement!]!) { estimatedUsage(workspaceId:"
        f" $workspaceId, measurements: $measurements, includeDeleted: true) {_ESTIMATED} }}",
        {"measurements": list(_BILLED)},
    ),
)  # fmt: skip
PROJECT_ESTIMATE: Endpoint[EstimatePage] = Endpoint(
    name="project_estimate", path=PATH, query=QUERY, page=EstimatePage, facts=projected, refusals=_NO_ESTIMATE,
    body=GraphQL(
        "query estimate($projectId: String!, $measurements: [MetricMeasurement!]!) { estimatedUsage(projectId:"
        f" $projectId, measurements: $measurements, includeDeleted: true) {_ESTIMATED} }}",
        {"measurements": list(_BILLED)},
        {"projectId": "project"},
    ),
)  # fmt: skip


def _by_workspace(options: Mapping[str, str]) -> bool:
    return not options.get("project")


def _by_project(options: Mapping[str, str]) -> bool:
    return bool(options.get("project"))


_CREATE = "Create a token at railway.com/account/tokens and choose the workspace it is for."
_MORE = "The token may be dead or lack access to the workspace's billing; a member of the workspace creates another."

PROVIDER = Provider(
    id="railway",
    title="Railway",
    base_url="https://backboard.railway.com",
    auth=ByOption("project", Header("Project-Access-Token"), Bearer()),
    environment=("RAILWAY_API_TOKEN",),
    key_help=f"{_CREATE} A token of one project reads that project's use only: set `project` to its id then.",
    keys=(
        KeyKind("", "token", usable=True, more_than_read=True,
                hint="Railway documents no token that only reads; Outlay sends queries alone and never a mutation."),
    ),
    datasets=(
        *names.datasets(_by_workspace, _by_project),
        Dataset("usage", "Daily use, priced", (Usage, Charge), (USAGE_IN_PERIOD, USAGE_ALONE),
                horizon_days=_CURRENT_PERIOD_AND_THREE_DAYS, lookback_days=_LOOKBACK_DAYS, when=_by_workspace),
        Dataset("project_usage", "One project's daily use, priced", (Usage, Charge), (PROJECT_USAGE,),
                horizon_days=_CURRENT_PERIOD_AND_THREE_DAYS, lookback_days=_LOOKBACK_DAYS, when=_by_project),
        Dataset("estimated_usage", "Projected use of the billing period", (Usage,), (ESTIMATED_USAGE,),
                grain="reading", when=_by_workspace),
        Dataset("project_estimated_usage", "One project's projected use", (Usage,), (PROJECT_ESTIMATE,),
                grain="reading", when=_by_project),
        *account.readings(_by_workspace),
    ),
    services={
        COMPUTE: Service("Compute", "Containers"),
        VOLUMES: Service("Storage", "Block Storage"),
        EGRESS: Service("Networking", "Network Connectivity"),
    },
    offers={
        "cost": Offer("api", "Railway states no money per service or day: measured use is priced from a dated list and "
                             "compared with the billing period's total that it does state."),
        "usage": Offer("api", "vCPU-minutes, GB-minutes and GB per UTC day, project, environment and service, up to 90 "
                              "days back; the vendor's own projection beside it."),
        "limits": Offer("api", "The hard limits of compute and agents, and what is left of the API's own quota."),
        "balance": Offer("api", "Credit balance, applied credits and included usage left."),
        "invoices": Offer("api", "Invoices and the running total of the next; PDFs are on the billing page."),
        "budgets": Offer("api", "The soft limits of compute and agents, which warn by e-mail."),
        "revenue": Offer("none", "Railway bills you and not your customers."),
        "writes": Offer("none", "Limits could be set through the API; Outlay never does."),
    },
    sources=(
        "https://docs.railway.com/integrations/api",
        "https://docs.railway.com/pricing/plans",
        "https://docs.railway.com/pricing/understanding-your-bill",
        "https://docs.railway.com/pricing/cost-control",
        "https://docs.railway.com/cli/usage",
    ),
    account_type="Workspace",
    sub_account_type="Project",
    options=(
        Option("workspace", "id or name of the one workspace to read; all that the token opens when absent"),
        Option("project", "id of the project that a project token belongs to"),
    ),
    rates=(Rate(10, 1), Rate(1000, 3600)),
    quota_headers=QuotaHeaders("x-ratelimit-remaining", "x-ratelimit-reset"),
    refusals=(
        Refusal(200, "access_denied", contains="Project Token not found", hint=_CREATE),
        Refusal(200, "access_denied", contains="Two Factor Authentication Required",
                hint="The workspace demands two-factor authentication: switch it on for the token's owner."),
        Refusal(200, "access_denied", contains="UNAUTHENTICATED", hint=_CREATE),
        Refusal(200, "permission_missing", contains="Not Authorized", hint=_MORE),
        Refusal(200, "permission_missing", contains="Workspace not found", hint=_MORE),
        Refusal(200, "retry_later", contains="INTERNAL_SERVER_ERROR"),
        Refusal(401, "access_denied", hint=_CREATE),
    ),
)  # fmt: skip
