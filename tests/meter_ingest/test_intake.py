from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meter_ingest.making import NOW, clock, event
from outlay.errors import StoreError
from outlay.meter.ingest import Intake, Taken, by_names
from outlay.model.facts import Limit, LimitKind
from outlay.model.metering import MeterEvent
from outlay.model.money import Money
from outlay.store import Ledger, metering
from outlay.store.metering import Total
from outlay.store.state import State, engine, metadata


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Open a fresh ledger."""
    with Ledger.open(tmp_path / "home", clock=clock) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    """Open a state database that each example empties."""
    made = engine(f"sqlite:///{tmp_path_factory.mktemp('state') / 'state.sqlite'}")
    metadata.create_all(made)
    opened = State(made, "the state")
    yield opened
    opened.close()


def emptied(state: State) -> State:
    """Return the state with nothing in it."""
    with state.write() as connection:
        for table in (metering.seen, metering.totals, metering.days, metering.readings):
            connection.execute(table.delete())
    return state


def everything(state: State) -> list[Total]:
    """Return all totals, by day and group."""
    found = [total for day in metering.all_days(state) for total in metering.totals_of(state, day)]
    return sorted(found, key=lambda total: repr(total.group))


def test_an_event_is_taken_once(ledger: Ledger) -> None:
    """The same id is the same event, within a call, in the next one and after the ledger was opened again."""
    intake = Intake(ledger, clock=clock)
    assert intake.take([event("a"), event("a"), event("b")]) == Taken(2, 1)
    assert intake.take([event("b"), event("c")]) == Taken(1, 1)
    with Ledger.open(ledger.home, clock=clock) as again:
        assert Intake(again, clock=clock).take([event("a"), event("c")]) == Taken(0, 2)
    assert [total.quantities for total in everything(ledger.state)] == [{"input_tokens": Decimal(30)}]


def test_each_sender_is_told_its_own(ledger: Ledger) -> None:
    """Of two senders in one commit, the second learns that its event was taken for the first."""
    several = Intake(ledger, clock=clock).take_several([[event("a")], [event("a"), event("b")], []])
    assert several == [Taken(1, 0), Taken(1, 1), Taken(0, 0)]


def test_totals_keep_apart_what_bears_on_the_price(ledger: Ledger) -> None:
    """Hour, model, tier, band of the prompt, tags and a cost of the vendor's own each make a total of their own."""
    different: list[dict[str, object]] = [
        {},
        {"at": NOW + timedelta(hours=1)},
        {"model": "model-b"},
        {"model": None},
        {"service_tier": "flex"},
        {"operation": "chat"},
        {"context_tokens": 5},
        {"context_tokens": 128_001},
        {"tags": {"team": "a"}},
        {"cost": Money.of("0.1", "USD")},
        {"provider": "anthropic"},
        {"connection": "openai-two"},
    ]
    events = [event(f"{number}", **fields) for number, fields in enumerate(different)]
    Intake(ledger, clock=clock).take([*events, event("z", context_tokens=7)])
    found = everything(ledger.state)
    assert len(found) == len(different)
    assert sum(total.quantities["input_tokens"] for total in found) == 10 * len(different) + 10
    assert [total.costs for total in found if total.costs] == [{"USD": Decimal("0.1")}]


_quantity = st.decimals(0, 10**9, places=18, allow_nan=False, allow_infinity=False) | st.integers(0, 10**9).map(Decimal)
_events = st.lists(
    st.builds(
        lambda number, hour, model, quantity, cost: event(
            f"id-{number}-{hour}-{model}-{quantity}-{cost}",
            at=NOW - timedelta(hours=hour),
            model=model,
            quantities={"input_tokens": quantity},
            cost=None if cost is None else Money(cost, "USD"),
        ),
        st.integers(0, 5),
        st.integers(0, 30),
        st.sampled_from(["model-a", "model-b", None]),
        _quantity,
        st.none() | st.decimals(-1000, 1000, places=18),
    ),
    max_size=25,
)


