"""Decide whether and when a request that failed is sent again.

The loop itself is in `client`: its waits count against one deadline together with the waits for quotas, which no retry
library at hand can be told about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from outlay.errors import ProviderError, RetryLaterError

ATTEMPTS_MAX = 6
BACKOFF_SECONDS = 1.0
BACKOFF_SECONDS_MAX = 30.0
_SECONDS = re.compile(r"\d{1,12}(?:\.\d+)?")


class AgainError(Exception):
    """Say that the same request may work if it is sent again; `error` is what to raise when it never does."""

    def __init__(self, error: ProviderError) -> None:
        super().__init__(error.message)
        self.error = error


def wait_seconds(error: ProviderError, attempt: int, random: Callable[[], float]) -> float:
    """Return how long to wait after a failed attempt, counted from 1.

    The vendor's own delay is kept exactly; without one it is a random share of a limit that doubles ("full jitter"),
    so that many clients that failed together do not return together.
    """
    if isinstance(error, RetryLaterError) and error.retry_after_seconds is not None:
        return error.retry_after_seconds
    return random() * min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS * 2.0 ** (attempt - 1))


def retry_after(headers: Mapping[str, str], present: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for, in either of its forms; None without a readable one.

    `present` stands in for the vendor's own Date, against which a date is counted when there is one.
    """
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        return float(text)
    moment = http_date(text)
    if moment is None:
        return None
    return max(0.0, (moment - (http_date(headers.get("date", "")) or present)).total_seconds())


def told(headers: Mapping[str, str], name: str) -> bool | None:
    """Return whether the vendor says in a header of its own to ask again; None where it says neither."""
    return {"true": True, "false": False}.get(headers.get(name.lower(), "").strip().lower()) if name else None


def http_date(text: str) -> datetime | None:
    """Return an HTTP date in UTC, None when it is not one."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
