"""Days told by a counter: what is between two readings of neighbouring days, and a gap wherever that is not known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.config import Connection
from outlay.model.batch import Account, Batch, Partition
from outlay.model.facts import Balance, Fact, Limit, LimitKind, Usage
from outlay.model.period import Period
from outlay.providers import PROVIDERS
from outlay.providers.base import Dataset, Difference, Endpoint, Provider
from outlay.providers.differences import MISSED, RESET
from outlay.store import Ledger
from outlay.sync.differences import Reading, Told, derive, told
from outlay.sync.digest import digest
from outlay.sync.report import ConnectionReport

FIRST = date(2026, 11, 1)
RESETS = datetime(2026, 12, 1, tzinfo=UTC)
AMOUNTS = st.decimals(0, 10**9, places=6)


def reading(
    day: int, value: Any, *, resets_at: datetime | None = RESETS, unit: str = "credits", plan: str = ""
) -> Reading:
    """Return what the counter said at noon of a day, counted from the first."""
    when = datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(days=day)
    return Reading(when.date(), when, Decimal(value), unit, resets_at, (plan,))


def days(*readings: Reading, falling: bool = False) -> list[tuple[int, Decimal | None, str | None]]:
    """Return what readings tell, by day from the first."""
    return [((each.day - FIRST).days, each.used, each.why) for each in told(readings, falling=falling)]


@given(st.lists(AMOUNTS, max_size=20))
def test_days_of_one_period_add_up_to_what_the_counter_rose_by(rises: list[Decimal]) -> None:
    """With a reading a day nothing is lost and nothing is added, to the last digit."""
    levels = [Decimal(0)]
    for rise in rises:
        levels.append(levels[-1] + rise)
    found = list(told([reading(n, level) for n, level in enumerate(levels)]))
    assert [each.used for each in found] == rises
    assert sum((each.used or Decimal(0) for each in found), Decimal(0)) == levels[-1]


@given(st.lists(st.tuples(st.integers(1, 5), AMOUNTS, st.sampled_from([RESETS, RESETS + timedelta(days=9), None]))))
def test_no_day_is_ever_below_nothing_twice_or_out_of_order(steps: list[tuple[int, Decimal, datetime | None]]) -> None:
    """Whatever the counter does, each day after the first reading's is told once, as an amount or a gap."""
    day, readings = 0, []
    for step, value, resets_at in steps:
        day += step
        readings.append(reading(day, value, resets_at=resets_at))
    found = list(told(readings))
    every = [FIRST + timedelta(days=n) for n in range(steps[0][0] + 1, day + 1)] if steps else []
    assert [each.day for each in found] == every
    assert all((each.used is None) == (each.why is not None) for each in found)
    assert all(each.used is None or each.used >= 0 for each in found)


@given(st.lists(AMOUNTS, min_size=2, max_size=12), st.data())
def test_a_missed_day_is_a_gap_and_spread_over_none(values: list[Decimal], data: st.DataObject) -> None:
    """Without one reading that day and the next are gaps; every other day is what it is with all readings."""
    levels = [sum(values[: n + 1], Decimal(0)) for n in range(len(values))]
    readings = [reading(n, level) for n, level in enumerate(levels)]
    missed = data.draw(st.integers(1, len(readings) - 1))
    whole = {each.day: each for each in told(readings)}
    found = {each.day: each for each in told(readings[:missed] + readings[missed + 1 :])}
    gap = {FIRST + timedelta(days=missed), FIRST + timedelta(days=missed + 1)} & set(found)
    assert all(found[day] == Told(day, None, "credits", MISSED) for day in gap)
    assert all(found[day] == whole[day] for day in set(found) - gap)


def test_the_first_reading_tells_nothing() -> None:
    """A counter that was never read before may hold months."""
    assert days() == days(reading(0, 500)) == []


@pytest.mark.parametrize(
    "after",
    [
        reading(1, 3),
        reading(1, 900, resets_at=RESETS + timedelta(days=31)),
        reading(1, 900, resets_at=None),
        reading(1, 900, plan="larger"),
        reading(1, 900, unit="characters"),
    ],
    ids=["fell", "other period", "no period any more", "other plan", "other unit"],
)
def test_a_counter_that_began_again_is_a_gap(after: Reading) -> None:
    """Neither the fall nor the rise since is the day's use; the day after is known again."""
    later = replace(after, day=FIRST + timedelta(days=2), at=after.at + timedelta(days=1), value=after.value + 7)
    assert days(reading(0, 500), after, later) == [(1, None, RESET), (2, Decimal(7), None)]


