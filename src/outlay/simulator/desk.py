"""Where requests arrive: each is taken apart, judged by its face, bent by the faults in force, and logged."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

import msgspec

from outlay.simulator.faces.base import Answer, Ask, Endpoint, Face, Key, Meter, Query, Quota, Refusal
from outlay.simulator.faults import CLEAR, Faults, Plan, answer_of, bend
from outlay.simulator.world import EMPTY, World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_LOG_MAX = 200_000
_CHUNK = b"x" * 2**20
EVENTS = "text/event-stream"
_PIECE = 97


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it arrived, without its credential; `key` says which kind came, `label` which account it opens.

    Null: `provider` None is no vendor's path; `key` None with `credential` True is a credential nobody knows.
    """

    method: str
    provider: str | None
    path: str
    query: str
    status: int
    credential: bool
    key: str | None = None
    label: str = ""


class Desk:
    """Answers requests from one world, over sockets and in process alike."""

    def __init__(
        self,
        world: World,
        faces: Mapping[str, Face],
        faults: Faults,
        quotas: Mapping[str, Quota | None] | None = None,
        *,
        check_shapes: bool = False,
    ) -> None:
        self.world, self.faces, self.faults = world, faces, faults
        self.requests: deque[Seen] = deque(maxlen=_LOG_MAX)
        self._quotas, self._check_shapes = dict(quotas or {}), check_shapes
        self._meters: dict[tuple[str, str], Meter | None] = {}
        self._numbers = count(1)

    def key_of(self, face: Face, credential: str | None) -> tuple[Key | None, str]:
        """Return the key a credential is, and the label of the account it opens."""
        name, _, label = (credential or "").partition(":")
        return face.keys.get(name), label

    def meter(self, face: Face, key: Key, credential: str) -> Meter | None:
        """Return what counts the calls of a credential; None where the vendor publishes no quota."""
        place = (face.id, credential)
        if place not in self._meters:
            quota = self._quotas[face.id] if face.id in self._quotas else face.quota(key)
            self._meters[place] = None if quota is None else Meter(quota)
        return self._meters[place]

    def ask(self, face: Face, scope: Scope, body: bytes) -> tuple[Ask, Plan, str]:
        """Take a request apart and see which faults strike it."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        credential = face.credential(headers)
        key, label = self.key_of(face, credential)
        path = scope["path"].removeprefix(f"/{face.id}")
        plan = self.faults.plan(face.id, path, credential)
        query = Query(scope["query_string"].decode("latin-1"), path)
        if plan is not CLEAR:
            if plan.cursor_stuck:
                query.drop(face.cursor_parameters)
            label = EMPTY if plan.first("empty_organization") else label
        base_url = f"{scope.get('scheme', 'http')}://{headers.get('host', 'localhost')}/{face.id}"
        ask = Ask(scope["method"], path, query, headers, body, scope.get("path_params", {}), self.world,
                  self.world.account(face.id, label if key else EMPTY), key, credential, self.world.now(), base_url,
                  f"req_{next(self._numbers):08}")  # fmt: skip
        return ask, plan, label

    def answer(self, face: Face, endpoints: Mapping[str, Endpoint], ask: Ask, plan: Plan) -> Answer:
        """Return the vendor's answer, or the fault's."""
        meter = ask.meter = self.meter(face, ask.key, ask.credential) if ask.key and ask.credential else None
        if plan.answering is not None:
            answer = answer_of(plan.answering, face, ask)
        else:
            try:
                answer = self._judged(face, endpoints, ask, meter)
            except Refusal as no:
                answer = face.refuse(ask, no)
        if plan is not CLEAR:
            bend(answer, face, plan.bending)
        face.dress(ask, answer, meter)
        skew = plan.first("clock_skew")
        now = ask.now + timedelta(days=skew.days) if skew else ask.now
        answer.headers.setdefault("date", format_datetime(now, usegmt=True))
        return answer

    def _judged(self, face: Face, endpoints: Mapping[str, Endpoint], ask: Ask, meter: Meter | None) -> Answer:
        endpoint = endpoints.get(ask.method)
        if endpoint is None or not endpoint.open:
            face.admit(ask, endpoint)
        if endpoint is None:
            if endpoints:
                raise Refusal(405, f"Method {ask.method} is not allowed here.", {"allow": ", ".join(sorted(endpoints))})
            raise Refusal(404, f"Invalid URL ({ask.method} {ask.path})")
        if meter is not None and not endpoint.free and not meter.take():
            raise face.exhausted(meter)
        answer = endpoint.answer(ask)
        if self._check_shapes:
            from outlay.simulator.shapes import check

            check(face.id, endpoint.path, answer.status, answer.body, method=endpoint.method)
        return answer


class Door:
    """One path of one face, as an ASGI application."""

    def __init__(self, desk: Desk, face: Face, endpoints: Mapping[str, Endpoint]) -> None:
        self._desk, self._face, self._endpoints = desk, face, endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await _read(receive) if scope["method"] not in {"GET", "HEAD"} else b""
        ask, plan, label = self._desk.ask(self._face, scope, body)
        answer = self._desk.answer(self._face, self._endpoints, ask, plan)
        self._desk.requests.append(
            Seen(ask.method, self._face.id, ask.path, ask.query.text, answer.status, ask.credential is not None,
                 ask.key.kind if ask.key else None, label)
        )  # fmt: skip
        if answer.media_type == EVENTS:
            await _stream(answer, plan, receive, send)
        else:
            await _deliver(answer, plan, send)


class Nowhere:
    """Any path that belongs to no vendor."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404, and log whether a credential came along."""
        credential = any(name in {b"authorization", b"x-api-key"} for name, _ in scope["headers"])
        query = scope["query_string"].decode("latin-1")
        self._desk.requests.append(Seen(scope["method"], None, scope["path"], query, 404, credential))
        await _deliver(Answer(b'{"error":"no such vendor"}', 404), CLEAR, send)


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


