"""Brave Search API: an observer of calls that the user makes anyway, for Brave has no API for cost, usage or invoices.

Key:   of one subscription, without scopes; the key's own plan bills its calls, on whatever path they are made.
Day:   the day on which an answer came. Where Brave's month begins is not documented: resets are seconds from now.
Cost:  an answer of Answers tells its own in dollars; searches are counted and multiplied by the list: estimated.
Never: take a month's limit of 0 for one that is used up; count a refused call; add an answer's total to its parts, or
       header figures to what was counted; add up keys of one subscription; keep a query or a result.

Status 422 means a wrong key or a wrong request: its code tells which. A probe is made only where an option says so.
"""

from __future__ import annotations

from outlay.model.facts import Limit
from outlay.providers.base import Dataset, Header, KeyKind, Offer, Option, Provider, Service
from outlay.providers.brave import windows
from outlay.providers.brave.metering import ANSWERS, CREDIT, METERING, SEARCH

_METER = "Meter the answers where they are received."

PROVIDER = Provider(
    id="brave",
    title="Brave Search",
    base_url="https://api.search.brave.com",
    auth=Header("x-subscription-token"),
    environment=("BRAVE_SEARCH_API_KEY", "BRAVE_API_KEY"),
    key_help="At api-dashboard.search.brave.com under API keys; a key belongs to one subscription and is shown once.",
    keys=(
        KeyKind("", "subscription token", usable=True, more_than_read=True,
                hint="Keys have no scopes: whoever has this one can make calls that are billed."),
    ),
    options=(
        Option(windows.PROBE, "how to ask for limits: `free` by a request that is refused and not billed, `paid` by "
                              "one search a day; without it nothing is asked", choices=("free", "paid")),
        Option(windows.PLAN, "the plan the key should belong to; a probe warns where its rate is another one's",
               choices=tuple(windows.PLANS)),
        Option(CREDIT, "dollars that Brave takes off each month's bill, 5 without it; 0 for none"),
    ),
    datasets=(
        Dataset("limits", "Limits of the subscription, by a free probe", (Limit,), (windows.FREE,), grain="reading",
                differences=(windows.FREE_BY_DAY,), when=lambda options: options.get(windows.PROBE) == "free"),
        Dataset("limits_paid", "The same by one search a day", (Limit,), (windows.PAID,), grain="reading",
                keep_hours=24, differences=(windows.PAID_BY_DAY,),
                when=lambda options: options.get(windows.PROBE) == "paid"),
    ),
    metering=METERING,
    services={
        SEARCH: Service("Analytics", "Search"),
        ANSWERS: Service("AI and Machine Learning", "Generative AI"),
    },
    default_service=Service("Analytics", "Search"),
    account_type="Account",
    sub_account_type="Subscription",
    offers={
        "cost": Offer("headers", f"{_METER} Answers tell their cost; searches are counted and estimated by the list."),
        "usage": Offer("headers", f"{_METER} A probe tells a capped subscription's days by its counter, apart."),
        "limits": Offer("headers", "Of metered answers, or of a probe that an option asks for."),
        "balance": Offer("none", "The monthly credit is not exposed: an option says how much it is."),
        "invoices": Offer("entered", "On the dashboard: enter them."),
        "budgets": Offer("none", "A monthly limit can be set on the dashboard alone; set a budget in Outlay."),
        "revenue": Offer("none", "Brave bills you and not your customers."),
        "writes": Offer("none", "There is nothing to write through the API."),
    },
    sources=(
        "https://api-dashboard.search.brave.com/documentation/guides/rate-limiting",
        "https://api-dashboard.search.brave.com/app/plans",
        "https://api-dashboard.search.brave.com/api-reference/videos/video_search/get",
        "https://github.com/brave/brave-search-skills",
    ),
    rates=(),  # a subscription has its own, and one probe a sync is far below any
    concurrency=1,
)  # fmt: skip
