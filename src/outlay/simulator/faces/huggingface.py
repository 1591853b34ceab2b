"""Hugging Face's billing paths: totals per window, runs of the period, breakdowns, spend limits, ZeroGPU, identity.

Key:   "sim-huggingface-fine" reads the user's billing and the organizations'; "sim-huggingface-user" the user's alone;
       "sim-huggingface-plain" knows who it is and no more. One organization shows its bill to no one here.
Day:   a window holds what it holds; the included credits it names are always the whole month's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Quota, Refusal, bearer, to_json
from outlay.simulator.worlds.huggingface import (
    ACME,
    INCLUDED,
    INFERENCE,
    JOB,
    RUN,
    SHUT,
    USER,
    Event,
    HuggingFaceAccount,
    following,
    hex_id,
    stamp,
)
from outlay.simulator.worlds.truth import exact_sum

BILLING, ORGANIZATIONS = "user.billing.read", "org.read"
_NANO, _MICRO = 9, 6
_PLACEHOLDER = Decimal("0.01")
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _owner(ask: Ask) -> str:
    name = ask.places.get("name")
    if name is None:
        return USER
    account = cast(HuggingFaceAccount, ask.account)
    if name == SHUT:
        raise Refusal(403, "Access denied: you do not have the role to see this organization's billing")
    if name not in account.owners or name == USER:
        raise Refusal(404, "Not found")
    return name


def _units(dollars: Decimal, exponent: int) -> Decimal:
    return dollars.scaleb(exponent).normalize() + 0


def totals(ask: Ask) -> Answer:
    """Answer the totals of a window in whole days; milliseconds and far futures are refused."""
    account, owner = cast(HuggingFaceAccount, ask.account), _owner(ask)
    ask.query.needed("startDate")
    ask.query.needed("endDate")
    start, end = ask.query.whole("startDate") or 0, ask.query.whole("endDate") or 0
    ask.query.finish()
    latest = int(datetime.combine(account.plot.today + timedelta(days=31), ask.now.time(), UTC).timestamp())
    if max(start, end) > latest:
        raise Refusal(400, "The dates are more than one billing period in the future")
    if not 0 < start < end or start % 86_400 or end % 86_400:
        raise Refusal(400, "Invalid dates")
    first, last = datetime.fromtimestamp(start, UTC).date(), datetime.fromtimestamp(end, UTC).date()
    today = first <= account.plot.today < last and owner == USER
    routed = account.events(owner, first, last, INFERENCE)
    used = exact_sum(event.dollars for _, event in routed) + (_PLACEHOLDER * account.pending if today else 0)
    body: dict[str, Any] = {
        "inferenceProviders": _inference(account, owner, used, exact_sum(event.quantity for _, event in routed))
        | {"periodStart": stamp(first), "periodEnd": stamp(last)}
    }
    jobs = account.events(owner, first, last, JOB)
    if jobs:
        body["jobs"] = {
            "usedMicroUsd": _units(exact_sum(event.dollars for _, event in jobs), _MICRO),
            "totalMinutes": exact_sum(event.quantity for _, event in jobs),
            "periodStart": stamp(first),
            "periodEnd": stamp(last),
        }
    return Answer(to_json({"usage": body}))


def _inference(account: HuggingFaceAccount, owner: str, used: Decimal, requests: Decimal) -> dict[str, Any]:
    return {
        "usedNanoUsd": _units(used, _NANO),
        "includedNanoUsd": 0 if account.plot.empty else _units(INCLUDED[owner], _NANO),
        "limitNanoUsd": 25_000_000_000 if owner == ACME else 0,
        "numRequests": requests,
    }


def _month(account: HuggingFaceAccount) -> tuple[date, date]:
    first = account.plot.today.replace(day=1)
    return first, following(first)


def report(ask: Ask) -> Answer:
    """Answer the runs of the present billing period, with its invoice and the payments made in it."""
    account, owner = cast(HuggingFaceAccount, ask.account), _owner(ask)
    if ask.query.one("periodId") is not None:
        raise Refusal(404, "Unknown period")
    ask.query.finish()
    first, end = account.billing_period or _month(account)
    usage: dict[str, list[dict[str, Any]]] = {}
    for day, event in account.events(owner, first, end, RUN):
        usage.setdefault(event.product[0], []).append(_run(account, day, event))
    total = exact_sum(event.dollars for _, event in account.events(owner, first, end))
    period: dict[str, Any] = {
        "_id": hex_id(account.plot, owner, "period"),
        "entityId": account.id,
        "entityType": "user" if owner == USER else "org",
        "entityName": "sim-user" if owner == USER else owner,
        "periodStart": stamp(first),
        "periodEnd": stamp(end),
        "invoice": {"type": "no-invoice", "id": "no-invoice"}
        if account.plot.empty
        else {
            "type": "stripe",
            "id": f"in_{hex_id(account.plot, owner, 'invoice')}",
            "amountDueCents": int(total * 100),
            "totalCents": int(total * 100),
            "status": "draft",
            "dueDate": stamp(end),
        },
        "charges": [],
    }
    return Answer(to_json({"usage": usage, "period": period}))


def _run(account: HuggingFaceAccount, day: date, event: Event) -> dict[str, Any]:
    _, product, pretty, price = event.product
    ends = event.minute + int(event.quantity)
    going_on = stamp(day, ends) > f"{account.plot.today}T12"
    return {
        "entityId": event.id,
        "label": None,
        "product": product,
        "quantity": event.quantity,
        "startedAt": stamp(day, event.minute),
        "stoppedAt": None if going_on else stamp(day, ends),
        "productPrettyName": pretty,
        "unitLabel": "minute",
        "totalCostMicroUSD": _units(event.dollars, _MICRO),
        "unitCostMicroUSD": _units(Decimal(price), _MICRO),
        "active": going_on,
    }


def _months(ask: Ask, account: HuggingFaceAccount) -> list[date]:
    """Return the months from `startDate`, by default the present one, to this moment."""
    start, end = ask.query.one("startDate"), ask.query.one("endDate")
    ask.query.finish()
    for value in (start, end):
        if value is not None and not _ISO.fullmatch(value):
            raise Refusal(400, "Invalid date: expected an ISO 8601 date-time")
    if end is not None and end > f"{ask.now:%Y-%m-%dT%H:%M:%SZ}":
        raise Refusal(400, "endDate must lie within the last 12 months")
    month = date.fromisoformat(start[:10]).replace(day=1) if start else account.plot.today.replace(day=1)
    if month < account.plot.today.replace(day=1) - timedelta(days=366):
        raise Refusal(400, "startDate must lie within the last 12 months")
    months = []
    while month <= account.plot.today:
        months.append(month)
        month = following(month)
    return months


def by_session(ask: Ask) -> Answer:
    """Answer routed inference by session and month."""
    account, owner = cast(HuggingFaceAccount, ask.account), _owner(ask)
    periods = []
    for month in _months(ask, account):
        parts: dict[str, list[Event]] = {}
        for _, event in account.events(owner, month, following(month), INFERENCE):
            parts.setdefault(event.id, []).append(event)
        periods.append(
            {"period": stamp(month), "sessions": [{"id": name, **_requests(part)} for name, part in parts.items()]}
        )
    return Answer(to_json({"currency": "USD", "periods": periods}))


def _requests(events: list[Event]) -> dict[str, Any]:
    return {
        "requestCount": exact_sum(e.quantity for e in events),
        "costCents": exact_sum(e.dollars for e in events) * 100,
    }


def by_group(ask: Ask) -> Answer:
    """Answer an organization's months by resource group, with what belongs to none."""
    account, owner = cast(HuggingFaceAccount, ask.account), _owner(ask)
    periods = []
    for month in _months(ask, account):
        events = [event for _, event in account.events(owner, month, following(month))]
        groups = [
            {
                "id": group,
                "name": account.groups.get(group) if group else None,
                "storage": {"privateGB": Decimal("412.5"), "publicGB": 80},
                "inference": _requests([e for e in events if e.group == group and e.kind == INFERENCE]),
                "compute": {
                    "spaces": _compute([e for e in events if e.group == group and e.product[:1] == ("Spaces",)]),
                    "endpoints": _compute([e for e in events if e.group == group and e.product[:1] == ("Endpoints",)]),
                    "jobs": _compute([e for e in events if e.group == group and e.kind == JOB]),
                },
            }
            for group in (None, *account.groups)
        ]
        periods.append({"period": stamp(month), "resourceGroups": groups})
    return Answer(to_json({"currency": "USD", "periods": periods}))


