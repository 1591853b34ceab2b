"""ElevenLabs: cost, usage, credits and ceilings of one workspace.

Key:   a key with `user_read` and `workspace_analytics_full_read`; `workspace_read` and `workspace_members_read` for
       groups and people. A missing permission is answered 401 like a wrong key: `detail.status` tells them apart.
Day:   a UTC day, asked for in milliseconds. Charges settle late: seven days are asked for again.
Units: `character_*` are credits, not characters. Costs are in the currency the column's unit names; invoices in cents.
Never: add the credit report's `total_cost`, a rating, to fees or charges; the next invoice, a forecast, to anything;
       two breakdowns of the character statistics; history items or requests to the analytics; both reports of one day.

A workspace is billed in credits (plans) or by cost (pay as you go), and each of the two reports serves one of them.
`costs` is the report in money; `usage` the report in credits, with the deprecated statistics where that is refused.
Days are derived from the subscription's counters within one period only, and are part of what the reports tell.
"""

from __future__ import annotations

from outlay.model.facts import Balance, Charge, Invoice, Limit, Name, Usage
from outlay.providers.base import (
    Dataset,
    Header,
    KeyKind,
    Offer,
    Option,
    Provider,
    Rate,
    Refusal,
    Service,
)
from outlay.providers.elevenlabs.metering import METERING
from outlay.providers.elevenlabs.tables import CHARACTER_STATS, COST_USAGE, CREDIT_USAGE
from outlay.providers.elevenlabs.workspace import (
    ACCOUNT,
    CREDITS_BY_DAY,
    GROUPS,
    MEMBERS,
    OVERAGE_BY_DAY,
    SERVICE_ACCOUNTS,
    SUBSCRIPTION,
)

_SPEECH = Service("AI and Machine Learning", "Generative AI")
_QUOTA = "The plan's credits or the key's own cap are used up; they come back at the reset."
_PLAN = "The plan does not include it."

PROVIDER = Provider(
    id="elevenlabs",
    title="ElevenLabs",
    metering=METERING,
    base_url="https://api.elevenlabs.io",
    auth=Header("xi-api-key"),
    environment=("ELEVENLABS_API_KEY", "XI_API_KEY"),
    key_help=(
        "In the dashboard under Developers, API keys: create a restricted key with user_read and "
        "workspace_analytics_full_read; workspace_read and workspace_members_read for groups and people."
    ),
    keys=(
        KeyKind(
            "sk_",
            "API key",
            usable=True,
            more_than_read=True,
            hint="An unrestricted key can also generate speech: restrict it to the reading permissions.",
        ),
    ),
    rates=(Rate(4, 1),),
    concurrency=2,
    refusals=(
        Refusal(401, "permission_missing", contains="missing_permissions", hint="Add the permission to the key."),
        Refusal(401, "out_of_quota", contains="quota_exceeded", hint=_QUOTA),
        Refusal(400, "out_of_quota", contains="quota_exceeded", hint=_QUOTA),
        Refusal(401, "out_of_quota", contains="payment_required", hint="Look at the payment method."),
        Refusal(401, "access_denied", hint="The key is wrong, expired, disabled or bound to other addresses."),
        Refusal(403, "not_offered", contains="only_for_", hint=_PLAN),
        Refusal(403, "out_of_quota", contains="payment_required", hint="Look at the payment method."),
        Refusal(402, "out_of_quota", hint="Look at the payment method."),
        Refusal(429, "retry_later"),
        Refusal(422, "request_refused"),
    ),
    request_id_header="request-id",
    account_type="Workspace",
    sub_account_type="Workspace",
    options=(
        Option("billing", "`credits` or `cost`, how the workspace is billed; without it both reports are asked for",
               choices=("credits", "cost")),
    ),
    datasets=(
        Dataset("account", "Workspace", (Name,), (ACCOUNT,), grain="names", order=0),
        Dataset("members", "Members", (Name,), (MEMBERS,), grain="names", order=0),
        Dataset(
            "costs", "Daily cost, where billed by cost", (Charge,), (COST_USAGE,), horizon_days=7, repeats="add",
            optional=True, else_in="usage",
            when=lambda options: options.get("billing") != "credits",
        ),
        Dataset(
            "usage", "Daily use in credits", (Usage,), (CREDIT_USAGE, CHARACTER_STATS), horizon_days=7, repeats="add",
        ),
        Dataset(
            "subscription", "Credits, voices, overage, invoices", (Limit, Balance, Invoice), (SUBSCRIPTION,),
            grain="reading", differences=(CREDITS_BY_DAY, OVERAGE_BY_DAY),
        ),
        Dataset("groups", "Caps of groups", (Limit,), (GROUPS,), grain="reading"),
        # Listing keys takes a permission that can also create them.
        Dataset(
            "service_accounts", "Caps of service accounts' keys", (Limit,), (SERVICE_ACCOUNTS,), grain="reading",
            default=False,
        ),
    ),
    services={
        "Text to Speech": _SPEECH,
        "Speech to Text": _SPEECH,
        "Music": _SPEECH,
        "Conversational AI": Service("AI and Machine Learning", "Bots"),
        "Conversational AI - LLM": _SPEECH,
        "ElevenLabs": _SPEECH,
        "ElevenLabs Overage": _SPEECH,
    },
    default_service=_SPEECH,
    offers={
        "cost": Offer("api", "daily, by product and model, where billed by cost; a plan's fee has to be entered"),
        "usage": Offer(
            "api",
            "daily credits, minutes and requests by product, model and key. History, single requests and rates of"
            " models are not pulled: the reports hold their use and their cost",
        ),
        "limits": Offer(
            "api",
            "credits, voices, overage; caps of groups and service accounts' keys. How many requests may run at once is"
            " in the headers of speech answers: meter them",
        ),
        "balance": Offer("api", "credits left of the plan; money paid in advance is nowhere stated: enter it"),
        "invoices": Offer("api", "open ones and the next; paid ones are in the dashboard only: enter or import them"),
        "budgets": Offer("none", "caps exist and are shown as limits"),
        "revenue": Offer("none"),
        "writes": Offer("none", "caps and keys could be changed through the API; Outlay never does"),
    },
    sources=(
        "https://elevenlabs.io/docs/api-reference/user/subscription/get",
        "https://elevenlabs.io/docs/api-reference/workspace/analytics",
        "https://elevenlabs.io/docs/api-reference/usage/get",
        "https://elevenlabs.io/docs/eleven-api/resources/errors",
        "https://help.elevenlabs.io/hc/en-us/articles/19572237925521",
    ),
)  # fmt: skip
