"""An account at Lemon Squeezy: stores, subscriptions, and what each day sold, renewed, refunded and used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from outlay.simulator.worlds.base import Account, Diary, Entry, Plot
from outlay.simulator.worlds.truth import TrueRevenue, TrueUsage, Truth, exact_sum

RATES = {"USD": Decimal(1), "EUR": Decimal("1.0845"), "JPY": Decimal("0.0066")}
SIGNS = {"USD": "$", "EUR": "€", "JPY": "¥"}
COUNTED = frozenset({"paid", "refunded", "partial_refund"})
RENEWED_DAYS = 7
_EPOCH = date(2024, 1, 1)
_ID_STEP = 1000
AMOUNTS = ("subtotal", "discount_total", "tax", "setup_fee", "total", "refunded_amount")


@dataclass(frozen=True, slots=True)
class Shop:
    """A store."""

    id: int
    name: str
    currency: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription with its one item; `metered` says by which rule its use is counted."""

    id: int
    item_id: int
    shop: Shop
    start: date
    price: int
    metered: str | None = None
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Sale:
    """One order or subscription invoice.

    Units: `subtotal`, `discount`, `tax` and `setup_fee` are hundredths of the major unit; `decimals` is how many of
           them the vendor's integers have, and `legible` whether its formatted text can be read.
    Null:  `reason` is None on an order, `subscription` where none is behind it, `returned` where nothing was refunded.
    """

    id: int
    at: datetime
    shop: Shop
    currency: str
    customer: int
    subtotal: int
    discount: int = 0
    tax: int = 0
    setup_fee: int = 0
    tax_inclusive: bool = False
    status: str = "paid"
    reason: str | None = None
    subscription: Subscription | None = None
    returned: date | None = None
    returned_share: int = 100
    decimals: int = 2
    legible: bool = True

    def cents(self, name: str, today: date) -> int:
        """Return one of `AMOUNTS` in hundredths."""
        total = self.subtotal - self.discount + self.setup_fee + (0 if self.tax_inclusive else self.tax)
        if name == "total":
            return total
        if name == "refunded_amount":
            # Whole major units of currencies without smaller ones.
            return total * self.returned_share // 100 // 100 * 100 if self.gone(today) else 0
        return {"subtotal": self.subtotal, "discount_total": self.discount, "tax": self.tax}.get(name, self.setup_fee)

    def gone(self, today: date) -> bool:
        """Return whether money was given back by now."""
        return self.returned is not None and self.returned <= today and self.status in COUNTED

    def state(self, today: date) -> str:
        """Return the status as of now."""
        if not self.gone(today):
            return self.status
        return "refunded" if self.returned_share == 100 else "partial_refund"

    def native(self, name: str, today: date) -> int:
        """Return an amount as the vendor's integer of the currency."""
        return self.cents(name, today) // (1 if self.decimals else 100)

    def dollars(self, name: str, today: date) -> int:
        """Return an amount in US cents, at the rate of the day of the sale."""
        return int((self.cents(name, today) * RATES[self.currency]).quantize(Decimal(1), ROUND_HALF_UP))

    def formatted(self, name: str, today: date) -> str:
        """Return an amount as text for people."""
        value = Decimal(self.cents(name, today)) / 100
        text = f"{value:,.0f}" if self.currency == "JPY" else f"{value:,.2f}"
        return SIGNS[self.currency] + text if self.legible else text.replace(",", "\u00a0") + "\u00a0,-"

    def true(self, name: str, today: date) -> tuple[Decimal, str]:
        """Return an amount and the currency in which it can be known."""
        if self.legible:
            return Decimal(self.cents(name, today)).scaleb(-2), self.currency
        return Decimal(self.dollars(name, today)).scaleb(-2), "USD"


@dataclass(frozen=True, slots=True)
class Record:
    """One report of use."""

    id: int
    at: datetime
    item_id: int
    quantity: int
    action: str


