from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter_ingest.making import NOW
from outlay.meter import otlp
from outlay.meter.bounds import RejectedError
from outlay.meter.otlp import Read

END = int(NOW.timestamp()) * 10**9
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "model-a",
    "gen_ai.response.model": "model-a-2026-01-01",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 50,
}


def value(of: object) -> dict[str, Any]:
    """Return a value as OTLP writes it in JSON: whole numbers are text."""
    if isinstance(of, int):
        return {"intValue": str(of)}
    if isinstance(of, float):
        return {"doubleValue": of}
    return {"stringValue": of} if isinstance(of, str) else {"arrayValue": of}


def request(*spans: dict[str, Any], resource: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a request of spans given by their attributes."""
    made = [
        {
            "traceId": "5b8efff798038103d269b633813fc60c",
            "spanId": f"{number + 1:016x}",
            "name": "chat",
            "endTimeUnixNano": str(END),
            "attributes": [{"key": key, "value": value(of)} for key, of in attributes.items()],
            **fields,
        }
        for number, attributes in enumerate(spans)
    ]
    attributes = [{"key": key, "value": value(of)} for key, of in (resource or {}).items()]
    return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [{"spans": made}]}]}


def read(*spans: dict[str, Any], **fields: Any) -> Read:
    """Return what a request in JSON comes to."""
    return otlp.from_json(json.dumps(request(*spans, **fields)).encode(), NOW)


def protobuf(whole: dict[str, Any]) -> bytes:
    """Return a request in JSON as protobuf: ids are hexadecimal in one and bytes in the other."""
    from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    plain = json.loads(json.dumps(whole))
    ids = []
    for resource in plain["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            ids += [(span.pop("traceId"), span.pop("spanId")) for span in scope["spans"]]
    made = ParseDict(plain, ExportTraceServiceRequest())
    spans = [span for resource in made.resource_spans for scope in resource.scope_spans for span in scope.spans]
    for span, (trace, own) in zip(spans, ids, strict=True):
        span.trace_id, span.span_id = bytes.fromhex(trace), bytes.fromhex(own)
    return bytes(made.SerializeToString())


def quantities(found: Read) -> list[dict[str, int]]:
    """Return the quantities of each event."""
    return [{meter: int(quantity) for meter, quantity in event.quantities.items()} for event in found.events]


def test_a_call_to_a_model_is_an_event() -> None:
    """A span says when, what and how much; it is known by its trace and its own id."""
    (event,) = read(CHAT).events
    assert (event.at, event.provider, event.model, event.operation) == (NOW, "openai", "model-a-2026-01-01", "chat")
    assert event.id == "otlp 5b8efff798038103d269b633813fc60c 0000000000000001"
    assert event.context_tokens == 100
    assert quantities(read(CHAT)) == [{"requests": 1, "input_tokens": 100, "output_tokens": 50}]


@pytest.mark.parametrize(
    ("cached", "written", "reasoning"),
    [
        ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_creation.input_tokens",
         "gen_ai.usage.reasoning.output_tokens"),
        ("gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cache_creation_input_tokens",
         "gen_ai.usage.reasoning_tokens"),
    ],
)  # fmt: skip
def test_parts_are_taken_out_of_their_wholes(cached: str, written: str, reasoning: str) -> None:
    """Input tokens hold the cached ones by the conventions, in their present and in their older names."""
    assert quantities(read({**CHAT, cached: 60, written: 10, reasoning: 30})) == [
        {
            "requests": 1,
            "input_tokens": 30,
            "cached_input_tokens": 60,
            "cache_write_tokens": 10,
            "output_tokens": 50,
            "reasoning_tokens": 30,
        }
    ]


def test_older_names_and_systems() -> None:
    """`gen_ai.system` and prompt and completion tokens are read where the present names are missing."""
    old = {
        "gen_ai.request.model": "model-c",
        "gen_ai.usage.prompt_tokens": 3,
        "gen_ai.usage.completion_tokens": 4,
        "gen_ai.openai.response.service_tier": "default",
    }
    (event,) = read({**old, "gen_ai.system": "Anthropic"}).events
    assert (event.provider, event.operation, event.service_tier) == ("anthropic", None, None)
    (event,) = read({**CHAT, "openai.response.service_tier": "flex"}).events
    assert event.service_tier == "flex"


def test_other_spans_are_passed_over() -> None:
    """Spans of agents, tools and everything else are no calls: what they sum up has spans of its own."""
    others = [
        {**CHAT, "gen_ai.operation.name": name}
        for name in ("invoke_agent", "create_agent", "execute_tool", "invoke_workflow")
    ]
    found = read(*others, {"http.request.method": "GET"}, CHAT)
    assert (len(found.events), found.rejected, found.passed) == (1, [], 5)


def test_a_call_without_tokens_is_not_free() -> None:
    """A call that went well and tells no tokens is counted as one that nobody counted; a failed one costs nothing."""
    silent = {name: of for name, of in CHAT.items() if "usage" not in name}
    assert quantities(read(silent)) == [{"requests": 1, "uncounted_requests": 1}]
    for code in (2, "STATUS_CODE_ERROR"):
        whole = request(silent, status={"code": code})
        assert read(silent, status={"code": code}).events == []
        assert otlp.from_protobuf(protobuf(whole), NOW).events == []
    assert len(read(CHAT, status={"code": 2}).events) == 1


def test_the_connection_may_be_named() -> None:
    """An attribute of the span, or of its resource, says whose call it is; the span's own word wins."""
    found = read(CHAT, {**CHAT, otlp.CONNECTION: "openai-two"}, resource={otlp.CONNECTION: "openai-one"})
    assert [event.connection for event in found.events] == ["openai-one", "openai-two"]


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"gen_ai.provider.name": "cohere"}, "provider_unknown"),
        ({"gen_ai.provider.name": "azure.ai.openai"}, "provider_unknown"),
        ({"gen_ai.usage.input_tokens": -1}, "quantity_refused"),
        ({"gen_ai.usage.input_tokens": 1.5}, "quantity_refused"),
        ({"gen_ai.usage.input_tokens": "many"}, "quantity_refused"),
        ({"gen_ai.usage.cache_read.input_tokens": 101}, "parts_exceed_whole"),
        ({"gen_ai.usage.reasoning.output_tokens": 51}, "parts_exceed_whole"),
        ({"gen_ai.response.model": 7}, "event_invalid"),
    ],
)
def test_a_call_that_cannot_be_counted_is_named(attributes: dict[str, Any], code: str) -> None:
    """A span that is a call and cannot be taken is rejected by its place; the others are taken."""
    found = read(CHAT, {**CHAT, **attributes})
    assert len(found.events) == 1
    assert [(each.place, each.code) for each in found.rejected] == [(1, code)]


