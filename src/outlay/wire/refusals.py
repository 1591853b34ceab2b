"""Interpret refusals: which error a vendor's no is, with what the vendor itself says about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from outlay.errors import (
    AccessDeniedError,
    GoneError,
    NotOfferedError,
    OutOfQuotaError,
    PayloadError,
    PermissionMissingError,
    ProviderError,
    RequestRefusedError,
    RetryLaterError,
    UnreachableError,
)
from outlay.providers.base import Endpoint, Provider, Refusal
from outlay.redaction import redactor

EMPTY = "empty"
"""What a refusal means that stands for a complete answer without rows."""
ANSWER = "answer"
"""What a refusal means whose body is a page like any other."""
_SAID_CHARACTERS_MAX = 300
_TEXT_BYTES_MAX = 64 * 1024
_ERRORS: Mapping[str, type[ProviderError]] = {
    error.code: error
    for error in (
        RetryLaterError,
        AccessDeniedError,
        PermissionMissingError,
        NotOfferedError,
        OutOfQuotaError,
        GoneError,
        RequestRefusedError,
        UnreachableError,
        PayloadError,
    )
}
_DEFAULTS = {
    401: "access_denied",
    402: "out_of_quota",
    403: "permission_missing",
    404: "not_offered",
    407: "unreachable",
    408: "retry_later",
    410: "gone",
    425: "retry_later",
    429: "retry_later",
}
_HTML_ALLOWED = frozenset((401, 407, 429, *range(500, 600)))
"""Statuses that mean what they say even on a page for people; any other may be a proxy's or a portal's."""
_MEANINGS = {
    "access_denied": "does not accept the credential",
    "permission_missing": "does not let this credential read it",
    "not_offered": "has no such data for this account or plan",
    "out_of_quota": "says the account's quota or credit is used up",
    "retry_later": "asks to try again later",
    "gone": "has retired this interface",
    "request_refused": "calls the request wrong",
    "payload_unreadable": "answered with something that is not JSON",
    "unreachable": "cannot be reached through the proxy",
}
_PERMISSION_HEADERS = ("x-accepted-github-permissions", "x-accepted-oauth-scopes")
_SCOPE = re.compile(r'\bscope="([^"]+)"')
_REQUEST_ID = re.compile(r"[\w.:+/=-]{1,128}")
_HTML_START = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|\?xml|!--|h1|title)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_PLAIN_WORDS = re.compile(r"\s*\w+[\s,:.]+\w")
_DEPTH_MAX = 4
_TEXT_KEYS = (
    *("message", "detail", "error_description", "title", "msg", "error_message"),
    *("error", "reason", "description", "code"),
)


class Said(NamedTuple):
    """What an answer that is no page says: its status, headers in lower case, the start of its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def declared(provider: Provider, endpoint: Endpoint[Any], said: Said) -> Refusal | None:
    """Return the first refusal that the endpoint, then the provider, describes and that this answer fits.

    A page for people is not the vendor's own no, so a description by the status alone does not fit it.
    """
    fitting = [
        refusal
        for refusal in (*endpoint.refusals, *provider.refusals)
        if refusal.status == said.status and _has(refusal.header, said.headers)
    ]
    if not fitting:
        return None
    text = said.body[:_TEXT_BYTES_MAX].decode(errors="replace").lower()
    foreign = said.status not in _HTML_ALLOWED and is_html(said.headers, said.body)
    for refusal in fitting:
        by_status_alone = not refusal.contains and not refusal.header
        if refusal.contains.lower() in text and not (foreign and by_status_alone):
            return refusal
    return None


class _Envelope(msgspec.Struct):
    errors: msgspec.Raw = msgspec.Raw(b"null")


def graphql_errors(headers: Mapping[str, str], body: bytes) -> bytes | None:
    """Return what a GraphQL answer of status 200 says went wrong, without the data that came with it.

    Null: None where nothing did, or where the answer cannot be read at all, which its decoder tells.
    """
    if is_html(headers, body):
        return body
    try:
        errors = bytes(msgspec.json.decode(body, type=_Envelope).errors).strip()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if errors in (b"null", b"[]") else b'{"errors":' + errors + b"}"


def default(said: Said, *, used_up: bool = False) -> Refusal:
    """Return what a refusal that nothing describes means by its status.

    `used_up` tells that the answer's quota headers say nothing is left.
    """
    return Refusal(said.status, _default(said, used_up=used_up))


