"""Turn the summed rows of Google's export into charges and usage.

A charge's `billed_cost` is net: Google's cost less every credit that belongs to the line. Promotions are money granted
and stand as credits of their own beside it. Both together are exactly cost plus credits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation

import msgspec

from outlay.model.facts import Category, Charge, Frequency, Usage
from outlay.model.money import Money, exact, plus
from outlay.model.period import Period
from outlay.model.problem import NOT_EXPORTED, UNTOLD, Problem, Severity
from outlay.model.units import UNITS
from outlay.providers.base import Ask
from outlay.providers.google import gemini
from outlay.providers.google.bigquery import Result
from outlay.providers.google.export import COLUMNS, CREDIT_TYPES, FOCUS, OTHER_CREDIT

NO_SERVICE = "Google Cloud"
"""What charges without a service are under: tax, rounding, account-level adjustments."""
_PROMOTION = "PROMOTION"
_CREDITS = (*CREDIT_TYPES, OTHER_CREDIT)
_DULL = (None, "", "regular", "Default", "GOOGLE")
_LIMIT = Decimal(10) ** 19
_GIB = Decimal(2**30)
_UNITS = {"byte": "bytes", "bytes": "bytes", "second": "seconds", "seconds": "seconds", "count": "count",
          "requests": "requests", "request": "requests", "byte-seconds": "byte_seconds"}  # fmt: skip
_KEPT = ("cost_type", "adjustment_id", "adjustment_text", "adjustment_mode", "adjustment_type", "transaction_type",
         "project_name", "project_number", "consumption_name", "publisher_type")  # fmt: skip
_CATEGORIES = {
    "regular": Category.USAGE,
    "tax": Category.TAX,
    "adjustment": Category.ADJUSTMENT,
    "rounding_error": Category.ADJUSTMENT,
}
_STATED = frozenset(str(each) for each in Category)
_FREQUENCIES = {
    Category.USAGE: Frequency.USAGE_BASED,
    Category.PURCHASE: Frequency.RECURRING,
    Category.TAX: Frequency.RECURRING,
}
_COMMITMENT = ("Commitment - ", "Commitment v", "Commitment:")
Cells = Mapping[str, str | None]


def charges(page: Result, ask: Ask) -> Iterator[Charge | Usage | Problem]:
    """Turn summed rows into what each day cost, net, and how much was used.

    Units:  decimal text in the row's currency; quantities in Google's own units, so many to a row of the price list.
    Null:   a day's project, SKU and resource are null for what belongs to the account; a list price where any row of a
            sum has none.
    Source: https://docs.cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/detailed-usage
    """
    if page.total_bytes_processed is not None:
        yield Problem(
            code="bytes_scanned",
            says=f"a query over {ask.period.first_day} to {ask.period.end_day} read {page.total_bytes_processed} bytes",
            hint="Google bills what its queries read; `max_bytes_billed` bounds it.",
            severity=Severity.NOTE,
        )
    if page.table is not None and tuple(column.name for column in page.table.fields) != COLUMNS:
        raise ValueError("the result has other columns than were asked for")
    credited = False
    for row in page.rows:
        cells = dict(zip(COLUMNS, (cell.v for cell in row.f), strict=True))
        if cells["row_count"] == "0":
            yield from _unexported(cells)
            continue
        credited |= cells["source"] == FOCUS and any(cells[f"credit_{kind.lower()}"] for kind in _CREDITS)
        period = Period.of_day(date.fromisoformat(cells["usage_day"] or ""))
        try:
            yield from _line(cells, period)
        except (ValueError, InvalidOperation) as error:
            yield Problem(
                code="amount_refused",
                says=f"{period.first_day}: {error}",
                hint="Update outlay; if it stays, report it.",
                period=period,
            )
    if credited:
        yield Problem(
            code="credits_as_stated",
            says=f"{ask.period.first_day} to {ask.period.end_day}: billed costs are as the FOCUS table states them; "
            "the credits that stand beside them are shown and not added",
            hint="Name the dataset of the detailed export: there costs and credits add up to the net.",
            severity=Severity.NOTE,
        )


def _unexported(cells: Cells) -> Iterator[Problem]:
    """Yield the days before an account's export begins: nothing in it of a day does not say the day cost nothing."""
    first, days = date.fromisoformat(cells["usage_day"] or ""), int(cells["unreadable"] or 0)
    begin = first + timedelta(days=days)
    for number in range(days):
        yield Problem(
            code=NOT_EXPORTED,
            says=f"the export of billing account {cells['billing_account_id']} holds nothing before {begin}",
            hint=UNTOLD[NOT_EXPORTED],
            severity=Severity.LACKING,
            period=Period.of_day(first + timedelta(days=number)),
        )


