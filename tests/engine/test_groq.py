"""Groq end to end: rates added up by day, names discovered, keys without the feature, and the probe."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.simulator.worlds.groq import GroqAccount

Make = Callable[..., Any]
MODEL = "llama-3.3-70b-versatile"
METERS = {"requests": "requests", "tokens_in": "input_tokens", "tokens_out": "output_tokens",
          "prompt_cache_hits": "prompt_cache_hits", "prompt_cache_misses": "prompt_cache_misses"}  # fmt: skip


def groq(bench: Make, seed: int = 7, kind: str = "key", **more: Any) -> Any:
    """Return a bench with one Groq connection."""
    given = {"days": 8, "changes": {"groq": {"options": {}}}, **more}
    return bench(seed, providers=("groq",), keys={"groq": f"sim-groq-{kind}"}, **given)


def problems(report: Any) -> set[tuple[str, str, str]]:
    """Return dataset, code and severity of every problem."""
    [connection] = report.connections
    return {(each.dataset, p.code, p.severity) for each in connection.datasets for p in each.problems}


def used(one: Any, columns: str) -> dict[tuple[Any, ...], Decimal]:
    """Return the ledger's quantities by columns."""
    rows = one.rows(f"SELECT {columns}, sum(quantity) FROM usage GROUP BY ALL")
    return {row[:-1]: row[-1] for row in rows}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_quantities_equal_the_truth(seed: int, bench: Make) -> None:
    """Each day's rates, holes and edges of midnight included, add up to the world's to the last digit."""
    one = groq(bench, seed, days=20)
    report = one.sync()
    assert report.connections[0].state == "ok"
    truth = one.world.truth("groq").usage(("day", "meter", "model", "project_id"), one.first)
    wanted = {(day, METERS[meter], *rest): quantity for (day, meter, *rest), quantity in truth.items()}
    assert used(one, "usage_period_start::DATE, meter, model, sub_account_id") == wanted
    assert len(wanted) > 200
    assert one.rows("SELECT DISTINCT derived, dataset FROM usage") == [(True, "usage")]
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]


def test_a_day_with_holes_says_so(bench: Make) -> None:
    """Each row whose samples are not all there says which share of its day they cover, and the report names the day."""
    one = groq(bench)
    report = one.sync()
    assert ("usage", "samples_missing", "warning") in problems(report)
    rows = one.rows(
        "SELECT usage_period_start::DATE, meter, model, sub_account_id, json_extract_string(details, '$.status_code'),"
        " json_extract_string(details, '$.covered_share') FROM usage WHERE usage_period_start < ?",
        str(one.world.today),
    )
    truth = {
        (row.day, METERS[row.meter], row.dims["model"], row.dims["project_id"], row.dims["status_code"]): int(
            row.dims["seen"] or 0
        )
        for row in one.world.truth("groq").usage_rows(one.first, one.world.today)
    }
    assert {row[:5] for row in rows} == set(truth)
    for *key, share in rows:
        seen = truth[tuple(key)]
        assert (share is None) == (seen == 288)
        assert share is None or Decimal(share) == (Decimal(seen) / 288).quantize(Decimal("0.0001"), "ROUND_DOWN")


def test_both_generations_are_never_added(bench: Make) -> None:
    """Where a server has both names of a metric, the quantities are those of the present name alone."""
    one, both = groq(bench), groq(bench, kind="both")
    one.sync()
    both.sync()
    columns = "usage_period_start::DATE, meter, model, sub_account_id"
    assert used(one, columns) == used(both, columns)


def test_the_earlier_generation_still_counts_requests(bench: Make) -> None:
    """Five known minutes are five minutes of requests; percentiles of tokens are no quantity and are left out."""
    one = groq(bench, kind="earlier")
    assert one.sync().connections[0].state == "ok"
    wanted = {
        (row.day, "requests", row.dims["model"]): Decimal(0) for row in one.world.truth("groq").usage_rows(one.first)
        if row.meter == "requests" and row.dims["status_code"] == "200"
    }  # fmt: skip
    for row in one.world.truth("groq").usage_rows(one.first):
        if row.meter == "requests" and row.dims["status_code"] == "200":
            wanted[row.day, "requests", row.dims["model"]] += row.quantity
    assert used(one, "usage_period_start::DATE, meter, model") == wanted


