"""Stripe's traps: each rule of its currencies, what is never added, and what its refusals mean."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from outlay.model.facts import NO_END, Balance, Charge, Revenue
from outlay.model.money import total
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.base import Ask, EpochWindow
from outlay.providers.stripe import BALANCE, PROVIDER, Funds, balance, fees, meters, revenue, upcoming
from outlay.providers.stripe.amounts import money
from outlay.wire.refusals import Said, declared, default, error

DAY = datetime(2026, 11, 3, tzinfo=UTC)
CREATED = int(DAY.timestamp())
ASK = Ask("fees", Period.of_day(DAY.date()), {}, DAY)
WHOLE = ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF"]
THOUSANDTHS = ["BHD", "JOD", "KWD", "OMR", "TND"]
HUNDREDTHS = ["USD", "EUR", "GBP", "ISK", "UGX", "HUF", "TWD", "IQD", "LYD", "CLF", "UYI", "UYW"]


def movement(**fields: Any) -> dict[str, Any]:
    """Return a movement of the balance as Stripe writes it."""
    base = {"id": "txn_1", "object": "balance_transaction", "amount": 4900, "fee": 0, "net": 4900, "currency": "usd",
            "created": CREATED, "type": "charge", "reporting_category": "charge", "status": "pending",
            "description": None, "source": "ch_1", "fee_details": []}  # fmt: skip
    return {**base, **fields}


def part(amount: int, kind: str = "stripe_fee", application: str | None = None) -> dict[str, Any]:
    """Return a part of a fee."""
    return {"amount": amount, "currency": "usd", "type": kind, "description": kind, "application": application}


def mapped(*rows: dict[str, Any], platform: bool = False) -> list[Charge | Problem]:
    """Return what movements come to."""
    body = json.dumps({"object": "list", "data": rows, "has_more": False}).encode()
    page = msgspec.json.decode(body, type=fees.MovementPage)
    return list((fees.platform_fees if platform else fees.fees)(page, ASK))


def sums(found: list[Charge | Problem]) -> dict[str, Decimal]:
    """Return what charges add up to, per currency."""
    return total(charge.billed_cost for charge in found if isinstance(charge, Charge))


@pytest.mark.parametrize("currency", [*WHOLE, *THOUSANDTHS, *HUNDREDTHS])
def test_every_currency_has_the_decimals_of_stripes_table(currency: str) -> None:
    """Neither a hundredth for all nor ISO 4217: krónur and Ugandan shillings keep two decimals, ariary none."""
    digits = 0 if currency in WHOLE else 3 if currency in THOUSANDTHS else 2
    assert money(Decimal(12300), currency.lower()).amount == Decimal(12300).scaleb(-digits)
    assert money(Decimal("0.5"), currency.lower()).amount == Decimal("0.5").scaleb(-digits)


def test_fee_and_details_are_one_amount() -> None:
    """The fee is the sum of its details and is not added to them, whatever of it is explained."""
    whole = mapped(movement(fee=192, fee_details=[part(172), part(20, "tax")]))
    assert sums(whole) == {"USD": Decimal("1.92")}
    short = mapped(movement(fee=192, fee_details=[part(172)]))
    assert sums(short) == {"USD": Decimal("1.92")}
    assert [found.code for found in short if isinstance(found, Problem)] == ["total_differs"]
    assert sums(mapped(movement(fee=192))) == {"USD": Decimal("1.92")}


def test_a_day_is_when_the_fee_was_incurred() -> None:
    """`created` dates a cost; when the money becomes available does not."""
    late = movement(fee=10, fee_details=[part(10)], created=CREATED + 86_399, available_on=CREATED + 9 * 86_400)
    [charge] = mapped(late)
    assert isinstance(charge, Charge)
    assert charge.charge_period == Period.of_day(DAY.date())


def test_becoming_available_is_no_change() -> None:
    """The one field of a movement that changes later is in no charge."""
    row = movement(fee=10, fee_details=[part(10)])
    assert mapped(row) == mapped({**row, "status": "available"})


def test_what_leaves_the_balance_is_no_cost_unless_it_is_a_fee() -> None:
    """Refunds, payouts and transfers cost nothing by themselves; a fee on a payout counts."""
    kinds = (("refund", "refund"), ("payout", "payout"), ("transfer", "transfer"), ("adjustment", "dispute"))
    assert mapped(*(movement(type=kind, reporting_category=each, amount=-4900) for kind, each in kinds)) == []
    instant = movement(type="payout", reporting_category="payout", amount=-9000, fee=90, fee_details=[part(90)])
    assert sums(mapped(instant)) == {"USD": Decimal("0.9")}


@pytest.mark.parametrize("category", ["fee", "network_cost", "tax"])
def test_a_movement_that_is_a_fee_counts_with_its_own_fee(category: str) -> None:
    """Its amount turns its sign; what comes back is negative; its own fee comes on top."""
    row = movement(type="stripe_fee", reporting_category=category, amount=-350, source=None)
    assert sums(mapped(row)) == {"USD": Decimal("3.5")}
    assert sums(mapped({**row, "amount": 350})) == {"USD": Decimal("-3.5")}
    assert sums(mapped({**row, "fee": 20, "fee_details": [part(20, "tax")]})) == {"USD": Decimal("3.7")}


def test_a_platforms_fee_is_kept_apart() -> None:
    """What goes to a Connect platform is in one dataset and what goes to Stripe in the other, and nothing in both."""
    row = movement(fee=820, fee_details=[part(320), part(500, "application_fee", "ca_1")])
    assert sums(mapped(row)) == {"USD": Decimal("3.2")}
    assert sums(mapped(row, platform=True)) == {"USD": Decimal(5)}


def test_parts_of_one_kind_are_one_line() -> None:
    """Two parts alike are added up, so that a row told twice can be told from them."""
    found = mapped(movement(fee=150, fee_details=[part(100), part(50)]))
    assert len(found) == 1
    assert sums(found) == {"USD": Decimal("1.5")}


def test_taxes_and_returns_have_their_category() -> None:
    """Taxes are taxes, what comes back is a credit, and neither has a quantity."""
    rows = [part(20, "tax"), part(5, "withheld_tax"), part(-30), part(100, "payment_method_passthrough_fee")]
    found = mapped(movement(fee=95, fee_details=rows))
    told = {(each.charge_category.value, each.consumed_quantity) for each in found if isinstance(each, Charge)}
    assert told == {("Tax", None), ("Credit", None), ("Usage", Decimal(1))}


def test_money_that_is_part_of_other_money_is_no_balance() -> None:
    """What is instantly available is part of what is available and not told again."""
    held = [{"amount": 100, "currency": "usd"}]
    body = json.dumps({"available": held, "pending": [], "instant_available": held}).encode()
    found = list(balance(msgspec.json.decode(body, type=Funds), ASK))
    assert found == [Balance(name="available", amount=Decimal(1), currency="USD", details={**NO_END})]
    assert BALANCE.window.days_max == 1


def test_money_set_apart_is_told_by_its_purpose() -> None:
    """Reserves, issuing and prefunding are held beside what is available, each under a name of its own."""
    amounts = iter(range(100, 1000, 100))

    def held() -> list[dict[str, Any]]:
        return [{"amount": next(amounts), "currency": "usd"}]

    apart = {"connect_reserved": held(), "issuing": {"available": held()},
             "refund_and_dispute_prefunding": {"available": held(), "pending": held()}}  # fmt: skip
    body = json.dumps({"available": [], "pending": [], "livemode": True, **apart}).encode()
    found = [each for each in balance(msgspec.json.decode(body, type=Funds), ASK) if isinstance(each, Balance)]
    assert [(each.name, each.amount) for each in found] == [
        ("connect_reserved", Decimal(1)),
        ("issuing", Decimal(2)),
        ("refund_and_dispute_prefunding", Decimal(3)),
        ("refund_and_dispute_prefunding_pending", Decimal(4)),
    ]


def test_subscriptions_that_ended_are_listed_too() -> None:
    """Stripe leaves canceled ones out unless all are asked for, and they would be previewed for ever."""
    assert upcoming.SUBSCRIPTIONS.query["status"] == "all"
    assert upcoming.UPCOMING.each is not None
    assert upcoming.UPCOMING.each.states == ("active",)


def invoice(followed: list[bytes] | None = None, **fields: Any) -> list[Revenue | Problem]:
    """Return what an invoice comes to, with the pages that were asked for its lines."""
    line = {"id": "il_1", "amount": 1000, "currency": "usd", "period": {"start": 1, "end": 2},
            "discount_amounts": [{"amount": 100}], "taxes": [{"amount": 90, "tax_behavior": "exclusive"}]}  # fmt: skip
    base = {"id": "in_1", "created": CREATED, "currency": "usd", "total": 990, "total_excluding_tax": 900,
            "amount_due": 990, "amount_paid": 990, "status": "paid", "customer": "cus_1",
            "lines": {"data": [line], "has_more": False}}  # fmt: skip
    body = json.dumps({"data": [{**base, **fields}], "has_more": False}).encode()
    pages = tuple(msgspec.json.decode(page, type=revenue.LinePage) for page in followed or ())
    ask = replace(ASK, followed={"in_1": pages} if pages else {})
    return list(revenue.invoices(msgspec.json.decode(body, type=revenue.InvoicePage), ask))


@pytest.mark.parametrize("status", ["paid", "open", "uncollectible", None, "of tomorrow"])
def test_an_invoice_is_its_total_once(status: str | None) -> None:
    """Lines and total are not added, nor due and paid: gross is the total, net the total before tax."""
    found = [each for each in invoice(status=status) if isinstance(each, Revenue)]
    assert total(each.gross for each in found) == {"USD": Decimal("9.9")}
    assert total(each.net for each in found if each.net) == {"USD": Decimal(9)}


@pytest.mark.parametrize(("status", "told"), [("paid", 0), ("void", 0), ("draft", 0), (None, 1), ("of tomorrow", 1)])
def test_a_status_that_is_not_known_is_told(status: str | None, told: int) -> None:
    """What may not have been issued is no silent revenue."""
    problems = [each for each in invoice(status=status) if isinstance(each, Problem)]
    assert [(each.code, each.severity.value) for each in problems] == [("unknown_object", "warning")] * told


def test_a_line_of_another_currency_is_refused() -> None:
    """Two currencies are never added up to one total, and no other invoice is kept back by such a one."""
    [problem] = invoice(currency="chf")
    assert isinstance(problem, Problem)
    assert (problem.code, problem.period) == ("amount_refused", ASK.period)
    assert "il_1 is in USD" in problem.says
    assert all(isinstance(each, Revenue) for each in invoice(currency="USD"))


def line(number: int, amount: int, **fields: Any) -> dict[str, Any]:
    """Return a line of an invoice."""
    return {"id": f"il_{number}", "amount": amount, "currency": "usd", "period": {"start": 1, "end": 2}, **fields}


def test_the_embedded_lines_are_not_all() -> None:
    """An invoice with more lines than came along is told whole by what was asked for it, and by no line twice."""
    told = [line(1, 400), line(2, 500)]
    body = json.dumps({"data": [*told, line(3, 90)], "has_more": False}).encode()
    found = invoice(lines={"data": told, "has_more": True}, total_excluding_tax=990, followed=[body])
    assert [each.record_id for each in found if isinstance(each, Revenue)] == ["il_1", "il_2", "il_3"]
    assert total(each.gross for each in found if isinstance(each, Revenue)) == {"USD": Decimal("9.9")}


def test_lines_that_are_missing_are_no_smaller_total() -> None:
    """Where the other lines were not asked for, the invoice is refused."""
    [problem] = invoice(lines={"data": [], "has_more": True})
    assert isinstance(problem, Problem)
    assert problem.severity.value == "fatal"


def test_lines_that_do_not_add_up_are_told_and_the_total_stands() -> None:
    """What is between the lines and the total that Stripe states is a record and a warning, never lost."""
    found = invoice(total=1000)
    assert total(each.gross for each in found if isinstance(each, Revenue)) == {"USD": Decimal(10)}
    [problem] = [each for each in found if isinstance(each, Problem)]
    assert (problem.code, problem.severity.value) == ("total_differs", "warning")


def test_a_credit_lowers_what_is_owed_and_a_discount_counts_once() -> None:
    """Credits granted before tax are in the list that names discounts again: only the credits of it count."""
    lowered = line(1, 1000, discount_amounts=[{"amount": 100}],
                   pretax_credit_amounts=[{"amount": 100, "type": "discount"},
                                          {"amount": 300, "type": "credit_balance_transaction"}])  # fmt: skip
    [found] = invoice(lines={"data": [lowered]}, total=600, total_excluding_tax=600)
    assert isinstance(found, Revenue)
    assert found.gross.amount == Decimal(6)


def test_drafts_and_void_invoices_are_not_owed() -> None:
    """A draft is nothing yet; of a void invoice zero is owed, and its total is a detail."""
    assert invoice(status="draft") == []
    [void] = invoice(status="void")
    assert isinstance(void, Revenue)
    assert (void.gross.amount, void.details and void.details["total"]) == (Decimal(0), "9.9")


def test_shipping_is_in_no_line() -> None:
    """It is a record of its own, whose total holds its tax."""
    shipped = {"amount_subtotal": 500, "amount_tax": 95, "amount_total": 595, "shipping_rate": None}
    *_, shipping = found = invoice(total=1585, total_excluding_tax=1400, shipping_cost=shipped)
    assert not [each for each in found if isinstance(each, Problem)]
    assert isinstance(shipping, Revenue)
    assert shipping.net is not None
    assert (shipping.kind, shipping.gross.amount, shipping.net.amount) == (
        "invoice_shipping", Decimal("5.95"), Decimal(5),
    )  # fmt: skip


@pytest.mark.parametrize("when", ["pre", "post"])
def test_a_credit_note_takes_back_what_is_owed_once(when: str) -> None:
    """The total stays as it is, so what credit notes took back is a record; its net is known where it is all."""
    field = f"{when}_payment_credit_notes_amount"
    *_, part = invoice(**{field: 300})
    assert isinstance(part, Revenue)
    assert (part.kind, part.gross.amount, part.net) == ("invoice_credit_notes", Decimal(-3), None)
    whole = invoice(**{field: 990})
    assert total(each.gross for each in whole if isinstance(each, Revenue)) == {"USD": Decimal(0)}
    assert total(each.net for each in whole if isinstance(each, Revenue) and each.net) == {"USD": Decimal(0)}
    *_, untaxed = invoice(lines={"data": [line(1, 990)]}, total_excluding_tax=990, **{field: 300})
    assert isinstance(untaxed, Revenue)
    assert untaxed.net == untaxed.gross, "where no tax was owed none is taken back"
    assert len(invoice(status="void", **{field: 300})) == 1, "nothing is owed of it, and nothing less than that"


def test_a_sandbox_is_told_by_its_invoices_too() -> None:
    """Who reads invoices alone is warned as well, and once a page."""
    [warning, *found] = invoice(livemode=False)
    assert isinstance(warning, Problem)
    assert (warning.code, warning.severity.value, len(found)) == ("sandbox", "warning", 1)


def test_a_tax_on_fees_is_a_tax_whatever_its_accounting_class() -> None:
    """The type says so where the class calls it a fee, or is absent."""
    for category in ("fee", "tax", None):
        [charge] = mapped(movement(type="tax_fee", reporting_category=category, amount=-350))
        assert isinstance(charge, Charge)
        assert (charge.charge_category.value, charge.billed_cost.amount) == ("Tax", Decimal("3.5"))


def said(status: int, headers: dict[str, str] | None = None, **body: str) -> Said:
    """Return a refusal as Stripe writes it."""
    return Said(status, headers or {}, json.dumps({"error": {"type": "invalid_request_error", **body}}).encode())


@pytest.mark.parametrize(
    ("answer", "means", "hint"),
    [
        (said(401, code="api_key_expired"), "access_denied", "expired"),
        (said(401, message="Invalid API Key provided"), "access_denied", "wrong or revoked"),
        (said(402, code="card_declined"), "request_refused", ""),
        (said(403, message="Having 'balance_read' would allow this"), "permission_missing", "balance_read"),
        (said(404, code="resource_missing", param="starting_after"), "retry_later", "begins again"),
        (said(404, code="resource_missing"), "retry_later", "begins again"),
        (said(404, message="Unrecognized request URL"), "request_refused", "base_url"),
        (said(409), "retry_later", ""),
        (said(429, code="lock_timeout"), "retry_later", "holds the object"),
        (said(429, {"stripe-rate-limited-reason": "global-concurrency"}), "retry_later", "global-concurrency"),
    ],
)
def test_refusals_mean_what_stripe_means(answer: Said, means: str, hint: str) -> None:
    """Each no of Stripe's is the typed error that says what to do."""
    refusal = declared(PROVIDER, fees.FEES, answer)
    assert refusal is not None
    assert refusal.means == means
    assert hint in (refusal.hint or "")
    assert error(PROVIDER, fees.FEES, answer, refusal).code == means


