"""What lists say, laid out for people: each meter's unit price, and what must be so for it to hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import msgspec

from outlay.pricing import price_list
from outlay.pricing.book import Book, Model, Row, pricing_unit
from outlay.pricing.lists import CATALOGUE, Lists
from outlay.pricing.meters import Use

MEASURED = ("railway",)
"""Vendors that tell quantities through their API and no cost: what they measure is priced when it is fetched."""


class Tariff(msgspec.Struct, frozen=True, kw_only=True):
    """One price on one day. Null: what is None does not bound it, or the list does not say.

    Units: `unit_price` in `currency` for one of `unit`, which holds `per`.
    """

    provider: str
    model: str | None
    """None where quantities are not of a model."""
    list: str
    origin: str
    version: str
    tier: str | None
    above: int | None
    """Only prompts of more tokens."""
    when: str | None
    """Only at times of day of this name, which `hours` tells."""
    hours: str | None
    meter: str
    unit_price: Decimal
    currency: str
    unit: str
    per: Decimal
    valid_from: datetime | None
    valid_until: datetime | None
    checked: date | None
    source: str
    note: str | None


def tariffs(lists: Lists, provider: str, day: date, name: str | None = None) -> list[Tariff]:
    """Return the prices that hold at any moment of a day. Order: as in the lists; of a model, only the first list's."""
    found = list(_measured(provider, day)) if provider in MEASURED and name is None else []
    taken: set[str] = set()
    for book in lists.books(provider):
        for model in book.models:
            known = _named(model, name) if name is not None else True
            if book.origin == CATALOGUE and lists.shipped_knows(_use(provider, model.name)):
                continue
            if known and model.name not in taken and (rows := list(_of_day(book, model, day))):
                taken |= {name or model.name}
                found += rows
    return found


def _measured(provider: str, day: date) -> Iterator[Tariff]:
    """Yield the prices of what a vendor measures itself and states no cost of."""
    listed = price_list(provider)
    begun = [entry for entry in listed.entries if entry.valid_from <= day]
    later = [entry.valid_from for entry in listed.entries if entry.valid_from > day]
    for entry in begun[-1:]:
        for meter, price in entry.prices.items():
            yield Tariff(
                provider=provider,
                model=None,
                list=provider,
                origin="shipped",
                version=entry.version,
                tier=None,
                above=None,
                when=None,
                hours=None,
                meter=meter,
                unit_price=price.amount,
                currency=price.currency,
                unit=price.pricing_unit,
                per=price.per,
                valid_from=_midnight(entry.valid_from),
                valid_until=_midnight(later[0]) if later else None,
                checked=entry.checked,
                source=entry.source,
                note=None,
            )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _named(model: Model, name: str) -> bool:
    """Tell whether a model is the one of a name: an id as calls name it, or an operation that names no model."""
    any_ = next(iter(model.operations), None)
    return name in model.operations or model.answers_to(_use("", name, any_))


def _use(provider: str, name: str, operation: str | None = None) -> Use:
    return Use(provider=provider, model=name, at=datetime(1, 1, 1, tzinfo=UTC), operation=operation)


def _of_day(book: Book, model: Model, day: date) -> Iterator[Tariff]:
    start = datetime.combine(day, time(), UTC)
    rows = [(row, _end(model, row)) for row in model.rows]
    held = [
        (row, end)
        for row, end in rows
        if (row.valid_from is None or row.valid_from < start + timedelta(days=1)) and (end is None or end > start)
    ]
    for row, end in sorted(held, key=lambda pair: (pair[0].tier or "", pair[0].above, pair[0].when or "")):
        if row.times is None:
            yield from _prices(book, model, row, end, row)
            continue
        for standard, its_end in held:
            if standard.tier is None:
                ends = [one for one in (end, its_end) if one is not None]
                yield from _prices(book, model, row, min(ends, default=None), standard)


def _end(model: Model, row: Row) -> datetime | None:
    """Return when a row ends, by its own word or because the next one begins."""
    later = [
        other.valid_from
        for other in model.rows
        if (other.tier, other.above, other.when) == (row.tier, row.above, row.when)
        and other.valid_from is not None
        and (row.valid_from is None or other.valid_from > row.valid_from)
    ]
    return min([*later, *([row.valid_until] if row.valid_until else [])], default=None)


def _prices(book: Book, model: Model, row: Row, end: datetime | None, rates: Row) -> Iterator[Tariff]:
    for meter, listed in rates.rates.items():
        rate = listed if row.times is None else listed.times(row.times)
        yield Tariff(
            provider=book.provider,
            model=model.name,
            list=book.name,
            origin=book.origin,
            version=book.version(row),
            tier=row.tier,
            above=rates.above or None,
            when=rates.when,
            hours=book.hours(rates.when, end) if rates.when else None,
            meter=meter,
            unit_price=rate.amount,
            currency=book.currency,
            unit=pricing_unit(meter, rate.per),
            per=rate.per,
            valid_from=row.valid_from,
            valid_until=end,
            checked=book.checked,
            source=row.source or rates.source or book.source,
            note=row.note or model.note,
        )
