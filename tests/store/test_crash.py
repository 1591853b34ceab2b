"""A process that is killed in the middle of a commit."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from outlay.errors import StoreError
from outlay.store import Ledger
from store.making import (
    ACCOUNT,
    STEPS,
    clock,
    commit_and_die,
    costs,
    first_version,
    opened,
    payload,
    processes,
    second_version,
    truth,
)

MOMENTS = [
    *((step, when) for step in STEPS for when in ("before", "after")),
    *((step, "during") for step in STEPS[1:5]),
]


@pytest.mark.parametrize(("step", "when"), MOMENTS, ids=["-".join(moment) for moment in MOMENTS])
def test_a_killed_commit_is_repaired_by_the_next(home: Path, step: str, when: str) -> None:
    """Wherever a commit is killed, what counts as committed is whole, and committing again gives the exact truth."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, first_version())
    child = processes().Process(target=commit_and_die, args=(str(home), step, when))
    child.start()
    child.join()
    assert child.exitcode == -9
    with opened(home) as ledger:
        _everything_committed_is_whole(ledger)
        ledger.commit(ACCOUNT, second_version(), [payload("fetch-2", 1)])
        assert [row[-2:] for row in truth(ledger)] == [(Decimal(2), 1)] * 12
        assert ledger.query("SELECT quantity FROM usage").rows == [(Decimal(20),)]
        assert ledger.verify().problems == ()
        assert len(ledger.committed("alpha")) == 4
        assert len({batch.batch_id for batch in ledger.batches(current=True)}) == 4


def _everything_committed_is_whole(ledger: Ledger) -> None:
    for partition, known in ledger.committed("alpha").items():
        rows = ledger.query(
            "SELECT x_BatchId, count(*) FROM charges WHERE x_PartitionStart = $1 GROUP BY ALL",
            [partition.period.start],
        ).rows
        assert rows == [(known.batch_id, 3)]


@pytest.mark.parametrize("left", [(), ("00000000000000000000.json#1",)], ids=["folder", "half a commit"])
def test_a_table_that_was_being_made_is_made(home: Path, left: tuple[str, ...]) -> None:
    """A process that was killed while making a table leaves a log without a commit: that is no table yet."""
    log = home / "ledger" / "charges" / "_delta_log"
    log.mkdir(parents=True)
    for name in left:
        (log / name).write_text('{"protocol":')
    with opened(home) as ledger:
        assert ledger.query("SELECT count(*) FROM charges").rows == [(0,)]
        ledger.commit(ACCOUNT, [costs(0, 1)])
        assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(3),)]
        assert ledger.verify().problems == ()


def test_data_without_its_log_is_told(home: Path) -> None:
    """A table whose log was emptied is an error and never a smaller sum."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
    for path in (home / "ledger" / "charges" / "_delta_log").iterdir():
        path.unlink()
    with opened(home) as ledger, pytest.raises(StoreError, match="charges"):
        truth(ledger)


def test_a_lost_state_is_built_again_from_the_tables(home: Path) -> None:
    """Without its state database a ledger knows the same partitions, and facts no batch explains are fetched again."""
    with opened(home) as ledger:
        ledger.commit(ACCOUNT, first_version())
        ledger.commit(ACCOUNT, [costs(1, 7)])
        before = {partition: known.batch_id for partition, known in ledger.committed("alpha").items()}
    child = processes().Process(target=commit_and_die, args=(str(home), "charges", "after"))
    child.start()
    child.join()
    for file in home.glob("state.sqlite*"):
        file.unlink()
    with opened(home) as ledger:
        assert ledger.committed("alpha") == {}
        ledger.commit(ACCOUNT, second_version())
        assert [row[-2:] for row in truth(ledger)] == [(Decimal(2), 1)] * 12
    for file in home.glob("state.sqlite*"):
        file.unlink()
    with Ledger.open(home, clock=clock) as ledger:
        after = ledger.committed("alpha")
        assert {*before} < {*after}
        assert {known.batch_id for known in after.values()} == {f"alpha-{number}-v2" for number in range(4)}
        ledger.commit(ACCOUNT, [costs(0, 3, rows=1)])
        assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(21),)]
        assert ledger.query("SELECT count(*) FROM usage").rows == [(0,)]
