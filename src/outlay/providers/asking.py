"""The words in which a provider says how it is asked: windows, pages, auth, documents, quotas and refusals.

Each has one interpreter in `outlay.wire`. They are imported from `outlay.providers.base`, with all others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

# ── Windows: how a span of time is asked for ─────────────────────────────────────────────────────────────────────


class EpochWindow(Struct, frozen=True):
    """Send start and exclusive end as Unix times."""

    start: str
    end: str
    days_max: int = 366
    """The longest span one request may ask for."""
    per_second: int = 1
    """1000 where the vendor counts milliseconds."""
    by_month: bool = False
    """One request a calendar month, whatever `days_max` says."""
    never_ahead: bool = False
    """Leave the end out while it is still to come: the vendor takes now for it and may refuse a later moment."""


class IsoWindow(Struct, frozen=True):
    """Send start and exclusive end as RFC 3339 times at midnight UTC."""

    start: str
    end: str
    """Empty where the answer always reaches to this moment: then only the start is sent."""
    days_max: int = 366
    days_min: int = 1
    """The shortest span to ask for where a longer one leads up to it; at most half of `days_max`."""


class DayText(Struct, frozen=True):
    """Send one UTC day as `YYYY-MM-DD`; one request a day."""

    name: str
    days_max: int = 1


class DayParts(Struct, frozen=True):
    """Send one UTC day as separate integers; one request a day."""

    year: str = "year"
    month: str = "month"
    day: str = "day"
    days_max: int = 1


class MonthParts(Struct, frozen=True):
    """Send one UTC month as separate integers; one request a month."""

    year: str = "year"
    month: str = "month"
    days_max: int = 31


class NoWindow(Struct, frozen=True):
    """Send no time: the answer is the state at this moment."""

    days_max: int = 1


Window = EpochWindow | IsoWindow | DayText | DayParts | MonthParts | NoWindow


# ── Pages: how an answer goes on ─────────────────────────────────────────────────────────────────────────────────


class One(Struct, frozen=True):
    """The first answer is the whole answer."""

    pages_max: int = 1


class Cursor(Struct, frozen=True):
    """Send back an opaque cursor read from a field of the page.

    `more` names a boolean field that says whether to go on; without it a null cursor is the end. A page that says
    there is more and gives no cursor, or a cursor seen before, is an error and never an end.
    """

    send: str
    read: str
    more: str | None = None
    pages_max: int = 10_000


class AfterId(Struct, frozen=True):
    """Send the id of the last row, read from `read`, until `more` is false."""

    send: str
    read: str = "last_id"
    more: str = "has_more"
    pages_max: int = 10_000


class PageNumber(Struct, frozen=True):
    """Count pages from 1 until `more` is false or absent."""

    send: str
    more: str
    pages_max: int = 1_000


class JsonApi(Struct, frozen=True):
    """Count pages from 1 until the one that `last` names; `current` says which one an answer is.

    An answer that is another page than the one asked for is an error, so that no page is read twice or left out.
    """

    send: str = "page[number]"
    current: str = "meta.page.current_page"
    last: str = "meta.page.last_page"
    pages_max: int = 10_000


Pages = One | Cursor | AfterId | PageNumber | JsonApi


# ── Auth ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Bearer(Struct, frozen=True):
    """Send `Authorization: Bearer <credential>`."""


class Header(Struct, frozen=True):
    """Send the credential in a header of its own; credentials with one of `bearer_prefixes` go as a bearer token."""

    name: str
    bearer_prefixes: tuple[str, ...] = ()


class ByOption(Struct, frozen=True):
    """Carry the credential one way where a connection sets an option, and another way where it does not."""

    option: str
    then: Bearer | Header
    otherwise: Bearer | Header


class ServiceAccount(Struct, frozen=True):
    """Send a bearer token of an hour, minted from a Google credential: a service account's key, or what `adc:` finds.

    A token is minted for the `scopes` of the endpoint that is asked, and never for more. A credential that names its
    own token address is asked for there, any other at `token_url`, whose host a `base_url` replaces.
    """

    token_url: str


Auth = Bearer | Header | ByOption | ServiceAccount


# ── Documents ────────────────────────────────────────────────────────────────────────────────────────────────────


class GraphQL(Struct, frozen=True, eq=False):
    """Ask with a GraphQL query: window, fan-out item and page are written into its variables.

    An answer of status 200 whose `errors` is not empty is a refusal, however much data came with it: refusals of
    status 200 are matched against `errors` alone.
    """

    document: str
    """One query operation. Raises: ValueError for anything that could write."""
    variables: Mapping[str, object] = {}
    options: Mapping[str, str] = {}
    """Variables that are filled from the provider's `variables`."""

    def __post_init__(self) -> None:
        if not self.document.lstrip().startswith("query") or "mutation" in self.document:
            raise ValueError("a GraphQL document here is one query and nothing else")


class Form(Struct, frozen=True, eq=False):
    """Ask with a form (`application/x-www-form-urlencoded`): window, fan-out item and page become fields of it."""

    fields: Mapping[str, str | int | tuple[str, ...]] = {}
    """A tuple is sent as repeated fields; write the brackets of nested names into the name as the vendor wants them."""


class Step(Struct, frozen=True, eq=False):
    """One request of a conversation, and how its answer is decoded."""

    path: str
    """The vendor's own path, its variable parts quoted."""
    answer: type
    params: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, object] | None = None
    """A JSON document makes it a POST request; one that only reads."""
    keep: Callable[[Any], bool] = lambda _answer: False
    """Tell whether an answer is a page of the endpoint: kept, so that it can be mapped again, and mapped."""
    refusals: tuple[Refusal, ...] = ()
    """What a no means here, before what the endpoint and the provider say it means."""
    pause_seconds: float = 0.0
    """How long to wait before it is sent: the vendor is still at work."""


# ── Streams ──────────────────────────────────────────────────────────────────────────────────────────────────────


class Stream(Struct, frozen=True):
    """Read server-sent events until the one that is waited for has come, then close the connection.

    The event's data is the page. A stream that sends none in time asks for patience and is not asked again at once.
    """

    event: str = ""
    """The name of the events that count; empty for any."""
    holds: str = ""
    """A field of the data that is missing from events which are not whole yet."""
    events: int = 1
    """How many that count are awaited; the last is the page."""
    seconds: float = 20.0
    bytes_max: int = 2**20


# ── Quotas and refusals ──────────────────────────────────────────────────────────────────────────────────────────


class Rate(Struct, frozen=True):
    """At most `requests` in any `seconds`, as the vendor documents it."""

    requests: int
    seconds: int


class QuotaHeaders(Struct, frozen=True):
    """The headers in which the vendor says what is left; `reset` is Unix seconds, seconds from now or a time.

    `policies` is the structured form in which one header names several quotas, `"api";r=0;t=12`: `remaining` and
    `reset` are then both that header's name.
    """

    remaining: str
    reset: str
    reset_form: str = "epoch"
    """`epoch` (a written time is read too), `seconds`, `time` or `policies`."""


class Refusal(Struct, frozen=True):
    """What a vendor's own way of saying no means.

    Matched in order: `status`, then `contains` in the body's text without regard to case. `means` is the `code` of the
    error in `outlay.errors` (`access_denied`, `permission_missing`, `not_offered`, `out_of_quota`, `retry_later`,
    `gone`, `request_refused`), `empty`: a complete answer without rows, or `answer`: the body is a page like any other.
    """

    status: int
    means: str
    contains: str = ""
    header: str = ""
    """Also require this response header to be present (`name`) or to have a value (`name: value`)."""
    hint: str | None = None
