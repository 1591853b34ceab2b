"""How Google's BigQuery is talked with: estimated, bounded, waited for, read whole or not at all."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from datetime import date
from typing import Any

import msgspec
import pytest

from outlay.errors import NotOfferedError, PayloadError, RequestRefusedError
from outlay.providers.base import Ask, Step
from outlay.providers.google import bigquery
from outlay.providers.google.bigquery import Result, Tables, TableSeen
from outlay.providers.google.export import COLUMNS, DETAILED
from providers.test_google import ACCOUNT, NOW, OPTIONS, OTHER, TYPES, WEEK, table


def schema() -> dict[str, Any]:
    """Return the schema of a table with the columns above."""
    fields: dict[str, Any] = {}
    for path, kind in TYPES.items():
        outer, _, inner = path.partition(".")
        if inner:
            record = fields.setdefault(outer, {"name": outer, "type": "RECORD", "fields": []})
            record["fields"].append({"name": inner, "type": kind})
        else:
            fields[outer] = {"name": outer, "type": kind}
    return {"fields": list(fields.values())}


def talked(
    answers: list[dict[str, Any]], options: Mapping[str, str] = OPTIONS, ask: Any = bigquery.costs, *more: Any
) -> tuple[list[Step], Any]:
    """Return the requests of a conversation that gets these answers, and what it returns."""
    conversation: Generator[Step, Any, Any] = ask(Ask("costs", WEEK, options, NOW), "n" * 32, *more)
    steps: list[Step] = []
    said = None
    for answer in [*answers, None]:
        try:
            step = conversation.send(said)
        except StopIteration as end:
            assert answer is None, "the conversation ended early"
            return steps, end.value
        assert answer is not None, "the conversation asks for more than was prepared"
        steps.append(step)
        said = msgspec.convert(answer, step.answer)
    raise AssertionError("unreachable")


LISTED = {"tables": [{"tableReference": {"tableId": table().name}}, {"tableReference": {"tableId": "other"}}]}
SEEN = {"schema": schema(), "location": "EU", "timePartitioning": {"type": "DAY"}}
ESTIMATE = {"totalBytesProcessed": "20971520", "jobComplete": True}
ROW = {"f": [{"v": None} for _ in COLUMNS]}
DONE = {
    "jobComplete": True,
    "jobReference": {"jobId": "j1"},
    "rows": [ROW],
    "totalRows": "1",
    "totalBytesProcessed": "1",
}


def test_a_query_is_estimated_bounded_and_read_only() -> None:
    """Standard SQL, named parameters, microsecond times, a name of its own, and a bound on what it may bill."""
    steps, _ = talked([LISTED, SEEN, ESTIMATE, DONE])
    estimate, run = steps[2].body, steps[3].body
    assert estimate is not None
    assert run is not None
    assert estimate["dryRun"] is True
    assert "requestId" not in estimate
    assert "dryRun" not in run
    assert run["useLegacySql"] is False
    assert run["location"] == "EU"
    assert run["parameterMode"] == "NAMED"
    assert run["maximumBytesBilled"] == str(bigquery.BYTES_MAX_DEFAULT)
    assert len(str(run["requestId"])) <= 36
    assert run["formatOptions"] == {"useInt64Timestamp": True}
    assert str(run["query"]).startswith("SELECT")
    assert [step.keep(msgspec.convert(DONE, Result)) if step.answer is Result else False for step in steps] == [
        False, False, False, True,
    ]  # fmt: skip


def test_more_than_the_cap_is_refused_before_anything_runs() -> None:
    """The estimate alone is asked for, and it says how much it would have been."""
    with pytest.raises(RequestRefusedError, match="20971520 bytes, more than the 20971519") as caught:
        talked([LISTED, SEEN, ESTIMATE], {**OPTIONS, "max_bytes_billed": "20971519"})
    assert "max_bytes_billed" in caught.value.hint
    with pytest.raises(RequestRefusedError, match="not a number"):
        talked([LISTED, SEEN], {**OPTIONS, "max_bytes_billed": "10 GB"})


def test_an_unfinished_job_is_waited_for_and_its_pages_read() -> None:
    """The first answer may name the job alone; rows are absent from an empty page; all rows must have come."""
    waiting = {"jobComplete": False, "jobReference": {"jobId": "j/1"}}
    first = {**DONE, "pageToken": "two", "totalRows": "2"}
    last = {"jobComplete": True, "rows": [ROW], "totalRows": "2"}
    steps, _ = talked([LISTED, SEEN, ESTIMATE, waiting, waiting, first, last])
    assert steps[4].path.endswith("/queries/j%2F1")
    assert ("location", "EU") in steps[4].params
    assert dict(steps[6].params)["pageToken"] == "two"
    empty = {"jobComplete": True, "jobReference": {"jobId": "j1"}, "totalRows": "0"}
    talked([LISTED, SEEN, ESTIMATE, empty])


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([{**DONE, "totalRows": "2"}], "2 rows, and its pages hold 1"),
        ([{**DONE, "pageToken": "a", "totalRows": "3"}, {**DONE, "pageToken": "a"}], "same page token twice"),
        ([{"jobComplete": False}], "does not finish"),
        ([{"jobComplete": True, "rows": [ROW], "totalRows": "2", "pageToken": "a"}], "not of which job"),
    ],
)
def test_a_result_that_is_not_whole_is_refused(answers: list[dict[str, Any]], says: str) -> None:
    """Lost rows, endless pages and jobs without a name end the conversation, and with it the day."""
    with pytest.raises(PayloadError, match=says):
        talked([LISTED, SEEN, ESTIMATE, *answers])


def test_a_wrong_place_is_told() -> None:
    """No export, an account without one, another location, and a table without costs are not empty results."""
    with pytest.raises(NotOfferedError, match="no billing export"):
        talked([{}])
    with pytest.raises(NotOfferedError, match=OTHER):
        talked([LISTED], {**OPTIONS, "billing_accounts": f"{ACCOUNT},{OTHER}"})
    with pytest.raises(RequestRefusedError, match="lies in EU") as caught:
        talked([LISTED, SEEN], {**OPTIONS, "location": "US"})
    assert 'location = "EU"' in caught.value.hint
    with pytest.raises(PayloadError, match="cost"):
        talked([LISTED, {**SEEN, "schema": {"fields": [{"name": "export_time", "type": "TIMESTAMP"}]}}])


def test_a_dataset_of_another_project_is_asked_there_and_paid_here() -> None:
    """The dataset's project holds the tables; queries run in `project`."""
    steps, _ = talked([LISTED, SEEN, ESTIMATE, DONE], {**OPTIONS, "dataset": "shared.billing"})
    assert steps[0].path == "/bigquery/v2/projects/shared/datasets/billing/tables"
    assert steps[3].path == "/bigquery/v2/projects/acme-billing/queries"


