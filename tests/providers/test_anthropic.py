"""Anthropic's mapping, checked against sums done by hand, and what must never be added together."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from outlay.config import Connection
from outlay.errors import AccessDeniedError, NotOfferedError, OutOfQuotaError, PermissionMissingError, RetryLaterError
from outlay.model.basis import Basis
from outlay.model.facts import Category, Charge, Fact, Limit, LimitKind, Name, Usage
from outlay.model.money import total
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers import anthropic
from outlay.providers.anthropic import limits as anthropic_limits
from outlay.providers.anthropic import usage as anthropic_usage
from outlay.providers.base import Ask, Endpoint
from outlay.sync.check import check
from outlay.sync.plan import Span, plan
from outlay.wire.refusals import Said, declared, default, error
from outlay.wire.request import build
from providers.case_files import all_cases

CASES = {case.path.name: case for case in all_cases() if case.provider.id == "anthropic"}
WEEK = Period.of_days(date(2026, 11, 1), date(2026, 11, 8))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def facts(name: str) -> list[Fact]:
    """Return what a case maps to."""
    return CASES[name].outcome()[0]


def charges(name: str) -> list[Charge]:
    """Return a case's charges."""
    return [fact for fact in facts(name) if isinstance(fact, Charge)]


def usage(name: str) -> list[Usage]:
    """Return a case's measurements."""
    return [fact for fact in facts(name) if isinstance(fact, Usage)]


def grouping(endpoint: Endpoint[object]) -> set[str]:
    """Return the dimensions an endpoint's rows are split by."""
    values = [value for name, value in build(anthropic.PROVIDER, endpoint, {}, WEEK).params if name == "group_by[]"]
    return set(values)


def test_cents_become_dollars_to_the_last_digit() -> None:
    """3509.8754 cents on the second, 105 and a millionth of a millionth on the third: 36.148754... dollars."""
    rows = charges("analytics_cost-two-pages")
    assert total(row.billed_cost for row in rows) == {"USD": Decimal("36.148754000001234568")}
    listed = [row.list_cost for row in rows if row.list_cost is not None]
    assert len(listed) == len(rows)
    assert total(listed) == {"USD": Decimal("37.092782000001234568")}


def test_the_sheet_of_the_older_report_is_not_read_as_dollars() -> None:
    """4128.375 cents are 41.28375 dollars; with 0.30, twice 1.2345, 0.25 and a credit of 0.505 that is 43.79775."""
    rows = charges("cost_report-default-workspace")
    assert total(row.billed_cost for row in rows) == {"USD": Decimal("43.79775"), "JPY": Decimal(25)}
    [credit] = [row for row in rows if row.charge_category is Category.CREDIT]
    assert (credit.billed_cost.amount, credit.sku_price_id) == (Decimal("-0.505"), None)


def test_tiers_and_cache_classes_are_kept_apart() -> None:
    """Standard and batch output share a SKU and differ in price; each cache class is a SKU of its own."""
    rows = [row for row in charges("analytics_cost-two-pages") if row.charge_period.first_day == date(2026, 11, 2)]
    prices = {row.sku_price_id: row.billed_cost.amount for row in rows}
    assert prices["claude-sonnet-5/output@standard/0-200k"] == Decimal("15.005")
    assert prices["claude-sonnet-5/output@batch/0-200k"] == Decimal("7.5025")
    assert prices["claude-sonnet-5/cache-write-5m@standard/0-200k"] == Decimal("0.37125")
    assert prices["claude-sonnet-5/cache-write-1h@standard/0-200k"] == Decimal("0.6")
    assert prices["code_execution"] == Decimal("0.125")
    assert prices["session_usage"] == Decimal("0.07")


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].dataset.name in {"costs", "usage"}])
def test_no_row_is_mistaken_for_another(name: str) -> None:
    """Rows that differ have different natural keys, so that a repeated row is seen as what it is."""
    found, problems = CASES[name].outcome()
    checked = check(CASES[name].dataset, WEEK, found)
    assert not [problem for problem in checked.problems if problem.code == "duplicate_rows"], problems


