"""The first shape of the state database."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables that are not there: a creation that broke off is taken up where it stopped."""
    op.create_table(
        "outlay_meta", sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text), if_not_exists=True
    )
    op.create_table(
        "outlay_partitions",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("period_start", sa.BigInteger, primary_key=True),
        sa.Column("period_end", sa.BigInteger, primary_key=True),
        sa.Column("zone", sa.Text, primary_key=True),
        sa.Column("batch_id", sa.Text),
        sa.Column("digest", sa.Text),
        sa.Column("endpoint", sa.Text),
        sa.Column("committed_at", sa.BigInteger),
        sa.Column("checked_at", sa.BigInteger),
        sa.Column("stale_since", sa.BigInteger),
        sa.Column("problem", sa.Text),
        sa.Column("tables", sa.Text, nullable=False),
        sa.Column("writing", sa.Boolean, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "outlay_runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("report", sa.Text),
        if_not_exists=True,
    )
    op.create_table(
        "outlay_leases",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
