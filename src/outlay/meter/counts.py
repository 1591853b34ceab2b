"""What went wrong while metering: counted and told when asked, never raised into the host program."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

WHAT = {
    "queue_full": "answers came faster than they could be read: their events are lost",
    "disk_refuses": "the spool cannot be written; events wait in memory, and are lost beyond its bound",
    "no_thread": "no thread could be started; events are written when the program ends",
    "unreadable": "an answer or an event could not be read",
    "unwatched": "a client or an answer could not be watched",
    "refused": "a record or a connection was given that no event can hold",
    "encoding": "an answer came in an encoding that cannot be decoded here",
    "too_large": "an answer was larger than what is read for its figures",
}
"""Every kind of trouble and what it means."""


@dataclass(slots=True)
class Stats:
    """Counts of one spool. Units: events, unless a name says otherwise."""

    answers: int = 0
    """Answers seen of known vendors."""
    written: int = 0
    """Events on disk."""
    lost: Counter[str] = field(default_factory=Counter)
    """Events that will never be on disk, by kind of trouble."""
    troubles: Counter[str] = field(default_factory=Counter)
    """How often each kind of trouble happened."""
    last: dict[str, str] = field(default_factory=dict)
    """The class of the last error of each kind; never its text, which could hold what it failed on."""

    def lose(self, kind: str) -> None:
        """Count an event that is lost."""
        self.lost[kind] += 1
        self.troubles[kind] += 1

    def fail(self, kind: str, error: BaseException | None = None) -> None:
        """Count a trouble; only the class of its error is kept."""
        self.troubles[kind] += 1
        if error is not None:
            self.last[kind] = type(error).__name__
