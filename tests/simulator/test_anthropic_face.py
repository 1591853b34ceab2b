"""Anthropic's face is as strict as the vendor, and its answers add up to the truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.simulator import FACES, Quota
from outlay.simulator.worlds.anthropic import AnthropicAccount
from outlay.simulator.worlds.truth import exact_sum
from simulator.asking import TODAY, Asker

ROOT = "/v1/organizations"
COST, MESSAGES = f"{ROOT}/cost_report", f"{ROOT}/usage_report/messages"
ANALYTICS, ANALYTICS_USAGE = f"{ROOT}/analytics/cost", f"{ROOT}/analytics/usage"
FIRST = TODAY - timedelta(days=39)
RANGE_ERROR = "Invalid date range: ending date must be after starting date"


def at(day: date, clock: str = "00:00:00") -> str:
    """Return an instant as a parameter."""
    return f"{day.isoformat()}T{clock}Z"


def since(day: date = FIRST) -> tuple[str, object]:
    """Return the parameter a question starts with."""
    return ("starting_at", at(day))


def group(*names: str) -> list[tuple[str, object]]:
    """Return the parameters that group by names."""
    return [("group_by[]", name) for name in names]


def cost_rows(asker: Asker, *groups: str, limit: int = 31) -> list[tuple[str, dict[str, Any]]]:
    """Return every row of the old cost report with its day."""
    query = [since(), ("limit", limit), *group(*groups)]
    return [
        (bucket["starting_at"][:10], row)
        for page in asker.pages("anthropic", COST, query)
        for bucket in page["data"]
        for row in bucket["results"]
    ]


@pytest.mark.parametrize("limit", [1, 31])
@pytest.mark.parametrize("groups", [(), ("workspace_id",), ("description",), ("workspace_id", "description")])
def test_costs_add_up_to_the_truth(asker: Asker, groups: tuple[str, ...], limit: int) -> None:
    """Whatever the page size and the grouping, each row is the exact sum of the truth's lines, in cents."""
    got = {
        (day, *(row[name] for name in groups)): Decimal(row["amount"]).scaleb(-2)
        for day, row in cost_rows(asker, *groups, limit=limit)
    }
    dims = ["legacy_workspace_id" if name == "workspace_id" else name for name in groups]
    true = asker.world.truth("anthropic").spend(("day", *dims))
    assert got == {(key[0].isoformat(), *key[1:]): spend.billed for key, spend in true.items()}


def test_descriptions_stand_for_their_parts(asker: Asker) -> None:
    """A description fills the parsed fields, no two kinds of cost share one, and no grouping leaves all null."""
    parts: dict[str, tuple[str | None, ...]] = {}
    for _, row in cost_rows(asker, "description"):
        fields = tuple(
            row[name]
            for name in ("cost_type", "model", "token_type", "service_tier", "context_window", "inference_geo", "speed")
        )
        assert parts.setdefault(row["description"], fields) == fields
        assert row["workspace_id"] is None
    assert len(set(parts.values())) == len(parts)
    for _, row in cost_rows(asker):
        assert {name for name, value in row.items() if value is not None} == {"amount", "currency"}


def test_the_default_workspace_is_null_in_old_reports_and_real_in_new(asker: Asker) -> None:
    """The same money stands under null in the cost report and under an id in the analytics."""
    account = asker.world.account("anthropic")
    assert isinstance(account, AnthropicAccount)
    old = {row["workspace_id"] for _, row in cost_rows(asker, "workspace_id")}
    new = {row["group"]["workspace_id"] for page in analytics(asker, "workspace_id") for row in page["data"]}
    assert None in old
    assert new == {account.default.id if space is None else space for space in old}


def analytics(
    asker: Asker, *groups: str, path: str = ANALYTICS, start: date = TODAY - timedelta(days=30), **more: object
) -> list[Any]:
    """Return the pages of an analytics question over 31 days."""
    query = [since(start), ("ending_at", at(start + timedelta(days=31))), *group(*groups), *more.items()]
    return list(asker.pages("anthropic", path, query))


