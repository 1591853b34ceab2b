"""Brave's answers where they are received: what is counted, what an answer costs, and what headers say."""

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
from outlay.model.money import Money
from outlay.pricing.lists import lists
from outlay.pricing.meters import Line, Use
from outlay.providers.brave.metering import METERING
from outlay.providers.brave.windows import windows
from outlay.providers.metering import Counted, Metered, Seen

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOLD = {
    "X-Request-Requests": 1, "X-Request-Queries": 3, "X-Request-Tokens-In": 21400, "X-Request-Tokens-Out": 640,
    "X-Request-Queries-Cost": 0.012, "X-Request-Tokens-In-Cost": 0.107, "X-Request-Tokens-Out-Cost": 0.0032,
    "X-Request-Total-Cost": 0.1222,
}  # fmt: skip
USED = {"requests": 1, "queries": 3, "input_tokens": 21400, "output_tokens": 640}
METERED_KEY = {
    "x-ratelimit-limit": "50, 0", "x-ratelimit-policy": "50;w=1, 0;w=2592000", "x-ratelimit-remaining": "49, 0",
    "x-ratelimit-reset": "1, 1036800",
}  # fmt: skip
EVERY = (
    ("/web/search", "web_search"), ("/llm/context", "llm_context"), ("/news/search", "news_search"),
    ("/videos/search", "video_search"), ("/images/search", "image_search"), ("/web/rich", "rich_search"),
    ("/local/place_search", "local_search"), ("/local/pois", "local_search"), ("/local/descriptions", "local_search"),
    ("/suggest/search", "suggest"), ("/spellcheck/search", "spellcheck"), ("/summarizer/search", "summarizer"),
)  # fmt: skip


def call(operation: str) -> Metered:
    """Return a kind of call by its operation."""
    return next(each for each in METERING.calls if each.operation == operation)


def answered(*documents: bytes, status: int = 200, headers: dict[str, str] | None = None) -> list[Counted]:
    """Return what an answer of Answers counts."""
    return list(call("answers").read(Seen(status, headers or {}, documents, NOW)))


