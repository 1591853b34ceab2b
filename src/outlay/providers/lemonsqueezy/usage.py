"""Lemon Squeezy's names, and what customers used of usage-based subscriptions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Struct

from outlay.model.facts import Name, Usage
from outlay.model.money import exact
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Dataset, Endpoint, FanOut, JsonApi, Refusal

SERVICE = "Lemon Squeezy"
STORE = {"filter[store_id]": "store"}
BRIDGED_DAYS = 100_000
"""Lists know no days, so that any number of them stands on the same pages."""
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class PageNumbers(Struct, rename="camel", gc=False):
    """Which page of how many."""

    current_page: int
    last_page: int


class Numbered(Struct, gc=False):
    """Where a list says which page it is."""

    page: PageNumbers


class UserNames(Struct, gc=False):
    """Whose key it is."""

    name: str | None = None


class User(Struct, gc=False):
    """The user of the key."""

    id: str
    attributes: UserNames


class Mode(Struct, gc=False):
    """Whether the key is of the test mode."""

    test_mode: bool = False


class UserPage(Struct, gc=False):
    """The answer about the key."""

    data: User
    meta: Mode = msgspec.field(default_factory=Mode)


class StoreNames(Struct, gc=False):
    """What a store is called."""

    name: str


class Store(Struct, gc=False):
    """A store; its revenue counters are other sums of the same orders."""

    id: str
    attributes: StoreNames


class StoresPage(Struct, gc=False):
    """A page of stores."""

    data: list[Store]
    meta: Numbered


class SubscriptionNames(Struct, gc=False):
    """What was subscribed to; who did is not read."""

    store_id: int
    status: str
    product_name: str | None = None
    variant_name: str | None = None


class Subscription(Struct, gc=False):
    """A subscription."""

    id: str
    attributes: SubscriptionNames


class SubscriptionsPage(Struct, gc=False):
    """A page of subscriptions."""

    data: list[Subscription]
    meta: Numbered


class ItemFields(Struct, gc=False):
    """What an item belongs to, and whether it is paid by use."""

    subscription_id: int
    is_usage_based: bool


class Item(Struct, gc=False):
    """An item of a subscription."""

    id: str
    attributes: ItemFields


class ItemsPage(Struct, gc=False):
    """A page of items."""

    data: list[Item]
    meta: Numbered


class RecordFields(Struct, gc=False):
    """One report of use; `set` states a level, `increment` adds to it."""

    subscription_item_id: int
    quantity: Decimal
    action: str
    created_at: Moment


class Record(Struct, gc=False):
    """A usage record."""

    id: str
    attributes: RecordFields


class RecordsPage(Struct, gc=False):
    """A page of usage records, the newest first."""

    data: list[Record]
    meta: Numbered


class Current(Struct, gc=False):
    """The running total of an item's present period, by its price's own rule."""

    period_start: Moment
    period_end: Moment
    quantity: Decimal
    interval_unit: str | None = None
    interval_quantity: int | None = None


class CurrentPage(Struct, gc=False):
    """An answer that has nothing but `meta`."""

    meta: Current


def account(page: UserPage, _ask: Ask) -> Iterator[Name | Problem]:
    """Turn the key's user into a name, and warn of a key that sees only test data."""
    yield Name(kind="account", id=page.data.id, name=page.data.attributes.name)
    if page.meta.test_mode:
        yield Problem(code="test_data", says="the key is of the test mode: what it sees is not real",
                      hint="Create a key with the store in live mode.", severity=Severity.WARNING)  # fmt: skip


def stores(page: StoresPage, ask: Ask) -> Iterator[Name | Problem]:
    """Turn stores into names; of a store that the account does not have, nothing would ever be found."""
    for row in page.data:
        yield Name(kind="store", id=row.id, name=row.attributes.name)
    wanted = ask.options.get("store")
    if wanted and page.meta.page.last_page <= 1 and all(row.id != wanted for row in page.data):
        yield Problem(code="account_mismatch", says=f"the account has no store {wanted!r}", where="store",
                      hint="Set the option `store` to the id of one of its stores, or leave it out.")  # fmt: skip


def subscriptions(page: SubscriptionsPage, _ask: Ask) -> Iterator[Name]:
    """Turn subscriptions into names, those that are over as archived."""
    for row in page.data:
        told = row.attributes
        name = ", ".join(part for part in (told.product_name, told.variant_name) if part) or None
        state = "archived" if told.status == "expired" else "active"
        yield Name(kind="subscription", id=row.id, name=name, parent_id=str(told.store_id), state=state)


