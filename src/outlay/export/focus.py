"""The ledger's charges as a FOCUS Cost and Usage dataset: one projection, written once per version.

The store keeps what is unknown as null; FOCUS wants some of those columns filled. What stands in is fixed here:

- ListCost and ContractedCost fall back to each other, then to what was billed, or to the effective cost where a
  prepaid balance paid.
- Usage and purchases without a quantity, or whose price times quantity does not give the cost, are priced as one
  `Count` at the cost. Usage without a measured quantity consumed one `Count`.
- SkuId falls back to provider and service, SkuPriceId to SkuId, SkuMeter to the service.
- Taxes, credits and adjustments have no quantity, price or SKU.
- Prices are in the billing currency. Sub accounts without a name carry their id, regions likewise.
- An account whose name the vendor does not say is called as the user named its connection.
- Ids of sub accounts and resources carry the provider's name in front, others where they would read as a number.

`x_Fallbacks` names the columns of a row that were filled this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from outlay.clock import midnight
from outlay.errors import ConfigError
from outlay.model.basis import BEST_FIRST, Basis
from outlay.model.focus import DEFAULT_VERSION, VERSIONS, columns
from outlay.model.units import UNITS

SCALE = 12
STATED = (Basis.BILLED, Basis.ENTERED)
"""What an export holds unless asked for more: FOCUS cannot mark an estimate, so estimates stay out of its sums."""
CUSTOM = (
    ("x_Basis", "string"),
    ("x_Connection", "string"),
    ("x_Provider", "string"),
    ("x_Dataset", "string"),
    ("x_BatchId", "string"),
    ("x_ObservedAt", "datetime"),
    ("x_Model", "string"),
    ("x_ServiceTier", "string"),
    ("x_ContextWindow", "string"),
    ("x_ApiKeyId", "string"),
    ("x_UserId", "string"),
    ("x_PriceListVersion", "string"),
    ("x_Fallbacks", "string"),
    ("x_Details", "json"),
)
"""Our own columns, after those of FOCUS."""
_ORDER = (
    "ChargePeriodStart",
    "x_Connection",
    "ServiceName",
    "ChargeCategory",
    "SkuId",
    "SubAccountId",
    "ResourceId",
    "BilledCost",
    "x_BatchId",
)
"""One ledger gives one file, so that two exports can be compared line by line."""
_NUMBERS = (
    "BilledCost",
    "EffectiveCost",
    "ListCost",
    "ContractedCost",
    "ListUnitPrice",
    "ContractedUnitPrice",
    "PricingQuantity",
    "ConsumedQuantity",
)


def typed_columns(version: str) -> tuple[tuple[str, str], ...]:
    """Return the columns of an export in order, with their types.

    Raises: ConfigError for a version that is not written.
    """
    if version not in VERSIONS:
        raise ConfigError(f"FOCUS {version} is not written", hint=f"Choose from: {', '.join(VERSIONS)}.")
    return (*((column.name, column.type) for column in columns(version)), *CUSTOM)


def projection(
    from_: date, to: date, *, version: str = DEFAULT_VERSION, bases: Sequence[Basis] = STATED
) -> tuple[str, list[object]]:
    """Return the SQL that reads an export's rows from the ledger, and its parameters.

    Of the bases asked for the best speaks for each connection, day and service, so that none is counted twice.
    """
    chosen = ", ".join("?" * len(bases))
    rank = "CASE x_Basis " + " ".join(f"WHEN '{each}' THEN {place}" for place, each in enumerate(BEST_FIRST)) + " END"
    scope = f"ChargePeriodStart >= ? AND ChargePeriodStart < ? AND x_Basis IN ({chosen})"
    parameters: list[object] = [midnight(from_), midnight(to), *map(str, bases)]
    numbers = ", ".join(f"{rounded(name)} AS {name}" for name in _NUMBERS)
    sql = f"""
        WITH best AS (
            SELECT x_Connection AS c, CAST(ChargePeriodStart AS DATE) AS d, ServiceName AS s, min({rank}) AS r
            FROM charges WHERE {scope} GROUP BY ALL
        ), called AS (
            SELECT connection, id, min(name) AS name FROM names WHERE name IS NOT NULL
            GROUP BY ALL HAVING count(DISTINCT name) = 1
        ), chosen AS (
            SELECT charges.* REPLACE ({numbers}), account.name AS account_name, thing.name AS thing_name,
                   payer.name AS payer_name, ChargeCategory IN ('Usage', 'Purchase') AS sold
            FROM charges
            JOIN best ON c = x_Connection AND d = CAST(ChargePeriodStart AS DATE) AND s = ServiceName AND r = {rank}
            LEFT JOIN called AS account ON account.connection = x_Connection AND account.id = SubAccountId
            LEFT JOIN called AS thing ON thing.connection = x_Connection AND thing.id = ResourceId
            LEFT JOIN called AS payer ON payer.connection = x_Connection
                 AND payer.id = substr(BillingAccountId, length(x_Provider) + 2)
            WHERE {scope}
        ), costed AS (
            SELECT *, {_COSTS} FROM chosen
        ), priced AS (
            SELECT *, {_EXACT} AS exact FROM costed
        )
        SELECT {", ".join(f"{_EXPRESSIONS.get(name, name)} AS {name}" for name, _ in typed_columns(version))}
        FROM priced ORDER BY {", ".join(_ORDER)}
    """
    return sql, parameters * 2


def rounded(number: str) -> str:
    """Return the SQL of a ledger decimal rounded half-even to the scale of an export: a cast rounds halves away."""
    cast = f"CAST({number} AS DECIMAL(38,{SCALE}))"
    half, step, even = "0.0000000000005", "0.000000000001", "0.000000000002"
    tie = f"abs({number} - {cast}) = {half} AND mod({cast}, {even}) <> 0"
    back = f"CAST({cast} - CASE WHEN {number} < 0 THEN -{step} ELSE {step} END AS DECIMAL(38,{SCALE}))"
    return f"CASE WHEN {tie} THEN {back} ELSE {cast} END"


_PAID = "CASE WHEN BilledCost = 0 THEN EffectiveCost ELSE BilledCost END"
_COSTS = f"""
    coalesce(ListCost, ContractedCost, {_PAID}) AS list_cost,
    coalesce(ContractedCost, ListCost, {_PAID}) AS contracted_cost,
    coalesce(ContractedUnitPrice, ListUnitPrice) AS contracted_price
