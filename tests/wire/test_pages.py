"""Paging follows the vendor's cursors to the end, and always ends."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import PayloadError
from outlay.providers.base import AfterId, Cursor, JsonApi, One, PageNumber, Pages
from outlay.wire.pages import Trail, first


class Inner(msgspec.Struct):
    """A field within a field."""

    cursor: str | None = None


class Page(msgspec.Struct):
    """A page with every way to go on."""

    more: bool | None = None
    cursor: str | int | msgspec.UnsetType | None = msgspec.UNSET
    meta: Inner | None = None


def trail(pages: Pages) -> Trail:
    """Return a trail of a test's own."""
    return Trail(pages, "Vendor costs")


class Numbered(msgspec.Struct):
    """A page that says which one it is."""

    current: int | None
    last: int | None = 3


JSON_API = JsonApi("page[number]", "current", "last", pages_max=3)


def test_numbered_pages_end_with_the_last() -> None:
    """Pages are asked for one by one until the one that is named as the last, however late it is named."""
    followed = trail(JSON_API)
    assert first(JSON_API) == [("page[number]", "1")]
    assert followed.after(Numbered(1, 2)) == ("page[number]", "2")
    assert followed.after(Numbered(2, 3)) == ("page[number]", "3")
    assert followed.after(Numbered(3, 3)) is None
    assert trail(JSON_API).after(Numbered(1, 0)) is None


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        ([Numbered(1), Numbered(1)], "gave page 1 when it was asked for page 2"),
        ([Numbered(2)], "gave page 2 when it was asked for page 1"),
        ([Numbered(None)], "does not say which page"),
        ([Numbered(1, None)], "does not say which page"),
        ([Numbered(1, 9), Numbered(2, 9), Numbered(3, 9)], "more than 3 pages"),
    ],
)
def test_numbered_pages_are_those_asked_for(pages: list[Numbered], says: str) -> None:
    """A page read twice, left out or not numbered is an error, and so is a list without end."""
    followed = trail(JSON_API)
    for page in pages[:-1]:
        followed.after(page)
    with pytest.raises(PayloadError, match=says):
        followed.after(pages[-1])


def test_one_page_is_one_page() -> None:
    """The first answer is the whole answer, whatever it says."""
    assert trail(One()).after(Page(more=True, cursor="x")) is None


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (Page(more=True, cursor="c1"), ("page", "c1")),
        (Page(more=True, cursor=7), ("page", "7")),
        (Page(more=False, cursor="c1"), None),
        (Page(more=None, cursor="c1"), ("page", "c1")),
        (Page(more=None), None),
        (Page(more=False), None),
    ],
)
def test_a_cursor_with_a_flag(page: Page, expected: tuple[str, str] | None) -> None:
    """The flag decides; where the vendor leaves it out the cursor does."""
    assert trail(Cursor("page", "cursor", "more")).after(page) == expected


@pytest.mark.parametrize(("cursor", "expected"), [("c1", ("page", "c1")), (None, None), ("", None)])
def test_a_cursor_without_a_flag(cursor: str | None, expected: tuple[str, str] | None) -> None:
    """Without a flag a null cursor is the end."""
    assert trail(Cursor("page", "cursor")).after(Page(cursor=cursor)) == expected


def test_a_cursor_may_be_nested() -> None:
    """A dotted name reads a field within a field, and a missing outer one is the end."""
    nested = Cursor("page", "meta.cursor")
    assert trail(nested).after(Page(meta=Inner("c1"))) == ("page", "c1")
    assert trail(nested).after(Page()) is None


@pytest.mark.parametrize("pages", [Cursor("page", "cursor", "more"), AfterId("after", "cursor", "more")])
@pytest.mark.parametrize("cursor", [None, "", msgspec.UNSET])
def test_more_without_a_cursor_is_no_end(pages: Pages, cursor: str | None) -> None:
    """A page that says there is more and not how to get it is an error: an end would lose rows."""
    with pytest.raises(PayloadError, match="no cursor"):
        trail(pages).after(Page(more=True, cursor=cursor))


@pytest.mark.parametrize("pages", [Cursor("page", "cursor", "more"), AfterId("after", "cursor", "more")])
def test_a_repeated_cursor_is_an_error(pages: Pages) -> None:
    """A cursor seen before, also some pages ago, would run in circles."""
    followed = trail(pages)
    for cursor in ("a", "b", "c"):
        followed.after(Page(more=True, cursor=cursor))
    with pytest.raises(PayloadError, match="same cursor twice"):
        followed.after(Page(more=True, cursor="a"))


def test_after_the_last_id() -> None:
    """The last row's id is sent until there is no more; without the flag there is none."""
    pages = AfterId("after", "cursor", "more")
    assert trail(pages).after(Page(more=True, cursor="r9")) == ("after", "r9")
    assert trail(pages).after(Page(more=False, cursor="r9")) is None
    assert trail(pages).after(Page(cursor="r9")) is None


def test_page_numbers_count_from_one() -> None:
    """The first request asks for page 1, and each further one for the next."""
    pages = PageNumber("page", "more")
    assert first(pages) == [("page", "1")]
    followed = trail(pages)
    assert [followed.after(Page(more=more)) for more in (True, True, None)] == [("page", "2"), ("page", "3"), None]
    assert first(Cursor("page", "cursor")) == []


@given(st.integers(1, 40), st.sampled_from(["cursor", "after", "number"]))
def test_paging_always_stops(pages_max: int, kind: str) -> None:
    """A vendor that never ends is stopped after exactly the pages allowed."""
    kinds: dict[str, Pages] = {
        "cursor": Cursor("page", "cursor", "more", pages_max),
        "after": AfterId("after", "cursor", "more", pages_max),
        "number": PageNumber("page", "more", pages_max),
    }
    followed = trail(kinds[kind])
    for number in range(1, pages_max):
        assert followed.after(Page(more=True, cursor=f"c{number}"))
    with pytest.raises(PayloadError, match=f"more than {pages_max} pages"):
        followed.after(Page(more=True, cursor=f"c{pages_max}"))


@given(st.lists(st.text(min_size=1, max_size=5), max_size=30))
def test_any_cursors_end_or_err(cursors: list[str]) -> None:
    """Distinct cursors are all followed in order; the first repetition is an error."""
    followed = trail(Cursor("page", "cursor"))
    for position, cursor in enumerate(cursors):
        if cursor in cursors[:position]:
            with pytest.raises(PayloadError, match="twice"):
                followed.after(Page(cursor=cursor))
            return
        assert followed.after(Page(cursor=cursor)) == ("page", cursor)
