"""`outlay prices`: which prices hold for what is metered, why, and what has none."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from outlay.cli.lazy import Command, Entry, Group
from outlay.cli.output import Column, Kind, Sheet, show
from outlay.cli.output.text import neutral
from outlay.cli.params import DAY, connection_option, open_ledger, provider_argument
from outlay.cli.settings import Settings, pass_settings
from outlay.errors import ConfigError, Exit

if TYPE_CHECKING:
    from outlay.pricing.lists import Lists
    from outlay.pricing.tariff import Tariff

_MILLION = 1_000_000
_OWN_COLUMN = {
    "input_tokens": "Input",
    "cached_input_tokens": "Cached",
    "cache_write_tokens": "Write",
    "cache_write_1h_tokens": "Write 1h",
    "output_tokens": "Output",
}


class _Prices(Group):
    """A group whose own words, a provider and a model, need no command before them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command that shows prices before what names no other."""
        if not {"check", "pull", "show", "--help", "-h"} & set(args):
            args = ["show", *args]
        return super().parse_args(ctx, args)


_LATER = {
    "pull": Entry("outlay.cli.commands.prices_pull:pull", "Make a list of your own of the prices a sync has read."),
}


@click.group(
    cls=_Prices,
    entries=_LATER,
    epilog="""
    outlay prices
    outlay prices deepseek
    outlay prices openai gpt-5 --on 2026-10-14
    outlay prices check
    outlay prices pull google
    """,
)
def prices() -> None:
    """Show the price lists, the prices of one provider, or those of one model and why they hold.

    `outlay prices [PROVIDER [MODEL]]` is `outlay prices show`. Lists of your own are TOML files below `prices/` in the
    data folder; docs/prices.md tells how they are written.
    """


@prices.command("show", cls=Command, epilog="outlay prices show openai gpt-5")
@provider_argument(required=False)
@click.argument("model", required=False, metavar="[MODEL]")
@click.option("--on", type=DAY, help="The UTC day the prices hold on; today unless given.")
@pass_settings
def show_(settings: Settings, *, provider: str | None, model: str | None, on: date | None) -> None:
    """Show what applies on a day: list, version, unit prices, and what must be so for each."""
    from outlay.pricing.tariff import tariffs

    every, day = _lists(settings), on or settings.today
    if provider is None:
        _overview(every, day, settings)
        return
    found = tariffs(every, provider, day, model)
    if not found:
        raise _unknown(every, provider, model, day)
    if settings.format != "table":
        show(_whole(found, provider, model, day), settings)
    else:
        several = model is None and found[0].model is not None
        show((_of_provider if several else _of_model)(found, every, settings), settings)


def _lists(settings: Settings) -> Lists:
    from outlay.pricing.lists import lists

    return lists(settings.load().home)


def _overview(every: Lists, day: date, settings: Settings) -> None:
    from outlay.pricing.catalogue import PROVIDERS, release
    from outlay.pricing.lists import INSTALL
    from outlay.pricing.tariff import MEASURED

    names = {book.provider for book in (*every.own, *every.shipped)} | (set(PROVIDERS) if release() else set())
    rows: list[dict[str, object]] = [
        {
            "provider": provider,
            "list": book.name,
            "origin": book.origin,
            "models": len(book.models),
            "checked": book.checked,
            "source": book.source,
        }
        for provider in sorted(names)
        for book in every.books(provider)
    ]
    rows += [_measured(provider) for provider in MEASURED]
    rows.sort(key=lambda row: str(row["provider"]))
    columns = [
        Column("provider", "Provider"), Column("list", "List"), Column("origin", "Origin", keep=5),
        Column("models", "Models", Kind.QUANTITY, keep=4), Column("checked", "Checked", keep=6),
        Column("source", "Source", keep=2),
    ]  # fmt: skip
    notes = ["Of a provider's lists the first that knows a model prices it. `outlay prices PROVIDER` shows its prices."]
    if release() is None:
        notes.append(
            f"Calls of {', '.join(sorted({*PROVIDERS} - names))} have no price: {INSTALL} brings a catalogue of their "
            "models, or write lists of your own (docs/prices.md)."
        )
    notes += _stale_notes(every, names, settings)
    show(Sheet(columns, rows, head={"on": day}, notes=notes), settings)


def _measured(provider: str) -> dict[str, object]:
    from outlay.pricing import price_list

    last = price_list(provider).entries[-1]
    return {"provider": provider, "list": provider, "origin": "shipped", "models": None, "checked": last.checked,
            "source": last.source}  # fmt: skip


def _stale_notes(every: Lists, providers: set[str], settings: Settings) -> list[str]:
    from outlay.analysis.unpriced import stale

    return [f"{name} was last checked on {day}: prices may have changed since." for name, day in
            stale(every, providers, settings.today)]  # fmt: skip


def _unknown(every: Lists, provider: str, model: str | None, day: date) -> ConfigError:
    from outlay.config import suggestion
    from outlay.pricing.lists import INSTALL, lacks_catalogue
    from outlay.pricing.tariff import tariffs

    books = list(every.books(provider))
    if not books and model is not None and tariffs(every, provider, day):
        return ConfigError(f"{provider} prices no models", hint=f"`outlay prices {provider}` shows its prices.")
    if not books:
        hint = f"Install the catalogue ({INSTALL}), or write a list of your own, prices/{provider}.toml."
        other = "`outlay prices` names the lists there are."
        return ConfigError(f"no list has prices of `{provider}`", hint=hint if lacks_catalogue(provider) else other)
    if model is None:
        return ConfigError(f"no price of {provider} holds on {day}", hint="Choose another day with --on.")
    known = [name for book in books for one in book.models for name in (*one.ids, *one.operations)]
    hint = suggestion(model, known, otherwise=f"`outlay prices {provider}` names the models its lists know.")
    hint += f" A model of your own goes into prices/{provider}.toml in the data folder (docs/prices.md)."
    undone = next((one.undone for book in books for one in book.models if model in one.ids and one.undone), None)
    return ConfigError(f"no list has a price of `{model}` on {day}{f': {undone}' if undone else ''}", hint=hint)


def _record(tariff: Tariff) -> dict[str, Any]:
    return {name: getattr(tariff, name) for name in tariff.__struct_fields__}


def _whole(found: list[Tariff], provider: str, model: str | None, day: date) -> Sheet:
    columns = [Column(name, name) for name in found[0].__struct_fields__]
    return Sheet(columns, [_record(one) for one in found], head={"provider": provider, "model": model, "on": day})


def _table(found: list[Tariff], every: Lists, settings: Settings, notes: list[str]) -> Sheet:
    """Return prices, a line for all that hold together."""
    lines: dict[tuple[object, ...], dict[str, object]] = {}
    for one in found:
        key = (one.model, one.tier, one.above, one.when, one.valid_from)
        line = lines.setdefault(
            key,
            {
                "model": one.model,
                "tier": one.tier or "standard",
                "currency": one.currency,
                "only": _only(one),
                "from": _moment(one.valid_from),
                "until": _moment(one.valid_until),
            },
        )
        if one.meter in _OWN_COLUMN and one.per == _MILLION:
            line[one.meter] = one.unit_price
        else:
            other = f"{one.meter} {one.unit_price:f} per {one.unit}".replace(f"{_MILLION} Tokens", "million")
            line["other"] = f"{line['other']}; {other}" if "other" in line else other
    columns = [
        Column("model", "Model"), Column("tier", "Tier"), Column("only", "Only"),
        *(Column(meter, title, Kind.EXACT) for meter, title in _OWN_COLUMN.items()),
        Column("currency", "Cur."), Column("from", "From", keep=3), Column("until", "Until", keep=2),
        Column("other", "Other", keep=4),
    ]  # fmt: skip
    alike = {"model", "tier"} if len({one.tier for one in found}) == 1 else {"model"}
    hidden = {name for name in alike if len({line[name] for line in lines.values()}) == 1}
    used = [one for one in columns if one.name not in hidden and any(line.get(one.name) for line in lines.values())]
    hours = dict.fromkeys(f"{one.when}: {one.hours}." for one in found if one.hours and one.hours != one.when)
    million = (
        ["Tokens: for a million, those read from a cache and written to one apart."]
        if {c.name for c in used} & _OWN_COLUMN.keys()
        else []
    )
    stale = _stale_notes(every, {found[0].provider}, settings)
    return Sheet(used, list(lines.values()), notes=[*million, *hours, *notes, *stale])


def _only(one: Tariff) -> str | None:
    return "; ".join(part for part in (f"prompts > {one.above:,}" if one.above else "", one.when or "") if part) or None


def _moment(at: datetime | None) -> date | datetime | None:
    return at if at is None or at.hour else at.date()


def _of_provider(found: list[Tariff], every: Lists, settings: Settings) -> Sheet:
    standard = [one for one in found if one.tier is None]
    tiers = sorted({one.tier for one in found if one.tier})
    more = f" and of the tiers {', '.join(tiers)}" if tiers else ""
    notes = [f"Where each is from{more}: `outlay prices {found[0].provider} MODEL`."]
    return _table(standard, every, settings, notes)


def _of_model(found: list[Tariff], every: Lists, settings: Settings) -> Sheet:
    """Print what one model's prices are from, and return them."""
    first = found[0]
    title = f"{first.model} ({first.provider})" if first.model else first.provider
    click.secho(title, bold=True, color=None if settings.color else False)
    checked = f", checked {first.checked}" if first.checked else ""
    click.echo(f"List: {first.list} ({first.origin}{checked})")
    for source in dict.fromkeys(one.source for one in found):
        click.echo(f"Source: {source}")
    for note in dict.fromkeys(one.note for one in found if one.note):
        click.echo(click.wrap_text(f"Note: {neutral(note)}", 80, subsequent_indent="  "))
    click.echo()
    return _table(found, every, settings, [])


