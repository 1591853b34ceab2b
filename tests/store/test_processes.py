"""Several processes on one ledger."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from store.making import ACCOUNT, commit_versions, costs, opened, processes


def test_a_reader_sees_the_old_or_the_new_and_never_a_mix(home: Path) -> None:
    """While another process replaces two days at once, every read shows both days in one and the same version."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, [costs(number, 1) for number in range(2)])
        child = processes().Process(target=commit_versions, args=(str(home), "alpha", 12))
        child.start()
        seen: list[tuple[Decimal, Decimal, int]] = []
        while child.is_alive() or not seen:
            found = ledger.query("SELECT min(BilledCost), max(BilledCost), count(*) FROM charges")
            seen.append(found.rows[0])
        child.join()
        assert child.exitcode == 0
        assert all(low == high and rows == 6 for low, high, rows in seen)
        found = ledger.query("SELECT DISTINCT BilledCost FROM charges")
        assert found.rows == [(Decimal(12),)]


def test_writers_of_different_connections_do_not_disturb_each_other(home: Path) -> None:
    """Three processes replace days of their own connections at once; each ends with exactly its last version."""
    writers = [
        processes().Process(target=commit_versions, args=(str(home), name, 5)) for name in ("alpha", "beta", "gamma")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    with opened(home) as ledger:
        found = ledger.query("SELECT x_Connection, sum(BilledCost), count(*) FROM charges GROUP BY ALL ORDER BY ALL")
        assert found.rows == [(name, Decimal(30), 6) for name in ("alpha", "beta", "gamma")]
        assert ledger.verify().problems == ()
        assert len(ledger.batches()) == 30


def test_a_table_that_another_process_makes_meanwhile_is_used(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that make the same table at once end with one table, and neither fails."""
    import deltalake

    real = deltalake.DeltaTable.create
    others: list[str] = []

    def raced(uri: str, *args: Any, **options: Any) -> Any:
        if uri not in others:
            others.append(uri)
            real(uri, *args, **options)
            raise deltalake.exceptions.CommitFailedError("Protocol changed since last commit")
        return real(uri, *args, **options)

    monkeypatch.setattr(deltalake.DeltaTable, "create", raced)
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
        assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(3),)]
        assert ledger.verify().problems == ()
    assert len(others) > 1
