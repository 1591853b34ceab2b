from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from meter_ingest.making import NOW, clock, event
from meter_ingest.settling import TODAY, YESTERDAY, Two, config, costs, counts, settled, take
from outlay.analysis import Query, limits, spend, usage
from outlay.analysis.lapse import HEARD_DAYS
from outlay.errors import PricesError
from outlay.meter.spool import folder_of
from outlay.model.batch import Account, Batch, Partition
from outlay.model.facts import Limit, LimitBasis, LimitKind, Usage
from outlay.model.metering import MeterEvent
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.model.problem import Severity
from outlay.pricing.meters import Line, Unpriced, Use
from outlay.providers import PROVIDERS
from outlay.providers.metering import Metering
from outlay.store import Ledger
from outlay.sync import metered
from outlay.sync.engine import Settings, run
from outlay.sync.metered import Wish
from outlay.sync.report import ConnectionReport, Report


def test_a_day_becomes_usage_and_priced_charges(ledger: Ledger) -> None:
    """Quantities stand as usage by model and meter; each has the price of its hour, with the list that said so."""
    morning, noon = NOW.replace(hour=9), NOW.replace(hour=12)
    take(
        ledger,
        event("a", at=morning, quantities={"input_tokens": 100, "output_tokens": 5}),
        event("b", at=noon, quantities={"input_tokens": 200}),
        event("c", at=noon, model="model-b", tags={"team": "x"}),
        main="openai",
    )
    report = settled(ledger, main="openai")
    assert counts(report) == [("main", "metered", 1, 0, 0)]
    assert report.connections[0].state == "ok"
    found = usage(ledger, Query(from_=TODAY, by=("connection", "service")), clock=clock)
    assert {row.meter: row.quantity for row in found.rows} == {"input_tokens": 310, "output_tokens": 5}
    rows = ledger.query(
        "SELECT SkuMeter, x_Model, ConsumedQuantity, BilledCost, ListCost, ListUnitPrice, PricingQuantity, "
        "PricingUnit, x_Basis, x_PriceListVersion, ServiceName, Tags FROM charges ORDER BY ALL"
    ).rows
    service = next(iter(next(one for one in PROVIDERS if one.id == "openai").services))
    fixed = ("10000 Tokens", "priced", "two 2026-01-01", service)

    def row(meter: str, model: str, quantity: int, cost: str, rate: int, tags: str | None = None) -> tuple[Any, ...]:
        each = Decimal(cost)
        return (meter, model, quantity, each, each, rate, Decimal(quantity) / 10_000, *fixed, tags)

    assert [(*one[:-1], one[-1] if one[-1] != "{}" else None) for one in rows] == [
        row("input_tokens", "model-a", 100, "0.02", 2),
        row("input_tokens", "model-a", 200, "0.06", 3),
        row("input_tokens", "model-b", 10, "0.003", 3, '{"team":"x"}'),
        row("output_tokens", "model-a", 5, "0.001", 2),
    ]
    assert sum(one.billed_cost for one in spend(ledger, Query(from_=TODAY), clock=clock).rows) == Decimal("0.084")


def test_settling_again_changes_nothing(ledger: Ledger) -> None:
    """Without events nothing is even looked at; told to look again, every day is found as it was."""
    take(ledger, event("a"), event("b", at=YESTERDAY))
    settled(ledger)
    versions = [ledger.tables.version(name) for name in ("charges", "usage", "batches")]
    assert settled(ledger).connections == []
    assert counts(settled(ledger, Wish(prices=Two(), again=True))) == [("openai", "metered", 2, 2, 0)]
    assert [ledger.tables.version(name) for name in ("charges", "usage", "batches")] == versions


def test_a_late_event_restates_its_day_and_no_other(ledger: Ledger) -> None:
    """What comes for a day that is settled is added to it; the batch before stays in the history."""
    take(ledger, event("a", at=YESTERDAY), event("b"))
    settled(ledger)
    take(ledger, event("a", at=YESTERDAY), event("late", at=YESTERDAY))
    assert counts(settled(ledger)) == [("openai", "metered", 1, 0, 1)]
    assert costs(ledger) == [
        ("openai", YESTERDAY.date(), "priced", "USD", Decimal("0.006")),
        ("openai", TODAY, "priced", "USD", Decimal("0.003")),
    ]
    assert len(ledger.batches("openai", "metered")) == 3
    assert ledger.verify().problems == ()


