"""Interpret auth: turn a credential into the headers that carry it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from outlay.clock import Clock
from outlay.credentials import Secret
from outlay.errors import CredentialMissingError
from outlay.providers.base import Auth, Bearer, ByOption, Provider, ServiceAccount
from outlay.wire.tokens import Send, Tokens


class Signer(Protocol):
    """What a connection's requests are signed with."""

    async def headers(self, scopes: tuple[str, ...], send: Send) -> dict[str, str]:
        """Return the headers that carry the credential. Raises: ProviderError, ConfigError, AgainError."""

    def forget(self, headers: Mapping[str, str], scopes: tuple[str, ...]) -> bool:
        """Let go of what the vendor refused, and tell whether there is anything else to try."""

    def close(self) -> None:
        """Let go of what was made for a while."""


class Fixed:
    """A credential that is sent as it is."""

    def __init__(self, name: str, value: str) -> None:
        self._name, self._value = name, value

    async def headers(self, _scopes: tuple[str, ...], _send: Send) -> dict[str, str]:
        """Return the one header."""
        return {self._name: self._value}

    def forget(self, _headers: Mapping[str, str], _scopes: tuple[str, ...]) -> bool:
        """Tell that there is nothing else to try."""
        return False

    def close(self) -> None:
        """Keep the credential: it is the user's, and is known as long as the process runs."""


def signer(
    provider: Provider,
    secret: Secret,
    options: Mapping[str, str],
    *,
    base_url: str,
    clock: Clock,
    allow_http: bool = False,
) -> Signer:
    """Return what a connection's requests are signed with.

    Raises: CredentialMissingError when the credential has characters no header can carry, or is of no known form.
    """
    if isinstance(provider.auth, ServiceAccount):
        token_url = provider.auth.token_url
        if base_url != provider.base_url:
            token_url = base_url + urlsplit(token_url).path
        return Tokens(secret, token_url, clock, allow_http=allow_http)
    return Fixed(*header(provider.auth, secret, options))


def header(auth: Auth, secret: Secret, options: Mapping[str, str]) -> tuple[str, str]:
    """Return the header's name and value.

    Raises: CredentialMissingError when the credential has characters no header can carry.
    """
    value = secret.reveal()
    if not value or any(not "!" <= character <= "~" for character in value):
        raise CredentialMissingError(
            "the credential is empty or holds spaces, line breaks or characters beyond ASCII, so it is no API key",
            hint="Store the key alone, exactly as the vendor shows it: no quotes, no line breaks, no name before it.",
        )
    if isinstance(auth, ByOption):
        auth = auth.then if options.get(auth.option) else auth.otherwise
    assert not isinstance(auth, ServiceAccount)
    if isinstance(auth, Bearer) or value.startswith(auth.bearer_prefixes):
        return "authorization", f"Bearer {value}"
    return auth.name.lower(), value
