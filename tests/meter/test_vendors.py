"""How each vendor's answers are counted, by hand: which tokens hold which, and what is not known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.meter.vendors import call_of
from outlay.model.metering import METERS
from outlay.providers.anthropic import metering as anthropic
from outlay.providers.elevenlabs import metering as elevenlabs
from outlay.providers.google import metering as google
from outlay.providers.huggingface import metering as huggingface
from outlay.providers.metering import Counted, Seen
from outlay.providers.openai import metering as openai
from outlay.providers.ratelimits import duration, moment

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
UNKNOWN = {"requests": 1, "uncounted_requests": 1}


def seen(*documents: Any, status: int = 200, model: str | None = None, complete: bool = True, **headers: str) -> Seen:
    """Return an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    bodies = tuple(json.dumps(document).encode() for document in documents)
    return Seen(status, named, bodies, AT, model, complete)


def only(found: Any) -> Counted:
    """Return the one count of an answer, whose meters all exist."""
    (counted,) = found
    assert isinstance(counted, Counted)
    assert counted.quantities.keys() <= METERS.keys()
    return counted


def test_openai_audio_and_cache_are_inside_the_prompt() -> None:
    """Cached, written and spoken tokens are taken out of the prompt, spoken ones out of the answer."""
    usage = {
        "prompt_tokens": 1000, "completion_tokens": 500,
        "prompt_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 100, "audio_tokens": 50},
        "completion_tokens_details": {"audio_tokens": 200, "reasoning_tokens": 120, "text_tokens": 300},
    }  # fmt: skip
    counted = only(openai.completions(seen({"model": "gpt-5.5", "service_tier": "flex", "usage": usage})))
    assert counted.quantities == {
        "requests": 1, "input_tokens": 550, "cached_input_tokens": 300, "cache_write_tokens": 100,
        "input_audio_tokens": 50, "output_tokens": 300, "output_audio_tokens": 200, "reasoning_tokens": 120,
    }  # fmt: skip
    assert (counted.service_tier, counted.context_tokens, counted.model) == ("flex", 1000, "gpt-5.5")


def test_openai_web_searches_are_counted_from_the_output() -> None:
    """Searches are billed by the call and stand in no usage; opened pages are not searches."""
    items = [{"type": "web_search_call", "action": {"type": kind, "query": "x"}} for kind in ("search", "open_page")]
    items += [{"type": "web_search_call"}, {"type": "message", "content": [{"type": "output_text", "text": "x"}]}]
    ended = {"model": "gpt-5.5", "output": items, "usage": {"input_tokens": 3, "output_tokens": 4}}
    wanted = {"requests": 1, "input_tokens": 3, "output_tokens": 4, "searches": 2}
    assert only(openai.responses(seen(ended))).quantities == wanted
    begun = {"type": "response.created", "response": {"model": "gpt-5.5", "output": [], "usage": None}}
    assert only(openai.responses(seen(begun, {"type": "response.completed", "response": ended}))).quantities == wanted


def test_openai_transcriptions_are_billed_by_tokens_or_seconds() -> None:
    """Whichever the vendor says; a short form without either is of unknown use."""
    read = openai.transcriptions
    by_time = only(read(seen({"text": "x", "usage": {"type": "duration", "seconds": 12.5}}, model="whisper-1")))
    assert (by_time.quantities, by_time.model) == ({"requests": 1, "audio_seconds": Decimal("12.5")}, "whisper-1")
    tokens = {"type": "tokens", "input_tokens": 40, "output_tokens": 9, "input_token_details": {"audio_tokens": 30}}
    assert only(read(seen({"usage": tokens}))).quantities == {
        "requests": 1, "input_tokens": 10, "input_audio_tokens": 30, "output_tokens": 9,
    }  # fmt: skip
    assert only(read(seen({"text": "x"}))).quantities == UNKNOWN


def test_openai_limits_of_headers() -> None:
    """Durations become the moment of the reset; what is missing or strange is not known."""
    answer = seen(
        x_ratelimit_limit_requests="60", x_ratelimit_remaining_requests="59", x_ratelimit_reset_requests="6m0s",
        x_ratelimit_remaining_tokens="7",
    )  # fmt: skip
    first, second = openai.limits(answer)
    assert (first.quota, first.remaining, first.used, first.resets_at) == (60, 59, None, AT + timedelta(minutes=6))
    assert (second.unit, second.quota, second.remaining, second.resets_at) == ("tokens", None, 7, None)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1s", 1), ("6m0s", 360), ("2m59.56s", 179.56), ("59ms", 0.059), ("1h2m3.5s", 3723.5), ("1d", 86400)],
)
def test_durations(text: str, seconds: float) -> None:
    """Durations as vendors write them."""
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "soon", "5", "1s later", "-1s", "9999999999999h", "2026-13-01T00:00:00Z"])
def test_strange_durations_are_not_known(text: str) -> None:
    """What cannot be read is None and raises nothing."""
    assert moment(text, AT) is None


