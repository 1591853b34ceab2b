"""Anthropic's names: organization, workspaces, keys."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from outlay.model.facts import Name
from outlay.model.problem import Problem, Severity
from outlay.providers.anthropic.rows import DEFAULT_WORKSPACE
from outlay.providers.base import AfterId, Ask, Endpoint


class Organization(Struct, gc=False):
    """The organization a key belongs to."""

    id: str
    name: str


class Workspace(Struct, gc=False):
    """A workspace; an archived one has a time of archiving."""

    id: str
    name: str
    archived_at: str | None = None


class WorkspacePage(Struct, gc=False):
    """A page of workspaces."""

    data: list[Workspace]
    has_more: bool
    last_id: str | None = None


class Scope(Struct, gc=False):
    """What a key opens or a limit bounds: a type and, but for the whole organization, the id of one of its parts."""

    type: str
    workspace_id: str | None = None
    user_id: str | None = None
    rbac_group_id: str | None = None
    seat_tier: str | None = None
    service: str | None = None

    @property
    def text(self) -> str:
        """Return the scope as `type` or `type:part`."""
        part = self.workspace_id or self.user_id or self.rbac_group_id or self.seat_tier or self.service
        return f"{self.type}:{part}" if part else self.type


class ApiKey(Struct, gc=False):
    """A key: newer answers hold its workspace in `scope`, older ones beside its id."""

    id: str
    name: str | None = None
    status: str = "active"
    scope: Scope | None = None
    workspace_id: str | None = None


class ApiKeyPage(Struct, gc=False):
    """A page of keys."""

    data: list[ApiKey]
    has_more: bool
    last_id: str | None = None


def organization(page: Organization, _ask: Ask) -> Iterator[Name]:
    """Turn the organization of the key into the account's name.

    Source: https://platform.claude.com/docs/en/api/admin
    """
    yield Name(kind="account", id=page.id, name=page.name or None)


def workspaces(page: WorkspacePage, _ask: Ask) -> Iterator[Name | Problem]:
    """Turn a page of workspaces into names.

    Null:   the default workspace is not marked by the vendor but for its fixed name "Default"; `alias_of` ties its id
            to the stand-in that rows of the older reports carry.
    Source: https://platform.claude.com/docs/en/api/admin/workspaces/list
    """
    named = [each for each in page.data if each.archived_at is None and each.name == "Default"]
    default = named[0] if len(named) == 1 else None
    for each in page.data:
        yield Name(
            kind="workspace",
            id=each.id,
            name=each.name or None,
            state="archived" if each.archived_at else "active",
            alias_of=DEFAULT_WORKSPACE if each is default else None,
        )
    if len(named) > 1:
        yield Problem(
            code="default_workspace_unclear",
            says=f"{len(named)} workspaces are called Default",
            hint="Set `default_workspace` on the connection to the id of the one that came with the organization.",
            severity=Severity.NOTE,
        )


def api_keys(page: ApiKeyPage, _ask: Ask) -> Iterator[Name]:
    """Turn a page of keys into names; an expired or inactive key counts as archived.

    Source: https://platform.claude.com/docs/en/api/admin
    """
    for key in page.data:
        yield Name(
            kind="api_key",
            id=key.id,
            name=key.name or None,
            parent_id=key.scope.workspace_id if key.scope is not None else key.workspace_id,
            state="active" if key.status == "active" else "archived",
        )


ORGANIZATION = Endpoint(name="organization", path="/v1/organizations/me", page=Organization, facts=organization)

WORKSPACES = Endpoint(
    name="workspaces",
    path="/v1/organizations/workspaces",
    pages=AfterId(send="after_id"),
    query={"limit": 1000, "include_archived": "true", "include_default": "true"},
    page=WorkspacePage,
    facts=workspaces,
)

API_KEYS = Endpoint(
    name="api_keys",
    path="/v1/organizations/api_keys",
    pages=AfterId(send="after_id"),
    query={"limit": 1000},
    page=ApiKeyPage,
    facts=api_keys,
)
