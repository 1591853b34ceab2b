"""What a process of its own does until it is killed; here, for such a process imports it by name."""

from __future__ import annotations

import os
import signal
from datetime import datetime

from outlay.config import Config
from outlay.store import Ledger
from outlay.sync import engine


def sync_and_die(config: Config, environ: dict[str, str], now: datetime) -> None:
    """Sync and be killed when what was sold is committed and what it costs is to be worked out."""
    vars(engine)["settle"] = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    with Ledger.open(config.home, clock=lambda: now) as ledger:
        engine.run(config, ledger, settings=engine.Settings(clock=lambda: now, environ=environ))
