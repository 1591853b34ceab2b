"""ElevenLabs' analytics: tables whose columns are found by name and whose money is told by the column's unit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from outlay.clock import midnight
from outlay.model.basis import Basis
from outlay.model.facts import Category, Charge, Frequency, Usage
from outlay.model.money import Money, exact
from outlay.model.period import Period
from outlay.model.problem import Problem
from outlay.providers.base import Ask, Endpoint, EpochWindow, Refusal

UPDATE = "Update outlay; if it stays, report it."
DAY_SECONDS = 86_400
CURRENCIES = frozenset({"usd", "eur", "inr", "pln", "gbp"})
_SERVICES = {
    "tts": "Text to Speech",
    "text-to-speech": "Text to Speech",
    "stt": "Speech to Text",
    "speech-to-text": "Speech to Text",
    "conversational-ai": "Conversational AI",
    "music": "Music",
}
"""One name for each of the spellings a product has had; one that is not here keeps the vendor's own."""
NOT_HERE = (
    "A workspace is billed in credits or by cost, and this one is billed the other way in these days. Where it is in"
    ' credits, enter what the plan costs, and set billing = "credits" on the connection.'
)


def lacking(permission: str) -> Refusal:
    """Return the refusal of a key without a permission, which is answered 401 like a wrong key."""
    hint = f"Add the permission {permission} to the key."
    return Refusal(401, "permission_missing", contains="missing_permissions", hint=hint)


class Table(Struct, gc=False):
    """An answer of the analytics endpoints; a cell is text, a number, at times a number as text, or null."""

    columns: list[str]
    rows: list[list[Raw]]
    column_units: list[str | None] = []


class Row(NamedTuple):
    """A row with its cells and their columns' units by column name."""

    cells: dict[str, Raw]
    units: dict[str, str | None]

    def text(self, name: str) -> str | None:
        """Return a cell as text; None where it is null, empty or absent."""
        cell = self.cells.get(name)
        found = None if cell is None else msgspec.json.decode(cell)
        return None if found is None or found == "" else str(found)

    def number(self, name: str) -> Decimal | None:
        """Return a cell as an exact number, also where it came as text. Raises: ValueError when it is no number."""
        cell = self.cells.get(name)
        if cell is None or bytes(cell) in {b"null", b'""'}:
            return None
        return exact(bytes(cell).decode().strip('"'))


def rows_of(page: Table, ask: Ask, figure: str) -> Iterator[tuple[Period, Row] | Problem]:
    """Yield the rows of a table with their days; the bucket that begins at the exclusive end is left out.

    A table without the column of its figure, or with a row of another width, would pass for nothing used: it is said.
    """
    if page.rows and (figure not in page.columns or any(len(cells) != len(page.columns) for cells in page.rows)):
        told = figure if figure not in page.columns else f"{len(page.columns)} cells in each row"
        yield Problem(code="measure_missing", says=f"the table is without {told}", hint=UPDATE)
        return
    units = dict(zip(page.columns, page.column_units, strict=False))
    for cells in page.rows:
        row = Row(dict(zip(page.columns, cells, strict=True)), units)
        stamp = row.text("timestamp")
        try:
            moment = _moment(stamp or "")
        except ValueError:
            yield Problem(code="day_unreadable", says=f"a row is dated {stamp!r}", hint=UPDATE)
            continue
        if moment < ask.period.end:
            yield Period.of_day(moment.date()), row


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment != midnight(moment.date()):
        raise ValueError(text)
    return moment


def service_of(product: str | None) -> str:
    """Return the service a product belongs to, whichever of its names the vendor uses."""
    if product is None:
        return "ElevenLabs"
    return _SERVICES.get(product.lower().replace(" ", "-"), product)


