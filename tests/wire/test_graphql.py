"""GraphQL: what is asked goes into variables, and a no that arrives as HTTP 200 is a no."""

from __future__ import annotations

import json

import msgspec
import pytest

from outlay.credentials import Secret
from outlay.errors import ConfigError, PayloadError, PermissionMissingError, RequestRefusedError, RetryLaterError
from outlay.providers.base import Bearer, ByOption, Cursor, Endpoint, FanOut, GraphQL, Header, IsoWindow, Refusal
from outlay.wire import auth
from outlay.wire.request import build
from wire.vendor import KEY, PERIOD, VENDOR, Reply, failing, refusal, run, with_

DOCUMENT = "query costs($org: String!, $first: Int, $after: String) { rows }"


class Data(msgspec.Struct):
    """What was asked for, and where it goes on."""

    rows: list[str]
    cursor: str | None = None
    more: bool = False


class Page(msgspec.Struct):
    """An answer without errors."""

    data: Data


ENDPOINT: Endpoint[Page] = Endpoint(
    name="costs",
    path="/graphql/v2",
    page=Page,
    facts=lambda _page, _ask: (),
    window=IsoWindow("start", "end"),
    pages=Cursor("after", "data.cursor", "data.more"),
    query={"source": "outlay"},
    body=GraphQL(DOCUMENT, {"first": 2}, {"org": "organization"}),
)


def rows(*names: str, cursor: str | None = None) -> Reply:
    """Return a page of rows."""
    return refusal(200, json.dumps({"data": {"rows": names, "cursor": cursor, "more": cursor is not None}}))


def no(*messages: str, data: object = None) -> Reply:
    """Return the errors of an answer that is HTTP 200 all the same."""
    return refusal(200, json.dumps({"errors": [{"message": message} for message in messages], "data": data}))


def test_window_page_and_options_are_variables() -> None:
    """The document never changes; the query string is the constant one and carries nothing of the question."""
    answers, script, _ = run(rows("a", cursor="two"), rows("b"), endpoint=ENDPOINT, options={"organization": "acme"})
    assert [answer.page.data.rows for answer in answers] == [["a"], ["b"]]
    first, second = (json.loads(request.content) for request in script.asked)
    window = {"start": "2026-11-01T00:00:00Z", "end": "2026-11-08T00:00:00Z"}
    assert first == {"query": DOCUMENT, "variables": {"first": 2, "org": "acme", **window}}
    assert second == {"query": DOCUMENT, "variables": {"first": 2, "org": "acme", **window, "after": "two"}}
    assert {(request.method, str(request.url)) for request in script.asked} == {
        ("POST", "https://api.vendor.test/graphql/v2?source=outlay")
    }


def test_a_payload_s_path_tells_two_requests_apart_and_holds_no_secret() -> None:
    """Variables stand behind the path, as in a dry run; document and credential do not."""
    answers, _, _ = run(rows("a", cursor=KEY), rows("b"), endpoint=ENDPOINT, options={"organization": "acme"})
    path = answers[0].payload.path
    assert path.startswith("/graphql/v2?source=outlay#first=2&org=acme&start=2026-11-01")
    assert path == build(VENDOR, ENDPOINT, {"organization": "acme"}, PERIOD).target
    assert "after=" in answers[1].payload.path
    assert KEY not in answers[1].payload.path


def test_a_fan_out_item_is_a_variable() -> None:
    """Asking once per name writes the id beside the other variables."""
    endpoint = Endpoint(
        name="costs", path="/graphql/v2", page=Page, facts=lambda _page, _ask: (), body=GraphQL("query { rows }"),
        each=FanOut("workspace", "workspaceId", "query"),
    )  # fmt: skip
    assert build(VENDOR, endpoint, {}, PERIOD, "w1").body == {
        "query": "query { rows }",
        "variables": {"workspaceId": "w1"},
    }


