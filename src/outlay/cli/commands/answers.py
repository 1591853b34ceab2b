"""`spend`, `usage`, `limits`, `balances`, `invoices`, `budgets`, `revenue`: the questions the ledger answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import click

from outlay.cli.answering import Given, ask, end_if_crossed
from outlay.cli.lazy import Command
from outlay.cli.params import Listed, Pair, connection_option, period_options, provider_option
from outlay.cli.settings import Settings, pass_settings

_FIELDS = frozenset(field.name for field in fields(Given))
BASES = ("billed", "entered", "priced", "estimated", "all")


def _dimensions() -> tuple[str, ...]:
    from outlay.analysis.query import DIMENSIONS

    return tuple(DIMENSIONS)


def _filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Add the filters every question takes; the command gets them as one `given`."""

    @wraps(command)
    def collected(**values: Any) -> None:
        given = Given(**{name: values.pop(name) for name in list(values) if name in _FIELDS})
        if given.from_ and given.to and given.from_ >= given.to:
            says = f"the period from {given.from_} to {given.to} holds no day: the end is exclusive"
            raise click.BadParameter(says, param_hint="--to")
        command(**values, given=given)

    where = click.option(
        "--where", type=Pair("DIM"), multiple=True, help="Only rows where a dimension has a value; empty means unknown."
    )
    return period_options(connection_option(provider_option(where(collected))))


def _grouped(command: Callable[..., None]) -> Callable[..., None]:
    """Add the filters, and by what rows are grouped."""
    basis = click.option(
        "--basis", type=click.Choice(BASES), help="Only what is known this way; `all` shows each way on its own rows."
    )
    by = click.option(
        "--by", type=Listed("DIM[,DIM…]", _dimensions), help="Group by these: day, provider, service, tag:KEY …"
    )
    return by(basis(_filtered(command)))


@click.command(
    cls=Command,
    epilog="""
    outlay spend
    outlay spend --by provider,day --from 2026-10-01 --to 2026-11-01
    outlay spend --by service --where provider=openai --format csv
    """,
)
@_grouped
@pass_settings
def spend(settings: Settings, *, given: Given) -> None:
    """Show what was spent, this month unless a period is given.

    Amounts of different currency, or known in a different way, stand on rows of their own and are never added.
    """
    ask("spend", settings, given, sums=("billed_cost", "effective_cost", "list_cost"))


@click.command(
    cls=Command,
    epilog="""
    outlay usage --by provider,service
    outlay usage --connection openai-prod --by day --from 2026-10-01 --to 2026-11-01
    """,
)
@_grouped
@pass_settings
def usage(settings: Settings, *, given: Given) -> None:
    """Show what was used, per meter and unit."""
    ask("usage", settings, given)


@click.command(
    cls=Command,
    epilog="""
    outlay limits
    outlay limits --provider anthropic
    outlay limits --check || echo "a limit is reached"
    """,
)
@click.option("--check", is_flag=True, help="End with status 5 when a limit is reached.")
@_filtered
@pass_settings
def limits(settings: Settings, *, check: bool, given: Given) -> None:
    """Show every limit and how close it is; what the vendor does not state is –."""
    ask("limits", settings, given)
    if check:
        end_if_crossed(settings, given, ("limits",))


@click.command(cls=Command, epilog="outlay balances --format json")
@_filtered
@pass_settings
def balances(settings: Settings, *, given: Given) -> None:
    """Show prepaid money and credits left, as last read."""
    ask("balances", settings, given)


@click.command(cls=Command, epilog="outlay invoices --from 2026-01-01 --to 2027-01-01")
@_filtered
@pass_settings
def invoices(settings: Settings, *, given: Given) -> None:
    """Show the vendors' bills, those of the last twelve months unless a period is given."""
    ask("invoices", settings, given)


@click.command(
    cls=Command,
    epilog="""
    outlay budgets
    outlay budgets --check
    """,
)
@click.option("--check", is_flag=True, help="End with status 5 when a budget is used up.")
@_filtered
@pass_settings
def budgets(settings: Settings, *, check: bool, given: Given) -> None:
    """Show budgets and what of them is consumed."""
    ask("budgets", settings, given)
    if check:
        end_if_crossed(settings, given, ("budgets",))


@click.command(cls=Command, epilog="outlay revenue --by month,provider --from 2026-01-01 --to 2027-01-01")
@_grouped
@pass_settings
def revenue(settings: Settings, *, given: Given) -> None:
    """Show what your own customers owe through Stripe or Lemon Squeezy; it is never part of spend."""
    ask("revenue", settings, given, sums=("gross", "net"))
