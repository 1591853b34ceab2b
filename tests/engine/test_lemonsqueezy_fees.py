"""Fees that nobody states: estimated from the world's payments at entered terms, and unknown without them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from engine.dying import sync_and_die
from outlay import export
from outlay.analysis import Query, spend, status
from outlay.errors import Exit
from outlay.model.basis import Basis
from outlay.model.money import Money
from outlay.model.period import Period
from outlay.model.terms import FeeTerms
from outlay.simulator.worlds.lemonsqueezy import COUNTED, LemonSqueezyAccount, Sale
from outlay.sync import engine, entries, replay
from outlay.sync.entries import state_typed, withdraw
from outlay.sync.entries_facts import Cost, charge, fee_terms
from store.making import processes

LIVE = "sim-lemonsqueezy-live"
ONLY: dict[str, Any] = {"providers": ("lemonsqueezy",), "keys": {"lemonsqueezy": LIVE}}
TODAY = date(2026, 11, 22)
EARLY = date(2026, 1, 1)
Make = Callable[..., Any]
Fees = dict[tuple[date, str, str], Decimal]


def enter(one: Any, percent: str, fixed: str, first: date = EARLY, currency: str = "USD", **extra: str) -> str:
    """Enter terms and return the id by which they are withdrawn."""
    shares = {kind: Decimal(share) for kind, share in extra.items()}
    typed = fee_terms(currency.lower(), Decimal(percent), Money.of(fixed, currency), first, shares)
    with one.ledger() as ledger:
        done = state_typed(ledger, one.connection("lemonsqueezy"), typed, reason="enter", by="enter", clock=one.clock)
    assert done.id is not None
    return cast(str, done.id)


def payments(one: Any) -> list[Sale]:
    """Return what was paid in the synced days, each payment once."""
    account = one.world.account("lemonsqueezy")
    assert isinstance(account, LemonSqueezyAccount)
    return [
        sale for sale in account.all_sales()
        if sale.status in COUNTED and sale.reason != "initial" and sale.at.date() >= one.first
        and sale.cents("total", TODAY) > 0
    ]  # fmt: skip


def dollars(one: Any, percent: str, fixed: str, renewals: str = "0") -> Fees:
    """Return what terms in dollars make of the world's payments, by day and store."""
    found: Fees = {}
    for sale in payments(one):
        share = Decimal(percent) + (Decimal(renewals) if sale.reason else Decimal(0))
        fee = Decimal(sale.dollars("total", TODAY)) * share / 10_000 + Decimal(fixed)
        key = (sale.at.date(), "USD", str(sale.shop.id))
        found[key] = found.get(key, Decimal(0)) + fee
    return found


def estimates(one: Any) -> Fees:
    """Return the ledger's charges, all of which are estimated."""
    rows = one.rows(
        "SELECT ChargePeriodStart::DATE, BillingCurrency, SubAccountId, x_Basis, BilledCost FROM charges ORDER BY ALL"
    )
    assert {row[3] for row in rows} <= {"estimated"}
    assert len({row[:3] for row in rows}) == len(rows)
    return {tuple(row[:3]): row[4] for row in rows}


def unknown(one: Any) -> set[date]:
    """Return the days for which an answer says that terms are missing."""
    query = Query(from_=one.first, to=TODAY + timedelta(days=1))
    with one.ledger() as ledger:
        found = [gap for gap in spend(ledger, query, clock=one.clock).incomplete if gap.why == "terms_missing"]
    assert all("enter fee-terms" in gap.hint for gap in found)
    return {gap.period[0] + timedelta(days=n) for gap in found for n in range((gap.period[1] - gap.period[0]).days)}