def test_days_of_two_tables_are_counted_before_one_of_them_is_read() -> None:
    """Where an account has a standard and a detailed export, what each holds of a day decides; counts are not kept."""
    two = {"tables": [{"tableReference": {"tableId": one.name}} for one in (table(), table(DETAILED))]}
    counted = {"jobComplete": True, "totalRows": "3", "rows": [
        {"f": [{"v": name}, {"v": day}, {"v": count}]}
        for name, day, count in ((table().name, "2026-11-02", "5"), (table().name, "2026-11-04", "5"),
                                 (table(DETAILED).name, "2026-11-02", "5"))
    ]}  # fmt: skip
    steps, _ = talked([two, SEEN, SEEN, ESTIMATE, counted, ESTIMATE, DONE])
    count, run = steps[4].body, steps[6].body
    assert count is not None
    assert run is not None
    assert count["requestId"] != run["requestId"]
    assert "COUNT(DISTINCT" in str(count["query"])
    assert steps[4].keep is not None
    assert not steps[4].keep(msgspec.convert(DONE, Result))
    given = {each["name"]: each["parameterValue"]["value"][:10] for each in run["queryParameters"]}  # type: ignore[attr-defined]
    assert given["finish_0"] == given["start_1"] == "2026-11-04"
    broken = {**counted, "rows": [{"f": [{"v": table().name}, {"v": "2026-11-02"}, {"v": None}]}]}
    with pytest.raises(PayloadError, match="counted"):
        talked([two, SEEN, SEEN, ESTIMATE, {**broken, "totalRows": "1"}])


def test_the_mark_is_the_newest_export_time_of_each_table() -> None:
    """The mark grows with what was told and never shrinks; nothing told leaves it as it was."""
    told = {"jobComplete": True, "totalRows": "1",
            "rows": [{"f": [{"v": table().name}, {"v": "2026-11-02"}, {"v": "1795316400123456"}]}]}  # fmt: skip
    _, changed = talked([LISTED, SEEN, ESTIMATE, told], OPTIONS, bigquery.changes, None)
    assert changed.days == {date(2026, 11, 2)}
    assert changed.mark == f'{{"{table().name}":1795316400123456}}'
    older = {"jobComplete": True, "totalRows": "2", "rows": [
        {"f": [{"v": table().name}, {"v": day}, {"v": exported}]}
        for day, exported in (("2026-11-03", "1795316400123999"), ("2026-11-04", "1795316400000000"))
    ]}  # fmt: skip
    _, later = talked([LISTED, SEEN, ESTIMATE, older], OPTIONS, bigquery.changes, changed.mark)
    assert later.mark == f'{{"{table().name}":1795316400123999}}'
    nothing = {"jobComplete": True, "totalRows": "0"}
    steps, again = talked([LISTED, SEEN, ESTIMATE, nothing], OPTIONS, bigquery.changes, changed.mark)
    assert (again.days, again.mark) == (frozenset(), changed.mark)
    body = steps[3].body
    assert body is not None
    assert "export_time > @since_0" in str(body["query"])


def test_lists_of_tables_go_on_and_end() -> None:
    """A list may come in pages, short or empty ones too; one that repeats itself is an error."""
    steps, _ = talked([{"nextPageToken": "a"}, LISTED, SEEN, ESTIMATE, DONE])
    assert ("pageToken", "a") in steps[1].params
    with pytest.raises(PayloadError, match="never ends"):
        talked([{"nextPageToken": "a"}, {"nextPageToken": "a"}])
    assert {Tables, TableSeen} == {steps[0].answer, steps[2].answer}
