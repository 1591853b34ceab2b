"""Supabase's management API: organizations, projects, entitlements, add-ons, request counts, disks.

Key:   "sim-supabase-full" reads everything, "sim-supabase-names" organizations and projects alone,
       "sim-supabase-noanalytics" everything but request counts. A missing permission answers 403.
Day:   UTC. Counts reach back as far as `interval` says and no further; the present hour is partial.
Quota: 120 requests a minute; request counts have one of 30 beside it. `X-RateLimit-Reset` is seconds from now.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Quota, Refusal, bearer, to_json
from outlay.simulator.worlds.supabase import PRICES, SERVICES, Organization, Project, SupabaseAccount

_ORGANIZATIONS, _ADMIN, _IN_ORGANIZATION, _PROJECTS, _PROJECT, _ADDONS, _ANALYTICS, _DISK = (
    "organizations_read", "organization_admin_read", "organization_projects_read", "projects_read",
    "project_admin_read", "infra_add_ons_read", "analytics_usage_read", "infra_disk_config_read",
)  # fmt: skip
_ALL = frozenset({_ORGANIZATIONS, _ADMIN, _IN_ORGANIZATION, _PROJECTS, _PROJECT, _ADDONS, _ANALYTICS, _DISK})
_INTERVALS = {
    "15min": timedelta(minutes=15), "30min": timedelta(minutes=30), "1hr": timedelta(hours=1),
    "3hr": timedelta(hours=3), "1day": timedelta(days=1), "3day": timedelta(days=3), "7day": timedelta(days=7),
}  # fmt: skip
_STATUSES = ("ACTIVE_HEALTHY", "INACTIVE")
_SORTS: Mapping[str, tuple[Callable[[Project], Any], bool]] = {
    "name_asc": (lambda project: project.name, False),
    "name_desc": (lambda project: project.name, True),
    "created_asc": (lambda project: project.number, False),
    "created_desc": (lambda project: project.number, True),
}
_CREATED = "2026-01-05T09:00:00Z"
_COUNTS_QUOTA = Quota(30, 60.0, windowed=True)
FREE_ENTITLEMENTS = (
    ("log.retention_days", "numeric", True, {"enabled": True, "value": 1, "unlimited": False, "unit": "days"}),
    ("realtime.max_concurrent_users", "numeric", True,
     {"enabled": True, "value": 200, "unlimited": False, "unit": "users"}),
    ("realtime.max_events_per_second", "numeric", True,
     {"enabled": True, "value": 100, "unlimited": False, "unit": "events"}),
    ("branching_limit", "numeric", False, {"enabled": False, "value": 0, "unlimited": False, "unit": "branches"}),
    ("custom_domain", "boolean", False, {"enabled": False}),
)  # fmt: skip
PAID_ENTITLEMENTS = (
    ("log.retention_days", "numeric", True, {"enabled": True, "value": 7, "unlimited": False, "unit": "days"}),
    ("function.max_count", "numeric", True, {"enabled": True, "value": 0, "unlimited": True, "unit": "functions"}),
    ("storage.max_file_size", "numeric", True,
     {"enabled": True, "value": 536_870_912_000, "unlimited": False, "unit": "bytes"}),
    ("pitr.available_variants", "set", True, {"enabled": True, "set": ["pitr_7", "pitr_14"]}),
    ("custom_domain", "boolean", True, {"enabled": True}),
)  # fmt: skip


def _account(ask: Ask) -> SupabaseAccount:
    return cast(SupabaseAccount, ask.account)


def _organization(ask: Ask) -> Organization:
    for each in _account(ask).organizations:
        if each.slug == ask.places["slug"]:
            return each
    raise Refusal(404, "Organization not found")


def _project(ask: Ask) -> Project:
    for each in _account(ask).projects:
        if each.ref == ask.places["ref"]:
            return each
    raise Refusal(404, "Project not found")


def _running(ask: Ask) -> Project:
    found = _project(ask)
    if not found.status.startswith("ACTIVE"):
        raise Refusal(400, "Project is paused")
    return found


def organizations(ask: Ask) -> Answer:
    """Answer every organization; the id is a deprecated alias."""
    ask.query.finish()
    return Answer(to_json([{"id": o.slug, "slug": o.slug, "name": o.name} for o in _account(ask).organizations]))


def organization(ask: Ask) -> Answer:
    """Answer one organization with its plan."""
    found = _organization(ask)
    ask.query.finish()
    channels = ["ga"]
    body = {"id": found.slug, "name": found.name, "plan": found.plan, "opt_in_tags": []}
    return Answer(to_json({**body, "allowed_release_channels": channels}))


def projects_of(ask: Ask) -> Answer:
    """Answer a page of an organization's projects by offset."""
    found, query = _organization(ask), ask.query
    offset, limit = query.whole("offset", 0) or 0, query.whole("limit", 100)
    search, statuses = query.one("search"), query.one("statuses")
    key, backwards = _SORTS[query.choice("sort", tuple(_SORTS), "name_asc") or "name_asc"]
    query.finish()
    if offset < 0 or limit is None or not 1 <= limit <= 100:
        raise Refusal(400, "offset must be 0 or more and limit between 1 and 100")
    wanted = statuses.split(",") if statuses is not None else None
    if wanted is not None and set(wanted) - set(_STATUSES):
        raise Refusal(400, "statuses must be of ACTIVE_HEALTHY, INACTIVE")
    rows = [
        project
        for project in sorted(_account(ask).projects, key=key, reverse=backwards)
        if project.organization == found.slug
        and (wanted is None or project.status in wanted)
        and (search is None or search.lower() in project.name.lower())
    ]
    listed = [_listed(ask, project) for project in rows[offset : offset + limit]]
    return Answer(to_json({"projects": listed, "pagination": {"count": len(rows), "limit": limit, "offset": offset}}))


