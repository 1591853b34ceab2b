"""Build the request that asks for one window, without the credential: what `--dry-run` shows is what is sent."""

from __future__ import annotations

import copy
import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from importlib import metadata
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from outlay.errors import BugError, ConfigError
from outlay.model.period import Period
from outlay.providers.base import Endpoint, Form, GraphQL, Provider
from outlay.wire import pages, windows

_VARIABLE = re.compile(r"\{([a-z_]+)\}")
JSON, FORM, EVENTS = "application/json", "application/x-www-form-urlencoded", "text/event-stream"


class Request(msgspec.Struct, frozen=True):
    """One request as it will be sent, apart from the credential.

    `url` has no query; `path` is the vendor's own path, without the prefix a `base_url` may carry.
    """

    method: str
    url: str
    path: str
    params: list[tuple[str, str]]
    headers: dict[str, str]
    body: dict[str, Any] | None = None
    """The JSON document or the fields of the form of a POST request; None for GET."""

    @property
    def target(self) -> str:
        """Return the vendor's path with its query, as payloads keep it."""
        target = f"{self.path}?{urlencode(self.params)}" if self.params else self.path
        return shown(target, self.body, form=self.headers.get("content-type") == FORM)


def build(
    provider: Provider,
    endpoint: Endpoint[Any],
    options: Mapping[str, str],
    period: Period,
    item: str | None = None,
    base_url: str | None = None,
    now: datetime | None = None,
) -> Request:
    """Return the request for the first page of one window.

    Raises: ConfigError when an option the path needs is missing or the base URL is not usable.
    """
    variables = dict(provider.variables(options))
    params: list[tuple[str, str]] = []
    for name, value in endpoint.query.items():
        values = value if isinstance(value, tuple) else (value,)
        params += [(name, _text(single)) for single in values]
    params += [(name, options[option]) for name, option in endpoint.query_options.items() if options.get(option)]
    said: list[tuple[str, str | int]] = [*windows.values(endpoint.window, period, now)]
    if item is not None:
        if endpoint.each is None:
            raise BugError(f"{provider.id} {endpoint.name} asks for no items and was given one")
        for each, name in endpoint.each.parts(item):
            if each.place == "path":
                variables[each.parameter] = name
            else:
                said.append((each.parameter, name))
    said += pages.first(endpoint.pages)
    said += [(name, options[option]) for name, option in endpoint.body_options.items() if options.get(option)]
    body = None if endpoint.body is None else filled(endpoint, _document(provider, endpoint, variables), said)
    if body is None:
        params += [(name, str(value)) for name, value in said]
    path = _VARIABLE.sub(lambda match: _segment(match[1], variables, provider, endpoint), endpoint.path)
    headers = {"user-agent": user_agent(), "accept": EVENTS if endpoint.stream else JSON}
    if not endpoint.stream:  # events are wanted the moment they are sent, and packers hold them back
        headers["accept-encoding"] = "gzip"
    headers |= {name.lower(): value for name, value in {**provider.headers, **endpoint.headers}.items()}
    headers |= _told(provider, options)
    if body is not None:
        headers["content-type"] = FORM if isinstance(endpoint.body, Form) else JSON
    method = "GET" if body is None else "POST"
    return Request(method, root(provider, endpoint, base_url) + path, path, params, headers, body)


def filled(
    endpoint: Endpoint[Any], body: Mapping[str, object], values: Iterable[tuple[str, str | int]]
) -> dict[str, Any]:
    """Return a copy of what an endpoint sends with values in it: fields of a form, or places in a document."""
    if isinstance(endpoint.body, Form):
        return {**body, **dict(values)}
    prefix = "variables." if isinstance(endpoint.body, GraphQL) else ""
    return written(body, [(prefix + name, value) for name, value in values])


def encoded(endpoint: Endpoint[Any], body: Mapping[str, Any]) -> bytes:
    """Return what an endpoint sends as it goes over the wire."""
    if not isinstance(endpoint.body, Form):
        return msgspec.json.encode(body)
    fields = ((name, value if isinstance(value, tuple) else (value,)) for name, value in body.items())
    return urlencode([(name, _text(single)) for name, values in fields for single in values]).encode()


