"""What every test may ask for on the command line."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A busy machine is no defect, so no example is failed for the time it takes.
settings.register_profile("outlay", deadline=None)
settings.load_profile("outlay")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update`, which rewrites expectations so that the difference can be reviewed."""
    parser.addoption("--update", action="store_true", default=False, help="rewrite expected results for review")
