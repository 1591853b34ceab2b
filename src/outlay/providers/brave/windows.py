"""Brave's quotas: from four headers that any answer may have, and from the body of a refusal.

The headers list windows in one order; how many and how long they are, the policy says. A limit of 0 is no limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec import Struct

from outlay.model.facts import Limit, LimitBasis, LimitKind
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Difference, Endpoint, Refusal

HEADERS = tuple(f"x-ratelimit-{part}" for part in ("limit", "policy", "remaining", "reset"))
PROBE, PLAN = "probe", "plan"
PLANS = {"search": 50, "answers": 2, "autosuggest": 100, "spellcheck": 100}
"""Requests per second, as the plans' page tells them."""
_DAY, _MONTH = 86_400, 2_592_000
_NAMED = {1: "1 second", 60: "1 minute", 3600: "1 hour", _DAY: "1 day", _MONTH: "month"}
_ALLOWANCE = "allowance"
_WHOLE = re.compile(r"\d{1,15}")
_POLICY = re.compile(r"(\d{1,15})\s*;\s*w\s*=\s*(\d{1,9})")
_RESET_MAX = 366 * _DAY


def windows(headers: Mapping[str, str], observed_at: datetime) -> list[Limit]:
    """Turn an answer's headers into one limit per window.

    Units:  requests of the subscription, whichever of its keys asks; resets are seconds from now, not times.
    Null:   a limit of 0 is unlimited and says nothing of what was used. Headers that are missing, malformed or of
            different lengths are left out altogether, for nobody knows which part belongs to which window.
    Source: https://api-dashboard.search.brave.com/documentation/guides/rate-limiting
    """
    quotas, remaining, resets = (
        _numbers(headers.get(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset")
    )
    policy = [_POLICY.fullmatch(part.strip()) for part in headers.get("x-ratelimit-policy", "").split(",")]
    lengths = {len(policy), len(quotas), len(remaining), len(resets)}
    if lengths != {len(policy)} or not all(policy):
        return []
    parts = [(int(found[1]), int(found[2])) for found in policy if found]
    if [quota for quota, _ in parts] != quotas or len({seconds for _, seconds in parts}) != len(parts):
        return []
    return [
        _limit(quota, seconds, left, reset, observed_at)
        for (quota, seconds), left, reset in zip(parts, remaining, resets, strict=True)
    ]


def _numbers(text: str | None) -> list[int]:
    parts = [part.strip() for part in (text or "").split(",")]
    return [int(part) for part in parts] if all(_WHOLE.fullmatch(part) for part in parts) else []


def _limit(quota: int, seconds: int, left: int, reset: int, observed_at: datetime) -> Limit:
    window = _NAMED.get(seconds, f"{seconds} seconds")
    name, kind = _name(window), LimitKind.RATE if seconds < _DAY else LimitKind.QUOTA
    if quota == 0:
        return Limit(name=name, scope="subscription", kind=kind, unit="requests", window=window, unlimited=True,
                     basis=LimitBasis.HEADER)  # fmt: skip
    return Limit(
        name=name,
        scope="subscription",
        kind=kind,
        unit="requests",
        quota=Decimal(quota),
        used=Decimal(max(quota - left, 0)),
        remaining=Decimal(left),
        window=window,
        resets_at=observed_at + timedelta(seconds=reset) if reset <= _RESET_MAX else None,
        basis=LimitBasis.HEADER,
        enforced=True,
        details={_ALLOWANCE: f"{quota};w={seconds}"} if kind is LimitKind.QUOTA else None,
    )


def _name(window: str) -> str:
    return f"requests per {window.removeprefix('1 ')}"


class Meta(Struct, gc=False, omit_defaults=True):
    """What a refusal says of the subscription's counters."""

    plan: str | None = None
    quota_limit: int | None = None
    quota_current: int | None = None


class ErrorBody(Struct, gc=False, omit_defaults=True):
    """Why a request was refused; its words are not read, for they may repeat the query."""

    code: str | None = None
    meta: Meta | None = None


class Probed(Struct, gc=False, omit_defaults=True):
    """What is read of an answer: nothing of a result, and of a refusal its code and counters.

    Live bodies have `error`, the reference's examples a list.
    """

    error: ErrorBody | None = None
    errors: list[ErrorBody] = []


def counters(page: Probed, told: list[Limit]) -> list[Limit]:
    """Return limits with the month's counter of a refusal in place of what headers say of the month.

    Null: a refusal without a quota of the month changes nothing.
    """
    meta = next((each.meta for each in (page.error, *page.errors) if each is not None and each.meta), None)
    if meta is None or not meta.quota_limit or meta.quota_current is None:
        return told
    name = _name("month")
    month = next((each for each in told if each.name == name), None)
    counted = Limit(
        name=name,
        scope="subscription",
        kind=LimitKind.QUOTA,
        unit="requests",
        quota=Decimal(meta.quota_limit),
        used=Decimal(max(meta.quota_current, 0)),
        remaining=Decimal(max(meta.quota_limit - meta.quota_current, 0)),
        window="month",
        resets_at=None if month is None else month.resets_at,
        enforced=True,
        details={"plan": meta.plan} if meta.plan else None,
    )
    return [*(each for each in told if each.name != name), counted]


def limits(page: Probed, ask: Ask) -> Iterator[Limit | Problem]:
    """Turn a probe's headers, and the counters of a refusal, into limits of the subscription."""
    found = counters(page, windows(ask.headers, ask.observed_at))
    yield from found
    if not found:
        yield Problem(
            code="measure_missing",
            says="the answer states no limits that can be read",
            where="limits",
            hint="The key was accepted. A paid probe, or metering, may tell.",
            severity=Severity.NOTE,
        )
    plan = ask.options.get(PLAN)
    second = next((each.quota for each in found if each.window == _NAMED[1]), None)
    if plan in PLANS and second is not None and second != PLANS[plan]:
        yield Problem(
            code="plan_differs",
            says=f"the key allows {second:f} requests per second, and the plan {plan} {PLANS[plan]}",
            where="limits",
            hint="The key may belong to another plan, by which its calls are billed.",
            severity=Severity.WARNING,
        )


def refused(document: bytes) -> Probed:
    """Return what is read of an answer's body. Raises: msgspec.MsgspecError."""
    return msgspec.json.decode(document, type=Probed)


_KEY = "Copy the key of the subscription from api-dashboard.search.brave.com; it is shown once."
_PATH = "/res/v1/web/search"
_REFUSALS = (
    # A wrong key and a wrong request have one status: the code tells them apart.
    Refusal(422, "access_denied", "SUBSCRIPTION_TOKEN_INVALID", hint=_KEY),
    Refusal(422, "access_denied", "x-subscription-token", hint=_KEY),
    Refusal(404, "access_denied", "SUBSCRIPTION_NOT_FOUND", hint="The key belongs to no subscription that is active."),
    Refusal(429, "answer"),
)
FREE: Endpoint[Probed] = Endpoint(
    name="limits",
    path=_PATH,
    page=Probed,
    facts=limits,
    headers_read=HEADERS,
    keep_whole=False,
    refusals=(*_REFUSALS, Refusal(422, "answer", '"VALIDATION"')),
)
"""A search without its query: it is refused, which shows that the key is right, and is not billed."""
PAID: Endpoint[Probed] = Endpoint(
    name="limits_paid",
    path=_PATH,
    query={"q": "brave", "count": 1},
    page=Probed,
    facts=limits,
    headers_read=HEADERS,
    keep_whole=False,
    refusals=_REFUSALS,
)
"""One search, which is billed; its results are neither read nor kept."""


def _by_day(dataset: str) -> Difference:
    """Return what tells the subscription's days by its month's counter, whichever of its keys made the calls.

    What is metered is a part of them, and other connections may have keys of the same subscription: in no sum.
    """
    return Difference(
        dataset, Limit, _name("month"), "Brave Search", meter="subscription_requests", scope="subscription",
        reset_slack_seconds=_DAY, same=(_ALLOWANCE,), apart=True,
    )  # fmt: skip


FREE_BY_DAY, PAID_BY_DAY = _by_day("subscription_by_day"), _by_day("subscription_by_day_paid")
