"""Whole syncs on a machine whose disk, folders or files fail.

Each test asks for the same four things: the user learns what happened and what to do; the number is the truth or the
old truth; nothing committed is lost; no credential is anywhere (the `bench` fixture searches for it). When the fault
is over, one more sync gives exactly the truth.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.striking import ALL, EVERY_DAY, FEW, repaired, restate, synced
from outlay.errors import Exit, StoreError


def test_a_full_disk(bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails for want of room ends the sync with status 4; the old truth stands."""
    import deltalake

    one = synced(bench)
    before = {provider: one.days_of(provider) for provider in ALL}

    def full(*_args: Any, **_options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for provider in ALL:
        restate(one, provider)
    with monkeypatch.context() as patched:
        patched.setattr(deltalake, "write_deltalake", full)
        with pytest.raises(StoreError, match="disk is full") as caught:
            one.sync(span=EVERY_DAY)
    assert caught.value.exit is Exit.STORE
    assert "space" in caught.value.hint
    assert {provider: one.days_of(provider) for provider in ALL} == before
    repaired(one)


def test_a_home_that_cannot_be_written(bench: Callable[..., Any]) -> None:
    """A file in the place of the folder is named, before any vendor is asked."""
    one = bench(days=2, datasets=FEW)
    one.home.write_text("")
    with pytest.raises(StoreError, match="home") as caught:
        one.sync()
    assert caught.value.exit is Exit.STORE
    assert caught.value.hint
    assert one.simulator.requests == []
    one.home.unlink()
    repaired(one)


def test_a_ledger_folder_that_cannot_be_written(bench: Callable[..., Any]) -> None:
    """A table's folder that is none is told as the store's trouble; other tables keep what they hold."""
    one = bench(days=2, datasets=FEW, providers=("openai",))
    (one.home / "ledger").mkdir(parents=True)
    (one.home / "ledger" / "charges").write_text("")
    with pytest.raises(StoreError) as caught:
        one.sync()
    assert caught.value.exit is Exit.STORE
    assert caught.value.hint
    (one.home / "ledger" / "charges").unlink()
    repaired(one)


def test_a_torn_log(bench: Callable[..., Any]) -> None:
    """A log entry cut short stops with the table's name and the way back; put right, it goes on."""
    one = synced(bench)
    entry = max((one.home / "ledger" / "charges" / "_delta_log").glob("*.json"))
    whole = entry.read_bytes()
    entry.write_bytes(whole[: len(whole) // 2])
    one.world.restate("openai", one.world.today, "up")
    with pytest.raises(StoreError, match="charges") as caught:
        one.sync(span=EVERY_DAY)
    assert caught.value.exit is Exit.STORE
    assert "backup" in caught.value.hint
    entry.write_bytes(whole)
    repaired(one)


def test_a_state_that_is_no_database(bench: Callable[..., Any]) -> None:
    """Garbage where the state was is refused by name; without it the ledger knows the same truth again."""
    one = synced(bench)
    for path in one.home.glob("state.sqlite*"):
        path.unlink()
    (one.home / "state.sqlite").write_bytes(b"no database at all " * 300)
    with pytest.raises(StoreError, match=r"state\.sqlite") as caught:
        one.sync()
    assert caught.value.exit is Exit.STORE
    assert caught.value.hint
    (one.home / "state.sqlite").unlink()
    assert one.right()
    repaired(one)


def test_a_state_that_breaks_meanwhile(bench: Callable[..., Any]) -> None:
    """A state table that vanishes is an error of the store and loses no fact."""
    one = synced(bench)
    before = {provider: one.days_of(provider) for provider in ALL}
    with sqlite3.connect(one.home / "state.sqlite") as database:
        database.execute("DROP TABLE outlay_partitions")
    database.close()
    with pytest.raises(StoreError) as caught:
        one.sync()
    assert caught.value.exit is Exit.STORE
    for path in one.home.glob("state.sqlite*"):
        path.unlink()
    assert {provider: one.days_of(provider) for provider in ALL} == before
    repaired(one)


@pytest.mark.parametrize("broken", ["state.sqlite", "ledger/charges/_delta_log/00000000000000000000.json"])
def test_a_broken_ledger_on_the_command_line(broken: str, outside: Callable[..., Any]) -> None:
    """Status 4, what is broken and what to do, on stderr, without a traceback."""
    away = outside(days=2, datasets=FEW, providers=("openai",))
    assert away.run("sync", "--quiet")[0] == 0
    for path in away.bench.home.glob("state.sqlite-*"):
        path.unlink()
    path = away.bench.home / broken
    whole = path.read_bytes()
    path.write_bytes(b"{garbage" * 600)
    status, out, err = away.run("sync", "--full")
    assert status == Exit.STORE
    assert out == ""
    assert "\nerror: " in f"\n{err}"
    assert "hint: " in err
    assert "Traceback" not in err
    path.write_bytes(whole)
    assert away.run("sync", "--quiet")[0] == 0
    assert away.bench.right()


# ── the bench itself ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_search_for_keys_finds_what_is_there(bench: Callable[..., Any]) -> None:
    """A text that the ledger does hold is found in its tables, one in a log is found there: the search can fail."""
    one = synced(bench, providers=("openai",))
    ((project,),) = one.rows("SELECT SubAccountId FROM charges WHERE SubAccountId IS NOT NULL LIMIT 1")
    assert any("rows of" in place for place in one.leaks([], {project}))
    assert one.leaks([json.dumps({"key": "abc"})], {"abc"})
    assert one.leaks([]) == []
    assert Path(one.home).is_dir()
