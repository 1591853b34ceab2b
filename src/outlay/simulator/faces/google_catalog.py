"""Google's billing accounts, projects, services, SKUs and prices, in three generations of paths."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from outlay.simulator.faces.base import Answer, Ask, Refusal, to_json
from outlay.simulator.faces.google_parts import account_of, finish, money, page
from outlay.simulator.faces.google_token import may
from outlay.simulator.google_key import PROJECT
from outlay.simulator.worlds.google import nano
from outlay.simulator.worlds.google_names import (
    CUD_MODEL,
    DEFAULT_MODEL,
    RATES,
    SERVICES,
    SKUS,
    USD,
    BillingAccount,
    Sku,
)
from outlay.simulator.worlds.truth import EXACT

_CURRENCIES = {"USD": Decimal(1), "EUR": RATES["eur"]}


def owned(ask: Ask) -> BillingAccount:
    """Return the billing account of a path. Raises: Refusal when the caller may not see it."""
    found = {each.id: each for each in account_of(ask).accounts.values()}.get(ask.places["billingAccountsId"])
    if found is None or not may(ask, "billing"):
        raise Refusal(403, "The caller does not have permission")
    return found


def _account(each: BillingAccount) -> dict[str, Any]:
    return {"name": f"billingAccounts/{each.id}", "open": each.open, "displayName": each.name,
            "masterBillingAccount": "", "parent": "organizations/55501", "currencyCode": each.currency}  # fmt: skip


def accounts(ask: Ask) -> Answer:
    """Answer the visible billing accounts; someone who may see none gets an empty list."""
    wanted = ask.query.one("filter")
    ask.query.one("parent")
    if wanted and not re.fullmatch(r'master_billing_account="?billingAccounts/[\w-]+"?', wanted):
        raise Refusal(400, "Invalid filter")
    visible = may(ask, "billing") and not wanted
    return page(ask, "billingAccounts", [_account(each) for each in account_of(ask).accounts.values() if visible],
                most=100)  # fmt: skip


def account(ask: Ask) -> Answer:
    """Answer one billing account."""
    finish(ask)
    return Answer(to_json(_account(owned(ask))))


def sub_accounts(ask: Ask) -> Answer:
    """Answer the sub-accounts: no reseller here, hence none."""
    owned(ask)
    ask.query.one("filter")
    return page(ask, "billingAccounts", [], most=100)


def _info(project: str, owner: BillingAccount) -> dict[str, Any]:
    return {"name": f"projects/{project}/billingInfo", "projectId": project,
            "billingAccountName": f"billingAccounts/{owner.id}", "billingEnabled": owner.open}  # fmt: skip


def projects(ask: Ask) -> Answer:
    """Answer the projects that are linked to a billing account."""
    owner = owned(ask)
    ids = [*(each.id for each in owner.projects), *([PROJECT] if owner.key == USD else ())]
    return page(ask, "projectBillingInfo", [_info(each, owner) for each in ids], most=100)


def project(ask: Ask) -> Answer:
    """Answer which billing account a project is linked to."""
    finish(ask)
    name = ask.places["projectsId"]
    for owner in account_of(ask).accounts.values():
        if name in {*(each.id for each in owner.projects), *([PROJECT] if owner.key == USD else ())}:
            return Answer(to_json(_info(name, owner)))
    raise Refusal(403, "The caller does not have permission")


def services(ask: Ask) -> Answer:
    """Answer the catalog's services."""
    items = [{"name": f"services/{id_}", "serviceId": id_, "displayName": text,
              "businessEntityName": "businessEntities/GCP"} for id_, text in SERVICES.items()]  # fmt: skip
    return page(ask, "services", items, most=5000)


def _currency(ask: Ask) -> str:
    currency = ask.query.one("currencyCode") or "USD"
    if currency not in _CURRENCIES:
        raise Refusal(400, f"Invalid currency code: {currency}")
    return currency


def _price(sku: Sku, currency: str) -> Decimal:
    return nano(EXACT.multiply(sku.price, _CURRENCIES[currency]))


