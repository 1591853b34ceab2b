"""Say in a few bytes what a partition holds, so that the same truth fetched twice is known as such."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from itertools import groupby

import msgspec

from outlay.model.batch import LACKS
from outlay.model.facts import Fact

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def digest(facts: Iterable[Fact], lacks: str | None = None) -> str:
    """Return a digest that depends on the facts and not on their order, and on why a part of them is missing."""
    kinds: dict[str, list[bytes]] = {}
    for kind, group in groupby(facts, type):
        kinds.setdefault(kind.__name__, []).extend(map(_encode, group))
    whole = sha256()
    for name, rows in sorted(kinds.items()):
        # Each encoded row says where it ends, so that joining them loses nothing.
        whole.update(b"%s %d " % (name.encode(), len(rows)) + b"".join(sorted(rows)))
    return whole.hexdigest()[:32] + (LACKS + lacks if lacks else "")
