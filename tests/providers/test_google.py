"""Google's SQL, run by an engine over tables as the vendor documents them: exact sums, whole days, one table each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import msgspec
import pytest
import sqlglot

from outlay.clock import midnight
from outlay.model.facts import Charge, Name, Usage
from outlay.model.period import Period
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask
from outlay.providers.google import export, gemini, patience, prices
from outlay.providers.google.accounts import Amount
from outlay.providers.google.bigquery import Cell, Result, Row
from outlay.providers.google.export import COLUMNS, DETAILED, FOCUS, STANDARD, Table
from outlay.providers.google.rows import charges

ACCOUNT, OTHER = "0A1B2C-3D4E5F-6A7B8C", "111111-222222-333333"
WEEK = Period.of_days(date(2026, 11, 1), date(2026, 11, 8))
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OPTIONS = {"project": "acme-billing", "dataset": "billing", "location": "EU"}
ASK = Ask("costs", WEEK, OPTIONS, NOW)
TYPES = {
    "billing_account_id": "STRING", "service.id": "STRING", "service.description": "STRING", "sku.id": "STRING",
    "sku.description": "STRING", "usage_start_time": "TIMESTAMP", "project.id": "STRING", "project.name": "STRING",
    "labels.key": "STRING", "labels.value": "STRING", "cost": "FLOAT", "currency": "STRING", "usage.amount": "FLOAT",
    "usage.unit": "STRING", "credits.amount": "FLOAT", "credits.type": "STRING", "invoice.month": "STRING",
    "cost_type": "STRING", "export_time": "TIMESTAMP", "cost_at_list": "FLOAT",
}  # fmt: skip
DDL = (
    "billing_account_id VARCHAR, service STRUCT(id VARCHAR, description VARCHAR),"
    " sku STRUCT(id VARCHAR, description VARCHAR), usage_start_time TIMESTAMPTZ,"
    " project STRUCT(id VARCHAR, name VARCHAR),"
    " labels STRUCT(key VARCHAR, value VARCHAR)[], cost DOUBLE, currency VARCHAR,"
    " usage STRUCT(amount DOUBLE, unit VARCHAR), credits STRUCT(amount DOUBLE, type VARCHAR)[],"
    " invoice STRUCT(month VARCHAR), cost_type VARCHAR, export_time TIMESTAMPTZ, cost_at_list DOUBLE,"
    " _PARTITIONTIME TIMESTAMPTZ"
)


def table(kind: str = STANDARD, account: str = ACCOUNT, **changes: Any) -> Table:
    """Return a table of the columns above."""
    names = {STANDARD: "v1", DETAILED: "resource_v1", FOCUS: "focus"}
    name = f"gcp_billing_export_{names[kind]}_{account.replace('-', '_')}"
    fields = {"columns": TYPES, "by_load_time": True, **changes}
    return Table("acme", "billing", name, kind, account, **fields)


class Warehouse:
    """Runs the vendor's SQL."""

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("ATTACH ':memory:' AS acme")
        self.connection.execute("CREATE SCHEMA acme.billing")

    def fill(self, into: Table, *rows: Mapping[str, Any], ddl: str = DDL) -> None:
        """Make a table and put rows into it."""
        self.connection.execute(f'CREATE TABLE acme.billing."{into.name}" ({ddl})')
        for row in rows:
            marks = ", ".join("?" for _ in row)
            columns = ", ".join(row)
            self.connection.execute(
                f'INSERT INTO acme.billing."{into.name}" ({columns}) VALUES ({marks})', list(row.values())
            )

    def run(self, sql: str, given: Mapping[str, datetime]) -> list[tuple[Any, ...]]:
        """Return the rows of a statement."""
        [text] = sqlglot.transpile(sql, read="bigquery", write="duckdb")
        text = text.replace("DECIMAL(38, 5)", "DECIMAL(38, 18)").replace("t._PARTITIONTIME", "t._partitiontime")
        texts = ", ".join(f"x{n}::VARCHAR" for n in range(self._width(text, given)))
        names = ", ".join(f"x{n}" for n in range(self._width(text, given)))
        return self.connection.execute(f"SELECT {texts} FROM ({text}) AS result({names})", dict(given)).fetchall()

    def _width(self, text: str, given: Mapping[str, datetime]) -> int:
        return len(self.connection.execute(text + " LIMIT 0", dict(given)).description or ())


