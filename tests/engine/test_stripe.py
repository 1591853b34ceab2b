"""Stripe end to end: what it takes, what it holds, what customers owe, and what must never be added."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.analysis import Query, usage
from outlay.simulator.worlds.stripe import StripeAccount
from outlay.simulator.worlds.stripe_sales import Bill, major
from outlay.sync import replay

ONLY = {"providers": ("stripe",)}
KEY = "sim-stripe-restricted"
LINE = ("balance_transaction", "sku", "resource", "currency")
Make = Callable[..., Any]


def with_label(make: Make, label: str, seed: int = 3, **fields: Any) -> Any:
    """Return a bench whose one connection opens the account of a label."""
    return make(seed, **ONLY, keys={"stripe": f"{KEY}:{label}"}, **fields)


def with_options(make: Make, seed: int = 3, datasets: tuple[str, ...] | None = None, **options: str) -> Any:
    """Return a bench whose one connection has options."""
    changes: dict[str, Any] = {"options": options}
    return make(seed, **ONLY, days=8, datasets=datasets and {"stripe": datasets}, changes={"stripe": changes})


def charges(bench: Any, dataset: str = "fees") -> dict[tuple[Any, ...], Decimal]:
    """Return the ledger's cost per day, movement, SKU, resource and currency."""
    found = bench.rows(
        "SELECT ChargePeriodStart::DATE, json_extract_string(x_Details, '$.balance_transaction'), SkuId, ResourceId,"
        " BillingCurrency, sum(BilledCost) FROM charges WHERE x_Dataset = ? GROUP BY ALL",
        dataset,
    )
    return {tuple(row[:5]): row[5] for row in found if row[5]}


def true_charges(bench: Any, label: str = "", scope: str | None = None) -> dict[tuple[Any, ...], Decimal]:
    """Return the world's cost in the same terms."""
    spends = bench.world.truth("stripe", label, scope=scope).spend(("day", *LINE), bench.first)
    return {key: spend.billed for key, spend in spends.items() if spend.billed}


def revenue(bench: Any) -> dict[tuple[Any, ...], tuple[Decimal, Decimal | None]]:
    """Return the ledger's revenue per day and currency, with and without tax; unknown where any of it is."""
    found = bench.rows(
        "SELECT revenue_period_start::DATE, currency, sum(gross), CASE WHEN count(*) = count(net) THEN sum(net) END"
        " FROM revenue GROUP BY ALL ORDER BY ALL"
    )
    return {(row[0], row[1]): (row[2], row[3]) for row in found}


def true_revenue(bench: Any, label: str = "") -> dict[tuple[Any, ...], tuple[Decimal, Decimal | None]]:
    """Return the world's revenue in the same terms."""
    sums: dict[tuple[Any, ...], tuple[Decimal, Decimal | None]] = {}
    for row in bench.world.truth("stripe", label).revenue_rows(bench.first):
        gross, net = sums.get((row.day, row.currency), (Decimal(0), Decimal(0)))
        sums[row.day, row.currency] = (gross + row.gross, None if net is None or row.net is None else net + row.net)
    return sums


def problems(report: Any) -> dict[str, list[Any]]:
    """Return each dataset's problems."""
    [connection] = report.connections
    return {each.dataset: each.problems for each in connection.datasets if each.problems}


@pytest.mark.parametrize("label", ["", "currencies"])
@pytest.mark.parametrize("seed", [1, 7, 42])
def test_money_equals_the_truth(seed: int, label: str, bench: Make) -> None:
    """Per day, movement and currency what Stripe takes and what customers owe is the world's, to the last digit."""
    one = with_label(bench, label, seed)
    report = one.sync()
    assert [each.state for each in report.connections] == ["ok"], report.to_json()
    assert charges(one) == true_charges(one, label) != {}
    assert revenue(one) == true_revenue(one, label) != {}
    assert len({key[4] for key in charges(one)}) == (11 if label else 1)


def true_lines(bench: Any) -> dict[str, tuple[Decimal, Decimal]]:
    """Return with and without tax what is owed for each line, from the world's invoices."""
    found = {}
    for number in range(bench.days + 1):
        for bill in account(bench, "").bills.on(bench.first + timedelta(days=number)):
            for line in bill.lines if bill.status not in {"draft", "void"} else ():
                net = line.amount - line.discount - (line.tax if line.inclusive else 0)
                found[line.id] = (major(net + line.tax, bill.currency), major(net, bill.currency))
    return found


