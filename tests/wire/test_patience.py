"""A wire waits as the vendor says, tries again where that helps, and always comes to an end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import httpx2
import pytest

from outlay.errors import (
    PayloadError,
    RetryLaterError,
)
from outlay.providers.base import QuotaHeaders, Rate, Refusal
from wire.vendor import (
    ENDPOINT,
    NOW,
    PERIOD,
    Script,
    Time,
    amounts,
    failing,
    page,
    refusal,
    run,
    wire,
    with_,
)


def test_429_for_ever_ends() -> None:
    """A vendor that never lets us in is asked a limited number of times with growing waits."""
    error, script, time = failing(RetryLaterError, refusal(429, '{"error": {"message": "slow down"}}'))
    assert len(script.asked) == 6
    assert time.slept == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert error.status == 429
    assert "slow down" in error.message


@pytest.mark.parametrize("after", ["17", format_datetime(NOW + timedelta(seconds=17), usegmt=True)])
def test_429_with_a_delay_is_obeyed_exactly(after: str) -> None:
    """Both forms of Retry-After are waited for, no more and no less."""
    answers, _, time = run(refusal(429, retry_after=after), page("1"), random=lambda: 0.123)
    assert time.slept == [17.0]
    assert amounts(answers) == ["1"]


def test_a_delay_beyond_the_deadline_ends_at_once() -> None:
    """A delay that does not fit is not waited for; the error carries it for whoever plans the next run."""
    error, script, time = failing(RetryLaterError, refusal(429, retry_after="1801"))
    assert error.retry_after_seconds == 1801.0
    assert len(script.asked) == 1
    assert time.slept == []


def test_delays_add_up_to_the_deadline() -> None:
    """Waits count against one deadline, over attempts and pages."""
    error, script, time = failing(
        RetryLaterError, page("1", next_page="c"), refusal(429, retry_after="40"), deadline_seconds=100.0
    )
    assert time.slept == [40.0, 40.0]
    assert len(script.asked) == 4
    assert error.retry_after_seconds == 40.0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 408])
def test_a_vendors_bad_moment_passes(status: int) -> None:
    """Trouble on the vendor's side is tried again, with a random share of the backoff."""
    answers, _, time = run(refusal(status), refusal(status), page("1"), random=lambda: 0.25)
    assert amounts(answers) == ["1"]
    assert time.slept == [0.25, 0.5]


def test_html_with_5xx_passes_too() -> None:
    """An error page of a proxy with a 5xx is the same bad moment."""
    answers, _, _ = run(httpx2.Response(502, headers={"content-type": "text/html"}, content=b"<html>"), page("1"))
    assert amounts(answers) == ["1"]


def test_html_with_200_is_unreadable() -> None:
    """A login page where JSON belongs is not asked for again."""
    error, script, _ = failing(
        PayloadError, httpx2.Response(200, headers={"content-type": "text/html"}, content=b"<title>Log in</title>")
    )
    assert len(script.asked) == 1
    assert "Log in" in error.message


def test_a_403_that_means_patience_waits_a_minute() -> None:
    """A secondary limit without a delay is left alone for a minute."""
    provider = with_(refusals=(Refusal(403, "retry_later", "secondary"),))
    answers, _, time = run(refusal(403, '{"message": "Secondary rate limit"}'), page("1"), provider=provider)
    assert time.slept == [60.0]
    assert amounts(answers) == ["1"]


def test_nothing_left_waits_for_the_reset() -> None:
    """A page that says the quota is used up is good; the next one is asked for after the reset."""
    provider = with_(quota_headers=QuotaHeaders("x-left", "x-reset", "seconds"))
    answers, _, time = run(page("1", next_page="c", x_left="0", x_reset="30"), page("2", x_left="5"), provider=provider)
    assert amounts(answers) == ["1", "2"]
    assert time.slept == [30.0]


def test_a_reset_beyond_the_deadline_ends_at_once() -> None:
    """Pages until the quota is used up are kept; the error says when to come back."""
    provider = with_(quota_headers=QuotaHeaders("x-left", "x-reset", "seconds"))
    error, script, time = failing(
        RetryLaterError, page("1", next_page="c", x_left="0", x_reset="3000"), provider=provider
    )
    assert error.retry_after_seconds == 3000.0
    assert (len(script.asked), time.slept) == (1, [])


def test_a_403_with_nothing_left_is_patience() -> None:
    """A used-up quota is said with 403 by some, and waited for."""
    provider = with_(quota_headers=QuotaHeaders("x-left", "x-reset", "seconds"))
    answers, _, time = run(refusal(403, x_left="0", x_reset="25"), page("1"), provider=provider)
    assert (amounts(answers), time.slept) == (["1"], [25.0])


def test_rates_pace_the_requests() -> None:
    """More pages than the documented rate allows take as long as it says, whatever the deadline."""
    pages = [page("1", next_page=f"c{number}") for number in range(9)]
    answers, _, time = run(*pages, page("1"), provider=with_(rates=(Rate(2, 1),)), deadline_seconds=1.0)
    assert len(answers) == 10
    assert 4.0 <= sum(time.slept) < 4.1


def test_asks_share_delay_and_rate() -> None:
    """What one ask is told to wait, the others of the connection wait too."""
    time = Time()
    script = Script([refusal(429, retry_after="50"), page("1")])

    async def ask_twice() -> list[float]:
        async with wire(script, time) as over:
            moments = []
            for _ in range(2):
                with_error = [answer async for answer in over.ask("costs", ENDPOINT, PERIOD)]
                moments.append(time.seconds)
                assert with_error
            return moments

    assert asyncio.run(ask_twice()) == [50.0, 50.0]


def test_concurrency_is_bounded() -> None:
    """However many asks are open, no more requests are under way than the vendor allows."""
    under_way, most = 0, 0

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        return page("1")

    async def ask_all() -> int:
        async with wire(httpx2.MockTransport(answer), Time(), with_(concurrency=3)) as over:

            async def one() -> int:
                return len([answer async for answer in over.ask("costs", ENDPOINT, PERIOD)])

            return sum(await asyncio.gather(*(one() for _ in range(20))))

    assert asyncio.run(ask_all()) == 20
    assert most == 3
