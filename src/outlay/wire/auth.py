"""Interpret auth: turn a credential into the one header that carries it."""

from __future__ import annotations

from collections.abc import Mapping

from outlay.credentials import Secret
from outlay.errors import CredentialMissingError
from outlay.providers.base import Auth, Bearer, ByOption


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
    if isinstance(auth, Bearer) or value.startswith(auth.bearer_prefixes):
        return "authorization", f"Bearer {value}"
    return auth.name.lower(), value