def _listed(ask: Ask, project: Project) -> dict[str, Any]:
    account = _account(ask)
    compute = next((v for v in account.variants(project, account.plot.today) if v.startswith("ci_")), "ci_nano")
    base = {"region": "eu-central-1", "cloud_provider": "AWS"}
    running = project.status if project.status.startswith("ACTIVE") else "GOING_DOWN"
    database = {
        **base, "status": running, "identifier": project.ref, "type": "PRIMARY", "disk_type": "gp3",
        "infra_compute_size": compute.removeprefix("ci_"),
        "disk_volume_size_gb": account.disk_gb(project, account.plot.today),
    }  # fmt: skip
    return {
        **base, "ref": project.ref, "name": project.name, "is_branch": project.branch, "status": project.status,
        "inserted_at": _CREATED, "databases": [database],
    }  # fmt: skip


def _whole(project: Project) -> dict[str, Any]:
    engine = {"host": f"db.{project.ref}.example", "version": "17.6", "postgres_engine": "17", "release_channel": "ga"}
    return {
        "id": project.ref, "ref": project.ref, "organization_id": project.organization,
        "organization_slug": project.organization, "name": project.name, "region": "eu-central-1",
        "created_at": _CREATED, "status": project.status, "database": engine,
    }  # fmt: skip


def projects(ask: Ask) -> Answer:
    """Answer every project."""
    ask.query.finish()
    return Answer(to_json([_whole(project) for project in _account(ask).projects]))


def project(ask: Ask) -> Answer:
    """Answer one project."""
    ask.query.finish()
    return Answer(to_json(_whole(_project(ask))))


def entitlements(ask: Ask) -> Answer:
    """Answer what an organization's plan entitles to."""
    rows = FREE_ENTITLEMENTS if _organization(ask).plan == "free" else PAID_ENTITLEMENTS
    ask.query.finish()
    listed = [
        {"feature": {"key": key, "type": kind}, "hasAccess": access, "type": kind, "config": config}
        for key, kind, access, config in rows
    ]
    return Answer(to_json({"entitlements": listed}))


