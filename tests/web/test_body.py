"""Tests of reading bodies: what is held is given back, however the reading ends."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from outlay.web.body import Budget, read
from outlay.web.errors import ApiError


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([b"whole"], b"whole"),
        ([b"two ", b"pieces"], b"two pieces"),
        ([b"", b"", b"late"], b"late"),
        ([b"half", None], "body_unreadable"),
        ([None], "body_unreadable"),
        ([b"x" * 60, b"x" * 60], "busy"),
    ],
)
def test_bodies_in_pieces(pieces: list[bytes | None], found: bytes | str) -> None:
    """A body is whole or it is refused: one that was cut by its sender, or for which there is no room."""
    budget = Budget(100)
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.disconnect"} if piece is None else {"type": "http.request", "body": piece, "more_body": True}
        for piece in pieces
    ]
    messages[-1]["more_body"] = False

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    if isinstance(found, bytes):
        assert asyncio.run(read("", receive, budget)) == found
    else:
        with pytest.raises(ApiError) as caught:
            asyncio.run(read("identity", receive, budget))
        assert caught.value.code == found
    assert budget.held == 0
