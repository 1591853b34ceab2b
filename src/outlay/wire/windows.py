"""Interpret windows: which requests a span of time takes, and how each says its span."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from outlay.clock import midnight, month_start, next_month
from outlay.errors import BugError
from outlay.model.period import Period
from outlay.providers.base import DayParts, DayText, Endpoint, EpochWindow, IsoWindow, MonthParts, NoWindow, Window


def split(endpoint: Endpoint[Any], period: Period) -> list[Period]:
    """Return the windows, in order, that cover a period exactly in as few requests as the endpoint allows.

    A whole day or month is asked for even where a month window begins or ends inside it; the window says the part.

    Raises: BugError when the period leaves the days the endpoint can answer for, or cuts a day that is asked for whole.
    """
    _check(endpoint, period)
    match endpoint.window:
        case NoWindow():
            return [period]
        case MonthParts() | EpochWindow(by_month=True):
            return list(_months(period))
        case DayText() | DayParts():
            return list(_spans(period, 1))
        case IsoWindow(days_max=days_max, days_min=days_min):
            return list(_spans(period, days_max, days_min))
        case EpochWindow(days_max=days_max):
            return list(_spans(period, days_max))


def parameters(window: Window, period: Period, now: datetime | None = None) -> list[tuple[str, str]]:
    """Return how a window says its span as query parameters."""
    return [(name, str(value)) for name, value in values(window, period, now)]


def values(window: Window, period: Period, now: datetime | None = None) -> list[tuple[str, str | int]]:
    """Return how a window says its span, numbers as numbers; `now` tells whether its end is still to come."""
    local = period.start if period.zone == "UTC" else period.start.astimezone(ZoneInfo(period.zone))
    match window:
        case EpochWindow(start, end, per_second=per_second, never_ahead=never_ahead):
            first = (start, int(period.start.timestamp()) * per_second)
            if never_ahead and now is not None and period.start < now < period.end:
                return [first]
            return [first, (end, int(period.end.timestamp()) * per_second)]
        case IsoWindow(start, end):
            return [(start, _iso(period.start)), *([(end, _iso(period.end))] if end else [])]
        case DayText(name):
            return [(name, f"{local:%Y-%m-%d}")]
        case DayParts(year, month, day):
            return [(year, local.year), (month, local.month), (day, local.day)]
        case MonthParts(year, month):
            return [(year, local.year), (month, local.month)]
        case NoWindow():
            return []


def _iso(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _check(endpoint: Endpoint[Any], period: Period) -> None:
    window = endpoint.window
    if isinstance(window, NoWindow):
        return
    since, until = endpoint.since, endpoint.until
    if isinstance(window, MonthParts):
        since = month_start(since) if since else None
        until = next_month(until - timedelta(days=1)) if until else None
    if (since and period.start < midnight(since)) or (until and period.end > midnight(until)):
        raise BugError(f"{endpoint.name} was planned for {_shown(period)}, which it cannot answer for")
    if isinstance(window, DayText | DayParts) and not (_whole(period.start, period) and _whole(period.end, period)):
        raise BugError(f"{endpoint.name} answers for whole days and was planned for {_shown(period)}")


def _whole(moment: datetime, period: Period) -> bool:
    local = moment if period.zone == "UTC" else moment.astimezone(ZoneInfo(period.zone))
    return not (local.hour or local.minute or local.second or local.microsecond)


def _shown(period: Period) -> str:
    return f"{period.start:%Y-%m-%dT%H:%MZ} to {period.end:%Y-%m-%dT%H:%MZ}"


def _spans(period: Period, days_max: int, days_min: int = 1) -> Iterator[Period]:
    # Days are counted on the vendor's own calendar, where a day may have 23 or 25 hours.
    zone = UTC if period.zone == "UTC" else ZoneInfo(period.zone)
    first = period.start.astimezone(zone)
    start, step = period.start, 0
    while start < period.end:
        step += days_max
        end = min((first + timedelta(days=step)).astimezone(UTC), period.end)
        if days_min > 1 and end < period.end < (first + timedelta(days=step + days_min)).astimezone(UTC):
            # What would be left is too short to be asked for alone: it takes days of this span.
            step -= days_min
            end = (first + timedelta(days=step)).astimezone(UTC)
        yield Period(start, end, period.zone)
        start = end


def _months(period: Period) -> Iterator[Period]:
    zone = UTC if period.zone == "UTC" else ZoneInfo(period.zone)
    start = period.start
    while start < period.end:
        month = next_month(start.astimezone(zone).date())
        edge = datetime(month.year, month.month, month.day, tzinfo=zone).astimezone(UTC)
        end = min(edge, period.end)
        yield Period(start, end, period.zone)
        start = end
