"""Usage: units apart, parts out of their whole."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from analysis.staging import clock, put, usage
from outlay.analysis import Query
from outlay.analysis import usage as used
from outlay.model.facts import Name
from outlay.model.period import Period
from outlay.store import Ledger

DAY = date(2026, 11, 2)


def test_meters_and_units_are_apart(ledger: Ledger) -> None:
    """Quantities of one meter in one unit are added; another unit is another row."""
    facts = [usage(DAY, "5"), usage(DAY, "7"), usage(DAY, "1", unit="requests"), usage(DAY, "2", meter="output")]
    put(ledger, "a", "usage.completions", Period.of_day(DAY), facts)
    rows = used(ledger, Query(by=("provider",)), clock=clock).to_json_object()["rows"]
    assert rows == [
        {"provider": "openai", "meter": "input_tokens", "unit": "requests", "quantity": "1.000000"},
        {"provider": "openai", "meter": "input_tokens", "unit": "tokens", "quantity": "12.000000"},
        {"provider": "openai", "meter": "output", "unit": "tokens", "quantity": "2.000000"},
    ]


def quantities(ledger: Ledger, query: Query) -> list[Decimal]:
    """Return the quantities of an answer's rows."""
    return [row.quantity for row in used(ledger, query, clock=clock).rows]


def test_a_breakdown_is_never_added_to_its_whole(ledger: Ledger) -> None:
    """Rows another dataset already holds show only when their dataset is asked for by name."""
    put(ledger, "a", "usage.completions", Period.of_day(DAY), [usage(DAY, "10")])
    put(ledger, "a", "usage.by_user", Period.of_day(DAY), [usage(DAY, "10", part_of="usage.completions")])
    assert quantities(ledger, Query()) == [10]
    assert quantities(ledger, Query(by=("dataset",))) == [10]
    part, whole = ("dataset", "usage.by_user"), ("dataset", "usage.completions")
    assert quantities(ledger, Query(where=(part,))) == [10]
    assert quantities(ledger, Query(where=(part, whole))) == [10]
    assert quantities(ledger, Query(where=(part, whole), by=("dataset",))) == [10, 10]


def test_ids_are_named_beside_the_rows(ledger: Ledger) -> None:
    """Rows hold ids, the answer holds what they are called; an id that two connections call differently has no name."""
    put(ledger, "a", "usage.completions", Period.of_day(DAY), [usage(DAY, "1", sub_account_id="proj_1")])
    put(ledger, "b", "usage.completions", Period.of_day(DAY), [usage(DAY, "1", sub_account_id="proj_2")])
    always = Period.of_days(date(2000, 1, 1), date(2100, 1, 1))
    put(ledger, "a", "names", always, [Name(kind="project", id=f"proj_{n}", name=f"Site {n}") for n in (1, 2)])
    put(ledger, "b", "names", always, [Name(kind="project", id="proj_2", name="Another")])
    answer = used(ledger, Query(by=("sub_account",)), clock=clock)
    assert [row.dimensions["sub_account"] for row in answer.rows] == ["proj_1", "proj_2"]
    assert answer.names == {"proj_1": "Site 1"}
