"""The SQL that sums Google's billing export by day: columns as the table really has them, sums exact, rows few.

Every statement has the same columns whichever table it reads, so that their union is one result and one mapping reads
it. What a table lacks is NULL. FLOAT64 amounts are taken by their shortest decimal text, as the vendor meant them, and
added as BIGNUMERIC: no binary rounding gets into a sum. Rows that cannot be read as an amount are counted, not dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from outlay.clock import midnight
from outlay.model.period import Period

CREDIT_TYPES = (
    "COMMITTED_USAGE_DISCOUNT",
    "COMMITTED_USAGE_DISCOUNT_DOLLAR_BASE",
    "DISCOUNT",
    "FEE_UTILIZATION_OFFSET",
    "FREE_TIER",
    "PROMOTION",
    "RESELLER_MARGIN",
    "SUBSCRIPTION_BENEFIT",
    "SUSTAINED_USAGE_DISCOUNT",
)
OTHER_CREDIT = "OTHER"
DETAILED, STANDARD, FOCUS = "detailed", "standard", "focus"
PARTITION_SLACK = timedelta(days=2)
"""A partition holds rows that were exported until the morning after: how much earlier its day may be."""
EXPORT_SLACK = timedelta(hours=6)
"""How far behind the newest export time rows may still appear: loads do not become visible in order."""
_ACCOUNT = r"(?P<account>[0-9A-F]{6}_[0-9A-F]{6}_[0-9A-F]{6})"
_TABLES = (
    (DETAILED, re.compile(rf"gcp_billing_export_resource_v1_{_ACCOUNT}")),
    (STANDARD, re.compile(rf"gcp_billing_export_v1_{_ACCOUNT}")),
    (FOCUS, re.compile(rf"gcp_billing_export_focus_{_ACCOUNT}")),
)

# What a key column is read from, in the export and in Google's FOCUS table; "" where it has no such column.
_KEYS: tuple[tuple[str, str, str], ...] = (
    ("billing_account_id", "billing_account_id", "BillingAccountId"),
    ("invoice_month", "invoice.month", ""),
    ("cost_type", "cost_type", "x_CostType"),
    ("charge_category", "", "ChargeCategory"),
    ("charge_class", "", "ChargeClass"),
    ("currency", "currency", "BillingCurrency"),
    ("service_id", "service.id", "x_ServiceId"),
    ("sku_id", "sku.id", "SkuId"),
    ("project_id", "project.id", "SubAccountId"),
    ("resource", "resource.global_name", "ResourceId"),
    ("resource_name", "resource.name", "ResourceName"),
    ("region", "location.region", "RegionId"),
    ("usage_unit", "usage.unit", "ConsumedUnit"),
    ("pricing_unit", "usage.pricing_unit", "PricingUnit"),
    ("consumption_model", "consumption_model.id", "x_ConsumptionModelId"),
    ("adjustment_id", "adjustment_info.id", ""),
    ("adjustment_mode", "adjustment_info.mode", ""),
    ("adjustment_type", "adjustment_info.type", ""),
    ("publisher_type", "invoice.publisher_type", ""),
    ("transaction_type", "transaction_type", ""),
    ("seller_name", "seller_name", "PublisherName"),
)
# Words that may change while what they name does not: the last in the alphabet stands for all.
_WORDS: tuple[tuple[str, str, str], ...] = (
    ("service_name", "service.description", "ServiceName"),
    ("sku_name", "sku.description", "ChargeDescription"),
    ("project_name", "project.name", "SubAccountName"),
    ("project_number", "project.number", "x_Project.Number"),
    ("consumption_name", "consumption_model.description", "x_ConsumptionModelDescription"),
    ("adjustment_text", "adjustment_info.description", ""),
)
# Sums, and those of which a part would be taken for the whole: NULL unless every row has one.
_SUMS: tuple[tuple[str, str, str], ...] = (
    ("effective_cost", "", "EffectiveCost"),
    ("list_cost", "cost_at_list", "ListCost"),
    ("contracted_cost", "cost_at_effective_price_default", "ContractedCost"),
    ("consumed", "usage.amount", "ConsumedQuantity"),
    ("priced", "usage.amount_in_pricing_units", "PricingQuantity"),
)
COLUMNS: tuple[str, ...] = (
    "usage_day",
    "source",
    *(name for name, _, _ in _KEYS),
    "labels_text",
    *(name for name, _, _ in _WORDS),
    "gross",
    *(f"credit_{kind.lower()}" for kind in (*CREDIT_TYPES, OTHER_CREDIT)),
    *(name for name, _, _ in _SUMS),
    "unreadable",
    "row_count",
)
"""What every row holds, in this order."""
_NEEDED = {
    "export": ("billing_account_id", "invoice.month", "cost_type", "currency", "cost", "usage_start_time",
               "export_time", "sku.id", "service.id", "project.id", "credits.amount", "credits.type"),
    "focus": ("BillingAccountId", "BillingPeriodStart", "ChargeCategory", "BillingCurrency", "BilledCost",
              "ChargePeriodStart", "x_ExportTime", "SkuId", "ServiceName", "SubAccountId"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """One export table as it is: `columns` are types by dotted path."""

    project: str
    dataset: str
    name: str
    kind: str
    account: str
    columns: Mapping[str, str]
    by_load_time: bool = False
    """Whether it is partitioned by the time of loading, so that `_PARTITIONTIME` prunes it."""
    created: date | None = None

    @property
    def path(self) -> str:
        """Return its name as a statement writes it."""
        return f"`{self.project}.{self.dataset}.{self.name}`"

    @property
    def lacking(self) -> list[str]:
        """Return the columns without which nothing can be said."""
        needed = _NEEDED["focus" if self.kind == FOCUS else "export"]
        return [path for path in needed if path not in self.columns]

    def text(self, path: str) -> str:
        """Return a column as text, NULL where the table has none."""
        if path not in self.columns:
            return "CAST(NULL AS STRING)"
        return f"t.{path}" if self.columns[path] == "STRING" else f"CAST(t.{path} AS STRING)"

    def amount(self, path: str, prefix: str = "t.") -> str:
        """Return a column as an exact number: NULL where there is none or where it is no number."""
        kind = self.columns.get(path)
        if kind is None:
            return "CAST(NULL AS BIGNUMERIC)"
        column = prefix + (path if prefix == "t." else path.rpartition(".")[2])
        return (
            f"SAFE_CAST(CAST({column} AS STRING) AS BIGNUMERIC)" if kind in _FLOATS else f"CAST({column} AS BIGNUMERIC)"
        )


_FLOATS = ("FLOAT", "FLOAT64")
Span = tuple[Table, date | None, date | None]
"""A table, the first day it speaks for and the end of those days; None where there is no such bound."""


def told(name: str) -> tuple[str, str] | None:
    """Return which kind of export a table's name says it is, and the billing account's id; None for another table."""
    for kind, pattern in _TABLES:
        if found := pattern.fullmatch(name):
            return kind, found["account"].replace("_", "-")
    return None


def rivals(tables: Iterable[Table]) -> list[tuple[Table, Table]]:
    """Return the standard and the detailed table of each billing account that has both.

    Either may have been switched off meanwhile, and what was not exported then is never filled in.
    """
    return [
        (kinds[STANDARD], kinds[DETAILED]) for _, kinds in _by_account(tables) if {STANDARD, DETAILED} <= set(kinds)
    ]


def chosen(tables: Iterable[Table], lines: Mapping[tuple[str, date], int] | None = None) -> list[Span]:
    """Return which table speaks for which days, one for each billing account and day: (table, first day, end day).

    The detailed export is preferred, then the standard one, then FOCUS. A standard export that is older than the
    detailed one speaks for the days up to the one on which that was switched on, because it may begin there. Later it
    speaks for days of which it has more `lines`, as `coverage` counts them: the detailed one was off, or is behind.
    """
    spans: list[Span] = []
    for _, kinds in _by_account(tables):
        detailed, standard = kinds.get(DETAILED), kinds.get(STANDARD)
        if detailed is None or standard is None:
            spans.append((detailed or standard or kinds[FOCUS], None, None))
            continue
        speaker, first = detailed, _edge(standard, detailed)
        spans += [(standard, None, first)] if first else []
        for day, fuller in _fuller(standard, detailed, lines or {}):
            if fuller is not speaker:
                spans += [(speaker, first, day)] if first != day else []
                speaker, first = fuller, day
        spans.append((speaker, first, None))
    return spans


def watched(tables: Iterable[Table]) -> list[Span]:
    """Return the tables in which days change: both of an account that has a standard and a detailed one."""
    found: list[Span] = []
    for _, kinds in _by_account(tables):
        exports = [kinds[kind] for kind in (STANDARD, DETAILED) if kind in kinds]
        found += [(table, None, None) for table in exports or [kinds[FOCUS]]]
    return found


def coverage(pairs: Iterable[tuple[Table, Table]], period: Period) -> tuple[str, dict[str, datetime]]:
    """Return the statement that counts hours, SKUs and projects by table and day; "" where there are no pairs.

    The detailed export divides the standard one's rows by resource: where both are whole the counts are the same.
    """
    parts: list[str] = []
    given: dict[str, datetime] = {}
    for standard, detailed in pairs:
        edge = _edge(standard, detailed)
        start = max(period.start, midnight(edge)) if edge else period.start
        if start >= period.end:
            continue
        for table in (standard, detailed):
            number = len(parts)
            given |= {f"start_{number}": start, f"finish_{number}": period.end}
            if table.by_load_time:
                given[f"floor_{number}"] = start - PARTITION_SLACK
            line = (
                "CONCAT(CAST(t.usage_start_time AS STRING), '/', IFNULL(t.sku.id, ''), '/', IFNULL(t.project.id, ''))"
            )
            parts.append(
                f"SELECT '{table.name}' AS source_table, CAST(DATE(t.usage_start_time) AS STRING) AS usage_day,"
                f" COUNT(DISTINCT {line}) AS line_count\nFROM {table.path} AS t\n"
                f"WHERE {_within(table, number)}\nGROUP BY 1, 2"
            )
    return "\nUNION ALL\n".join(parts), given


def _by_account(tables: Iterable[Table]) -> list[tuple[str, dict[str, Table]]]:
    found: dict[str, dict[str, Table]] = {}
    for table in tables:
        found.setdefault(table.account, {})[table.kind] = table
    return sorted(found.items())


def _edge(standard: Table, detailed: Table) -> date | None:
    """Return the first day that the detailed export holds whole; None where it is the older one."""
    if standard.created and detailed.created and standard.created < detailed.created:
        return detailed.created + timedelta(days=1)
    return None


def _fuller(standard: Table, detailed: Table, lines: Mapping[tuple[str, date], int]) -> list[tuple[date, Table]]:
    """Return which of the two has more of each day, in order; days of which neither has any are not told."""
    days = sorted({day for name, day in lines if name in (standard.name, detailed.name)})
    return [
        (day, standard if lines.get((standard.name, day), 0) > lines.get((detailed.name, day), 0) else detailed)
        for day in days
    ]


def costs(spans: Sequence[Span], period: Period) -> tuple[str, dict[str, datetime]]:
    """Return the statement that sums the days of a period, oldest first, with its parameters; "" where there is none.

    Whole days are summed whatever their export time, so that what came late is in.
    """
    parts: list[str] = []
    given: dict[str, datetime] = {}
    for number, (table, first, end) in enumerate(spans):
        start = max(period.start, midnight(first)) if first else period.start
        finish = min(period.end, midnight(end)) if end else period.end
        if start < finish:
            given |= {f"start_{number}": start, f"finish_{number}": finish}
            if table.by_load_time:
                given[f"floor_{number}"] = start - PARTITION_SLACK
            parts.append(_sums(table, number))
    parts += _begins(spans, period) if parts else ()
    return ("\nUNION ALL\n".join(parts) + "\nORDER BY usage_day" if parts else ""), given


def _begins(spans: Sequence[Span], period: Period) -> Iterator[str]:
    """Yield a row for each account that tells how many of the first days its tables do not reach.

    What was before an export was switched on is not filled in, but for a month or two in some places: without a row, a
    day before is not known. Such a row has a `row_count` of 0, comes first, and counts its days as `unreadable`.
    """
    accounts: dict[str, list[tuple[int, Table]]] = {}
    for number, (table, first, end) in enumerate(spans):
        if (first is None or midnight(first) < period.end) and (end is None or period.start < midnight(end)):
            accounts.setdefault(table.account, []).append((number, table))
    for account, tables in sorted(accounts.items()):
        made = [table.created for _, table in tables]
        created = min(day for day in made if day) if all(made) else None
        if created is None or midnight(created) <= period.start:
            continue
        days = "\nUNION ALL\n".join(
            f"SELECT DATE(t.{_times(table)[0]}) AS held FROM {table.path} AS t WHERE {_within(table, number)}"
            for number, table in tables
        )
        begins, ends = f"DATE '{min(created, period.end_day)}'", f"DATE '{period.end_day}'"
        known = {
            "usage_day": f"'{period.first_day}'",
            "source": f"'{tables[0][1].kind}'",
            "billing_account_id": f"'{account}'",
            "unreadable": f"DATE_DIFF(IF(COUNT(*) = 0, {ends}, LEAST({begins}, MIN(d.held))),"
            f" DATE '{period.first_day}', DAY)",
            "row_count": "0",
        }
        numbers = ("gross", *(name for name, _, _ in _SUMS))
        columns = ",\n  ".join(
            f"{known.get(name) or _nothing(numeric=name in numbers or name.startswith('credit_'))} AS {name}"
            for name in COLUMNS
        )
        yield f"SELECT\n  {columns}\nFROM (\n{days}\n) AS d"


def _nothing(*, numeric: bool) -> str:
    return f"CAST(NULL AS {'BIGNUMERIC' if numeric else 'STRING'})"


def changes(spans: Iterable[Span], period: Period, marks: Mapping[str, int]) -> tuple[str, dict[str, datetime]]:
    """Return the statement that finds the days which rows exported since each table's mark belong to."""
    parts: list[str] = []
    given: dict[str, datetime] = {}
    for number, (table, _, _) in enumerate(spans):
        usage, exported = _times(table)
        mark = marks.get(table.name)
        since = period.start - PARTITION_SLACK if mark is None else _moment(mark) - EXPORT_SLACK
        given |= {f"start_{number}": period.start, f"finish_{number}": period.end}
        where = f"t.{usage} >= @start_{number} AND t.{usage} < @finish_{number}"
        if mark is not None:
            where += f" AND t.{exported} > @since_{number}"
            given[f"since_{number}"] = since
        if table.by_load_time:
            where += f" AND t._PARTITIONTIME >= @floor_{number}"
            given[f"floor_{number}"] = since - PARTITION_SLACK if mark is not None else since
        parts.append(
            f"SELECT '{table.name}' AS source_table, CAST(DATE(t.{usage}) AS STRING) AS usage_day,"
            f" MAX(t.{exported}) AS last_export\nFROM {table.path} AS t\nWHERE {where}\nGROUP BY 1, 2"
        )
    return "\nUNION ALL\n".join(parts), given


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)


