"""Refuse what cannot be right before it is committed: pure, facts in, problems out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any

from outlay.model.facts import Balance, Budget, Charge, Fact, Invoice, Limit, Name, Revenue, Statement, Usage
from outlay.model.money import plus
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.base import Dataset

_CHARGE_KEY = attrgetter(
    "charge_period", "service_name", "sku_id", "sku_price_id", "sub_account_id", "resource_id", "region_id", "model",
    "service_tier", "context_window", "api_key_id", "user_id", "charge_category", "charge_description", "correction",
    "billed_cost.currency", "basis", "billing_account_id", "invoice_id", "publisher_name", "pricing_category",
)  # fmt: skip
_USAGE_KEY = attrgetter(
    "usage_period", "meter", "unit", "service_name", "sku_id", "sub_account_id", "resource_id", "region_id", "model",
    "service_tier", "context_window", "api_key_id", "user_id", "part_of", "derived",
)  # fmt: skip
_CHARGE_GLANCE = attrgetter("charge_description", "sub_account_id", "resource_id", "sku_price_id", "user_id")
_KEYS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    Limit: attrgetter("name", "scope", "kind", "unit", "window", "model", "sub_account_id"),
    Balance: attrgetter("name", "currency", "unit"),
    Invoice: attrgetter("invoice_id", "total.currency"),
    Budget: attrgetter("budget_id", "scope"),
    Revenue: attrgetter("revenue_period", "kind", "record_id", "gross.currency"),
    Name: attrgetter("kind", "id"),
    Statement: attrgetter("period", "dataset", "service_name", "billing_account_id", "basis"),
}


def natural_key(fact: Fact) -> tuple[Any, ...]:
    """Return what makes a fact the same line when it is seen again, apart from its amounts."""
    kind = type(fact)
    if kind is Charge or kind is Usage:
        key = (_CHARGE_KEY if kind is Charge else _USAGE_KEY)(fact)
        if fact.tags or fact.details:  # type: ignore[union-attr]
            key = (*key, _flat(fact.tags), _flat(fact.details))  # type: ignore[union-attr]
        return (kind, *key)
    return (kind, *_KEYS[kind](fact))


def _glance(fact: Fact) -> tuple[Any, ...]:
    """Return a part of the natural key: facts that differ in it need no closer look."""
    return _CHARGE_GLANCE(fact) if type(fact) is Charge else natural_key(fact)


def _flat(values: dict[str, Any] | None) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(values.items())) if values else ()


@dataclass(frozen=True, slots=True)
class Checked:
    """A partition's facts, ready to be committed unless there is a fatal problem."""

    facts: tuple[Fact, ...]
    problems: tuple[Problem, ...]


def check(dataset: Dataset, period: Period, facts: Sequence[Fact]) -> Checked:
    """Return a partition's facts, repeated keys made one where the dataset says how, and what is wrong with them."""
    problems: list[Problem] = []
    kinds = set(map(type, facts))
    foreign = {kind.__name__ for kind in kinds if not issubclass(kind, dataset.yields)}
    if foreign:
        problems.append(
            Problem(
                code="unexpected_fact",
                says=f"{dataset.name} yields {', '.join(sorted(foreign))}, which it does not declare",
                hint="Report it; nothing was overwritten.",
                period=period,
            )
        )
    glance = _CHARGE_GLANCE if kinds == {Charge} else _glance
    if len(set(map(glance, facts))) < len(facts) and len(set(keys := list(map(natural_key, facts)))) < len(keys):
        if dataset.repeats == "add":
            facts = _added(keys, facts)
        elif dataset.repeats == "latest":
            facts = list(dict(zip(keys, facts, strict=True)).values())
        else:
            problems.append(_repeated(keys, period))
    return Checked(tuple(facts), tuple(problems))


def _repeated(keys: Sequence[tuple[Any, ...]], period: Period) -> Problem:
    seen: set[tuple[Any, ...]] = set()
    twice = next(key for key in keys if key in seen or seen.add(key))  # type: ignore[func-returns-value]
    shown = ", ".join(str(part) for part in twice[2:] if part not in (None, (), False))
    return Problem(
        code="duplicate_rows",
        says=f"the vendor sent the same line twice ({shown[:160]}); adding both could count it twice",
        hint="What was committed before is kept. Sync again; if it stays, report it to the vendor.",
        period=period,
    )


def _added(keys: Iterable[tuple[Any, ...]], facts: Iterable[Fact]) -> list[Fact]:
    groups: dict[tuple[Any, ...], list[Fact]] = {}
    for key, fact in zip(keys, facts, strict=True):
        groups.setdefault(key, []).append(fact)
    return [_sum(group) if len(group) > 1 else group[0] for group in groups.values()]


def _sum(group: list[Fact]) -> Fact:
    whole = group[0]
    for part in group[1:]:
        whole = _plus(whole, part)
    return whole


def _plus(a: Fact, b: Fact) -> Fact:
    """Add two lines of one natural key; what only one of them knows becomes unknown."""
    import msgspec

    if isinstance(a, Usage) and isinstance(b, Usage):
        return msgspec.structs.replace(a, quantity=plus(a.quantity, b.quantity))
    if isinstance(a, Charge) and isinstance(b, Charge):
        same_price = a.list_unit_price == b.list_unit_price
        same_contract = a.contracted_unit_price == b.contracted_unit_price
        return msgspec.structs.replace(
            a,
            billed_cost=a.billed_cost + b.billed_cost,
            effective_cost=(a.effective_cost or a.billed_cost) + (b.effective_cost or b.billed_cost)
            if a.effective_cost is not None or b.effective_cost is not None
            else None,
            list_cost=_both(a.list_cost, b.list_cost),
            contracted_cost=_both(a.contracted_cost, b.contracted_cost),
            consumed_quantity=_both(a.consumed_quantity, b.consumed_quantity),
            pricing_quantity=_both(a.pricing_quantity, b.pricing_quantity),
            list_unit_price=a.list_unit_price if same_price else None,
            contracted_unit_price=a.contracted_unit_price if same_contract else None,
        )
    return b


def _both(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return None
    return plus(a, b) if isinstance(a, Decimal) else a + b
