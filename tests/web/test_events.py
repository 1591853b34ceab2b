from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from meter_ingest.making import NOW
from outlay.errors import StoreError
from outlay.meter import cloudevents
from outlay.meter.ingest import Intake
from outlay.store import metering
from web.conftest import Answer, Site

ONE, MANY = cloudevents.STRUCTURED, cloudevents.BATCH
EVENTS = "/api/v1/events"


def told(id_: str = "1", data: object = None, **attributes: Any) -> dict[str, Any]:
    """Return a CloudEvent of ten input tokens."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "/tests",
        "type": cloudevents.METER,
        "time": "2026-11-22T11:00:00Z",
        "data": {"provider": "openai", "model": "model-a", "quantities": {"input_tokens": "10"}, **(data or {})},  # type: ignore[dict-item]
        **attributes,
    }


def total(site: Site) -> dict[str, Decimal]:
    """Return what all events add up to, by meter."""
    sums: dict[str, Decimal] = {}
    for day in metering.all_days(site.ledger.state):
        for each in metering.totals_of(site.ledger.state, day):
            for meter, quantity in each.quantities.items():
                sums[meter] = sums.get(meter, Decimal(0)) + quantity
    return sums


def taken(answer: Answer) -> tuple[int, int]:
    """Return how many were accepted and known, of a request all of which was good."""
    assert answer.status == 200, answer.body
    assert answer.json["rejected"] == []
    return answer.json["accepted"], answer.json["duplicates"]


def test_one_event_is_taken_once(site: Site) -> None:
    """An event is known by source and id together: sent again it is a duplicate, of another source it is not."""
    assert taken(site.post(EVENTS, told(), ONE)) == (1, 0)
    assert taken(site.post(EVENTS, told(), ONE)) == (0, 1)
    assert taken(site.post(EVENTS, told(source="/others"), f"{ONE}; charset=utf-8")) == (1, 0)
    assert total(site) == {"input_tokens": 20}


def test_binary_mode(site: Site) -> None:
    """Attributes may stand in headers, with the data as the body."""
    headers = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/tests", "ce-type": cloudevents.METER,
               "ce-time": "2026-11-22T11:00:00Z"}  # fmt: skip
    for expected in ((1, 0), (0, 1)):
        assert taken(site.post(EVENTS, told()["data"], "application/json", **headers)) == expected
    assert taken(site.post(EVENTS, told(), ONE)) == (0, 1)


def test_a_batch_takes_what_is_good_and_names_what_is_not(site: Site) -> None:
    """Each event that is refused is named by its place, with a reason; all others are taken."""
    batch = [
        told("1"),
        told("2", type="org.other.v1"),
        told("3", {"provider": "nobody"}),
        told("4", {"quantities": {"input_token": 1}}),
        told("5", {"quantities": {"input_tokens": "-1"}}),
        told("6", {"quantities": {"input_tokens": "NaN"}}),
        told("7", {"quantity": 1}),
        told("8", time="2026-01-01T00:00:00Z"),
        told("9", time="2027-01-01T00:00:00Z"),
        told("10", time="2026-11-22T11:00:00"),
        told("11", specversion="0.3"),
        told("12", source=""),
        "no event",
        told("14", {"quantities": {"output_tokens": 1, "reasoning_tokens": 2}}),
        told("15", {"connection": "no name!"}),
        told("16", {"quantities": {}}),
        told("17", datacontenttype="text/plain"),
        told("18", data_base64="AAAA"),
        told("19", time=None),
        told("20"),
    ]
    answer = site.post(EVENTS, batch, MANY)
    assert answer.status == 200
    assert (answer.json["accepted"], answer.json["duplicates"]) == (2, 0)
    assert [(each["index"], each["code"]) for each in answer.json["rejected"]] == [
        (1, "type_unknown"),
        (2, "provider_unknown"),
        (3, "meter_unknown"),
        (4, "quantity_refused"),
        (5, "quantity_refused"),
        (6, "data_unreadable"),
        (7, "event_late"),
        (8, "event_early"),
        (9, "event_invalid"),
        (10, "event_invalid"),
        (11, "event_invalid"),
        (12, "body_unreadable"),
        (13, "parts_exceed_whole"),
        (14, "event_invalid"),
        (15, "event_invalid"),
        (16, "data_unreadable"),
        (17, "data_unreadable"),
        (18, "event_invalid"),
    ]
    assert all(each["message"] for each in answer.json["rejected"])
    assert total(site) == {"input_tokens": 20}


@pytest.mark.parametrize(
    ("what", "kind", "status", "code"),
    [
        (told(type="org.other.v1"), ONE, 400, "type_unknown"),
        ([told(type="org.other.v1")], MANY, 400, "events_rejected"),
        (told(), MANY, 400, "body_unreadable"),
        (b"{", ONE, 400, "body_unreadable"),
        (b"\xff", ONE, 400, "body_unreadable"),
        (b"[" * 100_000, MANY, 400, "body_unreadable"),
        ([told()] * 10_001, MANY, 400, "batch_too_long"),
        (told(), "application/json", 415, "media_type_unknown"),
        (b" " * (5 << 20), ONE, 413, "body_too_large"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_refused_as_a_whole(site: Site, what: object, kind: str, status: int, code: str) -> None:
    """A request of which nothing can be taken is an error in the one shape, and nothing of it is kept."""
    answer = site.post(EVENTS, what, kind)
    assert (answer.status, answer.error) == (status, code)
    assert total(site) == {}


def test_bodies_may_be_packed_but_are_no_bombs(site: Site) -> None:
    """Gzip is unpacked within a bound; what only claims to be packed, or is packed otherwise, is refused."""
    packed = gzip.compress(json.dumps([told("1"), told("2")]).encode())
    assert taken(site.post(EVENTS, packed, MANY, Content_Encoding="gzip")) == (2, 0)
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    blank = b" " * (1 << 20)
    body = b"".join(bomb.compress(blank) for _ in range(64)) + bomb.flush()
    for sent, packing, status, code in (
        (body, "gzip", 413, "body_too_large"),
        (body + b"rest", "gzip", 413, "body_too_large"),
        (packed[:-9], "gzip", 400, "body_unreadable"),
        (b"plain", "gzip", 400, "body_unreadable"),
        (packed, "br", 415, "encoding_unknown"),
    ):
        answer = site.post(EVENTS, sent, MANY, Content_Encoding=packing)
        assert (answer.status, answer.error) == (status, code)
    assert total(site) == {"input_tokens": 20}


def test_what_an_api_answered_is_an_event_too(site: Site) -> None:
    """The usage of an OpenAI-compatible answer is taken apart into disjoint meters, and its content is not kept."""
    secret = "what the user wrote"
    answered = {
        "provider": "openai", "id": "chatcmpl-1", "object": "chat.completion", "created": 1795345200,
        "model": "model-a", "service_tier": "default", "choices": [{"message": {"content": secret}}],
        "usage": {
            "prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 20, "audio_tokens": 10},
        },
    }  # fmt: skip
    event = {**told(), "type": cloudevents.USAGE, "data": answered}
    assert taken(site.post(EVENTS, event, ONE)) == (1, 0)
    assert total(site) == {
        "requests": 1, "input_tokens": 35, "cached_input_tokens": 60, "input_audio_tokens": 5, "output_tokens": 40,
        "output_audio_tokens": 10, "reasoning_tokens": 20,
    }  # fmt: skip
    site.ledger.close()
    for path in site.ledger.home.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()


def test_senders_side_by_side_lose_nothing(site: Site) -> None:
    """Many who send at once, some of them the same events, add up to each event once."""

    def send(sender: int) -> int:
        batch = [told(str(number)) for number in range(sender * 50, sender * 50 + 100)]
        return taken(site.post(EVENTS, batch, MANY))[0]

    with ThreadPoolExecutor(8) as pool:
        accepted = sum(pool.map(send, range(12)))
    assert accepted == 650
    assert total(site) == {"input_tokens": 6500}


def test_a_full_queue_asks_senders_to_come_again(serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """While too much waits, nothing more is taken and the sender is told when to come back; then all of it is there."""
    go, began = threading.Event(), threading.Event()
    original = Intake.take_several

    def slow(self: Intake, groups: Any, **options: Any) -> Any:
        began.set()
        assert go.wait(300)
        return original(self, groups, **options)

    monkeypatch.setattr(Intake, "take_several", slow)
    with serve(waiting_max=2) as site, ThreadPoolExecutor(2) as pool:
        first = pool.submit(site.post, EVENTS, [told("1"), told("2")], MANY)
        assert began.wait(300)
        refused = site.post(EVENTS, told("3"), ONE)
        assert (refused.status, refused.error, refused.headers["retry-after"]) == (429, "busy", "1")
        go.set()
        assert taken(first.result()) == (2, 0)
        assert taken(site.post(EVENTS, told("3"), ONE)) == (1, 0)
        assert total(site) == {"input_tokens": 30}


def test_what_is_not_safe_is_not_acknowledged(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the state database refuses, the sender hears 503 and nothing was taken; sent again, it is."""

    def broken(*_: object) -> None:
        raise StoreError("writing the state database: the disk is full", hint="Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr(metering, "take", broken)
        answer = site.post(EVENTS, told(), ONE)
        assert (answer.status, answer.error, answer.headers["retry-after"]) == (503, "store", "5")
    assert taken(site.post(EVENTS, told(), ONE)) == (1, 0)


def test_a_bug_ends_in_the_same_shape_and_is_seen_from_outside(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error nobody foresaw leaves no sender waiting, is told in detail in the log alone, and turns /healthz."""
    assert site.ask("GET", "/healthz").json == {"status": "ok"}

    def broken(*_: object) -> None:
        raise ZeroDivisionError("something inside")

    with monkeypatch.context() as patch:
        patch.setattr(metering, "take", broken)
        answer = site.post(EVENTS, told(), ONE)
    assert (answer.status, answer.error) == (500, "bug")
    assert b"inside" not in answer.body
    assert [each.name for each in caplog.records if each.levelname == "ERROR"] == ["outlay.meter.together"]
    assert "ZeroDivisionError: something inside" in caplog.text
    assert (site.ask("GET", "/healthz").status, site.ask("GET", "/healthz").error) == (503, "unhealthy")
    assert (site.post(EVENTS, told(), ONE).status, site.post(EVENTS, told(), ONE).error) == (503, "ending")


def test_what_is_in_hand_is_safe_when_the_server_ends(serve: Callable[..., Any]) -> None:
    """Everything that was acknowledged is in the totals after the server has gone."""
    with serve() as site:
        for number in range(5):
            taken(site.post(EVENTS, told(str(number)), ONE))
        home = site.ledger.home
    from outlay.store import Ledger

    with Ledger.open(home, clock=lambda: NOW) as ledger:
        (day,) = metering.all_days(ledger.state)
        assert metering.totals_of(ledger.state, day)[0].quantities == {"input_tokens": 50}


def test_paths_and_methods_that_are_not_there(site: Site) -> None:
    """Whatever is asked in a wrong way is told in the one shape."""
    assert (site.ask("GET", "/nothing").status, site.ask("GET", "/nothing").error) == (404, "not_found")
    assert (site.ask("GET", EVENTS).status, site.ask("GET", EVENTS).error) == (405, "method_not_allowed")
