"""A user at Hugging Face and the organizations seen: routed requests, jobs and runs of each day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.truth import EXACT, TrueCharge, TrueLimit, TrueUsage, Truth, exact_sum

USER, ACME, SHUT = "user", "acme", "no-billing-role"
"""The owners of what is used, and an organization whose bill the user may not see."""
INFERENCE, JOB, RUN = "inference", "job", "run"
SERVICES = {INFERENCE: "Inference Providers", JOB: "Jobs"}
INCLUDED = {USER: Decimal(2), ACME: Decimal(6)}
_PRODUCTS = (("Spaces", "spaces/t4-small/minutes", "T4 small", "0.006667"),
             ("Endpoints", "endpoints/aws/nvidia-l4/x1", "L4 x1", "0.013333"))  # fmt: skip
_FLAVORS = (("t4-small", "0.006667"), ("a10g-large", "0.025"))


@dataclass(frozen=True, slots=True)
class Event:
    """One thing used: `dollars` before credits, `quantity` requests or minutes, `minute` of its day."""

    kind: str
    owner: str
    id: str
    dollars: Decimal
    quantity: Decimal
    minute: int
    group: str | None = None
    product: tuple[str, ...] = ()


def doubled(event: Event) -> Event:
    """Return twice as much; of inference so much that no month's credits cover it."""
    dollars = EXACT.multiply(event.dollars, Decimal(2)) + (25 if event.kind == INFERENCE else Decimal("0.25"))
    return replace(event, dollars=dollars, quantity=EXACT.multiply(event.quantity, Decimal(2)))


def hex_id(plot: Plot, *about: object) -> str:
    """Return an id of 24 hexadecimal digits."""
    return f"{plot.random('hex', *about).getrandbits(96):024x}"