def line(day: int = 2, cost: float = 1.0, **changes: Any) -> dict[str, Any]:
    """Return one row of an export."""
    at = datetime(2026, 11, day, 5, tzinfo=UTC)
    return {
        "billing_account_id": ACCOUNT, "service": {"id": "AEFD-7695-64FA", "description": "Gemini API"},
        "sku": {"id": "SKU-1", "description": "Gemini words"}, "usage_start_time": at,
        "project": {"id": "web", "name": "Web"}, "labels": [], "cost": cost, "currency": "EUR",
        "usage": {"amount": 10.0, "unit": "count"}, "credits": [], "invoice": {"month": "202611"},
        "cost_type": "regular", "export_time": at + timedelta(hours=6), "cost_at_list": cost,
        "_PARTITIONTIME": datetime(2026, 11, day, tzinfo=UTC), **changes,
    }  # fmt: skip


def facts(rows: list[tuple[Any, ...]]) -> list[Charge | Usage | Problem]:
    """Return what rows mean."""
    page = Result(rows=[Row([Cell(None if cell is None else str(cell)) for cell in row]) for row in rows])
    return list(charges(page, ASK))


def summed(*rows: Mapping[str, Any], of: Table | None = None, ddl: str = DDL) -> list[Charge | Usage | Problem]:
    """Return what the summed rows of one table mean."""
    house, one = Warehouse(), of or table()
    house.fill(one, *rows, ddl=ddl)
    return facts(house.run(*export.costs([(one, None, None)], WEEK)))


def billed(found: list[Charge | Usage | Problem]) -> Decimal:
    """Return the net cost."""
    return sum((each.billed_cost.amount for each in found if isinstance(each, Charge)), Decimal(0))


def credit(kind: str | None, amount: float) -> dict[str, Any]:
    """Return one credit."""
    return {"amount": amount, "type": kind}


# ── Sums ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_credits_do_not_count_a_cost_twice() -> None:
    """The trap of joining credits: a row with two of them costs what it costs once, less both."""
    found = summed(line(cost=10, credits=[credit("DISCOUNT", -3.0), credit("FREE_TIER", -2.0)]))
    assert billed(found) == 5
    [charge] = [each for each in found if isinstance(each, Charge)]
    assert charge.details is not None
    assert charge.details["cost"] == "10"
    assert (charge.details["credits.DISCOUNT"], charge.details["credits.FREE_TIER"]) == ("-3", "-2")


def test_two_credits_of_one_type_both_count() -> None:
    """Two discounts of one row are both in its net, as are those of the other rows of its day."""
    found = summed(
        line(cost=10, credits=[credit("DISCOUNT", -3.0), credit("DISCOUNT", -2.0)]),
        line(cost=1, credits=[credit("DISCOUNT", -0.25)]),
    )
    [charge] = [each for each in found if isinstance(each, Charge)]
    assert charge.billed_cost.amount == Decimal("5.75")
    assert (charge.details or {})["credits.DISCOUNT"] == "-5.25"


def test_promotions_stand_apart_and_the_sum_is_the_same() -> None:
    """Money that was granted is a credit of its own; any other lowers its line: of unheard-of types, of none."""
    given = (("PROMOTION", -4.0), ("DISCOUNT", -1.0), ("TOMORROW", -2.0), (None, -0.5))
    found = summed(line(cost=10, credits=[credit(kind, amount) for kind, amount in given]))
    amounts = {str(each.charge_category): each.billed_cost.amount for each in found if isinstance(each, Charge)}
    assert amounts == {"Usage": Decimal("6.5"), "Credit": -4}


def test_sums_of_binary_floats_are_decimal() -> None:
    """Ten tenths are one, in any order, and tiny amounts in exponent form are not lost."""
    rows = [line(cost=0.1) for _ in range(10)] + [line(cost=1e-7), line(cost=2.5e-9)]
    rows = rows[5:] + rows[:5]
    assert billed(summed(*rows)) == Decimal("1.0000001025")


