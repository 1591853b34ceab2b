"""Write a FOCUS dataset and check what was written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import msgspec

from outlay.clock import midnight
from outlay.export import files
from outlay.export.checks import Checked, check_file
from outlay.export.focus import STATED, projection, typed_columns
from outlay.model.basis import Basis
from outlay.model.focus import DEFAULT_VERSION
from outlay.store import Ledger
from outlay.store.query import Reader

FORMATS = ("csv", "parquet")
CHUNK_ROWS = 100_000
"""How many charges are sorted and written at a time."""


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """What was written, and what is wrong with it."""

    path: Path
    version: str
    rows: int
    checked: Checked


def focus(
    ledger: Ledger,
    out: Path,
    *,
    from_: date,
    to: date,
    version: str = DEFAULT_VERSION,
    bases: Sequence[Basis] = STATED,
) -> Export:
    """Write the charges of a period (end exclusive) as a FOCUS Cost and Usage file, CSV or Parquet by its suffix.

    Units: numbers at scale 12, rounded half-even; times in UTC to the second. In CSV a text that a spreadsheet would
    run as a formula gets a leading apostrophe; Parquet holds every text as it is.
    Null: priced and estimated charges are left out unless their basis is asked for.
    Raises: ConfigError for an unknown version or suffix; StoreError when the file cannot be written, in which case
    what was there stays.
    """
    format_ = files.format_of(out, FORMATS)
    columns = typed_columns(version)
    shown = (_csv if format_ == "csv" else _parquet)(columns)
    with files.replacing(out) as draft:
        with ledger.snapshot() as reader:
            asked = (projection(*days, version=version, bases=bases) for days in _chunks(reader, from_, to))
            rows = files.write(reader, asked, shown, draft, format_)
        checked = check_file(draft, version, format_)
    return Export(path=out, version=version, rows=rows, checked=checked)


def _chunks(reader: Reader, from_: date, to: date) -> list[tuple[date, date]]:
    """Cut a period into runs of days that hold a bounded number of charges, unless one day holds more."""
    sql = """
        SELECT CAST(ChargePeriodStart AS DATE) AS day, count(*) FROM charges
        WHERE ChargePeriodStart >= ? AND ChargePeriodStart < ? GROUP BY day ORDER BY day
    """
    cuts, held = [from_], 0
    for day, count in reader.query(sql, [midnight(from_), midnight(to)]).rows:
        if held and held + count > CHUNK_ROWS:
            cuts.append(day)
            held = 0
        held += count
    return list(pairwise([*cuts, to]))


def _csv(columns: Sequence[tuple[str, str]]) -> str:
    shown = [files.guarded(name) if type_ == "string" else files.text_of(name, type_) for name, type_ in columns]
    return ", ".join(shown)


def _parquet(columns: Sequence[tuple[str, str]]) -> str:
    # A zoned time in Parquet is shown in the reader's own zone by many tools; FOCUS times are UTC and nothing else.
    shown = [f"CAST({name} AS TIMESTAMP) AS {name}" if type_ == "datetime" else name for name, type_ in columns]
    return ", ".join(shown)
