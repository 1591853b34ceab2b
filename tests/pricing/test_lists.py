"""Which list speaks, and the laws of pricing: linear, exact, never a stand-in for what is not known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.model.metering import CONTEXT_EDGES, METERS, context_band
from outlay.pricing import lists as lists_module
from outlay.pricing.book import Book
from outlay.pricing.lists import Lists, lists
from outlay.pricing.meters import Line, Unpriced, Use
from outlay.pricing.reading import read

HEAD = 'provider = "groq"\ncurrency = "EUR"\nchecked = 2026-11-01\nsource = "https://vendor.test/prices"\n'
NOON = datetime(2026, 11, 16, 12, tzinfo=UTC)
HOURS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
QUANTITIES = st.dictionaries(st.sampled_from(sorted(METERS)), st.integers(0, 10**13).map(Decimal), max_size=6)
MODELS = st.sampled_from(
    [
        ("openai", "gpt-5"), ("openai", "gpt-5.5"), ("anthropic", "claude-sonnet-4-5"), ("groq", "openai/gpt-oss-120b"),
        ("deepseek", "deepseek-flash"), ("deepseek", "deepseek-chat"), ("google", "gemini-2.5-pro"),
        ("brave", None), ("groq", "no-such-model"), ("nobody", "x"),
    ]
)  # fmt: skip
TIERS = st.sampled_from([None, "batch", "flex", "priority", "default", "odd"])
BANDS = st.sampled_from([None, 0, *CONTEXT_EDGES])


def own(tmp_path: Path, text: str, name: str = "mine") -> Lists:
    """Return all lists, with one of the user's own."""
    (tmp_path / "prices").mkdir(exist_ok=True)
    (tmp_path / "prices" / f"{name}.toml").write_text(HEAD + text, "utf-8")
    return lists(tmp_path)


def book(text: str) -> Book:
    """Return a list from its text."""
    return read(HEAD + text, "mine.toml", "mine", "own")


def use(model: str | None, at: datetime = NOON, **quantities: int | str) -> Use:
    """Return a use at one vendor."""
    counts = {meter: Decimal(quantity) for meter, quantity in quantities.items()}
    return Use(provider="groq", model=model, at=at, quantities=counts)


def costs(found: tuple[Line | Unpriced, ...]) -> dict[str, Decimal | None]:
    """Return what each meter costs; None where it has no price."""
    return {each.meter: each.cost.amount if isinstance(each, Line) else None for each in found}


@st.composite
def uses(draw: st.DrawFn) -> Use:
    """Draw a use of anything at any time."""
    provider, model = draw(MODELS)
    return Use(
        provider=provider,
        model=model,
        at=draw(HOURS),
        service_tier=draw(TIERS),
        operation="web_search" if provider == "brave" else None,
        context_band=draw(BANDS),
        quantities=draw(QUANTITIES),
    )


@given(uses())
def test_every_quantity_is_priced_once_or_told(drawn: Use) -> None:
    """What may cost something is on exactly one line; what is inside another, or nothing, is on none."""
    found = lists(None).price(drawn)
    meters = [each.meter for each in found]
    due = {meter for meter, quantity in drawn.quantities.items() if quantity and METERS[meter].inside is None}
    assert len(meters) == len(set(meters))
    assert due - {"requests"} <= set(meters) <= due | {"uncounted_requests"}
    assert all(each.quantity == drawn.quantities[each.meter] for each in found)
    assert all(each.why for each in found if isinstance(each, Unpriced))


@given(uses())
def test_a_cost_is_the_exact_fraction_rounded_once(drawn: Use) -> None:
    """Quantity times price, off by no more than half of the last place kept, and no float anywhere."""
    for line in lists(None).price(drawn):
        if isinstance(line, Line):
            true = Fraction(line.quantity) * Fraction(line.unit_price) / Fraction(line.per)
            assert abs(Fraction(line.cost.amount) - true) <= Fraction(1, 2 * 10**18)
            assert {type(value) for value in (line.quantity, line.cost.amount, line.unit_price, line.per)} == {Decimal}


