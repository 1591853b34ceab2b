"""Google's face is as strict as its vendor: its jobs, tokens, lists and shapes."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest

from outlay.simulator import World
from outlay.simulator.faces.base import Quota
from outlay.simulator.faces.google import FACE
from outlay.simulator.faces.google_identity import AUDIENCE, SUBJECT, SUBJECT_TYPE
from outlay.simulator.faces.google_token import JWT_BEARER, PRINCIPALS, SCOPES, TOKENS
from outlay.simulator.google_key import DOMAIN, key_pair, service_account_key
from outlay.simulator.shapes import check
from simulator.asking import TODAY, Asker, Got
from simulator.google_asking import BASE, BIGQUERY, QUOTAS, TOKEN, account, ask, reason, rows, run, table

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


def test_a_withdrawn_key_is_no_grant(asker: Asker) -> None:
    """A key that was taken away is refused as a grant; the tokens it got before are refused as tokens."""
    asker.faults.add("revoked_key", provider="google")
    got = exchange(asker, assertion())
    assert (got.status, got.json["error"]) == (400, "invalid_grant")
    assert ask(asker, "/v1/billingAccounts").status == 401


EXCHANGE = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": AUDIENCE,
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token", "subject_token_type": SUBJECT_TYPE,
            "scope": "https://www.googleapis.com/auth/cloud-platform", "subject_token": f"{SUBJECT}pool"}  # fmt: skip


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, None),
        ({"grant_type": JWT_BEARER}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"more": "x"}, "invalid_request"),
        ({"audience": "//iam.googleapis.com/elsewhere"}, "invalid_target"),
        ({"subject_token": "another"}, "invalid_grant"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_the_token_exchange_is_strict(asker: Asker, form: dict[str, str], error: str | None) -> None:
    """Only the pool's own subject tokens are exchanged, for that pool, in the one form there is."""
    got = asker.raw("POST", "/google/v1/token", "", {}, urlencode(EXCHANGE | form).encode())
    assert (got.status, got.json.get("error")) == (200 if error is None else 400, error)


@pytest.mark.parametrize(
    ("kind", "account", "body", "status"),
    [
        ("pool", "sim-reader", {}, 200),
        ("pool", "sim-nobody", {}, 404),
        ("no-billing", "sim-reader", {}, 403),
        ("apis-off", "sim-reader", {}, 403),
        ("pool", "sim-reader", {"scope": []}, 400),
        ("pool", "sim-reader", {"lifetime": "7200s"}, 400),
        ("pool", "sim-reader", {"more": 1}, 400),
    ],
)
def test_impersonation_takes_a_role(asker: Asker, kind: str, account: str, body: dict[str, Any], status: int) -> None:
    """A token of an account is made for who may make it, and can what the account can, which its maker cannot."""
    path = f"/v1/projects/-/serviceAccounts/{account}@{DOMAIN}:generateAccessToken"
    sent = {"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "3600s", "delegates": None} | body
    maker = token_of(asker, kind)
    got = ask(asker, path, method="POST", body=sent, token=maker)
    assert got.status == status
    if status == 200:
        assert "billingAccounts" not in ask(asker, "/v1/billingAccounts", token=maker).json
        assert "billingAccounts" in ask(asker, "/v1/billingAccounts", token=got.json["accessToken"]).json


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


@pytest.mark.parametrize("label", ["", "empty", "numeric", "older", "closed", "detailed"])
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


def test_calls_are_counted(make_asker: Callable[..., Asker]) -> None:
    """The call beyond Cloud Billing's quota, 300 a minute, is refused without a word about when to come back."""
    assert FACE.quota(TOKENS["sim-google-token"]) == Quota(300, 60.0)
    # An hour's quota does not fill up again while a slow machine runs the test.
    asker = make_asker(quotas={"google": Quota(3, 3600.0)})
    token = token_of(asker)
    for _ in range(3):
        assert asker.raw("GET", "/google/v1/services", "", {"authorization": f"Bearer {token}"}).status == 200
    got = ask(asker, "/v1/services", token=token)
    assert (got.status, got.json["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    assert "retry-after" not in got.headers
    assert run(asker, "SELECT 1 AS a", token=token).status == 200


def test_a_key_file_is_the_same_everywhere() -> None:
    """Another process makes the same key, so that its assertions are good here; the file says where tokens are."""
    code = f"from outlay.simulator import service_account_key; print(service_account_key({BASE!r}))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(other) == (mine := json.loads(service_account_key(BASE)))
    assert mine["token_uri"] == f"{BASE}/token"
    assert key_pair().n.bit_length() == 2048
