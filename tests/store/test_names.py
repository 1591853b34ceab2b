from __future__ import annotations

from datetime import timedelta

from outlay.model.batch import Batch
from outlay.model.facts import Fact, Name
from outlay.store import Ledger
from store.making import ACCOUNT, NOW, batch, charge, day, opened


def _listed(number: int, *names: Name) -> Batch:
    return batch(day(number), names, f"names-{number}", dataset="projects", observed_at=NOW + timedelta(days=number))


def _project(id_: str, name: str) -> Name:
    return Name(kind="project", id=id_, name=name)


def test_a_name_outlives_its_id(ledger: Ledger) -> None:
    """A full list renames what it holds, adds what is new, and what it no longer holds stays as deleted."""
    ledger.commit(ACCOUNT, [_listed(0, _project("p1", "One"), _project("p2", "Two"))])
    ledger.commit(ACCOUNT, [_listed(1, _project("p2", "Zwei"), _project("p3", "Three"))])
    found = [(name.id, name.name, name.state) for name in ledger.names("alpha", "project")]
    assert found == [("p1", "One", "deleted"), ("p2", "Zwei", "active"), ("p3", "Three", "active")]
    assert ledger.names("alpha", "user") == ledger.names("beta") == []
    ledger.commit(ACCOUNT, [_listed(2, _project("p1", "One again"))])
    assert [(name.id, name.state) for name in ledger.names()] == [
        ("p1", "active"),
        ("p2", "deleted"),
        ("p3", "deleted"),
    ]
    ledger.commit(ACCOUNT, [_listed(3)])
    assert {name.state for name in ledger.names()} == {"deleted"}


def test_names_mentioned_beside_facts_are_never_deleted(ledger: Ledger) -> None:
    """A dataset that merely mentions names says nothing about those it does not mention."""
    for number in range(2):
        mentioned: list[Fact] = [charge(day(number)), _project(f"p{number}", "x")]
        ledger.commit(ACCOUNT, [batch(day(number), mentioned, f"b{number}", dataset="costs")])
    assert [(name.id, name.state) for name in ledger.names()] == [("p0", "active"), ("p1", "active")]


def test_an_earlier_list_does_not_undo_a_later_one(ledger: Ledger) -> None:
    """Lists that arrive in the wrong order end as if they had come in the right one."""
    later, earlier = _listed(1, _project("p2", "Two")), _listed(0, _project("p1", "One"), _project("p2", "Old"))
    ledger.commit(ACCOUNT, [later])
    ledger.commit(ACCOUNT, [earlier])
    found = [(name.id, name.name, name.state) for name in ledger.names()]
    assert found == [("p1", "One", "deleted"), ("p2", "Two", "active")]


def test_names_of_other_datasets_stay(ledger: Ledger) -> None:
    """A list of one dataset deletes nothing of another dataset or another connection."""
    ledger.commit(ACCOUNT, [_listed(0, _project("p1", "One"))])
    users = batch(day(0), [Name(kind="user", id="u1")], "users", dataset="users")
    ledger.commit(ACCOUNT, [users])
    with opened(ledger.home) as again:
        assert [(name.kind, name.id, name.state) for name in again.names()] == [
            ("project", "p1", "active"),
            ("user", "u1", "active"),
        ]
        assert again.verify().problems == ()
