"""Railway's simulated API: strict about documents, tokens and headers, and a no that is HTTP 200."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.providers.railway import PROVIDER
from outlay.simulator.shapes import check
from simulator.asking import Asker, Got

WORKSPACE, PROJECT = "sim-railway-workspace", "sim-railway-project"
DAY = {"s": "2026-11-09T00:00:00Z", "e": "2026-11-10T00:00:00Z"}
USAGE = (
    "query u($w: String!, $s: DateTime!, $e: DateTime!) {{ usage(workspaceId: $w, startDate: $s, endDate: $e,"
    " measurements: [{measurements}]{more}) {{ measurement value tags {{ projectId serviceId }} }} }}"
)


def post(asker: Asker, query: str, key: str | None = WORKSPACE, *, text: str = "source=test", **variables: Any) -> Got:
    """Ask one document, a project's token in its own header."""
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    if key and key.startswith(PROJECT):
        headers = {"project-access-token": key}
    body = json.dumps({"query": query, "variables": variables}).encode()
    got = asker.raw("POST", "/railway/graphql/v2", text, headers, body)
    check("railway", "/graphql/v2", got.status, got.body, method="POST")
    return got


def workspace(asker: Asker, name: str = "main") -> Any:
    """Return a workspace of the world."""
    return asker.world.account("railway").workspaces[name]  # type: ignore[attr-defined]


def usage(asker: Asker, measurements: str, more: str = "", **variables: Any) -> Got:
    """Ask the use of a day."""
    document = USAGE.format(measurements=measurements, more=more)
    return post(asker, document, w=workspace(asker).id, **{**DAY, **variables})


