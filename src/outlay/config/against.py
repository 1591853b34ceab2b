"""Hold a connection against the description of its provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from outlay.config.values import CONNECTION_KEYS, Connection, suggestion
from outlay.errors import ConfigError


class _Option(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def required(self) -> bool: ...
    @property
    def one_of(self) -> str | None: ...
    @property
    def choices(self) -> Sequence[str]: ...


class _Dataset(Protocol):
    @property
    def name(self) -> str: ...


class Described(Protocol):
    """What a provider's description must tell for its connections to be checked."""

    @property
    def id(self) -> str:
        """Return the provider's id."""

    @property
    def options(self) -> Sequence[_Option]:
        """Return the options its connections take."""

    @property
    def datasets(self) -> Sequence[_Dataset]:
        """Return the datasets its connections offer."""


def validate_options(provider: Described, options: Mapping[str, str], *, where: str = "") -> None:
    """Refuse options that the provider does not know, and the lack of those it needs.

    Raises: ConfigError.
    """
    prefix = f"{where}: " if where else ""
    known = {option.name: option for option in provider.options}
    for name in options:
        if name not in known:
            hint = suggestion(name, (*known, *CONNECTION_KEYS), otherwise=_takes(provider.id, tuple(known)))
            raise ConfigError(f"{prefix}`{name}` is not an option of {provider.id}", hint=hint)
    given = {name for name, value in options.items() if value}
    for option in provider.options:
        if option.required and option.name not in given:
            raise ConfigError(f"{prefix}{provider.id} needs `{option.name}`", hint=f'Add {option.name} = "…".')
        value = options.get(option.name)
        if value and option.choices and value not in option.choices:
            hint = suggestion(value, option.choices, otherwise=f"Choose from: {', '.join(option.choices)}.")
            raise ConfigError(f"{prefix}`{option.name}` cannot be {value!r}", hint=hint)
    for group in dict.fromkeys(option.one_of for option in provider.options if option.one_of):
        members = [option.name for option in provider.options if option.one_of == group]
        chosen = [name for name in members if name in given]
        if len(chosen) != 1:
            problem = f"has both `{chosen[0]}` and `{chosen[1]}`" if chosen else "lacks its account"
            hint = f"Give exactly one of {', '.join(members)}."
            raise ConfigError(f"{prefix}the {provider.id} connection {problem}", hint=hint)


def validate(connection: Connection, provider: Described) -> None:
    """Refuse options and datasets that a connection's provider does not know. Raises: ConfigError."""
    where = f"[connections.{connection.name}]"
    validate_options(provider, connection.options, where=where)
    names = tuple(dataset.name for dataset in provider.datasets)
    for name in connection.datasets or ():
        if name not in names:
            hint = suggestion(name, names, otherwise=f"It offers: {', '.join(names)}.")
            raise ConfigError(f"{where}: {provider.id} has no dataset `{name}`", hint=hint)


def _takes(provider: str, names: Sequence[str]) -> str:
    return f"{provider} takes {', '.join(names)}." if names else f"{provider} takes no options of its own."
