"""Read meter events out of CloudEvents 1.0: structured, batched, or binary with `ce-` headers.

Type `dev.outlay.meter.v1` carries the fields of a meter event as they are; `dev.outlay.usage.v1` carries what an
OpenAI-compatible API answered, or its `usage` alone. An event is known by its source and id together.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
from msgspec import Struct

from outlay.meter.answers import Answer, moment, tier
from outlay.meter.bounds import Rejected, RejectedError, check
from outlay.model.facts import Limit, LimitBasis
from outlay.model.metering import MeterEvent
from outlay.model.money import Money

METER = "dev.outlay.meter.v1"
USAGE = "dev.outlay.usage.v1"
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
EVENTS_MAX = 10_000
"""How many events a batch may hold."""


class Envelope(Struct):
    """A CloudEvent's attributes, and its data as it came."""

    specversion: str = ""
    id: str = ""
    source: str = ""
    type: str = ""
    time: str | None = None
    datacontenttype: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: msgspec.Raw = msgspec.Raw()


class MeterData(Struct, forbid_unknown_fields=True):
    """The fields of a meter event that do not stand in the envelope; a field of another name is refused."""

    provider: str
    at: datetime | None = None
    connection: str | None = None
    model: str | None = None
    service_tier: str | None = None
    operation: str | None = None
    context_tokens: int | None = None
    quantities: dict[str, Decimal] = {}
    cost: Money | None = None
    limits: tuple[Limit, ...] = ()
    status: int | None = None
    tags: dict[str, str] | None = None


class UsageData(Answer):
    """An OpenAI-compatible answer, and which provider gave it."""

    provider: str = ""
    connection: str | None = None
    operation_name: str | None = msgspec.field(default=None, name="operation")
    tags: dict[str, str] | None = None


_envelope = msgspec.json.Decoder(Envelope)
_batch = msgspec.json.Decoder(list[msgspec.Raw])
_meter = msgspec.json.Decoder(MeterData)
_usage = msgspec.json.Decoder(UsageData)


def single(body: bytes, now: datetime) -> MeterEvent:
    """Return the event of a structured body. Raises: RejectedError."""
    return _event(body, now)


def batch(body: bytes, now: datetime) -> tuple[list[MeterEvent], list[Rejected]]:
    """Return the events of a batch and, by their place in it, those that are not taken.

    Raises: RejectedError when the body is no batch at all, or too long.
    """
    try:
        found = _batch.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise RejectedError("the body is no JSON array of events", "body_unreadable") from None
    if len(found) > EVENTS_MAX:
        raise RejectedError(f"a batch holds at most {EVENTS_MAX} events, not {len(found)}", "batch_too_long")
    events, rejected = [], []
    for index, each in enumerate(found):
        try:
            events.append(_event(each, now))
        except RejectedError as error:
            rejected.append(Rejected(index, error.code, str(error)))
    return events, rejected


def binary(headers: Mapping[str, str], body: bytes, now: datetime) -> MeterEvent:
    """Return the event whose attributes stand in headers and whose data is the body. Raises: RejectedError."""
    envelope = Envelope(
        specversion=headers.get("ce-specversion", ""),
        id=headers.get("ce-id", ""),
        source=headers.get("ce-source", ""),
        type=headers.get("ce-type", ""),
        time=headers.get("ce-time"),
        datacontenttype=headers.get("content-type"),
        data=msgspec.Raw(body),
    )
    return _read(envelope, now)


def _event(body: bytes | msgspec.Raw, now: datetime) -> MeterEvent:
    try:
        envelope = _envelope.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise RejectedError(f"it is no CloudEvent: {_said(error)}", "body_unreadable") from None
    return _read(envelope, now)


def _read(envelope: Envelope, now: datetime) -> MeterEvent:
    if envelope.specversion != "1.0":
        raise RejectedError("specversion is not 1.0")
    if not envelope.id or not envelope.source:
        raise RejectedError("it has no id or no source")
    if envelope.type not in {METER, USAGE}:
        raise RejectedError(f"the type is neither {METER} nor {USAGE}", "type_unknown")
    if bytes(envelope.data_base64):
        raise RejectedError("data_base64 is not read: send data as JSON", "data_unreadable")
    kind = (envelope.datacontenttype or "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise RejectedError("datacontenttype is not JSON", "data_unreadable")
    at = moment(envelope.time)
    if envelope.time is not None and at is None:
        raise RejectedError("time is no RFC 3339 time with a zone")
    try:
        made = _metered(envelope, at) if envelope.type == METER else _answered(envelope, at)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise RejectedError(f"its data is not as {envelope.type} has it: {_said(error)}", "data_unreadable") from None
    return check(made, now)


def _metered(envelope: Envelope, at: datetime | None) -> MeterEvent:
    data = _meter.decode(envelope.data)
    return MeterEvent(
        id=_key(envelope),
        at=_first(data.at, at).astimezone(UTC),
        provider=data.provider,
        connection=data.connection,
        model=data.model,
        service_tier=tier(data.service_tier),
        operation=data.operation,
        context_tokens=data.context_tokens,
        quantities=data.quantities,
        cost=data.cost,
        limits=tuple(msgspec.structs.replace(limit, basis=LimitBasis.HEADER) for limit in data.limits),
        status=data.status,
        tags=data.tags,
    )


def _answered(envelope: Envelope, at: datetime | None) -> MeterEvent:
    data = _usage.decode(envelope.data)
    if data.usage is None:
        raise RejectedError("its data has no usage", "data_unreadable")
    return MeterEvent(
        id=_key(envelope),
        at=_first(at, data.at),
        provider=data.provider,
        connection=data.connection,
        model=data.model,
        service_tier=data.tier,
        operation=data.operation_name or data.operation,
        context_tokens=data.usage.prompt,
        quantities=data.quantities(),
        tags=data.tags,
    )


def _first(*moments: datetime | None) -> datetime:
    """Return the first moment that is known: without one a second sending could fall on another day."""
    found = next((each for each in moments if each is not None), None)
    if found is None:
        raise RejectedError("neither the event nor its data says when it was")
    if found.tzinfo is None:
        raise RejectedError("its time has no zone")
    return found


def _key(envelope: Envelope) -> str:
    return f"{envelope.source} {envelope.id}"


def _said(error: Exception) -> str:
    """Return where and why without what stood there: msgspec names types and paths, never values."""
    return str(error)[:200] if isinstance(error, msgspec.ValidationError) else "not valid JSON"
