"""The maintained catalogue `genai-prices` as a price list, where it is installed: offline, and exactly or not at all.

Its prices are read row by row and applied to disjoint meters by our own arithmetic. Its looser rules are left out: a
model whose name only begins or contains something, a price before anybody verified it, a meter without a price.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from outlay.pricing.book import Book, Model, Rate, Row, Window

PROVIDERS = ("anthropic", "deepseek", "google", "groq", "huggingface", "openai")
"""The vendors whose model ids the catalogue and we both know."""
_ROUTED = "huggingface_"
"""Hugging Face's prices depend on who serves a model: the catalogue has a vendor for each, and ids end in its name."""
MILLION, THOUSAND, HOUR = Decimal(1_000_000), Decimal(1000), Decimal(3600)
METERS: Mapping[str, tuple[tuple[str, ...], Decimal]] = {
    "input_tokens": (("input_text_mtok", "input_mtok"), MILLION),
    "cached_input_tokens": (("cache_text_read_mtok", "cache_read_mtok"), MILLION),
    "cache_write_tokens": (("cache_write_5m_mtok", "cache_write_mtok"), MILLION),
    "cache_write_1h_tokens": (("cache_write_1h_mtok",), MILLION),
    "output_tokens": (("output_text_mtok", "output_mtok"), MILLION),
    "input_audio_tokens": (("input_audio_mtok",), MILLION),
    "cached_input_audio_tokens": (("cache_audio_read_mtok",), MILLION),
    "output_audio_tokens": (("output_audio_mtok",), MILLION),
    "audio_seconds": (("input_audio_hours", "audio_hours"), HOUR),
    "characters": (("input_mchars",), MILLION),
    "searches": (("web_searches_kcount",), THOUSAND),
    "requests": (("requests_kcount",), THOUSAND),
}
"""Our disjoint meters: the catalogue's keys for each, the most particular first, and how many a price is for."""
_APART = {
    "input_tokens": ("input_image_mtok", "input_video_mtok"),
    "cached_input_tokens": ("cache_image_read_mtok", "cache_video_read_mtok"),
    "output_tokens": ("output_image_mtok", "output_video_mtok", "output_reasoning_mtok", "output_citation_mtok"),
}
"""Where one of these has a price of its own, a count that does not tell them apart has none."""
_SAME = {"groq": ("flex", "https://console.groq.com/docs/flex-processing")}
"""Tiers that a vendor documents to cost what its standard one costs."""
_UNTIL = {"deepseek": datetime(2026, 8, 16, 16, tzinfo=UTC)}
"""From when on a vendor's prices are others, and the catalogue's, which name no day, are those of before."""
_TIERS = {"processing": {"batch": "batch"}, "speed": {"fast": "fast"}}
_DATED = re.compile(r"(?P<stem>.+)[-@](?:\d{4}-\d{2}-\d{2}|\d{8})")


@cache
def book(provider: str) -> Book | None:
    """Return the catalogue's list of one vendor. Null: it is not installed, or has none of that vendor's."""
    if provider not in PROVIDERS:
        return None
    try:
        from genai_prices.data import providers
    except ImportError:
        return None
    found: list[tuple[Any, str]] = [(one, "") for one in providers if one.id == provider]
    if provider == "huggingface":
        routed = (one for one in providers if one.id.startswith(_ROUTED))
        found = [(one, f":{one.id.removeprefix(_ROUTED)}") for one in routed]
    windows: dict[str, Window] = {}
    models = [model for one, suffix in found for model in _models(one, suffix, windows)]
    urls = [url for one, _ in found for url in one.pricing_urls or ()]
    return Book(
        name=f"genai-prices {release()}",
        provider=provider,
        currency="USD",
        models=tuple(models),
        source=next(iter(urls), "https://github.com/pydantic/genai-prices"),
        windows=tuple(windows.values()),
        origin="catalogue",
    )


def release() -> str | None:
    """Return the installed catalogue's release. Null: none is installed."""
    try:
        return version("genai-prices")
    except PackageNotFoundError:
        return None


def exactly(clause: Any, ref: str) -> bool:
    """Tell whether a rule of the catalogue names an id in full, but for a day behind it."""
    if (several := getattr(clause, "or_", None)) is not None:
        return any(exactly(one, ref) for one in several)
    if (together := getattr(clause, "and_", None)) is not None:
        return bool(clause.is_match(ref)) and any(exactly(one, ref) for one in together)
    if (pattern := getattr(clause, "regex", None)) is not None:
        return bool(pattern.startswith("^") and pattern.endswith("$") and re.search(pattern, ref))
    words = (getattr(clause, name, None) for name in ("equals", "starts_with", "contains", "ends_with"))
    word = next((word.lower() for word in words if word), None)
    if word is None or ref == word:
        return word is not None
    dated = _DATED.fullmatch(ref)
    if dated is None or getattr(clause, "equals", None) is not None:
        return False
    return ref.startswith(word) and len(word) >= len(dated["stem"])


