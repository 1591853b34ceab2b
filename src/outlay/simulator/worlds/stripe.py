"""An account at Stripe: each movement of its balance with the fees on it, its invoices, its meters.

Units: the vendor speaks of whole numbers of the smallest unit; truths are major units.
The label "currencies" opens an account that settles in many currencies; every other account settles in dollars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from random import Random
from typing import NamedTuple

from outlay.simulator.worlds.base import Account, Diary, Plot
from outlay.simulator.worlds.stripe_sales import CURRENCIES, Bill, Shop, at, doubled, major, payable
from outlay.simulator.worlds.truth import TrueBalance, TrueCharge, TrueRevenue, Truth

MANY = "currencies"
_OWN_FEES = {"fee", "network_cost", "tax"}
"""The accounting classes whose rows are themselves what Stripe takes."""
_TAXES = {"tax", "withheld_tax"}
_DAY = 86_400


class Part(NamedTuple):
    """A part of a fee; `application` is the Connect platform that takes it."""

    type: str
    amount: int
    description: str
    application: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One movement of the balance."""

    id: str
    created: int
    type: str
    category: str
    amount: int
    currency: str
    description: str | None
    source: str | None
    parts: tuple[Part, ...] = ()
    sub_account: str | None = None

    @property
    def fee(self) -> int:
        """Return what was taken from the amount."""
        return sum(part.amount for part in self.parts)


def _doubled(row: Row) -> Row:
    return replace(row, amount=2 * row.amount, parts=tuple(p._replace(amount=2 * p.amount) for p in row.parts))