def said(got: Got) -> tuple[int, str, str]:
    """Return status, code and message of a refusal."""
    (error,) = got.json["errors"]
    return got.status, error["extensions"]["code"], error["message"]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("query { usage(measurements: [CPU_USAGE]) { measurement value projectedCost } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { estimatedUsage { estimatedValue } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { usage(measurements: [CPU_HOURS]) { value } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { usage(measurements: [CPU_USAGE], month: 3) { value } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { usage(measurements: [CPU_USAGE]) }", "GRAPHQL_VALIDATION_FAILED"),
        ("query { apiToken { workspaces { id { x } } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query q($w: String) { workspace(workspaceId: $w) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query q($w: String!) { workspace(workspaceId: $w) { id } }", "BAD_USER_INPUT"),
        ("query { apiToken { workspaces { id } }", "GRAPHQL_PARSE_FAILED"),
        ("mutation { usageLimitRemove }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(document: str, code: str, asker: Asker) -> None:
    """What fails validation at the vendor fails here, with the vendor's status and code."""
    assert said(post(asker, document))[:2] == (400, code)


def test_every_document_of_the_provider_fits_the_vendor_s_types(make_asker: Callable[..., Asker]) -> None:
    """Each endpoint's own document is valid and answered, so that a slip in one is found without a sync."""
    asker = make_asker(check_shapes=True)
    project = workspace(asker).projects[0].id
    for dataset in PROVIDER.datasets:
        for endpoint in dataset.endpoints:
            body: Any = endpoint.body
            given = {"workspaceId": workspace(asker).id, "projectId": project,
                     "startDate": DAY["s"], "endDate": DAY["e"]}  # fmt: skip
            variables = {k: v for k, v in {**body.variables, **given}.items() if f"${k}:" in body.document}
            key = PROJECT if "project_" in endpoint.name else WORKSPACE
            got = post(asker, body.document, key, **variables)
            assert "errors" not in got.json, (endpoint.name, got.body)


def test_a_window_is_one_number_per_group(asker: Asker) -> None:
    """Days are not told apart; without groups the totals come with no tags, and must not be added to grouped ones."""
    alone, grouped = usage(asker, "CPU_USAGE"), usage(asker, "CPU_USAGE", ", groupBy: [PROJECT_ID, SERVICE_ID]")
    (total,) = alone.json["data"]["usage"]
    assert total["tags"] == {"projectId": None, "serviceId": None}
    rows = grouped.json["data"]["usage"]
    assert len(rows) > 1
    more = usage(asker, "CPU_USAGE", e="2026-11-12T00:00:00Z").json["data"]["usage"]
    assert len(more) == 1
    assert more[0]["value"] > total["value"]


def test_totals_shrink_without_the_deleted(asker: Asker) -> None:
    """What is deleted counts only for those who ask for it."""
    (all_,) = usage(asker, "CPU_USAGE", ", includeDeleted: true").json["data"]["usage"]
    (rest,) = usage(asker, "CPU_USAGE").json["data"]["usage"]
    assert all_["value"] > rest["value"]


def test_windows_are_bounded(asker: Asker) -> None:
    """Nothing from before ninety days is answered, no window that ends before it begins; without an end it is now."""
    document = (
        "query u($w: String!, $s: DateTime, $e: DateTime) { usage(workspaceId: $w, startDate: $s, endDate: $e,"
        " measurements: [CPU_USAGE]) { value } }"
    )
    tomorrow = f"{asker.world.today + timedelta(days=1)}T00:00:00Z"
    open_, closed = (post(asker, document, w=workspace(asker).id, s=DAY["s"], e=end) for end in (None, tomorrow))
    assert open_.json == closed.json != {"data": {"usage": []}}
    assert said(usage(asker, "CPU_USAGE", s="2026-08-01T00:00:00Z"))[:2] == (400, "BAD_USER_INPUT")
    assert said(usage(asker, "CPU_USAGE", e="2026-11-09T00:00:00Z"))[:2] == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("key", ["nobody", None, "sim-railway-nobody"])
def test_a_dead_token_is_told_in_a_200(key: str | None, asker: Asker) -> None:
    """The status says nothing: the errors do."""
    status, _, message = said(post(asker, "query { apiToken { workspaces { id } } }", key))
    assert (status, message) == (200, "Not Authorized")


def test_an_unreadable_field_nulls_the_whole(asker: Asker) -> None:
    """A customer who may not be read takes the workspace with it; without the customer it is answered."""
    one = workspace(asker).id
    query = "query q($w: String!) { workspace(workspaceId: $w) { id %s } }"
    refused = post(asker, query % "customer { id }", "sim-railway-member", w=one)
    assert said(refused)[0] == 200
    assert refused.json["data"] is None
    assert post(asker, query % "name", "sim-railway-member", w=one).json["data"]["workspace"]["id"] == one


def test_tokens_go_in_their_own_headers(asker: Asker) -> None:
    """A project's token as a bearer is dead, another token in the project's header is not found."""
    document = b'{"query": "query { projectToken { projectId } }"}'
    for headers, words in (
        ({"authorization": f"Bearer {PROJECT}"}, "Not Authorized"),
        ({"project-access-token": WORKSPACE}, "Project Token not found"),
    ):
        got = asker.raw("POST", "/railway/graphql/v2", "source=test", headers, document)
        assert said(got) == (200, "INTERNAL_SERVER_ERROR", words)


def test_the_edge_wants_a_query_string(asker: Asker) -> None:
    """A call without one meets the stricter limit at the vendor's edge."""
    assert said(post(asker, "query { apiToken { workspaces { id } } }", text=""))[0] == 429


def test_projects_are_paged(asker: Asker) -> None:
    """Every project comes once, cursor by cursor; one that belongs to no page is refused."""
    query = (
        "query p($w: String!, $a: String) { projects(workspaceId: $w, includeDeleted: true, first: 1, after: $a)"
        " { edges { node { id } } pageInfo { hasNextPage endCursor } } }"
    )
    found, cursor = [], None
    for _ in range(10):
        page = post(asker, query, w=workspace(asker).id, a=cursor).json["data"]["projects"]
        found += [edge["node"]["id"] for edge in page["edges"]]
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert found == [project.id for project in workspace(asker).projects]
    assert said(post(asker, query, w=workspace(asker).id, a="nowhere"))[:2] == (400, "BAD_USER_INPUT")


def test_the_period_s_total_is_the_days_total(asker: Asker) -> None:
    """`currentUsage` is what the priced days of the running period come to, at the vendor's own rounding."""
    query = "query q($w: String!) { workspace(workspaceId: $w) { customer { currentUsage billingPeriod { start } } } }"
    customer = post(asker, query, w=workspace(asker).id).json["data"]["workspace"]["customer"]
    truth = asker.world.truth("railway")
    start = asker.world.account("railway").period("main")[0].date()  # type: ignore[attr-defined]
    assert customer["billingPeriod"]["start"].startswith(str(start))
    assert abs(customer["currentUsage"] - truth.total(start)) <= Decimal("0.0001")
    assert truth.total(start) > 0
