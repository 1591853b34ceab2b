"""Reads recorded cases: pages in, facts or problems out, in folders anyone can check with a pencil.

A case is `cases/<provider>/<endpoint name>-<what it shows>/` with

    page-1.json, page-2.json ...   the vendor's answers in order, as bytes on the wire
    ask.json                       optional: {"period": ["2026-11-01", "2026-11-08"], "options": {...}, "item": "...",
                                   "headers": {...}}
    then-<id>-1.json ...           the answers, in order, of the endpoint that a page leads to, for each id
    facts.jsonl                    what they mean, one fact a line, tagged with its type, keys in order
    problem.json                   the problems they raise, as a list; an unreadable page is one `payload_unreadable`

A file that is absent means that nothing of its kind is expected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from outlay.model.facts import Fact
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers import PROVIDERS
from outlay.providers.base import Ask, Dataset, Endpoint, Provider

CASES_DIR = Path(__file__).parent / "cases"
OBSERVED_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
PERIOD = ("2026-11-01", "2026-11-08")
UNREADABLE = "payload_unreadable"


@dataclass(frozen=True)
class Case:
    """One folder of recorded answers and the endpoint that gave them."""

    path: Path
    provider: Provider
    dataset: Dataset
    endpoint: Endpoint[Any]

    @property
    def name(self) -> str:
        """Return the case's name as a test shows it."""
        return f"{self.provider.id}/{self.path.name}"

    def ask(self) -> Ask:
        """Return what the pages were asked for, with defaults for what ask.json leaves out."""
        path = self.path / "ask.json"
        said = json.loads(path.read_text()) if path.exists() else {}
        if unknown := said.keys() - {"period", "options", "item", "observed_at", "headers"}:
            raise ValueError(f"{path} has unknown keys {sorted(unknown)}")
        first, end = said.get("period", PERIOD)
        observed_at = datetime.fromisoformat(said["observed_at"]) if "observed_at" in said else OBSERVED_AT
        period = Period.of_days(date.fromisoformat(first), date.fromisoformat(end))
        return Ask(
            self.dataset.name,
            period,
            said.get("options", {}),
            observed_at,
            said.get("item"),
            said.get("headers", {}),
            self.followed(),
        )

    def pages(self) -> list[bytes]:
        """Return the recorded answers in order."""
        paths = sorted(self.path.glob("page-*.json"), key=lambda path: int(path.stem.removeprefix("page-")))
        return [path.read_bytes() for path in paths]

    def followed(self) -> dict[str, tuple[Any, ...]]:
        """Return the recorded pages of the endpoint that the pages lead to, by id."""
        then = self.endpoint.then
        found: dict[str, list[Any]] = {}
        for path in sorted(self.path.glob("then-*.json"), key=lambda path: int(path.stem.rpartition("-")[2])):
            assert then is not None, f"{path} leads on from an endpoint that leads nowhere"
            item = path.stem.removeprefix("then-").rpartition("-")[0]
            found.setdefault(item, []).append(decode(then.endpoint, path.read_bytes()))
        return {item: tuple(pages) for item, pages in found.items()}

    def outcome(self, pages: Iterable[bytes] | None = None) -> tuple[list[Fact], list[Problem]]:
        """Return the facts and the problems that the pages, or others in their place, map to."""
        facts: list[Fact] = []
        problems: list[Problem] = []
        for body in self.pages() if pages is None else pages:
            for found in self._mapped(body):
                (problems if isinstance(found, Problem) else facts).append(found)  # type: ignore[arg-type]
        return facts, problems

    def _mapped(self, body: bytes) -> Iterator[Fact | Problem]:
        try:
            page = decode(self.endpoint, body)
        except msgspec.MsgspecError as error:
            yield Problem(code=UNREADABLE, says=str(error))
            return
        yield from self.endpoint.facts(page, self.ask())


def decode(endpoint: Endpoint[Any], body: bytes) -> object:
    """Return a page as its type; numbers in untyped places become Decimal and never float."""
    return msgspec.json.Decoder(endpoint.page, float_hook=Decimal).decode(body)


def fact_lines(facts: Iterable[Fact]) -> str:
    """Return facts as JSON lines, each tagged with its type."""
    rows = ({"fact": type(fact).__name__, **plain(fact)} for fact in facts)
    return "".join(json.dumps(row, sort_keys=True, ensure_ascii=False) + "\n" for row in rows)


def problem_text(problems: Iterable[Problem]) -> str:
    """Return problems as one JSON list."""
    return json.dumps([plain(problem) for problem in problems], indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def plain(value: msgspec.Struct) -> dict[str, object]:
    """Return a fact as JSON values; a decimal is its shortest exact text."""
    built = msgspec.to_builtins(value, builtin_types=(Decimal,))
    return {key: _short(part) for key, part in built.items()}


def _short(value: object) -> object:
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return (text.rstrip("0").rstrip(".") or "0") if "." in text else text
    if isinstance(value, dict):
        return {key: _short(part) for key, part in value.items()}
    return [_short(part) for part in value] if isinstance(value, list | tuple) else value


def all_cases() -> list[Case]:
    """Return every case of every registered provider, in order of name.

    Raises: ValueError for a folder whose name begins with no endpoint of its provider.
    """
    return [case for provider in PROVIDERS for case in _cases_of(provider)]


def _cases_of(provider: Provider) -> Iterator[Case]:
    endpoints = [(dataset, endpoint) for dataset in provider.datasets for endpoint in dataset.endpoints]
    folder = CASES_DIR / provider.id
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        matches = [pair for pair in endpoints if path.name.startswith(pair[1].name + "-")]
        if not matches:
            raise ValueError(f"{path} begins with the name of no endpoint of {provider.id}")
        dataset, endpoint = max(matches, key=lambda pair: len(pair[1].name))
        yield Case(path, provider, dataset, endpoint)
