"""Google's token endpoint, the principals it knows, and what the tokens it gives may be used for."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qs

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Key, Refusal, to_json
from outlay.simulator.google_key import DOMAIN, KEY_ID, key_pair

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
REFRESH_TOKEN = "sim-google-refresh"  # noqa: S105 - plainly fake
SECONDS = 3599
SCOPE = "https://www.googleapis.com/auth/"
_CLOUD, _CLOUD_READ = "cloud-platform", "cloud-platform.read-only"
_BIGQUERY = frozenset({"bigquery", _CLOUD, _CLOUD_READ})
# API: the scopes of which a token must hold one
SCOPES: dict[str, frozenset[str]] = {
    "catalog": frozenset({"cloud-billing", "cloud-billing.readonly", _CLOUD}),
    "billing": frozenset({"cloud-billing", "cloud-billing.readonly", _CLOUD}),
    "budgets": frozenset({"cloud-billing", _CLOUD}),
    "budgets.write": frozenset({"cloud-billing", _CLOUD}),
    "bigquery.query": _BIGQUERY,
    "bigquery.read": _BIGQUERY,
    "bigquery.insert": frozenset({"bigquery", _CLOUD, "devstorage.full_control", "devstorage.read_only",
                                  "devstorage.read_write"}),
    "bigquery.cancel": frozenset({"bigquery", _CLOUD}),
    "quotas": frozenset({_CLOUD}),
    "serviceusage": frozenset({_CLOUD, _CLOUD_READ}),
    "monitoring": frozenset({_CLOUD, "monitoring", "monitoring.read"}),
    "impersonate": frozenset({_CLOUD, "iam"}),
}  # fmt: skip
# principal: the APIs it has no role for; "data" is the dataset's rows, "jobs" the right to run a query
PRINCIPALS: dict[str, frozenset[str]] = {
    "reader": frozenset({"budgets.write"}),
    "manager": frozenset(),
    "no-bigquery": frozenset({"data", "jobs", "tables", "budgets.write"}),
    "no-jobs": frozenset({"jobs", "budgets.write"}),
    "no-data": frozenset({"data", "budgets.write"}),
    "no-billing": frozenset({"billing", "budgets", "budgets.write", "impersonate"}),
    "pool": frozenset(
        {"billing", "budgets", "budgets.write", "data", "jobs", "tables", "quotas", "serviceusage", "monitoring"}
    ),
    "no-budgets": frozenset({"budgets", "budgets.write"}),
    "no-quotas": frozenset({"quotas", "serviceusage", "monitoring"}),
    "apis-off": frozenset(),
}
API_KEY = "sim-google-apikey"
OFF = {"billing": "cloudbilling", "catalog": "cloudbilling", "budgets": "billingbudgets", "bigquery": "bigquery",
       "quotas": "cloudquotas", "serviceusage": "serviceusage", "monitoring": "monitoring",
       "impersonate": "iamcredentials"}  # fmt: skip
EMAIL = re.compile(rf"sim-(?P<kind>[a-z]+(-[a-z]+)*?)(--(?P<label>[a-z0-9-]+))?@{re.escape(DOMAIN)}")


class Tokens(Mapping[str, Key]):
    """The access tokens in force: a few fixed ones, and those the token endpoint gave out."""

    def __init__(self, fixed: Mapping[str, Key]) -> None:
        self._keys, self._ends = dict(fixed), dict[str, datetime]()
        self._numbers = count(1)

    def give(self, kind: str, label: str, scopes: frozenset[str], now: datetime) -> str:
        """Return a fresh access token."""
        name = f"sim-google-{kind}-{next(self._numbers)}"
        self._keys[name], self._ends[name] = Key(kind, scopes), now + timedelta(seconds=SECONDS)
        return f"{name}:{label}" if label else name

    def over(self, credential: str, now: datetime) -> bool:
        """Return whether a token's hour is over."""
        end = self._ends.get(credential.partition(":")[0])
        return end is not None and now >= end

    def __getitem__(self, name: str) -> Key:
        return self._keys[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


TOKENS = Tokens(
    {
        "sim-google-token": Key("manager"),
        "sim-google-readonly": Key("reader", frozenset({"cloud-billing.readonly", "bigquery.readonly"})),
        API_KEY: Key("api-key", frozenset()),
    }
)


def token(ask: Ask) -> Answer:
    """Answer a signed assertion or a refresh token with an access token of one hour."""
    form = {name: values[0] for name, values in parse_qs(ask.body.decode("utf-8", "replace")).items()}
    grant = form.get("grant_type")
    if grant == JWT_BEARER:
        kind, label, scopes = _assertion(ask, form.get("assertion", ""))
    elif grant == "refresh_token":
        name, _, label = form.get("refresh_token", "").partition(":")
        if name != REFRESH_TOKEN or not form.get("client_id") or not form.get("client_secret"):
            raise _grant("Token has been expired or revoked.")
        kind, scopes = "reader", frozenset({_CLOUD})
    else:
        raise Refusal(400, f"Invalid grant_type: {grant or ''}", error="unsupported_grant_type")
    given = TOKENS.give(kind, label, scopes, ask.now)
    return Answer(to_json({"access_token": given, "expires_in": SECONDS, "token_type": "Bearer"}))


def _grant(why: str) -> Refusal:
    return Refusal(400, why, error="invalid_grant")


def _assertion(ask: Ask, text: str) -> tuple[str, str, frozenset[str]]:
    """Return whom an assertion speaks for, the label, and the scopes asked for. Raises: Refusal."""
    parts = text.split(".")
    if len(parts) != 3:
        raise _grant("Invalid JWT: Token must be a short-lived token with three parts.")
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts[:2])
        signature = _decoded(parts[2])
    except ValueError:
        raise _grant("Invalid JWT: Failed to decode.") from None
    found = EMAIL.fullmatch(str(claims.get("iss")))
    if found is None or found["kind"] not in PRINCIPALS:
        raise _grant("Invalid grant: account not found")
    if header.get("alg") != "RS256" or header.get("kid", KEY_ID) != KEY_ID:
        raise _grant("Invalid JWT Signature.")
    if not key_pair().signed(f"{parts[0]}.{parts[1]}".encode(), signature):
        raise _grant("Invalid JWT Signature.")
    if claims.get("aud") not in (TOKEN_URI, f"{ask.base_url}/token"):
        raise Refusal(400, "Invalid JWT: aud is not the token endpoint.", error="invalid_request")
    _in_time(claims, ask.now)
    scopes = frozenset(scope.removeprefix(SCOPE) for scope in str(claims.get("scope", "")).split())
    if not scopes:
        raise Refusal(400, "Invalid OAuth scope or ID token audience provided.", error="invalid_scope")
    return found["kind"], found["label"] or "", scopes


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _in_time(claims: Mapping[str, Any], now: datetime) -> None:
    """Refuse an assertion that is not of this hour. Raises: Refusal."""
    begin, end = claims.get("iat"), claims.get("exp")
    if not isinstance(begin, int) or not isinstance(end, int) or not 0 < end - begin <= 3600:
        raise _grant("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.")
    # A world may stand at a time of its own while signing libraries read the machine's clock: either one will do.
    moments = (now.timestamp(), datetime.now(UTC).timestamp())
    if not any(begin - 300 <= moment < end for moment in moments):
        raise _grant("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
                     " Check your iat and exp values in the JWT claim.")  # fmt: skip


