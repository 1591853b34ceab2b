"""Hugging Face and ElevenLabs when they do not answer well: each fault in their own words, and how it is repaired.

Each test asks for what the tests of faults in general ask for: the user learns what happened, the number is the truth
or the old truth, nothing committed is lost, no credential is anywhere, and one more sync gives exactly the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from engine.striking import EVERY_DAY, problems, states
from outlay.analysis.query import Query
from outlay.analysis.reconcile import mismatches
from outlay.errors import Exit
from outlay.simulator.worlds.huggingface import ACME, INFERENCE, SHUT, USER

Make = Callable[..., Any]
Days = dict[date, Decimal]
BILLED = "SELECT ChargePeriodStart::DATE, sum(BilledCost) FROM charges WHERE x_Dataset IN ({}) GROUP BY 1"


@dataclass(frozen=True)
class Vendor:
    """One of the two: its key, the datasets with the money, and what the world says that these hold."""

    id: str
    key: str
    costs: tuple[str, ...]
    names: tuple[str, ...] = ()

    def made(self, make: Make, **fields: Any) -> Any:
        """Return a bench with one connection that reads the money and what it takes to."""
        only = {self.id: (*self.names, *self.costs)}
        fields = {"days": 4, "world_days": 12, "keys": {self.id: self.key}, "datasets": only, **fields}
        return make(3, providers=(self.id,), **fields)

    def days(self, one: Any) -> Days:
        """Return the ledger's cost of each day."""
        listed = ", ".join(f"'{name}'" for name in self.costs)
        return {day: amount for day, amount in one.rows(BILLED.format(listed)) if amount}

    def truth(self, one: Any) -> Days:
        """Return the world's cost of each day that is synced."""
        if self is ELEVENLABS:
            # Lines are rounded where they enter the ledger, and not their sums.
            lines = ("product_type", "model", "fiat_charge_type")
            spends = one.world.truth(self.id).spend(("day",), one.first, rows=lines)
            return {day: each.billed for (day,), each in spends.items() if each.billed}
        account, kinds, found = one.world.account(self.id), ("inference", "job"), dict[date, Decimal]()
        for owner in (USER, ACME):
            for day, event in account.events(owner, one.first, one.world.today + timedelta(days=1)):
                if event.kind in kinds:
                    found[day] = found.get(day, Decimal(0)) + event.dollars
        return {day: amount for day, amount in found.items() if amount}

    def stale(self, one: Any) -> set[date]:
        """Return the days of cost that are known to be stale or missing."""
        with one.ledger() as ledger:
            troubles = ledger.troubles(self.id)
        return {each.partition.period.first_day for each in troubles if each.partition.dataset in self.costs}

    def restate(self, one: Any) -> None:
        """Change what is held already: the latest day that costs anything."""
        for day in sorted(self.truth(one), reverse=True):
            one.world.restate(self.id, day, "up")
            if self.days(one) != self.truth(one):
                return
        raise AssertionError("nothing can be restated")

    def repaired(self, one: Any) -> None:
        """Lift every fault: one sync is enough for exactly the truth, and nothing is stale after it."""
        one.simulator.faults.clear()
        report = one.sync()
        assert report.exit is Exit.DONE, report.to_json()
        assert self.days(one) == self.truth(one) != {}
        assert not self.stale(one)


HUGGINGFACE = Vendor("huggingface", "sim-huggingface-fine", ("usage", "organization_usage"), ("account",))
ELEVENLABS = Vendor("elevenlabs", "sim-elevenlabs-reader", ("costs",))
each_vendor = pytest.mark.parametrize("vendor", [HUGGINGFACE, ELEVENLABS], ids=lambda vendor: vendor.id)


def synced(vendor: Vendor, make: Make, **fields: Any) -> Any:
    """Return a bench whose ledger holds the truth of a few days."""
    one = vendor.made(make, **fields)
    assert one.sync().exit is Exit.DONE
    assert vendor.days(one) == vendor.truth(one) != {}
    return one


class Time:
    """A clock that moves only when the wire waits, and remembers for how long it did."""

    def __init__(self) -> None:
        self.now, self.waited = 0.0, list[float]()

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.waited.append(round(seconds, 3))
        self.now += seconds

    def settings(self) -> dict[str, Any]:
        """Return what a wire is given."""
        return {"sleep": self.sleep, "monotonic": lambda: self.now, "random": lambda: 1.0}


# ── answers that are no answers ──────────────────────────────────────────────────────────────────────────────────