def _compute(events: list[Event]) -> dict[str, Any]:
    return {
        "uptimeSec": exact_sum(event.quantity for event in events) * 60,
        "costCents": exact_sum(event.dollars for event in events) * 100,
    }


def jobs(ask: Ask) -> Answer:
    """Answer the user's jobs of the present period one by one."""
    ask.query.finish()
    account = cast(HuggingFaceAccount, ask.account)
    first, end = _month(account)
    events = account.events(USER, first, end, JOB)
    details = [
        {
            "jobId": event.id,
            "hardwareFlavor": event.product[0],
            "totalMinutes": event.quantity,
            "totalCostMicroUsd": _units(event.dollars, _MICRO),
            "startedAt": stamp(day, event.minute),
            "completedAt": stamp(day, event.minute + int(event.quantity)),
        }
        for day, event in events
    ]
    usage = {
        "usedMicroUsd": _units(exact_sum(event.dollars for _, event in events), _MICRO),
        "totalMinutes": exact_sum(event.quantity for _, event in events),
        "periodStart": stamp(first),
        "periodEnd": stamp(end),
        "jobDetails": details,
    }
    return Answer(to_json({"usage": usage, "hasAccess": True}))


def groups(ask: Ask) -> Answer:
    """Answer an organization's resource groups with their spend limits in whole cents."""
    account, _ = cast(HuggingFaceAccount, ask.account), _owner(ask)
    ask.query.finish()
    limits = account.spend_limits
    found = [
        {"id": group, "name": name, "description": None, **({"spendLimits": limits[group]} if group in limits else {})}
        for group, name in account.groups.items()
    ]
    return Answer(to_json(found))