"""


def _near(price: str, cost: str) -> str:
    # Only whether the tolerance holds is asked of DOUBLE; no amount is made from it. Decimals would overflow here.
    product = f"CAST({price} AS DOUBLE) * CAST(PricingQuantity AS DOUBLE)"
    return f"abs({product} - CAST({cost} AS DOUBLE)) <= 5e-10 * abs(CAST({cost} AS DOUBLE))"


_EXACT = f"""
    coalesce(sold AND PricingUnit IS NOT NULL AND {_near("ListUnitPrice", "list_cost")}
             AND {_near("contracted_price", "contracted_cost")} AND ListUnitPrice >= 0 AND contracted_price >= 0, FALSE)
"""
_NUMBER = f"DECIMAL(38,{SCALE})"
_CONSUMED = "ChargeCategory = 'Usage' AND (ConsumedQuantity IS NULL OR ConsumedUnit IS NULL)"
_LIST_PRICE = f"CASE WHEN exact THEN ListUnitPrice WHEN sold THEN CAST(abs(list_cost) AS {_NUMBER}) END"
_CONTRACTED_PRICE = f"CASE WHEN exact THEN contracted_price WHEN sold THEN CAST(abs(contracted_cost) AS {_NUMBER}) END"
_SKU = "coalesce(SkuId, x_Provider || '/' || lower(replace(ServiceName, ' ', '-')))"
_DETAILS = """
    nullif(CAST(json_merge_patch('{}', json_object('x_ContextWindow', x_ContextWindow, 'x_Model', x_Model,
                                                  'x_ServiceTier', x_ServiceTier)) AS VARCHAR), '{}')
