"""Small ledgers for tests of questions and exports: facts in, a real ledger out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from outlay.model.basis import Basis
from outlay.model.batch import Account, Batch, Partition
from outlay.model.facts import Charge, Fact, Usage
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.store import Ledger

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
_ids = count(1)


def clock() -> datetime:
    """Return the moment every test lives in."""
    return NOW


def charge(day: date, amount: str, **fields: Any) -> Charge:
    """Return a charge of one day."""
    currency = fields.pop("currency", "USD")
    for name in ("effective_cost", "list_cost", "contracted_cost"):
        if name in fields:
            fields[name] = Money(Decimal(fields[name]), currency)
    fields.setdefault("service_name", "OpenAI API")
    fields["basis"] = Basis(fields.get("basis", Basis.BILLED))
    return Charge(charge_period=Period.of_day(day), billed_cost=Money(Decimal(amount), currency), **fields)


def usage(day: date, quantity: str, **fields: Any) -> Usage:
    """Return a measurement of one day."""
    fields = {"meter": "input_tokens", "unit": "tokens", "service_name": "OpenAI API", **fields}
    return Usage(usage_period=Period.of_day(day), quantity=Decimal(quantity), **fields)


def put(
    ledger: Ledger,
    connection: str,
    dataset: str,
    period: Period,
    facts: Sequence[Fact] = (),
    *,
    provider: str = "openai",
    account_id: str | None = "org-1",
    observed_at: datetime = NOW,
) -> None:
    """Commit one partition."""
    account = Account(connection=connection, provider=provider, account_id=account_id)
    ledger.commit(account, [_batch(account, dataset, period, facts, observed_at)])


def put_days(
    ledger: Ledger,
    connection: str,
    dataset: str,
    facts: Mapping[date, Sequence[Fact]],
    *,
    provider: str = "openai",
    account_id: str | None = "org-1",
) -> None:
    """Commit one partition a day, all at once."""
    account = Account(connection=connection, provider=provider, account_id=account_id)
    ledger.commit(account, [_batch(account, dataset, Period.of_day(day), of_day) for day, of_day in facts.items()])


def _batch(account: Account, dataset: str, period: Period, facts: Sequence[Fact], observed_at: datetime = NOW) -> Batch:
    number = next(_ids)
    return Batch(
        batch_id=f"b{number:06d}",
        partition=Partition(account.connection, dataset, period),
        provider=account.provider,
        endpoint=dataset,
        fetch_id=None,
        digest=f"d{number:06d}",
        observed_at=observed_at,
        facts=tuple(facts),
    )