def zero_gpu(ask: Ask) -> Answer:
    """Answer the ZeroGPU quota; `current` is what is left."""
    ask.query.finish()
    empty = ask.account.plot.empty
    runs = {"used": 3, "limit": 40, "remaining": 37, "resetsAt": None}
    body = {"base": 1500, "current": 1500 if empty else Decimal("1312.5"), "runs": runs}
    return Answer(to_json(body | {"resetsAt": None if empty else stamp(ask.world.today + timedelta(days=1))}))


def live(ask: Ask) -> Answer:
    """Answer every gauge of the present period as an event of a stream; whoever takes no events gets an error."""
    if "text/event-stream" not in ask.headers.get("accept", ""):
        raise Refusal(400, "This endpoint only supports text/event-stream")
    ask.query.finish()
    if ask.places.get("username", "sim-user") != "sim-user":
        raise Refusal(404, "Not found")
    account, owner = cast(HuggingFaceAccount, ask.account), _owner(ask)
    first, end = _month(account)
    routed = account.events(owner, first, end, INFERENCE)
    used = exact_sum(event.dollars for _, event in routed) + (_PLACEHOLDER * account.pending if owner == USER else 0)
    period = {"periodStart": stamp(first), "periodEnd": stamp(end)}
    jobs = exact_sum(event.dollars for _, event in account.events(owner, first, end, JOB))
    inference = _inference(account, owner, used, exact_sum(event.quantity for _, event in routed))
    private, public = account.stored(owner)
    limits = {"privateStorageLimit": 1_000_000_000_000, "publicStorageLimit": 5_000_000_000_000}
    storage = {"used": private + public, "usedPrivate": private, "usedPublic": public, **limits}
    body = {
        "inference": inference | period,
        # A billing period of jobs may be another one.
        "jobs": {"usedMicroUsd": _units(jobs, _MICRO), "periodStart": stamp(first), "periodEnd": stamp(end, 60)},
        "storage": storage | {"summary": {"model": {"used": private + public, "count": 3}}},
        "zeroGpu": {"base": 1500, "current": Decimal("1312.5")},
        "lastUpdatedAt": stamp(ask.world.today),
    }
    return Answer(to_json(body), media_type="text/event-stream")


