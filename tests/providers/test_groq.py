"""Groq's answers where they are received: what is counted, what is not, and limits from headers and words."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.model.metering import METERS
from outlay.providers.groq import PROVIDER
from outlay.providers.groq.limits import COMPLETION, duration
from outlay.providers.groq.metering import METERING
from outlay.providers.metering import UNCOUNTED, Counted, Metered, Seen

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
USAGE = {
    "queue_time": 0.021, "prompt_tokens": 4641, "completion_tokens": 188, "total_tokens": 4829,
    "prompt_tokens_details": {"cached_tokens": 4608}, "completion_tokens_details": {"reasoning_tokens": 61},
}  # fmt: skip
HEADERS = {
    "x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370",
    "x-ratelimit-reset-requests": "2m59.56s", "x-ratelimit-limit-tokens": "18000",
    "x-ratelimit-remaining-tokens": "17997", "x-ratelimit-reset-tokens": "7.66s",
}  # fmt: skip
WHOLE = {"requests": 1, "input_tokens": 33, "cached_input_tokens": 4608, "output_tokens": 188, "reasoning_tokens": 61}


def call(operation: str) -> Metered:
    """Return a kind of call by its operation."""
    return next(each for each in METERING.calls if each.operation == operation)


def seen(*documents: Any, status: int = 200, headers: dict[str, str] | None = None, model: str | None = None) -> Seen:
    """Return a finished answer."""
    return Seen(status, headers or {}, tuple(json.dumps(each).encode() for each in documents), NOW, model)


def counted(*documents: Any, operation: str = "chat", **more: Any) -> list[Counted]:
    """Return what a call counts."""
    return list(call(operation).read(seen(*documents, **more)))


def test_cached_tokens_are_taken_out_of_the_prompt() -> None:
    """The prompt holds its cached tokens and the output its reasoning: each token is counted once."""
    [found] = counted({"model": "openai/gpt-oss-120b", "service_tier": "on_demand", "usage": USAGE})
    assert found.quantities == WHOLE
    assert (found.model, found.service_tier, found.context_tokens) == ("openai/gpt-oss-120b", None, 4641)
    assert set(found.quantities) <= set(METERS)


@pytest.mark.parametrize(
    "last",
    [
        {"x_groq": {"id": "req_01", "usage": USAGE}},
        {"usage": USAGE},
        {"usage": USAGE, "x_groq": {"id": "req_01", "usage": USAGE}},
        {"usage": USAGE, "x_groq": {"id": "req_01", "usage": {"dram_cached_tokens": 5, "sram_cached_tokens": 1}}},
    ],
)
def test_a_streams_usage_is_counted_once_wherever_it_stands(last: dict[str, Any]) -> None:
    """It may stand in `usage`, in `x_groq.usage` or in both; where cached tokens lay is no usage."""
    chunks = ({"model": "m", "usage": None}, {"model": "m", "choices": [], **last})
    assert [each.quantities for each in counted(*chunks)] == [WHOLE]


def test_a_later_word_on_where_cached_tokens_lay_takes_no_usage_away() -> None:
    """A chunk that tells of caches alone is no usage of nothing, whichever chunk it is."""
    where = {"model": "m", "x_groq": {"usage": {"dram_cached_tokens": 5, "sram_cached_tokens": 1}}}
    told = {"model": "m", "usage": USAGE}
    for chunks in ((told, where), (where, told)):
        assert [each.quantities for each in counted(*chunks)] == [WHOLE]
    assert [each.quantities for each in counted(where)] == [UNCOUNTED]


def test_a_stream_that_broke_off_is_a_request_of_unknown_size() -> None:
    """Without usage there are no tokens to count, and none are made up."""
    assert [each.quantities for each in counted(model="m")] == [UNCOUNTED]
    assert [each.quantities for each in counted({"model": "m"})] == [UNCOUNTED]


def test_a_compound_system_counts_its_models_and_not_their_sum() -> None:
    """Each underlying model is counted by its own name, the call once by the system's, the outer usage never."""
    parts = [{"model": "a", "usage": USAGE}, {"model": "b", "usage": {"prompt_tokens": 7, "completion_tokens": 2}}]
    found = counted({"model": "groq/compound", "usage": USAGE, "usage_breakdown": {"models": parts}})
    assert [(each.model, each.quantities) for each in found] == [
        ("groq/compound", {"requests": 1}),
        ("a", {name: value for name, value in WHOLE.items() if name != "requests"}),
        ("b", {"input_tokens": 7, "output_tokens": 2}),
    ]


@pytest.mark.parametrize("status", [400, 401, 413, 424, 429, 498, 499, 503])
def test_failed_calls_count_nothing(status: int) -> None:
    """Whatever a refusal's body holds, nothing of it is billed."""
    for operation in ("chat", "transcription", "speech"):
        assert counted({"usage": USAGE, "duration": 3}, status=status, operation=operation) == []


def test_other_tiers_keep_their_word() -> None:
    """`flex`, `performance` and words of tomorrow are told as they came; on demand is the standard."""
    for tier, told in (("flex", "flex"), ("performance", "performance"), ("turbo", "turbo"), ("on_demand", None)):
        assert counted({"service_tier": tier, "usage": USAGE})[0].service_tier == told


