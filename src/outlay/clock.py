"""Time is passed in, so that every rule about it can be tested."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

Clock = Callable[[], datetime]
"""Return the present moment in UTC."""


def system_clock() -> datetime:
    """Return the machine's present moment in UTC."""
    return datetime.now(UTC)


def day_of(moment: datetime) -> date:
    """Return the UTC day a moment falls in."""
    return moment.astimezone(UTC).date()


def midnight(day: date) -> datetime:
    """Return the first moment of a UTC day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def month_start(day: date) -> date:
    """Return the first day of the month a day falls in."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """Return the first day of the month after the one a day falls in."""
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1)
