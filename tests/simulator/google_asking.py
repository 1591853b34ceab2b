"""Ways to ask the simulated Google, each answer held against its shape."""

from __future__ import annotations

import json
from typing import Any

from outlay.simulator.faces.google import FACE
from outlay.simulator.shapes import check
from outlay.simulator.worlds.google import GoogleAccount
from simulator.asking import Asker, Got

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
