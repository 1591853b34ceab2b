"""Brave end to end: calls observed over real sockets, what they add up to, the credit, and probes where asked for."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import httpx
import pytest

import outlay.meter
from outlay.meter.ingest import Intake, attribution
from outlay.model.metering import MeterEvent
from outlay.providers.brave import PROVIDER
from outlay.providers.brave.metering import METERING
from outlay.providers.brave.windows import FREE
from outlay.providers.metering import Metered, Seen
from outlay.simulator.worlds.brave import BraveAccount
from outlay.sync.metered import settle
from outlay.wire.refusals import Said, declared

Make = Callable[..., Any]
ROOT = "/res/v1"
ASKED = "what-somebody-asked-for"
RESULT = "sim-result-of-a-search"
GETS = (
    f"/web/search?q={ASKED}", f"/web/search?q={ASKED}&count=20&offset=1", f"/news/search?q={ASKED}",
    f"/videos/search?q={ASKED}", f"/images/search?q={ASKED}&count=200", f"/llm/context?q={ASKED}",
    "/local/pois?ids=1&ids=2", "/local/descriptions?ids=1", f"/local/place_search?q={ASKED}",
    f"/web/rich?callback_key={ASKED}", f"/suggest/search?q={ASKED}", f"/spellcheck/search?q={ASKED}",
)  # fmt: skip
FAILING = ("/web/search", "/web/search?q=", f"/web/search?q={ASKED}&count=21", "/local/pois", "/nowhere")


def brave(bench: Make, seed: int = 7, kind: str = "metered", **options: str) -> Any:
    """Return a bench with one Brave connection."""
    return bench(
        seed, providers=("brave",), keys={"brave": f"sim-brave-{kind}"}, changes={"brave": {"options": options}}
    )


def account(one: Any) -> BraveAccount:
    """Return the account behind a bench's key."""
    return cast(BraveAccount, one.world.account("brave"))


def problems(report: Any) -> set[tuple[str, str, str]]:
    """Return dataset, code and severity of every problem."""
    [connection] = report.connections
    return {(each.dataset, p.code, p.severity) for each in connection.datasets for p in each.problems}


def call_of(path: str, method: str) -> Metered | None:
    """Return which kind of call a path is, as whoever watches answers finds it."""
    plain = path.partition("?")[0]
    return next((c for c in METERING.calls if c.method == method and re.fullmatch(f".*{c.path}", plain)), None)


class Watcher:
    """A program that calls Brave, and what is seen of its answers."""

    def __init__(self, one: Any, kind: str = "metered") -> None:
        self.one, self.kind = one, kind
        self.events: list[MeterEvent] = []

    def call(self, path: str, document: Any = None, key: str | None = None) -> int:
        """Make one call and observe its answer; return its status."""
        request = urllib.request.Request(  # noqa: S310 - the simulator's address
            self.one.simulator.base_url("brave") + ROOT + path,
            data=None if document is None else json.dumps(document).encode(),
            headers={"x-subscription-token": key or f"sim-brave-{self.kind}"},
        )
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310
                status, headers, body = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            status, headers, body = refused.code, refused.headers, refused.read()
        kind = call_of(ROOT + path, request.get_method())
        if kind is not None:
            self._observe(kind, status, {name.lower(): value for name, value in headers.items()}, body)
        return cast(int, status)

    def _observe(self, kind: Metered, status: int, headers: dict[str, str], body: bytes) -> None:
        documents = tuple(
            _documents(headers.get("content-type", ""), body[-kind.tail_bytes :] if kind.tail_bytes else body)
        )
        read = {name: headers[name] for name in kind.headers_read if name in headers}
        seen = Seen(status, read, documents, self.one.clock())
        limits = tuple(kind.limits(seen))
        for counted in kind.read(seen):
            self.events.append(
                MeterEvent(
                    id=f"event-{len(self.events)}", at=self.one.clock(), provider="brave", model=counted.model,
                    operation=kind.operation, quantities=dict(counted.quantities), cost=counted.cost, limits=limits,
                    status=status,
                )
            )  # fmt: skip

    def settle(self) -> Any:
        """Take what was observed into the ledger."""
        config = self.one.config()
        with self.one.ledger() as ledger:
            Intake(ledger, attribution(config), clock=self.one.clock).take(self.events)
            return settle(config, ledger, self.one.clock)


def _documents(kind: str, body: bytes) -> Iterator[bytes]:
    if "event-stream" not in kind:
        yield body
        return
    for line in body.splitlines():
        if line.startswith(b"data: {"):
            yield line.removeprefix(b"data: ")


