"""Every way a vendor says no becomes the error that says who acts."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.credentials import Secret
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
from outlay.providers.base import Provider, Refusal
from outlay.wire.refusals import Said, declared, default, error, is_html, missing_permission, vendor_message
from wire.vendor import ENDPOINT, KEY, VENDOR, endpoint_with, with_


def said(status: int, body: str | bytes = "{}", **headers: str) -> Said:
    """Return what a vendor said; header names are written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(status, httpx2.Headers(named), body.encode() if isinstance(body, str) else body)


def raised(words: Said, provider: Provider = VENDOR, **known: Any) -> ProviderError:
    """Return the error for an answer."""
    return error(provider, ENDPOINT, words, declared(provider, ENDPOINT, words) or default(words, **known))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (202, RetryLaterError),
        (204, PayloadError),
        (304, PayloadError),
        (400, RequestRefusedError),
        (401, AccessDeniedError),
        (402, OutOfQuotaError),
        (403, PermissionMissingError),
        (404, NotOfferedError),
        (405, RequestRefusedError),
        (407, UnreachableError),
        (408, RetryLaterError),
        (409, RequestRefusedError),
        (410, GoneError),
        (422, RequestRefusedError),
        (425, RetryLaterError),
        (429, RetryLaterError),
        (500, RetryLaterError),
        (503, RetryLaterError),
        (529, RetryLaterError),
    ],
)
def test_what_a_status_means_by_itself(status: int, kind: type[ProviderError]) -> None:
    """Without a word of the vendor's description HTTP decides, and the error knows the status."""
    found = raised(said(status))
    assert type(found) is kind
    assert found.status == status
    assert f"status {status}" in found.message
    assert "Vendor" in found.message
    assert "costs" in found.message


@given(
    st.integers(100, 599),
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text("0123abc,: ")),
)
def test_any_answer_becomes_an_error(status: int, body: bytes, headers: dict[str, str]) -> None:
    """No status, body or header makes the sorting itself fail."""
    words = Said(status, httpx2.Headers(headers), body)
    assert isinstance(error(VENDOR, ENDPOINT, words, default(words)), ProviderError)


def test_the_endpoints_words_come_first() -> None:
    """What the endpoint describes beats the provider, which beats HTTP; texts match without regard to case."""
    provider = with_(refusals=(Refusal(403, "not_offered", "no PLAN"), Refusal(403, "access_denied", "disabled")))
    endpoint = endpoint_with(refusals=(Refusal(403, "empty", "no plan", header="x-kind: None"),))
    assert declared(provider, endpoint, said(403, "No Plan here", x_kind="none")) == endpoint.refusals[0]
    assert declared(provider, endpoint, said(403, "No Plan here", x_kind="some")) == provider.refusals[0]
    assert declared(provider, endpoint, said(403, "No Plan here")) == provider.refusals[0]
    assert declared(provider, endpoint, said(403, "account DISABLED")) == provider.refusals[1]
    assert declared(provider, endpoint, said(403, "else")) is None
    assert declared(provider, endpoint, said(404, "no plan")) is None


def test_a_header_alone_can_decide() -> None:
    """A refusal may ask only that a header is there."""
    provider = with_(refusals=(Refusal(403, "retry_later", header="X-Limit"),))
    assert declared(provider, ENDPOINT, said(403, x_limit="anything")) is provider.refusals[0]
    assert declared(provider, ENDPOINT, said(403)) is None


def test_a_proxys_page_is_not_the_vendors_no() -> None:
    """An HTML 404 does not become a dataset that is not offered, unless the description names its words."""
    provider = with_(refusals=(Refusal(404, "not_offered"), Refusal(401, "access_denied"), Refusal(502, "retry_later")))
    assert isinstance(raised(said(404, "<html>Blocked</html>"), provider), PayloadError)
    assert isinstance(raised(said(404, "{}"), provider), NotOfferedError)
    assert isinstance(raised(said(401, "<html>"), provider), AccessDeniedError)
    assert isinstance(raised(said(502, "<html>"), provider), RetryLaterError)
    worded = with_(refusals=(Refusal(404, "not_offered", "no such plan"),))
    assert isinstance(raised(said(404, "<html>No such plan</html>"), worded), NotOfferedError)


def test_a_refusals_hint_reaches_the_user() -> None:
    """The description may say better than we do what to do."""
    provider = with_(refusals=(Refusal(404, "permission_missing", hint="Use a classic token."),))
    assert raised(said(404), provider).hint == "Use a classic token."


