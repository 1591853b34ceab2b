from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from meter_ingest.making import NOW
from outlay.errors import ConfigError
from outlay.meter import jsonlines
from outlay.meter.jsonlines import Found, Wish
from outlay.model.metering import MeterEvent

SAID = "what the user wrote"
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
CREATED = int(datetime(2026, 10, 5, 12, tzinfo=UTC).timestamp())
PLAIN: dict[str, Any] = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": CREATED, "model": "model-a", "usage": USAGE,
    "choices": [{"message": {"role": "assistant", "content": SAID}}],
}  # fmt: skip


def read(tmp_path: Path, *lines: object, **wish: Any) -> tuple[list[MeterEvent], Found]:
    """Return the events of a file of some lines, and what became of them."""
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    found = Found()
    return list(jsonlines.read(path, Wish("openai", **wish), NOW, found)), found


def figures(events: list[MeterEvent]) -> list[dict[str, int]]:
    """Return the quantities of each event."""
    return [{meter: int(quantity) for meter, quantity in event.quantities.items()} for event in events]


def test_an_answer_as_the_api_gave_it(tmp_path: Path) -> None:
    """A line says when, what and how much, whatever else is in it."""
    (event,), found = read(tmp_path, PLAIN)
    assert (event.id, event.at, event.model) == ("openai chatcmpl-1", datetime(2026, 10, 5, 12, tzinfo=UTC), "model-a")
    assert (event.operation, event.context_tokens, event.service_tier) == ("chat", 10, None)
    assert figures([event]) == [{"requests": 1, "input_tokens": 10, "output_tokens": 4}]
    assert (found.lines, found.events, found.rejected_count) == (1, 1, 0)
    assert SAID not in repr(event)


def test_responses_and_other_vendors_names(tmp_path: Path) -> None:
    """Input and output tokens are the other name of prompt and completion, cache hits another one of cached."""
    responses = {
        "id": "resp_1", "object": "response", "created_at": CREATED, "model": "model-a", "service_tier": "flex",
        "usage": {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 5}, "output_tokens": 9,
                  "output_tokens_details": {"reasoning_tokens": 7}},
    }  # fmt: skip
    hits = {**PLAIN, "id": "2", "usage": {**USAGE, "prompt_cache_hit_tokens": 6, "prompt_cache_miss_tokens": 4}}
    events, _ = read(tmp_path, responses, hits)
    assert [event.service_tier for event in events] == ["flex", None]
    assert figures(events) == [
        {"requests": 1, "input_tokens": 15, "cached_input_tokens": 5, "output_tokens": 9, "reasoning_tokens": 7},
        {"requests": 1, "input_tokens": 4, "cached_input_tokens": 6, "output_tokens": 4},
    ]


def test_what_a_message_took_from_its_cache_stands_beside_its_input(tmp_path: Path) -> None:
    """Claude's input holds neither cache reads nor writes, and its tier and searches stand in the usage."""
    usage = {"input_tokens": 100, "cache_read_input_tokens": 1000, "cache_creation_input_tokens": 300,
             "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
             "output_tokens": 50, "output_tokens_details": {"thinking_tokens": 20},
             "server_tool_use": {"web_search_requests": 2}, "service_tier": "batch"}  # fmt: skip
    message = {"id": "msg_1", "type": "message", "model": "claude-a", "usage": usage, "created": CREATED}
    unparted = {"input_tokens": 1, "cache_creation_input_tokens": 7, "cache_read_input_tokens": None,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 2, "service_tier": "standard", "speed": "fast"}  # fmt: skip
    events, _ = read(tmp_path, message, {**message, "id": "msg_2", "usage": unparted})
    assert figures(events) == [
        {"requests": 1, "input_tokens": 100, "cached_input_tokens": 1000, "cache_write_tokens": 100,
         "cache_write_1h_tokens": 200, "output_tokens": 50, "reasoning_tokens": 20, "searches": 2},
        {"requests": 1, "input_tokens": 1, "cache_write_tokens": 7, "output_tokens": 2},
    ]  # fmt: skip
    assert [(event.service_tier, event.context_tokens) for event in events] == [("batch", 1400), ("fast", 8)]


def test_written_tokens_and_searches_of_a_response_are_counted(tmp_path: Path) -> None:
    """Tokens written to a cache are taken out of the input that holds them; searches are billed beside the tokens."""
    call = {"type": "web_search_call", "action": {"type": "search", "query": SAID}}
    opened = {"type": "web_search_call", "action": {"type": "open_page"}}
    response = {
        "id": "resp_1", "object": "response", "created_at": CREATED, "model": "model-a",
        "output": [call, {"type": "message", "content": SAID}, opened, call],
        "usage": {"input_tokens": 20, "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 4},
                  "output_tokens": 9},
    }  # fmt: skip
    events, _ = read(tmp_path, response, {**response, "id": "resp_2", "output": SAID})
    tokens = {"requests": 1, "input_tokens": 11, "cached_input_tokens": 5, "cache_write_tokens": 4, "output_tokens": 9}
    assert figures(events) == [{**tokens, "searches": 2}, tokens]
    assert SAID not in repr(events)