def test_hours_of_a_day_are_one_line_and_labels_in_any_order_the_same() -> None:
    """Only aggregates come over; labels are told apart by what they say and not by their order."""
    one, two = {"key": "env", "value": "prod"}, {"key": "team", "value": 'a "b"'}
    found = summed(line(labels=[one, two]), line(labels=[two, one]), line(labels=[]))
    tags = {str(each.tags): each.billed_cost.amount for each in found if isinstance(each, Charge)}
    assert tags == {str({"env": "prod", "team": 'a "b"'}): 2, "None": 1}


@pytest.mark.parametrize(
    "broken",
    [line(cost=float("nan")), line(cost=None), line(credits=[credit("DISCOUNT", float("inf"))])],  # type: ignore[arg-type]
    ids=["not a number", "no cost", "an infinite credit"],
)
def test_a_row_without_an_amount_fails_its_day(broken: dict[str, Any]) -> None:
    """What cannot be added is not left out: the day is refused and the next one stands."""
    found = summed(broken, line(), line(day=3, cost=7))
    fatal = [each for each in found if isinstance(each, Problem) and each.severity is Severity.FATAL]
    assert [each.period for each in fatal] == [Period.of_day(date(2026, 11, 2))]
    assert [each.charge_period.first_day.day for each in found if isinstance(each, Charge)] == [3]


def test_a_credit_without_an_amount_fails_its_day_whatever_its_type() -> None:
    """Where amounts are NUMERIC a credit of nothing known is as little zero as where they are floats."""
    exactly = table(columns={**TYPES, "cost": "NUMERIC", "credits.amount": "NUMERIC"})
    found = summed(line(credits=[{"amount": None, "type": "DISCOUNT"}]), line(day=3, cost=7), of=exactly)
    assert [each.period for each in found if isinstance(each, Problem)] == [Period.of_day(date(2026, 11, 2))]
    assert billed(found) == 7


def test_currencies_accounts_and_null_projects_stay_apart() -> None:
    """Two currencies are never one sum, and what has no project is not left out."""
    found = summed(line(), line(currency="JPY", cost=120), line(project=None, cost=3), line(billing_account_id=OTHER))
    keys = {(each.billed_cost.currency, each.sub_account_id, each.billing_account_id): each.billed_cost.amount
            for each in found if isinstance(each, Charge)}  # fmt: skip
    assert keys == {("EUR", "web", ACCOUNT): 1, ("JPY", "web", ACCOUNT): 120, ("EUR", None, ACCOUNT): 3,
                    ("EUR", "web", OTHER): 1}  # fmt: skip


def test_a_day_may_be_billed_in_two_months() -> None:
    """Rows of one day with another invoice month are lines of their own, and neither is lost."""
    found = [each for each in summed(line(day=1, invoice={"month": "202610"}), line(day=1)) if isinstance(each, Charge)]
    months = {each.billing_period.first_day.month for each in found if each.billing_period}
    assert months == {10, 11}
    assert len({str(each.details) for each in found}) == 2


def test_a_list_price_of_a_part_is_not_that_of_the_whole() -> None:
    """A sum in which one row has no list price has none, and the cost itself stands."""
    [charge] = [each for each in summed(line(), line(cost_at_list=None)) if isinstance(each, Charge)]
    assert (charge.list_cost, charge.billed_cost.amount) == (None, 2)


def test_late_rows_are_in_and_other_days_are_not() -> None:
    """A day is summed from all its rows, whenever they were exported, and from no row of another day."""
    late = line(cost=5, export_time=NOW, _PARTITIONTIME=datetime(2026, 11, 22, tzinfo=UTC))
    assert billed(summed(line(), late, line(day=9, cost=100))) == 6


def test_missing_columns_are_null_and_missing_needed_ones_are_told() -> None:
    """An account without list prices or labels is read all the same; one without a cost column is not."""
    fewer = {path: kind for path, kind in TYPES.items() if not path.startswith(("labels", "cost_at_list", "project.n"))}
    [charge] = [each for each in summed(line(), of=table(columns=fewer)) if isinstance(each, Charge)]
    assert (charge.list_cost, charge.tags) == (None, None)
    assert table(columns={path: kind for path, kind in TYPES.items() if path != "cost"}).lacking == ["cost"]


