"""From a program's calls to the ledger: every token arrives, once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai

import outlay
import outlay.meter
from meter.conftest import Metered

SRC = Path(__file__).parents[2] / "src"


def settle(home: Path, config: Path) -> None:
    """Put what is in the spool into the ledger, as the command does."""
    command = [sys.executable, "-m", "outlay", "meter", "settle", "--home", str(home), "--config", str(config)]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC), "HOME": str(home)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_ledger_holds_what_the_vendors_counted(metered: Metered, tmp_path: Path) -> None:
    """Two vendors' calls, settled in between and afterwards, are in the ledger to the last token."""
    config = tmp_path / "outlay.toml"
    config.write_text('[connections.mine]\nprovider = "deepseek"\ncredential = "env:SIM_KEY"\n')
    asks: list[dict[str, Any]] = [
        {"model": model, "messages": [{"role": "user", "content": f"{number}"}]}
        for model, number in (("deepseek-flash", 1), ("deepseek-flash", 2), ("deepseek-v4-pro", 3))
    ]
    for path in ("", "/v1"):
        with openai.OpenAI(api_key="sim-any", base_url=metered.url("deepseek") + path) as client:
            outlay.meter.attach(client, provider="deepseek", connection="mine", tags={"team": "a"}, home=metered.home)
            for ask in asks:
                client.chat.completions.create(**ask)
        assert outlay.meter.flush()
        settle(metered.home, config)
        settle(metered.home, config)
    with outlay.open(home=metered.home, config=config) as ledger:
        kept = ledger.sql("SELECT meter, sum(quantity) FROM usage GROUP BY ALL").rows
        assert {meter: int(count) for meter, count in kept} == metered.truth("deepseek")
        bases = ledger.sql("SELECT DISTINCT x_Basis, x_Connection, BillingCurrency FROM charges").rows
    assert [tuple(row) for row in bases] == [("priced", "mine", "USD")]
