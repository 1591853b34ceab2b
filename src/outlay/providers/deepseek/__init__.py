"""DeepSeek: the prepaid balance by API, what was spent and used from the export of its usage page.

Key:   any API key; it has no scopes, so it can also run paid inference. The balance is the account's, whatever the key.
Day:   a balance is read when asked for and has no history at the vendor: the ledger's readings are the only one.
Units: balances are yuan or dollars as text, not cents.
Never: pick a balance by its place, for the order of rows changes; add or convert currencies; add granted and topped up
       to the total, which holds both; take an empty list for zero.
The export's files are described in `export`.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from msgspec import Struct

from outlay.model.currency import currency_code
from outlay.model.facts import Balance
from outlay.model.money import exact, plus
from outlay.model.problem import Problem, Severity
from outlay.providers.base import Ask, Bearer, Dataset, Endpoint, KeyKind, Offer, Provider, Refusal, Service
from outlay.providers.deepseek import export
from outlay.providers.deepseek.metering import METERING

_UPDATE = "Nothing was overwritten; sync again, and report it if it stays."


class BalanceInfo(Struct, gc=False):
    """What is left in one currency."""

    currency: str
    total_balance: Decimal
    granted_balance: Decimal | None = None
    topped_up_balance: Decimal | None = None


class BalancePage(Struct, gc=False):
    """The balance of the account: one row a currency, in any order."""

    balance_infos: list[BalanceInfo]
    is_available: bool | None = None


def balances(page: BalancePage, _ask: Ask) -> Iterator[Balance | Problem]:
    """Turn the balance into one fact per currency; negative after an overdraft.

    Units:  major units, as decimal text.
    Null:   without rows nothing is known, which is a problem and not a balance of zero.
    Source: https://api-docs.deepseek.com/api/get-user-balance
    """
    if not page.balance_infos:
        yield Problem(code="amount_missing", says="the vendor states no balance in any currency", hint=_UPDATE)
    available = None if page.is_available is None else str(page.is_available).lower()
    for row in page.balance_infos:
        try:
            currency, total = currency_code(row.currency), exact(row.total_balance)
            granted, topped_up = _known(row.granted_balance), _known(row.topped_up_balance)
        except ValueError as error:
            yield Problem(code="amount_refused", says=str(error), where="balance", hint=_UPDATE)
            continue
        if granted is not None and topped_up is not None and plus(granted, topped_up) != total:
            yield Problem(
                code="total_differs",
                says=f"granted {row.granted_balance} and topped up {row.topped_up_balance} are not {row.total_balance}",
                where=f"balance in {currency}",
                hint="The total is kept as stated, and so are the parts.",
                severity=Severity.WARNING,
            )
        yield Balance(
            name="balance",
            amount=total,
            currency=currency,
            granted=granted,
            topped_up=topped_up,
            details={"is_available": available},
        )


def _known(amount: Decimal | None) -> Decimal | None:
    return None if amount is None else exact(amount)


BALANCE: Endpoint[BalancePage] = Endpoint(name="balance", path="/user/balance", page=BalancePage, facts=balances)

_KEY = "Create a key of its own for Outlay at platform.deepseek.com/api_keys; every key reads the whole account."
_EXPORT = "Export the usage page (platform.deepseek.com/usage) and run `outlay import`."

PROVIDER = Provider(
    id="deepseek",
    title="DeepSeek",
    metering=METERING,
    base_url="https://api.deepseek.com",
    auth=Bearer(),
    environment=("DEEPSEEK_API_KEY",),
    key_help=_KEY,
    keys=(
        KeyKind("sk-", "API key", usable=True, more_than_read=True,
                hint="Keys have no scopes: whoever has this one can spend the balance. Keep one for Outlay alone."),
    ),
    datasets=(Dataset("balance", "Prepaid balance, per currency", (Balance,), (BALANCE,), grain="reading"),),
    imports=export.IMPORTS,
    services={export.SERVICE: Service("AI and Machine Learning", "Generative AI")},
    default_service=Service("AI and Machine Learning", "Generative AI"),
    account_type="Account",
    offers={
        "cost": Offer("export", f"No API. {_EXPORT} Its cost file is what was deducted, to the last digit."),
        "usage": Offer("export", f"No API. {_EXPORT} Its amount file has tokens and requests by day, model and key."),
        "limits": Offer("entered", "No endpoint. Concurrency per account and model is documented (deepseek-flash 2500, "
                                "deepseek-v4-pro 500) and can be raised, so no figure is assumed: enter yours."),
        "balance": Offer("api", "Per currency, granted and topped up apart; no history but the ledger's own readings."),
        "invoices": Offer("entered", "On request on the billing page: enter them."),
        "budgets": Offer("none", "DeepSeek has none; set one in Outlay."),
        "revenue": Offer("none", "DeepSeek bills you and not your customers."),
        "writes": Offer("none", "There is nothing to write through the API."),
    },
    sources=(
        "https://api-docs.deepseek.com/api/get-user-balance",
        "https://api-docs.deepseek.com/quick_start/pricing",
        "https://api-docs.deepseek.com/quick_start/rate_limit",
        "https://api-docs.deepseek.com/quick_start/error_codes",
        "https://static.deepseek.com/faq",
    ),
    rates=(),  # none is published for this endpoint; a 429 is honoured as it comes
    refusals=(
        Refusal(401, "access_denied", hint=_KEY),
        Refusal(402, "out_of_quota", hint="Top up the account on the billing page."),
        Refusal(404, "request_refused", hint="A `base_url` of DeepSeek must not end in /v1: the balance is not there."),
    ),
)  # fmt: skip
