"""Turn a day of metered totals into facts: usage, what the vendor says it costs, and what price lists make of the rest.

An hour is priced on its own, because prices may change with the hour; what has the same price is then one charge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Context, Decimal
from typing import Protocol

import msgspec

from outlay.model.basis import Basis
from outlay.model.facts import Charge, Usage
from outlay.model.metering import METERS, PARTLY_STATED, UNPRICED
from outlay.model.money import Money, exact, plus
from outlay.model.period import Period
from outlay.pricing.meters import Line, Unpriced, Use
from outlay.providers.base import Provider
from outlay.store.metering import Group, Total

_WIDE = Context(prec=100)


class Prices(Protocol):
    """What prices a use: the lists, or a stand-in."""

    def price(self, use: Use) -> tuple[Line | Unpriced, ...]:
        """Return a line for every quantity that has a price, and what has none."""
        ...


@dataclass(slots=True)
class Made:
    """A day's facts, and what had no price: quantities by model, meter and reason."""

    facts: list[Charge | Usage] = field(default_factory=list)
    unpriced: dict[tuple[str | None, str, str], Decimal] = field(default_factory=dict)
    both: bool = False
    """Whether some calls of a service state their own cost while others are priced or have no price."""

    @property
    def lacks(self) -> str | None:
        """Return why the day's cost may be more than its charges say; None where it is not."""
        return UNPRICED if self.unpriced else PARTLY_STATED if self.both else None


class _Kind(msgspec.Struct, frozen=True):
    """What rows of a day have in common."""

    model: str | None
    service_tier: str | None
    operation: str | None
    tags: str | None

    @classmethod
    def of(cls, group: Group) -> _Kind:
        return cls(group.model, group.service_tier, group.operation, group.tags)


class _Rate(msgspec.Struct, frozen=True):
    """What makes two priced lines one charge."""

    kind: _Kind
    context_band: int | None
    meter: str
    currency: str
    unit_price: Decimal
    pricing_unit: str
    per: Decimal
    rule: str
    version: str
    source: str


def service_of(provider: Provider, operation: str | None) -> str:
    """Return the FOCUS service of what is metered: that of the vendor's billed charges."""
    if provider.metering is not None:
        return provider.metering.services.get(operation or "", provider.metering.service_name)
    return next(iter(provider.services), provider.title)


def facts_of(totals: Iterable[Total], provider: Provider, period: Period, prices: Prices, part_of: str | None) -> Made:
    """Return a day's facts. Order: none that means anything; the digest does not depend on it."""
    made = Made()
    used: dict[tuple[_Kind, str], Decimal] = {}
    stated: dict[tuple[_Kind, str], Decimal] = {}
    priced: dict[_Rate, tuple[Decimal, Decimal]] = {}
    services: dict[bool, set[str]] = {True: set(), False: set()}
    for total in totals:
        kind = _Kind.of(total.group)
        for meter, quantity in total.quantities.items():
            if quantity:
                used[kind, meter] = plus(used.get((kind, meter), Decimal(0)), quantity)
        for currency, cost in total.costs.items():
            stated[kind, currency] = plus(stated.get((kind, currency), Decimal(0)), cost)
        if total.costs:
            services[True].add(service_of(provider, kind.operation))
        if not total.group.stated and any(total.quantities.values()):
            services[False].add(service_of(provider, kind.operation))
            _price(total, prices, priced, made)
    made.facts += _usage(used, period, provider, part_of)
    made.facts += _stated(stated, period, provider)
    made.facts += _priced(priced, period, provider)
    made.both = stated_basis(provider) is Basis.BILLED and not services[True].isdisjoint(services[False])
    return made


def _price(total: Total, prices: Prices, priced: dict[_Rate, tuple[Decimal, Decimal]], made: Made) -> None:
    group = total.group
    use = Use(
        provider=group.provider,
        model=group.model,
        at=group.hour,
        service_tier=group.service_tier,
        operation=group.operation,
        context_band=group.context_band,
        quantities={meter: quantity for meter, quantity in total.quantities.items() if quantity},
    )
    for line in prices.price(use):
        if isinstance(line, Unpriced):
            lack = (group.model, line.meter, line.why)
            made.unpriced[lack] = plus(made.unpriced.get(lack, Decimal(0)), line.quantity)
            continue
        rate = _Rate(
            _Kind.of(group),
            group.context_band,
            line.meter,
            line.cost.currency,
            line.unit_price,
            line.pricing_unit,
            line.per,
            line.rule,
            line.version,
            line.source,
        )
        quantity, cost = priced.get(rate, (Decimal(0), Decimal(0)))
        priced[rate] = (plus(quantity, line.quantity), plus(cost, line.cost.amount))


def _usage(
    used: dict[tuple[_Kind, str], Decimal], period: Period, provider: Provider, part_of: str | None
) -> Iterator[Usage]:
    for (kind, meter), quantity in used.items():
        yield Usage(
            usage_period=period,
            meter=meter,
            unit=METERS[meter].unit,
            quantity=exact(quantity),
            service_name=service_of(provider, kind.operation),
            model=kind.model,
            service_tier=kind.service_tier,
            part_of=part_of,
            tags=_tags(kind),
            details=_details(kind),
        )


def stated_basis(provider: Provider) -> Basis:
    """Return how a call's cost is known that the answer itself stated.

    Where the vendor's bill can be in the same ledger, through its API or its export, the call is on that bill already:
    as a weaker figure it stands beside the bill and is never added to it.
    """
    synced, imported = (each.yields for each in provider.datasets), (each.yields for each in provider.imports)
    bills = any(Charge in kinds for kinds in (*synced, *imported))
    return Basis.PRICED if bills else Basis.BILLED


def _stated(stated: dict[tuple[_Kind, str], Decimal], period: Period, provider: Provider) -> Iterator[Charge]:
    basis = stated_basis(provider)
    for (kind, currency), cost in stated.items():
        yield Charge(
            charge_period=period,
            billed_cost=Money(cost, currency),
            service_name=service_of(provider, kind.operation),
            basis=basis,
            sku_id=kind.model,
            model=kind.model,
            service_tier=kind.service_tier,
            tags=_tags(kind),
            details=_details(kind),
        )


def _priced(priced: dict[_Rate, tuple[Decimal, Decimal]], period: Period, provider: Provider) -> Iterator[Charge]:
    basis = Basis.PRICED if provider.metering is None else provider.metering.basis
    for rate, (quantity, cost) in priced.items():
        kind, money = rate.kind, Money(cost, rate.currency)
        yield Charge(
            charge_period=period,
            billed_cost=money,
            list_cost=money,
            service_name=service_of(provider, kind.operation),
            basis=basis,
            sku_id=kind.model,
            sku_meter=rate.meter,
            consumed_quantity=exact(quantity),
            consumed_unit=METERS[rate.meter].unit,
            pricing_quantity=exact(_WIDE.divide(quantity, rate.per)),
            pricing_unit=rate.pricing_unit,
            list_unit_price=exact(rate.unit_price),
            model=kind.model,
            service_tier=kind.service_tier,
            context_window=f">{rate.context_band}" if rate.context_band else None,
            price_list_version=rate.version,
            tags=_tags(kind),
            details={**(_details(kind) or {}), "rule": rate.rule, "source": rate.source},
        )


def _tags(kind: _Kind) -> dict[str, str | bool | None] | None:
    return None if kind.tags is None else msgspec.json.decode(kind.tags, type=dict[str, str | bool | None])


def _details(kind: _Kind) -> dict[str, str | None] | None:
    return {"operation": kind.operation} if kind.operation else None
