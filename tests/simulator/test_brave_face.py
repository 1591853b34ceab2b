"""Brave's face: quotas in headers, two meanings of 422, costs in pieces, and only successes counted."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from outlay.simulator.shapes import check
from outlay.simulator.worlds.brave import BraveAccount
from simulator.asking import Asker

ROOT = "/res/v1"
GETS = (
    ("/web/search", {"q": "x"}), ("/llm/context", {"q": "x", "count": 50}), ("/news/search", {"q": "x"}),
    ("/videos/search", {"q": "x", "offset": 9}), ("/images/search", {"q": "x", "count": 200}),
    ("/web/rich", {"callback_key": "x"}), ("/local/place_search", {"q": "x"}), ("/local/pois", {"ids": "1"}),
    ("/local/descriptions", {"ids": "1"}), ("/suggest/search", {"q": "x"}), ("/spellcheck/search", {"q": "x"}),
    ("/summarizer/search", {"key": "x"}),
)  # fmt: skip


def ask(asker: Asker, path: str, query: Any = "", key: str | None = "sim-brave-metered", body: Any = None) -> Any:
    """Return an answer; with a body, to a POST."""
    from urllib.parse import urlencode

    headers = {} if key is None else {"x-subscription-token": key}
    content = b"" if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    return asker.raw(method, f"/brave{ROOT}{path}", urlencode(query) if query else "", headers, content)


def calls(asker: Asker) -> int:
    """Return how many calls were counted."""
    return sum(cast(BraveAccount, asker.world.account("brave")).calls.values())


def test_answers_keep_to_the_contract_and_are_counted(asker: Asker) -> None:
    """Every path answers a good question, refuses a bad one, and counts the good one alone."""
    for path, query in GETS:
        before = calls(asker)
        good, bad = ask(asker, path, query), ask(asker, path, {"utterly": "unknown"})
        assert (good.status, bad.status, bad.json["error"]["code"]) == (200, 422, "VALIDATION")
        for got in (good, bad):
            check("brave", ROOT + path, got.status, got.body)
        assert calls(asker) == before + 1
    for path in ("/web/search", "/llm/context", "/news/search", "/videos/search"):
        got = ask(asker, path, body={"q": "x"})
        check("brave", ROOT + path, got.status, got.body, method="POST")
        assert got.status == 200


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        ("sim-brave-nobody", 422, "SUBSCRIPTION_TOKEN_INVALID"), (None, 422, "VALIDATION"),
        ("sim-brave-unsubscribed", 404, "SUBSCRIPTION_NOT_FOUND"), ("sim-brave-exhausted", 429, "QUOTA_LIMITED"),
        ("sim-brave-fast", 429, "RATE_LIMITED"),
    ],
)  # fmt: skip
def test_refusals_are_told_by_their_code(key: str | None, status: int, code: str, asker: Asker) -> None:
    """A wrong key and a missing one share a status with a wrong request."""
    got = ask(asker, "/web/search", {"q": "x"}, key)
    check("brave", f"{ROOT}/web/search", got.status, got.body)
    assert (got.status, got.json["error"]["code"]) == (status, code)
    assert calls(asker) == 0
    if status == 429:
        assert got.json["error"]["meta"]["quota_limit"] > 0
    if key is None:
        assert got.json["error"]["meta"]["errors"][0]["loc"] == ["header", "x-subscription-token"]


def test_windows_are_written_with_spaces_and_without(asker: Asker) -> None:
    """The lists have as many parts as the plan has windows; the comma may have a space behind it."""
    texts = [ask(asker, "/web/search", {"q": "x"}, "sim-brave-windows").headers for _ in range(2)]
    assert {", " in each["x-ratelimit-policy"] for each in texts} == {True, False}
    for name in ("limit", "policy", "remaining", "reset"):
        assert len(texts[0][f"x-ratelimit-{name}"].split(",")) == 3
    metered = ask(asker, "/web/search", {"q": "x"}).headers
    assert metered["x-ratelimit-limit"].replace(" ", "") == "50,0"


def test_an_answer_tells_its_cost_in_its_own_way(asker: Asker) -> None:
    """Whole in headers, as a stream in pieces of a last tag; neither has a quota's headers."""
    question = {"messages": [{"role": "user", "content": "?"}]}
    whole = ask(asker, "/chat/completions", body={**question, "stream": False})
    check("brave", f"{ROOT}/chat/completions", whole.status, whole.body, method="POST")
    account = cast(BraveAccount, asker.world.account("brave"))
    assert whole.headers["x-request-total-cost"] == str(account.bills[0][1].total)
    assert "x-ratelimit-limit" not in whole.headers
    stream = ask(asker, "/chat/completions", body=question).body.decode()
    events = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: {")]
    text = "".join(event["choices"][0]["delta"]["content"] for event in events)
    assert text.count("<usage>") == 2
    assert json.loads(text[text.rindex("<usage>") + 7 : -8])["X-Request-Total-Cost"] == float(account.bills[1][1].total)
    assert not any("<usage>{" in json.dumps(event) for event in events)
    assert ask(asker, "/chat/completions", body={"messages": []}).status == 422
    assert len(account.bills) == 2