@pytest.mark.parametrize("limit", [3, 1000])
def test_analytics_add_up_to_the_truth(asker: Asker, limit: int) -> None:
    """Daily rows by workspace, model and token type are the truth's, billed and listed alike."""
    names = ("workspace_id", "model", "service_tier", "context_window", "api_key_id", "cost_type", "token_type")
    pages = analytics(asker, *names, time_bucket_width="1d", limit=limit)
    rows = [row for page in pages for row in page["data"]]
    assert all(row["cost"]["requests"] is None for row in rows)
    start = TODAY - timedelta(days=30)
    for field in ("amount", "list_amount"):
        got: dict[tuple[Any, ...], Decimal] = {}
        for row in rows:
            key = (
                row["starting_at"][:10],
                *(row["group"][name] for name in ("workspace_id", "cost_type", "token_type")),
            )
            got[key] = got.get(key, Decimal(0)) + Decimal(row["cost"][field]).scaleb(-2)
        true = asker.world.truth("anthropic").spend(("day", "workspace_id", "cost_type", "token_type"), start)
        assert got.keys() == {(key[0].isoformat(), *key[1:]) for key in true}
        total = exact_sum(Decimal(row["cost"][field]).scaleb(-2) for row in rows)
        assert total == exact_sum(
            spend.billed if field == "amount" else spend.listed or Decimal(0) for spend in true.values()
        )


def test_a_page_counts_groups_not_rows(asker: Asker) -> None:
    """Rows that cost and token types fan out to do not count, so a page may hold more rows than its limit."""
    plain = analytics(asker, "model", limit=2)
    assert all(len(page["data"]) <= 2 for page in plain)
    fanned = analytics(asker, "model", "cost_type", "token_type", limit=2)
    assert len(fanned) == len(plain)
    assert any(len(page["data"]) > 2 for page in fanned)


def test_rows_are_sorted_and_empty_days_absent(asker: Asker) -> None:
    """The dearest row comes first, time order is on demand, and a day without use has no row."""
    amounts = [Decimal(row["cost"]["amount"]) for page in analytics(asker, "model", limit=7) for row in page["data"]]
    assert amounts == sorted(amounts, reverse=True)
    days = [
        row["starting_at"]
        for page in analytics(asker, time_bucket_width="1d", order_by="time", order="asc")
        for row in page["data"]
    ]
    assert days == sorted(set(days))
    assert len(days) < 31
    [whole] = [row for page in analytics(asker) for row in page["data"]]
    assert whole["cost"]["requests"] > 0


def test_usage_adds_up_in_both_generations(asker: Asker) -> None:
    """Token classes and searches agree between the old report, the analytics and the truth."""
    start = TODAY - timedelta(days=30)
    [[new]] = [page["data"] for page in analytics(asker, path=ANALYTICS_USAGE)]
    rows = [
        row
        for page in asker.pages("anthropic", MESSAGES, [since(start), ("limit", 31)])
        for bucket in page["data"]
        for row in bucket["results"]
    ]
    true = {meter: quantity for (meter,), quantity in asker.world.truth("anthropic").usage(("meter",), start).items()}
    for name in ("uncached_input_tokens", "output_tokens", "cache_read_input_tokens"):
        assert sum(row[name] for row in rows) == new["usage"][name] == true[name]
    for name in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"):
        assert (
            sum(row["cache_creation"][name] for row in rows)
            == new["usage"]["cache_creation"][name]
            == true[f"cache_creation.{name}"]
        )
    assert sum(row["server_tool_use"]["web_search_requests"] for row in rows) == true["web_search_requests"]
    assert new["usage"]["requests"] == true["requests"]
    assert new["usage"]["total_tokens"] == sum(true[name] for name in true if name.endswith("tokens"))


