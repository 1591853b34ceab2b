"""What the user's own customers used, by Stripe's billing meters: measurements without money, never spend."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import Name, Usage
from outlay.model.money import exact
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.base import PAIR, AfterId, Ask, Dataset, Endpoint, EpochWindow, FanOut, Refusal
from outlay.providers.stripe.fees import ACCOUNT, SHIFTED, UPDATE

METERS_SERVICE = "Stripe Meters"
_ADDING = frozenset({"sum", "count"})


class Aggregation(Struct, gc=False):
    """What is made of the events of a day: `sum`, `count` or `last`."""

    formula: str = "sum"


class Meter(Struct, gc=False):
    """What is counted, and how."""

    id: str
    default_aggregation: Aggregation = field(default_factory=Aggregation)
    display_name: str | None = None
    event_name: str | None = None
    status: str = "active"


class MeterPage(Struct, gc=False):
    """A page of meters."""

    data: list[Meter]
    has_more: bool

    @property
    def last_id(self) -> str | None:
        """Return the id to continue after."""
        return self.data[-1].id if self.data else None


class Summary(Struct, gc=False):
    """What a meter makes of one customer's events of a day; it names neither unit nor customer."""

    id: str
    meter: str
    aggregated_value: Decimal
    start_time: int
    end_time: int


class SummaryPage(Struct, gc=False):
    """A page of days."""

    data: list[Summary]
    has_more: bool

    @property
    def last_id(self) -> str | None:
        """Return the id to continue after."""
        return self.data[-1].id if self.data else None


def meters(page: MeterPage, _ask: Ask) -> Iterator[Name]:
    """Turn meters into names; one that is switched off is archived, one whose days are levels is of another kind."""
    for row in page.data:
        state = "active" if row.status == "active" else "archived"
        kind = "meter" if row.default_aggregation.formula in _ADDING else "level_meter"
        yield Name(kind=kind, id=row.id, name=row.display_name or row.event_name, state=state)


def summaries(page: SummaryPage, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn a customer's days on a meter into measurements that add up.

    Units:  as the meter counts; Stripe states none.
    Source: https://docs.stripe.com/api/billing/meter-event-summary/list
    """
    return _measured(page, ask, None)


def levels(page: SummaryPage, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn a customer's days on a meter that keeps the last value into levels, which sums leave out."""
    return _measured(page, ask, "meter_usage")


def _measured(page: SummaryPage, ask: Ask, part_of: str | None) -> Iterator[Usage | Problem]:
    customer = (ask.item or "").rpartition(PAIR)[2] or None
    for row in page.data:
        period = Period.of_epoch(row.start_time, row.end_time)
        try:
            quantity = exact(row.aggregated_value)
        except ValueError as error:
            yield Problem(code="amount_refused", says=str(error), where=row.id, hint=UPDATE, period=period)
            continue
        yield Usage(usage_period=period, meter=row.meter, unit="count", quantity=quantity,
                    service_name=METERS_SERVICE, user_id=customer, part_of=part_of)  # fmt: skip


AFTER = AfterId(send="starting_after")
_METERS = Refusal(403, "permission_missing", hint="Give the restricted key the permission billing_meter_read.")
_EVENTS = Refusal(403, "permission_missing", hint="Give the restricted key the permission billing_meter_event_read.")

METERS: Endpoint[MeterPage] = Endpoint(
    name="meters", path="/v1/billing/meters", page=MeterPage, facts=meters, pages=AFTER, query={"limit": 100},
    refusals=(ACCOUNT, _METERS, SHIFTED),
)  # fmt: skip
SUMMARIES: Endpoint[SummaryPage] = Endpoint(
    name="meter_usage", path="/v1/billing/meters/{meter}/event_summaries", page=SummaryPage, facts=summaries,
    window=EpochWindow("start_time", "end_time", days_max=31), pages=AFTER,
    query={"limit": 100, "value_grouping_window": "day"},
    each=FanOut("customer", "customer", place="query", within=FanOut("meter", "meter")),
    refusals=(ACCOUNT, _EVENTS),
)  # fmt: skip
LEVELS: Endpoint[SummaryPage] = Endpoint(
    name="meter_levels", path=SUMMARIES.path, page=SummaryPage, facts=levels, window=SUMMARIES.window, pages=AFTER,
    query=SUMMARIES.query, each=FanOut("customer", "customer", place="query", within=FanOut("level_meter", "meter")),
    refusals=(ACCOUNT, _EVENTS),
)  # fmt: skip

DATASETS = (
    # A meter answers for one customer at a time: names and use are read where they are asked for.
    Dataset("meters", "Billing meters", (Name,), (METERS,), grain="names", order=0, default=False,
            kinds=("meter", "level_meter")),
    Dataset("meter_usage", "What customers used, by meter", (Usage,), (SUMMARIES,), default=False),
    Dataset("meter_levels", "Last values of meters that keep them", (Usage,), (LEVELS,), default=False),
)  # fmt: skip
