"""The configuration file: what is accepted, and what a mistake in it is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.config import (
    Connection,
    check_base_url,
    find,
    load,
    parse,
    parse_day,
    validate,
    validate_options,
    warnings,
)
from outlay.errors import ConfigError

FILE = Path("outlay.toml")
HOME = Path("home")
MINIMAL = """\
[connections.prod]
provider = "openai"
credential = "env:OPENAI_ADMIN_KEY"
"""


def connection(lines: str) -> Connection:
    """Return the one connection of a minimal file with lines added to it."""
    return parse(MINIMAL + lines, FILE, HOME).connections["prod"]


def refusal(text: str) -> ConfigError:
    """Return the error that a file's text raises."""
    with pytest.raises(ConfigError) as caught:
        parse(text, FILE, HOME)
    return caught.value


# ── What is read ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_file_is_read() -> None:
    """Every setting of the design's example ends up where the interfaces say."""
    config = parse(
        """
        [outlay]
        currency = "EUR"
        store = "s3://bucket/prefix"
        state = "postgresql+psycopg://db/outlay"

        [connections."acme.dev"]
        provider = "github"
        credential = "cmd:pass show github"
        base_url = "https://github.example.com/api/v3/"
        since = "2026-01-01"
        datasets = ["usage", "budgets", "usage"]
        organization = "acme"
        """,
        FILE,
        HOME,
    )
    assert (config.currency, config.store, config.state) == (
        "EUR",
        "s3://bucket/prefix",
        "postgresql+psycopg://db/outlay",
    )
    assert config.connections["acme.dev"] == Connection(
        name="acme.dev",
        provider="github",
        credential="cmd:pass show github",
        base_url="https://github.example.com/api/v3",
        since=date(2026, 1, 1),
        datasets=("usage", "budgets"),
        options={"organization": "acme"},
        allow_http=False,
    )


def test_options_become_text() -> None:
    """Numbers and lists of provider options are text afterwards, lists joined by commas."""
    found = connection('organizations = ["a", "b"]\nstore = 12\nfull = true\n')
    assert found.options == {"organizations": "a,b", "store": "12", "full": "true"}


def test_a_toml_date_is_a_day_too() -> None:
    """`since` may be written without quotes."""
    assert connection("since = 2026-02-28\n").since == date(2026, 2, 28)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    """Editors that write a mark at the beginning do not break the file."""
    path = tmp_path / "outlay.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert list(load(path, HOME, {}).connections) == ["prod"]


# ── Where it is found ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_order_of_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option wins over OUTLAY_CONFIG, that over the working folder, that over the user's folder."""
    user = tmp_path / "user" / "outlay.toml"
    monkeypatch.setattr("outlay.config.file.user_file", lambda: user)
    monkeypatch.chdir(tmp_path)
    files = {name: tmp_path / f"{name}.toml" for name in ("option", "variable")}
    for path in (*files.values(), tmp_path / "outlay.toml", user):
        path.parent.mkdir(exist_ok=True)
        path.write_text(MINIMAL)
    environ = {"OUTLAY_CONFIG": str(files["variable"])}
    assert find(files["option"], environ) == files["option"]
    assert find(None, environ) == files["variable"]
    assert find(None, {}) == Path("outlay.toml")
    (tmp_path / "outlay.toml").unlink()
    assert find(None, {}) == user
    user.unlink()
    assert find(None, {}) is None