def cost_usage(page: Table, ask: Ask) -> Iterator[Charge | Problem]:
    """Turn daily rows of a workspace that is billed by cost into charges.

    Units:  `total_cost` is in the major unit of the currency its column's unit, or else `fiat_currency`, names.
    Null:   a row without cost and quantity is an empty bucket, one with a quantity alone is a cost that is not known;
            no rows at all are no cost.
    Source: https://elevenlabs.io/docs/api-reference/workspace/analytics
    """
    for found in rows_of(page, ask, "total_cost"):
        if isinstance(found, Problem):
            yield found
            continue
        period, row = found
        try:
            amount, quantity = row.number("total_cost"), row.number("total_charge_count")
            if amount is not None and (amount or quantity):
                yield _charge(period, row, amount, quantity)
            elif amount is None and quantity:
                yield Problem(
                    code="amount_missing",
                    says=f"{quantity.normalize():f} are billed of {row.text('product_type')} and no cost is told",
                    where=row.text("product_type") or "",
                    hint=UPDATE,
                    period=period,
                )
        except ValueError as error:
            yield Problem(
                code="amount_refused",
                says=str(error),
                where=row.text("product_type") or "",
                hint=UPDATE,
                period=period,
            )


def _charge(period: Period, row: Row, amount: Decimal, quantity: Decimal | None) -> Charge:
    product, model, kind = row.text("product_type"), row.text("model"), row.text("fiat_charge_type")
    currency = row.units.get("total_cost") or row.text("fiat_currency")
    if currency is None or currency.lower() not in CURRENCIES:
        raise ValueError(f"the cost is in {currency!r}, which is no currency ElevenLabs bills in")
    credit = amount < 0
    service = service_of(product)
    sku = "/".join(part for part in (service.lower().replace(" ", "-"), model) if part)
    counted = quantity if not credit else None
    return Charge(
        charge_period=period,
        billed_cost=Money.of(amount, currency),
        service_name=service,
        charge_category=Category.CREDIT if credit else Category.USAGE,
        charge_frequency=Frequency.ONE_TIME if credit else Frequency.USAGE_BASED,
        charge_description=", ".join(part for part in (product, model, kind) if part) or None,
        sku_id=sku,
        sku_price_id=None if credit else "@".join(part for part in (sku, kind) if part),
        sku_meter=kind,
        consumed_quantity=counted,
        consumed_unit=None if counted is None else "Units",
        pricing_category=None if credit else "Standard",
        model=model,
    )


_MEASURES = (("total_usage", "credits", "credits"), ("total_minutes", "minutes", "minutes"),
             ("usage_count", "requests", "requests"))  # fmt: skip


