"""GitHub's mapping, checked against sums done by hand, and what must never be added together."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import AccessDeniedError, GoneError, NotOfferedError, PermissionMissingError, RetryLaterError
from outlay.model.facts import Budget, Category, Charge, Fact, Limit, Name, Statement, Usage
from outlay.model.money import Money, exact, total
from outlay.model.period import Period
from outlay.providers import github
from outlay.providers.base import Ask, Endpoint, FanOut
from outlay.providers.github import limits as github_limits
from outlay.providers.github import names as github_names
from outlay.providers.github import totals as github_totals
from outlay.sync.check import check
from outlay.wire.refusals import Said, declared, default, error
from outlay.wire.request import build
from providers.case_files import all_cases

CASES = {case.path.name: case for case in all_cases() if case.provider.id == "github"}
DAY = Period.of_day(date(2026, 10, 3))
ASK = Ask("usage", DAY, {"organization": "acme-labs"}, datetime(2026, 10, 4, tzinfo=UTC))


def facts(name: str) -> list[Fact]:
    """Return what a case maps to."""
    return CASES[name].outcome()[0]


def charges(name: str) -> list[Charge]:
    """Return a case's charges."""
    return [fact for fact in facts(name) if isinstance(fact, Charge)]


def usage(name: str) -> list[Usage]:
    """Return a case's measurements."""
    return [fact for fact in facts(name) if isinstance(fact, Usage)]


def listed(rows: list[Charge]) -> Decimal:
    """Return the sum of list costs in dollars."""
    return total(row.list_cost for row in rows if row.list_cost is not None)["USD"]


def billed(rows: list[Charge]) -> Decimal:
    """Return the sum of billed costs in dollars."""
    return total(row.billed_cost for row in rows)["USD"]


def item(quantity: str, price: str, gross: str, net: str, **other: str) -> github.UsageItem:
    """Return one row of Actions Linux minutes."""
    discount = Decimal(gross) - Decimal(net)
    words = {"product": "actions", "sku": "Actions Linux", "unit_type": "Minutes", **other}
    amounts = (Decimal(price), Decimal(gross), discount, Decimal(net))
    return github.UsageItem(
        "2026-10-03", words["product"], words["sku"], Decimal(quantity), words["unit_type"], *amounts
    )


def mapped(row: github.UsageItem) -> list[Charge]:
    """Return the charges of one row."""
    return [fact for fact in github.usage(github.UsageReport([row]), ASK) if isinstance(fact, Charge)]


def test_gross_is_listed_and_net_is_billed() -> None:
    """2.472 + 0.03985211 + 12.505 are listed, 0 + 0.03985211 + 2.5050000000000003 are billed, exactly as sent."""
    rows = charges("usage-covered-charged-and-both")
    assert listed(rows) == Decimal("15.01685211")
    assert billed(rows) == Decimal("2.5448521100000003")


def test_a_row_covered_in_part_becomes_two() -> None:
    """100 minutes at 0.010 of which 0.25 dollars are covered are 75 charged and 25 included minutes."""
    rows = [row for row in charges("usage-partly-covered") if row.sku_id == "actions_windows"]
    told = [(row.sku_price_id, row.pricing_quantity, row.billed_cost.amount) for row in rows]
    assert told == [("actions_windows", 75, Decimal("0.75")), ("actions_windows@included", 25, 0)]
    assert {row.list_unit_price for row in rows} == {Decimal("0.010")}


def test_a_row_covered_in_full_is_one() -> None:
    """412 free minutes are listed at 2.472 and billed at nothing, under the price of included use."""
    [row] = [row for row in charges("usage-covered-charged-and-both") if row.sku_id == "actions_linux"]
    assert (row.sku_price_id, row.billed_cost.amount, row.pricing_quantity) == ("actions_linux@included", 0, 412)


