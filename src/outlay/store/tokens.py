"""Tokens that let programs in over HTTP: shown once, kept as a digest, scoped, revocable."""

from __future__ import annotations

import enum
import secrets
from datetime import datetime
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from outlay.errors import ConfigError
from outlay.store.state import State, metadata, micros, moment

PREFIX = "outlay_"
"""What every token begins with, so that scanners for lost secrets can tell one."""

tokens = sa.Table(
    "outlay_tokens",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("revoked_at", sa.BigInteger),
)


class Scope(enum.StrEnum):
    """What a token opens."""

    READ = "read"
    """Answers."""
    INGEST = "ingest"
    """Taking meter events, and nothing else: not even reading them again."""
    ADMIN = "admin"
    """Everything."""

    def opens(self, wanted: Scope) -> bool:
        """Tell whether it is enough for what another scope guards."""
        return self in {wanted, Scope.ADMIN}


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is known: never the secret itself."""

    id: str
    name: str
    scope: Scope
    created_at: datetime
    revoked_at: datetime | None


def create(state: State, name: str, scope: Scope, now: datetime) -> tuple[Token, str]:
    """Make a token of 256 random bits and return it with its secret, which is not kept. Raises: StoreError."""
    secret = PREFIX + secrets.token_urlsafe(32)
    token = Token(id=secrets.token_hex(4), name=name, scope=scope, created_at=now, revoked_at=None)
    with state.write() as connection:
        connection.execute(
            sa.insert(tokens).values(
                id=token.id, name=name, scope=scope.value, digest=_digest(secret), created_at=micros(now)
            )
        )
    return token, secret


def listed(state: State) -> list[Token]:
    """Return every token, those revoked included, oldest first. Raises: StoreError."""
    return [_token(row) for row in state.read(sa.select(tokens).order_by(tokens.c.created_at, tokens.c.id))]


def revoke(state: State, id_: str, now: datetime) -> Token:
    """End a token; ending it twice changes nothing. Raises: ConfigError when there is none, StoreError."""
    with state.write() as connection:
        ended = sa.update(tokens).where(tokens.c.id == id_, tokens.c.revoked_at.is_(None))
        connection.execute(ended.values(revoked_at=micros(now)))
    found = state.read(sa.select(tokens).where(tokens.c.id == id_))
    if not found:
        raise ConfigError(f"there is no token {id_[:32]!r}", hint="`outlay meter token list` names them.")
    return _token(found[0])


def scope_of(state: State, secret: str) -> Scope | None:
    """Return what a token opens. Null: None where it is unknown or was revoked. Raises: StoreError."""
    # The secret is random through and through, so a plain digest cannot be turned back, and its index leaks nothing.
    wanted = sa.select(tokens).where(tokens.c.digest == _digest(secret), tokens.c.revoked_at.is_(None))
    found = state.read(wanted)
    return Scope(found[0].scope) if found else None


def any_valid(state: State) -> bool:
    """Tell whether there is a token that opens anything. Raises: StoreError."""
    return bool(state.read(sa.select(tokens.c.id).where(tokens.c.revoked_at.is_(None)).limit(1)))


def _digest(secret: str) -> bytes:
    return sha256(secret.encode(errors="surrogatepass")).digest()


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        scope=Scope(row.scope),
        created_at=moment(row.created_at),
        revoked_at=None if row.revoked_at is None else moment(row.revoked_at),
    )
