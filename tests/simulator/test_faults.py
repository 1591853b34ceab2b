"""Each fault does to an answer what it says, where it says, and as often as it says."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from outlay.simulator.faults import KINDS, REPEATED_CURSOR, Faults
from simulator.asking import TODAY, Asker, Got, epoch

SINCE = TODAY - timedelta(days=20)
QUESTIONS: dict[str, tuple[str, list[tuple[str, object]]]] = {
    "openai": (
        "/v1/organization/costs",
        [("start_time", epoch(SINCE)), ("limit", 7), ("group_by[]", "project_id"), ("group_by[]", "line_item")],
    ),
    "anthropic": (
        "/v1/organizations/cost_report",
        [("starting_at", f"{SINCE}T00:00:00Z"), ("group_by[]", "workspace_id"), ("group_by[]", "description")],
    ),
    "github": ("/organizations/sim-org/settings/billing/usage", [("year", 2026), ("month", 11)]),
}
ALL = pytest.mark.parametrize("provider", QUESTIONS)


def ask(asker: Asker, provider: str, *more: tuple[str, object]) -> Got:
    """Ask a vendor for costs."""
    path, query = QUESTIONS[provider]
    return asker(provider, path, [*query, *more])


def rows(got: Got) -> list[dict[str, Any]]:
    """Return the cost rows of an answer."""
    page = got.json
    return page["usageItems"] if "usageItems" in page else [row for bucket in page["data"] for row in bucket["results"]]


def money(row: dict[str, Any]) -> Any:
    """Return a row's amount as it is written."""
    amount = row.get("amount", row.get("netAmount"))
    return amount["value"] if isinstance(amount, dict) else amount


@ALL
def test_a_fault_strikes_as_often_as_it_says(asker: Asker, provider: str) -> None:
    """Three times means three times; afterwards all is well."""
    asker.faults.add("server_error", provider=provider, times=3, status=503)
    assert [ask(asker, provider).status for _ in range(5)] == [503, 503, 503, 200, 200]
    assert asker.faults.active() == []


@ALL
def test_rate_limits_come_in_every_form(asker: Asker, provider: str) -> None:
    """Retry-After is seconds, an HTTP date, or missing, and a limit may never end."""
    asker.faults.add("rate_limit", provider=provider, delay=7)
    asker.faults.add("rate_limit", provider=provider, delay=90, delay_form="date")
    asker.faults.add("rate_limit", provider=provider, delay=None, times="forever")
    seconds, dated, bare = ask(asker, provider), ask(asker, provider), ask(asker, provider)
    assert {seconds.status, dated.status, bare.status} == {429}
    assert seconds.headers["retry-after"] == "7"
    assert parsedate_to_datetime(dated.headers["retry-after"]) - asker.world.now() == timedelta(seconds=90)
    assert "retry-after" not in bare.headers
    assert {ask(asker, provider).status for _ in range(20)} == {429}
    asker.faults.clear()
    assert ask(asker, provider).status == 200


@ALL
@pytest.mark.parametrize("status", [200, 502])
def test_html_comes_from_a_proxy(asker: Asker, provider: str, status: int) -> None:
    """A page meant for people arrives instead of JSON, even as a success."""
    asker.faults.add("html", provider=provider, status=status)
    got = ask(asker, provider)
    assert (got.status, got.headers["content-type"]) == (status, "text/html; charset=utf-8")
    assert got.body.startswith(b"<!DOCTYPE html>")


