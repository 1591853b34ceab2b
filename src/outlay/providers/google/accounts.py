"""Google's billing accounts, the projects linked to them, and budgets: definitions; what is spent is never returned.

Money is `units`, whole units as text that may be absent, and `nanos`, billionths of the same sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import Budget, Limit, LimitKind, Name
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Cursor, Endpoint, FanOut, Rate, Refusal

BILLING, BUDGETS_HOST = "https://cloudbilling.googleapis.com", "https://billingbudgets.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/"
READ_BILLING = (f"{_SCOPE}cloud-billing.readonly",)
BILLING_SCOPE = (f"{_SCOPE}cloud-billing",)
"""Budgets cannot be read with the read-only scope; the role still bounds what the token may do."""
EACH_ACCOUNT = FanOut("account", "account")
_PAGES = Cursor("pageToken", "next_page_token")
_NANOS = -9
_OFF = "This API is switched off: `gcloud services enable` the one named above, in the project that is named there."
SWITCHED_OFF = (
    Refusal(403, "not_offered", contains="SERVICE_DISABLED", hint=_OFF),
    Refusal(403, "not_offered", contains="accessNotConfigured", hint=_OFF),
)
"""These bodies say PERMISSION_DENIED too, so they are looked for before it."""
_BUDGET_VIEWER = Refusal(
    403, "permission_missing", contains="PERMISSION_DENIED",
    hint="Budgets take the role Billing Account Viewer (roles/billing.viewer) on the billing account.",
)  # fmt: skip
_SCOPE_OF_ALL = "billing_account"
"""Not "account", which means all that a connection bills: it may read several. Nor is a project's number its id, or a
service's id its name: what a budget has used is Google's to say, in Pacific days and with its own idea of credits."""
_LAST_PERIOD = "last period's spend"


class Account(Struct, rename="camel"):
    """A billing account; a closed one has `open` false."""

    name: str
    display_name: str | None = None
    open: bool = True
    master_billing_account: str | None = None


class Accounts(Struct, rename="camel"):
    """A page of the billing accounts this credential sees."""

    billing_accounts: list[Account] = field(default_factory=list)
    next_page_token: str | None = None


class Project(Struct, rename="camel"):
    """A project linked to a billing account."""

    project_id: str
    billing_enabled: bool = False


class Projects(Struct, rename="camel"):
    """A page of an account's projects."""

    project_billing_info: list[Project] = field(default_factory=list)
    next_page_token: str | None = None


class Amount(Struct, rename="camel"):
    """Money in Google's form."""

    currency_code: str | None = None
    units: str | None = None
    nanos: int = 0

    def exactly(self) -> Decimal:
        """Return the amount. Raises: ValueError where its parts contradict each other."""
        units = Decimal(self.units or "0")
        if units * self.nanos < 0 or abs(self.nanos) >= 10**9 or units != units.to_integral_value():
            raise ValueError(f"{self.units} units and {self.nanos} nanos are no amount")
        return units + Decimal(self.nanos).scaleb(_NANOS)


class Planned(Struct, rename="camel"):
    """What a budget plans; the last period's spend is named and not stated."""

    specified_amount: Amount | None = None
    last_period_amount: dict[str, object] | None = None


class Day(Struct):
    """A calendar day."""

    year: int
    month: int
    day: int

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}-{self.day:02}"


class CustomPeriod(Struct, rename="camel"):
    """A span of a budget's own."""

    start_date: Day
    end_date: Day | None = None


class Filter(Struct, rename="camel"):
    """What a budget counts; empty lists count everything."""

    projects: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    subaccounts: list[str] = field(default_factory=list)
    resource_ancestors: list[str] = field(default_factory=list)
    credit_types_treatment: str | None = None
    calendar_period: str | None = None
    custom_period: CustomPeriod | None = None


class Threshold(Struct, rename="camel"):
    """A share of the amount at which Google tells: 1.0 is all of it."""

    threshold_percent: Decimal
    spend_basis: str = "CURRENT_SPEND"


class Cap(Struct, rename="camel"):
    """A spend cap: use is stopped when it is reached."""

    input_state: str | None = None
    output_state: str | None = None


class Plan(Struct, rename="camel"):
    """One budget."""

    name: str
    amount: Planned
    display_name: str | None = None
    budget_filter: Filter = field(default_factory=Filter)
    threshold_rules: list[Threshold] = field(default_factory=list)
    spend_cap: Cap | None = None


class Plans(Struct, rename="camel"):
    """A page of an account's budgets."""

    budgets: list[Plan] = field(default_factory=list)
    next_page_token: str | None = None


def accounts(page: Accounts, ask: Ask) -> Iterator[Name | Problem]:
    """Turn billing accounts into names; those the connection leaves out are known and not read.

    Null:   an empty list means that this credential may see none, which Google does not call an error.
    Source: https://docs.cloud.google.com/billing/docs/reference/rest/v1/billingAccounts/list
    """
    wanted = [each for each in ask.options.get("billing_accounts", "").split(",") if each]
    for account in page.billing_accounts:
        found = account.name.removeprefix("billingAccounts/")
        state = "active" if account.open else "archived"
        yield Name(
            kind="account",
            id=found,
            name=account.display_name or None,
            parent_id=(account.master_billing_account or "").removeprefix("billingAccounts/") or None,
            state=state if not wanted or found in wanted else "excluded",
        )
    if not page.billing_accounts and not page.next_page_token:
        yield Problem(
            code="no_billing_accounts",
            says="Google's list of billing accounts ends empty: what it lacks is out of this credential's sight",
            hint="Give it Billing Account Viewer (roles/billing.viewer) on the billing account for budgets and names.",
            severity=Severity.NOTE,
        )


