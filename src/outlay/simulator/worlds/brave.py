"""An account at Brave: subscriptions with their quotas, and what each call they answered counts and costs.

Nothing happens at Brave but the calls that are made here: the truth is what they add up to.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from threading import Lock

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import EXACT, TrueCharge, TrueLimit, TrueUsage, Truth

CURRENCY = "USD"
MONTH = 2_592_000
SEARCH_PRICE = Decimal("0.005")
HINT_PRICE = Decimal("0.0005")
"""Of a suggestion or a spelling."""
_HINTS = frozenset({"suggest", "spellcheck"})
_QUERY, _TOKEN = Decimal("0.004"), Decimal("0.000005")


@dataclass(frozen=True, slots=True)
class Subscription:
    """A plan: its windows as limit and seconds; a limit of 0 is none."""

    plan: str
    windows: tuple[tuple[int, int], ...]

    @property
    def month(self) -> int:
        """Return how many calls a month may have; 0 for any number."""
        return next((limit for limit, seconds in self.windows if seconds == MONTH), 0)


@dataclass(frozen=True, slots=True)
class Bill:
    """What one answer of Answers used and costs."""

    queries: int
    tokens_in: int
    tokens_out: int

    @property
    def parts(self) -> tuple[Decimal, Decimal, Decimal]:
        """Return the cost of queries, of tokens in and of tokens out."""
        pairs = ((self.queries, _QUERY), (self.tokens_in, _TOKEN), (self.tokens_out, _TOKEN))
        queries, given, made = (EXACT.multiply(Decimal(count), price) for count, price in pairs)
        return queries, given, made

    @property
    def total(self) -> Decimal:
        """Return what the call costs: its parts and half a cent besides, which no price list explains."""
        return sum(self.parts, SEARCH_PRICE)


class BraveAccount(Account):
    """One account: every key of it opens one of its subscriptions."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        chance = plot.random("quota")
        self.capped = Subscription("Free", ((1, 1), (chance.randrange(2, 16) * 1000, MONTH)))
        self.subscriptions = {
            "metered": Subscription("Search", ((50, 1), (0, MONTH))),
            "capped": self.capped,
            "windows": Subscription("Data for AI", ((20, 1), (900, 60), (self.capped.month, MONTH))),
            "answers": Subscription("Answers", ((2, 1), (0, MONTH))),
        }
        self.used_before = chance.randrange(1, 1000)
        """What other clients have used of a month's quota."""
        self.calls: Counter[tuple[date, str]] = Counter()
        """Calls that succeeded, by day and operation."""
        self.bills: list[tuple[date, Bill]] = []
        self.diaries["account"] = Diary(plot, self._nothing, lambda entry: entry)
        self._counting = Lock()

    def _nothing(self, day: date, chance: Random) -> list[str]:
        return []

    def count(self, day: date, operation: str) -> None:
        """Count a call that succeeded."""
        with self._counting:
            self.calls[day, operation] += 1

    def bill(self, day: date) -> Bill:
        """Return and keep what the next answer costs."""
        with self._counting:
            chance = self.plot.random("answer", len(self.bills))
            bill = Bill(chance.randrange(1, 6), chance.randrange(5_000, 30_000), chance.randrange(10, 900))
            self.bills.append((day, bill))
        return bill

    def used(self, subscription: Subscription, day: date) -> int:
        """Return what is used of the quota of a day's month, which begins with the calendar's."""
        month = (day.year, day.month)
        made = sum(count for (each, _), count in self.calls.items() if (each.year, each.month) == month)
        return min(self.used_before + made, subscription.month)

    def charges_on(self, day: date) -> list[TrueCharge]:
        """Return what a day's calls cost by operation, before any credit."""
        searches = [
            TrueCharge(day, None, operation, None,
                       EXACT.multiply(Decimal(count), HINT_PRICE if operation in _HINTS else SEARCH_PRICE), None,
                       CURRENCY, dims={"operation": operation})
            for (each, operation), count in self.calls.items()
            if each == day
        ]  # fmt: skip
        answers = [
            TrueCharge(day, None, "answers", None, bill.total, None, CURRENCY, dims={"operation": "answers"})
            for each, bill in self.bills
            if each == day
        ]
        return searches + answers

    def usage_on(self, day: date) -> list[TrueUsage]:
        """Return a day's calls by operation, and what its answers used."""
        counted = [
            TrueUsage(day, "calls", "requests", Decimal(count), {"operation": operation})
            for (each, operation), count in self.calls.items()
            if each == day
        ]
        for each, bill in self.bills:
            if each == day:
                figures = {"requests": 1, "queries": bill.queries, "input_tokens": bill.tokens_in,
                           "output_tokens": bill.tokens_out}  # fmt: skip
                counted += [
                    TrueUsage(day, "calls", meter, Decimal(figure), {"operation": "answers"})
                    for meter, figure in figures.items()
                ]
        return counted

    def month_limit(self) -> TrueLimit:
        """Return the capped plan's quota of a month."""
        return TrueLimit("month", None, "quota", Decimal(self.capped.month), "requests", "month")

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the account so far."""
        return Truth(
            self.plot.first_day,
            self.plot.today + timedelta(days=1),
            self.charges_on,
            self.usage_on,
            limits=(self.month_limit(),),
        )