def test_a_customer_that_was_deleted_keeps_no_others_use_back() -> None:
    """An object that is not found is lacking by itself; a row that a page begins after is asked for again."""
    for endpoint in (meters.SUMMARIES, meters.LEVELS, revenue.LINES):
        for param, means in (("customer", "not_offered"), ("starting_after", "retry_later")):
            refusal = declared(PROVIDER, endpoint, said(404, code="resource_missing", param=param))
            assert refusal is not None
            assert refusal.means == means
    for listed in (fees.PLATFORM_FEES, revenue.INVOICES, revenue.CUSTOMERS, meters.METERS, upcoming.SUBSCRIPTIONS):
        refusal = declared(PROVIDER, listed, said(404, code="resource_missing"))
        assert refusal is not None
        assert refusal.means == "retry_later"


def test_an_account_that_the_key_does_not_open_is_no_permission() -> None:
    """Every endpoint tells a wrong `account` apart from a permission that its key lacks."""
    answer = said(403, message="The provided key does not have access to account 'acct_x'", code="account_invalid")
    for endpoint in (one for dataset in PROVIDER.datasets for one in dataset.endpoints):
        refusal = declared(PROVIDER, endpoint, answer)
        assert refusal is not None
        assert (refusal.means, "option `account`" in (refusal.hint or "")) == ("access_denied", True), endpoint.name