def projects(page: Projects, ask: Ask) -> Iterator[Name]:
    """Turn an account's projects into names.

    Source: https://docs.cloud.google.com/billing/docs/reference/rest/v1/billingAccounts.projects/list
    """
    for project in page.project_billing_info:
        yield Name(
            kind="project",
            id=project.project_id,
            parent_id=ask.item,
            state="active" if project.billing_enabled else "archived",
        )


def budgets(page: Plans, ask: Ask) -> Iterator[Budget | Limit | Problem]:
    """Turn budgets into plans and spend caps into ceilings.

    Units:  major units of the budget's currency; thresholds are shares.
    Null:   `consumed`, which Google never returns. One of the last period's spend has no figure.
    Source: https://docs.cloud.google.com/billing/docs/reference/budget/rest/v1/billingAccounts.budgets
    """
    for plan in page.budgets:
        amount = plan.amount.specified_amount
        if amount is None:
            yield Problem(
                code="budget_without_figure",
                says=f"the budget {plan.display_name or plan.name} is {_LAST_PERIOD}, which Google states nowhere",
                hint="Its thresholds are kept at Google. `outlay enter limit --kind spend` takes a ceiling of yours.",
                severity=Severity.NOTE,
            )
            continue
        currency = amount.currency_code
        if not currency:
            yield Problem(
                code="currency_missing",
                says=f"the budget {plan.display_name or plan.name} states an amount without a currency",
                where=plan.name,
                hint="The budget is left out; the others are kept.",
                severity=Severity.WARNING,
            )
            continue
        covers = _covers(plan.budget_filter)
        yield Budget(
            budget_id=plan.name.rpartition("/")[2],
            name=plan.display_name or plan.name.rpartition("/")[2],
            scope=f"{_SCOPE_OF_ALL}:{ask.item}",
            amount=amount.exactly(),
            currency=currency,
            period=_period(plan.budget_filter),
            thresholds=tuple(
                sorted({rule.threshold_percent for rule in plan.threshold_rules if rule.spend_basis == "CURRENT_SPEND"})
            ),
            enforced=_enforced(plan.spend_cap),
            covers=covers,
            details=_details(plan),
        )
        if plan.spend_cap is not None:
            yield _ceiling(plan, amount.exactly(), currency, ask)


def _ceiling(plan: Plan, amount: Decimal, currency: str, ask: Ask) -> Limit:
    whole = plan.budget_filter.projects
    project = whole[0].removeprefix("projects/") if len(whole) == 1 else None
    state = plan.spend_cap.output_state if plan.spend_cap else None
    return Limit(
        name=plan.display_name or plan.name.rpartition("/")[2],
        scope=f"project_number:{project}" if project else f"{_SCOPE_OF_ALL}:{ask.item}",
        kind=LimitKind.SPEND,
        unit=currency,
        quota=amount,
        window="month",
        enforced=_enforced(plan.spend_cap),
        details={"budget_id": plan.name.rpartition("/")[2], "state": state,
                 **(_covers(plan.budget_filter) or {})},
    )  # fmt: skip


def _enforced(cap: Cap | None) -> bool | None:
    """Tell whether use stops at the amount: only a spend cap stops anything."""
    if cap is None:
        return False
    state = cap.output_state or cap.input_state
    return None if state is None else state in ("CONFIGURED", "ENFORCED", "AWAITING_NEXT_PERIOD")


def _period(counted: Filter) -> str:
    span = counted.custom_period
    if span is not None:
        return f"{span.start_date} to {span.end_date}" if span.end_date else f"from {span.start_date}"
    return (counted.calendar_period or "MONTH").lower()


def _covers(counted: Filter) -> dict[str, str | None] | None:
    lists = {"project_number": counted.projects, "service_id": counted.services, "subaccount": counted.subaccounts,
             "ancestor": counted.resource_ancestors}  # fmt: skip
    found: dict[str, str | None] = {
        name: ",".join(value.rpartition("/")[2] for value in sorted(values)) for name, values in lists.items() if values
    }
    return found or None


def _details(plan: Plan) -> dict[str, str | None] | None:
    forecast = sorted(rule.threshold_percent for rule in plan.threshold_rules if rule.spend_basis == "FORECASTED_SPEND")
    details: dict[str, str | None] = {}
    if forecast:
        details["forecast_thresholds"] = ",".join(f"{share:f}" for share in forecast)
    if plan.budget_filter.credit_types_treatment:
        details["credit_types_treatment"] = plan.budget_filter.credit_types_treatment
    return details or None


ACCOUNTS = Endpoint(
    name="billing_accounts",
    host=BILLING,
    path="/v1/billingAccounts",
    query={"pageSize": 100},
    pages=_PAGES,
    scopes=READ_BILLING,
    page=Accounts,
    facts=accounts,
)
PROJECTS = Endpoint(
    name="projects",
    host=BILLING,
    path="/v1/billingAccounts/{account}/projects",
    query={"pageSize": 100},
    pages=_PAGES,
    scopes=READ_BILLING,
    each=EACH_ACCOUNT,
    page=Projects,
    facts=projects,
)
BUDGETS = Endpoint(
    name="budgets",
    host=BUDGETS_HOST,
    path="/v1/billingAccounts/{account}/budgets",
    query={"pageSize": 100},
    pages=_PAGES,
    scopes=BILLING_SCOPE,
    each=EACH_ACCOUNT,
    refusals=(*SWITCHED_OFF, _BUDGET_VIEWER),
    rates=(Rate(800, 60),),
    page=Plans,
    facts=budgets,
)
