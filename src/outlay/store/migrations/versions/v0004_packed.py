"""Totals of metered days of long ago, one row for each day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table if it is not there."""
    op.create_table(
        "outlay_meter_packed",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("day", sa.BigInteger, primary_key=True),
        sa.Column("taken", sa.BigInteger, nullable=False),
        sa.Column("totals", sa.LargeBinary, nullable=False),
        if_not_exists=True,
    )
