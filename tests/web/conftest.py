"""A server on a real socket, and somebody who asks it."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from meter_ingest.making import clock
from outlay.config import Config
from outlay.meter.ingest import Intake
from outlay.meter.together import Together
from outlay.store import Ledger
from outlay.web.app import app
from outlay.web.server import listener
from outlay.web.service import Service


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body decoded."""
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        """Return the error, which has its one shape and nothing beside it."""
        assert list(self.json) == ["error"]
        assert list(self.json["error"]) == ["code", "message", "hint"]
        assert all(self.json["error"].values())
        assert self.headers["content-type"] == "application/json"
        return self.json["error"]["code"]


@dataclass
class Site:
    """A running server."""

    ledger: Ledger
    port: int
    service: Service
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Send a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        named = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
        connection.request(method, path, body, named)
        found = connection.getresponse()
        answer = Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, found.read())
        connection.close()
        return answer

    def post(self, path: str, what: object, kind: str, **headers: str) -> Answer:
        """Send a body, as JSON unless it is bytes."""
        body = what if isinstance(what, bytes) else json.dumps(what).encode()
        return self.ask("POST", path, body, Content_Type=kind, **headers)


@contextmanager
def serving(home: Path, *, http: str, local: bool = True, waiting_max: int = 50_000, **options: Any) -> Iterator[Site]:
    """Serve a fresh ledger."""
    with Ledger.open(home, clock=clock) as ledger:
        together = Together(Intake(ledger, clock=clock), waiting_max=waiting_max)
        config = Config(None, "USD", None, None, home, {})
        service = Service(config, ledger, clock=clock, together=together, **{"settle_seconds": 0, **options})
        made = listener("127.0.0.1", 0)
        server = uvicorn.Server(
            uvicorn.Config(app(service, local=local), http=http, log_config=None, lifespan="on", ws="none")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [made]}, daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        try:
            yield Site(ledger, made.getsockname()[1], service)
        finally:
            server.should_exit = True
            thread.join(300)
            made.close()


@pytest.fixture(params=["h11", "httptools"])
def parser(request: pytest.FixtureRequest) -> str:
    """Return the parser of HTTP: what is installed by itself, and what the extra adds."""
    return str(request.param)


@pytest.fixture
def site(tmp_path: Path, parser: str) -> Iterator[Site]:
    """Serve this machine alone."""
    with serving(tmp_path / "home", http=parser) as running:
        yield running


@pytest.fixture
def serve(tmp_path: Path, parser: str) -> Callable[..., Any]:
    """Return what serves in another way."""
    return lambda **options: serving(tmp_path / "home", http=parser, **options)
