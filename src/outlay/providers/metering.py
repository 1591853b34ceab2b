"""The words in which a provider says how its answers are metered where they are received: counts and headers only.

`outlay.meter` watches a client's answers, finds the vendor by host and path, and hands what is declared here to `read`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from outlay.model.basis import Basis
from outlay.model.facts import Limit
from outlay.model.money import Money


class Seen(Struct, frozen=True):
    """One finished answer, without its content.

    `documents` are the JSON objects that hold figures: the body itself, or those events of a stream that name one of
    `Metered.marks` or are among its last `Metered.tail_bytes`, each once, oldest first. `headers` are those of
    `Metered.headers_read` that came, in lower case.
    """

    status: int
    headers: Mapping[str, str]
    documents: tuple[bytes, ...]
    observed_at: datetime
    model: str | None = None
    """What the request named, where the answer names none."""
    complete: bool = True
    """False where the program left the answer, or the connection broke, before its end."""

    @property
    def done(self) -> bool:
        """Return whether the vendor did what was asked: only that can be billed."""
        return 200 <= self.status < 300  # noqa: PLR2004


UNCOUNTED: Mapping[str, Decimal] = {"requests": Decimal(1), "uncounted_requests": Decimal(1)}
"""The quantities of a call that was made and did not tell what it used."""


class Counted(Struct, frozen=True):
    """What one answer used: none where nothing of it is billed."""

    quantities: Mapping[str, Decimal]
    """By the names of `outlay.model.metering.METERS`."""
    model: str | None = None
    service_tier: str | None = None
    context_tokens: int | None = None
    cost: Money | None = None
    """The vendor's own price of the call, where its answer states one."""


def _no_limits(_seen: Seen) -> Iterable[Limit]:
    return ()


class Metered(Struct, frozen=True):
    """One kind of call: which paths it has and how its answer is read, by pure functions."""

    operation: str
    path: str
    """A regular expression that the whole path fits, without the query; prefixes of proxies are allowed before it.

    A group named `model` is what the path says of the model.
    """
    read: Callable[[Seen], Iterable[Counted]]
    """Yield what a call used: several where one call used several models. A failed call is shown too.

    Raises: ValueError, msgspec.MsgspecError for documents that cannot be read; they are counted and swallowed.
    """
    limits: Callable[[Seen], Iterable[Limit]] = _no_limits
    headers_read: tuple[str, ...] = ()
    marks: tuple[bytes, ...] = (b'"usage"',)
    """A stream's event is kept when one of these stands in it; all others pass by unread."""
    tail_bytes: int = 0
    """So much of a stream's end is kept besides, as whole events, where figures come in pieces: never stored, and gone
    once `read` has seen it."""
    method: str = "POST"
    model_field: str | None = None
    """The field of the request, a JSON object or a form, that names the model where no answer does."""


class MonthlyCredit(Struct, frozen=True):
    """What the vendor takes off each month's bill and tells nowhere: estimated, and never more than the month costs."""

    amount: Money
    option: str
    """The connection's option that gives another amount; 0 for none."""


class Metering(Struct, frozen=True):
    """How a provider's answers are metered."""

    hosts: tuple[str, ...]
    """Hosts whose answers are this vendor's; a leading dot stands for any subdomain."""
    calls: tuple[Metered, ...]
    service_name: str
    """The FOCUS service of what is metered: that of the vendor's billed charges, so that both can be compared."""
    usage_dataset: str | None = None
    """The dataset in which the vendor's own API tells the same usage: what is metered is a part of it, never added."""
    services: Mapping[str, str] = {}
    """Operations of another service than `service_name`: their costs are known in another way and stand apart."""
    basis: Basis = Basis.PRICED
    """How charges made of counts and prices are known: `estimated` where nobody but the user's side counts."""
    credit: MonthlyCredit | None = None
    dated: str | None = None
    """What stands behind a model's own id in its dated ids, as a regular expression; None where no id has a date.

    Calls and bills may name a model by either: see `outlay.analysis.billed_models`.
    """
