"""Every fault a vendor, a network, a machine or a user can produce, against whole syncs.

Each test asks for the same four things: the user learns what happened and what to do; the number is the truth or the
old truth; nothing committed is lost; no credential is anywhere (the `bench` fixture searches for it). When the fault
is over, one more sync gives exactly the truth.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from outlay.errors import Exit, StoreError
from outlay.sync.plan import Span

FEW = {"openai": ("projects", "costs"), "anthropic": ("costs",), "github": ("usage",)}
"""The datasets with the money, and one of names."""
COSTS = {"openai": "costs", "anthropic": "costs", "github": "usage"}
ALL = tuple(sorted(FEW))
EVERY_DAY = Span(full=True)


def problems(report: Any, connection: str) -> dict[str, Any]:
    """Return a connection's problems, its datasets' included, by their code; each has a hint."""
    each = next(each for each in report.connections if each.connection == connection)
    found = [*each.problems, *(problem for dataset in each.datasets for problem in dataset.problems)]
    assert all(problem.hint and problem.says for problem in found)
    return {problem.code: problem for problem in found}


def states(report: Any) -> dict[str, str]:
    """Return each connection's state."""
    return {each.connection: each.state for each in report.connections}


def stale(one: Any, connection: str) -> set[date]:
    """Return the days of cost whose last fetch failed."""
    with one.ledger() as ledger:
        troubles = ledger.troubles(connection)
    return {each.partition.period.first_day for each in troubles if each.partition.dataset == COSTS[connection]}


def repaired(one: Any) -> None:
    """Lift every fault; one sync is then enough for exactly the truth, and for nothing to be stale."""
    one.simulator.faults.clear()
    report = one.sync()
    assert report.exit is Exit.DONE, report.to_json()
    assert one.right()
    assert not any(stale(one, connection) for connection in one.providers)


def restate(one: Any, provider: str) -> None:
    """Change what the ledger holds already: the latest day whose first entry costs anything."""
    for day in sorted(one.true_days(provider), reverse=True):
        one.world.restate(provider, day, "up")
        if not one.right(provider):
            return
    raise AssertionError(f"nothing of {provider} can be restated")


def synced(bench: Callable[..., Any], **fields: Any) -> Any:
    """Return a bench whose ledger holds the truth of a few days of the datasets with the money."""
    one = bench(**{"days": 4, "datasets": FEW, **fields})
    assert one.sync().exit is Exit.DONE
    assert one.right()
    return one


def struck(one: Any, **settings: Any) -> Any:
    """Restate the world, sync every day again under the faults in force, and prove that the old truth stands."""
    before = {provider: one.days_of(provider) for provider in one.providers}
    for provider in one.providers:
        restate(one, provider)
    report = one.sync(span=EVERY_DAY, **settings)
    assert {provider: one.days_of(provider) for provider in one.providers} == before
    return report


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("provider", ALL)
def test_a_wrong_key(provider: str, bench: Callable[..., Any]) -> None:
    """The vendor's refusal of the key is told with what kind of key it takes; the others go on."""
    one = synced(bench)
    good, one.keys = one.keys, {provider: "wrong-" + "key-of-nobody"}
    for each in one.providers:
        restate(one, each)
    before = one.days_of(provider)
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.PROVIDER
    assert states(report) == {each: "failed" if each == provider else "ok" for each in ALL}
    found = problems(report, provider)
    assert set(found) == {"access_denied"}
    assert "401" in found["access_denied"].says
    assert one.days_of(provider) == before
    assert one.right(*(each for each in ALL if each != provider))
    assert stale(one, provider)
    used = [seen for seen in one.simulator.requests if seen.provider == provider and seen.status == 401]
    assert 1 <= len(used) <= 4, "a refused key is not tried again"
    one.keys = good
    repaired(one)


def test_a_key_for_usage_only(bench: Callable[..., Any]) -> None:
    """Restricted to reading usage, costs come whole and the rest says which permission is missing."""
    one = bench(days=4, providers=("openai",), keys={"openai": "sim-openai-usage"})
    report = one.sync()
    assert states(report) == {"openai": "partial"}
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, "openai")) == {"permission_missing"}
    assert one.right()
    one.keys = None
    repaired(one)


