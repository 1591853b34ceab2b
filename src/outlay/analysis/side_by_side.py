"""What metered use is priced at, beside what the vendor bills for the same models: apart, compared, never added.

Only days of which both sides are wholly known are compared. A day that one side does not have, or whose metered use has
no price in part, says so and has no gap.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec

from outlay.analysis.answer import Answer, Listed, json_value
from outlay.analysis.coverage import gaps
from outlay.analysis.query import Query
from outlay.clock import Clock, midnight, month_start, system_clock
from outlay.errors import ConfigError
from outlay.model.facts import Charge
from outlay.model.metering import METERS
from outlay.store import Ledger

PERIODS = ("day", "week", "month")
METERED = "metered"
"""The dataset of what was metered where it was used."""
_WIDE = Context(prec=100)
_SHOWN = Decimal("0.000001")
_ZERO = Decimal(0)


class State(enum.StrEnum):
    """What is known of a model's days."""

    BOTH = "both"
    """Priced and billed: these days are compared."""
    UNPRICED = "unpriced"
    """Some or all of what was metered has no price."""
    PRICED_ONLY = "priced_only"
    """The vendor bills nothing for them, or not yet."""
    BILLED_ONLY = "billed_only"
    """Nothing of them was metered."""


def share(part: Decimal, whole: Decimal) -> Fraction | None:
    """Return how much of a whole a part is, exactly. Null: the whole is nothing."""
    return Fraction(part) / Fraction(whole) if whole else None


def shown(ratio: Fraction | None) -> Decimal | None:
    """Return a ratio with six decimals, to be looked at and not to be calculated with."""
    if ratio is None:
        return None
    return _WIDE.divide(Decimal(ratio.numerator), Decimal(ratio.denominator)).quantize(_SHOWN, context=_WIDE)


class SideBySideRow(Listed, frozen=True, kw_only=True):
    """Days of one model in one period, of which the same is known.

    Units: `gap` is `priced` less `billed`, in `currency`; `gap_ratio` is `gap` in parts of `billed`, six decimals.
    Null: `priced` and `billed` are None where that side has nothing, `gap` where the two cannot be compared; `model`
        where calls and bills name none.
    """

    period: date
    """The day, or the first day of the week (a Monday) or month."""
    connection: str
    provider: str
    model: str | None
    currency: str
    state: State
    days: int
    priced: Decimal | None
    billed: Decimal | None
    unpriced: tuple[str, ...]
    """The meters that have no price on some of these days."""
    shown: ClassVar = (
        "period",
        "connection",
        "provider",
        "model",
        "currency",
        "state",
        "days",
        "priced",
        "billed",
        "gap",
        "gap_ratio",
        "unpriced",
    )

    @property
    def gap(self) -> Decimal | None:
        """Return by how much the priced side is larger. Null: the two cannot be compared."""
        if self.state is not State.BOTH or self.priced is None or self.billed is None:
            return None
        return _WIDE.subtract(self.priced, self.billed)

    @property
    def ratio(self) -> Fraction | None:
        """Return the gap in parts of what is billed, exactly. Null: there is no gap, or nothing is billed."""
        return None if self.gap is None or self.billed is None else share(self.gap, self.billed)

    @property
    def gap_ratio(self) -> Decimal | None:
        """Return the ratio with six decimals."""
        return shown(self.ratio)


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """The compared days of a week: exact sums of both sides."""

    week: date
    """Its Monday."""
    days: int
    priced: Decimal
    billed: Decimal

    @property
    def ratio(self) -> Fraction | None:
        """Return the gap in parts of what is billed, exactly."""
        return share(_WIDE.subtract(self.priced, self.billed), self.billed)


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """How one model's gap has moved, week by week. Order: oldest first, weeks without compared days left out."""

    connection: str
    model: str | None
    currency: str
    weeks: tuple[Week, ...]

    def to_json_object(self) -> dict[str, Any]:
        """Return the trend as JSON holds it: exact sums of each week, the ratio with six decimals."""
        fields = {"connection": self.connection, "model": self.model, "currency": self.currency}
        weeks = [
            {
                "week": each.week,
                "days": each.days,
                "priced": each.priced,
                "billed": each.billed,
                "gap_ratio": shown(each.ratio),
            }
            for each in self.weeks
        ]
        return {**fields, "weeks": json_value(weeks)}


class NotMetered(Listed, frozen=True, kw_only=True):
    """What a connection's vendor bills, in the period, for models that were never metered in it."""

    connection: str
    currency: str
    models: int
    billed: Decimal
    shown: ClassVar = ("connection", "currency", "models", "billed")


