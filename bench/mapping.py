"""Measure each provider's mapping alone: kept answers in, facts out, as many a second as one core gives.

    python bench/mapping.py            # syncs the simulated vendors first, then maps their kept answers again and again

Decoding counts; fetching, checking and committing do not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from outlay.clock import system_clock
from outlay.config import load
from outlay.model.batch import Payload
from outlay.model.problem import Problem
from outlay.providers import PROVIDERS
from outlay.providers.base import Ask, Endpoint, Provider
from outlay.store import Ledger
from outlay.sync.follow import again
from outlay.wire.client import Answer

SECONDS = 1.0


def kept(home: Path) -> dict[str, tuple[list[Payload], Mapping[str, str]]]:
    """Return the kept answers of a fresh demo and the options they were asked with, by provider."""
    outlay = [sys.executable, "-m", "outlay"]
    subprocess.run([*outlay, "demo", "--no-serve", "--home", str(home)], check=True, capture_output=True)
    options = {each.provider: each.options for each in load(home / "outlay.toml", home, {}).connections.values()}
    answers: dict[str, list[Payload]] = defaultdict(list)
    with Ledger.open(home, clock=system_clock) as ledger:
        for (fetch_id,) in ledger.query("SELECT DISTINCT fetch_id FROM payloads").rows:
            for payload in ledger.payloads(fetch_id):
                answers[payload.provider].append(payload)
    return {provider: (payloads, options[provider]) for provider, payloads in answers.items()}


def endpoints(provider: Provider) -> dict[tuple[str, str], Endpoint[object]]:
    """Return a provider's endpoints by dataset and name; those that others lead to are mapped with them."""
    return {(dataset.name, each.name): each for dataset in provider.datasets for each in dataset.endpoints}


def further(payloads: list[Payload]) -> dict[str, dict[str, list[Payload]]]:
    """Return the answers about single ids, by their fetch and id: what pages led to is among them."""
    found: dict[str, dict[str, list[Payload]]] = defaultdict(lambda: defaultdict(list))
    for payload in payloads:
        if payload.item is not None:
            found[payload.fetch_id][payload.item].append(payload)
    return found


def measured(provider: Provider, payloads: list[Payload], options: Mapping[str, str]) -> tuple[int, float]:
    """Return how many facts were mapped, and in how many seconds of CPU."""
    known, ids = endpoints(provider), further(payloads)
    decoders = {each.page: msgspec.json.Decoder(each.page) for each in known.values()}
    pages = [payload for payload in payloads if (payload.dataset, payload.endpoint) in known]
    facts, started = 0, time.process_time()
    while time.process_time() - started < SECONDS:
        for payload in pages:
            endpoint = known[payload.dataset, payload.endpoint]
            page = decoders[endpoint.page].decode(payload.body)
            ask = Ask(payload.dataset, payload.window, options, payload.fetched_at, payload.item, payload.headers or {})
            if endpoint.then:
                ask = again(endpoint, Answer(page, payload, ask), ids[payload.fetch_id]).answer.ask
            facts += sum(not isinstance(fact, Problem) for fact in endpoint.facts(page, ask))
    return facts, time.process_time() - started


def main() -> None:
    """Print one line per provider."""
    with tempfile.TemporaryDirectory() as folder:
        answers = kept(Path(folder) / "demo")
    print(f"{datetime.now(UTC):%Y-%m-%d}\n\n| provider | answers | facts/s of one core |\n|---|---|---|")
    for provider in PROVIDERS:
        if provider.id in answers:
            payloads, options = answers[provider.id]
            facts, seconds = measured(provider, payloads, options)
            print(f"| {provider.id} | {len(payloads)} | {facts / seconds:,.0f} |")


if __name__ == "__main__":
    main()