@prices.command(
    cls=Command,
    epilog="""
    outlay prices check
    outlay prices check --check || echo "something is metered without a price"
    """,
)
@connection_option
@click.option("--check", "strict", is_flag=True, help="End with status 5 when anything has no price.")
@pass_settings
def check(settings: Settings, *, connections: tuple[str, ...], strict: bool) -> None:
    """Show what is metered and has no price by today's lists: it is in no sum of money."""
    from outlay.analysis.unpriced import unpriced
    from outlay.cli.answering import check_known, sheet

    config, every = settings.load(), _lists(settings)
    with open_ledger(settings, config) as ledger:
        check_known(ledger, config, connections)
        answer = unpriced(ledger, every, connections, clock=settings.clock)
    if settings.format == "table":
        show(_lacking(answer.records(), every, settings), settings)
    else:
        show(sheet("unpriced use", answer), settings)
    if strict and answer.rows:
        raise click.exceptions.Exit(int(Exit.CROSSED))


def _lacking(rows: list[dict[str, Any]], every: Lists, settings: Settings) -> Sheet:
    shown = [
        {**row, "days": f"{row['first_day']} to {row['last_day']}" if row["first_day"] != row["last_day"] else
         f"{row['first_day']}", "model": _with_tier(row)}
        for row in rows
    ]  # fmt: skip
    columns = [
        Column("connection", "Connection", keep=5), Column("model", "Model"), Column("meter", "Meter"),
        Column("quantity", "Quantity", Kind.QUANTITY), Column("days", "Days"),
    ]  # fmt: skip
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(f"{row['why']}. {row['hint']}", []).append(f"{row['model'] or row['provider']}")
    notes = [f"{', '.join(dict.fromkeys(models))}: {why}" for why, models in reasons.items()]
    notes += _stale_notes(every, {row["provider"] for row in rows}, settings)
    return Sheet(columns, shown, empty="Everything metered has a price.", notes=notes)


def _with_tier(row: dict[str, Any]) -> str | None:
    """Return a model with the tier that its use needs a price of, where it is not the standard one."""
    return f"{row['model'] or row['operation']} ({row['service_tier']})" if row["service_tier"] else row["model"]