def stream(text: str, size: int) -> list[bytes]:
    """Return the events of a stream that says a text in pieces."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    return [json.dumps({"model": "brave", "choices": [{"delta": {"content": piece}}]}).encode() for piece in pieces]


def tag(told: Any = None) -> str:
    """Return a usage tag."""
    return f"<usage>{json.dumps(told or TOLD)}</usage>"


@given(
    size=st.integers(1, 400), done=st.booleans(), before=st.text(max_size=40), blank=st.sampled_from(["", "\n", "  "])
)
def test_a_tag_is_found_however_it_is_cut(size: int, done: bool, before: str, blank: str) -> None:
    """Whatever the pieces, with `[DONE]` or without, the cost is the one stated, to the last digit."""
    events = stream(before + tag() + blank, size) + ([b"[DONE]"] if done else [])
    [found] = answered(*events)
    assert found == Counted(USED, model="brave", cost=Money(Decimal("0.1222"), "USD"))
    assert set(found.quantities) <= set(METERS)


def test_a_quoted_tag_is_a_part_of_the_answer() -> None:
    """The usage is what stands at the very end; a tag before it, or one that something follows, is text."""
    quoted = tag({"X-Request-Total-Cost": 999})
    assert answered(*stream(quoted + " as they say " + tag(), 9))[0].cost == Money(Decimal("0.1222"), "USD")
    assert answered(*stream(quoted + " as they say", 9)) == [Counted({"requests": Decimal(1)}, model="brave")]


@pytest.mark.parametrize("text", ["an answer", "<usage>{", '<usage>{"X-Request-Total-Cost": 1}', "</usage>"])
def test_a_stream_that_broke_off_has_an_unknown_cost(text: str) -> None:
    """A request was made; what it used and cost is not known, and not zero."""
    assert answered(*stream(text, 4)) == [Counted({"requests": Decimal(1)}, model="brave")]


def test_figures_come_as_numbers_or_as_text() -> None:
    """Both are read exactly, and the total is never made from its parts."""
    told = {**TOLD, "X-Request-Tokens-Out": "640", "X-Request-Total-Cost": "0.12220000000000000001"}
    [found] = answered(*stream(tag(told), 50))
    assert found.quantities == USED
    assert found.cost == Money(Decimal("0.1222"), "USD")  # what lies beyond the eighteenth decimal is rounded


def test_a_whole_answer_tells_in_its_headers() -> None:
    """Headers hold the same figures; the usage of the body is not added to them."""
    headers = {name.lower(): str(figure) for name, figure in TOLD.items()}
    body = {"model": "brave-pro", "usage": {"prompt_tokens": 21400, "completion_tokens": 640}}
    read = {name: headers[name] for name in call("answers").headers_read if name in headers}
    assert answered(json.dumps(body).encode(), headers=read) == [
        Counted(USED, model="brave-pro", cost=Money(Decimal("0.1222"), "USD"))
    ]
    [found] = answered(json.dumps(body).encode())
    assert (found.quantities, found.cost) == ({"requests": 1, "input_tokens": 21400, "output_tokens": 640}, None)


@pytest.mark.parametrize(
    "wrong", [{"X-Request-Total-Cost": -1}, {"X-Request-Queries": -2}, {"X-Request-Total-Cost": "NaN"}]
)
def test_figures_that_cannot_be_right_are_raised(wrong: dict[str, Any]) -> None:
    """The meter counts such an answer as unread, and nothing of it is taken for true."""
    with pytest.raises(ValueError, match=r"nothing|not a number"):
        answered(*stream(tag({**TOLD, **wrong}), 20))


@pytest.mark.parametrize("operation", sorted({each.operation for each in METERING.calls}))
def test_only_what_succeeded_is_counted(operation: str) -> None:
    """Refusals, server errors and pages for people count nothing, whatever they hold."""
    for status in (400, 401, 403, 404, 422, 429, 500, 503):
        seen = Seen(status, {}, (json.dumps({"usage": {"prompt_tokens": 1}}).encode(),), NOW)
        assert list(call(operation).read(seen)) == []
    for documents in ((b"<html></html>",), ()):
        assert list(call(operation).read(Seen(200, {}, documents, NOW))) == []


@pytest.mark.parametrize(("path", "operation"), EVERY)
def test_every_path_is_counted_and_priced_or_told(path: str, operation: str) -> None:
    """Each path of each plan is one kind of call, of which the list has a price unless none is documented."""
    found = [each for each in METERING.calls if re.fullmatch(each.path, f"/res/v1{path}")]
    assert {each.operation for each in found} == {operation}
    posts = path in {"/web/search", "/llm/context", "/news/search", "/videos/search"}
    assert {each.method for each in found} == ({"GET", "POST"} if posts else {"GET"})
    [counted] = found[0].read(Seen(200, METERED_KEY, (b'{"type":"search"}',), NOW))
    use = Use(provider="brave", model=None, at=NOW, operation=operation, quantities=counted.quantities)
    [line] = lists(None).price(use)
    dear = {"suggest": "0.0005", "spellcheck": "0.0005"}.get(operation, "0.005")
    assert (line.cost.amount if isinstance(line, Line) else None) == (
        None if operation == "summarizer" else Decimal(dear)
    )


def test_a_month_of_zero_is_no_limit() -> None:
    """It is unlimited, has no quota, nothing used, nothing left and no reset."""
    second, month = windows(METERED_KEY, NOW)
    assert (second.quota, second.used, second.resets_at) == (50, 1, NOW + timedelta(seconds=1))
    assert (month.unlimited, month.quota, month.used, month.remaining, month.resets_at) == (
        True,
        None,
        None,
        None,
        None,
    )


@given(
    parts=st.lists(
        st.tuples(st.integers(1, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=4
    ),
    comma=st.sampled_from([",", ", ", " , "]),
)
def test_windows_are_those_of_the_policy(parts: list[tuple[int, int, int]], comma: str) -> None:
    """However many there are and however they are written, each part stands in its own window."""
    seconds = [1, 60, 7, 2_592_000][: len(parts)]
    headers = {
        "x-ratelimit-limit": comma.join(str(quota) for quota, _, _ in parts),
        "x-ratelimit-policy": comma.join(f"{p[0]};w={w}" for p, w in zip(parts, seconds, strict=True)),
        "x-ratelimit-remaining": comma.join(str(left) for _, left, _ in parts),
        "x-ratelimit-reset": comma.join(str(reset) for _, _, reset in parts),
    }
    found = windows(headers, NOW)
    assert [each.window for each in found] == ["1 second", "1 minute", "7 seconds", "month"][: len(parts)]
    for (quota, left, reset), limit in zip(parts, found, strict=True):
        assert (limit.quota, limit.remaining, limit.used) == (quota, left, max(quota - left, 0))
        assert limit.resets_at == NOW + timedelta(seconds=reset)


def test_the_monthly_credit_is_five_dollars_unless_an_option_says_otherwise() -> None:
    """What Brave documents for every plan; it is an estimate all the same."""
    assert METERING.credit is not None
    assert (METERING.credit.amount, METERING.credit.option) == (Money(Decimal(5), "USD"), "monthly_credit")


def test_two_windows_of_one_length_are_left_out() -> None:
    """Which of the two holds nobody knows, and one would stand in the place of the other."""
    twice = {
        "x-ratelimit-limit": "1, 2", "x-ratelimit-policy": "1;w=1, 2;w=1", "x-ratelimit-remaining": "0, 1",
        "x-ratelimit-reset": "1, 1",
    }  # fmt: skip
    assert windows(twice, NOW) == []


@given(st.dictionaries(st.sampled_from(sorted(METERED_KEY)), st.text(max_size=20)))
def test_any_header_is_read_or_left_out(changed: dict[str, str]) -> None:
    """Whatever stands in the headers, nothing is raised, and no limit holds a negative figure."""
    for limit in windows({**METERED_KEY, **changed}, NOW):
        assert (limit.used or 0) >= 0
        assert (limit.remaining or 0) >= 0
