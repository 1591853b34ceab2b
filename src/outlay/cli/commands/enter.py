"""`outlay enter`: what no API tells, typed in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import click

from outlay.cli.commands.import_ import commit, connection_of
from outlay.cli.lazy import Group
from outlay.cli.params import DAY
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import ConfigError

if TYPE_CHECKING:
    from outlay.model.money import Money
    from outlay.sync.entries import Typed

_F = TypeVar("_F", bound=Callable[..., Any])
CATEGORIES = ("usage", "purchase", "tax", "credit", "adjustment")
KINDS = ("rate", "quota", "spend", "credit", "storage", "seats")
EVERY = ("month", "quarter", "year")


class Number(click.ParamType[Decimal]):
    """A number written plainly, such as 1234.56."""

    name = "NUMBER"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return the number, exactly. Raises: click.BadParameter."""
        from outlay.sync.imports_csv import number

        if isinstance(value, Decimal):
            return value
        try:
            return number(str(value), param.opts[0] if param else "number")
        except ConfigError as error:
            self.fail(f"{error.message}. {error.hint}", param, ctx)


NUMBER = Number()


def _common(command: _F) -> _F:
    for option in (
        click.option("--preview", "--dry-run", "preview", is_flag=True, help="Show what would change, change nothing."),
        click.option("--name", help="What to call the entry; entering it again for the same days replaces it."),
        click.option("--connection", metavar="NAME", help="The connection it belongs to; the only one unless given."),
    ):
        command = option(command)
    return command


def _cost(command: _F) -> _F:
    for option in (
        click.option("--sub-account", help="The project or workspace it belongs to, by its id."),
        click.option("--description", help="What it was for."),
        click.option("--sku", help="The item, as the vendor calls it."),
        click.option("--service", required=True, help="The service, as other charges of the connection call it."),
        click.option("--currency", required=True, help="Three capitals, such as USD."),
        click.option("--amount", type=NUMBER, required=True, help="In the major unit; a minus is a credit."),
    ):
        command = option(command)
    return command


def _period(command: _F) -> _F:
    command = click.option("--to", type=DAY, help="The day after the last one: the end is exclusive.")(command)
    return click.option("--from", "from_", type=DAY, help="The first day it is for.")(command)


@click.group(
    cls=Group,
    epilog="""
    outlay enter balance --connection brave --amount 12.50 --currency USD
    outlay enter subscription --service Plan --amount 25 --currency USD --from 2026-09-14
    outlay enter invoice --id INV-7 --total 35 --currency USD
    """,
)
def enter() -> None:
    """Type in what no API tells; it stands in the ledger with the basis `entered`.

    An entry is known by its connection, kind, name and days: entering it again replaces it, and
    `outlay import --withdraw ID` takes it back.
    """


@enter.command(epilog="outlay enter balance --connection brave --amount 12.50 --currency USD")
@_common
@click.option("--amount", type=NUMBER, required=True, help="What is left.")
@click.option("--currency", help="Three capitals, such as USD.")
@click.option("--unit", help="What credits are called, where it is no money.")
@click.option("--day", type=DAY, help="The day it was read; today unless given.")
@pass_settings
def balance(
    settings: Settings,
    *,
    connection: str | None,
    name: str | None,
    amount: Decimal,
    currency: str | None,
    unit: str | None,
    day: date | None,
    preview: bool,
) -> None:
    """Enter what is left of prepaid money or credits."""
    from outlay.sync import entries_facts as entered

    money = _money(amount, currency) if currency is not None else None
    fact = entered.entered_balance(name or "balance", amount, money.currency if money else None, unit)
    _enter(settings, connection, entered.balance(fact.name, fact, _read_on(settings, day)), preview=preview)


@enter.command(epilog="outlay enter charge --service Egress --amount 4.50 --currency USD --day 2026-11-03")
@_common
@_cost
@click.option("--category", type=click.Choice(CATEGORIES), default="purchase", show_default=True, help="What it is.")
@click.option("--day", type=DAY, help="The day it is for; today unless given.")
@_period
@click.option("--daily", is_flag=True, help="Spread it evenly over the days of its period.")
@pass_settings
def charge(
    settings: Settings,
    /,
    *,
    connection: str | None,
    category: str,
    day: date | None,
    from_: date | None,
    to: date | None,
    daily: bool,
    preview: bool,
    **cost: Any,
) -> None:
    """Enter a cost, for a day or a period."""
    from outlay.model.facts import Category
    from outlay.sync import entries_facts as entered

    period = entered.span(from_, to, day or settings.today)
    kind = next(each for each in Category if each.value.lower() == category)
    typed = entered.charge(_of(cost, category=kind), period, daily=daily)
    _enter(settings, connection, typed, preview=preview)


@enter.command(epilog="outlay enter subscription --service Plan --amount 25 --currency USD --from 2026-09-14")
@_common
@_cost
@click.option("--from", "first", type=DAY, required=True, help="The day the first cycle began.")
@click.option("--until", type=DAY, help="The day after its last; the cycles begun up to today unless given.")
@click.option("--every", type=click.Choice(EVERY), default="month", show_default=True, help="How long a cycle is.")
@pass_settings
def subscription(
    settings: Settings,
    /,
    *,
    connection: str | None,
    first: date,
    until: date | None,
    every: str,
    preview: bool,
    **cost: Any,
) -> None:
    """Enter a fee that comes back: a charge for each cycle that has begun.

    Enter it again when another cycle has begun: those that are there stay as they are.
    """
    from outlay.sync import entries_facts as entered

    typed = entered.subscription(_of(cost), first, until or entered.tomorrow(settings.today), every)
    _enter(settings, connection, typed, preview=preview)


