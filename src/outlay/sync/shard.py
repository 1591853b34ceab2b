"""Share connections out among processes without any of them talking to each other."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

from outlay.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`-th of `count` shares, counted from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard written `I/N`. Raises: ConfigError."""
        left, slash, right = text.partition("/")
        if not slash or not left.isdigit() or not right.isdigit() or not 1 <= int(left) <= int(right):
            raise ConfigError(f"--shard {text!r} is not I/N with 1 <= I <= N", hint="Write for example --shard 1/4.")
        return cls(int(left), int(right))

    def holds(self, connection: str) -> bool:
        """Tell whether a connection belongs to this share; every connection belongs to exactly one."""
        digest = blake2b(connection.encode(), digest_size=8).digest()
        return int.from_bytes(digest) % self.count == self.index - 1
