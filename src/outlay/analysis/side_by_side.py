"""What metered use is priced at, beside what the vendor bills for the same models: apart, compared, never added.

Only days of which both sides are wholly known are compared. A day that one side does not have, or whose metered use has
no price in part, says so and has no gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any, ClassVar

import msgspec

from outlay.analysis.answer import Answer, Listed, json_value
from outlay.analysis.coverage import gaps
from outlay.analysis.metered_days import ModelDay, Others, Place, State, known_days, total
from outlay.analysis.query import Query
from outlay.clock import Clock, month_start, system_clock
from outlay.errors import ConfigError
from outlay.model.facts import Charge
from outlay.store import Ledger

PERIODS = ("day", "week", "month")
_WIDE = Context(prec=100)
_SHOWN = Decimal("0.000001")
_ZERO = Decimal(0)


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
        where calls and bills name none; `billed_as` where the bill has the same id as the calls, or nothing.
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
    billed_as: str | None = None
    """The dated or plain id under which the vendor bills the model's calls of these days."""
    why: str | None = None
    """Why the model stands alone though the other side has an id of it, or what else may be in its bill."""
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
        "billed_as",
        "why",
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
    days, others = known_days(ledger, query, first, to)
    return SideBySide(
        from_=first,
        to=to,
        by=(period,),
        rows=tuple(_rows(days, period)),
        incomplete=gaps(ledger, query, (Charge,), clock) if days else (),
        columns=SideBySideRow.shown,
        trend=tuple(_trends(days)),
        not_metered=tuple(_not_metered(others)),
    )


def _not_metered(others: Others) -> Iterator[NotMetered]:
    for (connection, currency), found in sorted(others.items()):
        yield NotMetered(
            connection=connection,
            currency=currency,
            models=len({model for model, _ in found}),
            billed=total(cost for _, cost in found),
        )


def _begin(day: date, period: str) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    return month_start(day) if period == "month" else day


def _rows(days: dict[Place, ModelDay], period: str) -> Iterator[SideBySideRow]:
    groups: dict[tuple[date, str, str, str, State, str, str], list[ModelDay]] = {}
    for (day, connection, model, currency), entry in days.items():
        alike = (entry.state, entry.billed_as or "", entry.why or "")
        groups.setdefault((_begin(day, period), connection, model, currency, *alike), []).append(entry)
    for (begin, connection, model, currency, state, billed_as, why), found in sorted(groups.items()):
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
            priced=total(priced) if priced else None,
            billed=total(billed) if billed else None,
            unpriced=tuple(sorted({meter for entry in found for meter in entry.unpriced})),
            billed_as=billed_as or None,
            why=why or None,
        )


def _trends(days: dict[Place, ModelDay]) -> Iterator[Trend]:
    weeks: dict[tuple[str, str, str], dict[date, list[ModelDay]]] = {}
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
                    priced=total(entry.priced or _ZERO for entry in entries),
                    billed=total(entry.billed or _ZERO for entry in entries),
                )
                for week, entries in sorted(found.items())
            ),
        )
