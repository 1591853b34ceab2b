"""Checks, digests and shards: what may be committed, and whether it is news."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import ConfigError
from outlay.model.facts import Charge, Fact, Limit, LimitKind, Name, Revenue, Usage
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.providers.base import Dataset
from outlay.sync.check import check, natural_key
from outlay.sync.digest import digest
from outlay.sync.shard import Shard

DAY = Period.of_day(date(2026, 11, 2))
REFUSES = Dataset("costs", "Costs", (Charge, Usage), ())
ADDS = Dataset("costs", "Costs", (Charge, Usage), (), repeats="add")


def charge(amount: str = "1.5", **fields: object) -> Charge:
    """Return a charge with what the test cares about."""
    values = {"sku_id": "a", "sub_account_id": "p", **fields}
    return Charge(charge_period=DAY, billed_cost=Money.of(amount, "USD"), service_name="S", **values)  # type: ignore[arg-type]


def test_two_lines_with_one_key_are_refused() -> None:
    """An answer that repeats a line is not committed: adding it could count it twice."""
    checked = check(REFUSES, DAY, [charge(), charge("2")])
    assert [problem.code for problem in checked.problems] == ["duplicate_rows"]
    assert checked.problems[0].period == DAY
    assert "a, p" in checked.problems[0].says


def test_two_lines_with_one_key_are_added_where_the_vendor_splits_them() -> None:
    """Money and quantities add up exactly; what only one line knows becomes unknown."""
    one = charge("1.1", list_cost=Money.of("2", "USD"), consumed_quantity=Decimal(3), list_unit_price=Decimal(2))
    two = charge("2.2", list_cost=Money.of("3", "USD"), consumed_quantity=None, list_unit_price=Decimal(2))
    (whole,) = check(ADDS, DAY, [one, two]).facts
    assert isinstance(whole, Charge)
    assert whole.billed_cost == Money.of("3.3", "USD")
    assert whole.list_cost == Money.of("5", "USD")
    assert whole.consumed_quantity is None
    assert whole.list_unit_price == 2
    assert whole.effective_cost is None


def test_a_row_told_twice_is_one_row_where_lists_move_on() -> None:
    """Of a sale that slid from one page to the next, what was told last counts, once."""
    moving = Dataset("orders", "Orders", (Revenue,), (), repeats="latest")
    sale = Revenue(revenue_period=DAY, kind="order", gross=Money.of("9", "USD"), service_name="S", record_id="1")
    other = msgspec.structs.replace(sale, record_id="2")
    later = msgspec.structs.replace(sale, details={"status": "refunded"})
    checked = check(moving, DAY, [sale, other, later])
    assert not checked.problems
    assert checked.facts == (later, other)


def test_usage_with_one_key_is_added() -> None:
    """Quantities of one meter and unit add up."""
    part = Usage(usage_period=DAY, meter="minutes", unit="minutes", quantity=Decimal("1.5"), service_name="S")
    (whole,) = check(ADDS, DAY, [part, part]).facts
    assert isinstance(whole, Usage)
    assert whole.quantity == 3


@pytest.mark.parametrize("field", ["sku_id", "sub_account_id", "resource_id", "api_key_id", "model", "service_tier"])
def test_a_null_dimension_is_a_value_of_its_own(field: str) -> None:
    """Lines that differ in one dimension, null or not, are different lines."""
    assert not check(REFUSES, DAY, [charge(**{field: None}), charge(**{field: "x"})]).problems


def test_tags_and_details_tell_lines_apart() -> None:
    """Two lines that differ only in what the vendor says beyond the columns are two lines."""
    facts = [charge(details={"cost_center": "1"}), charge(details={"cost_center": "2"}), charge(tags={"a": True})]
    assert not check(REFUSES, DAY, facts).problems
    assert len({natural_key(fact) for fact in facts}) == 3


def test_a_kind_the_dataset_does_not_declare_is_refused() -> None:
    """A mapping that yields names into a cost dataset is a defect, not data."""
    checked = check(REFUSES, DAY, [Name(kind="project", id="p")])
    assert [problem.code for problem in checked.problems] == ["unexpected_fact"]


@given(st.lists(st.integers(-(10**9), 10**9), max_size=20), st.randoms())
def test_a_digest_does_not_depend_on_order(amounts: list[int], chance: random.Random) -> None:
    """The same facts in any order are the same truth."""
    facts: list[Fact] = [charge(str(amount), sku_id=str(n)) for n, amount in enumerate(amounts)]
    shuffled = facts[:]
    chance.shuffle(shuffled)
    assert digest(facts) == digest(shuffled)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_a_digest_tells_truths_apart(left: list[int], right: list[int]) -> None:
    """Two partitions have one digest exactly when they hold the same facts."""
    a = [charge(str(amount), sku_id=str(n)) for n, amount in enumerate(left)]
    b = [charge(str(amount), sku_id=str(n)) for n, amount in enumerate(right)]
    assert (digest(a) == digest(b)) == (left == right)


def test_a_digest_knows_one_amount_in_two_spellings() -> None:
    """12.5 and 12.50 are one number; a limit of the same fields is another fact."""
    assert digest([charge("12.5")]) == digest([charge("12.500")])
    limit = Limit(name="a", scope="organization", kind=LimitKind.RATE, unit="requests")
    assert digest([limit]) != digest([charge()])
    assert digest([limit]) != digest([msgspec.structs.replace(limit, unlimited=True)])
    assert digest([]) != digest([limit])


@given(st.sets(st.text(min_size=1, max_size=20), max_size=30), st.integers(1, 9))
def test_shards_share_out_every_connection_once(names: set[str], count: int) -> None:
    """Every connection belongs to exactly one shard."""
    for name in names:
        assert sum(Shard(index, count).holds(name) for index in range(1, count + 1)) == 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "a/b", "1/0", "-1/2", "1/"])
def test_a_wrong_shard_is_refused(text: str) -> None:
    """The message says how it is written."""
    with pytest.raises(ConfigError, match="is not I/N"):
        Shard.parse(text)
