"""What the user's own customers owe through Stripe: never spend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import Name, Revenue
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import AfterId, Ask, Dataset, Endpoint, EpochWindow, FanOut, Follow, Refusal
from outlay.providers.stripe.amounts import Reference, identity, money, text
from outlay.providers.stripe.fees import ACCOUNT, SANDBOX, SHIFTED, UPDATE

INVOICES_SERVICE = "Stripe Invoices"
_ZERO = Decimal(0)
_ISSUED = frozenset({"open", "paid", "uncollectible"})
_NOT_ISSUED = frozenset({"draft"})
_NOT_OWED = frozenset({"void"})
_CREDIT = "credit_balance_transaction"


class Part(Struct, gc=False):
    """A discount, a credit or a tax of a line; an inclusive tax is within the line's amount."""

    amount: Decimal
    tax_behavior: str | None = None
    type: str | None = None


class Shipping(Struct, gc=False):
    """What shipping costs, which is in no line."""

    amount_total: Decimal
    amount_tax: Decimal


class PriceDetails(Struct, gc=False):
    """What is sold at a price."""

    price: str | Reference | None = None
    product: str | None = None


class Pricing(Struct, gc=False):
    """The price of one unit, in fractions of the smallest unit of the currency."""

    unit_amount_decimal: Decimal | None = None
    price_details: PriceDetails | None = None


class Service(Struct, gc=False):
    """When a line's service is given."""

    start: int
    end: int


class Line(Struct, gc=False):
    """One line of an invoice, in the invoice's currency."""

    id: str
    amount: Decimal
    currency: str
    period: Service
    description: str | None = None
    quantity: Decimal | None = None
    quantity_decimal: Decimal | None = None
    pricing: Pricing | None = None
    discount_amounts: list[Part] | None = None
    taxes: list[Part] | None = None
    pretax_credit_amounts: list[Part] | None = None
    """Discounts again, and credits granted to the customer before."""


class Lines(Struct, gc=False):
    """The lines that come with an invoice: the first ones, which need not be all."""

    has_more: bool = False
    data: list[Line] = field(default_factory=list)


class LinePage(Struct, gc=False):
    """A page of all lines of one invoice."""

    data: list[Line]
    has_more: bool

    @property
    def last_id(self) -> str | None:
        """Return the id to continue after."""
        return self.data[-1].id if self.data else None


class Invoice(Struct, gc=False):
    """An invoice to a customer. `period_start` is left unread: it looks back, and is not when the service is given."""

    id: str
    created: int
    currency: str
    total: Decimal
    amount_due: Decimal
    amount_paid: Decimal
    total_excluding_tax: Decimal | None = None
    pre_payment_credit_notes_amount: Decimal | None = None
    post_payment_credit_notes_amount: Decimal | None = None
    """What credit notes took back before and after it was paid, with tax; the total is left as it is."""
    status: str | None = None
    number: str | None = None
    livemode: bool = True
    customer: str | Reference | None = None
    customer_name: str | None = None
    shipping_cost: Shipping | None = None
    lines: Lines = field(default_factory=Lines)


class InvoicePage(Struct, gc=False):
    """A page of invoices, newest first."""

    data: list[Invoice]
    has_more: bool

    @property
    def last_id(self) -> str | None:
        """Return the id to continue after."""
        return self.data[-1].id if self.data else None


def longer(page: InvoicePage, _ask: Ask) -> Iterator[str]:
    """Name the invoices that are owed and did not come with all their lines."""
    yield from (row.id for row in page.data if row.lines.has_more and row.status not in _NOT_ISSUED | _NOT_OWED)


def no_facts(_page: LinePage, _ask: Ask) -> Iterator[Revenue]:
    """Leave lines to the invoice they are of, which says when, by whom and whether they are owed."""
    yield from ()


