"""Railway's measured use per day, priced by the dated list, and its own projection of the billing period beside it."""

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
from outlay.providers.base import Ask, Dataset, Endpoint, FanOut, GraphQL, IsoWindow, Refusal
from outlay.providers.railway.account import EACH_WORKSPACE, PATH, QUERY, UPDATE, Span, When, billing_period

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


def _usage_of(
    scope: str,
    name: str,
    *,
    each: FanOut | None = None,
    options: Mapping[str, str] = {},
    more: str = "",
    refusals: tuple[Refusal, ...] = (),
) -> Endpoint[UsagePage]:
    return Endpoint(
        name=name, path=PATH, query=QUERY, page=UsagePage, facts=measured, window=_DAY, each=each,
        lookback_days=_LOOKBACK_DAYS, refusals=refusals,
        body=GraphQL(
            f"query usage(${scope}: String!, {_WHEN})"
            f" {{ usage({scope}: ${scope}, {_ASKED}, {_GROUPS}) {_ROWS}{more} }}",
            {"measurements": list(_METERS)},
            options,
        ),
    )  # fmt: skip


_NO_CUSTOMER = (
    Refusal(200, "permission_missing", contains="Not Authorized"),
    Refusal(200, "not_offered", contains='"customer"'),
)
"""A failure on the way to the customer, which the path of an error names, takes all the data with it: use is asked for
without the billing period then."""

USAGE_IN_PERIOD = _usage_of(
    "workspaceId",
    "usage_in_period",
    each=EACH_WORKSPACE,
    more=" workspace(workspaceId: $workspaceId) { customer { billingPeriod { start end } } }",
    refusals=_NO_CUSTOMER,
)
USAGE_ALONE = _usage_of("workspaceId", "usage_alone", each=EACH_WORKSPACE)
PROJECT_USAGE = _usage_of("projectId", "project_usage", options={"projectId": "project"})
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


def datasets(by_workspace: When, by_project: When) -> tuple[Dataset, ...]:
    """Return the datasets of use: of workspaces, or of the one project that a project token opens."""
    return (
        Dataset("usage", "Daily use, priced", (Usage, Charge), (USAGE_IN_PERIOD, USAGE_ALONE),
                horizon_days=_CURRENT_PERIOD_AND_THREE_DAYS, lookback_days=_LOOKBACK_DAYS, when=by_workspace),
        Dataset("project_usage", "One project's daily use, priced", (Usage, Charge), (PROJECT_USAGE,),
                horizon_days=_CURRENT_PERIOD_AND_THREE_DAYS, lookback_days=_LOOKBACK_DAYS, when=by_project),
        Dataset("estimated_usage", "Projected use of the billing period", (Usage,), (ESTIMATED_USAGE,),
                grain="reading", when=by_workspace),
        Dataset("project_estimated_usage", "One project's projected use", (Usage,), (PROJECT_ESTIMATE,),
                grain="reading", when=by_project),
    )  # fmt: skip