@each_vendor
@pytest.mark.parametrize(
    ("kind", "settings", "code"),
    [
        ("rate_limit", {}, "retry_later"),
        ("rate_limit", {"delay": None}, "retry_later"),
        ("rate_limit", {"delay": 86_400}, "retry_later"),
        ("server_error", {}, "retry_later"),
        ("server_error", {"status": 503}, "retry_later"),
        ("html", {}, "retry_later"),
        ("html", {"status": 200}, "payload_unreadable"),
        ("html", {"status": 403}, "payload_unreadable"),
        ("cut", {}, "payload_unreadable"),
    ],
)
def test_a_vendor_that_never_answers_well(
    vendor: Vendor, kind: str, settings: dict[str, Any], code: str, bench: Make
) -> None:
    """The requests are bounded, the code says who acts, and the old truth stands, known to be stale."""
    one = synced(vendor, bench)
    before = vendor.days(one)
    vendor.restate(one)
    one.simulator.faults.add(kind, times="forever", **settings)
    one.simulator.forget()
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, vendor.id)) == {code}, report.to_json()
    assert vendor.days(one) == before
    assert len(vendor.stale(one)) == one.days + 1
    # Six attempts for each question, and none again for what is known to be closed.
    assert len(one.simulator.requests) <= 6 * 2 * (one.days + 1) + 6
    vendor.repaired(one)


@each_vendor
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("rate_limit", {"delay": 30}),
        ("rate_limit", {"delay": 30, "delay_form": "date"}),
        ("rate_limit", {"delay": None}),
        ("server_error", {"times": 3}),
        ("server_error", {"status": 502}),
        ("html", {}),
        ("cut", {"times": 2}),
    ],
)
def test_a_vendor_that_fails_once(vendor: Vendor, kind: str, settings: dict[str, Any], bench: Make) -> None:
    """What passes by itself is asked again within the same sync, and nobody needs to know."""
    one = vendor.made(bench)
    one.simulator.faults.add(kind, **settings)
    report = one.sync()
    assert report.exit is Exit.DONE, report.to_json()
    assert vendor.days(one) == vendor.truth(one) != {}
    assert one.simulator.faults.active() == []


@each_vendor
@pytest.mark.parametrize("kind", ["extra_fields", "unknown_enums", "string_amounts"])
def test_what_is_new_changes_nothing(vendor: Vendor, kind: str, bench: Make) -> None:
    """Fields and words no one has heard of, and numbers as text, are the same cost."""
    one = vendor.made(bench)
    one.simulator.faults.add(kind)
    report = one.sync()
    assert report.exit is Exit.DONE, report.to_json()
    assert vendor.days(one) == vendor.truth(one) != {}


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400", "twelve"])
def test_an_amount_that_is_none_keeps_the_day_it_is_of(text: str, bench: Make) -> None:
    """Hugging Face's day with it stays what it was and is told; it is never taken for nothing."""
    one = synced(HUGGINGFACE, bench)
    before = HUGGINGFACE.days(one)
    HUGGINGFACE.restate(one)
    one.simulator.faults.add("nan_amount", text=text, path="*usage-v2")
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, "huggingface")) <= {"payload_unreadable", "amount_refused"}
    assert HUGGINGFACE.days(one) == before
    HUGGINGFACE.repaired(one)


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@each_vendor
def test_a_key_that_is_wrong_from_the_start(vendor: Vendor, bench: Make) -> None:
    """It is asked with a handful of times, told as refused, and what was committed stands."""
    one = synced(vendor, bench)
    before, good = vendor.days(one), one.keys
    one.keys = {vendor.id: "wrong-" + "key-of-nobody"}
    one.simulator.forget()
    report = one.sync(span=EVERY_DAY)
    assert states(report) == {vendor.id: "failed"}
    assert set(problems(report, vendor.id)) == {"access_denied"}
    assert vendor.days(one) == before
    assert 1 <= len(one.simulator.requests) <= 5
    one.keys = good
    vendor.repaired(one)


@each_vendor
def test_a_key_revoked_in_the_middle(vendor: Vendor, bench: Make) -> None:
    """What came before it was revoked is right, the rest is known to be missing, and no key is tried for ever."""
    one = vendor.made(bench, days=9, world_days=12)
    after = 6 if vendor is HUGGINGFACE else 0
    one.simulator.faults.add("revoked_key", after=after)
    report = one.sync()
    assert "access_denied" in problems(report, vendor.id)
    true, kept = vendor.truth(one), vendor.days(one)
    # Those that were under way already: four of each dataset.
    assert len(one.simulator.requests) <= after + 4 * len(vendor.costs)
    own = {day: amount for day, amount in true.items() if day not in vendor.stale(one)}
    assert {day: amount for day, amount in kept.items() if day in own} == own
    assert vendor.stale(one)
    vendor.repaired(one)


