"""Values to put laws to the test with."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import strategies as st

from outlay.model.money import Money
from outlay.model.period import Period

LEDGER_MAX = 10**38 - 1
"""The largest ledger decimal, counted in its last place."""

ledger_decimals = st.integers(-LEDGER_MAX, LEDGER_MAX).map(lambda units: Decimal(f"{units}E-18"))
"""Every number the ledger can hold, all 38 digits in use."""

small_decimals = st.integers(-(10**36), 10**36).map(lambda units: Decimal(f"{units}E-18"))
"""Numbers of which dozens can be added without leaving the ledger's range."""

vendor_decimals = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=Decimal("-1E19"), max_value=Decimal("1E19")
)
"""Numbers as vendors send them: any length of fraction, binary-float artefacts included."""

no_numbers = st.sampled_from(
    ["NaN", "sNaN", "-NaN", "Infinity", "-Infinity", "1E+20", "-1E+20", "1E+1000000", "1E+999999999999"]
)
"""Texts that a JSON or CSV file can hold and a ledger cannot."""

currencies = st.sampled_from(["USD", "EUR", "JPY", "KWD", "CLF", "INR"])

moneys = st.builds(Money, ledger_decimals, currencies)
small_moneys = st.builds(Money, small_decimals, currencies)

days = st.dates(date(2000, 1, 1), date(2099, 12, 30))
moments = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - bounds are naive by Hypothesis' rule


@st.composite
def periods(draw: st.DrawFn) -> Period:
    """Draw a span between two moments."""
    start, end = sorted((draw(moments), draw(moments)))
    return Period(start, end) if start < end else Period.of_day(min(start.date(), date(2099, 12, 30)))
