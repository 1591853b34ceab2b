"""Keep invented money out of a ledger that holds the real one of the same vendor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from outlay.config import Connection
from outlay.credentials import Secret, resolve
from outlay.errors import ConfigError
from outlay.providers.base import Provider


def check_alone(
    connection: Connection,
    provider: Provider,
    secret: Secret,
    configured: Iterable[Connection],
    environ: Mapping[str, str],
) -> None:
    """Look at the keys of a vendor's other connections where this one's opens a sandbox.

    Raises: ConfigError where one of them opens the real account: sums must never hold both.
    """
    kind = provider.key_kind(secret.reveal())
    if kind is None or not kind.sandbox:
        return
    for other in configured:
        if other.provider == connection.provider and other.name != connection.name and _real(other, provider, environ):
            raise ConfigError(
                f"{connection.name} opens a sandbox of {provider.title} beside {other.name}, which holds real money",
                hint="Give the sandbox a configuration and a --home of its own; nothing of it was read.",
            )


def _real(connection: Connection, provider: Provider, environ: Mapping[str, str]) -> bool:
    try:
        kind = provider.key_kind(resolve(connection.credential, environ).reveal())
    except ConfigError:
        return False  # told where that connection is synced
    return kind is not None and not kind.sandbox
