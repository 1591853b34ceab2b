"""Put a question to the ledger and print its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from outlay.cli.output import Sheet, show
from outlay.cli.output.columns import column
from outlay.cli.output.text import neutral
from outlay.cli.params import check_connections, find_provider, open_ledger
from outlay.cli.settings import Settings
from outlay.errors import Exit

if TYPE_CHECKING:
    from outlay.analysis.answer import Answer
    from outlay.analysis.query import Query
    from outlay.config import Config
    from outlay.store import Ledger

_SHARES = {"quota": "used", "amount": "consumed"}
"""Which column is the whole of which."""


@dataclass(frozen=True, slots=True)
class Given:
    """The filters of a question as they were given."""

    from_: date | None = None
    to: date | None = None
    by: tuple[str, ...] | None = None
    where: tuple[tuple[str, str], ...] = ()
    connections: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    basis: str | None = None

    def query(self, config: Config) -> Query:
        """Return the question, held against the configuration. Raises: ConfigError."""
        from outlay.analysis.query import Query

        for name in self.providers:
            find_provider(name)
        return Query(
            from_=self.from_,
            to=self.to,
            by=self.by,
            where=self.where,
            connections=self.connections,
            providers=self.providers,
            basis=self.basis,
            configured={name: connection.provider for name, connection in config.connections.items()},
        )


def ask(
    question: str,
    settings: Settings,
    given: Given,
    *,
    sums: tuple[str, ...] = (),
    empty: str | None = None,
    **extra: Any,
) -> None:
    """Print the answer to a question of `outlay.analysis`. Raises: ConfigError, StoreError."""
    from outlay import analysis

    config = settings.load()
    query = given.query(config)
    with open_ledger(settings, config) as ledger:
        check_known(ledger, config, given.connections)
        answer: Answer[Any] = getattr(analysis, question)(ledger, query, clock=settings.clock, **extra)
    show(_laid_out(question, answer, sums, empty, settings), settings)


def _laid_out(
    question: str, answer: Answer[Any], sums: tuple[str, ...], empty: str | None, settings: Settings
) -> Sheet:
    if question == "status":
        from outlay.cli.overview import sheet as overview

        return overview(answer, settings.clock(), flat=settings.format == "csv")
    if question in ("limits", "budgets") and settings.format == "table":
        from outlay.cli.ceilings import sheet as ceilings

        return ceilings(question, answer)
    return sheet(question, answer, sums, empty)


def check_known(ledger: Ledger, config: Config, names: Sequence[str]) -> None:
    """Refuse connections that neither the configuration nor the ledger knows. Raises: ConfigError."""
    strange = [name for name in names if name not in config.connections]
    if strange:
        kept = {row[0] for row in ledger.query("SELECT DISTINCT connection FROM batches").rows}
        check_connections(config, tuple(name for name in strange if name not in kept))


def sheet(question: str, answer: Answer[Any], sums: tuple[str, ...] = (), empty: str | None = None) -> Sheet:
    """Return an answer ready to be printed; its JSON is the answer's own."""
    return Sheet(
        columns=[column(name) for name in answer.columns],
        rows=answer.records(),
        incomplete=[gap.record() for gap in answer.incomplete],
        sums=sums,
        empty=empty or f"No {question} from {answer.from_} to {answer.to} (exclusive).",
        names=answer.names,
        whole=answer.to_json_object(),
    )


def crossed(record: dict[str, Any], now: datetime) -> bool:
    """Tell whether a limit is reached or a budget used up; what is not known, or of a window that is over, is not."""
    ends = record.get("resets_at")
    if isinstance(ends, datetime) and ends <= now:
        return False
    for whole, part in _SHARES.items():
        used, ceiling = record.get(part), record.get(whole)
        if (
            isinstance(used, Decimal)
            and isinstance(ceiling, Decimal)
            and used >= ceiling
            and record.get("unlimited") is not True
        ):
            return True
    return False


def end_if_crossed(settings: Settings, given: Given, questions: Sequence[str]) -> None:
    """Name what is crossed on stderr and end with status 5 where anything is."""
    from outlay import analysis

    config = settings.load()
    query = given.query(config)
    over, now = list[str](), settings.clock()
    with open_ledger(settings, config) as ledger:
        for question in questions:
            answer: Answer[Any] = getattr(analysis, question)(ledger, query, clock=settings.clock)
            over += [_named(question, record) for record in answer.records() if crossed(record, now)]
    for name in over:
        settings.warn(f"crossed: {name}")
    if over:
        raise click.exceptions.Exit(int(Exit.CROSSED))


def _named(question: str, record: dict[str, Any]) -> str:
    parts = (question.removesuffix("s"), record.get("connection"), record.get("name"), record.get("scope"))
    return neutral(" ".join(str(part) for part in parts if part))
