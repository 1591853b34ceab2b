"""Groq (GroqCloud): usage from the Enterprise metrics, rate limits from headers, tokens where answers are received.

Key:   any API key of the organization; there are no scopes, so it can also run paid inference.
Day:   a UTC day, added up from five minute rates per second; how late they are and how long they are kept is not known.
Cost:  no API on any plan: what is metered is priced, and invoices are entered.
Never: add both generations of metric names; take a hole for a zero; add cached tokens to the prompt that holds them;
       a compound system's usage to that of its models; metrics to metered answers; percentiles and histograms at all.

Request headers count by the day, token headers by the minute. A spend limit that is reached refuses every key with 400.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from outlay.model.facts import Limit, Name, Usage
from outlay.providers.base import (
    Ask,
    Bearer,
    Dataset,
    Endpoint,
    KeyKind,
    Offer,
    Option,
    Provider,
    Refusal,
    Service,
)
from outlay.providers.groq import limits, metrics
from outlay.providers.groq.metering import METERING


class Model(Struct, gc=False):
    """A model the key may call."""

    id: str


class ModelPage(Struct, gc=False):
    """Every model the key may call."""

    data: list[Model]


def models(page: ModelPage, _ask: Ask) -> Iterator[Name]:
    """Turn the models into names; that they can be listed proves the key."""
    for model in page.data:
        yield Name(kind="model", id=model.id, name=model.id)


MODELS: Endpoint[ModelPage] = Endpoint(name="models", path="/openai/v1/models", page=ModelPage, facts=models)

_KEY = "Create a key for Outlay at console.groq.com/keys; keys belong to a project and read the organization's metrics."

PROVIDER = Provider(
    id="groq",
    title="Groq",
    base_url="https://api.groq.com",
    auth=Bearer(),
    environment=("GROQ_API_KEY",),
    key_help=_KEY,
    keys=(
        KeyKind("gsk_", "API key", usable=True, more_than_read=True,
                hint="Keys have no scopes: whoever has this one can run paid inference. Keep one for Outlay alone."),
    ),
    options=(
        Option(limits.PROBE, "a model to ask for one token a day, which costs that token, to read its rate limits"),
    ),
    datasets=(
        Dataset("models", "Models, which prove the key", (Name,), (MODELS,), grain="names", order=0, kinds=("model",)),
        Dataset("metrics", "Names of the Enterprise metrics", (Name,), (metrics.LIST,), grain="names", order=0,
                kinds=(metrics.METRIC,)),
        Dataset("usage", "Requests and tokens by model and project, from metrics", (Usage,), (metrics.RANGE,),
                horizon_days=1),
        Dataset("rate_limits", "Rate limits of one model, by a probe", (Limit,), (limits.COMPLETION,), grain="reading",
                keep_hours=24, when=lambda options: bool(options.get(limits.PROBE))),
    ),
    metering=METERING,
    services={metrics.SERVICE: Service("AI and Machine Learning", "Generative AI")},
    default_service=Service("AI and Machine Learning", "Generative AI"),
    offers={
        "cost": Offer("none", "No API on any plan: metered use is priced by dated lists, and invoices are entered."),
        "usage": Offer("api", "Enterprise alone: five minute rates, added up. Otherwise meter the answers."),
        "limits": Offer("headers", "Of metered answers, or of a daily probe: requests per day, tokens per minute."),
        "balance": Offer("none", "Groq bills in arrears."),
        "invoices": Offer("entered", "In the console under Billing: enter them."),
        "budgets": Offer("entered", "The console's spend limit has no API: set a budget in Outlay."),
        "revenue": Offer("none", "Groq bills you and not your customers."),
        "writes": Offer("none", "There is nothing to write through the API."),
    },
    sources=(
        "https://console.groq.com/docs/prometheus-metrics",
        "https://console.groq.com/docs/rate-limits",
        "https://console.groq.com/docs/spend-limits",
        "https://console.groq.com/docs/errors",
        "https://console.groq.com/docs/speech-to-text",
        "https://prometheus.io/docs/prometheus/latest/querying/api/",
    ),
    rates=(),  # none is published for these paths; a 429 is honoured as it comes
    refusals=(
        Refusal(400, "out_of_quota", "blocked_api_access",
                hint="The organization's spend limit is reached: raise it in the console under Billing, Limits."),
        Refusal(401, "access_denied", hint=_KEY),
        Refusal(498, "retry_later", hint="The flex tier has no capacity left at this moment."),
    ),
)  # fmt: skip
