"""Google's public price list of the Gemini API: what each SKU is called and costs per unit, before any contract.

Two generations of the interface say the same: `/v2beta` is asked first, `/v1` where that one is not offered.
Never: take what an account pays by contract, or under a commitment, for the list price.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct, field

from outlay.model.facts import Name
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Cursor, Endpoint, FanOut, Follow, Refusal
from outlay.providers.google.accounts import BILLING, READ_BILLING, Amount
from outlay.providers.google.gemini import GEMINI_API

CURRENCY = "USD"
_DEFAULT = "consumptionModels/7754-699E-0EBF"
"""The consumption model of who has committed to nothing; every other price takes a commitment."""
_NOTHING = Raw(b"[]")
_LISTED = re.compile(
    r"(?P<text>.+): (?P<amount>\d+(?:\.\d+)?) (?P<currency>[A-Z]{3}) per (?:(?P<per>\d+(?:\.\d+)?) )?(?P<unit>[a-z]\w*)"
)


class Listed(NamedTuple):
    """A SKU's one list price. Units: `amount` of the currency for every `per` of the unit."""

    text: str
    amount: Decimal
    currency: str
    per: Decimal
    unit: str


class Step(NamedTuple):
    """A price from an amount of use on; the ones before keep their price."""

    start: Decimal
    price: Amount


def listed(name: str) -> Listed | None:
    """Return what the name of a SKU says of its price. Null: it has none, or several by amount of use."""
    found = _LISTED.fullmatch(name)
    if found is None:
        return None
    per = Decimal(found["per"] or 1)
    return Listed(found["text"], Decimal(found["amount"]), found["currency"], per, found["unit"])


def _words(steps: Sequence[Step], unit: str, per: Decimal = Decimal(1)) -> str:
    """Return a price in words that `listed` reads. Raises: ValueError for what is no price."""
    if not unit or per <= 0 or not per.is_finite():
        raise ValueError(f"its prices are per {per} {unit!r}")
    of = unit if per == 1 else f"{_plain(per)} {unit}"
    parts = []
    for step in steps:
        amount = step.price.exactly()
        if amount < 0 or step.start < 0 or not step.start.is_finite():
            raise ValueError(f"{amount} from {step.start} on is no price")
        if not step.price.currency_code:
            raise ValueError(f"{amount} has no currency")
        words = f"{_plain(amount)} {step.price.currency_code} per {of}"
        parts.append(f"{words} from {_plain(step.start)} on" if step.start else words)
    return ", ".join(parts)


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _named(sku_id: str, text: str, price: Callable[[], str]) -> Iterator[Name | Problem]:
    """Yield what a SKU is called and costs; a price in a form nobody knows is said and not guessed."""
    words = ""
    try:
        words = price()
    except (msgspec.DecodeError, ValueError, ArithmeticError) as error:
        yield Problem(
            code="price_unreadable",
            says=f"the list price of {text} ({sku_id}) cannot be read: {error}",
            hint="It has a name and no price here; Google's price list has it.",
            severity=Severity.WARNING,
        )
    yield Name(kind="sku", id=sku_id, name=f"{text}: {words}" if words else text)


# ── v1 ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Tier(Struct, rename="camel"):
    """A price from an amount of use on."""

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
    pricing_info: Raw = _NOTHING


class Skus(Struct, rename="camel"):
    """A page of a service's SKUs."""

    skus: list[Sku] = field(default_factory=list)
    next_page_token: str | None = None


def skus(page: Skus, _ask: Ask) -> Iterator[Name | Problem]:
    """Turn the catalogue into what SKUs are called, their list price with it.

    Units:  dollars per usage unit: `count` is one token, so prices have nine decimals.
    Source: https://docs.cloud.google.com/billing/docs/reference/rest/v1/services.skus/list
    """
    for sku in page.skus:
        yield from _named(sku.sku_id, sku.description, lambda sku=sku: _expressed(sku))  # type: ignore[misc]


def _expressed(sku: Sku) -> str:
    spans = msgspec.json.decode(sku.pricing_info, type=list[Pricing])
    if not spans:
        return ""
    said = spans[-1].pricing_expression
    steps = [Step(tier.start_usage_amount, tier.unit_price) for tier in said.tiered_rates]
    return _words(steps, said.usage_unit_description or said.usage_unit)


# ── v2beta ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Exact(Struct):
    """A decimal as text; empty text is zero."""

    value: str = ""

    def exactly(self) -> Decimal:
        """Return the number. Raises: ArithmeticError where it is none."""
        return Decimal(self.value or 0)


class RateTier(Struct, rename="camel"):
    """A list price from an amount of use on. A contract's price has a field of its own, which is not read."""

    list_price: Amount
    start_amount: Exact = field(default_factory=Exact)


