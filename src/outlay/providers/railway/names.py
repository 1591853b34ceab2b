"""Railway's workspaces, projects, services and environments by name, deleted ones too."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from outlay.model.facts import Name
from outlay.model.problem import Problem
from outlay.providers.base import Ask, Cursor, Dataset, Endpoint, GraphQL, Refusal
from outlay.providers.railway.account import EACH_WORKSPACE, PATH, QUERY, When


class Opened(Struct):
    """A workspace that a token opens."""

    id: str
    name: str | None = None


class ApiToken(Struct):
    """What a token opens."""

    workspaces: list[Opened]


class TokenData(Struct, rename="camel"):
    """The token itself."""

    api_token: ApiToken


class TokenPage(Struct):
    """An answer about a token."""

    data: TokenData


class ProjectToken(Struct, rename="camel"):
    """The one environment that a project token opens."""

    project_id: str
    environment_id: str
    name: str | None = None


class ProjectTokenData(Struct, rename="camel"):
    """The token itself."""

    project_token: ProjectToken


class ProjectTokenPage(Struct):
    """An answer about a project token."""

    data: ProjectTokenData


class Node(Struct, rename="camel"):
    """A service or environment."""

    id: str
    name: str | None = None
    deleted_at: str | None = None


class Edge(Struct):
    """An entry of a connection."""

    node: Node


class Nodes(Struct):
    """Services or environments of a project."""

    edges: list[Edge]


class Project(Struct, rename="camel"):
    """A project with all it ever held."""

    id: str
    name: str | None = None
    deleted_at: str | None = None
    services: Nodes | None = None
    environments: Nodes | None = None


class ProjectEdge(Struct):
    """An entry of the projects."""

    node: Project


class PageInfo(Struct, rename="camel"):
    """Where a connection goes on."""

    has_next_page: bool
    end_cursor: str | None = None


class Projects(Struct, rename="camel"):
    """Projects, a page of them."""

    edges: list[ProjectEdge]
    page_info: PageInfo


class ProjectsData(Struct):
    """What was asked for."""

    projects: Projects


class ProjectsPage(Struct):
    """A page of projects."""

    data: ProjectsData


CREATE = "Create a token at railway.com/account/tokens and choose the workspace it is for."


def workspaces(page: TokenPage, ask: Ask) -> Iterator[Name | Problem]:
    """Turn the workspaces a token opens into names; those the connection does not want are not read."""
    wanted = ask.options.get("workspace")
    found = page.data.api_token.workspaces
    chosen = [one for one in found if wanted in (None, "", one.id, one.name)]
    for one in found:
        yield Name(kind="workspace", id=one.id, name=one.name, state="active" if one in chosen else "excluded")
    if len(chosen) == 1:
        yield Name(kind="account", id=chosen[0].id, name=chosen[0].name)
    if not found:
        yield Problem(code="account_mismatch", says="the token opens no workspace", where="workspaces", hint=CREATE)
    elif wanted and len(chosen) != 1:
        yield _mismatch(f"{len(chosen)} of the workspaces that the token opens are called {wanted!r}", "workspace")


def project_token(page: ProjectTokenPage, ask: Ask) -> Iterator[Name | Problem]:
    """Turn what a project token opens into names; it must be the project the connection names."""
    token = page.data.project_token
    if token.project_id != ask.options.get("project"):
        yield _mismatch(f"the token belongs to the project {token.project_id}", "project")
    yield Name(kind="project", id=token.project_id)
    yield Name(kind="environment", id=token.environment_id, parent_id=token.project_id)


def _mismatch(says: str, option: str) -> Problem:
    return Problem(code="account_mismatch", says=says, where=option, hint=f"Set the option `{option}` to its id.")


def projects(page: ProjectsPage, ask: Ask) -> Iterator[Name]:
    """Turn projects, their services and environments into names, deleted ones too: old use still carries their ids."""
    for edge in page.data.projects.edges:
        project = edge.node
        yield Name(kind="project", id=project.id, name=project.name, parent_id=ask.item, state=_state(project))
        for kind, nodes in (("service", project.services), ("environment", project.environments)):
            for each in nodes.edges if nodes else ():
                node = each.node
                yield Name(kind=kind, id=node.id, name=node.name, parent_id=project.id, state=_state(node))


def _state(node: Node | Project) -> str:
    return "deleted" if node.deleted_at else "active"


_NODES = "(first: 500) { edges { node { id name deletedAt } } }"
WORKSPACES: Endpoint[TokenPage] = Endpoint(
    name="workspaces", path=PATH, query=QUERY, page=TokenPage, facts=workspaces,
    body=GraphQL("query workspaces { apiToken { workspaces { id name } } }"),
    refusals=(Refusal(200, "access_denied", contains="Not Authorized",
                      hint="Tokens of workspaces and accounts may ask this: the token is dead, or it is a project's, "
                           "for which the option `project` is set."),),
)  # fmt: skip
PROJECT_TOKEN: Endpoint[ProjectTokenPage] = Endpoint(
    name="project_token", path=PATH, query=QUERY, page=ProjectTokenPage, facts=project_token,
    body=GraphQL("query token { projectToken { projectId environmentId name } }"),
    refusals=(Refusal(200, "access_denied", contains="Not Authorized",
                      hint="With the option `project` the credential must be a token of that project."),),
)  # fmt: skip
PROJECTS: Endpoint[ProjectsPage] = Endpoint(
    name="projects", path=PATH, query=QUERY, page=ProjectsPage, facts=projects, each=EACH_WORKSPACE,
    pages=Cursor("after", "data.projects.page_info.end_cursor", "data.projects.page_info.has_next_page"),
    body=GraphQL(
        "query projects($workspaceId: String!, $first: Int, $after: String) { projects(workspaceId: $workspaceId,"
        " includeDeleted: true, first: $first, after: $after) { edges { node { id name deletedAt"
        f" services{_NODES} environments{_NODES} }} }} pageInfo {{ hasNextPage endCursor }} }} }}",
        {"first": 100},
    ),
)  # fmt: skip


def datasets(by_workspace: When, by_project: When) -> tuple[Dataset, ...]:
    """Return the datasets of names."""
    return (
        Dataset("workspaces", "Workspaces of the token", (Name,), (WORKSPACES,), grain="names", order=0,
                when=by_workspace),
        Dataset("project_token", "The project of the token", (Name,), (PROJECT_TOKEN,), grain="names", order=0,
                when=by_project),
        Dataset("projects", "Projects, services and environments", (Name,), (PROJECTS,), grain="names",
                when=by_workspace),
    )  # fmt: skip
