"""Take meter events into the ledger: each told once, added up exactly, acknowledged only when it is safe on disk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from outlay.clock import Clock, day_of, system_clock
from outlay.config import Config, check_name
from outlay.errors import ConfigError
from outlay.model.metering import MeterEvent, context_band
from outlay.model.money import exact
from outlay.store import Ledger, metering
from outlay.store.metering import ATTO, NEVER, Added, Group, Reading
from outlay.store.state import State

LATE_DAYS = 35
"""How old an event may be that comes over the network: for so long, and a little longer, its id is remembered."""
_KEEP_DAYS = LATE_DAYS + 2
EARLY = timedelta(hours=25)
"""How far ahead of this machine's clock an event may be."""

_WIDE = Context(prec=60)
Attribution = Callable[[MeterEvent], str]
"""Say which connection an event belongs to."""


class Taken(NamedTuple):
    """How many events were taken, and how many had been before."""

    accepted: int
    duplicates: int

    def __add__(self, other: object) -> Taken:
        """Return both together."""
        if not isinstance(other, Taken):
            return NotImplemented
        return Taken(self.accepted + other.accepted, self.duplicates + other.duplicates)


class Intake:
    """Add events to the state database; every call is one transaction and may come from any thread."""

    def __init__(
        self, to: Ledger | State, attribution: Attribution | None = None, *, clock: Clock = system_clock
    ) -> None:
        self._of = to
        self._attribution = attribution or by_names({})
        self._clock = clock

    @property
    def _state(self) -> State:
        return self._of.state if isinstance(self._of, Ledger) else self._of

    def take(self, events: Sequence[MeterEvent], *, keep: bool = False) -> Taken:
        """Take events, all or none; when it returns they are safe.

        `keep` remembers their ids for good: for events that may be told again at any time, such as those of a file.
        Raises: StoreError, and nothing was taken.
        """
        return self.take_several([events], keep=keep)[0]

    def take_several(self, groups: Sequence[Sequence[MeterEvent]], *, keep: bool = False) -> list[Taken]:
        """Take the events of several senders in one transaction, and tell each how many of its own were accepted."""
        today = day_of(self._clock())
        oldest = datetime(today.year, today.month, today.day, tzinfo=UTC) - timedelta(days=LATE_DAYS)
        until = today.toordinal() + _KEEP_DAYS
        by_id: dict[bytes, MeterEvent] = {}
        ids: list[list[bytes]] = []
        for group in groups:
            own = [_id(event.id) for event in group]
            by_id.update(zip(reversed(own), reversed(group), strict=True))
            ids.append(own)
        forget = {id_: NEVER if keep or event.at < oldest else until for id_, event in by_id.items()}

        def added(fresh: Collection[bytes]) -> Added:
            return self.added(by_id[id_] for id_ in fresh)

        left = set(metering.take(self._state, forget, added))
        return [_counted(own, left) for own in ids]

    def known(self, events: Iterable[MeterEvent]) -> int:
        """Return how many of some events were taken before. Raises: StoreError."""
        return len(metering.known(self._state, {_id(event.id) for event in events}))

    def added(self, events: Iterable[MeterEvent]) -> Added:
        """Return what events add up to: exact, and the same in whatever order they come."""
        added = Added()
        sums: dict[Group, dict[str, int]] = {}  # a group is found once for all that an event adds to it
        for event in events:
            connection = self._attribution(event)
            own = sums.setdefault(_group(event, connection), {})
            for meter, quantity in event.quantities.items():
                own[meter] = own.get(meter, 0) + _parts(quantity)
            if event.cost is not None:
                currency = f"${event.cost.currency}"
                own[currency] = own.get(currency, 0) + _parts(event.cost.amount)
            for limit in event.limits:
                which = (limit.name, limit.scope, limit.window, limit.model, limit.sub_account_id)
                told = msgspec.json.encode(limit, order="deterministic").decode()
                added.readings.append(
                    Reading(
                        connection=connection,
                        provider=event.provider,
                        at=event.at.astimezone(UTC),
                        key=metering.key_of(which),
                        limit=told,
                    )
                )
        added.sums = {(group, meter): sum_ for group, own in sums.items() for meter, sum_ in own.items()}
        return added


def _id(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _counted(own: Sequence[bytes], left: set[bytes]) -> Taken:
    before = len(left)
    left.difference_update(own)
    accepted = before - len(left)
    return Taken(accepted, len(own) - accepted)


def _parts(quantity: Decimal) -> int:
    whole = int(quantity)
    return whole * ATTO if whole == quantity else int(exact(quantity).scaleb(18, _WIDE))


def _group(event: MeterEvent, connection: str) -> Group:
    tags = event.tags
    return Group(
        connection,
        event.provider,
        event.at.astimezone(UTC).replace(minute=0, second=0, microsecond=0),
        event.model,
        event.service_tier,
        event.operation,
        None if event.context_tokens is None else context_band(event.context_tokens),
        msgspec.json.encode(tags, order="sorted").decode() if tags else None,
        event.cost is not None,
    )


# ── whose an event is ────────────────────────────────────────────────────────────────────────────────────────────


def attribution(config: Config) -> Attribution:
    """Return how a configuration says which connection an event belongs to."""
    return by_names({one.name: one.provider for one in config.connections.values()})


def by_names(configured: Mapping[str, str]) -> Attribution:
    """Return how connections, given with their providers, say which of them an event belongs to.

    An event's own word stands where that connection is of the event's provider; a name that is not configured gets the
    provider's id before it, so that no connection ever holds two providers. Without a word it is the only connection
    of the provider, else the provider's id names one.
    """
    alone: dict[str, str | None] = {}
    for name, provider in configured.items():
        alone[provider] = None if provider in alone else name
    known: dict[tuple[str, str | None], str] = {}

    def name_of(event: MeterEvent) -> str:
        asked = (event.provider, event.connection)
        if asked not in known:
            if len(known) >= _NAMES_MAX:
                known.clear()
            known[asked] = _named(event.provider, event.connection, configured, alone)
        return known[asked]

    return name_of


_NAMES_MAX = 4096


def _named(provider: str, asked: str | None, configured: Mapping[str, str], alone: Mapping[str, str | None]) -> str:
    if asked is not None and configured.get(asked) == provider:
        return asked
    if asked is not None and asked not in configured and _nameable(asked):
        own = asked if asked == provider or asked.startswith(f"{provider}-") else f"{provider}-{asked}"[:64]
    else:
        own = alone.get(provider) or provider
    return own if configured.get(own, provider) == provider else f"{provider}-metered"


def _nameable(name: str) -> bool:
    try:
        check_name(name)
    except ConfigError:
        return False
    return True
