"""DeepSeek's face: a balance in two currencies, in no order, and an export whose days are the viewer's."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import timedelta
from decimal import Decimal
from typing import cast

from outlay.simulator.shapes import check
from outlay.simulator.worlds.deepseek import DeepSeekAccount
from simulator.asking import TODAY, Asker

PATH = "/user/balance"


def account(asker: Asker) -> DeepSeekAccount:
    """Return the account behind the plain key."""
    return cast(DeepSeekAccount, asker.world.account("deepseek"))


def export(packed: bytes) -> dict[str, list[dict[str, str]]]:
    """Return the rows of an export's files by the word their names begin with."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {
            name.partition("-")[0]: list(csv.DictReader(io.StringIO(archive.read(name).decode())))
            for name in archive.namelist()
        }


def test_answers_keep_to_the_contract(asker: Asker) -> None:
    """Balance, models and refusals have the shapes the vendor documents."""
    for path in (PATH, "/models"):
        for query in ((), [("utterly", "unknown")]):
            got = asker("deepseek", path, query)
            assert got.status == (400 if query else 200)
            check("deepseek", path, got.status, got.body)
    assert asker("deepseek", PATH, key="sim-deepseek-key:empty").json == {"is_available": False, "balance_infos": []}


def test_the_order_of_currencies_is_not_stable(asker: Asker) -> None:
    """Two answers after one another have the same rows the other way round, whole in major units."""
    one, two = (asker("deepseek", PATH).json["balance_infos"] for _ in range(2))
    assert one == list(reversed(two))
    for row in one:
        assert Decimal(row["total_balance"]) == Decimal(row["granted_balance"]) + Decimal(row["topped_up_balance"])


def test_a_wrong_key_is_told_from_none(asker: Asker) -> None:
    """Both are 401 with a code that says nothing and a type that does."""
    for key in (None, "sim-deepseek-nobody"):
        got = asker("deepseek", PATH, key=key)
        assert (got.status, got.json["error"]["type"]) == (401, "authentication_error")
        assert got.json["error"]["code"] == "invalid_request_error"


def test_the_balance_falls_by_what_is_spent(asker: Asker) -> None:
    """A day that costs more leaves less, and what was granted is not touched by it."""
    before = account(asker).balances()[0]
    day = next(day for day in (TODAY - timedelta(days=n) for n in range(9)) if account(asker).days.on(day))
    asker.world.restate("deepseek", day, "up")
    after = account(asker).balances()[0]
    assert after.amount != before.amount
    assert after.granted == before.granted == 0


def test_the_export_holds_what_was_spent(asker: Asker) -> None:
    """Its cost file is the truth per day and model; the amount file times its prices is the same money."""
    files = export(account(asker).export(TODAY - timedelta(days=39), TODAY + timedelta(days=1)))
    paid = sum(Decimal(row["cost"]) for row in files["cost"] if row["wallet_type"] == "Paid")
    assert paid == asker.world.truth("deepseek").total()
    priced = sum(Decimal(row["amount"]) * Decimal(row["price"]) for row in files["amount"] if row["price"])
    assert priced == sum(Decimal(row["cost"]) for row in files["cost"])
    assert {row["price"] for row in files["amount"] if row["type"] == "request_count"} == {""}
    assert all(row["api_key"] for row in files["amount"])
