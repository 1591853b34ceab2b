"""Laws of half-open periods."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.clock import day_of, midnight, month_start, next_month
from outlay.model.period import Period, parse_time
from strategies import days, moments, periods


@given(days)
def test_days_tile_time(day: date) -> None:
    """The end of a day is the start of the one after it: no moment is in both and none is in neither."""
    one, other = Period.of_day(day), Period.of_day(day + timedelta(days=1))
    assert one.end == other.start
    assert one.end - one.start == timedelta(days=1)
    assert list(one.days()) == [day]


@given(days, st.integers(1, 400))
def test_a_span_is_its_days(first: date, count: int) -> None:
    """A span of days holds each of its days once, in order, and not the day of its exclusive end."""
    end = min(first + timedelta(days=count), date(2100, 1, 1))
    span = Period.of_days(first, end)
    listed = list(span.days())
    assert listed[0] == span.first_day == first
    assert listed[-1] + timedelta(days=1) == span.end_day == end
    assert all(after - before == timedelta(days=1) for before, after in pairwise(listed))
    assert all(span.contains(Period.of_day(day)) for day in listed)
    assert not span.contains(Period.of_days(first, end + timedelta(days=1))) if end < date(2100, 1, 1) else True


@given(days)
def test_a_month_is_whole(day: date) -> None:
    """The month of a day starts on the first, ends where the next one starts, and holds the day."""
    month = Period.of_month(day)
    assert month.first_day == month_start(day) == day.replace(day=1)
    assert len(list(month.days())) == monthrange(day.year, day.month)[1]
    assert month.end_day == next_month(day)
    assert month.end_day.day == 1
    assert month.contains(Period.of_day(day))


@given(periods(), periods(), periods())
def test_containment_is_an_order(a: Period, b: Period, c: Period) -> None:
    """A period contains itself, two that contain each other are equal, and containment passes on."""
    assert a.contains(a)
    if a.contains(b) and b.contains(a):
        assert a == b
    if a.contains(b) and b.contains(c):
        assert a.contains(c)


@given(periods())
def test_a_period_touches_its_first_day_and_not_its_end(period: Period) -> None:
    """A period that ends at midnight does not touch the day that begins there."""
    touched = list(period.days())
    assert touched[0] == period.first_day
    assert all(midnight(day) < period.end and midnight(day) + timedelta(days=1) > period.start for day in touched)
    assert (period.end_day in touched) == (period.end != midnight(period.end_day))


@given(moments, st.integers(-14 * 60, 14 * 60))
def test_every_zone_is_read_as_utc(start: datetime, offset_minutes: int) -> None:
    """One moment written in any zone is the same period, with the same UTC days."""
    zone = timezone(timedelta(minutes=offset_minutes))
    end = start + timedelta(hours=5)
    if end > datetime(2100, 1, 1, tzinfo=UTC):
        return
    here, there = Period(start, end), Period(start.astimezone(zone), end.astimezone(zone))
    assert here == there
    assert here.first_day == there.first_day == day_of(start)
    assert list(here.days()) == list(there.days())


@given(st.integers(946_684_800, 4_102_358_400), st.integers(1, 86_400))
def test_epoch_and_text_agree(start: int, seconds: int) -> None:
    """Unix times and RFC 3339 texts of the same moments give the same period."""
    end = min(start + seconds, 4_102_444_800)
    by_epoch = Period.of_epoch(start, end)
    texts = [datetime.fromtimestamp(moment, UTC).isoformat() for moment in (start, end)]
    assert by_epoch == Period.of_text(*texts)
    assert by_epoch == Period.of_text(*[text.replace("+00:00", "Z") for text in texts])


@given(moments)
def test_an_empty_or_reversed_span_is_no_period(moment: datetime) -> None:
    """A period has a length."""
    with pytest.raises(ValueError, match="is no period"):
        Period(moment, moment)
    with pytest.raises(ValueError, match="is no period"):
        Period(moment + timedelta(seconds=1), moment)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 2, tzinfo=UTC)),
        (datetime(2099, 12, 31, tzinfo=UTC), datetime(2100, 1, 2, tzinfo=UTC)),
        (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_absurd_years_are_refused(start: datetime, end: datetime) -> None:
    """A zero epoch or a year of another age is a vendor's mistake, not a period."""
    with pytest.raises(ValueError, match="is no period"):
        Period(start, end)


def test_a_time_without_a_zone_is_refused() -> None:
    """A naive time could be anyone's midnight."""
    with pytest.raises(ValueError, match="zone"):
        Period(datetime(2026, 1, 1), datetime(2026, 1, 2, tzinfo=UTC))  # noqa: DTZ001 - the point of the test
    with pytest.raises(ValueError, match="zone"):
        parse_time("2026-01-01T00:00:00")


@pytest.mark.parametrize("seconds", [10**15, 10**30, -(10**15)])
def test_an_epoch_in_the_wrong_unit_is_refused(seconds: int) -> None:
    """Milliseconds or nanoseconds where seconds are due give no period."""
    with pytest.raises(ValueError, match="is no"):
        Period.of_epoch(seconds, seconds + 1)


@given(moments)
def test_the_day_of_a_moment_starts_at_or_before_it(moment: datetime) -> None:
    """Midnight of a moment's day is the last midnight that is not after it."""
    assert timedelta(0) <= moment - midnight(day_of(moment)) < timedelta(days=1)
