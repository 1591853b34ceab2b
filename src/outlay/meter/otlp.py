"""Read meter events out of OTLP traces: spans of calls to models, by the GenAI semantic conventions.

Only names, models and counts are read. Prompts, completions, tool calls and events of a span are passed over unread
and never kept. Spans that sum up others (agents, workflows) are passed over too: their calls have spans of their own.
`input_tokens` hold the cached ones by the conventions, and are taken apart here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from outlay.meter.answers import parts, tier
from outlay.meter.bounds import Rejected, RejectedError, check
from outlay.model.metering import MeterEvent

SPANS_MAX = 20_000
"""How many spans one request may hold."""
CONNECTION = "outlay.connection"
"""The attribute, of a span or of its resource, that names the connection."""

_CALLS = {
    "chat": "chat",
    "text_completion": "completion",
    "generate_content": "chat",
    "embeddings": "embeddings",
}
"""What a span may be named to be a call to a model."""
_SYSTEMS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "groq": "groq",
    "deepseek": "deepseek",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "google": "google",
    "gemini": "google",
    "vertex_ai": "google",
    "elevenlabs": "elevenlabs",
    "huggingface": "huggingface",
    "hugging_face": "huggingface",
}
"""Names of providers in the conventions, old and new, as Outlay's ids."""
_READ = {
    "operation": ("gen_ai.operation.name",),
    "system": ("gen_ai.provider.name", "gen_ai.system"),
    "model": ("gen_ai.response.model", "gen_ai.request.model"),
    "tier": ("openai.response.service_tier", "gen_ai.openai.response.service_tier", "gen_ai.response.service_tier"),
    "input": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "cached": (
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.input_tokens.cached",
    ),
    "written": (
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.input_tokens.cache_write",
    ),
    "reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.output_tokens.reasoning",
    ),
    "connection": (CONNECTION,),
}
"""Every attribute that is read, the present name of each first."""
_NAMES = frozenset(name for names in _READ.values() for name in names)
_COUNTS = frozenset({"input", "output", "cached", "written", "reasoning"})
_FAILED = (2, "STATUS_CODE_ERROR")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_MAX = 1 << 63


class Read(NamedTuple):
    """What a request of spans came to. `passed` spans are of something else than a call to a model."""

    events: list[MeterEvent]
    rejected: list[Rejected]
    passed: int


class _Value(Struct):
    string: str | None = msgspec.field(default=None, name="stringValue")
    integer: int | str | None = msgspec.field(default=None, name="intValue")
    double: Decimal | None = msgspec.field(default=None, name="doubleValue")


class _Attribute(Struct):
    key: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")


class _Status(Struct):
    code: int | str = 0


class _Span(Struct):
    trace: str = msgspec.field(default="", name="traceId")
    span: str = msgspec.field(default="", name="spanId")
    end: int | str = msgspec.field(default=0, name="endTimeUnixNano")
    attributes: list[_Attribute] | None = None
    status: _Status | None = None


class _Scope(Struct):
    spans: list[_Span] | None = None


class _Resource(Struct):
    attributes: list[_Attribute] | None = None


class _Resources(Struct):
    resource: _Resource | None = None
    scopes: list[_Scope] | None = msgspec.field(default=None, name="scopeSpans")


class _Request(Struct):
    resources: list[_Resources] | None = msgspec.field(default=None, name="resourceSpans")


class Span(NamedTuple):
    """A span's identity and those of its attributes that are read."""

    trace: str
    span: str
    end_nanos: int
    attributes: dict[str, str | int]
    failed: bool = False


_request = msgspec.json.Decoder(_Request)
_value = msgspec.json.Decoder(_Value)


def from_json(body: bytes, now: datetime) -> Read:
    """Return the events of a request in JSON. Raises: RejectedError when it is none."""
    try:
        request = _request.decode(body)
        return _events(_json_spans(request), now)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise RejectedError("the body is no OTLP request of traces", "body_unreadable") from None


