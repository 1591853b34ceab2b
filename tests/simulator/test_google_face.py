"""Google's face is as strict as its vendor: its tokens, its SQL, its rows and its shapes."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from outlay.simulator import World
from outlay.simulator.faces.google import FACE
from outlay.simulator.faces.google_engine import double
from outlay.simulator.faces.google_token import JWT_BEARER, PRINCIPALS, SCOPES
from outlay.simulator.google_key import key_pair, service_account_key
from outlay.simulator.shapes import check
from outlay.simulator.worlds.google import ALL, GoogleAccount
from simulator.asking import TODAY, Asker, Got

TOKEN = "sim-google-token"
BIGQUERY = "/bigquery/v2/projects/sim-billing"
QUOTAS = "/v1/projects/sim-billing/locations/global/services/generativelanguage.googleapis.com/quotaInfos"
BASE = "http://localhost/google"
NET = (
    "SUM(CAST(cost AS NUMERIC)) + SUM(IFNULL((SELECT SUM(CAST(c.amount AS NUMERIC)) FROM UNNEST(credits) AS c), 0))"
    " AS net"
)


def template(path: str) -> str:
    """Return the path of the contract that a path is one of."""
    parts = path.split("/")
    for endpoint in FACE.endpoints:
        names = endpoint.path.split("/")
        if len(names) == len(parts) and all(a == b or a[:1] == "{" for a, b in zip(names, parts, strict=True)):
            return endpoint.path
    return path


def ask(
    asker: Asker, path: str, query: str = "", *, method: str = "GET", body: object = None, token: str | None = TOKEN
) -> Got:
    """Ask with a token and hold the answer against its shape."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    data = b"" if body is None else json.dumps(body).encode()
    got = asker.raw(method, f"/google{path}", query, headers, data)
    check("google", template(path), got.status, got.body, method=method)
    return got


def run(asker: Asker, text: str, *, token: str | None = TOKEN, **more: Any) -> Got:
    """Run a query where the tables lie."""
    body = {"query": text, "useLegacySql": False, "location": "EU", **more}
    return ask(asker, f"{BIGQUERY}/queries", method="POST", body=body, token=token)


def rows(got: Got) -> list[list[Any]]:
    """Return the cells of an answer."""
    assert got.status == 200, got.body
    return [[cell["v"] for cell in row["f"]] for row in got.json.get("rows", ())]


def account(asker: Asker, label: str = "") -> GoogleAccount:
    """Return the customer behind the face."""
    found = asker.world.account("google", label)
    assert isinstance(found, GoogleAccount)
    return found


def table(asker: Asker, kind: str = "v1", key: str = "usd", label: str = "") -> str:
    """Return an export table as a query names it."""
    name = account(asker, label).accounts[key].underscored
    place = f"gcp_billing_immutable_{name}_eu" if kind == "focus" else "billing"
    return f"`sim-billing.{place}.gcp_billing_export_{kind}_{name}`"


def reason(got: Got) -> tuple[int, str]:
    """Return the status of a refusal and BigQuery's word for it."""
    return got.status, got.json["error"]["errors"][0]["reason"]


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


# Jobs and pages


def test_a_slow_query_is_polled(asker: Asker) -> None:
    """A caller that does not wait is told so and asks again; the job knows its place; an id asks once."""
    text = f"SELECT COUNT(*) AS n FROM {table(asker)}"
    begun = run(asker, text, timeoutMs=0, requestId="r1").json
    assert begun["jobComplete"] is False
    assert "rows" not in begun
    assert "schema" not in begun
    job = begun["jobReference"]
    path = f"{BIGQUERY}/queries/{job['jobId']}"
    waiting = ask(asker, path, "location=EU&timeoutMs=0").json
    assert waiting["jobComplete"] is False
    done = ask(asker, path, "location=EU")
    assert rows(done) == [[str(len(list(account(asker).rows("usd"))))]]
    assert "rows" not in ask(asker, path, "location=EU&maxResults=0").json
    assert reason(ask(asker, path, "location=US")) == (404, "notFound")
    assert run(asker, text, requestId="r1").json["jobReference"] == job