def test_float_noise_makes_no_row() -> None:
    """A net of 4.4e-16 beside a gross of 2.472 is noise: it stays in the sum, and no second row is made for it."""
    rows = [row for row in charges("usage-partly-covered") if row.resource_id == "acme-labs/api"]
    rows = [row for row in rows if row.sku_id == "actions_linux"]
    assert [row.sku_price_id for row in rows] == ["actions_linux@included"]
    assert billed(rows) == Decimal("0.000000000000000444")


amount = st.decimals(min_value="0.000001", max_value="100000", places=12)


@given(
    quantity=amount,
    price=st.decimals(min_value="0.0001", max_value="500", places=8),
    share=st.decimals(0, 1, places=12),
)
def test_no_digit_is_lost_by_splitting(quantity: Decimal, price: Decimal, share: Decimal) -> None:
    """However a row is split, its charges add up to its gross, its net and its quantity, at the row's own price."""
    gross = exact(quantity * price)
    net = exact(gross * share)
    rows = mapped(item(f"{quantity:f}", f"{price:f}", f"{gross:f}", f"{net:f}"))
    assert listed(rows) == gross
    assert billed(rows) == net
    assert sum(row.pricing_quantity or 0 for row in rows) == quantity
    for row in rows:
        assert row.list_cost is not None
        if (
            row.list_unit_price is not None
            and row.pricing_quantity is not None
            and row.list_cost.amount > Decimal("1e-6")
        ):
            off = abs(row.list_unit_price * row.pricing_quantity - row.list_cost.amount)
            assert off <= row.list_cost.amount * Decimal("1e-8")


def test_a_price_that_does_not_give_the_amount_is_only_noted() -> None:
    """118.600417 x 0.00033602 is 0.0398521121... and not the 0.03985211 stated: no unit price, the word is kept."""
    [row] = [row for row in charges("usage-covered-charged-and-both") if row.sku_id == "actions_storage"]
    assert (row.list_unit_price, row.contracted_unit_price) == (None, None)
    assert row.details == {"pricePerUnit": "0.00033602"}
    assert (row.consumed_unit, row.pricing_unit) == ("GB-Hours", "GB-Hours")


def test_licences_are_purchases() -> None:
    """210 less 21, 76 and 19 dollars for people: purchases that recur, whole rows, with nothing consumed."""
    rows = charges("usage-licences")
    assert {(row.charge_category, row.charge_frequency) for row in rows} == {("Purchase", "Recurring")}
    assert (listed(rows), billed(rows)) == (Decimal(305), Decimal(284))
    assert {row.consumed_quantity for row in rows} == {None}
    assert {row.sku_id for row in rows} == {"ghec_licenses", "copilot_for_business"}


def test_the_day_is_the_one_asked_for() -> None:
    """Rows carry moments or other dates; they are booked on the day of the request."""
    names = [name for name in CASES if name.startswith("usage-")]
    for name in names:
        asked = CASES[name].ask().period
        assert {row.charge_period for row in charges(name)} <= {asked}


def test_an_answer_for_a_whole_month_is_not_a_day() -> None:
    """Rows of several other days mean that the day was not heeded: nothing of it may be committed."""
    [problem] = CASES["usage-of-a-whole-month"].outcome()[1]
    assert (problem.code, problem.severity) == ("rows_of_other_days", "fatal")
    [problem] = CASES["usage-dated-elsewhere"].outcome()[1]
    assert (problem.code, problem.severity) == ("rows_of_other_days", "warning")


def test_repeated_rows_add_up() -> None:
    """Two rows of one repository and SKU, as two cost centres make them, are one row with both amounts."""
    page = github.UsageReport([item("10", "0.006", "0.06", "0.06"), item("5", "0.006", "0.03", "0.03")])
    found = [fact for fact in github.usage(page, ASK) if isinstance(fact, Charge | Usage)]
    merged = check(github.PROVIDER.dataset("usage"), DAY, found).facts
    [charge] = [fact for fact in merged if isinstance(fact, Charge)]
    [measured] = [fact for fact in merged if isinstance(fact, Usage)]
    assert (charge.billed_cost, charge.pricing_quantity, measured.quantity) == (Money.of("0.09", "USD"), 15, 15)


