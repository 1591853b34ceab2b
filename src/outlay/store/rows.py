"""Facts to tables: what a commit adds to each fact, and how each field is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Context, Decimal, localcontext
from operator import attrgetter
from typing import Any

import msgspec
from arro3.core import Array, DataType
from arro3.core import Table as ArrowTable

from outlay.errors import CurrencyMixError
from outlay.model.batch import Account, Batch, Payload
from outlay.model.facts import Charge, Fact
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.providers.base import Provider
from outlay.store.columns import Columns
from outlay.store.schema import FACTS, RENAMED, field_type, tables

_WIDE = Context(prec=100)
_JSON = msgspec.json.Encoder(order="sorted")
_AMOUNT, _CURRENCY, _START = attrgetter("amount"), attrgetter("currency"), attrgetter("start")
_LINE = attrgetter("billed_cost.currency", "basis", "billed_cost.amount")

Rows = Sequence[tuple[Batch, Sequence[Any]]]
"""Facts of one kind, by the batch they came in."""


_Fields = dict[str, tuple[Any, ...]]
"""The values of each field, one per fact."""


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
    flat: list[Charge] = [fact for _, chunk in rows for fact in chunk]
    columns = Columns(tables()["charges"], len(flat))
    # Turning structs to tuples and those on their side costs a third of reading the fields one by one.
    turned = zip(*map(msgspec.structs.astuple, flat), strict=True)
    fields: _Fields = dict(zip(Charge.__struct_fields__, turned, strict=True))
    _charge_envelope(columns, account, provider, rows)
    _charge_money(columns, fields)
    _charge_periods(columns, fields)
    for name, field in _CHARGE_FIELDS.items():
        columns.put(name, fields[field])
    _charge_texts(columns, account, provider, fields)
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


def _charge_money(columns: Columns, fields: _Fields) -> None:
    billed = fields["billed_cost"]
    currencies = list(map(_CURRENCY, billed))
    columns.put("BillingCurrency", currencies)
    columns.put("BilledCost", list(map(_AMOUNT, billed)))
    effective = fields["effective_cost"]
    if _all_none(effective):
        columns.put_same("EffectiveCost", "BilledCost")
    else:
        filled = [paid if own is None else own for own, paid in zip(effective, billed, strict=True)]
        columns.put("EffectiveCost", _amounts(filled, currencies))
    columns.put("ListCost", _amounts(fields["list_cost"], currencies))
    columns.put("ContractedCost", _amounts(fields["contracted_cost"], currencies))


def _all_none(values: Sequence[Any]) -> bool:
    return values[0] is None and values.count(None) == len(values)


def _amounts(monies: Sequence[Money | None], currencies: Sequence[str | None]) -> list[Decimal | None]:
    if _all_none(monies):
        return [None]
    for money, currency in zip(monies, currencies, strict=True):
        if money is not None and money.currency != currency:
            raise CurrencyMixError(f"one fact states both {currency} and {money.currency}")
    return [None if money is None else money.amount for money in monies]


def _charge_periods(columns: Columns, fields: _Fields) -> None:
    charged = fields["charge_period"]
    _put_periods(columns, "ChargePeriod", charged)
    billing = fields["billing_period"]
    months = list(map(_Months().__getitem__, map(_START, charged)))
    if not _all_none(billing):
        months = [own or month for own, month in zip(billing, months, strict=True)]
    _put_periods(columns, "BillingPeriod", months)


def _put_periods(columns: Columns, name: str, periods: Sequence[Period]) -> None:
    # A page's facts share a few period objects, so their times are encoded once and taken by position.
    keys = list(map(id, periods))
    distinct = dict(zip(keys, periods, strict=True))
    position = {key: index for index, key in enumerate(distinct)}
    rows = Array(list(map(position.__getitem__, keys)), type=DataType.int64())
    columns.put_taken(f"{name}Start", [period.start for period in distinct.values()], rows)
    columns.put_taken(f"{name}End", [period.end for period in distinct.values()], rows)


def _charge_texts(columns: Columns, account: Account, provider: Provider, fields: _Fields) -> None:
    """Put what is derived: names of the provider, places in FOCUS, the billing account, JSON texts."""
    if any(fields["correction"]):
        columns.put("ChargeClass", ["Correction" if correction else None for correction in fields["correction"]])
    columns.put("PublisherName", _filled(fields["publisher_name"], provider.title))
    own = account.account_id or account.connection
    accounts = _filled(fields["billing_account_id"], own)
    columns.put("BillingAccountId", [f"{account.provider}:{id_}" for id_ in accounts])
    columns.put("BillingAccountName", [account.account_name if id_ == own else None for id_ in accounts])
    if not _all_none(fields["sub_account_id"]):
        types = zip(fields["sub_account_id"], fields["sub_account_type"], strict=True)
        columns.put(
            "SubAccountType", [None if id_ is None else type_ or provider.sub_account_type for id_, type_ in types]
        )
    for name, field in (("Tags", "tags"), ("x_Details", "details")):
        if not _all_none(fields[field]):
            columns.put(name, [json_text(value) for value in fields[field]])
    names = fields["service_name"]
    services = {name: provider.service(name) for name in set(names)}
    columns.put("ServiceCategory", [services[name].category for name in names])
    columns.put("ServiceSubcategory", [services[name].subcategory for name in names])


def _filled(values: Sequence[str | None], instead: str) -> Sequence[str]:
    if _all_none(values):
        return [instead] * len(values)
    return [instead if value is None else value for value in values]


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
        if name not in ("window", "headers"):
            columns.put(name, [getattr(payload, name) for payload in kept])
    columns.put("headers", [json_text(payload.headers) for payload in kept])
    columns.put("window_start", [payload.window.start for payload in kept])
    columns.put("window_end", [payload.window.end for payload in kept])
    columns.put("window_zone", [payload.window.zone for payload in kept])
    return columns.table()


def batches(
    account: Account, kept: Sequence[Batch], supersedes: Sequence[str | None], now: datetime, sequence: int
) -> ArrowTable:
    """Turn batches into the rows of the `batches` table, with the totals their history is told in."""
    columns = Columns(tables()["batches"], len(kept))
    columns.put_constant("connection", account.connection)
    columns.put_constant("committed_at", now)
    columns.put_constant("sequence", sequence)
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
    groups: dict[tuple[str, str], list[Decimal]] = {}
    for currency, basis, amount in map(_LINE, (fact for fact in of if type(fact) is Charge)):
        groups.setdefault((currency, basis), []).append(amount)
    with localcontext(_WIDE):
        entries = [
            {"currency": currency, "basis": basis, "billed_cost": f"{sum(amounts):f}", "rows": len(amounts)}
            for (currency, basis), amounts in sorted(groups.items())
        ]
    return _JSON.encode(entries).decode()
