"""Rows of the export tables as JSON values, from what was charged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from outlay.simulator.worlds.google import (
    ADJUSTMENT,
    REGULAR,
    ROUNDING,
    TAX,
    GoogleAccount,
    Row,
    nano,
    service_text,
)
from outlay.simulator.worlds.google_names import COMMITMENT, RATES, SERVICES, SKUS, BillingAccount
from outlay.simulator.worlds.truth import EXACT

_CATEGORIES = {REGULAR: "Usage", TAX: "Tax", ADJUSTMENT: "Adjustment", ROUNDING: "Adjustment"}
_SNAPSHOTS = 3


def stamp(moment: datetime) -> str:
    """Return a moment as a database reads it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00"


def _pairs(pairs: Sequence[tuple[str, str]], key: str = "key", value: str = "value") -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in pairs]


def standard(account: BillingAccount, row: Row) -> dict[str, Any]:
    """Return a row of the standard table."""
    sku, project, rate = row.sku, row.project, RATES[account.key]
    listed = nano(EXACT.multiply(sku.price, rate)) if sku else None
    return {
        "billing_account_id": account.id,
        "service": None if service_text(row) is None else {"id": sku.service if sku else None,
                                                           "description": service_text(row)},
        "sku": None if sku is None else {"id": sku.id, "description": sku.text},
        "usage_start_time": stamp(row.start),
        "usage_end_time": stamp(row.start + timedelta(hours=1)),
        "project": None if project is None else {
            "id": project.id, "number": project.number, "name": project.name, "labels": _pairs(project.labels),
            "ancestry_numbers": "/55501/", "ancestors": [{"resource_name": f"projects/{project.number}",
                                                          "display_name": project.name}]},
        "labels": _pairs(row.labels),
        "system_labels": [],
        "location": None if sku is None else {"location": sku.region or "global", "country": None,
                                              "region": sku.region, "zone": None},
        "tags": [] if project is None or not project.labels else [
            {"key": "cost-centre", "value": "c1", "inherited": True, "namespace": "55501"}],
        "price": None if row.price is None else {
            "effective_price": row.price, "tier_start_amount": Decimal(0), "unit": sku.pricing_unit if sku else None,
            "pricing_unit_quantity": Decimal(1), "list_price": listed, "effective_price_default": row.price,
            "list_price_consumption_model": listed},
        "transaction_type": "GOOGLE",
        "seller_name": "Google",
        "export_time": stamp(row.exported),
        "cost": row.cost,
        "currency": account.currency,
        "currency_conversion_rate": rate,
        "usage": None if row.quantity is None or sku is None else {
            "amount": row.quantity * sku.factor, "unit": sku.unit, "amount_in_pricing_units": row.quantity,
            "pricing_unit": sku.pricing_unit},
        "credits": [{"name": each.name, "amount": each.amount, "full_name": each.name, "id": each.name.lower(),
                     "type": each.type} for each in row.credits],
        "invoice": {"month": row.month, "publisher_type": "GOOGLE"},
        "cost_type": row.cost_type,
        "adjustment_info": None if row.reason is None else {
            "id": "adj-1", "description": row.reason, "mode": "COMPLETE_NEGATION", "type": "GENERAL_ADJUSTMENT"},
        "cost_at_list": row.listed,
        "cost_at_effective_price_default": None if row.listed is None else row.cost,
        "cost_at_list_consumption_model": row.listed,
        "consumption_model": {"id": row.model[0], "description": row.model[1]},
    }  # fmt: skip


def detailed(account: BillingAccount, row: Row) -> dict[str, Any]:
    """Return a row of the detailed table: the standard one with its resource."""
    name = row.resource and row.resource.rpartition("/")[2]
    resource = None if row.resource is None else {"name": name, "global_name": f"//sim.googleapis.com/{row.resource}"}
    return standard(account, row) | {"resource": resource, "subscription": None}


