"""Who may come in: on loopback whoever is on this machine and no foreign web page; anywhere else who has a token."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import lru_cache
from http import HTTPStatus
from time import monotonic
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from outlay.errors import StoreError
from outlay.store.tokens import Scope as Right
from outlay.web.errors import error_answer, on_own, refuse

OPEN = frozenset({"/healthz"})
"""Paths that say nothing of the ledger and are open to everyone."""
_FORWARDED = (b"x-forwarded-for", b"forwarded", b"x-real-ip", b"x-forwarded-host")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_REMEMBER_SECONDS = 5.0
_REMEMBER_MAX = 1000

Handler = Callable[[Request], Awaitable[Response]]


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tell whether an address or name is this machine's own and nobody else can reach it."""
    bare = host.strip("[]")
    if bare.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def needs(right: Right, handler: Handler) -> Handler:
    """Return a handler that only answers who has a right."""

    async def checked(request: Request) -> Response:
        admit(request.scope, right)
        return await handler(request)

    return checked


def admit(scope: Scope, right: Right) -> None:
    """Let a request go on that the guard found to have a right. Raises: ApiError."""
    held: Right | None = scope.get("outlay.right")
    if held is None or not held.opens(right):
        refuse(
            HTTPStatus.FORBIDDEN,
            "scope_missing",
            f"the token's scope is not {right.value}",
            f"Make a token for it: outlay meter token create NAME --scope {right.value}",
        )


class Guard:
    """The first thing every request meets."""

    def __init__(self, app: ASGIApp, *, lookup: Callable[[str], Right | None], local: bool) -> None:
        self._app = app
        self._lookup = lookup
        self._local = local
        self._known: OrderedDict[str, tuple[float, Right | None]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in with the right it has, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, send)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        # What a proxy passes on comes from anywhere, however near the proxy itself is.
        trusted = self._local and not any(name in headers for name in _FORWARDED)
        host = headers.get(b"host", b"").decode("latin-1")
        if trusted and not is_loopback(_bare(host)):
            return error_answer(
                HTTPStatus.MISDIRECTED_REQUEST,
                "host_refused",
                "this server answers only to the names of this machine: localhost, 127.0.0.1, [::1]",
                "A web page of another site may be asking. Behind a proxy, let it send X-Forwarded-For.",
            )
        origin = headers.get(b"origin")
        if origin is not None and scope["method"] not in _SAFE and urlsplit(origin.decode("latin-1")).netloc != host:
            return error_answer(
                HTTPStatus.FORBIDDEN,
                "origin_refused",
                "a web page of another site sent this request",
                "Programs send no Origin header; pages of other sites are not let in.",
            )
        if trusted:
            scope["outlay.right"] = Right.ADMIN
            return None
        return None if scope["path"] in OPEN else await self._unknown(scope, headers)

    async def _unknown(self, scope: Scope, headers: dict[bytes, bytes]) -> Response | None:
        kind, _, secret = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        try:
            right = await self._right(secret.strip()) if kind.lower() == "bearer" and secret.strip() else None
        except StoreError as error:
            return await on_own(Request(scope), error)
        if right is None:
            return error_answer(
                HTTPStatus.UNAUTHORIZED,
                "token_missing" if not secret else "token_refused",
                "this needs a token" if not secret else "the token is unknown or was revoked",
                "Send `Authorization: Bearer TOKEN`; `outlay meter token create` makes one.",
                {"www-authenticate": "Bearer"},
            )
        scope["outlay.right"] = right
        return None

    async def _right(self, secret: str) -> Right | None:
        """Return what a token opens; asked again after some seconds, so that a revoked one ends."""
        now = monotonic()
        found = self._known.get(secret)
        if found is None or now - found[0] > _REMEMBER_SECONDS:
            found = (now, await run_in_threadpool(self._lookup, secret))
            self._known[secret] = found
            self._known.move_to_end(secret)
            while len(self._known) > _REMEMBER_MAX:
                self._known.popitem(last=False)
        return found[1]


def _bare(host: str) -> str:
    """Return a Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0].strip("[]")
    return host.partition(":")[0]