def _times(table: Table) -> tuple[str, str]:
    return ("ChargePeriodStart", "x_ExportTime") if table.kind == FOCUS else ("usage_start_time", "export_time")


def _within(table: Table, number: int) -> str:
    """Return the condition that keeps the days that are asked for, partitions pruned where the table has any."""
    usage, _ = _times(table)
    where = f"t.{usage} >= @start_{number} AND t.{usage} < @finish_{number}"
    return f"{where} AND t._PARTITIONTIME >= @floor_{number}" if table.by_load_time else where


def _sums(table: Table, number: int) -> str:
    focus = table.kind == FOCUS
    usage, _ = _times(table)
    keys = [f"CAST(DATE(t.{usage}) AS STRING) AS usage_day", f"'{table.kind}' AS source"]
    for name, export, google in _KEYS:
        if focus and name == "invoice_month":
            keys.append("FORMAT_TIMESTAMP('%Y%m', t.BillingPeriodStart) AS invoice_month")
        else:
            keys.append(f"{table.text(google if focus else export)} AS {name}")
    keys.append(f"{_labels(table)} AS labels_text")
    rest = [f"MAX({table.text(google if focus else export)}) AS {name}" for name, export, google in _WORDS]
    cost = "BilledCost" if focus else "cost"
    rest.append(f"SUM({table.amount(cost)}) AS gross")
    rest += [f"{_credit(table, kind)} AS credit_{kind.lower()}" for kind in (*CREDIT_TYPES, OTHER_CREDIT)]
    for name, export, google in _SUMS:
        amount = table.amount(google if focus else export)
        rest.append(f"IF(COUNT({amount}) = COUNT(*), SUM({amount}), NULL) AS {name}")
    rest += [f"{_unreadable(table, cost)} AS unreadable", "COUNT(*) AS row_count"]
    where = _within(table, number)
    group = ", ".join(str(position) for position in range(1, len(keys) + 1))
    columns = ",\n  ".join(keys + rest)
    return f"SELECT\n  {columns}\nFROM {table.path} AS t\nWHERE {where}\nGROUP BY {group}"


