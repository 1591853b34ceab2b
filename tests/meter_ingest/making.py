"""Events for the tests of taking them in."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from outlay.model.metering import MeterEvent

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def clock() -> datetime:
    """Return the moment every test lives in."""
    return NOW


def event(id_: str, **fields: Any) -> MeterEvent:
    """Return a call to a model with as little as possible said."""
    quantities = {name: Decimal(value) for name, value in fields.pop("quantities", {"input_tokens": 10}).items()}
    values: dict[str, Any] = {
        "at": NOW,
        "provider": "openai",
        "model": "model-a",
        "quantities": quantities,
        **fields,
    }
    return MeterEvent(id=id_, **values)
