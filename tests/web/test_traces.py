from __future__ import annotations

import gzip
import json
import sys
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from meter_ingest.test_otlp import CHAT, protobuf, request
from web.conftest import Answer, Site
from web.test_events import total

TRACES = "/v1/traces"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
LATER = {"endTimeUnixNano": "1795345200000000000"}


def packed(whole: dict[str, Any], kind: str) -> bytes:
    """Return a request as it is sent."""
    return json.dumps(whole).encode() if kind == JSON else protobuf(whole)


def partial(answer: Answer) -> tuple[int, str]:
    """Return how many spans were rejected, and why."""
    assert answer.status == 200, answer.body
    if answer.headers["content-type"] == JSON:
        said = answer.json.get("partialSuccess", {})
        return int(said.get("rejectedSpans", 0)), said.get("errorMessage", "")
    assert answer.headers["content-type"] == PROTOBUF
    made = ExportTraceServiceResponse.FromString(answer.body)
    return made.partial_success.rejected_spans, made.partial_success.error_message


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
@pytest.mark.parametrize("packing", ["identity", "gzip"])
def test_traces_are_taken_once(site: Site, kind: str, packing: str) -> None:
    """Spans sent again, as exporters do when an answer is lost, are known by their ids, in either encoding."""
    whole = request(CHAT, {"http.request.method": "GET"}, CHAT, **LATER)
    for _ in range(2):
        body = packed(whole, kind)
        sent = gzip.compress(body) if packing == "gzip" else body
        assert partial(site.post(TRACES, sent, kind, Content_Encoding=packing)) == (0, "")
    assert partial(site.post(TRACES, packed(whole, JSON), JSON)) == (0, "")
    assert total(site) == {"requests": 2, "input_tokens": 200, "output_tokens": 100}


@pytest.mark.parametrize("kind", [JSON, PROTOBUF])
def test_what_is_rejected_is_told_and_the_rest_taken(site: Site, kind: str) -> None:
    """The answer names the spans that were not taken, as OTLP has it, and is a success: it is not sent again."""
    whole = request(CHAT, {**CHAT, "gen_ai.provider.name": "cohere"}, **LATER)
    count, why = partial(site.post(TRACES, packed(whole, kind), kind))
    assert count == 1
    assert why.startswith("span 1: 'cohere'")
    assert total(site)["requests"] == 1


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", JSON, 400, "body_unreadable"),
        (b"\xff\xff", PROTOBUF, 400, "body_unreadable"),
        (b"", "text/plain", 415, "media_type_unknown"),
        (b"x" * (5 << 20), PROTOBUF, 413, "body_too_large"),
    ],
)
def test_what_is_no_request_of_traces(site: Site, body: bytes, kind: str, status: int, code: str) -> None:
    """It is refused in the one shape of errors."""
    answer = site.post(TRACES, body, kind)
    assert (answer.status, answer.error) == (status, code)


def test_without_the_extra_protobuf_is_refused_with_a_hint(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where protobuf cannot be read the exporter hears it, and how to go on; JSON works all the same."""
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)
    answer = site.post(TRACES, b"", PROTOBUF)
    assert (answer.status, answer.error) == (415, "protobuf_missing")
    assert "outlay[otlp]" in answer.json["error"]["hint"]
    assert partial(site.post(TRACES, request(CHAT, **LATER), JSON)) == (0, "")
