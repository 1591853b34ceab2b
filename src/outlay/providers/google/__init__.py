"""Google Cloud and Gemini: the billing export in BigQuery, billing accounts, budgets and quotas.

Key:   a service account's key, or application default credentials (`adc:`). BigQuery Job User on `project`, BigQuery
       Data Viewer on the dataset; Billing Account Viewer for accounts and budgets, Cloud Quotas Viewer for quotas. An
       API key of AI Studio reads none of it.
Day:   a UTC day of use, whole. Rows arrive hours to days late and as corrections months later, so every sync first asks
       which days got rows since the last, and reads those again whole. The bill's month is `invoice.month`: a day at a
       month's edge may be billed in either.
Never: add the standard, the detailed and the FOCUS table; join the credits; add costs at list to costs; leave out what
       has no project; take an empty result, a wrong location or a missing role for no cost.

BigQuery is asked over plain REST: its own client library brings 26 packages and turns costs into binary floats.
"""

from __future__ import annotations

from outlay.model.facts import Budget, Charge, Limit, Name, Usage
from outlay.providers.base import (
    Dataset,
    Endpoint,
    IsoWindow,
    KeyKind,
    Offer,
    Option,
    Provider,
    Rate,
    Refusal,
    Service,
    ServiceAccount,
)
from outlay.providers.google import bigquery
from outlay.providers.google.accounts import ACCOUNTS, BUDGETS, PROJECTS, SWITCHED_OFF
from outlay.providers.google.bigquery import Result
from outlay.providers.google.metering import METERING
from outlay.providers.google.patience import seconds
from outlay.providers.google.prices import PRICED_SKUS, SKUS
from outlay.providers.google.quotas import GEMINI, VERTEX
from outlay.providers.google.rows import NO_SERVICE, charges

_AI = Service("AI and Machine Learning", "Generative AI")
_ROLES = (
    "The credential lacks a role: BigQuery Job User on `project` and BigQuery Data Viewer on the dataset for costs, "
    "Billing Account Viewer on the billing account for accounts, projects and budgets, Cloud Quotas Viewer for quotas."
)

COSTS: Endpoint[Result] = Endpoint(
    name="costs",
    host="https://bigquery.googleapis.com",
    path="/bigquery/v2/projects/{project}/queries",
    body={},
    window=IsoWindow("start", "end", days_max=400),
    scopes=("https://www.googleapis.com/auth/bigquery",),
    talk=bigquery.costs,
    ordered=True,
    page=Result,
    facts=charges,
)

