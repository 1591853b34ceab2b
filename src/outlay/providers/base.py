"""The closed set of words a provider is described in.

A provider is a frozen description and pure functions. It knows nothing of sockets, clocks or tables: `outlay.wire`
interprets windows, pages and auth; `outlay.sync` plans and commits.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from outlay.model.facts import Charge, Fact, Revenue
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.model.terms import FeeTerms
from outlay.providers.asking import (
    AfterId,
    Auth,
    Bearer,
    ByOption,
    Cursor,
    DayParts,
    DayText,
    EpochWindow,
    Form,
    GraphQL,
    Header,
    IsoWindow,
    JsonApi,
    MonthParts,
    NoWindow,
    One,
    PageNumber,
    Pages,
    QuotaHeaders,
    Rate,
    Refusal,
    ServiceAccount,
    Step,
    Stream,
    Window,
)
from outlay.providers.differences import Difference
from outlay.providers.metering import Metering

__all__ = [
    "CAPABILITIES",
    "HEAD_BYTES",
    "AfterId",
    "Ask",
    "Auth",
    "Bearer",
    "ByOption",
    "Changed",
    "Cursor",
    "Dataset",
    "DayParts",
    "DayText",
    "Difference",
    "Endpoint",
    "EpochWindow",
    "Estimate",
    "FanOut",
    "Follow",
    "Form",
    "GraphQL",
    "Header",
    "Import",
    "IsoWindow",
    "JsonApi",
    "KeyKind",
    "Metering",
    "MonthParts",
    "NoWindow",
    "Offer",
    "One",
    "Option",
    "Page",
    "PageNumber",
    "Pages",
    "Provider",
    "QuotaHeaders",
    "Rate",
    "Refusal",
    "Service",
    "ServiceAccount",
    "Step",
    "Stream",
    "Window",
]

Page = TypeVar("Page")
_THE_PRESENT = NoWindow()
_ONE_PAGE = One()


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
    headers: Mapping[str, str] = field(default_factory=dict)
    """What came of the headers that the endpoint names in `headers_read`."""
    followed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The pages of the endpoint named in `Endpoint.then`, by the id that each was asked for."""


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
    among: str | None = None
    """The option whose values, where it is set, are the only ids that are asked for, in any case."""
    within: FanOut | None = None
    """Ask once for every pair of an id of this other kind and one of this; `Ask.item` is both, joined by `PAIR`."""
    with_parent: bool = False
    """Tell whose each is: `Ask.item` is the name's parent and its id, joined by `PAIR`, and the id alone is sent."""

    def items(self, ids: Callable[[FanOut], Iterable[str]]) -> list[str | None]:
        """Return what is asked for one by one, where `ids` tells the ids of a fan-out's kind."""
        if self.within is not None:
            return [f"{outer}{PAIR}{inner}" for outer in ids(self.within) for inner in ids(self)]
        return [None, *ids(self)] if self.also_without else [*ids(self)]

    def item(self, id_: str, parent: str | None) -> str:
        """Return what is asked for one name, by its id and its parent's."""
        return f"{parent}{PAIR}{id_}" if self.with_parent and parent else id_

    def parts(self, item: str) -> list[tuple[FanOut, str]]:
        """Return which id of an item is whose."""
        if self.within is None:
            return [(self, item.rpartition(PAIR)[2] if self.with_parent else item)]
        outer, _, inner = item.partition(PAIR)
        return [(self.within, outer), (self, inner)]

    def chosen(self, id_: str, options: Mapping[str, str]) -> bool:
        """Tell whether a connection with these options asks for an id."""
        wanted = {name.strip().lower() for name in options.get(self.among or "", "").split(",") if name.strip()}
        return not wanted or id_.lower() in wanted

    def applies(self, options: Mapping[str, str]) -> bool:
        """Tell whether a connection with these options asks one by one."""
        return self.only_with is None or bool(options.get(self.only_with))


