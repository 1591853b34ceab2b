"""What the fields of answers are called in tables, how they are shown, and which leave first where space is short."""

from __future__ import annotations

from outlay.cli.output.sheet import Column, Kind

_MONEY, _AMOUNT, _QUANTITY, _SHARE = Kind.MONEY, Kind.AMOUNT, Kind.QUANTITY, Kind.SHARE

_KNOWN = {
    column.name: column
    for column in (
        Column("billed_cost", "Billed", _MONEY),
        Column("effective_cost", "Effective", _MONEY, keep=4),
        Column("list_cost", "List", _MONEY, keep=3),
        Column("currency", "Cur."),
        Column("basis", "Basis", keep=8),
        Column("quantity", "Quantity", _QUANTITY),
        Column("quota", "Quota", _AMOUNT),
        Column("used", "Used", _AMOUNT),
        Column("remaining", "Left", _AMOUNT, keep=3),
        Column("share", "%", _SHARE),
        Column("amount", "Amount", _AMOUNT),
        Column("granted", "Granted", _AMOUNT, keep=3),
        Column("topped_up", "Topped up", _AMOUNT, keep=3),
        Column("consumed", "Consumed", _AMOUNT),
        Column("total", "Total", _MONEY),
        Column("amount_due", "Due", _MONEY, keep=5),
        Column("gross", "Gross", _MONEY),
        Column("net", "Net", _MONEY),
        Column("sub_account", "Sub-account"),
        Column("charge_category", "Category"),
        Column("window", "Per", keep=5),
        Column("scope", "Scope", keep=7),
        Column("kind", "Kind", keep=3),
        Column("connection", "Connection"),
        Column("resets_at", "Resets", keep=3),
        Column("observed_at", "Seen", keep=2),
        Column("expires_at", "Expires", keep=4),
        Column("issued_at", "Issued", keep=4),
        Column("due_at", "Due on", keep=4),
        Column("period_from", "From", keep=7),
        Column("period_to", "To", keep=4),
        Column("thresholds", "Warns at", keep=3),
        Column("source", "Source", keep=3),
        Column("id", "Id", keep=4),
        Column("unlimited", "Unlimited", table=False),
        Column("at", "Changed at", keep=6),
        Column("reason", "Why", keep=4),
        Column("before", "Before", _MONEY),
        Column("after", "After", _MONEY),
        Column("batch", "Batch", keep=1),
        Column("supersedes", "Supersedes", table=False),
        Column("rows_before", "Rows before", _QUANTITY, keep=2),
        Column("rows_after", "Rows after", _QUANTITY, keep=2),
        Column("requests", "Requests", _QUANTITY),
        Column("partitions", "Parts", _QUANTITY, keep=4),
        Column("fetched", "Fetched", _QUANTITY),
        Column("unchanged", "Same", _QUANTITY, keep=5),
        Column("restated", "Restated", _QUANTITY),
        Column("facts", "Facts", _QUANTITY),
    )
}


def column(name: str) -> Column:
    """Return the column of a field; one without an entry is text under its own name."""
    return _KNOWN.get(name) or Column(name, name.removeprefix("tag:").replace("_", " ").capitalize())
