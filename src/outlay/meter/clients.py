"""Attach metering to the clients a program has: the official SDKs, httpx, httpx2, requests and urllib3."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from outlay.config import check_name, data_home
from outlay.errors import ConfigError
from outlay.meter import httpx_clients, urllib3_clients
from outlay.meter.counts import WHAT, Stats
from outlay.meter.fence import Fence
from outlay.meter.spool import Spool
from outlay.meter.vendors import is_metered
from outlay.meter.watch import Scribe
from outlay.model.metering import METERS, MeterEvent
from outlay.model.money import Money

Client = TypeVar("Client")

_INNER = ("_client", "client", "_http_client", "http_client", "_session", "session")
"""Where SDKs keep the client they send with."""
_DEPTH_MAX = 4
_TAGS_MAX, _TEXT_MAX = 16, 200

_lock = threading.RLock()
_spools: dict[Path, Spool] = {}
_nowhere = Stats()


@dataclass(slots=True)
class _Attached:
    client: Callable[[], Any]
    end: Callable[[], None]


_attached: dict[int, _Attached] = {}


def attach(
    client: Client,
    *,
    provider: str | None = None,
    connection: str | None = None,
    tags: Mapping[str, str] | None = None,
    home: str | os.PathLike[str] | None = None,
) -> Client:
    """Meter what a client's answers say they used, from here on; return the client.

    Takes an SDK's client (OpenAI, Anthropic, Groq and any other that sends with one of these), a client of httpx or
    httpx2, a session of requests or a pool manager of urllib3. A client that is attached stays as it is.

    Null: `provider` None is told by the host; give it where requests go through a proxy. `connection` None leaves it to
          the configuration; `home` None is the data folder the command line uses.
    """
    with Fence(_nowhere, "unwatched"), _lock:
        _attach(client, provider, connection, tags, home)
    return client


def _attach(
    client: object, provider: str | None, connection: str | None, tags: Mapping[str, str] | None, home: Any
) -> None:
    spool = _spool(home)
    inner = _inner(client)
    if inner is None or (provider is not None and not is_metered(provider)):
        spool.stats.fail("unwatched")
        return
    kept = _attached.get(id(inner))
    if kept is not None and kept.client() is inner:
        return
    scribe = Scribe(spool, provider=provider, connection=_named(connection, spool), tags=_tags(tags))
    if urllib3_clients.is_session(inner):
        end = urllib3_clients.hook_session(inner, scribe)
    elif urllib3_clients.is_pool(inner):
        end = urllib3_clients.hook_pool(inner, scribe)
    else:
        end = httpx_clients.hook(inner, scribe)
    key = id(inner)
    _attached[key] = _Attached(weakref.ref(inner, lambda _: _attached.pop(key, None)), end)


def _inner(client: object) -> Any:
    for _ in range(_DEPTH_MAX):
        if (
            httpx_clients.library_of(client) is not None
            or urllib3_clients.is_session(client)
            or urllib3_clients.is_pool(client)
        ):
            return client
        found = (getattr(client, name, None) for name in _INNER)
        client = next((each for each in found if each is not None and not callable(each)), None)
        if client is None:
            return None
    return None


def detach(client: object) -> None:
    """Stop metering a client; answers that are being read are still counted."""
    with Fence(_nowhere, "unwatched"), _lock:
        inner = _inner(client)
        kept = _attached.pop(id(inner), None)
        if kept is not None and kept.client() is inner:
            kept.end()


def record(
    provider: str,
    *,
    model: str | None = None,
    operation: str | None = None,
    service_tier: str | None = None,
    context_tokens: int | None = None,
    cost: tuple[Decimal | int | str, str] | None = None,
    connection: str | None = None,
    tags: Mapping[str, str] | None = None,
    at: datetime | None = None,
    event_id: str | None = None,
    home: str | os.PathLike[str] | None = None,
    **quantities: Decimal | int,
) -> bool:
    """Note one use that no client shows; return whether it was taken.

    Units: quantities by the names of `outlay.model.metering.METERS`, each excluding the others: `input_tokens` are
           those neither read from a cache nor written to one. `cost` is an amount and its currency, of the vendor.
    Null:  without quantities it is one request of unknown use. `event_id` makes telling it twice harmless.
    """
    with Fence(_nowhere, "refused"):
        spool = _spool(home)
        counts = {name: _quantity(name, value) for name, value in quantities.items()}
        event = MeterEvent(
            id=event_id or uuid4().hex,
            at=(at or datetime.now(UTC)).astimezone(UTC),
            provider=_known(provider),
            connection=_named(connection, spool),
            model=model,
            service_tier=service_tier,
            operation=operation,
            context_tokens=context_tokens,
            quantities={"requests": Decimal(1), **(counts or {"uncounted_requests": Decimal(1)})},
            cost=None if cost is None else Money.of(*cost),
            tags=_tags(tags),
        )
        return spool.write(event)
    return False


def _known(provider: str) -> str:
    if not is_metered(provider):
        raise ValueError("no provider whose use is metered")
    return provider


def _quantity(name: str, value: Decimal | int) -> Decimal:
    if name not in METERS or isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise TypeError("no meter, or no exact number")
    quantity = Decimal(value)
    if not quantity.is_finite() or quantity < 0:
        raise ValueError("no quantity")
    return quantity


def _named(connection: str | None, spool: Spool) -> str | None:
    if connection is not None:
        try:
            check_name(connection)
        except ConfigError as error:
            spool.stats.fail("refused", error)
            return None
    return connection


def _tags(tags: Mapping[str, str] | None) -> dict[str, str] | None:
    kept = {str(name)[:_TEXT_MAX]: str(value)[:_TEXT_MAX] for name, value in list((tags or {}).items())[:_TAGS_MAX]}
    return kept or None


def _in_child() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may hold it for ever
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def _spool(home: str | os.PathLike[str] | None) -> Spool:
    place = data_home(None if home is None else Path(home), os.environ)
    with _lock:
        if place not in _spools:
            _spools[place] = Spool(place)
        return _spools[place]


def flush() -> bool:
    """Write what has come in so far, without waiting for the writer; return whether all of it is on disk."""
    written = [spool.flush() for spool in list(_spools.values())]
    return all(written)


def stats() -> Stats:
    """Return what was seen, written and lost so far in this process."""
    total = Stats()
    for each in (_nowhere, *(spool.stats for spool in list(_spools.values()))):
        total.answers += each.answers
        total.written += each.written
        total.lost += each.lost
        total.troubles += each.troubles
        total.last |= each.last
    return total


def trouble() -> dict[str, str]:
    """Return what went wrong so far in this process, in words by kind; empty is well."""
    now = stats()
    return {
        kind: f"{WHAT.get(kind, kind)} ({count} times{f', last {now.last[kind]}' if kind in now.last else ''})"
        for kind, count in sorted(now.troubles.items())
    }
