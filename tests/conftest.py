"""What every test may ask for on the command line."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update`, which rewrites expectations so that the difference can be reviewed."""
    parser.addoption("--update", action="store_true", default=False, help="rewrite expected results for review")
