"""The word in which a provider says that days are told by a counter: each is a difference of two readings.

Its interpreter is `outlay.sync.differences`. It is imported from `outlay.providers.base`, with all others.
"""

from __future__ import annotations

from msgspec import Struct

from outlay.model.facts import Balance, Limit, Usage

MISSED, RESET = "reading_missed", "counter_reset"
HINTS = {
    MISSED: "What was used on days without a reading is not known day by day; sync daily, and look at the vendor.",
    RESET: "What was used before the counter began again is not known; the vendor's own page may tell it.",
}
"""Why a day is not told by a difference, and what to do about it."""


class Difference(Struct, frozen=True):
    """Turn a counter's last reading of a day, less the last of the day before, into that day's use or cost.

    A day that was missed, a counter that began again and one that went back are gaps: never nothing, never less than
    nothing, and never spread over the days between.
    """

    dataset: str
    """Where the days stand, apart from all that is asked for; one of its own for each difference."""
    of: type[Limit | Balance | Usage]
    """What the reading is: the `used` of a limit, the `amount` of a balance, the `quantity` of a measurement."""
    name: str
    """The limit's or balance's name, or the measurement's meter."""
    service: str
    meter: str | None = None
    """What the days are measured as, in the reading's unit; None where they are cost, known as `estimated`."""
    scope: str | None = None
    """The scope of the limit that is meant; None tells one series for each scope or part, under its name."""
    falling: bool = False
    """The counter tells what is left: use takes it down, and a rise is one that began again."""
    period_of: str | None = None
    """The limit whose reset and details tell when the counter begins again, where its own do not."""
    reset_slack_seconds: int = 0
    """How far apart two readings of one period may tell its reset, as where it is told in seconds from now."""
    same: tuple[str, ...] = ()
    """Details of the limit whose change means that the counter is another one: a plan, an allowance."""
    whole: str | None = None
    """The dataset in which the vendor tells days itself. On those, use is a part of it and cost is not stated."""
    apart: bool = False
    """The ledger may hold the same use otherwise: the days are in no sum, and shown where their dataset is named."""
    beyond_fee: bool = False
    """The cost comes on top of a fee that no one states: days of it alone do not tell what a connection costs."""