def test_pages_are_followed_by_their_tokens(asker: Asker) -> None:
    """Pages of fifty rows and of three hold every row once; a token of another job is refused."""
    token = f"{TOKEN}:pages"
    text = f"SELECT export_time, cost FROM {table(asker, label='pages')} ORDER BY export_time"
    found = run(asker, text, token=token).json
    path, total = f"{BIGQUERY}/queries/{found['jobReference']['jobId']}", int(found["totalRows"])
    seen = len(found["rows"])
    assert seen == 50
    first = found["pageToken"]
    while "pageToken" in found:
        query = urlencode({"location": "EU", "pageToken": found["pageToken"]})
        found = ask(asker, path, query, token=token).json
        seen += len(found["rows"])
    assert seen == total > 100
    assert len(run(asker, text, token=token, maxResults=3).json["rows"]) == 3
    other = run(asker, text, token=token).json["jobReference"]["jobId"]
    assert ask(asker, f"{BIGQUERY}/queries/{other}", urlencode({"pageToken": first}), token=token).status == 400


def test_jobs_end_well_or_say_why(asker: Asker) -> None:
    """An inserted job runs, then is done; what failed is told when it is done; a running one can be stopped."""

    def start(name: str, text: str) -> Got:
        body = {"jobReference": {"projectId": "sim-billing", "jobId": name, "location": "EU"},
                "configuration": {"query": {"query": text, "useLegacySql": False}}}  # fmt: skip
        return ask(asker, f"{BIGQUERY}/jobs", method="POST", body=body)

    def wait(name: str) -> Any:
        states = [ask(asker, f"{BIGQUERY}/jobs/{name}", "location=EU&projection=full").json for _ in range(2)]
        assert [each["status"]["state"] for each in states] == ["RUNNING", "DONE"]
        return states[-1]

    assert start("good", "SELECT 5 AS a").json["status"]["state"] == "RUNNING"
    assert start("good", "SELECT 5 AS a").status == 409
    assert "errorResult" not in wait("good")["status"]
    assert rows(ask(asker, f"{BIGQUERY}/queries/good", "location=EU")) == [["5"]]
    assert start("bad", "SELECT nope").status == 200
    assert wait("bad")["status"]["errorResult"]["reason"] == "invalidQuery"
    assert reason(ask(asker, f"{BIGQUERY}/queries/bad", "location=EU")) == (400, "invalidQuery")
    start("stopped", "SELECT 1 AS a")
    assert ask(asker, f"{BIGQUERY}/jobs/stopped/cancel", "location=EU", method="POST").status == 200
    assert reason(ask(asker, f"{BIGQUERY}/queries/stopped", "location=EU")) == (400, "stopped")


# Tokens


def assertion(kind: str = "reader", label: str = "", **claims: Any) -> str:
    """Return a signed assertion of a service account."""
    email = json.loads(service_account_key(BASE, kind, label))["client_email"]
    noon = 1795348800  # 2026-11-22T12:00:00Z
    full = {"iss": email, "scope": "https://www.googleapis.com/auth/cloud-platform", "aud": f"{BASE}/token",
            "iat": noon, "exp": noon + 3600, **claims}  # fmt: skip
    head, body = (_segment({"alg": "RS256", "typ": "JWT"}), _segment(full))
    signature = base64.urlsafe_b64encode(key_pair().sign(f"{head}.{body}".encode())).rstrip(b"=").decode()
    return f"{head}.{body}.{signature}"


