"""A conversation: requests a provider thinks of as it goes, sent with the same retries, quotas and deadline as any."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Generator
from datetime import date
from typing import Any

import httpx2
import msgspec
import pytest

from outlay.errors import NotOfferedError, PayloadError, RequestRefusedError, RetryLaterError
from outlay.providers.base import Ask, Changed, Refusal, Step
from wire.vendor import PERIOD, VENDOR, Page, Script, Time, collect, endpoint_with, page, refusal, wire, with_


class Job(msgspec.Struct):
    """Word of a job."""

    done: bool
    data: list[Any] = []
    next_page: str | None = None


def talk(ask: Ask, name: str) -> Generator[Step, Any, None]:
    """Start a job, wait for it, and read its pages."""
    job = yield Step("/v1/jobs", Job, body={"name": name, "from": str(ask.period.first_day)})
    while not job.done:
        job = yield Step("/v1/jobs/7", Job, pause_seconds=2.0)
    token: str | None = "first"
    while token:
        found = yield Step("/v1/jobs/7/rows", Page, (("token", token),), keep=lambda _page: True)
        token = found.next_page


ENDPOINT = endpoint_with(talk=talk, host="https://jobs.vendor.test")
ANSWERS = (
    refusal(200, '{"done": false}'), refusal(200, '{"done": false}'), refusal(200, '{"done": true}'),
    page("1", next_page="second"), page("2"),
)  # fmt: skip


def run(*replies: Any, endpoint: Any = ENDPOINT, **settings: Any) -> tuple[list[Any], Script, Time]:
    """Return the pages of one conversation, what was asked, and the waits."""
    script, time = Script(replies), Time()
    return asyncio.run(collect(wire(script, time, **settings), endpoint)), script, time


def test_only_pages_are_kept() -> None:
    """What leads to the pages is asked and let go of; the pages are numbered from 1 and carry what was asked."""
    answers, script, time = run(*ANSWERS)
    assert [answer.payload.page_number for answer in answers] == [1, 2]
    assert [answer.payload.path for answer in answers] == [
        "/v1/jobs/7/rows?token=first",
        "/v1/jobs/7/rows?token=second",
    ]
    assert [request.method for request in script.asked] == ["POST", "GET", "GET", "GET", "GET"]
    assert {request.url.host for request in script.asked} == {"jobs.vendor.test"}
    assert time.slept == [2.0, 2.0]
    sent = json.loads(script.asked[0].content)
    assert sent["from"] == "2026-11-01"
    assert len(sent["name"]) == 32


def test_base_url_replaces_every_host() -> None:
    """A connection's own address stands for all hosts of its vendor."""
    _, script, _ = run(*ANSWERS, base_url="https://proxy.test/vendor")
    assert {str(request.url).partition("/v1")[0] for request in script.asked} == {"https://proxy.test/vendor"}


def test_names_of_conversations_differ() -> None:
    """A job's name is that of one conversation and no other's, and the same for all its attempts."""
    names = [json.loads(run(*ANSWERS)[1].asked[0].content)["name"] for _ in range(2)]
    assert names[0] != names[1]
    _, script, _ = run(refusal(503), *ANSWERS)
    assert script.asked[0].content == script.asked[1].content


def test_a_step_is_tried_again_like_any_request() -> None:
    """A busy vendor in the middle of a conversation costs a retry, not the conversation."""
    answers, script, _ = run(*ANSWERS[:3], refusal(429, "", retry_after="3"), *ANSWERS[3:])
    assert len(answers) == 2
    assert len(script.asked) == 6


def test_what_a_no_means_is_the_steps_to_say_first() -> None:
    """A step knows best what its refusal means; then the endpoint, then the provider."""

    def asking(_ask: Ask, _name: str) -> Generator[Step, Any, None]:
        yield Step("/v1/jobs", Job, refusals=(Refusal(404, "request_refused", hint="Another place?"),))

    with pytest.raises(RequestRefusedError) as caught:
        run(refusal(404), endpoint=endpoint_with(talk=asking))
    assert caught.value.hint == "Another place?"
    with pytest.raises(NotOfferedError):
        run(refusal(404))


def test_an_answer_of_another_shape_ends_it() -> None:
    """What cannot be decoded is never handed to the provider as if it could."""
    with pytest.raises(PayloadError):
        run(refusal(200, '{"done": "perhaps"}'))


def test_a_job_that_never_ends_is_given_up() -> None:
    """Waits for the vendor count against the deadline."""
    with pytest.raises(RetryLaterError, match="longer than 10 seconds"):
        run(refusal(200, '{"done": false}'), deadline_seconds=10)


def test_the_body_may_say_how_long_to_wait() -> None:
    """A provider reads a refusal's body for the delay that no header tells."""
    provider = with_(VENDOR, patience=lambda body, _present: 18.0 if b"18s" in body else None)
    script, time = Script([refusal(429, '{"retryDelay": "18s"}'), page("1")]), Time()
    asyncio.run(collect(wire(script, time, provider)))
    assert time.slept == [18.0]


def test_changes_are_what_a_conversation_returns() -> None:
    """Asking what has changed gives days and a mark, and keeps no page."""

    def changes(ask: Ask, _name: str, mark: str | None) -> Generator[Step, Any, Changed]:
        job = yield Step("/v1/changes", Job, (("since", mark or "ever"),))
        assert job.done
        return Changed(frozenset({ask.period.first_day}), "later")

    async def go(script: Script) -> Changed:
        async with wire(script, Time()) as over:
            return await over.changes("costs", ENDPOINT, changes, PERIOD, "earlier")

    script = Script([httpx2.Response(200, content=b'{"done": true}')])
    assert asyncio.run(go(script)) == Changed(frozenset({date(2026, 11, 1)}), "later")
    assert script.asked[0].url.params["since"] == "earlier"


def test_a_provider_that_stumbles_over_an_answer_says_so() -> None:
    """What cannot be read in the middle of a conversation is the answer's fault, not a bug."""

    def asking(_ask: Ask, _name: str) -> Generator[Step, Any, None]:
        job = yield Step("/v1/jobs", Job)
        int(job.next_page)

    with pytest.raises(PayloadError, match="cannot be right"):
        run(refusal(200, '{"done": true, "next_page": "seven"}'), endpoint=endpoint_with(talk=asking))