def test_a_key_that_may_not_read_usage(bench: Callable[..., Any]) -> None:
    """Restricted to management, names and limits come, costs are missing and known to be, and never zero."""
    one = bench(days=4, providers=("openai",), keys={"openai": "sim-openai-restricted"})
    report = one.sync()
    assert states(report) == {"openai": "partial"}
    assert "permission_missing" in problems(report, "openai")
    assert one.rows("SELECT count(*) FROM names WHERE kind = 'project'") != [(0,)]
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]
    assert len(stale(one, "openai")) == one.days + 1
    one.keys = None
    repaired(one)


@pytest.mark.parametrize(
    ("provider", "key"),
    [
        ("openai", "sim-openai-project"),
        ("anthropic", "sim-anthropic-workspace"),
        ("github", "sim-github-noscope"),
        ("github", "sim-github-finegrained"),
    ],
)
def test_a_key_of_the_wrong_kind(provider: str, key: str, bench: Callable[..., Any]) -> None:
    """A key that opens none of this is a failure with a hint; costs are never taken for none."""
    one = bench(days=3, datasets=FEW, providers=(provider,), keys={provider: key})
    report = one.sync()
    assert states(report) == {provider: "failed"}
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, provider)) <= {"access_denied", "permission_missing", "not_offered"}
    assert stale(one, provider)
    one.keys = None
    repaired(one)


def test_a_key_without_one_scope(bench: Callable[..., Any]) -> None:
    """A scoped key of Anthropic's that reads the analytics gives exact costs; what it may not read is named."""
    one = bench(days=4, providers=("anthropic",), keys={"anthropic": "sim-anthropic-analytics"})
    report = one.sync()
    assert states(report) == {"anthropic": "partial"}
    assert "permission_missing" in problems(report, "anthropic")
    assert one.right()
    one.keys = None
    repaired(one)


def test_a_credential_that_is_not_there(bench: Callable[..., Any]) -> None:
    """An unset variable is named; only its connection fails, and no request is made for it."""
    one = bench(days=3, datasets=FEW, keys={"anthropic": None})
    report = one.sync()
    assert report.exit is Exit.PROVIDER
    assert states(report) == {"openai": "ok", "anthropic": "failed", "github": "ok"}
    found = problems(report, "anthropic")["credential_missing"]
    assert "ANTHROPIC_KEY" in found.says
    assert "ANTHROPIC_KEY" in found.hint
    assert not [seen for seen in one.simulator.requests if seen.provider == "anthropic"]
    assert one.right("openai", "github")
    one.keys = None
    repaired(one)


def test_a_key_revoked_in_the_middle(bench: Callable[..., Any]) -> None:
    """Days that came before the key was revoked stay, the rest is stale, the other connections go on."""
    one = bench(days=8, datasets=FEW)
    one.simulator.faults.add("revoked_key", provider="github", after=5)
    report = one.sync()
    assert states(report) == {"openai": "ok", "anthropic": "ok", "github": "partial"}
    assert "access_denied" in problems(report, "github")
    true, kept, missing = one.true_days("github"), one.days_of("github"), stale(one, "github")
    assert kept
    assert all(kept[day] == true[day] for day in kept)
    assert len(missing) == one.days + 1 - 5
    assert not missing & set(kept)
    assert one.right("openai", "anthropic")
    repaired(one)


# ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_plain_http_to_another_machine(bench: Callable[..., Any]) -> None:
    """A credential does not travel unencrypted unless the connection says so; nothing is sent."""
    one = synced(bench)
    before = one.days_of("openai")
    one.changes = {"openai": {"base_url": "http://vendor.invalid"}}
    report = one.sync(span=EVERY_DAY)
    assert states(report) == {"openai": "failed", "anthropic": "ok", "github": "ok"}
    found = problems(report, "openai")["config"]
    assert "https" in found.says + found.hint
    assert next(each for each in report.connections if each.connection == "openai").requests == 0
    assert one.days_of("openai") == before
    one.changes = {}
    repaired(one)


