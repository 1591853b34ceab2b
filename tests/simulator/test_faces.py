"""Every answer of every face keeps to its vendor's contract."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import combinations, product

import pytest

from outlay.simulator.faces import FACES
from outlay.simulator.shapes import ShapeError, check, load, schema_of
from simulator.asking import Asker

TODAY = date(2026, 11, 22)
START = 1794873600  # 2026-11-17T00:00:00Z
Question = tuple[str, str, list[tuple[str, object]]]
WIDTHS = {"1d": (START, 3), "1h": (START, 24), "1m": (START + 43_200, 7)}
OPENAI_KINDS = {
    "completions": ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"),
    "decisions": ("project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "api_source"),
    "embeddings": ("project_id", "user_id", "api_key_id", "model"),
    "moderations": ("project_id", "user_id", "api_key_id", "model"),
    "images": ("project_id", "user_id", "api_key_id", "model", "size", "source"),
    "audio_speeches": ("project_id", "user_id", "api_key_id", "model"),
    "audio_transcriptions": ("project_id", "user_id", "api_key_id", "model"),
    "vector_stores": ("project_id",),
    "code_interpreter_sessions": ("project_id",),
    "file_search_calls": ("project_id", "user_id", "api_key_id", "vector_store_id"),
    "web_search_calls": ("project_id", "user_id", "api_key_id", "model", "context_level", "api_source"),
}


def groupings(dimensions: tuple[str, ...], most: int = 2) -> Iterator[tuple[str, ...]]:
    """Yield no dimension, each one, some pairs, and all of them."""
    for count in range(most + 1):
        yield from combinations(dimensions, count)
    yield dimensions


def openai_questions(asker: Asker) -> Iterator[Question]:
    """Yield OpenAI's routes with many parameters."""
    root = "/v1/organization"
    for groups in groupings(("project_id", "line_item", "api_key_id", "api_source")):
        for spelling, limit in (("group_by", 1), ("group_by[]", 180)):
            yield (
                f"{root}/costs",
                "/costs",
                [("start_time", START), ("limit", min(limit, 5)), *((spelling, g) for g in groups)],
            )
    for kind, dimensions in OPENAI_KINDS.items():
        for groups, width in product(groupings(dimensions, 1), WIDTHS):
            if width != "1d" and len(groups) not in {0, len(dimensions)}:
                continue
            start, limit = WIDTHS[width]
            pairs: list[tuple[str, object]] = [("start_time", start), ("limit", limit), ("bucket_width", width)]
            pairs += [("group_by[]", g) for g in groups]
            yield f"{root}/usage/{kind}", f"/usage/{kind}", pairs
    for path in ("projects", "users", "admin_api_keys", "spend_limit", "spend_alerts"):
        yield f"{root}/{path}", f"/{path}", []
    yield f"{root}/projects", "/projects", [("include_archived", "true"), ("limit", 3)]
    projects = asker("openai", f"{root}/projects", {"include_archived": "true"}).json["data"]
    for project in projects:
        home = f"{root}/projects/{project['id']}"
        yield home, "/projects/{project_id}", []
        for path in ("service_accounts", "rate_limits", "spend_alerts", "spend_limit"):
            yield f"{home}/{path}", f"/projects/{{project_id}}/{path}", []
        yield f"{home}/api_keys", "/projects/{project_id}/api_keys", [("owner_project_access", "any")]
        for key in asker("openai", f"{home}/api_keys", {"owner_project_access": "any"}).json["data"]:
            yield f"{home}/api_keys/{key['id']}", "/projects/{project_id}/api_keys/{api_key_id}", []


