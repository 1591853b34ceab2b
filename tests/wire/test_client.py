"""A wire brings back every page or the error that says why not, whatever the vendor does."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from datetime import date, timedelta
from decimal import Decimal
from email.utils import format_datetime

import httpx2
import pytest

from outlay.credentials import Secret
from outlay.errors import (
    AccessDeniedError,
    ConfigError,
    CredentialMissingError,
    NotOfferedError,
    RequestRefusedError,
    UnreachableError,
)
from outlay.model.period import Period
from outlay.providers.base import Ask, EpochWindow, Header, NoWindow, PageNumber, Refusal
from outlay.wire.client import Wire
from wire.vendor import (
    ENDPOINT,
    KEY,
    NOW,
    PERIOD,
    VENDOR,
    Script,
    Time,
    amounts,
    collect,
    endpoint_with,
    failing,
    page,
    query,
    refusal,
    run,
    wire,
    with_,
)


def test_a_list_of_the_newest_first_ends_where_it_reaches_back() -> None:
    """Without a window to send, pages are asked for until one holds what is older than the window."""
    times = iter([PERIOD.end, PERIOD.start, PERIOD.start - timedelta(seconds=1), PERIOD.start])
    endpoint = endpoint_with(window=NoWindow(), oldest=lambda _page: next(times))
    more = [page("1", next_page=f"c{n}") for n in range(4)]
    answers, script, _ = run(*more, endpoint=endpoint)
    assert len(answers) == len(script.asked) == 3
    unknown = endpoint_with(window=NoWindow(), oldest=lambda _page: None)
    assert len(run(page("1", next_page="c"), page("2"), endpoint=unknown)[0]) == 2


def test_pages_come_in_order_and_exact() -> None:
    """Pages are followed by their cursor, decoded exactly, and kept with all that is needed to map them again."""
    first = page("0.1000000000000000055511151231257827", next_page="c/1 +")
    answers, script, time = run(first, page("12345678901234567890.123456789012345678"))
    assert [row.amount for answer in answers for row in answer.page.data] == [
        Decimal("0.1000000000000000055511151231257827"),
        Decimal("12345678901234567890.123456789012345678"),
    ]
    assert [query(request).get("page") for request in script.asked] == [None, "c/1 +"]
    assert query(script.asked[1])["limit"] == "7"
    payload = answers[1].payload
    assert (payload.connection, payload.provider, payload.dataset, payload.endpoint) == (
        "mine",
        "vendor",
        "costs",
        "costs",
    )
    assert (payload.fetch_id, payload.item, payload.window, payload.page_number) == ("f1", None, PERIOD, 2)
    assert payload.path == "/v1/costs?limit=7&start_time=1793491200&end_time=1794096000&page=c%2F1+%2B"
    assert (payload.status, payload.fetched_at, payload.body) == (200, NOW, script.replies[1].content)  # type: ignore[union-attr]
    assert answers[0].ask == Ask("costs", PERIOD, {}, NOW, None)
    assert time.slept == []


def test_the_request_carries_key_and_name() -> None:
    """Every request is signed and says who asks; no cookie a vendor sets comes back to it."""
    _, script, _ = run(page("1", next_page="c", set_cookie="session=1; Path=/"), page("2"))
    for request in script.asked:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["user-agent"].startswith("outlay/")
        assert request.headers["accept"] == "application/json"
        assert "cookie" not in request.headers


@pytest.mark.parametrize(
    ("prefixes", "name", "value"), [((), "x-api-key", KEY), (("vk-",), "authorization", f"Bearer {KEY}")]
)
def test_a_key_in_a_header_of_its_own(prefixes: tuple[str, ...], name: str, value: str) -> None:
    """A vendor's own header carries the key, unless it is a kind that goes as a bearer token."""
    _, script, _ = run(page("1"), provider=with_(auth=Header("X-Api-Key", prefixes)))
    assert script.asked[0].headers[name] == value


@pytest.mark.parametrize("value", ["has space" + KEY, KEY + "\nX-Evil: 1", KEY + "ü", KEY + "\x00"])
def test_a_key_no_header_can_carry_is_refused(value: str) -> None:
    """A credential that would break the request is refused before anything is sent, and not shown."""
    with pytest.raises(CredentialMissingError) as caught:
        Wire(VENDOR, "mine", Secret(value), clock=Time().clock, transport=Script([page()]))
    assert KEY not in caught.value.message + caught.value.hint