def from_protobuf(body: bytes, now: datetime) -> Read:
    """Return the events of a request in protobuf.

    Raises: RejectedError when it is none; ModuleNotFoundError where the extra `otlp` is not installed.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except DecodeError:
        raise RejectedError("the body is no OTLP request of traces", "body_unreadable") from None
    return _events(_proto_spans(request), now)


def _json_spans(request: _Request) -> Iterator[Span]:
    for one in request.resources or ():
        shared = _json_attributes(one.resource.attributes if one.resource else None, frozenset({CONNECTION}))
        for scope in one.scopes or ():
            for span in scope.spans or ():
                own = {**shared, **_json_attributes(span.attributes, _NAMES)}
                failed = span.status is not None and span.status.code in _FAILED
                yield Span(span.trace.lower(), span.span.lower(), _whole(span.end), own, failed)


def _json_attributes(found: Iterable[_Attribute] | None, names: frozenset[str]) -> dict[str, str | int]:
    read: dict[str, str | int] = {}
    for attribute in found or ():
        if attribute.key in names:
            value = _value.decode(attribute.value)
            if value.string is not None:
                read[attribute.key] = value.string
            elif value.integer is not None:
                read[attribute.key] = _whole(value.integer)
            elif value.double is not None:
                read[attribute.key] = _whole(value.double)
    return read


def _whole(value: int | str | Decimal) -> int:
    """Return a whole number however it is written, -1 for what is none."""
    try:
        number = Decimal(value)
        return int(number) if number.is_finite() and number == int(number) and abs(number) < _TIME_MAX else -1
    except ArithmeticError:
        return -1


def _proto_spans(request: Any) -> Iterator[Span]:
    for one in request.resource_spans:
        shared = _proto_attributes(one.resource.attributes, frozenset({CONNECTION}))
        for scope in one.scope_spans:
            for span in scope.spans:
                own = {**shared, **_proto_attributes(span.attributes, _NAMES)}
                failed = span.status.code in _FAILED
                yield Span(span.trace_id.hex(), span.span_id.hex(), span.end_time_unix_nano, own, failed)


def _proto_attributes(found: Any, names: frozenset[str]) -> dict[str, str | int]:
    read: dict[str, str | int] = {}
    for attribute in found:
        if attribute.key in names:
            kind = attribute.value.WhichOneof("value")
            if kind == "string_value":
                read[attribute.key] = attribute.value.string_value
            elif kind == "int_value":
                read[attribute.key] = attribute.value.int_value
            elif kind == "double_value":
                read[attribute.key] = _whole(repr(attribute.value.double_value))
    return read


def _events(spans: Iterable[Span], now: datetime) -> Read:
    read = Read([], [], 0)
    passed = 0
    for index, span in enumerate(spans):
        if index >= SPANS_MAX:
            raise RejectedError(f"a request holds at most {SPANS_MAX} spans", "batch_too_long")
        try:
            event = _event(span, now)
        except RejectedError as error:
            read.rejected.append(Rejected(index, error.code, str(error)))
            continue
        if event is None:
            passed += 1
        else:
            read.events.append(event)
    return read._replace(passed=passed)


def _event(span: Span, now: datetime) -> MeterEvent | None:
    """Return what a span used. Null: None for a span of something else. Raises: RejectedError."""
    values = {name: _first(span.attributes, names) for name, names in _READ.items()}
    operation = values["operation"]
    if operation is not None and operation not in _CALLS:
        return None
    untold = values["input"] is None and values["output"] is None
    if untold and (operation is None or span.failed):
        return None
    counts: dict[str, Any] = {name: values[name] for name in _COUNTS}
    if any(value is not None and not isinstance(value, int) for value in counts.values()):
        raise RejectedError("a number of tokens is written as text", "quantity_refused")
    texts: dict[str, Any] = {name: values[name] for name in ("system", "model", "tier", "connection")}
    if any(value is not None and not isinstance(value, str) for value in texts.values()):
        raise RejectedError("a name is written as a number")
    if not _identified(span):
        raise RejectedError("it has no trace id or no span id")
    if span.end_nanos <= 0:
        raise RejectedError("it says not when it ended")
    used = parts(
        counts["input"],
        counts["output"],
        cached=counts["cached"],
        written=counts["written"],
        reasoning=counts["reasoning"],
    )
    # A call that went well and tells no tokens used some all the same: that is unknown, and not nothing.
    quantities = {"requests": Decimal(1), "uncounted_requests": Decimal(1)} if untold else dict(used)
    made = MeterEvent(
        id=f"otlp {span.trace} {span.span}",
        at=_EPOCH + timedelta(microseconds=min(span.end_nanos, _TIME_MAX) // 1000),
        provider=_provider(texts["system"]),
        connection=texts["connection"],
        model=texts["model"],
        service_tier=tier(texts["tier"]),
        operation=_CALLS.get(str(operation)) if operation else None,
        context_tokens=counts["input"],
        quantities=quantities,
    )
    return check(made, now)


def _identified(span: Span) -> bool:
    return bool(span.trace.strip("0") and span.span.strip("0"))


def _first(attributes: dict[str, str | int], names: Iterable[str]) -> str | int | None:
    return next((attributes[name] for name in names if name in attributes), None)


def _provider(system: str | None) -> str:
    found = _SYSTEMS.get((system or "").lower())
    if found is None:
        named = repr(system[:60]) if system else "no provider"
        raise RejectedError(f"{named} is the provider it names, whose bills Outlay does not know", "provider_unknown")
    return found
