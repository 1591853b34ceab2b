"""Kept answers mapped again: nothing happens unless the code says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from outlay.errors import Exit
from outlay.model.facts import Charge
from outlay.providers.base import Dataset, Endpoint, Provider
from outlay.sync import replay

FEW = {"openai": ("projects", "costs", "usage.completions"), "anthropic": ("costs", "usage"), "github": ("usage",)}
COSTS = {"openai": "costs", "anthropic": "costs", "github": "usage"}


def replayed(one: Any, *connections: str) -> Any:
    """Replay with the world's clock."""
    with one.ledger() as ledger:
        report = replay(one.config(), ledger, connections=connections, clock=one.clock)
    one.reports.append(report)
    return report


def remapped(provider: Provider, dataset: str, change: Callable[[Any], Any]) -> Provider:
    """Return a provider whose mapping of one dataset changes each fact."""

    def endpoint(of: Endpoint[Any]) -> Endpoint[Any]:
        def facts(page: Any, ask: Any) -> Iterator[Any]:
            return (change(fact) for fact in of.facts(page, ask))

        return replace(of, facts=facts)

    def changed(of: Dataset) -> Dataset:
        return replace(of, endpoints=tuple(map(endpoint, of.endpoints))) if of.name == dataset else of

    return replace(provider, datasets=tuple(map(changed, provider.datasets)))


def patch(monkeypatch: pytest.MonkeyPatch, provider: str, change: Callable[[Any], Any]) -> None:
    """Put a changed mapping of a provider's costs in the place of the real one."""
    from outlay.sync import engine

    changed = remapped(engine.BY_ID[provider], COSTS[provider], change)
    monkeypatch.setattr(engine, "BY_ID", {**engine.BY_ID, provider: changed})


def described(fact: Any) -> Any:
    """Change what a charge says of itself, not what it costs."""
    if isinstance(fact, Charge):
        return _with(fact, charge_description=f"{fact.charge_description} again")
    return fact


def _with(fact: Any, **fields: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(fact, **fields)


def test_replay_with_the_same_code_changes_nothing(bench: Callable[..., Any]) -> None:
    """Every partition comes out as it is: no batch, no request, no file."""
    one = bench(days=6, datasets=FEW)
    assert one.sync().exit is Exit.DONE
    one.simulator.stop()
    before = one.rows("SELECT * FROM batches ORDER BY ALL")
    files = set(one.home.rglob("*.parquet"))
    report = replayed(one)
    assert report.exit is Exit.DONE, report.to_json()
    counts = [dataset for each in report.connections for dataset in each.datasets]
    assert sum(dataset.unchanged for dataset in counts) == sum(dataset.fetched for dataset in counts) > 0
    assert sum(dataset.restated for dataset in counts) == 0
    assert {each.connection for each in report.connections if each.datasets} == set(FEW)
    assert one.rows("SELECT * FROM batches ORDER BY ALL") == before
    assert set(one.home.rglob("*.parquet")) == files
    assert one.right()


@pytest.mark.parametrize("provider", sorted(FEW))
def test_replay_with_new_code_commits_what_it_says(
    provider: str, bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed mapping gives new batches whose reason is the replay, without a request; the old stay readable."""
    one = bench(days=6, datasets=FEW)
    assert one.sync().exit is Exit.DONE
    sums = {name: one.billed(name) for name in FEW}
    batches = one.rows("SELECT count(*) FROM batches")[0][0]
    one.simulator.stop()
    with monkeypatch.context() as patched:
        patch(patched, provider, described)
        report = replayed(one)
    assert report.exit is Exit.DONE, report.to_json()
    restated = {each.connection: sum(d.restated for d in each.datasets) for each in report.connections}
    with_lines = len(one.days_of(provider))
    assert restated[provider] >= with_lines > 0
    assert all(not count for name, count in restated.items() if name != provider)
    reasons = dict(one.rows("SELECT reason, count(*) FROM batches GROUP BY ALL"))
    assert reasons["replay"] == restated[provider]
    assert sum(reasons.values()) == batches + restated[provider]
    spoken = one.rows(
        "SELECT count(*) FROM charges WHERE x_Provider = ? AND ChargeDescription LIKE '% again'", provider
    )
    assert spoken == one.rows("SELECT count(*) FROM charges WHERE x_Provider = ?", provider)
    assert {name: one.billed(name) for name in FEW} == sums
    with one.ledger() as ledger:
        assert ledger.verify().problems == ()
        superseding = [batch for batch in ledger.batches(provider) if batch.reason == "replay"]
    assert all(batch.supersedes for batch in superseding)
    # With the real code again, the first truth comes back.
    assert replayed(one, provider).exit is Exit.DONE
    assert one.right()


def test_replay_keeps_what_new_code_refuses(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A mapping that cannot be right is told and overwrites nothing."""

    def broken(fact: Any) -> Any:
        raise ValueError("the new code is wrong")

    one = bench(days=3, datasets=FEW)
    assert one.sync().exit is Exit.DONE
    one.simulator.stop()
    with monkeypatch.context() as patched:
        patch(patched, "openai", broken)
        report = replayed(one)
    assert report.exit is Exit.PROVIDER
    failed = [d for each in report.connections for d in each.datasets if d.problems]
    assert {dataset.dataset for dataset in failed} == {"costs"}
    assert all("new code is wrong" in problem.says and problem.hint for d in failed for problem in d.problems)
    assert one.right()


def test_replay_after_a_restated_day_maps_the_later_answer(
    bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two answers for a day the one that stands is mapped again, never the superseded one."""
    one = bench(days=5, datasets=FEW)
    assert one.sync().exit is Exit.DONE
    for provider in FEW:
        for day in list(one.true_days(provider))[:3]:
            one.world.restate(provider, day, "up")
    assert one.sync().exit is Exit.DONE
    assert one.right()
    one.simulator.stop()
    report = replayed(one)
    assert report.exit is Exit.DONE
    assert sum(d.restated for each in report.connections for d in each.datasets) == 0
    assert one.right()
    for provider in FEW:
        with monkeypatch.context() as patched:
            patch(patched, provider, described)
            assert replayed(one, provider).exit is Exit.DONE
    assert sum((one.billed(p) for p in FEW), Decimal(0)) == sum(
        (sum(lines.values(), Decimal(0)) for p in FEW for lines in one.true_days(p).values()), Decimal(0)
    )


def test_replay_leaves_a_connection_alone_that_is_being_synced(bench: Callable[..., Any]) -> None:
    """What a sync holds is skipped with a hint; the others are mapped again."""
    one = bench(days=2, datasets=FEW)
    assert one.sync().exit is Exit.DONE
    with one.ledger() as ledger, ledger.lease("github", 600):
        report = replayed(one)
    assert {each.connection: each.state for each in report.connections} == {
        "openai": "ok",
        "anthropic": "ok",
        "github": "skipped",
    }
    assert next(each for each in report.connections if each.state == "skipped").problems[0].code == "ledger_busy"
    assert one.right()
