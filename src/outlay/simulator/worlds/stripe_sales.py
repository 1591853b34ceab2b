"""What a Stripe account sells: customers, meters, and the invoices of each day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from random import Random
from typing import Any

from outlay.simulator.worlds.base import Plot
from outlay.simulator.worlds.truth import EXACT, TrueRevenue, TrueUsage

_WHOLE = ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
_THOUSANDTHS = ("bhd", "jod", "kwd", "omr", "tnd")
CURRENCIES = ("usd", "eur", "jpy", "krw", "kwd", "bhd", "isk", "ugx", "mga", "huf", "twd")
"""The currencies of an account that sells everywhere: each rule of Stripe's table at least once."""
_CONTRACTS = ("active", "trialing", "active", "past_due", "canceled", "active")
_ENDING = 2
"""The place of a subscription that is active and ends with its period, so that there is no next invoice."""
_STATUSES = ("paid", "paid", "paid", "open", "void", "uncollectible", "draft")


def major(amount: int | Decimal, currency: str) -> Decimal:
    """Return an amount of the smallest unit in the major unit, by the vendor's table of currencies."""
    digits = 0 if currency in _WHOLE else 3 if currency in _THOUSANDTHS else 2
    return EXACT.divide(Decimal(amount), Decimal(10**digits))


def payable(amount: int, currency: str) -> int:
    """Return an amount of the smallest unit that can be paid in a currency: some have digits that stay zero."""
    step = 10 if currency in _THOUSANDTHS else 100 if currency in {"isk", "ugx"} else 1
    return amount // step * step


def at(day: date, second: int) -> int:
    """Return a second of a UTC day in Unix seconds."""
    return int(datetime.combine(day, time(), UTC).timestamp()) + second


@dataclass(frozen=True, slots=True)
class Customer:
    """Someone who owes; a deleted customer stays on old invoices."""

    id: str
    name: str | None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class Meter:
    """Something counted; `formula` says what is made of a day's events."""

    id: str
    title: str
    event: str
    formula: str
    active: bool = True


@dataclass(frozen=True, slots=True)
class Sold:
    """One line: `amount` before discount; an inclusive tax is within it, an exclusive one comes on top."""

    id: str
    amount: int
    discount: int = 0
    tax: int = 0
    inclusive: bool = False
    quantity: int | None = 1
    unit_amount: str | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """One invoice to a customer."""

    id: str
    number: str
    created: int
    currency: str
    customer: Customer
    status: str
    lines: tuple[Sold, ...]
    credited: int = 0
    """What credit notes took back of the total, tax included."""
    shipping: int = 0
    shipping_tax: int = 0
    """What shipping costs, and the tax on top of it: in no line."""

    @property
    def net(self) -> int:
        """Return the total before tax."""
        return self.shipping + sum(
            line.amount - line.discount - (line.tax if line.inclusive else 0) for line in self.lines
        )

    @property
    def total(self) -> int:
        """Return the total with every tax."""
        return self.net + self.shipping_tax + sum(line.tax for line in self.lines)

    def true(self, day: date) -> TrueRevenue:
        """Return what is owed: nothing of a void invoice; without tax it is unknown where some of it was taken back."""
        owed = self.status != "void"
        known = self.credited in {0, self.total} or self.net == self.total
        net = self.net - (self.credited if self.net == self.total else self.net if self.credited else 0)
        return TrueRevenue(
            day=day,
            kind="invoice",
            record=self.id,
            gross=major(self.total - self.credited if owed else 0, self.currency),
            net=major(net if owed else 0, self.currency) if known else None,
            currency=self.currency.upper(),
            dims={"customer": self.customer.id, "status": self.status},
        )


@dataclass(frozen=True, slots=True)
class Contract:
    """A subscription and the invoice it will come to; None where it bills nothing more."""

    id: str
    customer: Customer
    status: str
    next: Bill | None


def doubled(bill: Bill) -> Bill:
    """Return an invoice of twice the money."""
    lines = (replace(l, amount=2 * l.amount, discount=2 * l.discount, tax=2 * l.tax) for l in bill.lines)  # noqa: E741
    return replace(bill, lines=tuple(lines), credited=2 * bill.credited, shipping=2 * bill.shipping,
                   shipping_tax=2 * bill.shipping_tax)  # fmt: skip


