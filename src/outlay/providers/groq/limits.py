"""Groq's rate limits: from the headers of any answer, and from the words of a refusal.

Requests are counted by the day and tokens by the minute; a reset is a span of time from now, written as in Go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

import msgspec
from msgspec import Struct

from outlay.model.facts import Limit, LimitBasis, LimitKind
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Endpoint, Refusal
from outlay.providers.ratelimits import of_model

PROBE = "probe"
_WINDOWS = {"requests": "1 day", "tokens": "1 minute"}
HEADERS = tuple(f"x-ratelimit-{part}-{unit}" for unit in _WINDOWS for part in ("limit", "remaining", "reset"))
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {
    "ns": Decimal("1e-9"), "us": Decimal("1e-6"), "µs": Decimal("1e-6"), "ms": Decimal("1e-3"), "s": Decimal(1),
    "m": Decimal(60), "h": Decimal(3600),
}  # fmt: skip
_DURATION_MAX = Decimal(366 * 86_400)
_WHOLE = re.compile(r"\d{1,18}")
_SAID = re.compile(r"for model `(?P<model>[^`]+)`.*?\((?P<kind>[A-Z]{3,4})\): Limit (?P<limit>\d+), Used (?P<used>\d+)")
_KINDS = {
    "RPM": ("requests", "1 minute"), "RPD": ("requests", "1 day"), "TPM": ("tokens", "1 minute"),
    "TPD": ("tokens", "1 day"), "ITPM": ("input_tokens", "1 minute"), "OTPM": ("output_tokens", "1 minute"),
    "ASH": ("audio_seconds", "1 hour"), "ASD": ("audio_seconds", "1 day"),
}  # fmt: skip


def duration(text: str) -> timedelta | None:
    """Return a span such as `2m59.56s`, `59ms` or `1h2m3.5s`. Null: anything else."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return None
    seconds = sum((Decimal(number) * _SECONDS[unit] for number, unit in parts), Decimal(0))
    return timedelta(microseconds=int(seconds * 1_000_000)) if seconds <= _DURATION_MAX else None


def header_limits(headers: Mapping[str, str], observed_at: datetime, model: str | None) -> Iterator[Limit]:
    """Turn an answer's headers into limits of its model.

    Units:  requests of a day, tokens of a minute; cached tokens do not count.
    Null:   a reading whose parts are missing or do not fit together is left out.
    Source: https://console.groq.com/docs/rate-limits
    """
    for unit, window in _WINDOWS.items():
        quota, remaining = (_count(headers.get(f"x-ratelimit-{part}-{unit}", "")) for part in ("limit", "remaining"))
        if quota is None or remaining is None:
            continue
        passes = duration(headers.get(f"x-ratelimit-reset-{unit}", ""))
        yield Limit(
            name=of_model(f"{unit} per {window.removeprefix('1 ')}", model),
            scope="organization",
            kind=LimitKind.RATE,
            unit=unit,
            quota=quota,
            used=max(quota - remaining, Decimal(0)),
            remaining=remaining,
            window=window,
            resets_at=None if passes is None else observed_at + passes,
            basis=LimitBasis.HEADER,
            model=model,
            enforced=True,
        )


def said_limits(message: str, told: Iterable[Limit] = ()) -> Iterator[Limit]:
    """Turn the words of a 429 into the limit that was met, where `told` do not hold it: some have no header at all."""
    found = _SAID.search(message)
    if found is None or found["kind"] not in _KINDS:
        return
    unit, window = _KINDS[found["kind"]]
    if any((limit.unit, limit.window) == (unit, window) for limit in told):
        return
    quota, used = Decimal(found["limit"]), Decimal(found["used"])
    yield Limit(
        name=of_model(f"{unit.replace('_', ' ')} per {window.removeprefix('1 ')}", found["model"]),
        scope="organization",
        kind=LimitKind.RATE,
        unit="seconds" if unit == "audio_seconds" else "tokens" if unit.endswith("tokens") else unit,
        quota=quota,
        used=used,
        remaining=max(quota - used, Decimal(0)),
        window=window,
        model=found["model"],
        enforced=True,
    )


def _count(text: str) -> Decimal | None:
    return Decimal(text.strip()) if _WHOLE.fullmatch(text.strip()) else None


class Said(Struct, gc=False, omit_defaults=True):
    """Why a request was refused."""

    message: str = ""
    code: str | None = None


class ProbePage(Struct, gc=False, omit_defaults=True):
    """What is read of a completion, or of the refusal of one: never what the model said."""

    error: Said | None = None


def probe(page: ProbePage, ask: Ask) -> Iterator[Limit | Problem]:
    """Turn the headers of the probe's answer into limits of the model it named."""
    told = list(header_limits(ask.headers, ask.observed_at, ask.options.get(PROBE)))
    told += said_limits(page.error.message, told) if page.error else ()
    yield from told
    if not told:
        yield Problem(code="measure_missing", says="the answer states no rate limits that can be read",
                      where="rate_limits", severity=Severity.WARNING)  # fmt: skip


def error_message(document: bytes) -> str:
    """Return the message of an error's body, empty where it has none. Raises: msgspec.MsgspecError."""
    page = msgspec.json.decode(document, type=ProbePage)
    return page.error.message if page.error else ""


COMPLETION: Endpoint[ProbePage] = Endpoint(
    name="rate_limits",
    path="/openai/v1/chat/completions",
    body={"model": "", "messages": ({"role": "user", "content": "1"},), "max_completion_tokens": 1},
    body_options={"model": PROBE},
    page=ProbePage,
    facts=probe,
    headers_read=HEADERS,
    keep_whole=False,
    refusals=(
        Refusal(429, "answer"),
        Refusal(404, "request_refused", hint="The option `probe` must name a model that the key may call."),
        Refusal(413, "request_refused", hint="The model's limit on tokens is smaller than the least request."),
    ),
)
