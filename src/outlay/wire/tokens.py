"""Mint bearer tokens from a Google credential: a service account's key, a user's own, or what else google-auth knows.

Keys are exchanged over the connection's own client, so that proxies, certificates and tests are the same for tokens as
for everything else. What google-auth alone can do (workload identity, the metadata server) it does in a thread.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from outlay.clock import Clock
from outlay.credentials import ADC_NONE, Secret
from outlay.errors import AccessDeniedError, ConfigError, CredentialMissingError, RetryLaterError
from outlay.redaction import redactor
from outlay.wire import refusals, request
from outlay.wire.exchange import Reply, SignedHeaders
from outlay.wire.retry import AgainError

Send = Callable[[str, SignedHeaders, bytes], Awaitable[Reply]]
"""Posts a form to a token address."""
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_SECONDS = 3600
_SPARE = timedelta(minutes=2)
_OK, _PATIENCE = 200, (408, 425, 429)
_FILE_BYTES_MAX = 64 * 1024
_REASON_CHARACTERS_MAX = 400
_USERS_TOKENS = "https://oauth2.googleapis.com/token"
_BORROWING = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
_AWS = "urn:ietf:params:aws:token-type:aws4_request"
_INSTALL = 'Install it with: pip install "outlay[google]"'


class _Credential(msgspec.Struct):
    """A credential's JSON: a key file, or what `gcloud auth application-default login` leaves behind."""

    type: str
    client_email: str = ""
    private_key: str = ""
    private_key_id: str = ""
    token_uri: str = ""
    client_id: str = ""
    client_secret: str = ""
    refresh_token: str = ""
    quota_project_id: str = ""
    service_account_impersonation_url: str = ""
    source_credentials: dict[str, object] = msgspec.field(default_factory=dict)


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: int = _TOKEN_SECONDS


