"""The short way: paths that are asked thousands of times a second are answered past the router and its objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from outlay.errors import OutlayError
from outlay.store.tokens import Scope as Right
from outlay.web.errors import HEADERS, on_http, on_own
from outlay.web.guard import admit

Handler = Callable[[Mapping[bytes, bytes], Receive], Awaitable[bytes]]
"""Turns a request's headers and body into an answer in JSON."""

_HEADERS = [(b"content-type", b"application/json"), *((n.encode(), v.encode()) for n, v in HEADERS.items())]


class Straight:
    """An endpoint of one right that answers 200 with JSON, or raises why it does not."""

    def __init__(self, right: Right, handler: Handler) -> None:
        self._right, self._handler = right, handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        try:
            admit(scope, self._right)
            body = await self._handler(dict(scope["headers"]), receive)
        except HTTPException as error:
            await (await on_http(Request(scope), error))(scope, receive, send)
            return
        except OutlayError as error:
            await (await on_own(Request(scope), error))(scope, receive, send)
            return
        headers = [(b"content-length", b"%d" % len(body)), *_HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Shortcut:
    """Middleware that finds straight endpoints by their whole path; everything else is the router's."""

    def __init__(self, app: ASGIApp, *, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._found = {
            (method, route.path): route.endpoint
            for route in routes
            if isinstance(route, Route) and isinstance(route.endpoint, Straight)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to who answers it."""
        found = self._found.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        await (found or self._app)(scope, receive, send)
