"""How far vendors have told their changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table if it is not there."""
    op.create_table(
        "outlay_marks",
        sa.Column("connection", sa.Text, primary_key=True),
        sa.Column("dataset", sa.Text, primary_key=True),
        sa.Column("mark", sa.Text, nullable=False),
        sa.Column("noted_at", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