def test_nobody_at_the_address(bench: Callable[..., Any]) -> None:
    """Where nothing listens, the attempts are bounded, the hint names what to look at, the others go on."""
    one = synced(bench)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        one.changes = {"openai": {"base_url": f"http://127.0.0.1:{taken.getsockname()[1]}/openai"}}
        before = one.days_of("openai")
        restate(one, "anthropic")
        report = one.sync(span=EVERY_DAY)
    assert states(report) == {"openai": "failed", "anthropic": "ok", "github": "ok"}
    found = problems(report, "openai")["unreachable"]
    assert "base_url" in found.hint
    assert next(each for each in report.connections if each.connection == "openai").requests <= 12
    assert one.days_of("openai") == before
    one.changes = {}
    repaired(one)


def test_a_redirect_to_another_host(bench: Callable[..., Any]) -> None:
    """The other host never sees a request; the message names it."""
    one, other = synced(bench), bench(seed=9)
    one.simulator.faults.add("redirect", times="forever", to=f"{other.simulator.url}/openai/v1/organization/costs")
    report = struck(one)
    assert set(states(report).values()) == {"failed"}
    for provider in ALL:
        found = problems(report, provider)["unreachable"]
        assert "127.0.0.1" in found.says
        assert "base_url" in found.hint
    assert other.simulator.requests == []
    repaired(one)