@ALL
def test_a_body_is_cut(asker: Asker, provider: str) -> None:
    """Half of the announced bytes arrive."""
    whole = ask(asker, provider)
    asker.faults.add("cut", provider=provider)
    half = ask(asker, provider)
    assert half.headers["content-length"] == str(len(whole.body))
    assert half.body == whole.body[: len(whole.body) // 2]


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_cursor_repeats(asker: Asker, provider: str) -> None:
    """The first page comes again and again under one cursor."""
    asker.faults.add("repeat_cursor", provider=provider)
    first = ask(asker, provider).json
    again = ask(asker, provider, ("page", first["next_page"])).json
    assert first == again
    assert (first["has_more"], first["next_page"]) == (True, REPEATED_CURSOR)


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_cursor_is_missing(asker: Asker, provider: str) -> None:
    """There is more, but no cursor to ask for it."""
    asker.faults.add("null_cursor", provider=provider)
    page = ask(asker, provider).json
    assert (page["has_more"], page["next_page"]) == (True, None)


@ALL
def test_a_key_is_revoked(asker: Asker, provider: str) -> None:
    """From one request on, the key is refused as an unknown one."""
    asker.faults.add("revoked_key", provider=provider, after=2)
    assert [ask(asker, provider).status for _ in range(4)] == [200, 200, 401, 401]
    assert asker(provider, "/rate_limit" if provider == "github" else QUESTIONS[provider][0]).status == 401


@ALL
def test_only_the_named_key_is_struck(asker: Asker, provider: str) -> None:
    """Another credential of the same vendor, and another path, go on."""
    key = asker.keys[provider]
    asker.faults.add("server_error", provider=provider, key=key, times="forever")
    assert ask(asker, provider).status == 500
    asker.keys[provider] = f"{key}:team-b"
    assert ask(asker, provider).status == 200
    asker.faults.clear()
    asker.faults.add("server_error", provider=provider, path="*/nowhere", times="forever")
    assert ask(asker, provider).status == 200


@ALL
def test_unknown_fields_change_no_number(asker: Asker, provider: str) -> None:
    """Fields nobody heard of appear everywhere, and all amounts stay exact."""
    before = [money(row) for row in rows(ask(asker, provider))]
    asker.faults.add("extra_fields", provider=provider)
    after = rows(ask(asker, provider))
    assert all("x_unheard_of" in row for row in after)
    assert [money(row) for row in after] == before


@ALL
def test_unknown_values_keep_rows_apart(asker: Asker, provider: str) -> None:
    """Open lists get values nobody heard of, and rows that differed still differ."""
    field = {"openai": "line_item", "anthropic": "token_type", "github": "sku"}[provider]
    before = {str(row[field]) for row in rows(ask(asker, provider))}
    asker.faults.add("unknown_enums", provider=provider)
    after = {str(row[field]) for row in rows(ask(asker, provider))}
    assert after == {value if value == "None" else f"{value}-unheard-of" for value in before}


@pytest.mark.parametrize("provider", ["openai", "github"])
def test_amounts_come_as_strings(asker: Asker, provider: str) -> None:
    """Numbers turn into numeric strings of the same value."""
    before = [Decimal(money(row)) for row in rows(ask(asker, provider))]
    asker.faults.add("string_amounts", provider=provider)
    after = [money(row) for row in rows(ask(asker, provider))]
    assert all(isinstance(value, str) for value in after)
    assert [Decimal(value) for value in after] == before


@ALL
def test_an_amount_is_no_number(asker: Asker, provider: str) -> None:
    """One amount reads NaN."""
    asker.faults.add("nan_amount", provider=provider)
    texts = [
        value
        for row in rows(ask(asker, provider))
        for value in (money(row), row.get("grossAmount"), row.get("discountAmount"))
    ]
    assert texts.count("NaN") == 1


def test_an_amount_is_null(asker: Asker) -> None:
    """One amount is there and says nothing."""
    asker.faults.add("nan_amount", text=None)
    assert [money(row) for row in rows(ask(asker, "openai"))].count(None) == 1


def test_results_are_of_a_kind_nobody_knows(asker: Asker) -> None:
    """Rows name an object that no contract has; pages and buckets stay what they are."""
    asker.faults.add("unknown_kinds")
    page = ask(asker, "openai").json
    assert {row["object"] for bucket in page["data"] for row in bucket["results"]} == {
        "organization.costs.result.unheard_of"
    }
    assert (page["object"], {bucket["object"] for bucket in page["data"] if bucket["results"]}) == ("page", {"bucket"})


@ALL
def test_rows_come_twice(asker: Asker, provider: str) -> None:
    """The last row of each list is sent twice."""
    before = len(rows(ask(asker, provider)))
    asker.faults.add("duplicate_rows", provider=provider)
    after = rows(ask(asker, provider))
    assert len(after) > before
    assert after[-1] == after[-2]


@ALL
def test_dimensions_go_missing(asker: Asker, provider: str) -> None:
    """Dimensions that were asked for come as null."""
    asker.faults.add("null_dimensions", provider=provider)
    field = {"openai": "project_id", "anthropic": "description", "github": "organizationName"}[provider]
    assert {row[field] for row in rows(ask(asker, provider))} == {None}


@ALL
def test_an_organization_is_empty(asker: Asker, provider: str) -> None:
    """Everything is there, and nothing is in it."""
    asker.faults.add("empty_organization", provider=provider)
    got = ask(asker, provider)
    assert got.status == 200
    assert rows(got) == []


@ALL
def test_a_clock_is_wrong(asker: Asker, provider: str) -> None:
    """The Date header is off by a day, and right again afterwards."""
    right = parsedate_to_datetime(ask(asker, provider).headers["date"])
    fault = asker.faults.add("clock_skew", provider=provider, days=-1)
    assert right - parsedate_to_datetime(ask(asker, provider).headers["date"]) == timedelta(days=1)
    asker.faults.remove(fault.id)
    assert parsedate_to_datetime(ask(asker, provider).headers["date"]) == right == asker.world.now()


@ALL
def test_a_redirect_leads_elsewhere(asker: Asker, provider: str) -> None:
    """The vendor points to another host."""
    asker.faults.add("redirect", provider=provider, to="http://other.invalid/here")
    got = ask(asker, provider)
    assert (got.status, got.headers["location"]) == (307, "http://other.invalid/here")


@ALL
def test_a_page_is_huge(asker: Asker, provider: str) -> None:
    """A page of any size is still JSON with its rows."""
    before = rows(ask(asker, provider))
    asker.faults.add("huge", provider=provider, megabytes=3)
    got = ask(asker, provider)
    assert len(got.body) > 3 * 2**20
    assert "content-length" not in got.headers
    assert rows(got) == before


def test_slowness_is_bounded() -> None:
    """However slow an answer is asked to be, it comes."""
    faults = Faults()
    faults.add("slow", seconds=3.5)
    faults.add("slow", seconds=99.0)
    assert faults.plan("openai", "/", None).slow_seconds == 10.0
    assert faults.plan("openai", "/", None).slow_seconds == 0


def test_faults_add_up(asker: Asker) -> None:
    """Faults that bend an answer strike together; of those that answer, one at a time."""
    asker.faults.add("server_error", status=500)
    asker.faults.add("server_error", status=529)
    asker.faults.add("clock_skew")
    asker.faults.add("string_amounts")
    asker.faults.add("extra_fields")
    assert [ask(asker, "openai").status for _ in range(3)] == [500, 529, 200]
    got = ask(asker, "openai")
    assert all(isinstance(money(row), str) and "x_unheard_of" in row for row in rows(got))
    assert parsedate_to_datetime(got.headers["date"]) > asker.world.now()


@pytest.mark.parametrize(
    ("kind", "where"),
    [("earthquake", {}), ("cut", {"colour": "red"}), ("cut", {"times": 0}), ("cut", {"times": "often"})],
)
def test_faults_nobody_knows_are_refused(asker: Asker, kind: str, where: dict[str, Any]) -> None:
    """A misspelt fault is an error, not silence."""
    with pytest.raises(ValueError, match=r"unknown|unexpected|times"):
        asker.faults.add(kind, **where)


def test_faults_are_set_over_http(asker: Asker) -> None:
    """The control path sets, lists, lifts one and lifts all faults, and refuses unknown ones."""

    def control(method: str, path: str = "", wish: object = None) -> Got:
        return asker.raw(method, f"/_control/faults{path}", "", {}, b"" if wish is None else json.dumps(wish).encode())

    made = control("POST", wish={"kind": "rate_limit", "provider": "openai", "delay": None, "times": "forever"})
    assert made.status == 201
    assert ask(asker, "openai").status == 429
    assert [fault["kind"] for fault in control("GET").json["faults"]] == ["rate_limit"]
    assert control("DELETE", f"/{made.json['id']}").status == 204
    assert ask(asker, "openai").status == 200
    for kind in KINDS:
        assert control("POST", wish={"kind": kind, "path": "/nowhere"}).status == 201
    assert control("DELETE").status == 204
    assert control("GET").json == {"faults": []}
    assert control("POST", wish={"kind": "earthquake"}).status == 400