def invoices(page: InvoicePage, ask: Ask) -> Iterator[Revenue | Problem]:
    """Turn issued invoices into revenue, one record per line: its amount less discounts, with and without its taxes.

    Lines are told in part with the invoice and in whole by `Ask.followed`. A draft is not issued yet; of a void invoice
    and of one without lines nothing is owed, which is a record too. Where the lines do not add up to the total that
    Stripe states, it is told, and what is between them is a record, so that the total stands. What credit notes take
    back of it is a negative record of the invoice's own day, for an invoice does not say when they were issued.

    Units:  whole numbers of the smallest unit; the price of a unit has fractions of it.
    Null:   without `total_excluding_tax` no net is known, nor the tax of credit notes on a part of a taxed invoice;
            an unknown status counts as issued, and is told.
    Source: https://docs.stripe.com/api/invoices/object
    """
    if not all(row.livemode for row in page.data):
        yield SANDBOX
    for row in page.data:
        if row.status in _NOT_ISSUED:
            continue
        day = Period.of_day(datetime.fromtimestamp(row.created, UTC).date())
        if row.status not in _ISSUED | _NOT_OWED:
            yield _unknown(row, day)
        try:
            yield from _records(row, day, ask)
        except ValueError as error:
            yield Problem(code="amount_refused", says=str(error), where=row.id, hint=UPDATE, period=day)


def _unknown(row: Invoice, day: Period) -> Problem:
    status = "not stated" if row.status is None else repr(row.status[:40])
    return Problem(code="unknown_object", says=f"the status of an invoice is {status}: it counts as issued",
                   where=row.id, hint=UPDATE, severity=Severity.WARNING, period=day)  # fmt: skip


def _records(row: Invoice, day: Period, ask: Ask) -> Iterator[Revenue | Problem]:
    nothing = money(_ZERO, row.currency)
    if row.status in _NOT_OWED or not (row.total or row.lines.data or row.shipping_cost):
        yield _record(row, day, "invoice_zero", row.id, nothing, nothing, _whole(row))
        return
    gross = money(row.total, row.currency)
    net = None if row.total_excluding_tax is None else money(row.total_excluding_tax, row.currency)
    owed = [("invoice_line", line.id, *_owed(line), _line(row, line)) for line in _lines(row, ask)]
    if row.shipping_cost is not None:
        whole, tax = row.shipping_cost.amount_total, row.shipping_cost.amount_tax
        said = {"invoice": row.id, "number": row.number, "status": row.status}
        owed.append(("invoice_shipping", row.id, money(whole - tax, row.currency), money(whole, row.currency), said))
    for kind, record_id, before_tax, with_tax, details in owed:
        yield _record(row, day, kind, record_id, with_tax, None if net is None else before_tax, details)
        gross -= with_tax
        net = None if net is None else net - before_tax
    if gross or net:
        yield Problem(
            code="total_differs",
            says=f"its lines leave {text(gross)} {gross.currency} of the total that is stated: kept as `invoice_rest`",
            where=row.id,
            hint=UPDATE,
            severity=Severity.WARNING,
        )
        yield _record(row, day, "invoice_rest", row.id, gross, net, _whole(row))
    yield from _taken_back(row, day)


def _taken_back(row: Invoice, day: Period) -> Iterator[Revenue]:
    """Yield what credit notes took back: of a void invoice nothing, for nothing of it is owed."""
    notes = (row.pre_payment_credit_notes_amount, row.post_payment_credit_notes_amount)
    credited = sum((amount for amount in notes if amount is not None), _ZERO)
    if not credited:
        return
    net = None
    if row.total_excluding_tax is not None and credited == row.total:
        net = -money(row.total_excluding_tax, row.currency)
    elif row.total_excluding_tax == row.total:
        net = -money(credited, row.currency)  # no tax is on the invoice, so none is taken back
    yield _record(row, day, "invoice_credit_notes", row.id, -money(credited, row.currency), net, _whole(row))


def _lines(row: Invoice, ask: Ask) -> Iterable[Line]:
    """Return an invoice's lines, each once. Raises: ValueError when they are not all there, or of another currency."""
    found = row.lines.data
    if row.lines.has_more:
        if row.id not in ask.followed:
            raise ValueError("it came without all its lines")
        found = [line for page in ask.followed[row.id] for line in page.data]
    for line in found:
        if line.currency.lower() != row.currency.lower():
            raise ValueError(f"its line {line.id} is in {line.currency.upper()}, and it is in {row.currency.upper()}")
    return {line.id: line for line in found}.values()


