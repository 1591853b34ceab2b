"""The plan: what is due, and in how few requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from outlay.clock import midnight
from outlay.config import Connection
from outlay.errors import ConfigError
from outlay.model.batch import Committed, Partition
from outlay.model.facts import Charge, Limit, Name
from outlay.model.period import Period
from outlay.providers.base import Bearer, Dataset, Endpoint, EpochWindow, FanOut, KeyKind, Offer, Provider
from outlay.sync.plan import NAMES_PERIOD, Span, fallbacks, plan

NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
TODAY = NOW.date()
LATER = datetime(2027, 6, 1, tzinfo=UTC)
_AUTUMN = Span(since=date(2026, 8, 24), until=date(2026, 11, 23))


class _Page(msgspec.Struct):
    rows: list[int] = []


def _none(_page: _Page, _ask: object) -> Iterable[Charge]:
    return ()


NEW = Endpoint(
    "costs-new", "/new", _Page, _none, EpochWindow("a", "b", days_max=60), since=date(2026, 10, 1), page_days=30
)
OLD = Endpoint("costs-old", "/old", _Page, _none, EpochWindow("a", "b"), page_days=30)
COSTS = Dataset("costs", "Costs", (Charge,), (NEW, OLD), horizon_days=3)
PROJECTS = Dataset("projects", "Projects", (Name,), (Endpoint("projects", "/p", _Page, _none),), grain="names", order=0)
LIMITS = Dataset(
    "limits",
    "Limits",
    (Limit,),
    (Endpoint("limits", "/l/{p}", _Page, _none, each=FanOut("project", "p")),),
    grain="reading",
)
MONTHS = Dataset("months", "Months", (Charge,), (Endpoint("months", "/m", _Page, _none),), grain="month", default=False)
VENDOR = Provider(
    id="vendor",
    title="Vendor",
    base_url="https://vendor.example",
    auth=Bearer(),
    environment=(),
    key_help="",
    keys=(KeyKind("", "key", usable=True),),
    datasets=(COSTS, LIMITS, PROJECTS, MONTHS),
    services={},
    offers={"cost": Offer("api")},
    sources=(),
)


def _connection(**fields: object) -> Connection:
    return Connection(name="c", provider="vendor", credential="env:KEY", **fields)  # type: ignore[arg-type]


def _committed(days: Iterable[date], checked_after: timedelta, *, stale: bool = False) -> dict[Partition, Committed]:
    known = {}
    for day in days:
        partition = Partition("c", "costs", Period.of_day(day))
        at = partition.period.end + checked_after
        known[partition] = Committed(
            partition=partition,
            batch_id="b",
            digest="d",
            endpoint="costs-new",
            committed_at=at,
            checked_at=at,
            stale_since=at if stale else None,
        )
    return known


def _days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def test_first_sync_asks_ninety_days_by_the_endpoint_that_can_answer() -> None:
    """Days before an endpoint's first day go to the next one, and no day goes to two."""
    works = plan(_connection(datasets=("costs",)), VENDOR, {}, NOW).works
    asked = [period for work in works for period in work.partitions]
    assert len(asked) == len(set(asked)) == 91
    assert {work.endpoint.name for work in works} == {"costs-new", "costs-old"}
    assert min(p.first_day for w in works if w.endpoint is NEW for p in w.partitions) == date(2026, 10, 1)
    assert all(len(work.partitions) <= 60 for work in works)


def test_settled_days_are_left_alone() -> None:
    """A day last checked after its horizon is not asked again; one checked while young is, once."""
    known = _committed(_days(date(2026, 8, 24), 80), timedelta(days=3, seconds=1))
    known |= _committed([date(2026, 9, 9)], timedelta(days=1))
    works = plan(_connection(datasets=("costs",)), VENDOR, known, NOW).works
    asked = {period.first_day for work in works for period in work.partitions}
    assert asked == {date(2026, 9, 9), *_days(date(2026, 11, 12), 11)}