# ── answers that are no answers ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "rate_limit"}, "retry_later"),
        ({"kind": "rate_limit", "delay": None}, "retry_later"),
        ({"kind": "rate_limit", "delay": 86_400}, "retry_later"),
        ({"kind": "server_error"}, "retry_later"),
        ({"kind": "server_error", "status": 503}, "retry_later"),
        ({"kind": "html"}, "retry_later"),
        ({"kind": "html", "status": 200}, "payload_unreadable"),
        ({"kind": "html", "status": 404}, "payload_unreadable"),
        ({"kind": "cut"}, "payload_unreadable"),
        ({"kind": "repeat_cursor", "providers": ("anthropic", "openai")}, "payload_unreadable"),
        ({"kind": "null_cursor", "providers": ("anthropic", "openai")}, "payload_unreadable"),
        ({"kind": "nan_amount", "text": None, "providers": ("anthropic", "github")}, "payload_unreadable"),
    ],
    ids=lambda value: (
        "-".join(str(part) for part in value.values() if isinstance(part, str | int))
        if isinstance(value, dict)
        else None
    ),
)
def test_a_vendor_that_never_answers_well(fault: dict[str, Any], code: str, bench: Callable[..., Any]) -> None:
    """For ever means a bounded number of requests, a code that says who acts, and the old truth, known to be stale."""
    fault = dict(fault)
    providers = fault.pop("providers", ALL)
    one = synced(bench, providers=providers)
    one.simulator.faults.add(fault.pop("kind"), times="forever", **fault)
    one.simulator.forget()
    report = struck(one)
    assert report.exit is Exit.PROVIDER
    assert set(states(report).values()) == {"failed"}
    for provider in providers:
        assert set(problems(report, provider)) == {code}, report.to_json()
        assert len(stale(one, provider)) == one.days + 1
        each = next(each for each in report.connections if each.connection == provider)
        assert all(len(dataset.problems) == 1 for dataset in each.datasets), "each failure is told once"
    assert len(one.simulator.requests) <= 6 * 9
    repaired(one)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "rate_limit", "delay": 30},
        {"kind": "rate_limit", "delay": 30, "delay_form": "date"},
        {"kind": "rate_limit", "delay": None},
        {"kind": "server_error", "times": 3},
        {"kind": "server_error", "status": 529},
        {"kind": "html"},
        {"kind": "cut", "times": 2},
    ],
    ids=lambda fault: "-".join(str(part) for part in fault.values()),
)
def test_a_vendor_that_fails_once(fault: dict[str, Any], bench: Callable[..., Any]) -> None:
    """What passes by itself is asked again within the same sync, and nobody needs to know."""
    one = bench(days=4, datasets=FEW)
    fault = dict(fault)
    kind = fault.pop("kind")
    for provider in ALL:
        one.simulator.faults.add(kind, provider=provider, **fault)
    report = one.sync()
    assert report.exit is Exit.DONE, report.to_json()
    assert one.right()
    assert one.simulator.faults.active() == []


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_the_wait_the_vendor_asks_for_is_kept(form: str, bench: Callable[..., Any]) -> None:
    """Retry-After is honoured in both of its forms: nothing is sent before the time is over."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    one = bench(days=2, datasets=FEW, providers=("anthropic",))
    one.simulator.faults.add("rate_limit", delay=7, delay_form=form)
    moments = iter(range(0, 10**6, 10))
    report = one.sync(sleep=sleep, monotonic=lambda: float(next(moments)))
    assert report.exit is Exit.DONE
    assert waited[0] == 7.0
    assert one.right()


def test_one_failing_provider_stops_no_other(bench: Callable[..., Any]) -> None:
    """Whatever one vendor does, the other two are exact."""
    for provider in ALL:
        one = bench(days=2, datasets=FEW)
        one.simulator.faults.add("server_error", provider=provider, times="forever")
        report = one.sync()
        assert states(report) == {each: "failed" if each == provider else "ok" for each in ALL}
        assert one.right(*(each for each in ALL if each != provider))
        repaired(one)


def test_a_bug_of_ours_in_one_provider_stops_no_other(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no one foresaw is told as a bug of its connection, and the others are done."""
    from outlay.sync import connection

    one = synced(bench)
    before = one.days_of("github")
    real = connection.check

    def broken(dataset: Any, period: Any, facts: Any) -> Any:
        if dataset.name == COSTS["github"]:
            raise IndexError("nobody thought of this")
        return real(dataset, period, facts)

    for provider in ALL:
        restate(one, provider)
    with monkeypatch.context() as patched:
        patched.setattr(connection, "check", broken)
        report = one.sync(span=EVERY_DAY)
    assert states(report) == {"openai": "ok", "anthropic": "ok", "github": "failed"}
    assert report.exit is Exit.PROVIDER
    found = problems(report, "github")["bug"]
    assert "IndexError" in found.says
    assert "report" in found.hint
    assert one.right("openai", "anthropic")
    assert one.days_of("github") == before
    repaired(one)


# ── answers that are odd ─────────────────────────────────────────────────────────────────────────────────────────


def sums(days: dict[date, dict[Any, Decimal]]) -> dict[date, Decimal]:
    """Return the sum of each day."""
    return {day: sum(lines.values(), Decimal(0)) for day, lines in days.items()}


@pytest.mark.parametrize("kind", ["extra_fields", "string_amounts"])
def test_what_changes_nothing(kind: str, bench: Callable[..., Any]) -> None:
    """Fields nobody knows and amounts written as text give the same ledger, so that nothing is even restated."""
    one = synced(bench)
    one.simulator.faults.add(kind)
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.DONE, report.to_json()
    assert not any(dataset.restated for each in report.connections for dataset in each.datasets)
    assert one.right()
    repaired(one)


def test_names_nobody_has_heard_of(bench: Callable[..., Any]) -> None:
    """A new line item, tier or SKU is booked under the name it came with, and every day's sum is exact."""
    one = synced(bench)
    one.simulator.faults.add("unknown_enums")
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.DONE, report.to_json()
    for provider in ALL:
        assert sums(one.days_of(provider)) == sums(one.true_days(provider)), provider
    assert one.rows("SELECT count(*) FROM charges WHERE lower(SkuId) LIKE '%unheard%'") != [(0,)]
    repaired(one)


