"""An account at Groq: five minute rates of each model and project, and what they add up to.

Rates have holes: five minutes without traffic have no sample, and some samples are no number. What they add up to is
what can be seen, in the truth as at the vendor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import EXACT, TrueUsage, Truth, exact_sum

MODELS = ("llama-3.3-70b-versatile", "openai/gpt-oss-120b", "whisper-large-v3")
PROJECTS = ("website", "nightly")
SLOTS = 288
STEP = 300
HOLES_ON = 20
"""The day of each month on which samples are missing."""
TODAY_SLOTS = 144
"""Of today only the time until noon has happened."""
REQUESTS = "requests"
METERS = (REQUESTS, "tokens_in", "tokens_out", "prompt_cache_hits", "prompt_cache_misses")
_MOST = {REQUESTS: 40_000, "tokens_in": 90_000_000, "tokens_out": 20_000_000, "prompt_cache_hits": 30_000_000,
         "prompt_cache_misses": 60_000_000}  # fmt: skip
_NO_NUMBERS = ("NaN", "+Inf", "-Inf")


@dataclass(frozen=True, slots=True)
class Line:
    """One series of one day: a rate per second for each five minutes, None where there is no sample."""

    meter: str
    model: str
    project: str
    status: str | None
    samples: tuple[str | None, ...]

    @property
    def seen(self) -> tuple[Decimal, ...]:
        """Return the samples that are numbers."""
        return tuple(Decimal(text) for text in self.samples if text is not None and text not in _NO_NUMBERS)

    @property
    def quantity(self) -> Decimal:
        """Return what the samples that are numbers add up to."""
        return EXACT.multiply(exact_sum(self.seen), Decimal(STEP))


def _doubled(line: Line) -> Line:
    def twice(text: str | None) -> str | None:
        return text if text is None or text in _NO_NUMBERS else f"{2 * Decimal(text):f}"

    return replace(line, samples=tuple(twice(text) for text in line.samples))


class GroqAccount(Account):
    """One organization with its projects."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.projects = {label: plot.name("project_", label, length=10) for label in PROJECTS}
        self.days: Diary[Line] = Diary(plot, self._day, _doubled)
        self.diaries["account"] = self.days
        self.unlisted: frozenset[str] = frozenset()
        """Meters whose names the server does not list, though it has their samples: the test says so."""

    def _day(self, day: date, chance: Random) -> list[Line]:
        if self.plot.rows_per_day is not None:
            return []
        lines: list[Line] = []
        for model in MODELS:
            for project in self.projects.values():
                if chance.random() < 0.4:
                    continue  # nothing all day: no series at all
                holes = chance.choice((0.02, 0.5)) if day.day == HOLES_ON else 0.0
                for meter in METERS:
                    for status in ("200", "429") if meter == REQUESTS else (None,):
                        samples = tuple(self._sample(day, slot, meter, chance, holes) for slot in range(SLOTS))
                        lines.append(Line(meter, model, project, status, samples))
        # The diary keeps one half of today, which is cut by the hour here.
        return lines * 2 if day == self.plot.today else lines

    def _sample(self, day: date, slot: int, meter: str, chance: Random, holes: float) -> str | None:
        happened = day < self.plot.today or slot < TODAY_SLOTS
        if chance.random() < holes or not happened:
            return None if chance.random() < 0.7 or not happened else chance.choice(_NO_NUMBERS)
        whole, rest = divmod(int(chance.random() * _MOST[meter]), 10_000)
        text = f"{whole}.{rest:04d}"
        return f"{Decimal(text):.3e}" if chance.random() < 0.1 else text

    def lines(self, first: date, last: date) -> Iterator[tuple[date, Line]]:
        """Yield every series of each day, both days included."""
        day = first
        while day <= last:
            yield from ((day, line) for line in self.days.on(day))
            day += timedelta(days=1)

    def usage_on(self, day: date) -> list[TrueUsage]:
        """Return what a day's samples add up to; a series without any number has no row."""
        return [
            TrueUsage(day, "usage", line.meter, line.quantity,
                      {"model": line.model, "project_id": line.project, "status_code": line.status,
                       "seen": str(len(line.seen))})
            for line in self.days.on(day)
            if line.seen
        ]  # fmt: skip

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the account: there are no charges."""
        return Truth(
            self.plot.first_day,
            self.plot.today,
            lambda _day: (),
            self.usage_on,
            names={
                "model": dict.fromkeys(MODELS),
                "project": {project: label for label, project in self.projects.items()},
            },
        )
