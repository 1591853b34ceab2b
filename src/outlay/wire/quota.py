"""Keep one connection within the vendor's quotas: the documented rates, and what its answers say is left."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from pyrate_limiter import InMemoryBucket, RateItem
from pyrate_limiter import Rate as Window

from outlay.model.period import parse_time
from outlay.providers.base import QuotaHeaders, Rate
from outlay.wire.retry import http_date

_NUMBER = re.compile(r"\d{1,12}(?:\.\d+)?")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_PARTS_SECONDS = (3600.0, 60.0, 1.0, 0.001)
_LEAK_EVERY = 256
_SHORTEST_SECONDS = 0.001


class Quota:
    """Say when the next request of a connection may go; shared by everything that asks over it."""

    def __init__(self, rates: tuple[Rate, ...], headers: QuotaHeaders | None, monotonic: Callable[[], float]) -> None:
        self._headers = headers
        self._monotonic = monotonic
        self._closed_until = 0.0
        self._taken = 0
        windows = [Window(rate.requests, rate.seconds * 1000) for rate in rates]
        self._bucket = InMemoryBucket(windows) if windows else None

    def take(self) -> float:
        """Take the right to send one request and return 0.0, or return the seconds to wait before asking again."""
        closed = self.closed_seconds()
        if closed > 0.0 or self._bucket is None:
            return closed
        item = RateItem("", int(self._monotonic() * 1000))
        self._taken += 1
        if self._taken % _LEAK_EVERY == 0:
            self._bucket.leak(item.timestamp)
        if self._bucket.put(item):
            return 0.0
        wait = self._bucket.waiting(item)
        assert isinstance(wait, int)
        return max(wait, 1) / 1000

    def closed_seconds(self) -> float:
        """Return how long the vendor still wants no request at all."""
        left = self._closed_until - self._monotonic()
        return left if left > _SHORTEST_SECONDS else 0.0

    def close(self, seconds: float) -> None:
        """Send nothing for some time, because the vendor said so."""
        self._closed_until = max(self._closed_until, self._monotonic() + seconds)

    def observe(self, headers: Mapping[str, str], present: datetime) -> float | None:
        """Read what an answer says is left, and close until the reset when that is nothing.

        Returns the seconds until the reset when nothing is left, else None.
        """
        if self._headers is None:
            return None
        if self._headers.reset_form == "policies":
            seconds = _policies_seconds(headers.get(self._headers.remaining, ""))
            if seconds is not None:
                self.close(seconds)
            return seconds
        remaining = headers.get(self._headers.remaining)
        if remaining is None or not remaining.strip().isdecimal() or int(remaining) > 0:
            return None
        text = headers.get(self._headers.reset, "").strip()
        seconds = _reset_seconds(self._headers.reset_form, text, headers, present)
        if seconds is not None:
            self.close(seconds)
        return seconds


def _policies_seconds(text: str) -> float | None:
    """Return the seconds until every quota that is used up is whole again, None when none is.

    One second is added: the vendor counts whole ones, and its window may end late in the last.
    """
    waits = []
    for policy in text.split(","):
        said = dict(pair.strip().partition("=")[::2] for pair in policy.split(";")[1:])
        if said.get("r") == "0" and _NUMBER.fullmatch(said.get("t", "")):
            waits.append(float(said["t"]) + 1.0)
    return max(waits, default=None)


def _reset_seconds(form: str, text: str, headers: Mapping[str, str], present: datetime) -> float | None:
    if form == "seconds":
        if _NUMBER.fullmatch(text):
            return float(text)
        match = _DURATION.fullmatch(text) if text else None
        if match is None:
            return None
        return sum(float(part or 0) * unit for part, unit in zip(match.groups(), _PARTS_SECONDS, strict=True))
    # A moment is the vendor's, so it is counted from the vendor's own clock where the answer shows it.
    now = http_date(headers.get("date", "")) or present
    # Vendors have changed between the two; a number cannot be mistaken for a written time.
    if form == "epoch" and _NUMBER.fullmatch(text):
        return max(0.0, float(text) - now.timestamp())
    try:
        return max(0.0, (parse_time(text) - now).total_seconds())
    except ValueError:
        return None
