"""The one shape of every error over HTTP: `{"error": {"code", "message", "hint"}}`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import NoReturn

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from outlay.errors import BugError, OutlayError, StoreError
from outlay.redaction import redactor

HEADERS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
"""What every answer bears."""
_PLAIN = {
    HTTPStatus.NOT_FOUND: ("not_found", "there is nothing at this path", "docs/metering-http.md lists the paths."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method_not_allowed",
        "this path does not take this method",
        "docs/metering-http.md says which method each path takes.",
    ),
}


class ApiError(HTTPException):
    """A request that is refused: `code` is stable, `hint` says what to do."""

    def __init__(
        self, status: int, code: str, message: str, hint: str, *, retry_after_seconds: int | None = None
    ) -> None:
        headers = None if retry_after_seconds is None else {"retry-after": str(retry_after_seconds)}
        super().__init__(status, message, headers)
        self.code, self.hint = code, hint


def refuse(status: int, code: str, message: str, hint: str) -> NoReturn:
    """Refuse the request. Raises: ApiError."""
    raise ApiError(status, code, message, hint)


def answer(
    content: object, status: int = 200, *, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> Response:
    """Return an answer in JSON, or bytes of another kind."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    return Response(body, status, {**HEADERS, **(headers or {})}, kind)


def error_answer(status: int, code: str, message: str, hint: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error in its one shape, secrets removed."""
    shown = {"code": code, "message": redactor.text(message), "hint": redactor.text(hint)}
    return answer({"error": shown}, status, headers=headers)


async def on_http(_request: Request, error: Exception) -> Response:
    """Answer what was refused, here or by the router."""
    assert isinstance(error, HTTPException)
    if isinstance(error, ApiError):
        return error_answer(error.status_code, error.code, error.detail, error.hint, error.headers)
    status = HTTPStatus(error.status_code)
    code, message, hint = _PLAIN.get(status, ("request_refused", status.phrase, "Correct the request."))
    return error_answer(status, code, message, hint, error.headers)


async def on_own(_request: Request, error: Exception) -> Response:
    """Answer an error of Outlay's own: the ledger's are worth trying again, the user's are not."""
    assert isinstance(error, OutlayError)
    if isinstance(error, StoreError):
        headers = {"retry-after": "5"}
        return error_answer(HTTPStatus.SERVICE_UNAVAILABLE, error.code, error.message, error.hint, headers)
    status = HTTPStatus.INTERNAL_SERVER_ERROR if isinstance(error, BugError) else HTTPStatus.BAD_REQUEST
    return error_answer(status, error.code, error.message, error.hint)


async def on_bug(_request: Request, _error: Exception) -> Response:
    """Answer what nobody foresaw, without a word of what it was: the server's log has it."""
    return error_answer(
        HTTPStatus.INTERNAL_SERVER_ERROR, BugError.code, "this is a bug in Outlay", "Please report it with its log."
    )