def _labels(table: Table) -> str:
    """Return a row's labels in an order of their own, as the inside of a JSON object."""
    field, key, value = ("x_Labels", "Key", "Value") if table.kind == FOCUS else ("labels", "key", "value")
    if f"{field}.{key}" not in table.columns or f"{field}.{value}" not in table.columns:
        return "CAST(NULL AS STRING)"
    pair = f"CONCAT(TO_JSON_STRING(l.{key}), ':', TO_JSON_STRING(l.{value}))"
    return f"(SELECT STRING_AGG({pair}, ',' ORDER BY l.{key}, l.{value}) FROM UNNEST(t.{field}) AS l)"


def _credit(table: Table, kind: str) -> str:
    """Return the sum of one type of credits: by a sub-query, for a join counts a row's cost once per credit."""
    field, amount, name = ("x_Credits", "Amount", "Type") if table.kind == FOCUS else ("credits", "amount", "type")
    if f"{field}.{amount}" not in table.columns or f"{field}.{name}" not in table.columns:
        return "CAST(NULL AS BIGNUMERIC)"
    known = ", ".join(f"'{each}'" for each in CREDIT_TYPES)
    where = f"c.{name} = '{kind}'" if kind != OTHER_CREDIT else f"c.{name} IS NULL OR c.{name} NOT IN ({known})"
    number = table.amount(f"{field}.{amount}", "c.")
    return f"SUM((SELECT SUM({number}) FROM UNNEST(t.{field}) AS c WHERE {where}))"


def _unreadable(table: Table, cost: str) -> str:
    """Return how many rows have no amount that can be added: NULL, NaN or infinite."""
    bad = f"{table.amount(cost)} IS NULL"
    if "credits.amount" in table.columns:
        amount = table.amount("credits.amount", "c.")
        bad += f" OR (SELECT COUNT(*) FROM UNNEST(t.credits) AS c WHERE {amount} IS NULL) > 0"
    return f"COUNTIF({bad})"
