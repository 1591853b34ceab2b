"""Simulated models count exactly, say the same of the same question, and refuse what vendors refuse."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from simulator.asking import Asker, Got

MESSAGES = [{"role": "user", "content": "?"}]
CHAT: dict[str, Any] = {"model": "m", "messages": MESSAGES}
BEARER = {"authorization": "Bearer sim-any"}


def post(asker: Asker, path: str, body: object, headers: dict[str, str] | None = None) -> Got:
    """Ask a model."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asker.raw("POST", path, "", BEARER if headers is None else headers, content)


def test_the_same_question_counts_the_same(asker: Asker) -> None:
    """A question decides its counts; each answer is a call of its own in the truth."""
    first, second = (post(asker, "/openai/v1/chat/completions", CHAT).json["usage"] for _ in range(2))
    assert first == second
    total = asker.world.inference.total("openai")
    assert total["requests"] == 2
    assert total["input_tokens"] + total.get("cached_input_tokens", 0) == 2 * first["prompt_tokens"]
    assert asker.world.inference.total("groq") == {}


def test_a_stream_tells_its_usage_only_if_asked(asker: Asker) -> None:
    """OpenAI's chat streams end with a usage where `include_usage` is set, and tell none otherwise."""
    for path in ("/openai/v1/chat/completions", "/deepseek/chat/completions"):
        silent = post(asker, path, {**CHAT, "stream": True}).body
        assert b'"prompt_tokens"' not in silent
        assert silent.endswith(b"data: [DONE]\n\n")
        told = post(asker, path, {**CHAT, "stream": True, "stream_options": {"include_usage": True}}).body
        assert told.count(b'"prompt_tokens"') == 1


def test_answers_are_squeezed_where_that_is_taken(asker: Asker) -> None:
    """A client that takes gzip gets it."""
    got = post(asker, "/openai/v1/chat/completions", CHAT, {**BEARER, "accept-encoding": "gzip"})
    assert got.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(got.body))["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/openai/v1/chat/completions", CHAT, {}, 401),
        ("/openai/v1/chat/completions", b"no JSON", BEARER, 400),
        ("/openai/v1/chat/completions", {"model": "m"}, BEARER, 400),
        ("/openai/v1/responses", {"model": "m"}, BEARER, 400),
        ("/openai/v1/embeddings", {"input": "x"}, BEARER, 400),
        ("/anthropic/v1/messages", {**CHAT, "max_tokens": 5}, {"x-api-key": "sim-any"}, 400),
        ("/anthropic/v1/messages", CHAT, {"x-api-key": "sim-any", "anthropic-version": "2023-06-01"}, 400),
    ],
)
def test_wrong_questions_are_refused(asker: Asker, path: str, body: Any, headers: dict[str, str], status: int) -> None:
    """A missing key, a missing parameter or header and a body that is no JSON are refused and count nothing."""
    assert post(asker, path, body, headers).status == status
    assert asker.world.inference.total() == {}


def test_embeddings_come_in_both_encodings(asker: Asker) -> None:
    """As numbers, or as base64 where that is asked for."""
    ask = {"model": "m", "input": "x"}
    assert post(asker, "/openai/v1/embeddings", ask).json["data"][0]["embedding"][1] < 0
    squeezed = post(asker, "/openai/v1/embeddings", {**ask, "encoding_format": "base64"}).json
    assert isinstance(squeezed["data"][0]["embedding"], str)
