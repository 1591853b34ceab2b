"""Google Cloud Billing, its budgets and quotas, and the BigQuery its export lies in: every host below one prefix.

Key:   `google_key.service_account_key(base_url)` is a key file whose token path lies here; its `kind` (the principals
       of google_token) takes roles away. The fixed tokens are "sim-google-token", which may do everything,
       "sim-google-readonly" with the two read-only scopes that budgets and queries refuse, and an API key for prices.
       A workload pool's subject tokens and who may impersonate are in google_identity.
Label: "new" has no tables yet, "standard" and "detailed" only that one, "numeric" exact money columns in another order,
       "older" fewer columns, "pages" small pages, "closed" a closed billing account; each also is another customer.
Quota: 300 calls a minute to Cloud Billing; BigQuery, quotas and budgets are not counted.
"""

from __future__ import annotations

from outlay.simulator.faces import google_bigquery as bigquery
from outlay.simulator.faces import google_catalog as catalog
from outlay.simulator.faces import google_identity as identity
from outlay.simulator.faces import google_limits as limits
from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Quota, Refusal
from outlay.simulator.faces.google_engine import DATASET, LOCATION, PROJECT
from outlay.simulator.faces.google_parts import refuse
from outlay.simulator.faces.google_token import TOKENS, admit, credential, token
from outlay.simulator.worlds.google import GoogleAccount

_ACCOUNT, _V1BETA = "/v1/billingAccounts/{billingAccountsId}", "/v1beta/billingAccounts/{billingAccountsId}"
_BIGQUERY = "/bigquery/v2/projects/{projectsId}"
_QUOTAS = "/v1/projects/{projectsId}/locations/global/services/{servicesId}/quotaInfos"
_BUDGETS = f"{_ACCOUNT}/budgets"


def dress(ask: Ask, answer: Answer, meter: Meter | None) -> None:
    """Add the header every answer has; what is left of a quota is in none."""
    answer.headers["vary"] = "Origin, X-Origin, Referer"


def _quota(key: Key) -> Quota:
    return Quota(300, 60.0)


FACE = Face(
    id="google",
    title="Google Cloud",
    account=GoogleAccount,
    endpoints=(
        Endpoint("/token", token, method="POST", open=True, free=True),
        Endpoint("/v1/token", identity.exchange, method="POST", open=True, free=True),
        Endpoint("/v1/projects/-/serviceAccounts/{serviceAccount}", identity.impersonate, "impersonate", "POST",
                 free=True),
        Endpoint("/v1/billingAccounts", catalog.accounts, "billing"),
        Endpoint(_ACCOUNT, catalog.account, "billing"),
        Endpoint(f"{_ACCOUNT}/projects", catalog.projects, "billing"),
        Endpoint(f"{_ACCOUNT}/subAccounts", catalog.sub_accounts, "billing"),
        Endpoint("/v1/projects/{projectsId}/billingInfo", catalog.project, "billing"),
        Endpoint("/v1/services", catalog.services, "catalog"),
        Endpoint("/v1/services/{servicesId}/skus", catalog.skus, "catalog"),
        Endpoint("/v1beta/skus/{skusId}/prices", catalog.list_prices, "catalog"),
        Endpoint("/v1beta/skus/{skusId}/price", catalog.list_price, "catalog"),
        Endpoint(f"{_V1BETA}/services", catalog.account_services, "billing"),
        Endpoint(f"{_V1BETA}/skus", catalog.account_skus, "billing"),
        Endpoint(f"{_V1BETA}/skus/{{skusId}}/prices", catalog.own_prices, "billing"),
        Endpoint(f"{_V1BETA}/skus/{{skusId}}/price", catalog.own_price, "billing"),
        Endpoint("/v2beta/services", catalog.v2_services, "catalog"),
        Endpoint("/v2beta/skus", catalog.v2_skus, "catalog"),
        Endpoint("/v2beta/skus/{skuId}", catalog.v2_sku, "catalog"),
        Endpoint("/v2beta/skus/{skuId}/prices", catalog.v2_prices, "catalog"),
        Endpoint(_BUDGETS, limits.budgets, "budgets", free=True),
        Endpoint(_BUDGETS, limits.create_budget, "budgets.write", "POST", free=True),
        Endpoint(f"{_BUDGETS}/{{budgetsId}}", limits.budget, "budgets", free=True),
        Endpoint(f"{_BUDGETS}/{{budgetsId}}", limits.change_budget, "budgets.write", "PATCH", free=True),
        Endpoint(f"{_BUDGETS}/{{budgetsId}}", limits.drop_budget, "budgets.write", "DELETE", free=True),
        Endpoint(f"{_BIGQUERY}/queries", bigquery.query, "bigquery.query", "POST", free=True),
        Endpoint(f"{_BIGQUERY}/queries/{{jobId}}", bigquery.results, "bigquery.read", free=True),
        Endpoint(f"{_BIGQUERY}/jobs", bigquery.insert, "bigquery.insert", "POST", free=True),
        Endpoint(f"{_BIGQUERY}/jobs/{{jobId}}", bigquery.job_of, "bigquery.read", free=True),
        Endpoint(f"{_BIGQUERY}/jobs/{{jobId}}/cancel", bigquery.cancel, "bigquery.cancel", "POST", free=True),
        Endpoint(f"{_BIGQUERY}/datasets", bigquery.datasets, "bigquery.read", free=True),
        Endpoint(f"{_BIGQUERY}/datasets/{{datasetId}}", bigquery.dataset, "bigquery.read", free=True),
        Endpoint(f"{_BIGQUERY}/datasets/{{datasetId}}/tables", bigquery.tables, "bigquery.read", free=True),
        Endpoint(f"{_BIGQUERY}/datasets/{{datasetId}}/tables/{{tableId}}", bigquery.table, "bigquery.read", free=True),
        Endpoint(_QUOTAS, limits.quotas, "quotas", free=True),
        Endpoint(f"{_QUOTAS}/{{quotaInfosId}}", limits.quota, "quotas", free=True),
        Endpoint("/v1beta1/projects/{projectsId}/services/{servicesId}/consumerQuotaMetrics", limits.consumer_metrics,
                 "serviceusage", free=True),
        Endpoint("/v3/projects/{projectsId}/timeSeries", limits.series, "monitoring", free=True),
    ),
    keys=TOKENS,
    credential=credential,
    admit=admit,
    refuse=refuse,
    dress=dress,
    options={"project": PROJECT, "dataset": DATASET, "location": LOCATION},
    quota=_quota,
    exhausted=lambda _: Refusal(429, "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'.",
                                reason="rateLimitExceeded"),
    money_fields=frozenset({"units", "v"}),
    enum_fields=frozenset({"calendarPeriod", "spendBasis", "creditTypesTreatment", "containerType"}),
    dimension_fields=frozenset({"displayName", "projectId"}),
    row_lists=frozenset({"rows", "budgets", "billingAccounts", "quotaInfos", "projectBillingInfo"}),
    cursor_parameters=frozenset({"pageToken"}),
)  # fmt: skip
