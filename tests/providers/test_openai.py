"""OpenAI's mapping, checked against sums done by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from outlay.model.facts import Budget, Category, Charge, Fact, Limit, Usage
from outlay.model.money import total
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers import openai
from outlay.providers.base import EpochWindow, Refusal
from outlay.providers.openai import usage as openai_usage
from outlay.wire.request import build
from providers.case_files import all_cases, decode

CASES = {case.path.name: case for case in all_cases() if case.provider.id == "openai"}


def facts(name: str) -> list[Fact]:
    """Return what a case maps to."""
    return CASES[name].outcome()[0]


def charges(name: str) -> list[Charge]:
    """Return a case's charges."""
    return [fact for fact in facts(name) if isinstance(fact, Charge)]


def usage(name: str) -> list[Usage]:
    """Return a case's measurements."""
    return [fact for fact in facts(name) if isinstance(fact, Usage)]


def cost_line(text: str) -> Charge:
    """Return the charge of one dollar for a line item."""
    row = openai.CostRow(amount=openai.Amount(Decimal(1), "usd"), line_item=text)
    bucket = openai.CostBucket(1793491200, 1793577600, [row])
    [charge] = openai.charges(openai.CostPage([bucket], has_more=False), CASES["costs_by_key-two-pages"].ask())
    assert isinstance(charge, Charge)
    return charge


def test_costs_add_up_to_the_last_digit() -> None:
    """3.417265 + 0.25 + 0.012345678901234567891234 + 12.50, each to eighteen decimals, is 16.179610678901234568."""
    sums = total(charge.billed_cost for charge in charges("costs_by_key-two-pages"))
    assert sums == {"USD": Decimal("16.179610678901234568")}


def test_credits_lower_the_total_and_carry_no_quantity() -> None:
    """-2.75 + 40 + 0 is 37.25; the negative line is a credit, which FOCUS gives no quantity and no price."""
    rows = charges("costs_by_key-credits-and-organization")
    assert total(row.billed_cost for row in rows) == {"USD": Decimal("37.25")}
    [credit] = [row for row in rows if row.charge_category is Category.CREDIT]
    assert (credit.consumed_quantity, credit.pricing_quantity, credit.sku_price_id) == (None, None, None)


def test_thousands_of_tokens_are_counted_one_by_one() -> None:
    """12.5 in units of 1000_tokens are 12,500 tokens, and 0.0125 of a million."""
    [row] = [row for row in charges("costs_by_key-two-pages") if row.sub_account_id == "proj_old"]
    assert (row.consumed_quantity, row.consumed_unit) == (Decimal(12500), "Tokens")
    assert (row.pricing_quantity, row.pricing_unit) == (Decimal("0.0125"), "1000000 Tokens")


def test_an_organization_wide_line_has_no_project() -> None:
    """A Scale Tier bundle is booked on the organization: no sub account is invented."""
    [row] = [row for row in charges("costs_by_key-credits-and-organization") if row.sku_id == "openai/scale-tier"]
    assert (row.sub_account_id, row.sub_account_type) == (None, None)


def test_list_cost_stays_unknown() -> None:
    """The vendor states no list price, so none is made up."""
    assert {row.list_cost for row in charges("costs_by_key-two-pages")} == {None}