class Tokens:
    """The tokens of one connection, one for each set of scopes, each kept until shortly before it ends."""

    def __init__(self, secret: Secret, token_url: str, clock: Clock, *, allow_http: bool = False) -> None:
        self._text = text_of(secret)
        self._clock = clock
        self._allow_http = allow_http
        self._kept: dict[tuple[str, ...], tuple[str, datetime]] = {}
        self._locks: dict[tuple[str, ...], asyncio.Lock] = {}
        self._known = _parsed(self._text)
        self._token_url = (self._known.token_uri if self._known else "") or token_url
        request.check_scheme(self._token_url, allow_http=allow_http, what="the token address")

    async def headers(self, scopes: tuple[str, ...], send: Send) -> dict[str, str]:
        """Return the headers that carry a token for some scopes.

        Raises: AccessDeniedError, ConfigError; AgainError when trying once more may help.
        """
        if self._known is None and self._text != ADC_NONE:
            return {"authorization": f"Bearer {self._text}"}
        async with self._locks.setdefault(scopes, asyncio.Lock()):
            kept = self._kept.get(scopes)
            if kept is None or kept[1] - _SPARE <= self._clock():
                self._drop(scopes)
                kept = self._kept[scopes] = await self._minted(scopes, send)
        headers = {"authorization": f"Bearer {kept[0]}"}
        if self._known is not None and self._known.quota_project_id:
            headers["x-goog-user-project"] = self._known.quota_project_id
        return headers

    def forget(self, headers: Mapping[str, str], scopes: tuple[str, ...]) -> bool:
        """Let go of a token that the vendor refused, and tell whether another can be minted."""
        kept = self._kept.get(scopes)
        if kept is not None and headers.get("authorization") == f"Bearer {kept[0]}":
            self._drop(scopes)
        return self._known is not None or self._text == ADC_NONE

    def close(self) -> None:
        """Let go of every token."""
        for scopes in list(self._kept):
            self._drop(scopes)

    def _drop(self, scopes: tuple[str, ...]) -> None:
        kept = self._kept.pop(scopes, None)
        if kept is not None:
            redactor.forget(kept[0])

    async def _minted(self, scopes: tuple[str, ...], send: Send) -> tuple[str, datetime]:
        known, now = self._known, self._clock()
        if known is not None and known.type == "service_account":
            form = {"grant_type": _GRANT, "assertion": _assertion(known, self._token_url, scopes, now)}
        elif known is not None and known.type == "authorized_user":
            form = {"grant_type": "refresh_token", "refresh_token": known.refresh_token,
                    "client_id": known.client_id, "client_secret": known.client_secret}  # fmt: skip
        else:
            return await asyncio.to_thread(self._foreign, scopes)
        headers = SignedHeaders({
            "content-type": "application/x-www-form-urlencoded", "accept": "application/json",
            "user-agent": request.user_agent(),
        })  # fmt: skip
        reply = await send(self._token_url, headers, urlencode(form).encode())
        granted = _granted(reply)
        redactor.learn(granted.access_token)
        return granted.access_token, now + timedelta(seconds=granted.expires_in)

    def _foreign(self, scopes: tuple[str, ...]) -> tuple[str, datetime]:
        """Return a token that google-auth gets: for workload identity, by impersonation, or of the machine itself."""
        try:
            from google.auth import exceptions
        except ImportError:
            raise ConfigError("this Google credential needs the package google-auth", hint=_INSTALL) from None
        from outlay.wire.google_request import GoogleRequest

        instead = {_USERS_TOKENS: self._token_url}
        borrowed = self._known.service_account_impersonation_url if self._known else ""
        if borrowed:
            # Of an impersonation google-auth reads the account alone, and asks Google's own address.
            instead[_BORROWING + borrowed.rpartition("/")[2]] = borrowed
        with GoogleRequest(instead=instead, allow_http=self._allow_http) as asking:
            try:
                credentials = _loaded(self._text, scopes)
                credentials.refresh(asking)
            except (exceptions.GoogleAuthError, ValueError, KeyError) as error:
                raise AccessDeniedError(
                    f"Google gives no token: {_reason(error)}",
                    hint="Run `gcloud auth application-default login`, or name a service account's key.",
                ) from None
            redactor.learn(credentials.token)
        expiry = credentials.expiry
        return credentials.token, expiry.replace(tzinfo=UTC) if expiry else datetime.now(UTC) + timedelta(minutes=5)


def text_of(secret: Secret) -> str:
    """Return a credential's JSON text, reading the file where it is a path to one. Raises: CredentialMissingError."""
    text = secret.reveal().strip()
    if text.startswith(("{", "ya29.")) or text == ADC_NONE:
        return text
    path = Path(text).expanduser()
    try:
        if len(text) < 4096 and path.is_file():  # noqa: PLR2004 - no path is longer
            content = path.read_bytes()[:_FILE_BYTES_MAX]
            return content.decode().strip()
    except (OSError, ValueError):
        raise CredentialMissingError("the key file that the credential names cannot be read") from None
    if "/" in text or "\\" in text or text.endswith(".json"):
        raise CredentialMissingError(
            "the credential is a path to a key file, and there is no file", hint="Name the file, or use `adc:`."
        )
    return text


def _parsed(text: str) -> _Credential | None:
    """Return a JSON credential, None for a bare token; its secret parts are hidden from now on everywhere."""
    if not text.startswith("{"):
        if text != ADC_NONE and any(not "!" <= character <= "~" for character in text):
            raise CredentialMissingError("the credential is neither a Google key file's JSON nor a path to one")
        return None
    try:
        known = msgspec.json.decode(text, type=_Credential)
    except msgspec.DecodeError:
        raise CredentialMissingError(
            "the credential begins like JSON and is no Google credential",
            hint="Use the whole key file as it was downloaded, `{` and `}` included.",
        ) from None
    within = (known.source_credentials.get(name) for name in ("private_key", "client_secret", "refresh_token"))
    for hidden in (known.private_key, known.client_secret, known.refresh_token, *within):
        redactor.learn(hidden if isinstance(hidden, str) else "")
    lacks = {"service_account": ("client_email", "private_key"), "authorized_user": ("client_id", "refresh_token")}
    for name in lacks.get(known.type, ()):
        if not getattr(known, name):
            raise CredentialMissingError(f"the Google credential of type {known.type} has no `{name}`")
    return known


