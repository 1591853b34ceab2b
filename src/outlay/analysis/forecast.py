"""What a month will come to: a robust weekday profile for usage, fees that recur set apart first.

Pure arithmetic on daily sums. The result is an estimate and says so; with too little history there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from statistics import median

import msgspec

from outlay.clock import month_start, next_month
from outlay.model.money import ratio

HISTORY_DAYS = 56
"""How many complete days the profile is made from: eight of each weekday."""
DAYS_LEAST = 14
"""Two of each weekday; with fewer there is no profile and no forecast."""
_DAMPING = Decimal("0.5")
_DAILY_SHARE = 2
_ZERO = Decimal(0)
_CENTS = Decimal("0.000001")


class Fee(msgspec.Struct, frozen=True):
    """A recurring charge: `key` tells one fee from another."""

    key: str
    day: date
    amount: Decimal


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One connection's spend in one currency and basis.

    Units: `known` are the complete days whose spend is in the ledger; a known day without usage is a day of zero.
    """

    usage: Mapping[date, Decimal]
    fees: Sequence[Fee]
    known: frozenset[date]


def month_total(series: Series, today: date) -> Decimal | None:
    """Return the estimated total of the month `today` is in.

    Null: None with fewer than two weeks of known days.
    """
    days = sorted(day for day in series.known if today - timedelta(days=HISTORY_DAYS) <= day < today)
    if len(days) < DAYS_LEAST:
        return None
    first, end = month_start(today), next_month(today)
    spent = sum((amount for day, amount in series.usage.items() if first <= day < today), _ZERO)
    missing = [day for day in _days(first, end) if day >= today or day not in series.known]
    profile = _profile({day: series.usage.get(day, _ZERO) for day in days})
    so_far = series.usage.get(today, _ZERO)
    coming = sum((max(so_far, profile(day)) if day == today else profile(day) for day in missing), _ZERO)
    return (spent + coming + _fees(series.fees, series.known, today)).quantize(_CENTS)


class _Profile(msgspec.Struct, frozen=True):
    """Level, slope and weekday factors of a daily series."""

    level: Decimal
    slope: Decimal
    anchor: date
    factors: Mapping[int, Decimal]

    def __call__(self, day: date) -> Decimal:
        """Return the expected spend of a day; the trend fades with distance, and spend does not change its sign."""
        ahead = Decimal((day - self.anchor).days)
        drift = self.slope * ahead * _DAMPING
        return (self.level + _bounded(drift, abs(self.level))) * self.factors[day.weekday()]


def _profile(history: Mapping[date, Decimal]) -> _Profile:
    values = list(history.values())
    average = ratio(sum(values, _ZERO), Decimal(len(values))) or _ZERO
    middle = median(values)
    anchor = max(history)
    flat = dict.fromkeys(range(7), Decimal(1))
    if middle == 0:
        # Most days are without usage: medians would forget the few that are not.
        return _Profile(average, _ZERO, anchor, flat)
    factors = flat | _factors(history, middle)
    level_days = sorted(history)[-28:]
    even = {day: ratio(history[day], factors[day.weekday()]) or _ZERO for day in level_days if factors[day.weekday()]}
    if not even:
        return _Profile(average, _ZERO, anchor, flat)
    slope = _theil_sen(even)
    centre = median([Decimal((day - anchor).days) for day in even])
    usual = median(even.values())
    level = usual + _bounded(-slope * centre, abs(usual))
    return _Profile(level, slope, anchor, factors)


def _bounded(drift: Decimal, most: Decimal) -> Decimal:
    """Return a drift that cannot turn what it is added to into its opposite."""
    return max(-most, min(most, drift))


def _factors(history: Mapping[date, Decimal], middle: Decimal) -> dict[int, Decimal]:
    by_weekday: dict[int, list[Decimal]] = {}
    for day, value in history.items():
        by_weekday.setdefault(day.weekday(), []).append(value)
    return {weekday: ratio(median(values), middle) or _ZERO for weekday, values in by_weekday.items()}


def _theil_sen(values: Mapping[date, Decimal]) -> Decimal:
    """Return the median of the slopes between every two days: single outliers cannot tilt it."""
    days = sorted(values)
    slopes = [
        (values[late] - values[early]) / (late - early).days
        for index, early in enumerate(days)
        for late in days[index + 1 :]
    ]
    return median(slopes) if slopes else _ZERO


def _fees(fees: Sequence[Fee], known: frozenset[date], today: date) -> Decimal:
    """Return what recurring fees come to in the month: those that came, and those that are due as they were before."""
    first, end = month_start(today), next_month(today)
    before = month_start(first - timedelta(days=1))
    by_key: dict[str, list[Fee]] = {}
    for fee in fees:
        by_key.setdefault(fee.key, []).append(fee)
    total = _ZERO
    for same in by_key.values():
        daily: dict[date, Decimal] = {}
        for fee in same:
            daily[fee.day] = daily.get(fee.day, _ZERO) + fee.amount
        total += sum((amount for day, amount in daily.items() if first <= day < end), _ZERO)
        recent = [day for day in known if today - timedelta(days=28) <= day < today]
        charged = [daily[day] for day in recent if day in daily]
        if len(charged) * _DAILY_SHARE > len(recent):
            total += median(charged) * sum(1 for day in _days(today, end) if day not in daily)
        elif not any(first <= day < end for day in daily):
            total += sum((amount for day, amount in daily.items() if before <= day < first), _ZERO)
    return total


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((end - first).days)]
