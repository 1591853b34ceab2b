"""Whole syncs against refused keys, wrong addresses and vendors that do not answer well.

Each test asks for the same four things: the user learns what happened and what to do; the number is the truth or the
old truth; nothing committed is lost; no credential is anywhere (the `bench` fixture searches for it). When the fault
is over, one more sync gives exactly the truth.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from engine.striking import ALL, COSTS, EVERY_DAY, FEW, problems, repaired, restate, stale, states, struck, synced
from outlay.errors import Exit

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
