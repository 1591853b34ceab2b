"""One customer's three tables, as the simulator holds them: the same money by day and invoice month, told as it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from outlay.model.facts import Category, Charge, Usage
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.base import Ask
from outlay.providers.google import export
from outlay.providers.google.bigquery import Cell, Column, Result, Row, _columns
from outlay.providers.google.export import DETAILED, FOCUS, STANDARD
from outlay.providers.google.rows import charges
from outlay.simulator import World
from outlay.simulator.faces.google_engine import Database, cell, fields_of
from outlay.simulator.faces.google_question import Question
from outlay.simulator.worlds.google import GoogleAccount

TODAY = date(2026, 11, 22)
DAYS = 70
"""Two closings of a month: tax, rounding, adjustments and corrections on the next month's invoice are in."""
PERIOD = Period.of_days(TODAY - timedelta(days=DAYS - 1), TODAY + timedelta(days=1))
Facts = Sequence[Charge | Usage | Problem]


@pytest.fixture(scope="module", params=[3, 11])
def customer(request: pytest.FixtureRequest) -> GoogleAccount:
    """Return a customer of the simulator."""
    found = World(request.param, TODAY, DAYS).account("google")
    assert isinstance(found, GoogleAccount)
    return found


def facts(customer: GoogleAccount, kind: str, key: str) -> Facts:
    """Return what our statement makes of one table of one of a customer's billing accounts."""
    database = Database.of(customer)
    [(place, name)] = [table for table, found in database.tables.items() if found == (kind, key)]
    columns = dict(_columns([msgspec.convert(each, Column) for each in fields_of(customer, kind)], ""))
    table = export.Table("sim-billing", place, name, kind, customer.accounts[key].id, columns, kind != FOCUS)
    sql, given = export.costs([(table, None, None)], PERIOD)
    parameters = [
        {"name": word, "parameterType": {"type": "TIMESTAMP"},
         "parameterValue": {"value": f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00"}}
        for word, moment in given.items()
    ]  # fmt: skip
    found = database.run(Question(sql, "sim-billing", "EU", None, parameters))
    rows = [Row([Cell(cell(value, each, "INT64")) for value, each in zip(row, found.fields, strict=True)])
            for row in found.rows or ()]  # fmt: skip
    return list(charges(Result(rows=rows), Ask("costs", PERIOD, {}, datetime(2026, 11, 22, 12, tzinfo=UTC))))


def net(found: Facts, *, resources: bool = True) -> dict[Any, Decimal]:
    """Return what charges come to by day and invoice month, and by project, SKU and resource where these are told."""
    sums: dict[Any, Decimal] = {}
    for each in found:
        if isinstance(each, Charge):
            assert each.billing_period is not None
            sku = None if each.charge_category is Category.TAX else each.sku_id
            key = (each.charge_period.first_day, f"{each.billing_period.first_day:%Y%m}", each.sub_account_id, sku,
                   each.resource_id if resources else None)  # fmt: skip
            sums[key] = sums.get(key, Decimal(0)) + each.billed_cost.amount
    return {key: amount for key, amount in sums.items() if amount}


def by_day_and_month(lines: dict[Any, Decimal]) -> dict[Any, Decimal]:
    """Return sums by day and invoice month alone."""
    sums: dict[Any, Decimal] = {}
    for (day, month, *_), amount in lines.items():
        sums[day, month] = sums.get((day, month), Decimal(0)) + amount
    return sums


@pytest.mark.parametrize("key", ["usd", "eur"])
def test_three_tables_hold_one_net(customer: GoogleAccount, key: str) -> None:
    """Detailed, standard and FOCUS come to the truth of each day and invoice month, line by line, tax and all."""
    found = {kind: facts(customer, kind, key) for kind in (DETAILED, STANDARD, FOCUS)}
    lines = {kind: net(each, resources=kind != STANDARD) for kind, each in found.items()}
    assert lines[DETAILED] == lines[FOCUS]
    assert net(found[DETAILED], resources=False) == lines[STANDARD]
    truth: dict[Any, Decimal] = {}
    for charge in customer.truth(key).charges():
        at = (charge.day, charge.value("invoice_month"))
        truth[at] = truth.get(at, Decimal(0)) + charge.billed
    assert by_day_and_month(lines[FOCUS]) == {at: amount for at, amount in truth.items() if amount}
    assert {month for day, month in truth if f"{day:%Y%m}" != month}
    assert {each.charge_category for each in found[FOCUS] if isinstance(each, Charge)} >= {
        Category.USAGE, Category.PURCHASE, Category.TAX, Category.ADJUSTMENT,
    }  # fmt: skip


def test_what_a_focus_row_leaves_open_is_told(customer: GoogleAccount) -> None:
    """FOCUS lists credits beside a net cost: that they are not added is said, once; the export has no such doubt."""
    told = {
        kind: [each.code for each in facts(customer, kind, "usd") if isinstance(each, Problem)]
        for kind in (DETAILED, FOCUS)
    }
    assert told == {DETAILED: [], FOCUS: ["credits_as_stated"]}


def test_credits_of_each_type_are_shown_alike(customer: GoogleAccount) -> None:
    """What each type of credit came to is the same in the details of either table."""

    def given(found: Facts) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = {}
        for each in found:
            if isinstance(each, Charge) and each.charge_category is not Category.CREDIT:
                for name, amount in (each.details or {}).items():
                    if name.startswith("credits."):
                        sums[name] = sums.get(name, Decimal(0)) + Decimal(amount or 0)
        return sums

    assert given(facts(customer, DETAILED, "usd")) == given(facts(customer, FOCUS, "usd")) != {}
