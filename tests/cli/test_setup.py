"""`init`, `connect`, `providers`, `doctor`: from nothing to a connection that is proven."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from outlay.cli.probe import DatasetProof, Proof
from outlay.config import parse
from outlay.providers import PROVIDERS
from outlay.simulator import Simulator
from outlay.simulator.worlds.huggingface import ACME, SHUT

OPENAI_KEY = "sk-" + "admin-" + "fake0000"
PROJECT_KEY = "sk-" + "proj-" + "fake0000"


def written(line: Any) -> str:
    """Return the text of the file that a command wrote into the working folder."""
    return Path("outlay.toml").read_text()


# ── init ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_init_writes_what_the_environment_holds(line: Any) -> None:
    """Every key found becomes a connection that names its variable; the key itself is nowhere."""
    line.environ = {"OPENAI_ADMIN_KEY": OPENAI_KEY}
    result = line("init")
    assert result.exit_code == 0
    config = parse(written(line), Path("outlay.toml"), line.home)
    assert config.connections["openai"].credential == "env:OPENAI_ADMIN_KEY"
    assert OPENAI_KEY not in written(line) + result.output


@pytest.mark.skipif(os.name != "posix", reason="modes exist on POSIX alone")
def test_init_keeps_the_file_to_its_owner(line: Any) -> None:
    """The file is readable by its owner alone."""
    line("init")
    assert stat.S_IMODE(Path("outlay.toml").stat().st_mode) == 0o600


def test_init_replaces_nothing_unasked(line: Any) -> None:
    """A file that is there stays, unless --force is given."""
    Path("outlay.toml").write_text("# mine\n")
    result = line("init")
    assert result.exit_code == 2
    assert written(line) == "# mine\n"
    assert line("init", "--force").exit_code == 0
    assert "# mine" not in written(line)


def test_init_leaves_what_it_cannot_know_as_a_comment(line: Any) -> None:
    """A connection that needs an account is written out to be filled in, and does not break the others."""
    line.environ = {"GITHUB_TOKEN": "ghp_" + "fake0000", "OPENAI_ADMIN_KEY": OPENAI_KEY}
    line("init")
    assert list(parse(written(line), Path("outlay.toml"), line.home).connections) == ["openai"]
    assert '# organization = ""' in written(line)


def test_init_knows_a_key_of_the_wrong_kind(line: Any) -> None:
    """A key that cannot read costs is told at once, not at the first sync."""
    variable = next(each for each in PROVIDERS if each.id == "openai").environment[-1]
    line.environ = {variable: PROJECT_KEY}
    (row,) = line.json("init")["rows"]
    assert "wrong kind" in row["lacks"]
    assert PROJECT_KEY not in written(line)


def test_init_finds_nothing(line: Any) -> None:
    """Without keys there is a file to fill in, and the next step."""
    result = line("init")
    assert result.exit_code == 0
    assert "outlay connect" in result.stderr
    assert parse(written(line), Path("outlay.toml"), line.home).connections == {}


# ── connect ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_connect_appends_and_keeps_the_rest(line: Any) -> None:
    """Comments and layout of the file stay; the connection comes after them."""
    before = '# mine\n[outlay]\ncurrency   =   "EUR"  # ours'
    Path("outlay.toml").write_text(before)
    Path("outlay.toml").chmod(0o640)
    result = line(
        "connect", "github", "--name", "acme.dev", "--credential", "env:GH_KEY", "--option", "organization=acme",
        "--since", "2026-01-01", "--datasets", "usage,budgets", "--base-url", "https://github.example.com/api/v3/",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert written(line).startswith(before)
    found = parse(written(line), Path("outlay.toml"), line.home).connections["acme.dev"]
    assert found.options == {"organization": "acme"}
    assert found.datasets == ("usage", "budgets")
    assert str(found.since) == "2026-01-01"
    assert found.base_url == "https://github.example.com/api/v3"
    assert stat.S_IMODE(Path("outlay.toml").stat().st_mode) == 0o640


def test_connect_makes_the_file(line: Any) -> None:
    """Where there is no file, the first connection makes it; a key in the environment is found."""
    line.environ = {"OPENAI_ADMIN_KEY": OPENAI_KEY}
    assert line("connect", "openai").exit_code == 0
    (found,) = parse(written(line), Path("outlay.toml"), line.home).connections.values()
    assert (found.name, found.credential) == ("openai", "env:OPENAI_ADMIN_KEY")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("opnai",), "`openai`"),
        (("openai",), "credential"),
        (("openai", "--credential", "sk-" + "abcdef"), "plain secret"),
        (("openai", "--credential", "env:A", "--name", "a b"), "a-b"),
        (("openai", "--credential", "env:A", "--option", "organisation=x"), "organisation"),
        (("openai", "--credential", "env:A", "--datasets", "cost"), "`costs`"),
        (("openai", "--credential", "env:A", "--base-url", "http://example.com"), "unencrypted"),
        (("github", "--credential", "env:A"), "organization"),
        (("openai", "--credential", "env:A", "--name", "there"), "already"),
    ],
)
def test_connect_refuses_what_would_not_work(line: Any, arguments: tuple[str, ...], says: str) -> None:
    """Nothing is written when the connection could not be read back."""
    before = '[connections.there]\nprovider = "openai"\ncredential = "env:A"\n'
    Path("outlay.toml").write_text(before)
    result = line("connect", *arguments)
    assert result.exit_code == 2, result.output
    assert says in result.stderr
    assert written(line) == before


def test_connect_cannot_break_into_the_file(line: Any) -> None:
    """What is given is quoted: it cannot open a table or another key."""
    evil = 'a"\nprovider = "x"\n[outlay]\ncurrency = "EUR"'
    line("connect", "openai", "--credential", f"file:{evil}")
    config = parse(written(line), Path("outlay.toml"), line.home)
    assert config.currency == "USD"
    assert config.connections["openai"].credential == f"file:{evil}"


# ── providers ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_providers_say_what_they_offer(line: Any) -> None:
    """The table derives from the descriptions: every provider, every capability."""
    rows = {row["provider"]: row for row in line.json("providers")["rows"]}
    assert list(rows) == [provider.id for provider in PROVIDERS]
    for provider in PROVIDERS:
        how = provider.offers["cost"].how
        assert rows[provider.id]["cost"] == (None if how == "none" else how)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.id)
def test_a_provider_in_detail(line: Any, provider: Any) -> None:
    """One provider's page holds its key, options, datasets and sources, in eighty columns where texts can fold."""
    detail = line.json("providers", provider.id)
    assert detail["key_help"] == provider.key_help
    assert [one["name"] for one in detail["options"]] == [option.name for option in provider.options]
    assert [one["name"] for one in detail["datasets"]] == [dataset.name for dataset in provider.all_datasets]
    text = line("providers", provider.id).stdout
    assert max(len(one) for one in text.splitlines() if "https://" not in one) <= 80


