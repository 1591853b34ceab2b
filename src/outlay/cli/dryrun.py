"""Print what a sync would ask, request by request, without asking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from outlay.cli.output import Column, Sheet, show
from outlay.cli.output.text import neutral
from outlay.cli.params import open_ledger
from outlay.cli.settings import Settings
from outlay.errors import StoreError

if TYPE_CHECKING:
    from datetime import datetime

    from outlay.config import Config, Connection
    from outlay.model.batch import Committed, Partition
    from outlay.model.facts import Name
    from outlay.providers.base import FanOut, Provider
    from outlay.store import Ledger
    from outlay.sync import Shard, Work
    from outlay.sync.plan import Span


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ledger knows of a connection before it is asked."""

    committed: dict[Partition, Committed]
    names: list[Name]


def show_plan(
    settings: Settings, config: Config, connections: tuple[str, ...], span: Span, shard: Shard | None
) -> None:
    """Print every request of the plan, and how many there are for each connection.

    An answer of several pages takes more requests than can be known beforehand: the count is the least there will be.
    """
    from outlay.sync import plan
    from outlay.sync.engine import chosen, provider_of, providers_by_id

    providers = providers_by_id()
    wanted = [(one, provider_of(one, providers)) for one in chosen(config, connections, shard)]
    rows: list[dict[str, object]] = []
    plans: list[dict[str, Any]] = []
    for connection, provider in wanted:
        known = _known(settings, config, connection)
        works = plan(connection, provider, known.committed, settings.clock(), span).works
        requests = [
            row for work in works for row in _requests(connection, provider, work, known.names, settings.clock())
        ]
        count = sum(int(str(row["count"])) for row in requests)
        plans.append({"connection": connection.name, "provider": provider.id, "requests": requests, "count": count})
        rows += [{"connection": connection.name, **row} for row in requests]
    whole = {"connections": plans, "count": sum(int(str(one["count"])) for one in plans)}
    if settings.format == "table":
        _print(plans)
        return
    columns = [Column(name, name) for name in ("connection", "dataset", "method", "path", "count")]
    show(Sheet(columns, rows, whole=whole), settings)


def _print(plans: list[dict[str, Any]]) -> None:
    """Print a line per request, whole, so that it can be copied."""
    for one in plans:
        click.secho(f"{one['connection']}: at least {one['count']} requests", bold=True)
        for row in one["requests"]:
            more = f"  (at least {row['count']} pages)" if row["count"] > 1 else ""
            more = more or ("" if row["count"] else "  (for each that is found)")
            click.echo(neutral(f"  {row['method']} {row['path']}{more}"))
    click.echo(f"At least {sum(one['count'] for one in plans)} requests in all; nothing was sent.")


def _known(settings: Settings, config: Config, connection: Connection) -> _Known:
    ledger = _ledger(settings, config)
    if ledger is None:
        return _Known({}, [])
    with ledger:
        return _Known(ledger.committed(connection.name), ledger.names(connection.name))


def _ledger(settings: Settings, config: Config) -> Ledger | None:
    if config.store is None and not config.home.exists():
        return None
    try:
        return open_ledger(settings, config)
    except StoreError as error:
        if error.code != "store":
            raise
        return None


def _requests(
    connection: Connection, provider: Provider, work: Work, names: list[Name], now: datetime
) -> Iterator[dict[str, object]]:
    from outlay.wire.request import build

    for item in _items(work, names, connection.options):
        request = build(provider, work.endpoint, connection.options, work.window, item, connection.base_url, now)
        yield {
            "dataset": work.dataset.name,
            "method": request.method,
            "path": request.target,
            "period": [work.window.first_day, work.window.end_day],
            "count": work.pages_least,
        }
        if (then := work.endpoint.then) is not None and then.endpoint.each is not None:
            each = f"EACH-{then.endpoint.each.kind.upper()}"
            further = build(provider, then.endpoint, connection.options, work.window, each, connection.base_url)
            # None may be found, and the count is the least there will be.
            yield {
                "dataset": work.dataset.name,
                "method": further.method,
                "path": further.target,
                "period": [work.window.first_day, work.window.end_day],
                "count": 0,
            }


def _items(work: Work, names: list[Name], options: Mapping[str, str]) -> list[str | None]:
    """Return what a request is repeated for; a placeholder where the names are not known before the first sync."""
    each = work.endpoint.each
    if each is None or not each.applies(options):
        return [None]

    def ids(fan_out: FanOut) -> list[str]:
        known = (name for name in names if name.kind == fan_out.kind and name.state in fan_out.states)
        found = [name.id for name in known if fan_out.chosen(name.id, options)]
        return found or [f"EACH-{fan_out.kind.upper()}"]

    return each.items(ids)
