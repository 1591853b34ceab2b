"""How far a vendor has told its changes: kept by connection and dataset, and forgotten with the state."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from outlay.store import Ledger
from store.making import ACCOUNT, NOW, costs, opened


def test_marks_are_kept_apart(home: Path, ledger: Ledger) -> None:
    """Each dataset of each connection has its own mark, and the latest is the one that stands."""
    assert ledger.mark("alpha", "costs") is None
    ledger.note_mark("alpha", "costs", "one", NOW)
    ledger.note_mark("alpha", "costs", "two", NOW + timedelta(hours=1))
    ledger.note_mark("beta", "costs", "other", NOW)
    with opened(home) as again:
        assert (again.mark("alpha", "costs"), again.mark("beta", "costs")) == ("two", "other")
        assert again.mark("alpha", "usage") is None


def test_a_state_built_again_knows_no_marks(home: Path) -> None:
    """Where the partitions are taken from the tables, what was told up to a mark may not be in them."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
        ledger.note_mark("alpha", "costs", "one", NOW)
        with ledger.state.write() as connection:
            connection.exec_driver_sql("DELETE FROM outlay_meta")
    with opened(home) as ledger:
        assert len(ledger.committed("alpha")) == 1
        assert ledger.mark("alpha", "costs") is None