def _chooser(provider: Any) -> Callable[[str], Any]:
    """Return what says which model the catalogue itself takes an id for, remembered: there are many rules."""

    @lru_cache(maxsize=4096)
    def chosen(ref: str) -> Any:
        first = next((one for one in provider.models if one.is_match(ref)), None)
        return first if first is not None and exactly(first.match, ref.lower()) else None

    return chosen


def _models(provider: Any, suffix: str, windows: dict[str, Window]) -> Iterator[Model]:
    chosen = _chooser(provider)
    for model in provider.models:
        yield _model(provider.id, model, suffix, windows, chosen)


def _model(provider: str, model: Any, suffix: str, windows: dict[str, Window], chosen: Callable[[str], Any]) -> Model:
    conditional = model.prices if isinstance(model.prices, list) else None
    kinds = {type(one.constraint).__name__ for one in conditional or ()}
    undone = None
    if {"StartDateConstraint", "TimeOfDateConstraint"} <= kinds:
        undone = f"its prices of {model.id} by time of day cannot be told apart by date"
    return Model(
        ids=(model.id + suffix,),
        rows=() if undone else tuple(_ending(provider, (*_rows(model, windows), *_same(provider)))),
        accepts=lambda ref: ref.endswith(suffix) and chosen(ref.removesuffix(suffix)) is model,
        undone=undone,
        note=model.price_comments,
    )


def _rows(model: Any, windows: dict[str, Window]) -> Iterator[Row]:
    prices = model.prices if isinstance(model.prices, list) else [None]
    last: Any = None
    for one in prices:
        last = model.prices if one is None else one.prices
        constraint = None if one is None else one.constraint
        when = _when(constraint, windows)
        yield from _sizes(last, _start(constraint), when=when)
    for variant in model.price_variants or ():
        tier = _tier(variant.when)
        if tier is not None and not any(value is not None for value in variant.prices.__dict__.values()):
            continue
        if tier is not None:
            yield from _sizes(variant.prices, _start(variant.constraint), tier=tier, standard=last)


def _same(provider: str) -> Iterator[Row]:
    if provider in _SAME:
        tier, source = _SAME[provider]
        yield Row(tier=tier, times=Decimal(1), source=source)


def _ending(provider: str, rows: Iterable[Row]) -> Iterator[Row]:
    until = _UNTIL.get(provider)
    yield from (rows if until is None else (replace(row, valid_until=until) for row in rows))


def _tier(when: Mapping[str, str]) -> str | None:
    """Return the tier a variant is for. Null: it depends on something else, or is the standard one."""
    if len(when) != 1:
        return None
    ((key, word),) = when.items()
    if key == "service_tier":
        return None if word == "default" else word
    return _TIERS.get(key, {}).get(word)


def _start(constraint: Any) -> datetime | None:
    day: date | None = getattr(constraint, "start_date", None)
    return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None


def _when(constraint: Any, windows: dict[str, Window]) -> str | None:
    begin: time | None = getattr(constraint, "start_time", None)
    if begin is None:
        return None
    begin, end = begin.replace(tzinfo=None), constraint.end_time.replace(tzinfo=None)
    name = f"{begin:%H:%M}-{end:%H:%M} UTC"
    windows[name] = Window(name, ((begin, end),))
    return name


def _sizes(
    prices: Any,
    start: datetime | None,
    *,
    when: str | None = None,
    tier: str | None = None,
    standard: Any = None,
) -> Iterator[Row]:
    """Yield a row for every prompt size at which one of the prices changes."""
    edges = {tier.start for value in prices.__dict__.values() for tier in getattr(value, "tiers", ())}
    for above in sorted({0, *edges}):
        rates = {meter: rate for meter in METERS if (rate := _rate(prices, meter, above, standard)) is not None}
        if rates:
            yield Row(rates=rates, valid_from=start, tier=tier, above=above, when=when)


def _rate(prices: Any, meter: str, above: int, standard: Any) -> Rate | None:
    keys, per = METERS[meter]
    held = prices.__dict__
    value = next((held[key] for key in keys if held.get(key) is not None), None)
    if value is None and standard is not None and per is THOUSAND:  # a tier's discount is on tokens, not on calls
        value = next((standard.__dict__[key] for key in keys if standard.__dict__.get(key) is not None), None)
    if value is None or any(held.get(key) not in (None, value) for key in _APART.get(meter, ())):
        return None
    amount: Decimal = getattr(value, "base", value)
    for tier in getattr(value, "tiers", ()):
        if above >= tier.start:
            amount = tier.price
    return Rate(amount, per)