@pytest.mark.parametrize(
    ("text", "sku"),
    [
        ("Actions Linux", "actions_linux"),
        ("actions_linux", "actions_linux"),
        ("Actions Linux 16-core ARM", "actions_linux_16_core_arm"),
        ("Actions macOS runners", "actions_macos"),
        ("Codespaces compute (32-core)", "codespaces_compute_d32"),
        ("Git LFS bandwidth", "git_lfs_bandwidth"),
        ("Copilot Premium Request", "copilot_premium_requests"),
        ("GHAS secret protection licenses", "ghas_secret_protection_licenses"),
        ("GitHub Enterprise Cloud", "ghec_licenses"),
        ("Brand New Thing", "Brand New Thing"),
    ],
)
def test_both_spellings_of_a_sku_meet(text: str, sku: str) -> None:
    """The display name of the rows and the machine id of the summary are one SKU; an unknown one is kept verbatim."""
    assert github_names.sku_id(text) == sku


def test_an_unknown_product_keeps_its_name() -> None:
    """A product nobody knew is charged under its own name."""
    [row] = mapped(item("1", "1", "1", "1", product="Teleporter", sku="Teleporter hops", unit_type="Hops"))
    assert (row.service_name, row.sku_id, row.consumed_unit) == ("Teleporter", "Teleporter hops", "Hops")


def test_a_personal_repository_gets_its_owner() -> None:
    """Personal rows carry the bare name of a repository and no organization."""
    rows = charges("usage-personal")
    assert {(row.resource_id, row.sub_account_id, row.sub_account_type) for row in rows} == {
        ("dana/site", "dana", "User")
    }


def test_a_cost_centre_is_a_tag() -> None:
    """What is asked for one cost centre says so, and keeps the organization it was used in."""
    rows = charges("usage-one-cost-centre")
    assert {row.tags["github/cost_center"] for row in rows if row.tags} == {"cc-1"}
    assert {row.sub_account_id for row in rows} == {"acme-labs", "acme-games"}


def test_budgets_are_dollars_or_licences() -> None:
    """200 dollars for Actions; 25 licences are no money; a user's budget says what is consumed."""
    found = {fact.budget_id[:2]: fact for fact in facts("budgets-both-spellings") if isinstance(fact, Budget)}
    assert (found["0b"].amount, found["0b"].currency, found["0b"].covers) == (200, "USD", {
        "service": "GitHub Actions", "sub_account": "acme-labs"})  # fmt: skip
    assert found["b2"].covers == {"sku": "actions_linux,actions_windows", "resource": "acme-labs/api"}
    assert (found["b3"].currency, found["b3"].unit) == (None, "seats")
    assert (found["b4"].consumed, found["b4"].enforced) == (Decimal("2.5"), True)
    assert found["b5"].covers == {"service": "Copilot", "cost_center": "Games"}


@pytest.mark.parametrize(
    ("level", "scope", "entity", "place"),
    [
        ("organization", "organization", None, {}),
        ("enterprise", "organization", "acme-labs", {"sub_account": "acme-labs"}),
        ("enterprise", "organization", None, {"organization": None}),
        ("enterprise", "enterprise", "acme", {}),
        ("organization", "enterprise", "acme", {"enterprise": "acme"}),
        ("organization", "repository", "api", {"resource": "acme-labs/api"}),
        ("enterprise", "cost_center", "Games", {"tag:github/cost_center": "Games"}),
        ("organization", "cost_center", "Games", {"cost_center": "Games"}),
        ("enterprise", "multi_user_cost_center", "Games", {"multi_user_cost_center": "Games"}),
        ("enterprise", "multi_user_customer", None, {"multi_user_customer": None}),
        ("organization", "planet", "Mars", {"planet": "Mars"}),
    ],
)
def test_a_budget_counts_its_own_charges_or_none(
    level: str, scope: str, entity: str | None, place: dict[str, str | None]
) -> None:
    """Where the connection's charges are not what a budget counts, a dimension they do not have says so."""
    row = github_limits.BudgetRow("b", Decimal(10), scope, "ProductPricing", budget_entity_name=entity)
    row.budget_product_sku = "copilot"
    ask = Ask("budgets", DAY, {level: "acme-labs"}, datetime(2026, 10, 4, tzinfo=UTC))
    [found] = github_limits.budgets(github_limits.BudgetPage([row]), ask)
    assert found.covers == {"service": "Copilot", **place}


