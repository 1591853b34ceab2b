"""Half-open spans of time: the start is in, the end is out, both in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Self

import msgspec
from msgspec.structs import force_setattr

from outlay.clock import midnight, month_start, next_month

_FIRST_SANE = datetime(2000, 1, 1, tzinfo=UTC)
_LAST_SANE = datetime(2100, 1, 1, tzinfo=UTC)


class Period(msgspec.Struct, frozen=True, order=True, gc=False):
    """A span from `start` (inclusive) to `end` (exclusive).

    Units: aware datetimes in UTC; `zone` names the vendor's own day where that is not the UTC day.
    Raises: ValueError when naive, reversed, empty or outside 2000 to 2100.
    """

    start: datetime
    end: datetime
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a period needs times with a zone")
        if self.start.tzinfo is not UTC or self.end.tzinfo is not UTC:
            force_setattr(self, "start", self.start.astimezone(UTC))
            force_setattr(self, "end", self.end.astimezone(UTC))
        if not _FIRST_SANE <= self.start < self.end <= _LAST_SANE:
            raise ValueError(f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d} is no period")

    @classmethod
    def of_epoch(cls, start: int, end: int) -> Self:
        """Return the period between two Unix times in seconds."""
        return cls(_moment(start), _moment(end))

    @classmethod
    def of_text(cls, start: str, end: str) -> Self:
        """Return the period between two RFC 3339 times."""
        return cls(parse_time(start), parse_time(end))

    @classmethod
    def of_day(cls, day: date) -> Self:
        """Return one UTC day."""
        return cls(midnight(day), midnight(day + timedelta(days=1)))

    @classmethod
    def of_days(cls, first: date, end: date) -> Self:
        """Return the UTC days from `first` up to but not including `end`."""
        return cls(midnight(first), midnight(end))

    @classmethod
    def of_month(cls, day: date) -> Self:
        """Return the calendar month a UTC day falls in."""
        return cls(midnight(month_start(day)), midnight(next_month(day)))

    @property
    def first_day(self) -> date:
        """Return the UTC day the period starts in."""
        return self.start.date()

    @property
    def end_day(self) -> date:
        """Return the UTC day of the exclusive end."""
        return self.end.date()

    def days(self) -> Iterator[date]:
        """Yield each UTC day the period touches."""
        day = self.first_day
        while midnight(day) < self.end:
            yield day
            day += timedelta(days=1)

    def contains(self, other: Period) -> bool:
        """Tell whether another period lies wholly inside."""
        return self.start <= other.start and other.end <= self.end


@lru_cache(maxsize=4096)
def _moment(epoch_seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(epoch_seconds, UTC)
    except (OverflowError, OSError, ValueError):
        raise ValueError(f"{epoch_seconds} is no time") from None


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time in UTC.

    Raises: ValueError when it is no time or has no zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return moment.astimezone(UTC)
