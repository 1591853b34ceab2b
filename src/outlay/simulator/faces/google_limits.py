"""Google's budgets, which never say what is spent, and its quotas in three APIs."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

from outlay.simulator.faces.base import Answer, Ask, Refusal, to_json
from outlay.simulator.faces.google_catalog import owned
from outlay.simulator.faces.google_parts import account_of, finish, money, page
from outlay.simulator.worlds.google import BUDGETS, GoogleAccount
from outlay.simulator.worlds.google_names import GEMINI, USD, BillingAccount

_FIELDS = frozenset({"name", "displayName", "budgetFilter", "amount", "thresholdRules", "notificationsRule", "etag",
                     "ownershipScope", "spendCap"})  # fmt: skip
_METRIC = "generativelanguage.googleapis.com"
# quota id, metric, what it refreshes by, its values by dimensions: -1 has no end
_QUOTAS: tuple[tuple[str, str, str | None, tuple[tuple[dict[str, str], str], ...]], ...] = (
    ("GenerateRequestsPerMinutePerProjectPerModel", f"{_METRIC}/generate_content_requests", "minute",
     (({"model": "gemini-2.5-flash"}, "1000"), ({"model": "gemini-2.5-pro"}, "150"), ({}, "60"))),
    ("GenerateRequestsPerDayPerProjectPerModel", f"{_METRIC}/generate_content_requests", "day",
     (({"model": "gemini-2.5-pro"}, "1000"), ({}, "-1"))),
    ("EnabledFilesPerProject", f"{_METRIC}/files", None, (({}, "20"),)),
)  # fmt: skip
_SERVICES = ("generativelanguage.googleapis.com", "aiplatform.googleapis.com")


def _budget(owner: BillingAccount, n: int, name: str, **rest: Any) -> dict[str, Any]:
    number = f"{n:08x}-1111-4222-8333-{owner.id[-6:].lower()}000000"
    rules = [{"thresholdPercent": Decimal("0.5"), "spendBasis": "CURRENT_SPEND"},
             {"thresholdPercent": 1, "spendBasis": "FORECASTED_SPEND"}]  # fmt: skip
    return {"name": f"billingAccounts/{owner.id}/budgets/{number}", "displayName": name, "thresholdRules": rules,
            "notificationsRule": {}, "etag": f"{n:06x}", **rest}  # fmt: skip


def _drawn(owner: BillingAccount) -> list[dict[str, Any]]:
    """Return the budgets an account begins with: of a stated amount, with a cap, and of the last period's."""
    first = owner.projects[0]
    every = {"creditTypesTreatment": "INCLUDE_ALL_CREDITS"}
    found = []
    for n, (name, amount, period) in enumerate(BUDGETS[owner.key]):
        filters: dict[str, Any] = {**every, "calendarPeriod": period}
        rest: dict[str, Any] = {"budgetFilter": filters,
                                "amount": {"specifiedAmount": money(amount, owner.currency, sparse=True)}}  # fmt: skip
        if name.startswith("Gemini"):
            filters |= {"projects": [f"projects/{first.number}"], "services": [f"services/{GEMINI}"]}
        if name == "Gemini cap":
            filters["creditTypesTreatment"] = "EXCLUDE_ALL_CREDITS"
            rest |= {"spendCap": {"inputState": "CONFIGURED", "outputState": "ENFORCED", "reconciling": False},
                     "thresholdRules": [{"thresholdPercent": Decimal(part), "spendBasis": "CURRENT_SPEND"}
                                        for part in ("0.5", "0.8", "1.0")]}  # fmt: skip
        found.append(_budget(owner, n, name, **rest))
    if owner.key == USD:
        found.append(_budget(owner, 90, "As last month", budgetFilter={**every, "calendarPeriod": "MONTH"},
                             amount={"lastPeriodAmount": {}}))  # fmt: skip
        launch = money(Decimal(500), "USD", sparse=True)
        custom = {"startDate": {"year": 2026, "month": 9, "day": 1}, "endDate": {"year": 2026, "month": 12, "day": 31}}
        found.append(_budget(owner, 91, "Launch", budgetFilter={
            "creditTypesTreatment": "INCLUDE_SPECIFIED_CREDITS", "creditTypes": ["PROMOTION"], "customPeriod": custom,
            "labels": {"app": ["chat"]}}, amount={"specifiedAmount": launch}))  # fmt: skip
    return found


def _budgets(account: GoogleAccount) -> dict[str, dict[str, Any]]:
    if not account.budgets and not account.plot.empty:
        account.budgets = {each["name"]: each for owner in account.accounts.values() for each in _drawn(owner)}
    return account.budgets


def budgets(ask: Ask) -> Answer:
    """Answer the budgets of a billing account."""
    owner, scope = owned(ask), ask.query.one("scope")
    items = [each for name, each in _budgets(account_of(ask)).items()
             if name.startswith(f"billingAccounts/{owner.id}/")
             and (not scope or scope in each.get("budgetFilter", {}).get("projects", ()))]  # fmt: skip
    return page(ask, "budgets", items, most=100)


def _named(ask: Ask) -> dict[str, Any]:
    name = f"billingAccounts/{owned(ask).id}/budgets/{ask.places['budgetsId']}"
    found = _budgets(account_of(ask)).get(name)
    if found is None:
        raise Refusal(404, "Requested entity was not found.")
    return found


def budget(ask: Ask) -> Answer:
    """Answer one budget."""
    finish(ask)
    return Answer(to_json(_named(ask)))


def _sent(ask: Ask) -> dict[str, Any]:
    try:
        body = json.loads(ask.body, parse_float=Decimal)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not body.keys() <= _FIELDS or len(str(body.get("displayName", ""))) > 60:
        raise Refusal(400, "Request contains an invalid argument.")
    return body