SLACK = timedelta(days=1)


@pytest.mark.parametrize(
    ("moved", "slack", "tells"),
    [
        (timedelta(0), timedelta(0), 5),
        (timedelta(seconds=1), timedelta(0), RESET),
        (timedelta(seconds=1), SLACK, 5),
        (timedelta(seconds=-90), SLACK, 5),
        (SLACK, SLACK, 5),
        (SLACK + timedelta(seconds=1), SLACK, RESET),
        (-SLACK - timedelta(seconds=1), SLACK, RESET),
        (timedelta(days=31), SLACK, RESET),
    ],
)
def test_a_reset_may_move_by_as_much_as_is_declared(moved: timedelta, slack: timedelta, tells: object) -> None:
    """Seconds from now end at another second each time; a reset that moves further is another period's."""
    (found,) = told([reading(0, 10), reading(1, 15, resets_at=RESETS + moved)], reset_slack=slack)
    assert (found.why or found.used) == tells


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (reading(0, 10), reading(1, 9)),
        (reading(0, 10), reading(1, 15, resets_at=None)),
        (reading(0, 10, resets_at=None), reading(1, 15)),
        (reading(0, 10), reading(1, 15, plan="larger")),
        (reading(29, 10), reading(30, 15)),
    ],
    ids=["fell", "lost its reset", "has one now", "another plan", "passed its reset"],
)
def test_leniency_with_resets_is_none_with_anything_else(before: Reading, after: Reading) -> None:
    """A fall, another plan and a reset that passed are never a day's use, however the reset may move."""
    (found,) = told([before, after], reset_slack=SLACK)
    assert (found.used, found.why) == (None, RESET)


def test_a_reset_that_is_over_is_one_though_the_vendor_says_the_same_still() -> None:
    """The moment the counter said it would begin again lies between the readings."""
    at = datetime(2026, 11, 2, tzinfo=UTC)
    assert days(reading(0, 5, resets_at=at), reading(1, 9, resets_at=at)) == [(1, None, RESET)]


def test_what_is_left_falls() -> None:
    """A balance goes down by what is used; one that rose was filled up, which hides the use."""
    left = [reading(n, value, resets_at=None) for n, value in enumerate((10, 7, 7, 50, 44))]
    assert days(*left, falling=True) == [(1, 3, None), (2, 0, None), (3, None, RESET), (4, 6, None)]


# ── over a ledger ────────────────────────────────────────────────────────────────────────────────────────────────

READING: Endpoint[Any] = Endpoint(name="state", path="/state", page=dict, facts=lambda _page, _ask: ())


def vendor(*datasets: Dataset) -> Provider:
    """Return a vendor of these datasets."""
    return Provider(
        id="vendor", title="Vendor", base_url="https://api.vendor.test", auth=PROVIDERS[0].auth, environment=(),
        key_help="", keys=(), datasets=datasets, services={}, offers={}, sources=(),
    )  # fmt: skip


MINE = Connection(
    name="mine", provider="vendor", credential="env:NONE", base_url=None, since=None, datasets=None, options={},
    allow_http=False,
)  # fmt: skip


class Home:
    """A ledger, a counter and what is told of it."""

    def __init__(self, ledger: Ledger, difference: Difference) -> None:
        self.ledger = ledger
        dataset = Dataset("state", "State", (Limit,), (READING,), grain="reading", differences=(difference,))
        self.provider = vendor(dataset)
        self.now = datetime(2026, 11, 1, 12, tzinfo=UTC)
        self.batches = 0

    def clock(self) -> datetime:
        """Return the moment of the day that was read last."""
        return self.now

    def put(self, dataset: str, day: int, *facts: Fact) -> None:
        """Commit facts of a day."""
        self.batches += 1
        self.now = datetime(2026, 11, 1, 12, self.batches % 60, tzinfo=UTC) + timedelta(days=day)
        partition = Partition("mine", dataset, Period.of_day(self.now.date()))
        batch = Batch(
            batch_id=f"b{self.batches}", partition=partition, provider="vendor", endpoint="state", fetch_id=None,
            digest=digest(facts), observed_at=self.now, facts=facts,
        )  # fmt: skip
        self.ledger.commit(Account(connection="mine", provider="vendor"), [batch])

    def derive(self) -> Any:
        """Tell the days and return the report of it; None where there was nothing to tell."""
        report = ConnectionReport("mine", "vendor")
        account = Account(connection="mine", provider="vendor")
        derive(self.ledger, MINE, self.provider, account, report, self.clock)
        return report.datasets[0] if report.datasets else None

    def usage(self) -> list[tuple[Any, ...]]:
        """Return the measured days."""
        sql = """SELECT day(usage_period_start), coalesce(sub_account_id, resource_id), meter, unit, quantity, part_of
                 FROM usage WHERE derived AND dataset = 'by_day' ORDER BY ALL"""
        return [tuple(row) for row in self.ledger.query(sql).rows]

    def troubles(self) -> dict[int, str]:
        """Return the days that are told to be no whole."""
        return {each.partition.period.first_day.day: each.problem for each in self.ledger.troubles("mine")}


