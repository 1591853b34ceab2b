"""Limits, balances and invoices: the latest reading of each, as of the end of the period asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import msgspec

from outlay.analysis import lapse
from outlay.analysis.answer import Answer, Listed
from outlay.analysis.coverage import Coverage, gaps_of
from outlay.analysis.months import MonthSpend, bounded, month_spend
from outlay.analysis.naming import names_of_scopes
from outlay.analysis.query import Condition, Query
from outlay.clock import Clock, day_of, midnight, month_start, next_month, system_clock
from outlay.errors import ConfigError
from outlay.model.basis import Basis
from outlay.model.facts import Balance, Invoice, Limit, LimitBasis, LimitKind
from outlay.model.metering import METERED_LIMITS
from outlay.model.money import ratio
from outlay.store import Ledger

_HUNDRED = Decimal(100)
_INVOICE_MONTHS = 12
_FILTERS = ("connection", "provider", "dataset")


class LimitRow(Listed, frozen=True, kw_only=True):
    """A ceiling, what is used of it and what is left.

    Null: what is not known is None; `unlimited` says there is no ceiling.
    """

    connection: str
    provider: str
    name: str
    scope: str
    kind: LimitKind
    quota: Decimal | None
    unlimited: bool
    used: Decimal | None
    remaining: Decimal | None
    unit: str
    window: str | None
    resets_at: datetime | None
    observed_at: datetime
    basis: LimitBasis
    dataset: str
    model: str | None = None
    sub_account_id: str | None = None
    enforced: bool | None = None
    shown: ClassVar = (
        "connection",
        "provider",
        "name",
        "scope",
        "kind",
        "quota",
        "unlimited",
        "used",
        "remaining",
        "unit",
        "window",
        "resets_at",
        "observed_at",
        "basis",
    )

    @property
    def percent(self) -> Decimal | None:
        """Return how much of the quota is used, in percent; None where either is unknown."""
        return used_percent(self.used, self.quota)


class BalanceRow(Listed, frozen=True, kw_only=True):
    """Prepaid money or credits left. Null: exactly one of `currency` and `unit` is set."""

    connection: str
    provider: str
    name: str
    currency: str | None
    unit: str | None
    amount: Decimal
    granted: Decimal | None
    topped_up: Decimal | None
    expires_at: datetime | None
    observed_at: datetime
    basis: Basis
    dataset: str
    shown: ClassVar = (
        "connection",
        "provider",
        "name",
        "currency",
        "unit",
        "amount",
        "granted",
        "topped_up",
        "expires_at",
        "observed_at",
    )


class InvoiceRow(Listed, frozen=True, kw_only=True):
    """A bill of the vendor. Null: what it does not state is None."""

    connection: str
    provider: str
    id: str
    number: str | None
    status: str
    currency: str
    total: Decimal
    amount_due: Decimal | None
    period_from: date | None
    period_to: date | None
    issued_at: datetime | None
    due_at: datetime | None
    shown: ClassVar = (
        "connection",
        "provider",
        "id",
        "number",
        "status",
        "currency",
        "total",
        "amount_due",
        "period_from",
        "period_to",
        "issued_at",
        "due_at",
    )


def used_percent(used: Decimal | None, quota: Decimal | None) -> Decimal | None:
    """Return used of quota in percent, or None where either is unknown or the quota is zero."""
    if used is None or quota is None:
        return None
    share = ratio(used, quota)
    return None if share is None else share * _HUNDRED


_LAST = "partition_start = max(partition_start) OVER (PARTITION BY connection, dataset)"
"""The SQL that keeps each dataset's last reading."""


def latest_reading(
    ledger: Ledger,
    table: str,
    columns: Sequence[str],
    query: Query,
    clock: Clock,
    stands: tuple[str, Sequence[object]] = (_LAST, ()),
) -> list[Any]:
    """Return the rows of each connection and dataset's last reading before the end of the period.

    `stands` is the SQL that tells which readings those are, and its parameters.
    Raises: ConfigError for a filter that readings do not have.
    """
    _, to = query.period(clock)
    condition = _filters(query)
    condition.add("partition_start < ?", midnight(to))
    sql = f"""
        SELECT {", ".join(columns)}, dataset, partition_start
        FROM {table} WHERE {condition.sql}
        QUALIFY {stands[0]}
        ORDER BY connection, dataset, name
    """
    return list(ledger.query(sql, [*condition.parameters, *stands[1]]).rows)


