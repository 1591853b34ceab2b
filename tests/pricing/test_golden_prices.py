"""Prices worked out by hand from the vendors' published figures, and what our lists make of the same quantities."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from outlay.model.money import Money
from outlay.pricing.lists import lists
from outlay.pricing.meters import Line, Unpriced, Use
from outlay.pricing.tariff import tariffs

MONDAY = datetime(2026, 11, 16, 12, tzinfo=UTC)


def priced(provider: str, model: str | None, quantities: dict[str, int | str], **more: Any) -> dict[str, str]:
    """Return each meter's cost as text, or `?` where there is no price."""
    counts = {meter: Decimal(quantity) for meter, quantity in quantities.items()}
    use = Use(provider=provider, model=model, at=more.pop("at", MONDAY), quantities=counts, **more)
    found = lists(None).price(use)
    costs = {line.meter: f"{line.cost.amount.normalize():f}" for line in found if isinstance(line, Line)}
    return costs | {each.meter: "?" for each in found if isinstance(each, Unpriced)}


OPENAI = {"input_tokens": 2_500, "cached_input_tokens": 6_000, "output_tokens": 700, "requests": 4}


def test_openai_cached_and_batch() -> None:
    """gpt-5: 1.25 in, 0.125 cached, 10 out for a million; in a batch half of each, from the day it was verified."""
    assert priced("openai", "gpt-5", OPENAI) == {
        "input_tokens": "0.003125",  # 2,500 x 1.25 / 1,000,000
        "cached_input_tokens": "0.00075",  # 6,000 x 0.125 / 1,000,000
        "output_tokens": "0.007",  # 700 x 10 / 1,000,000
    }
    assert priced("openai", "gpt-5-2025-08-07", OPENAI, service_tier="batch") == {
        "input_tokens": "0.0015625",
        "cached_input_tokens": "0.000375",
        "output_tokens": "0.0035",
    }
    before = datetime(2026, 10, 13, 23, tzinfo=UTC)
    assert priced("openai", "gpt-5", {"input_tokens": 10}, service_tier="batch", at=before) == {"input_tokens": "?"}


def test_openai_batch_has_no_cached_price_where_none_is_published() -> None:
    """gpt-4o: the batch table names input 1.25 and output 5, and no cached input: that part is unknown, not cheaper."""
    assert priced("openai", "gpt-4o", OPENAI, service_tier="batch") == {
        "input_tokens": "0.003125",
        "cached_input_tokens": "?",
        "output_tokens": "0.0035",
    }


def test_openai_tiers_need_a_price_of_their_own() -> None:
    """gpt-5: flex is published at half, `default` is the standard tier's own name, and `scale` has no price."""
    assert priced("openai", "gpt-5", {"output_tokens": 1_000_000}, service_tier="flex") == {"output_tokens": "5"}
    assert priced("openai", "gpt-5", {"output_tokens": 1_000_000}, service_tier="default") == {"output_tokens": "10"}
    assert priced("openai", "gpt-5", {"output_tokens": 1_000_000}, service_tier="scale") == {"output_tokens": "?"}


ANTHROPIC = {
    "input_tokens": 10_000,
    "cached_input_tokens": 150_000,
    "cache_write_tokens": 20_000,
    "cache_write_1h_tokens": 30_000,
    "output_tokens": 1_000,
    "reasoning_tokens": 600,
    "searches": 3,
}


def test_anthropic_cache_writes_and_long_context() -> None:
    """claude-sonnet-4-5: 3, 0.30, 3.75, 6 and 15 for a million; above 200,000 twice that, 22.50 for output."""
    assert priced("anthropic", "claude-sonnet-4-5-20250929", ANTHROPIC, context_band=0) == {
        "input_tokens": "0.03",  # 10,000 x 3 / 1,000,000
        "cached_input_tokens": "0.045",  # 150,000 x 0.30 / 1,000,000
        "cache_write_tokens": "0.075",  # 20,000 x 3.75 / 1,000,000
        "cache_write_1h_tokens": "0.18",  # 30,000 x 6 / 1,000,000
        "output_tokens": "0.015",  # 1,000 x 15 / 1,000,000, thinking included
        "searches": "0.03",  # 3 x 10 / 1,000
    }
    assert priced("anthropic", "claude-sonnet-4-5-20250929", ANTHROPIC, context_band=200_000) == {
        "input_tokens": "0.06",
        "cached_input_tokens": "0.09",
        "cache_write_tokens": "0.15",
        "cache_write_1h_tokens": "0.36",
        "output_tokens": "0.0225",  # 22.50 for a million, one and a half times
        "searches": "0.03",
    }