def whoami(ask: Ask) -> Answer:
    """Answer who the token belongs to."""
    ask.query.finish()
    account = cast(HuggingFaceAccount, ask.account)
    role = {"displayName": "sim", "role": "fineGrained", "createdAt": stamp(ask.world.today)}
    orgs = [
        {"type": "org", "id": hex_id(account.plot, name), "name": name, "fullname": name.title(), "avatarUrl": "/a.svg",
         "plan": "enterprise", "resourceGroups": [
             {"id": group, "name": title, "role": "read"} for group, title in account.groups.items() if name == ACME]}
        for name in (() if account.plot.empty else (ACME, SHUT))
    ]  # fmt: skip
    return Answer(
        to_json(
            {
                "auth": {"type": "access_token", "accessToken": role},
                "type": "user",
                "id": account.id,
                "name": "sim-user",
                "fullname": "Sim User",
                "email": None,
                "avatarUrl": "/u.svg",
                "isPro": True,
                "billingMode": "postpaid",
                "periodEnd": int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()),
                "orgs": orgs,
            }
        )
    )


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a missing or unknown token and one without the permission."""
    if ask.key is None:
        raise Refusal(401, "Invalid credentials in Authorization header")
    needs = endpoint.needs if endpoint else ""
    if needs and not ask.key.may(needs):
        raise Refusal(403, "Access denied: the token lacks the billing permission")


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body, with its words in headers too."""
    headers = {"x-error-message": no.message, **no.headers}
    return Answer(to_json({"error": no.message}), no.status, headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the request's id and what is left of the quota, in the one header that names several."""
    left, wait = (999, 300) if meter is None else (meter.remaining, meter.wait_seconds)
    if answer.status == 429:
        left = 0
    answer.headers |= {
        "x-request-id": ask.request_id,
        "ratelimit": f'"api";r={left};t={wait}',
        "ratelimit-policy": '"fixed window";"api";q=2500;w=300',
    }


def credential(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token."""
    return bearer(headers)


_USER, _ORG = "/api/settings/billing", "/api/organizations/{name}/billing"

FACE = Face(
    id="huggingface",
    title="Hugging Face",
    account=HuggingFaceAccount,
    endpoints=(
        Endpoint("/api/whoami-v2", whoami),
        Endpoint(f"{_USER}/usage", report, BILLING),
        Endpoint(f"{_USER}/usage-v2", totals, BILLING),
        Endpoint(f"{_USER}/usage-by-inference-session", by_session, BILLING),
        Endpoint(f"{_USER}/usage/jobs", jobs, BILLING),
        Endpoint(f"{_USER}/usage/live", live, BILLING),
        Endpoint("/api/users/{username}/billing/usage/live", live, BILLING),
        Endpoint(f"{_ORG}/usage/live", live, ORGANIZATIONS),
        Endpoint(f"{_ORG}/usage", report, ORGANIZATIONS),
        Endpoint(f"{_ORG}/usage-v2", totals, ORGANIZATIONS),
        Endpoint(f"{_ORG}/usage-by-inference-session", by_session, ORGANIZATIONS),
        Endpoint(f"{_ORG}/usage-by-resource-group", by_group, ORGANIZATIONS),
        Endpoint("/api/organizations/{name}/resource-groups", groups, ORGANIZATIONS),
        Endpoint("/api/spaces/zero-gpu/quota", zero_gpu),
    ),
    options={"organizations": ACME},
    keys={
        "sim-huggingface-fine": Key("fine"),
        "sim-huggingface-user": Key("user", frozenset({BILLING})),
        "sim-huggingface-plain": Key("plain", frozenset()),
    },
    credential=credential,
    admit=admit,
    refuse=refuse,
    dress=dress,
    quota=lambda _: Quota(2500, 300.0, windowed=True),
    exhausted=lambda _: Refusal(429, "We had to rate limit you."),
    money_fields=frozenset({"usedNanoUsd", "usedMicroUsd", "totalCostMicroUSD", "costCents"}),
    enum_fields=frozenset({"product", "plan", "status"}),
    dimension_fields=frozenset({"entityId", "label"}),
    cursor_parameters=frozenset(),
)
