"""The closed set of words a provider is described in.

A provider is a frozen description and pure functions. It knows nothing of sockets, clocks or tables: `outlay.wire`
interprets windows, pages and auth; `outlay.sync` plans and commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from outlay.model.facts import Fact
from outlay.model.period import Period
from outlay.model.problem import Problem

Page = TypeVar("Page")


# ── What is asked ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Ask:
    """What one answer was asked for: everything a mapping may know besides the page itself."""

    dataset: str
    period: Period
    """The window of the request, which may span several partitions."""
    options: Mapping[str, str]
    observed_at: datetime
    item: str | None = None
    """The id of the fan-out item the request was made for."""


# ── Windows: how a span of time is asked for ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class EpochWindow:
    """Send start and exclusive end as Unix times."""

    start: str
    end: str
    days_max: int = 366
    """The longest span one request may ask for."""
    per_second: int = 1
    """1000 where the vendor counts milliseconds."""
    by_month: bool = False
    """One request a calendar month, whatever `days_max` says."""


@dataclass(frozen=True, slots=True)
class IsoWindow:
    """Send start and exclusive end as RFC 3339 times at midnight UTC."""

    start: str
    end: str
    """Empty where the answer always reaches to this moment: then only the start is sent."""
    days_max: int = 366


@dataclass(frozen=True, slots=True)
class DayText:
    """Send one UTC day as `YYYY-MM-DD`; one request a day."""

    name: str
    days_max: int = 1


@dataclass(frozen=True, slots=True)
class DayParts:
    """Send one UTC day as separate integers; one request a day."""

    year: str = "year"
    month: str = "month"
    day: str = "day"
    days_max: int = 1


@dataclass(frozen=True, slots=True)
class MonthParts:
    """Send one UTC month as separate integers; one request a month."""

    year: str = "year"
    month: str = "month"
    days_max: int = 31


@dataclass(frozen=True, slots=True)
class NoWindow:
    """Send no time: the answer is the state at this moment."""

    days_max: int = 1


Window = EpochWindow | IsoWindow | DayText | DayParts | MonthParts | NoWindow


# ── Pages: how an answer goes on ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class One:
    """The first answer is the whole answer."""

    pages_max: int = 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """Send back an opaque cursor read from a field of the page.

    `more` names a boolean field that says whether to go on; without it a null cursor is the end. A page that says
    there is more and gives no cursor, or a cursor seen before, is an error and never an end.
    """

    send: str
    read: str
    more: str | None = None
    pages_max: int = 10_000


@dataclass(frozen=True, slots=True)
class AfterId:
    """Send the id of the last row, read from `read`, until `more` is false."""

    send: str
    read: str = "last_id"
    more: str = "has_more"
    pages_max: int = 10_000


@dataclass(frozen=True, slots=True)
class PageNumber:
    """Count pages from 1 until `more` is false or absent."""

    send: str
    more: str
    pages_max: int = 1_000


@dataclass(frozen=True, slots=True)
class JsonApi:
    """Count pages from 1 until the one that `last` names; `current` says which one an answer is.

    An answer that is another page than the one asked for is an error, so that no page is read twice or left out.
    """

    send: str = "page[number]"
    current: str = "meta.page.current_page"
    last: str = "meta.page.last_page"
    pages_max: int = 10_000


Pages = One | Cursor | AfterId | PageNumber | JsonApi


# ── Auth ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Bearer:
    """Send `Authorization: Bearer <credential>`."""


@dataclass(frozen=True, slots=True)
class Header:
    """Send the credential in a header of its own; credentials with one of `bearer_prefixes` go as a bearer token."""

    name: str
    bearer_prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ByOption:
    """Carry the credential one way where a connection sets an option, and another way where it does not."""

    option: str
    then: Bearer | Header
    otherwise: Bearer | Header


Auth = Bearer | Header | ByOption


# ── Documents ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, eq=False)
class GraphQL:
    """Ask with a GraphQL query: window, fan-out item and page are written into its variables.

    An answer of status 200 whose `errors` is not empty is a refusal, however much data came with it: refusals of
    status 200 are matched against `errors` alone.
    """

    document: str
    """One query operation. Raises: ValueError for anything that could write."""
    variables: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    """Variables that are filled from the provider's `variables`."""

    def __post_init__(self) -> None:
        if not self.document.lstrip().startswith("query") or "mutation" in self.document:
            raise ValueError("a GraphQL document here is one query and nothing else")


