"""The FinOps Foundation's own validator, where an interpreter that has it is at hand.

It needs Python 3.12 and pins libraries Outlay does not share, so it lives in an environment of its own:
`python3.12 -m venv DIR`, then `DIR/bin/pip install "focus-validator==2.2.1" "pyarrow<26"`, and
`OUTLAY_FOCUS_VALIDATOR_PYTHON=DIR/bin/python` names it to these tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from export.sample import END, FIRST, opened
from outlay.export import focus

PYTHON = os.environ.get("OUTLAY_FOCUS_VALIDATOR_PYTHON")
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="OUTLAY_FOCUS_VALIDATOR_PYTHON names no interpreter with focus-validator 2.2.1"
)
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED",
    "BILLING_BASED_ON_PROVISIONED_RESOURCES_SUPPORTED",
    "MULTIPLE_BILLING_ACCOUNT_TYPES_SUPPORTED",
    "MULTIPLE_PRICING_CATEGORIES_SUPPORTED",
    "MULTIPLE_SUB_ACCOUNT_TYPES_SUPPORTED",
    "NEGOTIATED_PRICING_SUPPORTED",
    "PRICING_BILLING_CURRENCY_DIFFERENCES_SUPPORTED",
    "PUBLIC_PRICE_LIST_SUPPORTED",
    "REGION_SUPPORTED",
    "RESOURCE_TYPE_ASSIGNMENT_SUPPORTED",
    "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED",
    "UNIT_PRICING_SUPPORTED",
    "USAGE_MEASUREMENT_SUPPORTED",
    "VIRTUAL_CURRENCY_SUPPORTED",
)
INVOICE = {"InvoiceId-C-000-O", "InvoiceId-C-003-C", "InvoiceId-C-004-C", "InvoiceId-C-005-C"}
"""The rule model cannot say "when invoiced": FOCUS_Spec issue 2394."""
PLAN_FEES = {"EffectiveCost-C-005-C", "EffectiveCost-C-000-M"}
"""The rule model zeroes every purchase, also fees that stand alone: FOCUS_Spec issue 2673."""
RULES, SKIPPED = 578, 279


def validate(file: Path, folder: Path) -> tuple[int, int, set[str]]:
    """Run the validator and return how many rules there are, how many were skipped, and which failed."""
    assert PYTHON is not None
    find = "import focus_validator, pathlib; print(pathlib.Path(focus_validator.__file__).parent)"
    package = subprocess.run([PYTHON, "-c", find], check=True, capture_output=True, text=True).stdout.strip()
    rules = folder / "focus_validator" / "rules"
    rules.mkdir(parents=True)
    # The validator reads this list relative to the working directory.
    shutil.copy(Path(package) / "rules" / "currency_codes.csv", rules)
    report = folder / "report.xml"
    command = [str(Path(PYTHON).with_name("focus-validator")), "--data-file", str(file), "--validate-version", "1.2"]
    command += ["--focus-dataset", "CostAndUsage", "--block-download", "--output-type", "unittest"]
    command += ["--output-destination", str(report), "--applicability-criteria", ",".join(CRITERIA)]
    # Its exit status is 0 whatever it finds, so the report decides.
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - a file of our own making
    failed = {str(case.get("name")).split(" ")[0] for case in cases if case.find("failure") is not None}
    return len(cases), sum(1 for case in cases if case.find("skipped") is not None), failed


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_every_rule_but_one_passes(version: str, suffix: str, tmp_path: Path) -> None:
    """An invoiced month passes every rule that is run, but for the one that forbids invoice ids altogether."""
    out = tmp_path / f"export.{suffix}"
    with opened(tmp_path / "home", days=10, invoiced=True) as ledger:
        focus(ledger, out, from_=FIRST, to=END, version=version)
    assert validate(out, tmp_path / "gate") == (RULES, SKIPPED, {"InvoiceId-C-004-C"})


def test_known_defects_of_the_rules_are_all_that_fails(tmp_path: Path) -> None:
    """With plan fees and an open month only the rules fail whose defects are known."""
    out = tmp_path / "export.csv"
    with opened(tmp_path / "home", fees=True) as ledger:
        focus(ledger, out, from_=FIRST, to=END)
    rules, skipped, failed = validate(out, tmp_path / "gate")
    assert (rules, skipped) == (RULES, SKIPPED)
    assert failed <= INVOICE | PLAN_FEES