@pytest.mark.parametrize("kind", ["ProductPricing", "SkuPricing", "BundlePricing", "TomorrowPricing"])
@pytest.mark.parametrize(
    ("what", "licences"), [("ghas", True), ("ghec_licenses", True), ("copilot_enterprise", True), ("copilot", False)]
)
def test_a_budget_of_licences_is_no_money_whatever_its_kind(kind: str, what: str, licences: bool) -> None:
    """What is bought tells licences from dollars; the kinds of budgets are an open set."""
    row = github_limits.BudgetRow("b", Decimal(25), "enterprise", kind, budget_product_sku=what)
    [found] = github_limits.budgets(github_limits.BudgetPage([row]), ASK)
    assert (found.currency, found.unit) == ((None, "seats") if licences else ("USD", None))


def test_seats_and_quotas_are_limits() -> None:
    """12 seats, 10 used, 2 not; 5000 requests an hour, 4999 left until noon."""
    [seats] = [fact for fact in facts("copilot_seats-business") if isinstance(fact, Limit)]
    assert (seats.quota, seats.used, seats.remaining) == (12, 10, 2)
    core = next(
        fact for fact in facts("rate_limit-resources") if isinstance(fact, Limit) and fact.name.endswith("core")
    )
    assert (core.quota, core.used, core.remaining, core.window) == (5000, 1, 4999, "1 hour")
    assert core.resets_at == datetime.fromtimestamp(1795348800, UTC)


def test_deleted_cost_centres_stay_known() -> None:
    """Their past costs are still asked for."""
    states = [
        fact.state
        for name in ("cost_centers-active", "cost_centers_deleted-one")
        for fact in facts(name)
        if isinstance(fact, Name)
    ]
    assert states == ["active", "active", "deleted"]


# ── What must never be added ─────────────────────────────────────────────────────────────────────────────────────


def test_the_summary_is_a_statement() -> None:
    """40.8 + 0.033602 dollars of Actions are compared with the rows within a cent, and never added to them."""
    found = facts("usage_summary-month")
    assert {type(fact) for fact in found} == {Statement}
    sums = {fact.service_name: fact for fact in found if isinstance(fact, Statement)}
    assert sums["GitHub Actions"].billed_cost == Money.of("40.833602", "USD")
    assert sums["GitHub Actions"].list_cost == Money.of("58.833602", "USD")
    assert sums["Copilot"].billed_cost == Money.of("2.5050000000000003", "USD")
    assert {fact.tolerance for fact in sums.values()} == {Decimal("0.01")}
    assert {fact.dataset for fact in sums.values()} == {"usage"}


@pytest.mark.parametrize("name", ["ai_credit-by-model", "premium_request-before-june"])
def test_use_by_model_is_a_part_of_usage(name: str) -> None:
    """AI credits and premium requests by model are no charges, and parts of the rows that hold them."""
    found = facts(name)
    assert {type(fact) for fact in found} == {Usage}
    assert {row.part_of for row in usage(name)} == {"usage"}
    assert all(row.model for row in usage(name))


def test_credits_follow_requests() -> None:
    """Requests are counted until the end of May 2026, credits from June on: no day is asked for both."""
    assert github_totals.PREMIUM_REQUEST.until == github_totals.AI_CREDIT.since == date(2026, 6, 1)


def test_an_account_is_read_at_one_level() -> None:
    """Organization, user and enterprise exclude each other, and lead to different paths."""
    assert {option.one_of for option in github.PROVIDER.options} == {"level"}
    paths = {
        build(github.PROVIDER, github.USAGE, {name: "x"}, DAY).path for name in ("organization", "user", "enterprise")
    }
    tail = "/x/settings/billing/usage"
    assert paths == {f"/organizations{tail}", f"/users{tail}", f"/enterprises{tail}"}


