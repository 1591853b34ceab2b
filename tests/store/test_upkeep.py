from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from outlay.errors import LedgerVersionError, StoreError
from outlay.store import Ledger, delta, upkeep
from store.making import ACCOUNT, batch, clock, costs, day, opened, payload, truth, usage


def _filled(ledger: Ledger) -> None:
    for number in range(3):
        ledger.commit(ACCOUNT, [costs(number, 2)], [payload(f"f{number}", 1)])
    for number in range(3):
        ledger.commit(ACCOUNT, [costs(number, 1)])


def test_small_files_are_merged_and_no_row_changes(ledger: Ledger) -> None:
    """Upkeep leaves one file per connection where there were many, and the same truth."""
    _filled(ledger)
    before = truth(ledger)
    done = ledger.maintain()
    assert done.files_before["charges"] == 3
    assert done.files_after["charges"] == done.files_after["batches"] == 1
    assert done.removed == 0
    assert truth(ledger) == before
    assert ledger.verify().problems == ()
    assert [row["BilledCost"] for row in ledger.superseded("alpha-0-v2").dicts()] == [Decimal(2)] * 3


def test_what_no_snapshot_needs_is_removed_for_good(home: Path, ledger: Ledger) -> None:
    """Without retention only the files of the present snapshot stay on the disk."""
    _filled(ledger)
    before = truth(ledger)
    assert ledger.maintain(keep_days=0).removed > 0
    assert len(list(home.glob("ledger/charges/connection=*/*.parquet"))) == 1
    assert truth(ledger) == before