@enter.command(epilog="outlay enter invoice --connection supabase --id INV-7 --total 35 --currency USD")
@_common
@click.option("--id", "invoice_id", required=True, help="The vendor's number or id of it.")
@click.option("--total", type=NUMBER, required=True, help="What it comes to, in the major unit.")
@click.option("--currency", required=True, help="Three capitals, such as USD.")
@click.option("--status", default="paid", show_default=True, help="open, paid, void …")
@click.option("--due", type=NUMBER, help="What is still to be paid.")
@click.option("--day", type=DAY, help="The day it was issued; today unless given.")
@_period
@click.option("--service", help="Count it as spend on this service too, spread over the days of its period.")
@pass_settings
def invoice(
    settings: Settings,
    *,
    connection: str | None,
    name: str | None,
    invoice_id: str,
    total: Decimal,
    currency: str,
    status: str,
    due: Decimal | None,
    day: date | None,
    from_: date | None,
    to: date | None,
    service: str | None,
    preview: bool,
) -> None:
    """Enter a bill, and with --service the spend it stands for."""
    from outlay.clock import midnight
    from outlay.model.basis import Basis
    from outlay.model.facts import Invoice
    from outlay.sync import entries_facts as entered

    issued = day or settings.today
    fact = Invoice(
        invoice_id=invoice_id,
        number=name,
        total=_money(total, currency),
        status=status,
        amount_due=None if due is None else _money(due, currency),
        period=None if from_ is None and to is None else entered.span(from_, to, issued),
        issued_at=midnight(issued),
        basis=Basis.ENTERED,
    )
    _enter(settings, connection, entered.invoice(fact, issued, service), preview=preview)


@enter.command(epilog="outlay enter limit --connection supabase --name egress --kind quota --quota 250 --unit gb")
@_common
@click.option("--kind", type=click.Choice(KINDS), default="quota", show_default=True, help="What it bounds.")
@click.option("--quota", type=NUMBER, help="The ceiling.")
@click.option("--unlimited", is_flag=True, help="Say that there is no ceiling.")
@click.option("--unit", required=True, help="What it is counted in, or a currency for spend.")
@click.option("--used", type=NUMBER, help="What is used of it.")
@click.option("--scope", default="organization", show_default=True, help="What it holds for.")
@click.option("--window", help="After which time it begins anew, such as month.")
@click.option("--day", type=DAY, help="The day it was read; today unless given.")
@pass_settings
def limit(
    settings: Settings,
    *,
    connection: str | None,
    name: str | None,
    kind: str,
    quota: Decimal | None,
    unlimited: bool,
    unit: str,
    used: Decimal | None,
    scope: str,
    window: str | None,
    day: date | None,
    preview: bool,
) -> None:
    """Enter a ceiling of your plan or agreement."""
    from outlay.model.facts import LimitKind
    from outlay.sync import entries_facts as entered

    if (quota is None) != unlimited:
        raise ConfigError("the ceiling is not said, or said twice", hint="Give either --quota or --unlimited.")
    fact = entered.entered_limit(name or kind, LimitKind(kind), unit, quota, used, scope=scope, window=window)
    _enter(settings, connection, entered.limit(fact.name, fact, _read_on(settings, day)), preview=preview)


@enter.command("fee-terms", epilog="outlay enter fee-terms --connection shop --percent 5 --fixed 0.50 --currency USD")
@_common
@click.option("--percent", type=NUMBER, required=True, help="The share of each payment.")
@click.option("--fixed", type=NUMBER, default="0", show_default=True, help="What each payment costs besides.")
@click.option("--currency", required=True, help="The currency the fees are taken in.")
@click.option(
    "--extra",
    multiple=True,
    metavar="KIND=PERCENT",
    help="Added to the share of payments of a kind of revenue, such as subscription_invoice=0.5.",
)
@click.option("--from", "first", type=DAY, help="The first day they hold; today unless given.")
@pass_settings
def fee_terms(
    settings: Settings,
    *,
    connection: str | None,
    name: str | None,
    percent: Decimal,
    fixed: Decimal,
    currency: str,
    extra: tuple[str, ...],
    first: date | None,
    preview: bool,
) -> None:
    """Enter fees you have agreed on; where a vendor states payments and no fees, each day's are estimated from them.

    Later terms of the same currency take the place of earlier ones from their first day on.
    """
    from outlay.sync import entries_facts as entered

    more = dict(_extra(each) for each in extra)
    typed = entered.fee_terms(name or "fees", percent, _money(fixed, currency), first or settings.today, more)
    _enter(settings, connection, typed, preview=preview)


def _extra(text: str) -> tuple[str, Decimal]:
    from outlay.sync.imports_csv import number

    kind, _, share = text.partition("=")
    return kind.strip(), number(share, "--extra")


def _of(cost: dict[str, Any], **more: Any) -> Any:
    from outlay.sync.entries_facts import Cost

    amount = _money(cost.pop("amount"), cost.pop("currency"))
    return Cost(amount, **cost, **more)


def _money(amount: Decimal, currency: str) -> Money:
    from outlay.sync.imports_csv import money

    return money(f"{amount:f}", currency)


def _read_on(settings: Settings, day: date | None) -> date:
    if day is not None and day > settings.today:
        raise ConfigError(f"{day} is in the future", hint=f"Today is {settings.today} (UTC).")
    return day or settings.today


def _enter(settings: Settings, connection: str | None, typed: list[Typed], *, preview: bool) -> None:
    config = settings.load()
    chosen = connection_of(config, connection)
    commit(settings, config, chosen, typed, by="enter", reason="enter", preview=preview)
