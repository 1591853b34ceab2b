"""A seeded world of accounts at every simulated vendor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from threading import Lock

from outlay.simulator.worlds.base import Account, Change, Plot
from outlay.simulator.worlds.inference import Inference
from outlay.simulator.worlds.truth import Truth

EMPTY = "empty"


class World:
    """Accounts drawn from one seed; the same arguments give the same world to the last digit.

    A label names one of many accounts at a vendor: "" is the one that the plain credentials open, "empty" has nothing
    in it, any other is a further account of its own. A day's facts depend on seed, vendor and label alone, so a world
    with a later `today` continues an earlier one.

    Units: `days` counts `today`, which is partial. `rows_per_day` asks for exactly that many cost rows on each day (a
           multiple of four) and nothing else, for benchmarks; `scale` multiplies projects, keys and repositories.
    """

    def __init__(
        self,
        seed: int,
        today: date,
        days: int = 120,
        *,
        rows_per_day: int | None = None,
        scale: int = 1,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self.seed, self.today, self.days = seed, today, days
        self.rows_per_day, self.scale = rows_per_day, scale
        self._clock = clock
        self.inference = Inference()
        self._accounts: dict[tuple[str, str], Account] = {}
        self._lock = Lock()

    @classmethod
    def live(cls, seed: int, days: int = 120, *, scale: int = 1) -> World:
        """Return a world whose today and clock are the machine's own."""
        now = datetime.now(UTC)
        return cls(seed, now.date(), days, scale=scale, clock=lambda: datetime.now(UTC))

    def now(self) -> datetime:
        """Return the world's time: noon of its today unless it was given a clock."""
        return self._clock() if self._clock else datetime.combine(self.today, time(12), UTC)

    def account(self, provider: str, label: str = "") -> Account:
        """Return one account of a vendor, made on first use."""
        with self._lock:
            kept = self._accounts.get((provider, label))
            if kept is None:
                kept = self._accounts[provider, label] = self._open(provider, label)
            return kept

    def _open(self, provider: str, label: str) -> Account:
        from outlay.simulator.faces import FACES

        plot = Plot(self.seed, provider, label, self.today, self.days, self.rows_per_day, self.scale, label == EMPTY)
        return FACES[provider].account(plot)

    def truth(self, provider: str, label: str = "", *, scope: str | None = None) -> Truth:
        """Return the true facts of one account.

        Null: `scope` None is the account's main one. GitHub has "organization", "user" and "enterprise".
        """
        return self.account(provider, label).truth(scope)

    def restate(
        self, provider: str, day: date, kind: Change = "up", label: str = "", *, scope: str | None = None
    ) -> None:
        """Change one day of one account: its amounts go up, a row is withdrawn, or nothing changes but the order."""
        self.account(provider, label).restate(day, kind, scope)
