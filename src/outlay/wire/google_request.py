"""Let google-auth ask over our HTTP client: the same certificates and proxies, and no second HTTP library."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import parse_qs

import httpx2
from google.auth import exceptions, transport

from outlay.redaction import redactor
from outlay.wire.exchange import environment_trust
from outlay.wire.request import check_scheme, is_loopback

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
    """Sends what google-auth wants sent; use it with `with`. Raises: TransportError where no answer comes.

    `instead` gives the address to ask for one that google-auth takes for granted. Tokens that pass through on the way
    to the one that is wanted are hidden until the block ends.
    """

    def __init__(
        self,
        transport: httpx2.BaseTransport | None = None,
        *,
        instead: Mapping[str, str] | None = None,
        allow_http: bool = False,
    ) -> None:
        # It writes bodies and headers of requests, tokens and all, to its debug log.
        logging.getLogger("google").setLevel(logging.WARNING)
        self._transport = transport
        self._instead, self._allow_http = dict(instead or {}), allow_http
        self._passed: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for token in self._passed:
            redactor.forget(token)

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_more: Any,
    ) -> _Response:
        """Return the answer to one request. Raises: ConfigError for a secret that would go out unencrypted."""
        url, sent = self._instead.get(url, url), dict(headers or {})
        content = body.encode() if isinstance(body, str) else body
        tokens = _tokens(content, sent)
        if tokens:
            # What carries no secret may be plain: a machine's own metadata server speaks no TLS.
            check_scheme(url, allow_http=self._allow_http, what="an address that the Google credential names")
        self._hide(tokens)
        try:
            with self._client(url) as client:
                answer = client.request(method, url, content=content, headers=sent, timeout=timeout or _SECONDS)
        except httpx2.HTTPError as error:
            failure: Any = exceptions.TransportError
            raise failure(str(error)) from None
        self._hide(set(_GRANTED.findall(answer.text[:_BODY_BYTES_MAX])))
        return _Response(answer)

    def _client(self, url: str) -> httpx2.Client:
        verify: Any = True if self._transport or url.startswith("http:") else environment_trust()
        # A proxy would carry loopback's plain http, tokens and all, off this machine.
        return httpx2.Client(transport=self._transport, verify=verify, trust_env=not is_loopback(url))

    def _hide(self, tokens: set[str]) -> None:
        for token in tokens - self._passed:
            redactor.learn(token)
        self._passed |= tokens


_GRANTED = re.compile(r'"(?:access_?[tT]oken|id_token|refresh_token|token)"\s*:\s*"([^"]+)"')
_SENT = ("subject_token", "actor_token", "assertion", "refresh_token", "client_secret")


def _tokens(content: bytes | None, headers: Mapping[str, str]) -> set[str]:
    """Return the secrets of a request: its bearer token and those of its form."""
    found = {value.split(" ", 1)[-1] for name, value in headers.items() if name.lower() == "authorization"}
    form = parse_qs((content or b"").decode("utf-8", "replace"))
    return found | {value for name in _SENT for value in form.get(name, ())}