def test_token_classes_are_disjoint() -> None:
    """1000 + 20000 + 300 + 40 + 5000 tokens are the total of 26340 that the vendor states; it is no meter itself."""
    rows = [row for row in usage("analytics_usage-disjoint-classes") if row.usage_period.first_day == date(2026, 11, 2)]
    standard = {row.meter: row.quantity for row in rows if row.service_tier == "standard"}
    assert sum(count for meter, count in standard.items() if meter.endswith("_tokens")) == 26340
    assert standard["web_searches"] == 3
    assert standard["requests"] == 12


def test_the_older_usage_report_counts_the_same() -> None:
    """Both generations of a day give the same meters with the same quantities."""
    new, old = usage("analytics_usage-disjoint-classes"), usage("messages_usage-default-workspace")
    wanted = {(row.meter, row.unit, row.quantity) for row in new if row.service_tier == "standard" and row.api_key_id}
    found = {(row.meter, row.unit, row.quantity) for row in old if row.service_tier == "standard"}
    assert wanted - found == {("requests", "requests", Decimal(12))}
    assert found <= wanted


def test_a_null_workspace_is_the_default_workspace_in_the_older_reports() -> None:
    """Null becomes `default`, or the id the connection names; the workspace list ties the two together."""
    assert charges("cost_report-default-workspace")[0].sub_account_id == "default"
    assert charges("cost_report-default-workspace-known")[0].sub_account_id == "wrkspc_01Df"
    names = {fact.id: fact for fact in facts("workspaces-default-and-archived") if isinstance(fact, Name)}
    assert names["wrkspc_01Df"].alias_of == "default"
    assert [name.alias_of for name in names.values()].count("default") == 1
    assert names["wrkspc_01Old"].state == "archived"


def test_a_null_workspace_in_the_analytics_report_is_no_workspace() -> None:
    """There the default workspace has its real id, and null is use outside any workspace."""
    found = {row.sub_account_id for row in charges("analytics_cost-two-pages") if row.billed_cost.amount == 0}
    assert found == {None}


def test_keys_are_read_in_both_shapes() -> None:
    """A key's workspace stands in its scope or beside its id; one for the whole organization has none."""
    keys = [fact for fact in facts("api_keys-both-shapes") if isinstance(fact, Name)]
    assert [key.parent_id for key in keys] == ["wrkspc_01Ab", "wrkspc_01Old", None]
    assert [key.state for key in keys] == ["active", "archived", "archived"]


def test_rate_limits_know_their_unit_and_window() -> None:
    """The limiter's name says both; one not known is a count without window, in any group shape."""
    limits = {fact.name: fact for fact in facts("rate_limits-both-shapes") if isinstance(fact, Limit)}
    cached = limits["Claude Sonnet 5: input tokens per minute cache aware"]
    assert (cached.unit, cached.window, cached.kind, cached.quota) == ("tokens", "1 minute", LimitKind.RATE, 5_000_000)
    batch = limits["batch: enqueued batch requests"]
    assert (batch.unit, batch.window, batch.kind) == ("requests", None, LimitKind.QUOTA)
    odd = limits["files: widgets per fortnight"]
    assert (odd.unit, odd.window) == ("count", None)
    assert limits["claude-haiku-5, claude-haiku-4: requests per minute"].model is None


def test_a_workspace_without_an_entry_inherits() -> None:
    """No entry is no limit of its own, and not an unlimited one."""
    assert facts("workspace_rate_limits-inherited") == []
    [own] = [fact for fact in facts("workspace_rate_limits-own") if isinstance(fact, Limit)]
    assert (own.scope, own.quota, own.unlimited) == ("workspace:wrkspc_01Ab", 2500, False)


