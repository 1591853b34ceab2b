"""Hugging Face's stream of gauges end to end: one event of it, beside a bill that it never adds to."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from engine.test_huggingface import NOVEMBER, charges, made, problems, true_charges
from outlay.simulator.worlds.huggingface import ACME, INFERENCE, USER
from outlay.sync.replay import replay

Make = Callable[..., Any]


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_gauges_of_the_stream_are_readings_beside_the_bill(seed: int, bench: Make) -> None:
    """One event of each stream tells storage and what the month has used; the bill is what it is without it."""
    one = made(bench, seed)
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    account, december = one.world.account("huggingface"), date(2026, 12, 1)
    found = {
        (scope, name): (used, quota, unlimited)
        for scope, name, used, quota, unlimited in one.rows(
            "SELECT scope, name, used, quota, unlimited FROM limits WHERE dataset LIKE '%live' AND kind != 'rate'"
        )
    }
    for owner, scope, limit in ((USER, "account", None), (ACME, "organization:acme", 25)):
        private, public = account.stored(owner)
        assert found[scope, "private_storage"] == (private, 10**12, False)
        assert found[scope, "public_storage"] == (public, 5 * 10**12, False)
        used = account.spent(owner, NOVEMBER, december, INFERENCE)
        assert found[scope, "inference_used"] == (used, limit, limit is None)
        assert found[scope, "jobs_used"] == (account.spent(owner, NOVEMBER, december, "job"), None, False)
    assert one.rows("SELECT name, quota, remaining, \"window\", basis FROM limits WHERE kind = 'rate'") == [
        ("api_requests", 2500, 999, "5 minutes", "header")
    ]
    assert charges(one) == true_charges(one)
    asked = [seen for seen in one.simulator.requests if seen.path.endswith("/live")]
    assert sorted((seen.path, seen.status) for seen in asked) == [
        ("/api/organizations/acme/billing/usage/live", 200), ("/api/settings/billing/usage/live", 200),
    ]  # fmt: skip


def test_a_kept_event_is_mapped_again(bench: Make) -> None:
    """What is kept of a stream is the one event, and it tells the same without a network."""
    one = made(bench, datasets={"huggingface": ("account", "live", "organization_live")})
    one.sync()
    before = one.rows("SELECT name, scope, used, remaining, resets_at FROM limits ORDER BY ALL")
    with one.ledger() as ledger:
        report = replay(one.config(), ledger, clock=one.clock)
    assert not any(each.restated or each.problems for each in report.connections[0].datasets)
    assert one.rows("SELECT name, scope, used, remaining, resets_at FROM limits ORDER BY ALL") == before != []


@pytest.mark.parametrize(
    ("fault", "code"),
    [("cut", "payload_unreadable"), ("html", "retry_later"), ("server_error", "retry_later")],
)
def test_a_stream_that_fails_costs_only_its_gauges(fault: str, code: str, bench: Make) -> None:
    """The bill is whole; the gauges are told to be missing and come back with the next sync."""
    one = made(bench)
    one.simulator.faults.add(fault, path="*/live", times="forever")
    report = one.sync()
    assert problems(report) == {"live": {code}, "organization_live": {code}}
    assert charges(one) == true_charges(one)
    assert one.rows("SELECT count(*) FROM limits WHERE kind = 'storage'") == [(0,)]
    one.simulator.faults.clear()
    assert one.sync().connections[0].state == "ok"
    assert one.rows("SELECT count(*) FROM limits WHERE kind = 'storage'") == [(4,)]