@pytest.mark.parametrize("environ", [{}, {"OUTLAY_CONFIG": "nowhere.toml"}], ids=["option", "variable"])
def test_a_file_that_was_named_must_exist(environ: dict[str, str]) -> None:
    """A wrong path is told with who named it, and never falls back to another file."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        find(None if environ else Path("nowhere.toml"), environ)


def test_no_file_is_no_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file there is a configuration without connections."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("outlay.config.file.user_file", lambda: tmp_path / "none.toml")
    config = load(None, None, {"OUTLAY_HOME": str(tmp_path / "data")})
    assert (config.path, config.currency, config.connections, config.home) == (None, "USD", {}, tmp_path / "data")


def test_home_on_the_command_line_wins(tmp_path: Path) -> None:
    """`--home` is stronger than OUTLAY_HOME."""
    path = tmp_path / "outlay.toml"
    path.write_text("")
    assert load(path, tmp_path / "a", {"OUTLAY_HOME": str(tmp_path / "b")}).home == tmp_path / "a"


# ── Mistakes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "line", "says", "hint"),
    [
        ('[outlay]\ncurrancy = "USD"\n', 2, "currancy", "`currency`"),
        ('[conections.a]\nprovider = "openai"\n', 1, "conections", "`connections`"),
        ("[outlay]\n[connections.a]\nprovider = openai\n", 3, "not valid TOML", "quotes"),
        ('[connections.a]\nprovider = "x"\ncredentials = "env:A"\n', 3, "no `credential`", "`credentials`"),
        ('[connections.a]\ncredential = "env:A"\n', 1, "no `provider`", "provider ="),
        ('[outlay]\n\ncurrency = "usd"\n', 3, "currency", '"USD"'),
        ('[outlay]\nstate = "postgresql://db"\n', 2, "state", "postgresql+psycopg"),
        ('[outlay]\nstore = "/var/data"\n', 2, "store", "file://"),
        ('[connections."a b"]\nprovider = "x"\ncredential = "env:A"\n', 1, "'a b'", "a-b"),
        ('[connections.a.b]\nprovider = "x"\ncredential = "env:A"\n', 1, "`b`", 'connections."a.b"'),
        (MINIMAL + "datasets = []\n", 4, "datasets", '["costs"]'),
        (MINIMAL + 'datasets = "costs"\n', 4, "datasets", '["costs"]'),
        (MINIMAL + 'allow_http = "yes"\n', 4, "allow_http", ""),
        (MINIMAL + 'since = "2026-02-30"\n', 4, "2026-02-30", "YYYY-MM-DD"),
        (MINIMAL + "since = 1026-01-01\n", 4, "out of range", "2000"),
        (MINIMAL + "since = 2026-01-01T00:00:00Z\n", 4, "since", "2026-01-01"),
        (MINIMAL + 'base_url = "http://example.com"\n', 4, "unencrypted", "allow_http"),
        (MINIMAL + "organizations = [1]\n", 4, "organizations", ""),
        ("outlay = 1\n", 1, "must be a table", ""),
    ],
)
def test_a_mistake_is_placed_and_named(text: str, line: int, says: str, hint: str) -> None:
    """The error names the line and what is wrong on it, its hint what was meant."""
    error = refusal(text)
    assert f"outlay.toml, line {line}" in error.message
    assert says in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    "credential",
    ["sk-" + "abc123def456", "sec:ret-part", "", "env:", "Bearer abc"],
)
def test_a_plain_secret_is_refused_and_not_repeated(credential: str) -> None:
    """A secret in the file is refused with the ways to name it, and does not appear in the error."""
    error = refusal(MINIMAL.replace("env:OPENAI_ADMIN_KEY", credential))
    assert "line 3" in error.message
    assert not credential or credential not in error.message + error.hint or credential == "env:"


def test_a_bare_variable_name_is_understood() -> None:
    """Forgetting `env:` gets the line to write."""
    assert '"env:OPENAI_ADMIN_KEY"' in refusal(MINIMAL.replace("env:OPENAI", "OPENAI")).hint


def test_a_plain_reference_is_warned_about() -> None:
    """`plain:` works, and the warning names the connection and not the secret."""
    (warning,) = warnings(parse(MINIMAL.replace("env:OPENAI_ADMIN_KEY", "plain:trial-key"), FILE, HOME))
    assert "prod" in warning
    assert "trial-key" not in warning


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are told with their line."""
    path = tmp_path / "outlay.toml"
    path.write_bytes(b"# fine\n# \xff\xfe\n")
    with pytest.raises(ConfigError, match="line 2: the file is not UTF-8"):
        load(path, HOME, {})