def ledger_lines(bench: Any) -> dict[str, tuple[Decimal, Decimal]]:
    """Return the same from the ledger."""
    lines = bench.rows("SELECT record_id, gross, net FROM revenue WHERE gross <> 0 AND kind = 'invoice_line'")
    return {row[0]: row[1:] for row in lines}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_every_line_of_long_invoices_is_there(seed: int, bench: Make) -> None:
    """Lines beyond those that come along are asked for, page by page, and no rest is left of any total."""
    one = bench(seed, **ONLY, datasets={"stripe": ("invoices",)})
    report = one.sync()
    assert report.connections[0].state == "ok"
    assert problems(report) == {}
    truth = {line: owed for line, owed in true_lines(one).items() if owed[0]}
    assert ledger_lines(one) == truth
    sizes = {len(bill.lines) for day in range(21)
             for bill in account(one, "").bills.on(one.first + timedelta(days=day))}  # fmt: skip
    assert {25, 104} <= sizes
    kinds = {row[0] for row in one.rows("SELECT DISTINCT kind FROM revenue")}
    assert kinds == {"invoice_line", "invoice_zero", "invoice_shipping", "invoice_credit_notes"}
    one.simulator.stop()
    with one.ledger() as ledger:
        before = ledger.query("SELECT count(*) FROM batches").rows
        again = replay(one.config(), ledger, clock=one.clock)
        assert [(each.problems, each.restated) for each in again.connections[0].datasets] == [([], 0)]
        assert ledger.query("SELECT count(*) FROM batches").rows == before


@pytest.mark.parametrize(
    ("fault", "more", "code"),
    [
        ("server_error", {"status": 500, "times": "forever"}, "retry_later"),
        ("server_error", {"status": 404, "times": "forever"}, "request_refused"),
        ("nan_amount", {}, "amount_refused"),
        ("cut", {"times": "forever"}, "payload_unreadable"),
    ],
)
def test_a_broken_page_of_lines_keeps_the_old_truth(fault: str, more: dict[str, Any], code: str, bench: Make) -> None:
    """An invoice of which some lines cannot be read changes nothing: neither its day nor the total before."""
    one = bench(7, **ONLY, datasets={"stripe": ("invoices",)})
    one.sync()
    before = ledger_lines(one)
    day, bill = long_bill(one)
    one.world.restate("stripe", day, "up", scope="invoices")
    one.simulator.faults.add(fault, provider="stripe", path=f"/v1/invoices/{bill.id}/lines", after=1, **more)
    report = one.sync()
    assert code in {problem.code for problem in problems(report)["invoices"]}
    assert {line: owed for line, owed in ledger_lines(one).items() if line in dict(of(bill))} == {
        line: owed for line, owed in before.items() if line in dict(of(bill))
    }
    one.simulator.faults.clear()
    assert one.sync().connections[0].state == "ok"
    assert ledger_lines(one) == {line: owed for line, owed in true_lines(one).items() if owed[0]} != before


def long_bill(bench: Any) -> tuple[date, Bill]:
    """Return a bill of more than one page of lines that is owed and the first of its day, with the day."""
    bills = account(bench, "").bills
    for day in (bench.first + timedelta(days=number) for number in range(bench.days, 0, -1)):
        for place, bill in enumerate(bills.on(day)):
            if len(bill.lines) > 100 and bill.status in {"paid", "open"} and place in {0, len(bills.on(day)) - 1}:
                if place:
                    bench.world.restate("stripe", day, "nothing", scope="invoices")
                return day, bill
    raise AssertionError("no bill is long enough")


def of(bill: Bill) -> list[tuple[str, int]]:
    """Return a bill's lines by id."""
    return [(line.id, line.amount) for line in bill.lines]


def test_credit_notes_take_back_what_is_owed(bench: Make) -> None:
    """What they took back of an invoice is in no line and in no total: without it revenue is too large."""
    one = bench(7, **ONLY, datasets={"stripe": ("invoices",)})
    one.sync()
    bills = [bill for day in range(one.days + 1) for bill in account(one, "").bills.on(one.first + timedelta(days=day))]
    taken = {bill.id: -major(bill.credited, "usd") for bill in bills if bill.credited}
    found = one.rows("SELECT record_id, gross, net FROM revenue WHERE kind = 'invoice_credit_notes'")
    assert {row[0]: row[1] for row in found} == taken != {}
    whole = {bill.id: -major(bill.net, "usd") for bill in bills if bill.credited == bill.total}
    whole |= {bill.id: taken[bill.id] for bill in bills if bill.net == bill.total and bill.id in taken}
    assert {row[0]: row[2] for row in found if row[2] is not None} == {key: whole[key] for key in whole if key in taken}
    assert {None} < {row[2] for row in found}, "of a part taken back nobody says how much is tax"