def test_priority_has_usage_and_no_cost(make_asker: Callable[..., Asker]) -> None:
    """Committed capacity appears in the usage report only, code execution in the cost report only."""
    asker = make_asker(days=120)
    truth = asker.world.truth("anthropic")
    assert ("priority",) in truth.usage(("service_tier",))
    assert ("priority",) not in truth.spend(("service_tier",))
    assert {"tokens", "web_search", "code_execution", "session_usage"} <= {
        kind for (kind,) in truth.spend(("cost_type",))
    }
    lines = truth.charges()
    assert any(line.billed < 0 for line in lines)
    assert any(int(line.billed.as_tuple().exponent) < -18 for line in lines)


@pytest.mark.parametrize(
    ("path", "query", "says"),
    [
        (COST, [("starting_at", at(TODAY)), ("ending_at", at(TODAY, "23:59:59"))], RANGE_ERROR),
        (COST, [("starting_at", at(TODAY - timedelta(days=1), "12:00:00"))], RANGE_ERROR),
        (COST, [("starting_at", at(TODAY))], RANGE_ERROR),
        (COST, [("starting_at", at(TODAY)), ("ending_at", at(TODAY + timedelta(days=1)))], RANGE_ERROR),
        (COST, [since(), ("ending_at", at(FIRST))], RANGE_ERROR),
        (COST, [], "starting_at: Field required"),
        (COST, [("starting_at", "2026-11-01")], "valid RFC 3339"),
        (COST, [("starting_at", "1793491200")], "valid RFC 3339"),
        (COST, [since(), ("limit", 32)], "less than or equal to 31"),
        (COST, [since(), ("bucket_width", "1h")], "Supported values are: 1d"),
        (COST, [since(), ("group_by[]", "model")], "Supported values are: workspace_id, description"),
        (COST, [since(), ("group_by", "description")], "Unknown parameter: 'group_by'"),
        (COST, [since(), ("page", "page_AAAA")], "Invalid page token"),
        (MESSAGES, [since(), ("limit", 32)], "less than or equal to 31"),
        (MESSAGES, [since(), ("bucket_width", "1h"), ("limit", 169)], "less than or equal to 168"),
        (MESSAGES, [since(), ("group_by[]", "description")], "Supported values are"),
        (f"{ROOT}/usage_report/claude_code", [since()], "YYYY-MM-DD"),
        (f"{ROOT}/usage_report/claude_code", [("starting_at", "2026-02-30")], "YYYY-MM-DD"),
        (ANALYTICS, [("starting_at", "2025-12-31T00:00:00Z")], "2026-01-01"),
        (ANALYTICS, [since(), ("time_bucket_width", "1d")], "ending_at: Field required"),
        (ANALYTICS, [since(), ("ending_at", at(FIRST + timedelta(days=32)))], "31 days"),
        (ANALYTICS, [since(), ("ending_at", at(FIRST + timedelta(days=2))), ("time_bucket_width", "1m")], "24 hours"),
        (ANALYTICS, [since(), ("limit", 1001)], "less than or equal to 1000"),
        (ANALYTICS, [since(), *group("actor", "model", "speed", "product", "workspace_id", "api_key_id")], "at most 5"),
        (ANALYTICS, [since(), *group("description")], "Supported values are"),
        (ANALYTICS_USAGE, [since(), *group("cost_type")], "Supported values are"),
        (ANALYTICS, [since(), ("order_by", "total_tokens")], "Supported values are"),
        (f"{ROOT}/spend_limits", [("scope_type[]", "planet")], "Supported values are"),
    ],
)  # fmt: skip
def test_wrong_questions_are_refused(asker: Asker, path: str, query: list[tuple[str, object]], says: str) -> None:
    """Each wrong parameter is a 400 that says what is wrong."""
    got = asker("anthropic", path, query)
    assert got.status == 400, got.body
    assert got.json["error"]["type"] == "invalid_request_error"
    assert says in got.json["error"]["message"]
    assert got.headers["request-id"] == got.json["request_id"]


