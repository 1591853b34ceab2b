"""What only real sockets show: redirects, proxies, certificates, HTTP/2 and broken connections."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from outlay.errors import ConfigError, PayloadError, UnreachableError
from outlay.providers.base import Header
from outlay.wire.client import Wire
from outlay.wire.exchange import tls_context
from wire.vendor import ENDPOINT, KEY, PERIOD, VENDOR, Time, amounts, collect, page, wire, with_

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
BUNDLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no proxy or certificate of the machine reach a test, nor a test's reach the next."""
    for name in PROXIES + BUNDLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    yield
    tls_context.cache_clear()


@pytest.fixture
def second() -> Iterator[HTTPServer]:
    """Return another server, on another port."""
    with HTTPServer() as server:
        yield server


def asked(server: HTTPServer) -> list[Request]:
    """Return what a server was asked, in order."""
    return [request for request, _ in server.log]


def serve_page(server: HTTPServer, path: str, *found: str) -> None:
    """Let a server answer a path with a page."""
    server.expect_request(path).respond_with_data(page(*found).content, content_type="application/json")


@asynccontextmanager
async def listening(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve raw connections on a free port of this machine for a while."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_pages_over_a_socket(httpserver: HTTPServer) -> None:
    """Key, path prefix and parameters arrive as the vendor expects them."""
    serve_page(httpserver, "/prefix/v1/costs", "1.10")
    answers = asyncio.run(collect(wire(None, Time(), base_url=httpserver.url_for("/prefix"))))
    assert amounts(answers) == ["1.10"]
    request = asked(httpserver)[0]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.args.to_dict() == {"limit": "7", "start_time": "1793491200", "end_time": "1794096000"}


def test_a_page_may_come_packed(httpserver: HTTPServer) -> None:
    """Packed pages are asked for, and what is kept of one is the text in it."""
    packed = gzip.compress(page("1.10").content)
    httpserver.expect_request("/v1/costs").respond_with_data(packed, headers={"Content-Encoding": "gzip"})
    answers = asyncio.run(collect(wire(None, Time(), base_url=httpserver.url_for(""))))
    assert amounts(answers) == ["1.10"]
    assert answers[0].payload.body == page("1.10").content
    assert asked(httpserver)[0].headers["accept-encoding"] == "gzip"


def test_429_then_a_page_over_a_socket(httpserver: HTTPServer) -> None:
    """The same connection goes on after a refusal."""
    httpserver.expect_ordered_request("/v1/costs").respond_with_data("{}", 429, {"Retry-After": "3"})
    httpserver.expect_ordered_request("/v1/costs").respond_with_data(page("1").content)
    time = Time()
    assert amounts(asyncio.run(collect(wire(None, time, base_url=httpserver.url_for(""))))) == ["1"]
    assert time.slept == [3.0]


@pytest.mark.parametrize("provider", [VENDOR, with_(auth=Header("x-api-key"))], ids=["bearer", "header"])
def test_another_host_never_sees_the_key(httpserver: HTTPServer, second: HTTPServer, provider: Any) -> None:
    """A redirect to another server is refused; that server hears nothing at all."""
    serve_page(second, "/v1/costs", "666")
    httpserver.expect_request("/v1/costs").respond_with_data("", 302, {"Location": second.url_for("/v1/costs")})
    with pytest.raises(UnreachableError, match="another address"):
        asyncio.run(collect(wire(None, Time(), provider, base_url=httpserver.url_for(""))))
    assert len(asked(httpserver)) == 1
    assert asked(second) == []


def test_a_redirect_on_the_same_server_is_followed(httpserver: HTTPServer) -> None:
    """A move within the server is followed with the key."""
    httpserver.expect_request("/v1/costs").respond_with_data("", 307, {"Location": "/v2/costs"})
    serve_page(httpserver, "/v2/costs", "2")
    assert amounts(asyncio.run(collect(wire(None, Time(), base_url=httpserver.url_for(""))))) == ["2"]
    assert asked(httpserver)[1].headers["authorization"] == f"Bearer {KEY}"


def test_the_proxy_of_the_environment_is_used(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor elsewhere is asked through the proxy that the environment names."""
    monkeypatch.setenv("HTTP_PROXY", httpserver.url_for(""))

    def answer(request: Request) -> Response:
        assert request.headers["host"] == "vendor.test"
        return Response(page("3").content)

    httpserver.expect_request("/v1/costs").respond_with_handler(answer)
    answers = asyncio.run(collect(wire(None, Time(), base_url="http://vendor.test", allow_http=True)))
    assert amounts(answers) == ["3"]


def test_a_proxy_is_asked_to_tunnel_https(monkeypatch: pytest.MonkeyPatch) -> None:
    """An https vendor is reached by a tunnel, so that the proxy sees neither path nor key."""
    heard: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def ask() -> None:
        async with listening(proxy) as port:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
            with pytest.raises(UnreachableError):
                await collect(wire(None, Time(), attempts_max=1))

    asyncio.run(ask())
    assert heard[0].startswith(b"CONNECT api.vendor.test:443 ")
    assert KEY.encode() not in heard[0]


def test_loopback_never_goes_through_a_proxy(
    httpserver: HTTPServer, second: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http to this machine stays on it, whatever proxy is set."""
    monkeypatch.setenv("HTTP_PROXY", second.url_for(""))
    monkeypatch.setenv("ALL_PROXY", second.url_for(""))
    serve_page(httpserver, "/v1/costs", "4")
    assert amounts(asyncio.run(collect(wire(None, Time(), base_url=httpserver.url_for(""))))) == ["4"]
    assert asked(second) == []


@pytest.mark.parametrize("value", ["nonsense://proxy.test", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_a_setting_to_change(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unusable proxy variable is said before anything is sent."""
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(ConfigError, match="proxy variable"):
        wire(None, Time())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return a certificate authority that no system trusts."""
    return trustme.CA()


def tls(authority: trustme.CA, *protocols: str) -> ssl.SSLContext:
    """Return the server's side of TLS for this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(list(protocols))
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def over_http1(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request by HTTP/1.1."""
    try:
        await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return
    body = page("5").content
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()


def ask_tls(serve: Serve, context: ssl.SSLContext, count: int = 1, **settings: Any) -> tuple[list[str], Wire]:
    """Return the amounts that several asks at once get from a TLS server."""

    async def ask() -> tuple[list[str], Wire]:
        async with listening(serve, context) as port:
            over = wire(None, Time(), base_url=f"https://localhost:{port}", **settings)
            async with over:

                async def one() -> list[str]:
                    return amounts([answer async for answer in over.ask("costs", ENDPOINT, PERIOD)])

                return list(chain(*await asyncio.gather(*(one() for _ in range(count))))), over

    return asyncio.run(ask())


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_authority_of_ones_own(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """A company's own authority is trusted once the environment names its file."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv(variable, str(tmp_path / "ca.pem"))
    assert ask_tls(over_http1, tls(authority, "http/1.1"))[0] == ["5"]


def test_a_folder_of_certificates_replaces_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is taken as a place of certificates: an empty one trusts nobody, whichever variable names it."""
    assert tls_context(None, str(tmp_path), None).get_ca_certs() == []
    assert tls_context(None, None, str(tmp_path)).get_ca_certs() == []
    assert tls_context(str(tmp_path), None, None).verify_mode is ssl.CERT_REQUIRED
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    asyncio.run(wire(None, Time()).aclose())


def test_an_unknown_certificate_is_refused_at_once(authority: trustme.CA) -> None:
    """A certificate nobody vouches for is not asked again, and the error says what to set."""
    with pytest.raises(UnreachableError, match="certificate that is not trusted") as caught:
        ask_tls(over_http1, tls(authority, "http/1.1"))
    assert "SSL_CERT_FILE" in caught.value.hint


def test_a_bundle_that_is_not_there_is_a_setting_to_change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A CA bundle that cannot be read names its variable."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        wire(None, Time())
    (tmp_path / "empty.pem").write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "empty.pem"))
    with pytest.raises(ConfigError, match="SSL_CERT_FILE"):
        wire(None, Time())


def test_http2_shares_one_connection(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the vendor speaks HTTP/2, several asks at once share one connection, and its logs have no key."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    connections: list[int] = []

    async def over_http2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(0)
        speaking = H2Connection(H2Configuration(client_side=False))
        speaking.initiate_connection()
        writer.write(speaking.data_to_send())
        while received := await reader.read(65_536):
            for event in speaking.receive_data(received):
                if isinstance(event, RequestReceived):
                    assert (b"authorization", f"Bearer {KEY}".encode()) in event.headers
                    speaking.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/json")])
                    speaking.send_data(event.stream_id, page("6").content, end_stream=True)
            writer.write(speaking.data_to_send())
            await writer.drain()
        writer.close()

    with caplog.at_level(logging.DEBUG):
        found, over = ask_tls(over_http2, tls(authority, "h2", "http/1.1"), 8)
    assert found == ["6"] * 8
    assert over.requests == 8
    assert len(connections) == 1
    # The compression library of HTTP/2 runs on the server's side here too, so its level proves our side.
    assert KEY not in caplog.text


async def half(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, framing: bytes) -> None:
    """Begin an answer and hang up."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + framing + b'{"data": [')
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 400\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\na\r\n", b"\r\n"],
    ids=["length", "chunked", "neither"],
)
def test_a_vendor_that_hangs_up_is_never_half_believed(framing: bytes) -> None:
    """An answer that ends too early is tried again and then unreadable, however its length is told."""

    async def ask() -> tuple[Wire, PayloadError]:
        async with listening(lambda reader, writer: half(reader, writer, framing=framing)) as port:
            over = wire(None, Time(), base_url=f"http://127.0.0.1:{port}", attempts_max=3)
            with pytest.raises(PayloadError) as caught:
                await collect(over)
            return over, caught.value

    over, _ = asyncio.run(ask())
    assert over.requests == 3


def test_nobody_listening_is_unreachable() -> None:
    """A port without a server is said in words that have no key and no full address."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and not listening: the port is nobody else's either
        port = bound.getsockname()[1]
        with pytest.raises(UnreachableError) as caught:
            asyncio.run(collect(wire(None, Time(), base_url=f"http://127.0.0.1:{port}")))
    assert "Vendor (mine) gave no answer" in caught.value.message


def test_a_body_is_never_decoded_as_another_status(httpserver: HTTPServer) -> None:
    """A page that comes with a status of refusal is a refusal."""
    httpserver.expect_request("/v1/costs").respond_with_data(page("1").content, 206)
    with pytest.raises(PayloadError, match="status 206"):
        asyncio.run(collect(wire(None, Time(), base_url=httpserver.url_for(""))))