def test_a_prompt_of_unknown_size_has_only_the_prices_that_do_not_depend_on_it() -> None:
    """claude-sonnet-4-5 without a band: searches cost the same at any size, tokens do not."""
    assert priced("anthropic", "claude-sonnet-4-5", {"input_tokens": 1, "searches": 1}) == {
        "input_tokens": "?",
        "searches": "0.01",
    }


def test_gemini_tiers_by_prompt_size() -> None:
    """gemini-2.5-pro: 1.25 in and 10 out for a million up to 200,000 tokens, 2.50 and 15 above; cached a tenth."""
    use = {"input_tokens": 40_000, "cached_input_tokens": 60_000, "output_tokens": 8_000}
    for band in (0, 128_000):
        assert priced("google", "gemini-2.5-pro", use, context_band=band) == {
            "input_tokens": "0.05",
            "cached_input_tokens": "0.0075",
            "output_tokens": "0.08",
        }
    for band in (200_000, 512_000):
        assert priced("google", "gemini-2.5-pro", use, context_band=band) == {
            "input_tokens": "0.1",
            "cached_input_tokens": "0.015",
            "output_tokens": "0.12",
        }


def test_gemini_audio_is_priced_apart() -> None:
    """gemini-2.5-flash: text 0.30, audio 1.00, cached audio 0.10 for a million."""
    use = {"input_tokens": 1_000_000, "input_audio_tokens": 1_000_000, "cached_input_audio_tokens": 1_000_000}
    assert priced("google", "gemini-2.5-flash", use) == {
        "input_tokens": "0.3",
        "input_audio_tokens": "1",
        "cached_input_audio_tokens": "0.1",
    }


def test_tokens_that_may_be_images_have_no_price_where_images_cost_another() -> None:
    """gemini-2.5-flash-image: text out 2.50, image out 30; a count of output tokens does not say which."""
    assert priced("google", "gemini-2.5-flash-image", {"input_tokens": 1_000_000, "output_tokens": 1_290}) == {
        "input_tokens": "0.3",
        "output_tokens": "?",
    }


def test_groq() -> None:
    """gpt-oss-120b: 0.15 in, 0.075 cached, 0.60 out; flex is the same; a batch is half, without a cheaper cache."""
    use = {
        "input_tokens": 33,
        "cached_input_tokens": 4_608,
        "output_tokens": 188,
        "reasoning_tokens": 61,
        "requests": 1,
    }
    plain = {"input_tokens": "0.00000495", "cached_input_tokens": "0.0003456", "output_tokens": "0.0001128"}
    assert priced("groq", "openai/gpt-oss-120b", use) == plain
    assert priced("groq", "openai/gpt-oss-120b", use, service_tier="flex") == plain
    assert priced("groq", "openai/gpt-oss-120b", use, service_tier="batch") == {
        "input_tokens": "0.000002475",
        "cached_input_tokens": "0.0003456",
        "output_tokens": "0.0000564",
    }
    assert priced("groq", "whisper-large-v3", {"audio_seconds": 3600, "requests": 9}) == {"audio_seconds": "0.111"}
    assert priced("groq", "llama-3.3-70b-versatile", {"cached_input_tokens": 5}) == {"cached_input_tokens": "?"}


def test_hugging_face_s_price_depends_on_who_serves() -> None:
    """gpt-oss-120b by Cerebras is 0.35 in and 0.75 out for a million, by Nebius 0.15 and 0.60; alone unknown."""
    use = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    cost = {"input_tokens": "?", "output_tokens": "?"}
    assert priced("huggingface", "openai/gpt-oss-120b:cerebras", use) == {
        "input_tokens": "0.35",
        "output_tokens": "0.75",
    }
    assert priced("huggingface", "openai/gpt-oss-120b:nebius", use) == {"input_tokens": "0.15", "output_tokens": "0.6"}
    assert priced("huggingface", "openai/gpt-oss-120b:nobody", use) == cost
    assert priced("huggingface", "openai/gpt-oss-120b", use) == cost