def test_the_version_is_always_said() -> None:
    """Without a version each account answers in a shape of its own."""
    assert PROVIDER.headers["stripe-version"] == "2026-10-28.endive"
    assert PROVIDER.header_options == {"stripe-account": "account"}


def test_what_may_change_is_read_again() -> None:
    """Movements are never changed and settle in three days; invoices have no list of changes and take ninety."""
    horizons = {name: PROVIDER.dataset(name).horizon_days for name in ("fees", "application_fees", "invoices")}
    assert horizons == {"fees": 3, "application_fees": 3, "invoices": 90}


def test_a_window_holds_its_first_second_and_not_its_end() -> None:
    """Rows of midnight belong to the day that begins, and every list is asked in pages of the largest size."""
    for endpoint in (fees.FEES, fees.PLATFORM_FEES, revenue.INVOICES):
        assert isinstance(endpoint.window, EpochWindow)
        assert (endpoint.window.start, endpoint.window.end) == ("created[gte]", "created[lt]")
    lists = [
        one
        for dataset in PROVIDER.datasets
        for one in dataset.endpoints
        if one.name not in {"balance", "upcoming_invoices"}
    ]
    assert {endpoint.query["limit"] for endpoint in lists} == {100}


def test_one_endpoint_is_asked_no_faster_than_stripe_allows() -> None:
    """Twenty-five requests a second, in a sandbox too, and no write that could change anything."""
    assert [(rate.requests, rate.seconds) for rate in PROVIDER.rates] == [(25, 1)]
    posts = [endpoint.path for dataset in PROVIDER.datasets for endpoint in dataset.endpoints if endpoint.body]
    assert posts == ["/v1/invoices/create_preview"]


