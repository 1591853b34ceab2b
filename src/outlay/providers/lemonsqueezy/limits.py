"""How many calls are left, which Lemon Squeezy says in the headers of its answers alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from outlay.model.facts import Limit, LimitBasis, LimitKind
from outlay.providers.base import Ask, Dataset, Endpoint
from outlay.providers.lemonsqueezy.usage import UserPage

LIMIT, REMAINING = "x-ratelimit-limit", "x-ratelimit-remaining"
_COUNT = re.compile(r"\d{1,9}")
_TOO_MANY = b"too many"
_QUARTER_OF_A_MINUTE = 15.0
"""A refused call is asked again five times: together they outlast the minute of the quota."""


def calls(_page: UserPage, ask: Ask) -> Iterator[Limit]:
    """Turn the two headers of a successful answer into the ceiling of calls a minute and what is left of it.

    Null:   without both headers, or where one is no number, nothing is known; when the minute ends is never said.
    Source: https://docs.lemonsqueezy.com/api
    """
    quota, remaining = (_COUNT.fullmatch(ask.headers.get(name, "").strip()) for name in (LIMIT, REMAINING))
    if quota is None or remaining is None:
        return
    ceiling, left = Decimal(quota[0]), Decimal(remaining[0])
    yield Limit(
        name="API calls",
        scope="account",
        kind=LimitKind.RATE,
        unit="requests",
        quota=ceiling,
        used=max(ceiling - left, Decimal(0)),
        remaining=left,
        window="1 minute",
        basis=LimitBasis.HEADER,
        enforced=True,
    )


def patience(body: bytes, _present: datetime) -> float | None:
    """Return the seconds to wait where calls are used up: no header says so, and the quota is of a minute.

    Null: None for any other failure, which may pass sooner.
    """
    return _QUARTER_OF_A_MINUTE if _TOO_MANY in body.lower() else None


CALLS: Endpoint[UserPage] = Endpoint(
    name="api_calls", path="/v1/users/me", page=UserPage, facts=calls, headers_read=(LIMIT, REMAINING)
)

DATASETS = (Dataset("api_calls", "Calls left this minute", (Limit,), (CALLS,), grain="reading", order=3),)
