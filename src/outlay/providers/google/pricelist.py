"""Make prices per meter of what Gemini's SKUs are called and cost: only where a SKU's words leave no doubt.

What is billed together at several prices, and what is counted otherwise than it is billed, is left out and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from outlay.model.facts import Name
from outlay.pricing.book import Rate
from outlay.pricing.writing import Priced
from outlay.providers.google.gemini import GEMINI_API, besides, told
from outlay.providers.google.prices import CURRENCY, Listed, listed

_KNOWN = frozenset(
    {"generate", "content", "input", "output", "cached", "token", "tokens", "count", "short", "long", "context", "text",
     "audio", "image", "video", "batch", "flex", "priority", "thinking", "for"}
)  # fmt: skip
"""What a SKU's words may say beside the model: any other word may change what is counted."""
_MODALITIES = frozenset({"text", "audio", "image", "video"})
_AUDIO_OUTPUT = re.compile(r"\b(?:output audio|audio output)\b", re.IGNORECASE)
_NEEDED = ("input_tokens", "output_tokens")
_LONG = 200_000
"""Tokens of a prompt above which Google calls it long, from Gemini 2.5 on."""
_FIRST_OF_LONG = Decimal("2.5")
_BOTH = ("short", "long")


class Left(NamedTuple):
    """A SKU or a model that has no price in the list, and why."""

    what: str
    why: str


class Sorted(NamedTuple):
    """The prices of a price list and what is left out of it."""

    priced: tuple[Priced, ...]
    left: tuple[Left, ...]


@dataclass(slots=True)
class _Meter:
    """The prices of one meter by the length of the prompt, None where the words do not say it."""

    rates: dict[str | None, set[Rate]] = field(default_factory=dict)
    counted: bool = False
    """Whether a SKU is of the meter itself; others only bear on whether its price is the only one."""

    def at(self, length: str) -> set[Rate]:
        """Return all prices that may hold for prompts of a length."""
        return self.rates.get(length, set()) | self.rates.get(None, set())


_Model = dict[str, _Meter]


def price_list(names: Iterable[Name]) -> Sorted:
    """Return what the names of SKUs make of a price list. Order: by model and tier; what is left out by its name."""
    left: list[Left] = []
    models: dict[tuple[str, str], _Model] = {}
    for name in names:
        if name.kind != "sku" or name.state != "active":
            continue
        found = _meter(name.name or "")
        if isinstance(found, str):
            left.append(Left(f"{name.name or name.id} ({name.id})", found))
            continue
        key, meter, length, counted, rate = found
        held = models.setdefault(key, {}).setdefault(meter, _Meter())
        held.rates.setdefault(length, set()).add(rate)
        held.counted |= counted
    priced = [row for key in sorted(models) for row in _rows(key, models[key], left)]
    standard = {row.model for row in priced if row.tier is None}
    why = "the standard tier has no price here"
    left += [Left(f"{row.model}, tier {row.tier}", why) for row in priced if row.model not in standard]
    return Sorted(tuple(row for row in priced if row.model in standard), tuple(sorted(set(left))))


class _Found(NamedTuple):
    model: tuple[str, str]
    meter: str
    length: str | None
    counted: bool
    rate: Rate


def _meter(name: str) -> _Found | str:
    """Return what a SKU prices, or why that is not clear."""
    price = listed(name)
    if price is None:
        return "it has no single list price"
    if price.currency != CURRENCY or price.unit != "count":
        return f"its price is in {price.currency} per {price.unit}"
    said = told(GEMINI_API, price.text)
    words = besides(price.text)
    if said.model is None or not re.fullmatch(r"gemini-\d.*", said.model) or said.meter is None:
        return "its words name no version of Gemini and kind of token"
    if unknown := sorted(set(words) - _KNOWN):
        return f"its words say more than model and kind of token: {', '.join(unknown)}"
    placed = _placed(said.meter, words, price.text)
    if placed is None:
        return "its words leave open which tokens it counts"
    meter, counted = placed
    return _Found((said.model, said.service_tier or ""), meter, said.context_window, counted, _rate(price))


def _placed(meter: str, words: list[str], text: str) -> tuple[str, bool] | None:
    """Return the meter and whether its tokens are what the meter counts as such."""
    media = _MODALITIES & set(words)
    if meter == "output_tokens":
        if _AUDIO_OUTPUT.search(text):
            return "output_audio_tokens", True
        # The words behind tell what went in; answers to other things than text are counted together with the rest.
        return meter, media <= {"text"} and "thinking" not in words
    if "output" in words or "thinking" in words:
        return None
    if "audio" in media:
        return (meter.replace("input", "input_audio"), True) if media == {"audio"} else None
    return meter, media <= {"text"} or "text" in media


def _rate(price: Listed) -> Rate:
    return Rate(price.amount.scaleb(6), Decimal(10) ** 6) if price.per == 1 else Rate(price.amount, price.per)


def _rows(key: tuple[str, str], meters: Mapping[str, _Meter], left: list[Left]) -> Iterator[Priced]:
    """Yield a model's prices in one tier: one row for all prompts, or one for the short and one for the long ones."""
    model, tier = key
    title = f"{model}, tier {tier}" if tier else model
    rates: dict[str, dict[str, Rate]] = {length: {} for length in _BOTH}
    for meter, held in sorted(meters.items()):
        if not held.counted:
            left.append(Left(f"{title}, {meter}", "no SKU prices these tokens as such"))
            continue
        for length in _BOTH:
            if len(held.at(length)) > 1:
                left.append(Left(f"{title}, {meter}", "tokens that are counted together have several prices"))
            elif held.at(length):
                [rates[length][meter]] = held.at(length)
    if lacking := [meter for meter in _NEEDED if meter not in rates["short"]]:
        left.append(Left(title, f"it would have no price of {' and '.join(lacking)}"))
    elif rates["short"] == rates["long"]:
        yield Priced(model, tier or None, 0, rates["short"])
    elif not rates["long"] or not _knows_long(model):
        left.append(Left(title, "from which size on its prices of long prompts hold is not said"))
    else:
        yield Priced(model, tier or None, 0, rates["short"])
        yield Priced(model, tier or None, _LONG, rates["long"])


def _knows_long(model: str) -> bool:
    found = re.match(r"gemini-(\d+(?:\.\d+)?)", model)
    return found is not None and Decimal(found[1]) >= _FIRST_OF_LONG