def _filters(query: Query) -> Condition:
    condition = Condition.none()
    for dimension, value in query.where:
        if dimension not in _FILTERS:
            raise ConfigError(f"{dimension!r} is no filter here", hint=f"Filter by: {', '.join(_FILTERS)}.")
        condition.add_choice(dimension, [], [value])
    if query.connections:
        condition.add_choice("connection", [], query.connections)
    if query.providers:
        condition.add_choice("provider", [], query.providers)
    return condition


def limits(ledger: Ledger, query: Query | None = None, *, clock: Clock = system_clock) -> Answer[LimitRow]:
    """Return every limit as last read, spend limits with the month's billed spend where the vendor does not say it.

    A reading of a dataset takes the place of the one before it; a limit that an answer to a call told stands until a
    later answer tells it again, or has been silent for `lapse.HEARD_DAYS`.
    Null: what was used of a window that is over is unknown.
    Order: by connection, dataset and name.
    Raises: ConfigError for a filter that readings do not have.
    """
    query = query or Query()
    first, to = query.period(clock)
    coverage = Coverage.of(ledger, query, clock)
    rows = limit_rows(ledger, query, coverage, clock)
    return Answer(
        from_=first,
        to=to,
        by=(),
        rows=rows,
        incomplete=gaps_of(coverage, query, (Limit,), clock),
        names=names_of_scopes(ledger, (row.scope for row in rows), (row.sub_account_id for row in rows)),
        columns=LimitRow.shown,
    )


_LIMIT = (
    "connection",
    "provider",
    "name",
    "scope",
    "kind",
    "quota",
    "unlimited",
    "used",
    "remaining",
    "unit",
    '"window"',
    "resets_at",
    "observed_at",
    "basis",
    "model",
    "sub_account_id",
    "enforced",
    "details",
)


def limit_rows(ledger: Ledger, query: Query, coverage: Coverage, clock: Clock) -> tuple[LimitRow, ...]:
    """Return every limit as last read, with what can be computed filled in."""
    moment, to = lapse.asked_of(query, clock), query.period(clock)[1]
    stands = (lapse.STANDS, [lapse.heard_since(query, clock)])
    rows = []
    for *values, dataset, start in latest_reading(ledger, "limits", _LIMIT, query, clock, stands):
        row = _limit_row(values, dataset)
        # A call tells of its own limits alone, so that a later one takes nothing away.
        if dataset == METERED_LIMITS or not coverage.superseded(row.connection, dataset, start, to):
            rows.append(_of_now(row, moment))
    rows = _told_once(rows)
    open_ = [row for row in rows if _needs_spend(row)]
    spent = month_spend(ledger, query, {row.connection for row in open_}, coverage, clock) if open_ else None
    return tuple(_settled(row, spent, query, clock) for row in rows)


def _limit_row(values: Sequence[Any], dataset: str) -> LimitRow:
    row = dict(zip((name.strip('"') for name in _LIMIT), values, strict=True))
    observed_at = lapse.observed(row["observed_at"], dataset, row.pop("details"))
    row |= {"kind": LimitKind(row["kind"]), "basis": LimitBasis(row["basis"]), "unlimited": bool(row["unlimited"])}
    return LimitRow(**{**row, "observed_at": observed_at}, dataset=dataset)


def _of_now(row: LimitRow, moment: datetime) -> LimitRow:
    over = lapse.lapsed(row.window, row.resets_at, row.observed_at, moment)
    return msgspec.structs.replace(row, used=None, remaining=None) if over else row


def _told_once(rows: Sequence[LimitRow]) -> list[LimitRow]:
    """Return the rows without those that a call told and something else of the connection later, or the other way."""
    last: dict[tuple[object, ...], LimitRow] = {}
    called = {_which(row) for row in rows if row.dataset == METERED_LIMITS}
    for row in rows:
        before = last.get(_which(row))
        if before is None or row.observed_at > before.observed_at:
            last[_which(row)] = row
    return [row for row in rows if _which(row) not in called or last[_which(row)] is row]


def _which(row: LimitRow) -> tuple[object, ...]:
    """Return what makes a limit the same one, whoever tells it."""
    return (
        row.connection, row.name, row.scope, row.kind, row.unit, row.window, row.model, row.sub_account_id
    )  # fmt: skip