def credit_usage(page: Table, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn daily rows of a workspace that is billed in credits into measurements.

    `total_cost` here is what the vendor rates the credits at, not what it bills: the plan's fee and the overage are
    the bill. It is kept as an estimate among the measurements, so that it can never be added to either.

    Units:  credits, minutes, requests; the rating in the currency its column names.
    Null:   cells may be null; buckets without use hold zeros and yield nothing.
    Source: https://elevenlabs.io/docs/api-reference/workspace/analytics
    """
    for found in rows_of(page, ask, "total_usage"):
        if isinstance(found, Problem):
            yield found
            continue
        period, row = found
        try:
            yield from _measured(period, row)
        except ValueError as error:
            yield Problem(code="amount_refused", says=str(error), hint=UPDATE, period=period)


def _measured(period: Period, row: Row) -> Iterator[Usage]:
    for column, meter, unit in _MEASURES:
        quantity = row.number(column)
        if quantity:
            yield _usage(period, row, meter, unit, quantity)
    rated, currency = row.number("total_cost"), row.units.get("total_cost")
    if rated and currency:
        yield _usage(period, row, "rated_cost", currency.upper(), rated, Basis.ESTIMATED)


def _usage(period: Period, row: Row, meter: str, unit: str, quantity: Decimal, basis: Basis | None = None) -> Usage:
    product, key = row.text("product_type"), row.text("hashed_xi_api_key")
    return Usage(
        usage_period=period,
        meter=meter,
        unit=unit,
        quantity=quantity,
        service_name=service_of(product),
        sub_account_id=row.text("reporting_workspace_id"),
        model=row.text("model"),
        api_key_id=key,
        resource_id=key,
        basis=basis,
    )


class CharacterStats(Struct, gc=False):
    """Series by product: the n-th number of each belongs to the n-th moment."""

    time: list[int]
    usage: dict[str, Raw] = {}


def character_stats(page: CharacterStats, ask: Ask) -> Iterator[Usage | Problem]:
    """Turn daily series of credits by product into measurements.

    Units:  credits, though the vendor calls them characters; moments in Unix milliseconds.
    Null:   a day without use is zero and yields nothing.
    Source: https://elevenlabs.io/docs/api-reference/usage/get
    """
    days: list[Period] = []
    for stamp in page.time:
        if stamp % (DAY_SECONDS * 1000):
            yield Problem(code="day_unreadable", says=f"a bucket begins at {stamp} ms, inside a day", hint=UPDATE)
            return
        days.append(Period.of_epoch(stamp // 1000, stamp // 1000 + DAY_SECONDS))
    series_of = {product: raw for product, raw in page.usage.items() if bytes(raw).startswith(b"[")}
    for product, raw in series_of.items():
        # Beside a breakdown, what is called all of it is its sum.
        if product == "All" and len(series_of) > 1:
            continue
        series = msgspec.json.decode(raw, type=list[Decimal | None])
        if len(series) != len(days):
            says = f"{len(series)} numbers for {len(days)} days"
            yield Problem(code="series_differ", says=says, where=product, hint=UPDATE)
            continue
        for period, used in zip(days, series, strict=True):
            if used and period.start < ask.period.end:
                yield Usage(
                    usage_period=period,
                    meter="credits",
                    unit="credits",
                    quantity=exact(used),
                    service_name=service_of(None if product == "All" else product),
                )


_OTHER_BILLING = (
    # A malformed question is answered 422; these are the vendor's ways to say that the other endpoint is meant.
    lacking("workspace_analytics_full_read"),
    Refusal(400, "out_of_quota", contains="quota_exceeded"),
    Refusal(403, "out_of_quota", contains="payment_required", hint="Look at the payment method."),
    Refusal(400, "not_offered", hint=NOT_HERE),
    Refusal(403, "not_offered", hint=NOT_HERE),
)

COST_USAGE = Endpoint(
    name="cost_usage",
    path="/v1/workspace/analytics/usage",
    window=EpochWindow("start_time", "end_time", days_max=31, per_second=1000),
    # Of user, key, region, workspace, product … two at most, and two only with a filter: one is asked for.
    body={
        "interval_seconds": DAY_SECONDS,
        "group_by": ["product_type", "model", "fiat_currency", "fiat_charge_type"],
    },
    refusals=_OTHER_BILLING,
    page=Table,
    facts=cost_usage,
)

CREDIT_USAGE = Endpoint(
    name="credit_usage",
    path="/v1/workspace/analytics/query/usage-by-product-over-time",
    # A question that reaches the day a workspace left credits is refused whole: short ones lose less to the fallback.
    window=EpochWindow("start_time", "end_time", days_max=7, per_second=1000),
    body={
        "interval_seconds": DAY_SECONDS,
        "group_by": ["product_type", "model", "hashed_xi_api_key", "reporting_workspace_id"],
        "time_zone": "UTC",
    },
    refusals=_OTHER_BILLING,
    page=Table,
    facts=credit_usage,
)

CHARACTER_STATS = Endpoint(
    name="character_stats",
    path="/v1/usage/character-stats",
    window=EpochWindow("start_unix", "end_unix", days_max=31, per_second=1000),
    query={
        "include_workspace_metrics": "true",
        "breakdown_type": "product_type",
        "aggregation_interval": "day",
        "metric": "credits",
    },
    page=CharacterStats,
    facts=character_stats,
)
