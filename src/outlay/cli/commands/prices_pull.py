"""`outlay prices pull`: make a dated list of your own of the public prices that a sync has read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from outlay.cli import configfile
from outlay.cli.lazy import Command
from outlay.cli.output import Column, Sheet, show
from outlay.cli.params import check_connections, connection_argument, open_ledger
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import ConfigError, PricesError

if TYPE_CHECKING:
    from outlay.config import Config
    from outlay.pricing.writing import Observed, Priced, Written
    from outlay.providers.google.pricelist import Left

_PROVIDER, _DATASET = "google", "gemini_prices"


@click.command(
    cls=Command,
    epilog="""
    outlay sync google && outlay prices pull google
    """,
)
@connection_argument
@pass_settings
def pull(settings: Settings, connection: str) -> None:
    """Add the public prices that a connection has synced to a list of your own, and say what is left out of it.

    Needs the dataset `gemini_prices` of a google connection, which is synced when the connection's `datasets` name it.
    Prices hold from the day they were read. A row is added when a price has changed, and none is ever changed; what
    the words of a SKU leave in doubt has no price.
    """
    from outlay.pricing.writing import written

    config = settings.load()
    check_connections(config, (connection,))
    if config.connections[connection].provider != _PROVIDER:
        raise ConfigError(
            f"{config.connections[connection].provider} has no price list to read", hint=f"Only {_PROVIDER} has one."
        )
    seen, left = _observed(settings, config, connection)
    path = config.home / "prices" / f"{_PROVIDER}.toml"
    old = _text(path)
    found = written(old, str(path), seen)
    if (found.added or old is not None) and found.text != old:
        configfile.write(path, found.text, keep_mode=True)
    show(_sheet(connection, path, seen, found, left), settings)


def _observed(settings: Settings, config: Config, connection: str) -> tuple[Observed, tuple[Left, ...]]:
    """Return the prices of the last sync that read them. Raises: ConfigError where none did."""
    from outlay.pricing.writing import Observed
    from outlay.providers.google.pricelist import price_list
    from outlay.providers.google.prices import CURRENCY, SOURCES

    with open_ledger(settings, config) as ledger:
        batches = ledger.batches(connection, _DATASET, current=True)
        names = ledger.names(connection, "sku")
    if not batches:
        raise ConfigError(
            f"{connection} has read no prices",
            hint=f'Name "{_DATASET}" in the connection\'s `datasets` and run `outlay sync {connection}`.',
        )
    last = max(batches, key=lambda batch: batch.observed_at)
    priced, left = price_list(names)
    return Observed(_PROVIDER, CURRENCY, last.observed_at.date(), SOURCES[last.endpoint], priced), left


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise PricesError(f"{path} cannot be read: {error}") from None


def _sheet(connection: str, path: Path, seen: Observed, found: Written, left: tuple[Left, ...]) -> Sheet:
    def rows(state: str, priced: tuple[Priced, ...], why: str | None = None) -> list[dict[str, object]]:
        return [{"state": state, "what": row.title, "why": why} for row in priced]

    every = [
        *rows("added", found.added),
        *rows("holds already", found.same),
        *rows("kept", found.kept, "a row of yours, or of the same day, says otherwise and stays"),
    ]
    every += [{"state": "left out", "what": each.what, "why": each.why} for each in left]
    columns = [Column("state", "State"), Column("what", "What"), Column("why", "Why")]
    head = {"connection": connection, "list": str(path), "observed": seen.day, "source": seen.source}
    notes = [f"{path}: prices observed on {seen.day} at {seen.source}."] if found.added or found.same else []
    return Sheet(columns, every, head=head, notes=notes, empty="No prices were read.")