def _needs_spend(row: LimitRow) -> bool:
    monthly = row.window is None or "month" in row.window
    return row.kind is LimitKind.SPEND and row.used is None and row.remaining is None and monthly


def _settled(row: LimitRow, spent: MonthSpend | None, query: Query, clock: Clock) -> LimitRow:
    used, remaining, basis, resets_at = row.used, row.remaining, row.basis, row.resets_at
    part = bounded(row.scope, row.sub_account_id)
    if spent is not None and part is not None and _needs_spend(row):
        used = spent.of(row.connection, row.unit, part)
        if used is not None:
            basis = LimitBasis.DERIVED
            if resets_at is None or resets_at <= lapse.asked_of(query, clock):
                resets_at = midnight(next_month(_month_of(query, clock)))
    if used is None and remaining is not None and row.quota is not None:
        used = row.quota - remaining
    if remaining is None and used is not None and row.quota is not None:
        remaining = row.quota - used
    return msgspec.structs.replace(row, used=used, remaining=remaining, basis=basis, resets_at=resets_at)


def _month_of(query: Query, clock: Clock) -> date:
    return month_start(query.period(clock)[1] - timedelta(days=1))


_BALANCE = (
    "connection",
    "provider",
    "name",
    "currency",
    "unit",
    "amount",
    "granted",
    "topped_up",
    "expires_at",
    "observed_at",
    "basis",
)


def balances(ledger: Ledger, query: Query | None = None, *, clock: Clock = system_clock) -> Answer[BalanceRow]:
    """Return every prepaid balance as last read.

    Order: by connection, dataset and name.
    Raises: ConfigError for a filter that readings do not have.
    """
    query = query or Query()
    first, to = query.period(clock)
    coverage = Coverage.of(ledger, query, clock)
    return Answer(
        from_=first,
        to=to,
        by=(),
        rows=balance_rows(ledger, query, coverage, clock),
        incomplete=gaps_of(coverage, query, (Balance,), clock),
        columns=BalanceRow.shown,
    )


def balance_rows(ledger: Ledger, query: Query, coverage: Coverage, clock: Clock) -> tuple[BalanceRow, ...]:
    """Return every prepaid balance as last read."""
    return tuple(
        BalanceRow(**dict(zip(_BALANCE, (*values, Basis(basis)), strict=True)), dataset=dataset)
        for *values, basis, dataset, start in latest_reading(ledger, "balances", _BALANCE, query, clock)
        if not coverage.superseded(values[0], dataset, start, query.period(clock)[1])
    )


def invoices(ledger: Ledger, query: Query | None = None, *, clock: Clock = system_clock) -> Answer[InvoiceRow]:
    """Return the invoices issued in a period, or whose period begins in it, each as last read.

    Without a start the period is the twelve months before the present one and the present one.
    Order: by connection, newest first.
    """
    query = query or Query()
    first, to = query.period(clock)
    if query.from_ is None:
        first = _months_back(first)
        query = msgspec.structs.replace(query, from_=first, to=to)
    condition = _filters(query)
    condition.add("told >= ? AND told < ?", midnight(first), midnight(to))
    sql = f"""
        SELECT connection, provider, invoice_id, number, status, currency, total, amount_due, period_start, period_end,
               issued_at, due_at
        FROM (
            SELECT *, coalesce(issued_at, period_start, partition_start) AS told FROM invoices
            QUALIFY row_number() OVER (
                PARTITION BY connection, dataset, invoice_id ORDER BY partition_start DESC, observed_at DESC) = 1
        )
        WHERE {condition.sql} ORDER BY connection, told DESC, invoice_id
    """
    rows = tuple(_invoice(values) for values in ledger.query(sql, condition.parameters).rows)
    incomplete = gaps_of(Coverage.of(ledger, query, clock), query, (Invoice,), clock)
    return Answer(from_=first, to=to, by=(), rows=rows, incomplete=incomplete, columns=InvoiceRow.shown)


def _months_back(first: date) -> date:
    for _ in range(_INVOICE_MONTHS):
        first = month_start(first - timedelta(days=1))
    return first


def _invoice(values: Sequence[Any]) -> InvoiceRow:
    row = dict(zip(InvoiceRow.shown, values, strict=True))
    for name in ("period_from", "period_to"):
        row[name] = day_of(row[name]) if row[name] is not None else None
    return InvoiceRow(**row)