def _segment(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def exchange(asker: Asker, given: str, **form: str) -> Got:
    """Ask for an access token."""
    body = urlencode({"grant_type": JWT_BEARER, "assertion": given, **form}).encode()
    got = asker.raw("POST", "/google/token", "", {"content-type": "application/x-www-form-urlencoded"}, body)
    check("google", "/token", got.status, got.body, method="POST")
    return got


def token_of(asker: Asker, kind: str = "reader", label: str = "", *scopes: str) -> str:
    """Return a fresh access token of a principal, for the scopes or for everything."""
    wanted = " ".join(f"https://www.googleapis.com/auth/{scope}" for scope in scopes or ("cloud-platform",))
    return str(exchange(asker, assertion(kind, label, scope=wanted)).json["access_token"])


def test_a_signed_assertion_gets_a_token(asker: Asker) -> None:
    """A key file's account gets a token of one hour, which opens the world of its label."""
    got = exchange(asker, assertion("reader", "team-b")).json
    assert (got["expires_in"], got["token_type"]) == (3599, "Bearer")
    found = ask(asker, "/v1/billingAccounts", token=got["access_token"]).json["billingAccounts"]
    assert {each["name"][16:] for each in found} == {each.id for each in account(asker, "team-b").accounts.values()}
    refreshed = exchange(asker, "", grant_type="refresh_token", refresh_token="sim-google-refresh", client_id="c",
                         client_secret="s").json  # fmt: skip
    assert ask(asker, "/v1/billingAccounts", token=refreshed["access_token"]).status == 200


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"iss": "nobody@elsewhere.invalid"}, "invalid_grant"),
        ({"iat": 1795338000, "exp": 1795341600}, "invalid_grant"),
        ({"exp": 1795348800 + 7200}, "invalid_grant"),
        ({"exp": "soon"}, "invalid_grant"),
        ({"aud": "https://elsewhere.invalid/token"}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_wrong_assertions_are_refused(asker: Asker, claims: dict[str, Any], error: str) -> None:
    """An unknown account, another hour, another audience and no scope get no token."""
    got = exchange(asker, assertion(**claims))
    assert (got.status, got.json["error"]) == (400, error)


def test_a_signature_must_be_that_of_the_key(asker: Asker) -> None:
    """Another signature, two parts and another kind of grant get no token."""
    head, body, signature = assertion().split(".")
    forged = signature[:-6] + ("AAAAAA" if signature[-6:] != "AAAAAA" else "BBBBBB")
    assert exchange(asker, f"{head}.{body}.{forged}").json["error"] == "invalid_grant"
    assert exchange(asker, f"{head}.{body}").json["error"] == "invalid_grant"
    assert exchange(asker, f"{head}.{body}.{signature}", grant_type="password").json["error"] == (
        "unsupported_grant_type"
    )


@pytest.mark.parametrize(
    ("scope", "statuses"),
    [
        ("cloud-billing.readonly", (200, 403, 403, 403)),
        ("cloud-billing", (200, 200, 403, 403)),
        ("bigquery.readonly", (403, 403, 403, 403)),
        ("bigquery", (403, 403, 200, 403)),
        ("cloud-platform.read-only", (403, 403, 200, 403)),
        ("cloud-platform", (200, 200, 200, 200)),
    ],
)
def test_each_api_takes_its_own_scopes(asker: Asker, scope: str, statuses: tuple[int, ...]) -> None:
    """Accounts, budgets, queries and quotas each take the scopes of the vendor's table and no others."""
    token, id_ = token_of(asker, "reader", "", scope), account(asker).accounts["usd"].id
    found = (
        ask(asker, "/v1/billingAccounts", token=token),
        ask(asker, f"/v1/billingAccounts/{id_}/budgets", token=token),
        run(asker, "SELECT 1 AS a", token=token),
        ask(asker, QUOTAS, token=token),
    )
    assert tuple(got.status for got in found) == statuses


def test_tokens_are_refused(asker: Asker) -> None:
    """No token, an unknown one and one whose hour is over are refused; an API key reads prices alone."""
    for token in (None, "nobody"):
        got = ask(asker, "/v1/billingAccounts", token=token)
        assert (got.status, got.json["error"]["status"]) == (401, "UNAUTHENTICATED")
    for path, status in (("/v1/services", 200), ("/v1/billingAccounts", 401)):
        got = asker.raw("GET", f"/google{path}", "", {"x-goog-api-key": "sim-google-apikey"})
        assert got.status == status


def test_a_token_lasts_an_hour(asker: Asker) -> None:
    """When its hour is over a token opens nothing."""
    token = token_of(asker)
    late = Asker(World(7, TODAY + timedelta(days=1), 5))
    assert ask(asker, "/v1/billingAccounts", token=token).status == 200
    assert ask(late, "/v1/billingAccounts", token=token).status == 401


def test_principals_lack_their_roles(asker: Asker) -> None:
    """Who has no role for BigQuery, its tables, budgets or quotas is refused there; without one, bills are unseen."""
    id_, text = account(asker).accounts["usd"].id, f"SELECT cost FROM {table(asker)} LIMIT 1"
    tokens = {kind: token_of(asker, kind) for kind in PRINCIPALS}

    def statuses(kind: str) -> tuple[int, ...]:
        return tuple(
            got.status
            for got in (
                ask(asker, f"/v1/billingAccounts/{id_}", token=tokens[kind]),
                ask(asker, f"/v1/billingAccounts/{id_}/budgets", token=tokens[kind]),
                run(asker, text, token=tokens[kind]),
                ask(asker, f"{BIGQUERY}/datasets", token=tokens[kind]),
                ask(asker, QUOTAS, token=tokens[kind]),
            )
        )

    assert statuses("reader") == (200, 200, 200, 200, 200)
    assert statuses("no-bigquery") == (200, 200, 403, 403, 200)
    assert statuses("no-data") == statuses("no-jobs") == (200, 200, 403, 200, 200)
    assert statuses("no-billing") == (403, 403, 200, 200, 200)
    assert statuses("no-budgets") == (200, 403, 200, 200, 200)
    assert statuses("no-quotas") == (200, 200, 200, 200, 403)
    assert statuses("apis-off") == (403,) * 5
    off = ask(asker, "/v1/billingAccounts", token=tokens["apis-off"]).json["error"]
    assert off["details"][0]["reason"] == "SERVICE_DISABLED"
    assert ask(asker, "/v1/billingAccounts", token=tokens["no-billing"]).json == {}


def test_the_scopes_are_those_of_the_endpoints() -> None:
    """Every endpoint names an API whose scopes are known."""
    assert {endpoint.needs for endpoint in FACE.endpoints if not endpoint.open} <= set(SCOPES)


# The other paths


def paths(asker: Asker, label: str) -> list[str]:
    """Return one path of each operation that reads."""
    owner = account(asker, label).accounts["usd"]
    root, name = f"billingAccounts/{owner.id}", owner.underscored
    places = {"{billingAccountsId}": owner.id, "{projectsId}": owner.projects[0].id, "{servicesId}": "AEFD-7695-64FA",
              "{skusId}": "911A-8880-A243", "{skuId}": "-", "{datasetId}": "billing"}  # fmt: skip
    found = []
    for endpoint in FACE.endpoints:
        path = endpoint.path
        if endpoint.method != "GET" or "{jobId}" in path or "{budgetsId}" in path or "{tableId}" in path:
            continue
        path = path.replace("/v2/projects/{projectsId}", "/v2/projects/sim-billing")
        for place, value in places.items():
            path = path.replace(place, value)
        found.append(path)
    budgets = ask(asker, f"/v1/{root}/budgets", token=f"{TOKEN}:{label}").json.get("budgets", ())
    found += [f"/v1/{each['name']}" for each in budgets]
    tables = ask(asker, f"{BIGQUERY}/datasets/billing/tables", token=f"{TOKEN}:{label}").json.get("tables", ())
    assert not tables or any(name in each["tableReference"]["tableId"] for each in tables)
    return found + [f"{BIGQUERY}/datasets/billing/tables/{each['tableReference']['tableId']}" for each in tables]


@pytest.mark.parametrize("label", ["", "empty", "numeric", "closed", "detailed"])
def test_answers_keep_to_the_contract(asker: Asker, label: str) -> None:
    """Every path of every kind of customer answers what its contract allows, and refuses what it does not know."""
    token = f"{TOKEN}:{label}"
    for path in paths(asker, label):
        query = "filter=metric&interval.endTime=2026-11-22T00:00:00Z" if path.endswith("timeSeries") else ""
        if "{quotaInfosId}" in path:
            path = path.replace("AEFD-7695-64FA", "generativelanguage.googleapis.com").replace(  # noqa: PLW2901
                "{quotaInfosId}", "EnabledFilesPerProject"
            )
        assert ask(asker, path, query, token=token).status == 200, path
        assert ask(asker, path, f"{query}&utterly=unknown", token=token).status == 400, path


def test_lists_are_paged(asker: Asker) -> None:
    """A list of two accounts is two pages of one, a token that is none is refused, and the last page has none."""
    first = ask(asker, "/v1/billingAccounts", "pageSize=1").json
    second = ask(asker, "/v1/billingAccounts", urlencode({"pageSize": 1, "pageToken": first["nextPageToken"]})).json
    currencies = [each["currencyCode"] for page in (first, second) for each in page["billingAccounts"]]
    assert currencies == ["USD", "EUR"]
    assert "nextPageToken" not in second
    assert ask(asker, "/v1/billingAccounts", "pageToken=nonsense").status == 400


def test_budgets_state_amounts_in_units_and_billionths(asker: Asker) -> None:
    """A budget has units, billionths, both or neither; projects are numbers; an enforced cap allows no change."""
    owner = account(asker).accounts["usd"]
    path = f"/v1/billingAccounts/{owner.id}/budgets"
    found = {each["displayName"]: each for each in ask(asker, path).json["budgets"]}
    assert found["Gemini prod"]["amount"]["specifiedAmount"] == {"currencyCode": "USD", "units": "150"}
    assert found["Cents"]["amount"]["specifiedAmount"] == {"currencyCode": "USD", "nanos": 750_000_000}
    assert found["As last month"]["amount"] == {"lastPeriodAmount": {}}
    assert found["Gemini cap"]["budgetFilter"]["projects"] == [f"projects/{owner.projects[0].number}"]
    assert found["Gemini cap"]["spendCap"]["outputState"] == "ENFORCED"
    stated = {(limit.name, limit.quota) for limit in asker.world.truth("google").limits}
    assert stated == {("Gemini prod", Decimal(150)), ("Gemini cap", Decimal("80.5")), ("Cents", Decimal("0.75"))}
    assert not any("spend" in key.lower() and key != "spendCap" for each in found.values() for key in each)
    capped = f"/v1/{found['Gemini cap']['name']}"
    change = {"displayName": "Other"}
    assert ask(asker, capped, method="PATCH", body=change).json["error"]["status"] == "FAILED_PRECONDITION"
    assert ask(asker, f"/v1/{found['Cents']['name']}", method="PATCH", body=change).json["displayName"] == "Other"
    made = ask(asker, path, method="POST", body={"displayName": "New", "amount": {"lastPeriodAmount": {}}}).json
    assert ask(asker, f"/v1/{made['name']}", method="DELETE").json == {}
    assert ask(asker, f"/v1/{made['name']}").status == 404


def test_quotas_may_have_no_end(asker: Asker) -> None:
    """A quota is a whole number in a string, by model or for all; minus one has no end."""
    infos = {each["quotaId"]: each for each in ask(asker, QUOTAS).json["quotaInfos"]}
    daily = infos["GenerateRequestsPerDayPerProjectPerModel"]
    assert [each["details"]["value"] for each in daily["dimensionsInfos"]] == ["1000", "-1"]
    assert "refreshInterval" not in infos["EnabledFilesPerProject"]


def test_a_price_is_in_billionths(asker: Asker) -> None:
    """The price of a token is a few thousand billionths; a range across months is refused."""
    path = "/v1/services/AEFD-7695-64FA/skus"
    [info] = ask(asker, path).json["skus"][0]["pricingInfo"]
    assert info["pricingExpression"]["tieredRates"][0]["unitPrice"] == {"currencyCode": "USD", "units": "0",
                                                                        "nanos": 2500}  # fmt: skip
    one, two = "startTime=2026-10-30T00:00:00Z", "endTime=2026-11-02T00:00:00Z"
    assert ask(asker, path, f"{one}&{two}").status == 400


def test_calls_are_counted(asker: Asker) -> None:
    """The 301st call of a minute to Cloud Billing is refused without a word about when to come back."""
    token = token_of(asker)
    for _ in range(300):
        assert asker.raw("GET", "/google/v1/services", "", {"authorization": f"Bearer {token}"}).status == 200
    got = ask(asker, "/v1/services", token=token)
    assert (got.status, got.json["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "retry-after" not in got.headers
    assert run(asker, "SELECT 1 AS a", token=token).status == 200


def test_a_months_edge_is_two_invoices(make_asker: Callable[..., Asker]) -> None:
    """The first hours of a month belong to the invoice of the month before, as the Pacific day does."""
    asker = make_asker(today=date(2026, 11, 22), days=60)
    text = (f"SELECT DISTINCT invoice.month FROM {table(asker)} WHERE usage_start_time >= '2026-11-01'"
            " AND usage_start_time < '2026-11-01 08:00:00' AND cost_type = 'regular'")  # fmt: skip
    assert rows(run(asker, text)) == [["202610"]]