class SideBySide(Answer[SideBySideRow], frozen=True, kw_only=True):
    """Rows, how the gaps move, and what of the bill nobody metered."""

    trend: tuple[Trend, ...] = ()
    not_metered: tuple[NotMetered, ...] = ()

    def to_json_object(self) -> dict[str, Any]:
        """Return the answer as the one JSON object that every face shares."""
        return {
            **Answer.to_json_object(self),
            "trend": [each.to_json_object() for each in self.trend],
            "not_metered": [json_value(each.record()) for each in self.not_metered],
        }


class _Day(msgspec.Struct):
    """What is known of a model's day at one connection, in one currency."""

    provider: str
    priced: Decimal | None = None
    billed: Decimal | None = None
    unpriced: frozenset[str] = frozenset()

    @property
    def state(self) -> State:
        if self.unpriced:
            return State.UNPRICED
        if self.priced is None:
            return State.BILLED_ONLY
        return State.PRICED_ONLY if self.billed is None else State.BOTH


_Model = tuple[str, str]
"""Connection and model."""
_Place = tuple[date, str, str, str]
"""Day, connection, model, currency."""


def side_by_side(
    ledger: Ledger, query: Query | None = None, *, period: str = "day", clock: Clock = system_clock
) -> SideBySide:
    """Return, per period and model, what metered use is priced at and what the vendor bills for it.

    Order: by period, connection, model, currency and state.
    Raises: ConfigError for a period that is none or holds no day; StoreError.
    """
    query = query or Query()
    if period not in PERIODS:
        raise ConfigError(f"{period!r} is no period", hint=f"Use one of: {', '.join(PERIODS)}.")
    first, to = query.period(clock)
    days, not_metered = _days(ledger, query, first, to)
    return SideBySide(
        from_=first,
        to=to,
        by=(period,),
        rows=tuple(_rows(days, period)),
        incomplete=gaps(ledger, query, (Charge,), clock) if days else (),
        columns=SideBySideRow.shown,
        trend=tuple(_trends(days)),
        not_metered=not_metered,
    )


def _days(ledger: Ledger, query: Query, first: date, to: date) -> tuple[dict[_Place, _Day], tuple[NotMetered, ...]]:
    bounds = (midnight(first), midnight(to))
    days: dict[_Place, _Day] = {}
    sums: dict[tuple[date, str, str, str], Decimal] = {}
    providers: dict[str, str] = {}
    for day, connection, provider, model, currency, meter, cost, quantity in ledger.query(_PRICED, bounds).rows:
        if query.asked(connection, provider):
            providers[connection] = provider
            entry = days.setdefault((day, connection, model, currency), _Day(provider))
            entry.priced = _WIDE.add(entry.priced or _ZERO, cost)
            sums[day, connection, model, meter] = _WIDE.add(sums.get((day, connection, model, meter), _ZERO), quantity)
    lacking, metered = _lacking(ledger, query, bounds, sums, providers)
    others = _add_billed(days, ledger, bounds, metered, providers)
    for (day, connection, model), meters in lacking.items():
        found = [entry for place, entry in days.items() if place[:3] == (day, connection, model)]
        for entry in found:
            entry.unpriced = frozenset(meters)
    return days, others


_PRICED = f"""
    SELECT CAST(ChargePeriodStart AS DATE), x_Connection, x_Provider, coalesce(x_Model, ''), BillingCurrency, SkuMeter,
           sum(BilledCost), sum(ConsumedQuantity)
    FROM charges WHERE x_Dataset = '{METERED}' AND x_PriceListVersion IS NOT NULL
      AND ChargePeriodStart >= ? AND ChargePeriodStart < ? GROUP BY ALL
"""
_USED = f"""
    SELECT CAST(usage_period_start AS DATE), u.connection, u.provider, coalesce(u.model, ''), u.meter, sum(u.quantity)
    FROM usage u WHERE u.dataset = '{METERED}' AND usage_period_start >= ? AND usage_period_start < ? GROUP BY ALL
"""
_STATED = f"""
    SELECT DISTINCT CAST(ChargePeriodStart AS DATE), x_Connection, coalesce(x_Model, '')
    FROM charges WHERE x_Dataset = '{METERED}' AND x_PriceListVersion IS NULL
      AND ChargePeriodStart >= ? AND ChargePeriodStart < ?
"""
_BILLED = f"""
    SELECT CAST(ChargePeriodStart AS DATE), x_Connection, coalesce(x_Model, ''), BillingCurrency, sum(BilledCost)
    FROM charges
    WHERE x_Dataset <> '{METERED}' AND x_Basis = 'billed' AND ChargeCategory = 'Usage'
      AND (x_Connection, ServiceName) IN (SELECT connection, service_name FROM usage WHERE dataset = '{METERED}')
      AND ChargePeriodStart >= ? AND ChargePeriodStart < ? GROUP BY ALL
"""


