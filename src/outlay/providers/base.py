"""The closed set of words a provider is described in.

A provider is a frozen description and pure functions. It knows nothing of sockets, clocks or tables: `outlay.wire`
interprets windows, pages and auth; `outlay.sync` plans and commits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from outlay.model.facts import Fact
from outlay.model.problem import Problem
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
from outlay.providers.datasets import (
    PAIR,
    Ask,
    Changed,
    Changes,
    Dataset,
    Endpoint,
    Estimate,
    FanOut,
    Follow,
    Page,
    Talk,
)
from outlay.providers.differences import Difference
from outlay.providers.metering import Metering

__all__ = [
    "CAPABILITIES",
    "HEAD_BYTES",
    "PAIR",
    "AfterId",
    "Ask",
    "Auth",
    "Bearer",
    "ByOption",
    "Changed",
    "Changes",
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
    "Talk",
    "Window",
]


# ── Files ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Import(Struct, frozen=True):
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
    apart: bool = False
    """No hour is in two of its lines: days of another time zone are refused where they cut across those that stand."""
    repeats: str = "refuse"
    """What two facts with one natural key mean: `refuse` (a defect of the file) or `add` (charges and usages)."""


HEAD_BYTES = 4096
"""How much of a file `Import.identify` is shown."""


# ── Providers ────────────────────────────────────────────────────────────────────────────────────────────────────


class Service(Struct, frozen=True):
    """Where a service name stands in FOCUS."""

    category: str
    subcategory: str


_OTHER = Service("Other", "Other (Other)")


class Option(Struct, frozen=True):
    """A provider option of a connection."""

    name: str
    help: str
    required: bool = False
    one_of: str | None = None
    """Options that share this word exclude each other, and one of them is required."""
    choices: tuple[str, ...] = ()
    """The only values it takes; none: any."""


class KeyKind(Struct, frozen=True):
    """A kind of credential, told by its first characters."""

    prefix: str
    title: str
    usable: bool
    more_than_read: bool = False
    """Whether such a key can also change things, which `doctor` warns about."""
    sandbox: bool = False
    """Whether it opens a world of invented money, which no ledger takes beside the real one of the same vendor."""
    hint: str = ""


class Offer(Struct, frozen=True):
    """What a provider offers of one capability: how, and what to know or do instead."""

    how: str
    """`api`, `headers`, `export`, `entered` or `none`."""
    note: str = ""


CAPABILITIES = ("cost", "usage", "limits", "balance", "invoices", "budgets", "revenue", "writes")


class Provider(Struct, frozen=True, eq=False):
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
    headers: Mapping[str, str] = {}
    header_options: Mapping[str, str] = {}
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
    default_service: Service = _OTHER
    """Stands in for a service name that `services` does not list."""

    def key_kind(self, secret: str) -> KeyKind | None:
        """Return the kind of key a secret is by its first characters, None where they say nothing."""
        fitting = [kind for kind in self.keys if secret.startswith(kind.prefix)]
        return max(fitting, key=lambda kind: len(kind.prefix), default=None)

    def service(self, name: str) -> Service:
        """Return where a service name stands in FOCUS."""
        return self.services.get(name, self.default_service)

    @property
    def all_datasets(self) -> tuple[Dataset, ...]:
        """Return the datasets that are asked for and those that are worked out from them."""
        return (*self.datasets, *(estimate.dataset for estimate in self.estimates))

    def dataset(self, name: str) -> Dataset:
        """Return the dataset of that name. Raises: KeyError."""
        found = {dataset.name: dataset for dataset in self.datasets}
        return found[name]
