"""How single values of a FOCUS file must be written: one function per kind of value, text in, defect out."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import lru_cache

from outlay.model.focus import SERVICE_CATEGORIES, SKU_PRICE_DETAIL_KEYS

_DATETIME = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\dZ")
_DECIMAL = re.compile(r"-?\d+(\.\d+)?([eE]-?\d+)?")
_CURRENCY = re.compile(r"[A-Z]{3}")
_UNLIKE_TEXT = re.compile(
    r"[-+]?[\d.,]+([eE][-+]?\d+)?|\d{4}-\d{2}-\d{2}.*|(?i:true|false|null|nan|inf)",
)
_STAND_INS = frozenset({"n/a", "na", "null", "none", "nan", "-", "unknown", "not applicable", "not available"})
_SIZES = frozenset({"b", "B", *(f"{prefix}{unit}" for prefix in "KMGTPE" for unit in ("b", "B", "ib", "iB"))})
_TIMES = ("Year", "Month", "Day", "Hour", "Minute", "Second")
_TIME_PLURALS = frozenset(f"{time}s" for time in _TIMES)
_COUNTED = re.compile(r"[1-9]\d* (.+)")
_NOUN = re.compile(r"[A-Z][A-Za-z]*( [A-Z][A-Za-z]*)*|v[A-Z][A-Za-z]*|AI [A-Z][A-Za-z]*")
_UNIT_MISSPELT = frozenset({"GBs", "MBs", "KBs", "TBs", "Gigabytes", "Gigabyte", "Megabytes", "Terabytes", "Kilobytes"})

ENUMERATIONS: dict[str, frozenset[str]] = {
    "ChargeCategory": frozenset({"Usage", "Purchase", "Tax", "Credit", "Adjustment"}),
    "ChargeClass": frozenset({"Correction"}),
    "ChargeFrequency": frozenset({"One-Time", "Recurring", "Usage-Based"}),
    "PricingCategory": frozenset({"Standard", "Committed", "Dynamic", "Other"}),
    "CommitmentDiscountCategory": frozenset({"Spend", "Usage"}),
    "CommitmentDiscountStatus": frozenset({"Used", "Unused"}),
    "CapacityReservationStatus": frozenset({"Used", "Unused"}),
    "ServiceCategory": frozenset(SERVICE_CATEGORIES),
}
IDS = frozenset(
    {
        "BillingAccountId",
        "SubAccountId",
        "ResourceId",
        "SkuId",
        "SkuPriceId",
        "InvoiceId",
        "InvoiceDetailId",
        "RegionId",
        "CommitmentDiscountId",
        "CapacityReservationId",
    }
)
UNITS = frozenset({"PricingUnit", "ConsumedUnit", "CommitmentDiscountUnit"})
CURRENCIES = frozenset({"BillingCurrency", "PricingCurrency"})
FREE = frozenset({"HostProviderName"})
"""Columns for which FOCUS prescribes a text that elsewhere is a stand-in for null."""

Defect = tuple[str, str] | None
"""A code and what is wrong, or None."""


def datetime_(text: str) -> Defect:
    """Return the defect of a time: UTC, to the second, with a T and a Z."""
    return None if _DATETIME.fullmatch(text) else ("datetime_format", f"{_shown(text)} is not YYYY-MM-DDTHH:MM:SSZ")


def decimal(text: str) -> Defect:
    """Return the defect of a number: no plus, no thousands mark, no unit."""
    return None if _DECIMAL.fullmatch(text) else ("number_format", f"{_shown(text)} is not a plain number")


def text(value: str) -> Defect:
    """Return the defect of a text: unknown is null and has no stand-in."""
    if not value.strip():
        return "null_as_text", "an empty text stands where null belongs"
    if value.strip().casefold() in _STAND_INS:
        return "null_as_text", f"{_shown(value)} stands where null belongs"
    return None


def identifier(value: str) -> Defect:
    """Return the defect of an id: one that a reader of CSV takes for a number, a date or a boolean."""
    if _UNLIKE_TEXT.fullmatch(value):
        return "id_not_text", f"{_shown(value)} reads as a number, a date or a boolean"
    return text(value)


def currency(value: str) -> Defect:
    """Return the defect of a currency code."""
    return None if _CURRENCY.fullmatch(value) else ("currency_format", f"{_shown(value)} is not an ISO 4217 code")


def unit(value: str) -> Defect:
    """Return the defect of a unit: `Tokens`, `GB-Hours`, `Requests/Second`, `1000000 Tokens`."""
    counted = _COUNTED.fullmatch(value)
    body = counted[1] if counted else value
    if "/" in body:
        noun, _, time = body.partition("/")
        good = _is_noun(noun) and time in _TIMES
    elif "-" in body:
        noun, _, time = body.rpartition("-")
        good = _is_noun(noun) and time in _TIME_PLURALS
    else:
        good = _is_noun(body)
    return None if good else ("unit_format", f"{_shown(value)} is not a unit in FOCUS's spelling")


def _is_noun(noun: str) -> bool:
    return noun in _SIZES or (bool(_NOUN.fullmatch(noun)) and noun not in _UNIT_MISSPELT)


def key_values(value: str) -> Defect:
    """Return the defect of a JSON column: one flat object of scalars with unique keys."""
    try:
        pairs = json.loads(value, object_pairs_hook=_Pairs)
    except ValueError:
        return "json_format", f"{_shown(value)} is not JSON"
    if not isinstance(pairs, _Pairs):
        return "json_format", "the value is not a JSON object"
    if any(isinstance(item, list) for _, item in pairs):
        return "json_nested", "the object holds an object or a list"
    if len({key for key, _ in pairs}) < len(pairs):
        return "json_duplicate_key", "the object holds a key twice"
    return None


def price_details(value: str) -> Defect:
    """Return the defect of SkuPriceDetails: keys that are neither FOCUS's own nor prefixed."""
    defect = key_values(value)
    if defect is None:
        for key in json.loads(value):
            if key not in SKU_PRICE_DETAIL_KEYS and not key.startswith("x_"):
                return "json_key_unprefixed", f"the key {_shown(key)} is neither FOCUS's own nor begins with x_"
    return defect


class _Pairs(list[tuple[str, object]]):
    """The pairs of a JSON object in the order written, duplicates included."""


def one_of(name: str) -> Callable[[str], Defect]:
    """Return the check of a column with a closed list of values."""
    allowed = ENUMERATIONS[name]

    def check(value: str) -> Defect:
        return None if value in allowed else ("value_not_allowed", f"{_shown(value)} is not among FOCUS's values")

    return check


@lru_cache(maxsize=256)
def check_for(name: str, type_: str) -> Callable[[str], Defect]:
    """Return the check of one column's values by its name and type."""
    if name in ENUMERATIONS:
        return one_of(name)
    details = frozenset({"SkuPriceDetails"})
    for names, check in ((IDS, identifier), (UNITS, unit), (CURRENCIES, currency), (details, price_details)):
        if name in names:
            return check
    by_type = {"datetime": datetime_, "decimal": decimal, "json": key_values}
    return by_type.get(type_, _anything if name in FREE else text)


def _anything(value: str) -> Defect:
    return None if value else ("null_as_text", "an empty text stands where null belongs")


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:37] + "...")  # noqa: PLR2004 - fits a line
