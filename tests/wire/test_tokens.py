"""Tokens are minted from a Google credential over our own client, kept for their hour, and never shown."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest
from msgspec.structs import replace

from outlay.credentials import Secret, resolve
from outlay.errors import AccessDeniedError, ConfigError, CredentialMissingError
from outlay.providers.base import ServiceAccount
from outlay.redaction import redactor
from outlay.simulator.google_key import key_pair, service_account_key
from wire.vendor import PERIOD, VENDOR, Time, collect, endpoint_with, page, refusal

PROVIDER = replace(VENDOR, auth=ServiceAccount("https://oauth2.vendor.test/token"))
COSTS = endpoint_with(scopes=("https://vendor.test/auth/costs",))
LIMITS = endpoint_with(name="limits", path="/v1/limits", scopes=("https://vendor.test/auth/limits",))
USER = {"type": "authorized_user", "client_id": "client-1", "client_secret": "fake-client-" + "s",
        "refresh_token": "fake-refresh-" + "r"}  # fmt: skip


def key(token_uri: str = "https://oauth2.vendor.test/token") -> str:  # noqa: S107 - an address
    """Return a fake service account's key file."""
    return json.dumps({**json.loads(service_account_key("https://sim.test/google")), "token_uri": token_uri})


class Google(httpx2.MockTransport):
    """Gives tokens and accepts the latest alone."""

    def __init__(self, *, seconds: int = 3600, refuse: tuple[httpx2.Response, ...] = ()) -> None:
        super().__init__(self.answer)
        self.seconds = seconds
        self.refuse = list(refuse)
        self.forms: list[dict[str, list[str]]] = []
        self.asked: list[httpx2.Request] = []
        self.minted: list[httpx2.Request] = []
        self.revoked: set[str] = set()

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        """Answer the token address and the data's."""
        if request.url.path.endswith("/token"):
            self.minted.append(request)
            self.forms.append(parse_qs(request.content.decode()))
            if self.refuse:
                return self.refuse.pop(0)
            return refusal(200, json.dumps({"access_token": f"tok-fake-{len(self.forms)}", "expires_in": self.seconds}))
        self.asked.append(request)
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return refusal(401, '{"error": {"status": "UNAUTHENTICATED"}}') if token in self.revoked else page("1")


def over(google: Google, credential: str, time: Time | None = None, **settings: Any) -> Any:
    """Return a wire with a credential."""
    from outlay.wire.client import Wire

    time = time or Time()
    settings = {"base_url": None} | settings
    return Wire(PROVIDER, "mine", Secret(credential), clock=time.clock, transport=google, random=lambda: 1.0,
                sleep=time.sleep, monotonic=time.monotonic, **settings)  # fmt: skip


def claims(form: dict[str, list[str]]) -> dict[str, Any]:
    """Return what a signed assertion claims, once its signature is right."""
    head, content, signature = form["assertion"][0].split(".")
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    assert key_pair().signed(f"{head}.{content}".encode(), raw)
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(content + "=" * (-len(content) % 4)))
    return found


def test_a_key_is_exchanged_for_a_token_of_the_endpoints_scopes() -> None:
    """The assertion is signed, names the scope of the endpoint alone, and its token signs the request."""
    google = Google()
    asyncio.run(collect(over(google, key()), COSTS))
    [form] = google.forms
    said = claims(form)
    assert said["scope"] == COSTS.scopes[0]
    assert said["aud"] == "https://oauth2.vendor.test/token"
    assert 0 < said["exp"] - said["iat"] <= 3600
    assert google.asked[0].headers["authorization"] == "Bearer tok-fake-1"


def test_a_token_is_kept_until_shortly_before_it_ends() -> None:
    """Two asks within the hour take one token; after it another is minted, and other scopes have their own."""

    async def go() -> Google:
        google, time = Google(seconds=600), Time()
        async with over(google, key(), time) as made:
            async for _ in made.ask("costs", COSTS, PERIOD):
                pass
            async for _ in made.ask("costs", COSTS, PERIOD):
                pass
            assert len(google.forms) == 1
            async for _ in made.ask("limits", LIMITS, PERIOD):
                pass
            assert len(google.forms) == 2
            time.seconds += 590
            async for _ in made.ask("costs", COSTS, PERIOD):
                pass
        return google

    assert [claims(form)["scope"] for form in asyncio.run(go()).forms] == [
        COSTS.scopes[0], LIMITS.scopes[0], COSTS.scopes[0],
    ]  # fmt: skip


def test_many_asks_at_once_mint_one_token() -> None:
    """Requests side by side wait for the one that is on its way to the token address."""

    async def go() -> Google:
        google = Google()
        async with over(google, key()) as made:

            async def one() -> None:
                async for _ in made.ask("costs", COSTS, PERIOD):
                    pass

            await asyncio.gather(*(one() for _ in range(6)))
        return google

    google = asyncio.run(go())
    assert (len(google.forms), len(google.asked)) == (1, 6)


def test_a_refused_token_is_minted_again_once() -> None:
    """A token revoked before its time costs one more request; a fresh one that is refused too is believed."""
    google = Google()
    google.revoked = {"tok-fake-1"}
    answers = asyncio.run(collect(over(google, key()), COSTS))
    assert len(answers) == 1
    assert len(google.forms) == 2
    google = Google()
    google.revoked = {"tok-fake-1", "tok-fake-2"}
    with pytest.raises(AccessDeniedError):
        asyncio.run(collect(over(google, key()), COSTS))
    assert (len(google.forms), len(google.asked)) == (2, 2)