def test_the_lookback_is_a_year(make_asker: Callable[..., Asker]) -> None:
    """The analytics go 365 days back and no further; the old reports do not say where they end."""
    asker = make_asker(today=date(2027, 3, 1))
    edge = date(2027, 3, 1) - timedelta(days=365)
    assert asker("anthropic", ANALYTICS, [since(edge)]).status == 200
    assert asker("anthropic", ANALYTICS, [since(edge - timedelta(days=1))]).status == 400
    assert asker("anthropic", COST, [since(date(2025, 1, 1))]).status == 200


def test_days_come_one_by_one(asker: Asker) -> None:
    """Buckets are oldest first, one a day, empty or not, today's included when yesterday is asked with it."""
    tomorrow = at(TODAY + timedelta(days=1))
    pages = asker.pages("anthropic", COST, [since(TODAY - timedelta(days=29)), ("ending_at", tomorrow), ("limit", 4)])
    days = [bucket["starting_at"] for page in pages for bucket in page["data"]]
    assert days == [at(TODAY - timedelta(days=29 - n)) for n in range(30)]


def test_a_cursor_belongs_to_its_question(asker: Asker) -> None:
    """A cursor is refused with other parameters and on another path."""
    question = [since(), ("limit", 2), *group("model")]
    cursor = asker("anthropic", ANALYTICS, question).json["next_page"]
    assert cursor is not None
    assert asker("anthropic", ANALYTICS, [*question, ("page", cursor)]).status == 200
    assert asker("anthropic", ANALYTICS, [since(), ("limit", 3), *group("model"), ("page", cursor)]).status == 400
    assert asker("anthropic", ANALYTICS_USAGE, [*question, ("page", cursor)]).status == 400


@pytest.mark.parametrize(
    ("key", "path", "status", "kind", "says"),
    [
        (None, COST, 401, "authentication_error", "x-api-key header is required"),
        ("sk-ant-" + "nobody", COST, 401, "authentication_error", "invalid x-api-key"),
        ("sim-anthropic-workspace", COST, 401, "authentication_error", "invalid x-api-key"),
        (
            "sim-anthropic-enterprise",
            COST,
            403,
            "permission_error",
            "Held: read:analytics, read:spend_limits. Needed: org:admin.",
        ),
        ("sim-anthropic-analytics", f"{ROOT}/spend_limits", 403, "permission_error", "Needed: read:spend_limits"),
        ("sim-anthropic-admin", f"{ROOT}/spend_limits/effective", 400, "invalid_request_error", "organization type"),
    ],
)
def test_keys_open_what_they_may(asker: Asker, key: str | None, path: str, status: int, kind: str, says: str) -> None:
    """Missing, unknown and insufficient keys are refused in the vendor's words."""
    got = asker("anthropic", path, [since()] if path == COST else [], key=key)
    assert (got.status, got.json["error"]["type"]) == (status, kind)
    assert says in got.json["error"]["message"]


def test_an_enterprise_key_reads_analytics_and_effective_limits(asker: Asker) -> None:
    """Scopes open what they name; what a person spent this month is the truth's, to three decimals."""
    key = "sim-anthropic-enterprise"
    assert asker("anthropic", ANALYTICS, [since()], key=key).status == 200
    rows = asker("anthropic", f"{ROOT}/spend_limits/effective", key=key).json["data"]
    true = asker.world.truth("anthropic").spend(("account_id",), TODAY.replace(day=1))
    for row in rows:
        spent = true.get((row["actor"]["user_id"],))
        cents = spent.billed.scaleb(2) if spent else Decimal(0)
        assert abs(Decimal(row["period_to_date_spend"]) - cents) <= Decimal("0.0005")
    assert any(row["amount"] is None for row in rows)
    wrong = asker("anthropic", f"{ROOT}/spend_limits/effective").json["error"]
    assert wrong["details"]["error_code"] == "organization_type_not_supported"