# ── doctor ───────────────────────────────────────────────────────────────────────────────────────────────────────


def connected(line: Any, simulator: Simulator, provider: str, key: str, **options: str) -> None:
    """Write a configuration with one connection to a simulated vendor."""
    extra = "".join(f'{name} = "{value}"\n' for name, value in options.items())
    Path("outlay.toml").write_text(
        f'[connections.c]\nprovider = "{provider}"\ncredential = "env:KEY"\n'
        f'base_url = "{simulator.base_url(provider)}"\n{extra}'
    )
    line.environ = {"KEY": key}


def test_doctor_proves_a_connection(line: Any, simulator: Simulator) -> None:
    """A key that may read everything makes every dataset ok, with one request for each."""
    connected(line, simulator, "openai", "sim-openai-admin")
    (proof,) = line.json("doctor")["connections"]
    assert proof["state"] == "ok"
    assert {dataset["state"] for dataset in proof["datasets"]} <= {"ok", "not_offered"}
    assert proof["requests"] <= len(proof["datasets"])
    assert not line.home.exists()


def test_doctor_calls_nothing_ok_that_it_did_not_ask_for(line: Any, simulator: Simulator) -> None:
    """Brave without a probe is unchecked, whatever the key: no request is made, and it is told what would check it."""
    connected(line, simulator, "brave", "sim-brave-nobody")
    before = len(simulator.requests)
    (proof,) = line.json("doctor")["connections"]
    assert (proof["state"], proof["datasets"], proof["requests"]) == ("unchecked", [], 0)
    [told] = [warning for warning in proof["warnings"] if "checked" in warning]
    assert told.startswith("nothing was checked, not even the key")
    assert 'Set probe = "free" or "paid" and try again' in told
    assert "not billed" in told
    assert "plan" not in told
    result = line("doctor")
    assert result.exit_code == 0
    assert "unchecked" in result.stdout
    assert "all is well" not in result.stderr
    assert len(simulator.requests) == before