@pytest.mark.parametrize("kind", ["plain", "forbidden"])
def test_without_the_feature_the_rest_goes_on(kind: str, bench: Make) -> None:
    """404 and 403 on the metrics are told as not offered; the models are read, and no day is taken for empty."""
    one = groq(bench, kind=kind)
    report = one.sync()
    assert report.connections[0].state == "ok"
    assert problems(report) == {("metrics", "not_offered", "note"), ("usage", "not_offered", "note")}
    assert one.rows("SELECT count(*) FROM names WHERE kind = 'model'") == [(3,)]
    assert one.rows("SELECT count(*) FROM batches WHERE dataset = 'usage'") == [(0,)]
    assert {seen.path for seen in one.simulator.requests if "query_range" in seen.path} == set()


def test_401_on_the_metrics_alone_is_not_a_wrong_key(bench: Make) -> None:
    """Some organizations without the feature are answered 401 there: the models prove the key."""
    one = groq(bench)
    one.simulator.faults.add("server_error", provider="groq", path="/v1/metrics/*", status=401, times="forever")
    report = one.sync()
    assert report.connections[0].state == "ok"
    assert ("metrics", "not_offered", "note") in problems(report)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_samples_that_are_refused_though_their_names_are_listed_are_told(status: int, bench: Make) -> None:
    """The feature is there, so a refusal is something to repair and no sign that nothing was used."""
    one = groq(bench)
    path = "/v1/metrics/prometheus/api/v1/query_range"
    one.simulator.faults.add("server_error", provider="groq", path=path, status=status, times="forever")
    found = problems(one.sync())
    assert {code for dataset, code, _ in found if dataset == "usage"} == {"permission_missing"}
    assert one.rows("SELECT count(*) FROM batches WHERE dataset = 'usage'") == [(0,)]


def test_a_feature_that_ends_is_noted_and_its_days_stay(bench: Make) -> None:
    """When the metrics are no longer offered, what was read of earlier days is kept."""
    one = groq(bench)
    one.sync()
    before = used(one, "usage_period_start::DATE, meter")
    one.keys = {"groq": "sim-groq-plain"}
    report = one.sync()
    assert report.connections[0].state == "ok"
    assert used(one, "usage_period_start::DATE, meter") == before


def test_a_wrong_key_is_denied(bench: Make) -> None:
    """A key nobody knows is refused as such, by the models."""
    report = groq(bench, kind="nobody").sync()
    assert ("models", "access_denied", "fatal") in problems(report)
    assert report.connections[0].state != "ok"


def test_a_spend_limit_reached_is_out_of_quota(bench: Make) -> None:
    """400 with its code is the spend limit, and the hint says where to raise it."""
    report = groq(bench, kind="spent").sync()
    assert ("models", "out_of_quota", "fatal") in problems(report)
    found = [p for each in report.connections[0].datasets for p in each.problems if p.code == "out_of_quota"]
    assert "spend limit" in found[0].hint


def test_a_page_for_people_is_not_taken_for_a_refusal(bench: Make) -> None:
    """A block page of the network in front, even with 403 or 404, is unreadable and leaves every day as it was."""
    for status in (403, 404):
        one = groq(bench)
        one.sync()
        before = used(one, "usage_period_start::DATE, meter")
        one.simulator.faults.add("html", provider="groq", path="/v1/metrics/*", status=status, times="forever")
        report = one.sync()
        assert ("metrics", "payload_unreadable", "fatal") in problems(report)
        assert used(one, "usage_period_start::DATE, meter") == before


@pytest.mark.parametrize("unlisted", [{"tokens_in", "prompt_cache_hits"}, set(METERS)])
def test_a_metric_that_is_no_longer_listed_takes_nothing_away(unlisted: set[str], bench: Make) -> None:
    """Which days the list of names looks at is not known: the samples of what it lacks are asked for all the same."""
    one = groq(bench)
    one.sync()
    before = used(one, "usage_period_start::DATE, meter, model, sub_account_id")
    account = one.world.account("groq")
    assert isinstance(account, GroqAccount)
    account.unlisted = frozenset(unlisted)
    one.sync()
    assert used(one, "usage_period_start::DATE, meter, model, sub_account_id") == before


