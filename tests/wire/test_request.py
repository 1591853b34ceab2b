"""What is sent is built from the description alone, and holds no credential."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import BugError, ConfigError
from outlay.model.period import Period
from outlay.providers.base import EpochWindow, FanOut, Form, NoWindow, PageNumber
from outlay.wire.request import build, check_scheme, encoded, filled, is_loopback
from wire.vendor import PERIOD, VENDOR, endpoint_with, with_


def test_a_request_says_everything_but_the_key() -> None:
    """Path, parameters in order, repeated parameters and headers come from provider and endpoint."""
    endpoint = endpoint_with(
        path="/orgs/{organization}/costs",
        query={"group_by[]": ("project", "line"), "limit": 7, "archived": True},
        headers={"X-Beta": "costs-2"},
        pages=PageNumber("page", "has_more"),
    )
    provider = with_(headers={"Vendor-Version": "3"})
    request = build(provider, endpoint, {"organization": "a/b ü"}, PERIOD)
    assert request.method == "GET"
    assert request.path == "/orgs/a%2Fb%20%C3%BC/costs"
    assert request.url == "https://api.vendor.test/orgs/a%2Fb%20%C3%BC/costs"
    assert request.params == [
        ("group_by[]", "project"),
        ("group_by[]", "line"),
        ("limit", "7"),
        ("archived", "true"),
        ("start_time", "1793491200"),
        ("end_time", "1794096000"),
        ("page", "1"),
    ]
    assert request.headers["x-beta"] == "costs-2"
    assert request.headers["vendor-version"] == "3"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["user-agent"].startswith("outlay/")
    assert "authorization" not in request.headers
    assert request.target.startswith("/orgs/a%2Fb%20%C3%BC/costs?group_by%5B%5D=project&group_by%5B%5D=line&limit=7")


def test_an_option_may_go_into_the_query() -> None:
    """A parameter takes its value from an option, and is not sent where the option is not set."""
    endpoint = endpoint_with(window=NoWindow(), query={}, query_options={"filter[store_id]": "store"})
    assert build(VENDOR, endpoint, {"store": "7"}, PERIOD).params == [("filter[store_id]", "7")]
    assert build(VENDOR, endpoint, {}, PERIOD).params == []


def test_an_option_may_go_into_a_header() -> None:
    """What the connection sets is sent, what it leaves out is not, and what no header can carry is refused."""
    vendor = with_(header_options={"X-Account": "account"})
    assert build(vendor, endpoint_with(), {"account": "acct_1"}, PERIOD).headers["x-account"] == "acct_1"
    assert "x-account" not in build(vendor, endpoint_with(), {}, PERIOD).headers
    for value in ("acct_1\r\nx-other: 1", "kontø"):
        with pytest.raises(ConfigError, match="account"):
            build(vendor, endpoint_with(), {"account": value}, PERIOD)


def test_a_provider_may_ask_for_another_accept() -> None:
    """A vendor's own media type replaces ours."""
    request = build(with_(headers={"Accept": "application/vnd.x+json"}), endpoint_with(), {}, PERIOD)
    assert request.headers["accept"] == "application/vnd.x+json"


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, "https://api.vendor.test/v1/costs"),
        ("http://127.0.0.1:9100/vendor", "http://127.0.0.1:9100/vendor/v1/costs"),
        ("https://proxy.test/a/b/", "https://proxy.test/a/b/v1/costs"),
    ],
)
def test_a_base_url_replaces_host_and_adds_a_prefix(base_url: str | None, url: str) -> None:
    """The vendor's own path follows whatever base the connection names."""
    request = build(VENDOR, endpoint_with(), {}, PERIOD, base_url=base_url)
    assert (request.url, request.path) == (url, "/v1/costs")


@pytest.mark.parametrize(
    "base_url",
    [
        *(
            "api.vendor.test",
            "ftp://x.test",
            "https://",
            "https://u:p@x.test",
            "https://x.test/?k=1",
            "https://x.test/#a",
        ),
        *("https://x.test:port", "https://x y.test", "https://x.test/\nHost: y", "file:///etc/passwd", "https://[::1"),
    ],
)
def test_a_base_url_that_is_none_is_refused(base_url: str) -> None:
    """Anything but a plain http(s) address is a mistake in the configuration."""
    with pytest.raises(ConfigError, match="base_url"):
        build(VENDOR, endpoint_with(), {}, PERIOD, base_url=base_url)


@pytest.mark.parametrize("options", [{}, {"organization": ""}, {"organization": ".."}, {"organization": "."}])
def test_a_missing_option_is_named(options: dict[str, str]) -> None:
    """A path variable without a usable value names the option; dot segments would lead elsewhere."""
    with pytest.raises(ConfigError, match="`organization`"):
        build(VENDOR, endpoint_with(path="/orgs/{organization}/costs"), options, PERIOD)


@given(st.text(min_size=1, max_size=30).filter(lambda text: text not in (".", "..")))
def test_an_item_stays_one_segment(item: str) -> None:
    """Whatever an id holds, it cannot change the path around it."""
    endpoint = endpoint_with(path="/projects/{project}/limits", each=FanOut("project", "project"), window=NoWindow())
    path = build(VENDOR, endpoint, {}, PERIOD, item.encode(errors="replace").decode()).path
    assert path.count("/") == 3
    assert not set(path) & set("?#\\ \r\n")