@pytest.mark.parametrize(
    ("text", "model", "sku", "price"),
    [
        ("gpt-4o-2024-08-06, input", "gpt-4o-2024-08-06", "gpt-4o-2024-08-06/input", "gpt-4o-2024-08-06/input"),
        ("gpt-4o, Input", "gpt-4o", "gpt-4o/input", "gpt-4o/input"),
        ("gpt-6-astra, input_tokens", "gpt-6-astra", "gpt-6-astra/input", "gpt-6-astra/input"),
        ("gpt-4o, cached input", "gpt-4o", "gpt-4o/input-cached", "gpt-4o/input-cached"),
        ("gpt-4o, cached audio input", "gpt-4o", "gpt-4o/audio-input-cached", "gpt-4o/audio-input-cached"),
        ("gpt-4o, cache write", "gpt-4o", "gpt-4o/input-cache-write", "gpt-4o/input-cache-write"),
        ("whisper-2", "whisper-2", "whisper-2/usage", "whisper-2/usage"),
        ("storage", None, "openai/storage", "openai/storage"),
        ("gpt-4o, output, batch", None, "openai/gpt-4o-output-batch", "openai/gpt-4o-output-batch"),
        ("gpt-4o, batch output", "gpt-4o", "gpt-4o/output", "gpt-4o/output@batch"),
        ("web search tool calls", None, "openai/web-search-tool-calls", "openai/web-search-tool-calls"),
        (", ", None, "openai/unnamed", "openai/unnamed"),
        ("ft:gpt-4o:a::b, output", "ft:gpt-4o:a::b", "ft:gpt-4o:a::b/output", "ft:gpt-4o:a::b/output"),
    ],
)
def test_line_items_are_read_as_far_as_they_go(text: str, model: str | None, sku: str, price: str) -> None:
    """A line item is free text: its spellings meet in one SKU, and what cannot be read stays a SKU of its own."""
    row = cost_line(text)
    assert (row.model, row.sku_id, row.sku_price_id, row.charge_description) == (model, sku, price, text)


def test_a_price_belongs_to_one_sku() -> None:
    """No SkuPriceId ever stands under two SkuIds."""
    models = ("a", "a/b", "a@batch", "a b")
    words = ("input", "input batch", "batch input", "input@batch", "cached input", "flex", "priority flex", "")
    rows = [cost_line(f"{model}, {rest}") for model in models for rest in words]
    parents: dict[str | None, set[str | None]] = {}
    for row in rows:
        parents.setdefault(row.sku_price_id, set()).add(row.sku_id)
    assert all(len(skus) == 1 for skus in parents.values())


def test_token_classes_add_up_to_the_vendors_total() -> None:
    """9000 + 100 + 50 input tokens are stated; the disjoint classes hold 9150 and not the 15,000 with cached on top."""
    rows = usage("completions-disjoint-classes")
    assert sum(row.quantity for row in rows if row.meter.startswith("input_")) == 9150
    assert sum(row.quantity for row in rows if row.meter == "output_tokens") == 715
    assert sum(row.quantity for row in rows if row.meter == "num_model_requests") == 6


def test_an_older_answer_gives_the_uncached_rest() -> None:
    """1000 input tokens of which 400 are cached leave 600 uncached; 7 without a word about cache are all uncached."""
    rows = [row for row in usage("completions-before-classes") if row.meter == "input_uncached_tokens"]
    assert [row.quantity for row in rows] == [600, 7]


def test_more_cached_than_input_is_refused() -> None:
    """A part larger than its whole is a problem that names both, and no row of that result is kept."""
    _, problems = CASES["completions-refused"].outcome()
    [problem] = [problem for problem in problems if problem.code == "parts_exceed_whole"]
    assert "input_cached_tokens" in problem.says
    assert "input_tokens" in problem.says


def test_web_search_model_requests_are_not_counted_twice() -> None:
    """Searches have a meter of their own; the model requests beside them are a part of the completions'."""
    rows = usage("web_search_calls-levels")
    assert sum(row.quantity for row in rows if row.part_of is None) == 11
    assert {row.part_of for row in rows if row.meter == "num_model_requests"} == {"usage.completions"}


def test_spend_limits_are_cents() -> None:
    """250000 cents are 2500 dollars, which start over on the first of December."""
    [limit] = [fact for fact in facts("spend_limit-inactive") if isinstance(fact, Limit)]
    assert (limit.quota, limit.unit, limit.enforced) == (Decimal(2500), "USD", False)
    assert limit.resets_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_spend_alerts_are_cents() -> None:
    """10000 and 1999 cents are 100 and 19.99 dollars."""
    rows = [fact for fact in facts("spend_alerts-two") if isinstance(fact, Budget)]
    assert [(row.amount, row.currency) for row in rows] == [(Decimal(100), "USD"), (Decimal("19.99"), "USD")]


