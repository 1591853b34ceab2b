"""The simulated BigQuery adds up to the truth, changes only by more rows, and reads SQL as strictly as its vendor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.simulator.faces.google_engine import double
from outlay.simulator.worlds.google import ALL
from simulator.asking import TODAY, Asker
from simulator.google_asking import BIGQUERY, NET, TOKEN, account, ask, reason, rows, run, table

# The truth


@pytest.mark.parametrize("seed", [1, 7, 23])
@pytest.mark.parametrize("key", ["usd", "eur"])
def test_the_export_adds_up_to_the_truth(make_asker: Callable[..., Asker], seed: int, key: str) -> None:
    """Net cost by day, project, SKU, invoice month and cost type is the truth's to the last digit, in each table."""
    asker = make_asker(seed, days=60)
    by = "DATE(usage_start_time), project.id AS p, service.id AS s, sku.id AS k, invoice.month, currency, cost_type"
    truth = asker.world.truth("google", scope=key).spend(
        ("day", "sub_account", "service_id", "sku", "invoice_month", "currency", "cost_type")
    )
    wanted = {(str(day), *rest): spend.billed for (day, *rest), spend in truth.items()}
    assert len(wanted) > 300
    for kind in ("v1", "resource_v1"):
        got = rows(run(asker, f"SELECT {by}, {NET} FROM {table(asker, kind, key)} GROUP BY 1, 2, 3, 4, 5, 6, 7"))
        assert {tuple(row[:-1]): Decimal(row[-1]) for row in got} == wanted
    [[net]] = rows(run(asker, f"SELECT SUM(BilledCost) FROM {table(asker, 'focus', key)}"))
    assert Decimal(net) == asker.world.truth("google", scope=key).total()


def test_two_currencies_are_two_tables(asker: Asker) -> None:
    """Both accounts together have two currencies, which the truth does not add up."""
    truth = asker.world.truth("google", scope=ALL)
    assert {key[0] for key in truth.spend(("currency",))} == {"USD", "EUR"}
    with pytest.raises(ValueError, match="cannot be added up"):
        truth.total()


def test_joined_credits_count_the_cost_twice(asker: Asker) -> None:
    """A row with two credits is two rows of a join, so that its cost is counted twice."""
    joined = NET.partition(" + ")[0] + " + SUM(IFNULL(CAST(c.amount AS NUMERIC), 0))"
    text = f"SELECT {joined} FROM {table(asker)} LEFT JOIN UNNEST(credits) AS c ON TRUE"
    [[wrong]] = rows(run(asker, text))
    assert Decimal(wrong) > asker.world.truth("google").total()
    [[twice]] = rows(run(asker, f"SELECT COUNTIF(ARRAY_LENGTH(credits) = 2) FROM {table(asker)}"))
    assert int(twice) > 5


def test_gross_and_list_are_other_numbers(asker: Asker) -> None:
    """Cost without credits, cost at list, and FOCUS cost with its credits added once more are not the truth."""
    total = asker.world.truth("google").total()
    [[gross, listed]] = rows(run(asker, f"SELECT SUM(CAST(cost AS NUMERIC)), SUM(CAST(cost_at_list AS NUMERIC))"
                                        f" FROM {table(asker)}"))  # fmt: skip
    again = "SUM(BilledCost) + SUM((SELECT IFNULL(SUM(c.Amount), 0) FROM UNNEST(x_Credits) c))"
    [[twice]] = rows(run(asker, f"SELECT {again} FROM {table(asker, 'focus')}"))
    assert len({total, Decimal(gross), Decimal(listed), Decimal(twice)}) == 4


def test_the_two_tables_hold_the_same_money(asker: Asker) -> None:
    """The detailed table is the standard one and its resources: together they are twice the truth."""
    columns = "cost, credits"
    text = f"SELECT {NET} FROM (SELECT {columns} FROM {table(asker)} UNION ALL"
    [[net]] = rows(run(asker, f"{text} SELECT {columns} FROM {table(asker, 'resource_v1')})"))
    assert Decimal(net) == 2 * asker.world.truth("google").total()


def test_floats_drift_where_decimals_do_not(make_asker: Callable[..., Asker]) -> None:
    """The money columns are floats whose sum has digits that no amount has; some customers' are exact."""
    asker = make_asker(days=120)
    [[drifted]] = rows(run(asker, f"SELECT SUM(cost) FROM {table(asker)}"))
    assert len(drifted.partition(".")[2]) > 9
    key = f"{TOKEN}:numeric"
    [[exact]] = rows(run(asker, f"SELECT SUM(cost) FROM {table(asker, label='numeric')}", token=key))
    assert len(exact.partition(".")[2]) <= 9


