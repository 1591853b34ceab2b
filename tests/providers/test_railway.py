"""Railway's traps beside its cases: what each question holds, and lists that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from outlay.errors import PayloadError
from outlay.providers.base import GraphQL
from outlay.providers.railway import PROVIDER
from outlay.providers.railway.names import PROJECTS, WORKSPACES
from outlay.providers.railway.usage import ESTIMATED_USAGE, USAGE_IN_PERIOD
from outlay.wire.pages import Trail
from outlay.wire.refusals import Said, declared, default

CASES = Path(__file__).parent / "cases" / "railway"
ENDPOINTS = {endpoint.name: endpoint for dataset in PROVIDER.datasets for endpoint in dataset.endpoints}
DOCUMENTS = {name: endpoint.body.document for name, endpoint in ENDPOINTS.items() if isinstance(endpoint.body, GraphQL)}


def test_it_is_asked_where_it_lives() -> None:
    """The host is railway.com; the one of old answers nothing."""
    assert PROVIDER.base_url == "https://backboard.railway.com"
    assert set(DOCUMENTS) == set(ENDPOINTS)
    assert {endpoint.path for endpoint in ENDPOINTS.values()} == {"/graphql/v2"}


def test_use_is_grouped_and_holds_the_deleted() -> None:
    """Without groups or the deleted a total is another, smaller one."""
    asked = [document for document in DOCUMENTS.values() if " usage(" in document]
    assert len(asked) == 3
    for document in asked:
        assert "groupBy: [PROJECT_ID, ENVIRONMENT_ID, SERVICE_ID]" in document
        assert "includeDeleted: true" in document


def test_a_projection_may_fail_alone() -> None:
    """Projections and what the account says are questions of their own: one that is refused takes no other along."""
    for name, document in DOCUMENTS.items():
        if "estimatedUsage" in document:
            assert name in {"estimated_usage", "project_estimate"}
            assert " usage(" not in document
            assert "customer" not in document
        if name in {"usage_alone", "project_usage"}:
            assert "customer" not in document, "who may not read billing may still read use"


def test_what_is_not_billed_is_not_asked() -> None:
    """Another count of the processor, limits and ephemeral disks are measurements that no bill holds."""
    for endpoint in ENDPOINTS.values():
        assert isinstance(endpoint.body, GraphQL)
        asked = endpoint.body.variables.get("measurements", [])
        assert isinstance(asked, list)
        assert not {"CPU_USAGE_2", "EPHEMERAL_DISK_USAGE_GB", "CPU_LIMIT", "MEMORY_LIMIT_GB"} & set(asked)


def refused(endpoint: str, message: str, code: str = "INTERNAL_SERVER_ERROR", status: int = 200) -> str:
    """Return what an answer with one error means to an endpoint."""
    body = msgspec.json.encode({"errors": [{"message": message, "extensions": {"code": code}}], "data": None})
    said = Said(status, {"content-type": "application/json"}, body)
    return (declared(PROVIDER, ENDPOINTS[endpoint], said) or default(said)).means


@pytest.mark.parametrize(
    ("message", "code", "means"),
    [
        ("Not Authorized", "INTERNAL_SERVER_ERROR", "permission_missing"),
        ("Workspace not found", "INTERNAL_SERVER_ERROR", "permission_missing"),
        ("Two Factor Authentication Required", "INTERNAL_SERVER_ERROR", "access_denied"),
        ("Project Token not found", "INTERNAL_SERVER_ERROR", "access_denied"),
        ("Context creation failed", "UNAUTHENTICATED", "access_denied"),
        ("Problem processing request", "INTERNAL_SERVER_ERROR", "retry_later"),
        ("You are doing that too quickly", "INTERNAL_SERVER_ERROR", "retry_later"),
        ("startDate must be within the last 90 days", "BAD_USER_INPUT", "request_refused"),
    ],
)
def test_errors_of_status_200_mean_what_they_say(message: str, code: str, means: str) -> None:
    """The code of a server's fault comes with every failure, so the words are heard before it."""
    assert refused(USAGE_IN_PERIOD.name, message, code) == means


def test_a_failure_on_the_way_to_the_customer_is_none_of_use() -> None:
    """It is told by the path, in whatever spacing: use is asked for without the billing period, and not given up."""
    for path in (b'["workspace","customer"]', b'["workspace", "customer", "billingPeriod"]'):
        said = Said(200, {}, b'{"errors":[{"message":"Oops","path":' + path + b',"code":"INTERNAL_SERVER_ERROR"}]}')
        found = {name: declared(PROVIDER, ENDPOINTS[name], said) for name in (USAGE_IN_PERIOD.name, "usage_alone")}
        assert [each and each.means for each in found.values()] == ["not_offered", "retry_later"]


def test_not_authorized_is_the_token_only_where_every_token_is_answered() -> None:
    """The same words are a dead token there and a missing permission anywhere else."""
    found = {name: refused(name, "Not Authorized") for name in ENDPOINTS}
    assert {name for name, means in found.items() if means == "access_denied"} == {WORKSPACES.name, "project_token"}
    assert set(found.values()) == {"access_denied", "permission_missing"}


def test_a_projection_that_fails_is_not_asked_again_and_again() -> None:
    """The vendor's own client takes it as optional: a fault of the server means that there is none."""
    assert refused(ESTIMATED_USAGE.name, "Problem processing request") == "not_offered"
    assert refused("project_estimate", "Problem processing request") == "not_offered"


def test_documents_that_do_not_fit_and_the_edge_s_limit() -> None:
    """A query that the server cannot run is not sent again; a limit at the edge is waited out, whatever its page."""
    assert refused(USAGE_IN_PERIOD.name, "Cannot query field", "GRAPHQL_VALIDATION_FAILED", 400) == "request_refused"
    for body in (b"error code: 1015", b"<!DOCTYPE html><title>Access denied</title>"):
        assert default(Said(429, {}, body)).means == "retry_later"


def test_it_is_asked_at_a_paid_plan_s_pace() -> None:
    """Ten requests a second and a thousand an hour, and a billing period and three days are read again."""
    assert [(rate.requests, rate.seconds) for rate in PROVIDER.rates] == [(10, 1), (1000, 3600)]
    assert {PROVIDER.dataset(name).horizon_days for name in ("usage", "project_usage")} == {34}
    assert all(endpoint.query == {"source": "outlay"} for endpoint in ENDPOINTS.values()), "else the edge's limit holds"


def test_a_list_that_does_not_move_on_is_an_error() -> None:
    """A cursor that stays where it was ends the walk with an error and not with the projects so far."""
    page = msgspec.json.decode((CASES / "projects-two-pages" / "page-1.json").read_bytes(), type=PROJECTS.page)
    trail = Trail(PROJECTS.pages, "Railway projects")
    assert trail.after(page) is not None
    with pytest.raises(PayloadError, match="twice"):
        trail.after(page)
