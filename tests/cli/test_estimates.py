"""The command line where a vendor leaves out what it takes or sends a list in part: what a user sees and types."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from outlay.simulator import Simulator


@pytest.fixture
def shop(line: Any, simulator: Simulator) -> Any:
    """Return a command line with one connection to the simulated Lemon Squeezy, synced."""
    line.config = line.home.parent / "outlay.toml"
    line.config.write_text(
        '[connections.shop]\nprovider = "lemonsqueezy"\ncredential = "env:SHOP"\nsince = "2026-11-15"\n'
        f'base_url = "{simulator.base_url("lemonsqueezy")}"\n'
    )
    line.environ = {"SHOP": "sim-lemonsqueezy-live"}
    assert line("sync", "--quiet").exit_code == 0
    return line


def spent(shop: Any) -> tuple[dict[str, Decimal], set[str]]:
    """Return what was spent by basis, and why something is missing."""
    answer = shop.json("spend", "--from", "2026-11-15", "--to", "2026-11-22")
    return {row["basis"]: Decimal(row["billed_cost"]) for row in answer["rows"]}, {
        gap["why"] for gap in answer["incomplete"]
    }


def test_fees_are_unknown_until_terms_are_entered_and_after_they_are_withdrawn(shop: Any) -> None:
    """Nothing is spend without terms, which answers and status say; with them it is an estimate; withdrawn, nothing."""
    assert spent(shop) == ({}, {"terms_missing"})
    assert "outlay enter fee-terms" in shop("spend").output
    assert "unknown" in shop("status").output
    terms = ("enter", "fee-terms", "--percent", "5", "--fixed", "0.50", "--currency", "USD", "--from", "2026-01-01")
    assert shop.json(*terms, "--preview")["id"] is None
    assert spent(shop) == ({}, {"terms_missing"})
    entry = shop.json(*terms)["id"]
    estimate, missing = spent(shop)
    assert set(estimate) == {"estimated"}
    assert estimate["estimated"] > 0
    assert missing == set()
    assert shop("import", "--withdraw", entry).exit_code == 0
    assert spent(shop) == ({}, {"terms_missing"})


def test_a_dry_run_names_what_pages_lead_to(line: Any) -> None:
    """The lines of long invoices are shown as a request for each that is found, and counted as none for certain."""
    line.config = line.home.parent / "outlay.toml"
    line.config.write_text('[connections.pay]\nprovider = "stripe"\ncredential = "env:PAY"\ndatasets = ["invoices"]\n')
    plan = line.json("sync", "--dry-run")
    requests = plan["connections"][0]["requests"]
    further = [request for request in requests if "EACH-INVOICE" in request["path"]]
    assert {request["count"] for request in further} == {0}
    assert len(further) == len(requests) / 2
    assert plan["count"] == len(requests) - len(further)
    assert "for each that is found" in line("sync", "--dry-run").stdout