@pytest.mark.parametrize(("label", "gone"), [("numeric", set()), ("older", {"price", "consumption_model", "tags"})])
def test_tables_differ_between_customers(asker: Asker, label: str, gone: set[str]) -> None:
    """Some customers' columns stand in another order, some tables lack columns; their money is the truth's."""
    token, name = f"{TOKEN}:{label}", table(asker, label=label)
    usual, found = (
        [each["name"] for each in ask(asker, f"{BIGQUERY}/datasets/billing/tables/{text.split('.')[-1][:-1]}",
                                      token=key).json["schema"]["fields"]]
        for text, key in ((table(asker), TOKEN), (name, token))
    )  # fmt: skip
    assert usual != found
    assert gone <= set(usual) - set(found)
    [[net]] = rows(run(asker, f"SELECT {NET} FROM {name}", token=token))
    assert Decimal(net) == asker.world.truth("google", label).total()
    if gone:
        assert reason(run(asker, f"SELECT price.unit FROM {name}", token=token)) == (400, "invalidQuery")


def test_the_export_has_what_ledgers_stumble_over(make_asker: Callable[..., Asker]) -> None:
    """Rows without project or SKU, other invoice months, negative corrections, offset fees and late rows exist."""
    asker = make_asker(days=120)
    text = (
        "SELECT COUNTIF(project.id IS NULL), COUNTIF(sku.id IS NULL), COUNTIF(cost < 0),"
        " COUNTIF(invoice.month < FORMAT_TIMESTAMP('%Y%m', usage_start_time)),"
        " COUNTIF(invoice.month > FORMAT_TIMESTAMP('%Y%m', usage_start_time)),"
        " COUNTIF(EXISTS(SELECT 1 FROM UNNEST(credits) WHERE type = 'FEE_UTILIZATION_OFFSET')),"
        " COUNTIF(export_time > TIMESTAMP_ADD(usage_start_time, INTERVAL 3 DAY)),"
        " COUNTIF(DATE(_PARTITIONTIME) != DATE(export_time)), COUNTIF(consumption_model.description != 'Default'),"
        f" COUNT(DISTINCT cost_type) FROM {table(asker)}"
    )
    [found] = rows(run(asker, text))
    assert all(int(count) >= 3 for count in found)
    assert found[-1] == "4"


# Restatements


def test_a_restated_day_only_gets_more_rows(make_asker: Callable[..., Asker]) -> None:
    """No row changes: what is restated is told by further rows of a later export, in the partition of today."""
    asker = make_asker(days=20)
    day = next(charge.day for charge in asker.world.truth("google").charges() if charge.billed > 0)
    everything = f"SELECT export_time, cost, TO_JSON_STRING(credits) FROM {table(asker)}"
    for change in ("nothing", "up", "down"):
        before, before_net = Counter(map(tuple, rows(run(asker, everything)))), asker.world.truth("google").total()
        asker.world.restate("google", day, change)  # type: ignore[arg-type]
        after = Counter(map(tuple, rows(run(asker, everything))))
        fresh = after - before
        assert not before - after
        assert min(moment for moment, *_ in fresh) > max(moment for moment, *_ in before)
        [[net]] = rows(run(asker, f"SELECT {NET} FROM {table(asker)}"))
        assert Decimal(net) == asker.world.truth("google").total()
        assert (Decimal(net) == before_net) is (change == "nothing")
    text = f"SELECT DISTINCT _PARTITIONDATE FROM {table(asker)} WHERE DATE(usage_start_time) = '{day}'"
    assert [str(TODAY)] in rows(run(asker, text))


# SQL


