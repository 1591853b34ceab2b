"""Write the reference pages of the documentation from the code they describe.

python tools/reference.py            write docs/reference
python tools/reference.py --check    say which page is out of date, and fail
"""

from __future__ import annotations

import inspect
import re
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from writing import code, fields, first_line, members, page, prose, table

import outlay
from outlay import config, errors
from outlay.cli.app import COMMANDS, cli
from outlay.cli.lazy import GLOBAL
from outlay.config import file
from outlay.model import basis, facts, focus, units
from outlay.providers import PROVIDERS
from outlay.providers.base import CAPABILITIES, Dataset, Provider
from outlay.store.schema import tables

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"
README = ROOT / "README.md"
# ── Commands ─────────────────────────────────────────────────────────────────────────────────────────────────────


def commands() -> str:
    """Return the page of commands, walked from the command line itself."""
    root = click.Context(cli, info_name="outlay")
    everywhere = [param for param in cli.get_params(root) if param.name in GLOBAL]
    parts = [
        "Global options may stand before or after the command's name. Data goes to stdout, talk to stderr.",
        "## Everywhere",
        _options(everywhere, root),
        "## Exit status",
        table(("status", "meaning"), ((code(value), words) for value, words in members(errors.Exit))),
    ]
    sections: dict[str, list[str]] = {}
    for name, entry in COMMANDS.items():
        sections.setdefault(entry.section, []).append(name)
    for section, names in sections.items():
        parts.append(f"## {section}")
        for name in names:
            command = cli.get_command(root, name)
            assert command is not None
            parts += _command(command, click.Context(command, info_name=name, parent=root), 3)
    return page("Commands", *parts)


