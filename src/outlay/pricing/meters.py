"""What metered quantities cost by dated price lists, line by line, and what has no price: loudly so, never zero."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import msgspec

from outlay.model.money import Money


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Quantities of one model in one hour, of prompts of one band: all that can bear on their price."""

    provider: str
    model: str | None
    at: datetime
    """A moment within the hour, UTC: lists are dated, and some have prices by time of day."""
    service_tier: str | None = None
    operation: str | None = None
    context_band: int | None = None
    """By `outlay.model.metering.context_band`; None where the prompts' size is unknown."""
    quantities: Mapping[str, Decimal] = msgspec.field(default_factory=dict)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One meter's price and why it applied. Units: `unit_price` per one of `pricing_unit`, which holds `per`."""

    meter: str
    quantity: Decimal
    cost: Money
    unit_price: Decimal
    pricing_unit: str
    per: Decimal
    rule: str
    """Which row of the list, in words: model as the list names it, tier, band, time of day."""
    version: str
    """The list and the day from which its row holds, for `price_list_version`."""
    source: str


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity no list has a price for: what it costs is unknown."""

    meter: str
    quantity: Decimal
    why: str