# ── Hugging Face's own ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("delay", "least"), [(None, 301.0), (3, 301.0), (900, 900.0)], ids=["quota alone", "shorter delay", "longer delay"]
)
def test_a_quota_that_is_used_up_is_waited_for(delay: int | None, least: float, bench: Make) -> None:
    """With `r=0` nothing is sent until the window is over and a second more, whatever Retry-After asks for besides."""
    one, time = HUGGINGFACE.made(bench, days=1), Time()
    one.simulator.faults.add("rate_limit", delay=delay, path="*usage-v2")
    report = one.sync(**time.settings())
    assert report.exit is Exit.DONE, report.to_json()
    assert time.now >= least, time.waited
    assert HUGGINGFACE.days(one) == HUGGINGFACE.truth(one)


def test_the_strict_question_refused_at_first_costs_the_organizations_alone(bench: Make) -> None:
    """Without the list no organization is taken for one without cost; the user's own bill is whole."""
    one = HUGGINGFACE.made(bench)
    one.simulator.faults.add("rate_limit", delay=None, path="*whoami-v2", times="forever")
    report = one.sync()
    assert states(report) == {"huggingface": "partial"}
    assert set(problems(report, "huggingface")) == {"retry_later"}
    account, own = one.world.account("huggingface"), HUGGINGFACE.days(one)
    for day in own:
        kinds = (account.spent(USER, day, day + timedelta(days=1), kind) for kind in ("inference", "job"))
        assert own[day] == sum(kinds)
    with one.ledger() as ledger:
        missing = {each.partition.period.first_day for each in ledger.troubles("huggingface")
                   if each.partition.dataset == "organization_usage"}  # fmt: skip
    assert len(missing) == one.days + 1
    HUGGINGFACE.repaired(one)


def test_the_strict_question_is_not_asked_while_its_answer_is_fresh(bench: Make) -> None:
    """Within six hours its quota cannot be run into: the organizations of the last answer are read."""
    one = synced(HUGGINGFACE, bench)
    one.simulator.faults.add("rate_limit", delay=None, path="*whoami-v2", times="forever")
    one.clock_ahead = timedelta(hours=5)
    HUGGINGFACE.restate(one)
    assert one.sync(span=None).exit is Exit.DONE
    assert HUGGINGFACE.days(one) == HUGGINGFACE.truth(one)


def test_placeholders_move_for_half_an_hour(bench: Make) -> None:
    """Requests booked, settled and dropped move today up and down; every sync tells what the vendor says then."""
    first = date(2026, 11, 1)
    days_since = (date(2026, 11, 22) - first).days
    one = HUGGINGFACE.made(bench, days=days_since, world_days=days_since + 1, datasets={
        "huggingface": ("account", "usage", "organization_usage", "credits", "organization_credits"),
    })  # fmt: skip
    account, today = one.world.account("huggingface"), one.world.today
    older = None
    for minutes, pending in ((0, 2), (10, 9), (20, 4), (30, 0)):
        one.clock_ahead = timedelta(minutes=minutes)
        account.pending = pending
        assert one.sync().exit is Exit.DONE
        found, true = HUGGINGFACE.days(one), HUGGINGFACE.truth(one)
        assert found.get(today, 0) - true.get(today, 0) == pending * Decimal("0.01")
        rest = {day: amount for day, amount in found.items() if day != today}
        assert older in (None, rest), "no other day moves"
        older = rest
    assert HUGGINGFACE.days(one) == HUGGINGFACE.truth(one)
    with one.ledger() as ledger:
        assert mismatches(ledger, Query(from_=first, to=date(2026, 12, 1)), one.clock) == ()


def test_used_up_credits_are_told_as_such(bench: Make) -> None:
    """402 is the account's own quota and no fault of the token; the rest of the connection goes on."""
    one = synced(HUGGINGFACE, bench)
    before = HUGGINGFACE.days(one)
    one.simulator.faults.add("server_error", status=402, path="/api/settings/billing/usage-v2", times="forever")
    report = one.sync(span=EVERY_DAY)
    assert set(problems(report, "huggingface")) == {"out_of_quota"}
    assert HUGGINGFACE.days(one) == before
    HUGGINGFACE.repaired(one)


