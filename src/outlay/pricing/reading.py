"""Price lists as TOML: read strictly, so that a slip of the pen is an error and never a price.

docs/prices.md tells the format. A mistake names the file, the line where it can be told, and the key.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from outlay.config import suggestion
from outlay.errors import PricesError
from outlay.model.currency import is_currency_code
from outlay.model.metering import CONTEXT_EDGES, METERS
from outlay.pricing.book import STANDARD, Book, Model, Rate, Row, Window

_PER = {"thousand": 1000, "million": 1_000_000}
_TIMES = {"minute": 60, "hour": 3600}
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PRICE = re.compile(r"(?P<amount>\d+(?:\.\d+)?) per (?P<per>[a-z]+|[1-9][\d_]*)")
_SPAN = re.compile(r"([01]\d|2[0-3]):00-([01]\d|2[0-4]):00")
_BOOK = {"provider", "name", "currency", "checked", "source", "standard", "window", "model"}
_MODEL = {"id", "aliases", "dated", "operations", "note", "price"}
_ROW = {"valid_from", "valid_until", "tier", "above", "when", "times", "source", "note"}
_WINDOW = {"name", "utc", "weekdays", "holidays", "known_until", "valid_from"}
_UNDONE = {
    "minimum": "a minimum per request cannot be applied to totals of an hour: count what is billed",
    "minimum_charge": "a minimum per request cannot be applied to totals of an hour: count what is billed",
    "volume": "prices by the month's volume are not supported",
    "tiers": "prices by the month's volume are not supported",
    "factor": "write `times`",
}


class _Place:
    """Where in a file a table is, for messages."""

    def __init__(self, file: str, text: str, header: str = "", nth: int = 0) -> None:
        self.file, self.text, self.header, self.nth = file, text, header, nth

    def inside(self, header: str, nth: int) -> _Place:
        """Return the place of the nth table, over the whole file, that has a header."""
        return _Place(self.file, self.text, header, nth)

    def wrong(self, key: str, says: str) -> NoReturn:
        """Raise the error for a key of this table."""
        line = self._line(key)
        where = f"{self.file}, line {line}" if line else self.file
        raise PricesError(f"{where}: `{key}`{f' of [[{self.header}]]' if self.header else ''} {says}")

    def _line(self, key: str) -> int | None:
        begun = 0 if not self.header else None
        seen = -1
        for number, line in enumerate(self.text.splitlines(), 1):
            stripped = line.strip()
            if stripped.startswith("["):
                if begun is not None and seen >= self.nth:
                    return begun or None
                if stripped.startswith(f"[[{self.header}]]") and self.header:
                    seen += 1
                    begun = number if seen == self.nth else None
            elif begun is not None and re.match(rf'"?{re.escape(key)}"?\s*=', stripped):
                return number
        return begun or None


def read(text: str, file: str, stem: str, origin: str) -> Book:
    """Return a list from its TOML text.

    Raises: PricesError for whatever is not exactly as documented.
    """
    try:
        table = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise PricesError(f"{file}: it is not TOML: {error}") from None
    place = _Place(file, text)
    _known(place, table, _BOOK)
    currency = _text(place, table, "currency")
    if not is_currency_code(currency):
        place.wrong("currency", f"is {currency!r} and not a currency code such as USD")
    windows = tuple(_window(place.inside("window", n), row) for n, row in enumerate(_tables(place, table, "window")))
    begins = {name: _earliest(windows, name) for name in {window.name for window in windows}}
    models = tuple(_models(place, table, begins))
    if not models:
        raise PricesError(f"{file}: it has no [[model]] and so prices nothing")
    return Book(
        name=_text(place, table, "name", stem),
        provider=_text(place, table, "provider"),
        currency=currency,
        models=models,
        source=_text(place, table, "source"),
        checked=_day(place, table, "checked", needed=True),
        windows=windows,
        standard=STANDARD | frozenset(_texts(place, table, "standard")),
        origin=origin,
    )


def _earliest(windows: Iterable[Window], name: str) -> datetime | None:
    """Return when a window first opens. Null: it always did."""
    begins = [window.valid_from for window in windows if window.name == name]
    return None if None in begins else min(begin for begin in begins if begin is not None)


def _models(place: _Place, table: Mapping[str, Any], windows: Mapping[str, datetime | None]) -> Iterator[Model]:
    prices = 0
    seen: set[tuple[str, frozenset[str]]] = set()
    for n, model in enumerate(_tables(place, table, "model")):
        here = place.inside("model", n)
        _known(here, model, _MODEL)
        rows = _tables(here, model, "price")
        if not rows:
            here.wrong("price", "is missing: the model has no [[model.price]]")
        ids = tuple([_text(here, model, "id"), *_texts(here, model, "aliases")] if "id" in model else ())
        operations = frozenset(_texts(here, model, "operations"))
        if not ids and not operations:
            here.wrong("id", "is missing: a model has an id, or what needs none has `operations`")
        for name in ids or ("",):
            if (name, operations) in seen:
                here.wrong("id" if name == ids[0] else "aliases", f"names {name!r} a second time in this list")
            seen.add((name, operations))
        yield Model(
            ids=ids,
            rows=_rows(place, rows, prices, windows),
            dated=_flag(here, model, "dated"),
            operations=operations,
            note=_text(here, model, "note", "") or None,
        )
        prices += len(rows)


def _rows(
    place: _Place, tables: list[dict[str, Any]], first: int, windows: Mapping[str, datetime | None]
) -> tuple[Row, ...]:
    rows: list[Row] = []
    for n, table in enumerate(tables):
        here = place.inside("model.price", first + n)
        row = _row(here, table, windows)
        for other in rows:
            if (row.tier, row.above, row.when, row.valid_from) == (
                other.tier, other.above, other.when, other.valid_from,
            ):  # fmt: skip
                here.wrong("valid_from", "is the same as another price's of the same tier, size and time of day")
        rows.append(row)
    return tuple(rows)


def _row(place: _Place, table: Mapping[str, Any], windows: Mapping[str, datetime | None]) -> Row:
    _known(place, table, _ROW | METERS.keys())
    rates = {meter: _rate(place, table, meter) for meter in METERS if meter in table}
    factor = _factor(place, table)
    if bool(rates) == (factor is not None):
        place.wrong("times", "and prices exclude each other, and one of them is needed")
    above, when, tier = table.get("above", 0), table.get("when"), table.get("tier")
    if above and (type(above) is not int or above not in CONTEXT_EDGES):
        place.wrong("above", f"is {above!r}; totals are kept by {', '.join(map(str, CONTEXT_EDGES))} tokens only")
    if when is not None and when not in windows:
        place.wrong("when", f"names {when!r}, and no [[window]] has that name")
    valid_from = _moment(place, table, "valid_from", needed=True)
    begin = windows.get(when) if when else None
    if begin is not None and valid_from is not None and valid_from < begin:
        place.wrong("valid_from", f"is before the first [[window]] of {when!r} opens, on {begin:%Y-%m-%d}")
    if factor is not None and (tier is None or above or when):
        place.wrong("times", "holds for a `tier` at every size and time of day")
    return Row(
        rates=rates,
        valid_from=valid_from,
        valid_until=_moment(place, table, "valid_until"),
        tier=_text(place, table, "tier", "") or None,
        above=above,
        when=when,
        times=factor,
        source=_text(place, table, "source", "") or None,
        note=_text(place, table, "note", "") or None,
    )


def _rate(place: _Place, table: Mapping[str, Any], meter: str) -> Rate:
    if METERS[meter].inside:
        place.wrong(meter, f"is inside {METERS[meter].inside} and is not priced apart")
    text = table[meter]
    found = _PRICE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        place.wrong(meter, 'is written as text, such as "0.15 per million" or "5 per 1000"')
    words = {**_PER, **(_TIMES if METERS[meter].unit == "seconds" else {})}
    per = words.get(found["per"]) or (int(found["per"]) if found["per"][0].isdigit() else 0)
    if not per:
        place.wrong(meter, f"is per {found['per']!r}; known are {', '.join(words)} and numbers")
    return Rate(Decimal(found["amount"]), Decimal(per))


def _factor(place: _Place, table: Mapping[str, Any]) -> Decimal | None:
    if "times" not in table:
        return None
    try:
        factor = Decimal(_text(place, table, "times"))
    except InvalidOperation:
        factor = Decimal("NaN")
    if not factor.is_finite() or factor < 0:
        place.wrong("times", 'is a number as text, such as "0.5"')
    return factor


def _window(place: _Place, table: Mapping[str, Any]) -> Window:
    _known(place, table, _WINDOW)
    spans = []
    for span in _texts(place, table, "utc"):
        found = _SPAN.fullmatch(span)
        if found is None:
            place.wrong("utc", f"has {span!r}; whole hours only, such as 01:00-04:00, as totals are kept by the hour")
        spans.append((time(int(found[1])), time(int(found[2]) % 24)))
    if not spans:
        place.wrong("utc", 'is missing: the hours, such as ["22:00-06:00"]')
    weekdays = _texts(place, table, "weekdays") or _WEEKDAYS
    if unknown := [day for day in weekdays if day not in _WEEKDAYS]:
        place.wrong("weekdays", f"has {unknown[0]!r}; known are {', '.join(_WEEKDAYS)}")
    holidays = table.get("holidays", [])
    if not isinstance(holidays, list) or any(type(day) is not date for day in holidays):
        place.wrong("holidays", "is a list of days, such as [2026-10-01]")
    return Window(
        name=_text(place, table, "name"),
        spans=tuple(spans),
        weekdays=frozenset(_WEEKDAYS.index(day) for day in weekdays),
        holidays=frozenset(holidays),
        known_until=_day(place, table, "known_until"),
        valid_from=_moment(place, table, "valid_from"),
    )


def _known(place: _Place, table: Mapping[str, Any], keys: set[str]) -> None:
    for key in table:
        if key not in keys:
            near = suggestion(key, sorted(keys), otherwise=f"Known here: {', '.join(sorted(keys))}.")
            place.wrong(key, _UNDONE.get(key) or f"is not known. {near}")


def _tables(place: _Place, table: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        place.wrong(key, f"is written as [[{key}]]")
    return found


def _text(place: _Place, table: Mapping[str, Any], key: str, otherwise: str | None = None) -> str:
    value = table.get(key, otherwise)
    if value is None:
        place.wrong(key, "is missing")
    if not isinstance(value, str) or (not value and otherwise is None):
        place.wrong(key, "is text in quotes")
    return value


def _texts(place: _Place, table: Mapping[str, Any], key: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        place.wrong(key, "is a list of texts")
    return value


def _flag(place: _Place, table: Mapping[str, Any], key: str) -> bool:
    value = table.get(key, False)
    if not isinstance(value, bool):
        place.wrong(key, "is true or false")
    return value


def _day(place: _Place, table: Mapping[str, Any], key: str, *, needed: bool = False) -> date | None:
    value = table.get(key)
    if value is None and not needed:
        return None
    if type(value) is not date:
        place.wrong(key, "is a day without quotes, such as 2026-11-22")
    return value


def _moment(place: _Place, table: Mapping[str, Any], key: str, *, needed: bool = False) -> datetime | None:
    value = table.get(key)
    if value is None and not needed:
        return None
    if type(value) is date:
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime) or value.tzinfo is None:
        place.wrong(key, "is a day, or an hour with its offset such as 2026-08-16T16:00:00Z")
    moment = value.astimezone(UTC)
    if (moment.minute, moment.second, moment.microsecond) != (0, 0, 0):
        place.wrong(key, "is no whole hour, and totals are kept by the hour")
    return moment