def _doubled_sale(sale: Sale) -> Sale:
    return replace(sale, subtotal=2 * sale.subtotal, discount=2 * sale.discount, tax=2 * sale.tax)


def _doubled_record(record: Record) -> Record:
    return replace(record, quantity=2 * record.quantity)


class LemonSqueezyAccount(Account):
    """One account with two stores."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        chance = plot.random("shops")
        first = chance.randrange(100, 900)
        self.shops = [Shop(first, "Main store", "USD"), Shop(first + 1, "Søster", "EUR")]
        self.subscriptions = [] if plot.empty else [self._subscription(number) for number in range(6 * plot.scale)]
        self.sales: Diary[Sale] = Diary(plot, self._sold, _doubled_sale)
        self.records: Diary[Record] = Diary(plot, self._used, _doubled_record)
        self.diaries |= {"sales": self.sales, "records": self.records}

    def _subscription(self, number: int) -> Subscription:
        chance = self.plot.random("subscription", number)
        start = self.plot.first_day + timedelta(days=number * 3 - 8)
        metered = (None, "sum", "last_during_period")[number % 3]
        shop = self.shops[number % 2]
        return Subscription(40 + number, 70 + number, shop, start, 100 * chance.randrange(5, 90), metered, number == 3)

    def _sold(self, day: date, chance: Random) -> list[Sale]:
        sales: list[Sale] = []
        for subscription in self.subscriptions:
            since = (day - subscription.start).days
            if since == 0:
                order = self._sale(day, chance, len(sales), None, subscription)
                sales.append(order)
                # The invoice that the order made: the same money under an id of its own.
                sales.append(replace(order, id=order.id + 500, reason="initial", setup_fee=0,
                                     subtotal=order.subtotal + order.setup_fee))  # fmt: skip
            elif since > 0 and since % RENEWED_DAYS == 0:
                sales.append(self._sale(day, chance, len(sales), "renewal", subscription))
            elif since > 0 and chance.random() < 0.03:
                sales.append(self._sale(day, chance, len(sales), "updated", subscription))
        if chance.random() < 0.75:
            sales += [self._sale(day, chance, len(sales) + n, None, None) for n in range(chance.randrange(1, 9))]
        return sales

    def _sale(
        self, day: date, chance: Random, number: int, reason: str | None, subscription: Subscription | None
    ) -> Sale:
        shop = subscription.shop if subscription else chance.choice(self.shops)
        currency = chance.choice(("USD", "EUR", "EUR", "JPY"))
        price = subscription.price if subscription else 100 * chance.randrange(1, 400)
        if currency == "JPY":
            price *= 100
        inclusive = chance.random() < 0.5
        tax = price // 500 * 100 if chance.random() < 0.6 else 0
        first = reason is None and subscription is not None
        returned = day + timedelta(days=chance.randrange(25)) if chance.random() < 0.25 else None
        unpaid = ("pending", "failed", "fraudulent") if reason is None else ("pending", "void")
        minute = chance.randrange(700)
        if reason == "updated" and chance.random() < 0.4:  # the customer changed to less
            price, tax, returned = -price, 0, None
        return Sale(
            id=self._id(day, number),
            at=datetime.combine(day, time(minute // 60, minute % 60, chance.randrange(60))),
            shop=shop,
            currency=currency,
            customer=chance.randrange(1, 99),
            subtotal=price,
            discount=price // 1000 * 100 if price > 0 and chance.random() < 0.3 else 0,
            tax=tax,
            setup_fee=500 if first and currency != "JPY" else 0,
            tax_inclusive=inclusive,
            status=chance.choice(unpaid) if chance.random() < (0.15 if reason is None else 0.3) else "paid",
            reason=reason,
            subscription=subscription,
            returned=returned,
            returned_share=100 if chance.random() < 0.5 else 40,
            decimals=chance.choice((0, 2)) if currency == "JPY" else 2,
            legible=currency != "JPY" or chance.random() < 0.7,
        )

    def _used(self, day: date, chance: Random) -> list[Record]:
        records: list[Record] = []
        for subscription in self.subscriptions:
            if subscription.metered is None or day < subscription.start:
                continue
            for _ in range(chance.randrange(4)):
                minute = chance.randrange(700)
                at = datetime.combine(day, time(minute // 60, minute % 60))
                action = "increment" if subscription.metered == "sum" else "set"
                quantity = chance.randrange(0 if action == "set" else 1, 500)
                records.append(Record(self._id(day, len(records)), at, subscription.item_id, quantity, action))
        return records

    @staticmethod
    def _id(day: date, number: int) -> int:
        return (day - _EPOCH).days * _ID_STEP + number

    def all_sales(self) -> list[Sale]:
        """Return every order and invoice, the newest first."""
        return self.kept("sales", lambda: sorted(self._each(self.sales), key=lambda s: (s.at, s.id), reverse=True))

    def all_records(self) -> list[Record]:
        """Return every usage record, the newest first."""
        return self.kept("records", lambda: sorted(self._each(self.records), key=lambda r: (r.at, r.id), reverse=True))

    def _each(self, diary: Diary[Entry]) -> Iterator[Entry]:
        day = self.plot.first_day
        while day <= self.plot.today:
            yield from diary.on(day)
            day += timedelta(days=1)

    def cycle(self, subscription: Subscription) -> tuple[date, date]:
        """Return the present period of a subscription."""
        passed = max(0, (self.plot.today - subscription.start).days) // RENEWED_DAYS
        first = subscription.start + timedelta(days=passed * RENEWED_DAYS)
        return first, first + timedelta(days=RENEWED_DAYS)

    def current(self, subscription: Subscription) -> int:
        """Return the running total of a metered item, by its own rule."""
        first, end = self.cycle(subscription)
        inside = [
            record
            for record in self.all_records()
            if record.item_id == subscription.item_id and first <= record.at.date() < end
        ]
        if subscription.metered == "sum":
            return sum(record.quantity for record in inside)
        return inside[0].quantity if inside else 0

    def revenue_on(self, day: date) -> list[TrueRevenue]:
        """Return a day's sales and refunds, every payment once: the order and not the invoice it made."""
        today, found = self.plot.today, []
        for sale in self.all_sales():
            if sale.status not in COUNTED or sale.reason == "initial":
                continue
            kind = "order" if sale.reason is None else "subscription_invoice"
            dims = {"store_id": str(sale.shop.id)}
            if sale.at.date() == day:
                amount, currency = sale.true("total", today)
                found.append(TrueRevenue(day, kind, str(sale.id), amount, None, currency, dims))
            if sale.gone(today) and sale.returned == day:
                amount, currency = sale.true("refunded_amount", today)
                if amount:
                    found.append(TrueRevenue(day, f"{kind}_refund", str(sale.id), -amount, None, currency, dims))
        return found

    def usage_on(self, day: date) -> list[TrueUsage]:
        """Return a day's usage records, each as one measurement."""
        return [
            TrueUsage(day, "usage_records", record.action, Decimal(record.quantity), {"item": str(record.item_id)})
            for record in self.records.on(day)
        ]

    def sold_dollars(self, shop: Shop) -> int:
        """Return a store's revenue counter in US cents: other sums of the same orders."""
        sales = [sale for sale in self.all_sales() if sale.shop == shop and sale.status in COUNTED]
        return int(exact_sum(Decimal(sale.dollars("total", self.plot.today)) for sale in sales))

    def truth(self, scope: str | None = None) -> Truth:
        """Return the true facts of the account; there are no charges that an API would tell."""
        names: dict[str, dict[str, str | None]] = {"store": {str(shop.id): shop.name for shop in self.shops}}
        return Truth(
            self.plot.first_day, self.plot.today, lambda _: (), self.usage_on, names={} if self.plot.empty else names,
            revenue_on=self.revenue_on,
        )  # fmt: skip