def test_anthropic_streams_tell_input_first_and_output_last() -> None:
    """Later figures replace earlier ones, field by field; the stand-in for the output is never taken."""
    start = {"type": "message_start", "message": {"model": "claude", "usage": {
        "input_tokens": 10, "cache_read_input_tokens": 200, "cache_creation_input_tokens": 70, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 20},
    }}}  # fmt: skip
    delta = {"type": "message_delta", "usage": {"output_tokens": 90, "server_tool_use": {"web_search_requests": 2}}}
    whole = only(anthropic.messages(seen(start, delta, complete=False)))
    prompt = {"input_tokens": 10, "cached_input_tokens": 200, "cache_write_tokens": 50, "cache_write_1h_tokens": 20}
    assert whole.quantities == {"requests": 1, **prompt, "output_tokens": 90, "searches": 2}
    assert whole.context_tokens == 280
    assert only(anthropic.messages(seen(start, complete=False))).quantities == {**UNKNOWN, **prompt}
    assert only(anthropic.messages(seen(complete=False))).quantities == UNKNOWN


def test_anthropic_cache_writes_without_parts_are_short_ones() -> None:
    """Where the parts are 0 or missing beside a total, the total is what was written."""
    for parts in ({}, {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}}):
        usage = {"input_tokens": 1, "cache_creation_input_tokens": 30, "output_tokens": 2, **parts}
        counted = only(anthropic.messages(seen({"model": "c", "usage": {**usage, "service_tier": "batch"}})))
        assert counted.quantities["cache_write_tokens"] == 30
        assert counted.service_tier == "batch"