def test_a_long_period_is_asked_for_in_windows() -> None:
    """What is longer than one request may ask for is asked for window by window, each numbered from 1."""
    endpoint = endpoint_with(window=EpochWindow("start_time", "end_time", 3))
    answers, script, _ = run(page("1", next_page="c"), page("2"), page("3"), page("4"), endpoint=endpoint)
    assert [(answer.payload.window.first_day.day, answer.payload.page_number) for answer in answers] == [
        (1, 1),
        (1, 2),
        (4, 1),
        (7, 1),
    ]
    assert answers[3].ask.period == Period.of_day(date(2026, 11, 7))
    assert len(script.asked) == 4


def test_page_numbers_replace_each_other() -> None:
    """A numbered page is asked for once under its number."""
    _, script, _ = run(page("1", more=True), page("2"), endpoint=endpoint_with(pages=PageNumber("page", "has_more")))
    assert [request.url.params.get_list("page") for request in script.asked] == [["1"], ["2"]]


def test_numbers_behind_a_wire() -> None:
    """A wire counts what it sent and knows how far the vendor's clock is off once an answer shows it."""
    script = Script([refusal(503), page("1", date=format_datetime(NOW + timedelta(seconds=91), usegmt=True))])
    over = wire(script, Time())
    assert (over.requests, over.clock_skew_seconds) == (0, None)
    asyncio.run(collect(over))
    assert (over.requests, over.clock_skew_seconds) == (2, 90.0)


def test_the_clock_is_compared() -> None:
    """The Date of an answer against our own clock is the skew, positive when the vendor is ahead."""
    over = wire(Script([page("1", date=format_datetime(NOW - timedelta(seconds=40), usegmt=True))]), Time())
    asyncio.run(collect(over))
    assert over.clock_skew_seconds == -40.0


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refusal_is_final() -> None:
    """A no that waiting cannot change is asked for once."""
    error, script, _ = failing(AccessDeniedError, refusal(401, '{"error": {"message": "bad key"}}', x_request_id="r1"))
    assert len(script.asked) == 1
    assert (error.status, error.request_id) == (401, "r1")


def test_the_missing_permission_reaches_the_user() -> None:
    """The permission named in a header is in the error."""
    error, _, _ = failing(NotOfferedError, refusal(404, x_accepted_github_permissions="plan=read"))
    assert "plan=read" in error.message


def test_an_empty_answer_has_no_page() -> None:
    """A refusal that means empty ends its window without a page, and the next window is asked for."""
    provider = with_(refusals=(Refusal(404, "empty", "no rows"),))
    endpoint = endpoint_with(window=EpochWindow("start_time", "end_time", 4))
    answers, script, _ = run(refusal(404, "no rows here"), page("2"), provider=provider, endpoint=endpoint)
    assert amounts(answers) == ["2"]
    assert len(script.asked) == 2


def test_a_refusal_may_hide_behind_200() -> None:
    """A vendor that says no with 200 is understood where its description says so, and only then."""
    provider = with_(refusals=(Refusal(200, "access_denied", "not authorized"),))
    failing(AccessDeniedError, refusal(200, '{"errors": [{"message": "Not authorized"}]}'), provider=provider)
    assert amounts(run(page("1"), provider=provider)[0]) == ["1"]


def test_a_vendor_that_repeats_the_key_does_not_leak_it() -> None:
    """Messages, payloads and tracebacks have no key, whatever the vendor sends back."""
    error, _, _ = failing(RequestRefusedError, refusal(400, f'{{"message": "key {KEY} is odd"}}', x_request_id=KEY))
    shown = error.message + error.hint + "".join(traceback.format_exception(error))
    assert KEY not in shown
    answers, _, _ = run(refusal(200, f'{{"data": [], "next_page": null, "echo": "{KEY}"}}'))
    assert KEY.encode() not in answers[0].payload.body
    assert b'"echo": "***"' in answers[0].payload.body


# ── Where the key may go ─────────────────────────────────────────────────────────────────────────────────────────


