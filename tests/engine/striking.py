"""What tests of faults have in common: a ledger that is right, a fault that strikes it, a sync that repairs it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

from outlay.errors import Exit
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


def sums(days: dict[date, dict[Any, Decimal]]) -> dict[date, Decimal]:
    """Return the sum of each day."""
    return {day: sum(lines.values(), Decimal(0)) for day, lines in days.items()}
