"""A vendor's dated prices as rows, and the choice of the row that holds for a use.

A row is chosen by tier, moment, time of day and prompt size, each exactly. What is not known of a use leaves several
rows possible: a meter is priced only where all of them say the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal

from outlay.model.metering import CONTEXT_EDGES, METERS
from outlay.model.money import Money
from outlay.model.units import UNITS
from outlay.pricing.meters import Line, Unpriced, Use

_WIDE = Context(prec=100)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EVER = datetime(1, 1, 1, tzinfo=UTC)
_DATED = re.compile(r"(?P<stem>.+)[-@](\d{4}-\d{2}-\d{2}|\d{8})")
STANDARD = frozenset({"default", "standard", "on_demand"})
"""What vendors call the tier that has no word of its own here."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a meter costs: `amount` of the list's currency for every `per` of the meter's unit."""

    amount: Decimal
    per: Decimal

    def cost(self, quantity: Decimal, currency: str) -> Money:
        """Return what a quantity costs, rounded once, after multiplying and dividing."""
        return Money(_WIDE.divide(_WIDE.multiply(quantity, self.amount), self.per), currency)

    def times(self, factor: Decimal) -> Rate:
        """Return the rate multiplied by a factor."""
        return Rate(_WIDE.multiply(self.amount, factor), self.per)


@dataclass(frozen=True, slots=True)
class Row:
    """Prices that hold together. Null: `tier` None is the standard one, `when` None is any time of day."""

    rates: Mapping[str, Rate] = field(default_factory=dict)
    valid_from: datetime | None = None
    """None: since before anybody wrote it down."""
    valid_until: datetime | None = None
    tier: str | None = None
    above: int = 0
    """Only prompts of more tokens than this."""
    when: str | None = None
    times: Decimal | None = None
    """Instead of rates: every standard price times this."""
    source: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Times of day, UTC, at which rows named `when` hold. Order: the latest definition by `valid_from` holds."""

    name: str
    spans: tuple[tuple[time, time], ...]
    """From, to; a span whose end is not after its beginning passes midnight."""
    weekdays: frozenset[int] = frozenset(range(7))
    """Monday is 0: of the day the moment itself is on."""
    holidays: frozenset[date] = frozenset()
    """Days on which the window does not open."""
    known_until: date | None = None
    """The first day of which nobody has said yet whether it is one of them."""
    valid_from: datetime | None = None

    def __contains__(self, moment: datetime) -> bool:
        """Tell whether the window is open at a moment, were every day known."""
        if moment.weekday() not in self.weekdays or moment.date() in self.holidays:
            return False
        clock = moment.time()
        return any(begin <= clock < end if begin < end else clock >= begin or clock < end for begin, end in self.spans)

    def __str__(self) -> str:
        spans = ", ".join(f"{begin:%H:%M}-{end:%H:%M}" for begin, end in self.spans)
        days = sorted(self.weekdays)
        if len(days) > 1 and days == [*range(days[0], days[-1] + 1)]:
            named = f"{_WEEKDAYS[days[0]]}-{_WEEKDAYS[days[-1]]}"
        else:
            named = ", ".join(_WEEKDAYS[day] for day in days)
        parts = (
            f"{spans} UTC",
            "" if len(days) == len(_WEEKDAYS) else named,
            "not on holidays" if self.holidays else "",
            f"holidays known until {self.known_until}" if self.known_until else "",
        )
        return ", ".join(part for part in parts if part)

    def unlisted(self, moment: datetime) -> bool:
        """Tell whether nobody has said yet whether the day is a holiday."""
        return self.known_until is not None and moment.date() >= self.known_until

    def unsure(self, moment: datetime) -> bool:
        """Tell whether it may be open or not: a day not known yet, or an edge inside the hour totals are kept by."""
        if self.unlisted(moment):
            return moment in self
        return any(edge.hour == moment.hour and (edge.minute or edge.second) for span in self.spans for edge in span)


@dataclass(frozen=True, slots=True)
class Model:
    """What one model costs. `ids` hold its own name first; dated ids are those with a day behind."""

    ids: tuple[str, ...]
    rows: tuple[Row, ...]
    dated: bool = False
    operations: frozenset[str] = frozenset()
    """Only these operations; none: any."""
    accepts: Callable[[str], bool] | None = None
    """In place of ids: which ids are this model's."""
    undone: str | None = None
    """Why the list's prices of it cannot be applied exactly."""
    note: str | None = None

    @property
    def name(self) -> str:
        """Return what the list calls it: its own id, or the operations that need none."""
        return self.ids[0] if self.ids else ", ".join(sorted(self.operations))

    def answers_to(self, use: Use) -> bool:
        """Tell whether a use is of this model, by exact id, alias, or id with a day behind where the list says so."""
        if self.operations and use.operation not in self.operations:
            return False
        if use.model is None or not self.ids:
            return use.model is None and not self.ids
        if self.accepts is not None:
            return self.accepts(use.model)
        if use.model in self.ids:
            return True
        found = _DATED.fullmatch(use.model) if self.dated else None
        return found is not None and found["stem"] in self.ids