def test_what_the_vendor_states_is_billed_and_never_priced(ledger: Ledger) -> None:
    """A call with its own cost is a billed charge; one without is priced beside it, and the mix is told."""
    take(
        ledger,
        event("a", provider="groq", cost=Money.of("0.5", "USD")),
        event("b", provider="groq", cost=Money.of("0.25", "USD"), at=YESTERDAY),
        event("c", provider="groq", cost=Money.of("1", "EUR"), at=YESTERDAY),
        event("d", provider="groq"),
    )
    report = settled(ledger)
    assert costs(ledger) == [
        ("groq", YESTERDAY.date(), "billed", "EUR", 1),
        ("groq", YESTERDAY.date(), "billed", "USD", Decimal("0.25")),
        ("groq", TODAY, "billed", "USD", Decimal("0.5")),
        ("groq", TODAY, "priced", "USD", Decimal("0.003")),
    ]
    problems = report.connections[0].datasets[0].problems
    assert [(one.code, one.where, one.severity) for one in problems] == [
        ("costs_partly_stated", "2026-11-22", Severity.WARNING)
    ]
    assert sum(row.quantity for row in usage(ledger, Query(from_=YESTERDAY.date()), clock=clock).rows) == 40


def test_what_stands_on_a_bill_too_is_no_bill_of_its_own(ledger: Ledger) -> None:
    """Where the vendor's bill can be in the ledger, a stated cost is a weaker figure beside it, no second bill."""
    take(ledger, event("a", cost=Money.of("0.5", "USD")), event("b"))
    report = settled(ledger)
    assert costs(ledger) == [("openai", TODAY, "priced", "USD", Decimal("0.503"))]
    assert report.connections[0].datasets[0].problems == []


def test_what_has_no_price_is_usage_without_a_charge(ledger: Ledger) -> None:
    """It is told each time until a list has it; then the next settling prices it, and nothing else changes."""
    take(ledger, event("a", model="model-x"), event("b", model="model-x", at=YESTERDAY), event("c"))
    for _ in range(2):
        report = settled(ledger)
        (problem,) = report.connections[0].datasets[0].problems
        assert (problem.code, problem.severity) == ("unpriced_meter", Severity.WARNING)
        assert "20 input_tokens of model-x" in problem.says
        assert report.connections[0].state == "ok"
    assert costs(ledger) == [("openai", TODAY, "priced", "USD", Decimal("0.003"))]
    assert settled(ledger, Wish(prices=Two(), unpriced=False)).connections == []

    class Complete(Two):
        def price(self, use: Use) -> tuple[Line | Unpriced, ...]:
            return super().price(msgspec.structs.replace(use, model="model-a"))

    assert counts(settled(ledger, Wish(prices=Complete()))) == [("openai", "metered", 2, 0, 2)]
    assert settled(ledger).connections == []
    assert sum(row[-1] for row in costs(ledger)) == Decimal("0.009")


def limit(remaining: int) -> Limit:
    """Return a limit as headers tell it."""
    return Limit(
        name="requests", scope="organization", kind=LimitKind.RATE, unit="requests", quota=Decimal(100),
        remaining=Decimal(remaining), window="1 minute",
    )  # fmt: skip


def test_limits_of_headers_are_readings(ledger: Ledger) -> None:
    """The last reading of a limit answers, as known from a header and as of the moment it was seen."""
    seen_at = NOW - timedelta(seconds=30)
    take(
        ledger,
        event("a", at=seen_at, limits=(limit(7),)),
        event("b", at=seen_at - timedelta(hours=1), limits=(limit(9),)),
    )
    assert ("openai", "metered.limits", 1, 0, 0) in counts(settled(ledger))
    (row,) = limits(ledger, Query(), clock=clock).rows
    assert (row.name, row.used, row.remaining, row.basis, row.observed_at) == ("requests", 93, 7, "header", seen_at)


