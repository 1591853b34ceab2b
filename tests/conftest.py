"""What every test may ask for on the command line."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from outlay.redaction import Redactor, redactor

# A busy machine is no defect, so nothing is failed for the time it takes. The gate tries the same examples each time
# and never fails by chance; `--hypothesis-profile=campaign` looks for others, and many more of them.
settings.register_profile("outlay", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("campaign", settings.get_profile("outlay"), derandomize=False, max_examples=2000)
settings.load_profile("outlay")

# Every server of a test is on this machine: the proxy of whoever runs them has no part in it.
for _name in ("http_proxy", "https_proxy", "all_proxy"):
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)

# Started in the background, a shell's child ignores Ctrl-C and so would every process that a test interrupts.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--update`, which rewrites expectations so that the difference can be reviewed."""
    parser.addoption("--update", action="store_true", default=False, help="rewrite expected results for review")


@pytest.fixture(autouse=True)
def _forget_secrets() -> Iterator[None]:
    """Let no test's secrets be hidden in another test's texts."""
    yield
    redactor.__dict__.update(Redactor().__dict__)
