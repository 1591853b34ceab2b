"""Say in a few bytes what a partition holds, so that the same truth fetched twice is known as such."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from operator import attrgetter

import msgspec

from outlay.model.facts import Fact

_encoder = msgspec.msgpack.Encoder(order="deterministic")
_kind = attrgetter("__class__.__name__")


def digest(facts: Iterable[Fact]) -> str:
    """Return a digest that depends on the facts and not on their order."""
    rows = sorted(_kind(fact).encode() + _encoder.encode(fact) for fact in facts)
    whole = blake2b(digest_size=16)
    for row in rows:
        whole.update(len(row).to_bytes(4))
        whole.update(row)
    return whole.hexdigest()
