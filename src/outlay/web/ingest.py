"""The paths that take meter events: CloudEvents and OTLP traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive

from outlay.meter import cloudevents, otlp
from outlay.meter.bounds import Rejected, RejectedError
from outlay.meter.ingest import Taken
from outlay.meter.together import FullError
from outlay.model.metering import MeterEvent
from outlay.store.tokens import Scope
from outlay.web import body
from outlay.web.errors import ApiError, answer, refuse
from outlay.web.guard import needs
from outlay.web.service import Service
from outlay.web.straight import Straight

_ASIDE_BYTES = 64 << 10
"""Bodies larger than this are read in a thread, so that others are answered meanwhile."""
_TOLD_MAX = 20
_PROTOBUF = ("application/x-protobuf", "application/protobuf")
_KINDS = (
    f"Send a CloudEvent as {cloudevents.STRUCTURED}, several as {cloudevents.BATCH}, or one with ce- headers and "
    "application/json."
)
_PAGE = "docs/metering-http.md shows what is taken."
_T = TypeVar("_T")


def routes(service: Service) -> Sequence[BaseRoute]:
    """Return the routes that take meter events."""
    taking = _Taking(service)
    return [
        Route("/api/v1/events", Straight(Scope.INGEST, taking.events), methods=["POST"]),
        Route("/v1/traces", needs(Scope.INGEST, taking.traces), methods=["POST"]),
    ]


class _Taking:
    """Read what is sent, and answer only when it is safe."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._budget = body.Budget()

    async def events(self, headers: Mapping[bytes, bytes], receive: Receive) -> bytes:
        """Take one CloudEvent or a batch of them."""
        kind = _kind(headers.get(b"content-type", b"").decode("latin-1"))
        if kind not in {cloudevents.STRUCTURED, cloudevents.BATCH} and b"ce-specversion" not in headers:
            refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media_type_unknown", "this is no CloudEvent", _KINDS)
        packing = headers.get(b"content-encoding", b"").decode("latin-1")
        sent = await body.read(packing, receive, self._budget)
        now = self._service.clock()
        rejected: list[Rejected] = []
        try:
            if kind == cloudevents.BATCH:
                events, rejected = await _aside(sent, lambda: cloudevents.batch(sent, now))
            elif kind == cloudevents.STRUCTURED:
                events = [cloudevents.single(sent, now)]
            else:
                named = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers.items()}
                events = [cloudevents.binary(named, sent, now)]
        except RejectedError as error:
            refuse(HTTPStatus.BAD_REQUEST, error.code, str(error), _PAGE)
        if rejected and not events:
            raise _none(rejected)
        taken = await self._take(events)
        return msgspec.json.encode(
            {
                "accepted": taken.accepted,
                "duplicates": taken.duplicates,
                "rejected": [{"index": each.place, "code": each.code, "message": each.says} for each in rejected],
            }
        )

    async def traces(self, request: Request) -> Response:
        """Take the calls to models in a request of traces; what else is in it is passed over."""
        kind = _kind(request.headers.get("content-type", ""))
        if kind not in {"application/json", *_PROTOBUF}:
            refuse(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "media_type_unknown",
                "traces come as application/x-protobuf or application/json",
                "Set the exporter's protocol to http/protobuf or http/json.",
            )
        read = otlp.from_json if kind == "application/json" else otlp.from_protobuf
        sent = await body.read(request.headers.get("content-encoding", ""), request.receive, self._budget)
        now = self._service.clock()
        try:
            found = await _aside(sent, lambda: read(sent, now))
        except RejectedError as error:
            refuse(HTTPStatus.BAD_REQUEST, error.code, str(error), _PAGE)
        except ModuleNotFoundError:
            refuse(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "protobuf_missing",
                "this server cannot read protobuf",
                'Install the extra (pip install "outlay[otlp]"), or set the exporter\'s protocol to http/json.',
            )
        await self._take(found.events)
        told = "; ".join(f"span {each.place}: {each.says}" for each in found.rejected[:_TOLD_MAX])
        if kind == "application/json":
            partial = {"partialSuccess": {"rejectedSpans": str(len(found.rejected)), "errorMessage": told}}
            return answer(partial if found.rejected else {})
        return answer(_partial(len(found.rejected), told), kind=kind)

    async def _take(self, events: Sequence[MeterEvent]) -> Taken:
        if not events:
            return Taken(0, 0)
        try:
            return await self._service.together.sent(events)
        except FullError:
            if not self._service.together.alive:
                refuse(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "ending",
                    "this server is ending and takes no more events",
                    "Nothing of this request was taken: send it again when the server is back.",
                )
            raise body.busy("too many events wait to be written") from None


async def _aside(sent: bytes, read: Callable[[], _T]) -> _T:
    return await run_in_threadpool(read) if len(sent) > _ASIDE_BYTES else read()


def _kind(stated: str) -> str:
    return stated.partition(";")[0].strip().lower()


def _none(rejected: Sequence[Rejected]) -> ApiError:
    told = "; ".join(f"event {each.place}: {each.says}" for each in rejected[:_TOLD_MAX])
    message = f"none of {len(rejected)} events was taken: {told}"
    return ApiError(HTTPStatus.BAD_REQUEST, "events_rejected", message, _PAGE)


def _partial(count: int, told: str) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    made = ExportTraceServiceResponse()
    if count:
        made.partial_success.rejected_spans = count
        made.partial_success.error_message = told
    return bytes(made.SerializeToString())