# ── Quotas and refusals ──────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `requests` in any `seconds`, as the vendor documents it."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class QuotaHeaders:
    """The headers in which the vendor says what is left; `reset` is Unix seconds, seconds from now or a time.

    `policies` is the structured form in which one header names several quotas, `"api";r=0;t=12`: `remaining` and
    `reset` are then both that header's name.
    """

    remaining: str
    reset: str
    reset_form: str = "epoch"
    """`epoch`, `seconds`, `time` or `policies`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a vendor's own way of saying no means.

    Matched in order: `status`, then `contains` in the body's text without regard to case. `means` is the `code` of the
    error in `outlay.errors` (`access_denied`, `permission_missing`, `not_offered`, `out_of_quota`, `retry_later`,
    `gone`, `request_refused`) or `empty`: a complete answer without rows.
    """

    status: int
    means: str
    contains: str = ""
    header: str = ""
    """Also require this response header to be present (`name`) or to have a value (`name: value`)."""
    hint: str | None = None


# ── Datasets ─────────────────────────────────────────────────────────────────────────────────────────────────────


PAIR = " · "


@dataclass(frozen=True, slots=True)
class FanOut:
    """Ask once for every known name of a kind, as a path variable or a query parameter."""

    kind: str
    """The `Name.kind` whose ids are asked for one by one."""
    parameter: str
    place: str = "path"
    """`path` or `query`; what is sent in the query goes into the body of an endpoint that has one."""
    states: tuple[str, ...] = ("active",)
    also_without: bool = False
    """Ask once without the parameter too."""
    only_with: str | None = None
    """The option whose being set makes it necessary; without that option one request covers everything."""
    within: FanOut | None = None
    """Ask once for every pair of an id of this other kind and one of this; `Ask.item` is both, joined by `PAIR`."""

    def items(self, ids: Callable[[FanOut], Iterable[str]]) -> list[str | None]:
        """Return what is asked for one by one, where `ids` tells the ids of a fan-out's kind."""
        if self.within is not None:
            return [f"{outer}{PAIR}{inner}" for outer in ids(self.within) for inner in ids(self)]
        return [None, *ids(self)] if self.also_without else [*ids(self)]

    def parts(self, item: str) -> list[tuple[FanOut, str]]:
        """Return which id of an item is whose."""
        if self.within is None:
            return [(self, item)]
        outer, _, inner = item.partition(PAIR)
        return [(self.within, outer), (self, inner)]

    def applies(self, options: Mapping[str, str]) -> bool:
        """Tell whether a connection with these options asks one by one."""
        return self.only_with is None or bool(options.get(self.only_with))


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint(Generic[Page]):
    """One way to get a dataset over HTTP.

    Keep each a module constant, so that `facts` is checked against `page`.
    """

    name: str
    path: str
    """Begins with "/"; `{variable}` is filled from the provider's `variables` and the fan-out item."""
    page: type[Page]
    facts: Callable[[Page, Ask], Iterable[Fact | Problem]]
    window: Window = NoWindow()
    pages: Pages = One()
    query: Mapping[str, str | int | tuple[str, ...]] = field(default_factory=dict)
    """A tuple is sent as repeated `name` parameters; write the brackets into the name where the vendor wants them."""
    query_options: Mapping[str, str] = field(default_factory=dict)
    """Parameters whose values the connection's options give, parameter to option; one that is not set is not sent."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | GraphQL | None = None
    """A JSON document makes it a POST request that only reads: window, fan-out item and page are written into it, where
    a dotted name is a field of an object within. Windows write numbers where the query would carry digits."""
    each: FanOut | None = None
    refusals: tuple[Refusal, ...] = ()
    rates: tuple[Rate, ...] = ()
    """Quotas of this endpoint alone, kept beside the provider's."""
    since: date | None = None
    """The first day this endpoint can answer for."""
    until: date | None = None
    """The first day it can no longer answer for."""
    lookback_days: int | None = None
    """How many days before today it still answers for."""
    page_days: int | None = None
    """How many days one page holds, where the vendor pages by day: gaps are bridged when that saves pages."""
    oldest: Callable[[Page], datetime | None] | None = None
    """Return the time of a page's oldest row, where the vendor lists the newest first and knows no window: pages end
    with the one that reaches back before the window."""
    ordered: bool = False
    """The vendor documents oldest first: a day is whole as soon as a later one appears, and memory stays flat."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One stream a connection offers, by one or several endpoints of which one is used per partition.

    `endpoints` are in order of preference: the first that can answer for a day is asked; where it turns out not to be
    offered, the next one is. A partition is replaced whole, so two generations of an interface never stand side by
    side for one day.
    """

    name: str
    title: str
    yields: tuple[type, ...]
    endpoints: tuple[Endpoint[Any], ...]
    grain: str = "day"
    """`day`, `month`, `reading` (the state now, one partition a day) or `names` (merged into what is known)."""
    horizon_days: int = 3
    """How many days back the vendor still changes what it said."""
    closing_days: int = 0
    """Until this many days of a month are over, the whole month before is asked for again."""
    lookback_days: int | None = None
    """How far back the first sync may go where that is less than the default."""
    when: Callable[[Mapping[str, str]], bool] | None = None
    """Whether the dataset exists for these options; None means always."""
    default: bool = True
    """Whether it is synced when the connection names no datasets."""
    keep_hours: int = 0
    """How long names or a reading are not asked for again, where the vendor wants them asked for rarely."""
    optional: bool = False
    """An account may well lack it: that it is not offered is then a note, even where it would yield charges."""
    repeats: str = "refuse"
    """What two facts with one natural key mean: `refuse` (a defect of the answer), `add` (charges and usages) or
    `latest` (one row told twice, because the list moved on while its pages were read: what was told last counts)."""
    order: int = 1
    """Lower is fetched first; names that others fan out over are 0."""


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Import:
    """A file the user downloads from the vendor: told by its name and first bytes, then turned into facts.

    A ZIP is opened by the importer, within bounds, and each file in it is offered by itself: both functions see the
    plain content and never an archive. `extract` is pure, yields the file's facts in its order, says every row it
    cannot read as a `Problem`, and never lets a key through. A fact's own period is the partition it replaces, so
    importing a file twice, or a longer file that holds it, changes nothing.
    """

    dataset: str
    """The dataset the facts stand in; apart from those that are synced, so neither replaces the other."""
    title: str
    """What the file is, in the vendor's words."""
    where: str
    """Where the vendor offers it, in a sentence."""
    yields: tuple[type, ...]
    identify: Callable[[str, bytes], bool]
    """Tell whether a file is of this form by its name (no folders) and its first `HEAD_BYTES`."""
    extract: Callable[[bytes], Iterable[Fact | Problem]]
    repeats: str = "refuse"
    """What two facts with one natural key mean: `refuse` (a defect of the file) or `add` (charges and usages)."""


