"""Facts to tables: what a commit adds to each fact, and how each field is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
from arro3.core import Array, DataType
from arro3.core import Table as ArrowTable

from outlay.errors import CurrencyMixError
from outlay.model.batch import Account, Batch, Payload
from outlay.model.facts import Charge, Fact
from outlay.model.money import Money, total
from outlay.model.period import Period
from outlay.providers.base import Provider
from outlay.store.columns import Columns
from outlay.store.schema import FACTS, RENAMED, field_type, tables

_JSON = msgspec.json.Encoder(order="sorted")

Rows = Sequence[tuple[Batch, Sequence[Any]]]
"""Facts of one kind, by the batch they came in."""


def json_text(value: object) -> str | None:
    """Return a value as JSON text with sorted keys, None for None."""
    return None if value is None else _JSON.encode(value).decode()


class _Months(dict[datetime, Period]):
    """Remember the calendar month of each moment."""

    def __missing__(self, start: datetime) -> Period:
        month = Period.of_month(start.date())
        self[start] = month
        return month


def charges(account: Account, provider: Provider, rows: Rows) -> ArrowTable:
    """Turn charges into the rows of the `charges` table."""
    facts: list[Charge] = [fact for _, chunk in rows for fact in chunk]
    columns = Columns(tables()["charges"], len(facts))
    _charge_envelope(columns, account, provider, rows)
    _charge_money(columns, facts)
    months = _Months()
    billing = [fact.billing_period or months[fact.charge_period.start] for fact in facts]
    columns.put("BillingPeriodStart", [period.start for period in billing])
    columns.put("BillingPeriodEnd", [period.end for period in billing])
    columns.put("ChargePeriodStart", [fact.charge_period.start for fact in facts])
    columns.put("ChargePeriodEnd", [fact.charge_period.end for fact in facts])
    for name, field in _CHARGE_FIELDS.items():
        columns.put(name, list(map(attrgetter(field), facts)))
    columns.put("ChargeClass", ["Correction" if fact.correction else None for fact in facts])
    columns.put("PublisherName", [fact.publisher_name or provider.title for fact in facts])
    columns.put("SubAccountType", [_sub_account_type(fact, provider) for fact in facts])
    columns.put("Tags", [json_text(fact.tags) for fact in facts])
    columns.put("x_Details", [json_text(fact.details) for fact in facts])
    names = [fact.service_name for fact in facts]
    services = {name: provider.service(name) for name in set(names)}
    columns.put("ServiceCategory", [services[name].category for name in names])
    columns.put("ServiceSubcategory", [services[name].subcategory for name in names])
    _charge_account(columns, account, facts)
    return columns.table()


_CHARGE_FIELDS: dict[str, str] = {
    "ChargeCategory": "charge_category",
    "ChargeDescription": "charge_description",
    "ChargeFrequency": "charge_frequency",
    "ConsumedQuantity": "consumed_quantity",
    "ConsumedUnit": "consumed_unit",
    "ContractedUnitPrice": "contracted_unit_price",
    "InvoiceId": "invoice_id",
    "ListUnitPrice": "list_unit_price",
    "PricingCategory": "pricing_category",
    "PricingQuantity": "pricing_quantity",
    "PricingUnit": "pricing_unit",
    "RegionId": "region_id",
    "ResourceId": "resource_id",
    "ResourceType": "resource_type",
    "ServiceName": "service_name",
    "SkuId": "sku_id",
    "SkuMeter": "sku_meter",
    "SkuPriceId": "sku_price_id",
    "SubAccountId": "sub_account_id",
    "x_Basis": "basis",
    "x_Model": "model",
    "x_ServiceTier": "service_tier",
    "x_ContextWindow": "context_window",
    "x_ApiKeyId": "api_key_id",
    "x_UserId": "user_id",
    "x_PriceListVersion": "price_list_version",
}
"""Columns that hold a field as it is."""


def _sub_account_type(fact: Charge, provider: Provider) -> str | None:
    return None if fact.sub_account_id is None else fact.sub_account_type or provider.sub_account_type


def _charge_envelope(columns: Columns, account: Account, provider: Provider, rows: Rows) -> None:
    for name in ("connection", "x_Connection"):
        columns.put_constant(name, account.connection)
    columns.put_constant("x_Provider", account.provider)
    for name in ("ProviderName", "ServiceProviderName", "InvoiceIssuerName"):
        columns.put_constant(name, provider.title)
    # FOCUS prescribes this text where no infrastructure of a third party is known.
    columns.put_constant("HostProviderName", "Not Applicable")
    columns.put_constant("BillingAccountType", provider.account_type)
    _per_batch(columns, rows, "x_Dataset x_BatchId x_ObservedAt x_PartitionStart x_PartitionEnd")


def _per_batch(columns: Columns, rows: Rows, names: str) -> None:
    which = [index for index, (_, chunk) in enumerate(rows) for _ in chunk]
    taken = Array(which, type=DataType.int64())
    batches = [batch for batch, _ in rows]
    dataset, batch_id, observed_at, start, end = names.split()
    columns.put_taken(dataset, [batch.partition.dataset for batch in batches], taken)
    columns.put_taken(batch_id, [batch.batch_id for batch in batches], taken)
    columns.put_taken(observed_at, [batch.observed_at for batch in batches], taken)
    columns.put_taken(start, [batch.partition.period.start for batch in batches], taken)
    columns.put_taken(end, [batch.partition.period.end for batch in batches], taken)


def _charge_money(columns: Columns, facts: Sequence[Charge]) -> None:
    billed = [fact.billed_cost for fact in facts]
    currencies = [money.currency for money in billed]
    columns.put("BillingCurrency", currencies)
    columns.put("BilledCost", [money.amount for money in billed])
    effective = [fact.billed_cost if fact.effective_cost is None else fact.effective_cost for fact in facts]
    columns.put("EffectiveCost", _amounts(effective, currencies))
    columns.put("ListCost", _amounts([fact.list_cost for fact in facts], currencies))
    columns.put("ContractedCost", _amounts([fact.contracted_cost for fact in facts], currencies))


def _amounts(monies: Sequence[Money | None], currencies: Sequence[str | None]) -> list[Decimal | None]:
    for money, currency in zip(monies, currencies, strict=True):
        if money is not None and money.currency != currency:
            raise CurrencyMixError(f"one fact states both {currency} and {money.currency}")
    return [None if money is None else money.amount for money in monies]


def _charge_account(columns: Columns, account: Account, facts: Sequence[Charge]) -> None:
    own = account.account_id or account.connection
    ids = [fact.billing_account_id or own for fact in facts]
    columns.put("BillingAccountId", [f"{account.provider}:{id_}" for id_ in ids])
    columns.put("BillingAccountName", [account.account_name if id_ == own else None for id_ in ids])


def facts(table: str, account: Account, rows: Rows) -> ArrowTable:
    """Turn facts of one kind into the rows of their table."""
    flat: list[Fact] = [fact for _, chunk in rows for fact in chunk]
    columns = Columns(tables()[table], len(flat))
    columns.put_constant("connection", account.connection)
    columns.put_constant("provider", account.provider)
    _per_batch(columns, rows, "dataset batch_id observed_at partition_start partition_end")
    kind = FACTS[table]
    monies: list[list[Money | None]] = []
    for name in kind.__struct_fields__:
        values = [getattr(fact, name) for fact in flat]
        if field_type(kind, name) is Money:
            monies.append(values)
        _put_field(columns, RENAMED.get((table, name), name), field_type(kind, name), values)
    if monies:
        _put_currency(columns, monies)
    return columns.table()


def _put_field(columns: Columns, name: str, kind: type, values: list[Any]) -> None:
    if kind is Period:
        columns.put(f"{name}_start", [None if value is None else value.start for value in values])
        columns.put(f"{name}_end", [None if value is None else value.end for value in values])
    elif kind is Money:
        columns.put(name, [None if value is None else value.amount for value in values])
    elif kind in (dict, tuple):
        columns.put(name, [json_text(value) for value in values])
    else:
        columns.put(name, values)


def _put_currency(columns: Columns, monies: Sequence[list[Money | None]]) -> None:
    currencies = [
        next((money.currency for money in row if money is not None), None) for row in zip(*monies, strict=True)
    ]
    for column in monies:
        _amounts(column, currencies)
    columns.put("currency", currencies)


def payloads(kept: Sequence[Payload]) -> ArrowTable:
    """Turn payloads into the rows of the `payloads` table."""
    columns = Columns(tables()["payloads"], len(kept))
    for name in Payload.__struct_fields__:
        if name != "window":
            columns.put(name, [getattr(payload, name) for payload in kept])
    columns.put("window_start", [payload.window.start for payload in kept])
    columns.put("window_end", [payload.window.end for payload in kept])
    columns.put("window_zone", [payload.window.zone for payload in kept])
    return columns.table()


def batches(account: Account, kept: Sequence[Batch], supersedes: Sequence[str | None], now: datetime) -> ArrowTable:
    """Turn batches into the rows of the `batches` table, with the totals their history is told in."""
    columns = Columns(tables()["batches"], len(kept))
    columns.put_constant("connection", account.connection)
    columns.put_constant("committed_at", now)
    columns.put("supersedes", supersedes)
    for name in ("batch_id", "provider", "endpoint", "fetch_id", "digest", "observed_at", "reason"):
        columns.put(name, [getattr(batch, name) for batch in kept])
    columns.put("dataset", [batch.partition.dataset for batch in kept])
    columns.put("period_start", [batch.partition.period.start for batch in kept])
    columns.put("period_end", [batch.partition.period.end for batch in kept])
    columns.put("period_zone", [batch.partition.period.zone for batch in kept])
    columns.put("rows", [len(batch.facts) for batch in kept])
    columns.put("totals", [totals(batch.facts) for batch in kept])
    return columns.table()


def totals(of: Sequence[Fact]) -> str:
    """Return what a batch's charges add up to, as JSON: one entry per currency and basis."""
    groups: dict[tuple[str, str], list[Money]] = {}
    for fact in of:
        if isinstance(fact, Charge):
            groups.setdefault((fact.billed_cost.currency, fact.basis.value), []).append(fact.billed_cost)
    entries = [
        {"currency": currency, "basis": basis, "billed_cost": f"{total(monies)[currency]:f}", "rows": len(monies)}
        for (currency, basis), monies in sorted(groups.items())
    ]
    return _JSON.encode(entries).decode()
