"""Supabase: list prices of add-ons, API requests, disk and ceilings of the projects a token sees.

Key:   a personal access token that may read organizations, projects, entitlements, add-ons, disk configuration and
       analytics; app tokens are refused by most of these.
Day:   a UTC day. Requests can be asked for seven times 24 hours back and no further; what is provisioned and selected
       is known of the day it is read on and no other.
Units: list prices in dollars, decimal gigabytes, `x-ratelimit-reset` in seconds from now.
Never: take list prices for the bill; add available add-ons to selected ones; add the count of all requests to the
       counts by service; add the file system to the database in it; multiply pooled quotas by projects.

The vendor offers no cost, no egress, no active users and no invoices through its API: enter those.
"""

from __future__ import annotations

from collections.abc import Mapping

from outlay.model.facts import Charge, Limit, Name, Usage
from outlay.providers.base import (
    Bearer,
    Dataset,
    KeyKind,
    Offer,
    Option,
    Provider,
    QuotaHeaders,
    Rate,
    Refusal,
    Service,
)
from outlay.providers.supabase.organizations import ENTITLEMENTS, ORGANIZATIONS, PLAN, PROJECTS
from outlay.providers.supabase.projects import (
    ADDONS,
    API_COUNTS,
    DISK,
    DISK_AUTOSCALE,
    DISK_UTIL,
    OTHER_ADDONS,
    REACH_DAYS,
)

_DATABASE = Service("Databases", "Relational Databases")
_PLATFORM = Service("Developer Tools", "Developer Platforms")


def _account(options: Mapping[str, str]) -> str | None:
    listed = [slug for slug in options.get("organizations", "").split(",") if slug.strip()]
    return listed[0].strip() if len(listed) == 1 else None


PROVIDER = Provider(
    id="supabase",
    title="Supabase",
    base_url="https://api.supabase.com",
    auth=Bearer(),
    environment=("SUPABASE_ACCESS_TOKEN",),
    key_help=(
        "In the dashboard under Account, Access Tokens: create a scoped token that may read the organizations and "
        "projects you want, their settings, add-ons, disk configuration and analytics usage."
    ),
    keys=(
        KeyKind("sbp_fc", "scoped personal access token", usable=True),
        KeyKind(
            "sbp_",
            "personal access token",
            usable=True,
            more_than_read=True,
            hint="It can do whatever you can, in every organization: create a scoped token instead.",
        ),
        KeyKind("sb_", "project key", usable=False, hint="It opens a project's data and not the management API."),
        KeyKind("eyJ", "project key", usable=False, hint="It opens a project's data and not the management API."),
    ),
    rates=(Rate(120, 60),),
    quota_headers=QuotaHeaders("x-ratelimit-remaining", "x-ratelimit-reset", reset_form="seconds"),
    refusals=(
        Refusal(401, "access_denied", hint="The token is wrong, expired or revoked."),
        Refusal(429, "retry_later"),
        Refusal(400, "request_refused"),
    ),
    options=(Option("organizations", "slugs of the organizations to read, a list; all the token sees unless given"),),
    account=_account,
    datasets=(
        Dataset("organizations", "Organizations", (Name,), (ORGANIZATIONS,), grain="names", order=0),
        Dataset("projects", "Projects", (Name,), (PROJECTS,), grain="names", order=1),
        Dataset(
            "addons", "Add-ons at list price", (Charge,), (ADDONS,), horizon_days=0, lookback_days=0, order=2,
        ),
        Dataset(
            "api_counts", "API requests", (Usage,), (API_COUNTS,), horizon_days=1, lookback_days=REACH_DAYS, order=2,
        ),
        Dataset("disk", "Provisioned disk", (Usage,), (DISK,), horizon_days=0, lookback_days=0, order=2),
        Dataset("disk_util", "Disk in use", (Limit,), (DISK_UTIL,), grain="reading", order=2),
        Dataset("disk_autoscale", "Disk growth", (Limit,), (DISK_AUTOSCALE,), grain="reading", order=2),
        Dataset("plan_quotas", "Published quotas of the plan", (Limit,), (PLAN,), grain="reading", order=2),
        Dataset("entitlements", "Entitlements", (Limit,), (ENTITLEMENTS,), grain="reading", order=2),
    ),
    services={
        "Compute": _DATABASE,
        "Disk": Service("Storage", "Block Storage"),
        "Point-in-Time Recovery": Service("Storage", "Backup Storage"),
        "IPv4": Service("Networking", "Network Connectivity"),
        "Custom Domain": Service("Networking", "Network Routing"),
        "Auth": Service("Identity", "Identity and Access Management"),
        "Log Drains": Service("Management and Governance", "Observability"),
        "Data API": _DATABASE,
        "Storage": Service("Storage", "Object Storage"),
        "Realtime": _PLATFORM,
        OTHER_ADDONS: _PLATFORM,
    },
    default_service=_PLATFORM,
    offers={
        "cost": Offer("api", "list prices of add-ons only, `priced`: enter the invoice for what was billed"),
        "usage": Offer(
            "api",
            "API requests of the last seven days, provisioned disk; egress, users and storage are on the dashboard."
            " Edge functions' statistics (rows no one has described) and a project's own metrics (a key that opens its"
            " data) are not pulled",
        ),
        "limits": Offer("api", "entitlements, disk, and the quotas published for the plan"),
        "balance": Offer("none", "credits are on the dashboard only: enter them"),
        "invoices": Offer("entered", "on the dashboard only: `outlay enter invoice`"),
        "budgets": Offer("none", "the spend cap is on the dashboard only"),
        "revenue": Offer("none"),
        "writes": Offer("none", "add-ons could be changed through the API, and the bill with them; Outlay never does"),
    },
    sources=(
        "https://supabase.com/docs/guides/platform/management-api",
        "https://supabase.com/docs/guides/platform/billing-on-supabase",
        "https://supabase.com/blog/scope-your-personal-access-tokens",
    ),
)  # fmt: skip
