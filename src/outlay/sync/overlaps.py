"""Refuse a file that holds hours which are in the ledger already, cut into other days: both would count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from outlay.errors import ConfigError
from outlay.model.facts import Charge, Usage
from outlay.providers.base import Provider
from outlay.store import Ledger

if TYPE_CHECKING:
    from outlay.sync.entries import Typed

_STANDING = """
    SELECT DISTINCT x_PartitionStart, ChargePeriodStart, ChargePeriodEnd FROM charges
    WHERE x_Connection = ? AND x_Dataset = ?
    UNION SELECT DISTINCT partition_start, usage_period_start, usage_period_end FROM usage
    WHERE connection = ? AND dataset = ?
"""
_SHOWN = "%Y-%m-%d %H:%MZ"
_Span = tuple[datetime, datetime]


def refuse(ledger: Ledger, provider: Provider, connection: str, typed: Iterable[Typed]) -> None:
    """Raise where a form of which no hour may be in two lines would have one twice, or drop a part of what stands.

    A line takes the place of those that begin on the same UTC day, and must then hold all of their hours.
    Raises: ConfigError.
    """
    apart = {form.dataset for form in provider.imports if form.apart}
    news: dict[str, list[Typed]] = {}
    for each in typed:
        if each.dataset in apart:
            news.setdefault(each.dataset, []).append(each)
    for dataset, partitions in news.items():
        replaced = {each.period.start for each in partitions}
        rows = ledger.query(_STANDING, (connection, dataset) * 2).rows
        told = sorted({span for each in partitions for span in _spans(each)})
        stays = {(start, end) for partition, start, end in rows if partition not in replaced}
        goes = {(start, end) for partition, start, end in rows if partition in replaced}
        for (start, end), (next_start, _) in pairwise(sorted({*stays, *told})):
            if next_start < end:
                raise _cut(
                    f"the hours from {next_start:{_SHOWN}} on would count twice, for a line from {start:{_SHOWN}}"
                )
        for start, end in sorted(goes):
            if not _held(start, end, told):
                raise _cut(f"a part of the hours from {start:{_SHOWN}} to {end:{_SHOWN}} would be lost")


def _held(start: datetime, end: datetime, told: Iterable[_Span]) -> bool:
    """Tell whether lines that do not overlap, in order, hold every hour of a span."""
    for line_start, line_end in told:
        if line_start <= start < line_end:
            start = line_end
    return start >= end


def _cut(says: str) -> ConfigError:
    hint = "Export in the time zone of the earlier file, or withdraw that one with `outlay import --withdraw`."
    return ConfigError(f"the file cuts across days that stand: {says}", hint=hint)


def _spans(typed: Typed) -> Iterator[_Span]:
    for fact in typed.facts:
        if isinstance(fact, Charge | Usage):
            period = fact.charge_period if isinstance(fact, Charge) else fact.usage_period
            yield period.start, period.end
