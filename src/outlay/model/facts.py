"""The facts: what a provider's mapping yields, as immutable values.

A fact says nothing about when it was observed or which batch it belongs to: the commit adds that, so that the same
truth fetched twice is the same value.
"""

from __future__ import annotations

import enum
from datetime import datetime
from decimal import Decimal

import msgspec

from outlay.model.basis import Basis
from outlay.model.money import Money
from outlay.model.period import Period


class Category(enum.StrEnum):
    """FOCUS ChargeCategory."""

    USAGE = "Usage"
    PURCHASE = "Purchase"
    TAX = "Tax"
    CREDIT = "Credit"
    ADJUSTMENT = "Adjustment"


class Frequency(enum.StrEnum):
    """FOCUS ChargeFrequency."""

    ONE_TIME = "One-Time"
    RECURRING = "Recurring"
    USAGE_BASED = "Usage-Based"


class Charge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One line of cost, in FOCUS terms.

    Units: money in the currency's major unit; quantities in `consumed_unit` and `pricing_unit`.
    Null: `list_cost`, prices and quantities are None when the vendor does not state them, never a stand-in.
    """

    charge_period: Period
    billed_cost: Money
    service_name: str
    effective_cost: Money | None = None
    """None means equal to `billed_cost`; set it where a prepaid balance or plan pays."""
    list_cost: Money | None = None
    contracted_cost: Money | None = None
    basis: Basis = Basis.BILLED
    charge_category: Category = Category.USAGE
    charge_frequency: Frequency = Frequency.USAGE_BASED
    correction: bool = False
    charge_description: str | None = None
    sku_id: str | None = None
    sku_price_id: str | None = None
    sku_meter: str | None = None
    consumed_quantity: Decimal | None = None
    consumed_unit: str | None = None
    pricing_quantity: Decimal | None = None
    pricing_unit: str | None = None
    pricing_category: str | None = None
    list_unit_price: Decimal | None = None
    contracted_unit_price: Decimal | None = None
    billing_period: Period | None = None
    """None means the UTC calendar month of the charge."""
    billing_account_id: str | None = None
    """The vendor's own id where one connection bills to several accounts; None means the connection's account."""
    sub_account_id: str | None = None
    sub_account_type: str | None = None
    resource_id: str | None = None
    resource_type: str | None = None
    region_id: str | None = None
    publisher_name: str | None = None
    invoice_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    context_window: str | None = None
    api_key_id: str | None = None
    user_id: str | None = None
    price_list_version: str | None = None
    tags: dict[str, str | bool | None] | None = None
    details: dict[str, str | None] | None = None
    """What the vendor says beyond these columns, under its own names."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One measurement, no money.

    Units: `quantity` in `unit`, one of `outlay.model.units.UNITS` or the vendor's own word kept verbatim.
    Null: dimensions the vendor does not state are None.
    """

    usage_period: Period
    meter: str
    unit: str
    quantity: Decimal
    service_name: str
    sku_id: str | None = None
    sub_account_id: str | None = None
    resource_id: str | None = None
    region_id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    context_window: str | None = None
    api_key_id: str | None = None
    user_id: str | None = None
    part_of: str | None = None
    """The dataset whose rows already hold this quantity: a breakdown, shown on request and never added to it."""
    derived: bool = False
    """True when the quantity is a difference of readings and not the vendor's own daily figure."""
    basis: Basis | None = None
    """Set only where the quantity is money by another name, such as a vendor's own cost estimate."""
    tags: dict[str, str | bool | None] | None = None
    details: dict[str, str | None] | None = None


class LimitKind(enum.StrEnum):
    """What a limit bounds."""

    RATE = "rate"
    QUOTA = "quota"
    SPEND = "spend"
    CREDIT = "credit"
    STORAGE = "storage"
    SEATS = "seats"


class LimitBasis(enum.StrEnum):
    """How a limit is known."""

    REPORTED = "reported"
    HEADER = "header"
    DERIVED = "derived"
    ENTERED = "entered"


