"""What one ask is while its pages are fetched: the request that stays the same, the seconds left, what comes next."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from outlay.errors import PayloadError
from outlay.model.period import Period
from outlay.providers.base import Endpoint, Step
from outlay.redaction import redactor
from outlay.wire.exchange import Reply, SignedHeaders


@dataclass(repr=False, eq=False, slots=True)
class Call:
    """What stays the same over all pages of one window."""

    dataset: str
    endpoint: Endpoint[Any]
    window: Period
    item: str | None
    fetch_id: str
    base_url: str
    path: str
    params: list[tuple[str, str]]
    headers: SignedHeaders
    body: dict[str, Any] | None
    where: str


def reaches_back(endpoint: Endpoint[Any], page: Any, window: Period) -> bool:
    """Tell whether a list that begins with the newest has come to what is older than the window."""
    oldest = endpoint.oldest(page) if endpoint.oldest else None
    return oldest is not None and oldest < window.start


def headers_read(endpoint: Endpoint[Any], reply: Reply) -> dict[str, str]:
    """Return what an endpoint reads of an answer's headers."""
    return {name: redactor.text(reply.headers[name]) for name in endpoint.headers_read if name in reply.headers}


def following(call: Call, conversation: Generator[Step, Any, Any], said: Any) -> Any:
    """Return the next request of a conversation, or what it returns at its end."""
    try:
        return conversation.send(said)
    except StopIteration as end:
        return end.value
    except (ValueError, TypeError, ArithmeticError, KeyError) as error:
        raise PayloadError(f"{call.where} answered with what cannot be right: {error}") from error


class Budget:
    """The seconds an ask has left on the wire; what the caller does between pages is not counted."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
