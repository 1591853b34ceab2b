"""What meter events add up to, in the state database: exact, each told once, and which days the tables lack.

Totals are kept by hour and are never thrown away: an event that comes late is added to what its day already holds.
Those of days long ago are packed, a row for each day (`outlay.store.packing`).
A quantity lies in three whole numbers, so that both databases add up exactly and in any order.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from outlay.clock import midnight
from outlay.model.facts import Limit
from outlay.store.state import State, metadata, micros, moment

GIGA = 10**9
ATTO = 10**18
"""How many of the smallest parts a quantity is counted in make one."""
NEVER = 1 << 40
"""The day on which an id may be forgotten that must be remembered for good."""

seen = sa.Table(
    "outlay_meter_seen",
    metadata,
    sa.Column("event", sa.LargeBinary, primary_key=True),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Index("outlay_meter_seen_until", "until"),
    sqlite_with_rowid=False,
)

totals = sa.Table(
    "outlay_meter_totals",
    metadata,
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("meter", sa.Text, primary_key=True),
    sa.Column("connection", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("hour", sa.BigInteger, nullable=False),
    sa.Column("model", sa.Text),
    sa.Column("service_tier", sa.Text),
    sa.Column("operation", sa.Text),
    sa.Column("context_band", sa.BigInteger),
    sa.Column("tags", sa.Text),
    sa.Column("stated", sa.Boolean, nullable=False),
    sa.Column("whole", sa.BigInteger, nullable=False),
    sa.Column("nano", sa.BigInteger, nullable=False),
    sa.Column("atto", sa.BigInteger, nullable=False),
    sa.Index("outlay_meter_totals_hour", "connection", "provider", "hour"),
)

days = sa.Table(
    "outlay_meter_days",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("day", sa.BigInteger, primary_key=True),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("settled", sa.BigInteger),
    sa.Column("part_of", sa.Text),
    sa.Column("lacking", sa.Boolean, nullable=False),
    sa.Column("sealed", sa.Text),
)

packed = sa.Table(
    "outlay_meter_packed",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("day", sa.BigInteger, primary_key=True),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("totals", sa.LargeBinary, nullable=False),
)

readings = sa.Table(
    "outlay_meter_limits",
    metadata,
    sa.Column("connection", sa.Text, primary_key=True),
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("day", sa.BigInteger, primary_key=True),
    sa.Column("key", sa.LargeBinary, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("reading", sa.Text, nullable=False),
)


class Group(msgspec.Struct, frozen=True):
    """What events have in common that are added up together: one hour of one model at one connection."""

    connection: str
    provider: str
    hour: datetime
    model: str | None
    service_tier: str | None
    operation: str | None
    context_band: int | None
    tags: str | None
    """JSON with sorted keys."""
    stated: bool
    """Whether the vendor itself says what these calls cost: their quantities are then never priced."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A limit as an answer's headers told it."""

    connection: str
    provider: str
    at: datetime
    key: bytes
    """Which limit it is: a later reading of the same day takes its place."""
    limit: str
    """JSON."""


