"""Railway: measured use of workspaces, priced; what the customer's account says; invoices, limits, names.

Key:   a workspace token, or an account token; both as a bearer. A project token reads one project's use only and has a
       header of its own. No token reads without being able to write. "Not Authorized" is said of dead tokens and of
       missing permissions alike: where tokens of any kind are answered it is the token.
Day:   one `usage` call per UTC day, because an answer has no time buckets; the last 90 days are answered.
Units: quantities are vCPU-minutes, GB-minutes and GB. `currentUsage`, balances and compute limits are dollars, invoices
       and agent limits cents. Billing periods are anchored to a day of the month, not to the calendar.
Never: add `currentUsage` to priced use, or invoices, or the next invoice to either; take `estimatedUsage` for use;
       price what is not billed (`CPU_USAGE_2`, received traffic); leave out what is deleted; leave out `groupBy`.
Measured use stands in `usage`, the customer's account and invoices in `account`, names in `names`.
"""

from __future__ import annotations

from collections.abc import Mapping

from outlay.providers.base import (
    Bearer,
    ByOption,
    Header,
    KeyKind,
    Offer,
    Option,
    Provider,
    QuotaHeaders,
    Rate,
    Refusal,
    Service,
)
from outlay.providers.railway import account, names, usage
from outlay.providers.railway.usage import COMPUTE, EGRESS, VOLUMES


def _by_workspace(options: Mapping[str, str]) -> bool:
    return not options.get("project")


def _by_project(options: Mapping[str, str]) -> bool:
    return bool(options.get("project"))


_CREATE = names.CREATE
_MORE = "The token may be dead or lack access to the workspace's billing; a member of the workspace creates another."

PROVIDER = Provider(
    id="railway",
    title="Railway",
    base_url="https://backboard.railway.com",
    auth=ByOption("project", Header("Project-Access-Token"), Bearer()),
    environment=("RAILWAY_API_TOKEN",),
    key_help=f"{_CREATE} A token of one project reads that project's use only: set `project` to its id then.",
    keys=(
        KeyKind("", "token", usable=True, more_than_read=True,
                hint="Railway documents no token that only reads; Outlay sends queries alone and never a mutation."),
    ),
    datasets=(
        *names.datasets(_by_workspace, _by_project),
        *usage.datasets(_by_workspace, _by_project),
        *account.readings(_by_workspace),
    ),
    services={
        COMPUTE: Service("Compute", "Containers"),
        VOLUMES: Service("Storage", "Block Storage"),
        EGRESS: Service("Networking", "Network Connectivity"),
    },
    offers={
        "cost": Offer("api", "Railway states no money per service or day: measured use is priced from a dated list and "
                             "compared with the billing period's total that it does state."),
        "usage": Offer("api", "vCPU-minutes, GB-minutes and GB per UTC day, project, environment and service, up to 90 "
                              "days back; the vendor's own projection beside it."),
        "limits": Offer("api", "The hard limits of compute and agents, and what is left of the API's quota: points, "
                               "and requests of an hour. What a plan allows has no documented form and is not read."),
        "balance": Offer("api", "Credit balance, applied credits and included usage left."),
        "invoices": Offer("api", "Invoices and the running total of the next; PDFs are on the billing page."),
        "budgets": Offer("api", "The soft limits of compute and agents, which warn by e-mail."),
        "revenue": Offer("none", "Railway bills you and not your customers."),
        "writes": Offer("none", "Limits could be set through the API; Outlay never does."),
    },
    sources=(
        "https://docs.railway.com/integrations/api",
        "https://docs.railway.com/pricing/plans",
        "https://docs.railway.com/pricing/understanding-your-bill",
        "https://docs.railway.com/pricing/cost-control",
        "https://docs.railway.com/cli/usage",
    ),
    account_type="Workspace",
    sub_account_type="Project",
    options=(
        Option("workspace", "id or name of the one workspace to read; all that the token opens when absent"),
        Option("project", "id of the project that a project token belongs to"),
    ),
    rates=(Rate(10, 1), Rate(1000, 3600)),
    quota_headers=QuotaHeaders(account.REMAINING_HEADER, account.RESET_HEADER),
    refusals=(
        Refusal(200, "access_denied", contains="Project Token not found", hint=_CREATE),
        Refusal(200, "access_denied", contains="Two Factor Authentication Required",
                hint="The workspace demands two-factor authentication: switch it on for the token's owner."),
        Refusal(200, "access_denied", contains="UNAUTHENTICATED", hint=_CREATE),
        Refusal(200, "permission_missing", contains="Not Authorized", hint=_MORE),
        Refusal(200, "permission_missing", contains="Workspace not found", hint=_MORE),
        Refusal(200, "retry_later", contains="INTERNAL_SERVER_ERROR"),
        Refusal(401, "access_denied", hint=_CREATE),
    ),
)  # fmt: skip