def test_an_enterprise_is_asked_once_without_and_once_for_every_cost_centre() -> None:
    """The answer without a cost centre holds what belongs to none: slices and rest do not overlap."""
    assert github.USAGE.each == FanOut(
        "cost_center", "cost_center_id", place="query", states=("active", "deleted"), also_without=True,
        only_with="enterprise",
    )  # fmt: skip
    request = build(github.PROVIDER, github.USAGE, {"enterprise": "acme"}, DAY, "cc-1")
    assert dict(request.params) == {"year": "2026", "month": "10", "day": "3", "cost_center_id": "cc-1"}
    assert github_totals.SUMMARY.each is None


def test_gross_and_net_are_columns_of_one_row() -> None:
    """A discount is never a line of its own: no charge of usage is negative."""
    for name in ("usage-covered-charged-and-both", "usage-partly-covered"):
        assert all(row.billed_cost.amount >= 0 for row in charges(name))
        assert not [row for row in charges(name) if row.charge_category is Category.CREDIT]


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────

_HIDDEN = b'{"message":"Not Found","status":"404"}'
_REFUSED = b'{"message":"Resource not accessible by personal access token","status":"403"}'


@pytest.mark.parametrize(
    ("endpoint", "said", "kind", "hint"),
    [
        (github.USAGE, Said(404, {}, _HIDDEN), PermissionMissingError, "enterprise"),
        (github_totals.AI_CREDIT, Said(404, {}, _HIDDEN), NotOfferedError, "enterprise"),
        (github_limits.BUDGETS, Said(404, {}, _HIDDEN), NotOfferedError, ""),
        (github.USAGE, Said(403, {"x-ratelimit-remaining": "4000"}, _REFUSED), PermissionMissingError, "classic"),
        (github.USAGE, Said(403, {}, b'{"message":"Resource protected by organization SAML enforcement."}'),
         PermissionMissingError, "single sign-on"),
        (github.USAGE, Said(403, {"x-ratelimit-remaining": "0"}, b"{}"), RetryLaterError, ""),
        (github.USAGE, Said(403, {"retry-after": "30"}, b"{}"), RetryLaterError, ""),
        (github.USAGE, Said(403, {}, b'{"message":"You have exceeded a secondary rate limit."}'), RetryLaterError, ""),
        (github.USAGE, Said(429, {}, b"{}"), RetryLaterError, ""),
        (github.USAGE, Said(401, {}, b'{"message":"Bad credentials"}'), AccessDeniedError, "classic"),
        (github.USAGE, Said(410, {}, b'{"message":"This endpoint has been moved"}'), GoneError, "Outlay"),
    ],
)  # fmt: skip
def test_a_no_is_understood(endpoint: Endpoint[object], said: Said, kind: type[Exception], hint: str) -> None:
    """Each of GitHub's refusals is the error that says who must act, with a hint that says how."""
    found = error(github.PROVIDER, endpoint, said, declared(github.PROVIDER, endpoint, said) or default(said))
    assert type(found) is kind
    assert hint in found.hint


def test_the_missing_permission_is_shown() -> None:
    """GitHub names what a token would need; the message passes it on."""
    said = Said(403, {"x-accepted-github-permissions": "organization_administration=read"}, _REFUSED)
    refusal = declared(github.PROVIDER, github.USAGE, said) or default(said)
    found = error(github.PROVIDER, github.USAGE, said, refusal)
    assert "organization_administration=read" in found.message


def test_an_enterprise_server_is_reached_through_its_own_address() -> None:
    """A base URL with a path prefix keeps GitHub's own paths behind it, with the version every server knows."""
    request = build(
        github.PROVIDER, github_limits.RATE_LIMIT, {"user": "x"}, DAY, None, "https://git.example.com/api/v3"
    )
    assert request.url == "https://git.example.com/api/v3/rate_limit"
    assert request.headers["x-github-api-version"] == "2022-11-28"
