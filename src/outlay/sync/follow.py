"""Ask what a page leads to: once per id found in it, before it is mapped, so that a page is whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec.structs import replace

from outlay.errors import NotOfferedError, PayloadError
from outlay.model.batch import Payload
from outlay.providers.base import Endpoint, Follow
from outlay.wire.client import Answer

Asking = Callable[[Endpoint[Any], str], AsyncIterator[Answer]]
"""Asks an endpoint for one id, page by page."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A page with all it leads to: the raw answers to that are kept wherever the page's own is."""

    answer: Answer
    payloads: tuple[Payload, ...] = ()


async def followed(endpoint: Endpoint[Any], answer: Answer, asking: Asking) -> Followed:
    """Return a page with the pages of every id found in it.

    Raises: ProviderError when one id cannot be read: a page without a part of it would be a smaller truth.
    """
    if endpoint.then is None:
        return Followed(answer)
    then = endpoint.then
    items = _items(then, answer)
    tasks = [asyncio.ensure_future(_pages(then.endpoint, item, asking)) for item in items]
    try:
        found = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _with(answer, dict(zip(items, found, strict=True)))


async def _pages(endpoint: Endpoint[Any], item: str, asking: Asking) -> list[Answer]:
    try:
        pages = [answer async for answer in asking(endpoint, item)]
    except NotOfferedError as error:
        raise PayloadError(f"{item} was listed and cannot be read: {error.message}", status=error.status) from error
    if not pages:
        raise PayloadError(f"{item} was listed, and {endpoint.name} knows nothing of it")
    return pages


def again(endpoint: Endpoint[Any], answer: Answer, kept: Mapping[str, Iterable[Payload]]) -> Followed:
    """Return a kept page with the kept pages of every id found in it, by id.

    Raises: PayloadError when one is not kept or fits no known shape.
    """
    if endpoint.then is None:
        return Followed(answer)
    then = endpoint.then
    found: dict[str, list[Answer]] = {}
    for item in _items(then, answer):
        ask = replace(answer.ask, item=item)
        found[item] = [
            Answer(decoded(then.endpoint, payload), payload, replace(ask, headers=payload.headers or {}))
            for payload in kept.get(item, ())
        ]
        if not found[item]:
            raise PayloadError(f"{endpoint.name}: what {then.endpoint.name} said of {item} is not kept")
    return _with(answer, found)


def decoded(endpoint: Endpoint[Any], payload: Payload) -> Any:
    """Return a kept answer as a page. Raises: PayloadError."""
    try:
        return msgspec.json.decode(payload.body, type=endpoint.page)
    except msgspec.DecodeError as error:
        raise PayloadError(f"{endpoint.name}: a kept payload fits no known shape: {error}") from error


def _items(then: Follow[Any], answer: Answer) -> list[str]:
    return list(dict.fromkeys(then.items(answer.page, answer.ask)))


def _with(answer: Answer, found: Mapping[str, list[Answer]]) -> Followed:
    pages = {item: tuple(each.page for each in answers) for item, answers in found.items()}
    payloads = tuple(each.payload for answers in found.values() for each in answers)
    return Followed(answer._replace(ask=replace(answer.ask, followed=pages)), payloads)
