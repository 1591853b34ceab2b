"""Send one request and bring back its whole answer, or the error that says why there is none.

Redirects are followed here and not by the HTTP library, because the credential may never reach another host.
"""

from __future__ import annotations

import asyncio
import http.cookiejar
import logging
import os
import ssl
import time
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx2

from outlay.errors import (
    ConfigError,
    PayloadError,
    ProviderError,
    RequestRefusedError,
    RetryLaterError,
    UnreachableError,
)
from outlay.providers.base import Stream
from outlay.redaction import redactor
from outlay.wire.events import Events, fits
from outlay.wire.refusals import is_html
from outlay.wire.request import EVENTS, is_loopback
from outlay.wire.retry import AgainError

REDIRECTS_MAX = 5
CONNECT_SECONDS = 15.0
SILENCE_SECONDS = 60.0
"""How long a vendor may send nothing at all while an answer is awaited."""
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_log = logging.getLogger("outlay.wire")


class Reply(NamedTuple):
    """A whole answer: its status, its headers, its decompressed body."""

    status: int
    headers: httpx2.Headers
    body: bytes


class SignedHeaders(httpx2.Headers):
    """Request headers with a credential among them, which no traceback that prints variables shows."""

    def __repr__(self) -> str:
        return "SignedHeaders(***)"


class Exchange:
    """Everything that is the same for all requests of one connection.

    `where` names the vendor in messages; `body_bytes_max` bounds the decompressed body.
    """

    def __init__(self, client: httpx2.AsyncClient, where: str, *, body_bytes_max: int) -> None:
        self._client = client
        self._where = where
        self._body_bytes_max = body_bytes_max
        self.sent = 0
        """How many requests went out, redirects and failed attempts counted."""

    async def send(
        self,
        url: str,
        headers: SignedHeaders,
        seconds: float,
        content: bytes | None = None,
        stream: Stream | None = None,
    ) -> Reply:
        """Return the answer to a GET request or, with content, to a POST request that only reads.

        Of a stream the answer is the event that is waited for; its connection is closed.

        Raises: AgainError when sending it again may help, another ProviderError when not.
        """
        failure: AgainError | ProviderError
        if stream is not None:
            seconds = min(seconds, stream.seconds)
        try:
            async with asyncio.timeout(seconds):
                return await self._follow(url, headers, content, stream)
        except TimeoutError:
            failure = (
                self._silent(seconds)
                if stream
                else AgainError(UnreachableError(f"{self._where} gave no whole answer within {seconds:.0f} seconds"))
            )
        except httpx2.InvalidURL:
            failure = UnreachableError(f"{self._where}: base_url is not an address that can be asked")
        except httpx2.HTTPError as error:
            failure = self._unreachable(error)
        # Raised outside the handler: the library's exception holds the request with its headers.
        raise failure

    async def _follow(self, url: str, headers: SignedHeaders, content: bytes | None, stream: Stream | None) -> Reply:
        method = "GET" if content is None else "POST"
        request = httpx2.Request(method, url, headers=headers, content=content)
        for _ in range(REDIRECTS_MAX + 1):
            self.sent += 1
            started = time.perf_counter()
            response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
            try:
                location = response.headers.get("location") if response.status_code in _REDIRECTS else None
                body = b"" if location else await self._content(response, stream)
            finally:
                await response.aclose()
            if _log.isEnabledFor(logging.DEBUG):
                target = redactor.text(request.url.raw_path.decode("ascii"))
                took = time.perf_counter() - started
                _log.debug("%s %s: %d, %d bytes, %.3f s", self._where, target, response.status_code, len(body), took)
            if not location:
                return Reply(response.status_code, response.headers, body)
            target_url = self._same_origin(request.url, location, response)
            request = httpx2.Request(method, target_url, headers=headers, content=content)
        raise RequestRefusedError(f"{self._where} redirected more than {REDIRECTS_MAX} times")

    async def _content(self, response: httpx2.Response, stream: Stream | None) -> bytes:
        if stream is None or response.status_code != HTTPStatus.OK:
            return await self._body(response)
        if response.headers.get("content-type", "").partition(";")[0].strip().lower() == EVENTS:
            return await self._event(response, stream)
        body = await self._body(response)
        if is_html(response.headers, body):
            return body
        raise PayloadError(f"{self._where} sent a document where a stream of events belongs", status=HTTPStatus.OK)

    async def _event(self, response: httpx2.Response, stream: Stream) -> bytes:
        """Return the data of the event that is waited for."""
        events, size, seen = Events(), 0, 0
        try:
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                for event in events.feed(chunk):
                    seen += fits(event, stream)
                    if seen == stream.events:
                        return event.data
                if size > stream.bytes_max:
                    raise PayloadError(
                        f"{self._where} streamed {stream.bytes_max / 2**20:g} MiB without the event that is waited for",
                        hint="Nothing was overwritten. If it stays, report it: the stream may have changed.",
                    )
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.DecodingError):
            pass
        raise AgainError(self.cut_off(response.status_code)) from None

    def _silent(self, seconds: float) -> RetryLaterError:
        return RetryLaterError(
            f"{self._where} streamed nothing that is complete within {seconds:g} seconds",
            hint="Nothing was overwritten; the next sync asks again. If it stays, look at the proxy in between:"
            " some hold streams back.",
        )

    async def _body(self, response: httpx2.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in response.aiter_bytes():
                size += len(chunk)
                if size > self._body_bytes_max:
                    raise PayloadError(
                        f"{self._where} sent a page larger than {self._body_bytes_max / 2**20:g} MiB",
                        hint="Ask for a shorter period; if the vendor's pages are that large, report it.",
                    )
                chunks.append(chunk)
        except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.DecodingError) as error:
            broken: Exception | None = error
        else:
            broken = None
        declared = response.headers.get("content-length", "")
        if broken is None and declared.isdecimal() and "content-encoding" not in response.headers:
            broken = ValueError("shorter than declared") if int(declared) != size else None
        if broken is not None:
            raise AgainError(self.cut_off(response.status_code)) from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def cut_off(self, status: int) -> PayloadError:
        """Return the error for an answer that ended too early."""
        return PayloadError(
            f"{self._where} sent an answer that is cut off (status {status})",
            hint="Nothing was overwritten; the next sync asks again. If it stays, look at the proxy in between.",
            status=status,
        )

    def _same_origin(self, url: httpx2.URL, location: str, response: httpx2.Response) -> httpx2.URL:
        try:
            target = url.join(location)
        except httpx2.InvalidURL:
            raise RequestRefusedError(f"{self._where} redirects to something that is no address") from None
        if _origin(target) == _origin(url):
            return target
        raise UnreachableError(
            f"{self._where} redirects to another address, {target.scheme}://{target.host}; the credential stays here",
            hint="If that address is right, set it as the connection's base_url.",
            status=response.status_code,
        )

    def _unreachable(self, error: httpx2.HTTPError) -> AgainError | ProviderError:
        certificate = _certificate_error(error)
        if certificate is not None:
            return UnreachableError(
                f"{self._where} shows a certificate that is not trusted: {certificate}",
                hint="If your network has its own certificate authority, name its file in SSL_CERT_FILE.",
            )
        reason = redactor.text(str(error)).strip() or type(error).__name__
        return AgainError(UnreachableError(f"{self._where} gave no answer: {reason}"))