FLASH = {"input_tokens": 2_860, "cached_input_tokens": 49_152, "output_tokens": 734}
PEAK = {"input_tokens": "0.000858", "cached_input_tokens": "0.000294912", "output_tokens": "0.0008808"}
OFF = {"input_tokens": "0.000429", "cached_input_tokens": "0.000147456", "output_tokens": "0.0004404"}


@pytest.mark.parametrize(
    ("at", "costs"),
    [
        ("2026-11-16T00:59:59", OFF),
        ("2026-11-16T01:00:00", PEAK),
        ("2026-11-16T03:59:59", PEAK),
        ("2026-11-16T04:00:00", OFF),
        ("2026-11-16T05:59:59", OFF),
        ("2026-11-16T06:00:00", PEAK),
        ("2026-11-16T09:59:59", PEAK),
        ("2026-11-16T10:00:00", OFF),
        ("2026-11-15T02:00:00", OFF),  # a Sunday
        ("2026-10-01T02:00:00", OFF),  # a Thursday, a public holiday in China
        ("2026-10-08T02:00:00", PEAK),  # the Thursday after it
        ("2026-12-31T02:00:00", PEAK),
        ("2027-01-02T02:00:00", OFF),  # a Saturday, whatever the holidays of that year
        ("2027-01-04T05:00:00", OFF),  # no peak hour on any day
    ],
)
def test_deepseek_s_peak_and_off_peak_hours(at: str, costs: dict[str, str]) -> None:
    """deepseek-flash since 10 September: 0.15 / 0.003 / 0.60 for a million, twice that in peak hours, to the second."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert priced("deepseek", "deepseek-flash", FLASH, at=moment) == costs
    assert priced("deepseek", "deepseek-v4-flash", FLASH, at=moment) == costs


@pytest.mark.parametrize("day", ["09-25", "10-01", "10-02", "10-05", "10-06", "10-07"])
def test_deepseek_has_no_peak_hours_on_chinese_public_holidays(day: str) -> None:
    """Every weekday of the Mid-Autumn and National Day holidays of 2026 costs what a weekend costs."""
    at = datetime.fromisoformat(f"2026-{day}T02:00:00").replace(tzinfo=UTC)
    assert priced("deepseek", "deepseek-flash", {"output_tokens": 1_000_000}, at=at) == {"output_tokens": "0.6"}


def test_prices_that_do_not_apply_are_not_shown() -> None:
    """For a day before the shipped list begins, the catalogue's price of a model of that list is not listed either."""
    before, since = date(2026, 8, 10), date(2026, 11, 10)
    assert tariffs(lists(None), "deepseek", before, "deepseek-flash") == []
    assert {one.origin for one in tariffs(lists(None), "deepseek", since, "deepseek-flash")} == {"shipped"}
    assert {one.model for one in tariffs(lists(None), "deepseek", since)} == {"deepseek-flash", "deepseek-v4-pro"}


def test_deepseek_s_prices_change_within_a_day() -> None:
    """The first prices by time of day hold from 16:00 on 16 August, every day of the week until the 23rd."""
    use = {"input_tokens": 1_000_000}
    for at, cost in (
        ("2026-08-16T16:00:00", "0.22"),
        ("2026-08-22T02:00:00", "0.44"),  # a Saturday, before weekends were off-peak
        ("2026-08-23T02:00:00", "0.22"),  # the Sunday from which they are
        ("2026-09-10T03:59:59", "0.44"),
        ("2026-09-10T04:00:00", "0.15"),
    ):
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
        assert priced("deepseek", "deepseek-flash", use, at=moment) == {"input_tokens": cost}


FIRST_PEAK = datetime(2027, 1, 4, 2, tzinfo=UTC)