@contextmanager
def home(path: Path, difference: Difference) -> Iterator[Home]:
    """Open a fresh ledger."""
    with Ledger.open(path, clock=lambda: datetime(2026, 11, 22, tzinfo=UTC)) as ledger:
        yield Home(ledger, difference)


def limit(
    used: int, scope: str = "all", sub_account: str | None = None, name: str = "counter", **details: str
) -> Limit:
    """Return a reading of a counter."""
    return Limit(
        name=name, scope=scope, kind=LimitKind.CREDIT, unit="credits", used=Decimal(used), resets_at=RESETS,
        sub_account_id=sub_account, details=dict(details) or None,
    )  # fmt: skip


BY_DAY = Difference("by_day", Limit, "counter", "Service", meter="credits", whole="daily")


def test_each_scope_is_a_counter_of_its_own(tmp_path: Path) -> None:
    """Two readings of a day are never taken for one counter, and a new one tells nothing on its first day."""
    with home(tmp_path, BY_DAY) as at:
        at.put("state", 0, limit(10, "a"), limit(100, "b", "org"))
        at.put("state", 1, limit(12, "a"), limit(150, "b", "org"), limit(7, "c"))
        assert at.derive().facts == 2
        assert at.usage() == [(2, "a", "credits", "credits", 2, None), (2, "org", "credits", "credits", 50, None)]
        assert at.troubles() == {}


def test_telling_again_changes_nothing_and_a_later_reading_replaces_the_day(tmp_path: Path) -> None:
    """The same readings commit nothing; the last reading of a day is the one that counts."""
    with home(tmp_path, BY_DAY) as at:
        at.put("state", 0, limit(10))
        assert at.derive() is None, "the first reading tells nothing"
        at.put("state", 1, limit(12))
        assert (at.derive().unchanged, at.derive().unchanged) == (0, 1)
        at.put("state", 1, limit(30))
        again = at.derive()
        assert (again.restated, again.unchanged) == (1, 0)
        assert at.usage() == [(2, "all", "credits", "credits", 20, None)]


def test_a_part_of_what_the_vendor_tells_whenever_it_tells_it(tmp_path: Path) -> None:
    """The day is the whole while nothing else tells it and a part once the vendor does: it never counts twice."""
    with home(tmp_path, BY_DAY) as at:
        at.put("state", 0, limit(10))
        at.put("state", 1, limit(12))
        at.derive()
        assert at.usage()[0][-1] is None
        said = Usage(usage_period=Period.of_day(FIRST + timedelta(days=1)), meter="credits", unit="credits",
                     quantity=Decimal(2), service_name="Service")  # fmt: skip
        at.put("daily", 1, said)
        assert at.derive().restated == 1
        assert at.usage()[0][-1] == "daily"
        assert at.ledger.query("SELECT sum(quantity) FROM usage WHERE part_of IS NULL").rows == [(2,)]


def test_days_that_stand_apart_are_in_no_sum(tmp_path: Path) -> None:
    """They are a part of the reading that tells them, whatever else the ledger holds."""
    with home(tmp_path, Difference("by_day", Limit, "counter", "Service", meter="credits", apart=True)) as at:
        at.put("state", 0, limit(10))
        at.put("state", 1, limit(12))
        at.derive()
        assert at.usage() == [(2, "all", "credits", "credits", 2, "state")]


def test_gaps_are_told_once_and_stand_without_facts(tmp_path: Path) -> None:
    """Missed days and a reset are known to be no whole, each with its reason; a second sync is silent about them."""
    with home(tmp_path, BY_DAY) as at:
        at.put("state", 0, limit(10))
        at.put("state", 3, limit(40))
        at.put("state", 4, limit(2))
        codes = [problem.code for problem in at.derive().problems]
        assert codes == [MISSED, MISSED, MISSED, RESET]
        assert at.troubles() == {2: MISSED, 3: MISSED, 4: MISSED, 5: RESET}
        assert at.usage() == []
        again = at.derive()
        assert (again.problems, again.unchanged) == ([], 4)
        assert at.troubles() == {2: MISSED, 3: MISSED, 4: MISSED, 5: RESET}