def _variant(name: str) -> dict[str, Any]:
    _, title, interval, price = PRICES[name]
    kind = "usage" if interval == "hourly" else "fixed"
    shown = {"description": f"${price}/{interval}", "type": kind, "interval": interval, "amount": price}
    # Capacity, which is not use.
    return {"id": name, "name": title, "price": shown, "meta": {"memory_gb": 2, "baseline_disk_io_mbs": 174}}


def addons(ask: Ask) -> Answer:
    """Answer what a project has, and beside it everything it could have."""
    account, found = _account(ask), _running(ask)
    ask.query.finish()
    selected = account.variants(found, account.plot.today)
    available = [
        {"type": kind, "name": title, "variants": [_variant(name)]} for name, (kind, title, _, _) in PRICES.items()
    ]
    rows = [{"type": PRICES[name][0], "variant": _variant(name)} for name in selected]
    return Answer(to_json({"selected_addons": rows, "available_addons": available}))


def _count(ask: Ask) -> None:
    """Count against the quota of the request counts, where quotas are in force at all."""
    if ask.meter is None:
        return
    meter = _account(ask).kept(("counts", ask.credential), lambda: Meter(_COUNTS_QUOTA))
    if not meter.take():
        raise Refusal(429, "ThrottlerException: Too Many Requests")


def _hours(ask: Ask, reach: timedelta) -> list[tuple[datetime, tuple[int, ...]]]:
    account, found = _account(ask), _running(ask)
    since = ask.now - reach
    rows = []
    day = since.date()
    while day <= ask.now.date():
        for hour in account.hours.on(day):
            moment = datetime(day.year, day.month, day.day, hour.hour, tzinfo=UTC)
            if hour.ref == found.ref and moment > since - timedelta(hours=1) and moment <= ask.now:
                rows.append((moment, hour.counts))
        day += timedelta(days=1)
    return sorted(rows)


