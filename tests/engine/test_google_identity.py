"""Google's other credentials end to end: workload identity, impersonation, `adc:`, each over HTTP and never shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from outlay.redaction import redactor
from outlay.simulator.faces.google_identity import AUDIENCE, SUBJECT, SUBJECT_TYPE
from outlay.simulator.faces.google_token import REFRESH_TOKEN, SCOPE
from outlay.simulator.faces.google_token import TOKENS as GIVEN
from outlay.simulator.google_key import DOMAIN, service_account_key

Make = Callable[..., Any]
Credential = dict[str, Any]
OPTIONS = {"project": "sim-billing", "dataset": "billing", "location": "EU"}
DATASETS = ("billing_accounts", "costs", "budgets")
READER = f"sim-reader@{DOMAIN}"
TOKENS = {"sim-google-reader-", "sim-google-pool-", "sim-google-no-billing-", SUBJECT, REFRESH_TOKEN, "fake-client-"}
"""How every token of the simulator begins, and what else must be seen nowhere."""
USER = {"type": "authorized_user", "client_id": "client-1", "client_secret": "fake-client-" + "s",
        "refresh_token": REFRESH_TOKEN}  # fmt: skip


def made(make: Make, credential: Callable[[str], Credential]) -> Any:
    """Return a bench whose key is a credential made for its simulator's address."""
    one = make(3, days=4, world_days=5, providers=("google",), datasets={"google": DATASETS})
    one.keys = {"google": json.dumps(credential(one.simulator.base_url("google")))}
    one.changes = {"google": {"options": OPTIONS}}
    return one


def workload(base: str, folder: Path, subject: str, borrowed: str | None = READER) -> Credential:
    """Return what a workload pool's configuration file holds; its subject token lies in a file of the folder."""
    source = folder / "subject-token"
    source.write_text(subject)
    found = {"type": "external_account", "audience": AUDIENCE, "subject_token_type": SUBJECT_TYPE,
             "token_url": f"{base}/v1/token", "credential_source": {"file": str(source)},
             "universe_domain": "googleapis.com"}  # fmt: skip
    return found | ({"service_account_impersonation_url": borrowing(base, borrowed)} if borrowed else {})


def borrowing(base: str, account: str) -> str:
    """Return the address at which an account's tokens are made for another."""
    return f"{base}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"


def impersonated(base: str, source: Credential, account: str = READER) -> Credential:
    """Return what `gcloud auth application-default login --impersonate-service-account` leaves behind."""
    return {"type": "impersonated_service_account", "delegates": [], "source_credentials": source,
            "service_account_impersonation_url": borrowing(base, account)}  # fmt: skip


def total(bench: Any) -> dict[str, Decimal]:
    """Return the ledger's net cost by currency."""
    return dict(bench.rows("SELECT BillingCurrency, sum(BilledCost) FROM charges GROUP BY 1"))


def true_total(bench: Any) -> dict[str, Decimal]:
    """Return the world's."""
    found: dict[str, Decimal] = {}
    for charge in bench.world.account("google").truth("all").charges():
        if charge.day >= bench.first:
            found[charge.currency] = found.get(charge.currency, Decimal(0)) + charge.billed
    return found


