"""Whom a Hugging Face token belongs to: the user, the organizations seen and their resource groups."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from outlay.model.facts import Name
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Endpoint


class NamedGroup(Struct, gc=False):
    """A resource group of an organization."""

    id: str
    name: str | None = None


class Organization(Struct, rename="camel", gc=False):
    """An organization the token's owner belongs to."""

    name: str
    fullname: str | None = None
    resource_groups: list[NamedGroup] = []


class Identity(Struct, gc=False):
    """Who the token belongs to."""

    id: str
    name: str
    fullname: str | None = None
    orgs: list[Organization] = []


def identity(page: Identity, ask: Ask) -> Iterator[Name | Problem]:
    """Turn the token's owner and organizations into names; those the option leaves out are archived.

    One that the option names and the token does not see is told, and asked for all the same: it may have been renamed,
    and every answer that lacks its cost has to say so.

    Source: https://huggingface.co/docs/hub/api
    """
    yield Name(kind="account", id=page.id, name=page.fullname or page.name)
    listed = (name.strip() for name in ask.options.get("organizations", "").split(","))
    wanted = {name.lower(): name for name in listed if name}
    for each in page.orgs:
        left_out = wanted and each.name.lower() not in wanted
        yield Name(kind="organization", id=each.name, name=each.fullname, state="archived" if left_out else "active")
        for group in each.resource_groups:
            yield Name(kind="resource_group", id=group.id, name=group.name, parent_id=each.name)
    for name in sorted(wanted.keys() - {each.name.lower() for each in page.orgs}):
        yield Name(kind="organization", id=wanted[name])
        yield Problem(
            code="organization_unseen",
            says=f"the token sees no organization {name!r}",
            hint="Correct `organizations` on the connection, or let the token read it.",
            severity=Severity.WARNING,
        )


WHOAMI = Endpoint(name="whoami", path="/api/whoami-v2", page=Identity, facts=identity)