def admit(ask: Ask, endpoint: Endpoint | None) -> None:
    """Refuse a missing or dead token, one without a scope the API takes, a principal without the role, an API off."""
    if ask.key is None or ask.credential is None or TOKENS.over(ask.credential, ask.now):
        raise Refusal(
            401,
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid"
            " authentication credential.",
        )
    api = endpoint.needs if endpoint else ""
    if not api:
        return
    if ask.key.kind == "api-key":
        if api != "catalog":
            raise Refusal(401, "API keys are not supported by this API. Expected OAuth2 access token.")
        return
    if ask.key.scopes is not None and not ask.key.scopes & SCOPES[api]:
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "domain": "googleapis.com"}]  # fmt: skip
        raise Refusal(403, "Request had insufficient authentication scopes.", details=details,
                      reason="insufficientPermissions")  # fmt: skip
    if ask.key.kind == "apis-off":
        raise _off(api)
    if api not in ("billing", "impersonate") and api in PRINCIPALS[ask.key.kind]:
        raise Refusal(403, "The caller does not have permission")


def _off(api: str) -> Refusal:
    service = f"{OFF[api.partition('.')[0]]}.googleapis.com"
    title = f"API [{service}] has not been used in project 100000000001 before or it is disabled."
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
                "domain": "googleapis.com", "metadata": {"service": service}}]  # fmt: skip
    return Refusal(403, title, details=details, reason="accessNotConfigured")


def may(ask: Ask, role: str) -> bool:
    """Return whether the caller holds a role."""
    return ask.key is not None and role not in PRINCIPALS.get(ask.key.kind, frozenset())


def credential(headers: Mapping[str, str]) -> str | None:
    """Return the bearer token, or the API key of a header."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return (token.strip() if scheme == "Bearer" else "") or headers.get("x-goog-api-key")