def _line(cells: Cells, period: Period) -> Iterator[Charge | Usage]:
    if cells["unreadable"] not in (None, "0"):
        raise ValueError(f"{cells['unreadable']} rows of the export state no amount, or none that is a number")
    currency = cells["currency"]
    if not currency:
        raise ValueError("rows of the export have no currency")
    given = {kind: _number(cells[f"credit_{kind.lower()}"]) for kind in _CREDITS}
    gross = _number(cells["gross"])
    if gross is None:
        raise ValueError("rows of the export have no cost")
    # Google's FOCUS table states billed costs: whether its credits are in is Google's to say, and adding them is not.
    own = cells["source"] != FOCUS
    net, granted = exact(gross), Decimal(0)
    for kind, amount in given.items():
        if own and amount is not None:
            if kind == _PROMOTION:
                granted = plus(granted, amount)
            else:
                net = plus(net, amount)
    whole = _charge(cells, period, Money(net, currency), _details(cells, gross, given))
    quantity = _number(cells["consumed"])
    if net or gross or quantity or whole.list_cost:
        yield whole
    if granted:
        yield _grant(whole, Money(granted, currency))
    if whole.charge_category is Category.USAGE:
        yield from _usage(whole, quantity, cells["usage_unit"])


def _charge(cells: Cells, period: Period, billed: Money, details: dict[str, str | None] | None) -> Charge:
    category = _category(cells)
    used = category is Category.USAGE
    # Tax, rounding and adjustments have no price: all four costs are what they come to.
    priceable = used or category is Category.PURCHASE
    sku = None if category is Category.TAX else cells["sku_id"]
    model = gemini.told(cells["service_id"], cells["sku_name"])
    consumption = cells["consumption_model"]
    committed = bool(consumption) and (cells["consumption_name"] or "").lower() != "default"
    billing = _month(cells["invoice_month"])
    resource = cells["resource"] or cells["resource_name"]
    consumed, priced = (_fitting(cells[name]) if used and sku else None for name in ("consumed", "priced"))
    return Charge(
        charge_period=period,
        billed_cost=billed,
        effective_cost=_money(cells["effective_cost"], billed.currency) if cells["source"] == FOCUS else None,
        list_cost=_money(cells["list_cost"], billed.currency) if priceable else billed,
        # Google's cost is after the contract's discounts and before credits, which is what contracted means.
        contracted_cost=_money(cells["contracted_cost"] or cells["gross"], billed.currency) if priceable else billed,
        service_name=cells["service_name"] or NO_SERVICE,
        charge_category=category,
        charge_frequency=_FREQUENCIES.get(category, Frequency.ONE_TIME),
        correction=_corrects(cells, category, billing, period),
        charge_description=cells["sku_name"],
        sku_id=sku,
        sku_price_id=(f"{sku}/{consumption}" if committed else sku) if used or category is Category.PURCHASE else None,
        sku_meter=model.meter or (cells["sku_name"] if used else None),
        consumed_quantity=consumed if cells["usage_unit"] else None,
        consumed_unit=_unit(cells["usage_unit"], model) if consumed is not None else None,
        pricing_quantity=priced if cells["pricing_unit"] else None,
        pricing_unit=cells["pricing_unit"] if priced is not None else None,
        pricing_category=("Committed" if committed else "Standard") if used and sku else None,
        billing_period=billing,
        billing_account_id=(cells["billing_account_id"] or "").removeprefix("billingAccounts/") or None,
        sub_account_id=cells["project_id"],
        sub_account_type="Project" if cells["project_id"] else None,
        resource_id=resource,
        resource_type="Resource" if resource else None,
        region_id=cells["region"],
        publisher_name=cells["seller_name"],
        model=model.model,
        service_tier=model.service_tier,
        context_window=model.context_window,
        tags=_tags(cells["labels_text"]),
        details=details,
    )


