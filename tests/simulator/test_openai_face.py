"""OpenAI's face is as strict as the vendor, and its answers add up to the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.simulator import World
from outlay.simulator.worlds.truth import exact_sum
from simulator.asking import TODAY, Asker, epoch

COSTS, COMPLETIONS = "/v1/organization/costs", "/v1/organization/usage/completions"
FIRST = TODAY - timedelta(days=39)
SINCE = ("start_time", epoch(FIRST))


def group(*names: str) -> list[tuple[str, object]]:
    """Return the parameters that group by names."""
    return [("group_by[]", name) for name in names]


def cost_rows(asker: Asker, *groups: str, limit: int = 180, **more: Any) -> list[tuple[date, dict[str, Any]]]:
    """Return every cost row of the world with its day."""
    query = [SINCE, ("limit", limit), *group(*groups), *more.items()]
    return [
        (datetime.fromtimestamp(bucket["start_time"], UTC).date(), row)
        for page in asker.pages("openai", COSTS, query)
        for bucket in page["data"]
        for row in bucket["results"]
    ]


@pytest.mark.parametrize("limit", [1, 7, 180])
@pytest.mark.parametrize(
    "groups",
    [(), ("project_id",), ("project_id", "line_item"), ("project_id", "line_item", "api_key_id"), ("user_id",)],
)
def test_costs_add_up_to_the_truth(asker: Asker, groups: tuple[str, ...], limit: int) -> None:
    """Whatever the page size and the grouping, each row is the exact sum of the truth's lines."""
    rows = cost_rows(asker, *groups, limit=limit)
    got = {(day, *(row[name] for name in groups)): Decimal(row["amount"]["value"]) for day, row in rows}
    true = asker.world.truth("openai").spend(("day", *groups))
    assert got == {key: spend.billed for key, spend in true.items()}
    assert len(rows) == len(got)


def test_ungrouped_dimensions_are_null(asker: Asker) -> None:
    """A dimension not asked for is null, and quantities come with line items only."""
    for _, row in cost_rows(asker):
        assert [row[name] for name in ("project_id", "line_item", "api_key_id", "user_id", "api_source")] == [None] * 5
        assert "quantity" not in row
    rows = [row for _, row in cost_rows(asker, "line_item")]
    assert all("quantity" in row and "quantity_unit" in row for row in rows)
    assert {row["quantity_unit"] for row in rows} >= {"tokens", None}


def test_amounts_are_as_untidy_as_the_vendor_s(make_asker: Callable[..., Asker]) -> None:
    """Some amounts are numeric strings, some have more than eighteen decimals or twenty digits, some are credits."""
    asker = make_asker(days=120)
    lines = asker.world.truth("openai").charges()
    assert any(line.billed < 0 for line in lines)
    assert any(line.billed == 0 for line in lines)
    assert any(line.sub_account is None for line in lines)
    assert any(len(line.billed.as_tuple().digits) >= 20 for line in lines)
    beyond = [line for line in lines if int(line.billed.as_tuple().exponent) < -18]
    assert 0 < len(beyond) < len(lines) / 5
    query = [("start_time", epoch(TODAY - timedelta(days=119))), ("limit", 180), *group("project_id", "line_item")]
    values = [
        row["amount"]["value"]
        for page in asker.pages("openai", COSTS, query)
        for bucket in page["data"]
        for row in bucket["results"]
    ]
    assert {type(value) for value in values} >= {str, Decimal}


def test_each_day_has_a_bucket(asker: Asker) -> None:
    """Days come in order, one bucket each, the empty ones and those before the account included."""
    early = epoch(FIRST) - 86_400 * 10
    pages = asker.pages("openai", COSTS, {"start_time": early, "limit": 9})
    buckets = [bucket for page in pages for bucket in page["data"]]
    assert [bucket["start_time"] for bucket in buckets] == list(range(early, epoch(TODAY) + 1, 86_400))
    assert all(bucket["end_time"] - bucket["start_time"] == 86_400 for bucket in buckets)
    assert [bucket for bucket in buckets[10:] if not bucket["results"]]
    assert not any(bucket["results"] for bucket in buckets[:10])


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ([SINCE, ("limit", 366)], "Invalid limit provided: 366. Limit must be less than or equal to 180."),
        ([SINCE, ("limit", 0)], "Invalid limit provided: 0."),
        ([SINCE, ("limit", "many")], "expected an integer"),
        ([], "Missing required parameter: 'start_time'"),
        ([("start_time", "2026-11-01")], "expected an integer"),
        ([SINCE, ("end_time", epoch(FIRST))], "'end_time' must be greater"),
        ([SINCE, ("end_time", epoch(TODAY) + 86_401)], "must not be in the future"),
        ([SINCE, ("bucket_width", "1h")], "Supported values are: 1d"),
        ([SINCE, ("group_by", "project_id,line_item")], "Supported values are"),
        ([SINCE, ("group_by", "model")], "Supported values are"),
        ([SINCE, ("group_by", "user_id"), ("group_by", "project_id")], "cannot be combined"),
        ([SINCE, ("models", "gpt-4o")], "Unknown parameter: 'models'"),
        ([SINCE, SINCE], "single value"),
        ([("start_time", 1764979199), ("group_by", "api_key_id")], "1764979200"),
        ([SINCE, ("page", "page_AAAA")], "page cursor"),
    ],
)  # fmt: skip
def test_wrong_questions_about_costs_are_refused(asker: Asker, query: list[tuple[str, object]], says: str) -> None:
    """Each wrong parameter is a 400 that says what is wrong."""
    got = asker("openai", COSTS, query)
    assert got.status == 400
    assert says in got.json["error"]["message"]


