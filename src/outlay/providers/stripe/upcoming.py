"""What each subscription will be billed next: a preview that nobody owes yet, and so never revenue.

Previews are kept as invoices with the status `upcoming` and the basis `estimated`, away from the ledger of revenue:
when the invoice is issued it becomes revenue there, and no sum can hold both.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from msgspec import Struct

from outlay.model.basis import Basis
from outlay.model.facts import Invoice, Name
from outlay.model.problem import Problem
from outlay.providers.base import AfterId, Ask, Dataset, Endpoint, FanOut, Form, Refusal
from outlay.providers.stripe.amounts import Reference, identity, money, text
from outlay.providers.stripe.fees import ACCOUNT, SHIFTED, UPDATE

_BILLED = frozenset({"active", "trialing", "past_due"})
"""The states in which a subscription goes on to a next invoice."""


class Subscription(Struct, gc=False):
    """A subscription; it has no name of its own. `customer` is who pays for it."""

    id: str
    status: str = "active"
    customer: str | Reference | None = None


class SubscriptionPage(Struct, gc=False):
    """A page of subscriptions, newest first."""

    data: list[Subscription]
    has_more: bool

    @property
    def last_id(self) -> str | None:
        """Return the id to continue after."""
        return self.data[-1].id if self.data else None


class Preview(Struct, gc=False):
    """The next invoice as it stands; `id` and `created` are left unread, for a preview is made anew each time."""

    currency: str
    total: Decimal
    amount_due: Decimal
    total_excluding_tax: Decimal | None = None
    customer: str | Reference | None = None
    due_date: int | None = None
    next_payment_attempt: int | None = None


def subscriptions(page: SubscriptionPage, _ask: Ask) -> Iterator[Name]:
    """Turn subscriptions into names, each below its customer; one that bills nothing more is archived."""
    for row in page.data:
        state = "active" if row.status in _BILLED else "archived"
        yield Name(kind="subscription", id=row.id, parent_id=identity(row.customer), state=state)


def upcoming(page: Preview, ask: Ask) -> Iterator[Invoice | Problem]:
    """Turn a preview into an invoice to come, named after its subscription.

    Units:  whole numbers of the smallest unit.
    Null:   no period is told, for the preview's own looks back; `due_at` is when it is due or will be charged.
    Source: https://docs.stripe.com/api/invoices/create_preview
    """
    due = page.due_date if page.due_date is not None else page.next_payment_attempt
    try:
        taxless = page.total_excluding_tax
        yield Invoice(
            invoice_id=f"{ask.item}/next",
            total=money(page.total, page.currency),
            amount_due=money(page.amount_due, page.currency),
            status="upcoming",
            due_at=None if due is None else datetime.fromtimestamp(due, UTC),
            basis=Basis.ESTIMATED,
            details={
                "owed_by": "customer",
                "customer": identity(page.customer),
                "subscription": ask.item,
                "total_excluding_tax": None if taxless is None else text(money(taxless, page.currency)),
            },
        )
    except ValueError as error:
        yield Problem(code="amount_refused", says=str(error), where=ask.item or "", hint=UPDATE)


SUBSCRIPTIONS: Endpoint[SubscriptionPage] = Endpoint(
    name="subscriptions", path="/v1/subscriptions", page=SubscriptionPage, facts=subscriptions,
    pages=AfterId(send="starting_after"), query={"limit": 100, "status": "all"},
    refusals=(
        ACCOUNT, Refusal(403, "permission_missing", hint="Give the restricted key read access to Subscriptions."),
        SHIFTED,
    ),
)  # fmt: skip
UPCOMING: Endpoint[Preview] = Endpoint(
    name="upcoming_invoices", path="/v1/invoices/create_preview", page=Preview, facts=upcoming, body=Form(),
    each=FanOut("subscription", "subscription", place="query"),
    refusals=(
        ACCOUNT,
        # It ended, or ends with this period, since it was listed: there is no next invoice.
        Refusal(400, "empty", contains="invoice_upcoming_none"),
        Refusal(404, "empty", contains="invoice_upcoming_none"),
        Refusal(404, "empty", contains="resource_missing"),
        Refusal(403, "permission_missing", hint="Give the restricted key the permission Stripe names: to preview is to "
                                                "ask by POST, though nothing is changed."),
    ),
)  # fmt: skip

DATASETS = (
    # A preview is asked for subscription by subscription: both are read where they are asked for.
    Dataset("subscriptions", "Customers' subscriptions", (Name,), (SUBSCRIPTIONS,), grain="names", order=0,
            default=False, repeats="latest", kinds=("subscription",)),
    Dataset("upcoming_invoices", "Next invoices to customers, previewed", (Invoice,), (UPCOMING,), grain="reading",
            default=False),
)  # fmt: skip
