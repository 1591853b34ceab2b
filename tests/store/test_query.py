from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from outlay.errors import ConfigError, OutlayError, StoreError
from outlay.model.focus import COLUMNS
from outlay.store import Ledger, sandbox
from outlay.store.schema import tables
from store.making import ACCOUNT, batch, costs, day, opened, payload


def test_empty_tables_are_typed_views(ledger: Ledger) -> None:
    """A ledger without a single fact answers every query with no rows instead of an error."""
    for name, table in tables().items():
        found = ledger.query(f"SELECT * FROM {name}")
        assert found.columns == tuple(column.name for column in table.view)
        assert found.rows == []
    assert ledger.query("SELECT sum(BilledCost) FROM charges WHERE ChargePeriodStart > '2026-01-01'").rows == [(None,)]


def test_charges_show_every_focus_column_first(ledger: Ledger) -> None:
    """The view has the FOCUS columns in their order, also those no file carries, then Outlay's own."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    found = ledger.query("SELECT * FROM charges")
    names = tuple(column.name for column in COLUMNS)
    assert found.columns[: len(names)] == names
    assert all(name.startswith("x_") for name in found.columns[len(names) :])
    assert found.dicts()[0]["AvailabilityZone"] is None


def test_filled_and_empty_views_have_the_same_types(ledger: Ledger) -> None:
    """A column has one type, whether or not its table holds rows."""
    empty = ledger.query("DESCRIBE SELECT * FROM charges").rows
    ledger.commit(ACCOUNT, [costs(0, 1)])
    assert ledger.query("DESCRIBE SELECT * FROM charges").rows == empty


def test_values_come_back_as_python_means_them(ledger: Ledger) -> None:
    """Decimals stay exact, times are aware and in UTC, whole numbers are int, and parameters are bound."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    found = ledger.query(
        "SELECT sum(BilledCost) AS cost, count(*) AS n, max(ChargePeriodEnd) AS e, [max(ChargePeriodEnd)] AS nested, "
        "sum(1) AS h, max(ChargePeriodEnd)::DATE AS d FROM charges WHERE x_Connection = $1",
        ["alpha"],
    )
    end = datetime(2026, 10, 2, tzinfo=UTC)
    assert found.columns == ("cost", "n", "e", "nested", "h", "d")
    assert found.rows == [(Decimal(3), 3, end, "['2026-10-02 00:00:00+00']", 3, date(2026, 10, 2))]
    assert ledger.query("SELECT NULL::TIMESTAMPTZ").rows == [(None,)]


def test_arrow_needs_no_pyarrow(ledger: Ledger) -> None:
    """A result as an Arrow table keeps exact decimals."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    found = ledger.arrow("SELECT SkuId, BilledCost FROM charges WHERE SkuId = $1", ["s1"])
    assert found.column("BilledCost").to_pylist() == [Decimal(1)]


def test_a_wrong_query_is_a_store_error(ledger: Ledger) -> None:
    """What the engine refuses becomes one of our errors."""
    with pytest.raises(StoreError, match="querying the ledger"):
        ledger.query("SELECT nothing FROM charges")


def test_a_snapshot_does_not_move(home: Path, ledger: Ledger) -> None:
    """Within a snapshot every query sees the same commit, while queries outside see the later one."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    with opened(home) as other, other.snapshot() as reader:
        ledger.commit(ACCOUNT, [costs(0, 2), costs(1, 2)])
        assert reader.query("SELECT count(*) FROM charges").rows == [(3,)]
        assert reader.query("SELECT count(*) FROM batches").rows == [(1,)]
    assert ledger.query("SELECT count(*) FROM charges").rows == [(6,)]


def test_a_home_with_odd_characters_works(tmp_path: Path) -> None:
    """Spaces, quotes, percent signs and accents in the path are only characters."""
    with opened(tmp_path / "it's 100% été") as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
        ledger.commit(ACCOUNT, [costs(0, 2)])
        assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(6),)]
        assert ledger.user_sql("SELECT count(*) FROM charges").rows == [(3,)]
        assert ledger.verify().problems == ()
        ledger.backup(tmp_path / "b% k")


def test_history_tells_what_changed(ledger: Ledger) -> None:
    """A restated day shows when, before and after; a first batch and an unchanged one are no change."""
    ledger.commit(ACCOUNT, [costs(0, 1), costs(1, 1)])
    ledger.commit(ACCOUNT, [costs(0, 4, rows=2)])
    ledger.commit(ACCOUNT, [batch(day(1), costs(1, 1).facts, "again", digest="alpha-1-v1")])
    (change,) = ledger.history()
    assert (change.batch_id, change.supersedes) == ("alpha-0-v4", "alpha-0-v1")
    assert [(total.currency, total.basis, total.billed_cost, total.rows) for total in change.before] == [
        ("USD", "billed", Decimal(3), 3)
    ]
    assert change.after[0].billed_cost == Decimal(8)
    assert (ledger.history("alpha", date(2026, 10, 1)), ledger.history(day=date(2026, 10, 2))) == ([change], [])
    assert ledger.history("beta") == []
    assert len(ledger.batches("alpha", "costs")) == 4
    assert {one.batch_id for one in ledger.batches(current=True)} == {"alpha-0-v4", "again"}


