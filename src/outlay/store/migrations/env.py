"""How Alembic reaches the state database: through the connection that the caller opened."""

from __future__ import annotations

from alembic import context

from outlay.store import marks, metering, tokens  # noqa: F401 - their tables are part of the state
from outlay.store.state import metadata
from outlay.store.version import TABLE

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, version_table=TABLE)
with context.begin_transaction():
    context.run_migrations()
