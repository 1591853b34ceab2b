"""Hugging Face: routed inference, jobs, Spaces and Inference Endpoints of a user and the organizations seen.

Key:   a fine-grained token with `user.billing.read` and, for organizations, `org.read`, whose owner sees the billing.
Day:   a UTC day, asked for one by one: the totals answer for whole windows. Requests are booked with a placeholder and
       settled within half an hour, so fresh days move down as well as up; three days are asked for again.
Units: five ways to write a dollar: nano (inference), micro (jobs, runs), cents (invoices, limits), fractional cents
       (breakdowns), dollars. `current` of ZeroGPU is what is left.
Never: add the runs to the totals' jobs; a breakdown (resource group, session, job) to the totals; invoices and card
       payments to charges; a provider's own bill for custom keys. A wallet is never derived from a limit or credits.

Included credits belong to the month: days hold the whole use, and a credit of the month takes back what is covered.
`whoami` has a strict quota of its own and is kept for six hours.
"""

from __future__ import annotations

from outlay.model.facts import Charge, Invoice, Limit, Name, Statement, Usage
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
from outlay.providers.huggingface.account import WHOAMI
from outlay.providers.huggingface.breakdowns import JOB_DETAILS, ORGANIZATION_SESSIONS, RESOURCE_GROUPS, SESSIONS
from outlay.providers.huggingface.ceilings import SPEND_LIMITS, ZERO_GPU
from outlay.providers.huggingface.compute import COMPUTE, INVOICE, ORGANIZATION_COMPUTE, ORGANIZATION_INVOICE
from outlay.providers.huggingface.live import LIVE, ORGANIZATION_LIVE
from outlay.providers.huggingface.metering import METERING
from outlay.providers.huggingface.totals import (
    CREDITS,
    ENDPOINTS,
    INFERENCE,
    INFERENCE_LIMIT,
    JOBS,
    ORGANIZATION_CREDITS,
    ORGANIZATION_INFERENCE_LIMIT,
    ORGANIZATION_USAGE,
    SPACES,
    USAGE,
)

_COMPUTE = Service("Compute", "Containers")
_OWN = "The token needs the permission user.billing.read."