def _assertion(known: _Credential, audience: str, scopes: tuple[str, ...], now: datetime) -> str:
    """Return the signed claim by which a service account asks for a token of an hour."""
    try:
        from google.auth import crypt as untyped
    except ImportError:
        raise ConfigError("a service account's key needs the package google-auth", hint=_INSTALL) from None
    crypt: Any = untyped
    issued = int(now.timestamp())
    claims = {"iss": known.client_email, "scope": " ".join(scopes), "aud": audience,
              "iat": issued, "exp": issued + _TOKEN_SECONDS}  # fmt: skip
    head = {"alg": "RS256", "typ": "JWT"} | ({"kid": known.private_key_id} if known.private_key_id else {})
    content = b".".join(_part(msgspec.json.encode(part)) for part in (head, claims))
    try:
        signature: bytes = crypt.RSASigner.from_string(known.private_key).sign(content)
    except ValueError:
        raise CredentialMissingError(
            "the private key in the Google key file cannot be read", hint="Download a new key; line breaks matter."
        ) from None
    return (content + b"." + _part(signature)).decode()


def _part(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _granted(reply: Reply) -> _Granted:
    """Return what the token address gave. Raises: AgainError, AccessDeniedError."""
    said = refusals.Said(reply.status, reply.headers, reply.body)
    if reply.status == _OK and not refusals.is_html(reply.headers, reply.body):
        try:
            return msgspec.json.decode(reply.body, type=_Granted)
        except msgspec.DecodeError:
            raise AccessDeniedError("Google's token address answered with no token", status=_OK) from None
    words = refusals.vendor_message(said) or "no reason given"
    if reply.status in _PATIENCE or reply.status >= 500:  # noqa: PLR2004 - the server's own trouble
        raise AgainError(RetryLaterError(f"Google gives no token now: status {reply.status}, “{words}”"))
    raise AccessDeniedError(
        f"Google gives no token for the credential: status {reply.status}, “{words}”",
        hint="The key may be deleted or its account disabled; a clock minutes off makes every key look wrong.",
        status=reply.status,
    )


def _loaded(text: str, scopes: tuple[str, ...]) -> Any:
    """Return google-auth's own credentials of the kind that the text says. Raises: CredentialMissingError."""
    names, info = list(scopes), {} if text == ADC_NONE else msgspec.json.decode(text)
    source, kind = info.get("credential_source") or {}, info.get("type")
    if text == ADC_NONE:
        kind = "compute_engine"
    elif kind == "external_account":
        aws = info.get("subject_token_type") == _AWS
        kind = "aws" if aws else "pluggable" if "executable" in source else "identity_pool"
    elif kind == "impersonated_service_account":
        kind = "impersonated_credentials"
    elif kind != "external_account_authorized_user":
        raise CredentialMissingError(
            f"the Google credential is of the type {str(kind)[:60]!r}, which is not known",
            hint="Use a service account's key, workload identity or impersonation, or log in with `gcloud auth`.",
        )
    found: Any = import_module(f"google.auth.{kind}").Credentials
    if text == ADC_NONE:
        return found(scopes=names)
    if kind == "impersonated_credentials":
        return found.from_impersonated_service_account_info(info, scopes=names)
    # A user of a workforce pool chose the scopes when logging in.
    return found.from_info(info, scopes=names) if source else found.from_info(info)


def _reason(error: Exception) -> str:
    """Return a line of what google-auth says; it quotes whole answers."""
    lines = redactor.text(str(error)).splitlines() or [type(error).__name__]
    return lines[0][:_REASON_CHARACTERS_MAX]
