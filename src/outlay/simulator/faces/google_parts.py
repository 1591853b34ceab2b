"""What all of Google's APIs share: paging, money, the error envelope, the parameters every call may carry."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from outlay.simulator.faces.base import Answer, Ask, Refusal, seal, to_json, unseal
from outlay.simulator.worlds.google import GoogleAccount

_COMMON = ("prettyPrint", "alt", "fields", "quotaUser", "key", "$alt")
_STATES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
           405: "UNIMPLEMENTED", 409: "ALREADY_EXISTS", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL",
           503: "UNAVAILABLE"}  # fmt: skip
_REASONS = {400: "invalid", 401: "authError", 403: "accessDenied", 404: "notFound", 409: "duplicate",
            429: "rateLimitExceeded", 500: "internalError", 503: "backendError"}  # fmt: skip


def account_of(ask: Ask) -> GoogleAccount:
    """Return the customer whose world is asked."""
    return cast(GoogleAccount, ask.account)


def finish(ask: Ask) -> None:
    """Refuse parameters that neither this call nor every call takes."""
    for name in _COMMON:
        ask.query.one(name)
    ask.query.finish()


def money(amount: Decimal, currency: str, *, sparse: bool = False) -> dict[str, Any]:
    """Return an amount as units and billionths; a sparse one leaves zeros out."""
    units, nanos = divmod(abs(amount), 1)
    sign = -1 if amount < 0 else 1
    parts: dict[str, Any] = {"currencyCode": currency}
    if units or not sparse:
        parts["units"] = str(sign * int(units))
    if nanos or not sparse:
        parts["nanos"] = sign * int(nanos.scaleb(9))
    return parts


def page(
    ask: Ask, key: str, items: Sequence[Any], *, most: int, size: str = "pageSize", other: dict[str, Any] | None = None
) -> Answer:
    """Answer one page of a list; an empty list has no key at all, and the last page no token."""
    wanted, token = ask.query.whole(size), ask.query.one("pageToken")
    finish(ask)
    if wanted is not None and wanted < 0:
        raise Refusal(400, f"Invalid value for {size}: {wanted}")
    fingerprint = hashlib.blake2b(ask.path.encode(), digest_size=6).digest()
    start = unseal("", token, fingerprint) if token else 0
    if start is None or not 0 <= start <= len(items):
        raise Refusal(400, "Invalid page token")
    end = start + min(wanted or most, most)
    body: dict[str, Any] = dict(other or {})
    if items[start:end]:
        body[key] = items[start:end]
    if end < len(items):
        body["nextPageToken"] = seal("", end, fingerprint)
    return Answer(to_json(body))


def refuse(ask: Ask, no: Refusal) -> Answer:
    """Write the error envelope; the token endpoints have one of their own."""
    if ask.path in ("/token", "/v1/token"):
        # A key that is no longer good is told here as a grant that is not, never by 401.
        dead = no.status == 401
        name = "invalid_grant" if dead else str(no.extra.get("error", "invalid_request"))
        return Answer(to_json({"error": name, "error_description": no.message}), 400 if dead else no.status, no.headers)
    error: dict[str, Any] = {"code": no.status, "message": no.message}
    reason = no.extra.get("reason") or _REASONS.get(no.status, "invalid")
    if ask.path.startswith("/bigquery/") or "reason" in no.extra:
        item = {"message": no.message, "domain": "global", "reason": reason}
        if "location" in no.extra:
            item |= {"location": no.extra["location"], "locationType": "other"}
        error["errors"] = [item]
    error["status"] = no.extra.get("state") or _STATES.get(no.status, "UNKNOWN")
    if "details" in no.extra:
        error["details"] = no.extra["details"]
    headers = dict(no.headers)
    if no.status == 401:
        headers["www-authenticate"] = 'Bearer realm="https://accounts.google.com/"'
    return Answer(to_json({"error": error}), no.status, headers)