def test_rows_of_a_kind_nobody_has_heard_of(bench: Callable[..., Any]) -> None:
    """A row of another kind might be anything: its days keep their old truth."""
    one = synced(bench, providers=("openai",))
    one.simulator.faults.add("unknown_kinds")
    report = struck(one)
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, "openai")) == {"unknown_object"}
    assert stale(one, "openai")
    repaired(one)


def test_dimensions_that_are_null(bench: Callable[..., Any]) -> None:
    """Null is unknown: the day's sum is exact, or where lines can no longer be told apart the old truth stands."""
    one = synced(bench)
    before = {provider: one.days_of(provider) for provider in ALL}
    one.simulator.faults.add("null_dimensions")
    report = one.sync(span=EVERY_DAY)
    for provider in ALL:
        found = problems(report, provider)
        if found:
            assert set(found) == {"duplicate_rows"}
            assert one.days_of(provider) == before[provider]
        assert sums(one.days_of(provider)) == sums(one.true_days(provider)), provider
    assert states(report)["openai"] == states(report)["github"] == "ok"
    repaired(one)


@pytest.mark.parametrize("provider", ALL)
def test_an_amount_that_is_negative(provider: str, bench: Callable[..., Any]) -> None:
    """A correction is booked as it came, as a credit."""
    one = synced(bench, providers=(provider,))
    amount = "-3.25"
    one.simulator.faults.add("nan_amount", text=amount)
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.DONE, report.to_json()
    booked = one.rows("SELECT DISTINCT BilledCost, ChargeCategory FROM charges WHERE BilledCost < 0")
    assert {category for _, category in booked} <= {"Credit"}
    if provider == "openai":  # the others have several amounts in a row, and any one of them may be the bent one
        assert booked == [(Decimal(amount), "Credit")]
    repaired(one)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400"])
@pytest.mark.parametrize("provider", ALL)
def test_an_amount_that_is_no_number(provider: str, text: str, bench: Callable[..., Any]) -> None:
    """Its day keeps the old truth and is stale; the other days are renewed."""
    one = synced(bench, providers=(provider,))
    before = one.days_of(provider)
    restate(one, provider)
    one.simulator.faults.add("nan_amount", text=text)
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, provider)) == {"amount_refused"}
    broken, true, now = stale(one, provider), one.true_days(provider), one.days_of(provider)
    assert broken
    assert all(now.get(day) == (before if day in broken else true).get(day) for day in {*before, *true})
    repaired(one)


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_rows_that_come_twice(provider: str, bench: Callable[..., Any]) -> None:
    """Two equal lines are not added up: the day keeps its old truth, marked stale."""
    one = synced(bench, providers=(provider,))
    before = one.days_of(provider)
    restate(one, provider)
    one.simulator.faults.add("duplicate_rows")
    report = one.sync(span=EVERY_DAY)
    assert report.exit is Exit.PROVIDER
    assert set(problems(report, provider)) == {"duplicate_rows"}
    broken, true, now = stale(one, provider), one.true_days(provider), one.days_of(provider)
    assert broken
    assert all(now.get(day) == (before if day in broken else true).get(day) for day in {*before, *true})
    repaired(one)


def test_a_page_of_fifty_megabytes(outside: Callable[..., Any]) -> None:
    """A page may be that large and gives the exact truth; the process stays far below a gigabyte."""
    away = outside(days=2, datasets=FEW, providers=("openai",))
    away.bench.simulator.faults.add("huge", path="*costs", megabytes=50)
    status, _, said = away.run("sync", "--quiet")
    assert status == 0, said
    assert away.bench.simulator.faults.active() == []
    assert away.bench.right()
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < 700 * 2**20


def test_a_page_larger_than_any(bench: Callable[..., Any]) -> None:
    """Beyond the bound a page is refused while it comes in, with what to do, and the old truth stands."""
    one = synced(bench, providers=("openai",), datasets={"openai": ("costs",)})
    one.simulator.faults.add("huge", megabytes=70, times="forever")
    report = struck(one)
    found = problems(report, "openai")["payload_unreadable"]
    assert "MiB" in found.says
    assert stale(one, "openai")
    repaired(one)


