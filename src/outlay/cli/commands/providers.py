"""`outlay providers`: what each vendor offers, and what a connection to it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from outlay.cli.lazy import Command
from outlay.cli.output import Column, Sheet, show, show_json
from outlay.cli.params import find_provider, provider_argument
from outlay.cli.settings import Settings, pass_settings

if TYPE_CHECKING:
    from outlay.providers.base import Provider


@click.command(
    cls=Command,
    epilog="""
    outlay providers
    outlay providers openai
    outlay providers --format json
    """,
)
@provider_argument(required=False)
@pass_settings
def providers(settings: Settings, provider: str | None) -> None:
    """Show what each provider offers, or everything about one.

    Each cell says how: by the vendor's API, from response headers, from an export the user downloads, entered by hand,
    or not at all (–).
    """
    if provider is not None:
        _one(find_provider(provider), settings)
        return
    from outlay.providers import PROVIDERS
    from outlay.providers.base import CAPABILITIES

    columns = [Column("provider", "Provider"), Column("title", "Name", keep=1)]
    columns += [Column(name, name.capitalize(), keep=8 if name == "cost" else 5) for name in CAPABILITIES]
    rows = [
        {"provider": each.id, "title": each.title, **{name: _how(each, name) for name in CAPABILITIES}}
        for each in PROVIDERS
    ]
    show(Sheet(columns, rows, notes=("`outlay providers ID` shows one in detail.",)), settings)


def _how(provider: Provider, capability: str) -> str | None:
    offer = provider.offers.get(capability)
    return None if offer is None or offer.how == "none" else offer.how


def detail(provider: Provider) -> dict[str, object]:
    """Return all that a user may want to know of one provider, in one JSON object."""
    return {
        "provider": provider.id,
        "title": provider.title,
        "base_url": provider.base_url,
        "environment": list(provider.environment),
        "key_help": provider.key_help,
        "keys": [
            {
                "prefix": k.prefix,
                "title": k.title,
                "usable": k.usable,
                "more_than_read": k.more_than_read,
                "hint": k.hint,
            }
            for k in provider.keys
        ],
        "options": [
            {"name": o.name, "help": o.help, "required": o.required, "one_of": o.one_of} for o in provider.options
        ],
        "datasets": [
            {
                "name": d.name,
                "title": d.title,
                "yields": [kind.__name__.lower() for kind in d.yields],
                "grain": d.grain,
                "horizon_days": d.horizon_days,
                "default": d.default,
            }
            for d in provider.all_datasets
        ],
        "offers": {name: {"how": offer.how, "note": offer.note} for name, offer in provider.offers.items()},
        "sources": list(provider.sources),
    }


def _one(provider: Provider, settings: Settings) -> None:
    if settings.format == "json":
        show_json(detail(provider))
        return
    if settings.format == "csv":
        columns = [Column(name, name) for name in ("dataset", "title", "yields", "grain", "horizon_days", "default")]
        show(Sheet(columns, _datasets(provider)), settings)
        return
    _print(provider, settings)


def _datasets(provider: Provider) -> list[dict[str, object]]:
    return [
        {
            "dataset": dataset.name,
            "title": dataset.title,
            "yields": ", ".join(kind.__name__.lower() for kind in dataset.yields),
            "grain": dataset.grain,
            "horizon_days": dataset.horizon_days,
            "default": dataset.default,
        }
        for dataset in provider.all_datasets
    ]


def _print(provider: Provider, settings: Settings) -> None:
    _title(f"{provider.title} ({provider.id})", settings)
    click.echo(_wrapped(f"Key: {provider.key_help}"))
    click.echo(f"Environment: {', '.join(provider.environment) or '–'}    Base URL: {provider.base_url}")
    if provider.keys:
        click.echo()
        rows = [{"key": k.prefix, "kind": k.title, "use": _use(k.usable, k.more_than_read)} for k in provider.keys]
        show(Sheet([Column("key", "Key begins"), Column("kind", "Kind"), Column("use", "Fit")], rows), settings)
    if provider.options:
        click.echo()
        options = [
            {
                "option": o.name,
                "need": "required" if o.required else f"one of: {o.one_of}" if o.one_of else "optional",
                "help": o.help,
            }
            for o in provider.options
        ]
        show(
            Sheet([Column("option", "Option"), Column("need", "Needed"), Column("help", "What it is")], options),
            settings,
        )
    click.echo()
    datasets = [
        Column("dataset", "Dataset"),
        Column("title", "What it holds"),
        Column("yields", "Yields"),
        Column("grain", "Per"),
    ]
    show(Sheet(datasets, _datasets(provider)), settings)
    click.echo()
    offers = [{"what": name, "how": offer.how, "note": offer.note} for name, offer in provider.offers.items()]
    show(Sheet([Column("what", "Offers"), Column("how", "By"), Column("note", "Note")], offers), settings)
    click.echo()
    _title("Sources", settings)
    for source in provider.sources:
        click.echo(f"  {source}")


def _use(usable: bool, more_than_read: bool) -> str:
    return ("yes, but it can do more than read" if more_than_read else "yes") if usable else "no"


def _title(text: str, settings: Settings) -> None:
    click.secho(text, bold=True, color=None if settings.color else False)


def _wrapped(text: str) -> str:
    return click.wrap_text(text, 80, preserve_paragraphs=True)