def test_a_spend_limit_of_null_is_no_cap() -> None:
    """500000 cents are 5000 dollars until the first of December; null is unlimited and not zero."""
    caps = {fact.scope: fact for fact in facts("spend_limits-scopes") if isinstance(fact, Limit)}
    assert (caps["organization"].quota, caps["organization"].unit) == (Decimal(5000), "USD")
    assert caps["organization"].resets_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert caps["user:user_1"].resets_at == datetime(2026, 11, 23, tzinfo=UTC)
    assert caps["user:user_1"].enforced is False
    assert (caps["workspace:wrkspc_01Cd"].quota, caps["workspace:wrkspc_01Cd"].unlimited) == (None, True)
    assert caps["seat_tier:premium"].resets_at is None


def test_a_cap_that_is_switched_off_is_no_cap() -> None:
    """Nothing is used of it and nothing crosses it; what it was set to is a detail."""
    [off] = [fact for fact in facts("spend_limits-scopes") if isinstance(fact, Limit) and fact.enforced is False]
    assert (off.quota, off.unlimited, off.details) == (None, True, {"id": "sl_5", "switched_off": "1"})


def test_a_spend_of_zero_is_unknown() -> None:
    """1234.567 cents are 12.34567 dollars; "0" also stands for what could not be read."""
    first, second = (fact for fact in facts("spend_limits_effective-spenders") if isinstance(fact, Limit))
    assert (first.used, first.quota) == (Decimal("12.34567"), Decimal(200))
    assert (second.used, second.unlimited, second.scope) == (None, True, "api_key:apikey_9")


# ── What must never be added ─────────────────────────────────────────────────────────────────────────────────────


def test_one_report_speaks_for_a_day() -> None:
    """Every day of costs and usage is asked of one generation: the older one before 2026 and beyond a year."""
    connection = Connection("c", "anthropic", "env:X", None, date(2025, 11, 1), None, {}, allow_http=False)
    for name in ("costs", "usage"):
        works = plan(connection, anthropic.PROVIDER, {}, NOW, Span()).works_of(name)
        asked = [(period, work.endpoint.name) for work in works for period in work.partitions]
        assert len({period for period, _ in asked}) == len(asked)
        new = {period.first_day for period, endpoint in asked if endpoint.startswith("analytics")}
        assert min(new) == date(2026, 1, 1)
        assert max(new) == date(2026, 11, 22)


def test_nothing_is_priced_beside_the_report() -> None:
    """Only the dataset of costs yields charges, so tokens times a price can never stand beside them."""
    assert [d.name for d in anthropic.PROVIDER.datasets if Charge in d.yields] == ["costs"]


def test_claude_codes_estimate_is_no_cost() -> None:
    """10.255 + 0.0001 + 0.03 dollars are an estimate, a part of `costs`, and no charge."""
    rows = [row for row in usage("claude_code-person-and-key") if row.meter == "estimated_cost"]
    assert sum(row.quantity for row in rows) == Decimal("10.2851")
    assert {(row.basis, row.part_of, row.unit) for row in rows} == {(Basis.ESTIMATED, "costs", "USD")}


def test_claude_codes_tokens_are_in_the_usage_report_but_for_subscriptions() -> None:
    """Tokens of API customers are a part of `usage`; those of subscriptions are in no other report."""
    rows = [row for row in usage("claude_code-person-and-key") if row.unit == "tokens"]
    assert sum(row.quantity for row in rows if row.part_of == "usage") == 150_010
    assert sum(row.quantity for row in rows if row.part_of is None) == 15


def test_rows_of_one_dataset_are_split_one_way() -> None:
    """Both usage reports are split alike, and none by groups of which a user may have several."""
    new, old = grouping(anthropic_usage.ANALYTICS_USAGE), grouping(anthropic_usage.MESSAGES_USAGE)
    assert new == old == {"workspace_id", "api_key_id", "model", "service_tier", "context_window"}
    cost = grouping(anthropic.ANALYTICS_COST)
    assert cost == new | {"cost_type", "token_type"}
    assert "rbac_group_id" not in cost