def test_an_oauth_token_is_a_bearer_s(asker: Asker) -> None:
    """OAuth tokens come as bearer tokens, keys in their own header, and neither the other way round."""
    assert asker("anthropic", COST, [since()], key="sim-anthropic-oauth").status == 200
    version = {"anthropic-version": "2023-06-01"}
    wrong = ({"authorization": "Bearer sim-anthropic-admin"}, {"x-api-key": "sim-anthropic-oauth"})
    for headers in wrong:
        assert asker.raw("GET", f"/anthropic{ROOT}/me", "", {**version, **headers}).status == 401


def test_headers_are_required(asker: Asker) -> None:
    """Without the version, or without the beta an endpoint needs, nothing is answered."""
    for headers in ({"anthropic-version": ""}, {"anthropic-version": "2020-01-01"}):
        assert asker("anthropic", f"{ROOT}/me", headers=headers).status == 400
    assert asker.raw("GET", f"/anthropic{ROOT}/me", "", {"x-api-key": "sim-anthropic-admin"}).status == 400
    for path in (ANALYTICS, ANALYTICS_USAGE, f"{ROOT}/spend_limits"):
        got = asker("anthropic", path, [since()] if "analytics" in path else [], headers={"anthropic-beta": "another"})
        assert got.status == 400
        assert "anthropic-beta" in got.json["error"]["message"]


def test_lists_show_what_is_asked_for(asker: Asker) -> None:
    """Archived and default workspaces on demand, keys by state and workspace, rate limits inherited on demand."""
    plain = asker("anthropic", f"{ROOT}/workspaces").json["data"]
    every = asker("anthropic", f"{ROOT}/workspaces", {"include_archived": "true", "include_default": "true"}).json[
        "data"
    ]
    assert len(every) == len(plain) + 2
    assert {row["id"]: row["name"] for row in every} == dict(asker.world.truth("anthropic").names["workspace"])
    first = asker("anthropic", f"{ROOT}/workspaces", {"limit": 1}).json
    second = asker("anthropic", f"{ROOT}/workspaces", {"limit": 1, "after_id": first["last_id"]}).json
    assert [first["data"][0], second["data"][0]] == plain[:2]
    assert {row["status"] for row in asker("anthropic", f"{ROOT}/api_keys", {"status": "archived"}).json["data"]} == {
        "archived"
    }
    path = f"{ROOT}/workspaces/{plain[0]['id']}/rate_limits"
    own, inherited = (asker("anthropic", path, query).json["data"] for query in ({}, {"include_inherited": "true"}))
    assert len(own) == 1 < len(inherited)
    assert {limit["source"]["type"] for row in inherited for limit in row["limits"]} == {"workspace", "organization"}


def test_quotas_are_the_vendor_s_or_the_test_s(make_asker: Callable[..., Asker]) -> None:
    """An Enterprise key has sixty calls a minute; a quota can be set, and lifted."""
    key, path = "sim-anthropic-enterprise", f"{ROOT}/spend_limits/effective"
    face = FACES["anthropic"]
    assert face.quota(face.keys[key]) == Quota(60, 60.0)
    # An hour's quota does not fill up again while a slow machine runs the test.
    tight = make_asker(quotas={"anthropic": Quota(2, 3600.0)})
    assert [tight("anthropic", path, key=key).status for _ in range(3)] == [200, 200, 429]
    assert int(tight("anthropic", path, key=key).headers["retry-after"]) >= 1
    free = make_asker(quotas={"anthropic": None})
    assert {free("anthropic", path, key=key).status for _ in range(99)} == {200}


def test_claude_code_tells_of_its_day(asker: Asker) -> None:
    """Records of a day come page by page, estimates in cents as numbers."""
    found = 0
    for n in range(20):
        day = (TODAY - timedelta(days=n)).isoformat()
        rows = [
            row
            for page in asker.pages("anthropic", f"{ROOT}/usage_report/claude_code", {"starting_at": day, "limit": 1})
            for row in page["data"]
        ]
        assert all(row["date"] == f"{day}T00:00:00Z" for row in rows)
        found += len(rows)
    assert found