class Added(msgspec.Struct, kw_only=True):
    """What some events add. Units: sums in parts of `ATTO`, by group and meter; a cost's meter is `$` and currency."""

    sums: dict[tuple[Group, str], int] = {}
    readings: list[Reading] = []


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A day of one connection, and how far it has come."""

    connection: str
    provider: str
    day: date
    taken: int
    """How many times events were added; the same number again means that nothing came since."""
    settled: int | None
    """What `taken` was when the day was last committed; None when it never was."""
    part_of: str | None
    lacking: bool
    """Whether some of it had no price when it was last committed."""
    sealed: tuple[str, ...] = ()
    """The digests by which this very database knows what the tables hold of it: the one before and the one after the
    last commit it began. What stands there under another digest holds more than is known here."""

    @property
    def due(self) -> bool:
        """Tell whether the tables lack something of it."""
        return self.settled != self.taken


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """What the events of one group add up to."""

    group: Group
    quantities: dict[str, Decimal]
    costs: dict[str, Decimal]
    """By currency."""


def take(state: State, ids: Mapping[bytes, int], added: Callable[[Collection[bytes]], Added]) -> frozenset[bytes]:
    """Remember events and add what the unknown ones of them come to, in one transaction; return which those were.

    `ids` maps an event's id to the day on which it may be forgotten; `added` says what some of them add.
    Raises: StoreError; nothing of it is then taken.
    """
    rows = [{"event": event, "until": until} for event, until in sorted(ids.items())]
    if not rows:
        return frozenset()
    made = _statements(state.engine.dialect.name)
    with state.write() as connection:
        fresh = frozenset(connection.execute(made.remember, rows).scalars())
        if fresh:
            _add(connection, made, added(fresh))
    return fresh


class _Statements(NamedTuple):
    """What a take runs: made once, for making them takes longer than running them."""

    remember: sa.Executable
    add: sa.Executable
    read: sa.Executable
    touch: sa.Executable


@cache
def _statements(dialect: str) -> _Statements:
    insert = importlib.import_module(f"sqlalchemy.dialects.{dialect}").insert
    add, read, touch = insert(totals), insert(readings), insert(days)
    later = sa.or_(
        read.excluded.at > readings.c.at,
        sa.and_(read.excluded.at == readings.c.at, read.excluded.reading > readings.c.reading),
    )
    return _Statements(
        remember=insert(seen).on_conflict_do_nothing().returning(seen.c.event),
        add=add.on_conflict_do_update(
            index_elements=["key", "meter"],
            set_={name: totals.c[name] + add.excluded[name] for name in ("whole", "nano", "atto")},
        ),
        read=read.on_conflict_do_update(
            index_elements=["connection", "provider", "day", "key"],
            set_={name: read.excluded[name] for name in ("at", "reading")},
            where=later,
        ),
        touch=touch.on_conflict_do_update(
            index_elements=["connection", "provider", "day"], set_={"taken": days.c.taken + 1}
        ),
    )


def known(state: State, ids: Collection[bytes]) -> frozenset[bytes]:
    """Return which events were taken before. Raises: StoreError."""
    found: set[bytes] = set()
    wanted = sorted(ids)
    for start in range(0, len(wanted), 500):
        query = sa.select(seen.c.event).where(seen.c.event.in_(wanted[start : start + 500]))
        found.update(row.event for row in state.read(query))
    return frozenset(found)


def _add(connection: sa.Connection, made: _Statements, added: Added) -> None:
    """Add up. Order: every writer takes the rows in the same order, so that two of them never wait for each other."""
    rows = sorted((_row(group, meter, sum_) for (group, meter), sum_ in added.sums.items()), key=_place)
    latest = _latest(added.readings)
    touched = {(group.connection, group.provider, _day(group.hour)) for group, _ in added.sums}
    touched |= {(row["connection"], row["provider"], row["day"]) for row in latest}
    if rows:
        connection.execute(made.add, rows)
    if latest:
        connection.execute(made.read, latest)
    connection.execute(
        made.touch,
        [
            {"connection": name, "provider": provider, "day": day, "taken": 1, "lacking": False}
            for name, provider, day in sorted(touched)
        ],
    )


def _row(group: Group, meter: str, sum_: int) -> dict[str, Any]:
    whole, rest = divmod(sum_, ATTO)
    nano, atto = divmod(rest, GIGA)
    return {
        "key": key_of(group),
        "meter": meter,
        **{name: getattr(group, name) for name in Group.__struct_fields__},
        "hour": micros(group.hour),
        "whole": whole,
        "nano": nano,
        "atto": atto,
    }


def _place(row: Mapping[str, Any]) -> tuple[bytes, str]:
    return row["key"], row["meter"]


def key_of(value: object) -> bytes:
    """Return sixteen bytes that stand for a value."""
    from hashlib import blake2b

    return blake2b(msgspec.msgpack.encode(value), digest_size=16).digest()


def _latest(found: Iterable[Reading]) -> list[dict[str, Any]]:
    last: dict[tuple[Any, ...], dict[str, Any]] = {}
    for each in found:
        row = {
            "connection": each.connection,
            "provider": each.provider,
            "day": _day(each.at),
            "key": each.key,
            "at": micros(each.at),
            "reading": each.limit,
        }
        place = (each.connection, each.provider, row["day"], each.key)
        before = last.get(place)
        if before is None or (row["at"], row["reading"]) > (before["at"], before["reading"]):
            last[place] = row
    return [last[place] for place in sorted(last)]


def _day(at: datetime) -> int:
    return micros(midnight(at.date()))


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────


def all_days(state: State, connection: str | None = None) -> list[Day]:
    """Return every day that holds events, by connection, provider and day. Raises: StoreError."""
    query = sa.select(days).order_by(days.c.connection, days.c.provider, days.c.day)
    if connection is not None:
        query = query.where(days.c.connection == connection)
    return [
        Day(
            connection=row.connection,
            provider=row.provider,
            day=moment(row.day).date(),
            taken=row.taken,
            settled=row.settled,
            part_of=row.part_of,
            lacking=row.lacking,
            sealed=tuple((row.sealed or "").split()),
        )
        for row in state.read(query)
    ]


def totals_of(state: State, day: Day) -> list[Total]:
    """Return what a day's events add up to, by hour and group. Raises: StoreError."""
    from outlay.store.packing import together, total, unpacked

    start = micros(midnight(day.day))
    live = (
        sa.select(totals)
        .where(totals.c.connection == day.connection, totals.c.provider == day.provider)
        .where(totals.c.hour >= start, totals.c.hour < start + 86_400_000_000)
        .order_by(totals.c.hour, totals.c.key, totals.c.meter)
    )
    old = sa.select(packed.c.totals).where(
        packed.c.connection == day.connection, packed.c.provider == day.provider, packed.c.day == start
    )
    # Of one moment: between the two, another process may move totals from the one to the other.
    rows, long_ago = state.read_together(live, old)
    return [total(day, line) for line in together(unpacked(long_ago[0].totals) if long_ago else (), rows)]