@dataclass(frozen=True, slots=True)
class Book:
    """One list of one vendor's prices."""

    name: str
    provider: str
    currency: str
    models: tuple[Model, ...]
    source: str
    checked: date | None = None
    windows: tuple[Window, ...] = ()
    standard: frozenset[str] = STANDARD
    origin: str = "shipped"
    """`own`, `shipped` or `catalogue`."""

    def model(self, use: Use) -> Model | None:
        """Return the model a use is of. Null: the list does not know it, or not yet at that moment."""
        for model in self.models:
            if model.answers_to(use) and (model.undone or any(_in_force(row, use.at) for row in model.rows)):
                return model
        return None

    def version(self, row: Row) -> str:
        """Return the list and the day from which a row holds."""
        return f"{self.name} {row.valid_from:%Y-%m-%d}" if row.valid_from else self.name

    def price(self, model: Model, use: Use) -> Iterator[Line | Unpriced]:
        """Yield a line for every quantity the list has a price for, and what is left."""
        chosen = Choice.of(self, model, use)
        if not chosen.by_request:
            yield from untold(use)
        for meter, quantity in billed(use.quantities):
            found = chosen.rate(meter)
            if isinstance(found, str):
                if meter != "requests":  # counted everywhere; only where a list prices them are they billed
                    yield Unpriced(meter=meter, quantity=quantity, why=f"{self.name}: {found}")
            else:
                yield self._line(model, meter, quantity, *found)

    def _line(self, model: Model, meter: str, quantity: Decimal, rate: Rate, row: Row) -> Line:
        return Line(
            meter=meter,
            quantity=quantity,
            cost=rate.cost(quantity, self.currency),
            unit_price=rate.amount,
            pricing_unit=pricing_unit(meter, rate.per),
            per=rate.per,
            rule=", ".join((model.name, *self.terms(row))),
            version=self.version(row),
            source=row.source or self.source,
        )

    def unlisted(self, model: Model, at: datetime) -> Window | None:
        """Return the window that holds or not by a holiday nobody has listed yet. Null: there is none."""
        named = (_window(self, row.when, at) for row in model.rows if row.when)
        return next((window for window in named if window and window.unlisted(at) and at in window), None)

    def hours(self, when: str, at: datetime | None) -> str:
        """Return the times of day a row is bound to, as they are just before a moment; None is the latest known."""
        named = [window for window in self.windows if window.name == when]
        begun = [window for window in named if at is None or _begin(window) < at] or named
        return str(max(begun, key=_begin)) if begun else when

    def terms(self, row: Row) -> Iterator[str]:
        """Yield in words what must be so for a row to hold."""
        if row.tier:
            yield f"tier {row.tier}" + (f" ({row.times:f} times the standard price)" if row.times is not None else "")
        if row.above:
            yield f"prompts above {row.above:,} tokens"
        if row.when:
            yield f"{row.when} hours"


@dataclass(frozen=True, slots=True)
class Choice:
    """The rows that may hold for a use, and why there may be several."""

    rows: tuple[Row, ...]
    factor: Row | None = None
    doubt: str = ""
    none: str = ""

    @classmethod
    def of(cls, book: Book, model: Model, use: Use) -> Choice:
        """Return the rows that hold for a use of a model."""
        if model.undone:
            return cls((), none=model.undone)
        tier = None if use.service_tier is None or use.service_tier in book.standard else use.service_tier
        rows = _latest(row for row in model.rows if row.tier == tier and _in_force(row, use.at))
        factor = next((row for row in rows if row.times is not None), None)
        if factor is not None:
            rows = _latest(row for row in model.rows if row.tier is None and _in_force(row, use.at))
        if not rows:
            return cls((), none=f"it has no price of the tier {tier or 'standard'} for {model.name} on that day")
        rows, doubt = _by_time(book, rows, use.at)
        rows, more = _by_size(rows, use.context_band)
        if not rows:
            return cls((), none="none of its prices holds at that time of day for prompts of that size")
        return cls(rows, factor, doubt or more)

    @property
    def by_request(self) -> bool:
        """Tell whether requests are all that is billed."""
        return bool(self.rows) and all(row.rates.keys() <= {"requests"} for row in self.rows)

    def rate(self, meter: str) -> tuple[Rate, Row] | str:
        """Return a meter's rate and its row, or why there is none."""
        if not self.rows:
            return self.none
        rates = {row.rates.get(meter) for row in self.rows}
        rate = self.rows[0].rates.get(meter)
        if len(rates) > 1:
            return self.doubt
        if rate is None:
            return f"it has no price for {meter}"
        if self.factor is not None and self.factor.times is not None:
            return rate.times(self.factor.times), self.factor
        return rate, self.rows[0]


