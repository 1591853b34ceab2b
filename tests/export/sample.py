"""A ledger that holds every kind of charge an export must get right."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec

from analysis.staging import charge, clock, put, put_days
from outlay.model.facts import Category, Charge, Frequency, Name
from outlay.model.period import Period
from outlay.store import Ledger

FIRST, END = date(2026, 10, 1), date(2026, 11, 1)
NAMES = Period.of_days(date(2000, 1, 1), date(2100, 1, 1))


def opened(home: Path, *, days: int = 31, fees: bool = False, invoiced: bool = False) -> Ledger:
    """Return a ledger with three vendors' charges.

    `fees` adds a plan fee that stands alone; `invoiced` puts every charge on an invoice instead of a few.
    """
    ledger = Ledger.open(home, clock=clock)
    month = [FIRST + timedelta(days=offset) for offset in range(days)]
    for connection, provider, account_id, charges in (
        ("openai-prod", "openai", "org-abc", _openai),
        ("claude", "anthropic", None, _anthropic),
        ("gh", "github", "42", _github),
    ):
        facts = {day: [_invoiced(each) if invoiced else each for each in charges(day)] for day in month}
        put_days(ledger, connection, "costs", facts, provider=provider, account_id=account_id)
    if fees:
        put(ledger, "gh", "fees", Period.of_days(FIRST, END), [_fee()], provider="github", account_id="42")
    names = [Name(kind="project", id="proj_a", name="Website"), Name(kind="repository", id="acme/site", name="site")]
    put(ledger, "openai-prod", "names", NAMES, names, provider="openai", account_id="org-abc")
    return ledger


def _invoiced(each: Charge) -> Charge:
    return msgspec.structs.replace(each, invoice_id="INV-9")


def _openai(day: date) -> list[Charge]:
    priced = charge(
        day,
        "1.25",
        list_cost="1.25",
        sku_id="gpt-5/input",
        sku_price_id="gpt-5/input@batch",
        sku_meter="input tokens",
        consumed_quantity=Decimal(500_000),
        consumed_unit="tokens",
        pricing_quantity=Decimal("0.5"),
        pricing_unit="1000000 Tokens",
        list_unit_price=Decimal("2.5"),
        sub_account_id="proj_a",
        model="gpt-5",
        service_tier="batch",
        tags={"team": "web", "spot": True},
    )
    bare = charge(day, "0.000012345678901234", sub_account_id="12345")
    prepaid = charge(day, "0", effective_cost="0.75", sku_id="gpt-5/output")
    refund = charge(day, "-0.5", correction=True, sku_id="gpt-5/input", charge_description="=refund")
    estimate = charge(day, "99", basis="estimated", service_name="OpenAI Batch")
    return [priced, bare, prepaid, refund, estimate]


def _anthropic(day: date) -> list[Charge]:
    service = "Claude API"
    tokens = charge(
        day,
        "0.345",
        service_name=service,
        sku_id="claude/output",
        consumed_quantity=Decimal(23_000),
        consumed_unit="tokens",
        sub_account_id="wrkspc_1",
        region_id="us",
        invoice_id="INV-7",
    )
    tax = charge(
        day,
        "0.07",
        service_name=service,
        charge_category=Category.TAX,
        charge_frequency=Frequency.RECURRING,
        sku_id="dropped",
    )
    credit = charge(
        day, "-5", service_name=service, charge_category=Category.CREDIT, charge_frequency=Frequency.ONE_TIME
    )
    rounding = charge(
        day, "0.01", service_name=service, charge_category=Category.ADJUSTMENT, charge_frequency=Frequency.ONE_TIME
    )
    return [tokens, tax, credit, rounding]


def _github(day: date) -> list[Charge]:
    minutes = charge(
        day,
        "0.6",
        list_cost="0.8",
        service_name="GitHub Actions",
        sku_id="actions_linux",
        consumed_quantity=Decimal(100),
        consumed_unit="minutes",
        pricing_quantity=Decimal(100),
        pricing_unit="Minutes",
        list_unit_price=Decimal("0.008"),
        sub_account_id="acme/site",
        sub_account_type="Repository",
        resource_id="77",
        resource_type="Workflow",
    )
    storage = charge(day, "0.1", service_name="Git LFS", sku_id="lfs_storage", currency="EUR")
    return [minutes, storage]


def _fee() -> Charge:
    return charge(
        FIRST,
        "84.0",
        list_cost="84.0",
        service_name="GitHub Team",
        charge_category=Category.PURCHASE,
        charge_frequency=Frequency.RECURRING,
        sku_id="team_seats",
        pricing_quantity=Decimal(21),
        pricing_unit="Months",
        list_unit_price=Decimal(4),
    )