@given(uses(), st.lists(st.integers(0, 10**10), min_size=1, max_size=5))
def test_the_parts_of_an_hour_cost_what_the_whole_costs(drawn: Use, parts: list[int]) -> None:
    """Tokens split over several events cost the same to the last digit; what has no price in parts has none in sum."""
    every = lists(None)
    meters = ("input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens")

    def priced(count: int) -> dict[str, Decimal | None]:
        quantities = {meter: Decimal(count) for meter in meters}
        one = Use(
            provider=drawn.provider, model=drawn.model, at=drawn.at, service_tier=drawn.service_tier,
            operation=drawn.operation, context_band=drawn.context_band, quantities=quantities,
        )  # fmt: skip
        return costs(every.price(one))

    whole, several = priced(sum(parts)), [priced(part) for part in parts if part]
    for meter, cost in whole.items():
        split = [each[meter] for each in several]
        if cost is None:
            assert split == [None] * len(split)
        else:
            assert sum(amount for amount in split if amount is not None) == cost
            assert None not in split


@given(uses())
def test_what_has_no_price_is_never_free(drawn: Use) -> None:
    """A line of nothing comes only from a price of nothing."""
    for line in lists(None).price(drawn):
        if isinstance(line, Line) and not line.cost.amount:
            assert not line.unit_price


def test_requests_whose_tokens_were_not_told_are_told() -> None:
    """A stream left before its end used something: it is unknown, unless requests are all that is billed."""
    found = lists(None).price(use("openai/gpt-oss-120b", requests=3, uncounted_requests=2, input_tokens=10))
    assert costs(found) == {"uncounted_requests": None, "input_tokens": Decimal("0.0000015")}
    search = Use(provider="brave", model=None, operation="web_search", at=NOON,
                 quantities={"requests": Decimal(3), "uncounted_requests": Decimal(3)})  # fmt: skip
    assert costs(lists(None).price(search)) == {"requests": Decimal("0.015")}


MINE = """
[[model]]
id = "openai/gpt-oss-120b"
[[model.price]]
valid_from = 2026-11-10
input_tokens = "1 per million"
"""


def test_the_user_s_own_list_speaks_first_and_alone(tmp_path: Path) -> None:
    """From the day it begins, a meter that it does not price is unknown: no other list fills it in."""
    mine = own(tmp_path, MINE)
    assert costs(mine.price(use("openai/gpt-oss-120b", input_tokens=10, output_tokens=1))) == {
        "input_tokens": Decimal("0.00001"),
        "output_tokens": None,
    }
    line = mine.price(use("openai/gpt-oss-120b", input_tokens=10))[0]
    assert isinstance(line, Line)
    assert (line.cost.currency, line.version, line.source) == ("EUR", "mine 2026-11-10", "https://vendor.test/prices")


def test_before_the_user_s_own_list_begins_the_others_speak(tmp_path: Path) -> None:
    """The day before, the catalogue's price holds."""
    before = datetime(2026, 11, 9, 23, tzinfo=UTC)
    line = own(tmp_path, MINE).price(use("openai/gpt-oss-120b", before, input_tokens=10))[0]
    assert isinstance(line, Line)
    assert (line.cost.currency, line.unit_price) == ("USD", Decimal("0.15"))