class StripeAccount(Account):
    """One account at Stripe."""

    def __init__(self, plot: Plot) -> None:
        super().__init__(plot)
        self.id = plot.name("acct_", "own")
        self.platform = plot.name("ca_", "platform")
        self.currencies = CURRENCIES if plot.label == MANY else ("usd",)
        self.shop = Shop(plot, self.currencies)
        self.rows: Diary[Row] = Diary(plot, self._day, _doubled)
        self.bills: Diary[Bill] = Diary(plot, self._bills, doubled)
        self.diaries = {"ledger": self.rows, "invoices": self.bills}

    def _bills(self, day: date, chance: Random) -> list[Bill]:
        # A benchmark's world has its cost rows and nothing else.
        return [] if self.plot.rows_per_day is not None else self.shop.bills(day, chance)

    def _day(self, day: date, chance: Random) -> list[Row]:
        if self.plot.rows_per_day is not None:
            return [self._charge(day, n, chance, plain=True) for n in range(self.plot.rows_per_day)]
        if chance.random() < 0.08:
            return []
        # Days begin and end with a row that costs something, so that any of them can be restated.
        rows = [self._charge(day, 0, chance, plain=True)]
        rows += [self._any(day, n, chance) for n in range(1, chance.randrange(14, 40))]
        rows.append(self._own(day, len(rows), chance, "fee", "stripe_fee", "Billing usage fee"))
        return [replace(row, created=self._second(day, n, len(rows))) for n, row in enumerate(rows)]

    def _second(self, day: date, n: int, count: int) -> int:
        # Rows come in pairs of one second, the first pair at midnight and the last in the day's last second.
        return at(day, (n // 2) * (_DAY - 1) // max(1, (count - 1) // 2))

    def _any(self, day: date, n: int, chance: Random) -> Row:
        draw = chance.random()
        if draw < 0.6:
            return self._charge(day, n, chance)
        if draw < 0.8:
            return self._moved(day, n, chance)
        kinds = (
            ("fee", "stripe_fee", "Radar (2026-11-01): screened payments"),
            ("fee", "stripe_fee", "Automatic Taxes"),
            ("fee", "stripe_fx_fee", "Currency conversion"),
            ("network_cost", "stripe_fee", "Interchange"),
            ("tax", "tax_fee", "Sales tax on fees"),
        )
        category, kind, description = chance.choice(kinds)
        return self._own(day, n, chance, category, kind, description, back=chance.random() < 0.1)

    def _row(self, day: date, n: int, kind: str, category: str, amount: int, currency: str, about: str) -> Row:
        prefix = {"charge": "ch_", "payment": "py_", "refund": "re_", "payout": "po_", "transfer": "tr_",
                  "application_fee": "fee_", "adjustment": "du_", "topup": "tu_"}.get(kind)  # fmt: skip
        name = self.plot.name
        source = name(prefix, day, n) if prefix else None
        return Row(name("txn_", day, n), at(day, n), kind, category, amount, currency, about, source)

    def _charge(self, day: date, n: int, chance: Random, *, plain: bool = False) -> Row:
        """Return a payment by a customer with Stripe's fee and whatever comes with it."""
        currency = chance.choice(self.currencies)
        amount = payable(chance.randrange(1000, 200_000), currency)
        row = self._row(day, n, chance.choice(("charge", "payment")), "charge", amount, currency, "Subscription")
        fee = payable(amount * 29 // 1000 + 30, currency)
        parts = [Part("stripe_fee", max(fee, 100), "Stripe processing fees")]
        if plain:
            return replace(row, parts=tuple(parts))
        extra = chance.random()
        if extra < 0.2:
            parts.append(Part("tax", payable(fee // 5, currency), "VAT"))
        elif extra < 0.3:
            parts.append(Part("withheld_tax", payable(fee // 9, currency), "Withheld"))
        elif extra < 0.45:
            parts.append(Part("application_fee", payable(amount // 20, currency), "Platform", self.platform))
        elif extra < 0.55:
            parts.append(Part("payment_method_passthrough_fee", payable(amount // 50, currency), "Passed on"))
        elif extra < 0.65:
            parts.append(Part("stripe_fee", payable(fee // 3, currency), "Stripe processing fees"))
        elif extra < 0.75:
            parts = [Part("stripe_fee", 0, "Stripe processing fees")]
        return replace(row, parts=tuple(parts))

    def _moved(self, day: date, n: int, chance: Random) -> Row:
        """Return a movement of money that is no cost, though a fee may be on it."""
        currency = chance.choice(self.currencies)
        amount = payable(chance.randrange(1000, 200_000), currency)
        fee = payable(1500, currency)
        kinds: tuple[tuple[str, str, int, tuple[Part, ...]], ...] = (
            ("refund", "refund", -amount, ()),
            ("charge", "partial_capture_reversal", -amount, (Part("stripe_fee", -fee, "Fee returned"),)),
            ("adjustment", "dispute", -amount, (Part("stripe_fee", fee, "Dispute fee"),)),
            ("payout", "payout", -amount, (Part("stripe_fee", fee, "Instant payout fee"),)),
            ("payout", "payout", -amount, ()),
            ("transfer", "transfer", -amount, ()),
            ("application_fee", "platform_earning", amount, ()),
            ("topup", "topup", amount, ()),
        )
        kind, category, signed, parts = chance.choice(kinds)
        return replace(self._row(day, n, kind, category, signed, currency, kind.capitalize()), parts=parts)

    def _own(
        self, day: date, n: int, chance: Random, category: str, kind: str, about: str, *, back: bool = False
    ) -> Row:
        """Return a movement that is itself a fee: its amount leaves the balance, or comes back."""
        currency = chance.choice(self.currencies)
        amount = payable(chance.randrange(300, 9000), currency)
        row = self._row(day, n, kind, category, amount if back else -amount, currency, about)
        tax = Part("tax", payable(amount // 5, currency), "VAT")
        return replace(row, parts=(tax,)) if chance.random() < 0.1 else row

    def truth(self, scope: str | None = None) -> Truth:
        """Return what Stripe takes; the scope "platform" is what the Connect platform takes instead."""
        platform = scope == "platform"
        return Truth(
            first_day=self.plot.first_day,
            today=self.plot.today,
            charges_on=lambda day: self._true_charges(day, platform=platform),
            usage_on=self.shop.use,
            names={
                "customer": {customer.id: customer.name for customer in self.shop.customers},
                "meter": {meter.id: meter.title for meter in self.shop.meters},
            },
            balances=[TrueBalance(name, currency.upper(), major(amount, currency))
                      for name, currency, amount in self.held()],
            revenue_on=self._true_revenue,
        )  # fmt: skip

    def held(self) -> list[tuple[str, str, int]]:
        """Return what is available and pending in each currency, below zero where refunds went ahead of payments."""
        if self.plot.empty:
            return []
        held = []
        for name in ("available", "pending"):
            for currency in self.currencies:
                amount = self.plot.random(name, currency).randrange(-90_000, 900_000)
                held.append((name, currency, payable(amount, currency)))
        return held

    def _true_revenue(self, day: date) -> list[TrueRevenue]:
        return [bill.true(day) for bill in self.bills.on(day) if bill.status != "draft"]

    def _true_charges(self, day: date, *, platform: bool) -> Sequence[TrueCharge]:
        charges = []
        for row in self.rows.on(day):
            kinds: dict[tuple[str, str], int] = {}
            for part in row.parts:
                if (part.application is not None) == platform:
                    key = (part.type, part.description)
                    kinds[key] = kinds.get(key, 0) + part.amount
            charges += [self._true(day, row, kind, amount) for (kind, _), amount in kinds.items()]
            if row.category in _OWN_FEES and not platform:
                charges.append(self._true(day, row, row.category, -row.amount, own="yes"))
        return charges

    def _true(self, day: date, row: Row, kind: str, amount: int, own: str | None = None) -> TrueCharge:
        return TrueCharge(
            day=day,
            sub_account=row.sub_account,
            sku=None if kind in _TAXES else f"stripe/{kind}/{row.type}",
            resource=row.source,
            billed=major(amount, row.currency),
            currency=row.currency.upper(),
            dims={"balance_transaction": row.id, "fee": kind, "type": row.type, "category": row.category, "own": own},
        )
