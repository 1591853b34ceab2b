"""Hugging Face's face is as strict as its vendor, and keeps to its shapes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest

from outlay.simulator.shapes import check
from simulator.asking import TODAY, Asker, Got, epoch

MINE, ACME = "/api/settings/billing", "/api/organizations/acme/billing"
DAY = f"startDate={epoch(TODAY)}&endDate={epoch(TODAY + timedelta(days=1))}"


def ask(asker: Asker, path: str, query: str = "", key: str | None = "fine") -> Got:
    """Ask with a token of that kind and hold the answer against its shape."""
    headers = {} if key is None else {"authorization": f"Bearer sim-huggingface-{key}"}
    got = asker.raw("GET", f"/huggingface{path}", query, headers)
    check("huggingface", path.replace("/acme", "/{name}"), got.status, got.body)
    return got


@pytest.mark.parametrize("label", ["", ":empty"])
def test_answers_keep_to_the_contract(label: str, make_asker: Callable[..., Asker]) -> None:
    """Every path of a full and of an empty account answers what its contract allows."""
    asker = make_asker()
    for path, query in (
        ("/api/whoami-v2", ""),
        (f"{MINE}/usage", ""),
        (f"{MINE}/usage-v2", DAY),
        (f"{MINE}/usage-by-inference-session", "startDate=2026-10-01T00:00:00Z"),
        (f"{MINE}/usage/jobs", ""),
        ("/api/spaces/zero-gpu/quota", ""),
    ):
        got = ask(asker, path, query, f"fine{label}")
        assert got.status == 200, got.body
        assert got.headers["ratelimit"].startswith('"api";r=')
    for path, query in (
        (f"{ACME}/usage", ""),
        (f"{ACME}/usage-v2", DAY),
        (f"{ACME}/usage-by-inference-session", ""),
        (f"{ACME}/usage-by-resource-group", "startDate=2026-10-01T00:00:00Z"),
        ("/api/organizations/acme/resource-groups", ""),
    ):
        assert ask(asker, path, query, f"fine{label}").status == (404 if label else 200)


@pytest.mark.parametrize(
    "query",
    [
        "",
        DAY.replace("startDate", "from"),
        f"startDate={epoch(TODAY)}000&endDate={epoch(TODAY + timedelta(days=1))}000",
        f"startDate={epoch(TODAY)}&endDate={epoch(TODAY)}",
        f"startDate=2026-11-01&endDate={epoch(TODAY)}",
        f"{DAY}&utterly=unknown",
    ],
)
def test_wrong_windows_are_refused(query: str, asker: Asker) -> None:
    """Both ends are needed, in seconds, and nothing else is taken."""
    assert ask(asker, f"{MINE}/usage-v2", query).status == 400


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        (None, "/api/whoami-v2", 401),
        ("nobody", "/api/whoami-v2", 401),
        ("plain", f"{MINE}/usage", 403),
        ("user", f"{ACME}/usage", 403),
        ("fine", "/api/organizations/nowhere/billing/usage", 404),
        ("fine", "/api/organizations/no-billing-role/billing/usage", 403),
    ],
)
def test_tokens_are_refused(key: str | None, path: str, status: int, asker: Asker) -> None:
    """A token reads what it may, where its owner may."""
    headers = {} if key is None else {"authorization": f"Bearer sim-huggingface-{key}"}
    assert asker.raw("GET", f"/huggingface{path}", "", headers).status == status


def test_days_add_up_to_their_month_and_credits_are_always_the_months(asker: Asker) -> None:
    """Thirty day windows hold what one month's holds; the credits named are two dollars in each of them."""

    def used(first: date, days: int) -> Decimal:
        query = f"startDate={epoch(first)}&endDate={epoch(first + timedelta(days=days))}"
        inference = ask(asker, f"{MINE}/usage-v2", query).json["usage"]["inferenceProviders"]
        assert inference["includedNanoUsd"] == 2_000_000_000
        return Decimal(inference["usedNanoUsd"])

    first = TODAY.replace(day=1)
    assert used(first, 30) == sum(used(first + timedelta(days=n), 1) for n in range(30)) > 0


@pytest.mark.parametrize("path", [f"{MINE}/usage/live", f"{ACME}/usage/live", "/api/users/sim-user/billing/usage/live"])
def test_gauges_come_as_a_stream_that_does_not_begin_with_the_whole(path: str, asker: Asker) -> None:
    """Comments and keep-alives come first, then a part, then the event that keeps to the contract; not as JSON."""
    headers = {"authorization": "Bearer sim-huggingface-fine"}
    assert asker.raw("GET", f"/huggingface{path}", "", headers).status == 400
    got = asker.raw("GET", f"/huggingface{path}", "", {**headers, "accept": "text/event-stream"})
    assert (got.status, got.headers["content-type"]) == (200, "text/event-stream")
    assert "content-length" not in got.headers
    assert got.body.startswith(b":")
    *_, part, whole, rest = got.body.replace(b"\r\n", b"\n").split(b"\n\n")
    assert rest == b""
    assert b'"inference"' not in part
    data = b"\n".join(line.removeprefix(b"data: ") for line in whole.split(b"\n") if line.startswith(b"data: "))
    assert b'"inference"' in data
    check("huggingface", path.replace("/acme", "/{name}").replace("sim-user", "{username}"), 200, data)


def test_gauges_agree_with_the_month(asker: Asker) -> None:
    """What the stream says of inference is what the month's window says."""
    first = TODAY.replace(day=1)
    month = ask(asker, f"{MINE}/usage-v2", f"startDate={epoch(first)}&endDate={epoch(first + timedelta(days=30))}")
    headers = {"authorization": "Bearer sim-huggingface-fine", "accept": "text/event-stream"}
    body = asker.raw("GET", f"/huggingface{MINE}/usage/live", "", headers).body
    used = month.json["usage"]["inferenceProviders"]["usedNanoUsd"]
    assert f'"usedNanoUsd": {used}'.encode() in body