def busy(one: Any) -> Watcher:
    """Return a watcher that has seen every kind of call, good ones and failing ones."""
    watcher = Watcher(one)
    for _ in range(3):
        for path in GETS:
            assert watcher.call(path) == 200
    for path in FAILING:
        assert watcher.call(path) >= 400
    assert watcher.call(GETS[0], key="sim-brave-nobody") == 422
    for path in ("/web/search", "/news/search"):
        assert watcher.call(path, {"q": ASKED}) == 200
    question = {"model": "brave", "messages": [{"role": "user", "content": ASKED}]}
    for stream in (True, False, True):
        assert watcher.call("/chat/completions", {**question, "stream": stream}, "sim-brave-answers") == 200
    assert watcher.call("/chat/completions", {"messages": []}, "sim-brave-answers") == 422
    return watcher


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_what_was_observed_equals_the_truth(seed: int, bench: Make) -> None:
    """Each call that succeeded is counted once, answers cost what they say, searches what the list says."""
    one = brave(bench, seed)
    report = busy(one).settle()
    assert {each.dataset for each in report.connections[0].datasets} == {"metered", "metered.limits", "metered.credit"}
    assert not report.connections[0].problems
    truth, today = one.world.truth("brave"), one.world.today
    rows = one.rows("SELECT json_extract_string(details, '$.operation'), meter, sum(quantity) FROM usage GROUP BY ALL")
    used = truth.usage(("operation", "meter"), today)
    assert {row[:2]: row[2] for row in rows} == used
    spent = {(row.sku, "estimated"): row.billed for row in truth.charges_on(today) if row.sku != "answers"}
    spent["answers", "billed"] = sum((b.total for _, b in account(one).bills), Decimal(0))
    rows = one.rows(
        "SELECT json_extract_string(x_Details, '$.operation'), x_Basis, sum(BilledCost) FROM charges"
        " WHERE ChargeCategory = 'Usage' GROUP BY ALL"
    )
    assert {row[:2]: row[2] for row in rows} == spent


def test_answers_and_searches_are_services_of_their_own(bench: Make) -> None:
    """What an answer states does not hide what searches are estimated to cost, and neither is added to the other."""
    one = brave(bench)
    busy(one).settle()
    rows = one.rows("SELECT DISTINCT ServiceName, x_Basis FROM charges ORDER BY ALL")
    assert rows == [("Brave Answers", "billed"), ("Brave Search", "estimated")]


@pytest.mark.parametrize(
    ("option", "most"), [({}, "5"), ({"monthly_credit": "0.01"}, "0.01"), ({"monthly_credit": "0"}, "0")]
)
def test_the_monthly_credit_is_one_estimated_line(option: dict[str, str], most: str, bench: Make) -> None:
    """It is never more than the month costs, an option changes it, and settling again changes nothing."""
    one = brave(bench, **option)
    watcher = busy(one)
    watcher.settle()
    watcher.settle()
    rows = one.rows(
        "SELECT BilledCost, x_Basis, ChargePeriodStart::DATE, ChargePeriodEnd::DATE FROM charges"
        " WHERE ChargeCategory = 'Credit'"
    )
    [[cost]] = one.rows("SELECT sum(BilledCost) FROM charges WHERE ChargeCategory = 'Usage'")
    month = one.world.today.replace(day=1)
    wanted = min(Decimal(most), cost)
    assert rows == ([(-wanted, "estimated", month, month.replace(month=12))] if wanted else [])


def test_a_credit_that_is_no_amount_is_told_and_costs_stand(bench: Make) -> None:
    """A wrong option is the user's to correct; nothing that was metered is lost."""
    one = brave(bench, monthly_credit="five")
    report = busy(one).settle()
    assert [p.code for p in report.connections[0].problems] == ["config"]
    assert one.rows("SELECT count(*) > 0 FROM charges") == [(True,)]


def test_a_credit_never_exceeds_a_small_month(bench: Make) -> None:
    """A month of one search has a credit of one search."""
    one = brave(bench)
    watcher = Watcher(one)
    watcher.call(GETS[0])
    watcher.settle()
    assert one.rows("SELECT BilledCost FROM charges ORDER BY 1") == [(Decimal("-0.005"),), (Decimal("0.005"),)]


def test_no_query_and_no_result_is_kept(bench: Make) -> None:
    """Neither events, nor payloads, nor tables, nor reports hold a word of what was asked or found."""
    one = brave(bench, probe="paid")
    watcher = busy(one)
    watcher.settle()
    report = one.sync()
    assert report.connections[0].state == "ok"
    texts = [repr(watcher.events), json.dumps(report.to_json())]
    assert one.leaks(texts, {ASKED, RESULT}) == []
    bodies = one.rows("SELECT body FROM payloads")
    assert bodies
    assert all(b"results" not in bytes(body) for (body,) in bodies)


