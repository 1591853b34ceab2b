"""Minor units of currencies: one door for every amount that a vendor states in its smallest unit.

Source: ISO 4217 list of active codes; only codes whose exponent is not 2 are listed.
"""

from __future__ import annotations

import re
from functools import lru_cache

_EXPONENTS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
_CODE = re.compile(r"[A-Z]{3}")


def minor_unit_exponent(currency: str, exceptions: dict[str, int] | None = None) -> int:
    """Return how many decimals a currency's smallest unit has.

    `exceptions` are a vendor's declared departures from ISO 4217 (Stripe keeps two decimals for ISK and UGX).
    """
    if exceptions and currency in exceptions:
        return exceptions[currency]
    return _EXPONENTS.get(currency, 2)


def currency_code(text: str) -> str:
    """Return a vendor's currency text as an ISO 4217 code in capitals.

    Raises: ValueError when it is not three letters.
    """
    code = text.strip().upper() if text.isascii() else text
    if not is_currency_code(code):
        raise ValueError(f"{text!r} is not a currency code")
    return code


@lru_cache(maxsize=1024)
def is_currency_code(text: str) -> bool:
    """Tell whether a text is three ASCII capitals."""
    return _CODE.fullmatch(text) is not None
