from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from meter_ingest.making import NOW, clock
from outlay.config import Config
from outlay.errors import ConfigError
from outlay.meter import cloudevents
from outlay.store import Ledger, tokens
from outlay.store.tokens import Scope
from outlay.web import guard
from outlay.web.guard import is_loopback
from outlay.web.server import serve as run
from web.conftest import Site
from web.test_events import EVENTS, ONE, taken, told


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8484", "127.0.0.1:1", "[::1]:8484", "127.9.9.9"])
def test_this_machine_answers_to_its_own_names(site: Site, host: str) -> None:
    """On loopback nobody needs a token, by whatever name of this machine they come."""
    assert taken(site.post(EVENTS, told(), ONE, Host=host)) == (1, 0)


@pytest.mark.parametrize(
    "host", ["attacker.example", "attacker.example:8484", "127.0.0.1.attacker.example", "203.0.113.7", ""]
)
def test_a_rebound_name_is_refused(site: Site, host: str) -> None:
    """A page whose host name was made to point here gets nothing, not even the health."""
    answer = site.ask("GET", "/healthz", Host=host)
    assert (answer.status, answer.error) == (421, "host_refused")


def test_pages_of_other_sites_cannot_write(site: Site) -> None:
    """A request that a browser sends for another site's page is refused; one of our own page is not."""
    answer = site.post(EVENTS, told(), ONE, Origin="https://attacker.example")
    assert (answer.status, answer.error) == (403, "origin_refused")
    assert site.post(EVENTS, told(), ONE, Origin="null").error == "origin_refused"
    # What a page may send without asking first is no media type that is taken.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert site.post(EVENTS, told(), kind).status == 415
    host = f"127.0.0.1:{site.port}"
    assert taken(site.post(EVENTS, told(), ONE, Host=host, Origin=f"http://{host}")) == (1, 0)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_what_a_proxy_passes_on_needs_a_token(site: Site, header: str) -> None:
    """A proxy on this machine brings requests from anywhere."""
    answer = site.post(EVENTS, told(), ONE, **{header: "203.0.113.7", "Host": "meter.example"})
    assert (answer.status, answer.error) == (401, "token_missing")
    _, secret = tokens.create(site.ledger.state, "proxy", Scope.INGEST, NOW)
    named = {header: "203.0.113.7", "Host": "meter.example", "Authorization": f"Bearer {secret}"}
    assert taken(site.post(EVENTS, told(), ONE, **named)) == (1, 0)


def test_tokens_open_what_their_scope_says(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, with a wrong, a revoked or a narrower one nothing is taken; with the right one it is."""
    monkeypatch.setattr(guard, "_REMEMBER_SECONDS", -1)
    with serve(local=False) as site:
        state = site.ledger.state
        made = {scope: tokens.create(state, scope.value, scope, NOW) for scope in Scope}

        def post(secret: str | None, kind: str = "Bearer") -> Any:
            headers = {} if secret is None else {"Authorization": f"{kind} {secret}"}
            return site.post(EVENTS, told(), ONE, **headers)

        for answer, status, code in (
            (post(None), 401, "token_missing"),
            (post("outlay_wrong"), 401, "token_refused"),
            (post(made[Scope.INGEST][1][:-1]), 401, "token_refused"),
            (post(made[Scope.INGEST][1], "Basic"), 401, "token_refused"),
            (post(made[Scope.READ][1]), 403, "scope_missing"),
        ):
            assert (answer.status, answer.error) == (status, code)
        assert post(None).headers["www-authenticate"] == "Bearer"
        assert taken(post(made[Scope.INGEST][1])) == (1, 0)
        assert taken(post(made[Scope.ADMIN][1], "bearer")) == (0, 1)
        tokens.revoke(state, made[Scope.INGEST][0].id, NOW)
        assert post(made[Scope.INGEST][1]).error == "token_refused"
        assert site.ask("GET", "/healthz").status == 200
        assert (site.ask("GET", "/nothing").status, site.ask("GET", "/nothing").error) == (401, "token_missing")


def test_a_token_is_kept_as_a_digest(site: Site) -> None:
    """The secret has 256 random bits, never repeats, and stands nowhere in the database or in a listing."""
    made = [tokens.create(site.ledger.state, "x", Scope.READ, NOW) for _ in range(3)]
    secrets = {secret for _, secret in made}
    assert len(secrets) == 3
    assert all(len(secret) >= len(tokens.PREFIX) + 43 for secret in secrets)
    assert [token.id for token in tokens.listed(site.ledger.state)] == sorted(token.id for token, _ in made)
    for path in site.ledger.home.glob("state.sqlite*"):
        assert not any(secret.encode() in path.read_bytes() for secret in secrets)
    with pytest.raises(ConfigError, match="no token"):
        tokens.revoke(site.ledger.state, "none", NOW)


def test_others_are_not_served_without_a_token(tmp_path: Path) -> None:
    """An address that others reach, or asking for tokens, is refused while there is none that is valid."""
    home = tmp_path / "home"
    config = Config(None, "USD", None, None, home, {})
    with Ledger.open(home, clock=clock) as ledger:
        for options in ({"host": "0.0.0.0"}, {"require_token": True}):  # noqa: S104 - it is refused
            with pytest.raises(ConfigError, match="token"):
                run(config, ledger, **{"port": 0, **options})  # type: ignore[arg-type]
        token, _ = tokens.create(ledger.state, "x", Scope.READ, NOW)
        tokens.revoke(ledger.state, token.id, NOW)
        assert not tokens.any_valid(ledger.state)
        with pytest.raises(ConfigError, match="cannot be listened on"):
            run(config, ledger, "203.0.113.7")


def test_what_is_this_machine() -> None:
    """Only addresses of loopback are; a name that only looks like one is not."""
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "localhost.example", "", "127.0.0.1.example")))  # noqa: S104


def test_the_state_is_private(site: Site) -> None:
    """What senders tell is readable by its owner alone."""
    taken(site.post(EVENTS, told(), ONE))
    files = list(site.ledger.home.glob("state.sqlite*"))
    assert files
    assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    with closing(sqlite3.connect(site.ledger.home / "state.sqlite")) as connection:
        (event,) = connection.execute("SELECT event FROM outlay_meter_seen").fetchone()
    assert len(event) == 16
    assert cloudevents.METER.encode() not in event