def parameter(name: str, kind: str, value: str) -> dict[str, Any]:
    """Return a named parameter as a request holds it."""
    return {"name": name, "parameterType": {"type": kind}, "parameterValue": {"value": value}}


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("SELECT 1 AS a, 'x', NULL, TRUE", ["1", "x", None, "true"]),
        ("SELECT CAST(0.0000000015 AS NUMERIC), CAST(-2.5e-9 AS NUMERIC)", ["0.000000002", "-0.000000003"]),
        ("SELECT CAST('1.10' AS NUMERIC) + 1, NUMERIC '0.1' * 3", ["2.1", "0.3"]),
        (
            "SELECT 1e-6, CAST('12345678.9' AS FLOAT64), 0.5, CAST('inf' AS FLOAT64)",
            ["1.0E-6", "1.23456789E7", "0.5", "Infinity"],
        ),
        ("SELECT DATE(TIMESTAMP '2026-11-01 03:00:00+00', 'America/Los_Angeles')", ["2026-10-31"]),
        ("SELECT DATE_ADD(@day, INTERVAL 1 MONTH), DATE_TRUNC(@day, MONTH)", ["2026-12-05", "2026-11-01"]),
        ("SELECT TIMESTAMP_SUB(@at, INTERVAL 2 DAY)", ["1793664000000000"]),
        ("SELECT FORMAT_TIMESTAMP('%Y%m', @at), EXTRACT(YEAR FROM @at)", ["202611", "2026"]),
        ("SELECT STRUCT(1 AS a, [2, 3] AS b) AS s", [{"f": [{"v": "1"}, {"v": [{"v": "2"}, {"v": "3"}]}]}]),
        ("WITH a AS (SELECT 1 AS x UNION ALL SELECT 2) SELECT SUM(x) FROM a WHERE x IN UNNEST([2, 5])", ["2"]),
        ("SELECT SAFE_CAST('x' AS INT64), COALESCE(NULL, 'y'), IF(TRUE, 1, 2)", [None, "y", "1"]),
    ],
)
def test_values_are_written_as_bigquery_writes_them(asker: Asker, text: str, want: list[Any]) -> None:
    """Every scalar is a string, null is null, records and arrays nest, and timestamps are whole microseconds."""
    given = [parameter("day", "DATE", "2026-11-05"), parameter("at", "TIMESTAMP", "2026-11-05 00:00:00+00")]
    got = run(asker, text, queryParameters=given, parameterMode="NAMED", formatOptions={"useInt64Timestamp": True})
    assert rows(got) == [want]
    assert len(got.json["schema"]["fields"]) == len(want)


def test_floats_are_written_as_the_vendor_writes_them() -> None:
    """Small and large floats have an exponent, and what is no number has a word."""
    assert [double(value) for value in (0.0, -1e-4, 1e7, 1.76e9, float("nan"), -float("inf"))] == [
        "0.0", "-1.0E-4", "1.0E7", "1.76E9", "NaN", "-Infinity"]  # fmt: skip


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back_as_it_was(value: float) -> None:
    """The text of any float is that float."""
    assert float(double(value)) == value


def test_names_without_an_alias(asker: Asker) -> None:
    """A field has its own name, an expression a number; a timestamp is a float of seconds unless asked otherwise."""
    got = run(asker, f"SELECT service.id, usage_start_time, COUNT(*), 1 + 1 FROM {table(asker)} GROUP BY 1, 2 LIMIT 1")
    assert [each["name"] for each in got.json["schema"]["fields"]] == ["id", "usage_start_time", "f0_", "f1_"]
    assert rows(got)[0][1].endswith("E9")


def test_a_star_leaves_the_pseudo_columns_out(asker: Asker) -> None:
    """The partition's time can be asked for, and is in no star."""
    names = [each["name"] for each in run(asker, f"SELECT * FROM {table(asker)}").json["schema"]["fields"]]
    assert "_PARTITIONTIME" not in names
    got = run(asker, f"SELECT _PARTITIONTIME, _PARTITIONDATE FROM {table(asker)} WHERE _PARTITIONDATE = '{TODAY}'")
    assert {tuple(row)[1] for row in rows(got)} == {str(TODAY)}
    assert reason(run(asker, f"SELECT _PARTITIONTIME FROM {table(asker, 'focus')}")) == (400, "invalidQuery")


