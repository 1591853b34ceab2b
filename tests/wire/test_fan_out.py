"""What is asked for one by one: each name by its id, told with its parent where the mapping must know whose it is."""

from __future__ import annotations

import pytest

from outlay.providers.base import PAIR, FanOut

PROJECT = FanOut("project", "ref", with_parent=True)


@pytest.mark.parametrize(("parent", "item"), [("acme", f"acme{PAIR}shop"), (None, "shop"), ("", "shop")])
def test_a_parent_is_told_and_not_sent(parent: str | None, item: str) -> None:
    """The request names the id alone, whether or not the name says whose it is."""
    assert PROJECT.item("shop", parent) == item
    assert PROJECT.parts(item) == [(PROJECT, "shop")]


def test_without_the_wish_an_id_is_an_id() -> None:
    """An id that looks like a pair is sent as it is."""
    plain = FanOut("project", "ref")
    assert plain.item("shop", "acme") == "shop"
    assert plain.parts(f"a{PAIR}b") == [(plain, f"a{PAIR}b")]