@dataclass(frozen=True, slots=True, eq=False)
class Follow(Generic[Page]):
    """Ask a further endpoint once per id found in a page, before the page is mapped: its pages are `Ask.followed`.

    They belong to the page: where one id cannot be read the page has no facts, and its partitions stay as they were.
    """

    endpoint: Endpoint[Any]
    """Its `each` says where the id stands; its own `facts` are left out, for the first endpoint's take them all in."""
    items: Callable[[Page, Ask], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Changed:
    """What a vendor has changed since it was last asked: the days, and how far it has told, to go on from next time."""

    days: frozenset[date]
    mark: str
    """In the provider's own words; kept only once every one of the days is committed."""


Talk = Callable[[Ask, str], Generator[Step, Any, None]]
"""A conversation about what is asked, under a name of its own: yields requests, is given their decoded answers."""
Changes = Callable[[Ask, str, str | None], Generator[Step, Any, Changed]]
"""A conversation that finds out what has changed since a mark. Null: without a mark everything has."""


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
    host: str = ""
    """Scheme and host where they are others than the provider's; a connection's `base_url` replaces them too."""
    scopes: tuple[str, ...] = ()
    """What a token for it may do, where tokens are minted."""
    talk: Talk | None = None
    """Holds a conversation instead of asking once: a job is started, waited for and read. `path` and `body` are then
    what its main request looks like, and `pages` is not used."""
    window: Window = _THE_PRESENT
    pages: Pages = _ONE_PAGE
    query: Mapping[str, str | int | tuple[str, ...]] = field(default_factory=dict)
    """A tuple is sent as repeated `name` parameters; write the brackets into the name where the vendor wants them."""
    query_options: Mapping[str, str] = field(default_factory=dict)
    """Parameters whose values the connection's options give, parameter to option; one that is not set is not sent."""
    headers: Mapping[str, str] = field(default_factory=dict)
    headers_read: tuple[str, ...] = ()
    """Headers of the answer, in lower case, that its facts are read from; they are kept beside the payload."""
    body: Mapping[str, object] | GraphQL | Form | None = None
    """A form or a JSON document makes it a POST request that only reads: window, fan-out item and page are written into
    it. In a document a dotted name is a field of an object within, and windows write numbers, not digits."""
    body_options: Mapping[str, str] = field(default_factory=dict)
    """Fields of the body whose values the connection's options give, field to option; one not set is left as it is."""
    keep_whole: bool = True
    """Whether answers are kept as they came. False keeps of each only the fields that `page` names, where the rest may
    not be stored: what a model said, what a search found."""
    stream: Stream | None = None
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
    then: Follow[Page] | None = None
    """What else is asked for the ids in each page."""
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
    changes: Changes | None = None
    """Asks the first endpoint's host, before anything is fetched, which days have changed since the last sync: they are
    fetched again beside those that are due."""
    repeats: str = "refuse"
    """What two facts with one natural key mean: `refuse` (a defect of the answer), `add` (charges and usages) or
    `latest` (one row told twice, because the list moved on while its pages were read: what was told last counts)."""
    kinds: tuple[str, ...] = ()
    """The kinds of names it yields, where reading them takes a permission of its own: it is then read along with those
    datasets alone that fan out over one of them. Empty: with every dataset that fans out."""
    differences: tuple[Difference, ...] = ()
    """Which of its readings are counters whose differences tell days."""
    order: int = 1
    """Lower is fetched first; names that others fan out over are 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Charges worked out from revenue in the ledger and the fee terms the user entered, where no endpoint states them.

    They are worked out anew, by day, whenever either changes. A day whose revenue is not known, or for which no terms
    are, has no estimate and is said to be missing; it is no zero.
    """

    dataset: Dataset
    """Where they stand; it has no endpoint."""
    of: tuple[str, ...]
    """The datasets whose revenue they are worked out from."""
    charges: Callable[[date, Sequence[Revenue], Sequence[FeeTerms]], Iterable[Charge]]
    """Return the charges of a day, all with the basis `estimated`. Raises: TermsMissingError."""


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Import:
    """A file the user downloads from the vendor: told by its name and first bytes, then turned into facts.

    A ZIP is opened by the importer, within bounds, and each file in it is offered by itself: both functions see the
    plain content and never an archive. `extract` is pure, yields the file's facts in its order, says every row it
    cannot read as a `Problem`, and never lets a key through. The UTC day a fact begins in is the partition it replaces,
    so importing a file twice, or a longer file that holds it, changes nothing.
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
    choices: tuple[str, ...] = ()
    """The only values it takes; none: any."""


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
    metering: Metering | None = None
    """How its answers are metered where they are received; None where nothing of it is billed per request."""
    estimates: tuple[Estimate, ...] = ()
    """Costs that nothing states and that entered fee terms tell roughly."""
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
    retry_header: str = ""
    """The header whose `true` or `false` says whether to ask again, whatever the status would mean."""
    reason_header: str = ""
    """The header that says why a request was refused."""
    patience: Callable[[bytes, datetime], float | None] = lambda _body, _present: None
    """Return the seconds a refusal's body asks to wait, where no header says it."""
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
