"""What the routes share: the ledger, the thread that commits, and the one that settles."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from outlay.clock import Clock, system_clock
from outlay.config import Config
from outlay.errors import OutlayError
from outlay.meter.ingest import Intake, attribution
from outlay.meter.together import Together
from outlay.store import Ledger
from outlay.sync import metered

log = logging.getLogger(__name__)

_UNPRICED_EVERY = 60
"""Every so many times, days with use that had no price are priced again."""


class Service:
    """The parts of a running server, begun and ended together."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        clock: Clock = system_clock,
        settle_seconds: int = 60,
        together: Together | None = None,
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.clock = clock
        self.together = together or Together(Intake(ledger, attribution(config), clock=clock))
        self._every = settle_seconds
        self._ending = threading.Event()
        self._settling: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._every:
            self._settling = threading.Thread(target=self._settle, name="outlay-settle", daemon=True)
            self._settling.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self.together.close()
        if self._settling is not None:
            self._settling.join()

    @property
    def trouble(self) -> str | None:
        """Return which part has ended that should run. Null: None where all is well."""
        if not self.together.alive:
            return "events are not taken any more"
        if self._settling is not None and not self._settling.is_alive() and not self._ending.is_set():
            return "what is metered is not settled any more"
        return None

    def _settle(self) -> None:
        count = 0
        while not self._ending.wait(self._every):
            wish = metered.Wish(unpriced=count % _UNPRICED_EVERY == 0)
            count += 1
            try:
                metered.settle(self.config, self.ledger, self.clock, wish)
            except OutlayError as error:
                log.warning("what was metered could not be settled and waits: %s", error)
