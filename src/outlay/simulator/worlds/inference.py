"""What the simulated vendors' models really used, call by call: the truth that metering is held against."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded. Units: counts by disjoint meters; reasoning alone is inside the output."""

    provider: str
    model: str
    counts: dict[str, int]
    streamed: bool


@dataclass
class Inference:
    """Every call of a world, oldest first."""

    calls: list[Call] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, call: Call) -> None:
        """Remember a call."""
        with self._lock:
            self.calls.append(call)

    def total(self, provider: str | None = None) -> dict[str, int]:
        """Return the sum by meter, of one vendor or of all."""
        total: Counter[str] = Counter()
        for call in self.calls:
            if provider in {None, call.provider}:
                total.update({"requests": 1, **call.counts})
        return {meter: count for meter, count in sorted(total.items()) if count}


@dataclass(frozen=True, slots=True)
class Drawn:
    """Counts drawn from a question: the same question gives the same ones. `cached` and `written` are apart."""

    plain: int
    cached: int
    written: int
    written_long: int
    output: int
    reasoning: int


def drawn(question: bytes) -> Drawn:
    """Return the counts of a question."""
    digits = blake2b(question, digest_size=12).digest()
    output = 20 + digits[4] * 3
    return Drawn(
        plain=7 + int.from_bytes(digits[:2], "big") % 3000,
        cached=(digits[2] % 3) * 1024,
        written=(digits[3] % 2) * 512,
        written_long=(digits[5] % 2) * 256,
        output=output,
        reasoning=min(output, digits[6]),
    )