def test_balances_are_what_is_held(bench: Make) -> None:
    """Available and pending money per currency is the world's, and instantly available money is not a third one."""
    one = with_label(bench, "currencies")
    one.sync()
    found = one.rows("SELECT name, currency, amount FROM balances")
    truth = one.world.truth("stripe", "currencies").balances
    assert {tuple(row) for row in found} == {(each.name, each.unit, each.amount) for each in truth}
    assert any(row[2] < 0 for row in found)


def test_revenue_is_never_spend(bench: Make) -> None:
    """Payments and invoices are in no charge: no charge is as large as the payment it is taken from."""
    one = bench(7, **ONLY)
    one.sync()
    ((rows,),) = one.rows("SELECT count(*) FROM charges WHERE x_Dataset NOT IN ('fees')")
    assert rows == 0
    found = one.rows(
        "SELECT BilledCost, json_extract_string(x_Details, '$.amount')::DECIMAL(38,18) FROM charges"
        " WHERE json_extract_string(x_Details, '$.amount') IS NOT NULL AND BilledCost > 0"
    )
    assert found
    assert all(fee < abs(amount) for fee, amount in found)


def test_a_platforms_fees_are_no_fees_of_stripe(bench: Make) -> None:
    """What a Connect platform takes is absent unless asked for, and then stands in a dataset and service of its own."""
    plain = bench(7, **ONLY)
    plain.sync()
    assert plain.rows("SELECT count(*) FROM charges WHERE ServiceName = 'Connect Platform Fees'") == [(0,)]
    both = bench(7, **ONLY, datasets={"stripe": ("fees", "application_fees")})
    both.sync()
    assert charges(both, "application_fees") == true_charges(both, scope="platform") != {}
    assert charges(both) == charges(plain)
    assert both.rows("SELECT DISTINCT ServiceName FROM charges WHERE x_Dataset = 'application_fees'") == [
        ("Connect Platform Fees",)
    ]


def test_a_restated_day_is_replaced_whole(bench: Make) -> None:
    """More, less or another order: the ledger follows and never adds."""
    one = bench(7, **ONLY, days=4)
    one.sync()
    day = max(charge.day for charge in one.world.truth("stripe").charges(one.first, one.world.today))
    for kind in ("up", "nothing", "down"):
        before = charges(one)
        one.world.restate("stripe", day, kind)
        assert one.sync().connections[0].state == "ok"
        assert charges(one) == true_charges(one)
        assert (charges(one) != before) == (kind != "nothing")


def test_a_movement_that_becomes_available_changes_nothing(bench: Make) -> None:
    """A second sync confirms each day; no new batch is written."""
    one = bench(7, **ONLY, days=4)
    one.sync()
    before = one.rows("SELECT count(*) FROM batches WHERE dataset IN ('fees', 'invoices')")
    one.sync()
    assert one.rows("SELECT count(*) FROM batches WHERE dataset IN ('fees', 'invoices')") == before


def test_every_page_is_read(bench: Make) -> None:
    """A week has more than one page, and rows of one second at its edge are neither lost nor doubled."""
    one = bench(1, **ONLY, days=14)
    report = one.sync()
    [fees] = [each for each in report.connections[0].datasets if each.dataset == "fees"]
    assert fees.requests > 3
    assert charges(one) == true_charges(one)


def test_meters_are_use_and_no_money(bench: Make) -> None:
    """Every active meter is asked for every customer, and the days are the world's; deleted customers count too."""
    one = bench(7, **ONLY, days=8, datasets={"stripe": ("meter_usage", "meter_levels")})
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    found = one.rows("SELECT usage_period_start::DATE, user_id, meter, sum(quantity) FROM usage GROUP BY ALL")
    truth = one.world.truth("stripe").usage(("day", "customer", "meter"), one.first)
    assert {tuple(row[:3]): row[3] for row in found} == truth != {}
    assert len({row[2] for row in found}) == 2
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]
    names = dict(one.rows("SELECT id, name FROM names WHERE kind = 'customer'"))
    assert names == dict(one.world.truth("stripe").names["customer"])


def test_days_of_a_last_value_are_in_no_sum(bench: Make) -> None:
    """What a meter keeps as its last value is a level of each day: the answer adds up the other meter alone."""
    one = bench(7, **ONLY, days=8, datasets={"stripe": ("meter_usage", "meter_levels")})
    one.sync()
    [calls, seats, _] = account(one, "").shop.meters
    assert (calls.formula, seats.formula) == ("sum", "last")
    with one.ledger() as ledger:
        wanted = {"from_": one.first, "to": one.world.today + timedelta(days=1)}
        summed = usage(ledger, Query(**wanted), clock=one.clock).rows
        apart = usage(ledger, Query(**wanted, where=(("dataset", "meter_levels"),)), clock=one.clock).rows
    assert {row.meter for row in summed} == {calls.id}
    assert {row.meter for row in apart} == {seats.id}
    of_calls = one.world.truth("stripe").usage(("meter",), one.first)[calls.id,]
    assert sum(row.quantity for row in summed) == of_calls


