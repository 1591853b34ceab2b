"""Dated price lists: what a vendor's published prices make of its quantities, for vendors that state no cost.

A list is one TOML file beside this module. Entries are appended with the day from which they hold and are never
overwritten, so that a past day keeps the price it had. Each names the day it was checked and its source.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from functools import cache
from importlib.resources import files
from itertools import pairwise

from outlay.model.money import Money, exact

_WIDE = Context(prec=100)


@dataclass(frozen=True, slots=True)
class Price:
    """What a quantity costs: `amount` of `currency` for every `per` of what is measured, kept as a fraction.

    Units: `pricing_unit` is what the vendor quotes the amount for and holds `per` of the measured unit.
    """

    amount: Decimal
    currency: str
    per: Decimal
    pricing_unit: str
    version: str
    """Which entry of the list it is from, for `price_list_version`."""

    def cost(self, quantity: Decimal) -> Money:
        """Return what a quantity costs, rounded once, after multiplying and dividing."""
        return Money(_WIDE.divide(_WIDE.multiply(quantity, self.amount), self.per), self.currency)

    def pricing_quantity(self, quantity: Decimal) -> Decimal:
        """Return a quantity in the unit the price is quoted for."""
        return exact(_WIDE.divide(quantity, self.per))


@dataclass(frozen=True, slots=True)
class Entry:
    """The prices that hold from one day until the next entry's."""

    version: str
    valid_from: date
    checked: date
    source: str
    prices: Mapping[str, Price]


@dataclass(frozen=True, slots=True)
class PriceList:
    """One vendor's prices over time. Order: entries ascend by the day from which they hold."""

    entries: tuple[Entry, ...]

    def on(self, day: date, meter: str) -> Price | None:
        """Return the price of a meter on a day. Null: before the first entry, or where the meter is not billed."""
        entry = next((entry for entry in reversed(self.entries) if entry.valid_from <= day), None)
        return entry.prices.get(meter) if entry else None

    def known_on(self, day: date) -> bool:
        """Tell whether any entry holds on a day."""
        return bool(self.entries) and self.entries[0].valid_from <= day


@cache
def price_list(name: str) -> PriceList:
    """Return a vendor's price list by the name of its file."""
    return parse((files(__name__) / f"{name}.toml").read_text("utf-8"))


def parse(text: str) -> PriceList:
    """Return a price list from its TOML text.

    Raises: ValueError when entries do not ascend, a version occurs twice, or a price is no positive fraction.
    """
    entries = tuple(_entry(table) for table in tomllib.loads(text, parse_float=Decimal)["entry"])
    for before, after in pairwise(entries):
        if before.valid_from >= after.valid_from:
            raise ValueError(f"price list entry {after.version} does not begin after {before.version}")
    if len({entry.version for entry in entries}) != len(entries):
        raise ValueError("two entries of a price list have one version")
    return PriceList(entries)


def _entry(table: Mapping[str, object]) -> Entry:
    version, valid_from, checked, source = (table[name] for name in ("version", "valid_from", "checked", "source"))
    if not (isinstance(valid_from, date) and isinstance(checked, date) and isinstance(source, str)):
        raise ValueError(f"price list entry {version} lacks its days or its source")  # noqa: TRY004 - text of a file
    prices = table["prices"]
    assert isinstance(prices, dict)
    currency = str(table["currency"])
    return Entry(
        version=str(version),
        valid_from=valid_from,
        checked=checked,
        source=source,
        prices={meter: _price(meter, row, currency, str(version)) for meter, row in prices.items()},
    )


def _price(meter: str, row: Mapping[str, object], currency: str, version: str) -> Price:
    price = Price(Decimal(str(row["amount"])), currency, Decimal(str(row["per"])), str(row["unit"]), version)
    if not (price.amount.is_finite() and price.per.is_finite() and price.amount >= 0 and price.per > 0):
        raise ValueError(f"the price of {meter} in {version} is no positive fraction")
    return price