def test_keys_are_asked_for_from_the_day_the_vendor_allows() -> None:
    """The epoch before which grouping by key is a 400 is 1764979200; from that day on, and only then, it is asked."""
    by_key, by_line = openai.PROVIDER.dataset("costs").endpoints
    edge = datetime.fromtimestamp(1764979200, UTC)
    assert by_key.since == edge.date() == date(2025, 12, 6)
    assert by_key.query["group_by"] == ("project_id", "line_item", "api_key_id")
    assert by_line.query["group_by"] == ("project_id", "line_item")
    assert by_line.since is None


def test_pages_stay_inside_the_vendors_limits() -> None:
    """More than 180 days of costs or 31 of usage on a page is a 400, and user_id never stands beside project_id."""
    for dataset in openai.PROVIDER.datasets:
        for endpoint in dataset.endpoints:
            groups = endpoint.query.get("group_by", ())
            assert isinstance(groups, tuple)
            assert not {"user_id", "project_id"} <= set(groups)
            most = {"costs": 180, "usage": 31}.get(dataset.name.split(".")[0], 100)
            assert int(str(endpoint.query.get("limit", 0))) <= most


def test_missing_scopes_are_a_permission_and_not_a_wrong_key() -> None:
    """Both 401 and 403 have been seen for a missing scope; the first rule that fits must be the permission."""
    body = "You have insufficient permissions for this operation. Missing scopes: api.usage.read."
    for status in (401, 403):
        assert _first(status, body) == "permission_missing"
    assert _first(401, "Incorrect API key provided") == "access_denied"
    assert _first(429, "insufficient_quota") == "out_of_quota"


def _first(status: int, body: str) -> str | None:
    def fits(rule: Refusal) -> bool:
        return rule.status == status and rule.contains in body.lower()

    return next((rule.means for rule in openai.PROVIDER.refusals if fits(rule)), None)


def test_absurd_magnitudes_are_refused_in_words() -> None:
    """An amount, a quantity or a detail with a huge exponent is a problem or a short text, never a crash."""
    body = (
        b'{"data":[{"start_time":1793491200,"end_time":1793577600,"results":[{"amount":{"value":1,"currency":"usd"},'
        b'"line_item":"a, b","quantity":99999999999999999999,"quantity_unit":"1000_tokens"}]}],"has_more":false}'
    )
    case = CASES["costs_by_key-two-pages"]
    [found] = case.endpoint.facts(decode(case.endpoint, body), case.ask())
    assert isinstance(found, Problem)
    one, absurd = Decimal(1), Decimal("1e999999")
    row = openai_usage.UsageRow("organization.usage.completions.result", input_tokens=one, output_tokens=one,
                                num_model_requests=one, input_text_tokens=absurd)  # fmt: skip
    page = openai_usage.UsagePage([openai_usage.UsageBucket(1793491200, 1793577600, [row])], has_more=False)
    found_usage = [fact for fact in openai_usage.usage(page, case.ask()) if isinstance(fact, Usage)]
    assert found_usage[0].details == {"input_text_tokens": "1E+999999"}


def test_rate_limits_of_two_models_are_told_apart_by_name() -> None:
    """A list of limits shows names and scopes: two models of one project must not look the same there."""
    found = [fact for fact in facts("rate_limits-two-models") if isinstance(fact, Limit)]
    assert len({(fact.name, fact.scope) for fact in found}) == len(found)


def test_no_report_is_asked_for_what_is_to_come() -> None:
    """The organization's reports take now for the end, and one that lies ahead may be refused."""
    period, now = Period.of_days(date(2026, 11, 1), date(2026, 11, 23)), datetime(2026, 11, 22, 9, tzinfo=UTC)
    dated = [
        endpoint
        for dataset in openai.PROVIDER.datasets
        for endpoint in dataset.endpoints
        if isinstance(endpoint.window, EpochWindow)
    ]
    assert len(dated) == 13
    for endpoint in dated:
        open_, over = ({name for name, _ in build(openai.PROVIDER, endpoint, {}, period, now=at).params} for at in
                       (now, datetime(2026, 11, 23, tzinfo=UTC)))  # fmt: skip
        assert "start_time" in open_ & over
        assert over - open_ == {"end_time"}