"""


def _text_id(column: str) -> str:
    """Return the SQL of an id that no reader of CSV takes for a number, a date or a boolean."""
    pattern = r"^([-+]?[0-9.,]+([eE][-+]?[0-9]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}.*|(?i:true|false|null|nan|inf))$"
    return f"CASE WHEN regexp_matches({column}, '{pattern}') THEN x_Provider || ':' || {column} ELSE {column} END"


def _units() -> str:
    spelled = " ".join(f"WHEN '{unit.name}' THEN '{unit.focus}'" for unit in UNITS.values())
    return f"CASE ConsumedUnit {spelled} ELSE ConsumedUnit END"


_FALLBACKS = f"""
    nullif(concat_ws(',',
        CASE WHEN BillingAccountName IS NULL AND payer_name IS NULL THEN 'BillingAccountName' END,
        CASE WHEN ListCost IS NULL THEN 'ListCost' END,
        CASE WHEN ContractedCost IS NULL THEN 'ContractedCost' END,
        CASE WHEN sold AND NOT exact THEN 'PricingQuantity' END,
        CASE WHEN {_CONSUMED} THEN 'ConsumedQuantity' END,
        CASE WHEN sold AND SkuId IS NULL THEN 'SkuId' END,
        CASE WHEN SubAccountId IS NOT NULL AND account_name IS NULL THEN 'SubAccountName' END), '')
"""

_EXPRESSIONS = {
    "BillingAccountName": "coalesce(BillingAccountName, payer_name, x_Connection)",
    "ChargeDescription": "coalesce(ChargeDescription, concat_ws(' ', ServiceName, SkuId))",
    "ConsumedQuantity": f"CASE WHEN {_CONSUMED} THEN CAST(1 AS {_NUMBER}) "
    "WHEN ChargeCategory = 'Usage' THEN ConsumedQuantity END",
    "ConsumedUnit": f"CASE WHEN {_CONSUMED} THEN 'Count' WHEN ChargeCategory = 'Usage' THEN {_units()} END",
    "ContractedCost": "contracted_cost",
    "ContractedUnitPrice": _CONTRACTED_PRICE,
    "InvoiceId": _text_id("InvoiceId"),
    "ListCost": "list_cost",
    "ListUnitPrice": _LIST_PRICE,
    "PricingCategory": "CASE WHEN sold THEN coalesce(PricingCategory, 'Standard') END",
    "PricingCurrency": "BillingCurrency",
    "PricingCurrencyContractedUnitPrice": _CONTRACTED_PRICE,
    "PricingCurrencyEffectiveCost": "EffectiveCost",
    "PricingCurrencyListUnitPrice": _LIST_PRICE,
    "PricingQuantity": f"CASE WHEN exact THEN PricingQuantity WHEN sold THEN "
    f"CAST(CASE WHEN list_cost < 0 THEN -1 ELSE 1 END AS {_NUMBER}) END",
    "PricingUnit": "CASE WHEN exact THEN PricingUnit WHEN sold THEN 'Count' END",
    "RegionId": _text_id("RegionId"),
    "RegionName": "CASE WHEN RegionId IS NOT NULL THEN coalesce(RegionName, RegionId) END",
    "ResourceId": "x_Provider || ':' || ResourceId",
    "ResourceName": "CASE WHEN ResourceId IS NOT NULL THEN coalesce(ResourceName, thing_name) END",
    "ResourceType": "CASE WHEN ResourceId IS NOT NULL THEN coalesce(ResourceType, 'Resource') END",
    "SkuId": f"CASE WHEN sold THEN {_text_id(_SKU)} END",
    "SkuMeter": "CASE WHEN sold THEN coalesce(SkuMeter, ServiceName) END",
    "SkuPriceDetails": f"CASE WHEN sold THEN coalesce(SkuPriceDetails, {_DETAILS}) END",
    "SkuPriceId": f"CASE WHEN sold THEN {_text_id(f'coalesce(SkuPriceId, {_SKU})')} END",
    "SubAccountId": "x_Provider || ':' || SubAccountId",
    "SubAccountName": "CASE WHEN SubAccountId IS NOT NULL THEN "
    f"coalesce(SubAccountName, account_name, {_text_id('SubAccountId')}) END",
    "SubAccountType": "CASE WHEN SubAccountId IS NOT NULL THEN coalesce(SubAccountType, 'Project') END",
    "x_Fallbacks": _FALLBACKS,
}
"""How a column is filled where it is not simply what the ledger holds."""
