"""Google's list prices end to end: synced from either interface, pulled into a list, and a use priced by it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from outlay.cli.app import cli
from outlay.cli.settings import Settings
from outlay.model.problem import Severity
from outlay.pricing.lists import lists
from outlay.pricing.meters import Line, Unpriced, Use
from outlay.simulator.google_key import service_account_key

Make = Callable[..., Any]
TODAY = date(2026, 11, 22)
CONFIG = """
[connections.google]
provider = "google"
credential = "env:NOTHING"
datasets = ["gemini_prices"]
project = "sim-billing"
dataset = "billing"
location = "EU"

[connections.openai]
provider = "openai"
credential = "env:NOTHING"
"""
MODEL = "gemini-2.5-flash"


def made(make: Make) -> Any:
    """Return a bench with the one connection, which reads prices alone."""
    one = make(3, days=2, world_days=3, providers=("google",), datasets={"google": ("gemini_prices",)})
    one.keys = {"google": service_account_key(one.simulator.base_url("google"), "reader", "")}
    one.changes = {"google": {"options": {"project": "sim-billing", "dataset": "billing", "location": "EU"}}}
    return one


def pull(one: Any, *arguments: str, connection: str = "google") -> Any:
    """Run `outlay prices pull` over the bench's ledger."""
    path = one.home.parent / "outlay.toml"
    path.write_text(CONFIG, "utf-8")
    settings = Settings(config=path, home=one.home, environ={"HOME": str(one.home)}, clock=one.clock)
    found = CliRunner().invoke(cli, ["prices", "pull", connection, *arguments], obj=settings, prog_name="outlay")
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def priced(home: Path, day: date = TODAY, band: int | None = 0) -> dict[str, Decimal | str]:
    """Return what a use of a day costs by the list, or why a part of it has no price."""
    use = Use(
        provider="google", model=MODEL, at=datetime(day.year, day.month, day.day, 12, tzinfo=UTC), context_band=band,
        quantities={"input_tokens": Decimal(1_234_567), "cached_input_tokens": Decimal(1001),
                    "output_tokens": Decimal(7), "requests": Decimal(3)},
    )  # fmt: skip
    found: tuple[Line | Unpriced, ...] = lists(home, with_catalogue=False).price(use)
    return {each.meter: each.cost.amount if isinstance(each, Line) else each.why for each in found}


EXACT = {
    "input_tokens": Decimal("0.3703701"),
    "cached_input_tokens": Decimal("0.000075075"),
    "output_tokens": Decimal("0.0000175"),
}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (None, 200),
        ("*/v2beta/*", 404),
        ("*/v2beta/skus/-/prices", 404),
        ("*/v2beta/skus/-/prices", 403),
        ("*/v2beta/skus", 403),
    ],
)
def test_a_use_is_priced_by_what_was_synced(path: str | None, status: int, bench: Make) -> None:
    """The newer interface, or the older one where that or its prices alone are refused: the same list, exactly."""
    one = made(bench)
    older = path is not None
    if path is not None:
        one.simulator.faults.add("server_error", path=path, times="forever", status=status)
    report = one.sync()
    assert [each for dataset in report.connections[0].datasets for each in dataset.problems
            if each.severity is not Severity.NOTE] == []  # fmt: skip
    with one.ledger() as ledger:
        [batch] = ledger.batches("google", "gemini_prices", current=True)
    assert batch.endpoint == ("gemini_prices" if older else "gemini_prices_v2beta")
    found = pull(one, "--format", "json")
    assert found.exit_code == 0, found.output
    assert {row["what"] for row in json.loads(found.stdout)["rows"] if row["state"] == "added"} == {
        MODEL, f"{MODEL}, prompts above 200,000 tokens",
    }  # fmt: skip
    assert priced(one.home) == EXACT
    text = (one.home / "prices" / "google.toml").read_text("utf-8")
    assert f"checked = {TODAY}" in text
    assert ("/v1/services/" if older else "/v2beta/skus/-/prices") in text


def test_what_is_not_known_has_no_price(bench: Make) -> None:
    """Days before the prices were read, long prompts whose price Google does not list, prompts of unknown size."""
    one = made(bench)
    one.sync()
    assert pull(one).exit_code == 0
    assert all(isinstance(why, str) for why in priced(one.home, TODAY - timedelta(days=1)).values())
    for band in (200_000, None):
        found = priced(one.home, band=band)
        assert isinstance(found["input_tokens"], str)
        assert found["cached_input_tokens"] == EXACT["cached_input_tokens"]


def test_pulling_again_changes_nothing(bench: Make) -> None:
    """The same prices a second time leave the file as it is, to the byte."""
    one = made(bench)
    one.sync()
    pull(one)
    path = one.home / "prices" / "google.toml"
    before = path.read_bytes()
    one.sync()
    assert "holds already" in pull(one).stdout
    assert path.read_bytes() == before


def test_what_cannot_be_pulled_says_why(bench: Make) -> None:
    """Another vendor, an unknown name, nothing synced, a list of one's own: each is refused, and nothing is written."""
    one = made(bench)
    one.datasets = {"google": ("billing_accounts",)}
    one.sync()
    assert "has read no prices" in pull(one).stderr
    one.datasets = {"google": ("gemini_prices",)}
    one.sync()
    own = one.home / "prices" / "google.toml"
    assert pull(one, connection="openai").exit_code == 2
    assert pull(one, connection="nobody").exit_code == 2
    assert not own.exists()
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(
        'provider = "google"\ncurrency = "USD"\nchecked = 2026-11-01\nsource = "contract"\n[[model]]\n'
        f'id = "{MODEL}"\n[[model.price]]\nvalid_from = 2026-01-01\ninput_tokens = "1 per million"\n', "utf-8",
    )  # fmt: skip
    before = own.read_bytes()
    found = pull(one)
    assert found.exit_code == 2
    assert "list of your own" in found.stderr
    assert own.read_bytes() == before