def test_doctor_proves_brave_by_the_probe_that_an_option_asks_for(line: Any, simulator: Simulator) -> None:
    """The free probe is one request that is refused and not billed; it tells a right key from a wrong one."""
    before = len(simulator.requests)
    for key, status, state in (("sim-brave-metered", 0, "ok"), ("sim-brave-nobody", 3, "failed")):
        connected(line, simulator, "brave", key, probe="free")
        (proof,) = line.json("doctor", status=status)["connections"]
        assert (proof["state"], proof["requests"]) == (state, 1)
    assert {(seen.provider, seen.status) for seen in simulator.requests[before:]} == {("brave", 422)}


def test_doctor_takes_no_refusal_to_offer_for_a_proof() -> None:
    """Where every dataset is answered by `not offered`, nothing of the key is proved."""
    proof = Proof("c", "groq", datasets=[DatasetProof("usage", "not_offered"), DatasetProof("limits", "unproven")])
    assert proof.state == "unchecked"
    assert Proof("c", "groq", datasets=[DatasetProof("usage", "not_offered"), DatasetProof("models")]).state == "ok"


def test_doctor_finds_a_missing_permission(line: Any, simulator: Simulator) -> None:
    """What the key may not read fails with what to do, the rest is ok, the status is 3."""
    connected(line, simulator, "openai", "sim-openai-restricted")
    (proof,) = line.json("doctor", status=3)["connections"]
    states = {dataset["dataset"]: dataset for dataset in proof["datasets"]}
    assert proof["state"] == "partial"
    assert states["costs"]["state"] == "permission_missing"
    assert states["costs"]["hint"]
    assert states["projects"]["state"] == "ok"


def test_doctor_asks_as_a_sync_does(line: Any, simulator: Simulator) -> None:
    """What a sync reads from a second endpoint, for want of a permission that the first one takes, is no trouble."""
    connected(line, simulator, "railway", "sim-railway-member")
    (proof,) = line.json("doctor", status=3)["connections"]
    states = {dataset["dataset"]: dataset["state"] for dataset in proof["datasets"]}
    assert states["usage"] == "ok", "without the billing period use is read all the same"
    assert {name for name, state in states.items() if state == "permission_missing"} == {
        "customer", "invoices", "agent_usage",
    }  # fmt: skip


def test_doctor_proves_each_organization_and_names_the_one_that_refuses(line: Any, simulator: Simulator) -> None:
    """One of several that shows no bill is found wherever it stands; without it all is well, and each is asked."""
    for listed in (f"{ACME}, {SHUT}", f"{SHUT}, {ACME}"):
        connected(line, simulator, "huggingface", "sim-huggingface-fine", organizations=listed)
        (proof,) = line.json("doctor", status=3)["connections"]
        found = {dataset["dataset"]: dataset for dataset in proof["datasets"]}
        assert proof["state"] == "partial"
        assert found["organization_usage"]["state"] == "permission_missing"
        assert found["organization_usage"]["says"].startswith(f"{SHUT}: ")
        assert "organizations" in found["organization_usage"]["hint"]
        assert found["usage"]["state"] == "ok"
    before = len(simulator.requests)
    connected(line, simulator, "huggingface", "sim-huggingface-fine", organizations=ACME)
    assert line.json("doctor")["connections"][0]["state"] == "ok"
    assert not [seen for seen in simulator.requests[before:] if SHUT in seen.path]
    connected(line, simulator, "huggingface", "sim-huggingface-fine", organizations=f"{ACME}, Renamed")
    (proof,) = line.json("doctor", status=3)["connections"]
    told = {dataset["dataset"]: dataset["says"] for dataset in proof["datasets"]}
    assert told["organization_usage"].startswith("Renamed: ")


@pytest.mark.parametrize(
    ("provider", "key", "option", "code"),
    [
        ("supabase", "sim-supabase-full", "organizations", "organization_unseen"),
        ("railway", "sim-railway-account", "workspace", "account_mismatch"),
    ],
)
def test_doctor_finds_an_account_that_is_not_there(
    line: Any, simulator: Simulator, provider: str, key: str, option: str, code: str
) -> None:
    """A list in which nothing is what the connection names is no proof, and what is asked by it stays unproven."""
    connected(line, simulator, provider, key, **{option: "nobody"})
    (proof,) = line.json("doctor", status=3)["connections"]
    assert proof["state"] == "failed"
    first, *others = proof["datasets"]
    assert (first["state"], {each["state"] for each in others}) == (code, {"unproven"})
    assert "nobody" in first["says"]