def test_an_alias_that_is_a_column_groups_by_the_column(asker: Asker) -> None:
    """Grouped under a column's name the hours stay apart; under a name of its own the day is one row."""
    text = "SELECT DATE(usage_start_time) AS {name}, SUM(cost) AS c FROM {table} GROUP BY {name}"
    hours = rows(run(asker, text.format(name="usage_start_time", table=table(asker))))
    days = rows(run(asker, text.format(name="day", table=table(asker))))
    assert len({row[0] for row in hours}) == len(days) < len(hours)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT nope FROM {t}",
        "SELECT service.nope FROM {t}",
        "SELECT credits.amount FROM {t}",
        "SELECT (SELECT SUM(c.nope) FROM UNNEST(credits) AS c) FROM {t}",
        "SELECT cost AS x, x + 1 AS y FROM {t}",
        "SELECT cost AS x FROM {t} WHERE x > 1",
        "SELECT cost AS x, cost_at_list AS x FROM {t}",
        "SELECT a.cost FROM {t} AS a, {t} AS b WHERE cost > 1",
        "SELECT sku.id, SUM(cost) FROM {t}",
        "SELECT cost FROM {t} WHERE usage_start_time >= DATE '2026-11-01'",
        "SELECT cost FROM {t} WHERE invoice.month = 202611",
        "SELECT cost FROM {t} WHERE export_time > @missing",
        "SELECT cost FROM {t} WHERE",
        "SELECT cost FROM `gcp_billing_export`",
        "SELECT AMOUNT_OF(cost) FROM {t}",
    ],
)
def test_what_bigquery_refuses_is_refused(asker: Asker, text: str) -> None:
    """Unknown and ambiguous names, aliases used too early, operands of two types and wrong syntax are refused."""
    assert reason(run(asker, text.format(t=table(asker)))) == (400, "invalidQuery")


def test_only_questions_are_taken(asker: Asker) -> None:
    """What would write is refused, and so are the older dialect and fields nobody knows."""
    for text in ("DELETE FROM {t} WHERE TRUE", "CREATE TABLE billing.x AS SELECT 1 AS a", "SELECT 1; SELECT 2"):
        assert reason(run(asker, text.format(t=table(asker)))) == (403, "accessDenied")
    for dialect in ({}, {"useLegacySql": True}):
        body = {"query": "SELECT 1 AS a", "location": "EU", **dialect}
        assert reason(ask(asker, f"{BIGQUERY}/queries", method="POST", body=body)) == (400, "invalidQuery")
    assert run(asker, "SELECT 1 AS a", utterly="unknown").status == 400
    assert run(asker, "SELECT 1 AS a", maximumBytesBilled="many").status == 400


def test_a_table_is_not_found_in_a_wrong_place(make_asker: Callable[..., Asker]) -> None:
    """Another location, none at all, an unknown table and the first days of an export all answer "not found"."""
    asker = make_asker(days=5)
    text = f"SELECT cost FROM {table(asker)}"
    for place in ({"location": "US"}, {"location": None}):
        got = run(asker, text, **place)
        assert reason(got) == (404, "notFound")
        assert got.json["error"]["message"].endswith("was not found in location US")
        assert got.json["error"]["message"].startswith("Not found: Table sim-billing:billing.gcp_billing_export_v1_")
    assert reason(run(asker, "SELECT cost FROM billing.elsewhere")) == (404, "notFound")
    fresh = f"{TOKEN}:new"
    assert reason(run(asker, f"SELECT cost FROM {table(asker, label='new')}", token=fresh)) == (404, "notFound")
    got = ask(asker, f"{BIGQUERY}/datasets/billing/tables", token=fresh)
    assert got.json == {"kind": "bigquery#tableList", "totalItems": 0}


def test_bytes_are_weighed_by_columns_and_partitions(asker: Asker) -> None:
    """A dry run weighs what is read; a real run is billed ten mebibytes for each table, up to its limit."""
    text = f"SELECT SUM(cost) AS c FROM {table(asker)}"

    def weight(more: str, what: str = text) -> int:
        got = run(asker, what + more, dryRun=True).json
        assert "rows" not in got
        return int(got["totalBytesProcessed"])

    one = weight("")
    assert one == 8 * len(list(account(asker).rows("usd")))
    assert 0 < weight(" WHERE _PARTITIONTIME >= TIMESTAMP('2026-11-10')") < one / 2
    assert weight(" WHERE export_time >= TIMESTAMP('2026-11-10')") == 2 * one
    assert weight("", f"SELECT * FROM {table(asker)}") > 20 * one
    refused = run(asker, text, maximumBytesBilled="10000000")
    assert reason(refused) == (400, "bytesBilledLimitExceeded")
    assert run(asker, text, maximumBytesBilled=str(10 * 2**20)).status == 200


def test_a_months_edge_is_two_invoices(make_asker: Callable[..., Asker]) -> None:
    """The first hours of a month belong to the invoice of the month before, as the Pacific day does."""
    asker = make_asker(today=date(2026, 11, 22), days=60)
    text = (f"SELECT DISTINCT invoice.month FROM {table(asker)} WHERE usage_start_time >= '2026-11-01'"
            " AND usage_start_time < '2026-11-01 08:00:00' AND cost_type = 'regular'")  # fmt: skip
    assert rows(run(asker, text)) == [["202610"]]
