"""Every error has a code, a hint, an exit status and its place in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outlay import errors
from outlay.errors import BugError, ConfigError, Exit, OutlayError, ProviderError, StoreError

DOCS = Path(__file__).parent.parent / "docs"


def tree(root: type[OutlayError]) -> list[type[OutlayError]]:
    """Return a class and everything below it that the package defines, top first."""
    own = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [root, *(grandchild for child in own for grandchild in tree(child))]


ERRORS = tree(OutlayError)[1:]
by_name = pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)


def test_codes_are_unique() -> None:
    """Scripts tell errors apart by code, so no two classes share one."""
    codes = [error.code for error in ERRORS]
    assert len(codes) == len(set(codes))


@by_name
def test_an_error_is_complete(error: type[OutlayError]) -> None:
    """A class names itself as an error, has a code of its own, and says what to do in one or two sentences."""
    assert error.__name__.endswith("Error")
    assert "code" in vars(error)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert error.default_hint != OutlayError.default_hint
    assert error.default_hint.endswith(".")
    assert error.__doc__
    assert error.__doc__.endswith(".")


@by_name
def test_who_must_act_decides_the_exit_status(error: type[OutlayError]) -> None:
    """The branch of the tree is the exit status: the user 2, a provider 3, the store 4, Outlay itself 1."""
    branches = {ConfigError: Exit.USAGE, ProviderError: Exit.PROVIDER, StoreError: Exit.STORE, BugError: Exit.BUG}
    assert [status for branch, status in branches.items() if issubclass(error, branch)] == [error.exit]


@by_name
def test_an_error_carries_its_message_and_hint(error: type[OutlayError]) -> None:
    """The message is what `str` gives; the hint is the class's unless the place that raises knows better."""
    plain, precise = error("it broke"), error("it broke", hint="Mend it.")
    assert (str(plain), plain.message, plain.hint) == ("it broke", "it broke", error.default_hint)
    assert precise.hint == "Mend it."


@by_name
def test_an_error_is_documented(error: type[OutlayError]) -> None:
    """The page of errors explains each code under a heading of its own, and the reference lists it."""
    by_hand = (DOCS / "errors.md").read_text("utf-8")
    assert f"\n### `{error.code}`\n" in by_hand
    assert f"`{error.code}`" in (DOCS / "reference" / "errors.md").read_text("utf-8")


def test_no_documented_error_is_stale() -> None:
    """A heading on the page of errors names a code that exists."""
    section = (DOCS / "errors.md").read_text("utf-8").partition("\n## Problems in data\n")[0]
    assert set(re.findall(r"^### `(\w+)`$", section, re.MULTILINE)) == {error.code for error in ERRORS}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """The drawing at the top of the module has exactly the classes of the module, each below its parent."""
    drawn: list[tuple[int, str]] = [
        (match.start("name"), match["name"])
        for match in re.finditer(r"(?m)^[│├└─ ]*(?P<name>\w+Error)\b", errors.__doc__ or "")
    ]
    assert [name for _, name in drawn] == [error.__name__ for error in tree(OutlayError)]


def test_a_vendor_s_refusal_keeps_what_support_asks_for() -> None:
    """Status and request id travel with the error, so that the user can quote them."""
    error = errors.RetryLaterError("busy", status=429, request_id="req_1", retry_after_seconds=2.5)
    assert (error.status, error.request_id, error.retry_after_seconds) == (429, "req_1", 2.5)
    assert ProviderError("no").request_id is None


def test_exit_statuses_are_fixed() -> None:
    """Scripts compare these numbers: they never change."""
    assert {status.name: int(status) for status in Exit} == {
        "DONE": 0,
        "BUG": 1,
        "USAGE": 2,
        "PROVIDER": 3,
        "STORE": 4,
        "CROSSED": 5,
    }
