"""Waiting: as long as the vendor says, never longer than allowed, and within the documented rates."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import RetryLaterError, UnreachableError
from outlay.providers.base import QuotaHeaders, Rate
from outlay.wire.quota import Quota
from outlay.wire.retry import BACKOFF_SECONDS_MAX, retry_after, wait_seconds
from wire.vendor import NOW, Time


@pytest.mark.parametrize(("text", "seconds"), [("0", 0.0), ("7", 7.0), (" 120 ", 120.0), ("0.5", 0.5)])
def test_retry_after_in_seconds(text: str, seconds: float) -> None:
    """A number of seconds is taken as it is."""
    assert retry_after({"retry-after": text}, NOW) == seconds


def test_retry_after_as_a_date() -> None:
    """A date is counted from the vendor's own clock, or from ours where it shows none."""
    later = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    vendors = format_datetime(NOW + timedelta(seconds=60), usegmt=True)
    assert retry_after({"retry-after": later}, NOW) == 90.0
    assert retry_after({"retry-after": later, "date": vendors}, NOW) == 30.0
    assert retry_after({"retry-after": vendors}, NOW + timedelta(hours=1)) == 0.0


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1e3", "nan", "99999999999999999999", "Sun, 99 Nov 2026 10:00:00 GMT"]
)
def test_a_delay_that_is_none(text: str) -> None:
    """What is neither seconds nor a date is no delay."""
    assert retry_after({"retry-after": text}, NOW) is None


@given(st.text(max_size=40))
def test_any_delay_is_readable_or_none(text: str) -> None:
    """No header text makes the reading itself fail."""
    found = retry_after({"retry-after": text, "date": text}, NOW)
    assert found is None or found >= 0


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True))
def test_backoff_is_a_random_share_of_a_growing_limit(attempt: int, share: float) -> None:
    """Without a delay the wait is anywhere between nothing and a limit that doubles up to a bound."""
    wait = wait_seconds(UnreachableError("x"), attempt, lambda: share)
    assert wait == share * min(BACKOFF_SECONDS_MAX, 2.0 ** (attempt - 1))


def test_the_vendors_delay_is_exact() -> None:
    """A delay of the vendor's is not shortened, stretched or shaken."""
    assert wait_seconds(RetryLaterError("x", retry_after_seconds=17.0), 3, lambda: 0.3) == 17.0


def sent_at(rates: tuple[Rate, ...], count: int) -> list[float]:
    """Return when requests go that are asked for at once."""
    time = Time()
    quota = Quota(rates, None, time.monotonic)
    moments: list[float] = []
    while len(moments) < count:
        wait = quota.take()
        if wait:
            time.seconds += wait
        else:
            moments.append(time.seconds)
    return moments


@given(st.integers(1, 12), st.integers(1, 4), st.integers(2, 40), st.data())
def test_no_window_ever_holds_more_than_documented(few: int, short: int, times: int, data: st.DataObject) -> None:
    """In any rolling window, of several at once, at most the documented requests go out, and all do in the end."""
    rates = (Rate(few, short), Rate(data.draw(st.integers(few + 1, few * times)), short * times))
    moments = sent_at(rates, 120)
    for rate in rates:
        for start in moments:
            assert sum(start <= moment < start + rate.seconds for moment in moments) <= rate.requests


def test_a_burst_within_the_rate_does_not_wait() -> None:
    """What the rate allows at once goes at once."""
    assert sent_at((Rate(10, 1),), 10) == [0.0] * 10
    assert sent_at((), 50) == [0.0] * 50


@pytest.mark.parametrize(
    ("form", "reset", "seconds"),
    [
        ("epoch", str(int(NOW.timestamp()) + 40), 40.0),
        ("epoch", "2026-11-22T10:00:40Z", 40.0),
        ("seconds", "12", 12.0),
        ("seconds", "6m0s", 360.0),
        ("seconds", "1h2m3.5s", 3723.5),
        ("seconds", "250ms", 0.25),
        ("time", "2026-11-22T10:01:00Z", 60.0),
    ],
)
def test_nothing_left_closes_until_the_reset(form: str, reset: str, seconds: float) -> None:
    """When an answer says nothing is left, the next request waits until the reset, in whatever form it is said."""
    time = Time()
    quota = Quota((Rate(100, 1),), QuotaHeaders("x-left", "x-reset", form), time.monotonic)
    assert quota.observe(httpx2.Headers({"X-Left": "0", "X-Reset": reset}), NOW) == seconds
    assert quota.take() == seconds
    time.seconds += seconds
    assert quota.take() == 0.0


def test_the_reset_is_counted_from_the_vendors_clock() -> None:
    """A clock of ours that is wrong does not lengthen the wait."""
    headers = httpx2.Headers(
        {"x-left": "0", "x-reset": str(int(NOW.timestamp()) + 30), "date": format_datetime(NOW, usegmt=True)}
    )
    quota = Quota((), QuotaHeaders("x-left", "x-reset"), Time().monotonic)
    assert quota.observe(headers, NOW - timedelta(hours=3)) == 30.0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-left": "1", "x-reset": "9"},
        {"x-left": "many", "x-reset": "9"},
        {"x-left": "0"},
        {"x-left": "0", "x-reset": "soon"},
    ],
)
def test_no_readable_quota_closes_nothing(headers: dict[str, str]) -> None:
    """Headers that are missing, hold something left or cannot be read do not stop the connection."""
    quota = Quota((), QuotaHeaders("x-left", "x-reset", "seconds"), Time().monotonic)
    assert quota.observe(httpx2.Headers(headers), NOW) is None
    assert quota.take() == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('"api";r=0;t=12', 13.0),
        ('"api";r=0;t=12, "pages";r=0;t=99, "resolvers";r=3;t=200', 100.0),
        ('"api";r=499;t=12', None),
        ('"api"; r=0', None),
        ('"new words";q=5;r=0;t=soon', None),
        ("", None),
    ],
)
def test_one_header_that_names_several_quotas(text: str, seconds: float | None) -> None:
    """The wire closes for the longest of the quotas that are used up, whatever they are called, and a second more."""
    quota = Quota((), QuotaHeaders("ratelimit", "ratelimit", "policies"), Time().monotonic)
    assert quota.observe({"ratelimit": text}, NOW) == seconds
    assert quota.closed_seconds() == (seconds or 0.0)
