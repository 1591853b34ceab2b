"""Meter events: one use observed on the user's side, for what vendors bill per request and offer no API for.

An event holds counts, headers' figures and the vendor's own price of the call; never a prompt, never an answer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

from outlay.model.facts import Limit
from outlay.model.money import Money


class Meter(msgspec.Struct, frozen=True):
    """What a quantity of an event counts: its unit, and the meter it is a part of, where it is one."""

    unit: str
    inside: str | None = None


METERS: Mapping[str, Meter] = {
    "requests": Meter("requests"),
    "uncounted_requests": Meter("requests", inside="requests"),
    "input_tokens": Meter("tokens"),
    "cached_input_tokens": Meter("tokens"),
    "cache_write_tokens": Meter("tokens"),
    "cache_write_1h_tokens": Meter("tokens"),
    "output_tokens": Meter("tokens"),
    "reasoning_tokens": Meter("tokens", inside="output_tokens"),
    "input_audio_tokens": Meter("tokens"),
    "cached_input_audio_tokens": Meter("tokens"),
    "output_audio_tokens": Meter("tokens"),
    "audio_seconds": Meter("seconds"),
    "characters": Meter("characters"),
    "credits": Meter("credits"),
    "images": Meter("images"),
    "searches": Meter("searches"),
    "queries": Meter("requests"),
}
"""Every meter by name. Those that are not inside another are disjoint: `input_tokens` are text that was neither read
from a cache nor written to one, `output_tokens` hold the reasoning and no audio. `uncounted_requests` are those whose
tokens no one told, such as a stream that was left before its end: what they used is unknown, and not nothing."""

CONTEXT_EDGES = (100_000, 128_000, 200_000, 256_000, 272_000, 512_000)
"""Prompt sizes at which vendors change their prices: an event's whole prompt falls into one of the bands between."""


def context_band(tokens: int) -> int:
    """Return the edge at or below a prompt's size, 0 below the first: what totals are kept by, and prices looked up by.

    A vendor's price for prompts above an edge holds from the first token more, so a prompt of an edge's very size is
    still in the band below.
    """
    position = bisect_right(CONTEXT_EDGES, tokens - 1)
    return CONTEXT_EDGES[position - 1] if position else 0


METERED = "metered"
"""The dataset that metered use stands in."""
METERED_LIMITS = "metered.limits"
"""The dataset of the limits that answers to metered calls told."""
OBSERVED_AT = "observed_at"
"""The detail of such a limit that says when it was told: those of a day are committed together."""
UNPRICED, PARTLY_STATED = "unpriced_meter", "costs_partly_stated"
LACKING = {
    UNPRICED: "The use is in the ledger without a cost: `outlay prices check` says why, and what would give it one. "
    "Once there is a price, the next sync applies it.",
    PARTLY_STATED: "What is stated is shown; `--basis priced` shows what price lists make of the other calls.",
}
"""Why the cost of metered use may be more than is shown, and what to do about it; of the use nothing is missing."""


class MeterEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One use, as it was observed where it happened.

    Units: quantities by the names and units of `METERS`; `cost` is what the vendor itself says the call costs.
    Null: `connection` None leaves it to the configuration; `context_tokens` None where the prompt's size is unknown.
    """

    id: str
    """Told once however often it is sent: the same id is the same event."""
    at: datetime
    """When the answer ended, UTC."""
    provider: str
    """A provider's id."""
    connection: str | None = None
    model: str | None = None
    service_tier: str | None = None
    """The vendor's word (`flex`, `priority`, `batch`, ...); None is its standard tier."""
    operation: str | None = None
    """`chat`, `embeddings`, `transcription`, `web_search`, ...: the same words for every vendor."""
    context_tokens: int | None = None
    """The whole prompt, cached tokens included: some prices depend on it."""
    quantities: dict[str, Decimal] = {}
    cost: Money | None = None
    limits: tuple[Limit, ...] = ()
    """What the answer's headers say of the vendor's limits."""
    status: int | None = None
    tags: dict[str, str] | None = None