def _command(command: click.Command, ctx: click.Context, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{ctx.command_path}`"
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield f"```\n{ctx.command_path} {usage}\n```"
    yield prose(command.help)
    own = [param for param in command.get_params(ctx) if param.name not in GLOBAL and "--help" not in param.opts]
    yield _options(own, ctx)
    if command.epilog:
        yield "```sh\n" + "\n".join(line.strip() for line in command.epilog.strip().splitlines()) + "\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            assert child is not None
            yield from _command(child, click.Context(child, info_name=name, parent=ctx), level + 1)


def _options(params: Iterable[click.Parameter], ctx: click.Context) -> str:
    rows = [record for param in params if (record := param.get_help_record(ctx)) is not None and record[1]]
    return table(("option", "meaning"), ((code(name), words) for name, words in rows)) if rows else ""


# ── Configuration ────────────────────────────────────────────────────────────────────────────────────────────────

OUTLAY_KEYS = {
    "currency": 'The currency amounts are shown in, `"USD"` unless said otherwise; stored facts keep their own.',
    "store": "Where the tables live: `file://`, `s3://`, `gs://` or `az://`. Default: the data folder.",
    "state": "Where operational state lives: `sqlite://` or `postgresql+psycopg://`. Default: the data folder.",
}
CONNECTION_KEYS = {
    "provider": "Which vendor, by its id. Required.",
    "credential": "Where the key is: `env:NAME`, `file:PATH`, `keyring:SERVICE/NAME`, `cmd:PROGRAM ARGS`; `none:` "
    "where facts are only entered. Required.",
    "base_url": "Replaces scheme and host of every endpoint and may add a path prefix: proxies, simulators.",
    "since": "The first day to fetch, `YYYY-MM-DD`. Default: 90 days ago, or as far as the vendor goes.",
    "datasets": "A list of the datasets to fetch. Default: all that the provider fetches by default.",
    "allow_http": "`true` allows a `base_url` without encryption beyond loopback.",
}
VARIABLES = {
    "OUTLAY_CONFIG": "The configuration file, where `--config` is not given.",
    "OUTLAY_HOME": "The data folder, where `--home` is not given.",
    "OUTLAY_DEBUG": "`1` adds tracebacks to reports of bugs, secrets removed.",
    "NO_COLOR": "Any value turns colour off.",
}


def configuration() -> str:
    """Return the page of settings; a setting that the code knows and this page does not is an error."""
    _same("[outlay]", OUTLAY_KEYS, file._OUTLAY_KEYS)  # noqa: SLF001 - the one list of these keys
    _same("[connections.NAME]", CONNECTION_KEYS, config.CONNECTION_KEYS)
    parts = [
        "`outlay.toml`, found by `--config`, `OUTLAY_CONFIG`, in the working folder or your configuration folder.",
        "## `[outlay]`",
        table(("key", "meaning"), ((code(key), words) for key, words in OUTLAY_KEYS.items())),
        "## `[connections.NAME]`",
        table(("key", "meaning"), ((code(key), words) for key, words in CONNECTION_KEYS.items())),
        "## Options of providers",
        'These stand in the connection\'s table beside the keys above. A list is written `["a", "b"]`.',
    ]
    rows = [
        (provider.title, code(option.name), option.help, _needed(option.required, option.one_of, provider))
        for provider in PROVIDERS
        for option in provider.options
    ]
    parts.append(table(("provider", "option", "meaning", "required"), rows))
    parts += [
        "## Environment",
        table(("variable", "meaning"), ((code(name), words) for name, words in VARIABLES.items())),
        "`outlay init` looks for keys in these variables, best first:",
        table(("provider", "variables"), ((p.title, ", ".join(map(code, p.environment))) for p in PROVIDERS)),
    ]
    return page("Configuration", *parts)


def _same(where: str, described: Iterable[str], known: Iterable[str]) -> None:
    if set(described) != set(known):
        raise SystemExit(
            f"tools/reference.py describes other keys of {where} than the code knows: {set(described) ^ set(known)}"
        )


def _needed(required: bool, one_of: str | None, provider: Provider) -> str:
    if one_of:
        return "one of " + ", ".join(code(option.name) for option in provider.options if option.one_of == one_of)
    return "yes" if required else "no"


# ── Errors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def error_page() -> str:
    """Return the page of errors: the tree, then each code with its hint."""
    drawing = (errors.__doc__ or "").partition("\n\n")[2]
    rows = (
        (code(error.code), error.__name__, int(error.exit), first_line(error.__doc__), error.default_hint)
        for error in _below(errors.OutlayError)
    )
    return page(
        "Errors",
        "What each code means in practice is told in [errors](../errors.md).",
        f"```\n{drawing.strip()}\n```",
        table(("code", "class", "exit", "meaning", "hint"), rows),
    )


def _below(root: type[errors.OutlayError]) -> Iterator[type[errors.OutlayError]]:
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from _below(child)


# ── Providers and datasets ───────────────────────────────────────────────────────────────────────────────────────

HOWS = {"api": "API", "headers": "headers", "export": "export", "entered": "entered", "none": "–"}


def provider_page() -> str:
    """Return the page of providers: what each offers, then each in detail."""
    parts = [
        "How each capability is had: by the vendor's API, from an answer's headers, an export, by hand, or not (–).",
        offers(),
    ]
    for provider in PROVIDERS:
        notes = [(name, offer.how, offer.note) for name, offer in provider.offers.items() if offer.note]
        parts += [
            f"## {provider.title}",
            f'`provider = "{provider.id}"` · {code(provider.base_url)} · [more](../providers/{provider.id}.md)',
            provider.key_help,
            table(
                ("key begins with", "kind", "usable", "can do more than read"),
                ((code(key.prefix), key.title, _yes(key.usable), _yes(key.more_than_read)) for key in provider.keys),
            )
            if provider.keys
            else "",
            table(("capability", "how", "note"), notes) if notes else "",
            "Sources: " + ", ".join(f"<{source}>" for source in provider.sources),
        ]
    return page("Providers", *parts)


def offers() -> str:
    """Return the table of what each provider offers."""
    rows = (
        (
            provider.title,
            *(HOWS[provider.offers[name].how] if name in provider.offers else "–" for name in CAPABILITIES),
        )
        for provider in PROVIDERS
    )
    return table(("provider", *CAPABILITIES), rows)


PLANNED = {
    "brave": "Brave Search",
    "deepseek": "DeepSeek",
    "elevenlabs": "ElevenLabs",
    "google": "Google Cloud",
    "groq": "Groq",
    "huggingface": "Hugging Face",
    "lemonsqueezy": "Lemon Squeezy",
    "railway": "Railway",
    "stripe": "Stripe",
    "supabase": "Supabase",
}


def planned() -> str:
    """Return the sentence that names the providers still to come, or nothing."""
    known = {provider.id for provider in PROVIDERS}
    names = [title for name, title in PLANNED.items() if name not in known]
    return "\n\nNot built yet: " + ", ".join(names) + "." if names else ""


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def datasets() -> str:
    """Return the page of datasets, with the endpoints each is read from."""
    parts = [
        "A *partition* is a day, a month, a reading of the present state, or the list of names.",
        "The *horizon*: for so many days after its end a partition is asked for again, because vendors restate.",
    ]
    for provider in PROVIDERS:
        parts += [
            f"## {provider.title}",
            table(
                ("dataset", "what", "yields", "partition", "horizon", "reach", "by default", "endpoints"),
                map(_dataset, provider.all_datasets),
            ),
        ]
    return page("Datasets", *parts)


def _dataset(dataset: Dataset) -> tuple[str, ...]:
    return (
        code(dataset.name),
        dataset.title,
        ", ".join(kind.__name__ for kind in dataset.yields),
        dataset.grain,
        f"{dataset.horizon_days} d" if dataset.grain in {"day", "month"} else "",
        f"{dataset.lookback_days} d" if dataset.lookback_days is not None else "",
        _yes(dataset.default) + (", where the options ask for it" if dataset.when else ""),
        ", ".join(dict.fromkeys(code(endpoint.path) for endpoint in dataset.endpoints)) or "none: worked out",
    )


# ── Facts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def fact_page() -> str:
    """Return the page of facts, units, basis and FOCUS columns."""
    parts = [
        "A fact says nothing about when it was observed or which batch it belongs to; the commit adds that.",
        "## Basis",
        table(("basis", "meaning"), members(basis.Basis)),
    ]
    for kind in facts.Fact.__args__:
        parts += [
            f"## {kind.__name__}",
            prose(kind.__doc__),
            table(("field", "type", "meaning"), ((code(n), code(t), w) for n, t, w in fields(kind))),
        ]
    parts += [
        "## Units",
        "A vendor's word that is not here is kept as it is and never converted.",
        table(("unit", "dimension", "in FOCUS"), ((code(u.name), u.dimension, u.focus) for u in units.UNITS.values())),
        "## FOCUS columns",
        "M mandatory, C conditional, R recommended, per version of the specification.",
        table(
            ("column", "type", *focus.VERSIONS, "nullable"),
            ((code(c.name), c.type, *(c.level(v) for v in focus.VERSIONS), _yes(c.nullable)) for c in focus.COLUMNS),
        ),
    ]
    return page("Facts and columns", *parts)


def table_page() -> str:
    """Return the page of the ledger's tables, for those who read them in SQL or with other engines."""
    parts = ["The columns `outlay sql` shows. Amounts are exact decimals, times are in UTC, JSON is kept as text."]
    for each in tables().values():
        rows = ((code(column.name), code(column.kind.value)) for column in each.view)
        parts += [f"## `{each.name}`", table(("column", "type"), rows)]
    return page("Tables", *parts)


# ── Python ───────────────────────────────────────────────────────────────────────────────────────────────────────


def python_api() -> str:
    """Return the page of the Python API, from what the package says it exports."""
    parts = [prose(outlay.__doc__)]
    for name in sorted(outlay.__all__, key=lambda name: (name[:1].isupper(), name)):
        value = getattr(outlay, name)
        if inspect.isclass(value):
            parts += _class(name, value)
        elif callable(value):
            parts += [f"## `{name}`", f"```python\n{name}{_signature(value)}\n```", prose(value.__doc__)]
        else:
            parts += [f"## `{name}`", code(value) if isinstance(value, str) and name != "__version__" else ""]
    return page("Python API", *parts)


def _class(name: str, value: type) -> Iterator[str]:
    yield f"## `{name}`"
    yield prose(value.__doc__)
    rows = list(fields(value)) if value.__module__.startswith("outlay") else []
    rows = [row for row in rows if not row[0].startswith("_")]
    if rows:
        yield table(("field", "type", "meaning"), ((code(n), code(t), w) for n, t, w in rows))
    for method, function in vars(value).items():
        if method.startswith("_"):
            continue
        if isinstance(function, property):
            yield f"### `{name}.{method}`\n\n{prose(function.__doc__)}"
        elif callable(function) or isinstance(function, classmethod | staticmethod):
            called = getattr(value, method)
            yield f"### `{name}.{method}`\n\n```python\n{method}{_signature(called)}\n```\n\n{prose(called.__doc__)}"


def _signature(function: Callable[..., Any]) -> str:
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(function)))
    return re.sub(r"<function (\w+) at 0x\w+>", r"\1", re.sub(r"\b(?:\w+\.)+(?=[A-Z])", "", text))


