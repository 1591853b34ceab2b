"""How a money fact is known."""

from __future__ import annotations

import enum


class Basis(enum.StrEnum):
    """Say how an amount of money is known; amounts of different basis are never added."""

    BILLED = "billed"
    """The vendor states the cost."""
    ENTERED = "entered"
    """The user typed or imported it."""
    PRICED = "priced"
    """The vendor's quantities times a dated price list."""
    ESTIMATED = "estimated"
    """Anything weaker."""


BEST_FIRST = (Basis.BILLED, Basis.ENTERED, Basis.PRICED, Basis.ESTIMATED)
"""For one connection, day and service the first of these that is present speaks."""