def _category(cells: Cells) -> Category:
    kind, stated = cells["cost_type"], cells["charge_category"]
    if stated in _STATED:
        # Google's FOCUS table says what a charge is itself, of a commitment's fee too, whose cost type is regular.
        return Category(stated)
    category = _CATEGORIES.get((kind or "").lower())
    if category is None:
        raise ValueError(f"the cost type {kind!r} is not known")
    if category is Category.USAGE and (cells["sku_name"] or "").startswith(_COMMITMENT):
        return Category.PURCHASE
    return category


def _corrects(cells: Cells, category: Category, billing: Period | None, period: Period) -> bool:
    """Tell whether a line corrects a month that was invoiced before."""
    if cells["charge_class"]:
        return cells["charge_class"] == "Correction"
    return category is Category.ADJUSTMENT and billing is not None and billing.start > period.start


def _grant(whole: Charge, granted: Money) -> Charge:
    return Charge(
        charge_period=whole.charge_period,
        billed_cost=granted,
        list_cost=granted,
        contracted_cost=granted,
        service_name=whole.service_name,
        charge_category=Category.CREDIT,
        charge_frequency=Frequency.ONE_TIME,
        charge_description=f"Promotional credit: {whole.charge_description or whole.service_name}",
        sku_id=whole.sku_id,
        billing_period=whole.billing_period,
        billing_account_id=whole.billing_account_id,
        sub_account_id=whole.sub_account_id,
        sub_account_type=whole.sub_account_type,
        resource_id=whole.resource_id,
        resource_type=whole.resource_type,
        region_id=whole.region_id,
        publisher_name=whole.publisher_name,
        model=whole.model,
        service_tier=whole.service_tier,
        context_window=whole.context_window,
        tags=whole.tags,
        details=whole.details,
    )


def _usage(whole: Charge, quantity: Decimal | None, unit: str | None) -> Iterator[Usage]:
    if not quantity or not unit or whole.sku_id is None:
        return
    name = whole.consumed_unit or _UNITS.get(unit, unit)
    if name == "bytes" and abs(quantity) >= _LIMIT:
        # More bytes than the ledger counts one by one: a power of two loses nothing that matters.
        name, quantity = "gib", quantity / _GIB
    if abs(quantity) >= _LIMIT:
        return
    assert name in UNITS or name == unit
    yield Usage(
        usage_period=whole.charge_period,
        meter=whole.sku_meter or whole.sku_id,
        unit=name,
        quantity=exact(quantity),
        service_name=whole.service_name,
        sku_id=whole.sku_id,
        sub_account_id=whole.sub_account_id,
        resource_id=whole.resource_id,
        region_id=whole.region_id,
        model=whole.model,
        service_tier=whole.service_tier,
        context_window=whole.context_window,
        tags=whole.tags,
        details=None,
    )


def _unit(said: str | None, model: gemini.Told) -> str | None:
    """Return a unit in the ledger's words: what a SKU of tokens counts is tokens."""
    return "tokens" if said == "count" and model.meter else _UNITS.get(said or "", said)


def _details(cells: Cells, gross: Decimal, by_type: Mapping[str, Decimal | None]) -> dict[str, str | None] | None:
    details = {name: cells[name] for name in _KEPT if cells[name] not in _DULL}
    month = cells["invoice_month"] or ""
    # One day may be billed in two months: what tells the lines apart must be in their key.
    if month != (cells["usage_day"] or "")[:7].replace("-", ""):
        details["invoice_month"] = month
    given = {f"credits.{kind}": _plain(amount) for kind, amount in by_type.items() if amount}
    if given:
        details |= {"cost": _plain(gross), **given}
    return details or None


def _number(text: str | None) -> Decimal | None:
    if text is None:
        return None
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is not an amount")
    return number


def _fitting(text: str | None) -> Decimal | None:
    """Return a quantity the ledger can hold; byte-seconds of a large account are beyond it."""
    number = _number(text)
    return None if number is None or abs(number) >= _LIMIT else exact(number)


def _money(text: str | None, currency: str) -> Money | None:
    number = _number(text)
    return None if number is None else Money(number, currency)


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") or "0" if "." in text else text


def _month(text: str | None) -> Period | None:
    """Return the month of `YYYYMM`. Raises: ValueError for anything else."""
    return Period.of_month(date(int(text[:4]), int(text[4:]), 1)) if text else None


def _tags(text: str | None) -> dict[str, str | bool | None] | None:
    if not text:
        return None
    return msgspec.json.decode(f"{{{text}}}", type=dict[str, str | bool | None])
