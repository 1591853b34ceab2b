"""What the ledger knows of each model's day: what metered use is priced at, and what the vendor bills for it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from decimal import Context, Decimal

import msgspec

from outlay.analysis.billed_models import paired, plain
from outlay.analysis.query import Query
from outlay.clock import midnight
from outlay.model.metering import METERED, METERS
from outlay.store import Ledger
from outlay.store.commit import described

_WIDE = Context(prec=100)
_ZERO = Decimal(0)


class State(enum.StrEnum):
    """What is known of a model's days."""

    BOTH = "both"
    """Priced and billed: these days are compared."""
    UNPRICED = "unpriced"
    """Some or all of what was metered has no price."""
    PRICED_ONLY = "priced_only"
    """The vendor bills nothing for them, or not yet."""
    BILLED_ONLY = "billed_only"
    """Nothing of them was metered."""


class ModelDay(msgspec.Struct):
    """What is known of a model's day at one connection, in one currency."""

    provider: str
    priced: Decimal | None = None
    billed: Decimal | None = None
    unpriced: frozenset[str] = frozenset()
    billed_as: str | None = None
    """The id on the bill, where it is another one than that of the calls."""
    why: str | None = None
    """Why it is alone, or what may be missing beside it."""

    @property
    def state(self) -> State:
        """Return what is known of the day."""
        if self.unpriced:
            return State.UNPRICED
        if self.priced is None:
            return State.BILLED_ONLY
        return State.PRICED_ONLY if self.billed is None else State.BOTH


Place = tuple[date, str, str, str]
"""Day, connection, model, currency."""
Others = dict[tuple[str, str], list[tuple[str, Decimal]]]
"""What is billed for models that nobody metered, by connection and currency: each model and its cost."""


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return an exact sum."""
    result = _ZERO
    for amount in amounts:
        result = _WIDE.add(result, amount)
    return result


@dataclass(slots=True)
class _Metered:
    """Which models were metered on which days of a connection, and which of their meters have no price."""

    providers: dict[str, str] = field(default_factory=dict)
    models: dict[tuple[str, date], set[str]] = field(default_factory=dict)
    lacking: dict[tuple[date, str, str], set[str]] = field(default_factory=dict)


def known_days(ledger: Ledger, query: Query, first: date, to: date) -> tuple[dict[Place, ModelDay], Others]:
    """Return what is known of each day of each metered model, and what is billed for models that nobody metered."""
    bounds = (midnight(first), midnight(to))
    metered = _Metered()
    days: dict[Place, ModelDay] = {}
    sums: dict[tuple[date, str, str, str], Decimal] = {}
    for day, connection, provider, model, currency, meter, cost, quantity in ledger.query(_PRICED, bounds).rows:
        if query.asked(connection, provider):
            metered.providers[connection] = provider
            entry = days.setdefault((day, connection, model, currency), ModelDay(provider))
            entry.priced = _WIDE.add(entry.priced or _ZERO, cost)
            sums[day, connection, model, meter] = _WIDE.add(sums.get((day, connection, model, meter), _ZERO), quantity)
    _add_used(metered, ledger, query, bounds, sums)
    others = _add_billed(days, ledger, bounds, metered)
    for (day, connection, model, _), entry in days.items():
        entry.unpriced = frozenset(metered.lacking.get((day, connection, model), ()))
    return days, others


_PRICED = f"""
    SELECT CAST(ChargePeriodStart AS DATE), x_Connection, x_Provider, coalesce(x_Model, ''), BillingCurrency, SkuMeter,
           sum(BilledCost), sum(ConsumedQuantity)
    FROM charges WHERE x_Dataset = '{METERED}' AND x_PriceListVersion IS NOT NULL
      AND ChargePeriodStart >= ? AND ChargePeriodStart < ? GROUP BY ALL
"""
_USED = f"""
    SELECT CAST(usage_period_start AS DATE), u.connection, u.provider, coalesce(u.model, ''), u.meter, sum(u.quantity)
    FROM usage u WHERE u.dataset = '{METERED}' AND usage_period_start >= ? AND usage_period_start < ? GROUP BY ALL
