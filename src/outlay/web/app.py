"""The application: routes of several modules behind one guard, with one shape of error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from outlay.errors import OutlayError
from outlay.store import tokens
from outlay.web import ingest
from outlay.web.errors import answer, error_answer, on_bug, on_http, on_own
from outlay.web.guard import Guard
from outlay.web.service import Service
from outlay.web.straight import Shortcut

MODULES = (ingest,)
"""Whose routes are served; each has `routes(service)`."""


def app(service: Service, *, local: bool = True) -> Starlette:
    """Return the ASGI application of a service; `local` lets in who is on this machine without a token."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with service:
            yield

    async def healthz(_request: Request) -> Response:
        trouble = service.trouble
        if trouble is not None:
            return error_answer(
                HTTPStatus.SERVICE_UNAVAILABLE, "unhealthy", trouble, "Start `outlay serve` again; its log says why."
            )
        return answer({"status": "ok"})

    routes: list[BaseRoute] = [Route("/healthz", healthz, methods=["GET"])]
    for module in MODULES:
        routes += module.routes(service)
    return Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[
            Middleware(Guard, lookup=lambda secret: tokens.scope_of(service.ledger.state, secret), local=local),
            Middleware(Shortcut, routes=routes),
        ],
        exception_handlers={HTTPException: on_http, OutlayError: on_own, Exception: on_bug},
    )
