"""A period becomes the fewest windows the endpoint allows, without a gap or an overlap."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import BugError
from outlay.model.period import Period
from outlay.providers.base import DayParts, DayText, EpochWindow, IsoWindow, MonthParts, NoWindow
from outlay.wire.windows import parameters, split
from wire.vendor import endpoint_with

MOMENTS = st.datetimes(datetime(2001, 1, 1), datetime(2097, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # zone beside
ZONES = st.sampled_from(["UTC", "America/Los_Angeles", "Europe/Berlin", "Asia/Kolkata"])


@st.composite
def periods(draw: st.DrawFn) -> Period:
    """Draw a period of up to two years, in any of some zones."""
    start = draw(MOMENTS).replace(microsecond=0)
    length = draw(st.timedeltas(timedelta(seconds=1), timedelta(days=730)))
    return Period(start, start + length, draw(ZONES))


def covers_exactly(windows: list[Period], period: Period) -> bool:
    """Tell whether windows follow each other from the period's start to its end."""
    edges = [window.start for window in windows] + [windows[-1].end]
    return (
        edges[0] == period.start
        and edges[-1] == period.end
        and all(left.end == right.start for left, right in pairwise(windows))
        and all(window.zone == period.zone for window in windows)
    )


@given(periods(), st.integers(1, 366), st.sampled_from([EpochWindow, IsoWindow]))
def test_spans_cover_exactly(period: Period, days_max: int, kind: type[EpochWindow | IsoWindow]) -> None:
    """Windows of a limited span cover the period exactly, and only the last is shorter than allowed."""
    windows = split(endpoint_with(window=kind("from", "to", days_max)), period)
    assert covers_exactly(windows, period)
    longest = timedelta(days=days_max)
    assert all(window.end - window.start <= longest + timedelta(hours=1) for window in windows)
    assert all(window.end - window.start >= longest - timedelta(hours=1) for window in windows[:-1])


@given(periods())
def test_months_cover_exactly(period: Period) -> None:
    """Month windows cover the period exactly and none reaches into a second month."""
    windows = split(endpoint_with(window=MonthParts()), period)
    assert covers_exactly(windows, period)
    asked = [tuple(parameters(MonthParts(), window)) for window in windows]
    assert len(set(asked)) == len(asked)


@given(st.dates(date(2001, 1, 1), date(2097, 1, 1)), st.integers(1, 800), st.sampled_from([DayText("day"), DayParts()]))
def test_days_cover_exactly(first: date, count: int, window: DayText | DayParts) -> None:
    """A day window makes one request a day."""
    period = Period.of_days(first, first + timedelta(days=count))
    windows = split(endpoint_with(window=window), period)
    assert covers_exactly(windows, period)
    assert [found.first_day for found in windows] == list(period.days())


@given(periods())
def test_no_window_is_one_request(period: Period) -> None:
    """The state at this moment is asked for once, whatever the period."""
    assert split(endpoint_with(window=NoWindow(), since=date(2090, 1, 1)), period) == [period]


@given(periods(), st.integers(1, 60))
def test_splitting_again_changes_nothing(period: Period, days_max: int) -> None:
    """A window that was split is one window."""
    endpoint = endpoint_with(window=EpochWindow("from", "to", days_max))
    for window in split(endpoint, period):
        assert split(endpoint, window) == [window]


def test_days_of_a_zone_keep_their_edges() -> None:
    """Windows in a vendor's own zone begin at its midnights, also over a change of the clocks."""
    period = Period(datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 30, 22, tzinfo=UTC), "Europe/Berlin")
    windows = split(endpoint_with(window=DayText("day")), period)
    assert [window.end - window.start for window in windows] == [timedelta(hours=23), timedelta(hours=24)]
    assert [parameters(DayText("day"), window) for window in windows] == [
        [("day", "2026-03-29")],
        [("day", "2026-03-30")],
    ]


def test_what_is_sent() -> None:
    """Each window says its span in the vendor's words, with the end exclusive."""
    period = Period.of_days(date(2026, 2, 3), date(2026, 2, 5))
    assert parameters(EpochWindow("a", "b"), period) == [("a", "1770076800"), ("b", "1770249600")]
    assert parameters(IsoWindow("a", "b"), period) == [("a", "2026-02-03T00:00:00Z"), ("b", "2026-02-05T00:00:00Z")]
    assert parameters(DayText("a"), period) == [("a", "2026-02-03")]
    assert parameters(DayParts(), period) == [("year", "2026"), ("month", "2"), ("day", "3")]
    assert parameters(MonthParts(), period) == [("year", "2026"), ("month", "2")]
    assert parameters(NoWindow(), period) == []