def skus(ask: Ask) -> Answer:
    """Answer the SKUs of a service with their list prices."""
    currency, service = _currency(ask), ask.places["servicesId"]
    _month(ask.query.one("startTime"), ask.query.one("endTime"))
    if service not in SERVICES:
        raise Refusal(404, f"Requested service services/{service} was not found.")
    items = [_sku(ask, sku, currency) for sku in SKUS if sku.service == service]
    return page(ask, "skus", items, most=5000)


def _month(start: str | None, end: str | None) -> None:
    """Refuse a time range of more than one calendar month."""
    if start is None and end is None:
        return
    try:
        begins, ends = (datetime.fromisoformat(text or "") for text in (start, end))
    except ValueError:
        raise Refusal(400, "Invalid time range") from None
    if begins >= ends or (begins.year, begins.month) != (ends.year, ends.month):
        raise Refusal(400, "The time range must be within a single calendar month")


def _sku(ask: Ask, sku: Sku, currency: str) -> dict[str, Any]:
    daily = {"aggregationLevel": "ACCOUNT", "aggregationInterval": "MONTHLY", "aggregationCount": 1}
    expression = {
        "usageUnit": sku.pricing_unit, "usageUnitDescription": sku.pricing_unit, "baseUnit": sku.unit,
        "baseUnitDescription": sku.unit, "baseUnitConversionFactor": sku.factor, "displayQuantity": 1,
        "tieredRates": [{"startUsageAmount": 0, "unitPrice": money(_price(sku, currency), currency)}]}  # fmt: skip
    return {
        "name": f"services/{sku.service}/skus/{sku.id}", "skuId": sku.id, "description": sku.text,
        "category": {"serviceDisplayName": SERVICES[sku.service], "resourceFamily": "ApplicationServices",
                     "resourceGroup": sku.group, "usageType": "OnDemand"},
        "serviceRegions": [sku.region or "global"], "serviceProviderName": "Google",
        "geoTaxonomy": {"type": "REGIONAL", "regions": [sku.region]} if sku.region else {"type": "GLOBAL"},
        "pricingInfo": [{"effectiveTime": f"{ask.now.astimezone(UTC):%Y-%m-%dT00:00:00Z}", "summary": "",
                         "pricingExpression": expression, "currencyConversionRate": _CURRENCIES[currency],
                         **({"aggregationInfo": daily} if sku.group == "RegionalOps" else {})}],
    }  # fmt: skip


def _asked(ask: Ask, place: str) -> list[Sku]:
    """Return the SKUs a path names: one, or all for "-"."""
    wanted = ask.places[place]
    found = [sku for sku in SKUS if wanted in ("-", sku.id)]
    if not found:
        raise Refusal(404, f"SKU {wanted} was not found.")
    return found


