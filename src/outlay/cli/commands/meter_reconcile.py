"""`outlay meter reconcile`: what metered use is priced at, beside what the vendor bills."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import TYPE_CHECKING

import click

from outlay.cli.answering import Given, check_known
from outlay.cli.lazy import Command
from outlay.cli.output import Column, Kind, Sheet, show
from outlay.cli.output.numbers import money
from outlay.cli.params import connection_option, open_ledger, period_options
from outlay.cli.settings import Settings, pass_settings

if TYPE_CHECKING:
    from outlay.analysis.side_by_side import SideBySide, Trend

_STATES = {
    "both": "compared",
    "unpriced": "unpriced",
    "priced_only": "no bill",
    "billed_only": "not metered",
}


@click.command(
    cls=Command,
    epilog="""
    outlay meter reconcile
    outlay meter reconcile --connection openai-prod --by week --from 2026-10-01 --to 2026-11-01
    """,
)
@connection_option
@period_options
@click.option(
    "--by", type=click.Choice(("day", "week", "month")), default="day", show_default=True, help="How long a row is."
)
@pass_settings
def reconcile(
    settings: Settings, *, connections: tuple[str, ...], from_: date | None, to: date | None, by: str
) -> None:
    """Compare what metered use is priced at with what the vendor bills for the same models.

    The two are never added. Only days that both sides wholly know are compared; of others it is said what is missing.
    A model is the same by its full id, or where a day has only a plain and a dated id of it, one on each side.
    """
    from outlay.analysis.side_by_side import side_by_side

    config = settings.load()
    query = Given(from_=from_, to=to, connections=connections).query(config)
    with open_ledger(settings, config) as ledger:
        check_known(ledger, config, connections)
        answer = side_by_side(ledger, query, period=by, clock=settings.clock)
    show(_sheet(answer, by, settings.format == "table"), settings)


def _sheet(answer: SideBySide, by: str, people: bool) -> Sheet:
    columns = [
        Column("period", "Day" if by == "day" else f"{by.capitalize()} of" if by == "week" else "Month"),
        Column("connection", "Connection", table=len({row.connection for row in answer.rows}) > 1),
        Column("provider", "Provider", table=False),
        Column("model", "Model"),
        Column("billed_as", "Billed as", table=False),
        Column("currency", "Cur."),
        Column("state", "State"),
        Column("days", "Days", Kind.QUANTITY, keep=5, table=by != "day"),
        Column("priced", "Priced", Kind.MONEY),
        Column("billed", "Billed", Kind.MONEY),
        Column("gap", "Gap", Kind.MONEY),
        Column("gap_ratio", "Gap %", Kind.SHARE),
        Column("unpriced", "Without a price", keep=2, table=any(row.unpriced for row in answer.rows)),
        Column("why", "Why", table=False),
    ]
    rows = answer.records()
    if people:
        for row, typed in zip(rows, answer.rows, strict=True):
            row["gap_ratio"] = _percent(typed.ratio)
            row["state"] = _STATES[typed.state]
            row["unpriced"] = typed.unpriced or None
            row["period"] = f"{typed.period:%Y-%m}" if by == "month" else typed.period
    return Sheet(
        columns=columns,
        rows=rows,
        incomplete=[gap.record() for gap in answer.incomplete],
        empty=f"Nothing is metered that is priced or billed, from {answer.from_} to {answer.to} (exclusive).",
        notes=list(_notes(answer)),
        whole=answer.to_json_object(),
    )


def _percent(ratio: Fraction | None) -> str | None:
    """Return a ratio in per cent with two decimals and its sign."""
    from outlay.analysis.side_by_side import shown

    share = shown(None if ratio is None else ratio * 100)
    if share is None:
        return None
    text = f"{share:+.2f}" if share else "0"
    return f"{text} %" if not share or text.strip("+-0.") else f"{'+' if share > 0 else '-'}<0.01 %"


def _notes(answer: SideBySide) -> list[str]:
    notes = [said for trend in answer.trend if (said := _moved(trend))]
    notes += _ids(answer)
    notes += [
        f"{other.connection}: {other.currency} {money(other.billed, other.currency)} are billed for "
        f"{other.models} {'model' if other.models == 1 else 'models or items'} that nobody metered."
        for other in answer.not_metered
    ]
    return notes


def _ids(answer: SideBySide) -> list[str]:
    """Return under which other ids models are billed, and why some stand alone or may hold more than themselves."""
    days: dict[tuple[str, str, str], int] = {}
    for row in answer.rows:
        for says in filter(None, (row.billed_as and f"billed as {row.billed_as}", row.why)):
            key = (row.connection, row.model or "", says)
            days[key] = days.get(key, 0) + row.days
    notes = [
        f"{connection} {model}, {count} {'day' if count == 1 else 'days'}: {says}."
        for (connection, model, says), count in days.items()
    ]
    rule = "A plain and a dated id are one model only on a day that has no other id of it."
    return [*notes, rule] if any(row.why for row in answer.rows) else notes


def _moved(trend: Trend) -> str | None:
    """Return how a model's gap moved from its first compared week to its last. Null: there is only one."""
    if len(trend.weeks) < 2:  # noqa: PLR2004
        return None
    first, last = trend.weeks[0], trend.weeks[-1]
    return (
        f"{trend.connection} {trend.model or ''}: gap {_percent(first.ratio) or '–'} in the week of {first.week}, "
        f"{_percent(last.ratio) or '–'} in that of {last.week}."
    )
