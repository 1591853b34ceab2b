"""Many connections, many processes, one ledger."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from outlay.errors import Exit
from outlay.sync.plan import Span
from outlay.sync.shard import Shard

COSTS = {"openai": ("costs",), "anthropic": ("costs",), "github": ("usage",)}


def many(count: int) -> dict[str, Any]:
    """Return what makes a bench of many accounts at one vendor."""
    return {
        "providers": ("openai",),
        "labels": {f"team-{number:02}": f"team-{number:02}" for number in range(1, count + 1)},
        "changes": {f"team-{number:02}": {"datasets": ("costs",)} for number in range(1, count + 1)},
        "datasets": COSTS,
    }


def states(report: Any) -> set[str]:
    """Return the states connections ended in."""
    return {each.state for each in report.connections}


def test_sixty_accounts_side_by_side(bench: Callable[..., Any]) -> None:
    """Each account has its own truth, and none has anything of another's."""
    one = bench(days=3, world_days=6, **many(60))
    report = one.sync()
    assert states(report) == {"ok"}
    assert len(report.connections) == 61
    assert one.right()
    totals = dict(one.rows("SELECT x_Connection, sum(BilledCost) FROM charges GROUP BY ALL"))
    assert len(totals) == 61
    assert len(set(totals.values())) == 61
    one.world.restate("openai", one.world.today - timedelta(days=1), "up", "team-07")
    one.sync("team-07")
    assert one.right()


def test_one_broken_account_among_many(bench: Callable[..., Any]) -> None:
    """One account's wrong key is that account's trouble alone."""
    one = bench(days=2, world_days=6, **many(12))
    one.keys = {"team-05": "wrong-" + "key-of-team-05"}
    report = one.sync()
    assert report.exit is Exit.PROVIDER
    assert [each.connection for each in report.connections if each.state != "ok"] == ["team-05"]
    assert one.right(*(name for name in one.config().connections if name != "team-05"))
    one.keys = None
    assert one.sync().exit is Exit.DONE
    assert one.right()


@pytest.mark.parametrize("count", [2, 5])
def test_shards_together_are_the_whole(count: int, bench: Callable[..., Any]) -> None:
    """Every connection is in exactly one share, and the shares together give the truth of all."""
    one = bench(days=2, world_days=6, **many(14))
    reports = [one.sync(shard=Shard(index, count)) for index in range(1, count + 1)]
    done = [each.connection for report in reports for each in report.connections]
    assert sorted(done) == sorted(one.config().connections)
    assert len([report for report in reports if report.connections]) > 1
    assert one.right()


def test_a_connection_that_is_being_synced_is_left_alone(bench: Callable[..., Any]) -> None:
    """While another sync holds a connection it is skipped with a hint; the others are done."""
    one = bench(days=2, datasets=COSTS)
    with one.ledger() as ledger, ledger.lease("github", 600):
        report = one.sync()
    assert report.exit is Exit.PROVIDER
    assert {each.connection: each.state for each in report.connections} == {
        "openai": "ok",
        "anthropic": "ok",
        "github": "skipped",
    }
    (problem,) = next(each for each in report.connections if each.connection == "github").problems
    assert problem.code == "ledger_busy"
    assert "Wait" in problem.hint
    assert not [seen for seen in one.simulator.requests if seen.provider == "github"]
    assert one.right("openai", "anthropic")
    assert one.sync().exit is Exit.DONE
    assert one.right()


def test_a_sync_that_has_lost_its_lease_writes_nothing(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that slept through its lease finds the connection taken over and leaves it as the other made it."""
    from outlay.store.lease import leases
    from outlay.sync import connection

    one = bench(days=2, datasets=COSTS, providers=("openai",))
    assert one.sync().exit is Exit.DONE
    before = one.days_of("openai")
    one.world.restate("openai", one.world.today, "up")
    real = connection.check

    def taken_over(dataset: Any, period: Any, facts: Any) -> Any:
        with one.ledger() as ledger, ledger.state.write() as database:
            database.execute(leases.update().values(owner="elsewhere/1/another"))
        return real(dataset, period, facts)

    with monkeypatch.context() as patched:
        patched.setattr(connection, "check", taken_over)
        report = one.sync()
    assert states(report) == {"skipped"}
    assert report.connections[0].problems[0].code == "ledger_busy"
    assert one.days_of("openai") == before
    with one.ledger() as ledger, ledger.state.write() as database:
        database.execute(leases.delete())
    assert one.sync().exit is Exit.DONE
    assert one.right()


def test_many_processes_on_one_home(outside: Callable[..., Any]) -> None:
    """Shards in processes of their own, all at once on one ledger, give every account's exact truth."""
    away = outside(days=2, **many(16))
    processes = [away.start("sync", "--quiet", "--shard", f"{index}/4") for index in range(1, 5)]
    said = [process.communicate() for process in processes]
    away.told.extend(text for texts in said for text in texts)
    assert [process.returncode for process in processes] == [0] * 4, said
    assert away.bench.right()
    with away.bench.ledger() as ledger:
        assert ledger.verify().problems == ()


def test_the_same_sync_twice_at_once(outside: Callable[..., Any]) -> None:
    """Two processes asked for the same do not get in each other's way: what one holds the other skips."""
    away = outside(days=2, **many(8))
    processes = [away.start("sync", "--format", "json") for _ in range(2)]
    said = [process.communicate() for process in processes]
    away.told.extend(text for texts in said for text in texts)
    assert {process.returncode for process in processes} <= {0, 3}, said
    for out, _ in said:
        for each in json.loads(out)["connections"]:
            assert each["state"] in {"ok", "skipped"}
            assert [problem["code"] for problem in each["problems"]] == ["ledger_busy"] * (each["state"] == "skipped")
    status, _, err = away.run("sync", "--quiet")
    assert status == 0, err
    assert away.bench.right()
    with away.bench.ledger() as ledger:
        assert ledger.verify().problems == ()


def test_syncing_in_pieces_equals_syncing_at_once(bench: Callable[..., Any]) -> None:
    """Any order of spans, overlapping or not, gives the ledger of one sync."""
    one, other = bench(seed=5, days=9, datasets=COSTS), bench(seed=5, days=9, datasets=COSTS)
    assert one.sync().exit is Exit.DONE
    day = one.first
    for first, end in ((5, 8), (0, 3), (2, 6), (7, 10)):
        span = Span(since=day + timedelta(days=first), until=day + timedelta(days=end))
        assert other.sync(span=span).exit is Exit.DONE
    assert one.right()
    for provider in one.providers:
        assert one.days_of(provider) == other.days_of(provider)
