"""Read from a refusal's body how long Google wants to be left alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

_PACIFIC = ZoneInfo("America/Los_Angeles")
_DAILY = "PerDay"


class _Violation(Struct, rename="camel"):
    quota_id: str = ""


class _Detail(Struct, rename="camel"):
    kind: str = field(default="", name="@type")
    retry_delay: str = ""
    violations: list[_Violation] = field(default_factory=list)


class _Error(Struct):
    details: list[_Detail] = field(default_factory=list)


class _Refused(Struct):
    error: _Error = field(default_factory=_Error)


def seconds(body: bytes, present: datetime) -> float | None:
    """Return the seconds a refusal asks to wait: its own delay, but until Pacific midnight where a day's quota is gone.

    Null: None where it says nothing of the kind.
    """
    try:
        details = msgspec.json.decode(body, type=_Refused).error.details
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if any(_DAILY in each.quota_id for detail in details for each in detail.violations):
        local = present.astimezone(_PACIFIC)
        midnight = datetime(local.year, local.month, local.day, tzinfo=_PACIFIC) + timedelta(days=1)
        return max(0.0, (midnight - present).total_seconds())
    return next((found for detail in details if (found := _duration(detail.retry_delay)) is not None), None)


def _duration(text: str) -> int | None:
    """Return the whole seconds of a duration such as `18s` or `0.5s`, a part of one counted whole."""
    whole, _, part = text.removesuffix("s").partition(".")
    if not text.endswith("s") or not whole.isdecimal() or not (part or "0").isdecimal():
        return None
    return int(whole) + (int(part or "0") > 0)