def test_each_limit_of_calls_keeps_its_own_moment(ledger: Ledger) -> None:
    """A call tells of its own limits alone: those told earlier, on that day or before, stand with their own age."""
    other = msgspec.structs.replace(limit(50), name="tokens", model="model-a")
    told = [
        event("old", at=YESTERDAY, limits=(limit(1), other)),
        event("early", at=NOW - timedelta(hours=3), limits=(msgspec.structs.replace(limit(2), model="model-b"),)),
        event("late", at=NOW, limits=(limit(3),)),
    ]
    take(ledger, *told)
    settled(ledger)
    rows = limits(ledger, Query(), clock=clock).rows
    assert {(row.name, row.model, row.quota, row.remaining, row.observed_at) for row in rows} == {
        ("requests", None, 100, 3, NOW),
        ("requests", "model-b", 100, None, NOW - timedelta(hours=3)),  # its minute is over, its quota is not
        ("tokens", "model-a", 100, None, YESTERDAY),
    }
    (then,) = {row.observed_at for row in limits(ledger, Query(to=TODAY), clock=clock).rows}
    assert then == YESTERDAY
    assert limits(ledger, Query(), clock=clock).incomplete == ()


def test_a_limit_that_no_call_tells_any_more_is_let_go(ledger: Ledger) -> None:
    """Nothing says that such a limit is gone; after weeks of silence it no longer answers."""
    take(ledger, event("a", limits=(limit(1),)))
    settled(ledger)
    for days, known in ((HEARD_DAYS - 1, 1), (HEARD_DAYS, 0)):
        assert len(limits(ledger, Query(), clock=lambda later=days: NOW + timedelta(days=later)).rows) == known


@pytest.mark.parametrize("first", ["call", "poll"])
def test_a_limit_that_calls_and_polls_tell_is_shown_once(ledger: Ledger, first: str) -> None:
    """The same limit told in two ways is one row: whichever heard of it last."""
    polled = msgspec.structs.replace(limit(7), basis=LimitBasis.HEADER)
    at = NOW - timedelta(seconds=20)
    take(ledger, event("a", at=at - timedelta(seconds=10) if first == "call" else NOW, limits=(limit(9),)))
    settled(ledger)
    batch = Batch(
        batch_id="polled", partition=Partition("openai", "rate_limits", Period.of_day(TODAY)), provider="openai",
        endpoint="rate_limits", fetch_id=None, digest="polled", observed_at=at, facts=(polled,),
    )  # fmt: skip
    ledger.commit(Account(connection="openai", provider="openai"), [batch])
    assert [row.remaining for row in limits(ledger, Query(), clock=clock).rows] == [7 if first == "call" else 9]


@pytest.fixture
def with_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let OpenAI's API tell the same usage in its dataset `usage.completions`."""
    from msgspec.structs import replace

    described = metered.described

    def openai(provider: str) -> Any:
        return replace(
            described(provider), metering=Metering((), (), service_name="OpenAI API", usage_dataset="usage.completions")
        )

    monkeypatch.setattr(metered, "described", openai)


@pytest.mark.usefixtures("with_usage")
def test_metered_usage_is_part_of_what_the_vendor_tells(ledger: Ledger) -> None:
    """Once the vendor's own dataset is in the ledger, metered usage is a breakdown of it and is never added to it."""
    take(ledger, event("a"))
    settled(ledger)
    assert [row.quantity for row in usage(ledger, Query(from_=TODAY), clock=clock).rows] == [10]
    period = Period.of_day(TODAY)
    fact = Usage(
        usage_period=period, meter="input_tokens", unit="tokens", quantity=Decimal(12), service_name="OpenAI API"
    )
    batch = Batch(
        batch_id="api", partition=Partition("openai", "usage.completions", period), provider="openai",
        endpoint="usage.completions", fetch_id="f", digest="d", observed_at=NOW, facts=(fact,),
    )  # fmt: skip
    ledger.commit(Account(connection="openai", provider="openai"), [batch])
    assert counts(settled(ledger)) == [("openai", "metered", 1, 0, 1)]
    assert [row.quantity for row in usage(ledger, Query(from_=TODAY), clock=clock).rows] == [12]
    named = Query(from_=TODAY, where=(("dataset", "metered"),))
    assert [row.quantity for row in usage(ledger, named, clock=clock).rows] == [10]
    assert settled(ledger).connections == []