def limits_of(state: State, day: Day) -> list[tuple[datetime, Limit]]:
    """Return a day's last reading of each limit, with its moment. Raises: StoreError."""
    query = (
        sa.select(readings.c.at, readings.c.reading)
        .where(readings.c.connection == day.connection, readings.c.provider == day.provider)
        .where(readings.c.day == micros(midnight(day.day)))
        .order_by(readings.c.key)
    )
    return [(moment(row.at), msgspec.json.decode(row.reading, type=Limit)) for row in state.read(query)]


# ── how far it has come ──────────────────────────────────────────────────────────────────────────────────────────


def begin(state: State, seals: Mapping[Day, Sequence[str]]) -> None:
    """Note before the commit by which digests days will be known: as they stand, and as they are to be.

    Raises: StoreError.
    """
    with state.write() as connection:
        for day, sealed in seals.items():
            if day.sealed != tuple(sealed):
                connection.execute(sa.update(days).where(_is(day)).values(sealed=" ".join(sealed)))


def settled(state: State, day: Day, *, part_of: str | None, lacking: bool) -> None:
    """Note that the tables hold what a day had when it was read; what came since keeps it due. Raises: StoreError."""
    with state.write() as connection:
        connection.execute(sa.update(days).where(_is(day)).values(settled=day.taken, part_of=part_of, lacking=lacking))


def forget(state: State, today: date, keep_days: int) -> None:
    """Let go of ids that cannot come again, and of limits whose day is long committed. Raises: StoreError."""
    long_ago = micros(midnight(today)) - keep_days * 86_400_000_000
    with state.write() as connection:
        connection.execute(sa.delete(seen).where(seen.c.until < today.toordinal()))
        connection.execute(sa.delete(readings).where(readings.c.day < long_ago))


def remembered(state: State) -> int:
    """Return how many ids are remembered. Raises: StoreError."""
    return int(state.read(sa.select(sa.func.count()).select_from(seen))[0][0])


def _is(day: Day) -> sa.ColumnElement[bool]:
    return sa.and_(
        days.c.connection == day.connection, days.c.provider == day.provider, days.c.day == micros(midnight(day.day))
    )
