"""Which reading of a limit speaks, and for how long what it says of the use holds."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta

from outlay.analysis.query import Query
from outlay.clock import Clock, midnight
from outlay.model.metering import METERED_LIMITS, OBSERVED_AT

HEARD_DAYS = 35
"""How long a limit speaks that only answers to calls tell: it is told one by one, and nothing says that it is gone."""
_SPAN = re.compile(r"(\d{1,6}) (second|minute|hour|day|week)s?")
_LONGEST_MONTH = timedelta(days=31)

STANDS = f"""
    CASE WHEN dataset = '{METERED_LIMITS}' THEN partition_start >= ? AND row_number() OVER (
        PARTITION BY connection, dataset, name, scope, kind, unit, "window", model, sub_account_id
        ORDER BY partition_start DESC) = 1
    ELSE partition_start = max(partition_start) OVER (PARTITION BY connection, dataset) END
"""
"""The SQL that keeps what speaks: a reading that is whole speaks for its dataset, one of a call for its limit alone.

Its parameter is when the oldest call may have been."""


def heard_since(query: Query, clock: Clock) -> datetime:
    """Return when the oldest call may have been whose limits still speak."""
    return midnight(query.period(clock)[1]) - timedelta(days=HEARD_DAYS)


def asked_of(query: Query, clock: Clock) -> datetime:
    """Return the moment a question is about: now, or the last one of a period that is over."""
    return min(clock(), midnight(query.period(clock)[1]) - timedelta(microseconds=1))


def lapsed(window: str | None, resets_at: datetime | None, observed_at: datetime, moment: datetime) -> bool:
    """Tell whether the window is over in which a limit was read, so that what was used then says nothing of now.

    A window without an end that is known is over when all of its length has passed; one without a length never is.
    """
    if resets_at is not None:
        return resets_at <= moment
    length = _length(window)
    return length is not None and observed_at + length <= moment


def _length(window: str | None) -> timedelta | None:
    if window is None:
        return None
    if window in ("month", "1 month"):
        return _LONGEST_MONTH
    found = _SPAN.fullmatch(window)
    return timedelta(**{f"{found[2]}s": int(found[1])}) if found else None


def observed(at: datetime, dataset: str, details: str | None) -> datetime:
    """Return when a limit was read: a day's calls are committed together, and each limit keeps its own moment."""
    if dataset != METERED_LIMITS or not details:
        return at
    told = json.loads(details).get(OBSERVED_AT)
    return at if told is None else datetime.fromisoformat(told)
