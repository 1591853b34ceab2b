"""Questions to the ledger and their typed answers; every face of Outlay shows these and computes nothing itself."""

from __future__ import annotations

from outlay.analysis.answer import Answer, Incomplete
from outlay.analysis.budgets import budgets
from outlay.analysis.history import history
from outlay.analysis.query import DIMENSIONS, Query
from outlay.analysis.readings import balances, invoices, limits
from outlay.analysis.spend import revenue, spend
from outlay.analysis.status import status
from outlay.analysis.usage import usage

__all__ = [
    "DIMENSIONS",
    "Answer",
    "Incomplete",
    "Query",
    "balances",
    "budgets",
    "history",
    "invoices",
    "limits",
    "revenue",
    "spend",
    "status",
    "usage",
]
