"""Text for a terminal: what a vendor named cannot move the cursor, and every character has a known width."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
"""Control characters, and the marks that reorder or hide what stands around them."""
_JOINTS = "-_/"
_SPACES = re.compile(r"[\t\r\n]+")


def neutral(text: str) -> str:
    """Return text on one line with every character a terminal would obey made visible as `�`."""
    return _OBEYED.sub("�", _SPACES.sub(" ", text))


def width(text: str) -> int:
    """Return how many columns a text takes."""
    if text.isascii():
        return len(text)
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fold(text: str, columns: int) -> Iterator[str]:
    """Yield a text in lines of at most so many columns, broken at spaces, else at joints of words, else anywhere."""
    while width(text) > columns:
        cut = _fitting(text, columns)
        space = text.rfind(" ", 1, cut + 1)
        cut = space if space > 0 else 1 + max(text.rfind(joint, 1, cut) for joint in _JOINTS) or cut
        yield text[:cut].rstrip()
        text = text[cut:].lstrip()
    yield text


def _fitting(text: str, columns: int) -> int:
    taken = 0
    for position, character in enumerate(text):
        taken += _columns(character)
        if taken > columns:
            return max(position, 1)
    return len(text)


def left(text: str, columns: int) -> str:
    """Return a text filled with spaces on its right."""
    return text + " " * (columns - width(text))


def right(text: str, columns: int) -> str:
    """Return a text filled with spaces on its left."""
    return " " * (columns - width(text)) + text