def focus(account: BillingAccount, row: Row) -> dict[str, Any]:
    """Return a row of the FOCUS table: its billed cost is net, and its credits are listed all the same."""
    base = detailed(account, row)
    month = date(int(row.month[:4]), int(row.month[4:]), 1)
    ends = (month + timedelta(days=32)).replace(day=1)
    project, usage = base["project"], base["usage"] or {}
    category = "Purchase" if row.sku is COMMITMENT else _CATEGORIES[row.cost_type]
    return {
        "BilledCost": row.net, "BillingAccountId": account.id, "BillingCurrency": account.currency,
        "BillingPeriodStart": _midnight(month), "BillingPeriodEnd": _midnight(ends), "ChargeCategory": category,
        "ChargeDescription": row.sku.text if row.sku else None, "ChargePeriodStart": base["usage_start_time"],
        "ChargePeriodEnd": base["usage_end_time"], "ConsumedQuantity": usage.get("amount"),
        "ConsumedUnit": usage.get("unit"), "ContractedCost": row.cost, "ContractedUnitPrice": row.price,
        "ListCost": row.listed, "PricingCategory": "Standard", "PricingQuantity": usage.get("amount_in_pricing_units"),
        "PricingUnit": usage.get("pricing_unit"), "ProviderName": "Google Cloud", "PublisherName": "Google Cloud",
        "RegionId": row.sku.region if row.sku else None,
        "ResourceId": (base["resource"] or {}).get("global_name"), "ResourceName": (base["resource"] or {}).get("name"),
        "ServiceName": service_text(row), "SkuId": row.sku.id if row.sku else None,
        "SubAccountId": project and project["id"], "SubAccountName": project and project["name"],
        "x_Credits": [{"Name": each["name"], "Amount": each["amount"], "FullName": each["full_name"], "Id": each["id"],
                       "Type": each["type"]} for each in base["credits"]],
        "x_CostType": row.cost_type, "x_CurrencyConversionRate": RATES[account.key],
        "x_ExportTime": base["export_time"], "x_ServiceId": row.sku.service if row.sku else None,
        "x_Location": (base["location"] or {}).get("location"),
        "x_Project": project and {"Id": project["id"], "Number": project["number"], "Name": project["name"],
                                  "AncestryNumbers": project["ancestry_numbers"], "Ancestors": []},
        "x_SystemLabels": [], "x_Labels": _pairs(row.labels, "Key", "Value"), "x_ProjectLabels": [], "x_Tags": [],
        "EffectiveCost": row.net, "PricingCurrency": account.currency, "BillingAccountType": "Billing Account",
        "x_ConsumptionModelId": row.model[0], "x_ConsumptionModelDescription": row.model[1],
    }  # fmt: skip


def _midnight(day: date) -> str:
    return stamp(datetime.combine(day, time(), UTC))


def pricing(world: GoogleAccount, account: BillingAccount) -> list[tuple[date, dict[str, Any]]]:
    """Return the snapshots of the pricing export, each with its partition."""
    found = []
    for n in range(_SNAPSHOTS):
        day = world.plot.today - timedelta(days=n)
        at = datetime.combine(day, time(8), UTC)
        for sku in SKUS:
            rate = {"aggregation_info": None, "tiered_rates": [
                {"pricing_unit_quantity": 1, "start_usage_amount": 0, "usd_amount": sku.price,
                 "account_currency_amount": nano(EXACT.multiply(sku.price, RATES[account.key]))}]}  # fmt: skip
            found.append((day, {
                "export_time": stamp(at), "pricing_as_of_time": stamp(at), "billing_account_id": account.id,
                "billing_account_name": account.name, "business_entity_name": "GCP",
                "service": {"id": sku.service, "description": SERVICES[sku.service]},
                "sku": {"id": sku.id, "description": sku.text}, "product_taxonomy": ["GCP", sku.group],
                "geo_taxonomy": {"type": "REGIONAL" if sku.region else "GLOBAL",
                                 "regions": [sku.region] if sku.region else []},
                "pricing_unit": sku.pricing_unit, "pricing_unit_description": sku.pricing_unit,
                "account_currency_code": account.currency, "currency_conversion_rate": RATES[account.key],
                "list_price": rate, "billing_account_price": rate | {"price_info": None},
                "consumption_model_prices": [],
            }))  # fmt: skip
    return found


Maker = Callable[[BillingAccount, Row], dict[str, Any]]
MAKERS: dict[str, Maker] = {"standard": standard, "detailed": detailed, "focus": focus}


def tables(world: GoogleAccount) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the tables that exist, by dataset and name: the kind of each and its billing account.

    Null: a fresh export ("new") and an empty account have their dataset and no table in it.
    """
    label, found = world.plot.label, {}
    if label == "new" or world.plot.empty:
        return {}
    for key, account in world.accounts.items():
        if label != "detailed":
            found["billing", f"gcp_billing_export_v1_{account.underscored}"] = ("standard", key)
        if label != "standard":
            found["billing", f"gcp_billing_export_resource_v1_{account.underscored}"] = ("detailed", key)
        if label not in ("standard", "detailed"):
            place = f"gcp_billing_immutable_{account.underscored}_eu"
            found[place, f"gcp_billing_export_focus_{account.underscored}"] = ("focus", key)
    if label not in ("standard", "detailed"):
        found["billing", "cloud_pricing_export"] = ("pricing", next(iter(world.accounts)))
    return found
