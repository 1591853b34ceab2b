"""Google's effective quotas, by service: ceilings without use, one for each set of dimensions; -1 is none."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import Limit, LimitKind
from outlay.providers.base import Ask, Cursor, Endpoint, Refusal
from outlay.providers.google.accounts import SWITCHED_OFF
from outlay.providers.ratelimits import of_model

_HOST = "https://cloudquotas.googleapis.com"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""Cloud Quotas takes no narrower scope; the role (roles/cloudquotas.viewer) bounds what the token may do."""
_UNLIMITED = -1
_WINDOWS = {"minute": "1 minute", "hour": "1 hour", "day": "1 day"}
_VIEWER = Refusal(
    403, "permission_missing", contains="PERMISSION_DENIED",
    hint="Quotas take the role Cloud Quotas Viewer (roles/cloudquotas.viewer) on the project.",
)  # fmt: skip


class Value(Struct):
    """A ceiling as text."""

    value: str | None = None


class Dimensions(Struct, rename="camel"):
    """A ceiling where these dimensions hold; none are named for all the rest."""

    dimensions: dict[str, object] = field(default_factory=dict)
    details: Value = field(default_factory=Value)
    applicable_locations: list[str] = field(default_factory=list)


class Quota(Struct, rename="camel"):
    """One quota of a service."""

    quota_id: str
    metric: str | None = None
    refresh_interval: str | None = None
    is_precise: bool | None = None
    metric_unit: str | None = None
    quota_display_name: str | None = None
    dimensions_infos: list[Dimensions] = field(default_factory=list)


class Quotas(Struct, rename="camel"):
    """A page of a service's quotas."""

    quota_infos: list[Quota] = field(default_factory=list)
    next_page_token: str | None = None


def limits(page: Quotas, ask: Ask) -> Iterator[Limit]:
    """Turn quotas into ceilings, one for each set of dimensions.

    Units:  counts in the quota's own unit, requests or tokens for Gemini; -1 means without a ceiling.
    Null:   what is used is not told here.
    Source: https://docs.cloud.google.com/docs/quotas/reference/rest/v1/projects.locations.services.quotaInfos
    """
    project = ask.options.get("project")
    for quota in page.quota_infos:
        for info in quota.dimensions_infos:
            text = info.details.value
            if text is None:
                continue
            value = int(text)
            places = {name: place for name, place in info.dimensions.items() if isinstance(place, str)}
            if info.applicable_locations and info.applicable_locations != ["global"] and not places:
                places["location"] = ",".join(sorted(info.applicable_locations))
            model = places.get("model") or places.get("base_model")
            where = "".join(f", {name} {place}" for name, place in sorted(places.items()) if place != model)
            yield Limit(
                name=of_model(f"{quota.quota_id}{where}", model),
                scope=f"project:{project}",
                kind=LimitKind.RATE if quota.refresh_interval else LimitKind.QUOTA,
                unit=_unit(quota),
                quota=None if value == _UNLIMITED else Decimal(value),
                unlimited=value == _UNLIMITED,
                window=_window(quota.refresh_interval),
                sub_account_id=project,
                model=model,
                enforced=True,
                details=_details(quota),
            )


def _unit(quota: Quota) -> str:
    if quota.metric_unit == "By":
        return "bytes"
    said = f"{quota.metric or ''} {quota.quota_id}".lower()
    if "token" in said:
        return "tokens"
    return "requests" if "request" in said else "count"


def _window(interval: str | None) -> str | None:
    return _WINDOWS.get(interval, interval) if interval else None


def _details(quota: Quota) -> dict[str, str | None] | None:
    details = {"metric": quota.metric, "title": quota.quota_display_name}
    if quota.is_precise is False:
        details["precise"] = "false"
    return {name: value for name, value in details.items() if value} or None


def _endpoint(name: str, service: str) -> Endpoint[Quotas]:
    return Endpoint(
        name=name,
        host=_HOST,
        path="/v1/projects/{project}/locations/global/services/" + service + "/quotaInfos",
        query={"pageSize": 100},
        pages=Cursor("pageToken", "next_page_token"),
        scopes=_SCOPES,
        refusals=(*SWITCHED_OFF, _VIEWER),
        page=Quotas,
        facts=limits,
    )


GEMINI = _endpoint("gemini_quotas", "generativelanguage.googleapis.com")
VERTEX = _endpoint("vertex_quotas", "aiplatform.googleapis.com")