def test_a_users_own_credential_is_refreshed_at_the_connections_address() -> None:
    """A credential that names no token address is asked for below `base_url`, and pays with its own project."""
    google = Google()
    text = json.dumps({**USER, "quota_project_id": "acme"})
    asyncio.run(collect(over(google, text, base_url="https://proxy.test/google"), COSTS))
    assert str(google.minted[0].url) == "https://proxy.test/google/token"
    assert google.forms[0]["grant_type"] == ["refresh_token"]
    assert google.asked[0].headers["x-goog-user-project"] == "acme"


def test_a_path_to_a_key_file_is_read(tmp_path: Path) -> None:
    """The value of a credential may be the file's text or the path to it."""
    file = tmp_path / "key.json"
    file.write_text(key())
    google = Google()
    asyncio.run(collect(over(google, str(file)), COSTS))
    assert len(google.forms) == 1
    with pytest.raises(CredentialMissingError, match="there is no file"):
        over(google, str(tmp_path / "other.json"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{broken", "is no Google credential"),
        (json.dumps({"type": "service_account", "client_email": "x@y.test"}), "has no `private_key`"),
        (json.dumps({**USER, "refresh_token": ""}), "has no `refresh_token`"),
        ("no key of any kind", "neither a Google key file"),
    ],
)
def test_what_is_no_credential_is_told_before_anything_is_sent(text: str, says: str) -> None:
    """A broken or incomplete credential is the user's to correct, and is never shown."""
    with pytest.raises(CredentialMissingError, match=says) as caught:
        over(Google(), text)
    assert text not in str(caught.value)


def test_a_key_that_cannot_be_read_is_told() -> None:
    """A private key that is none is named, not shown."""
    text = json.dumps({"type": "service_account", "client_email": "x@y.test", "private_key": "not-a-pem-at-all"})
    with pytest.raises(CredentialMissingError, match="private key"):
        asyncio.run(collect(over(Google(), text), COSTS))


def test_a_refusal_of_the_token_address_stops_the_connection() -> None:
    """`invalid_grant` is a wrong key or a wrong clock; a busy token address is asked again."""
    no = refusal(400, '{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}')
    google = Google(refuse=(no,))
    with pytest.raises(AccessDeniedError, match="Invalid JWT Signature") as caught:
        asyncio.run(collect(over(google, key()), COSTS))
    assert "clock" in caught.value.hint
    assert not google.asked
    google = Google(refuse=(refusal(503, "{}"),))
    assert len(asyncio.run(collect(over(google, key()), COSTS))) == 1


def test_a_token_address_over_plain_http_is_refused() -> None:
    """A key file may not lead the assertion over the network unencrypted."""
    with pytest.raises(ConfigError, match="http"):
        over(Google(), key("http://tokens.example/token"))


def test_the_redactor_knows_keys_and_tokens() -> None:
    """What was minted and what it was minted from are hidden wherever they turn up."""

    async def go() -> None:
        async with over(Google(), json.dumps(USER)) as made:
            async for _ in made.ask("costs", COSTS, PERIOD):
                for hidden in ("tok-fake-1", USER["refresh_token"], USER["client_secret"]):
                    assert hidden not in redactor.text(f"it was {hidden} there")

    asyncio.run(go())
    # The token is let go of with the connection that held it; what it was made from never is.
    assert "tok-fake-1" in redactor.text("it was tok-fake-1 there")
    assert USER["refresh_token"] not in redactor.text(USER["refresh_token"])


def test_adc_reads_what_googles_own_tools_left(tmp_path: Path) -> None:
    """`adc:` is the file the environment names, else the user's own, else the machine's identity."""
    named, home = tmp_path / "named.json", tmp_path / ".config" / "gcloud"
    named.write_text(json.dumps(USER))
    named.chmod(0o600)
    home.mkdir(parents=True)
    (home / "application_default_credentials.json").write_text(json.dumps({**USER, "client_id": "of-the-user"}))
    found = resolve("adc:", {"GOOGLE_APPLICATION_CREDENTIALS": str(named), "HOME": str(tmp_path)})
    assert json.loads(found.reveal())["client_id"] == "client-1"
    assert json.loads(resolve("adc:", {"HOME": str(tmp_path)}).reveal())["client_id"] == "of-the-user"
    assert resolve("adc:", {"HOME": str(tmp_path / "none")}).reveal() == "adc:metadata"
    with pytest.raises(ConfigError, match="stands alone"):
        resolve("adc:something", {})


def test_google_auth_asks_over_our_client() -> None:
    """What google-auth sends goes through the one HTTP library, and no answer is its kind of error."""
    from google.auth import exceptions

    from outlay.wire.google_request import GoogleRequest

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "gone.test":
            raise httpx2.ConnectError("refused")
        return httpx2.Response(200, headers={"x-flavor": "plain"}, content=request.content + b"!")

    with GoogleRequest(httpx2.MockTransport(answer)) as asking:
        reply = asking("https://there.test/", method="POST", body="text")
        assert (reply.status, reply.data, reply.headers["x-flavor"]) == (200, b"text!", "plain")
        with pytest.raises(exceptions.TransportError):
            asking("https://gone.test/")