class Limit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A ceiling as the vendor states it.

    Units: `quota`, `used`, `remaining` in `unit` (a currency code for spend limits, major unit).
    Null: what is not stated is None; `unlimited` says there is no ceiling, which is not the same as not knowing it.
    """

    name: str
    scope: str
    """What it bounds: `organization`, `project:proj_x`, `workspace:wrkspc_x` ..."""
    kind: LimitKind
    unit: str
    quota: Decimal | None = None
    used: Decimal | None = None
    remaining: Decimal | None = None
    window: str | None = None
    """`1 minute`, `1 hour`, `1 day`, `month`, ... or None for a level such as storage."""
    resets_at: datetime | None = None
    basis: LimitBasis = LimitBasis.REPORTED
    unlimited: bool = False
    sub_account_id: str | None = None
    model: str | None = None
    enforced: bool | None = None
    details: dict[str, str | None] | None = None


NO_END = {"runsOut": "unknown"}
"""A detail of balances that nothing is taken from by use, or whose sign is unclear: no end of them is foreseen."""


class Balance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Prepaid money or credits left at the moment of observation.

    Units: `amount` and its parts in `currency` (major unit) or in `unit` when they are credits; exactly one is set.
    """

    name: str
    amount: Decimal
    currency: str | None = None
    unit: str | None = None
    granted: Decimal | None = None
    topped_up: Decimal | None = None
    expires_at: datetime | None = None
    basis: Basis = Basis.BILLED
    details: dict[str, str | None] | None = None


class Invoice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A bill of the vendor; nobody owes one whose status is `upcoming` yet.

    A bill that the user's own customer will get has `owed_by` among its details, and is neither spend nor revenue.

    Units: money in the major unit of its currency.
    """

    invoice_id: str
    total: Money
    status: str
    number: str | None = None
    amount_due: Money | None = None
    period: Period | None = None
    issued_at: datetime | None = None
    due_at: datetime | None = None
    basis: Basis = Basis.BILLED
    details: dict[str, str | None] | None = None


class Budget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A plan to spend no more than an amount, kept at the vendor.

    Units: `amount` and `consumed` in `currency` (major unit), or in `unit` for budgets counted in licences.
    Null: `consumed` is None where the vendor does not return it.
    """

    budget_id: str
    name: str
    scope: str
    amount: Decimal
    currency: str | None = None
    unit: str | None = None
    period: str = "month"
    consumed: Decimal | None = None
    thresholds: tuple[Decimal, ...] = ()
    """Fractions of `amount` (0.8 is 80 %) at which the vendor warns."""
    enforced: bool | None = None
    covers: dict[str, str | None] | None = None
    """The dimensions and values the budget counts, such as `{"service": "actions"}`."""
    details: dict[str, str | None] | None = None


class Revenue(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the user's own customers owe: a ledger apart, never spend.

    Units: `gross` is what the customer owes with tax, `net` the same without tax; both before the vendor's own fees,
        which are spend.
    Null: `net` is None where the vendor does not state it.
    """

    revenue_period: Period
    kind: str
    gross: Money
    net: Money | None = None
    service_name: str
    record_id: str
    customer_id: str | None = None
    basis: Basis = Basis.BILLED
    details: dict[str, str | None] | None = None


class Name(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What an id is called: refreshed on its own and never part of a fact."""

    kind: str
    """`account`, `project`, `workspace`, `user`, `api_key`, `cost_center`, `repository`, ..."""
    id: str
    name: str | None = None
    parent_id: str | None = None
    state: str = "active"
    """`active`, `archived`, `deleted`, or `excluded`: outside what the connection is told to read."""
    alias_of: str | None = None
    """Another id of the same thing."""


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A total the vendor states itself, kept to be compared with the sum of the facts and never added to it.

    Null: `tolerance` is None where sum and statement must be equal to the last digit.
    """

    period: Period
    dataset: str
    """The dataset whose facts must add up to it."""
    service_name: str | None = None
    billed_cost: Money | None = None
    list_cost: Money | None = None
    tolerance: Decimal | None = None
    basis: Basis = Basis.BILLED
    """The basis of the charges it is compared with."""
    billing_account_id: str | None = None
    """The vendor's own id where one connection bills to several accounts; None means all of the connection's."""


Fact = Charge | Usage | Limit | Balance | Invoice | Budget | Revenue | Name | Statement