def test_a_missing_option_is_the_user_s_to_set() -> None:
    """A variable that an option fills is asked for by the option's name."""
    with pytest.raises(ConfigError, match="organization"):
        build(VENDOR, ENDPOINT, {}, PERIOD)


@pytest.mark.parametrize("document", ["mutation { usageLimitSet }", "query { a } mutation b { c }", "{ rows }"])
def test_a_document_can_only_read(document: str) -> None:
    """Nothing that could write can be described at all."""
    with pytest.raises(ValueError, match="one query"):
        GraphQL(document)


def test_errors_are_a_refusal_by_what_they_say() -> None:
    """A vendor's own words in `errors` decide, whatever the status and however much data came along."""
    provider = with_(refusals=(Refusal(200, "permission_missing", contains="Not Authorized"),))
    endpoint = ENDPOINT.__class__(name="x", path="/g", page=Page, facts=lambda _p, _a: (), body=GraphQL("query { a }"))
    partial = {"rows": ["half"], "cursor": None, "more": False}
    for reply in (no("Not Authorized"), no("Not Authorized", data=partial)):
        error, script, _ = failing(PermissionMissingError, reply, provider=provider, endpoint=endpoint)
        assert "Not Authorized" in error.message
        assert len(script.asked) == 1
    failing(RequestRefusedError, no("Cannot query field"), provider=provider, endpoint=endpoint)


def test_data_that_reads_like_an_error_is_data() -> None:
    """A row by the name of a refusal is a row: only `errors` can say no."""
    provider = with_(refusals=(Refusal(200, "permission_missing", contains="Not Authorized"),))
    endpoint = Endpoint(name="x", path="/g", page=Page, facts=lambda _p, _a: (), body=GraphQL("query { a }"))
    answers, _, _ = run(rows("Not Authorized"), provider=provider, endpoint=endpoint)
    assert answers[0].page.data.rows == ["Not Authorized"]
    for errors in ("null", "[]"):
        reply = refusal(200, f'{{"errors": {errors}, "data": {{"rows": ["a"]}}}}')
        assert run(reply, provider=provider, endpoint=endpoint)[0][0].page.data.rows == ["a"]


def test_a_vendor_s_fault_in_a_200_is_tried_again() -> None:
    """An error that passes is retried like a 503, and given up as what it is."""
    provider = with_(refusals=(Refusal(200, "retry_later", contains="INTERNAL_SERVER_ERROR"),))
    endpoint = Endpoint(name="x", path="/g", page=Page, facts=lambda _p, _a: (), body=GraphQL("query { a }"))
    answers, script, time = run(no("INTERNAL_SERVER_ERROR"), rows("a"), provider=provider, endpoint=endpoint)
    assert len(answers) == 1
    assert len(script.asked) == 2
    assert time.slept
    failing(RetryLaterError, no("INTERNAL_SERVER_ERROR"), provider=provider, endpoint=endpoint)


def test_pages_that_never_end_are_an_error() -> None:
    """A cursor that does not advance ends the ask instead of going round for ever."""
    options = {"organization": "acme"}
    error, script, _ = failing(PayloadError, rows("a", cursor="same"), endpoint=ENDPOINT, options=options)
    assert "twice" in error.message
    assert len(script.asked) == 2


def test_a_page_for_people_is_no_answer() -> None:
    """HTML with status 200 is a portal or a proxy, and neither data nor errors."""
    options = {"organization": "acme"}
    reply = refusal(200, "<!doctype html><title>Sign in</title>", content_type="text/html")
    failing(PayloadError, reply, endpoint=ENDPOINT, options=options)


def test_an_option_chooses_how_the_credential_travels() -> None:
    """One kind of token has a header of its own, and never goes as a bearer token."""
    either = ByOption("project", Header("Project-Access-Token"), Bearer())
    assert auth.header(either, Secret(KEY), {"project": "p1"}) == ("project-access-token", KEY)
    assert auth.header(either, Secret(KEY), {}) == ("authorization", f"Bearer {KEY}")