"""
_STATED = f"""
    SELECT DISTINCT CAST(ChargePeriodStart AS DATE), x_Connection, coalesce(x_Model, '')
    FROM charges WHERE x_Dataset = '{METERED}' AND x_PriceListVersion IS NULL
      AND ChargePeriodStart >= ? AND ChargePeriodStart < ?
"""
_BILLED = f"""
    SELECT CAST(ChargePeriodStart AS DATE), x_Connection, coalesce(x_Model, ''), BillingCurrency, sum(BilledCost)
    FROM charges
    WHERE x_Dataset <> '{METERED}' AND x_Basis = 'billed' AND ChargeCategory = 'Usage'
      AND (x_Connection, ServiceName) IN (SELECT connection, service_name FROM usage WHERE dataset = '{METERED}')
      AND ChargePeriodStart >= ? AND ChargePeriodStart < ? GROUP BY ALL
"""


def _add_used(
    metered: _Metered,
    ledger: Ledger,
    query: Query,
    bounds: tuple[object, object],
    priced: dict[tuple[date, str, str, str], Decimal],
) -> None:
    """Note every model that was metered at all, and the meters without a price by day.

    A model of which some calls state their own cost is left out: their quantities are not meant to be priced.
    """
    stated = {tuple(row) for row in ledger.query(_STATED, bounds).rows}
    for day, connection, provider, model, meter, quantity in ledger.query(_USED, bounds).rows:
        if not query.asked(connection, provider):
            continue
        metered.providers[connection] = provider
        metered.models.setdefault((connection, day), set()).add(model)
        if (
            _costs(meter)
            and (day, connection, model) not in stated
            and priced.get((day, connection, model, meter)) != quantity
        ):
            metered.lacking.setdefault((day, connection, model), set()).add(meter)


def _costs(meter: str) -> bool:
    """Tell whether a meter without a charge is one whose cost is unknown: requests are counted everywhere."""
    known = METERS.get(meter)
    return meter == "uncounted_requests" or (meter != "requests" and (known is None or known.inside is None))


def _add_billed(
    days: dict[Place, ModelDay], ledger: Ledger, bounds: tuple[object, object], metered: _Metered
) -> Others:
    """Put the bills beside what was metered; return what is billed for models that nobody metered."""
    bills: dict[tuple[str, date], list[tuple[str, str, Decimal]]] = {}
    for day, connection, model, currency, cost in ledger.query(_BILLED, bounds).rows:
        if connection in metered.providers:
            bills.setdefault((connection, day), []).append((model, currency, cost))
    forms = {connection: _dated(provider) for connection, provider in metered.providers.items()}
    known: dict[str, set[str]] = {}
    for (connection, _), models in metered.models.items():
        known.setdefault(connection, set()).update(models)
    others: Others = {}
    why: dict[tuple[date, str, str], str] = {}
    for (connection, day), lines in bills.items():
        provider, dated, named = metered.providers[connection], forms[connection], known.get(connection, set())
        ids = named | {plain(model, dated) for model in named}
        pairs = paired(metered.models.get((connection, day), ()), {line[0] for line in lines}, dated)
        why |= {(day, connection, model): says for model, says in pairs.why.items()}
        for model, currency, cost in lines:
            if model not in ids and plain(model, dated) not in named:
                others.setdefault((connection, currency), []).append((model, cost))
                continue
            own = pairs.metered_as.get(model, model)
            entry = days.setdefault((day, connection, own, currency), ModelDay(provider))
            entry.billed = _WIDE.add(entry.billed or _ZERO, cost)
            entry.billed_as = None if own == model else model
    for (day, connection, model, _), entry in days.items():
        entry.why = why.get((day, connection, model))
    return others


def _dated(provider: str) -> str | None:
    metering = described(provider).metering
    return None if metering is None else metering.dated
