"""What Anthropic's cost and usage rows have in common: their dimensions, and how a row is told to be one day's."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from msgspec import Struct

from outlay.clock import day_of, midnight
from outlay.model.period import Period, parse_time
from outlay.model.problem import NOT_YET_TOLD, UNTOLD, Problem, Severity
from outlay.providers.base import Ask, Refusal

API = "Claude API"
CODE = "Claude Code"
DEFAULT_WORKSPACE = "default"
"""Stands for the default workspace where the vendor sends null instead of an id."""

BETA_REFUSALS = (
    Refusal(400, "not_offered", contains="anthropic-beta"),
    Refusal(404, "not_offered"),
)
"""How an endpoint in beta says that it is not there for this organization, or no longer under this name."""

TOKEN_CLASSES = {
    "uncached_input_tokens": "uncached-input",
    "cache_read_input_tokens": "cache-read",
    "cache_creation.ephemeral_5m_input_tokens": "cache-write-5m",
    "cache_creation.ephemeral_1h_input_tokens": "cache-write-1h",
    "output_tokens": "output",
}
"""The vendor's token types, disjoint, as the last part of a SKU."""

UPDATE = "Nothing was overwritten. Update Outlay; if it is up to date, report it."
_ONE_DAY = timedelta(days=1)


class Dimensions(Struct, gc=False):
    """What a row is about; null where the row is not grouped by it or the vendor does not know it."""

    workspace_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    context_window: str | None = None
    inference_geo: str | None = None
    speed: str | None = None
    cost_type: str | None = None
    token_type: str | None = None
    description: str | None = None

    @property
    def region(self) -> str | None:
        """Return where inference ran, if the vendor knows."""
        return None if self.inference_geo == "not_available" else self.inference_geo

    @property
    def meter(self) -> str | None:
        """Return what the row counts: its token class, or its cost type where it counts no tokens."""
        if self.token_type:
            return TOKEN_CLASSES.get(self.token_type, self.token_type)
        return self.cost_type


def sku(model: str | None, meter: str | None) -> str | None:
    """Return the functional item: `<model>/<token class>`, or the cost type alone where no model is named."""
    return "/".join(part for part in (model, meter) if part) or None


def workspace_or_default(workspace_id: str | None, ask: Ask) -> str:
    """Return a workspace's id; the older reports send null for the default workspace alone."""
    return workspace_id or ask.options.get("default_workspace") or DEFAULT_WORKSPACE


def day_of_row(starting_at: str, ending_at: str) -> Period | Problem:
    """Return the day a row covers, or the defect of one that spans more than that."""
    period = Period.of_text(starting_at, ending_at)
    if period.end - period.start <= _ONE_DAY:
        return period
    return Problem(
        code="bucket_not_a_day",
        says=f"a row spans {period.first_day} to {period.end_day} where days were asked for",
        hint=UPDATE,
    )


def not_yet_told(refreshed_at: str | None, ask: Ask) -> Iterator[Problem]:
    """Yield the days that are over and that the vendor's figures, by its own word, do not reach: there may be more.

    Null: a page that does not say how far its figures reach is taken for whole. Today is partial whatever it says.
    """
    try:
        reached = parse_time(refreshed_at or "")
    except ValueError:
        return
    for day in ask.period.days():
        if midnight(day) >= reached and day < day_of(ask.observed_at):
            yield Problem(
                code=NOT_YET_TOLD,
                says=f"Anthropic's figures reach to {reached:%Y-%m-%dT%H:%MZ}: {day} is not whole",
                hint=UNTOLD[NOT_YET_TOLD],
                severity=Severity.LACKING,
                period=Period.of_day(day),
            )