def test_a_deleted_customer_still_owes() -> None:
    """A customer who comes as an object, deleted or expanded, is known by its id, and a null quantity is none."""
    sold = {**line(1, 990), "quantity": None}
    [found] = invoice(customer={"id": "cus_9", "deleted": True}, lines={"data": [sold]}, total_excluding_tax=990)
    assert isinstance(found, Revenue)
    assert (found.customer_id, (found.details or {})["quantity"]) == ("cus_9", None)


def test_stripes_own_word_on_asking_again_is_heard() -> None:
    """The header overrides every rule by status, and the reason of a 429 is told."""
    assert PROVIDER.retry_header == "stripe-should-retry"
    answer = said(429, {"stripe-rate-limited-reason": "of-tomorrow"})
    assert "[of-tomorrow]" in error(PROVIDER, fees.FEES, answer, default(answer)).message


@pytest.mark.parametrize(
    ("status", "code", "means"),
    [
        (404, "invoice_upcoming_none", "empty"),
        (400, "invoice_upcoming_none", "empty"),
        (404, "resource_missing", "empty"),
        (403, None, "permission_missing"),
        (400, "parameter_unknown", None),
    ],
)
def test_a_subscription_without_a_next_invoice_has_none(status: int, code: str | None, means: str | None) -> None:
    """That nothing is billed next is an answer; what Stripe refuses otherwise is not taken for one."""
    said = Said(status, {}, json.dumps({"error": {"type": "invalid_request_error", "code": code}}).encode())
    found = declared(PROVIDER, upcoming.UPCOMING, said)
    assert (found and found.means) == means