def anthropic_questions(asker: Asker) -> Iterator[Question]:
    """Yield Anthropic's routes with many parameters."""
    root, since, until = (
        "/v1/organizations",
        ("starting_at", "2026-11-17T00:00:00Z"),
        ("ending_at", "2026-11-20T00:00:00Z"),
    )
    for groups in groupings(("workspace_id", "description")):
        yield f"{root}/cost_report", "/cost_report", [since, ("limit", 3), *(("group_by[]", g) for g in groups)]
    dims = (
        "account_id",
        "api_key_id",
        "context_window",
        "inference_geo",
        "model",
        "service_account_id",
        "service_tier",
        "speed",
    )
    for groups, width in product(groupings((*dims, "workspace_id"), 1), WIDTHS):
        pairs = [since, ("bucket_width", width), ("limit", 4), *(("group_by[]", g) for g in groups)]
        yield f"{root}/usage_report/messages", "/usage_report/messages", pairs
    for n in range(20):
        day = (TODAY - timedelta(days=n)).isoformat()
        yield f"{root}/usage_report/claude_code", "/usage_report/claude_code", [("starting_at", day), ("limit", 1 + n)]
    for groups in groupings(("actor", "model", "workspace_id", "api_key_id", "product"), 1):
        for fans, daily in product(((), ("cost_type", "token_type")), ([], [("time_bucket_width", "1d")])):
            pairs = [since, until, *daily, *(("group_by[]", g) for g in (*groups, *fans))]
            yield f"{root}/analytics/cost", "/analytics/cost", pairs
        yield f"{root}/analytics/usage", "/analytics/usage", [since, until, *(("group_by[]", g) for g in groups)]
    for path in ("me", "workspaces", "api_keys", "rate_limits", "spend_limits"):
        yield f"{root}/{path}", f"/{path}", []
    yield f"{root}/workspaces", "/workspaces", [("include_archived", "true"), ("include_default", "true"), ("limit", 2)]
    for space in asker("anthropic", f"{root}/workspaces").json["data"]:
        path = f"{root}/workspaces/{space['id']}/rate_limits"
        yield path, "/workspaces/{workspace_id}/rate_limits", [("include_inherited", "true")]
    yield f"{root}/spend_limits/effective", "/spend_limits/effective", []


def github_questions(asker: Asker) -> Iterator[Question]:
    """Yield GitHub's routes with many parameters."""
    names = {"organization": ("/organizations", "{org}", "sim-org"), "user": ("/users", "{username}", "sim-user"),
             "enterprise": ("/enterprises", "{enterprise}", "sim-enterprise")}  # fmt: skip
    periods: list[list[tuple[str, object]]] = [
        [],
        [("year", 2026)],
        [("year", 2026), ("month", 11)],
        [("year", 2026), ("month", 11), ("day", 3)],
    ]
    centres = asker("github", "/enterprises/sim-enterprise/settings/billing/cost-centers").json["costCenters"]
    for scope, (prefix, place, name) in names.items():
        root, template = f"{prefix}/{name}/settings/billing", f"{prefix}/{place}/settings/billing"
        for path, period in product(
            ("/usage", "/usage/summary", "/ai_credit/usage", "/premium_request/usage"), periods
        ):
            yield root + path, template + path, period
            if scope == "enterprise":
                for centre in centres:
                    yield root + path, template + path, [*period, ("cost_center_id", centre["id"])]
        yield f"{root}/usage/summary", f"{template}/usage/summary", [("product", "actions"), ("sku", "actions_linux")]
        yield f"{root}/ai_credit/usage", f"{template}/ai_credit/usage", [("model", "GPT-5.5"), ("product", "Copilot")]
        if scope != "user":
            yield f"{root}/ai_credit/usage", f"{template}/ai_credit/usage", [("user", "dana")]
            for page in (1, 2, 9):
                yield f"{root}/budgets", f"{template}/budgets", [("page", page)]
            yield f"{root}/budgets", f"{template}/budgets", [("user", "dana"), ("scope", "user")]
            for budget in asker("github", f"{root}/budgets", {"per_page": 100}).json["budgets"]:
                yield f"{root}/budgets/{budget['id']}", f"{template}/budgets/{{budget_id}}", []
                if budget["budget_scope"].startswith("multi_user"):
                    yield (
                        f"{root}/budgets/{budget['id']}/user-states",
                        f"{template}/budgets/{{budget_id}}/user-states",
                        [],
                    )
    root, template = "/enterprises/sim-enterprise/settings/billing", "/enterprises/{enterprise}/settings/billing"
    yield f"{root}/cost-centers", f"{template}/cost-centers", [("state", "deleted")]
    for centre in centres:
        yield f"{root}/cost-centers/{centre['id']}", f"{template}/cost-centers/{{cost_center_id}}", [("per_page", 1)]
    yield f"{root}/reports", f"{template}/reports", []
    yield "/orgs/sim-org/copilot/billing", "/orgs/{org}/copilot/billing", []
    yield "/rate_limit", "/rate_limit", []