def test_the_total_is_no_meter() -> None:
    """`total_tokens` only proves that no class is missing."""
    meters = {row.meter for name in CASES for row in facts(name) if isinstance(row, Usage)}
    assert "total_tokens" not in meters
    [warning, _] = CASES["analytics_usage-total-differs"].outcome()[1]
    assert (warning.code, warning.severity) == ("total_differs", "warning")


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"error":{"details":{"error_code":"organization_type_not_supported"}}}', NotOfferedError),
        (400, b'{"error":{"message":"Unexpected value(s) for the `anthropic-beta` header"}}', NotOfferedError),
        (400, b'{"error":{"message":"You have reached your specified API usage limits."}}', OutOfQuotaError),
        (401, b'{"error":{"type":"authentication_error","message":"invalid x-api-key"}}', AccessDeniedError),
        (402, b'{"error":{"type":"billing_error"}}', OutOfQuotaError),
        (403, b'{"error":{"type":"permission_error"}}', PermissionMissingError),
        (404, b"", NotOfferedError),
        (429, b'{"error":{"type":"rate_limit_error"}}', RetryLaterError),
        (429, b'{"error":{"details":{"error_code":"enforced_spend_limit_reached"}}}', OutOfQuotaError),
        (529, b'{"error":{"type":"overloaded_error"}}', RetryLaterError),
    ],
)
def test_a_no_is_understood(status: int, body: bytes, kind: type[Exception]) -> None:
    """Each of the vendor's refusals is the error that says who must act."""
    said = Said(status, {}, body)
    refusal = declared(anthropic.PROVIDER, anthropic.ANALYTICS_COST, said) or default(said)
    assert type(error(anthropic.PROVIDER, anthropic.ANALYTICS_COST, said, refusal)) is kind


def test_a_workspace_path_is_filled() -> None:
    """The rate limits of a workspace are asked for under its id."""
    request = build(anthropic.PROVIDER, anthropic_limits.WORKSPACE_RATE_LIMITS, {}, WEEK, "wrkspc_01Ab")
    assert request.path == "/v1/organizations/workspaces/wrkspc_01Ab/rate_limits"
    assert request.headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize("days", [2, 31, 32, 33, 63, 94])
def test_the_current_day_is_not_asked_for_alone(days: int) -> None:
    """The older report answers 400 to it; where it takes over, it is asked for the windows of the newer one."""
    since = date(2026, 11, 23) - timedelta(days=days)
    connection = Connection("c", "anthropic", "env:X", None, since, None, {}, allow_http=False)
    works = plan(connection, anthropic.PROVIDER, {}, NOW, Span()).works_of("costs")
    assert sum(len(work.partitions) for work in works) == days
    assert all(len(work.partitions) > 1 for work in works)


@pytest.mark.parametrize(
    ("refreshed", "unknown"),
    [
        ("2026-11-03T06:00:00Z", [4, 5]),
        ("2026-11-04T00:00:00Z", [4, 5]),
        ("2026-11-05T23:59:59+00:00", []),
        ("2026-11-06T08:00:00Z", []),
        (None, []),
        ("soon", []),
    ],
)
def test_a_day_behind_the_vendors_own_figures_is_unknown_and_not_free(
    refreshed: str | None, unknown: list[int]
) -> None:
    """It was refreshed on the third: the fourth and the fifth are missing, the sixth is today and partial anyway."""
    ask = Ask("costs", WEEK, {}, datetime(2026, 11, 6, 12, tzinfo=UTC))
    costs = anthropic.CostAnalytics(data=[], has_more=False, data_refreshed_at=refreshed)
    use = anthropic_usage.UsageAnalytics(data=[], has_more=False, data_refreshed_at=refreshed)
    for found in (list(anthropic.cost_analytics(costs, ask)), list(anthropic_usage.usage_analytics(use, ask))):
        problems = [each for each in found if isinstance(each, Problem)]
        assert [each.period for each in problems] == [Period.of_day(date(2026, 11, day)) for day in unknown]
        assert {(each.code, each.severity) for each in problems} <= {("not_yet_told", Severity.LACKING)}
    assert not list(
        anthropic.cost_analytics(anthropic.CostAnalytics([], has_more=True, data_refreshed_at=refreshed), ask)
    )
