"""An answer ready to be printed: typed columns, rows as they are known, and what is missing from them."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Row = Mapping[str, object]
ALWAYS = 9
"""The rank of a column that never leaves a table."""


class Kind(enum.Enum):
    """What a column holds, which settles how it is shown."""

    TEXT = "text"
    MONEY = "money"
    """A decimal in the row's `currency`."""
    QUANTITY = "quantity"
    AMOUNT = "amount"
    """A decimal in the row's `currency` or `unit`, whichever it has; a unit may be a currency too."""
    EXACT = "exact"
    """A number shown with every digit."""
    SHARE = "share"
    """Text such as `83 %`, on the right."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table and one field of a row."""

    name: str
    title: str
    kind: Kind = Kind.TEXT
    keep: int = ALWAYS
    """Where the table is too wide, columns with the lowest number leave first."""
    table: bool = True
    """Whether the table shows it at all; JSON and CSV always do."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows under columns. Null: a value that is not known is None."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    head: Mapping[str, object] = field(default_factory=dict)
    """What stands before `rows` in the JSON object."""
    incomplete: Sequence[Row] | None = None
    """What the answer lacks: `connection`, `dataset`, `period`, `why`, `hint`; None where nothing can be lacking."""
    trouble: str = "Incomplete"
    """The heading over what is lacking."""
    sums: Sequence[str] = ()
    """Money columns that a table adds up under its rows, per currency and basis."""
    empty: str = "Nothing to show."
    notes: Sequence[str] = ()
    """Sentences under a table."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What ids are called, for tables."""
    whole: object = None
    """The JSON object where it is made already."""