def test_without_the_catalogue_a_model_has_no_price_and_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is not installed nothing else changes, and the reason says what would help."""
    monkeypatch.setattr(lists_module.catalogue, "book", lambda _provider: None)
    monkeypatch.setattr(lists_module.catalogue, "release", lambda: None)
    found = lists(None).price(use("openai/gpt-oss-120b", input_tokens=10))
    assert [each.why for each in found if isinstance(each, Unpriced)] == [
        "no list has prices of groq, as the extra `prices` is not installed"
    ]
    speech = Use(provider="elevenlabs", model="x", at=NOON, quantities={"credits": Decimal(1)})
    (left,) = lists(None).price(speech)  # the catalogue would not help
    assert isinstance(left, Unpriced)
    assert left.why == "no list has prices of elevenlabs"


def test_calls_of_which_nothing_was_told_are_unknown_once() -> None:
    """Where no list knows the model, its uncounted calls are not told a second time as requests."""
    found = lists(None).price(use("no-such-model", requests=3, uncounted_requests=3))
    assert [(each.meter, each.quantity) for each in found] == [("uncounted_requests", 3)]
    alone = lists(None).price(use("no-such-model", requests=3))
    assert [each.meter for each in alone] == ["requests"]


def test_an_unknown_model_is_told_with_its_neighbours() -> None:
    """A slip of the pen is never priced as what it resembles; the reason names what is near."""
    (found,) = lists(None).price(use("openai/gpt-oss-121b", input_tokens=10))
    assert isinstance(found, Unpriced)
    assert "no list knows openai/gpt-oss-121b; the nearest known are openai/gpt-oss-120b" in found.why


def test_a_model_known_for_later_days_only_says_so() -> None:
    """Before its first price a model is not unknown: the reason tells the two apart, and names no day of its own."""
    later = Lists(own=(book(MINE.replace("gpt-oss-120b", "new")),), with_catalogue=False)
    (found,) = later.price(use("openai/new", datetime(2026, 11, 9, tzinfo=UTC), input_tokens=1))
    assert isinstance(found, Unpriced)
    assert found.why == "the lists know openai/new, and no price of it for that day"


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("gpt-x", True),
        ("gpt-x-latest", True),
        ("gpt-x-2026-08-01", True),
        ("gpt-x-latest-20260801", True),
        ("gpt-x-mini", False),
        ("gpt-x-2026-08", False),
        ("gpt-x2026-08-01", False),
        ("GPT-X", False),
        ("gpt", False),
        ("vendor/gpt-x", False),
    ],
)
def test_models_are_matched_exactly(model: str, known: bool) -> None:
    """By id, by alias, and with a day behind where the list says so: nothing else."""
    text = (
        '[[model]]\nid = "gpt-x"\naliases = ["gpt-x-latest"]\ndated = true\n[[model.price]]\nvalid_from = 2026-01-01\n'
    )
    found = book(text + 'requests = "1 per thousand"').model(use(model))
    assert (found is not None) is known


def test_dated_ids_need_the_list_s_word() -> None:
    """Without `dated` a day behind the id makes it another model."""
    text = '[[model]]\nid = "gpt-x"\n[[model.price]]\nvalid_from = 2026-01-01\ninput_tokens = "1 per million"'
    assert book(text).model(use("gpt-x-2026-08-01")) is None


def test_a_free_model_has_a_price_of_nothing() -> None:
    """Zero is a price when a list states it."""
    text = '[[model]]\nid = "free"\n[[model.price]]\nvalid_from = 2026-01-01\noutput_tokens = "0 per million"'
    found = book(text)
    (line,) = found.price(found.models[0], use("free", output_tokens=10))
    assert isinstance(line, Line)
    assert line.cost.amount == 0


TIERED = """
standard = ["usual"]
[[window]]
name = "night"
utc = ["22:00-06:00"]
[[model]]
id = "m"
[[model.price]]
valid_from = 2026-01-01
output_tokens = "8 per million"
[[model.price]]
valid_from = 2026-01-01
above = 200000
output_tokens = "16 per million"
[[model.price]]
valid_from = 2026-01-01
when = "night"
output_tokens = "4 per million"
[[model.price]]
valid_from = 2026-01-01
when = "night"
above = 200000
output_tokens = "5 per million"
[[model.price]]
valid_from = 2026-06-01
tier = "batch"
times = "0.5"
[[model.price]]
valid_from = 2026-01-01
valid_until = 2026-03-01
tier = "flex"
output_tokens = "3 per million"
"""


@pytest.mark.parametrize(
    ("hour", "band", "tier", "amount"),
    [
        (12, 0, None, "8"),
        (12, 128_000, "usual", "8"),
        (12, 200_000, None, "16"),
        (12, 512_000, None, "16"),
        (21, 0, None, "8"),
        (22, 0, None, "4"),
        (5, 200_000, None, "5"),
        (6, 200_000, None, "16"),
        (12, 200_000, "batch", "8"),
        (23, 0, "batch", "2"),
        (12, 0, "flex", None),
        (12, None, None, None),
    ],
)
def test_tier_size_and_time_of_day_choose_together(
    hour: int, band: int | None, tier: str | None, amount: str | None
) -> None:
    """Each row holds for its own tier, size and hours, across midnight; a factor multiplies whatever would hold."""
    found = book(TIERED)
    one = Use(
        provider="groq", model="m", at=datetime(2026, 11, 16, hour, 59, tzinfo=UTC), service_tier=tier,
        context_band=band, quantities={"output_tokens": Decimal(1_000_000)},
    )  # fmt: skip
    (line,) = found.price(found.models[0], one)
    assert costs((line,)) == {"output_tokens": None if amount is None else Decimal(amount)}


def test_prices_change_at_their_hour() -> None:
    """A row holds from its first hour until the hour the next one begins."""
    text = """