PROVIDER = Provider(
    id="google",
    title="Google Cloud",
    metering=METERING,
    base_url="https://www.googleapis.com",
    auth=ServiceAccount("https://oauth2.googleapis.com/token"),
    environment=("GOOGLE_APPLICATION_CREDENTIALS",),
    key_help=(
        "In the console under IAM, Service Accounts: create an account with BigQuery Job User and, on the export's "
        "dataset, BigQuery Data Viewer, and a JSON key for it; for budgets make it Billing Account Viewer. On Google's "
        "own machines, or after `gcloud auth application-default login`, write `adc:` as the credential."
    ),
    keys=(
        KeyKind("{", "Google key file", usable=True),
        KeyKind("adc:", "this machine's own identity", usable=True),
        KeyKind("ya29.", "access token", usable=True),
        KeyKind("AIza", "API key", usable=False, hint="It calls models and reads no bill: use a service account."),
        KeyKind("/", "path to a Google key file", usable=True),
    ),
    rates=(Rate(300, 60),),
    concurrency=4,
    patience=seconds,
    refusals=(
        Refusal(401, "access_denied", hint="The token was refused: is the account disabled, or the key deleted?"),
        *SWITCHED_OFF,
        Refusal(403, "retry_later", contains="rateLimitExceeded"),
        Refusal(403, "out_of_quota", contains="quotaExceeded"),
        Refusal(403, "out_of_quota", contains="billingNotEnabled", hint="Queries need a project with billing enabled."),
        Refusal(403, "permission_missing", hint=_ROLES),
        Refusal(404, "not_offered", contains="NOT_FOUND"),
    ),
    account_type="Billing Account",
    sub_account_type="Project",
    options=(
        Option("project", "the project in which queries run and whose quotas are read", required=True),
        Option("dataset", "the dataset with the billing export; `PROJECT.DATASET` of another's", required=True),
        Option("location", "where the dataset lies, such as US, EU or europe-west1", required=True),
        Option("billing_accounts", "ids of the billing accounts to read; all that are seen without it"),
        Option("max_bytes_billed", "the most bytes that one query may read; 53687091200 (50 GiB) without it"),
    ),
    datasets=(
        Dataset(
            "billing_accounts", "Billing accounts", (Name,), (ACCOUNTS,), grain="names", order=0, keep_hours=6,
            optional=True, kinds=("account",),
        ),
        Dataset(
            "projects", "Projects of billing accounts", (Name,), (PROJECTS,), grain="names", keep_hours=6,
            optional=True, kinds=("project",),
        ),
        Dataset(
            "costs", "Daily costs and use of the billing export", (Charge, Usage), (COSTS,), horizon_days=0,
            changes=bigquery.changes, repeats="add",
        ),
        Dataset("budgets", "Budgets and spend caps", (Budget, Limit), (BUDGETS,), grain="reading"),
        Dataset("gemini_quotas", "Quotas of the Gemini API", (Limit,), (GEMINI,), grain="reading", keep_hours=6),
        Dataset(
            "gemini_prices", "Public price list of the Gemini API", (Name,), (PRICED_SKUS, SKUS), grain="names",
            keep_hours=20, default=False, optional=True, kinds=("sku",),
        ),
        Dataset(
            "vertex_quotas", "Quotas of Vertex AI", (Limit,), (VERTEX,), grain="reading", keep_hours=6, default=False,
        ),
    ),
    services={
        "Gemini API": _AI,
        "Vertex AI": _AI,
        "Generative Language API": _AI,
        "AlloyDB": Service("Databases", "Relational Databases"),
        "App Engine": Service("Web", "Application Platforms"),
        "Artifact Registry": Service("Developer Tools", "Other (Developer Tools)"),
        "BigQuery": Service("Databases", "Data Warehouses"),
        "BigQuery Reservation API": Service("Databases", "Data Warehouses"),
        "BigQuery Storage API": Service("Databases", "Data Warehouses"),
        "Cloud Bigtable": Service("Databases", "NoSQL Databases"),
        "Cloud Build": Service("Developer Tools", "Continuous Integration and Deployment"),
        "Cloud DNS": Service("Networking", "Network Infrastructure"),
        "Cloud Firestore": Service("Databases", "NoSQL Databases"),
        "Cloud Key Management Service (KMS)": Service("Security", "Secret Management"),
        "Cloud Logging": Service("Management and Governance", "Observability"),
        "Cloud Memorystore for Redis": Service("Databases", "Caching"),
        "Cloud Monitoring": Service("Management and Governance", "Observability"),
        "Cloud Pub/Sub": Service("Integration", "Messaging"),
        "Cloud Run": Service("Compute", "Serverless Compute"),
        "Cloud Run Functions": Service("Compute", "Serverless Compute"),
        "Cloud Scheduler": Service("Integration", "Workflow Orchestration"),
        "Cloud SQL": Service("Databases", "Relational Databases"),
        "Cloud Spanner": Service("Databases", "Relational Databases"),
        "Cloud Storage": Service("Storage", "Object Storage"),
        "Compute Engine": Service("Compute", "Virtual Machines"),
        "Dataflow": Service("Analytics", "Data Processing"),
        "Firebase": Service("Web", "Application Platforms"),
        "Kubernetes Engine": Service("Compute", "Containers"),
        "Networking": Service("Networking", "Network Connectivity"),
        "Secret Manager": Service("Security", "Secret Management"),
        "Support": Service("Management and Governance", "Support"),
        NO_SERVICE: Service("Other", "Other (Other)"),
    },
    offers={
        "cost": Offer("api", "SQL over the billing export in BigQuery, which is switched on by hand in the console"),
        "usage": Offer("api", "the export's quantities by SKU; Gemini's by model and direction"),
        "limits": Offer("api", "quotas of the Gemini API and Vertex AI, spend caps; not their use (Cloud Monitoring)"),
        "balance": Offer("none", "prepaid credit of the Gemini API is in AI Studio only: enter it"),
        "invoices": Offer("none", "costs carry their invoice month; the PDF is in the console: enter or import it"),
        "budgets": Offer("api", "definitions; Google never returns what is spent of them"),
        "revenue": Offer("none"),
        "writes": Offer("none", "budgets could be written through the API; Outlay never does"),
    },
    sources=(
        "https://docs.cloud.google.com/billing/docs/how-to/export-data-bigquery-tables",
        "https://docs.cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/detailed-usage",
        "https://docs.cloud.google.com/billing/docs/how-to/export-data-bigquery-tables/focus-export",
        "https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/jobs/query",
        "https://docs.cloud.google.com/billing/docs/reference/budget/rest/v1/billingAccounts.budgets",
        "https://docs.cloud.google.com/docs/quotas/reference/rest/v1/projects.locations.services.quotaInfos",
        "https://docs.cloud.google.com/billing/quotas",
        "https://ai.google.dev/gemini-api/docs/rate-limits",
    ),
)  # fmt: skip