def test_focus_credits_are_never_added() -> None:
    """Google's FOCUS table states what is billed; its credits are shown beside it."""
    kinds = {"BillingAccountId": "STRING", "BillingPeriodStart": "TIMESTAMP", "ChargeCategory": "STRING",
             "BillingCurrency": "STRING", "BilledCost": "NUMERIC", "ChargePeriodStart": "TIMESTAMP",
             "x_ExportTime": "TIMESTAMP", "SkuId": "STRING", "ServiceName": "STRING", "SubAccountId": "STRING",
             "x_Credits.Amount": "NUMERIC", "x_Credits.Type": "STRING", "EffectiveCost": "NUMERIC"}  # fmt: skip
    ddl = ("BillingAccountId VARCHAR, BillingPeriodStart TIMESTAMPTZ, ChargeCategory VARCHAR, BillingCurrency VARCHAR,"
           " BilledCost DECIMAL(38, 9), ChargePeriodStart TIMESTAMPTZ, x_ExportTime TIMESTAMPTZ, SkuId VARCHAR,"
           " ServiceName VARCHAR, SubAccountId VARCHAR, EffectiveCost DECIMAL(38, 9),"
           " x_Credits STRUCT(Amount DECIMAL(38, 9), Type VARCHAR)[]")  # fmt: skip
    row = {"BillingAccountId": ACCOUNT, "BillingPeriodStart": datetime(2026, 11, 1, tzinfo=UTC),
           "ChargeCategory": "Usage", "BillingCurrency": "EUR", "BilledCost": Decimal("2.5"),
           "ChargePeriodStart": datetime(2026, 11, 2, tzinfo=UTC), "x_ExportTime": NOW, "SkuId": "SKU-1",
           "ServiceName": "Gemini API", "SubAccountId": "web", "EffectiveCost": Decimal("2.5"),
           "x_Credits": [{"Amount": Decimal("-0.5"), "Type": "DISCOUNT"}]}  # fmt: skip
    one = table(FOCUS, columns=kinds, by_load_time=False)
    assert one.lacking == []
    found = summed(row, of=one, ddl=ddl)
    assert billed(found) == Decimal("2.5")
    [charge] = [each for each in found if isinstance(each, Charge)]
    assert charge.details == {"cost": "2.5", "credits.DISCOUNT": "-0.5"}


def test_what_google_says_a_charge_is_comes_before_its_cost_type() -> None:
    """A commitment's fee is a purchase in the FOCUS table and of the regular cost type; an unknown word is no word."""
    cells: dict[str, str | None] = dict.fromkeys(COLUMNS)
    cells |= {"usage_day": "2026-11-02", "source": FOCUS, "cost_type": "regular", "currency": "EUR", "gross": "2.5",
              "sku_id": "SKU-1", "unreadable": "0", "row_count": "1"}  # fmt: skip
    rows = [
        tuple({**cells, "charge_category": said}.values())
        for said in ("Purchase", "Tax", "Credit", "Adjustment", "Usage", None, "Error")
    ]
    told = [str(each.charge_category) for each in facts(rows) if isinstance(each, Charge)]
    assert told == ["Purchase", "Tax", "Credit", "Adjustment", "Usage", "Usage", "Usage"]


# ── Which table, which days ──────────────────────────────────────────────────────────────────────────────────────


def test_one_table_speaks_for_one_account_and_day() -> None:
    """The detailed one, else the standard one, else FOCUS; never two of them for one day."""
    assert [one.kind for one, _, _ in export.chosen([table(FOCUS), table(STANDARD), table(DETAILED)])] == [DETAILED]
    assert [one.kind for one, _, _ in export.chosen([table(FOCUS), table(STANDARD)])] == [STANDARD]
    assert [one.kind for one, _, _ in export.chosen([table(FOCUS)])] == [FOCUS]
    assert len(export.chosen([table(STANDARD), table(DETAILED, OTHER)])) == 2


def test_a_detailed_export_switched_on_later_leaves_earlier_days_to_the_standard_one() -> None:
    """Days up to the one on which it was switched on would be missing or cut in the detailed table."""
    old, new = table(created=date(2026, 1, 1)), table(DETAILED, created=date(2026, 11, 3))
    house = Warehouse()
    house.fill(old, *(line(day=day) for day in (2, 3, 4)))
    house.fill(new, line(day=3, cost=0.5), line(day=4))
    found = facts(house.run(*export.costs(export.chosen([old, new]), WEEK)))
    days = {each.charge_period.first_day.day: each.billed_cost.amount for each in found if isinstance(each, Charge)}
    assert days == {2: 1, 3: 1, 4: 1}