# ── clocks and days ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_is_a_day_off(days: int, bench: Callable[..., Any]) -> None:
    """The user is warned which way the clock is off; once it is right, so is the ledger."""
    one = bench(days=4, datasets=FEW, clock_ahead=timedelta(days=days))
    report = one.sync()
    for provider in ALL:
        found = problems(report, provider)["clock_skew"]
        assert found.severity.value == "warning"
        assert ("ahead of" if days > 0 else "behind") in found.says
    true = {provider: one.true_days(provider) for provider in ALL}
    for provider in ALL:
        assert all(lines == true[provider][day] for day, lines in one.days_of(provider).items())
    one.clock_ahead = timedelta()
    for provider in ALL:
        restate(one, provider)
    report = one.sync()
    assert report.exit is Exit.DONE, report.to_json()
    assert one.right()
    # Tomorrow was asked for and refused; it stays noted until it has come.
    assert all(stale(one, provider) <= {one.world.today + timedelta(days=1)} for provider in ALL)


def test_days_long_before_there_was_anything(bench: Callable[..., Any]) -> None:
    """Asked since 1970, a vendor is asked within its bounds and what there is comes exactly."""
    one = bench(days=39, datasets=FEW, providers=("openai",))
    report = one.sync(span=Span(since=date(1970, 1, 1)))
    assert states(report) == {"openai": "ok"}, report.to_json()
    assert len(one.simulator.requests) < 100
    assert one.right()
    assert one.sync().exit is Exit.DONE
    assert one.right()


def test_days_that_are_yet_to_come(bench: Callable[..., Any]) -> None:
    """A wish for the future asks for nothing, fails nothing and leaves no gap that is taken for zero."""
    one = synced(bench)
    report = one.sync(span=Span(since=date(2099, 1, 1)))
    assert report.exit is Exit.DONE
    until = one.sync(span=Span(until=date(2099, 1, 1)))
    assert until.exit is Exit.DONE
    assert one.right()
    with one.ledger() as ledger:
        assert max(
            each.period.end for each in ledger.committed("github", "usage")
        ).date() <= one.world.today + timedelta(1)


def test_an_empty_organization_that_fills(bench: Callable[..., Any]) -> None:
    """Nothing used is nothing billed and no failure; what comes later is found."""
    one = bench(days=4, datasets=FEW)
    one.simulator.faults.add("empty_organization")
    report = one.sync()
    assert report.exit is Exit.DONE, report.to_json()
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]
    repaired(one)


def test_a_project_without_a_name(bench: Callable[..., Any]) -> None:
    """An id that has no name is shown by its id, with its money."""
    one = synced(bench, providers=("openai",), days=10)
    nameless = {key for key, name in one.world.truth("openai").names["project"].items() if not name}
    assert nameless
    found = dict(one.rows("SELECT id, name FROM names WHERE kind = 'project'"))
    assert {key for key, name in found.items() if not name} == nameless
    assert one.right()