def error(
    provider: Provider,
    endpoint: Endpoint[Any],
    said: Said,
    refusal: Refusal,
    *,
    retry_after_seconds: float | None = None,
) -> ProviderError:
    """Return the typed error for a refusal, with the vendor's own message, request id and missing permission."""
    kind = _ERRORS[refusal.means]
    message = f"{provider.title} {_MEANINGS[refusal.means]}: {endpoint.name}, status {said.status}"
    words = vendor_message(said)
    if words:
        message += f", “{words}”"
    if said.status in (403, 404) and (permission := missing_permission(said.headers)):
        message += f"; it asks for the permission {permission}"
    if provider.reason_header and (reason := said.headers.get(provider.reason_header.lower(), "").strip()):
        message += f" [{_shown(reason)}]"
    identifier = request_id(provider, said)
    if identifier:
        message += f" (request {identifier})"
    hint = refusal.hint
    if kind is RetryLaterError:
        return RetryLaterError(
            message,
            hint=hint,
            status=said.status,
            request_id=identifier,
            retry_after_seconds=retry_after_seconds,
        )
    return kind(message, hint=hint, status=said.status, request_id=identifier)


def is_html(headers: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a page for people came where JSON belongs."""
    return "html" in headers.get("content-type", "").lower() or _HTML_START.match(body[:512]) is not None


def missing_permission(headers: Mapping[str, str]) -> str | None:
    """Return the permission that the answer says the request needs, None where it names none."""
    for name in _PERMISSION_HEADERS:
        if value := headers.get(name, "").strip():
            return _shown(value)
    scope = _SCOPE.search(headers.get("www-authenticate", ""))
    return _shown(scope[1]) if scope else None


def request_id(provider: Provider, said: Said) -> str | None:
    """Return the id under which the vendor knows the request, from its header or its error body."""
    found: object = said.headers.get(provider.request_id_header.lower())
    if not found:
        document = _document(said)
        found = document.get("request_id") if isinstance(document, dict) else None
    return redactor.text(found) if isinstance(found, str) and _REQUEST_ID.fullmatch(found) else None


def vendor_message(said: Said) -> str | None:
    """Return the vendor's own words, redacted and on one short line; None where the body has none."""
    found = _find(_document(said), 0)
    if found:
        return _shown(found)
    text = said.body[:_TEXT_BYTES_MAX].decode(errors="replace")
    if is_html(said.headers, said.body):
        title = _TITLE.search(text)
        return _shown(title[1]) if title else None
    return _shown(text) if _PLAIN_WORDS.match(text) and text.strip().isprintable() else None


def _default(said: Said, *, used_up: bool) -> str:
    status = said.status
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "retry_later"
    if status in (403, 429) and (used_up or "retry-after" in said.headers):
        return "retry_later"
    if is_html(said.headers, said.body) and status not in _HTML_ALLOWED:
        return "payload_unreadable"
    if status == HTTPStatus.OK and said.body.startswith(b'{"errors":'):
        return "request_refused"
    if status < HTTPStatus.BAD_REQUEST:
        return "retry_later" if status == HTTPStatus.ACCEPTED else "payload_unreadable"
    return _DEFAULTS.get(status, "request_refused")


def _has(wanted: str, headers: Mapping[str, str]) -> bool:
    if not wanted:
        return True
    name, colon, value = wanted.partition(":")
    found = headers.get(name.strip().lower())
    return found is not None and (not colon or found.strip().lower() == value.strip().lower())


def _document(said: Said) -> object:
    try:
        return msgspec.json.decode(said.body) if len(said.body) <= _TEXT_BYTES_MAX else None
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def _find(value: object, depth: int) -> str | None:
    """Return the first text that reads like a message in the shapes vendors use for errors."""
    if isinstance(value, str):
        return value.strip() or None
    if depth > _DEPTH_MAX:
        return None
    if isinstance(value, list):
        return next((found for entry in value[:5] if (found := _find(entry, depth + 1))), None)
    if not isinstance(value, dict):
        return None
    for key in ("error", "errors", *_TEXT_KEYS):
        nested = value.get(key)
        if isinstance(nested, dict | list) and (found := _find(nested, depth + 1)):
            outer = value.get("message")
            return f"{outer}: {found}" if isinstance(outer, str) and outer.strip() else found
    return next((text.strip() for key in _TEXT_KEYS if isinstance(text := value.get(key), str) and text.strip()), None)


def _shown(text: str) -> str:
    # The cut comes after redaction: a secret cut in half would no longer be recognised.
    line = redactor.text(" ".join("".join(c if c.isprintable() else " " for c in text).split()))
    return line if len(line) <= _SAID_CHARACTERS_MAX else line[: _SAID_CHARACTERS_MAX - 1] + "…"