def test_upkeep_runs_by_itself_when_files_pile_up(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is done below the limit; above it the crowded tables are merged."""
    _filled(ledger)
    assert not ledger.maintain_if_needed()
    monkeypatch.setattr(upkeep, "FILES_PER_PARTITION", 2)
    assert ledger.maintain_if_needed()
    assert not ledger.maintain_if_needed()
    ledger.commit(ACCOUNT, [costs(0, 3)])
    assert ledger.verify().problems == ()


def test_upkeep_and_commits_may_meet(home: Path, ledger: Ledger) -> None:
    """A replace whose files another process merged meanwhile is done again on the merged ones."""
    _filled(ledger)
    with opened(home) as other:
        other.query("SELECT 1 FROM charges")
        ledger.maintain()
        other.commit(ACCOUNT, [costs(1, 5)])
        ledger.commit(ACCOUNT, [costs(2, 6)])
        assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(36),)]
        assert other.verify().problems == ()


def test_a_check_reads_everything_and_names_what_is_wrong(home: Path, ledger: Ledger) -> None:
    """A whole ledger has no problems; a broken file and rows without a record are named."""
    _filled(ledger)
    found = ledger.verify()
    assert (found.problems, found.rows["charges"], found.rows["payloads"]) == ((), 9, 3)
    assert found.files > 3
    ledger.tables.replace("charges", delta_rows(ledger, 2), "connection = 'alpha'")
    (problem, *_) = ledger.verify().problems
    assert "has 2 rows, the record says 3" in problem or "has 0 rows, the record says 3" in problem
    broken = next(home.glob("ledger/payloads/*/*.parquet"))
    content = broken.read_bytes()
    broken.write_bytes(content[:40] + b"\0" * (len(content) - 48) + content[-8:])
    with opened(home) as again:
        assert any(problem.startswith("payloads:") for problem in again.verify().problems)


def delta_rows(ledger: Ledger, count: int) -> Any:
    """Return a few charges without their neighbours."""
    from deltalake import QueryBuilder

    table = ledger.tables.get("charges")
    assert table is not None
    return QueryBuilder().register("t", table).execute(f"SELECT * FROM t LIMIT {count}").read_all()


# ── backups ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_backup_is_the_ledger_as_it_was(home: Path, tmp_path: Path, ledger: Ledger) -> None:
    """What is restored has the truth, the partitions and the past of the moment of the backup, and goes on from it."""
    _filled(ledger)
    before = truth(ledger)
    ledger.backup(tmp_path / "copy")
    ledger.commit(ACCOUNT, [costs(0, 9), costs(5, 9)])
    Ledger.restore(tmp_path / "copy", tmp_path / "again")
    with opened(tmp_path / "again") as restored:
        assert truth(restored) == before
        assert len(restored.committed("alpha")) == 3
        assert restored.verify().problems == ()
        assert len(restored.superseded("alpha-0-v1").rows) == 3
        assert restored.superseded("alpha-0-v2").rows == []
        restored.commit(ACCOUNT, [costs(0, 4)])
        assert restored.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(18),)]
    assert not [path for path in (tmp_path / "again").rglob("*") if path.stat().st_mode & 0o077]


def test_a_backup_never_overwrites(home: Path, tmp_path: Path, ledger: Ledger) -> None:
    """A folder that holds something, a home that has a ledger, and a source that is no backup are refused."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    with pytest.raises(StoreError, match="not empty"):
        ledger.backup(home)
    ledger.backup(tmp_path / "copy")
    with pytest.raises(StoreError, match="exists already"):
        Ledger.restore(tmp_path / "copy", home)
    with pytest.raises(StoreError, match="no backup"):
        Ledger.restore(tmp_path, tmp_path / "new")


# ── versions of tables ───────────────────────────────────────────────────────────────────────────────────────────


def test_an_older_table_is_upgraded(home: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of an earlier version gains the columns it lacks, keeps its rows, and can be written again."""
    monkeypatch.setattr(delta, "VERSION", 0)
    ledger.commit(ACCOUNT, [batch(day(0), [usage(day(0), 5)], "b0")])
    table = ledger.tables.get("usage")
    assert table is not None
    kept = "SELECT connection, provider, dataset, batch_id, partition_start, partition_end, quantity, meter FROM t"
    _rewrite(home, kept)
    monkeypatch.setattr(delta, "VERSION", 1)
    with opened(home) as later:
        found = later.query("SELECT meter, quantity, part_of, derived FROM usage")
        assert found.rows == [("input", Decimal(5), None, None)]
        later.commit(ACCOUNT, [batch(day(0), [usage(day(0), 7)], "b1"), batch(day(1), [usage(day(1), 8)], "b2")])
        assert later.query("SELECT quantity FROM usage ORDER BY 1").rows == [(7,), (8,)]
        table = later.tables.get("usage")
        assert table is not None
        assert table.metadata().configuration[delta._VERSION_KEY] == "1"


def _rewrite(home: Path, sql: str) -> None:
    from deltalake import DeltaTable, QueryBuilder, write_deltalake

    table = DeltaTable(home / "ledger" / "usage")
    rows = QueryBuilder().register("t", table).execute(sql)
    write_deltalake(table, rows, mode="overwrite", schema_mode="overwrite")


def test_a_newer_table_is_refused(home: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that a later Outlay wrote is neither read nor written."""
    monkeypatch.setattr(delta, "VERSION", 9)
    ledger.commit(ACCOUNT, [costs(0, 1)])
    monkeypatch.setattr(delta, "VERSION", 1)
    with Ledger.open(home, clock=clock) as later:
        with pytest.raises(LedgerVersionError, match="version 9"):
            later.query("SELECT * FROM charges")
        with pytest.raises(LedgerVersionError):
            later.commit(ACCOUNT, [costs(0, 2)])


@pytest.fixture
def two_moments(home: Path, tmp_path: Path) -> Any:
    """Give a function that puts the state or the tables of an earlier moment beside the others of a later one."""

    def mixed(back: str) -> Ledger:
        with opened(home) as ledger:
            ledger.commit(ACCOUNT, [costs(0, 1)])
        shutil.copytree(home, tmp_path / "earlier")
        with opened(home) as ledger:
            ledger.commit(ACCOUNT, [costs(1, 1), costs(0, 2)])
            assert ledger.verify().problems == ()
        if back == "state":
            for path in home.glob("state.sqlite*"):
                path.unlink()
            shutil.copyfile(tmp_path / "earlier" / "state.sqlite", home / "state.sqlite")
        else:
            shutil.rmtree(home / "ledger")
            shutil.copytree(tmp_path / "earlier" / "ledger", home / "ledger")
        return opened(home)

    return mixed


@pytest.mark.parametrize(("back", "digests"), [("state", ["alpha-0-v2", "alpha-1-v1"]), ("tables", ["alpha-0-v1"])])
def test_state_and_tables_of_different_moments_are_told_and_brought_in_step(
    two_moments: Any, back: str, digests: list[str]
) -> None:
    """Verifying says so, and rebuilding believes the tables: what they lack counts as never fetched."""
    with two_moments(back) as ledger:
        before = truth(ledger)
        (problem,) = ledger.verify().problems
        assert "2 partitions of alpha: run `outlay maintain rebuild`" in problem
        assert ledger.rebuild() == len(digests)
        assert [known.digest for known in ledger.committed("alpha").values()] == digests
        assert ledger.verify().problems == ()
        assert truth(ledger) == before