def items(page: ItemsPage, _ask: Ask) -> Iterator[Name]:
    """Turn items into names; only those paid by use can be asked what was used."""
    for row in page.data:
        kind = "usage_item" if row.attributes.is_usage_based else "subscription_item"
        yield Name(kind=kind, id=row.id, parent_id=str(row.attributes.subscription_id))


def records(page: RecordsPage, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn usage records into usage of the UTC day they were made on.

    Units: whatever the price is for, so they are counts; a level that was set is no part of a sum.
    Source: https://docs.lemonsqueezy.com/api/usage-records/the-usage-record-object
    """
    for row in page.data:
        told = row.attributes
        day = Period.of_day(told.created_at.astimezone(UTC).date())
        if not ask.period.start <= day.start < ask.period.end:
            continue
        if told.action not in {"increment", "set"}:
            yield Problem(code="unknown_object", says=f"a usage record's action is {told.action[:40]!r}: left out",
                          where=f"usage record {row.id}", severity=Severity.WARNING)  # fmt: skip
            continue
        yield Usage(
            usage_period=day,
            meter=told.action,
            unit="count",
            quantity=exact(told.quantity),
            service_name=SERVICE,
            resource_id=str(told.subscription_item_id),
            part_of="current_usage" if told.action == "set" else None,
            details={"usage_record_id": row.id},
        )


def oldest_record(page: RecordsPage) -> datetime | None:
    """Return when the oldest record of a page was made."""
    return min((row.attributes.created_at for row in page.data), default=None)


def current_usage(page: CurrentPage, ask: Ask) -> Iterator[Usage]:
    """Turn a running total into a reading of today, which sums leave out: it grows and starts again.

    Source: https://docs.lemonsqueezy.com/api/subscription-items/retrieve-subscription-item-current-usage
    """
    told = page.meta
    yield Usage(
        usage_period=ask.period,
        meter="current_usage",
        unit="count",
        quantity=exact(told.quantity),
        service_name=SERVICE,
        resource_id=ask.item,
        part_of="usage_records",
        details={
            "period_start": told.period_start.astimezone(UTC).isoformat(),
            "period_end": told.period_end.astimezone(UTC).isoformat(),
            "interval": f"{told.interval_quantity} {told.interval_unit}" if told.interval_unit else None,
        },
    )


_LIST = {"page[size]": 100}
ACCOUNT: Endpoint[UserPage] = Endpoint(name="account", path="/v1/users/me", page=UserPage, facts=account)
STORES: Endpoint[StoresPage] = Endpoint(
    name="stores", path="/v1/stores", page=StoresPage, facts=stores, pages=JsonApi(), query=_LIST
)
SUBSCRIPTIONS: Endpoint[SubscriptionsPage] = Endpoint(
    name="subscriptions", path="/v1/subscriptions", page=SubscriptionsPage, facts=subscriptions, pages=JsonApi(),
    query=_LIST, query_options=STORE,
)  # fmt: skip
ITEMS: Endpoint[ItemsPage] = Endpoint(
    name="subscription_items", path="/v1/subscription-items", page=ItemsPage, facts=items, pages=JsonApi(),
    query=_LIST, each=FanOut("subscription", "filter[subscription_id]", place="query", only_with="store"),
)  # fmt: skip
RECORDS: Endpoint[RecordsPage] = Endpoint(
    name="usage_records", path="/v1/usage-records", page=RecordsPage, facts=records, pages=JsonApi(), query=_LIST,
    each=FanOut("usage_item", "filter[subscription_item_id]", place="query", only_with="store"),
    page_days=BRIDGED_DAYS, oldest=oldest_record,
)  # fmt: skip
CURRENT_USAGE: Endpoint[CurrentPage] = Endpoint(
    name="current_usage", path="/v1/subscription-items/{subscription_item}/current-usage", page=CurrentPage,
    facts=current_usage, each=FanOut("usage_item", "subscription_item"),
    refusals=(Refusal(404, "empty"),),  # not usage-based, or gone since its name was read
)  # fmt: skip

DATASETS = (
    Dataset("account", "Whose key it is", (Name,), (ACCOUNT,), grain="names", order=0),
    Dataset("stores", "Stores", (Name,), (STORES,), grain="names", repeats="latest", order=0),
    Dataset("subscriptions", "Subscriptions", (Name,), (SUBSCRIPTIONS,), grain="names", repeats="latest", order=0),
    Dataset("subscription_items", "Items of subscriptions", (Name,), (ITEMS,), grain="names", repeats="latest"),
    Dataset("usage_records", "Reported use, by day", (Usage,), (RECORDS,), repeats="latest", order=2),
    Dataset("current_usage", "Running totals of use", (Usage,), (CURRENT_USAGE,), grain="reading", order=2),
)
