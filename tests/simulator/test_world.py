"""A world is what its seed says, and its truth is exact."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.simulator import FACES, World
from outlay.simulator.worlds.truth import TrueCharge, Truth, at_ledger_scale, exact_sum
from simulator.asking import TODAY, Asker, epoch

FIRST = TODAY - timedelta(days=39)
SPENDERS = [name for name in FACES if World(7, TODAY, 40).truth(name).charges()]
"""The vendors that cost something; at others there is only revenue."""


@pytest.mark.parametrize("provider", SPENDERS)
def test_equal_seeds_make_equal_worlds(provider: str) -> None:
    """The same arguments give the same charges, uses and names; another seed or label gives others."""
    one, two, other = World(7, TODAY, 40), World(7, TODAY, 40), World(8, TODAY, 40)
    assert one.truth(provider).charges() == two.truth(provider).charges()
    assert one.truth(provider).usage() == two.truth(provider).usage()
    assert one.truth(provider).names == two.truth(provider).names
    totals = {one.truth(provider).total(), other.truth(provider).total(), one.truth(provider, "team-b").total()}
    assert len(totals) == 3


@pytest.mark.parametrize("provider", SPENDERS)
def test_a_later_today_continues_the_world(provider: str) -> None:
    """Days that are over stay as they were when the world's today moves on."""
    now, later = World(7, TODAY, 40).truth(provider), World(7, TODAY + timedelta(days=5), 45).truth(provider)
    assert now.charges(end=TODAY) == later.charges(FIRST, TODAY)


@pytest.mark.parametrize("provider", SPENDERS)
def test_the_world_has_what_ledgers_stumble_over(provider: str) -> None:
    """Days without rows, rows of zero and rows without a resource exist in every account."""
    truth = World(7, TODAY, 120).truth(provider)
    days = {charge.day for charge in truth.charges()}
    assert len(days) < 120
    assert any(charge.billed == 0 for charge in truth.charges())
    assert any(charge.resource is None for charge in truth.charges())
    assert all(charge.currency == "USD" for charge in truth.charges())
    assert TODAY in days


@pytest.mark.parametrize("provider", FACES)
def test_an_empty_account_is_empty(provider: str) -> None:
    """The label "empty" opens an account in which nothing ever happened."""
    truth = World(7, TODAY, 40).truth(provider, "empty")
    assert truth.charges() == []
    assert truth.usage() == {}
    assert truth.total() == 0


@pytest.mark.parametrize("provider", SPENDERS)
def test_restating_changes_one_day(provider: str) -> None:
    """Up raises a day, down withdraws a row of it, nothing only reorders it, and other days stay."""
    world = World(7, TODAY, 40)
    truth = world.truth(provider)
    day = next(charge.day for charge in truth.charges() if charge.billed > 0 and charge.day > FIRST)
    end, before, elsewhere = day + timedelta(days=1), truth.total(), truth.total(end=day)
    rows = len(truth.charges(day, end))
    world.restate(provider, day, "nothing")
    assert truth.total() == before
    world.restate(provider, day, "up")
    raised = truth.total()
    assert raised != before
    assert len(truth.charges(day, end)) == rows
    world.restate(provider, day, "down")
    assert len(truth.charges(day, end)) < rows
    assert truth.total(end=day) == elsewhere


def test_faces_are_restated_with_the_truth(asker: Asker) -> None:
    """What a face answered before a restatement is forgotten."""
    path, day = "/v1/organization/costs", TODAY - timedelta(days=3)
    query = {"start_time": epoch(day), "end_time": epoch(day + timedelta(days=1))}

    def total() -> Decimal:
        [bucket] = asker("openai", path, query).json["data"]
        return Decimal(bucket["results"][0]["amount"]["value"])

    first = total()
    asker.world.restate("openai", day, "up")
    assert first != total() == asker.world.truth("openai").total(day, day + timedelta(days=1))


def test_restating_can_be_told_over_http(asker: Asker) -> None:
    """The control path restates, and tells the truth."""
    day = TODAY - timedelta(days=3)
    body = f'{{"provider":"anthropic","day":"{day}","kind":"down"}}'.encode()
    before = len(asker.world.truth("anthropic").charges())
    assert asker.raw("POST", "/_control/restate", "", {"content-type": "application/json"}, body).status == 204
    assert len(asker.world.truth("anthropic").charges()) < before
    [row] = asker.raw("GET", "/_control/truth", "provider=anthropic&by=", {}).json["rows"]
    assert Decimal(row["billed_cost"]) == asker.world.truth("anthropic").total()
    assert asker.raw("POST", "/_control/restate", "", {}, b'{"provider":"nobody"}').status == 400
    assert asker.raw("GET", "/_control/truth", "provider=nobody", {}).status == 400


amounts = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=30)


@given(
    st.lists(
        st.tuples(amounts, st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", None])), min_size=1, max_size=30
    )
)
def test_sums_are_exact_in_any_grouping(lines: list[tuple[Decimal, str, str | None]]) -> None:
    """Groups add up to the total without losing a digit; rounded rows differ from it by half a unit each at most."""
    charges = [TrueCharge(TODAY, account, sku, None, amount) for amount, account, sku in lines]
    truth = Truth(TODAY, TODAY, lambda _: charges, lambda _: [])
    total = exact_sum(amount for amount, _, _ in lines)
    for by in ((), ("sub_account",), ("sub_account", "sku")):
        assert exact_sum(spend.billed for spend in truth.spend(by).values()) == total == truth.total()
    rows = truth.spend(("sub_account", "sku"), rows=("sub_account", "sku"))
    assert abs(exact_sum(spend.billed for spend in rows.values()) - total) <= len(rows) * Decimal("5e-19")
    assert all(int(spend.billed.as_tuple().exponent) >= -18 for spend in rows.values())


def test_rounding_is_half_even_at_the_eighteenth_decimal() -> None:
    """A row is rounded as a ledger rounds it, ties to the even digit."""
    assert at_ledger_scale(Decimal("0.0000000000000000005")) == 0
    assert at_ledger_scale(Decimal("0.0000000000000000015")) == Decimal("0.000000000000000002")
    assert at_ledger_scale(Decimal("-1.00000000000000000051")) == Decimal("-1.000000000000000001")


def test_sums_keep_to_their_rows() -> None:
    """A grouping finer than the rows it is rounded by has no answer."""
    truth = World(7, TODAY, 5).truth("openai")
    with pytest.raises(ValueError, match="line_item"):
        truth.spend(("line_item",), rows=("project_id",))


@pytest.mark.parametrize("provider", SPENDERS)
def test_bulk_worlds_have_their_rows(provider: str) -> None:
    """A benchmark's world has as many charges each day as it asked for, no two of one sub-account, SKU and resource."""
    truth = World(1, TODAY, 3, rows_per_day=100).truth(provider)
    for n in range(3):
        charges = truth.charges(TODAY - timedelta(days=n), TODAY - timedelta(days=n - 1))
        assert len(charges) == 100
        assert len({(charge.sub_account, charge.sku, charge.resource) for charge in charges}) == 100


def test_scale_multiplies_places() -> None:
    """A larger scale has more projects, workspaces and repositories."""
    small, large = World(7, date(2026, 11, 22), 3), World(7, date(2026, 11, 22), 3, scale=5)
    for provider, kind in (("openai", "project"), ("anthropic", "workspace")):
        assert len(large.truth(provider).names[kind]) > 3 * len(small.truth(provider).names[kind])