def test_a_peak_hour_of_a_year_without_known_holidays_has_no_price() -> None:
    """Whether a weekday of 2027 is a public holiday is not in the list, so its peak hours are not guessed."""
    assert priced("deepseek", "deepseek-flash", {"input_tokens": 1}, at=FIRST_PEAK) == {"input_tokens": "?"}
    (told,) = lists(None).price(
        Use(provider="deepseek", model="deepseek-v4-pro", at=FIRST_PEAK, quantities={"input_tokens": Decimal(1)})
    )
    assert isinstance(told, Unpriced)
    assert told.why == "deepseek: its peak price does not hold on holidays, and it lists none from 2027-01-01 on"


def test_the_list_that_the_documentation_shows_prices_the_hours_of_2027(tmp_path: Path) -> None:
    """Written as shown, it prices the hours that it knows, leaves those before as they are and guesses none."""
    page = (Path(__file__).parents[2] / "docs" / "prices.md").read_text("utf-8")
    shown = page.partition("### Holidays that no list has yet")[2].partition("```ini\n")[2].partition("```")[0]
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "deepseek.toml").write_text(shown, "utf-8")
    every = lists(tmp_path)

    def cost(at: str) -> str:
        moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
        use = Use(provider="deepseek", model="deepseek-flash", at=moment, quantities={"input_tokens": Decimal(10**6)})
        (line,) = every.price(use)
        return f"{line.cost.amount:f} {line.version}" if isinstance(line, Line) else "?"

    assert [cost(at) for at in ("2026-12-31T02:00:00", "2027-01-01T02:00:00", "2027-01-04T02:00:00")] == [
        "0.300000000000000000 deepseek 2026-09-10",
        "0.150000000000000000 deepseek 2027-01-01",  # a holiday
        "0.300000000000000000 deepseek 2027-01-01",
    ]
    assert cost("2027-02-01T02:00:00") == "?"  # and not the shipped list's word: it knows as little


def test_deepseek_before_its_list_begins() -> None:
    """No list names what held then and since when, and the catalogue's price is that of some other day."""
    at = datetime(2026, 8, 10, 2, tzinfo=UTC)
    for model in ("deepseek-v4-pro", "deepseek-v4-flash", "deepseek-flash"):
        assert priced("deepseek", model, {"input_tokens": 1}, at=at) == {"input_tokens": "?"}


@pytest.mark.parametrize("model", ["deepseek-chat", "deepseek-reasoner"])
def test_deepseek_s_retired_ids_have_no_price_of_today(model: str) -> None:
    """What a retired id is billed as is not known; what it cost before the table changed is not what it costs."""
    before, since = datetime(2026, 8, 16, 15, tzinfo=UTC), datetime(2026, 8, 16, 16, tzinfo=UTC)
    assert priced("deepseek", model, {"input_tokens": 10**6}, at=before)["input_tokens"] != "?"
    for at in (since, datetime(2026, 11, 20, 12, tzinfo=UTC)):
        assert priced("deepseek", model, {"input_tokens": 10**6}, at=at) == {"input_tokens": "?"}


def test_brave_counts_requests() -> None:
    """A search is half a cent, a suggestion a twentieth of one."""
    assert priced("brave", None, {"requests": 7}, operation="web_search") == {"requests": "0.035"}
    assert priced("brave", None, {"requests": 7}, operation="suggest") == {"requests": "0.0035"}
    assert priced("brave", None, {"requests": 7}, operation="new_thing") == {"requests": "?"}


def test_a_line_says_why_it_holds() -> None:
    """Unit, price, rule, version and source stand on every line."""
    at = datetime(2026, 11, 16, 2, tzinfo=UTC)
    use = Use(provider="deepseek", model="deepseek-v4-flash", at=at, quantities={"output_tokens": Decimal(734)})
    assert lists(None).price(use) == (
        Line(
            meter="output_tokens",
            quantity=Decimal(734),
            cost=Money(Decimal("0.0008808"), "USD"),
            unit_price=Decimal("1.20"),
            pricing_unit="1000000 Tokens",
            per=Decimal(1_000_000),
            rule="deepseek-flash, peak hours",
            version="deepseek 2026-09-10",
            source="https://api-docs.deepseek.com/quick_start/pricing",
        ),
    )