def _rate(sku: Sku, currency: str, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    tier = {"startAmount": {"value": "0"}, "listPrice": money(_price(sku, currency), currency), **(extra or {})}
    return {"tiers": [tier], "unitInfo": {"unit": sku.pricing_unit, "unitDescription": sku.pricing_unit,
                                          "unitQuantity": {"value": "1"}},
            "aggregationInfo": {"level": "LEVEL_ACCOUNT", "interval": "INTERVAL_MONTHLY"}}  # fmt: skip


def _list_price(sku: Sku, currency: str) -> dict[str, Any]:
    return {"name": f"skus/{sku.id}/price", "currencyCode": currency, "valueType": "rate",
            "rate": _rate(sku, currency)}  # fmt: skip


def list_prices(ask: Ask) -> Answer:
    """Answer public prices of one SKU or of all."""
    currency = _currency(ask)
    return page(ask, "prices", [_list_price(sku, currency) for sku in _asked(ask, "skusId")], most=5000)


def list_price(ask: Ask) -> Answer:
    """Answer the public price of one SKU."""
    currency = _currency(ask)
    finish(ask)
    return Answer(to_json(_list_price(_asked(ask, "skusId")[0], currency)))


def account_services(ask: Ask) -> Answer:
    """Answer the services a billing account may buy."""
    root = f"billingAccounts/{owned(ask).id}/services"
    items = [{"name": f"{root}/{id_}", "serviceId": id_, "displayName": text} for id_, text in SERVICES.items()]
    return page(ask, "billingAccountServices", items, most=5000)


def account_skus(ask: Ask) -> Answer:
    """Answer the SKUs a billing account may buy."""
    root, wanted = f"billingAccounts/{owned(ask).id}", ask.query.one("filter")
    items = [
        {"name": f"{root}/skus/{sku.id}", "skuId": sku.id, "displayName": sku.text,
         "billingAccountService": f"{root}/services/{sku.service}",
         "productTaxonomy": {"taxonomyCategories": [{"category": "GCP"}, {"category": sku.group}]},
         "geoTaxonomy": {"type": "TYPE_REGIONAL", "regionalMetadata": {"region": {"region": sku.region}}}
         if sku.region else {"type": "TYPE_GLOBAL", "globalMetadata": {}}}
        for sku in SKUS if not wanted or f'"{root}/services/{sku.service}"' in wanted
    ]  # fmt: skip
    return page(ask, "billingAccountSkus", items, most=5000)


def _own_price(owner: BillingAccount, sku: Sku, currency: str) -> dict[str, Any]:
    price = _price(sku, currency)
    extra = {"contractPrice": money(nano(EXACT.multiply(price, Decimal("0.93"))), currency),
             "effectiveDiscountPercent": {"value": "7"}}  # fmt: skip
    discount = {"discountPercent": {"value": "7"}, "discountScopeType": "sku"}
    return {"name": f"billingAccounts/{owner.id}/skus/{sku.id}/price", "currencyCode": currency, "valueType": "rate",
            "priceReason": {"type": "floating-discount", "floatingDiscount": discount},
            "rate": _rate(sku, currency, extra)}  # fmt: skip


def own_prices(ask: Ask) -> Answer:
    """Answer what a billing account pays by contract."""
    owner, currency = owned(ask), _currency(ask)
    items = [_own_price(owner, sku, currency) for sku in _asked(ask, "skusId")]
    return page(ask, "billingAccountPrices", items, most=5000)


def own_price(ask: Ask) -> Answer:
    """Answer what a billing account pays for one SKU."""
    owner, currency = owned(ask), _currency(ask)
    finish(ask)
    return Answer(to_json(_own_price(owner, _asked(ask, "skusId")[0], currency)))


def v2_services(ask: Ask) -> Answer:
    """Answer the catalog's services in the newer form."""
    items = [{"name": f"services/{id_}", "serviceId": id_, "displayName": text} for id_, text in SERVICES.items()]
    return page(ask, "services", items, most=5000)


def _v2_sku(sku: Sku) -> dict[str, Any]:
    return {"name": f"skus/{sku.id}", "skuId": sku.id, "displayName": sku.text, "service": f"services/{sku.service}",
            "productTaxonomy": {"taxonomyCategories": [{"category": "GCP"}]},
            "geoTaxonomy": {"type": "TYPE_REGIONAL" if sku.region else "TYPE_GLOBAL"}}  # fmt: skip


def v2_skus(ask: Ask) -> Answer:
    """Answer the catalog's SKUs, of one service when the filter says so."""
    wanted = ask.query.one("filter")
    if wanted and not re.fullmatch(r'service\s*=\s*"services/[\w-]+"', wanted):
        raise Refusal(400, "Invalid filter")
    items = [_v2_sku(sku) for sku in SKUS if not wanted or f'"services/{sku.service}"' in wanted]
    return page(ask, "skus", items, most=5000)


def v2_sku(ask: Ask) -> Answer:
    """Answer one SKU of the catalog."""
    finish(ask)
    return Answer(to_json(_v2_sku(_asked(ask, "skuId")[0])))


def v2_prices(ask: Ask) -> Answer:
    """Answer prices per consumption model."""
    currency = _currency(ask)
    items = [
        {"name": f"skus/{sku.id}/prices/{currency}", "currencyCode": currency, "skuPrices": [
            {"consumptionModel": f"consumptionModels/{model}", "rate": _rate(sku, currency)}
            for model, _ in ((DEFAULT_MODEL, CUD_MODEL) if sku.group == "CPU" else (DEFAULT_MODEL,))]}
        for sku in _asked(ask, "skuId")
    ]  # fmt: skip
    return page(ask, "prices", items, most=5000)
