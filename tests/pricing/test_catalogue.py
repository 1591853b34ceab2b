"""The maintained catalogue: applied exactly, to disjoint meters, with the same sums as its own arithmetic."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage
from genai_prices.data import providers
from genai_prices.types import ClauseContains, ClauseEquals, ClauseRegex, ClauseStartsWith

from outlay.model.metering import CONTEXT_EDGES
from outlay.pricing import catalogue
from outlay.pricing.book import Book, Model, Rate, Row
from outlay.pricing.lists import lists
from outlay.pricing.meters import Line, Use

AT = datetime(2026, 11, 16, 12, tzinfo=UTC)
COUNTS = {
    "input_tokens": Decimal(70_001),
    "cached_input_tokens": Decimal(20_003),
    "cache_write_tokens": Decimal(1_007),
    "cache_write_1h_tokens": Decimal(509),
    "output_tokens": Decimal(3_011),
}
OURS = [one for one in providers if one.id in catalogue.PROVIDERS]
MODELS = [pytest.param(one, model, id=f"{one.id}/{model.id}") for one in OURS for model in one.models]


def theirs(model: Any, counts: dict[str, Decimal]) -> Any:
    """Return the catalogue's own usage of disjoint counts: its input holds what is cached, too."""
    names = {"cached_input_tokens": "cache_read_tokens", "cache_write_1h_tokens": "cache_write_1h_tokens"}
    written = counts.get("cache_write_tokens", Decimal(0)) + counts.get("cache_write_1h_tokens", Decimal(0))
    whole = sum((count for meter, count in counts.items() if meter != "output_tokens"), Decimal(0))
    usage = {names[meter]: int(count) for meter, count in counts.items() if meter in names}
    if written:
        usage["cache_write_tokens"] = int(written)
    return Usage(input_tokens=int(whole), output_tokens=int(counts.get("output_tokens", 0)), **usage)


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_our_lines_add_up_to_the_catalogue_s_own_answer(provider: Any, model: Any) -> None:
    """What has a price costs, in sum, what the catalogue computes from counts that hold each other."""
    known = catalogue.book(provider.id)
    assert known is not None
    ours = next(each for each in known.models if each.ids == (model.id,))
    whole = Use(provider=provider.id, model=model.id, at=AT, context_band=0, quantities=COUNTS)
    priced = {each.meter for each in known.price(ours, whole) if isinstance(each, Line)}
    counts = {meter: COUNTS[meter] for meter in COUNTS if meter in priced}
    if not counts:
        return
    lines = known.price(ours, Use(provider=provider.id, model=model.id, at=AT, context_band=0, quantities=counts))
    total = sum((line.cost.amount for line in lines if isinstance(line, Line)), Decimal(0))
    their = model.calc_price(theirs(model, counts), provider, genai_request_timestamp=AT)
    assert total == their.total_price


def test_the_sizes_at_which_prices_change_are_ours() -> None:
    """Totals are kept by every edge of the vendors we know; a new one among them belongs into CONTEXT_EDGES."""
    books = [one for one in (catalogue.book(each.id) for each in OURS) if one is not None]
    edges = {row.above for one in books for model in one.models for row in model.rows}
    assert len(books) == len(OURS)
    assert edges - {0, *CONTEXT_EDGES} == set()


def test_an_edge_inside_a_band_is_not_guessed() -> None:
    """A vendor's edge that totals are not kept by has no price in the band around it, and a sure one elsewhere."""
    rows = (Row(rates={"input_tokens": Rate(Decimal(1), Decimal(1))}),
            Row(rates={"input_tokens": Rate(Decimal(2), Decimal(1))}, above=150_000))  # fmt: skip
    known = Book("b", "p", "USD", (Model(("m",), rows),), "s")

    def cost(band: int) -> Decimal | None:
        use = Use(provider="p", model="m", at=AT, context_band=band, quantities={"input_tokens": Decimal(1)})
        (found,) = known.price(known.models[0], use)
        return found.cost.amount if isinstance(found, Line) else None

    assert [cost(band) for band in (0, 100_000, 128_000, 200_000)] == [1, 1, None, 2]


@pytest.mark.parametrize(
    ("clause", "ref", "exact"),
    [
        (ClauseEquals("gpt-5"), "gpt-5", True),
        (ClauseEquals("gpt-5"), "gpt-5-2026-01-01", False),
        (ClauseStartsWith("claude-opus-4-5"), "claude-opus-4-5", True),
        (ClauseStartsWith("claude-opus-4-5"), "claude-opus-4-5-20251101", True),
        (ClauseStartsWith("claude-opus-4-5"), "claude-opus-4-5@20251101", True),
        (ClauseStartsWith("claude-opus-4-5"), "claude-opus-4-5-turbo", False),
        (ClauseStartsWith("claude-opus-4-5"), "claude-opus-4-5-turbo-20251101", False),
        (ClauseStartsWith("claude-sonnet-4-2025"), "claude-sonnet-4-20250514", True),
        (ClauseStartsWith("claude-2"), "claude-2.1", False),
        (ClauseContains("claude-3-haiku"), "eu.claude-3-haiku", False),
        (ClauseContains("claude-3-haiku"), "claude-3-haiku", True),
        (ClauseRegex(r"^claude-fable-5-\d{8}$"), "claude-fable-5-20260101", True),
        (ClauseRegex(r"claude-fable"), "claude-fable-5", False),
    ],
)
def test_only_a_full_name_is_a_match(clause: Any, ref: str, exact: bool) -> None:
    """The catalogue's loose rules hold for the name itself, and with a day behind it."""
    assert catalogue.exactly(clause, ref) is exact


@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_a_model_answers_to_no_name_the_catalogue_gives_to_another(provider: Any, model: Any) -> None:
    """Where several of its rules fit, the catalogue's own first choice holds or none."""
    first = next(one for one in provider.models if one.is_match(model.id)) if model.is_match(model.id) else None
    use = Use(provider=provider.id, model=model.id, at=AT, quantities={})
    known = catalogue.book(provider.id)
    assert known is not None
    found = next((each for each in known.models if each.answers_to(use)), None)
    assert found is None or (first is not None and found.ids == (first.id,))


def test_a_vendor_the_catalogue_does_not_know_has_no_list() -> None:
    """Only vendors whose model ids mean the same in both are looked up."""
    assert catalogue.book("brave") is None
    assert catalogue.book("openrouter") is None


def test_prices_by_half_hours_are_not_guessed() -> None:
    """The old deepseek-chat changed its price at 16:30: the hours that hold an edge have none, the others have."""
    every = lists(None)

    def cost(hour: int) -> Decimal | None:
        at = datetime(2026, 3, 2, hour, tzinfo=UTC)
        use = Use(provider="deepseek", model="deepseek-chat", at=at, quantities={"output_tokens": Decimal(1_000_000)})
        (found,) = every.price(use)
        return found.cost.amount if isinstance(found, Line) else None

    assert [cost(hour) for hour in (0, 1, 15, 16, 17, 23)] == [
        None, Decimal("1.1"), Decimal("1.1"), None, Decimal("0.55"), Decimal("0.55"),
    ]  # fmt: skip