def test_audio_is_counted_in_seconds_where_they_are_told() -> None:
    """The verbose form has a length; the short forms have none, which is not zero."""
    assert counted({"text": "x", "duration": 12.34}, operation="transcription", model="w")[0] == Counted(
        {"requests": Decimal(1), "audio_seconds": Decimal("12.34")}, model="w"
    )
    assert counted({"text": "x"}, operation="translation")[0].quantities == UNCOUNTED


@pytest.mark.parametrize("operation", ["transcription", "translation"])
@pytest.mark.parametrize(
    ("said", "billed"), [(0, "10"), (0.01, "10"), (3, "10"), (9.999, "10"), (10, "10"), (10.001, "10.001")]
)
def test_audio_counts_what_is_billed_and_that_is_ten_seconds_at_least(operation: str, said: float, billed: str) -> None:
    """The least is each request's own: forty short ones are not one long one."""
    calls = [counted({"text": "x", "duration": said}, operation=operation)[0] for _ in range(40)]
    assert [each.quantities["audio_seconds"] for each in calls] == [Decimal(billed)] * 40
    assert {each.quantities["requests"] for each in calls} == {1}


def test_audio_of_no_possible_length_is_refused() -> None:
    """A length below nothing, or that is no number, is raised for the meter to count, and is not taken for ten."""
    for wrong in (-3, "NaN"):
        with pytest.raises(ValueError, match=r"cannot be right|number|NaN|finite"):
            counted({"text": "x", "duration": wrong}, operation="transcription")


def test_parts_larger_than_their_whole_are_refused() -> None:
    """More cached than prompt tokens cannot be right, and is raised for the meter to count."""
    wrong = {**USAGE, "prompt_tokens_details": {"cached_tokens": 5000}}
    with pytest.raises(ValueError, match="cannot be right"):
        counted({"usage": wrong})


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.data())
def test_every_token_is_counted_once(prompt: int, answer: int, data: st.DataObject) -> None:
    """Whatever is cached or reasoning, the disjoint meters add up to prompt and answer."""
    cached, reasoning = data.draw(st.integers(0, prompt)), data.draw(st.integers(0, answer))
    usage = {"prompt_tokens": prompt, "completion_tokens": answer, "prompt_tokens_details": {"cached_tokens": cached},
             "completion_tokens_details": {"reasoning_tokens": reasoning}}  # fmt: skip
    [found] = counted({"usage": usage})
    tokens = [count for meter, count in found.quantities.items() if "tokens" in meter and not METERS[meter].inside]
    assert sum(tokens) == prompt + answer


def test_headers_are_limits_of_the_day_and_of_the_minute() -> None:
    """Request headers count by the day, token headers by the minute, and resets are spans from now."""
    found = {each.name: each for each in call("chat").limits(seen({"usage": USAGE}, headers=HEADERS, model="m"))}
    assert {(each.window, each.quota, each.used, each.model) for each in found.values()} == {
        ("1 day", 14400, 30, "m"),
        ("1 minute", 18000, 3, "m"),
    }
    assert found["m: requests per day"].resets_at == NOW + timedelta(minutes=2, seconds=59.56)


def test_limits_without_a_header_are_read_from_a_refusal() -> None:
    """Tokens of a day are told in words alone; what a header tells is not told twice."""
    words = (
        "Rate limit reached for model `m` in organization `o` on tokens per {} ({}): Limit 100, Used 97, Requested 9."
    )
    for window, kind, name in (("day", "TPD", "tokens per day"), ("minute", "TPM", "tokens per minute")):
        body = {"error": {"message": words.format(window, kind), "type": "tokens", "code": "rate_limit_exceeded"}}
        found = list(call("chat").limits(seen(body, status=429, headers=HEADERS, model="m")))
        assert {each.name for each in found} == {"m: requests per day", "m: tokens per minute", f"m: {name}"}
    assert list(call("chat").limits(seen({"error": {"message": words}}, status=429))) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2m59.56s", "179.56"), ("7.66s", "7.66"), ("1h2m3.5s", "3723.5"), ("59ms", "0.059"), ("0s", "0"),
        ("1.984999999s", "1.984999"), ("4m19.2s", "259.2"), ("250us", "0.00025"), ("", None), ("soon", None),
        ("12", None), ("1m 2s", None), ("-3s", None), ("9999999h", None), ("1d", None),
    ],
)  # fmt: skip
def test_spans_are_read_as_go_writes_them(text: str, seconds: str | None) -> None:
    """Hours to nanoseconds, fractions included; anything else is unknown and not zero."""
    found = duration(text)
    assert found == (None if seconds is None else timedelta(microseconds=int(Decimal(seconds) * 1_000_000)))


def test_a_probe_asks_for_the_least_that_there_is() -> None:
    """A model, one token of a prompt and one of an answer: what it costs is the user's money."""
    body = dict(COMPLETION.body or {})
    assert body == {"model": "", "messages": ({"role": "user", "content": "1"},), "max_completion_tokens": 1}
    assert COMPLETION.body_options == {"model": "probe"}


def test_paths_are_told_apart() -> None:
    """Each path belongs to one kind of call, and what else the host answers to none."""
    paths = {each.path for each in METERING.calls}
    assert len(paths) == len(METERING.calls)
    assert not any(re.fullmatch(path, "/openai/v1/models") for path in paths)
    assert PROVIDER.metering is METERING