def test_an_end_to_come_is_left_out_where_the_vendor_wants_none() -> None:
    """A window that reaches past now is asked for up to now; one that is over, or all ahead, is said whole."""
    window, period = EpochWindow("a", "b", never_ahead=True), Period.of_days(date(2026, 2, 3), date(2026, 2, 5))
    whole = [("a", "1770076800"), ("b", "1770249600")]
    assert parameters(window, period, datetime(2026, 2, 4, 12, tzinfo=UTC)) == whole[:1]
    assert parameters(EpochWindow("a", "b"), period, datetime(2026, 2, 4, 12, tzinfo=UTC)) == whole
    for other in (datetime(2026, 2, 5, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC), None):
        assert parameters(window, period, other) == whole


@given(st.dates(date(2001, 1, 1), date(2097, 1, 1)), st.integers(1, 200), st.integers(4, 40), st.integers(1, 2))
def test_no_span_is_left_that_is_too_short_to_ask_for(first: date, days: int, days_max: int, days_min: int) -> None:
    """Where a vendor refuses a short span, the last takes days of the one before it; the cover stays exact."""
    period = Period.of_days(first, first + timedelta(days=days))
    window = IsoWindow("from", "to", days_max, days_min)
    windows = split(endpoint_with(window=window), period)
    assert covers_exactly(windows, period)
    lengths = [(found.end - found.start).days for found in windows]
    assert max(lengths) <= days_max
    assert len(windows) == 1 or min(lengths) >= days_min
    assert len(windows) == -(-days // days_max)
    assert all(split(endpoint_with(window=window), found) == [found] for found in windows)


@pytest.mark.parametrize(("since", "until"), [(date(2026, 2, 4), None), (None, date(2026, 2, 4))])
def test_a_plan_outside_the_endpoint_is_a_bug(since: date | None, until: date | None) -> None:
    """A period the endpoint cannot answer for is the planner's mistake and not sent."""
    period = Period.of_days(date(2026, 2, 3), date(2026, 2, 5))
    with pytest.raises(BugError, match="cannot answer for"):
        split(endpoint_with(window=EpochWindow("a", "b"), since=since, until=until), period)


def test_a_month_that_holds_the_first_day_is_asked_for() -> None:
    """A month window may begin before the endpoint's first day, because months are asked for whole."""
    month = Period.of_month(date(2026, 2, 1))
    endpoint = endpoint_with(window=MonthParts(), since=date(2026, 2, 10), until=date(2026, 2, 20))
    assert split(endpoint, month) == [month]
    with pytest.raises(BugError):
        split(endpoint, Period.of_month(date(2026, 3, 1)))


def test_half_a_day_is_no_day() -> None:
    """An endpoint that answers for whole days is not asked for a part of one."""
    period = Period(datetime(2026, 2, 3, 12, tzinfo=UTC), datetime(2026, 2, 5, tzinfo=UTC))
    with pytest.raises(BugError, match="whole days"):
        split(endpoint_with(window=DayText("day")), period)


def test_unix_times_by_calendar_month() -> None:
    """A vendor that answers for a whole window is asked once a month, from midnight to midnight."""
    endpoint = endpoint_with(window=EpochWindow("from", "to", by_month=True))
    windows = split(endpoint, Period.of_days(date(2026, 9, 1), date(2026, 12, 1)))
    assert [window.first_day for window in windows] == [date(2026, 9, 1), date(2026, 10, 1), date(2026, 11, 1)]
    assert parameters(endpoint.window, windows[1]) == [("from", "1790812800"), ("to", "1793491200")]


def test_a_window_without_an_end() -> None:
    """Where the answer reaches to this moment whatever is asked, only the start is said."""
    period = Period.of_days(date(2026, 9, 1), date(2026, 12, 1))
    assert parameters(IsoWindow("startDate", ""), period) == [("startDate", "2026-09-01T00:00:00Z")]
