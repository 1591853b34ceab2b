"""Groq's face: rates by five minutes, strict parameters, two generations of names, and limits in headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from outlay.simulator.shapes import check
from outlay.simulator.worlds.groq import MODELS
from simulator.asking import TODAY, Asker

ROOT = "/v1/metrics/prometheus/api/v1"
RANGE = f"{ROOT}/query_range"
TOKENS = "model_project_id:tokens_in:rate5m"
MIDNIGHT = int(datetime(TODAY.year, TODAY.month, TODAY.day - 2, tzinfo=UTC).timestamp())
DAY = [("query", TOKENS), ("start", MIDNIGHT), ("end", MIDNIGHT + 86_400), ("step", 300)]


def ask_for(asker: Asker, query: str, key: str = "sim-groq-key") -> list[dict[str, Any]]:
    """Return the series of a query over one day."""
    got = asker("groq", RANGE, [("query", query), *DAY[1:]], key=key)
    assert got.status == 200, got.body
    check("groq", RANGE, got.status, got.body)
    return got.json["data"]["result"]  # type: ignore[no-any-return]


def test_answers_keep_to_the_contract(asker: Asker) -> None:
    """Names, samples, models, completions and refusals have the shapes the vendor documents."""
    values = f"{ROOT}/label/{{label_name}}/values"
    for path, template in ((f"{ROOT}/label/__name__/values", values), ("/openai/v1/models", "/openai/v1/models")):
        for key in ("sim-groq-key", "sim-groq-plain", None):
            got = asker("groq", path, key=key)
            check("groq", template, got.status, got.body)
    for query in (DAY, DAY[:3], [*DAY, ("limit", 1)]):
        got = asker("groq", RANGE, query)
        assert (got.status == 200) == (query is DAY)
        check("groq", RANGE, got.status, got.body)


def test_samples_stand_on_the_grid_and_some_are_no_numbers(asker: Asker) -> None:
    """Both ends of a range belong to it, holes stay holes, and what is no number is said as such."""
    series = ask_for(asker, f"last_over_time({TOKENS}[299s])")
    texts = [text for each in series for _, text in each["values"]]
    moments = [moment for each in series for moment, _ in each["values"]]
    assert min(moments) >= MIDNIGHT
    assert max(moments) == MIDNIGHT + 86_400
    assert all(moment % 300 == 0 for moment in moments)
    assert any(text in {"NaN", "+Inf", "-Inf"} for text in texts)
    assert any("e" in text for text in texts)
    assert any(len(each["values"]) < 289 for each in series)


def test_a_bare_name_repeats_what_is_missing(asker: Asker) -> None:
    """A metric's name alone takes the sample of five minutes before, as a Prometheus server does."""
    bare, recent = (ask_for(asker, query) for query in (TOKENS, f"last_over_time({TOKENS}[299s])"))
    assert sum(len(each["values"]) for each in bare) > sum(len(each["values"]) for each in recent)


@pytest.mark.parametrize(
    "change", [{"step": "0"}, {"step": "7"}, {"end": str(MIDNIGHT - 1)}, {"start": "monday"}, {"query": "rate(x[5m])"}]
)
def test_a_wrong_query_is_refused(change: dict[str, str], asker: Asker) -> None:
    """No step, too many points, a reversed range, no time and an expression nobody knows are bad data."""
    got = asker("groq", RANGE, {**dict(DAY), **change})
    assert got.status == 400
    assert got.json["status"] == "error"
    assert got.json["errorType"] == "bad_data"


def test_names_are_those_of_the_keys_generation(asker: Asker) -> None:
    """A server has the present names, the earlier ones or both, and always some that hold no quantity."""
    found = {
        kind: set(asker("groq", f"{ROOT}/label/__name__/values", key=f"sim-groq-{kind}").json["data"])
        for kind in ("key", "both", "earlier")
    }
    assert TOKENS in found["key"] & found["both"]
    assert TOKENS not in found["earlier"]
    assert "requests:increase1m" in found["earlier"] & found["both"]
    assert any(name.startswith("le_") for name in found["key"])


def test_keys_without_the_feature_are_refused_in_their_own_ways(asker: Asker) -> None:
    """404, 403, 401 for nobody's key, and 400 with a code of its own for a limit that is spent."""
    path = f"{ROOT}/label/__name__/values"
    kinds = {"plain": 404, "forbidden": 403, "nobody": 401, "spent": 400}
    for kind, status in kinds.items():
        assert asker("groq", path, key=f"sim-groq-{kind}").status == status
    assert asker("groq", "/openai/v1/models", key="sim-groq-plain").status == 200
    assert asker("groq", "/openai/v1/models", key="sim-groq-spent").json["error"]["code"] == "blocked_api_access"


def complete(asker: Asker, document: Any, key: str = "sim-groq-key") -> Any:
    """Return the answer to a completion."""
    headers = {"authorization": f"Bearer {key}"}
    return asker.raw("POST", "/groq/openai/v1/chat/completions", "", headers, json.dumps(document).encode())


def test_a_completion_says_its_limits_in_headers(asker: Asker) -> None:
    """Requests by the day and tokens by the minute, their resets as spans; a busy one tells tokens of the day."""
    question = {"model": MODELS[0], "messages": [{"role": "user", "content": "?"}]}
    got = complete(asker, question)
    check("groq", "/openai/v1/chat/completions", got.status, got.body, method="POST")
    assert got.headers["x-ratelimit-reset-requests"] == "2m59.56s"
    assert isinstance(got.json["usage"]["total_time"], Decimal)
    busy = complete(asker, question, "sim-groq-busy")
    assert (busy.status, busy.headers["x-ratelimit-remaining-requests"]) == (429, "0")
    assert "(TPD)" in busy.json["error"]["message"]


@pytest.mark.parametrize(
    ("document", "status"), [({"model": "?", "messages": [1]}, 404), ({"model": MODELS[0]}, 400), ({"n": 1}, 400)]
)
def test_a_wrong_completion_is_refused(document: Any, status: int, asker: Asker) -> None:
    """An unknown model, no message, and a field nobody knows."""
    assert complete(asker, document).status == status
