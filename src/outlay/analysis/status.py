"""The state of every connection in one answer: spend, forecast, nearest limit, balance, freshness, trouble."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from outlay.analysis.answer import Answer, Listed
from outlay.analysis.coverage import Coverage, gaps_of_spend, hint_for
from outlay.analysis.forecast import HISTORY_DAYS, Fee, Series, month_total
from outlay.analysis.query import CHARGES, Query
from outlay.analysis.readings import BalanceRow, LimitRow, balance_rows, limit_rows
from outlay.analysis.reconcile import Mismatch, mismatches
from outlay.analysis.runout import run_outs
from outlay.analysis.spans import Span
from outlay.analysis.spend import spend_sql
from outlay.clock import Clock, day_of, month_start, system_clock
from outlay.errors import TermsMissingError
from outlay.model.basis import Basis
from outlay.model.facts import Charge, Frequency
from outlay.model.metering import LACKING
from outlay.model.problem import UNTOLD
from outlay.providers.differences import HINTS as UNREAD
from outlay.store import Ledger

_BY = ("connection", "day", "fee")
_FEE = f"CASE WHEN ChargeFrequency = '{Frequency.RECURRING}' THEN concat_ws('/', ServiceName, SkuId) END"
_COLUMNS = msgspec.structs.replace(CHARGES, by_name={**CHARGES.by_name, "fee": _FEE})
"""The charges' dimensions and one more: which recurring fee a charge is, null for all else."""
_ZERO = Decimal(0)


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Money of one currency, known in one way."""

    currency: str
    basis: Basis
    billed_cost: Decimal
    effective_cost: Decimal


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """What the month will come to in one currency: always an estimate, made from spend of the basis named."""

    currency: str
    of: Basis
    billed_cost: Decimal
    basis: Basis = Basis.ESTIMATED


class Nearest(msgspec.Struct, frozen=True, kw_only=True):
    """The limit of which most is used."""

    name: str
    scope: str
    kind: str
    unit: str
    used: Decimal
    quota: Decimal
    percent: Decimal
    resets_at: datetime | None


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A prepaid balance.

    Null: `runs_out_on`, an estimate from how it fell, is None where less than a week of readings tells of it.
    """

    name: str
    currency: str | None
    unit: str | None
    amount: Decimal
    observed_at: datetime
    runs_out_on: date | None = None


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Something that needs attention: a stable code, where, what and what to do."""

    code: str
    where: str
    says: str
    hint: str


class StatusRow(Listed, frozen=True, kw_only=True):
    """One connection.

    Null: `nearest_limit` is None where no limit's use is known; `checked_at` where nothing was ever fetched;
    `forecast` is empty with too little history.
    """

    connection: str
    provider: str
    spend: tuple[Spent, ...]
    forecast: tuple[Forecast, ...]
    nearest_limit: Nearest | None
    balances: tuple[Left, ...]
    checked_at: datetime | None
    """When the vendor was last heard."""
    stale_since: datetime | None
    """Since when the oldest failure lasts."""
    trouble: tuple[Trouble, ...]
    shown: ClassVar = (
        "connection",
        "provider",
        "spend",
        "forecast",
        "nearest_limit",
        "balances",
        "checked_at",
        "stale_since",
        "trouble",
    )

    def record(self) -> dict[str, Any]:
        """Return the row's values by name, the nested ones as dicts."""
        return {name: _plain(getattr(self, name)) for name in self.shown}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else value


def status(ledger: Ledger, query: Query | None = None, *, clock: Clock = system_clock) -> Answer[StatusRow]:
    """Return the state of every connection this month.

    Order: by connection.
    Raises: ConfigError for filters other than connection and provider.
    """
    asked = query or Query()
    today = day_of(clock())
    query = msgspec.structs.replace(asked, from_=month_start(today), to=today + timedelta(days=1), basis=None)
    first, to = query.period(clock)
    coverage = Coverage.of(ledger, query, clock)
    days = _days(ledger, query, today, clock)
    limits = limit_rows(ledger, query, coverage, clock)
    balances = balance_rows(ledger, query, coverage, clock)
    ends = run_outs(ledger, balances, clock)
    wrong = mismatches(ledger, query, clock)
    rows = []
    for name, provider in sorted(coverage.providers.items()):
        if not query.asked(name, provider):
            continue
        spans, lines = coverage.of_connection(name), days.get(name, [])
        failures = [*_failures(spans), *_mismatches([each for each in wrong if each.connection == name])]
        rows.append(
            StatusRow(
                connection=name,
                provider=provider,
                spend=_spent(lines, first, to),
                forecast=_forecast(lines, coverage.days(name, Charge), today),
                nearest_limit=_nearest([limit for limit in limits if limit.connection == name], clock()),
                balances=_left([balance for balance in balances if balance.connection == name], ends),
                checked_at=_checked_at(spans),
                stale_since=_stale_since(spans),
                trouble=tuple(failures),
            )
        )
    incomplete = gaps_of_spend(coverage, query, clock)
    return Answer(
        from_=first, to=to, by=("connection",), rows=tuple(rows), incomplete=incomplete, columns=StatusRow.shown
    )


class _Line(msgspec.Struct, frozen=True):
    """A connection's charges of one day: those of one recurring fee, or all others."""

    day: date
    fee: str | None
    spent: Spent