def shown(target: str, body: Mapping[str, Any] | None, *, form: bool = False) -> str:
    """Return a path with a form's fields or a query's plain variables behind it, to tell two requests apart."""
    variables = body if form else body.get("variables") if body and "query" in body else None
    if not isinstance(variables, dict):
        return target
    plain = {name: value for name, value in variables.items() if isinstance(value, str | int)}
    return f"{target}#{urlencode(plain)}" if plain else target


def _document(provider: Provider, endpoint: Endpoint[Any], variables: Mapping[str, str]) -> Mapping[str, object]:
    body = endpoint.body
    assert body is not None
    if isinstance(body, Form):
        return body.fields
    if not isinstance(body, GraphQL):
        return body
    given = {}
    for name, option in body.options.items():
        if not variables.get(option):
            raise ConfigError(f"{provider.title} needs the option `{option}` for {endpoint.name}")
        given[name] = variables[option]
    return {"query": body.document, "variables": {**body.variables, **given}}


def written(body: Mapping[str, object], values: Iterable[tuple[str, str | int]]) -> dict[str, Any]:
    """Return a copy of a JSON document with values written into it, each at its dotted name."""
    document: dict[str, Any] = copy.deepcopy(dict(body))
    for name, value in values:
        *outer, last = name.split(".")
        place = document
        for part in outer:
            place = place.setdefault(part, {})
        place[last] = value
    return document


def _told(provider: Provider, options: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the connection's options give."""
    headers = {}
    for name, option in provider.header_options.items():
        if value := options.get(option):
            if not value.isascii() or not value.isprintable():
                raise ConfigError(f"{provider.title}'s option `{option}` holds characters that no header can carry")
            headers[name.lower()] = value
    return headers


def base(provider: Provider, base_url: str | None) -> str:
    """Return scheme, host and path prefix that every path of a provider follows.

    Raises: ConfigError when it is no plain http(s) address.
    """
    return _checked((base_url or provider.base_url).rstrip("/"))


@lru_cache(maxsize=64)
def _checked(text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(character.isspace() or not character.isprintable() for character in text):
        raise ConfigError("base_url must be an address such as https://api.example.com or http://127.0.0.1:9100/prefix")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError("base_url must have no user, password, query or fragment")
    return text


def root(provider: Provider, endpoint: Endpoint[Any], base_url: str | None) -> str:
    """Return what an endpoint's path follows: its own host, unless the connection sets an address for all of them.

    Raises: ConfigError when it is no plain http(s) address.
    """
    found = base(provider, base_url)
    return endpoint.host if endpoint.host and found == provider.base_url else found


def is_loopback(url: str) -> bool:
    """Tell whether an address stays on this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_scheme(url: str, *, allow_http: bool, what: str = "base_url") -> None:
    """Refuse to send a credential unencrypted.

    Raises: ConfigError for plain http to another machine, unless the connection allows it.
    """
    if urlsplit(url).scheme == "http" and not allow_http and not is_loopback(url):
        raise ConfigError(
            f"{what} uses http, which shows the credential to everyone on the way to {urlsplit(url).hostname}",
            hint="Use https, or set `allow_http = true` on the connection if the way there is trusted.",
        )


@lru_cache(maxsize=1)
def user_agent() -> str:
    """Return how Outlay introduces itself to vendors."""
    try:
        return f"outlay/{metadata.version('outlay')}"
    except metadata.PackageNotFoundError:
        return "outlay/dev"


def _text(value: str | int) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _segment(name: str, variables: Mapping[str, str], provider: Provider, endpoint: Endpoint[Any]) -> str:
    value = variables.get(name)
    each = endpoint.each
    if value is None and each is not None and name in (each.parameter, each.within and each.within.parameter):
        raise BugError(f"{provider.id} {endpoint.name} was asked without its {name}")
    if value is None or value in ("", ".", ".."):
        # A dot segment would lead the request, key and all, to another path than the one described.
        raise ConfigError(f"{provider.title} needs the option `{name}` for {endpoint.name}")
    return quote(value, safe="")