def every_day(one: Any) -> set[date]:
    """Return the synced days."""
    return {one.first + timedelta(days=n) for n in range(one.days + 1)}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_estimates_are_the_terms_of_the_worlds_payments(seed: int, bench: Make) -> None:
    """Per day, store and currency: a share of each payment and a fixed amount, refunds giving nothing back."""
    one = bench(seed, **ONLY)
    one.sync()
    assert estimates(one) == {}
    assert unknown(one) == every_day(one)
    entry = enter(one, "5", "0.50", subscription_invoice="0.5")
    assert estimates(one) == dollars(one, "5", "0.50", "0.5") != {}
    assert any(sale.gone(TODAY) for sale in payments(one))
    assert unknown(one) == set()
    versions = one.rows("SELECT DISTINCT x_PriceListVersion FROM charges")
    assert versions == [("usd:2026-01-01 5 %, subscription_invoice +0.5 % + 0.5 USD, from 2026-01-01",)]
    with one.ledger() as ledger:
        withdraw(ledger, entry, clock=one.clock)
    assert estimates(one) == {}
    assert unknown(one) == every_day(one)
    with one.ledger() as ledger:
        assert ledger.verify().problems == ()


def test_syncs_and_replays_bring_them_up_to_date(bench: Make) -> None:
    """A sale that is restated restates its estimate, and what is unchanged writes no batch."""
    one = bench(7, **ONLY)
    enter(one, "5", "0.50")
    one.sync()
    assert estimates(one) == dollars(one, "5", "0.50")
    before = one.rows("SELECT count(*) FROM batches")
    report = one.sync()
    [fees] = [each for each in report.connections[0].datasets if each.dataset == "estimated_fees"]
    assert (fees.unchanged, fees.restated, fees.problems) == (one.days + 1, 0, [])
    with one.ledger() as ledger:
        replay(one.config(), ledger, clock=one.clock)
    assert one.rows("SELECT count(*) FROM batches") == before
    day = next(sale.at.date() for sale in payments(one))
    old = dollars(one, "5", "0.50")
    one.world.restate("lemonsqueezy", day, "up")
    report = one.sync()
    assert estimates(one) == dollars(one, "5", "0.50") != old
    assert any(each.restated for each in report.connections[0].datasets if each.dataset == "estimated_fees")


def overtaken(one: Any) -> set[date]:
    """Return the days whose estimates an answer says to be old."""
    query = Query(from_=one.first, to=TODAY + timedelta(days=1))
    with one.ledger() as ledger:
        found = [gap for gap in spend(ledger, query, clock=one.clock).incomplete if gap.why == "not_synced"]
    assert {gap.dataset for gap in found} <= {"estimated_fees"}
    return {gap.period[0] + timedelta(days=n) for gap in found for n in range((gap.period[1] - gap.period[0]).days)}


def test_a_sync_killed_before_its_estimates_leaves_them_said_to_be_old(bench: Make) -> None:
    """Answers say so at once, and the next sync works them out although nothing changed at the vendor."""
    one = bench(7, **ONLY)
    enter(one, "5", "0.50")
    one.sync()
    assert overtaken(one) == set()
    old, day = estimates(one), next(sale.at.date() for sale in payments(one))
    one.world.restate("lemonsqueezy", day, "up")
    one.clock_ahead += timedelta(minutes=1)
    child = processes().Process(target=sync_and_die, args=(one.config(), one.environ(), one.clock()))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert estimates(one) == old != dollars(one, "5", "0.50")
    assert day in overtaken(one)
    one.clock_ahead += timedelta(minutes=1)
    report = one.sync()
    assert not any(each.restated for each in report.connections[0].datasets if each.dataset != "estimated_fees")
    assert estimates(one) == dollars(one, "5", "0.50")
    assert overtaken(one) == set()