def test_superseded_facts_can_be_read_again(ledger: Ledger) -> None:
    """The facts of a superseded batch are found in the version of the table that held them."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    ledger.commit(ACCOUNT, [costs(0, 2)])
    old = ledger.superseded("alpha-0-v1", "charges")
    assert [row["BilledCost"] for row in old.dicts()] == [Decimal(1)] * 3
    assert ledger.superseded("unknown", "charges").rows == []


# ── SQL that a user typed ────────────────────────────────────────────────────────────────────────────────────────


def test_a_user_may_ask_anything_of_the_views(ledger: Ledger) -> None:
    """Joins, windows, CTEs, EXPLAIN and DESCRIBE are answered."""
    ledger.commit(ACCOUNT, [costs(0, 1)], [payload("f1", 1)])
    asked = "WITH c AS (FROM charges) SELECT count(*) FROM c JOIN batches ON x_BatchId = batch_id"
    assert ledger.user_sql(asked).rows == [(3,)]
    assert ledger.user_sql("SELECT * FROM charges", rows_max=2).rows[1:]
    assert len(ledger.user_sql("SELECT * FROM charges", rows_max=2).rows) == 2
    assert ledger.user_sql("DESCRIBE charges").rows
    assert ledger.user_sql("EXPLAIN SELECT 1").rows


ATTACKS = (
    "DELETE FROM charges",
    "DROP VIEW charges",
    "CREATE TABLE t AS SELECT 1",
    "INSERT INTO charges SELECT * FROM charges",
    "COPY (SELECT 1) TO '{out}'",
    "COPY charges TO '{out}'",
    "EXPORT DATABASE '{out}'",
    "ATTACH '{out}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "RESET lock_configuration",
    "PRAGMA enable_external_access = true",
    "CALL pragma_version()",
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 1) TO '{out}'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM read_text('{folder}/home/ledger/charges/../../../secret.txt')",
    "SELECT * FROM read_parquet('{folder}/home/ledger/payloads/*/*.parquet')",
    "SELECT * FROM sqlite_scan('{folder}/home/state.sqlite', 'outlay_leases')",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x')",
    "SELECT * FROM query('COPY (SELECT 1) TO ''{out}''')",
    "SELECT * FROM outside",
    "SELECT getenv('HOME')",
    "",
    "SELEC",
)


@pytest.fixture(scope="module")
def besieged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Open one ledger for all attacks: none of them may leave a trace."""
    folder = tmp_path_factory.mktemp("besieged")
    (folder / "secret.txt").write_text("secret")
    with opened(folder / "home") as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)], [payload("f1", 1)])
        ledger.user_sql("SELECT count(*) FROM charges")
        yield ledger


def _attacked(ledger: Ledger, attack: str) -> str:
    folder = ledger.home.parent
    return attack.format(out=folder / "out", secret=folder / "secret.txt", folder=folder) + " -- charges"


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_user_reaches_nothing_else(besieged: Ledger, attack: str) -> None:
    """Writing, other files, extensions, settings, several statements and Python's variables are refused."""
    outside = [("secret",)]
    before = sorted(besieged.home.parent.rglob("*"))
    with pytest.raises(ConfigError):
        besieged.user_sql(_attacked(besieged, attack))
    assert sorted(besieged.home.parent.rglob("*")) == before
    assert besieged.query("SELECT count(*) FROM charges").rows == [(3,)]
    assert outside


@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if "{" in attack])
def test_the_lock_holds_without_the_statement_check(
    besieged: Ledger, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were a statement misjudged as harmless, the engine itself would still refuse the file."""
    monkeypatch.setattr(sandbox, "_refuse_all_but_select", lambda _connection, _sql: None)
    before = sorted(besieged.home.parent.rglob("*"))
    with pytest.raises(OutlayError):
        besieged.user_sql(_attacked(besieged, attack))
    assert sorted(besieged.home.parent.rglob("*")) == before


def test_a_query_without_end_is_cut_off(ledger: Ledger) -> None:
    """A query that would run for hours is stopped after the time it was given."""
    with pytest.raises(ConfigError, match="took longer"):
        ledger.user_sql("SELECT count(*) FROM range(100000000000) a, range(1000000) b", seconds=0.05)


# ── tables that are not local ────────────────────────────────────────────────────────────────────────────────────


def test_the_store_may_be_a_url(tmp_path: Path) -> None:
    """A file URL names the folder of the tables, and the home keeps the state only."""
    with opened(tmp_path / "home", store=f"file://{tmp_path}/else%20where") as ledger:
        ledger.commit(ACCOUNT, [costs(0, 1)])
        ledger.commit(ACCOUNT, [costs(0, 2)])
        assert ledger.query("SELECT sum(BilledCost) FROM charges").rows == [(Decimal(6),)]
    assert (tmp_path / "else where" / "charges" / "_delta_log").is_dir()
    assert not (tmp_path / "home" / "ledger").exists()


def test_tables_that_only_the_table_library_reaches(home: Path, ledger: Ledger) -> None:
    """Where the query engine has no way to the files, the rows come through the library that wrote them."""
    ledger.commit(ACCOUNT, [costs(0, 1)])
    with opened(home) as remote:
        remote.tables.local, remote.tables._root = None, f"file://{home}/ledger"
        remote.tables._options = {}
        assert remote.query("SELECT sum(BilledCost), min(x_Connection) FROM charges").rows == [(Decimal(3), "alpha")]
        remote.commit(ACCOUNT, [costs(0, 2), costs(1, 2)])
        assert remote.query("SELECT sum(BilledCost), count(*) FROM charges").rows == [(Decimal(12), 6)]
        assert remote.user_sql("SELECT count(*) FROM charges").rows == [(6,)]
        assert remote.query("SELECT * FROM usage").rows == []
        with pytest.raises(StoreError, match="object store"):
            remote.backup(home / "copy")
