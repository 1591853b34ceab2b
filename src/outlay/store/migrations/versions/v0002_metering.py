"""Meter events, what they add up to, and the tokens that let programs send them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables that are not there: an upgrade that broke off is taken up where it stopped."""
    op.create_table(
        "outlay_meter_seen",
        sa.Column("event", sa.LargeBinary, primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_index("outlay_meter_seen_until", "outlay_meter_seen", ["until"], if_not_exists=True)
    op.create_table(
        "outlay_meter_totals",
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("meter", sa.Text, primary_key=True),
        sa.Column("connection", sa.Text, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("model", sa.Text),
        sa.Column("service_tier", sa.Text),
        sa.Column("operation", sa.Text),
        sa.Column("context_band", sa.BigInteger),
        sa.Column("tags", sa.Text),
        sa.Column("stated", sa.Boolean, nullable=False),
        sa.Column("whole", sa.BigInteger, nullable=False),
        sa.Column("nano", sa.BigInteger, nullable=False),
        sa.Column("atto", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    place = ["connection", "provider", "hour"]
    op.create_index("outlay_meter_totals_hour", "outlay_meter_totals", place, if_not_exists=True)
    _days_and_limits()
    op.create_table(
        "outlay_tokens",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.BigInteger),
        if_not_exists=True,
    )


def _days_and_limits() -> None:
    op.create_table(
        "outlay_meter_days",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("taken", sa.BigInteger, nullable=False),
        sa.Column("settled", sa.BigInteger),
        sa.Column("part_of", sa.Text),
        sa.Column("lacking", sa.Boolean, nullable=False),
        sa.Column("sealed", sa.Text),
        if_not_exists=True,
    )
    op.create_table(
        "outlay_meter_limits",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("key", sa.LargeBinary, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("reading", sa.Text, nullable=False),
        if_not_exists=True,
    )