def test_a_batch_output_file(tmp_path: Path) -> None:
    """Answers of the batch API have its tier; those that failed are not billed."""
    good = {"id": "batch_req_1", "custom_id": "mine-1", "response": {"status_code": 200, "body": PLAIN}, "error": None}
    bad = {"id": "batch_req_2", "custom_id": "mine-2", "response": None, "error": {"code": "expired"}}
    worse = {"id": "batch_req_3", "custom_id": "mine-3", "response": {"status_code": 400, "body": {"error": {}}}}
    (event,), found = read(tmp_path, good, bad, worse)
    assert (event.id, event.service_tier) == ("openai chatcmpl-1", "batch")
    assert (found.without_usage, found.rejected_count) == (2, 0)


def test_a_proxy_s_log(tmp_path: Path) -> None:
    """A request beside its response, as objects or as text, with the log's own time where the response has none."""
    embedding = {"object": "list", "data": [{"embedding": [0.5]}], "usage": {"prompt_tokens": 8, "total_tokens": 8}}
    lines = [
        {"request": {"model": "model-e", "input": SAID}, "response": embedding, "timestamp": "2026-10-06T01:00:00Z"},
        {"request_body": json.dumps({"model": "model-e"}), "response_body": json.dumps(embedding),
         "end_time": 1790000000.25},
        {"request": {"model": "model-a"}, "response": {**PLAIN, "model": None}},
        {"model": "model-z", "response": {**PLAIN, "id": "9", "model": None}},
    ]  # fmt: skip
    events, found = read(tmp_path, *lines)
    assert found.rejected == []
    assert [(event.model, event.operation) for event in events] == [
        ("model-e", "embeddings"),
        ("model-e", "embeddings"),
        ("model-a", "chat"),
        ("model-z", "chat"),
    ]
    assert events[1].at == datetime.fromtimestamp(1790000000, UTC).replace(microsecond=250_000)
    assert SAID not in repr(events)


def test_a_file_read_again_gives_the_same_ids(tmp_path: Path) -> None:
    """Ids come from the answer, else from its figures and how many like it stand before: never by chance."""
    nameless = {name: of for name, of in PLAIN.items() if name != "id"}
    lines = [PLAIN, nameless, nameless, {**nameless, "choices": []}, {**nameless, "custom_id": "x"}]
    first, second = read(tmp_path, *lines)[0], read(tmp_path, *lines)[0]
    assert [event.id for event in first] == [event.id for event in second]
    assert len({event.id for event in first}) == 5
    assert {event.id for event in read(tmp_path, nameless)[0]} <= {event.id for event in first}


def test_lines_that_cannot_be_taken_are_named(tmp_path: Path) -> None:
    """Each is told by its number and reason, never by what stands in it; all the others are taken."""
    lines: list[object] = [
        PLAIN,
        b"",
        b"{" + SAID.encode(),
        [1],
        {**PLAIN, "usage": SAID},
        {**PLAIN, "id": "2", "created": None},
        {**PLAIN, "id": "3", "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 11}}},
        {**PLAIN, "id": "4", "usage": {"prompt_tokens": -1}},
        {**PLAIN, "id": "5", "usage": {}},
        {**PLAIN, "id": "6", "usage": None},
        {**PLAIN, "id": "7", "created": 4_000_000_000},
        b"\xff\xfe",
        b"[" * 200_000,
        {**PLAIN, "id": "8"},
    ]
    events, found = read(tmp_path, *lines)
    assert [event.id for event in events] == ["openai chatcmpl-1", "openai 8"]
    assert [(each.place, each.code) for each in found.rejected] == [
        (3, "line_unreadable"),
        (4, "line_unreadable"),
        (5, "line_unreadable"),
        (6, "time_missing"),
        (7, "parts_exceed_whole"),
        (8, "quantity_refused"),
        (9, "event_invalid"),
        (11, "event_early"),
        (12, "line_unreadable"),
        (13, "line_unreadable"),
    ]
    assert found.without_usage == 1
    assert SAID not in repr(found)
    assert len(read(tmp_path, *lines, at=NOW)[0]) == 3


def test_a_line_without_end_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line longer than the bound is never held whole, and the next one is read."""
    monkeypatch.setattr(jsonlines, "LINE_BYTES_MAX", 1000)
    long = {**PLAIN, "choices": "x" * 5000}
    events, found = read(tmp_path, long, PLAIN, {**PLAIN, "id": "2", "choices": "x" * 2990})
    assert [event.id for event in events] == ["openai chatcmpl-1"]
    assert [(each.place, each.code) for each in found.rejected] == [(1, "line_too_long"), (3, "line_too_long")]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A wrong path is the user's to correct."""
    with pytest.raises(ConfigError, match="cannot be read"):
        list(jsonlines.read(tmp_path / "none", Wish("openai"), NOW, Found()))
