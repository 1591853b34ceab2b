"""Under which id a vendor bills a model that was metered: the same id, or the one dated id of it that is on the bill.

A call may name a model (`gpt-x`) and its bill a dated id of it (`gpt-x-2026-08-01`), or the other way round. Vendors
move a model's plain id from one dated id to the next without notice, so the two are taken for one only on a day on
which nothing else can be meant. What is not the same for sure stays apart, and it is said why.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Paired:
    """What belongs together on one day of one connection."""

    metered_as: dict[str, str] = field(default_factory=dict)
    """By the id on the bill: the id of the calls it is for."""
    why: dict[str, str] = field(default_factory=dict)
    """By either id: why it is alone, or what may be missing beside it."""


def plain(model: str, dated: str | None) -> str:
    """Return a model's own id, without the day that stands behind it in the vendor's way of writing."""
    found = re.fullmatch(rf"(.+?)(?:{dated})", model) if dated else None
    return found[1] if found else model


def paired(metered: Collection[str], billed: Collection[str], dated: str | None) -> Paired:
    """Return which of a day's metered ids are which of its billed ones.

    Equal ids are the same. A plain and a dated id are the same where the day has no other id of that model on either
    side; two dated ids never are.
    """
    result = Paired({model: model for model in billed if model in metered})
    ours, theirs = _families(metered, dated), _families(billed, dated)
    for family in ours.keys() & theirs.keys():
        _pair(family, ours[family], theirs[family], result)
    return result


def _pair(family: str, ours: set[str], theirs: set[str], result: Paired) -> None:
    """Pair a model's two ids where these are all there are, else say of each what it may belong to."""
    # Links between a plain and a dated id of which one at least stands alone.
    links = [
        (own, other)
        for own in sorted(ours)
        for other in sorted(theirs)
        if own != other and family in (own, other) and not (own in theirs and other in ours)
    ]
    if len(ours) == len(theirs) == 1:
        result.metered_as |= {other: own for own, other in links}
        return
    for model in ours - theirs:
        if bills := [other for own, other in links if own == model]:
            result.why[model] = f"the bill has {_listed(bills)}"
    for model in theirs - ours:
        if calls := [own for own, other in links if other == model]:
            result.why[model] = f"calls were metered as {_listed(calls)}"
    for model in ours & theirs:
        calls = [own for own, other in links if other == model]
        bills = [other for own, other in links if own == model]
        if calls:
            result.why[model] = f"it may be the bill of {_listed(calls)} too"
        elif bills:
            result.why[model] = f"its calls may be billed as {_listed(bills)} too"


def _families(models: Iterable[str], dated: str | None) -> dict[str, set[str]]:
    families: dict[str, set[str]] = {}
    for model in filter(None, models):
        families.setdefault(plain(model, dated), set()).add(model)
    return families


def _listed(models: Iterable[str]) -> str:
    return " and ".join(models)