def test_terms_that_broke_off_before_the_estimates_are_said(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates at terms that are no longer the last are old, until they are worked out."""
    one = bench(7, **ONLY)
    enter(one, "5", "0.50")
    one.sync()
    one.clock_ahead += timedelta(minutes=1)
    with monkeypatch.context() as patched:
        patched.setattr(entries, "settle", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            enter(one, "6", "0.50")
    assert estimates(one) == dollars(one, "5", "0.50")
    assert {key[0] for key in estimates(one)} <= overtaken(one)
    one.sync()
    assert estimates(one) == dollars(one, "6", "0.50")
    assert overtaken(one) == set()


def test_a_replay_that_restates_sales_restates_fees(bench: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimates are worked out from what the mapping says now, without a request."""
    one = bench(7, **ONLY)
    enter(one, "5", "0")
    one.sync()
    before = estimates(one)
    one.simulator.stop()

    def free(page: Any, ask: Any) -> Iterator[Any]:
        return (msgspec.structs.replace(fact, gross=Money.of(0, "USD")) for fact in mapped(page, ask))

    provider = engine.BY_ID["lemonsqueezy"]
    orders = provider.dataset("orders")
    mapped = orders.endpoints[0].facts
    changed = replace(orders, endpoints=(replace(orders.endpoints[0], facts=free),))
    datasets = tuple(changed if each is orders else each for each in provider.datasets)
    monkeypatch.setattr(engine, "BY_ID", {"lemonsqueezy": replace(provider, datasets=datasets)})
    with one.ledger() as ledger:
        assert replay(one.config(), ledger, clock=one.clock).exit is Exit.DONE
    after = estimates(one)
    assert sum(after.values()) < sum(before.values())
    renewed = {(sale.at.date(), "USD", str(sale.shop.id)) for sale in payments(one) if sale.reason}
    assert set(after) == renewed


def test_later_terms_hold_from_their_day(bench: Make) -> None:
    """Terms are dated: days before are at the old ones, and days before any are unknown."""
    one = bench(7, **ONLY)
    one.sync()
    first, second = one.first + timedelta(days=5), one.first + timedelta(days=12)
    enter(one, "5", "0.50", first)
    enter(one, "4", "0.30", second)
    old, new = dollars(one, "5", "0.50"), dollars(one, "4", "0.30")
    truth = {key: new[key] if key[0] >= second else old[key] for key in old if key[0] >= first}
    assert estimates(one) == truth
    assert unknown(one) == {day for day in every_day(one) if day < first}


def test_terms_of_a_currency_are_for_sales_in_it(bench: Make) -> None:
    """A sale is taken in its own currency where terms are in it, in stored dollars otherwise; nothing is converted."""
    one = bench(7, **ONLY)
    one.sync()
    enter(one, "5", "0.50")
    enter(one, "6", "0.40", currency="EUR")
    truth: Fees = {}
    for sale in payments(one):
        amount, currency = sale.true("total", TODAY)
        if currency == "EUR":
            fee = amount * 6 / 100 + Decimal("0.40")
        else:
            currency, fee = "USD", Decimal(sale.dollars("total", TODAY)) * 5 / 10_000 + Decimal("0.50")
        key = (sale.at.date(), currency, str(sale.shop.id))
        truth[key] = truth.get(key, Decimal(0)) + fee
    assert estimates(one) == truth
    assert {key[1] for key in truth} == {"USD", "EUR"}


def test_a_payment_that_no_terms_fit_leaves_its_day_unknown(bench: Make) -> None:
    """With terms in euros alone a day with a sale in another currency is a gap, and no smaller total."""
    one = bench(7, **ONLY)
    one.sync()
    enter(one, "5", "0.50", currency="EUR")
    others = {sale.at.date() for sale in payments(one) if sale.true("total", TODAY)[1] != "EUR"}
    assert unknown(one) == others != every_day(one)
    assert not {key[0] for key in estimates(one)} & others


def test_missing_revenue_is_no_zero_fee(bench: Make) -> None:
    """Where orders cannot be read the estimate stands as stale; where they were never read there is none."""
    one = bench(7, **ONLY)
    enter(one, "5", "0.50")
    one.sync()
    before = estimates(one)
    one.simulator.faults.add("server_error", provider="lemonsqueezy", path="/v1/orders", status=500, times="forever")
    one.sync()
    assert estimates(one) == before
    with one.ledger() as ledger:
        answer = spend(ledger, Query(from_=one.first, to=TODAY), clock=one.clock)
    assert {gap.why for gap in answer.incomplete} == {"retry_later"}
    other = bench(7, **ONLY)
    enter(other, "5", "0.50")
    other.simulator.faults.add("server_error", provider="lemonsqueezy", path="/v1/orders", status=500, times="forever")
    other.sync()
    assert estimates(other) == {}
    with other.ledger() as ledger:
        answer = spend(ledger, Query(from_=one.first, to=TODAY), clock=one.clock)
    assert {(gap.dataset, gap.why) for gap in answer.incomplete} == {("estimated_fees", "retry_later")}


def test_a_day_that_was_not_over_is_not_whole(bench: Make) -> None:
    """Terms entered days later make no whole estimate of the day on which sales were last read."""
    one = bench(7, **ONLY)
    one.sync()
    one.clock_ahead = timedelta(days=2)
    enter(one, "5", "0.50")
    assert estimates(one) == dollars(one, "5", "0.50")
    with one.ledger() as ledger:
        answer = spend(ledger, Query(from_=TODAY - timedelta(days=2), to=TODAY + timedelta(days=1)), clock=one.clock)
    assert {(gap.dataset, gap.period[0], gap.why) for gap in answer.incomplete} == {
        ("estimated_fees", TODAY, "not_synced")
    }


def test_status_says_what_is_unknown(bench: Make) -> None:
    """Without terms the connection's spend is unknown and says what to enter; the sync notes it and does not fail."""
    one = bench(7, **ONLY)
    report = one.sync()
    assert report.connections[0].state == "ok"
    [fees] = [each for each in report.connections[0].datasets if each.dataset == "estimated_fees"]
    assert [(problem.code, problem.severity.value) for problem in fees.problems] == [("terms_missing", "note")]
    with one.ledger() as ledger:
        [row] = status(ledger, clock=one.clock).rows
    assert row.spend == ()
    assert [(each.code, each.where) for each in row.trouble] == [("terms_missing", "estimated_fees")]
    assert "enter fee-terms" in row.trouble[0].hint
    assert row.stale_since is None
    assert row.trouble[0].says == f"the fees of {one.days + 1} days are unknown"


def test_terms_alone_are_no_answer(bench: Make) -> None:
    """A connection with terms that was never synced is missing from the answer, and not without spend."""
    one = bench(7, **ONLY)
    enter(one, "5", "0.50")
    with one.ledger() as ledger:
        answer = spend(ledger, Query(from_=one.first, to=TODAY), clock=one.clock)
    assert [(gap.connection, gap.why) for gap in answer.incomplete] == [("lemonsqueezy", "never_synced")]


def test_estimates_keep_to_focus_and_are_asked_for(bench: Make, tmp_path: Path) -> None:
    """An export holds them only where estimated charges are wanted, and then they keep to every version of FOCUS."""
    one = bench(7, **ONLY)
    enter(one, "5", "0.50")
    one.sync()
    with one.ledger() as ledger:
        for version in ("1.2", "1.3", "1.4"):
            wanted: dict[str, Any] = {"from_": one.first, "to": TODAY, "version": version}
            found = export.focus(ledger, tmp_path / "estimated.csv", bases=(Basis.ESTIMATED,), **wanted)
            assert found.rows > 0
            assert found.checked.passed, found.checked.problems
            assert export.focus(ledger, tmp_path / "stated.csv", **wanted).rows == 0


def test_what_is_entered_speaks_instead(bench: Make) -> None:
    """What the payouts showed is never added to the estimate of the same day."""
    one = bench(7, **ONLY)
    enter(one, "5", "0.50")
    one.sync()
    day = max(key[0] for key in estimates(one))
    stated = charge(Cost(Money.of("7.77", "USD"), "Lemon Squeezy"), Period.of_day(day))
    with one.ledger() as ledger:
        state_typed(ledger, one.connection("lemonsqueezy"), stated, reason="enter", by="enter", clock=one.clock)
        rows = spend(ledger, Query(from_=day, to=day + timedelta(days=1)), clock=one.clock).rows
    assert [(str(row.basis), row.billed_cost) for row in rows] == [("entered", Decimal("7.77"))]


def test_terms_read_back_as_they_were_entered() -> None:
    """The words under which terms are kept hold every digit of them."""
    terms = FeeTerms(
        id="fees:2026-11-01",
        percent=Decimal("4.125"),
        fixed=Money.of("0.305", "EUR"),
        first=date(2026, 11, 1),
        extra={"subscription_invoice": Decimal("0.5"), "order": Decimal(0)},
    )
    assert FeeTerms.of(terms.name()) == terms