@pytest.mark.parametrize("label", ["", "currencies"])
@pytest.mark.parametrize("seed", [1, 7])
def test_next_invoices_are_no_revenue(seed: int, label: str, bench: Make) -> None:
    """Each subscription that bills on is previewed to the last digit, as an estimate that no sum of revenue holds."""
    plain = with_label(bench, label, seed, days=4)
    plain.sync()
    one = with_label(bench, label, seed, days=4, datasets={"stripe": ("invoices", "upcoming_invoices")})
    report = one.sync()
    assert report.connections[0].state == "ok", report.to_json()
    found = one.rows(
        "SELECT invoice_id, currency, total, json_extract_string(details, '$.total_excluding_tax')::DECIMAL(38,18),"
        " json_extract_string(details, '$.customer') FROM invoices WHERE status = 'upcoming' AND basis = 'estimated'"
    )
    contracts = account(one, label).shop.contracts
    assert {tuple(row) for row in found} == {
        (f"{each.id}/next", each.next.currency.upper(), major(each.next.total, each.next.currency),
         major(each.next.net, each.next.currency), each.customer.id)
        for each in contracts if each.next is not None
    } != set()  # fmt: skip
    assert one.rows("SELECT count(*) FROM invoices") == [(len(found),)]
    assert len(found) < len([each for each in contracts if each.status != "canceled"]), "one ends and bills no more"
    assert revenue(one) == revenue(plain) == true_revenue(one, label)
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]
    assert {each.dataset for each in report.connections[0].datasets} == {
        "invoices", "upcoming_invoices", "subscriptions",
    }, "what reads meters takes other permissions"  # fmt: skip
    posts = [seen for seen in one.simulator.requests if seen.method == "POST"]
    assert {seen.path.removeprefix("/stripe") for seen in posts} == {"/v1/invoices/create_preview"}
    assert len(posts) == len([each for each in contracts if each.status != "canceled"]), "canceled ones are not asked"


def account(one: Any, label: str) -> StripeAccount:
    """Return the world's account of a label."""
    found = one.world.account("stripe", label)
    assert isinstance(found, StripeAccount)
    return found


def test_a_connected_account_is_another_ledger(bench: Make) -> None:
    """With `account`, a platform's key reads that account and books its fees on it; a foreign account is refused."""
    connected = bench(7, **ONLY).world.account("stripe", "connected")
    assert isinstance(connected, StripeAccount)
    one = with_options(bench, 7, ("fees", "balance"), account=connected.id)
    assert one.sync().connections[0].state == "ok"
    assert charges(one) == true_charges(one, "connected") != charges(with_synced(bench))
    assert one.rows("SELECT DISTINCT SubAccountId, SubAccountType FROM charges") == [
        (connected.id, "Connected account")
    ]
    other = with_options(bench, 7, ("fees", "balance"), account="acct_nobody")
    told = [problem for found in problems(other.sync()).values() for problem in found]
    assert {problem.code for problem in told} == {"access_denied"}
    assert all("option `account`" in problem.hint for problem in told), "no permission of the key is what to mend"


def with_synced(make: Make) -> Any:
    """Return a synced bench of the plain account."""
    one = make(7, **ONLY, days=8)
    one.sync()
    return one


def test_a_key_for_the_balance_alone_is_told_what_it_lacks(bench: Make) -> None:
    """Fees and balance are pulled; invoices name the permission that is missing, and nothing is a zero."""
    one = bench(7, **ONLY, days=4, keys={"stripe": "sim-stripe-balance"})
    report = one.sync()
    [connection] = report.connections
    assert connection.state == "partial"
    [problem] = problems(report)["invoices"]
    assert problem.code == "permission_missing"
    assert "Having 'invoice_read' would allow this request" in problem.says
    assert "invoice_read" in problem.hint
    assert charges(one) == true_charges(one) != {}
    with one.ledger() as ledger:
        assert not [key for key, known in ledger.committed("stripe", "invoices").items() if not known.stale_since]