# ── Base URLs ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ("https://api.example.com", "https://api.example.com"),
        ("https://api.example.com/v1/", "https://api.example.com/v1"),
        ("http://127.0.0.1:9100/openai", "http://127.0.0.1:9100/openai"),
        ("http://localhost:9100", "http://localhost:9100"),
        ("http://[::1]:9100", "http://[::1]:9100"),
    ],
)
def test_usable_base_urls(given_: str, kept: str) -> None:
    """HTTPS anywhere and plain HTTP on this machine are taken; a last slash goes."""
    assert check_base_url(given_) == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://0x7f.1",
        "ftp://example.com",
        "https://",
        "api.example.com",
        "https://user:" + "word@example.com",
        "https://user@example.com",
        "https://example.com?key=1",
        "https://example.com#part",
        "https://example.com:port",
        "https://example.com/a b",
        "https://example.com\\@other.example.com",
        "https://[::1",
        7,
    ],
)
def test_unusable_base_urls(url: object) -> None:
    """Everything else is refused, and what could be a password is not repeated."""
    with pytest.raises(ConfigError) as caught:
        check_base_url(url)
    assert "word" not in caught.value.message.replace("password", "")


def test_http_can_be_allowed() -> None:
    """`allow_http = true` lets a trusted network be used."""
    assert connection('base_url = "http://gateway.lan"\nallow_http = true\n').base_url == "http://gateway.lan"


# ── Days ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_days_are_read_as_they_are_written(day: date) -> None:
    """Every day of the century reads back as itself."""
    assert parse_day(day.isoformat()) == day


@pytest.mark.parametrize(
    "text", ["2026-1-1", "20260101", "2026-W01-1", "01.02.2026", "", "1999-12-31", "2100-01-01", "٢٠٢٦-01-01"]
)
def test_other_writings_are_no_days(text: str) -> None:
    """Short, foreign and far away days are refused."""
    with pytest.raises(ConfigError):
        parse_day(text)


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a = " + "9" * 5000], ids=["nested", "long"])
def test_a_file_made_to_hurt_is_refused(text: str) -> None:
    """Endless nesting and endless numbers are mistakes like any other."""
    assert refusal(text).message.startswith("outlay.toml")


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_named_mistake(text: str) -> None:
    """Whatever a file holds, reading it gives a configuration or a ConfigError, nothing else."""
    try:
        outcome = str(parse(text, FILE, HOME).path)
    except ConfigError as error:
        outcome = error.message
    assert outcome.startswith("outlay.toml")


# ── Against a provider ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Named:
    """An option or dataset of a provider made up for the test."""

    name: str
    required: bool = False
    one_of: str | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vendor:
    """A provider made up for the test."""

    id: str = "vendor"
    options: tuple[Named, ...] = (
        Named("organization", one_of="account"),
        Named("user", one_of="account"),
        Named("location", required=True),
        Named("note"),
    )
    datasets: tuple[Named, ...] = (Named("costs"), Named("usage"))


def test_fitting_options_pass() -> None:
    """One of the group and everything required is enough."""
    validate_options(Vendor(), {"organization": "acme", "location": "eu"})


@pytest.mark.parametrize(
    ("options", "says", "hint"),
    [
        ({"organisation": "acme", "location": "eu"}, "`organisation`", "`organization`"),
        ({"credentials": "x", "location": "eu"}, "`credentials`", "`credential`"),
        ({"zzz": "x"}, "`zzz`", "organization, user, location, note"),
        ({"location": "eu"}, "lacks its account", "organization, user"),
        ({"organization": "a", "user": "b", "location": "eu"}, "`organization` and `user`", "exactly one"),
        ({"organization": "acme"}, "`location`", "location ="),
        ({"organization": "acme", "location": ""}, "`location`", "location ="),
    ],
)
def test_options_that_do_not_fit(options: dict[str, str], says: str, hint: str) -> None:
    """Unknown, missing and contradicting options are each told with what to write."""
    with pytest.raises(ConfigError) as caught:
        validate_options(Vendor(), options)
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_an_unknown_dataset_gets_a_suggestion() -> None:
    """A connection's datasets are held against the provider's."""
    wrong = Connection("c", "vendor", "env:A", datasets=("cost",), options={"user": "a", "location": "eu"})
    with pytest.raises(ConfigError) as caught:
        validate(wrong, Vendor())
    assert "`cost`" in caught.value.message
    assert "`costs`" in caught.value.hint
