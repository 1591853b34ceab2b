"""What the columns of one FOCUS row must say together, stricter than the official validator can see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal, InvalidOperation, localcontext
from functools import lru_cache

from outlay.model.focus import SERVICE_CATEGORIES

Row = Mapping[str, str | None]
"""One row as text by column; a column the file does not have is absent."""
Finding = tuple[str, str, str]
"""A code, the column it is about, and what is wrong."""
Rule = Callable[[Row], Iterator[Finding]]

TOLERANCE = Decimal("1e-9")
_SOLD = frozenset({"Usage", "Purchase"})
_SOLD_NEEDS = ("SkuId", "SkuPriceId", "SkuMeter", "ListUnitPrice", "PricingQuantity", "PricingUnit", "PricingCategory")
_NOT_ON_TAX = (
    "SkuId",
    "SkuPriceId",
    "ListUnitPrice",
    "ContractedUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "PricingCategory",
)
_TOGETHER = (
    ("PricingQuantity", "PricingUnit"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("RegionId", "RegionName"),
    ("SubAccountId", "SubAccountName"),
    ("SubAccountId", "SubAccountType"),
    ("ResourceId", "ResourceType"),
    ("SkuId", "SkuMeter"),
    ("SkuId", "SkuPriceId"),
    ("CommitmentDiscountQuantity", "CommitmentDiscountUnit"),
    ("CommitmentDiscountId", "CommitmentDiscountCategory"),
)
_PRODUCTS = (
    ("ListUnitPrice", "ListCost"),
    ("ContractedUnitPrice", "ContractedCost"),
)
_WITHOUT_PRICE_ID = (
    "PricingQuantity",
    "ConsumedQuantity",
    "PricingCurrencyListUnitPrice",
    "PricingCurrencyContractedUnitPrice",
)
_PROVIDERS = ("ProviderName", "ServiceProviderName")
_SAME_CURRENCY = (
    ("PricingCurrencyEffectiveCost", "EffectiveCost"),
    ("PricingCurrencyListUnitPrice", "ListUnitPrice"),
    ("PricingCurrencyContractedUnitPrice", "ContractedUnitPrice"),
)


def periods(row: Row) -> Iterator[Finding]:
    """Find periods that end before or when they begin."""
    for kind in ("ChargePeriod", "BillingPeriod"):
        start, end = row.get(f"{kind}Start"), row.get(f"{kind}End")
        if start and end and start >= end:
            yield "period_reversed", f"{kind}End", f"{end} is not after {start}"


def issuer(row: Row) -> Iterator[Finding]:
    """Find billed amounts of a provider that is not the one who invoices, by as little as one character."""
    issued = row.get("InvoiceIssuerName")
    for name in _PROVIDERS:
        provider = row.get(name)
        if issued and provider and provider != issued and number(row.get("BilledCost")):
            yield "issuer_differs", "InvoiceIssuerName", f"{issued!r} invoices what {name} {provider!r} bills"


def subcategory(row: Row) -> Iterator[Finding]:
    """Find subcategories below a category that does not have them."""
    category, under = row.get("ServiceCategory"), row.get("ServiceSubcategory")
    if category in SERVICE_CATEGORIES and under is not None and under not in SERVICE_CATEGORIES[category]:
        yield "subcategory_parent", "ServiceSubcategory", f"{under!r} is not a subcategory of {category!r}"


def frequency(row: Row) -> Iterator[Finding]:
    """Find purchases that claim to be usage-based."""
    if row.get("ChargeCategory") == "Purchase" and row.get("ChargeFrequency") == "Usage-Based":
        yield "frequency", "ChargeFrequency", "a purchase is never usage-based"


def sold(row: Row) -> Iterator[Finding]:
    """Find usage and purchases without SKU, price or quantity; corrections may lack them."""
    if row.get("ChargeClass") == "Correction" or row.get("ChargeCategory") not in _SOLD:
        return
    for name in _SOLD_NEEDS:
        if name in row and row[name] is None:
            yield "price_missing", name, "usage and purchases need it"
    if row.get("ChargeCategory") == "Usage":
        for name in ("ConsumedQuantity", "ConsumedUnit"):
            if name in row and row[name] is None:
                yield "consumption_missing", name, "usage needs it"


def unsold(row: Row) -> Iterator[Finding]:
    """Find consumption outside usage, and SKUs or prices on taxes."""
    category = row.get("ChargeCategory")
    if category != "Usage" and row.get("ConsumedQuantity") is not None:
        yield "consumption_misplaced", "ConsumedQuantity", f"{category} consumes nothing"
    if category == "Tax":
        for name in _NOT_ON_TAX:
            if row.get(name) is not None:
                yield "price_misplaced", name, "a tax has no SKU, price or quantity"


def products(row: Row) -> Iterator[Finding]:
    """Find costs that are not price times quantity within one part in a billion."""
    quantity = number(row.get("PricingQuantity"))
    if quantity is None:
        return
    for price_name, cost_name in _PRODUCTS:
        price, cost = number(row.get(price_name)), number(row.get(cost_name))
        if price is not None and cost is not None and not _near(price, quantity, cost):
            yield "product", cost_name, f"{price_name} {price:f} x PricingQuantity {quantity:f} is not {cost:f}"


def together(row: Row) -> Iterator[Finding]:
    """Find columns that only make sense in pairs and stand alone."""
    for one, other in _TOGETHER:
        if one in row and other in row and (row[one] is None) is not (row[other] is None):
            missing, there = (one, other) if row[one] is None else (other, one)
            yield "pair_broken", missing, f"null beside {there}"
    if row.get("ResourceName") is not None:
        if row.get("ResourceId") is None:
            yield "pair_broken", "ResourceId", "null beside ResourceName"
        elif row["ResourceName"] == row["ResourceId"]:
            yield "name_is_id", "ResourceName", "a name that only repeats the id is null"


def credit(row: Row) -> Iterator[Finding]:
    """Find credits whose effective cost is not what was billed."""
    if row.get("ChargeCategory") == "Credit":
        billed, effective = number(row.get("BilledCost")), number(row.get("EffectiveCost"))
        if billed is not None and effective is not None and billed != effective:
            yield "credit_effective", "EffectiveCost", f"{effective:f} is not the billed {billed:f} of a credit"


def unpriced(row: Row) -> Iterator[Finding]:
    """Find quantities and prices without a SkuPriceId, which FOCUS allows up to 1.2 only."""
    if "ServiceProviderName" in row and row.get("SkuPriceId") is None:
        for name in _WITHOUT_PRICE_ID:
            if row.get(name) is not None:
                yield "price_id_missing", name, "needs a SkuPriceId"


def pricing_currency(row: Row) -> Iterator[Finding]:
    """Find amounts in the pricing currency that differ from the same amounts in the same billing currency."""
    if row.get("PricingCurrency") != row.get("BillingCurrency"):
        return
    for priced, billed in _SAME_CURRENCY:
        if priced in row and billed in row and number(row[priced]) != number(row[billed]):
            yield "pricing_currency", priced, f"{row[priced]} is not {billed} {row[billed]} of the same currency"


RULES: tuple[Rule, ...] = (
    periods,
    issuer,
    subcategory,
    frequency,
    sold,
    unsold,
    products,
    together,
    credit,
    unpriced,
    pricing_currency,
)
"""Every rule about one row."""


@lru_cache(maxsize=8192)
def number(text: str | None) -> Decimal | None:
    """Return a value as a number, None when it is null or no number (which is found elsewhere)."""
    try:
        value = None if text is None else Decimal(text)
    except InvalidOperation:
        return None
    return value if value is None or value.is_finite() else None


def _near(price: Decimal, quantity: Decimal, cost: Decimal) -> bool:
    with localcontext(prec=100):
        product = price * quantity
        return abs(product - cost) <= TOLERANCE * max(abs(product), abs(cost))


class Across:
    """What rows must say about each other: one category per service, one SKU per price."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[str | None, ...]] = {}

    def check(self, row: Row) -> Iterator[Finding]:
        """Find rows that contradict an earlier one."""
        service = row.get("ServiceName")
        if service is not None:
            place = (row.get("ServiceCategory"), row.get("ServiceSubcategory"))
            if self._seen.setdefault(("service", service), place) != place:
                yield "service_two_categories", "ServiceName", f"{service!r} stands in two categories"
        price = row.get("SkuPriceId")
        if price is not None:
            parent = (row.get("SkuId"),)
            if self._seen.setdefault(("price", price), parent) != parent:
                yield "price_two_skus", "SkuPriceId", f"{price!r} belongs to two SKUs"