def test_limits_of_observed_calls_are_in_the_ledger(bench: Make) -> None:
    """The latest headers are the limits, by window; what a refusal counts stands for the month."""
    one = brave(bench)
    watcher = Watcher(one, "windows")
    watcher.call(GETS[0])
    watcher.settle()
    rows = one.rows('SELECT name, quota, used, "window", basis FROM limits ORDER BY name')
    month = account(one).capped.month
    assert rows == [
        ("requests per minute", 900, 1, "1 minute", "header"),
        ("requests per month", month, account(one).used_before + 1, "month", "header"),
        ("requests per second", 20, 1, "1 second", "header"),
    ]


def test_nothing_is_asked_unless_told(bench: Make) -> None:
    """Without the option a sync makes no request at all."""
    one = brave(bench)
    assert one.sync().connections[0].state == "ok"
    assert one.simulator.requests == []


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_a_free_probe_reads_the_true_month(seed: int, bench: Make) -> None:
    """A refused request proves the key and shows the quota, and is not counted itself."""
    one = brave(bench, seed, "capped", probe="free")
    calls = Watcher(one, "capped")
    for _ in range(4):
        calls.call(GETS[0])
    for _ in range(2):
        assert one.sync().connections[0].state == "ok"
    [limit] = one.world.truth("brave").limits
    used = account(one).used_before + 4
    rows = one.rows("SELECT quota, used, remaining, unlimited, resets_at FROM limits WHERE \"window\" = 'month'")
    end = datetime(2026, 12, 1, tzinfo=one.clock().tzinfo)
    assert rows == [(limit.quota, used, limit.quota - used, False, end)]
    assert sum(account(one).calls.values()) == 4
    probes = [seen for seen in one.simulator.requests if "q=" not in seen.query]
    assert {seen.status for seen in probes} == {422}


def test_no_cap_is_unlimited_and_not_used_up(bench: Make) -> None:
    """A month's limit of 0 has no quota, nothing used and no reset."""
    one = brave(bench, probe="free")
    one.sync()
    rows = one.rows("SELECT quota, used, remaining, unlimited, resets_at FROM limits WHERE \"window\" = 'month'")
    assert rows == [(None, None, None, True, None)]


def test_a_paid_probe_is_one_search_a_day(bench: Make) -> None:
    """Several syncs of a day are one search; the next day is another."""
    one = brave(bench, kind="capped", probe="paid")
    for hours in (0, 5, 11, 13):
        one.clock_ahead = timedelta(hours=hours)
        one.sync()
    assert [seen.status for seen in one.simulator.requests] == [200, 200]
    assert sum(account(one).calls.values()) == 2


@pytest.mark.parametrize("kind", ["exhausted", "fast"])
def test_a_refusal_for_quota_is_an_answer(kind: str, bench: Make) -> None:
    """Both kinds of 429 carry the month's counter, which is read and not waited out."""
    one = brave(bench, kind=kind, probe="free")
    assert one.sync().connections[0].state == "ok"
    assert len(one.simulator.requests) == 1
    month = account(one).capped.month
    used = month if kind == "exhausted" else account(one).used_before
    rows = one.rows("SELECT quota, used, json_extract_string(details, '$.plan') FROM limits WHERE \"window\" = 'month'")
    assert rows == [(month, used, "Free")]


@pytest.mark.parametrize("probe", ["free", "paid"])
@pytest.mark.parametrize("kind", ["nobody", "unsubscribed"])
def test_a_wrong_key_is_told_by_its_code(kind: str, probe: str, bench: Make) -> None:
    """422 of a wrong key is no 422 of a wrong request, and a key without a subscription is denied."""
    report = brave(bench, kind=kind, probe=probe).sync()
    assert {problem[1:] for problem in problems(report)} == {("access_denied", "fatal")}


@pytest.mark.parametrize(
    ("code", "loc", "means"),
    [
        ("VALIDATION", ["header", "x-subscription-token"], "access_denied"),  # a proxy took the key away
        ("VALIDATION", ["query", "q"], "answer"),
        ("SUBSCRIPTION_TOKEN_INVALID", None, "access_denied"),
    ],
)
def test_a_422_is_told_by_what_it_says_is_wrong(code: str, loc: list[str] | None, means: str) -> None:
    """A request without a key fails as one without a query does, and proves no key."""
    error = {"status": 422, "code": code, "meta": {"errors": [{"loc": loc}]} if loc else {}}
    found = declared(PROVIDER, FREE, Said(422, {}, json.dumps({"type": "ErrorResponse", "error": error}).encode()))
    assert found is not None
    assert found.means == means