def _days(ledger: Ledger, query: Query, today: date, clock: Clock) -> dict[str, list[_Line]]:
    """Return the best-known charges of every connection in the days the forecast looks at."""
    since = min(month_start(month_start(today) - timedelta(days=1)), today - timedelta(days=HISTORY_DAYS))
    sql, parameters = spend_sql(msgspec.structs.replace(query, from_=since), _BY, clock, _COLUMNS)
    found: dict[str, list[_Line]] = {}
    for connection, day, fee, currency, basis, billed, effective, _ in ledger.query(sql, parameters).rows:
        spent = Spent(currency=currency, basis=Basis(basis), billed_cost=billed, effective_cost=effective)
        found.setdefault(connection, []).append(_Line(day, fee, spent))
    return found


def _spent(lines: Sequence[_Line], first: date, to: date) -> tuple[Spent, ...]:
    sums: dict[tuple[str, Basis], tuple[Decimal, Decimal]] = {}
    for line in lines:
        if first <= line.day < to:
            key = (line.spent.currency, line.spent.basis)
            billed, effective = sums.get(key, (_ZERO, _ZERO))
            sums[key] = (billed + line.spent.billed_cost, effective + line.spent.effective_cost)
    return tuple(
        Spent(currency=currency, basis=basis, billed_cost=billed, effective_cost=effective)
        for (currency, basis), (billed, effective) in sorted(sums.items())
    )


def _forecast(lines: Sequence[_Line], known: frozenset[date], today: date) -> tuple[Forecast, ...]:
    found = []
    for currency, basis in sorted({(line.spent.currency, line.spent.basis) for line in lines}):
        own = [line for line in lines if (line.spent.currency, line.spent.basis) == (currency, basis)]
        usage: dict[date, Decimal] = {}
        for line in own:
            if line.fee is None:
                usage[line.day] = usage.get(line.day, _ZERO) + line.spent.billed_cost
        fees = [Fee(line.fee, line.day, line.spent.billed_cost) for line in own if line.fee is not None]
        total = month_total(Series(usage=usage, fees=fees, known=known), today)
        if total is not None:
            found.append(Forecast(currency=currency, of=basis, billed_cost=total))
    return tuple(found)


def _nearest(limits: Sequence[LimitRow], now: datetime) -> Nearest | None:
    """Return the limit of which most is used; what was used of a window that is over says nothing of the present."""
    known = [
        Nearest(
            name=row.name,
            scope=row.scope,
            kind=str(row.kind),
            unit=row.unit,
            used=row.used,
            quota=row.quota,
            percent=row.percent,
            resets_at=row.resets_at,
        )
        for row in limits
        if row.used is not None and row.quota is not None and row.percent is not None
        if row.resets_at is None or row.resets_at > now
    ]
    return max(known, key=lambda each: each.percent, default=None)


def _left(balances: Sequence[BalanceRow], ends: Mapping[BalanceRow, date | None]) -> tuple[Left, ...]:
    return tuple(
        Left(
            name=row.name,
            currency=row.currency,
            unit=row.unit,
            amount=row.amount,
            observed_at=row.observed_at,
            runs_out_on=ends.get(row),
        )
        for row in balances
    )


def _checked_at(spans: Sequence[Span]) -> datetime | None:
    return max((span.checked_at for span in spans if span.checked_at), default=None)


_NEVER_OLD = frozenset((*LACKING, *UNREAD, *UNTOLD, TermsMissingError.code))
"""Reasons for which something is unknown though no vendor was asked in vain: nothing that is shown is old."""


def _stale_since(spans: Sequence[Span]) -> datetime | None:
    return min((span.since for span in spans if span.since and span.problem not in _NEVER_OLD), default=None)


def _failures(spans: Sequence[Span]) -> list[Trouble]:
    """Return one line per dataset and reason of failure."""
    counts: dict[tuple[str, str], int] = {}
    for span in spans:
        if span.problem is not None:
            key = (span.dataset, span.problem)
            counts[key] = counts.get(key, 0) + span.partitions
    return [
        Trouble(
            code=problem,
            where=dataset,
            says=_says(problem, count),
            hint=hint_for(problem, spans[0].connection),
        )
        for (dataset, problem), count in sorted(counts.items())
    ]


def _says(problem: str, count: int) -> str:
    if problem in LACKING:
        return f"the cost of {count} day{'s' if count > 1 else ''} is not whole"
    if problem == TermsMissingError.code:
        return f"the fees of {count} day{'s' if count > 1 else ''} are unknown"
    if problem in UNTOLD:
        return f"of {count} day{'s' if count > 1 else ''} the vendor tells nothing more"
    if problem in UNREAD:
        return f"{count} day{'s' if count > 1 else ''} cannot be told from the counter's readings"
    return f"{count} partition{'s' if count > 1 else ''} could not be fetched"


def _mismatches(wrong: Sequence[Mismatch]) -> list[Trouble]:
    return [
        Trouble(
            code="reconcile_mismatch",
            where=each.where,
            says=f"the charges add up to {each.found:f} {each.currency}; the vendor states {each.stated:f}",
            hint="Run `outlay sync --full` for this connection; if it stays, report it with the provider's name.",
        )
        for each in wrong
    ]