def test_keys_have_a_history_and_other_dimensions_have_none(asker: Asker) -> None:
    """Grouping by key is possible from its first second on; projects go back for years."""
    assert asker("openai", COSTS, [("start_time", 1764979200), *group("api_key_id")]).status == 200
    assert asker("openai", COSTS, [("start_time", 1600000000), *group("project_id", "line_item")]).status == 200


def test_both_spellings_of_lists_are_understood(asker: Asker) -> None:
    """`group_by=` and `group_by[]=` are one parameter."""
    plain = asker("openai", COSTS, [SINCE, ("group_by", "project_id"), ("group_by", "line_item")])
    assert plain.status == 200
    assert plain.body == asker("openai", COSTS, [SINCE, *group("project_id", "line_item")]).body.replace(
        asker("openai", COSTS, [SINCE, *group("project_id", "line_item")]).json["next_page"].encode(),
        plain.json["next_page"].encode(),
    )


def test_a_cursor_belongs_to_its_question(asker: Asker) -> None:
    """A cursor is refused once any parameter changes."""
    cursor = asker("openai", COSTS, [SINCE, ("limit", 5)]).json["next_page"]
    assert asker("openai", COSTS, [SINCE, ("limit", 5), ("page", cursor)]).status == 200
    for other in (
        [SINCE, ("limit", 6)],
        [SINCE, ("limit", 5), *group("project_id")],
        [("start_time", SINCE[1] - 1), ("limit", 5)],
    ):
        assert asker("openai", COSTS, [*other, ("page", cursor)]).status == 400
    assert asker("openai", COMPLETIONS, [SINCE, ("limit", 5), ("page", cursor)]).status == 400


def test_filters_narrow_an_answer(asker: Asker) -> None:
    """Projects, keys and line items can be asked for by name."""
    truth = asker.world.truth("openai")
    for name, parameter in (("project_id", "project_ids"), ("api_key_id", "api_key_ids"), ("line_item", "line_items")):
        for (value,), spend in list(truth.spend((name,)).items())[:3]:
            if value is not None:
                rows = cost_rows(asker, name, **{f"{parameter}[]": value})
                assert {row[name] for _, row in rows} == {value}
                assert exact_sum(Decimal(row["amount"]["value"]) for _, row in rows) == spend.billed


@pytest.mark.parametrize(
    "kind",
    ["completions", "decisions", "embeddings", "images", "audio_transcriptions", "vector_stores", "web_search_calls"],
)
@pytest.mark.parametrize(("width", "limit"), [("1d", 31), ("1h", 168)])
def test_usage_adds_up_to_the_truth(make_asker: Callable[..., Asker], kind: str, width: str, limit: int) -> None:
    """Each kind's buckets of any width add up, field by field, to what was used."""
    asker, total = make_asker(days=12), Counter[str]()
    query = {
        "start_time": epoch(TODAY - timedelta(days=11)),
        "end_time": epoch(TODAY) + 86_400,
        "bucket_width": width,
        "limit": limit,
    }
    for page in asker.pages("openai", f"/v1/organization/usage/{kind}", query):
        for bucket in page["data"]:
            for row in bucket["results"]:
                total.update({name: value for name, value in row.items() if isinstance(value, int)})
    true = asker.world.truth("openai").usage(("meter",), dataset=f"usage.{kind}")
    assert true
    assert total == {meter: quantity for (meter,), quantity in true.items()}


def test_token_classes_fit_together(asker: Asker) -> None:
    """Input is the sum of its disjoint parts, and modalities are parts of the uncached and the cached input."""
    query = [SINCE, ("limit", 31), *group("project_id", "model", "batch", "service_tier")]
    rows = [
        row
        for page in asker.pages("openai", COMPLETIONS, query)
        for bucket in page["data"]
        for row in bucket["results"]
    ]
    assert rows
    for row in rows:
        assert (
            row["input_tokens"]
            == row["input_uncached_tokens"] + row["input_cached_tokens"] + row["input_cache_write_tokens"]
        )
        assert (
            row["input_cache_write_tokens"] == row["input_cache_write_30m_tokens"] + row["input_cache_write_12h_tokens"]
        )
        for part, kinds in (("input_uncached", "input"), ("input_cached", "input_cached"), ("output", "output")):
            assert row[f"{part}_tokens"] == sum(row[f"{kinds}_{mode}_tokens"] for mode in ("text", "audio", "image"))


