"""A defect in data as a value, so that one bad row is reported and not raised."""

from __future__ import annotations

import enum

import msgspec

from outlay.model.period import Period


class Severity(enum.StrEnum):
    """Say what a problem does to the partition it is found in."""

    FATAL = "fatal"
    """The partition is not committed; what was there stays and is marked stale."""
    LACKING = "lacking"
    """The partition is committed as far as it goes, and answers say that it is no whole: the vendor has no more."""
    WARNING = "warning"
    """The partition is committed and the problem is reported beside it."""
    NOTE = "note"
    """Worth knowing; nothing is wrong."""


NOT_EXPORTED, NOT_YET_TOLD = "not_exported", "not_yet_told"
UNTOLD = {
    NOT_EXPORTED: "What was not exported is not made up for. Set `since` on the connection to the first exported day; "
    "`outlay enter` takes the cost you know of earlier ones.",
    NOT_YET_TOLD: "The vendor's figures do not reach that far yet: the next sync asks again.",
}
"""Why a vendor has no more of a partition than what is committed, by code, and what to do."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One defect: a stable `code`, `where` it is, what it `says` and what to do about it."""

    code: str
    says: str
    where: str = ""
    hint: str = ""
    severity: Severity = Severity.FATAL
    period: Period | None = None
    """The span it concerns; None makes a fatal problem count against everything the same answer holds."""