PROVIDER = Provider(
    id="huggingface",
    title="Hugging Face",
    metering=METERING,
    base_url="https://huggingface.co",
    auth=Bearer(),
    environment=("HF_BILLING_TOKEN", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    key_help=(
        "In the settings under Access Tokens: create a fine-grained token with the permission to read your billing "
        "and, for organizations, to read their settings; the organization may have to approve it."
    ),
    keys=(
        KeyKind(
            "hf_",
            "user access token",
            usable=True,
            more_than_read=True,
            hint="Its kind does not show in the token: a fine-grained one for billing alone is the least.",
        ),
    ),
    rates=(Rate(900, 300),),
    concurrency=4,
    quota_headers=QuotaHeaders("ratelimit", "ratelimit", "policies"),
    refusals=(
        Refusal(401, "access_denied", hint="The token is wrong, expired or revoked."),
        Refusal(402, "out_of_quota", hint="The included credits are used up."),
        Refusal(403, "permission_missing", hint=_OWN),
        Refusal(429, "retry_later"),
    ),
    account_type="User",
    sub_account_type="Organization",
    options=(Option("organizations", "names of the organizations to read; all that the token sees without it"),),
    datasets=(
        Dataset("account", "Account and organizations", (Name,), (WHOAMI,), grain="names", order=0, keep_hours=6),
        # The credits below are a whole month's: taken off a part of its days they would leave less than was billed.
        Dataset("usage", "Daily inference and jobs", (Charge, Usage), (USAGE,), credited_by="credits"),
        Dataset(
            "organization_usage", "The same of organizations", (Charge, Usage), (ORGANIZATION_USAGE,),
            credited_by="organization_credits",
        ),
        Dataset(
            "credits", "Included credits of a month", (Charge, Statement), (CREDITS,), grain="month", closing_days=3,
        ),
        Dataset(
            "organization_credits", "The same of organizations", (Charge, Statement), (ORGANIZATION_CREDITS,),
            grain="month", closing_days=3,
        ),
        # Only the present billing period can be asked for: no path lists the ids of earlier ones.
        Dataset(
            "compute", "Spaces and Endpoints", (Charge,), (COMPUTE,), grain="month", lookback_days=0, repeats="add",
        ),
        Dataset(
            "organization_compute", "The same of organizations", (Charge,), (ORGANIZATION_COMPUTE,), grain="month",
            lookback_days=0, repeats="add",
        ),
        Dataset("invoice", "The period's invoice", (Invoice,), (INVOICE,), grain="reading"),
        Dataset(
            "organization_invoice", "The same of organizations", (Invoice,), (ORGANIZATION_INVOICE,), grain="reading",
        ),
        Dataset(
            "resource_groups", "Months by resource group", (Usage,), (RESOURCE_GROUPS,), grain="month",
            lookback_days=330, closing_days=3,
        ),
        Dataset("sessions", "Months by inference session", (Usage,), (SESSIONS,), grain="month", closing_days=3),
        Dataset(
            "organization_sessions", "The same of organizations", (Usage,), (ORGANIZATION_SESSIONS,), grain="month",
            closing_days=3,
        ),
        Dataset("jobs", "Jobs one by one", (Usage,), (JOB_DETAILS,), grain="month", lookback_days=0, repeats="add"),
        Dataset("spend_limits", "Spend limits of resource groups", (Limit,), (SPEND_LIMITS,), grain="reading"),
        Dataset("inference_limit", "Limit on inference", (Limit,), (INFERENCE_LIMIT,), grain="reading"),
        Dataset(
            "organization_inference_limit", "The same of organizations", (Limit,), (ORGANIZATION_INFERENCE_LIMIT,),
            grain="reading",
        ),
        Dataset("live", "Storage, use so far, request quotas", (Limit,), (LIVE,), grain="reading"),
        Dataset("organization_live", "The same of organizations", (Limit,), (ORGANIZATION_LIVE,), grain="reading"),
        Dataset("zero_gpu", "ZeroGPU quota", (Limit,), (ZERO_GPU,), grain="reading"),
    ),
    services={
        INFERENCE: Service("AI and Machine Learning", "Generative AI"),
        JOBS: _COMPUTE,
        SPACES: _COMPUTE,
        ENDPOINTS: Service("AI and Machine Learning", "AI Platforms"),
        "Storage": Service("Storage", "Object Storage"),
    },
    offers={
        "cost": Offer(
            "api",
            "inference and jobs by day, Spaces and Endpoints by run; enter subscriptions. Hardware price lists are not"
            " pulled: each run states the price it was billed at",
        ),
        "usage": Offer("api", "requests and minutes by day; by resource group, session and job"),
        "limits": Offer("api", "spend limits, a limit on inference, storage, ZeroGPU, request quotas"),
        "balance": Offer("none", "the wallet is on the billing page only: enter it"),
        "invoices": Offer("api", "the present period's; earlier ones are on the billing page: enter or import them"),
        "budgets": Offer("none", "spend limits exist and are shown as limits"),
        "revenue": Offer("none"),
        "writes": Offer("none", "spend limits could be set through the API and stop work; Outlay never does"),
    },
    sources=(
        "https://huggingface.co/.well-known/openapi.json",
        "https://huggingface.co/docs/hub/billing",
        "https://huggingface.co/docs/hub/rate-limits",
        "https://huggingface.co/docs/hub/programmatic-user-access-control",
        "https://huggingface.co/docs/hub/security-resource-groups",
        "https://huggingface.co/docs/inference-providers/pricing",
        "https://huggingface.co/docs/inference-providers/register-as-a-provider",
    ),
)  # fmt: skip