class UnitInfo(Struct, rename="camel"):
    """What the price is for so many of."""

    unit: str
    unit_description: str | None = None
    unit_quantity: Exact = field(default_factory=lambda: Exact("1"))


class PriceRate(Struct, rename="camel"):
    """How use is priced."""

    unit_info: UnitInfo
    tiers: list[RateTier] = field(default_factory=list)


class ModelPrice(Struct, rename="camel"):
    """The price under one consumption model; without a word of it, of who has committed to nothing."""

    rate: PriceRate
    consumption_model: str = _DEFAULT


class SkuPrice(Struct, rename="camel"):
    """The prices of a SKU in a currency, by consumption model."""

    name: str
    currency_code: str = ""
    sku_prices: Raw = _NOTHING


class SkuPrices(Struct, rename="camel"):
    """A page of prices, of all services."""

    prices: list[SkuPrice] = field(default_factory=list)
    next_page_token: str | None = None


class NamedSku(Struct, rename="camel"):
    """One thing that is priced."""

    sku_id: str
    display_name: str


class NamedSkus(Struct, rename="camel"):
    """A page of a service's SKUs, without prices."""

    skus: list[NamedSku] = field(default_factory=list)
    next_page_token: str | None = None


def priced_skus(page: NamedSkus, ask: Ask) -> Iterator[Name | Problem]:
    """Turn SKUs and their prices into what SKUs are called, their list price with it.

    Units:  dollars per unit, `unitQuantity` of them at a time.
    Source: https://docs.cloud.google.com/billing/docs/reference/pricing-api/rest/v2beta/skus.prices
    """
    told = {
        price.name.split("/")[1]: price
        for prices in ask.followed.get("-", ())
        for price in prices.prices
        if price.name.startswith("skus/") and price.currency_code == CURRENCY
    }
    for sku in page.skus:
        yield from _named(sku.sku_id, sku.display_name, lambda sku=sku: _rated(told.get(sku.sku_id)))  # type: ignore[misc]


def _rated(price: SkuPrice | None) -> str:
    every = msgspec.json.decode(price.sku_prices, type=list[ModelPrice]) if price else []
    if not every:
        return ""
    found = [each.rate for each in every if each.consumption_model == _DEFAULT]
    if len(found) != 1:
        models = ", ".join(each.consumption_model for each in every)
        raise ValueError(f"which of its prices takes no commitment is not said: {models}")
    [rate] = found
    steps = [Step(tier.start_amount.exactly(), tier.list_price) for tier in rate.tiers]
    return _words(steps, rate.unit_info.unit_description or rate.unit_info.unit, rate.unit_info.unit_quantity.exactly())


def _every_sku(page: NamedSkus, _ask: Ask) -> list[str]:
    """Return the word for all SKUs: a dozen pages, where one by one would be hundreds of requests."""
    return ["-"] if page.skus else []


def _no_facts(_page: SkuPrices, _ask: Ask) -> Iterator[Name]:
    return iter(())


SKUS = Endpoint(
    name="gemini_prices",
    host=BILLING,
    path=f"/v1/services/{GEMINI_API}/skus",
    query={"currencyCode": CURRENCY, "pageSize": 5000},
    pages=Cursor("pageToken", "next_page_token"),
    scopes=READ_BILLING,
    page=Skus,
    facts=skus,
)
SKU_PRICES = Endpoint(
    name="gemini_sku_prices_v2beta",
    host=BILLING,
    path="/v2beta/skus/{sku}/prices",
    query={"currencyCode": CURRENCY, "pageSize": 5000},
    pages=Cursor("pageToken", "next_page_token"),
    scopes=READ_BILLING,
    # Where SKUs are listed and their prices are not there, the older interface is asked for both.
    refusals=(Refusal(404, "permission_missing", hint="Google's newer list of prices is not open to this account."),),
    each=FanOut("sku", "sku"),
    page=SkuPrices,
    facts=_no_facts,
)
PRICED_SKUS = Endpoint(
    name="gemini_prices_v2beta",
    host=BILLING,
    path="/v2beta/skus",
    query={"filter": f'service="services/{GEMINI_API}"', "pageSize": 5000},
    pages=Cursor("pageToken", "next_page_token"),
    scopes=READ_BILLING,
    page=NamedSkus,
    facts=priced_skus,
    then=Follow(SKU_PRICES, _every_sku),
)
SOURCES = {
    SKUS.name: f"{BILLING}{SKUS.path}",
    PRICED_SKUS.name: f"{BILLING}/v2beta/skus/-/prices",
}
"""Where a price came from, by the endpoint that told it."""