class HuggingFaceAccount(Account):
    """One user, one organization whose bill the user sees, and one whose bill the user does not see."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.id = hex_id(plot, "user")
        self.groups = {hex_id(plot, "group", n): name for n, name in enumerate(("Research", "Product"))}
        self.owners = (USER,) if plot.empty else (USER, ACME)
        for owner in self.owners:
            self.diaries[owner] = Diary(plot, lambda day, _, owner=owner: self._day(owner, day), doubled)  # type: ignore[misc]
        self.billing_period: tuple[date, date] | None = None
        """The present billing period where it is no calendar month."""
        self.pending = 0
        """Requests of today that are booked with a placeholder and will be dropped."""
        self.spend_limits = {} if plot.empty else {next(iter(self.groups)): {"total": 50_000, "jobs": 0}}

    def _day(self, owner: str, day: date) -> list[Event]:
        chance = self.plot.random("events", owner, day)
        if self.plot.rows_per_day is not None:
            rows = self.plot.rows_per_day if owner == USER else 0
            return [self._run(chance, owner, day, n) for n in range(rows)]
        if self.plot.random("quiet", day).random() < 0.1:
            return []
        events = [self._routed(chance, owner, day, n) for n in range(chance.randrange(1, 4))]
        # A run of an earlier month can no longer be asked for, so it is neither the first nor the last to be restated.
        events += [self._run(chance, owner, day, n) for n in range(chance.randrange(0, 2))]
        events += [self._job(chance, owner, day, n) for n in range(chance.randrange(1, 3))]
        return events

    def _routed(self, chance: Random, owner: str, day: date, n: int) -> Event:
        dollars = Decimal(chance.randrange(0, 900_000_000) if chance.random() < 0.8 else 0).scaleb(-9)
        group = chance.choice((None, *self.groups)) if owner == ACME else None
        session = f"session-{chance.randrange(3)}"
        return Event(INFERENCE, owner, session, dollars, Decimal(chance.randrange(1, 90)), 60 * n, group)

    def _job(self, chance: Random, owner: str, day: date, n: int) -> Event:
        flavor, price = chance.choice(_FLAVORS)
        minutes = Decimal(chance.randrange(1, 300))
        group = chance.choice((None, *self.groups)) if owner == ACME else None
        dollars = EXACT.multiply(minutes, Decimal(price))
        return Event(JOB, owner, hex_id(self.plot, owner, day, "job", n), dollars, minutes, 30 * n, group, (flavor,))

    def _run(self, chance: Random, owner: str, day: date, n: int) -> Event:
        product = chance.choice(_PRODUCTS)
        minutes = Decimal(chance.randrange(1, 1400))
        dollars = EXACT.multiply(minutes, Decimal(product[3]))
        group = chance.choice((None, *self.groups)) if owner == ACME else None
        # A run that begins late goes on into the next day; it is billed as one line.
        minute = chance.randrange(0, 700)
        return Event(RUN, owner, hex_id(self.plot, owner, "entity", n), dollars, minutes, minute, group, product)

    def events(self, owner: str, first: date, end: date, kind: str | None = None) -> list[tuple[date, Event]]:
        """Return what an owner used on the days from `first` up to `end`."""
        found, day = [], max(first, self.plot.first_day)
        while day < min(end, self.plot.today + timedelta(days=1)):
            found += [(day, each) for each in self.diaries[owner].on(day) if kind in (None, each.kind)]
            day += timedelta(days=1)
        return found

    def spent(self, owner: str, first: date, end: date, kind: str) -> Decimal:
        """Return what one kind of use cost before credits."""
        return exact_sum(event.dollars for _, event in self.events(owner, first, end, kind))

    def covered(self, owner: str, day: date) -> Decimal:
        """Return what the included credits of the month cover of a day's inference, the first use first."""
        included = Decimal(0) if self.plot.empty else INCLUDED[owner]
        month, end = day.replace(day=1), day + timedelta(days=1)
        before, after = (min(self.spent(owner, month, until, INFERENCE), included) for until in (day, end))
        return after - before

    def stored(self, owner: str) -> tuple[int, int]:
        """Return the private and the public bytes of an owner."""
        if self.plot.empty:
            return 0, 0
        chance = self.plot.random("stored", owner)
        return chance.randrange(10**9, 10**12), chance.randrange(10**9, 10**12)

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of everyone whose bill the user sees, or of one of them."""
        owners = self.owners if scope is None else (scope,)
        return Truth(
            self.plot.first_day,
            self.plot.today,
            lambda day: [charge for owner in owners for charge in self._charges(owner, day)],
            lambda day: [row for owner in owners for row in self._usage(owner, day)],
            limits=self._limits(),
            names={"organization": dict.fromkeys((*self.owners[1:], SHUT))},
        )

    def _charges(self, owner: str, day: date) -> Sequence[TrueCharge]:
        account = None if owner == USER else owner
        charges = []
        for event in self.diaries[owner].on(day):
            if event.kind == RUN and day < self.plot.today.replace(day=1) and self.plot.rows_per_day is None:
                continue  # only the present period can be asked for
            service = (
                SERVICES.get(event.kind) or {"Spaces": "Spaces", "Endpoints": "Inference Endpoints"}[event.product[0]]
            )
            resource = event.id if event.kind == RUN else None
            charges.append(
                TrueCharge(day, account, service, resource, event.dollars, quantity=event.quantity,
                           dims={"service": service})
            )  # fmt: skip
        # The vendor states credits for whole months alone.
        if covered := self.covered(owner, day):
            service = SERVICES[INFERENCE]
            charges.append(TrueCharge(day, account, "included-credits", None, -covered, dims={"service": service}))
        return charges

    def _usage(self, owner: str, day: date) -> Sequence[TrueUsage]:
        account = None if owner == USER else owner
        dataset = "usage" if owner == USER else "organization_usage"
        meters = {INFERENCE: "requests", JOB: "minutes"}
        return [
            TrueUsage(day, dataset, meters[event.kind], event.quantity, {"sub_account": account})
            for event in self.diaries[owner].on(day)
            if event.kind in meters
        ]

    def _limits(self) -> list[TrueLimit]:
        limits = [TrueLimit("zero_gpu", "account", "quota", Decimal(1500), "seconds", "1 day")]
        for group, caps in self.spend_limits.items():
            for name, cents in caps.items():
                scope = f"resource_group:{group}"
                limits.append(TrueLimit(f"{name}_spend", scope, "spend", Decimal(cents).scaleb(-2), "USD", "month"))
        return limits


def following(month: date) -> date:
    """Return the first day of the next month."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)


def stamp(day: date, minute: int = 0) -> str:
    """Return a moment as the vendor writes it."""
    moment = datetime.combine(day, time(), UTC) + timedelta(minutes=minute)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.000Z"