@pytest.mark.parametrize("status", [403, 429])
def test_a_used_up_quota_is_patience(status: int) -> None:
    """A 403 with nothing left, or with a delay, is a rate limit and no missing permission."""
    assert isinstance(raised(said(status), used_up=True), RetryLaterError)
    assert isinstance(raised(said(status, retry_after="30")), RetryLaterError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, PayloadError),
        (404, PayloadError),
        (403, PayloadError),
        (401, AccessDeniedError),
        (429, RetryLaterError),
        (502, RetryLaterError),
    ],
)
def test_a_page_for_people(status: int, kind: type[ProviderError]) -> None:
    """HTML where JSON belongs comes from something in between: patience for 5xx, else unreadable."""
    body = "<html><head><title>Bad\n gateway</title></head><body>" + "x" * 5000
    found = raised(said(status, body, content_type="text/html; charset=utf-8"))
    assert type(found) is kind
    assert "“Bad gateway”" in found.message
    assert "xxx" not in found.message


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b" \n<!DOCTYPE html><p>", True),
        (b"\xef\xbb\xbf<html>", True),
        (b"<?xml version='1.0'?>", True),
        (b'{"a": "<html>"}', False),
    ],
)
def test_html_is_known_without_its_type(body: bytes, expected: bool) -> None:
    """A page for people is told by its first characters too."""
    assert is_html({}, body) is expected


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"message": "No such thing", "type": "invalid", "code": null}}',
        '{"type": "error", "error": {"type": "not_found", "message": "No such thing"}, "request_id": "r"}',
        '{"error": "No such thing"}',
        '{"error": "invalid", "error_description": "No such thing"}',
        '{"message": "No such thing", "documentation_url": "https://docs.test", "status": "404"}',
        '{"code": 404, "message": "No such thing"}',
        '{"detail": "No such thing"}',
        '{"detail": {"status": "x", "message": "No such thing"}}',
        '{"detail": [{"loc": ["query"], "msg": "No such thing"}]}',
        '{"errors": [{"message": "No such thing"}]}',
        '{"errors": [{"status": "404", "title": "No such thing"}]}',
        '{"type": "about:blank", "title": "Missing", "detail": "No such thing"}',
        '{"schemas": ["x"], "detail": "No such thing", "status": "404"}',
        '[{"error": {"message": "No such thing"}}]',
        '"No such thing"',
        "No such thing",
    ],
)
def test_the_vendors_own_words_are_found(body: str) -> None:
    """Whatever shape a vendor gives its errors, its message is shown."""
    assert vendor_message(said(404, body)) == "No such thing"


def test_details_follow_the_summary() -> None:
    """A summary with a list of details is shown as both."""
    body = '{"message": "Validation failed", "errors": [{"field": "year", "message": "year is in the future"}]}'
    assert vendor_message(said(422, body)) == "Validation failed: year is in the future"


@pytest.mark.parametrize("body", ["", "{}", "[]", "null", "7", '{"a": 1}', "\x00\x01", "[" * 5000])
def test_a_body_without_words(body: str) -> None:
    """A refusal without a message is an error without one."""
    assert vendor_message(said(400, body)) is None


def test_words_are_redacted_before_they_are_cut() -> None:
    """A vendor that repeats the key does not make us show it, not even in part."""
    Secret(KEY)
    for length in range(250, 320):
        found = vendor_message(said(401, '{"error": {"message": "' + "x" * length + KEY + '"}}'))
        assert found is not None
        assert len(found) <= 300
        assert KEY[:4] not in found


def test_words_fit_on_a_line() -> None:
    """Line breaks and control characters of a vendor do not reach the terminal."""
    assert vendor_message(said(400, '{"message": "a\\n\\u001b[31mb\\u0000 c"}')) == "a [31mb c"


def test_the_request_id_is_kept() -> None:
    """The vendor's id of the request is in the error and in its message, from the header or the body."""
    provider = with_(request_id_header="Request-Id")
    found = raised(said(400, '{"request_id": "req_body"}', request_id="req_head:1"), provider)
    assert found.request_id == "req_head:1"
    assert "(request req_head:1)" in found.message
    assert raised(said(400, '{"request_id": "req_body"}'), provider).request_id == "req_body"
    assert raised(said(400, "{}", request_id="bad id \x7f"), provider).request_id is None


@pytest.mark.parametrize("status", [403, 404])
def test_a_missing_permission_is_named(status: int) -> None:
    """The permission that the vendor's header asks for is in the message."""
    assert (
        "permission organization_administration=read"
        in raised(said(status, x_accepted_github_permissions="organization_administration=read")).message
    )
    assert "permission" not in raised(said(400, x_accepted_github_permissions="a=read")).message


def test_scopes_are_permissions_too() -> None:
    """OAuth's ways to name a scope are read, empty ones are not."""
    assert missing_permission({"x-accepted-oauth-scopes": "admin:org, read:org"}) == "admin:org, read:org"
    assert (
        missing_permission({"www-authenticate": 'Bearer error="insufficient_scope", scope="usage.read"'})
        == "usage.read"
    )
    assert missing_permission({"x-accepted-oauth-scopes": "", "www-authenticate": "Bearer"}) is None
