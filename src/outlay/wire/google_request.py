"""Let google-auth ask over our HTTP client: the same certificates and proxies, and no second HTTP library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import httpx2
from google.auth import exceptions, transport

from outlay.wire.exchange import tls_context

_SECONDS = 20.0
_BODY_BYTES_MAX = 1024 * 1024


class _Response(transport.Response):
    """An answer in the words of google-auth."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._answer = answer

    @property
    def status(self) -> int:
        return self._answer.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        return self._answer.headers

    @property
    def data(self) -> bytes:
        return self._answer.content[:_BODY_BYTES_MAX]


class GoogleRequest(transport.Request):
    """Sends what google-auth wants sent; use it with `with`. Raises: TransportError where no answer comes."""

    def __init__(self, transport: httpx2.BaseTransport | None = None) -> None:
        verify: Any = True if transport else tls_context(None, None, None)
        self._client = httpx2.Client(transport=transport, verify=verify, timeout=_SECONDS, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._client.close()

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_more: Any,
    ) -> _Response:
        """Return the answer to one request."""
        try:
            content = body.encode() if isinstance(body, str) else body
            answer = self._client.request(
                method, url, content=content, headers=dict(headers or {}), timeout=timeout or _SECONDS
            )
        except httpx2.HTTPError as error:
            failure: Any = exceptions.TransportError
            raise failure(str(error)) from None
        return _Response(answer)