def test_gemini_thoughts_are_output_and_cached_tokens_are_in_the_prompt() -> None:
    """Thoughts are added to the candidates, tools' prompts to the input, cached and spoken tokens taken out."""
    usage = {
        "promptTokenCount": 1000, "cachedContentTokenCount": 400, "candidatesTokenCount": 50, "thoughtsTokenCount": 70,
        "toolUsePromptTokenCount": 5, "totalTokenCount": 1125,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 900}, {"modality": "AUDIO", "tokenCount": 100}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}],
    }  # fmt: skip
    last = {"modelVersion": "gemini-2.5-flash", "candidates": [{"finishReason": "STOP"}], "usageMetadata": usage}
    wanted = {
        "requests": 1, "input_tokens": 545, "cached_input_tokens": 360, "input_audio_tokens": 60,
        "cached_input_audio_tokens": 40, "output_tokens": 120, "reasoning_tokens": 70,
    }  # fmt: skip
    first = {"modelVersion": "gemini-2.5-flash", "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 1}}
    for documents in ((last,), (first, last), ([first, last],)):
        assert only(google.generated(seen(*documents))).quantities == wanted
    left = only(google.generated(seen(first, complete=False)))
    assert left.quantities == {**UNKNOWN, "input_tokens": 1000}


def test_gemini_refusals_name_the_quota() -> None:
    """A 429 tells which quota was met, in its body."""
    met = {"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", "quotaValue": "20",
           "quotaMetric": "generate_content_free_tier_requests", "quotaDimensions": {"model": "gemini-2.5-flash"},
           }  # fmt: skip
    answer = seen({"error": {"code": 429, "details": [{"violations": [met]}, {"retryDelay": "18s"}]}}, status=429)
    (limit,) = google.limits(answer)
    assert (limit.quota, limit.remaining, limit.window, limit.model) == (20, 0, "1 day", "gemini-2.5-flash")
    assert limit.name == "gemini-2.5-flash: GenerateRequestsPerDayPerProjectPerModel-FreeTier"
    assert list(google.generated(answer)) == []


def test_routed_models_are_named_with_who_served_them() -> None:
    """Prices differ by who served: the header says who, else the suffix that was asked for, else nobody knows."""
    answer = {"model": "inner-name", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    for asked, header, model in (
        ("org/m:cheapest", "together", "org/m:together"), ("org/m:groq", None, "org/m:groq"),
        ("org/m:fastest", None, "org/m"), ("org/m", None, "org/m"), (None, None, "inner-name"),
    ):  # fmt: skip
        told = {} if header is None else {"x_inference_provider": header}
        assert only(huggingface.routed(seen(answer, model=asked, **told))).model == model


def test_elevenlabs_tells_credits_in_a_header() -> None:
    """The header named after characters is credits; without it the use is unknown; a transcription tells seconds."""
    told = only(elevenlabs.speech(seen(model="eleven_turbo", character_cost="40")))
    assert told.quantities == {"requests": 1, "credits": 40}
    assert only(elevenlabs.speech(seen())).quantities == UNKNOWN
    heard = only(elevenlabs.transcriptions(seen({"text": "x", "audio_duration_secs": 3.25})))
    assert heard.quantities["audio_seconds"] == Decimal("3.25")
    (limit,) = elevenlabs.limits(seen(current_concurrent_requests="3", maximum_concurrent_requests="15"))
    assert (limit.quota, limit.used) == (15, 3)


@pytest.mark.parametrize(
    ("read", "body"),
    [(openai.completions, {"usage": {"prompt_tokens": 9, "completion_tokens": 9}}),
     (anthropic.messages, {"usage": {"input_tokens": 9, "output_tokens": 9}}),
     (google.generated, {"usageMetadata": {"promptTokenCount": 9}})],
)  # fmt: skip
def test_refused_calls_count_nothing_and_unknown_fields_change_nothing(read: Any, body: dict[str, Any]) -> None:
    """A status of the vendor's no is no use; whatever else is said beside the figures is passed over."""
    assert list(read(seen(body, status=500))) == []
    assert only(read(seen({**body, "new": [{"x": 1}], "choices": "odd"}))) == only(read(seen(body)))


@pytest.mark.parametrize(
    ("host", "path", "provider", "operation", "model"),
    [
        ("api.openai.com", "/v1/responses", "openai", "responses", None),
        ("api.anthropic.com", "/v1/messages", "anthropic", "chat", None),
        ("api.groq.com", "/openai/v1/chat/completions", "groq", "chat", None),
        ("api.deepseek.com", "/anthropic/v1/messages", "deepseek", "chat", None),
        ("api.deepseek.com", "/beta/completions", "deepseek", "completion", None),
        (
            "generativelanguage.googleapis.com",
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
            "google",
            "chat",
            "gemini-2.5-flash",
        ),
        ("generativelanguage.googleapis.com", "/v1beta/openai/chat/completions", "google", "chat", None),
        ("router.huggingface.co", "/v1/chat/completions", "huggingface", "chat", None),
        ("api.elevenlabs.io", "/v1/text-to-speech/v1/stream", "elevenlabs", "speech", None),
    ],
)
def test_calls_are_recognised(host: str, path: str, provider: str, operation: str, model: str | None) -> None:
    """Host and path say whose call it is and of which kind."""
    call = call_of(None, "POST", host, path)
    assert call is not None
    assert (call.provider, call.metered.operation, call.model) == (provider, operation, model)
    assert call_of(provider, "POST", "127.0.0.1", f"/proxy{path}") is not None
    assert call_of(None, "POST", "127.0.0.1", path) is None
    assert call_of(None, "GET", host, path) is None


def test_free_calls_are_not_metered() -> None:
    """Counting tokens is no use."""
    assert call_of(None, "POST", "api.anthropic.com", "/v1/messages/count_tokens") is None


def test_images_are_counted_and_speech_is_of_unknown_use() -> None:
    """Images are how many came; an answer that is only sound tells nothing."""
    made = {"data": [{"b64_json": "x"}, {"b64_json": "y"}], "usage": {"input_tokens": 3, "output_tokens": 9}}
    assert only(openai.images(seen(made, model="gpt-image-1"))).quantities == {"requests": 1, "images": 2}
    assert only(openai.images(seen({"data": []}))).quantities == UNKNOWN
    assert only(openai.uncounted(seen(model="tts-1"))) == Counted(UNKNOWN, model="tts-1")


@pytest.mark.parametrize(
    "read", [openai.images, openai.uncounted, openai.transcriptions, elevenlabs.speech, elevenlabs.transcriptions]
)
def test_refusals_of_every_kind_count_nothing(read: Any) -> None:
    """What the vendor refused is no use."""
    assert list(read(seen({"error": {}}, status=429))) == []


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (openai.completions, {"usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}}),
        (openai.completions, {"usage": {"prompt_tokens": 1, "completion_tokens": 1,
                                        "completion_tokens_details": {"reasoning_tokens": 2}}}),
        (openai.transcriptions, {"usage": {"input_tokens": 1, "input_token_details": {"audio_tokens": 2}}}),
        (anthropic.messages, {"usage": {"input_tokens": -1, "output_tokens": 1}}),
        (google.generated, {"usageMetadata": {"promptTokenCount": 1, "cachedContentTokenCount": 2}}),
    ],
)  # fmt: skip
def test_parts_above_their_whole_are_refused(read: Any, body: dict[str, Any]) -> None:
    """Figures that cannot be right are an error for the meter to count, never numbers."""
    with pytest.raises(ValueError, match=r"more than|below zero"):
        list(read(seen(body)))


def test_answers_that_tell_nothing() -> None:
    """An answer without its figures is of unknown use, and one without limits has none."""
    assert only(google.generated(seen({}))).quantities == UNKNOWN
    assert only(elevenlabs.transcriptions(seen({"text": "x"}))).quantities == UNKNOWN
    assert list(elevenlabs.limits(seen())) == []
    assert list(google.limits(seen({"error": {"details": []}}))) == []
    assert (
        list(google.limits(seen([{"error": {"details": [{"violations": [{"quotaId": "PerDay"}]}]}}], status=429))) == []
    )
    assert list(google.limits(seen({}, status=429))) == []
    (limit,) = openai.limits(seen(x_ratelimit_limit_tokens="many", x_ratelimit_remaining_tokens="3"))
    assert (limit.quota, limit.remaining) == (None, 3)
