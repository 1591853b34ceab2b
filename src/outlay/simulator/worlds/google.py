"""A Google Cloud customer: what two billing accounts are charged each day, and the rows the export appended for it.

The truth of a day is what its rows add up to: gross cost and credits, by UTC day of usage. A row is never changed; what
changes is said by further rows that are exported later. Months close on the third of the next (tax, rounding), the
fifth (adjustments) and the tenth (corrections of usage, on the next month's invoice).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Any

from outlay.simulator.worlds.base import Account, Change, Diary, Plot
from outlay.simulator.worlds.google_names import (
    COMMITMENT,
    CUD_MODEL,
    DEFAULT_MODEL,
    EUR,
    MACHINE,
    RATES,
    SERVICES,
    SKUS,
    USD,
    BillingAccount,
    Project,
    Sku,
    billing_accounts,
)
from outlay.simulator.worlds.truth import EXACT, TrueCharge, TrueLimit, TrueUsage, Truth, exact_sum

ALL = "all"
REGULAR, TAX, ROUNDING, ADJUSTMENT = "regular", "tax", "rounding_error", "adjustment"
_NANO = Decimal(1).scaleb(-9)
_PACIFIC = timedelta(hours=8)
# A partition holds what was exported until about half past five of the next morning.
_PARTITION_LAG = timedelta(hours=5, minutes=30)
_TODAY_ENDS = time(11)


def nano(amount: Decimal) -> Decimal:
    """Return an amount rounded half-even at the ninth decimal, as finely as a row states one."""
    return (amount.quantize(_NANO, ROUND_HALF_EVEN).normalize() + 0) if amount else Decimal(0)


@dataclass(frozen=True, slots=True)
class Credit:
    """One credit of a row, negative as a rule."""

    type: str
    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an export. Null: what belongs to the whole account has no project; tax and rounding have no SKU."""

    start: datetime
    exported: datetime
    month: str
    cost: Decimal
    sku: Sku | None = None
    project: Project | None = None
    credits: tuple[Credit, ...] = ()
    listed: Decimal | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    labels: tuple[tuple[str, str], ...] = ()
    resource: str | None = None
    cost_type: str = REGULAR
    model: tuple[str, str] = DEFAULT_MODEL
    reason: str | None = None

    @property
    def net(self) -> Decimal:
        """Return cost and credits."""
        return exact_sum((self.cost, *(credit.amount for credit in self.credits)))

    @property
    def partition(self) -> date:
        """Return the day partition the row was appended to."""
        return (self.exported - _PARTITION_LAG).date()

    def undone(self, exported: datetime) -> Row:
        """Return the row that takes this one back."""
        credits_ = tuple(replace(credit, amount=-credit.amount) for credit in self.credits)
        return replace(self, exported=exported, cost=-self.cost + 0, credits=credits_, listed=_minus(self.listed),
                       quantity=_minus(self.quantity))  # fmt: skip