# ── where it comes from ──────────────────────────────────────────────────────────────────────────────────────────


def spooled(home: Path, *events: MeterEvent, cut: bytes = b"") -> Path:
    """Write a spool file as a program leaves it behind."""
    folder_of(home).mkdir(parents=True, exist_ok=True)
    path = folder_of(home) / f"{random.randrange(10**12):013d}-1-x.jsonl"  # noqa: S311 - a name
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in events) + cut)
    return path


def test_the_spool_is_drained(ledger: Ledger, home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What programs metered is taken once, files are gone afterwards, and what is no good event is told."""
    first = spooled(home, event("a"), event("b"), event("bad", quantities={"no_such_meter": 1}), cut=b'{"id": "cut')
    second = spooled(home, event("b"), event("c"), cut=b"no event\n")
    settled(ledger)
    assert costs(ledger)[0][-1] == Decimal("0.009")
    assert not first.exists()
    assert not second.exists()
    assert first.with_suffix(".unread").exists()
    assert "no_such_meter" in caplog.text
    assert ".unread" in caplog.text
    assert settled(ledger).connections == []


def test_a_sync_settles_its_own_connections(ledger: Ledger, home: Path) -> None:
    """What was metered joins the report of the connection it belongs to; others wait for theirs."""
    spooled(home, event("a", connection="main"), event("b", connection="other"))
    report = Report([ConnectionReport("main", "openai")])
    configured = config(home, main="openai", other="openai")
    metered.settle_beside(report, configured, ledger, clock, lambda name: name == "main")
    assert [(one.connection, [each.dataset for each in one.datasets]) for one in report.connections] == [
        ("main", ["metered"])
    ]
    metered.settle_beside(report, configured, ledger, clock, lambda _: True)
    assert [one.connection for one in report.connections] == ["main", "other"]


def test_a_sync_settles_at_its_end(ledger: Ledger, home: Path) -> None:
    """The engine settles what was metered, whatever became of asking the vendor; a named connection settles its own."""
    spooled(home, event("a", connection="main"), event("b", connection="other"))
    configured = config(home, main="openai", other="openai")
    report = run(configured, ledger, connections=iter(["main"]), settings=Settings(clock=clock))
    (own,) = report.connections
    assert [problem.code for problem in own.problems] == ["credential_missing"]
    assert [each.dataset for each in own.datasets] == ["metered"]
    assert [row[0] for row in ledger.query("SELECT DISTINCT connection FROM usage").rows] == ["main"]
    run(configured, ledger, settings=Settings(clock=clock))
    rows = ledger.query("SELECT DISTINCT connection FROM usage ORDER BY connection").rows
    assert [row[0] for row in rows] == ["main", "other"]


def test_lists_that_cannot_be_read_fail_nothing_else(ledger: Ledger, home: Path) -> None:
    """A mistake in the user's prices is a problem of the report, and what was metered waits."""
    (home / "prices").mkdir(parents=True)
    (home / "prices" / "mine.toml").write_text("no = [list")
    take(ledger, event("a"))
    report = Report()
    metered.settle_beside(report, config(home), ledger, clock, lambda _: True)
    assert [problem.code for problem in report.connections[0].problems] == [PricesError.code]
    assert costs(ledger) == []
    assert counts(settled(ledger)) == [("openai", "metered", 1, 0, 0)]


def test_an_answer_says_that_costs_are_not_whole(ledger: Ledger) -> None:
    """Spend names the days of which something had no price; usage is whole, and says so by saying nothing."""
    take(ledger, event("a", model="model-x"), event("b"), event("c", at=YESTERDAY))
    settled(ledger)
    query = Query(from_=YESTERDAY.date())
    (lack,) = spend(ledger, query, clock=clock).incomplete
    assert (lack.connection, lack.dataset, lack.why) == ("openai", "metered", "unpriced_meter")
    assert lack.period == (TODAY, TODAY + timedelta(days=1))
    assert "outlay prices check" in lack.hint
    assert usage(ledger, query, clock=clock).incomplete == ()