def test_an_organization_that_is_renamed_is_a_gap(bench: Make) -> None:
    """A name that is not found any more is not one without cost."""
    one = synced(HUGGINGFACE, bench)
    before = HUGGINGFACE.days(one)
    one.simulator.faults.add("server_error", status=404, path=f"*organizations/{ACME}/*", times="forever")
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.PROVIDER
    assert HUGGINGFACE.days(one) == before
    assert len(HUGGINGFACE.stale(one)) == one.days + 1
    HUGGINGFACE.repaired(one)


def test_one_of_several_that_is_not_found_makes_no_whole_of_the_others(bench: Make) -> None:
    """What the others cost is there, and every day of it is known to lack one, however the vendor says so."""
    one = HUGGINGFACE.made(bench, changes={"huggingface": {"options": {}}})
    one.simulator.faults.add("server_error", status=404, path=f"*organizations/{SHUT}/*", times="forever")
    report = one.sync()
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, "huggingface")) == {"permission_missing"}
    assert HUGGINGFACE.days(one) == HUGGINGFACE.truth(one)
    assert len(HUGGINGFACE.stale(one)) == one.days + 1
    one.changes = {}
    HUGGINGFACE.repaired(one)


def test_a_path_that_is_retired_costs_only_itself(bench: Make) -> None:
    """One that begins to answer 404 is noted or missing, and nobody else's number moves."""
    one = HUGGINGFACE.made(bench, datasets={"huggingface": ("account", "usage", "organization_usage", "zero_gpu")})
    one.simulator.faults.add("server_error", status=404, path="*zero-gpu*", times="forever")
    report = one.sync()
    assert set(problems(report, "huggingface")) == {"not_offered"}
    assert HUGGINGFACE.days(one) == HUGGINGFACE.truth(one)
    assert one.world.account("huggingface").spent(USER, one.first, one.world.today, INFERENCE) > 0


# ── ElevenLabs' own ──────────────────────────────────────────────────────────────────────────────────────────────


def test_too_many_requests_at_once_are_backed_off_from(bench: Make) -> None:
    """No delay is named: the waits double, and the same question is answered in the end."""
    one, time = ELEVENLABS.made(bench), Time()
    one.simulator.faults.add("rate_limit", delay=None, times=4)
    report = one.sync(**time.settings())
    assert report.exit is Exit.DONE, report.to_json()
    backed_off = [seconds for seconds in time.waited if seconds >= 1]
    assert backed_off == [1, 2, 4, 8]
    assert ELEVENLABS.days(one) == ELEVENLABS.truth(one)


@pytest.mark.parametrize(
    ("key", "code", "works"),
    [
        ("sim-elevenlabs-analytics", "permission_missing", True),
        ("sim-elevenlabs-user", "permission_missing", False),
        ("sim-elevenlabs-spent", "out_of_quota", False),
        ("sim-elevenlabs-nobody", "access_denied", False),
    ],
)
def test_one_status_means_three_things(key: str, code: str, works: bool, bench: Make) -> None:
    """401 is a missing permission, a used-up key or a wrong one: the rest works, waits, or is not even tried."""
    one = ELEVENLABS.made(bench, keys={"elevenlabs": key}, datasets={"elevenlabs": ("costs", "subscription")})
    report = one.sync()
    assert set(problems(report, "elevenlabs")) == {code}
    assert (ELEVENLABS.days(one) == ELEVENLABS.truth(one)) is works
    readings = one.rows("SELECT count(*) FROM limits WHERE name = 'credits'")
    assert readings == [(1 if key.endswith("user") else 0,)]
    one.keys = {"elevenlabs": ELEVENLABS.key}
    ELEVENLABS.repaired(one)


def test_a_key_that_lost_a_permission_keeps_what_was_read(bench: Make) -> None:
    """Costs stay as they were and are stale; the subscription goes on being read."""
    one = synced(ELEVENLABS, bench, datasets={"elevenlabs": ("costs", "subscription")})
    before = ELEVENLABS.days(one)
    one.keys = {"elevenlabs": "sim-elevenlabs-user"}
    report = one.sync(span=EVERY_DAY)
    assert states(report) == {"elevenlabs": "partial"}
    assert ELEVENLABS.days(one) == before
    assert len(ELEVENLABS.stale(one)) == one.days + 1
    one.keys = {"elevenlabs": ELEVENLABS.key}
    ELEVENLABS.repaired(one)
