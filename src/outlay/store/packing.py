"""Pack what the events of a day long ago add up to into one row: all of it, in a hundredth of the room.

Nothing is thrown away, so that a late event, a corrected price list or a vendor's own usage that comes months later
finds the whole day. What a day holds is always its packed totals and those that came since, whoever packs meanwhile.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import date
from decimal import Context, Decimal
from typing import Any

import msgspec
import sqlalchemy as sa

from outlay.clock import midnight
from outlay.store.metering import ATTO, GIGA, Day, Group, Total, days, packed, totals
from outlay.store.state import State, micros, moment

_WIDE = Context(prec=60)
_DAY = 86_400_000_000
Parts = tuple[int, int, int]
"""The whole, nano and atto of a sum."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """The totals of one group of a day, under the names of their columns."""

    key: bytes
    hour: int
    model: str | None
    service_tier: str | None
    operation: str | None
    context_band: int | None
    tags: str | None
    stated: bool
    sums: dict[str, Parts]


_decoder = msgspec.msgpack.Decoder(list[Line])


def unpacked(packed_totals: bytes) -> list[Line]:
    """Return the totals of a packed day, by hour and key."""
    return _decoder.decode(zlib.decompress(packed_totals))


def pack(state: State, before: date) -> int:
    """Pack the totals of every day before one that has some unpacked; return how many days those were.

    Each day is one transaction. Raises: StoreError.
    """
    same = [days.c[name] == packed.c[name] for name in ("connection", "provider", "day")]
    query = (
        sa.select(days.c.connection, days.c.provider, days.c.day, days.c.taken)
        .outerjoin(packed, sa.and_(*same))
        .where(days.c.day < micros(midnight(before)))
        .where(sa.or_(packed.c.taken.is_(None), packed.c.taken != days.c.taken))
        .order_by(days.c.connection, days.c.provider, days.c.day)
    )
    found = state.read(query)
    for row in found:
        _pack(state, row)
    return len(found)


def _pack(state: State, day: sa.Row[Any]) -> None:
    live = sa.and_(
        totals.c.connection == day.connection,
        totals.c.provider == day.provider,
        totals.c.hour >= day.day,
        totals.c.hour < day.day + _DAY,
    )
    with state.write() as connection:
        # Rows are locked in the order in which events lock them, the day after them: so nobody waits in a ring.
        connection.execute(sa.select(totals.c.key).where(live).order_by(totals.c.key, totals.c.meter).with_for_update())
        # What is taken away is exactly what is packed, also where events come meanwhile: theirs stay for the next time.
        gone = connection.execute(sa.delete(totals).where(live).returning(*totals.c)).all()
        connection.execute(sa.select(days.c.taken).where(_is(days, day)).with_for_update())
        before = connection.execute(sa.select(packed.c.totals).where(_is(packed, day))).scalar()
        lines = together(unpacked(before) if before else (), gone)
        row = {
            "connection": day.connection,
            "provider": day.provider,
            "day": day.day,
            # As it was before: an event that came since makes it differ, and the day is looked at again.
            "taken": day.taken,
            "totals": zlib.compress(msgspec.msgpack.encode(lines), 9),
        }
        state.upsert(connection, packed, [row])


def together(before: Iterable[Line], rows: Iterable[sa.Row[Any]]) -> list[Line]:
    """Return packed totals with those of rows added, by hour and key."""
    lines = {line.key: line for line in before}
    for row in rows:
        line = lines.get(row.key)
        if line is None:
            fields = {name: getattr(row, name) for name in Line.__struct_fields__ if name != "sums"}
            line = lines[row.key] = Line(**fields, sums={})
        whole, nano, atto = line.sums.get(row.meter, (0, 0, 0))
        line.sums[row.meter] = (whole + row.whole, nano + row.nano, atto + row.atto)
    return sorted(lines.values(), key=lambda line: (line.hour, line.key))


def total(day: Day, line: Line) -> Total:
    """Return the totals of one group as they are asked for."""
    group = Group(
        connection=day.connection,
        provider=day.provider,
        hour=moment(line.hour),
        model=line.model,
        service_tier=line.service_tier,
        operation=line.operation,
        context_band=line.context_band,
        tags=line.tags,
        stated=line.stated,
    )
    made = Total(group=group, quantities={}, costs={})
    for meter, (whole, nano, atto) in sorted(line.sums.items()):
        sum_ = Decimal(whole * ATTO + nano * GIGA + atto).scaleb(-18, _WIDE)
        if meter.startswith("$"):
            made.costs[meter[1:]] = sum_
        else:
            made.quantities[meter] = sum_
    return made


def _is(table: sa.Table, day: sa.Row[Any]) -> sa.ColumnElement[bool]:
    return sa.and_(*(table.c[name] == getattr(day, name) for name in ("connection", "provider", "day")))
