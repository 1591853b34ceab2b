"""What an event from outside may hold: everything else is refused, with the reason, before anything is added up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from outlay.config import check_name, suggestion
from outlay.errors import ConfigError
from outlay.meter.ingest import EARLY, LATE_DAYS
from outlay.model.facts import Limit
from outlay.model.metering import METERS, MeterEvent

QUANTITY_MAX = Decimal(10) ** 10
"""The most of anything that one call can use, or cost: what is larger is a mistake in its unit."""
TEXT_MAX = 200
ID_MAX = 600
TAGS_MAX = 16
LIMITS_MAX = 64
_FIGURE_MAX = Decimal(10) ** 19
_DETAILS_MAX = 2000
_LATE = timedelta(days=LATE_DAYS - 1)
_FIRST = datetime(2015, 1, 1, tzinfo=UTC)


class Rejected(NamedTuple):
    """An event that is not taken, by its place among those that came with it."""

    place: int
    code: str
    says: str


class RejectedError(ValueError):
    """Say why one event is not taken; `code` is stable."""

    def __init__(self, says: str, code: str = "event_invalid") -> None:
        super().__init__(says)
        self.code = code


@cache
def providers() -> frozenset[str]:
    """Return the id of every provider."""
    from outlay.providers import PROVIDERS

    return frozenset(provider.id for provider in PROVIDERS)


def check(event: MeterEvent, now: datetime, *, any_age: bool = False) -> MeterEvent:
    """Return an event that may be taken. Raises: RejectedError."""
    if not event.id or len(event.id) > ID_MAX:
        raise RejectedError("the id is empty or too long")
    if event.provider not in providers():
        hint = suggestion(event.provider[:TEXT_MAX], sorted(providers()), otherwise="`outlay providers` lists them.")
        raise RejectedError(f"there is no provider {event.provider[:TEXT_MAX]!r}. {hint}", "provider_unknown")
    _check_time(event.at, now, any_age=any_age)
    _check_text("model", event.model)
    _check_text("service_tier", event.service_tier)
    _check_text("operation", event.operation)
    if event.connection is not None:
        try:
            check_name(event.connection)
        except ConfigError as error:
            raise RejectedError(f"{error.message}. {error.hint}") from None
    if event.context_tokens is not None and not 0 <= event.context_tokens <= QUANTITY_MAX:
        raise RejectedError("context_tokens is no number of tokens")
    _check_limits(event.limits)
    _check_amounts(event)
    _check_tags(event.tags)
    return event


def _check_time(at: datetime, now: datetime, *, any_age: bool) -> None:
    if at.tzinfo is None:
        raise RejectedError("the time has no zone")
    if at > now + EARLY:
        raise RejectedError(f"{at:%Y-%m-%dT%H:%MZ} is in the future", "event_early")
    if at < (_FIRST if any_age else now - _LATE):
        raise RejectedError(
            f"{at:%Y-%m-%d} is more than {LATE_DAYS - 1} days ago, when it can no longer be told whether it was taken "
            "before; import it from a file",
            "event_late",
        )


def _check_text(name: str, text: str | None) -> None:
    if text is not None and (not text or len(text) > TEXT_MAX or not text.isprintable()):
        raise RejectedError(f"{name} is empty, longer than {TEXT_MAX} or holds unprintable characters")


def _check_amounts(event: MeterEvent) -> None:
    if not event.quantities and event.cost is None and not event.limits:
        raise RejectedError("it states no quantity, no cost and no limit")
    for meter, quantity in event.quantities.items():
        if meter not in METERS:
            hint = suggestion(meter[:TEXT_MAX], sorted(METERS), otherwise=f"Known: {', '.join(METERS)}.")
            raise RejectedError(f"there is no meter {meter[:TEXT_MAX]!r}. {hint}", "meter_unknown")
        if not quantity.is_finite() or not 0 <= quantity <= QUANTITY_MAX:
            raise RejectedError(f"{meter} is not a number from 0 to {QUANTITY_MAX:f}", "quantity_refused")
    for meter, quantity in event.quantities.items():
        whole = METERS[meter].inside
        if whole is not None and quantity > event.quantities.get(whole, quantity):
            raise RejectedError(f"{meter} is more than the {whole} that hold it", "parts_exceed_whole")
    if event.cost is not None and abs(event.cost.amount) > QUANTITY_MAX:
        raise RejectedError("the cost of one call cannot be so much", "amount_refused")


def _check_limits(limits: Sequence[Limit]) -> None:
    if len(limits) > LIMITS_MAX:
        raise RejectedError(f"more than {LIMITS_MAX} limits")
    for limit in limits:
        for name in ("name", "scope", "unit", "window", "model", "sub_account_id"):
            _check_text(f"a limit's {name}", getattr(limit, name))
        for name in ("quota", "used", "remaining"):
            figure = getattr(limit, name)
            if figure is not None and not (figure.is_finite() and abs(figure) < _FIGURE_MAX):
                raise RejectedError(f"a limit's {name} is no number the ledger can hold", "quantity_refused")
        if limit.details is not None and len(repr(limit.details)) > _DETAILS_MAX:
            raise RejectedError("a limit's details are too long")


def _check_tags(tags: dict[str, str] | None) -> None:
    if tags and len(tags) > TAGS_MAX:
        raise RejectedError(f"more than {TAGS_MAX} tags")
    for name, value in (tags or {}).items():
        if not name or len(name) > TEXT_MAX or len(value) > TEXT_MAX or not (name + value).isprintable():
            raise RejectedError(f"a tag is empty, longer than {TEXT_MAX} or holds unprintable characters")
