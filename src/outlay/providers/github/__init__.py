"""GitHub: metered cost and usage of one organization, enterprise or personal account, by SKU and repository.

Key:   a classic personal access token of an owner or billing manager. Fine-grained tokens and apps are accepted where
       GitHub accepts them, which its own pages contradict each other about.
Day:   a UTC day, asked for one by one: asked without a day, rows carry dates that mean nothing. The discount of a day
       moves while the month's allowance is used; a month is settled about five days after its end.
Units: dollars as JSON numbers with the noise of binary floats; quantities have decimals though they are declared whole.
Never: add the summary, the AI credits or the premium requests to the usage rows, which hold them; an organization to
       its enterprise; gross to net.

An enterprise's report without a cost centre holds only what belongs to none, so it is asked once without and once for
every cost centre, deleted ones included. API version 2022-11-28 is sent: the billing paths are the same in 2026-03-10,
and Enterprise Servers refuse a version they do not know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Context, Decimal

from msgspec import Struct, field

from outlay.model.facts import Budget, Category, Charge, Frequency, Limit, Name, Statement, Usage
from outlay.model.money import Money, exact, product
from outlay.model.problem import Problem, Severity
from outlay.model.units import UNITS
from outlay.providers.base import (
    Ask,
    Bearer,
    Dataset,
    DayParts,
    Endpoint,
    FanOut,
    KeyKind,
    Offer,
    Option,
    Provider,
    QuotaHeaders,
    Rate,
    Refusal,
    Service,
)
from outlay.providers.github.limits import BUDGETS, COPILOT_SEATS, COST_CENTERS, COST_CENTERS_DELETED, RATE_LIMIT
from outlay.providers.github.names import (
    COST_CENTER_TAG,
    CURRENCY,
    SERVICES,
    UPDATE,
    is_licence,
    repository,
    service_name,
    sku_id,
    unit,
)
from outlay.providers.github.totals import AI_CREDIT, CLASSIC, ELSEWHERE, PREMIUM_REQUEST, SUMMARY

_WIDE = Context(prec=100)
_NOISE = Decimal("0.000001")
_PRICE_TOLERANCE = Decimal("1e-9")
_SHARE_TOLERANCE = Decimal("1e-12")


class UsageItem(Struct, rename="camel"):
    """One SKU in one repository; `sku` is a display name, `discount_amount` what the allowance or GitHub covers."""

    date: str
    product: str
    sku: str
    quantity: Decimal
    unit_type: str
    price_per_unit: Decimal
    gross_amount: Decimal
    discount_amount: Decimal
    net_amount: Decimal
    organization_name: str | None = None
    repository_name: str | None = None


class UsageReport(Struct, rename="camel"):
    """All rows of one day; a day without usage may have no list at all."""

    usage_items: list[UsageItem] = field(default_factory=list)


def usage(page: UsageReport, ask: Ask) -> Iterator[Charge | Usage | Problem]:
    """Turn the rows of one day into charges and measurements.

    A row that the allowance covers in part becomes two charges, so that each has one price; their list costs add up to
    `grossAmount` and their billed costs to `netAmount`, exactly.

    Units:  dollars; quantities in `unitType`.
    Null:   `repositoryName` is absent for licences; `organizationName` for personal accounts.
    Source: https://docs.github.com/en/rest/billing/usage
    """
    yield from _foreign_days(page, ask)
    for row in page.usage_items:
        try:
            yield from _charges(row, ask)
            yield _measured(row, ask)
        except ValueError as error:
            yield Problem(code="amount_refused", says=str(error), where=row.sku, hint=UPDATE, period=ask.period)


def _foreign_days(page: UsageReport, ask: Ask) -> Iterator[Problem]:
    """Yield what is wrong with the rows' dates: one foreign date is the vendor's whim, several are another report."""
    asked = ask.period.first_day.isoformat()
    foreign = sorted({row.date[:10] for row in page.usage_items} - {asked})
    if foreign:
        yield Problem(
            code="rows_of_other_days",
            says=f"asked for {asked}, GitHub sent rows dated {', '.join(foreign[:3])}",
            hint=UPDATE if len(foreign) > 1 else "They are booked on the day that was asked for.",
            severity=Severity.FATAL if len(foreign) > 1 else Severity.WARNING,
            period=ask.period,
        )


def _charges(row: UsageItem, ask: Ask) -> Iterator[Charge | Problem]:
    gross, net = Money(row.gross_amount, CURRENCY), Money(row.net_amount, CURRENCY)
    covered = gross - net
    quantity = exact(row.quantity)
    if abs(_WIDE.subtract(covered.amount, row.discount_amount)) > _NOISE:
        yield Problem(
            code="amounts_differ",
            says=f"gross {row.gross_amount} less discount {row.discount_amount} is not net {row.net_amount}",
            where=row.sku,
            hint="Gross and net are kept as stated.",
            severity=Severity.WARNING,
            period=ask.period,
        )
    share = _WIDE.divide(net.amount, gross.amount) if gross else Decimal(1)
    partly = _SHARE_TOLERANCE < share < 1 - _SHARE_TOLERANCE
    if is_licence(row.product, sku_id(row.sku)) or (not partly and abs(share) > _SHARE_TOLERANCE):
        yield _charge(row, ask, quantity, gross, net)
    elif not partly:
        yield _charge(row, ask, quantity, gross, net, included=True)
    else:
        part = exact(_WIDE.divide(_WIDE.multiply(quantity, covered.amount), gross.amount))
        yield _charge(row, ask, exact(_WIDE.subtract(quantity, part)), net, net)
        yield _charge(row, ask, part, covered, Money(Decimal(0), CURRENCY), included=True)


def _charge(
    row: UsageItem, ask: Ask, quantity: Decimal, listed: Money, billed: Money, *, included: bool = False
) -> Charge:
    item = sku_id(row.sku)
    licence, credit = is_licence(row.product, item), billed.amount < 0
    measured, priced = not (licence or credit), not credit
    fits = abs(_WIDE.subtract(product(row.price_per_unit, quantity), listed.amount)) <= _WIDE.multiply(
        abs(listed.amount), _PRICE_TOLERANCE
    )
    price = exact(row.price_per_unit) if priced and fits else None
    unit_name = _focus_unit(row.unit_type)
    owner = row.organization_name or None
    repo = repository(row.repository_name, owner or ask.options.get("user"))
    return Charge(
        charge_period=ask.period,
        billed_cost=billed,
        list_cost=listed,
        contracted_cost=listed,
        service_name=service_name(row.product),
        charge_category=Category.CREDIT if credit else Category.PURCHASE if licence else Category.USAGE,
        charge_frequency=Frequency.ONE_TIME if credit else Frequency.RECURRING if licence else Frequency.USAGE_BASED,
        charge_description=f"{row.sku}, included" if included else row.sku,
        sku_id=item,
        sku_price_id=(f"{item}@included" if included else item) if priced else None,
        sku_meter=item,
        consumed_quantity=quantity if measured else None,
        consumed_unit=unit_name if measured else None,
        pricing_quantity=quantity if priced else None,
        pricing_unit=unit_name if priced else None,
        pricing_category="Standard" if priced else None,
        list_unit_price=price,
        contracted_unit_price=price,
        sub_account_id=_sub_account(row, ask),
        sub_account_type="User" if "user" in ask.options else "Organization" if _sub_account(row, ask) else None,
        resource_id=repo,
        resource_type="Repository" if repo else None,
        tags=_tags(ask),
        details=None if fits else {"pricePerUnit": f"{row.price_per_unit:f}"},
    )


def _measured(row: UsageItem, ask: Ask) -> Usage:
    return Usage(
        usage_period=ask.period,
        meter=sku_id(row.sku),
        unit=unit(row.unit_type),
        quantity=exact(row.quantity),
        service_name=service_name(row.product),
        sku_id=sku_id(row.sku),
        sub_account_id=_sub_account(row, ask),
        resource_id=repository(row.repository_name, row.organization_name or ask.options.get("user")),
        tags=_tags(ask),
    )


def _sub_account(row: UsageItem, ask: Ask) -> str | None:
    return row.organization_name or ask.options.get("organization") or ask.options.get("user") or None


def _focus_unit(unit_type: str) -> str:
    known = UNITS.get(unit(unit_type))
    return known.focus if known else unit_type


def _tags(ask: Ask) -> dict[str, str | bool | None] | None:
    return {COST_CENTER_TAG: ask.item} if ask.item else None


_LEVELS = {"enterprise": "enterprises", "organization": "organizations", "user": "users"}


def _variables(options: Mapping[str, str]) -> dict[str, str]:
    """Return the path variables: billing paths differ by level in their first two segments alone."""
    for option, level in _LEVELS.items():
        if options.get(option):
            return {**options, "level": level, "account": options[option]}
    return dict(options)


def _account(options: Mapping[str, str]) -> str | None:
    return next((options[option] for option in _LEVELS if options.get(option)), None)


USAGE = Endpoint(
    name="usage",
    path="/{level}/{account}/settings/billing/usage",
    window=DayParts(),
    # Organizations and users have no cost centres: they are asked once.
    each=FanOut(
        "cost_center",
        "cost_center_id",
        place="query",
        states=("active", "deleted"),
        also_without=True,
        only_with="enterprise",
    ),
    refusals=(ELSEWHERE,),
    page=UsageReport,
    facts=usage,
)

_FINE = f"{CLASSIC}: fine-grained tokens and apps may be refused by the billing endpoints."

PROVIDER = Provider(
    id="github",
    title="GitHub",
    base_url="https://api.github.com",
    auth=Bearer(),
    environment=("GITHUB_BILLING_TOKEN", "GITHUB_TOKEN", "GH_TOKEN"),
    key_help=(
        f"{CLASSIC}: scope user for a personal account, admin:org (and manage_billing:copilot) for an organization, "
        "manage_billing:enterprise for an enterprise. Authorize it for single sign-on where that is used."
    ),
    keys=(
        KeyKind(
            "ghp_",
            "classic personal access token",
            usable=True,
            more_than_read=True,
            hint="admin:org and manage_billing scopes can also change things; give it no other scopes.",
        ),
        KeyKind("github_pat_", "fine-grained personal access token", usable=True, hint=_FINE),
        KeyKind("gho_", "OAuth app token", usable=True, more_than_read=True, hint="It can do what its scopes allow."),
        KeyKind("ghu_", "app user token", usable=True, hint=_FINE),
        KeyKind("ghs_", "app installation token", usable=True, hint=f"The token of an Actions job is refused. {_FINE}"),
    ),
    headers={"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"},
    rates=(Rate(900, 60), Rate(5000, 3600)),
    quota_headers=QuotaHeaders("x-ratelimit-remaining", "x-ratelimit-reset"),
    refusals=(
        Refusal(403, "retry_later", header="x-ratelimit-remaining: 0"),
        Refusal(403, "retry_later", header="retry-after"),
        Refusal(403, "retry_later", contains="rate limit"),
        Refusal(429, "retry_later"),
        Refusal(401, "access_denied", hint=f"{CLASSIC}; this one is wrong, expired or revoked."),
        Refusal(
            403,
            "permission_missing",
            contains="saml",
            hint="Authorize the token for the organization's single sign-on on the token's page.",
        ),
        Refusal(403, "permission_missing", hint=f"{_FINE} The account must be an owner or billing manager."),
        Refusal(410, "gone"),
        Refusal(400, "request_refused"),
        Refusal(422, "request_refused"),
    ),
    request_id_header="x-github-request-id",
    sub_account_type="Organization",
    options=(
        Option("organization", "the organization's login, when it pays its own bill", one_of="level"),
        Option("user", "the login of a personal account", one_of="level"),
        Option("enterprise", "the enterprise's slug, for itself and every organization it pays for", one_of="level"),
    ),
    variables=_variables,
    account=_account,
    datasets=(
        Dataset(
            "cost_centers", "Cost centres", (Name,), (COST_CENTERS,), grain="names", order=0,
            when=lambda options: bool(options.get("enterprise")),
        ),
        Dataset(
            "cost_centers.deleted", "Deleted cost centres", (Name,), (COST_CENTERS_DELETED,), grain="names", order=0,
            when=lambda options: bool(options.get("enterprise")),
        ),
        Dataset(
            "usage", "Metered cost and usage", (Charge, Usage), (USAGE,), horizon_days=7, closing_days=5, repeats="add"
        ),
        Dataset(
            "usage_summary", "Monthly totals", (Statement,), (SUMMARY,), grain="month", horizon_days=7, closing_days=5,
        ),
        Dataset("ai_credit", "AI credits by model", (Usage,), (AI_CREDIT,), horizon_days=7, repeats="add"),
        Dataset(
            "premium_request", "Premium requests by model", (Usage,), (PREMIUM_REQUEST,), horizon_days=7, repeats="add"
        ),
        Dataset(
            "budgets", "Budgets", (Budget,), (BUDGETS,), grain="reading", when=lambda options: not options.get("user")
        ),
        Dataset(
            "copilot_seats", "Copilot seats", (Limit,), (COPILOT_SEATS,), grain="reading",
            when=lambda options: bool(options.get("organization")),
        ),
        Dataset("rate_limit", "REST quota", (Limit,), (RATE_LIMIT,), grain="reading"),
    ),
    services=SERVICES,
    default_service=Service("Developer Tools", "Developer Platforms"),
    offers={
        "cost": Offer("api", "every metered product by day, SKU and repository, gross and net; licences"),
        "usage": Offer("api", "minutes, gigabyte-hours, requests, AI credits by model"),
        "limits": Offer("api", "REST quota and Copilot seats; what is left of a plan's allowance is nowhere stated"),
        "balance": Offer("none", "there is no prepaid balance"),
        "invoices": Offer("entered", "on the billing pages only"),
        "budgets": Offer("api", "of organizations and enterprises; what is consumed is computed from usage"),
        "revenue": Offer("none"),
        "writes": Offer("none", "budgets and cost centres could be changed through the API; Outlay never does"),
    },
    sources=(
        "https://docs.github.com/en/rest/billing/usage",
        "https://docs.github.com/en/rest/billing/budgets",
        "https://docs.github.com/en/rest/rate-limit/rate-limit",
        "https://docs.github.com/en/rest/copilot/copilot-user-management",
        "https://docs.github.com/en/billing/tutorials/automate-usage-reporting",
        "https://docs.github.com/en/billing/reference/product-and-sku-names",
        "https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api",
    ),
)  # fmt: skip