def open_client(base_url: str, connections: int, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    """Return a pooled HTTP/2 client that trusts the system's certificates and uses the proxies of the environment.

    Raises: ConfigError when a proxy variable or a CA bundle of the environment cannot be used.
    """
    # These libraries write every header of a request, credential and all, to their debug logs.
    for name in ("hpack", "h2", "httpcore2", "httpx2"):
        logging.getLogger(name).setLevel(logging.WARNING)
    cookies = http.cookiejar.CookieJar(policy=http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    try:
        return httpx2.AsyncClient(
            transport=transport,
            verify=_trust(base_url),
            http2=True,
            # A proxy would carry loopback's plain http, credential and all, off this machine.
            trust_env=not is_loopback(base_url),
            cookies=cookies,
            timeout=httpx2.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        )
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"a proxy variable of the environment cannot be used: {redactor.text(str(error)).splitlines()[0]}",
            hint="Look at HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.",
        ) from None


def _trust(base_url: str) -> ssl.SSLContext:
    """Return what certificates are trusted; reading them takes a tenth of a second that plain http does not need."""
    if urlsplit(base_url).scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return environment_trust()


def environment_trust() -> ssl.SSLContext:
    """Return what certificates are trusted in this environment. Raises: ConfigError."""
    return tls_context(*(os.environ.get(name) for name in _CA_VARIABLES))


_CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


@lru_cache(maxsize=8)
def tls_context(cafile: str | None, capath: str | None, bundle: str | None) -> ssl.SSLContext:
    """Return what certificates are trusted: those the environment names, else the system's.

    Raises: ConfigError when the environment names a bundle that cannot be read.
    """
    for variable, value in zip(_CA_VARIABLES, (cafile, capath, bundle), strict=True):
        if not value:
            continue
        try:
            folder = Path(value).is_dir()
            return ssl.create_default_context(cafile=None if folder else value, capath=value if folder else None)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or type(error).__name__
            raise ConfigError(f"the CA bundle {value} that {variable} names cannot be used: {reason}") from None
    return httpx2.create_ssl_context(trust_env=False)


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    port = url.port
    if port is None:
        port = 443 if url.scheme == "https" else 80
    return url.scheme, url.host, port


def _certificate_error(error: BaseException | None) -> str | None:
    for _ in range(10):
        if error is None:
            return None
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None