QUESTIONS = {
    "openai": ("/v1/organization", openai_questions),
    "anthropic": ("/v1/organizations", anthropic_questions),
    "github": ("", github_questions),
}
WRONG = [("utterly", "unknown")], [("limit", 0)], [("page", "page_bm9uc2Vuc2U=")]


@pytest.mark.parametrize("label", ["", ":empty"], ids=["full", "empty"])
@pytest.mark.parametrize("provider", QUESTIONS)
def test_answers_keep_to_the_contract(make_asker: Callable[..., Asker], provider: str, label: str) -> None:
    """Each route, asked in many ways, answers what its contract allows, and so do its refusals."""
    prefix, questions = QUESTIONS[provider]
    asker, asked = make_asker(days=8), set[str]()
    asker.keys[provider] += label
    for path, template, pairs in questions(asker):
        for query in (pairs, *WRONG[: 1 if template in asked else 3]):
            got = asker(provider, path, query)
            check(provider, prefix + template, got.status, got.body)
            if query is pairs:
                assert got.status == 200 or template.endswith(("spend_limit", "effective")), (path, pairs, got.body)
                asked.add(template)
            elif query == WRONG[0]:
                assert got.status in {400, 404}, (path, got.body)
    contract = {path.removeprefix("GET " + prefix) for path in load(provider)["paths"] if path.startswith("GET ")}
    if not label:
        assert contract - asked <= {
            "/reports/{report_id}",
            "/enterprises/{enterprise}/settings/billing/reports/{report_id}",
        }


def test_every_operation_of_a_contract_is_served() -> None:
    """No operation of a contract is missing from its face, whatever its method."""
    for provider, face in FACES.items():
        served = {f"{endpoint.method} {endpoint.path}" for endpoint in face.endpoints}
        assert set(load(provider)["paths"]) <= served


def test_the_check_bites() -> None:
    """A field no vendor sends, a value outside its list, a missing field and a wrong type are each refused."""
    page = {"object": "page", "data": [], "has_more": False, "next_page": None}
    path = "/v1/organization/costs"
    check("openai", path, 200, json.dumps(page).encode())
    for wrong in ({**page, "total": 1}, {**page, "object": "list"}, {"object": "page"}, {**page, "has_more": "no"}):
        with pytest.raises(ShapeError):
            check("openai", path, 200, json.dumps(wrong).encode())
    assert schema_of("openai", "GET", path, 200) == "UsageResponse"


def test_departures_from_the_contract_are_the_two_observed() -> None:
    """Only numeric strings for OpenAI's amounts and decimals for GitHub's quantities depart from a contract."""
    found = [provider for provider in FACES for _ in range(json.dumps(load(provider)).count("x-declared-type"))]
    assert found == ["openai", "github", "github"]


def test_a_face_names_its_credentials_and_options() -> None:
    """Every vendor has a key that may read everything, and none of the keys looks like a real one."""
    for face in FACES.values():
        assert any(key.scopes is None for key in face.keys.values())
        assert all(name.startswith(f"sim-{face.id}-") for name in face.keys)
    assert set(FACES["github"].options) == {"organization", "user", "enterprise"}