def test_headers_that_do_not_fit_are_left_out(bench: Make) -> None:
    """A reading whose parts differ in length is none, in a probe and in a call, which is counted all the same."""
    one = brave(bench, kind="odd", probe="free")
    assert problems(one.sync()) == {("limits", "measure_missing", "note")}
    watcher = Watcher(one, "odd")
    watcher.call(GETS[0])
    assert [(event.limits, event.quantities) for event in watcher.events] == [((), {"requests": 1})]


def test_a_key_of_another_plan_is_warned_about(bench: Make) -> None:
    """The policy's rate is held against the plan the connection names."""
    report = brave(bench, kind="answers", probe="free", plan="search").sync()
    assert problems(report) == {("limits", "plan_differs", "warning")}
    assert brave(bench, kind="metered", probe="free", plan="search").sync().connections[0].datasets[0].problems == []


def test_a_page_for_people_is_no_answer(bench: Make) -> None:
    """HTML with status 200 is not counted, and a probe that gets one reads nothing."""
    one = brave(bench, probe="free")
    one.simulator.faults.add("html", provider="brave", status=200, times="forever")
    watcher = Watcher(one)
    assert watcher.call(GETS[0]) == 200
    assert watcher.events == []
    assert problems(one.sync()) == {("limits", "payload_unreadable", "fatal")}


def test_a_passing_fault_is_waited_out(bench: Make) -> None:
    """A 503 and a cut body are asked again."""
    one = brave(bench, probe="free")
    for kind, more in (("server_error", {"status": 503}), ("cut", {})):
        one.simulator.faults.add(kind, provider="brave", **more)
    assert one.sync().connections[0].state == "ok"


def test_kept_answers_map_again_to_the_same(bench: Make) -> None:
    """The little that is kept of a probe, headers and counters, is enough to map it again."""
    from outlay.sync.replay import replay

    for kind, probe in (("exhausted", "free"), ("windows", "paid")):
        one = brave(bench, kind=kind, probe=probe)
        one.sync()
        with one.ledger() as ledger:
            report = replay(one.config(), ledger, clock=one.clock)
        assert [(each.restated, each.unchanged) for each in report.connections[0].datasets] == [(0, 1)]


def test_an_option_of_no_choice_is_refused() -> None:
    """`probe` takes two words alone, and a near miss is suggested."""
    from outlay.config.against import validate_options
    from outlay.errors import ConfigError
    from outlay.providers.brave import PROVIDER

    with pytest.raises(ConfigError, match="probe") as caught:
        validate_options(PROVIDER, {"probe": "fre"})
    assert "free" in caught.value.hint


def test_an_attached_client_meters_the_same(bench: Make) -> None:
    """A program's own client, searches and streams alike, spools what the calls come to and no word of them."""
    one = brave(bench)
    one.clock_ahead = datetime.now(UTC) - one.world.now()  # the program has the machine's clock
    base = one.simulator.base_url("brave") + ROOT
    question = {"model": "brave", "messages": [{"role": "user", "content": ASKED}]}
    with httpx.Client() as client:
        outlay.meter.attach(client, provider="brave", connection="brave", home=one.home)
        for path in GETS:
            assert client.get(base + path, headers={"x-subscription-token": "sim-brave-metered"}).status_code == 200
        for stream in (True, False):
            with client.stream(
                "POST", f"{base}/chat/completions", json={**question, "stream": stream},
                headers={"authorization": "Bearer sim-brave-answers"},
            ) as answer:  # fmt: skip
                assert RESULT in "".join(answer.iter_text()).replace('"}}]}\n\ndata: ', "") or stream
        assert client.get(base + FAILING[0], headers={"x-subscription-token": "sim-brave-metered"}).status_code == 422
    assert outlay.meter.flush()
    assert one.leaks([repr(outlay.meter.trouble())], {ASKED, RESULT}) == []
    with one.ledger() as ledger:
        settle(one.config(), ledger, one.clock)
    assert one.leaks([], {ASKED, RESULT}) == []
    rows = one.rows("SELECT json_extract_string(details, '$.operation'), meter, sum(quantity) FROM usage GROUP BY ALL")
    truth = one.world.truth("brave").usage(("operation", "meter"), one.world.today)
    assert {row[:2]: row[2] for row in rows} == truth
    billed = one.rows("SELECT sum(BilledCost) FROM charges WHERE x_Basis = 'billed'")
    assert billed == [(sum((bill.total for _, bill in account(one).bills), Decimal(0)),)]