def test_a_month_is_asked_again_until_it_is_closed() -> None:
    """Where a vendor closes its month late, every day of it is asked again until then, and not after."""
    closing = replace(VENDOR, datasets=(replace(COSTS, closing_days=5),))
    known = _committed(_days(date(2026, 10, 1), 31), timedelta(days=4))
    for now, due in ((datetime(2026, 11, 4, tzinfo=UTC), 31), (datetime(2026, 11, 7, tzinfo=UTC), 31)):
        span = Span(since=date(2026, 10, 1), until=date(2026, 11, 1))
        works = plan(_connection(datasets=("costs",)), closing, known, now, span).works
        assert sum(len(work.partitions) for work in works) == due
    late = {p: msgspec.structs.replace(c, checked_at=datetime(2026, 11, 6, tzinfo=UTC)) for p, c in known.items()}
    assert not plan(_connection(datasets=("costs",)), closing, late, now, span).works


def test_a_failed_day_is_asked_again() -> None:
    """What is marked stale is due whatever its age."""
    known = _committed(_days(date(2026, 8, 24), 91), timedelta(days=90))
    known |= _committed([date(2026, 9, 1)], timedelta(days=90), stale=True)
    works = plan(_connection(datasets=("costs",)), VENDOR, known, LATER, _AUTUMN).works
    assert [work.window.first_day for work in works] == [date(2026, 9, 1)]


def test_a_day_checked_in_the_future_is_asked_again() -> None:
    """What a machine with a wrong clock took for settled is not, once its clock is right."""
    known = _committed(_days(date(2026, 8, 24), 91), timedelta(days=90))
    ahead = {each: msgspec.structs.replace(c, checked_at=NOW + timedelta(seconds=1)) for each, c in known.items()}
    assert not plan(_connection(datasets=("costs",)), VENDOR, known, LATER, _AUTUMN).works
    asked = [p for work in plan(_connection(datasets=("costs",)), VENDOR, ahead, NOW).works for p in work.partitions]
    assert len(asked) == 91


def test_since_before_any_vendor_begins_where_periods_do() -> None:
    """A wish for 1970 is cut at 2000 and never an error."""
    works = plan(_connection(datasets=("costs",)), VENDOR, {}, NOW, Span(since=date(1970, 1, 1))).works
    assert min(work.window.first_day for work in works) == date(2000, 1, 1)


def test_full_and_span_ask_for_exactly_the_span() -> None:
    """`--full` with days asks for those days, settled or not, and never for the future."""
    known = _committed(_days(date(2026, 8, 24), 91), timedelta(days=90))
    span = Span(since=date(2026, 11, 20), until=date(2026, 12, 24), full=True)
    works = plan(_connection(datasets=("costs",)), VENDOR, known, NOW, span).works
    assert [day for work in works for day in work.window.days()] == _days(date(2026, 11, 20), 3)


def test_a_gap_is_bridged_when_that_saves_a_page() -> None:
    """Two due days ten days apart share one page of thirty; sixty days apart they do not."""
    settled = _committed(_days(date(2026, 8, 24), 91), timedelta(days=90))
    for missing, windows in (
        ((date(2026, 10, 5), date(2026, 10, 15)), 1),
        ((date(2026, 10, 1), date(2026, 11, 15)), 2),
    ):
        known = {p: c for p, c in settled.items() if p.period.first_day not in missing}
        assert len(plan(_connection(datasets=("costs",)), VENDOR, known, LATER, _AUTUMN).works) == windows


def test_names_come_first_and_are_fetched_for_those_who_fan_out() -> None:
    """A connection that wants only limits still learns the projects it has to ask for."""
    works = plan(_connection(datasets=("limits",)), VENDOR, {}, NOW).works
    assert [work.dataset.name for work in works] == ["projects", "limits"]
    assert works[0].partitions == (NAMES_PERIOD,)
    assert works[1].partitions == (Period.of_day(TODAY),)


def test_names_that_say_their_kinds_are_read_for_those_alone() -> None:
    """Names of a kind come along with what fans out over it, the outer one of a pair as well, and with nothing else."""
    pair = FanOut("project", "p", within=FanOut("team", "t"))
    seats = replace(LIMITS, name="seats", endpoints=(replace(LIMITS.endpoints[0], each=pair),))
    names = [replace(PROJECTS, name=f"{kind}s", kinds=(kind,)) for kind in ("project", "team", "plan")]
    vendor = replace(VENDOR, datasets=(LIMITS, seats, *names))

    def read(name: str) -> set[str]:
        return {work.dataset.name for work in plan(_connection(datasets=(name,)), vendor, {}, NOW).works} - {name}

    assert read("limits") == {"projects"}
    assert read("seats") == {"projects", "teams"}