def _lacking(
    ledger: Ledger,
    query: Query,
    bounds: tuple[object, object],
    priced: dict[tuple[date, str, str, str], Decimal],
    providers: dict[str, str],
) -> tuple[dict[tuple[date, str, str], set[str]], set[_Model]]:
    """Return the meters without a price by day, and every model that was metered at all.

    A model of which some calls state their own cost is left out: their quantities are not meant to be priced.
    """
    stated = {tuple(row) for row in ledger.query(_STATED, bounds).rows}
    lacking: dict[tuple[date, str, str], set[str]] = {}
    metered: set[_Model] = set()
    for day, connection, provider, model, meter, quantity in ledger.query(_USED, bounds).rows:
        if not query.asked(connection, provider):
            continue
        providers[connection] = provider
        metered.add((connection, model))
        if (
            _costs(meter)
            and (day, connection, model) not in stated
            and priced.get((day, connection, model, meter)) != quantity
        ):
            lacking.setdefault((day, connection, model), set()).add(meter)
    return lacking, metered


def _costs(meter: str) -> bool:
    """Tell whether a meter without a charge is one whose cost is unknown: requests are counted everywhere."""
    known = METERS.get(meter)
    return meter == "uncounted_requests" or (meter != "requests" and (known is None or known.inside is None))


def _add_billed(
    days: dict[_Place, _Day],
    ledger: Ledger,
    bounds: tuple[object, object],
    metered: set[_Model],
    providers: dict[str, str],
) -> tuple[NotMetered, ...]:
    """Put the bills beside what was metered; return what is billed for models that nobody metered."""
    others: dict[tuple[str, str], list[tuple[str, Decimal]]] = {}
    for day, connection, model, currency, cost in ledger.query(_BILLED, bounds).rows:
        if connection not in providers:
            continue
        if (connection, model) in metered:
            entry = days.setdefault((day, connection, model, currency), _Day(providers[connection]))
            entry.billed = _WIDE.add(entry.billed or _ZERO, cost)
        else:
            others.setdefault((connection, currency), []).append((model, cost))
    return tuple(
        NotMetered(
            connection=connection,
            currency=currency,
            models=len({model for model, _ in found}),
            billed=_total(cost for _, cost in found),
        )
        for (connection, currency), found in sorted(others.items())
    )


def _total(amounts: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for amount in amounts:
        total = _WIDE.add(total, amount)
    return total


def _begin(day: date, period: str) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return month_start(day) if period == "month" else day


def _rows(days: dict[_Place, _Day], period: str) -> Iterator[SideBySideRow]:
    groups: dict[tuple[date, str, str, str, State], list[_Day]] = {}
    for (day, connection, model, currency), entry in days.items():
        key = (_begin(day, period), connection, model, currency, entry.state)
        groups.setdefault(key, []).append(entry)
    for (begin, connection, model, currency, state), found in sorted(groups.items()):
        priced = [entry.priced for entry in found if entry.priced is not None]
        billed = [entry.billed for entry in found if entry.billed is not None]
        yield SideBySideRow(
            period=begin,
            connection=connection,
            provider=found[0].provider,
            model=model or None,
            currency=currency,
            state=state,
            days=len(found),
            priced=_total(priced) if priced else None,
            billed=_total(billed) if billed else None,
            unpriced=tuple(sorted({meter for entry in found for meter in entry.unpriced})),
        )


def _trends(days: dict[_Place, _Day]) -> Iterator[Trend]:
    weeks: dict[tuple[str, str, str], dict[date, list[_Day]]] = {}
    for (day, connection, model, currency), entry in days.items():
        if entry.state is State.BOTH:
            of_model = weeks.setdefault((connection, model, currency), {})
            of_model.setdefault(_begin(day, "week"), []).append(entry)
    for (connection, model, currency), found in sorted(weeks.items()):
        yield Trend(
            connection=connection,
            model=model or None,
            currency=currency,
            weeks=tuple(
                Week(
                    week=week,
                    days=len(entries),
                    priced=_total(entry.priced or _ZERO for entry in entries),
                    billed=_total(entry.billed or _ZERO for entry in entries),
                )
                for week, entries in sorted(found.items())
            ),
        )