def test_a_sandbox_is_another_world_and_told(bench: Make) -> None:
    """A sandbox's key sees data of its own; what is read of it is warned about wherever the mode is stated."""
    one = bench(7, **ONLY, days=4, keys={"stripe": "sim-stripe-sandbox"})
    report = one.sync()
    assert report.connections[0].state == "ok", "its owner may want to try it"
    assert {name: {(p.code, p.severity) for p in found} for name, found in problems(report).items()} == {
        "balance": {("sandbox", "warning")}, "invoices": {("sandbox", "warning")},
    }  # fmt: skip
    assert charges(one) == true_charges(one, "sandbox") != true_charges(one)


def test_a_browsers_key_is_refused(bench: Make) -> None:
    """A publishable key reads nothing, and that is one clear word."""
    one = bench(7, **ONLY, days=4, keys={"stripe": "sim-stripe-publishable"})
    report = one.sync()
    assert report.connections[0].state == "failed"
    assert {p.code for found in problems(report).values() for p in found} == {"access_denied"}


def test_every_request_says_its_version_and_reads(bench: Make) -> None:
    """No request goes out that could change anything, and the key stays in its header."""
    one = bench(7, **ONLY, days=4)
    assert one.sync().connections[0].state == "ok", "the face refuses any other version"
    assert {seen.method for seen in one.simulator.requests} == {"GET"}
    assert not [seen for seen in one.simulator.requests if KEY in seen.query]


def test_a_limit_says_which_one_it_was(bench: Make) -> None:
    """A 429 is waited out; one that never ends is told with Stripe's own reason."""
    one = bench(7, **ONLY, days=4)
    one.simulator.faults.add("rate_limit", provider="stripe", times=2, delay=None)
    assert one.sync().connections[0].state == "ok"
    one.simulator.faults.add("rate_limit", provider="stripe", path="/v1/balance", times="forever", delay=None)
    [problem] = problems(one.sync())["balance"]
    assert problem.code == "retry_later"
    assert "endpoint-rate" in problem.hint
    assert charges(one) == true_charges(one)


@pytest.mark.parametrize(
    ("fault", "settings", "code"),
    [
        ("repeat_cursor", {}, "payload_unreadable"),
        ("null_cursor", {}, "payload_unreadable"),
        ("nan_amount", {}, "amount_refused"),
        ("server_error", {"times": "forever", "status": 500}, "retry_later"),
        ("html", {"times": "forever", "status": 200}, "payload_unreadable"),
    ],
)
def test_faults_overwrite_nothing(fault: str, settings: dict[str, Any], code: str, bench: Make) -> None:
    """Whatever goes wrong has its code, keeps what was known, and is made good by the next sync."""
    one = bench(7, **ONLY, days=4, datasets={"stripe": ("fees",)})
    one.sync()
    before = charges(one)
    day = max(charge.day for charge in one.world.truth("stripe").charges(one.first, one.world.today))
    one.world.restate("stripe", day, "up")
    one.simulator.faults.add(fault, provider="stripe", **settings)
    report = one.sync()
    assert code in {problem.code for problem in problems(report)["fees"]}
    assert charges(one) in (before, true_charges(one)), "a day is as it was, or as it is"
    one.simulator.faults.clear()
    assert one.sync().connections[0].state == "ok"
    assert charges(one) == true_charges(one) != before


def test_rows_told_twice_count_once(bench: Make) -> None:
    """A movement that a page repeats is one movement."""
    one = bench(7, **ONLY, days=4, datasets={"stripe": ("fees", "invoices")})
    one.simulator.faults.add("duplicate_rows", provider="stripe")
    assert one.sync().connections[0].state == "ok"
    assert charges(one) == true_charges(one)
    assert revenue(one) == true_revenue(one)


def test_kinds_nobody_heard_of_are_told(bench: Make) -> None:
    """Unknown categories are warned about, and every fee on a movement is booked all the same."""
    one = bench(7, **ONLY, days=4, datasets={"stripe": ("fees",)})
    one.simulator.faults.add("unknown_enums", provider="stripe")
    report = one.sync()
    assert {problem.code for problem in problems(report)["fees"]} == {"unknown_object"}
    parts = sum(charge.billed for charge in one.world.truth("stripe").charges(one.first) if charge.dims["own"] is None)
    platform = one.world.truth("stripe", scope="platform").total(one.first)
    assert one.billed("stripe") == parts
    assert platform


def test_an_empty_account_is_empty_and_known_to_be(bench: Make) -> None:
    """Nothing moved is zero rows of settled days, not a failure and not a gap."""
    one = with_label(bench, "empty", days=4)
    assert one.sync().connections[0].state == "ok"
    assert one.rows("SELECT count(*) FROM charges") == [(0,)]
    with one.ledger() as ledger:
        assert len(ledger.committed("stripe", "fees")) == one.days + 1