# ── the machine ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_disk(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails for want of room ends the sync with status 4; the old truth stands."""
    import deltalake

    one = synced(bench)
    before = {provider: one.days_of(provider) for provider in ALL}

    def full(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for provider in ALL:
        restate(one, provider)
    with monkeypatch.context() as patched:
        patched.setattr(deltalake, "write_deltalake", full)
        with pytest.raises(StoreError, match="disk is full") as caught:
            one.sync(span=EVERY_DAY)
    assert caught.value.exit is Exit.STORE
    assert "space" in caught.value.hint
    assert {provider: one.days_of(provider) for provider in ALL} == before
    repaired(one)


def test_a_home_that_cannot_be_written(bench: Callable[..., Any]) -> None:
    """A file in the place of the folder is named, before any vendor is asked."""
    one = bench(days=2, datasets=FEW)
    one.home.write_text("")
    with pytest.raises(StoreError, match="home") as caught:
        one.sync()
    assert caught.value.exit is Exit.STORE
    assert caught.value.hint
    assert one.simulator.requests == []
    one.home.unlink()
    repaired(one)


def test_a_ledger_folder_that_cannot_be_written(bench: Callable[..., Any]) -> None:
    """A table's folder that is none is told as the store's trouble; other tables keep what they hold."""
    one = bench(days=2, datasets=FEW, providers=("openai",))
    (one.home / "ledger").mkdir(parents=True)
    (one.home / "ledger" / "charges").write_text("")
    with pytest.raises(StoreError) as caught:
        one.sync()
    assert caught.value.exit is Exit.STORE
    assert caught.value.hint
    (one.home / "ledger" / "charges").unlink()
    repaired(one)


def test_a_torn_log(bench: Callable[..., Any]) -> None:
    """A log entry cut short stops with the table's name and the way back; put right, it goes on."""
    one = synced(bench)
    entry = max((one.home / "ledger" / "charges" / "_delta_log").glob("*.json"))
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2])
    one.world.restate("openai", one.world.today, "up")
    with pytest.raises(StoreError, match="charges") as caught:
        one.sync(span=EVERY_DAY)
    assert caught.value.exit is Exit.STORE
    assert "backup" in caught.value.hint
    entry.write_bytes(whole)
    repaired(one)


def test_a_state_that_is_no_database(bench: Callable[..., Any]) -> None:
    """Garbage where the state was is refused by name; without it the ledger knows the same truth again."""
    one = synced(bench)
    for path in one.home.glob("state.sqlite*"):
        path.unlink()
    (one.home / "state.sqlite").write_bytes(b"no database at all " * 300)
    with pytest.raises(StoreError, match=r"state\.sqlite") as caught:
        one.sync()
    assert caught.value.exit is Exit.STORE
    assert caught.value.hint
    (one.home / "state.sqlite").unlink()
    assert one.right()
    repaired(one)


def test_a_state_that_breaks_meanwhile(bench: Callable[..., Any]) -> None:
    """A state table that vanishes is an error of the store and loses no fact."""
    one = synced(bench)
    before = {provider: one.days_of(provider) for provider in ALL}
    with sqlite3.connect(one.home / "state.sqlite") as database:
        database.execute("DROP TABLE outlay_partitions")
    database.close()
    with pytest.raises(StoreError) as caught:
        one.sync()
    assert caught.value.exit is Exit.STORE
    for path in one.home.glob("state.sqlite*"):
        path.unlink()
    assert {provider: one.days_of(provider) for provider in ALL} == before
    repaired(one)


@pytest.mark.parametrize("broken", ["state.sqlite", "ledger/charges/_delta_log/00000000000000000000.json"])
def test_a_broken_ledger_on_the_command_line(broken: str, outside: Callable[..., Any]) -> None:
    """Status 4, what is broken and what to do, on stderr, without a traceback."""
    away = outside(days=2, datasets=FEW, providers=("openai",))
    assert away.run("sync", "--quiet")[0] == 0
    for path in away.bench.home.glob("state.sqlite-*"):
        path.unlink()
    path = away.bench.home / broken
    whole = path.read_bytes()
    path.write_bytes(b"{garbage" * 600)
    status, out, err = away.run("sync", "--full")
    assert status == Exit.STORE
    assert out == ""
    assert "\nerror: " in f"\n{err}"
    assert "hint: " in err
    assert "Traceback" not in err
    path.write_bytes(whole)
    assert away.run("sync", "--quiet")[0] == 0
    assert away.bench.right()


# ── the bench itself ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_search_for_keys_finds_what_is_there(bench: Callable[..., Any]) -> None:
    """A text that the ledger does hold is found in its tables, one in a log is found there: the search can fail."""
    one = synced(bench, providers=("openai",))
    ((project,),) = one.rows("SELECT SubAccountId FROM charges WHERE SubAccountId IS NOT NULL LIMIT 1")
    assert any("rows of" in place for place in one.leaks([], {project}))
    assert one.leaks([json.dumps({"key": "abc"})], {"abc"})
    assert one.leaks([]) == []
    assert Path(one.home).is_dir()