def moved(location: str, status: int = 302) -> httpx2.Response:
    """Return a redirect."""
    return httpx2.Response(status, headers={"location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location", ["/v2/costs?a=1", "https://api.vendor.test/v2/costs?a=1", "https://API.vendor.test:443/v2/costs?a=1"]
)
def test_a_move_within_the_vendor_is_followed(status: int, location: str) -> None:
    """A redirect to the same scheme, host and port is followed with the key."""
    answers, script, _ = run(moved(location, status), page("1"))
    assert amounts(answers) == ["1"]
    assert script.asked[1].url == "https://api.vendor.test/v2/costs?a=1"
    assert script.asked[1].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.test/v1/costs",
        "//evil.test/v1/costs",
        "https://api.vendor.test.evil.test/",
        "https://api.vendor.test:8443/v1/costs",
        "http://api.vendor.test/v1/costs",
        "https://api.vendor.test@evil.test/",
        "https://sub.api.vendor.test/",
        "ftp://api.vendor.test/",
    ],
)
def test_a_move_elsewhere_is_refused(location: str) -> None:
    """A redirect to anywhere else is an error; nothing at all is sent there."""
    error, script, _ = failing(UnreachableError, moved(location))
    assert len(script.asked) == 1
    assert "another address" in error.message
    assert "base_url" in error.hint


def test_redirects_end() -> None:
    """A vendor that redirects in circles is left after five moves."""
    error, script, _ = failing(RequestRefusedError, moved("/again"))
    assert len(script.asked) == 6
    assert "5 times" in error.message


def test_plain_http_is_refused_before_anything_is_sent() -> None:
    """A key does not travel unencrypted to another machine."""
    script = Script([page("1")])
    with pytest.raises(ConfigError, match="http"):
        wire(script, Time(), base_url="http://api.vendor.test")
    assert not script.asked
    assert amounts(run(page("1"), base_url="http://127.0.0.1:1/x")[0]) == ["1"]
    assert amounts(run(page("1"), base_url="http://api.vendor.test", allow_http=True)[0]) == ["1"]


def test_logs_have_no_key(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything logged, each request is one line and no line has the key."""
    # Other tests run programs that silence the loggers they find.
    monkeypatch.setattr(logging.getLogger("outlay.wire"), "disabled", False)
    with caplog.at_level(logging.DEBUG):
        run(refusal(503), page("1", next_page=KEY), page("2"))
    lines = [record.getMessage() for record in caplog.records if record.name == "outlay.wire"]
    assert [line for line in lines if "/v1/costs" in line] == lines
    assert len(lines) == 3
    assert KEY not in caplog.text
    assert "page=%2A%2A%2A" in lines[2]


def test_a_wire_prints_no_key() -> None:
    """The wire itself, looked at in a debugger or a traceback with variables, shows no key."""
    over = wire(Script([page("1")]), Time(), with_(auth=Header("x-api-key")))
    call = over._call("costs", ENDPOINT, PERIOD, None, "f")
    assert KEY not in repr(over) + repr(call) + repr(call.headers) + repr(over._exchange)
    asyncio.run(over.aclose())


def test_a_document_is_posted_and_pages_are_written_into_it() -> None:
    """A POST goes out whole for every page and every new attempt; only the cursor changes."""
    endpoint = endpoint_with(body={"limit": 7}, query={}, window=EpochWindow("from", "to"))
    answers, script, _ = run(page("1", next_page="c1"), refusal(503), page("2"), endpoint=endpoint)
    assert amounts(answers) == ["1", "2"]
    assert {request.method for request in script.asked} == {"POST"}
    first = {"limit": 7, "from": 1793491200, "to": 1794096000}
    sent = [json.loads(request.content) for request in script.asked]
    assert sent == [first, {**first, "page": "c1"}, {**first, "page": "c1"}]
    assert answers[1].payload.path == "/v1/costs"


def test_a_document_follows_a_redirect_of_the_same_host() -> None:
    """The same POST, document and all, goes to where the vendor has moved it."""
    moved = httpx2.Response(308, headers={"location": "/v2/costs"})
    answers, script, _ = run(moved, page("3"), endpoint=endpoint_with(body={"limit": 7}, query={}))
    assert amounts(answers) == ["3"]
    assert [request.url.path for request in script.asked] == ["/v1/costs", "/v2/costs"]
    assert script.asked[0].content == script.asked[1].content != b""