def test_days_that_the_detailed_export_lacks_are_those_of_the_standard_one() -> None:
    """One that was switched off, or is behind, is passed over where the other has more; never are both read."""
    day = midnight(date(2026, 11, 1))
    old, new = table(created=date(2026, 6, 1)), table(DETAILED, created=date(2026, 1, 1))
    house = Warehouse()
    rows = [line(day=each, cost=cost) for each, cost in ((3, 30), (4, 40), (6, 60))]
    house.fill(old, *rows, line(day=4, cost=4, usage_start_time=day + timedelta(days=3, hours=9)))
    house.fill(new, line(day=2), line(day=3, cost=15), line(day=3, cost=15), line(day=4, cost=40))
    told = house.run(*export.coverage(export.rivals([old, new]), WEEK))
    lines = {(name, date.fromisoformat(each)): int(count) for name, each, count in told}
    assert lines[old.name, date(2026, 11, 3)] == lines[new.name, date(2026, 11, 3)] == 1
    spans = export.chosen([old, new], lines)
    assert spans == [(new, None, date(2026, 11, 4)), (old, date(2026, 11, 4), None)]
    found = facts(house.run(*export.costs(spans, WEEK)))
    days = {each.charge_period.first_day.day: Decimal(0) for each in found if isinstance(each, Charge)}
    for each in found:
        if isinstance(each, Charge):
            days[each.charge_period.first_day.day] += each.billed_cost.amount
    assert days == {2: 1, 3: 30, 4: 44, 6: 60}


def test_both_tables_of_an_account_are_watched_and_no_third() -> None:
    """Which of the two speaks for a day may change when rows come to either."""
    tables = [table(DETAILED), table(STANDARD), table(FOCUS), table(FOCUS, OTHER)]
    assert [(one.kind, one.account) for one, _, _ in export.watched(tables)] == [
        (STANDARD, ACCOUNT), (DETAILED, ACCOUNT), (FOCUS, OTHER),
    ]  # fmt: skip
    assert export.coverage(export.rivals([table(), table(FOCUS, OTHER)]), WEEK) == ("", {})


def test_changed_days_are_those_with_rows_since_the_mark() -> None:
    """A late row names its old day; without a mark every day that has rows is named; each table has its own mark."""
    house, one, two = Warehouse(), table(), table(account=OTHER)
    late = datetime(2026, 11, 20, tzinfo=UTC)
    house.fill(one, line(day=2), line(day=3), line(day=2, export_time=late, _PARTITIONTIME=late))
    house.fill(two, line(day=5))
    spans = [(one, None, None), (two, None, None)]
    ever = {(row[0], row[1]) for row in house.run(*export.changes(spans, WEEK, {}))}
    assert ever == {(one.name, "2026-11-02"), (one.name, "2026-11-03"), (two.name, "2026-11-05")}
    mark = int(datetime(2026, 11, 19, tzinfo=UTC).timestamp()) * 1_000_000
    since = {(row[0], row[1]) for row in house.run(*export.changes(spans, WEEK, {one.name: mark, two.name: mark}))}
    assert since == {(one.name, "2026-11-02")}


def test_partitions_are_pruned_with_two_days_to_spare() -> None:
    """A partition holds rows exported until the next morning, so its day may lie before theirs."""
    _, given = export.costs([(table(), None, None)], WEEK)
    assert given["floor_0"] == WEEK.start - timedelta(days=2)
    mark = int(NOW.timestamp()) * 1_000_000
    _, given = export.changes([(table(), None, None)], WEEK, {table().name: mark})
    assert given["floor_0"] < NOW - timedelta(days=2)
    sql, given = export.costs([(table(by_load_time=False), None, None)], WEEK)
    assert "_PARTITIONTIME" not in sql


