"""The Python interface: a ledger opened for questions, syncs and exports from notebooks and programs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from outlay import analysis
from outlay.analysis.answer import Answer
from outlay.analysis.budgets import BudgetRow
from outlay.analysis.history import HistoryRow
from outlay.analysis.query import Query
from outlay.analysis.readings import BalanceRow, InvoiceRow, LimitRow
from outlay.analysis.spend import RevenueRow, SpendRow
from outlay.analysis.status import StatusRow
from outlay.analysis.usage import UsageRow
from outlay.clock import Clock, system_clock
from outlay.config import Config, load, parse_day
from outlay.model.basis import Basis
from outlay.model.focus import DEFAULT_VERSION
from outlay.store import Ledger as Store
from outlay.store import Result

if TYPE_CHECKING:
    from outlay.export import Export
    from outlay.sync import Progress, Report

Day = date | str
"""A day, also as `YYYY-MM-DD`."""
Several = str | Sequence[str] | None
"""One text or several."""
Where = Mapping[str, str | Sequence[str]] | None
"""Dimension to the value, or values, it may have; an empty value means unknown."""


def open(  # noqa: A001 - `outlay.open` reads as it should
    *,
    home: str | Path | None = None,
    config: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    clock: Clock = system_clock,
) -> Ledger:
    """Open the ledger that a configuration names, as the command line would.

    Null: without `home` and `config` both are found as `outlay` finds them; `environ` defaults to the process's own.
    Raises: ConfigError, StoreError, LedgerVersionError.
    """
    environ = os.environ if environ is None else environ
    settings = load(Path(config) if config else None, Path(home) if home else None, environ)
    store = Store.open(settings.home, store=settings.store, state=settings.state, clock=clock)
    return Ledger(store, settings, environ, clock)


class Ledger:
    """An open ledger; close it, or use it in a `with` block."""

    def __init__(self, store: Store, config: Config, environ: Mapping[str, str], clock: Clock) -> None:
        self._store = store
        self._config = config
        self._environ = environ
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the tables and of the state database."""
        self._store.close()

    def spend(
        self,
        *,
        from_: Day | None = None,
        to: Day | None = None,
        by: Several = None,
        where: Where = None,
        connection: Several = None,
        provider: Several = None,
        basis: str | None = None,
    ) -> Answer[SpendRow]:
        """Return what was spent; the end is exclusive, the default is the present month by provider.

        Raises: ConfigError for unknown dimensions, an unknown basis or an empty period.
        """
        query = self._query(from_, to, by=by, where=where, connection=connection, provider=provider, basis=basis)
        return analysis.spend(self._store, query, clock=self._clock)

    def usage(
        self,
        *,
        from_: Day | None = None,
        to: Day | None = None,
        by: Several = None,
        where: Where = None,
        connection: Several = None,
        provider: Several = None,
    ) -> Answer[UsageRow]:
        """Return what was used, per meter and unit. Raises: ConfigError."""
        query = self._query(from_, to, by=by, where=where, connection=connection, provider=provider)
        return analysis.usage(self._store, query, clock=self._clock)

    def revenue(
        self,
        *,
        from_: Day | None = None,
        to: Day | None = None,
        by: Several = None,
        where: Where = None,
        connection: Several = None,
        provider: Several = None,
        basis: str | None = None,
    ) -> Answer[RevenueRow]:
        """Return what your own customers owe; it is never part of spend. Raises: ConfigError."""
        query = self._query(from_, to, by=by, where=where, connection=connection, provider=provider, basis=basis)
        return analysis.revenue(self._store, query, clock=self._clock)

    def limits(
        self, *, to: Day | None = None, connection: Several = None, provider: Several = None
    ) -> Answer[LimitRow]:
        """Return every limit as last read, or as last read before a day."""
        query = self._query(None, to, connection=connection, provider=provider)
        return analysis.limits(self._store, query, clock=self._clock)

    def balances(
        self, *, to: Day | None = None, connection: Several = None, provider: Several = None
    ) -> Answer[BalanceRow]:
        """Return every prepaid balance as last read, or as last read before a day."""
        query = self._query(None, to, connection=connection, provider=provider)
        return analysis.balances(self._store, query, clock=self._clock)

    def budgets(
        self, *, to: Day | None = None, connection: Several = None, provider: Several = None
    ) -> Answer[BudgetRow]:
        """Return every budget as last read, or as last read before a day, with what is consumed of it."""
        query = self._query(None, to, connection=connection, provider=provider)
        return analysis.budgets(self._store, query, clock=self._clock)

    def invoices(
        self,
        *,
        from_: Day | None = None,
        to: Day | None = None,
        connection: Several = None,
        provider: Several = None,
    ) -> Answer[InvoiceRow]:
        """Return the invoices of a period, by default of the last twelve months."""
        query = self._query(from_, to, connection=connection, provider=provider)
        return analysis.invoices(self._store, query, clock=self._clock)

    def status(self, *, connection: Several = None, provider: Several = None) -> Answer[StatusRow]:
        """Return the state of every connection this month."""
        query = self._query(None, None, connection=connection, provider=provider)
        return analysis.status(self._store, query, clock=self._clock)

    def history(
        self, *, day: Day | None = None, connection: Several = None, provider: Several = None
    ) -> Answer[HistoryRow]:
        """Return how committed numbers changed, of one day or of every day."""
        query = self._query(None, None, connection=connection, provider=provider)
        return analysis.history(self._store, query, day=_day(day), clock=self._clock)

    def sync(
        self,
        *connections: str,
        since: Day | None = None,
        until: Day | None = None,
        full: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """Fetch what is missing or may have changed, of the connections named or of all.

        Raises: ConfigError for wrong names, StoreError; what a vendor refuses is in the report.
        """
        from outlay.sync import Quiet, run
        from outlay.sync.engine import Settings
        from outlay.sync.plan import Span

        settings = Settings(clock=self._clock, progress=progress or Quiet(), environ=self._environ)
        span = Span(since=_day(since), until=_day(until), full=full)
        return run(self._config, self._store, connections=connections, span=span, settings=settings)

    def sql(self, query: str) -> Result:
        """Return what one read-only SELECT on the ledger's views finds. Raises: ConfigError when it is wrong."""
        return self._store.user_sql(query)

    def export_focus(
        self,
        out: str | Path,
        *,
        from_: Day,
        to: Day,
        version: str = DEFAULT_VERSION,
        bases: Sequence[Basis | str] | None = None,
    ) -> Export:
        """Write the charges of a period as a FOCUS file, CSV or Parquet, and check it. Raises: ConfigError, StoreError.

        Null: without `bases` what is billed or entered is written.
        """
        from outlay.export import focus
        from outlay.export.focus import STATED

        chosen = tuple(Basis(basis) for basis in bases) if bases is not None else STATED
        first, end = parse_day(str(from_)), parse_day(str(to))
        return focus(self._store, Path(out), from_=first, to=end, version=version, bases=chosen)

    def export_facts(self, table: str, out: str | Path, *, from_: Day | None = None, to: Day | None = None) -> int:
        """Write a table of facts to a CSV, Parquet or JSON Lines file; return how many rows there are.

        Raises: ConfigError, StoreError.
        """
        from outlay.export import facts

        return facts(self._store, table, Path(out), from_=_day(from_), to=_day(to))

    def _query(self, from_: Day | None, to: Day | None, **filters: Any) -> Query:
        where = [
            (dimension, value)
            for dimension, values in (filters.get("where") or {}).items()
            for value in _several(values)
        ]
        by = filters.get("by")
        return Query(
            from_=_day(from_),
            to=_day(to),
            by=None if by is None else _several(by),
            where=tuple(where),
            connections=_several(filters.get("connection")),
            providers=_several(filters.get("provider")),
            basis=filters.get("basis"),
            configured={name: connection.provider for name, connection in self._config.connections.items()},
        )


def _day(day: Day | None) -> date | None:
    # Whoever has a moment must say which day of which zone is meant.
    return None if day is None else parse_day(str(day))


def _several(value: Several) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
