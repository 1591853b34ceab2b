"""Hugging Face's gauges at this moment: storage, what the period has used so far, and the request quotas.

They come as the first whole event of a stream that never ends. A gauge is a reading: what it says of inference and jobs
stands in the totals by day, and is never added to them. No one has described the event's shape, so that a gauge that
fits none is left out and told, and the others stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import msgspec
from msgspec import Raw, Struct

from outlay.model.facts import Limit, LimitBasis, LimitKind
from outlay.model.money import exact
from outlay.model.period import parse_time
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Endpoint, Stream
from outlay.providers.huggingface.totals import CURRENCY, EACH, NO_ROLE, UPDATE, money

_NANO, _MICRO = -9, -6
_BUCKET = re.compile(r'"([^"]{1,64})"((?:\s*;\s*\w+=[^;,"]*)+)')
_POLICY = re.compile(r'"[^"]*"\s*;\s*"([^"]{1,64})"((?:\s*;\s*\w+=[^;,"]*)+)')
_NUMBER = re.compile(r"(\w+)=(\d{1,12})\b")


class Gauge(Struct, rename="camel", gc=False):
    """Inference or jobs of a period that may be another one for each; a limit of 0 and an absent one are none."""

    used_nano_usd: Decimal | None = None
    included_nano_usd: Decimal | None = None
    limit_nano_usd: Decimal | None = None
    used_micro_usd: Decimal | None = None
    period_start: str | None = None
    period_end: str | None = None


class Storage(Struct, rename="camel", gc=False):
    """Bytes that are stored, apart by who may see them, and how many may be."""

    used_private: Decimal | None = None
    used_public: Decimal | None = None
    private_storage_limit: Decimal | None = None
    public_storage_limit: Decimal | None = None


class Live(Struct, gc=False):
    """One event; a gauge may be missing."""

    inference: Raw = Raw(b"null")
    jobs: Raw = Raw(b"null")
    storage: Raw = Raw(b"null")


def gauges(page: Live, ask: Ask) -> Iterator[Limit | Problem]:
    """Turn an event's gauges into ceilings with what is used of them.

    Units:  inference in billionths, jobs in millionths of a dollar; storage in bytes.
    Null:   a gauge that is missing yields nothing, one of a period that has ended is left out and told; jobs have no
            ceiling that is told.
    Source: https://huggingface.co/.well-known/openapi.json
    """
    for name, raw in (("inference", page.inference), ("jobs", page.jobs), ("storage", page.storage)):
        if bytes(raw) == b"null":
            continue
        try:
            if name == "storage":
                yield from _storage(msgspec.json.decode(raw, type=Storage), ask)
            else:
                gauge = msgspec.json.decode(raw, type=Gauge)
                yield from [_ended(name, gauge)] if _is_over(gauge, ask) else _spent(name, gauge, ask)
        except (ValueError, msgspec.ValidationError) as error:
            yield Problem(
                code="amount_refused", says=str(error), where=f"live {name}", hint=UPDATE, severity=Severity.WARNING
            )
    if ask.item is None:
        yield from request_quotas(ask)


def _is_over(gauge: Gauge, ask: Ask) -> bool:
    """Tell whether a gauge is of a period that is no more, or none at all: what it says is then not so at present."""
    if gauge.period_start is None or gauge.period_end is None:
        return False
    return parse_time(gauge.period_end) <= max(ask.observed_at, parse_time(gauge.period_start))


def _ended(name: str, gauge: Gauge) -> Problem:
    return Problem(
        code="period_refused",
        says=f"a gauge is of {gauge.period_start} to {gauge.period_end}, which is not the present",
        where=f"live {name}",
        hint="It is left out; sync again, and look at the billing page if it stays.",
        severity=Severity.WARNING,
    )


def _scope(ask: Ask) -> str:
    return f"organization:{ask.item}" if ask.item else "account"


def _spent(name: str, gauge: Gauge, ask: Ask) -> Iterator[Limit]:
    if gauge.used_nano_usd is not None:
        used = money(gauge.used_nano_usd, _NANO).amount
    elif gauge.used_micro_usd is not None:
        used = money(gauge.used_micro_usd, _MICRO).amount
    else:
        return
    quota = money(gauge.limit_nano_usd, _NANO).amount if gauge.limit_nano_usd else None
    included = gauge.included_nano_usd
    yield Limit(
        name=f"{name}_used",
        scope=_scope(ask),
        kind=LimitKind.SPEND,
        unit=CURRENCY,
        quota=quota,
        used=used,
        remaining=None if quota is None else max(Decimal(0), exact(quota - used)),
        unlimited=name == "inference" and quota is None,
        sub_account_id=ask.item,
        details={
            "periodStart": gauge.period_start,
            "periodEnd": gauge.period_end,
            "includedNanoUsd": None if included is None else format(included, "f"),
        },
    )


def _storage(storage: Storage, ask: Ask) -> Iterator[Limit]:
    for name, used, quota in (
        ("private_storage", storage.used_private, storage.private_storage_limit),
        ("public_storage", storage.used_public, storage.public_storage_limit),
    ):
        if used is None and quota is None:
            continue
        if min(used or 0, quota or 0) < 0:
            raise ValueError(f"{name} is negative")
        yield Limit(
            name=name,
            scope=_scope(ask),
            kind=LimitKind.STORAGE,
            unit="bytes",
            quota=None if quota is None else exact(quota),
            used=None if used is None else exact(used),
            remaining=None if quota is None or used is None else exact(max(Decimal(0), quota - used)),
            sub_account_id=ask.item,
        )


def request_quotas(ask: Ask) -> Iterator[Limit]:
    """Turn the quota headers into a ceiling for each bucket, whatever its name.

    Units:  requests in a fixed window of so many seconds.
    Source: https://huggingface.co/docs/hub/rate-limits
    """
    policies = {name: _numbers(said) for name, said in _POLICY.findall(ask.headers.get("ratelimit-policy", ""))}
    for name, text in _BUCKET.findall(ask.headers.get("ratelimit", "")):
        said, policy = _numbers(text), policies.get(name, {})
        if "r" not in said:
            continue
        quota, left = policy.get("q"), said["r"]
        yield Limit(
            name=f"{name}_requests",
            scope="account",
            kind=LimitKind.RATE,
            unit="requests",
            quota=None if quota is None else Decimal(quota),
            used=None if quota is None else Decimal(max(0, quota - left)),
            remaining=Decimal(left),
            window=_window(policy["w"]) if "w" in policy else None,
            resets_at=ask.observed_at + timedelta(seconds=said["t"]) if "t" in said else None,
            basis=LimitBasis.HEADER,
        )


def _numbers(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in _NUMBER.findall(text)}


def _window(seconds: int) -> str:
    minutes, rest = divmod(seconds, 60)
    if rest or not minutes:
        return f"{seconds} seconds"
    return "1 minute" if minutes == 1 else f"{minutes} minutes"


# The first event may hold less than the later ones: the one that holds inference is whole.
_FIRST_WHOLE = Stream(event="usage", holds="inference", seconds=20, bytes_max=2**20)
_HEADERS = ("ratelimit", "ratelimit-policy")

LIVE = Endpoint(
    name="live", path="/api/settings/billing/usage/live", stream=_FIRST_WHOLE, headers_read=_HEADERS, page=Live,
    facts=gauges,
)  # fmt: skip
ORGANIZATION_LIVE = Endpoint(
    name="organization_live", path="/api/organizations/{name}/billing/usage/live", stream=_FIRST_WHOLE, each=EACH,
    refusals=NO_ROLE, page=Live, facts=gauges,
)  # fmt: skip