def _owed(line: Line) -> tuple[Money, Money]:
    """Return what is owed for a line without and with taxes: an amount holds inclusive taxes and no others."""
    inclusive, exclusive = _ZERO, _ZERO
    for tax in line.taxes or ():
        if tax.tax_behavior == "inclusive":
            inclusive += tax.amount
        else:
            exclusive += tax.amount
    less = [
        *(line.discount_amounts or ()),
        *(each for each in line.pretax_credit_amounts or () if each.type == _CREDIT),
    ]
    net = line.amount - sum((part.amount for part in less), _ZERO) - inclusive
    return money(net, line.currency), money(net + inclusive + exclusive, line.currency)


def _record(
    row: Invoice,
    day: Period,
    kind: str,
    record_id: str,
    gross: Money,
    net: Money | None,
    details: dict[str, str | None],
) -> Revenue:
    return Revenue(revenue_period=day, kind=kind, gross=gross, net=net, service_name=INVOICES_SERVICE,
                   record_id=record_id, customer_id=identity(row.customer), details=details)  # fmt: skip


def _line(row: Invoice, line: Line) -> dict[str, str | None]:
    pricing = line.pricing or Pricing()
    sold = pricing.price_details or PriceDetails()
    unit = pricing.unit_amount_decimal
    quantity = line.quantity if line.quantity_decimal is None else line.quantity_decimal
    return {
        "invoice": row.id,
        "number": row.number,
        "status": row.status,
        "description": line.description,
        "quantity": None if quantity is None else f"{quantity:f}",
        "unit_amount": None if unit is None else text(money(unit, line.currency)),
        "product": sold.product,
        "price": identity(sold.price),
        "period_start": _time(line.period.start),
        "period_end": _time(line.period.end),
    }


def _whole(row: Invoice) -> dict[str, str | None]:
    return {
        "number": row.number,
        "status": row.status,
        "total": text(money(row.total, row.currency)),
        "amount_due": text(money(row.amount_due, row.currency)),
        "amount_paid": text(money(row.amount_paid, row.currency)),
    }


def _time(epoch: int) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"


def customers(page: InvoicePage, _ask: Ask) -> Iterator[Name]:
    """Turn the customers that invoices name into names. Null: a customer without a name has only an id."""
    found = {identity(row.customer): row.customer_name for row in reversed(page.data)}
    yield from (Name(kind="customer", id=key, name=name) for key, name in found.items() if key is not None)


AFTER = AfterId(send="starting_after")
_INVOICES = Refusal(403, "permission_missing", hint="Give the restricted key the permission invoice_read.")
LINES: Endpoint[LinePage] = Endpoint(
    name="invoice_lines", path="/v1/invoices/{invoice}/lines", page=LinePage, facts=no_facts, pages=AFTER,
    query={"limit": 100}, each=FanOut("invoice", "invoice"), refusals=(ACCOUNT, _INVOICES),
)  # fmt: skip
INVOICES: Endpoint[InvoicePage] = Endpoint(
    name="invoices", path="/v1/invoices", page=InvoicePage, facts=invoices,
    window=EpochWindow("created[gte]", "created[lt]", days_max=31), pages=AFTER, query={"limit": 100},
    refusals=(ACCOUNT, _INVOICES, SHIFTED), then=Follow(LINES, longer),
)  # fmt: skip
CUSTOMERS: Endpoint[InvoicePage] = Endpoint(
    name="customers", path="/v1/invoices", page=InvoicePage, facts=customers, pages=AFTER, query={"limit": 100},
    refusals=(ACCOUNT, _INVOICES, SHIFTED),
)  # fmt: skip
DATASETS = (
    Dataset("invoices", "Invoices to customers, by line", (Revenue,), (INVOICES,), horizon_days=90, repeats="latest"),
    # Only meters are asked customer by customer: the names are read where those are asked for.
    Dataset("customers", "Customers with invoices", (Name,), (CUSTOMERS,), grain="names", order=0, default=False,
            repeats="latest", kinds=("customer",)),
)  # fmt: skip
