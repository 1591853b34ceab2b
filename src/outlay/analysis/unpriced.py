"""Metered use without a price: what was used, what no list says of it, and what would help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import ClassVar

from outlay.analysis.answer import Answer, Listed
from outlay.clock import Clock, day_of, system_clock
from outlay.model.metering import METERS
from outlay.model.money import plus
from outlay.pricing.book import STANDARD
from outlay.pricing.lists import INSTALL, Lists, lacks_catalogue
from outlay.pricing.meters import Unpriced, Use
from outlay.store import Ledger, metering
from outlay.store.metering import Group

STALE_DAYS = 90
"""A list nobody has looked at for so long may have been overtaken by the vendor's prices."""


class UnpricedRow(Listed, frozen=True, kw_only=True):
    """One meter of one model that today's lists have no price for.

    Null: `model` is None for calls that name none, `service_tier` for the standard one.
    """

    connection: str
    provider: str
    model: str | None
    service_tier: str | None
    operation: str | None
    meter: str
    unit: str
    quantity: Decimal
    first_day: date
    last_day: date
    why: str
    hint: str
    shown: ClassVar = (
        "connection",
        "provider",
        "model",
        "service_tier",
        "operation",
        "meter",
        "unit",
        "quantity",
        "first_day",
        "last_day",
        "why",
        "hint",
    )


_Key = tuple[str, str, str | None, str | None, str | None, str, str, str]


def unpriced(
    ledger: Ledger, lists: Lists, connections: tuple[str, ...] = (), *, clock: Clock = system_clock
) -> Answer[UnpricedRow]:
    """Return the metered quantities that have no price by the lists as they are today.

    Order: by connection, model and meter.
    Raises: StoreError.
    """
    found: dict[_Key, tuple[Decimal, date, date]] = {}
    for day in metering.all_days(ledger.state):
        if (connections and day.connection not in connections) or not (day.lacking or day.due):
            continue
        for total in metering.totals_of(ledger.state, day):
            if total.group.stated:
                continue
            for key, quantity in _lacking(lists, total.group, total.quantities):
                before, first, last = found.get(key, (Decimal(0), day.day, day.day))
                found[key] = (plus(before, quantity), min(first, day.day), max(last, day.day))
    rows = tuple(_row(key, *found[key]) for key in sorted(found, key=repr))
    today = day_of(clock())
    return Answer(
        from_=min((row.first_day for row in rows), default=today),
        to=max((row.last_day for row in rows), default=today) + timedelta(days=1),
        by=(),
        rows=rows,
        columns=UnpricedRow.shown,
    )


def _lacking(lists: Lists, group: Group, quantities: dict[str, Decimal]) -> Iterator[tuple[_Key, Decimal]]:
    use = Use(
        provider=group.provider,
        model=group.model,
        at=group.hour,
        service_tier=group.service_tier,
        operation=group.operation,
        context_band=group.context_band,
        quantities=quantities,
    )
    for one in lists.price(use):
        if isinstance(one, Unpriced):
            hint = _hint(lists, use, one.meter)
            kind = (group.connection, group.provider, group.model, group.service_tier, group.operation)
            yield (*kind, one.meter, one.why, hint), one.quantity


def _hint(lists: Lists, use: Use, meter: str) -> str:
    if meter == "uncounted_requests":
        return "Let the calls tell their usage, for streams with `stream_options.include_usage`."
    found = lists.find(use)
    if found is None:
        other = f"Install the catalogue ({INSTALL}), or add" if lacks_catalogue(use.provider) else "Add"
        return f"{other} the model to a list of your own: prices/{use.provider}.toml in the data folder."
    book, model = found
    if window := book.unlisted(model, use.at):
        return (
            f"Write prices/{use.provider}.toml in the data folder: the model's prices, and the window `{window.name}` "
            f"with the holidays from {window.known_until} on and a later `known_until`. docs/prices.md shows one."
        )
    if use.context_band is None and any(row.above for row in model.rows):
        return "Tell the prompt's size with the events, or give the model one price in a list of your own."
    if use.service_tier is not None and use.service_tier not in STANDARD:
        return f"Add a price of the tier `{use.service_tier}` to a list of your own, where the vendor states one."
    return f"Add {meter} to the model in a list of your own, where the vendor states a price."


def _row(key: _Key, quantity: Decimal, first: date, last: date) -> UnpricedRow:
    connection, provider, model, tier, operation, meter, why, hint = key
    return UnpricedRow(
        connection=connection,
        provider=provider,
        model=model,
        service_tier=tier,
        operation=operation,
        meter=meter,
        unit=METERS[meter].unit if meter in METERS else meter,
        quantity=quantity,
        first_day=first,
        last_day=last,
        why=why,
        hint=hint,
    )


def stale(lists: Lists, providers: Iterable[str], today: date) -> list[tuple[str, date]]:
    """Return the lists of some providers that nobody has checked for long, and when somebody last did."""
    books = {book.name: book for provider in providers for book in lists.books(provider)}
    old = today - timedelta(days=STALE_DAYS)
    return sorted((name, book.checked) for name, book in books.items() if book.checked and book.checked < old)