def billed(quantities: Mapping[str, Decimal]) -> Iterator[tuple[str, Decimal]]:
    """Yield the quantities that may cost something: none that is inside another, none of nothing."""
    for meter, quantity in sorted(quantities.items()):
        if quantity and (meter not in METERS or METERS[meter].inside is None):
            yield meter, quantity


def untold(use: Use) -> Iterator[Unpriced]:
    """Yield the requests whose tokens no one told: what they used is unknown, whatever its price."""
    if count := use.quantities.get("uncounted_requests"):
        yield Unpriced(meter="uncounted_requests", quantity=count, why="what these requests used was not told")


def pricing_unit(meter: str, per: Decimal) -> str:
    """Return what a price is quoted for, in words: `1000000 Tokens`, `Hours`, `Requests`."""
    unit = METERS[meter].unit if meter in METERS else meter
    known = UNITS.get(unit)
    for larger in UNITS.values() if known and known.dimension == "time" else ():
        if known and larger.dimension == known.dimension and larger.base == per * known.base:
            return larger.focus
    word = known.focus if known else unit
    return word if per == 1 else f"{per:f} {word}"


def _in_force(row: Row, at: datetime) -> bool:
    return _begin(row) <= at and (row.valid_until is None or at < row.valid_until)


def _latest(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return of the rows for the same tier, size and time of day the one that began last."""
    found: dict[tuple[int, str | None], Row] = {}
    for row in rows:
        other = found.get((row.above, row.when))
        if other is None or _begin(row) >= _begin(other):
            found[row.above, row.when] = row
    return tuple(found.values())


def _begin(dated: Row | Window) -> datetime:
    return dated.valid_from or _EVER


def _by_time(book: Book, rows: tuple[Row, ...], at: datetime) -> tuple[tuple[Row, ...], str]:
    names = {row.when for row in rows if row.when}
    if not names:
        return rows, ""
    windows = [window for name in names if (window := _window(book, name, at)) is not None]
    unsure = {window.name for window in windows if window.unsure(at)}
    if unsure:
        possible = tuple(row for row in rows if row.when is None or row.when in unsure)
        return possible, _unsure(windows, unsure, at)
    open_ = {window.name for window in windows if at in window}
    kept = tuple(row for row in rows if row.when in open_) if open_ else tuple(row for row in rows if row.when is None)
    return kept, "several of its prices hold at that time of day" if len(open_) > 1 else ""


def _unsure(windows: Iterable[Window], unsure: Iterable[str], at: datetime) -> str:
    for window in windows:
        if window.unlisted(at) and at in window:
            return f"its {window.name} price does not hold on holidays, and it lists none from {window.known_until} on"
    return f"whether the {', '.join(sorted(unsure))} price holds in that hour is not known"


def _window(book: Book, name: str, at: datetime) -> Window | None:
    begun = (window for window in book.windows if window.name == name and _begin(window) <= at)
    return max(begun, key=_begin, default=None)


def _by_size(rows: tuple[Row, ...], band: int | None) -> tuple[tuple[Row, ...], str]:
    """Return the rows for a prompt of a band: sizes above its edge, up to the next one."""
    edges = sorted({row.above for row in rows})
    if edges in ([], [0]):
        return rows, ""
    if band is None:
        return rows if 0 in edges else (), "its prices depend on the prompt's size, which is not known"
    end = next((edge for edge in CONTEXT_EDGES if edge > band), None)
    sure = max((edge for edge in edges if edge <= band), default=None)
    maybe = {edge for edge in edges if edge > band and (end is None or edge < end)}
    kept = tuple(row for row in rows if row.above == sure or row.above in maybe)
    return kept, f"its prices change at {', '.join(f'{edge:,}' for edge in sorted(maybe))} tokens, inside the band kept"
