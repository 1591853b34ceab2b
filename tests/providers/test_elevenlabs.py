"""ElevenLabs' traps that no single recorded page shows: one status for many refusals, and what is never asked."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from outlay.config.against import validate_options
from outlay.errors import ConfigError
from outlay.model.facts import Charge, Usage
from outlay.model.period import Period
from outlay.providers.base import Ask, Endpoint
from outlay.providers.elevenlabs import PROVIDER
from outlay.providers.elevenlabs.tables import (
    CHARACTER_STATS,
    COST_USAGE,
    CREDIT_USAGE,
    Table,
    cost_usage,
    credit_usage,
)
from outlay.providers.elevenlabs.workspace import SUBSCRIPTION
from outlay.sync.check import check
from outlay.wire import refusals
from outlay.wire.request import build

DAYS = Period.of_days(date(2026, 11, 1), date(2026, 11, 8))
JSON = {"content-type": "application/json"}
EVERY = [endpoint for dataset in PROVIDER.datasets for endpoint in dataset.endpoints]


def meaning(endpoint: Endpoint[Any], status: int, detail: object) -> str:
    """Return what an answer with this detail means at an endpoint."""
    said = refusals.Said(status, JSON, json.dumps({"detail": detail}).encode())
    found = refusals.declared(PROVIDER, endpoint, said) or refusals.default(said)
    return found.means


def word(status: str) -> dict[str, str]:
    """Return the detail of an answer as the vendor writes it."""
    return {"status": status, "message": "You cannot do this."}


@pytest.mark.parametrize("endpoint", EVERY, ids=lambda endpoint: endpoint.name)
@pytest.mark.parametrize(
    ("status", "detail", "means"),
    [
        (401, word("invalid_api_key"), "access_denied"),
        (401, word("a_word_of_tomorrow"), "access_denied"),
        (401, word("missing_permissions"), "permission_missing"),
        (401, word("quota_exceeded"), "out_of_quota"),
        (400, word("quota_exceeded"), "out_of_quota"),
        (401, word("payment_required"), "out_of_quota"),
        (402, word("payment_required"), "out_of_quota"),
        (403, word("payment_required"), "out_of_quota"),
        (403, word("only_for_creator+"), "not_offered"),
        (429, word("too_many_concurrent_requests"), "retry_later"),
        (429, word("system_busy"), "retry_later"),
        (429, "too many", "retry_later"),
        (
            422,
            [{"loc": ["body", "start_time"], "msg": "Input should be greater", "type": "value_error"}],
            "request_refused",
        ),
        (500, word("system_busy"), "retry_later"),
    ],
)
def test_the_word_counts_and_not_the_status(endpoint: Endpoint[Any], status: int, detail: object, means: str) -> None:
    """A wrong key, a missing permission and used-up credits all come as 401, at every endpoint."""
    assert meaning(endpoint, status, detail) == means


@pytest.mark.parametrize("endpoint", EVERY, ids=lambda endpoint: endpoint.name)
def test_a_missing_permission_is_told_by_its_name(endpoint: Endpoint[Any]) -> None:
    """Each dataset's hint says what to add, so that several that lack something are not told as one."""
    needed = {
        "user": "user_read", "subscription": "user_read", "members": "workspace_members_read",
        "groups": "workspace_read", "service_accounts": "service_account_write",
        "cost_usage": "workspace_analytics_full_read", "credit_usage": "workspace_analytics_full_read",
        "character_stats": "permission",
    }  # fmt: skip
    said = refusals.Said(401, JSON, json.dumps({"detail": word("missing_permissions")}).encode())
    found = refusals.declared(PROVIDER, endpoint, said)
    assert found is not None
    assert needed[endpoint.name] in (found.hint or "")


