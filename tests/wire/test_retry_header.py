"""A vendor that says in a header whether to ask again is believed, whatever its status would mean."""

from __future__ import annotations

import httpx2
import pytest

from outlay.errors import ProviderError, RequestRefusedError, RetryLaterError
from outlay.providers.base import Refusal
from wire.vendor import amounts, failing, page, refusal, run, with_

SAYS = with_(retry_header="Should-Retry", reason_header="Limited-Reason")


def answer(status: int, said: str) -> httpx2.Response:
    """Return a refusal that says whether to ask again."""
    return httpx2.Response(status, headers={"should-retry": said}, json={"error": {"message": "no"}})


@pytest.mark.parametrize("status", [400, 402, 404, 409, 429, 500])
def test_true_is_asked_again(status: int) -> None:
    """Even what would be given up at once is asked again, and the answer that comes counts."""
    answers, script, _ = run(answer(status, "true"), page("1"), provider=SAYS)
    assert amounts(answers) == ["1"]
    assert len(script.asked) == 2


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_false_is_not_asked_again(status: int) -> None:
    """Even what would be tried six times is asked once, and the error keeps its kind."""
    kind: type[ProviderError] = RequestRefusedError if status == 409 else RetryLaterError
    _, script, time = failing(kind, answer(status, "False"), provider=SAYS)
    assert len(script.asked) == 1
    assert time.slept == []


def test_true_for_ever_ends() -> None:
    """A vendor that goes on saying so is not asked for ever."""
    _, script, _ = failing(RetryLaterError, answer(400, "true"), provider=SAYS)
    assert len(script.asked) == 6


@pytest.mark.parametrize("said", ["", "maybe", "1"])
def test_another_word_means_nothing(said: str) -> None:
    """Only the two words override what the status means."""
    _, script, _ = failing(RequestRefusedError, answer(400, said), provider=SAYS)
    assert len(script.asked) == 1
    _, script, _ = failing(RetryLaterError, answer(500, said), provider=SAYS)
    assert len(script.asked) == 6


def test_a_refusal_told_to_be_repeated_is_no_empty_answer() -> None:
    """What would count as an answer without rows is asked again where the vendor says so."""
    empty = with_(SAYS, refusals=(Refusal(404, "empty"),))
    answers, _, _ = run(answer(404, "true"), page("1"), provider=empty)
    assert amounts(answers) == ["1"]
    answers, _, _ = run(answer(404, "false"), provider=empty)
    assert answers == []


def test_another_vendors_header_is_no_word() -> None:
    """A provider that declares no such header is not led by one."""
    _, script, _ = failing(RequestRefusedError, answer(400, "true"))
    assert len(script.asked) == 1


def test_why_is_part_of_the_message() -> None:
    """The reason a header gives stands in the error, on one line."""
    error, _, _ = failing(RetryLaterError, refusal(429, "{}", limited_reason="object-of-tomorrow"), provider=SAYS)
    assert "[object-of-tomorrow]" in error.message
