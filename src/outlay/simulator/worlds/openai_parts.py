"""What an OpenAI organization is made of: projects, people, keys, and runs of calls with their uses and costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from outlay.simulator.worlds.truth import EXACT

# Dollars per million tokens: uncached input, cached input, cache write, output.
CHAT_MODELS: dict[str, tuple[Decimal, Decimal, Decimal, Decimal]] = {
    model: (Decimal(price[0]), Decimal(price[1]), Decimal(price[2]), Decimal(price[3]))
    for model, price in {
        "gpt-5.5-2026-04-02": ("2.5", "0.25", "3.125", "15"),
        "gpt-4o-2024-08-06": ("2.5", "1.25", "0", "10"),
        "gpt-6-astra": ("5", "0.5", "6.25", "30"),
        "gpt-5.5-mini-2026-04-02": ("0.275", "0.0275", "0.34375", "2.2"),
        "o5-mini-2026-01-15": ("1.1", "0.275", "0", "4.4"),
    }.items()
}
_LOWER_CASE_SINCE = date(2026, 9, 1)


@dataclass(frozen=True, slots=True)
class Project:
    """A project; one that is not `listed` was deleted and lives on in old rows only."""

    id: str
    name: str | None
    created_at: int
    archived_at: int | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the organization; one that is not `listed` has left."""

    id: str
    name: str | None
    email: str | None
    role: str
    added_at: int
    listed: bool = True


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a project, owned by a person or, without one, by the project's service account."""

    id: str
    name: str
    project: Project
    owner: Person | None
    created_at: int
    active: bool = True
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Use:
    """What one run of calls measured, under the vendor's own field names."""

    kind: str
    minute: int
    dims: dict[str, Any]
    counts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """What one run of calls cost; `as_text` lines carry their amount as a numeric string."""

    dims: dict[str, str | None]
    amount: Decimal
    quantity: Decimal | None
    unit: str | None
    as_text: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One run of calls: its uses and its lines."""

    uses: tuple[Use, ...]
    lines: tuple[Line, ...]


def doubled(run: Run) -> Run:
    """Return a run with twice the use and twice the cost."""
    return Run(
        tuple(replace(use, counts={name: 2 * count for name, count in use.counts.items()}) for use in run.uses),
        tuple(
            replace(
                line,
                amount=EXACT.add(line.amount, line.amount),
                quantity=None if line.quantity is None else EXACT.add(line.quantity, line.quantity),
            )
            for line in run.lines
        ),
    )


def epoch(day: date) -> int:
    """Return the Unix second at which a UTC day starts."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


MEASURES: dict[str, tuple[str, int, Decimal]] = {
    # the counting field, the step it is drawn in, and how many of it make one priced unit
    "embeddings": ("input_tokens", 1, Decimal(1000)),
    "moderations": ("input_tokens", 1, Decimal(1)),
    "images": ("images", 1, Decimal(1)),
    "audio_speeches": ("characters", 1, Decimal(1)),
    "audio_transcriptions": ("seconds", 30, Decimal(60)),
    "vector_stores": ("usage_bytes", 2**20, Decimal(2**30)),
    "code_interpreter_sessions": ("num_sessions", 1, Decimal(1)),
    "file_search_calls": ("num_requests", 1, Decimal(1)),
    "web_search_calls": ("num_requests", 1, Decimal(1)),
}


def spelled(day: date, model: str, label: str) -> str:
    """Return a line item as the vendor spelled it for this model on this day."""
    if model == "gpt-6-astra":
        return f"{model}, {label.replace(' ', '_')}_tokens"
    return f"{model}, {label}" if day >= _LOWER_CASE_SINCE else f"{model}, {label.capitalize()}"