def create_budget(ask: Ask) -> Answer:
    """Make a budget."""
    finish(ask)
    owner, body, kept = owned(ask), _sent(ask), _budgets(account_of(ask))
    if "amount" not in body:
        raise Refusal(400, "Request contains an invalid argument.")
    made = _budget(owner, 1000 + len(kept), "") | body
    made["name"] = _budget(owner, 1000 + len(kept), "")["name"]
    kept[made["name"]] = made
    return Answer(to_json(made))


def change_budget(ask: Ask) -> Answer:
    """Change the named fields of a budget; while its cap is enforced only the cap's state may change."""
    mask = ask.query.one("updateMask")
    finish(ask)
    found, body = _named(ask), _sent(ask)
    fields = [part.partition(".")[0] for part in mask.split(",")] if mask else list(body)
    if found.get("spendCap", {}).get("outputState") == "ENFORCED" and set(fields) - {"spendCap"}:
        raise Refusal(400, "The spend cap is enforced.", state="FAILED_PRECONDITION")
    found.update({name: body[name] for name in fields if name in body and name not in ("name", "etag")})
    return Answer(to_json(found))


def drop_budget(ask: Ask) -> Answer:
    """Delete a budget."""
    finish(ask)
    del _budgets(account_of(ask))[_named(ask)["name"]]
    return Answer(b"{}")


def _project(ask: Ask) -> str:
    name = ask.places["projectsId"].removeprefix("projects/")
    known = [each for owner in account_of(ask).accounts.values() for each in owner.projects]
    if name not in {"sim-billing", *(each.id for each in known), *(each.number for each in known)}:
        raise Refusal(403, f"Permission denied on resource project {name}.")
    return name


def _quota(project: str, service: str, at: int) -> dict[str, Any]:
    name, metric, interval, values = _QUOTAS[at]
    infos = [{"dimensions": dims, "details": {"value": value}, "applicableLocations": ["global"]}
             for dims, value in values]  # fmt: skip
    body = {"name": f"projects/{project}/locations/global/services/{service}/quotaInfos/{name}", "quotaId": name,
            "metric": metric, "service": service, "isPrecise": interval is None, "containerType": "PROJECT",
            "dimensions": ["model"] if len(values) > 1 else [], "metricDisplayName": metric.rpartition("/")[2],
            "quotaDisplayName": name, "metricUnit": "1", "isFixed": False, "isConcurrent": False,
            "dimensionsInfos": infos}  # fmt: skip
    return body | ({"refreshInterval": interval} if interval else {})


def quotas(ask: Ask) -> Answer:
    """Answer the quotas of one service in one project."""
    project, service = _project(ask), ask.places["servicesId"]
    known = range(len(_QUOTAS)) if service == _METRIC else ()
    return page(ask, "quotaInfos", [_quota(project, service, at) for at in known], most=100)


def quota(ask: Ask) -> Answer:
    """Answer one quota."""
    finish(ask)
    project, service = _project(ask), ask.places["servicesId"]
    names = [name for name, *_ in _QUOTAS]
    if service != _METRIC or ask.places["quotaInfosId"] not in names:
        raise Refusal(404, "Requested entity was not found.")
    return Answer(to_json(_quota(project, service, names.index(ask.places["quotaInfosId"]))))


def consumer_metrics(ask: Ask) -> Answer:
    """Answer the quotas in the older form."""
    project, service = _project(ask), ask.places["servicesId"]
    ask.query.choice("view", ("BASIC", "FULL", "QUOTA_VIEW_UNSPECIFIED"))
    root = f"projects/{project}/services/{service}/consumerQuotaMetrics"
    items = []
    for n, (name, metric, interval, values) in enumerate(_QUOTAS if service == _METRIC else ()):
        unit = f"1/{{project}}/{interval}" if interval else "1/{project}"
        buckets = [{"effectiveLimit": value, "defaultLimit": value, "dimensions": dims} for dims, value in values]
        items.append({"name": f"{root}/{n}", "displayName": name, "metric": metric, "unit": "1",
                      "consumerQuotaLimits": [
            {"name": f"{root}/{n}/limits/0", "metric": metric, "unit": unit, "isPrecise": interval is None,
             "allowsAdminOverrides": False, "quotaBuckets": buckets}]})  # fmt: skip
    return page(ask, "metrics", items, most=100)


def series(ask: Ask) -> Answer:
    """Answer measured quota use: one point of the last minute for the metrics it is asked for."""
    project = _project(ask)
    wanted = ask.query.needed("filter")
    ask.query.needed("interval.endTime")
    for name in ("interval.startTime", "view", "orderBy", *(
        f"{kind}.{part}" for kind in ("aggregation", "secondaryAggregation")
        for part in ("alignmentPeriod", "crossSeriesReducer", "perSeriesAligner")
    )):  # fmt: skip
        ask.query.one(name)
    ask.query.many("aggregation.groupByFields")
    ask.query.many("secondaryAggregation.groupByFields")
    now = ask.now.astimezone(UTC)
    interval = {"startTime": f"{now - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}", "endTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    type_ = "serviceruntime.googleapis.com/quota/rate/net_usage"
    used = {"metric": {"type": type_, "labels": {"quota_metric": _QUOTAS[0][1], "method": "generateContent"}},
            "resource": {"type": "consumer_quota", "labels": {"project_id": project, "service": _METRIC,
                                                              "location": "global"}},
            "metricKind": "DELTA", "valueType": "INT64",
            "points": [{"interval": interval, "value": {"int64Value": "17"}}]}  # fmt: skip
    items = [used] if type_ in wanted and not account_of(ask).plot.empty else []
    return page(ask, "timeSeries", items, most=100_000, other={"unit": "1"} if items else None)