@given(_events, st.integers(0, 2**32))
def test_order_and_repetition_change_nothing(state: State, events: list[MeterEvent], seed: int) -> None:
    """Any order, any cut into calls and any repetition gives the same totals, exact to the last digit."""
    Intake(emptied(state), clock=clock).take(events)
    whole = everything(state)
    chance = random.Random(seed)  # noqa: S311 - it mixes, it keeps no secret
    mixed = [*events, *chance.choices(events, k=len(events))] if events else []
    chance.shuffle(mixed)
    intake = Intake(emptied(state), clock=clock)
    while mixed:
        count = chance.randint(1, len(mixed))
        intake.take(mixed[:count])
        del mixed[:count]
    assert everything(state) == whole
    unique = {each.id: each for each in events}.values()
    with_costs = [each.cost.amount for each in unique if each.cost is not None]
    counted = _parts(total.quantities["input_tokens"] for total in whole)
    assert counted == _parts(each.quantities["input_tokens"] for each in unique)
    assert _parts(cost for total in whole for cost in total.costs.values()) == _parts(with_costs)


def _parts(numbers: Iterable[Decimal]) -> int:
    """Return a sum in parts of 10^-18, which no context of decimals can round."""
    return int(sum((Fraction(number) for number in numbers), Fraction(0)) * 10**18)


def limit(remaining: int, name: str = "requests") -> Limit:
    """Return a limit as headers tell it."""
    return Limit(
        name=name, scope="organization", kind=LimitKind.RATE, unit="requests", quota=Decimal(100),
        remaining=Decimal(remaining),
    )  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_the_last_reading_of_a_limit_stands(ledger: Ledger, order: tuple[int, ...]) -> None:
    """Whatever order answers come in, each limit keeps what the latest of its day said."""
    events = [
        event("a", at=NOW, limits=(limit(9), limit(5, "tokens"))),
        event("b", at=NOW + timedelta(minutes=1), limits=(limit(8),)),
        event("c", at=NOW + timedelta(minutes=1), limits=(limit(7),)),
        event("d", at=NOW - timedelta(days=1), limits=(limit(1),)),
    ]
    intake = Intake(ledger, clock=clock)
    for number in order:
        intake.take([events[number]])
    yesterday, today = metering.all_days(ledger.state)
    assert [(each.name, each.remaining) for _, each in metering.limits_of(ledger.state, yesterday)] == [("requests", 1)]
    held = {each.name: (at, each.remaining) for at, each in metering.limits_of(ledger.state, today)}
    assert held == {"requests": (NOW + timedelta(minutes=1), 8), "tokens": (NOW, 5)}


def test_ids_are_forgotten_only_when_their_events_could_not_be_taken_again(ledger: Ledger) -> None:
    """After 35 days an id is still known, after more it is not; a file's ids and old events' stay for good."""
    intake = Intake(ledger, clock=clock)
    intake.take([event("fresh")])
    intake.take([event("file")], keep=True)
    intake.take([event("old", at=NOW - timedelta(days=40))])
    metering.forget(ledger.state, (NOW + timedelta(days=36)).date(), 35)
    assert intake.known([event("fresh"), event("file"), event("old")]) == 3
    metering.forget(ledger.state, (NOW + timedelta(days=60)).date(), 35)
    assert intake.known([event("fresh"), event("file"), event("old")]) == 2
    assert metering.remembered(ledger.state) == 2


def test_what_fails_is_not_half_taken(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the totals cannot be written, the ids are not remembered either."""
    intake = Intake(ledger, clock=clock)
    intake.take([event("a")])

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(metering, "_latest", broken)
        with pytest.raises(StoreError, match="full"):
            intake.take([event("b")])
    assert intake.take([event("b")]) == Taken(1, 0)
    assert [total.quantities for total in everything(ledger.state)] == [{"input_tokens": Decimal(20)}]


@pytest.mark.parametrize(
    ("configured", "provider", "asked", "named"),
    [
        ({}, "openai", None, "openai"),
        ({"main": "openai"}, "openai", None, "main"),
        ({"main": "openai", "other": "openai"}, "openai", None, "openai"),
        ({"main": "openai", "other": "openai"}, "openai", "other", "other"),
        ({"main": "anthropic"}, "openai", "main", "openai"),
        ({"main": "openai"}, "openai", "web", "openai-web"),
        ({"main": "openai"}, "openai", "openai-web", "openai-web"),
        ({"openai": "anthropic"}, "openai", None, "openai-metered"),
        ({"openai-web": "anthropic"}, "openai", "web", "openai-metered"),
        ({}, "openai", "no name!", "openai"),
    ],
)
def test_whose_an_event_is(configured: dict[str, str], provider: str, asked: str | None, named: str) -> None:
    """An event goes to the connection it names if that is its provider's, and no name ever stands for two of them."""
    assert by_names(configured)(event("a", provider=provider, connection=asked)) == named
