"""Railway's public GraphQL API: use, the customer's account, names.

Key:   "sim-railway-workspace" is a token of the main workspace, "sim-railway-account" opens both, "sim-railway-member"
       may not read billing, "sim-railway-customerless" is of a workspace on whose customer the server fails,
       "sim-railway-project" is a project's token and goes in a header of its own.
Day:   `usage` answers one number per measurement and tag set for the whole window, never a series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, cast

import msgspec

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Quota, Refusal, bearer, to_json
from outlay.simulator.faces.railway_graphql import Server, failed
from outlay.simulator.worlds.railway import MAIN, SIDE, Project, RailwayAccount, Thing, Use, iso
from outlay.simulator.worlds.truth import exact_sum

BILLING = "billing"
_LOOKBACK = timedelta(days=90)
_PAGE_MAX = 5000
_TAGS = {"PROJECT_ID": "projectId", "ENVIRONMENT_ID": "environmentId", "SERVICE_ID": "serviceId"}
_NO_TAGS = dict.fromkeys(
    ("deploymentId", "deploymentInstanceId", "environmentId", "pluginId", "projectId", "region", "serviceId",
     "volumeId", "volumeInstanceId")
)  # fmt: skip
_NOW = "2026-01-01T00:00:00.000Z"


def _no(message: str, *path: str, code: str = "INTERNAL_SERVER_ERROR") -> Refusal:
    return Refusal(200, message, code=code, path=list(path))


class _Desk:
    """One request's view of the account: what its key opens."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.account = cast(RailwayAccount, ask.account)
        assert ask.key is not None
        self.key = ask.key

    def opened(self) -> list[str]:
        """Return the workspaces that the key opens."""
        return {"account": [MAIN, SIDE], "project": []}.get(self.key.kind, [MAIN])

    def name_of(self, workspace_id: str | None, path: str) -> str:
        """Return which workspace an id is; one that the key does not open is not there."""
        for name in self.opened():
            if workspace_id == self.account.workspaces[name].id:
                return name
        raise _no("Not Authorized" if workspace_id else "Workspace not found", path)

    def project(self) -> Project:
        """Return the project of a project token."""
        return self.account.workspaces[MAIN].projects[0]

    def root(self) -> dict[str, Any]:
        """Return the fields of a query."""
        return {
            "usage": self.usage,
            "estimatedUsage": self.estimate,
            "workspace": self.workspace,
            "projects": self.projects,
            "apiToken": self.api_token,
            "projectToken": self.project_token,
            "agentUsage": self.agents,
            "me": self.me,
            "metrics": lambda _args: [],
            "project": self.one_project,
            "projectServiceUsage": self.by_project,
        }

    def api_token(self, _args: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what a token opens."""
        if self.key.kind == "project":
            raise _no("Not Authorized", "apiToken")
        found = [self.account.workspaces[name] for name in self.opened()]
        return {"workspaces": [{"id": each.id, "name": each.name} for each in found]}

    def project_token(self, _args: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what a project token opens."""
        if self.key.kind != "project":
            raise _no("Project Token not found", "projectToken")
        project = self.project()
        return {"id": self.account.uuid("token"), "name": "ci", "createdAt": _NOW, "projectId": project.id,
                "environmentId": project.environments[0].id}  # fmt: skip

    def me(self, _args: Mapping[str, Any]) -> dict[str, Any]:
        """Answer who an account's token belongs to."""
        if self.key.kind != "account":
            raise _no("Not Authorized", "me")
        return {
            "id": self.account.uuid("user"),
            "name": "Sim",
            "apiTokenRateLimit": self._quota(),
            "workspaces": [self.workspace({"workspaceId": self.account.workspaces[n].id}) for n in self.opened()],
        }

    def usage(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer the window's totals per measurement and tag set."""
        name = self._whose(args, "usage")
        start, end = self._window(args)
        uses = [use for day in _days(start, end) for use in self._uses(name, day, args)]
        tags = [_TAGS[tag] for tag in args.get("groupBy") or () if tag in _TAGS]
        return _grouped(uses, args["measurements"], tags)

    def by_project(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the window's totals by project and service, up to fifty projects a page."""
        name = self.name_of(args["workspaceId"], "projectServiceUsage")
        start, end = self._window(args)
        size = args.get("first") or 50
        if not 1 <= size <= 50:
            raise failed("BAD_USER_INPUT", "first must be between 1 and 50")
        shown = self._shown(name, args)
        page, info = _page(shown, size, args.get("after"))
        wanted = {project.id for project in page}
        uses = [use for day in _days(start, end) for use in self._uses(name, day, args) if use.project in wanted]
        return {"usage": _grouped(uses, args["measurements"], ["projectId", "serviceId"]),
                "pageInfo": {"endCursor": info["endCursor"], "hasNextPage": info["hasNextPage"]}}  # fmt: skip

    def estimate(self, args: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer what each project's use will have come to at the end of the period: no money anywhere."""
        name = self._whose(args, "estimatedUsage")
        start, end = self.account.period(name)
        today = self.account.plot.today
        uses = [use for day in _days(start.date(), today + timedelta(days=1)) for use in self._uses(name, day, args)]
        share = Decimal((end.date() - start.date()).days) / ((today - start.date()).days + 1)
        rows = _grouped([use for use in uses if use.project], args["measurements"], ["projectId"])
        return [
            {"measurement": row["measurement"], "projectId": row["tags"]["projectId"],
             "estimatedValue": round(row["value"] * share, 6)}
            for row in rows
        ]  # fmt: skip

    def _whose(self, args: Mapping[str, Any], path: str) -> str:
        if self.key.kind == "project":
            if args.get("projectId") != self.project().id:
                raise _no("Not Authorized", path)
            return MAIN
        return self.name_of(args.get("workspaceId"), path)

    def _window(self, args: Mapping[str, Any]) -> tuple[date, date]:
        tomorrow = self.account.plot.today + timedelta(days=1)
        if args.get("startDate") is None:
            return self.account.period(MAIN)[0].date(), tomorrow
        start = _moment(args["startDate"])
        end = _moment(args.get("endDate") or f"{tomorrow}T00:00:00Z")
        if start < self.ask.now - _LOOKBACK:
            raise failed("BAD_USER_INPUT", "startDate must be within the last 90 days")
        if end <= start:
            raise failed("BAD_USER_INPUT", "endDate must be after startDate")
        return start.date(), end.date()

    def _uses(self, name: str, day: date, args: Mapping[str, Any]) -> list[Use]:
        workspace = self.account.workspaces[name]
        things: list[Thing | Project] = [*workspace.projects, *(s for p in workspace.projects for s in p.services)]
        gone = {each.id for each in things if each.deleted_at}
        hidden = set() if args.get("includeDeleted") else gone
        only = args.get("projectId")
        return [
            use
            for use in self.account.uses(name, day)
            if use.project not in hidden and use.service not in hidden and only in (None, use.project)
        ]

    def _shown(self, name: str, args: Mapping[str, Any]) -> list[Project]:
        projects = self.account.workspaces[name].projects
        return [project for project in projects if args.get("includeDeleted") or not project.deleted_at]

    def projects(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a page of projects."""
        name = self.name_of(args.get("workspaceId"), "projects")
        page, info = _page(self._shown(name, args), args.get("first") or 10, args.get("after"))
        return {"edges": [{"cursor": project.id, "node": self._project(name, project)} for project in page],
                "pageInfo": info}  # fmt: skip

    def one_project(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one project."""
        for name in (*self.opened(), MAIN):
            for project in self.account.workspaces[name].projects:
                if project.id == args["id"] and (self.key.kind != "project" or project == self.project()):
                    return self._project(name, project)
        raise _no("Not Authorized", "project")

    def _project(self, name: str, project: Project) -> dict[str, Any]:
        return {
            **_thing(project, None),
            "isTempProject": False,
            "workspaceId": self.account.workspaces[name].id,
            "subscriptionType": "pro",
            "subscriptionPlanLimit": {},
            "services": partial(_connection, project.services, project.id),
            "environments": partial(_connection, project.environments, project.id),
        }

    def workspace(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a workspace; who may not read its customer nulls the whole of it."""
        name = self.name_of(args["workspaceId"], "workspace")
        found = self.account.workspaces[name]
        return {
            "id": found.id,
            "name": found.name,
            "plan": "FREE" if self.account.plot.empty else "PRO",
            "createdAt": _NOW,
            "updatedAt": _NOW,
            "subscriptionModel": "TEAM",
            "subscriptionPlanLimit": None,
            "projectCount": lambda args: len(self._shown(name, args)),
            "customer": partial(self._customer, name),
            "apiTokenRateLimit": self._quota(),
        }

    def _quota(self) -> dict[str, Any]:
        meter, now = self.ask.meter, self.ask.now
        left = meter.remaining if meter else 10_000
        return {"remainingPoints": left, "resetsAt": iso(now.replace(minute=0, second=0) + timedelta(hours=1))}

    def _customer(self, name: str, _args: Mapping[str, Any]) -> dict[str, Any]:
        if not self.key.may(BILLING):
            raise _no("Not Authorized", "workspace", "customer")
        if self.key.kind == "customerless":
            raise _no("Customer not found", "workspace", "customer")
        account, money = self.account, self.account.money[name]
        start, end = account.period(name)
        if name == MAIN:
            end -= timedelta(milliseconds=1)
        used, empty = account.current_usage(name), account.plot.empty
        customer = account.workspaces[name].customer_id
        return {
            "id": customer,
            "state": "INACTIVE" if empty else "ACTIVE",
            "currentUsage": used,
            "creditBalance": Decimal(0) if empty else money.credit_balance,
            "appliedCredits": Decimal(0) if empty else money.applied_credits,
            "remainingUsageCreditBalance": max(Decimal(0), Decimal(20) - used),
            "billingPeriod": {"start": iso(start), "end": iso(end)},
            "usageLimit": None if empty else {
                "id": account.uuid(name, "limit"), "customerId": customer, "softLimit": money.soft_limit,
                "hardLimit": money.hard_limit, "isOverLimit": used > (money.hard_limit or used),
                "agentHardLimitCents": 5000, "agentSoftLimitCents": 4000,
            },
            "invoices": money.invoices,
            "subscriptions": [] if empty else [
                {"id": f"sub_{name}", "status": "active", "nextInvoiceDate": iso(end),
                 "nextInvoiceCurrentTotal": int(used * 100) + 2000}
            ],
            "isPrepaying": False, "isTrialing": False, "isUsageSubscriber": True, "hasExhaustedFreePlan": False,
            "trialDaysRemaining": 0, "spendCommitment": None, "planLimitOverride": None,
        }  # fmt: skip

    def agents(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the spend of AI agents, in cents."""
        name = self.name_of(args["workspaceId"], "agentUsage")
        if not self.key.may(BILLING):
            raise _no("Not Authorized", "agentUsage")
        used = 0 if self.account.plot.empty else self.account.money[name].agent_used_cents
        return {"totalUsedCents": used, "hardLimitCents": 5000, "softLimitCents": 4000,
                "usageRemaining": Decimal(5000 - used) / 100,
                "billingPeriodEnd": iso(self.account.period(name)[1])}  # fmt: skip


def _thing(thing: Thing | Project, project_id: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"id": thing.id, "name": thing.name, "createdAt": _NOW, "updatedAt": _NOW,
                             "deletedAt": thing.deleted_at}  # fmt: skip
    return found if project_id is None else {**found, "projectId": project_id, "isEphemeral": False}


def _connection(things: Sequence[Thing], project_id: str, args: Mapping[str, Any]) -> dict[str, Any]:
    page, _ = _page(things, args.get("first") or _PAGE_MAX, args.get("after"))
    return {"edges": [{"cursor": each.id, "node": _thing(each, project_id)} for each in page]}


def _page(things: Sequence[Any], first: int, after: str | None) -> tuple[Sequence[Any], dict[str, Any]]:
    if not 1 <= first <= _PAGE_MAX:
        raise failed("BAD_USER_INPUT", f"first must be between 1 and {_PAGE_MAX}")
    ids = [thing.id for thing in things]
    if after is not None and after not in ids:
        raise failed("BAD_USER_INPUT", "Invalid cursor")
    at = 0 if after is None else ids.index(after) + 1
    page = things[at : at + first]
    return page, {
        "endCursor": page[-1].id if page else None,
        "startCursor": page[0].id if page else None,
        "hasNextPage": at + first < len(things),
        "hasPreviousPage": at > 0,
    }


def _grouped(uses: Sequence[Use], measurements: Sequence[str], tags: Sequence[str]) -> list[dict[str, Any]]:
    groups: dict[tuple[Any, ...], list[Decimal]] = {}
    for use in uses:
        if use.measurement in measurements:
            known = {"projectId": use.project, "environmentId": use.environment, "serviceId": use.service}
            groups.setdefault((use.measurement, *(known[tag] for tag in tags)), []).append(use.value)
    return [
        {"measurement": key[0], "value": exact_sum(values),
         "tags": {**_NO_TAGS, **dict(zip(tags, key[1:], strict=True))}}
        for key, values in groups.items()
    ]  # fmt: skip


def _days(start: date, end: date) -> list[date]:
    return [start + timedelta(days=n) for n in range((end - start).days)]


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise failed("BAD_USER_INPUT", f"DateTime cannot represent an invalid date-time-string {text}.") from None


class _Question(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    query: str
    variables: dict[str, Any] = {}
    operation_name: str | None = None


def graphql(ask: Ask) -> Answer:
    """Answer one operation."""
    try:
        question = msgspec.json.decode(ask.body, type=_Question)
    except msgspec.MsgspecError as error:
        raise failed("BAD_REQUEST", f"POST body is not usable: {error}") from None
    if not ask.query.text:
        raise Refusal(429, "error code: 1015", {"retry-after": "10"})  # the edge, as the vendor's users met it
    return Answer(to_json({"data": _server().run(question.query, question.variables, _Desk(ask).root())}))


def _server() -> Server:
    return Server("railway")


def credential(headers: Mapping[str, str]) -> str | None:
    """Return a token from either of its headers."""
    return headers.get("project-access-token") or bearer(headers)


def admit(ask: Ask, _endpoint: Endpoint | None) -> None:
    """Refuse tokens that are dead, missing or in the wrong header: all with status 200."""
    own_header = "project-access-token" in ask.headers
    if ask.credential is None:
        raise _no("Not Authorized", code="UNAUTHENTICATED")
    if own_header and (ask.key is None or ask.key.kind != "project"):
        raise _no("Project Token not found")
    if ask.key is None or (ask.key.kind == "project" and not own_header):
        raise _no("Not Authorized")


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body."""
    code = no.extra.get("code") or ("INTERNAL_SERVER_ERROR" if no.status >= 500 else "BAD_REQUEST")
    error: dict[str, Any] = {"message": no.message, "extensions": {"code": code}, "traceId": ask.request_id}
    if no.extra.get("path"):
        error |= {"path": no.extra["path"], "locations": [{"line": 1, "column": 9}]}
    body: dict[str, Any] = {"errors": [error]}
    return Answer(to_json({**body, "data": None} if no.status == 200 else body), no.status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the headers that each answer carries."""
    if meter is not None:
        reset = ask.now + timedelta(seconds=meter.wait_seconds)
        answer.headers |= {"x-ratelimit-limit": str(meter.quota.burst), "x-ratelimit-remaining": str(meter.remaining),
                           "x-ratelimit-reset": str(int(reset.timestamp()))}  # fmt: skip


FACE = Face(
    id="railway",
    title="Railway",
    account=RailwayAccount,
    endpoints=(Endpoint("/graphql/v2", graphql, method="POST"),),
    keys={
        "sim-railway-workspace": Key("workspace"),
        "sim-railway-account": Key("account"),
        "sim-railway-member": Key("member", frozenset()),
        "sim-railway-customerless": Key("customerless"),
        "sim-railway-project": Key("project", frozenset()),
    },
    credential=credential,
    admit=admit,
    refuse=refuse,
    dress=dress,
    quota=lambda _key: Quota(10_000, 3600.0, windowed=True),
    exhausted=lambda meter: Refusal(429, "Rate limit exceeded", {"retry-after": str(meter.wait_seconds)}),
    money_fields=frozenset({"value"}),
    enum_fields=frozenset({"measurement"}),
    dimension_fields=frozenset({"projectId", "environmentId", "serviceId"}),
    cursor_parameters=frozenset(),
)
