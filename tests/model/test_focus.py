"""The list of FOCUS columns is complete and its levels fit together."""

from __future__ import annotations

import pytest

from outlay.model.facts import Category, Frequency
from outlay.model.focus import (
    COLUMNS,
    DEFAULT_VERSION,
    SERVICE_CATEGORIES,
    SKU_PRICE_DETAIL_KEYS,
    VERSIONS,
    columns,
)
from outlay.providers import PROVIDERS


def test_columns_are_listed_once_in_order() -> None:
    """Each of the 67 columns occurs once, in alphabetical order, with a known type and known levels."""
    names = [column.name for column in COLUMNS]
    assert len(names) == len(set(names)) == 67
    assert names == sorted(names)
    assert {column.type for column in COLUMNS} == {"string", "decimal", "datetime", "json"}
    assert {level for column in COLUMNS for level in column.levels.values()} == {"M", "C", "R", ""}
    assert all(set(column.levels) == set(VERSIONS) for column in COLUMNS)


@pytest.mark.parametrize(("version", "count", "mandatory"), [("1.2", 57, 21), ("1.3", 65, 23), ("1.4", 65, 21)])
def test_versions_have_their_columns(version: str, count: int, mandatory: int) -> None:
    """A version's file has the columns its specification lists."""
    present = columns(version)
    assert len(present) == count
    assert sum(column.level(version) == "M" for column in present) == mandatory


def test_the_default_version_is_one_of_them() -> None:
    """Exports without a version ask for one that exists."""
    assert DEFAULT_VERSION in VERSIONS


def test_what_identifies_a_charge_is_mandatory_everywhere() -> None:
    """Cost, currency, account, period and service are there in every version, and never null."""
    always = {
        column.name for column in COLUMNS if all(column.level(v) == "M" for v in VERSIONS) and not column.nullable
    }
    assert {
        "BilledCost",
        "EffectiveCost",
        "ListCost",
        "ContractedCost",
        "BillingCurrency",
        "BillingAccountId",
        "ChargePeriodStart",
        "ChargePeriodEnd",
        "BillingPeriodStart",
        "BillingPeriodEnd",
        "ChargeCategory",
        "ServiceCategory",
        "ServiceName",
        "InvoiceIssuerName",
    } <= always


def test_every_category_has_an_other() -> None:
    """What fits nowhere has a place in each of the 19 categories, and a subcategory has one category."""
    assert len(SERVICE_CATEGORIES) == 19
    for category, subcategories in SERVICE_CATEGORIES.items():
        assert f"Other ({category})" in subcategories
    listed = [sub for subs in SERVICE_CATEGORIES.values() for sub in subs]
    assert len(listed) == len(set(listed))


def test_words_of_charges_are_the_specification_s() -> None:
    """Categories and frequencies are spelled as FOCUS allows them."""
    assert {str(category) for category in Category} == {"Usage", "Purchase", "Tax", "Credit", "Adjustment"}
    assert {str(frequency) for frequency in Frequency} == {"One-Time", "Recurring", "Usage-Based"}


def test_price_detail_keys_need_no_prefix() -> None:
    """The keys that FOCUS defines are not ours."""
    assert not any(key.startswith("x_") for key in SKU_PRICE_DETAIL_KEYS)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.id)
def test_providers_place_their_services_in_the_lists(provider: object) -> None:
    """Each service a provider names stands in a category and a subcategory that FOCUS has."""
    for service in (*provider.services.values(), provider.default_service):  # type: ignore[attr-defined]
        assert service.subcategory in SERVICE_CATEGORIES[service.category]
