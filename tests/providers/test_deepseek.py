"""DeepSeek's answers where they are received, and what a spreadsheet does to its export."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.model.facts import Charge
from outlay.providers.deepseek.export import costs
from outlay.providers.deepseek.metering import METERING
from outlay.providers.metering import UNCOUNTED, Counted, Seen

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
USAGE = {
    "prompt_tokens": 52012, "prompt_cache_hit_tokens": 49152, "prompt_cache_miss_tokens": 2860,
    "completion_tokens": 734, "total_tokens": 52746, "completion_tokens_details": {"reasoning_tokens": 512},
}  # fmt: skip


def counted(*documents: Any, status: int = 200) -> list[Counted]:
    """Return what a chat completion counts."""
    chat = next(each for each in METERING.calls if each.path == "/chat/completions")
    bodies = tuple(json.dumps(each).encode() for each in documents)
    return list(chat.read(Seen(status, {}, bodies, NOW, "deepseek-flash")))


def test_cache_hits_are_taken_out_of_the_prompt_that_holds_them() -> None:
    """Hits cost a fiftieth of misses: each token is counted once, reasoning inside the output."""
    [found] = counted({"model": "deepseek-flash", "usage": USAGE})
    assert found.quantities == {
        "requests": 1, "input_tokens": 2860, "cached_input_tokens": 49152, "output_tokens": 734,
        "reasoning_tokens": 512,
    }  # fmt: skip
    assert (found.model, found.context_tokens) == ("deepseek-flash", 52012)


def test_an_answer_without_cache_figures_has_none() -> None:
    """They are optional, and so is the whole usage of a stream that did not ask for it."""
    [plain] = counted({"model": "deepseek-flash", "usage": {"prompt_tokens": 9, "completion_tokens": 2}})
    assert plain.quantities == {"requests": 1, "input_tokens": 9, "output_tokens": 2}
    [unknown] = counted({"model": "deepseek-flash"})
    assert unknown.quantities == UNCOUNTED


@pytest.mark.parametrize("status", [400, 401, 402, 422, 429, 500, 503])
def test_failed_calls_count_nothing(status: int) -> None:
    """Whatever the body of a refusal holds."""
    assert counted({"usage": USAGE}, status=status) == []


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_hits_misses_and_output_are_all_there_is(hits: int, misses: int, output: int) -> None:
    """The disjoint meters add up to the total that the vendor states."""
    usage = {
        "prompt_tokens": hits + misses, "prompt_cache_hit_tokens": hits, "prompt_cache_miss_tokens": misses,
        "completion_tokens": output,
    }  # fmt: skip
    [found] = counted({"usage": usage})
    assert sum(count for meter, count in found.quantities.items() if meter != "requests") == hits + misses + output


def test_more_hits_than_tokens_are_refused() -> None:
    """What cannot be right is raised for the meter to count."""
    with pytest.raises(ValueError, match="more than these"):
        counted({"usage": {**USAGE, "prompt_cache_hit_tokens": 60_000}})


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a mark"])
def test_a_mark_before_an_export_hides_no_column(mark: str) -> None:
    """What a spreadsheet puts before the first column's name is no part of it."""
    text = (
        f"{mark}user_id,utc_date,model,wallet_type,cost,currency\n"
        "u-1,2026-11-02,deepseek-flash,Paid,1.2345678900000000,CNY\n"
    )
    [charge] = costs(text.encode())
    assert isinstance(charge, Charge)
    assert (charge.billing_account_id, charge.billed_cost.amount) == ("u-1", Decimal("1.23456789"))