@pytest.mark.parametrize(("width", "over"), [("1d", 32), ("1h", 169), ("1m", 1441)])
def test_usage_pages_have_limits_of_their_width(asker: Asker, width: str, over: int) -> None:
    """One bucket over the width's maximum is a 400, the maximum itself is fine."""
    query = [SINCE, ("bucket_width", width)]
    assert asker("openai", COMPLETIONS, [*query, ("limit", over)]).status == 400
    assert len(asker("openai", COMPLETIONS, [*query, ("limit", over - 1)]).json["data"]) == over - 1


@pytest.mark.parametrize(
    ("key", "path", "status", "says"),
    [
        (None, COSTS, 401, "didn't provide an API key"),
        ("sk-" + "unknown", COSTS, 401, "Incorrect API key"),
        ("sim-openai-project", COSTS, 401, "Missing scopes: api.usage.read."),
        ("sim-openai-restricted", COSTS, 403, "Missing scopes: api.usage.read."),
        ("sim-openai-usage", "/v1/organization/projects", 403, "Missing scopes: api.management.read."),
    ],
)
def test_keys_open_what_they_may(asker: Asker, key: str | None, path: str, status: int, says: str) -> None:
    """Missing, unknown and insufficient keys are refused in the vendor's words."""
    got = asker("openai", path, [SINCE] if path == COSTS else [], key=key)
    assert got.status == status
    assert says in got.json["error"]["message"]
    assert key is None or key not in got.body.decode()


def test_a_usage_key_reads_usage(asker: Asker) -> None:
    """The least privileged key that is of use reads costs and usage."""
    for path in (COSTS, COMPLETIONS):
        assert asker("openai", path, [SINCE], key="sim-openai-usage").status == 200


def test_names_leave_out_what_the_vendor_leaves_out(asker: Asker) -> None:
    """Archived projects and inactive keys are listed on demand only, deleted ones never, though rows name them."""
    plain = asker("openai", "/v1/organization/projects").json["data"]
    every = asker("openai", "/v1/organization/projects", {"include_archived": "true"}).json["data"]
    assert {row["status"] for row in every} == {"active", "archived"}
    assert {row["status"] for row in plain} == {"active"}
    assert any(row["name"] is None for row in every)
    truth = asker.world.truth("openai")
    assert {row["id"]: row["name"] for row in every} == dict(truth.names["project"])
    named_in_rows = {line.sub_account for line in truth.charges()} - {None}
    assert named_in_rows - set(truth.names["project"])
    home = f"/v1/organization/projects/{every[1]['id']}/api_keys"
    by_access = {
        access: asker("openai", home, {"owner_project_access": access}).json["data"]
        for access in ("active", "inactive", "any")
    }
    assert len(by_access["any"]) == len(by_access["active"]) + len(by_access["inactive"])
    assert asker("openai", home).json["data"] == by_access["active"]


def test_lists_page_by_the_last_id(asker: Asker) -> None:
    """A list continues after the last id until nothing is left."""
    path, seen = "/v1/organization/projects", []
    after: dict[str, object] = {}
    while True:
        page = asker("openai", path, {"limit": 2, "include_archived": "true", **after}).json
        seen += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert seen == [row["id"] for row in asker("openai", path, {"include_archived": "true"}).json["data"]]
    assert asker("openai", path, {"after": "proj_nobody"}).status == 400
    assert asker("openai", path, {"limit": 101}).status == 400


def test_limits_are_stated_or_missing(asker: Asker) -> None:
    """Spend limits are in cents and 404 where none is set; an unknown project is 404 in its odd shape."""
    truth = asker.world.truth("openai")
    limit = asker("openai", "/v1/organization/spend_limit").json
    assert Decimal(limit["threshold_amount"]) / 100 == next(one.quota for one in truth.limits if one.scope is None)
    statuses = Counter(
        asker("openai", f"/v1/organization/projects/{project}/spend_limit").status for project in truth.names["project"]
    )
    assert statuses == {200: 1, 404: len(truth.names["project"]) - 1}
    assert asker("openai", "/v1/organization/projects/proj_nobody").json["code"] == 404
    assert asker("openai", "/v1/organization/spend_limit", key="sim-openai-admin:empty").status == 404


def test_today_is_partial(asker: Asker) -> None:
    """Today has less than the same day has once it is over."""
    tomorrow = World(7, TODAY + timedelta(days=1), 41)
    assert (
        0
        < len(asker.world.truth("openai").charges(TODAY))
        < len(tomorrow.truth("openai").charges(TODAY, TODAY + timedelta(days=1)))
    )


def test_a_day_of_exactly_so_many_rows(make_asker: Callable[..., Asker]) -> None:
    """A benchmark's world has as many rows on each day as it asked for, whatever they are grouped by."""
    asker = make_asker(days=5, world={"rows_per_day": 100})
    query = [("start_time", epoch(TODAY - timedelta(days=4))), ("limit", 180)]
    for groups in (("project_id", "line_item"), ("project_id", "line_item", "api_key_id")):
        [page] = asker.pages("openai", COSTS, [*query, *group(*groups)])
        assert [len(bucket["results"]) for bucket in page["data"]] == [100] * 5