def test_rows_of_one_product_on_one_day_add_up() -> None:
    """Display names changed over time, and a line may come in parts: none of them is a row told twice."""
    dataset = PROVIDER.dataset("costs")
    page = Table(
        columns=["product_type", "timestamp", "total_cost"],
        column_units=[None, None, "usd"],
        rows=[
            [raw(name), raw('"2026-11-02T00:00:00Z"'), raw("1.5")] for name in ('"STT"', '"STT"', '"speech-to-text"')
        ],
    )
    day = Period.of_day(date(2026, 11, 2))
    facts = list(cost_usage(page, Ask("costs", day, {}, datetime(2026, 11, 8, tzinfo=UTC))))
    checked = check(dataset, day, facts)
    assert not checked.problems
    assert {each.service_name for each in checked.facts if isinstance(each, Charge)} == {"Speech to Text"}
    assert sum(each.billed_cost.amount for each in checked.facts if isinstance(each, Charge)) == Decimal("4.5")


def test_a_report_that_is_not_for_this_workspace_is_no_fault_of_the_question() -> None:
    """Each of the two reports says so with 400 or 403; elsewhere 400 is a question that is wrong."""
    for endpoint in (COST_USAGE, CREDIT_USAGE):
        assert meaning(endpoint, 400, word("invalid_workspace_billing")) == "not_offered"
        assert meaning(endpoint, 403, word("forbidden")) == "not_offered"
    assert meaning(SUBSCRIPTION, 400, word("invalid_workspace_billing")) == "request_refused"


def test_moments_have_thirteen_digits() -> None:
    """Seconds would ask for a day of 1970; no window is sent in them."""
    for endpoint in (COST_USAGE, CREDIT_USAGE, CHARACTER_STATS):
        request = build(PROVIDER, endpoint, {}, DAYS)
        sent = {**dict(request.params), **(request.body or {})}
        moments = [int(value) for name, value in sent.items() if name.startswith(("start_", "end_"))]
        assert moments == [1793491200000, 1794096000000]


def test_one_breakdown_of_the_whole_workspace_is_asked_for() -> None:
    """Two breakdowns of the statistics, or the workspace's and a user's, would count everything twice."""
    sent = build(PROVIDER, CHARACTER_STATS, {}, DAYS).params
    assert [value for name, value in sent if name == "breakdown_type"] == ["product_type"]
    assert ("include_workspace_metrics", "true") in sent
    usage = next(dataset for dataset in PROVIDER.datasets if dataset.name == "usage")
    assert usage.endpoints == (CREDIT_USAGE, CHARACTER_STATS), "one of the two answers for a day, never both"


def test_the_cost_report_is_grouped_as_it_allows() -> None:
    """Of the columns that exclude each other one is asked for, so that no filter is needed."""
    excluding = {"user_id", "hashed_xi_api_key", "region", "reporting_workspace_id", "billing_group_id",
                 "product_type", "surface", "actor"}  # fmt: skip
    assert isinstance(COST_USAGE.body, dict)
    assert len(excluding & set(COST_USAGE.body["group_by"])) == 1


def test_nothing_that_is_no_bill_is_asked_for() -> None:
    """History items, single requests and the shorter subscription within the user are not read."""
    paths = {endpoint.path for endpoint in EVERY}
    assert not [path for path in paths if "history" in path or path.endswith("/requests")]
    assert {"/v1/user", "/v1/user/subscription"} <= paths


def test_a_misspelt_way_of_billing_is_refused() -> None:
    """It would otherwise be taken for the other way, and a report that is refused for a workspace without cost."""
    for way in ("credits", "cost"):
        validate_options(PROVIDER, {"billing": way})
    with pytest.raises(ConfigError, match="billing"):
        validate_options(PROVIDER, {"billing": "credit"})


def test_a_product_of_tomorrow_keeps_its_name() -> None:
    """Display names change: one that is not known is shown as it came and not left out."""
    page = Table(
        columns=["total_usage", "timestamp", "product_type", "voice_name"],
        rows=[[raw(cell) for cell in ("8", '"2026-11-03 00:00:00"', '"A Product of Tomorrow"', "null")]],
    )
    ask = Ask("usage", DAYS, {}, datetime(2026, 11, 8, tzinfo=UTC))
    [fact] = credit_usage(page, ask)
    assert isinstance(fact, Usage)
    assert (fact.service_name, fact.quantity) == ("A Product of Tomorrow", 8)


def raw(text: str) -> Any:
    """Return a cell as it came."""
    import msgspec

    return msgspec.Raw(text.encode())
