"""An account at DeepSeek: what each day used and cost, what is left, and the export that the usage page offers."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal
from random import Random

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import EXACT, TrueBalance, TrueCharge, TrueUsage, Truth, exact_sum

CURRENCY = "USD"
MODELS = {
    "deepseek-flash": (Decimal("0.000000003"), Decimal("0.00000015"), Decimal("0.0000006")),
    "deepseek-v4-pro": (Decimal("0.000000022"), Decimal("0.00000066"), Decimal("0.00000198")),
}
"""Off-peak prices of one token: cache hit, cache miss, output. At peak they double."""
TYPES = ("input_cache_hit_tokens", "input_cache_miss_tokens", "output_tokens", "request_count")
KEY_NAMES = ("website", "nightly jobs", "ledger")
GRANTED_DAYS = 3
"""What the first days cost is paid from the granted balance; after them it is used up."""
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Call:
    """What one key used of a model at one price: tokens by type, and requests."""

    key: str
    peak: bool
    counts: tuple[int, int, int, int]

    def prices(self, model: str) -> tuple[Decimal, ...]:
        """Return the price of one token of each type."""
        return tuple(price * (2 if self.peak else 1) for price in MODELS.get(model, MODELS["deepseek-flash"]))

    def cost(self, model: str) -> Decimal:
        """Return what the tokens cost."""
        pairs = zip(self.counts[:3], self.prices(model), strict=True)
        return exact_sum(EXACT.multiply(Decimal(count), price) for count, price in pairs)


@dataclass(frozen=True, slots=True)
class Day:
    """What one model was used for on a day, and the wallet that paid."""

    model: str
    calls: tuple[Call, ...]
    granted: bool

    @property
    def cost(self) -> Decimal:
        """Return what was taken from the wallet."""
        return exact_sum(call.cost(self.model) for call in self.calls)


def _doubled(day: Day) -> Day:
    calls = tuple(replace(call, counts=tuple(2 * count for count in call.counts)) for call in day.calls)  # type: ignore[arg-type]
    return replace(day, calls=calls)


class DeepSeekAccount(Account):
    """One prepaid account."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.user_id = plot.name("u-", length=8)
        self.days: Diary[Day] = Diary(plot, self._day, _doubled)
        self.diaries["account"] = self.days

    def _day(self, day: date, chance: Random) -> list[Day]:
        if self.plot.rows_per_day is not None:
            names = [f"deepseek-{number:04}" for number in range(self.plot.rows_per_day)]
            return [Day(name, (self._call(chance, KEY_NAMES[0], peak=False),), granted=False) for name in names]
        granted = day < self.plot.first_day + timedelta(days=GRANTED_DAYS)
        if chance.random() < 0.1:
            return []
        names = [name for name in MODELS if chance.random() < 0.8] or [next(iter(MODELS))]
        return [Day(name, tuple(self._calls(chance, day)), granted) for name in names]

    def _calls(self, chance: Random, day: date) -> Iterator[Call]:
        for key in KEY_NAMES[: chance.randrange(1, 4)]:
            yield self._call(chance, key, peak=False)
            if day.weekday() < 5 and chance.random() < 0.5:
                yield self._call(chance, key, peak=True)

    def _call(self, chance: Random, key: str, *, peak: bool) -> Call:
        ranges = (9_000_000, 900_000, 500_000, 4000)
        hits, misses, outputs, requests = (chance.randrange(1, most) for most in ranges)
        return Call(key, peak, (hits, misses, outputs, requests))

    def charges_on(self, day: date) -> list[TrueCharge]:
        """Return a day's lines by model; what the granted balance paid is billed with nothing."""
        return [
            TrueCharge(day, None, each.model, None, Decimal(0) if each.granted else each.cost, None, CURRENCY,
                       dims={"model": each.model, "wallet_type": "Granted" if each.granted else "Paid"})
            for each in self.days.on(day)
        ]  # fmt: skip

    def usage_on(self, day: date) -> list[TrueUsage]:
        """Return a day's tokens and requests under the export's own names."""
        return [
            TrueUsage(day, "export", kind, Decimal(count), {"model": each.model, "api_key_name": call.key})
            for each in self.days.on(day)
            for call in each.calls
            for kind, count in zip(TYPES, call.counts, strict=True)
        ]

    def _all(self) -> Iterator[tuple[date, Day]]:
        day = self.plot.first_day
        while day <= self.plot.today:
            yield from ((day, each) for each in self.days.on(day))
            day += timedelta(days=1)

    def balances(self) -> list[TrueBalance]:
        """Return what is left in each currency, in cents rounded down; nothing at all of an empty account."""
        if self.plot.empty:
            return []
        paid = exact_sum(each.cost for _, each in self._all() if not each.granted)
        topped_up = Decimal(1 + int(paid) // 50) * 50 + Decimal(25)
        left = (topped_up - paid).quantize(_CENT, ROUND_DOWN)
        yuan = Decimal(self.plot.random("yuan").randrange(100, 99_999)).scaleb(-2)
        return [
            TrueBalance("balance", CURRENCY, left, Decimal("0.00"), left),
            TrueBalance("balance", "CNY", yuan + Decimal("5.00"), Decimal("5.00"), yuan),
        ]

    def export(self, first: date, end: date, offset: str = "+00:00", *, dated: bool = False) -> bytes:
        """Return the ZIP that the usage page offers for the days from `first` up to `end`.

        `offset` is that of the exporting browser, whose days these are; `dated` writes the columns used until mid 2026.
        """
        days = [(day, each) for day, each in self._all() if first <= day < end]
        span = ("utc_date",) if dated else ("start_time_iso", "end_time_iso")

        def stamps(day: date) -> tuple[str, ...]:
            edges = (day, day + timedelta(days=1))
            return (day.isoformat(),) if dated else tuple(f"{edge}T00:00:00{offset}" for edge in edges)

        cost = _file(
            ("user_id", *span, "model", "wallet_type", "cost", "currency"),
            (
                (self.user_id, *stamps(day), each.model, "Granted" if each.granted else "Paid", f"{each.cost:.16f}",
                 CURRENCY)
                for day, each in days
            ),
        )  # fmt: skip
        amount = _file(
            ("user_id", *span, "model", "api_key_name", "api_key", "type", "price", "amount"),
            (
                (self.user_id, *stamps(day), each.model, call.key, "sk-" + "sim-" + call.key[:3], kind, price, count)
                for day, each in days
                for call in each.calls
                for kind, count, price in zip(TYPES, call.counts, (*map(_plain, call.prices(each.model)), ""),
                                              strict=True)
            ),
        )  # fmt: skip
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"amount-{first}.csv", amount)
            archive.writestr(f"cost-{first}.csv", cost)
        return packed.getvalue()

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the account."""
        return Truth(
            self.plot.first_day, self.plot.today, self.charges_on, self.usage_on, balances=tuple(self.balances())
        )


def _plain(price: Decimal) -> str:
    return f"{price:f}"


def _file(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
