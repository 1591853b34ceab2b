"""Supabase's traps beside its cases: resets that are delays, quotas that are pooled, what is not asked for at all."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from outlay.model.facts import Limit
from outlay.model.period import Period
from outlay.providers.base import PAIR, Ask, Endpoint
from outlay.providers.supabase import PROVIDER
from outlay.providers.supabase.organizations import QUOTAS, Plan, plan_quotas
from outlay.providers.supabase.projects import API_COUNTS
from outlay.wire import refusals
from outlay.wire.quota import Quota

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVERY = [endpoint for dataset in PROVIDER.datasets for endpoint in dataset.endpoints]
ASK = Ask("plan_quotas", Period.of_day(NOW.date()), {}, NOW, "acme")


@pytest.mark.parametrize(("left", "closed"), [("117", None), ("0", 42.0)])
def test_a_reset_is_seconds_from_now(left: str, closed: float | None) -> None:
    """It is no moment: 42 closes the wire for 42 seconds, and only when nothing is left."""
    quota = Quota(PROVIDER.rates, PROVIDER.quota_headers, lambda: 0.0)
    assert quota.observe({"x-ratelimit-remaining": left, "x-ratelimit-reset": "42"}, NOW) == closed
    assert quota.closed_seconds() == (closed or 0.0)


def test_request_counts_have_a_smaller_quota_of_their_own() -> None:
    """Thirty a minute beside the 120 of every other endpoint."""
    assert [(rate.requests, rate.seconds) for rate in PROVIDER.rates] == [(120, 60)]
    assert [(rate.requests, rate.seconds) for rate in API_COUNTS.rates] == [(30, 60)]


def test_the_span_of_request_counts_is_one_the_vendor_knows() -> None:
    """`1d` and `1h` are not in its list; seven days are the most it answers for."""
    assert API_COUNTS.query == {"interval": "7day"}
    assert API_COUNTS.lookback_days == 6


def test_gigabytes_of_a_plan_are_decimal() -> None:
    """250 GB are 250 x 10^9 bytes and no GiB: the unit says so, and megabytes are told in bytes."""
    assert {quota.unit for plan in QUOTAS.values() for quota in plan.values()}.isdisjoint({"gib", "mib"})
    [database] = [
        each for each in plan_quotas(Plan("free"), ASK) if isinstance(each, Limit) and each.name == "database"
    ]
    assert (database.quota, database.unit) == (Decimal(500_000_000), "bytes")


def test_pooled_quotas_are_told_once() -> None:
    """Whatever the number of projects, a quota of the organization is one limit, and each project's says so."""
    scopes = {each.name: each.scope for each in plan_quotas(Plan("pro"), ASK) if isinstance(each, Limit)}
    assert scopes["egress"] == "organization:acme"
    assert scopes["disk included"] == "organization:acme, each project"


@pytest.mark.parametrize("endpoint", EVERY, ids=lambda endpoint: endpoint.name)
def test_a_missing_permission_is_told_by_its_name(endpoint: Endpoint[Any]) -> None:
    """The vendor's own words are "Forbidden resource" alone, so the hint says which permission to add."""
    needed = {
        "organizations": "organizations_read", "projects": "organization_projects_read",
        "plan": "organization_admin_read", "entitlements": "organization_admin_read",
        "addons": "infra_add_ons_read", "api_counts": "analytics_usage_read", "disk": "infra_disk_config_read",
        "disk_util": "infra_disk_config_read", "disk_autoscale": "infra_disk_config_read",
    }  # fmt: skip
    said = refusals.Said(403, {"content-type": "application/json"}, b'{"message": "Forbidden resource"}')
    found = refusals.declared(PROVIDER, endpoint, said)
    assert found is not None
    assert found.means == "permission_missing"
    assert f"({needed[endpoint.name]})" in (found.hint or "")


def test_what_would_count_twice_or_change_the_bill_is_not_asked() -> None:
    """Neither the count of all requests nor SQL nor the dashboard's own API; and nothing is sent but GET."""
    asked = " ".join(endpoint.path for endpoint in EVERY)
    for never in ("api-requests-count", "/platform/", "database/query", "combined-stats"):
        assert never not in asked
    assert all(endpoint.body is None for endpoint in EVERY)
    assert PAIR not in asked
