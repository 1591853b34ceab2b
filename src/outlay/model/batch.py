"""Partitions, batches and payloads: the units in which truth is fetched, kept and replaced."""

from __future__ import annotations

from datetime import datetime

import msgspec

from outlay.model.facts import Fact
from outlay.model.period import Period

LACKS = "~"
"""Stands in a digest before the error code for which a part is missing."""


class Partition(msgspec.Struct, frozen=True, order=True):
    """The unit that is fetched, checked and replaced whole."""

    connection: str
    dataset: str
    period: Period


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Whose bill a connection reads: what a commit adds to every fact of one connection."""

    connection: str
    provider: str
    account_id: str | None = None
    """The vendor's own id; None where neither the options nor the API name it."""
    account_name: str | None = None


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """One raw answer as it came, secrets removed, with all that is needed to map it again."""

    fetch_id: str
    connection: str
    provider: str
    dataset: str
    endpoint: str
    item: str | None
    window: Period
    """What the request asked for; it may span several partitions."""
    page_number: int
    path: str
    """Path and query, without host and without secrets."""
    status: int
    fetched_at: datetime
    body: bytes
    headers: dict[str, str] | None = None
    """What the endpoint reads of the answer's headers; None where it reads none."""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a partition, ready to be committed; a later batch supersedes it."""

    batch_id: str
    partition: Partition
    provider: str
    endpoint: str
    """Which of the dataset's endpoints answered; for imports and entries, the name of the importer."""
    fetch_id: str | None
    digest: str
    """What it holds, in few characters; behind a `~` the error code for which a part of the partition is missing."""
    observed_at: datetime
    facts: tuple[Fact, ...]
    reason: str = "sync"
    """`sync`, `replay`, `import`, `enter`, `withdraw` or `derive`."""


class Committed(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a partition's present batch without opening the tables."""

    partition: Partition
    batch_id: str
    digest: str
    endpoint: str
    committed_at: datetime
    checked_at: datetime
    """When the vendor last confirmed it, with or without a change."""
    stale_since: datetime | None = None
    """Set when a later fetch failed and this truth was kept."""
    problem: str | None = None
    """The error code of that failure."""

    @property
    def lacks(self) -> str | None:
        """Return the error code for which a part of what it should hold is missing; None where it is whole."""
        return self.digest.partition(LACKS)[2] or None
