"""What Gemini's SKUs make of a price list: exact where their words leave no doubt, left out and said where they do."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.model.facts import Name
from outlay.pricing.book import Rate
from outlay.providers.google.accounts import Amount
from outlay.providers.google.pricelist import price_list
from outlay.providers.google.prices import Step, _words, listed

IN, OUT = "Generate content input token count gemini 2.5 pro", "Generate content output token count gemini 2.5 pro"
Rates = dict[tuple[str | None, int], dict[str, str]]


def made(prices: dict[str, str], model: str = "gemini-2.5-pro") -> tuple[Rates, list[str]]:
    """Return a model's prices for a million tokens by tier and size, and what is left out."""
    names = [Name(kind="sku", id=f"S-{n}", name=f"{text}: {price}") for n, (text, price) in enumerate(prices.items())]
    priced, left = price_list(names)
    rates = {
        (row.tier, row.above): {meter: f"{rate.amount.normalize():f}" for meter, rate in row.rates.items()}
        for row in priced if row.model == model and all(rate.per == 10**6 for rate in row.rates.values())
    }  # fmt: skip
    return rates, [each.what for each in left]


def dollars(millionths: str) -> str:
    """Return the words of a price of so many dollars for a million tokens."""
    return f"{Decimal(millionths).scaleb(-6):f} USD per count"


BASE = {f"{IN} short input text": dollars("1.25"), f"{IN} long input text": dollars("2.5"),
        f"{OUT} short input text": dollars("10"), f"{OUT} long input text": dollars("15")}  # fmt: skip


def test_short_and_long_prompts() -> None:
    """Prompts above 200,000 tokens have a row of their own; nothing is left out."""
    rates, left = made(BASE)
    assert rates == {
        (None, 0): {"input_tokens": "1.25", "output_tokens": "10"},
        (None, 200000): {"input_tokens": "2.5", "output_tokens": "15"},
    }
    assert left == []


def test_one_price_for_every_size_is_one_row() -> None:
    """Where short and long cost the same the size does not matter."""
    rates, left = made(
        {**dict.fromkeys(list(BASE)[:2], dollars("0.3")), **dict.fromkeys(list(BASE)[2:], dollars("2.5"))}
    )
    assert (rates, left) == ({(None, 0): {"input_tokens": "0.3", "output_tokens": "2.5"}}, [])


def test_audio_cached_and_tiers() -> None:
    """Audio, what is read from a cache and batches have prices of their own; images at the same price do no harm."""
    batch = {f"Batch {text}": dollars("0.5") for text in BASE}
    extra = {
        "Generate content cached input token count gemini 2.5 pro text": dollars("0.125"),
        f"{IN} audio input": dollars("3"),
        f"{OUT} short input text thinking": dollars("10"),
    }
    rates, left = made({**BASE, **batch, **extra})
    more = {"cached_input_tokens": "0.125", "input_audio_tokens": "3"}
    assert rates[None, 0] == {"input_tokens": "1.25", "output_tokens": "10", **more}
    assert rates[None, 200000] == {"input_tokens": "2.5", "output_tokens": "15", **more}
    assert rates["batch", 0] == {"input_tokens": "0.5", "output_tokens": "0.5"}
    assert left == []


@pytest.mark.parametrize(
    "text",
    [
        f"{IN} short input image",
        f"{OUT} short input text thinking",
        f"{OUT} image output",
        f"{OUT} short input audio",
    ],
)
def test_what_is_counted_together_at_two_prices_has_none(text: str) -> None:
    """Images among the input, thoughts, images and answers to audio among the output: two prices are no price."""
    rates, left = made({**BASE, text: dollars("99")})
    assert rates == {}
    assert "gemini-2.5-pro" in left


@pytest.mark.parametrize(
    "text",
    [
        "Generate content cached token storage hours gemini 2.5 pro",
        f"Live API {IN} text",
        f"{IN} short input text tuned",
        "Embed content input token count gemini embedding",
        "Imagen 4 image generation",
        "Grounding with search gemini 2.5 pro",
        "Generate content input token count gemini embedding 001",
    ],
)
def test_words_that_say_more_are_left_out(text: str) -> None:
    """A SKU of something else neither prices a model nor keeps its other SKUs from it."""
    rates, left = made({**BASE, text: dollars("99")})
    assert rates == made(BASE)[0]
    assert [each for each in left if each.startswith(text)]


@pytest.mark.parametrize(
    "price", ["0 USD per count, 1 USD per count from 1000 on", "1 EUR per count", "1 USD per hour"]
)
def test_prices_that_are_no_price_per_token_are_left_out(price: str) -> None:
    """Prices by the month's volume, in another currency or per another unit."""
    rates, left = made({**BASE, f"{IN} audio input": price})
    assert "input_audio_tokens" not in rates[None, 0]
    assert len(left) == 1


def test_short_prompts_alone_do_not_price_long_ones() -> None:
    """Without a price of long prompts the model is left out, or long prompts are where other tokens have one."""
    short = {text: price for text, price in BASE.items() if " short " in text}
    assert made(short) == ({}, ["gemini-2.5-pro"])
    cached = {"Generate content cached input token count gemini 2.5 pro text": dollars("0.125")}
    rates, _ = made({**short, **cached})
    assert rates[None, 200000] == {"cached_input_tokens": "0.125"}


def test_a_batch_price_alone_is_left_out() -> None:
    """It would hide the prices of the standard tier that other lists have."""
    assert made({f"Batch {text}": price for text, price in BASE.items()})[0] == {}


def test_a_sku_that_is_gone_has_no_price() -> None:
    """A deleted name is not in the list."""
    names = [Name(kind="sku", id=text, name=f"{text}: {price}", state="deleted") for text, price in BASE.items()]
    assert price_list(names) == ((), ())


@given(st.integers(0, 10**12), st.integers(0, 10**9 - 1), st.sampled_from([1, 1000, 1_000_000]))
def test_prices_are_read_as_they_were_written(units: int, nanos: int, per: int) -> None:
    """Units and nanos come back to the last digit through the words of a name."""
    step = Step(Decimal(0), Amount(currency_code="USD", units=str(units), nanos=nanos))
    found = listed(f"Any: words: {_words([step], 'count', Decimal(per))}")
    assert found is not None
    assert found.amount == Decimal(units) + Decimal(nanos).scaleb(-9)
    assert Rate(found.amount, found.per) == Rate(step.price.exactly(), Decimal(per))