def test_months_are_whole_months() -> None:
    """A month partition is the calendar month, the present one included."""
    works = plan(_connection(datasets=("months",), since=date(2026, 9, 17)), VENDOR, {}, NOW).works
    assert sorted(p.first_day for w in works for p in w.partitions) == [
        date(2026, 9, 1),
        date(2026, 10, 1),
        date(2026, 11, 1),
    ]


def test_days_that_a_month_is_taken_off_begin_with_the_month() -> None:
    """What is taken off a month is taken off all its days; what is asked for again stays what was asked for."""
    vendor = replace(VENDOR, datasets=(replace(COSTS, credited_by="months"), replace(MONTHS, default=True)))

    def first(known: Mapping[Partition, Committed], span: Span, **fields: object) -> date:
        made = plan(_connection(since=date(2026, 9, 17), **fields), vendor, known, NOW, span)
        works = made.works_of("costs")
        return min(period.first_day for work in works for period in work.partitions)

    assert first({}, Span()) == date(2026, 9, 1)
    settled = _committed([date(2026, 9, 1) + timedelta(days=n) for n in range(70)], timedelta(days=5))
    assert first(settled, Span(since=date(2026, 11, 5), full=True)) == date(2026, 11, 5)
    assert first(settled, Span(full=True)) == date(2026, 9, 1)
    assert first({}, Span(), datasets=("costs",)) == date(2026, 9, 17), "nothing is taken off"


def test_what_is_not_offered_falls_to_the_next_endpoint() -> None:
    """The same partitions are asked of the next generation, and after the last there is nothing left."""
    works = [work for work in plan(_connection(datasets=("costs",)), VENDOR, {}, NOW).works if work.endpoint is NEW]
    instead = fallbacks(COSTS, works[0], NOW)
    assert [work.endpoint for work in instead] == [OLD]
    assert instead[0].partitions == works[0].partitions
    assert fallbacks(COSTS, instead[0], NOW) == []


def test_an_unknown_dataset_is_refused() -> None:
    """The message names what there is."""
    with pytest.raises(ConfigError, match="no dataset 'cost'") as caught:
        plan(_connection(datasets=("cost",)), VENDOR, {}, NOW)
    assert "costs" in caught.value.hint


@given(st.sets(st.integers(0, 90)), st.integers(0, 400))
def test_every_due_day_is_asked_once(settled: set[int], days_back: int) -> None:
    """Whatever is settled, the windows cover every other day, without overlap and inside the days asked for."""
    since = TODAY - timedelta(days=days_back)
    known = _committed([TODAY - timedelta(days=n) for n in settled], timedelta(days=400))
    works = plan(_connection(datasets=("costs",), since=since), VENDOR, known, NOW).works
    asked = [period for work in works for period in work.partitions]
    assert len(asked) == len(set(asked))
    must = {Period.of_day(TODAY - timedelta(days=n)) for n in range(days_back + 1) if n not in settled}
    assert must <= set(asked)
    assert all(midnight(since) <= period.start for period in asked)
    for work in works:
        assert work.window == Period(work.partitions[0].start, work.partitions[-1].end)
        assert all(a.end == b.start for a, b in pairwise(work.partitions))


@pytest.mark.parametrize(
    ("hours_ago", "stale", "full", "asked"),
    [
        (1, False, False, False),
        (7, False, False, True),
        (1, True, False, True),
        (1, False, True, True),
        (-1, False, False, True),
    ],
)
def test_names_a_vendor_wants_asked_for_rarely_are_kept(hours_ago: int, stale: bool, full: bool, asked: bool) -> None:
    """Within the hours they are kept, names are asked for again only after a failure, in full, or from the future."""
    names = replace(next(each for each in VENDOR.datasets if each.grain == "names"), keep_hours=6)
    partition = Partition("c", names.name, NAMES_PERIOD)
    known = next(iter(_committed([TODAY], timedelta()).values()))
    known = msgspec.structs.replace(
        known,
        partition=partition,
        checked_at=NOW - timedelta(hours=hours_ago),
        stale_since=NOW if stale else None,
    )
    connection = _connection(datasets=(names.name,))
    found = {Partition(connection.name, names.name, NAMES_PERIOD): known}
    works = plan(connection, replace(VENDOR, datasets=(names,)), found, NOW, Span(full=full)).works
    assert bool(works) is asked