PAGES: dict[str, Callable[[], str]] = {
    "commands": commands,
    "configuration": configuration,
    "errors": error_page,
    "providers": provider_page,
    "datasets": datasets,
    "facts": fact_page,
    "tables": table_page,
    "python-api": python_api,
}


def readme() -> str:
    """Return the README with its table of providers as the code has it."""
    return re.sub(
        r"(?s)(<!-- offers -->\n\n).*?(\n\n<!-- /offers -->)",
        lambda m: m[1] + offers() + planned() + m[2],
        README.read_text("utf-8"),
    )


def stale() -> list[str]:
    """Return the names of pages that are not what the code says, and of files that are no page."""
    wrong = [name for name, write in PAGES.items() if _now(name) != write()]
    wrong += ["README.md"] if README.read_text("utf-8") != readme() else []
    return wrong + [path.stem for path in FOLDER.glob("*.md") if path.stem not in PAGES]


def _now(name: str) -> str | None:
    path = FOLDER / f"{name}.md"
    return path.read_text("utf-8") if path.exists() else None


def main() -> None:
    """Write the pages, or check them."""
    parser = ArgumentParser(description="Write docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a page is out of date")
    if parser.parse_args().check:
        wrong = stale()
        sys.exit(f"out of date: {', '.join(wrong)}; run python tools/reference.py" if wrong else 0)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / f"{name}.md").write_text(write(), "utf-8")
    README.write_text(readme(), "utf-8")


if __name__ == "__main__":
    main()
