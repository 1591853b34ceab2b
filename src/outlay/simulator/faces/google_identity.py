"""Identities from outside Google and borrowed ones: the token exchange of a workload pool, and impersonation.

A subject token is "sim-google-subject-" and the principal it stands for, with a label where a further customer is
meant: "sim-google-subject-pool:team-b". The principal "pool" has no role but to impersonate.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, timedelta
from urllib.parse import parse_qs

from outlay.simulator.faces.base import Answer, Ask, Refusal, to_json
from outlay.simulator.faces.google_parts import finish
from outlay.simulator.faces.google_token import EMAIL, PRINCIPALS, SCOPE, SECONDS, TOKENS, may

AUDIENCE = "//iam.googleapis.com/projects/100000000001/locations/global/workloadIdentityPools/sim/providers/sim"
SUBJECT = "sim-google-subject-"
SUBJECT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
_ACCESS = "urn:ietf:params:oauth:token-type:access_token"
_WANTED = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "requested_token_type": _ACCESS,
           "subject_token_type": SUBJECT_TYPE}  # fmt: skip
_BORROW = ":generateAccessToken"
_LIFETIME = re.compile(r"(\d{1,4})s")


def exchange(ask: Ask) -> Answer:
    """Answer a token of another issuer with an access token of an hour."""
    finish(ask)
    form = {name: values[0] for name, values in parse_qs(ask.body.decode("utf-8", "replace")).items()}
    for name, value in _WANTED.items():
        if form.pop(name, None) != value:
            raise Refusal(400, f"Invalid value for {name}.", error="invalid_request")
    audience, scope, subject = (form.pop(name, "") for name in ("audience", "scope", "subject_token"))
    if form.keys() - {"options"}:
        raise Refusal(400, f"Unknown parameter {min(form)}.", error="invalid_request")
    if audience != AUDIENCE:
        raise Refusal(400, "Invalid value for audience.", error="invalid_target")
    kind, _, label = subject.removeprefix(SUBJECT).partition(":")
    if not subject.startswith(SUBJECT) or kind not in PRINCIPALS:
        # A vendor may repeat what it was sent: what the answer says is not to be trusted with secrets.
        raise Refusal(400, f"The subject token {subject} is not of the pool's issuer.", error="invalid_grant")
    if not scope:
        raise Refusal(400, "Invalid OAuth scope.", error="invalid_scope")
    given = TOKENS.give(kind, label, _scopes(scope.split()), ask.now)
    return Answer(to_json({"access_token": given, "issued_token_type": _ACCESS, "token_type": "Bearer",
                           "expires_in": SECONDS}))  # fmt: skip


def impersonate(ask: Ask) -> Answer:
    """Answer a token of a service account to one who may make its tokens."""
    finish(ask)
    name = ask.places["serviceAccount"]
    found = EMAIL.fullmatch(name.removesuffix(_BORROW))
    if not name.endswith(_BORROW) or found is None or found["kind"] not in PRINCIPALS:
        raise Refusal(404, "Not found; Gaia id not found for email")
    if not may(ask, "impersonate"):
        raise Refusal(403, "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).")
    try:
        body = json.loads(ask.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not body.keys() <= {"delegates", "scope", "lifetime"}:
        raise Refusal(400, "Invalid JSON payload received.")
    scopes, lifetime = body.get("scope"), _LIFETIME.fullmatch(str(body.get("lifetime", "3600s")))
    if not isinstance(scopes, list) or not scopes or not all(str(each).startswith(SCOPE) for each in scopes):
        raise Refusal(400, "Scope required.")
    if lifetime is None or not 0 < int(lifetime[1]) <= 3600:
        raise Refusal(400, "The lifetime must be greater than 0s and at most 3600s.")
    given = TOKENS.give(found["kind"], found["label"] or "", _scopes(scopes), ask.now)
    ends = ask.now.astimezone(UTC) + timedelta(seconds=int(lifetime[1]))
    return Answer(to_json({"accessToken": given, "expireTime": f"{ends:%Y-%m-%dT%H:%M:%SZ}"}))


def _scopes(texts: list[str]) -> frozenset[str]:
    return frozenset(text.removeprefix(SCOPE) for text in texts)