class Shop:
    """Draws customers, meters, invoices and metered use of one account."""

    def __init__(self, plot: Plot, currencies: tuple[str, ...]) -> None:
        self._plot, self._currencies = plot, currencies
        name = plot.name
        self.customers: list[Customer] = []
        self.meters: list[Meter] = []
        self.contracts: list[Contract] = []
        if not plot.empty:
            titles: tuple[str | None, ...] = ("Alder Ltd", "Birch & Sons", "Çınar A.Ş.", None, "Elm", "Former customer")
            self.customers = [
                Customer(name("cus_", n), title, deleted=title == "Former customer") for n, title in enumerate(titles)
            ]
            self.meters = [
                Meter(name("mtr_", "calls"), "API calls", "api_call", "sum"),
                Meter(name("mtr_", "seats"), "Seats", "seat", "last"),
                Meter(name("mtr_", "old"), "Old meter", "old_event", "count", active=False),
            ]

            self.contracts = [self._contract(n, status) for n, status in enumerate(_CONTRACTS)]

    def _contract(self, n: int, status: str) -> Contract:
        bill = replace(self._bill(self._plot.today, n, self._plot.random("contract", n)), status="draft", credited=0)
        bills = status != "canceled" and n != _ENDING
        return Contract(self._plot.name("sub_", n), bill.customer, status, bill if bills else None)

    def bills(self, day: date, chance: Random) -> list[Bill]:
        """Return a day's invoices, each customer's turn coming every few days."""
        count = chance.choice((0, 1, 2, 4))
        return [self._bill(day, n, chance) for n in range(count)]

    def _bill(self, day: date, n: int, chance: Random) -> Bill:
        currency = chance.choice(self._currencies)
        number = f"{day:%Y%m%d}-{n:04}"
        lines = [
            self._line(f"{number}-{k}", currency, chance) for k in range(chance.choice((0, 1, 2, 3, 25, 1, 2, 104)))
        ]
        bill = Bill(
            id=self._plot.name("in_", day, n),
            number=number,
            created=at(day, 1800 * n),
            currency=currency,
            customer=self.customers[(day.toordinal() + n) % len(self.customers)],
            status=chance.choice(_STATUSES),
            lines=tuple(lines),
        )
        apart = self._plot.random("shipped and credited", day, n)
        if bill.lines and apart.random() < 0.2:
            shipping = payable(apart.randrange(500, 3000), currency)
            bill = replace(bill, shipping=shipping, shipping_tax=payable(shipping // 5, currency))
        return replace(bill, credited=self._credited(bill, apart))

    def _credited(self, bill: Bill, chance: Random) -> int:
        if bill.total <= 0 or bill.status not in {"paid", "open"}:
            return 0
        return chance.choice((0, 0, 0, 0, bill.total, payable(bill.total // 3, bill.currency)))

    def _line(self, about: str, currency: str, chance: Random) -> Sold:
        quantity = chance.choice((1, 3, 250, None))
        amount = payable(chance.randrange(-2000, 90_000), currency)
        unit = None if quantity is None or amount < 0 else str(Decimal(amount) / quantity)[:16]
        inclusive = chance.random() < 0.3
        return Sold(
            id=self._plot.name("il_", about),
            amount=amount,
            discount=payable(max(amount, 0) // 10, currency) if chance.random() < 0.3 else 0,
            tax=payable(max(amount, 0) // 6, currency) if inclusive or chance.random() < 0.4 else 0,
            inclusive=inclusive,
            quantity=quantity,
            unit_amount=unit,
        )

    def used(self, day: date, meter: Meter, customer: Customer) -> Decimal | None:
        """Return what a customer used on a day; None where there were no events."""
        plot = self._plot
        if not meter.active or not plot.first_day <= day <= plot.today:
            return None
        chance = plot.random("used", day, meter.id, customer.id)
        return None if chance.random() < 0.4 else Decimal(chance.randrange(0, 4000)) / 8

    def use(self, day: date) -> list[TrueUsage]:
        """Return all use of a day."""
        found = []
        for meter in self.meters:
            for customer in self.customers:
                quantity = self.used(day, meter, customer)
                if quantity is not None:
                    found.append(TrueUsage(day, "meter_usage", meter.id, quantity, {"customer": customer.id}))
        return found


def lines_of(bill: Bill) -> list[dict[str, Any]]:
    """Return an invoice's lines in the vendor's words."""
    return [_line_row(bill, line) for line in bill.lines]


def _line_row(bill: Bill, line: Sold) -> dict[str, Any]:
    tax = {
        "amount": line.tax,
        "tax_behavior": "inclusive" if line.inclusive else "exclusive",
        "tax_rate_details": {"tax_rate": "txr_1"},
        "taxability_reason": "standard_rated",
        "taxable_amount": line.amount,
        "type": "tax_rate_details",
    }
    return {
        "id": line.id, "object": "line_item", "amount": line.amount, "currency": bill.currency, "description": "Use",
        "discount_amounts": [{"amount": line.discount, "discount": "di_1"}] if line.discount else [],
        "discountable": True, "discounts": ["di_1"] if line.discount else [], "invoice": bill.id, "livemode": True,
        "metadata": {}, "parent": None, "period": {"start": bill.created - 2_592_000, "end": bill.created},
        "pretax_credit_amounts": None,
        "pricing": {"type": "price_details", "unit_amount_decimal": line.unit_amount,
                    "price_details": {"price": "price_1", "product": "prod_1"}} if line.quantity else None,
        "quantity": line.quantity, "quantity_decimal": None if line.quantity is None else str(line.quantity),
        "subscription": None, "subtotal": line.amount, "taxes": [tax] if line.tax else [],
    }  # fmt: skip
