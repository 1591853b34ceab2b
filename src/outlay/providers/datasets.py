"""The words in which a provider says what it has: datasets, the endpoints they come from, what else follows from them.

Imported from `outlay.providers.base`, with all others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct

from outlay.model.facts import Charge, Fact, Revenue
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.model.terms import FeeTerms
from outlay.providers.asking import (
    Form,
    GraphQL,
    NoWindow,
    One,
    Pages,
    Rate,
    Refusal,
    Step,
    Stream,
    Window,
)
from outlay.providers.differences import Difference

Page = TypeVar("Page")
_THE_PRESENT = NoWindow()
_ONE_PAGE = One()


# ── What is asked ────────────────────────────────────────────────────────────────────────────────────────────────


class Ask(Struct, frozen=True):
    """What one answer was asked for: everything a mapping may know besides the page itself."""

    dataset: str
    period: Period
    """The window of the request, which may span several partitions."""
    options: Mapping[str, str]
    observed_at: datetime
    item: str | None = None
    """The id of the fan-out item the request was made for."""
    headers: Mapping[str, str] = {}
    """What came of the headers that the endpoint names in `headers_read`."""
    followed: Mapping[str, tuple[Any, ...]] = {}
    """The pages of the endpoint named in `Endpoint.then`, by the id that each was asked for."""


# ── Datasets ─────────────────────────────────────────────────────────────────────────────────────────────────────


PAIR = " · "


class FanOut(Struct, frozen=True):
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


class Follow(Struct, Generic[Page], frozen=True, eq=False):
    """Ask a further endpoint once per id found in a page, before the page is mapped: its pages are `Ask.followed`.

    They belong to the page: where one id cannot be read the page has no facts, and its partitions stay as they were.
    """

    endpoint: Endpoint[Any]
    """Its `each` says where the id stands; its own `facts` are left out, for the first endpoint's take them all in."""
    items: Callable[[Page, Ask], Iterable[str]]


class Changed(Struct, frozen=True):
    """What a vendor has changed since it was last asked: the days, and how far it has told, to go on from next time."""

    days: frozenset[date]
    mark: str
    """In the provider's own words; kept only once every one of the days is committed."""


Talk = Callable[[Ask, str], Generator[Step, Any, None]]
"""A conversation about what is asked, under a name of its own: yields requests, is given their decoded answers."""
Changes = Callable[[Ask, str, str | None], Generator[Step, Any, Changed]]
"""A conversation that finds out what has changed since a mark. Null: without a mark everything has."""


class Endpoint(Struct, Generic[Page], frozen=True, eq=False):
    """One way to get a dataset over HTTP.

    Keep each a module constant, so that `facts` is checked against `page`.
    """

    name: str
    path: str
    """Begins with "/"; `{variable}` is filled from the provider's `variables` and the fan-out item."""
    page: type[Page]
    facts: Callable[[Page, Ask], Iterable[Fact | Problem]]
    window: Window = _THE_PRESENT
    pages: Pages = _ONE_PAGE
    host: str = ""
    """Scheme and host where they are others than the provider's; a connection's `base_url` replaces them too."""
    scopes: tuple[str, ...] = ()
    """What a token for it may do, where tokens are minted."""
    talk: Talk | None = None
    """Holds a conversation instead of asking once: a job is started, waited for and read. `path` and `body` are then
    what its main request looks like, and `pages` is not used."""
    query: Mapping[str, str | int | tuple[str, ...]] = {}
    """A tuple is sent as repeated `name` parameters; write the brackets into the name where the vendor wants them."""
    query_options: Mapping[str, str] = {}
    """Parameters whose values the connection's options give, parameter to option; one that is not set is not sent."""
    headers: Mapping[str, str] = {}
    headers_read: tuple[str, ...] = ()
    """Headers of the answer, in lower case, that its facts are read from; they are kept beside the payload."""
    body: Mapping[str, object] | GraphQL | Form | None = None
    """A form or a JSON document makes it a POST request that only reads: window, fan-out item and page are written into
    it. In a document a dotted name is a field of an object within, and windows write numbers, not digits."""
    body_options: Mapping[str, str] = {}
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


class Dataset(Struct, frozen=True, eq=False):
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
    credited_by: str = ""
    """The dataset that takes something of whole months off these days; where it is synced they are asked for from the
    first of a month on, whatever the first day is."""
    when: Callable[[Mapping[str, str]], bool] | None = None
    """Whether the dataset exists for these options; None means always."""
    default: bool = True
    """Whether it is synced when the connection names no datasets."""
    keep_hours: int = 0
    """How long names or a reading are not asked for again, where the vendor wants them asked for rarely."""
    optional: bool = False
    """An account may well lack it: that it is not offered is then a note, even where it would yield charges."""
    else_in: str = ""
    """The dataset that tells the use of an account which is billed in another way: where that one holds something and
    this one has never held anything, nothing of it is not a cost of nothing."""
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


class Estimate(Struct, frozen=True, eq=False):
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