def test_an_item_may_go_into_the_query() -> None:
    """A fan-out over a query parameter sends it, or leaves it out where it is asked without."""
    endpoint = endpoint_with(each=FanOut("project", "project_ids[]", "query", also_without=True), window=NoWindow())
    assert ("project_ids[]", "p 1") in build(VENDOR, endpoint, {}, PERIOD, "p 1").params
    assert build(VENDOR, endpoint, {}, PERIOD).params == [("limit", "7")]


def test_a_pair_goes_to_two_places() -> None:
    """Every id of one kind is asked for with every id of the other, each where it belongs."""
    each = FanOut("user", "user", "query", within=FanOut("project", "project"))
    endpoint = endpoint_with(path="/projects/{project}/use", each=each, window=NoWindow(), query={})
    ids = {"project": ["p1", "p/2"], "user": ["u1", "u2"]}
    built = [build(VENDOR, endpoint, {}, PERIOD, item) for item in each.items(lambda one: ids[one.kind])]
    assert [request.target for request in built] == [
        "/projects/p1/use?user=u1", "/projects/p1/use?user=u2",
        "/projects/p%2F2/use?user=u1", "/projects/p%2F2/use?user=u2",
    ]  # fmt: skip
    assert each.items(lambda one: ids[one.kind] if one.kind == "user" else []) == []
    with pytest.raises(BugError):
        build(VENDOR, endpoint, {}, PERIOD)


def test_items_that_do_not_fit_the_endpoint_are_bugs() -> None:
    """An item for an endpoint without fan-out, and a path without its item, are our mistakes."""
    with pytest.raises(BugError):
        build(VENDOR, endpoint_with(), {}, PERIOD, "p")
    with pytest.raises(BugError):
        build(VENDOR, endpoint_with(path="/p/{project}", each=FanOut("project", "project")), {}, PERIOD)


def test_two_windows_differ_only_in_their_span() -> None:
    """The same description and another window give the same request with other times."""
    endpoint = endpoint_with(window=EpochWindow("a", "b"), query={})
    requests = [build(VENDOR, endpoint, {}, Period.of_day(date(2026, 1, day))) for day in (1, 2)]
    assert requests[0].params[1][1] == requests[1].params[0][1]
    assert requests[0].headers == requests[1].headers


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST.", "api.localhost"])
def test_loopback_may_be_plain_http(host: str) -> None:
    """A simulator on this machine needs no encryption."""
    assert is_loopback(f"http://{host}:9100/x")
    check_scheme(f"http://{host}:9100", allow_http=False)


@pytest.mark.parametrize(
    "host", ["api.vendor.test", "10.0.0.1", "127.0.0.1.vendor.test", "localhost.test", "192.0.2.1"]
)
def test_plain_http_elsewhere_needs_a_word(host: str) -> None:
    """A key goes over plain http to another machine only if the connection allows it."""
    with pytest.raises(ConfigError) as caught:
        check_scheme(f"http://{host}", allow_http=False)
    assert "allow_http" in caught.value.hint
    check_scheme(f"http://{host}", allow_http=True)
    check_scheme(f"https://{host}", allow_http=False)


def test_a_body_makes_it_a_post_that_says_the_same() -> None:
    """With a document, window and item are written into it: numbers as numbers, dotted names within, the rest as is."""
    document = {"variables": {"group": ["day"]}, "interval": 86400}
    endpoint = endpoint_with(
        body=document,
        query={"v": 2},
        window=EpochWindow("variables.start", "variables.end", per_second=1000),
        each=FanOut("project", "variables.filter.project", place="query"),
    )
    request = build(VENDOR, endpoint, {}, PERIOD, "p1")
    assert (request.method, request.params, request.target) == ("POST", [("v", "2")], "/v1/costs?v=2")
    assert request.headers["content-type"] == "application/json"
    assert request.body == {
        "variables": {
            "group": ["day"], "start": 1793491200000, "end": 1794096000000, "filter": {"project": "p1"}
        },
        "interval": 86400,
    }  # fmt: skip
    assert document == {"variables": {"group": ["day"]}, "interval": 86400}, "the description stays as it is"
    assert build(VENDOR, endpoint_with(), {}, PERIOD).body is None


def test_a_form_is_a_post_of_fields() -> None:
    """Window, item and page are fields of a form, brackets and dots stay as written, and a tuple is repeated."""
    form = Form({"expand[]": ("lines", "total.taxes"), "preview": True, "limit": 7})
    endpoint = endpoint_with(
        body=form, query={}, window=EpochWindow("at[gte]", "at.lt"), each=FanOut("plan", "plan", place="query")
    )
    request = build(VENDOR, endpoint, {}, PERIOD, "p 1&x=2")
    assert (request.method, request.params) == ("POST", [])
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body is not None
    assert encoded(endpoint, filled(endpoint, request.body, [("after", "row_9")])) == (
        b"expand%5B%5D=lines&expand%5B%5D=total.taxes&preview=true&limit=7"
        b"&at%5Bgte%5D=1793491200&at.lt=1794096000&plan=p+1%26x%3D2&after=row_9"
    )
    assert request.target != build(VENDOR, endpoint, {}, PERIOD, "p 2").target, "what is kept tells them apart"
    assert "plan=p+1%26x%3D2" in request.target
    assert set(form.fields) == {"expand[]", "preview", "limit"}, "the description stays as it is"


def test_milliseconds_have_thirteen_digits() -> None:
    """A vendor that counts milliseconds is sent milliseconds, in the query as well."""
    endpoint = endpoint_with(window=EpochWindow("start_unix", "end_unix", per_second=1000), query={})
    assert build(VENDOR, endpoint, {}, PERIOD).params == [
        ("start_unix", "1793491200000"), ("end_unix", "1794096000000"),
    ]  # fmt: skip