# ── Words ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "model", "meter", "tier"),
    [
        (
            "Generate content output token count gemini 2.5 flash short input text",
            "gemini-2.5-flash",
            "output_tokens",
            None,
        ),
        ("Generate content input token count gemini 2.5 pro long input text", "gemini-2.5-pro", "input_tokens", None),
        ("Generate content cached input token count gemini 2.0 flash", "gemini-2.0-flash", "cached_input_tokens", None),
        ("Gemini 2.5 Flash Lite Batch input tokens", "gemini-2.5-flash-lite", "input_tokens", "batch"),
        ("Cached content storage token hours gemini 2.5 pro", "gemini-2.5-pro", None, None),
        ("Gemini 2.5 Pro Text Output - Predictions", "gemini-2.5-pro", "output_tokens", None),
        ("Gemini 1.5 Pro Text Output - Predictions", "gemini-1.5-pro", None, None),
        ("Imagen 4 image generation", "imagen-4", None, None),
        (
            "Generate content audio input token count gemini 2.5 flash audio input",
            "gemini-2.5-flash",
            "input_tokens",
            None,
        ),
        ("Online prediction N1 core", None, None, None),
    ],
)
def test_a_sku_tells_model_and_direction(text: str, model: str | None, meter: str | None, tier: str | None) -> None:
    """The words before "token count" say the direction; what the words do not say is left open."""
    found = gemini.told(gemini.GEMINI_API, text)
    assert (found.model, found.meter, found.service_tier) == (model, meter, tier)
    assert gemini.told("6F81-5844-456A", text) == gemini.Told()


@pytest.mark.parametrize(("units", "nanos"), [("1", -1), ("-1", 1), ("0.5", 0), ("1", 10**9), (None, -(10**9))])
def test_money_whose_parts_contradict_each_other_is_none(units: str | None, nanos: int) -> None:
    """Units and billionths have one sign, units are whole, and billionths are fewer than a unit."""
    with pytest.raises(ValueError, match="are no amount"):
        Amount("USD", units, nanos).exactly()
    assert Amount("USD", "-1", -750_000_000).exactly() == Decimal("-1.75")
    assert Amount("USD", None, 1).exactly() == Decimal("0.000000001")


def test_a_price_without_a_currency_is_no_price() -> None:
    """What the amount is of is said by no other field: the SKU keeps its name and the rest of the list its prices."""
    tiers = [{"listPrice": {"nanos": 300}}]
    sku_prices = [{"rate": {"tiers": tiers, "unitInfo": {"unit": "count"}}}]
    told = {"prices": [{"name": "skus/A/prices/USD", "currencyCode": "USD", "skuPrices": sku_prices}]}
    page = msgspec.convert({"skus": [{"skuId": "A", "displayName": "Words"}]}, prices.NamedSkus)
    listed = msgspec.json.decode(msgspec.json.encode(told), type=prices.SkuPrices)
    found = list(prices.priced_skus(page, Ask("gemini_prices", WEEK, OPTIONS, NOW, followed={"-": (listed,)})))
    assert [each.code for each in found if isinstance(each, Problem)] == ["price_unreadable"]
    assert [each.name for each in found if isinstance(each, Name)] == ["Words"]


def test_the_latest_price_of_a_timeline_holds() -> None:
    """A SKU whose price changed within the month costs what it costs now, by the token."""
    spans = [
        {"effectiveTime": day, "pricingExpression": {
            "usageUnit": "count", "displayQuantity": 1_000_000,
            "tieredRates": [{"startUsageAmount": 0, "unitPrice": {"currencyCode": "USD", "nanos": nanos}}]}}
        for day, nanos in (("2026-11-01T00:00:00Z", 300), ("2026-11-09T00:00:00Z", 250))
    ]  # fmt: skip
    text = msgspec.json.encode({"skus": [{"skuId": "SKU-1", "description": "words", "pricingInfo": spans}]})
    [name] = prices.skus(msgspec.json.decode(text, type=prices.Skus), ASK)
    assert isinstance(name, Name)
    assert name.name == "words: 0.00000025 USD per count"


def refused(*details: Mapping[str, Any]) -> bytes:
    """Return a refusal with details."""
    return msgspec.json.encode({"error": {"code": 429, "details": details}})


def test_a_days_quota_is_waited_for_until_pacific_midnight() -> None:
    """A quota by the day is not back after the seconds that the same answer names; any other is."""
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "18s"}
    daily = {"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}
    minute = {"violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}]}
    assert patience.seconds(refused(minute, delay), NOW) == 18
    assert patience.seconds(refused(daily, delay), NOW) == 20 * 3600  # noon UTC is four in the morning there
    assert patience.seconds(refused(), NOW) is None
    assert patience.seconds(b"<html>", NOW) is None