def test_doctor_names_an_organization_that_is_not_there_beside_others(line: Any, simulator: Simulator) -> None:
    """The others are proved; the one that nobody will read is told."""
    connected(line, simulator, "supabase", "sim-supabase-full", organizations="sim-pro, nobody")
    (proof,) = line.json("doctor")["connections"]
    assert proof["state"] == "ok"
    assert any("'nobody'" in warning for warning in proof["warnings"])


def test_doctor_finds_a_revoked_key(line: Any, simulator: Simulator) -> None:
    """A key that the vendor does not know ends the connection's examination at once."""
    connected(line, simulator, "anthropic", "sim-anthropic-unknown")
    (proof,) = line.json("doctor", status=3)["connections"]
    assert proof["state"] == "failed"
    assert proof["problems"][0]["code"] == "access_denied"
    assert proof["requests"] == 1


@pytest.mark.parametrize(
    ("text", "environ", "code"),
    [
        ('provider = "openai"\ncredential = "env:NONE"\n', {}, "credential_missing"),
        ('provider = "opnai"\ncredential = "env:KEY"\n', {"KEY": OPENAI_KEY}, "config"),
        ('provider = "github"\ncredential = "env:KEY"\n', {"KEY": "ghp_" + "fake0000"}, "config"),
        ('provider = "openai"\ncredential = "env:KEY"\n', {"KEY": PROJECT_KEY}, "access_denied"),
    ],
    ids=["no key", "no provider", "no account", "wrong kind"],
)
def test_doctor_sees_before_it_asks(line: Any, text: str, environ: dict[str, str], code: str) -> None:
    """What is wrong on this side is found without a request, and never with the key in the text."""
    Path("outlay.toml").write_text(f"[connections.c]\n{text}")
    line.environ = environ
    result = line("doctor", "--format", "json")
    (proof,) = json.loads(result.stdout)["connections"]
    assert result.exit_code == 3
    assert proof["problems"][0]["code"] == code
    assert proof["problems"][0]["hint"]
    assert proof["requests"] == 0
    assert not any(key in result.output for key in environ.values())


def test_doctor_warns_of_a_key_that_can_write(line: Any, simulator: Simulator) -> None:
    """A key that can do more than read is told; behind a simulator the key's kind is still known by its beginning."""
    connected(line, simulator, "openai", OPENAI_KEY)
    (proof,) = line.json("doctor", status=3)["connections"]
    kind = next(key for key in next(p for p in PROVIDERS if p.id == "openai").keys if OPENAI_KEY.startswith(key.prefix))
    assert proof["key"] == {"kind": kind.title, "usable": True, "more_than_read": kind.more_than_read}
    assert any("more than read" in warning for warning in proof["warnings"]) == kind.more_than_read


@pytest.mark.parametrize(("begins", "told"), [("rk_test_", True), ("sk_test_", True), ("rk_live_", False)])
def test_doctor_tells_a_sandbox_by_its_key(line: Any, simulator: Simulator, begins: str, told: bool) -> None:
    """Invented money is told before any of it is read, whatever the datasets and the answers."""
    connected(line, simulator, "stripe", f"{begins}fake")
    (proof,) = line.json("doctor", status=3)["connections"]
    assert any("sandbox" in warning for warning in proof["warnings"]) == told


def test_doctor_sees_a_clock_that_is_wrong(line: Any, simulator: Simulator) -> None:
    """A machine whose clock is a day off is told so where the vendor states its time."""
    connected(line, simulator, "github", "sim-github-classic", organization="sim-org")
    (proof,) = line.json("doctor")["connections"]
    skew = proof["clock_skew_seconds"]
    assert (skew is not None and abs(skew) > 120) == any("clock" in warning for warning in proof["warnings"])


def test_doctor_of_nothing(line: Any) -> None:
    """Without connections there is nothing to prove, and the way to one."""
    result = line("doctor")
    assert result.exit_code == 2
    assert "outlay init" in result.stderr


def test_doctor_of_an_unknown_connection(line: Any, simulator: Simulator) -> None:
    """A misspelled connection is told with the one that was meant."""
    connected(line, simulator, "openai", "sim-openai-admin")
    result = line("doctor", "d")
    assert result.exit_code == 2
    assert "c" in result.stderr
