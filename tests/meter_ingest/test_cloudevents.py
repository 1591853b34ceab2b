from __future__ import annotations

import contextlib
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter_ingest.making import NOW
from outlay.meter import cloudevents
from outlay.meter.bounds import RejectedError
from outlay.model.facts import LimitBasis
from outlay.model.metering import METERS
from outlay.model.money import Money

PAGE = (Path(__file__).parents[2] / "docs" / "metering-http.md").read_text("utf-8")


def told(data: dict[str, Any], **attributes: Any) -> bytes:
    """Return a CloudEvent."""
    whole = {
        "specversion": "1.0", "id": "1", "source": "/tests", "type": cloudevents.METER, "time": "2026-11-22T11:00:00Z",
        "data": {"provider": "openai", **data}, **attributes,
    }  # fmt: skip
    return json.dumps(whole).encode()


def test_the_documented_event_is_one() -> None:
    """What the documentation shows is taken as it stands there, and the documented meters are the meters."""
    shown = next(block for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if "specversion" in block)
    event = cloudevents.single(shown.encode(), NOW)
    assert (event.id, event.provider, event.operation) == ("/gateway/eu 01JD3Z", "groq", "chat")
    assert event.quantities["input_tokens"] == 900
    listed = PAGE.partition("The meters: ")[2].partition(".\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(METERS)


def test_every_field_arrives() -> None:
    """The fields of a meter event stand in its data under their own names."""
    data = {
        "connection": "main", "model": "model-a", "service_tier": "default", "operation": "chat", "context_tokens": 5,
        "quantities": {"input_tokens": 5}, "cost": {"amount": "0.5", "currency": "USD"}, "status": 200,
        "limits": [{"name": "requests", "scope": "organization", "kind": "rate", "unit": "requests", "quota": "9"}],
        "tags": {"team": "x"}, "at": "2026-11-21T11:00:00+01:00",
    }  # fmt: skip
    event = cloudevents.single(told(data), NOW)
    assert (event.connection, event.model, event.service_tier, event.operation) == ("main", "model-a", None, "chat")
    assert (event.cost, event.status, event.tags) == (Money.of("0.5", "USD"), 200, {"team": "x"})
    assert event.at.isoformat() == "2026-11-21T10:00:00+00:00"
    assert [(limit.quota, limit.basis) for limit in event.limits] == [(9, LimitBasis.HEADER)]


def test_a_message_s_cache_is_not_lost() -> None:
    """What Claude read from its cache and wrote to it stands beside the input, and its tier in the usage."""
    usage = {"input_tokens": 100, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 50,
             "output_tokens": 10, "service_tier": "priority"}  # fmt: skip
    body = told({"provider": "anthropic", "model": "claude-a", "usage": usage}, type=cloudevents.USAGE)
    event = cloudevents.single(body, NOW)
    assert event.quantities == {"requests": 1, "input_tokens": 100, "cached_input_tokens": 1000,
                                "cache_write_tokens": 50, "output_tokens": 10}  # fmt: skip
    assert (event.context_tokens, event.service_tier) == (1150, "priority")


@given(st.decimals(0, 10**10, places=18))
def test_quantities_are_exact(quantity: Decimal) -> None:
    """As a number or as text, not a digit is lost."""
    body = told({"quantities": {"audio_seconds": "NUMBER"}})
    for written in (f'"{quantity:f}"', f"{quantity:f}"):
        event = cloudevents.single(body.replace(b'"NUMBER"', written.encode()), NOW)
        assert event.quantities["audio_seconds"] == quantity


@pytest.mark.parametrize(
    "data",
    [
        {"quantities": {"input_tokens": "1e400"}},
        {"quantities": {"input_tokens": "Infinity"}},
        {"quantities": {"input_tokens": True}},
        {"quantities": {"input_tokens": 1}, "model": "x" * 201},
        {"quantities": {"input_tokens": 1}, "model": "a\x1b[31m"},
        {"quantities": {"input_tokens": 1}, "tags": {str(number): "x" for number in range(17)}},
        {"quantities": {"input_tokens": 1}, "tags": {"a": "x" * 201}},
        {"quantities": {"input_tokens": 1}, "context_tokens": -1},
        {"quantities": {"input_tokens": 1}, "cost": {"amount": "1", "currency": "dollars"}},
        {"quantities": {"input_tokens": 1}, "cost": {"amount": "99999999999", "currency": "USD"}},
        {"quantities": {"input_tokens": 1}, "limits": [{"name": "x"}]},
        {"limits": [{"name": "x" * 201, "scope": "o", "kind": "rate", "unit": "requests"}]},
        {"limits": [{"name": "x", "scope": "o", "kind": "rate", "unit": "requests", "quota": "1e30"}]},
    ],
    ids=lambda data: str(data)[:60],
)
def test_what_cannot_be_is_refused(data: dict[str, Any]) -> None:
    """A quantity, name or amount out of its bounds is told, and never rounded, cut or guessed."""
    with pytest.raises(RejectedError):
        cloudevents.single(told(data), NOW)
    with pytest.raises(RejectedError):
        cloudevents.single(told({"quantities": {"input_tokens": 1}}, id="x" * 700), NOW)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_anything_else_is_refused_and_never_a_bug(body: bytes) -> None:
    """Whatever comes, it is an event, or the reason why it is none."""
    for read in (cloudevents.single, cloudevents.batch):
        with contextlib.suppress(RejectedError):
            read(body, NOW)
