"""Limits that answers carry in their headers, in the spellings several vendors share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from outlay.model.facts import Limit, LimitBasis, LimitKind
from outlay.model.money import exact
from outlay.model.period import parse_time

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s|d)")
_SECONDS = {"d": "86400", "h": "3600", "m": "60", "s": "1", "ms": "0.001", "us": "0.000001", "µs": "0.000001",
            "ns": "0.000000001"}  # fmt: skip


def duration(text: str) -> timedelta | None:
    """Return a duration such as `6m0s`, `2m59.56s` or `59ms`; None for anything else."""
    parts = list(_PART.finditer(text))
    if not parts or "".join(part[0] for part in parts) != text:
        return None
    seconds = sum((Decimal(part[1]) * Decimal(_SECONDS[part[2]]) for part in parts), Decimal(0))
    return timedelta(microseconds=int(seconds * 1_000_000)) if seconds < 10**9 else None


def moment(text: str | None, observed_at: datetime) -> datetime | None:
    """Return when a limit resets, told as a duration or as an RFC 3339 time; None where neither can be read."""
    if not text:
        return None
    wait = duration(text)
    if wait is not None:
        return observed_at + wait
    try:
        return parse_time(text)
    except ValueError:
        return None


def number(text: str | None) -> Decimal | None:
    """Return a header's number; None where there is none, so that a strange header is an unknown and not a failure."""
    try:
        return exact(text.strip()) if text else None
    except ValueError:
        return None


def of_model(name: str, model: str | None) -> str:
    """Return a limit's name with the model it holds for: ceilings of several models are told apart by it."""
    return name if model is None else f"{model}: {name}"


def header_limit(
    headers: Mapping[str, str], spelling: str, observed_at: datetime, *, name: str, unit: str, scope: str,
    window: str | None = None, model: str | None = None,
) -> Limit | None:  # fmt: skip
    """Return the limit three headers tell; None where they are missing. `spelling` holds `{}` for what each tells."""
    quota = number(headers.get(spelling.format("limit")))
    remaining = number(headers.get(spelling.format("remaining")))
    if quota is None and remaining is None:
        return None
    return Limit(
        name=of_model(name, model),
        scope=scope,
        kind=LimitKind.RATE,
        unit=unit,
        quota=quota,
        remaining=remaining,
        window=window,
        resets_at=moment(headers.get(spelling.format("reset")), observed_at),
        basis=LimitBasis.HEADER,
        model=model,
    )