@pytest.mark.parametrize("fields", [{"spanId": "0" * 16}, {"traceId": ""}, {"endTimeUnixNano": "0"}])
def test_a_span_needs_an_identity_and_an_end(fields: dict[str, str]) -> None:
    """Without its ids a span could be counted twice, without its end on the wrong day."""
    assert [each.code for each in read(CHAT, **fields).rejected] == ["event_invalid"]


def test_what_was_said_is_not_read() -> None:
    """Prompts and completions, as attributes or as events of the span, are in nothing that is made of it."""
    said = "what the user wrote"
    talk = {"gen_ai.input.messages": said, "gen_ai.output.messages": said, "gen_ai.prompt": said}
    events = [{"name": "gen_ai.user.message", "attributes": [{"key": "content", "value": {"stringValue": said}}]}]
    found = read({**CHAT, **talk}, events=events)
    assert len(found.events) == 1
    assert said not in repr(found)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"resourceSpans": 3}', b'{"a":' * 50_000])
def test_what_is_no_request_of_traces(body: bytes) -> None:
    """Anything else is refused as a whole."""
    with pytest.raises(RejectedError):
        otlp.from_json(body, NOW)
    if body:
        with pytest.raises(RejectedError):
            otlp.from_protobuf(body, NOW)


_counts = st.integers(0, 10**9)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                **{name: st.just(of) for name, of in CHAT.items() if name != "gen_ai.operation.name"},
                "gen_ai.usage.input_tokens": _counts,
            },
            optional={
                "gen_ai.usage.cache_read.input_tokens": _counts,
                "gen_ai.usage.reasoning.output_tokens": _counts,
                "other": st.text(max_size=5),
                "gen_ai.operation.name": st.sampled_from(["chat", "embeddings", "execute_tool"]),
            },
        ),
        max_size=5,
    )
)
def test_protobuf_says_what_json_says(spans: list[dict[str, Any]]) -> None:
    """The same request gives the same events in both encodings."""
    whole = request(*spans, resource={otlp.CONNECTION: "openai-one"})
    assert otlp.from_protobuf(protobuf(whole), NOW) == otlp.from_json(json.dumps(whole).encode(), NOW)