def api_counts(ask: Ask) -> Answer:
    """Answer requests by service in buckets of an hour; a project that no one uses has an empty series."""
    interval = ask.query.choice("interval", tuple(_INTERVALS), "1day")
    ask.query.finish()
    _count(ask)
    if _account(ask).counts_broken:
        reason = {"domain": "global", "location": "q", "locationType": "parameter", "message": "query failed"}
        error = {"code": 400, "message": "query failed", "status": "INVALID_ARGUMENT"}
        return Answer(to_json({"result": [], "error": {**error, "errors": [{**reason, "reason": "invalidQuery"}]}}))
    rows = [
        {"timestamp": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
        | {f"total_{name}_requests": count for name, count in zip(SERVICES, counts, strict=True)}
        for moment, counts in _hours(ask, _INTERVALS[interval or "1day"])
        if not _account(ask).counts_gone
    ]
    return Answer(to_json({"result": rows, "error": None}))


def requests_count(ask: Ask) -> Answer:
    """Answer one count of all requests, over a span the vendor does not tell."""
    ask.query.finish()
    _count(ask)
    total = sum(sum(counts) for _, counts in _hours(ask, timedelta(days=1)))
    return Answer(to_json({"result": [{"count": total}], "error": None}))


def function_stats(ask: Ask) -> Answer:
    """Answer the statistics of one function."""
    ask.query.needed("function_id")
    if ask.query.choice("interval", ("15min", "1hr", "3hr", "1day")) is None:
        raise Refusal(400, "interval is required")
    ask.query.finish()
    _running(ask)
    return Answer(to_json({"result": [], "error": None}))


def disk(ask: Ask) -> Answer:
    """Answer what is provisioned."""
    account, found = _account(ask), _running(ask)
    ask.query.finish()
    attributes = {"iops": 3000, "size_gb": account.disk_gb(found, account.plot.today), "throughput_mibps": 125}
    return Answer(to_json({"attributes": {**attributes, "type": "gp3"}, "last_modified_at": _CREATED}))


def disk_util(ask: Ask) -> Answer:
    """Answer how full the file system is."""
    account, found = _account(ask), _running(ask)
    ask.query.finish()
    size = account.disk_gb(found, account.plot.today) * 10**9
    used = account.disk_used(found, account.plot.today)
    metrics = {"fs_size_bytes": size, "fs_avail_bytes": size - used, "fs_used_bytes": Decimal(used)}
    return Answer(to_json({"timestamp": f"{ask.now:%Y-%m-%dT%H:%M:%SZ}", "metrics": metrics}))


def disk_autoscale(ask: Ask) -> Answer:
    """Answer how far a disk may grow by itself; unset on projects that are not paid for."""
    most = 200 if _running(ask).paid else None
    ask.query.finish()
    return Answer(to_json({"growth_percent": 50, "min_increment_gb": 4, "max_size_gb": most}))


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a wrong token with 401, a missing permission with 403."""
    if ask.credential is None or ask.key is None:
        raise Refusal(401, "Unauthorized")
    if endpoint is not None and endpoint.needs and not ask.key.may(endpoint.needs):
        raise Refusal(403, "Forbidden resource")


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the vendor's error body."""
    return Answer(to_json({"message": no.message}), no.status, no.headers)


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the quota's headers, which every answer carries; the reset is seconds from now."""
    limit = meter.quota.burst if meter else 120
    answer.headers |= {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(meter.remaining if meter else limit - 1),
        "x-ratelimit-reset": str(meter.wait_seconds if meter else 60),
    }


_IN_PROJECT = "/v1/projects/{ref}"

FACE = Face(
    id="supabase",
    title="Supabase",
    account=SupabaseAccount,
    endpoints=(
        Endpoint("/v1/organizations", organizations, _ORGANIZATIONS),
        Endpoint("/v1/organizations/{slug}", organization, _ADMIN),
        Endpoint("/v1/organizations/{slug}/projects", projects_of, _IN_ORGANIZATION),
        Endpoint("/v1/organizations/{slug}/entitlements", entitlements, _ADMIN),
        Endpoint("/v1/projects", projects, _PROJECTS),
        Endpoint(_IN_PROJECT, project, _PROJECT),
        Endpoint(f"{_IN_PROJECT}/billing/addons", addons, _ADDONS),
        Endpoint(f"{_IN_PROJECT}/analytics/endpoints/usage.api-counts", api_counts, _ANALYTICS),
        Endpoint(f"{_IN_PROJECT}/analytics/endpoints/usage.api-requests-count", requests_count, _ANALYTICS),
        Endpoint(f"{_IN_PROJECT}/analytics/endpoints/functions.combined-stats", function_stats, _ANALYTICS),
        Endpoint(f"{_IN_PROJECT}/config/disk", disk, _DISK),
        Endpoint(f"{_IN_PROJECT}/config/disk/util", disk_util, _DISK),
        Endpoint(f"{_IN_PROJECT}/config/disk/autoscale", disk_autoscale, _DISK),
    ),
    keys={
        "sim-supabase-full": Key("full"),
        "sim-supabase-names": Key("names", frozenset({_ORGANIZATIONS, _IN_ORGANIZATION, _PROJECTS})),
        "sim-supabase-noanalytics": Key("noanalytics", _ALL - {_ANALYTICS}),
    },
    credential=bearer,
    admit=admit,
    refuse=refuse,
    dress=dress,
    quota=lambda _: Quota(120, 60.0, windowed=True),
    exhausted=lambda _: Refusal(429, "ThrottlerException: Too Many Requests"),
    money_fields=frozenset({"amount"}),
    enum_fields=frozenset({"status", "plan"}),
    dimension_fields=frozenset({"name"}),
    cursor_parameters=frozenset({"offset"}),
)