def right_and_unseen(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Hold a sync's costs against the truth, and everything it left behind against every token there was."""
    report = bench.sync()
    assert [each.code for dataset in report.connections[0].datasets for each in dataset.problems
            if each.severity.value != "note"] == []  # fmt: skip
    assert total(bench) == true_total(bench) != {}
    assert bench.rows("SELECT count(*) > 0 FROM budgets") == [(True,)]
    unseen(bench, caplog)


def unseen(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Look for tokens in the store, the reports and the logs, and for what the redactor should have let go of."""
    assert bench.leaks([caplog.text, *(json.dumps(report.to_json()) for report in bench.reports)], TOKENS) == []
    # Tokens of an hour are let go of with the connection that held them.
    given = [name for name in GIVEN if name[-1].isdigit()]
    assert [name for name in given if redactor.text(name) != name] == []


@pytest.mark.parametrize("borrowed", [READER, None])
def test_workload_identity(borrowed: str | None, bench: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A token of another issuer is exchanged for one of the pool, which borrows an account or has roles itself."""
    subject = f"{SUBJECT}{'pool' if borrowed else 'reader'}"
    right_and_unseen(made(bench, lambda base: workload(base, tmp_path, subject, borrowed)), caplog)


def test_impersonation_by_a_user(bench: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The user's refresh token goes to the connection's own address, and not to the one that google-auth assumes."""
    right_and_unseen(made(bench, lambda base: impersonated(base, USER)), caplog)


def test_impersonation_by_a_service_account(bench: Make, caplog: pytest.LogCaptureFixture) -> None:
    """An account without roles of its own borrows one that has them."""
    source = "pool"
    one = made(bench, lambda base: impersonated(base, json.loads(service_account_key(base, source))))
    right_and_unseen(one, caplog)
    pem = json.loads(one.keys["google"])["source_credentials"]["private_key"]
    assert one.leaks([caplog.text], {line for line in pem.splitlines() if "KEY" not in line and len(line) > 16}) == []


@pytest.mark.parametrize("kind", ["workload", "user", "user's own folder"])
def test_adc(kind: str, bench: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """`adc:` is the file that the environment names, whatever its kind, else the one in the user's folder."""

    def credential(base: str) -> Credential:
        return workload(base, tmp_path, f"{SUBJECT}pool") if kind == "workload" else USER

    one = made(bench, credential)
    file = tmp_path / "application_default_credentials.json"
    file.write_text(one.keys["google"])
    file.chmod(0o600)
    one.changes["google"]["credential"] = "adc:"
    named = kind != "user's own folder"
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)} if named else {"CLOUDSDK_CONFIG": str(tmp_path)}
    one.environ = lambda: environ
    one.credentials = lambda: {one.keys["google"]}
    right_and_unseen(one, caplog)


class Machine(BaseHTTPRequestHandler):
    """The metadata server of a machine of Google's: plain http, asked with a header of its own."""

    def do_GET(self) -> None:
        """Answer the account's description or a token for the scopes asked for."""
        address = urlsplit(self.path)
        account, _, what = address.path.removeprefix("/computeMetadata/v1/instance/service-accounts/").partition("/")
        given = self.headers.get("Metadata-Flavor") == "Google" and account == "default"
        body: dict[str, Any] = {"email": READER, "aliases": ["default"], "scopes": []}
        if what == "token":
            texts = parse_qs(address.query)["scopes"][0].split(",")
            scopes = frozenset(text.removeprefix(SCOPE) for text in texts)
            token = GIVEN.give("reader", "", scopes, datetime(2026, 11, 22, 12, tzinfo=UTC))
            body = {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}
        self.send_response(200 if given else 403)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode() if given else b"{}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def test_the_machines_own_identity(
    bench: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no file `adc:` asks the machine it runs on, over plain http, with the scopes of each interface."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Machine) as machine:
        host = f"127.0.0.1:{machine.server_address[1]}"
        monkeypatch.setattr("google.auth.compute_engine._metadata._GCE_METADATA_HOST", host)
        serving = Thread(target=machine.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        one = made(bench, lambda _: {})
        one.changes["google"]["credential"] = "adc:"
        one.environ = lambda: {"CLOUDSDK_CONFIG": str(tmp_path / "none")}
        one.credentials = lambda: {"sim-google-reader-"}
        try:
            right_and_unseen(one, caplog)
        finally:
            machine.shutdown()
            serving.join()


@pytest.mark.parametrize(
    ("subject", "change", "says"),
    [
        ("another-issuer-" + "token-fake", {}, "is not of the pool's issuer"),
        (f"{SUBJECT}pool", {"audience": AUDIENCE + "x"}, "Invalid value for audience"),
        (f"{SUBJECT}no-billing", {}, "Unable to acquire impersonated credentials"),
    ],
)
def test_a_refused_exchange_is_told_without_its_tokens(
    subject: str, change: Credential, says: str, bench: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What Google says is told, and the subject token that its answer repeats is not; nothing is committed."""
    one = made(bench, lambda base: workload(base, tmp_path, subject) | change)
    report = one.sync()
    told = json.dumps(report.to_json())
    assert {each.code for dataset in report.connections[0].datasets for each in dataset.problems} == {"access_denied"}
    assert says in told
    assert subject not in told
    assert total(one) == {}
    unseen(one, caplog)


@pytest.mark.parametrize("name", ["token_url", "service_account_impersonation_url"])
def test_no_token_goes_out_unencrypted(
    name: str, bench: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An address of a credential file that is plain http to another machine is refused before anything is sent."""
    path = {"token_url": "/v1/token", "service_account_impersonation_url": borrowing("", READER)}[name]
    one = made(bench, lambda base: workload(base, tmp_path, f"{SUBJECT}pool") | {name: f"http://sts.example{path}"})
    told = json.dumps(one.sync().to_json())
    assert "uses http" in told
    assert total(one) == {}
    unseen(one, caplog)
