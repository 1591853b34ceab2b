"""A defect in data as a value, so that one bad row is reported and not raised."""

from __future__ import annotations

import enum

import msgspec

from outlay.model.period import Period


class Severity(enum.StrEnum):
    """Say what a problem does to the partition it is found in."""

    FATAL = "fatal"
    """The partition is not committed; what was there stays and is marked stale."""
    WARNING = "warning"
    """The partition is committed and the problem is reported beside it."""
    NOTE = "note"
    """Worth knowing; nothing is wrong."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One defect: a stable `code`, `where` it is, what it `says` and what to do about it."""

    code: str
    says: str
    where: str = ""
    hint: str = ""
    severity: Severity = Severity.FATAL
    period: Period | None = None
    """The span it concerns; None makes a fatal problem count against everything the same answer holds."""
