"""The ledger: facts, batches and payloads in Delta tables, operational state in SQLite or PostgreSQL."""

from outlay.store.ledger import Ledger
from outlay.store.query import Result

__all__ = ["Ledger", "Result"]
