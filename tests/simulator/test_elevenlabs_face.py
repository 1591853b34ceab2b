"""ElevenLabs' face is as strict as its vendor, and keeps to its shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from outlay.simulator.shapes import check
from simulator.asking import Asker, Got

START, DAY = 1_794_873_600_000, 86_400_000
COST, CREDITS = "/v1/workspace/analytics/usage", "/v1/workspace/analytics/query/usage-by-product-over-time"
QUESTION = {"start_time": START, "end_time": START + 3 * DAY, "interval_seconds": 86_400}
STATS = f"start_unix={START}&end_unix={START + 3 * DAY}&breakdown_type=product_type"


def ask(asker: Asker, path: str, body: Any = None, *, key: str | None = "full", query: str = "") -> Got:
    """Ask with a key of that kind, by POST where there is a body, and hold the answer against its shape."""
    headers = {} if key is None else {"xi-api-key": f"sim-elevenlabs-{key}"}
    method = "GET" if body is None else "POST"
    got = asker.raw(method, f"/elevenlabs{path}", query, headers, b"" if body is None else json.dumps(body).encode())
    check("elevenlabs", path, got.status, got.body, method=method)
    return got


@pytest.mark.parametrize("label", ["", ":empty", ":credits", ":moved"])
def test_answers_keep_to_the_contract(label: str, make_asker: Callable[..., Asker]) -> None:
    """Every route of every kind of workspace answers what its contract allows."""
    asker = make_asker()
    for path in ("/v1/user", "/v1/user/subscription", "/v1/workspace/groups", "/v1/workspace/members",
                 "/v1/service-accounts"):  # fmt: skip
        assert ask(asker, path, key=f"full{label}").status == 200
    assert ask(asker, "/v1/usage/character-stats", key=f"full{label}", query=STATS).status == 200
    groups = {"group_by": ["product_type", "model"]}
    assert ask(asker, COST, QUESTION | groups, key=f"full{label}").status == (
        400 if label[1:] in {"empty", "credits"} else 200
    )
    assert ask(asker, CREDITS, QUESTION | groups, key=f"full{label}").status == (
        400 if label in {"", ":moved"} else 200
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"start_time": START // 1000},
        {"end_time": START},
        {"start_time": str(START)},
        {"interval_seconds": 3600},
        {"group_by": ["weather"]},
        {"group_by": ["product_type", "region"]},
        {"utterly": "unknown"},
    ],
)
def test_wrong_questions_are_refused(wrong: dict[str, Any], asker: Asker) -> None:
    """Seconds, text for numbers, odd intervals, unknown and too many columns are answered 422."""
    assert ask(asker, COST, QUESTION | wrong).status == 422


@pytest.mark.parametrize(
    ("key", "path", "word"),
    [
        (None, "/v1/user", "needs_authorization"),
        ("nobody", "/v1/user", "invalid_api_key"),
        ("analytics", "/v1/user", "missing_permissions"),
        ("reader", "/v1/service-accounts", "missing_permissions"),
        ("spent", "/v1/user", "quota_exceeded"),
    ],
)
def test_every_no_of_a_key_is_401(key: str | None, path: str, word: str, asker: Asker) -> None:
    """What is wrong is said in the body alone."""
    got = ask(asker, path, key=key)
    assert (got.status, got.json["detail"]["status"]) == (401, word)


def test_cost_adds_up_whatever_the_columns(asker: Asker) -> None:
    """However rows are grouped, the money of three days is the world's; the bucket after the end comes too."""
    truth = asker.world.truth("elevenlabs")
    for groups in ([], ["model"], ["product_type", "model", "fiat_currency", "fiat_charge_type"]):
        page = ask(asker, COST, QUESTION | {"group_by": groups}).json
        at = {name: page["columns"].index(name) for name in ("timestamp", "total_cost")}
        rows = [row for row in page["rows"] if row[at["timestamp"]][:10] < "2026-11-20"]
        days = {row[at["timestamp"]][:10] for row in page["rows"]}
        assert days == {"2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20"}
        amounts = [Decimal(row[at["total_cost"]]) for row in rows if row[at["total_cost"]] is not None]
        first = asker.world.today.replace(day=17)
        assert sum(amounts) == truth.total(first, first.replace(day=20))
