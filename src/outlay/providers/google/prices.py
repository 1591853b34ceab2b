"""Google's public price list of the Gemini API: what each SKU is called and costs per unit, before any contract."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct, field

from outlay.model.facts import Name
from outlay.providers.base import Ask, Cursor, Endpoint
from outlay.providers.google.accounts import BILLING, READ_BILLING, Amount
from outlay.providers.google.gemini import GEMINI_API


class Tier(Struct, rename="camel"):
    """A price from an amount of use on; the ones before keep their price."""

    unit_price: Amount
    start_usage_amount: Decimal = Decimal(0)


class Expression(Struct, rename="camel"):
    """How use is priced. `display_quantity` is for people and changes no price."""

    usage_unit: str
    usage_unit_description: str | None = None
    tiered_rates: list[Tier] = field(default_factory=list)


class Pricing(Struct, rename="camel"):
    """The price of a span of time; the latest is last."""

    pricing_expression: Expression


class Sku(Struct, rename="camel"):
    """One thing that is priced."""

    sku_id: str
    description: str
    pricing_info: list[Pricing] = field(default_factory=list)


class Skus(Struct, rename="camel"):
    """A page of a service's SKUs."""

    skus: list[Sku] = field(default_factory=list)
    next_page_token: str | None = None


def skus(page: Skus, _ask: Ask) -> Iterator[Name]:
    """Turn the catalogue into what SKUs are called, their list price with it.

    Units:  dollars per usage unit: `count` is one token, so prices have nine decimals.
    Source: https://docs.cloud.google.com/billing/docs/reference/rest/v1/services.skus/list
    """
    for sku in page.skus:
        price = _price(sku.pricing_info[-1].pricing_expression) if sku.pricing_info else ""
        yield Name(kind="sku", id=sku.sku_id, name=f"{sku.description}: {price}" if price else sku.description)


def _price(expression: Expression) -> str:
    unit = expression.usage_unit_description or expression.usage_unit
    parts = []
    for tier in expression.tiered_rates:
        amount = f"{tier.unit_price.exactly().normalize():f} {tier.unit_price.currency_code} per {unit}"
        parts.append(f"{amount} from {tier.start_usage_amount:f} on" if tier.start_usage_amount else amount)
    return ", ".join(parts)


SKUS = Endpoint(
    name="gemini_prices",
    host=BILLING,
    path=f"/v1/services/{GEMINI_API}/skus",
    query={"currencyCode": "USD", "pageSize": 5000},
    pages=Cursor("pageToken", "next_page_token"),
    scopes=READ_BILLING,
    page=Skus,
    facts=skus,
)