HEAD_BYTES = 4096
"""How much of a file `Import.identify` is shown."""


# ── Providers ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Service:
    """Where a service name stands in FOCUS."""

    category: str
    subcategory: str


@dataclass(frozen=True, slots=True)
class Option:
    """A provider option of a connection."""

    name: str
    help: str
    required: bool = False
    one_of: str | None = None
    """Options that share this word exclude each other, and one of them is required."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """A kind of credential, told by its first characters."""

    prefix: str
    title: str
    usable: bool
    more_than_read: bool = False
    """Whether such a key can also change things, which `doctor` warns about."""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider offers of one capability: how, and what to know or do instead."""

    how: str
    """`api`, `headers`, `export`, `entered` or `none`."""
    note: str = ""


CAPABILITIES = ("cost", "usage", "limits", "balance", "invoices", "budgets", "revenue", "writes")


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """A vendor Outlay knows, from which the plan, the commands and the documentation derive."""

    id: str
    title: str
    """The name FOCUS columns carry (ProviderName, ServiceProviderName, InvoiceIssuerName)."""
    base_url: str
    auth: Auth
    environment: tuple[str, ...]
    """Environment variables `outlay init` looks for, best first."""
    key_help: str
    """How to get the right key, in a sentence or two."""
    keys: tuple[KeyKind, ...]
    datasets: tuple[Dataset, ...]
    services: Mapping[str, Service]
    offers: Mapping[str, Offer]
    sources: tuple[str, ...]
    account_type: str = "Organization"
    sub_account_type: str = "Project"
    imports: tuple[Import, ...] = ()
    """The files of this vendor that `outlay import` understands."""
    options: tuple[Option, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    header_options: Mapping[str, str] = field(default_factory=dict)
    """Headers whose values the connection's options give, header to option; one that is not set is not sent."""
    rates: tuple[Rate, ...] = (Rate(10, 1),)
    concurrency: int = 4
    quota_headers: QuotaHeaders | None = None
    refusals: tuple[Refusal, ...] = ()
    request_id_header: str = "x-request-id"
    variables: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda options: options
    """Turn a connection's options into path variables."""
    account: Callable[[Mapping[str, str]], str | None] = lambda _options: None
    """Return the native id of the billing account where the options name it."""
    default_service: Service = Service("Other", "Other (Other)")
    """Stands in for a service name that `services` does not list."""

    def service(self, name: str) -> Service:
        """Return where a service name stands in FOCUS."""
        return self.services.get(name, self.default_service)

    def dataset(self, name: str) -> Dataset:
        """Return the dataset of that name. Raises: KeyError."""
        found = {dataset.name: dataset for dataset in self.datasets}
        return found[name]
