"""Interpret pages: whether an answer goes on, and what to send to get the rest."""

from __future__ import annotations

import msgspec

from outlay.errors import PayloadError
from outlay.providers.base import AfterId, Cursor, JsonApi, One, PageNumber, Pages


def first(pages: Pages) -> list[tuple[str, str]]:
    """Return what the first request says about pages."""
    return [(pages.send, "1")] if isinstance(pages, PageNumber | JsonApi) else []


class Trail:
    """Follow one answer from page to page; every way to run on for ever is an error.

    `where` names provider and endpoint in the messages.
    """

    def __init__(self, pages: Pages, where: str) -> None:
        self._pages = pages
        self._where = where
        self._seen: set[str] = set()
        self._count = 1

    def after(self, page: msgspec.Struct) -> tuple[str, str] | None:
        """Return the parameter that asks for the next page, or None when this page is the last.

        Raises: PayloadError when the page says there is more and not how, repeats a cursor, or is one too many.
        """
        pages = self._pages
        if isinstance(pages, One):
            return None
        if isinstance(pages, PageNumber):
            sent = str(self._count + 1) if read(page, pages.more) else None
        elif isinstance(pages, JsonApi):
            sent = self._numbered(pages, page)
        else:
            sent = self._cursor(pages, page)
        if sent is None:
            return None
        self._count += 1
        if self._count > pages.pages_max:
            raise PayloadError(f"{self._where} has more than {pages.pages_max} pages")
        return pages.send, sent

    def _numbered(self, pages: JsonApi, page: msgspec.Struct) -> str | None:
        current, last = read(page, pages.current), read(page, pages.last)
        if not isinstance(current, int) or not isinstance(last, int):
            raise PayloadError(f"{self._where} does not say which page of how many it is")
        if current != self._count:
            raise PayloadError(f"{self._where} gave page {current} when it was asked for page {self._count}")
        return str(current + 1) if current < last else None

    def _cursor(self, pages: Cursor | AfterId, page: msgspec.Struct) -> str | None:
        more = read(page, pages.more) if pages.more else None
        if more is False or (more is None and isinstance(pages, AfterId)):
            return None
        found = read(page, pages.read)
        if found is None or found == "":
            if more:
                raise PayloadError(f"{self._where} says there is more and gives no {pages.read} to ask for it")
            return None
        cursor = str(found)
        if cursor in self._seen:
            raise PayloadError(f"{self._where} gave the same {pages.read} twice, so its pages never end")
        self._seen.add(cursor)
        return cursor


def read(page: object, name: str) -> object:
    """Return a field of a page by its name, dotted for a field within a field; None where it is null or absent."""
    value: object = page
    for part in name.split("."):
        if value is None:
            return None
        value = getattr(value, part)
    return None if value is msgspec.UNSET else value