def test_metrics_of_names_that_nobody_knows_are_no_zero(bench: Make) -> None:
    """A server that has metrics, and none that can be added up, leaves every day unknown."""
    one = groq(bench)
    account = one.world.account("groq")
    assert isinstance(account, GroqAccount)
    account.unlisted = frozenset(METERS)
    report = one.sync()
    assert {("metrics", "series_empty", "fatal"), ("usage", "request_refused", "fatal")} <= problems(report)
    assert one.rows("SELECT count(*) FROM batches WHERE dataset = 'usage'") == [(0,)]


def test_no_traffic_is_no_row(bench: Make) -> None:
    """A server without any known metric is told, and nothing is made up."""
    one = groq(bench, kind="key:empty")
    report = one.sync()
    assert ("metrics", "series_empty", "warning") in problems(report)
    assert one.rows("SELECT count(*) FROM usage") == [(0,)]


def test_no_completion_is_asked_for_unless_told(bench: Make) -> None:
    """Without the option no request is a POST."""
    one = groq(bench)
    one.sync()
    assert {seen.method for seen in one.simulator.requests} == {"GET"}


def probing(model: str = MODEL) -> dict[str, Any]:
    """Return what a connection has that asks for a probe."""
    return {"changes": {"groq": {"options": {"probe": model}, "datasets": ("rate_limits",)}}}


def test_a_probe_reads_the_limits_once_a_day(bench: Make) -> None:
    """One completion a day: requests by the day, tokens by the minute, as the headers say; the answer is not kept."""
    one = groq(bench, **probing())
    assert one.sync().connections[0].state == "ok"
    one.clock_ahead = timedelta(hours=3)
    one.sync()
    posts = [seen for seen in one.simulator.requests if seen.method == "POST"]
    assert [seen.path for seen in posts] == ["/openai/v1/chat/completions"]
    rows = one.rows('SELECT name, "window", quota, used, remaining, model, basis FROM limits ORDER BY name')
    assert rows == [
        (f"{MODEL}: requests per day", "1 day", 14400, 30, 14370, MODEL, "header"),
        (f"{MODEL}: tokens per minute", "1 minute", 18000, 3, 17997, MODEL, "header"),
    ]
    assert one.leaks([], {"sim-said-this"}) == []


def test_a_probe_that_meets_its_limit_is_an_answer(bench: Make) -> None:
    """A 429 has the headers too, and its words tell the tokens of a day, which no header has."""
    one = groq(bench, kind="busy", **probing())
    assert one.sync().connections[0].state == "ok"
    rows = one.rows("SELECT name, quota, remaining FROM limits ORDER BY name")
    assert rows == [
        (f"{MODEL}: requests per day", 14400, 0),
        (f"{MODEL}: tokens per day", 100000, 2950),
        (f"{MODEL}: tokens per minute", 18000, 17997),
    ]


def test_a_probe_of_no_model_is_refused_with_a_hint(bench: Make) -> None:
    """An unknown model is the user's to correct."""
    one = groq(bench, **probing("no-such-model"))
    report = one.sync()
    assert problems(report) == {("rate_limits", "request_refused", "fatal")}
    assert "`probe`" in report.connections[0].datasets[0].problems[0].hint


def test_kept_answers_map_again_to_the_same(bench: Make) -> None:
    """What is kept of each answer is enough to map it again, and nothing comes out otherwise."""
    from outlay.sync.replay import replay

    one = groq(bench, changes={"groq": {"options": {"probe": MODEL}}})
    one.sync()
    with one.ledger() as ledger:
        report = replay(one.config(), ledger, clock=one.clock)
    counts = [(each.restated, each.unchanged > 0) for each in report.connections[0].datasets]
    assert {restated for restated, _ in counts} == {0}
    assert len(counts) == 4


def test_a_passing_fault_is_waited_out(bench: Make) -> None:
    """A 429, a 503, a cut body and flex capacity are asked again."""
    one = groq(bench, days=3)
    for kind, more in (("rate_limit", {}), ("server_error", {"status": 503}), ("cut", {}),
                       ("server_error", {"status": 498})):  # fmt: skip
        one.simulator.faults.add(kind, provider="groq", **more)
    assert one.sync().connections[0].state == "ok"
