"""What is asked once per name is never taken for whole when the names could not be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from outlay.sync.plan import Span


def test_without_the_list_nothing_is_settled_as_empty(bench: Callable[..., Any]) -> None:
    """A key that may not list projects leaves their limits and keys unknown, not settled without rows."""
    one = bench(providers=("openai",), keys={"openai": "sim-openai-project"}, days=2)
    report = one.sync()
    states = {each.dataset: each.failed for each in report.connections[0].datasets}
    assert states["rate_limits"]
    assert states["project_api_keys"]
    with one.ledger() as ledger:
        assert not ledger.committed("openai")


def test_costs_by_centre_are_not_settled_with_an_old_list(bench: Callable[..., Any]) -> None:
    """An enterprise's costs are the sum over its cost centres: where these cannot be listed, the old truth stays."""
    one = bench(providers=("github",), level="enterprise", days=3)
    one.sync()
    before = one.billed("github")
    one.simulator.faults.add("server_error", provider="github", path="*cost-centers*", times="forever")
    report = one.sync(span=Span(full=True))
    failed = {each.dataset for each in report.connections[0].datasets if each.failed}
    assert "usage" in failed
    assert one.billed("github") == before
    with one.ledger() as ledger:
        assert all(known.stale_since for key, known in ledger.committed("github", "usage").items())
    one.simulator.faults.clear()
    assert one.sync().connections[0].state == "ok"
    with one.ledger() as ledger:
        assert not any(known.stale_since for key, known in ledger.committed("github", "usage").items())