async def _deliver(answer: Answer, plan: Plan, send: Send) -> None:
    if plan is not CLEAR and plan.slow_seconds:
        await asyncio.sleep(plan.slow_seconds)
    huge = plan.first("huge")
    headers = [(b"content-type", answer.media_type.encode())]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if huge is None:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if plan.first("cut"):
        # Half of the announced bytes and no end: the server closes the connection.
        await send({"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True})
        return
    if huge is not None and answer.body.startswith(b"{"):
        await send({"type": "http.response.body", "body": b'{"padding":"', "more_body": True})
        for _ in range(huge.megabytes):
            await send({"type": "http.response.body", "body": _CHUNK, "more_body": True})
        await send({"type": "http.response.body", "body": b'",' + answer.body[1:]})
        return
    await send({"type": "http.response.body", "body": answer.body})


async def _stream(answer: Answer, plan: Plan, receive: Receive, send: Send) -> None:
    """Send events that begin with less than is wanted, in pieces that heed no line, and do not end by themselves."""
    headers = [(b"content-type", EVENTS.encode()), (b"cache-control", b"no-cache")]
    headers += [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    whole = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
    part = msgspec.json.encode(dict(list(whole.items())[-1:]))
    lines = b"".join(b"data: %s\n" % line for line in msgspec.json.format(answer.body, indent=1).splitlines())
    said = (
        b": connected\n\nretry: 5000\n\n",
        b"event: keep-alive\r\ndata:\r\n\r\n",
        b"event: usage\ndata: %s\n\n" % part,
        b"event: usage\nid: 1\n%s\n" % lines,
    )
    text = b"".join(said)
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    cut = plan.first("cut") is not None
    for piece in pieces[: len(pieces) // 2] if cut else pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    while not cut and (await receive())["type"] != "http.disconnect":
        pass
