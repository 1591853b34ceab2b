"""Write prices that were observed into a list in the TOML form of docs/prices.md: rows are added and never changed.

A list that somebody else wrote is left alone; of one written here, models and rows by hand stay and come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import NamedTuple

from outlay.errors import PricesError
from outlay.pricing.book import Book, Model, Rate, Row
from outlay.pricing.reading import read

_MARK = "# Written by `outlay prices pull`."
_HEAD = f"""{_MARK} It adds a row when a price has changed; rows and models of your own stay as they are.

provider = "{{provider}}"
currency = "{{currency}}"
checked = {{day}}
source = "{{source}}"
"""
_MILLION = Decimal(10) ** 6


class Priced(NamedTuple):
    """Prices of a model that hold together. Null: `tier` None is the standard one."""

    model: str
    tier: str | None
    above: int
    rates: Mapping[str, Rate]

    @property
    def title(self) -> str:
        """Return the row in words."""
        tier = f", tier {self.tier}" if self.tier else ""
        return f"{self.model}{tier}{f', prompts above {self.above:,} tokens' if self.above else ''}"


@dataclass(frozen=True, slots=True)
class Observed:
    """What was observed on a day at a place: prices as they held then."""

    provider: str
    currency: str
    day: date
    source: str
    rows: Sequence[Priced]


class Written(NamedTuple):
    """A list's text with the rows that were added, those that held already, and those that yield to other ones."""

    text: str
    added: tuple[Priced, ...]
    same: tuple[Priced, ...]
    kept: tuple[Priced, ...]


def written(old: str | None, file: str, seen: Observed) -> Written:
    """Return a list with what was observed; the same observation a second time adds nothing.

    Raises: PricesError where the list is not one written here, or cannot be read.
    """
    if old is None:
        text = _HEAD.format(provider=seen.provider, currency=seen.currency, day=seen.day, source=seen.source)
        book = None
    else:
        text, book = old, _mine(old, file, seen)
    added: list[Priced] = []
    same: list[Priced] = []
    kept: list[Priced] = []
    for row in _with_long(seen, book):
        state = _state(book, row, seen)
        (added if state == "added" else same if state == "same" else kept).append(row)
    for model in dict.fromkeys(row.model for row in added):
        text = _put(text, book, model, [_toml(row, seen) for row in added if row.model == model])
    if book is not None and book.checked is not None and book.checked < seen.day:
        text = re.sub(r"(?m)^checked\s*=\s*\d{4}-\d{2}-\d{2}", f"checked = {seen.day}", text, count=1)
    if added or old is not None:
        read(text, file, seen.provider, "own")
    return Written(text, tuple(added), tuple(same), tuple(kept))


def _mine(old: str, file: str, seen: Observed) -> Book:
    book = read(old, file, seen.provider, "own")
    if not old.startswith(_MARK):
        raise PricesError(
            f"{file} is a list of your own, and prices that were read do not go into it",
            hint="Give it another name: lists are read by name, so one that comes earlier is asked first.",
        )
    if (book.provider, book.currency) != (seen.provider, seen.currency):
        raise PricesError(f"{file} is of {book.provider} in {book.currency}, not {seen.provider} in {seen.currency}")
    return book


def _with_long(seen: Observed, book: Book | None) -> Iterator[Priced]:
    """Yield the observed rows; where prompts of a size had a row and need none any more, it is told the same price."""
    sizes = {(row.model, row.tier, row.above) for row in seen.rows}
    for row in seen.rows:
        yield row
        if row.above:
            continue
        for above in sorted({one.above for one in _held(book, row, seen.day, None) if one.above}):
            if (row.model, row.tier, above) not in sizes:
                yield row._replace(above=above)


def _model(book: Book | None, name: str) -> Model | None:
    return next((model for model in book.models if name in model.ids and not model.operations), None) if book else None


def _held(book: Book | None, row: Priced, day: date, above: int | None) -> list[Row]:
    """Return the rows of a model's tier that had begun on a day and had not ended, in the order of their beginning."""
    model, at = _model(book, row.model), _moment(day)
    rows = model.rows if model else ()
    return sorted(
        (
            one
            for one in rows
            if one.tier == row.tier and (above is None or one.above == above)
            and (one.valid_from is None or one.valid_from.date() <= day)
            and (one.valid_until is None or at < one.valid_until)
        ),
        key=lambda one: one.valid_from or datetime.min.replace(tzinfo=UTC),
    )  # fmt: skip


def _state(book: Book | None, row: Priced, seen: Observed) -> str:
    """Return `added`, `same`, or `kept` where a row by hand, or one of the same day, holds."""
    held = _held(book, row, seen.day, row.above)
    if not held:
        return "added"
    last = held[-1]
    if last.when is None and last.rates == row.rates:
        return "same"
    by_hand = last.source is None or not last.source.startswith(_host(seen.source))
    begun = last.valid_from is not None and last.valid_from >= _moment(seen.day)
    return "kept" if by_hand or begun else "added"


def _host(source: str) -> str:
    return "/".join(source.split("/")[:3]) + "/"


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _toml(row: Priced, seen: Observed) -> str:
    lines = ["[[model.price]]", f"valid_from = {seen.day}"]
    lines += [f'tier = "{row.tier}"'] if row.tier else []
    lines += [f"above = {row.above}"] if row.above else []
    lines += [f'{meter} = "{_plain(rate.amount)} per {_per(rate.per)}"' for meter, rate in sorted(row.rates.items())]
    return "\n".join([*lines, f'source = "{seen.source}"', ""])


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _per(per: Decimal) -> str:
    return "million" if per == _MILLION else f"{per:f}"


def _put(text: str, book: Book | None, model: str, rows: Iterable[str]) -> str:
    """Return a list with rows at the end of a model, or with the model at its end."""
    known = _model(book, model)
    blocks = "\n".join(rows)
    if known is None or book is None:
        return f'{text.rstrip()}\n\n[[model]]\nid = "{model}"\n\n{blocks}'
    lines = text.splitlines()
    begins = [number for number, line in enumerate(lines) if re.match(r"\s*\[\[\s*model\s*\]\]", line)]
    begin = begins[book.models.index(known)]
    tables = (n for n in range(begin + 1, len(lines)) if re.match(r"\s*\[\[?\s*(?!model\s*\.)\w", lines[n]))
    end = next(tables, len(lines))
    while end > begin + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    after = lines[end:]
    return "\n".join(
        [*lines[:end], "", *blocks.splitlines(), *([""] if after and after[0].strip() else []), *after, ""]
    )