[[model]]
id = "m"
[[model.price]]
valid_from = 2026-02-01T05:00:00+02:00
valid_until = 2026-08-01
input_tokens = "1 per million"
[[model.price]]
valid_from = 2026-05-01
input_tokens = "2 per million"
"""
    found = book(text)
    begin = datetime(2026, 2, 1, 3, tzinfo=UTC)
    for at, amount in (
        (begin - timedelta(seconds=1), None),
        (begin, "1"),
        (datetime(2026, 4, 30, 23, 59, 59, tzinfo=UTC), "1"),
        (datetime(2026, 5, 1, tzinfo=UTC), "2"),
        (datetime(2027, 1, 1, tzinfo=UTC), "2"),
    ):
        one = use("m", at, input_tokens=1_000_000)
        model = found.model(one)
        assert (model is not None) is (amount is not None)
        if model is not None and amount is not None:
            assert costs(tuple(found.price(model, one))) == {"input_tokens": Decimal(amount)}


@given(st.integers(0, 600_000))
def test_a_band_chooses_the_row_its_prompt_would(prompt: int) -> None:
    """For each edge we keep, a prompt above it has the price above it and one of its very size has not."""
    edges = "".join(
        f'[[model.price]]\nvalid_from = 2026-01-01\nabove = {edge}\ninput_tokens = "{edge} per 1"\n'
        for edge in CONTEXT_EDGES
    )
    found = book('[[model]]\nid = "m"\n[[model.price]]\nvalid_from = 2026-01-01\ninput_tokens = "1 per 1"\n' + edges)
    one = Use(
        provider="groq", model="m", at=NOON, context_band=context_band(prompt), quantities={"input_tokens": Decimal(1)}
    )
    expected = max((edge for edge in CONTEXT_EDGES if prompt > edge), default=1)
    assert costs(tuple(found.price(found.models[0], one))) == {"input_tokens": Decimal(expected)}


def test_the_shipped_lists_say_where_they_are_from() -> None:
    """Every shipped list has its source and the day somebody last looked, and only prices what it documents."""
    shipped = lists(None).shipped
    assert [one.name for one in shipped] == list(lists_module.SHIPPED)
    for one in shipped:
        assert one.source.startswith("https://")
        assert one.checked is not None
        assert one.checked >= date(2026, 11, 22)
        assert all(row.valid_from is not None for model in one.models for row in model.rows)