def test_a_day_that_becomes_a_gap_loses_its_figure(tmp_path: Path) -> None:
    """What the morning's reading told of the day is no longer its use once the counter has begun again by night."""
    with home(tmp_path, BY_DAY) as at:
        at.put("state", 0, limit(10))
        at.put("state", 1, limit(60))
        at.derive()
        at.put("state", 1, limit(5))
        at.derive()
        assert (at.usage(), at.troubles()) == ([], {2: RESET})


def test_a_gap_the_vendor_tells_itself_is_none(tmp_path: Path) -> None:
    """Days without a difference are not held against an answer that has them from the vendor."""
    with home(tmp_path, BY_DAY) as at:
        for day in range(5):
            at.put("daily", day)
        at.put("state", 0, limit(10))
        at.put("state", 4, limit(40))
        at.derive()
        assert (at.usage(), at.troubles()) == ([], {})


def test_a_counter_of_money_becomes_an_estimate(tmp_path: Path) -> None:
    """Its days are cost of the weakest basis, and none at all where the vendor bills days itself."""
    rule = Difference("by_day", Limit, "due", "Service", period_of="plan", same=("tier",), whole="costs")
    with home(tmp_path, rule) as at:
        for day, (due, tier) in enumerate(((5, "a"), (9, "a"), (20, "a"), (21, "b"))):
            money = replace_unit(limit(due, name="due"), "USD")
            at.put("state", day, money, limit(0, name="plan", tier=tier))
        at.put("costs", 2)
        at.derive()
        sql = "SELECT day(ChargePeriodStart), BilledCost, BillingCurrency, x_Basis FROM charges ORDER BY 1"
        assert [tuple(row) for row in at.ledger.query(sql).rows] == [(2, 4, "USD", "estimated")]
        assert at.troubles() == {4: RESET}, "another plan"


def test_balances_and_measurements_are_counters_too(tmp_path: Path) -> None:
    """A balance is read by its name and a measurement by its meter."""
    with home(tmp_path / "a", Difference("by_day", Balance, "wallet", "Service", meter="spent", falling=True)) as at:
        for day, left in enumerate((10, 4)):
            at.put("state", day, Balance(name="wallet", amount=Decimal(left), currency="USD"))
        at.derive()
        assert at.usage() == [(2, "wallet", "spent", "USD", 6, None)]
    with home(tmp_path / "b", Difference("by_day", Usage, "total", "Service", meter="seconds")) as at:
        for day, total in enumerate((10, 70)):
            period = Period.of_day(FIRST + timedelta(days=day))
            at.put("state", day, Usage(usage_period=period, meter="total", unit="seconds", quantity=Decimal(total),
                                       service_name="Service", resource_id="r"))  # fmt: skip
        at.derive()
        assert at.usage() == [(2, "r", "seconds", "seconds", 60, None)]


def replace_unit(fact: Limit, unit: str) -> Limit:
    """Return a reading in another unit."""
    import msgspec

    return msgspec.structs.replace(fact, unit=unit)


def test_differences_stand_apart_and_name_what_is_there() -> None:
    """Each has a dataset of its own that nothing is asked for, and its whole is one of the provider's."""
    for provider in PROVIDERS:
        names = [dataset.name for dataset in provider.datasets]
        rules = [rule for dataset in provider.datasets for rule in dataset.differences]
        derived = [rule.dataset for rule in rules]
        assert len({*names, *derived}) == len(names) + len(derived)
        assert all(rule.whole is None or rule.whole in names for rule in rules)
        assert all(rule.service in provider.services for rule in rules)
        readings = [dataset for dataset in provider.datasets if dataset.differences]
        assert all(dataset.grain == "reading" for dataset in readings)
        assert all(rule.of in dataset.yields for dataset in readings for rule in dataset.differences)


def test_a_part_that_is_missing_is_known_by_the_tables_alone(tmp_path: Path) -> None:
    """The reason stands with the batch: losing the state, or seeing the same again, does not make it a whole."""
    with home(tmp_path, BY_DAY) as at:
        at.put("state", 0, limit(10))
        at.put("state", 2, limit(40))
        at.derive()
        before = at.troubles()
        assert before == {2: MISSED, 3: MISSED}
    (tmp_path / "state.sqlite").unlink()
    with home(tmp_path, BY_DAY) as again:
        assert again.troubles() == before
        again.now = at.now
        assert again.derive().unchanged == 2
        assert again.troubles() == before
        again.put("by_day", 1)
        assert again.troubles() == {3: MISSED}, "a whole takes its place"
