"""Railway's traps beside its cases: what each question holds, and lists that lead nowhere."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from outlay.errors import PayloadError
from outlay.providers.base import GraphQL
from outlay.providers.railway import PROVIDER
from outlay.providers.railway.names import PROJECTS
from outlay.wire.pages import Trail

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


def test_a_list_that_does_not_move_on_is_an_error() -> None:
    """A cursor that stays where it was ends the walk with an error and not with the projects so far."""
    page = msgspec.json.decode((CASES / "projects-two-pages" / "page-1.json").read_bytes(), type=PROJECTS.page)
    trail = Trail(PROJECTS.pages, "Railway projects")
    assert trail.after(page) is not None
    with pytest.raises(PayloadError, match="twice"):
        trail.after(page)
