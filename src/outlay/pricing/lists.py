"""Every price list there is, in the order in which they speak: the user's own, the shipped ones, the catalogue."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path

from outlay.errors import PricesError
from outlay.pricing import catalogue
from outlay.pricing.book import Book, Model, billed, untold
from outlay.pricing.meters import Line, Unpriced, Use
from outlay.pricing.reading import read

INSTALL = "pip install 'outlay[prices]'"
"""What brings the catalogue."""
SHIPPED = ("brave", "deepseek")
"""The lists beside this module that price metered quantities, by the name of their file."""
CATALOGUE = "catalogue"
_MAX_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Lists:
    """All lists. Order: the first one that knows a model at a moment prices it, and it alone."""

    own: tuple[Book, ...] = ()
    shipped: tuple[Book, ...] = ()
    with_catalogue: bool = True

    def books(self, provider: str) -> Iterator[Book]:
        """Yield the lists of a vendor's prices; the catalogue is loaded only when it is its turn."""
        yield from (book for book in (*self.own, *self.shipped) if book.provider == provider)
        if self.with_catalogue and (found := catalogue.book(provider)) is not None:
            yield found

    def find(self, use: Use) -> tuple[Book, Model] | None:
        """Return the list that prices a use, and its model. Null: none knows it."""
        for book in self.books(use.provider):
            if book.origin == CATALOGUE and self.shipped_knows(use):
                return None
            if model := book.model(use):
                return book, model
        return None

    def shipped_knows(self, use: Use) -> bool:
        """Tell whether a shipped list has a use's model, at whatever time: the catalogue is then not asked of it.

        The catalogue's prices of it are those of some day, and before the shipped list begins they are others.
        """
        books = (book for book in self.shipped if book.provider == use.provider)
        return any(model.answers_to(use) for book in books for model in book.models)

    def price(self, use: Use) -> tuple[Line | Unpriced, ...]:
        """Return a line for every quantity that has a price, and what has none. Order: by meter."""
        found = self.find(use)
        if found is not None:
            book, model = found
            return tuple(book.price(model, use))
        why = self._unknown(use)
        left = [(meter, quantity) for meter, quantity in billed(use.quantities) if meter != "requests"]
        told = (Unpriced(meter=meter, quantity=quantity, why=why) for meter, quantity in left or _requests(use))
        unknown = tuple(untold(use))
        # Calls of which nothing was told are unknown once, and not as requests too.
        return unknown if unknown and not left else (*unknown, *told)

    def _unknown(self, use: Use) -> str:
        books = list(self.books(use.provider))
        if not books:
            missing = ", as the extra `prices` is not installed" if lacks_catalogue(use.provider) else ""
            return f"no list has prices of {use.provider}{missing}"
        if use.model is None:
            return f"no list has a price of {use.provider} for {use.operation or 'calls'} without a model"
        if any(model.answers_to(use) for book in books for model in book.models):
            return f"the lists know {use.model}, and no price of it for that day"
        known = {name: None for book in books for model in book.models for name in model.ids}
        near = difflib.get_close_matches(use.model, known, 3, 0.6)
        hint = f"; the nearest known are {', '.join(near)}" if near else ""
        return f"no list knows {use.model}{hint}"


def lacks_catalogue(provider: str) -> bool:
    """Tell whether the catalogue has a vendor's models and is not installed."""
    return provider in catalogue.PROVIDERS and catalogue.release() is None


def _requests(use: Use) -> list[tuple[str, Decimal]]:
    return [(meter, quantity) for meter, quantity in billed(use.quantities) if meter == "requests"]


def lists(home: Path | None, *, with_catalogue: bool = True) -> Lists:
    """Return all price lists, the user's own from `<home>/prices/*.toml`.

    Raises: PricesError when one of the user's own cannot be read as documented.
    """
    return Lists(own=_own(home), shipped=_shipped(), with_catalogue=with_catalogue)


@cache
def _shipped() -> tuple[Book, ...]:
    folder = files("outlay.pricing")
    return tuple(
        read((folder / f"{name}.toml").read_text("utf-8"), f"{name}.toml", name, "shipped") for name in SHIPPED
    )


def _own(home: Path | None) -> tuple[Book, ...]:
    folder = home / "prices" if home is not None else None
    if folder is None or not folder.is_dir():
        return ()
    return tuple(read(_text(path), str(path), path.stem, "own") for path in sorted(folder.glob("*.toml")))


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PricesError(f"{path} cannot be read: {error.strerror}") from None
    if len(raw) > _MAX_BYTES:
        raise PricesError(f"{path} has {len(raw):,} bytes; a price list has at most {_MAX_BYTES:,}")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise PricesError(f"{path}, line {line}: the file is not UTF-8 text") from None