def _minus(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else -amount + 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What was charged once, as all rows appended for it so far; a withdrawn one comes to nothing."""

    rows: tuple[Row, ...]
    withdrawn: bool = False

    @property
    def first(self) -> Row:
        """Return the row that said it first."""
        return self.rows[0]


class Journal(Diary[Entry]):
    """A diary to which restatements only add rows."""

    def __init__(self, account: GoogleAccount, key: str) -> None:
        super().__init__(account.plot, lambda day, chance: account.day(key, day, chance), lambda entry: entry)
        self._account = account

    def _first(self, day: date) -> tuple[Entry, ...]:
        plot = self._plot
        if plot.empty or not plot.first_day <= day <= plot.today:
            return ()
        now = datetime.combine(plot.today, _TODAY_ENDS, UTC)
        made = self._make(day, plot.random("day", day))
        return tuple(entry for entry in made if entry.first.exported <= now or plot.rows_per_day is not None)

    def restate(self, day: date, change: Change) -> None:
        """Append to a day: "up" raises its first entry, "down" takes a last one back, "nothing" adds and takes away.

        Null: an empty day stays empty.
        """
        entries, at = list(self.on(day)), self._account.later()
        standing = [n for n, entry in enumerate(entries) if not entry.withdrawn]
        if standing:
            # What came to nothing could be taken back without a trace.
            telling = [n for n in standing if entries[n].first.net] or standing
            n = telling[-1] if change == "down" else standing[0]
            rows, first = entries[n].rows, entries[n].first
            more: tuple[Row, ...]
            if change == "up":
                more = (replace(first, exported=at, cost=EXACT.add(first.cost, Decimal("0.25")), credits=()),)
            elif change == "down":
                more = tuple(row.undone(at) for row in rows)
            else:
                more = (replace(first, exported=at), first.undone(at))
            entries[n] = Entry(rows + more, withdrawn=change == "down")
        self._days[day] = tuple(entries)
        self.revision += 1


class GoogleAccount(Account):
    """One customer: a billing account in US dollars, which is the main one, and one in euros."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.accounts = billing_accounts(plot)
        self.diaries = {key: Journal(self, key) for key in self.accounts}
        self.jobs: dict[tuple[str, str], Any] = {}
        """Query jobs by project and id."""
        self.budgets: dict[str, dict[str, Any]] = {}
        """Budgets by name, once the first has been asked for."""
        self._restated = 0

    def later(self) -> datetime:
        """Return a moment of export after every one before."""
        self._restated += 1
        return datetime.combine(self.plot.today, _TODAY_ENDS, UTC) + timedelta(seconds=self._restated)

    def day(self, key: str, day: date, chance: Random) -> list[Entry]:
        """Return what was charged on a day, in the order of its hours; a part of the quiet days has nothing."""
        chance = self.plot.random("rows", key, day)
        if self.plot.rows_per_day is not None:
            rows = [self._bulk(key, day, chance, n) for n in range(self.plot.rows_per_day if key == USD else 0)]
            return [Entry((row,)) for row in rows]
        rows = []
        if day.weekday() != 2 or chance.random() < 0.5:
            hours = (1, *sorted(chance.randrange(24) for _ in range(chance.randrange(6, 12))))
            rows = [self._used(key, day, hour, chance) for hour in hours]
            rows.append(self._free(key, day, chance))
            rows += self._committed(key, day, chance)
        rows += self._closing(key, day, rows, chance)
        return [Entry((row,)) for row in rows]

    def _moment(self, day: date, hour: int, chance: Random) -> tuple[datetime, datetime, str]:
        """Return when an hour of use began, when it was exported and on whose month's invoice it is."""
        start = datetime.combine(day, time(hour), UTC)
        exported = start + timedelta(hours=1, minutes=chance.randrange(180, 480), microseconds=chance.randrange(10**6))
        # Invoices follow the Pacific day; some use of a month's last days is reported too late for its invoice.
        invoiced = start - _PACIFIC
        if (day + timedelta(days=2)).month != day.month and chance.random() < 0.15:
            invoiced += timedelta(days=3)
        return start, exported, f"{invoiced:%Y%m}"

    def _row(self, key: str, day: date, hour: int, chance: Random, sku: Sku, quantity: Decimal) -> Row:
        start, exported, month = self._moment(day, hour, chance)
        project = chance.choice(self.accounts[key].projects)
        listed = nano(EXACT.multiply(sku.price, RATES[key]))
        price = listed if chance.random() < 0.7 else nano(EXACT.multiply(listed, Decimal("0.93")))
        cost = nano(EXACT.multiply(price, quantity))
        labels = chance.choice(((), (("app", "chat"),), (("app", "index"), ("tier", "gold"))))
        resource = f"{sku.resource}/{sku.group.lower()}-{chance.randrange(3)}" if sku.resource else None
        return Row(start, exported, month, cost, sku, project, (), nano(EXACT.multiply(listed, quantity)), price,
                   quantity, labels, resource)  # fmt: skip

    def _used(self, key: str, day: date, hour: int, chance: Random) -> Row:
        sku = chance.choice([sku for sku in SKUS if sku is not COMMITMENT])
        counted = sku.factor == 1
        quantity = Decimal(chance.randrange(1, 900_000)) if counted else Decimal(chance.randrange(1, 8000)).scaleb(-3)
        row = self._row(key, day, hour, chance, sku, quantity)
        return replace(row, credits=_credits(row, chance))

    def _free(self, key: str, day: date, chance: Random) -> Row:
        """Return a row that the free tier covers to the last digit."""
        row = self._row(key, day, chance.randrange(20), chance, SKUS[-1], Decimal(chance.randrange(1, 5000)))
        return replace(row, credits=(Credit("FREE_TIER", "Storage free tier", -row.cost),) if row.cost else ())

    def _committed(self, key: str, day: date, chance: Random) -> list[Row]:
        """Return a commitment's fee, cancelled by its offset, and the use it covers at another price."""
        if chance.random() < 0.6:
            return []
        fee = replace(self._row(key, day, 2, chance, COMMITMENT, Decimal(1)), project=None, labels=())
        fee = replace(fee, credits=(Credit("FEE_UTILIZATION_OFFSET", "Fee utilization offset", -fee.cost),))
        use = self._row(key, day, 2, chance, MACHINE, Decimal(1))
        return [fee, replace(use, cost=nano(EXACT.multiply(use.cost, Decimal("0.72"))), model=CUD_MODEL)]

    def _closing(self, key: str, day: date, rows: Sequence[Row], chance: Random) -> list[Row]:
        """Return what is appended when the month of a day closes."""
        following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        start = datetime.combine(day, time(20), UTC)
        month, next_month = f"{day:%Y%m}", f"{following:%Y%m}"
        found = []
        if following == day + timedelta(days=1):
            at = datetime.combine(following.replace(day=3), time(8, 15), UTC)
            found.append(Row(start, at, month, Decimal(chance.randrange(1, 9000)).scaleb(-2), cost_type=TAX))
            found.append(Row(start, at, month, Decimal(chance.randrange(-49, 50)).scaleb(-4), cost_type=ROUNDING))
        if day.day == 15 and rows:
            at = datetime.combine(following.replace(day=5), time(8, 15), UTC)
            found.append(Row(start, at, next_month, -Decimal(chance.randrange(1, 500)).scaleb(-2), rows[0].sku,
                             rows[0].project, cost_type=ADJUSTMENT, reason="Goodwill"))  # fmt: skip
        if day.day % 9 == 4 and rows:
            at = datetime.combine(following.replace(day=10), time(7, 30), UTC)
            back = nano(EXACT.multiply(rows[0].cost, Decimal("0.3")))
            found.append(replace(rows[0], exported=at, month=next_month, cost=-back + 0, credits=(), listed=-back + 0,
                                 quantity=Decimal(0)))  # fmt: skip
        return found

    def _bulk(self, key: str, day: date, chance: Random, n: int) -> Row:
        sku = SKUS[n % 4]
        row = self._row(key, day, n % 6, chance, sku, Decimal(chance.randrange(1, 900_000)))
        return replace(row, resource=f"bulk/{n}", project=self.accounts[key].projects[n % 3])

    def rows(self, key: str) -> Iterable[Row]:
        """Return every row of a billing account's export."""
        day = self.plot.first_day
        while day <= self.plot.today:
            for entry in self.diaries[key].on(day):
                yield from entry.rows
            day += timedelta(days=1)

    def _scopes(self, scope: str | None) -> Iterable[str]:
        return self.diaries if scope in (None, ALL) else (scope,)

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the billing account in dollars, or of "eur", or of "all" of them."""
        keys = tuple(self.accounts) if scope == ALL else (scope or USD,)

        def entries(key: str, day: date) -> list[Entry]:
            return [entry for entry in self.diaries[key].on(day) if not entry.withdrawn]

        return Truth(
            self.plot.first_day,
            self.plot.today,
            lambda day: [_charge(self.accounts[key], day, e) for key in keys for e in entries(key, day)],
            lambda day: [use for key in keys for e in entries(key, day) for use in _usage(day, e)],
            limits=[limit for key in keys for limit in self._limits(key)],
            names={
                "billing_account": {self.accounts[key].id: self.accounts[key].name for key in keys},
                "project": {each.id: each.name for key in keys for each in self.accounts[key].projects},
            },
        )

    def _limits(self, key: str) -> list[TrueLimit]:
        return [] if self.plot.empty else [
            TrueLimit(name, self.accounts[key].id, "spend", amount, self.accounts[key].currency, period.lower())
            for name, amount, period in BUDGETS[key]
        ]  # fmt: skip


BUDGETS = {
    USD: (("Gemini prod", Decimal(150), "MONTH"), ("Gemini cap", Decimal("80.5"), "MONTH"),
          ("Cents", Decimal("0.75"), "MONTH")),
    EUR: (("Everything", Decimal(1200), "MONTH"), ("Year plan", Decimal(12000), "YEAR")),
}  # fmt: skip
"""Budgets of a stated amount: name, amount in the account's currency, and the period it is for."""


def _credits(row: Row, chance: Random) -> tuple[Credit, ...]:
    """Return the credits of a row: mostly none, sometimes one, sometimes two."""

    def part(of: str, type_: str, name: str) -> Credit:
        return Credit(type_, name, -nano(EXACT.multiply(row.cost, Decimal(of))) + 0)

    kind = chance.randrange(10)
    if kind == 0:
        return (part("0.5", "PROMOTION", "Welcome credit"), part("0.13", "DISCOUNT", "Negotiated discount"))
    if kind == 1:
        return (part("0.2", "SUSTAINED_USAGE_DISCOUNT", "Sustained use"), part("0.2", "PROMOTION", "Welcome credit"))
    if kind == 2:
        return (part("1", "PROMOTION", "Welcome credit"),)
    if kind == 3:
        return (part("0.28", "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE", "Committed use"),)
    if kind == 4:
        return (part("0.1", "SUBSCRIPTION_BENEFIT", "Plan benefit"),)
    return ()


def _charge(account: BillingAccount, day: date, entry: Entry) -> TrueCharge:
    row, sku = entry.first, entry.first.sku
    listed = [each.listed for each in entry.rows if each.listed is not None]
    amounts = [each.quantity for each in entry.rows if each.quantity is not None]
    dims = {
        "service": service_text(row),
        "service_id": sku.service if sku else None,
        "sku_text": sku.text if sku else None,
        "billing_account": account.id,
        "invoice_month": row.month,
        "cost_type": row.cost_type,
        "region": sku.region if sku else None,
    }
    return TrueCharge(
        day,
        row.project.id if row.project else None,
        sku.id if sku else None,
        row.resource,
        exact_sum(each.net for each in entry.rows),
        exact_sum(listed) if len(listed) == len(entry.rows) else None,
        account.currency,
        exact_sum(amounts) if amounts else None,
        sku.pricing_unit if sku else None,
        dims,
    )


def _usage(day: date, entry: Entry) -> list[TrueUsage]:
    row, sku = entry.first, entry.first.sku
    amounts = [EXACT.multiply(each.quantity, sku.factor) for each in entry.rows if sku and each.quantity is not None]
    if sku is None or not amounts:
        return []
    dims = {"sub_account": row.project.id if row.project else None, "sku": sku.id}
    return [TrueUsage(day, "usage", sku.unit, exact_sum(amounts), dims)]


def service_text(row: Row) -> str | None:
    """Return the name of a row's service; a tax row's says only that it belongs to an invoice."""
    if row.sku is not None:
        return SERVICES[row.sku.service]
    return "Invoice" if row.cost_type == TAX else None
