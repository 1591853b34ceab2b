"""Fee terms: what a user has agreed on with a vendor that states no fees, in words that read back exactly.

Terms are kept in the ledger as the name of an entry, so that they are looked up, replaced and withdrawn like any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Self

import msgspec

from outlay.model.facts import Name
from outlay.model.money import Money

KIND = "fee_terms"
"""The kind of name under which terms are kept."""
ENTRY = "fee-terms"
"""The kind of entry that holds them, and nothing else."""
_TEXT = re.compile(
    r"(?P<percent>-?[\d.]+) %(?P<extra>(?:, [\w.]+ \+-?[\d.]+ %)*) \+ (?P<fixed>-?[\d.]+) (?P<currency>[A-Z]{3}),"
    r" from (?P<first>\d{4}-\d{2}-\d{2})"
)
_EXTRA = re.compile(r", ([\w.]+) \+(-?[\d.]+) %")


class FeeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What each payment costs: a share of it, a fixed amount besides, and further shares of payments of some kinds.

    Units: shares are per cent; `fixed` is in the currency the fees are taken in.
    """

    id: str
    percent: Decimal
    fixed: Money
    first: date
    """The first day they hold."""
    extra: Mapping[str, Decimal] = {}
    """Added to `percent` for payments of a kind, `Revenue.kind`."""

    @property
    def text(self) -> str:
        """Return the terms in words: `5 %, subscription_invoice +0.5 % + 0.5 USD, from 2026-11-01`."""
        extra = "".join(f", {kind} +{_plain(share)} %" for kind, share in sorted(self.extra.items()))
        fixed = f"{_plain(self.fixed.amount)} {self.fixed.currency}"
        return f"{_plain(self.percent)} %{extra} + {fixed}, from {self.first}"

    def name(self) -> Name:
        """Return the terms as they are kept."""
        return Name(kind=KIND, id=self.id, name=self.text)

    @classmethod
    def of(cls, name: Name) -> Self:
        """Return the terms that a name holds. Raises: ValueError when it holds none."""
        found = _TEXT.fullmatch(name.name or "")
        if name.kind != KIND or found is None:
            raise ValueError(f"{name.id} holds no fee terms")
        try:
            return cls(
                id=name.id,
                percent=Decimal(found["percent"]),
                fixed=Money.of(found["fixed"], found["currency"]),
                first=date.fromisoformat(found["first"]),
                extra={kind: Decimal(share) for kind, share in _EXTRA.findall(found["extra"])},
            )
        except InvalidOperation as error:
            raise ValueError(f"{name.id} holds no fee terms") from error

    def share(self, kind: str) -> Decimal:
        """Return the per cent of a payment of some kind."""
        return self.percent + self.extra.get(kind, Decimal(0))


def in_force(terms: Iterable[FeeTerms], day: date) -> dict[str, FeeTerms]:
    """Return the terms that hold on a day by the currency they are in: of those in one currency the latest.

    Two of one currency that begin on one day contradict each other, and neither holds.
    """
    found: dict[str, FeeTerms] = {}
    doubled: set[str] = set()
    for each in sorted((each for each in terms if each.first <= day), key=lambda each: each.first):
        currency = each.fixed.currency
        before = found.get(currency)
        doubled.discard(currency)
        if before is not None and before.first == each.first:
            doubled.add(currency)
        found[currency] = each
    return {currency: each for currency, each in found.items() if currency not in doubled}


def _plain(number: Decimal) -> str:
    text = f"{number:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
