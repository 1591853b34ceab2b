"""GitHub's face is as strict as the vendor, and its answers add up to the truth."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from outlay.simulator import Quota
from outlay.simulator.worlds.truth import exact_sum
from simulator.asking import TODAY, Asker

ORG, USER, ENTERPRISE = ("/organizations/sim-org", "/users/sim-user", "/enterprises/sim-enterprise")
SCOPES = {"organization": ORG, "user": USER, "enterprise": ENTERPRISE}
BILLING = "/settings/billing"
FIRST = TODAY - timedelta(days=39)


def usage(scope: str) -> str:
    """Return the path of a scope's usage."""
    return f"{SCOPES[scope]}{BILLING}/usage"


def day_of(day: date) -> dict[str, object]:
    """Return the parameters of one day."""
    return {"year": day.year, "month": day.month, "day": day.day}


def lines(asker: Asker, scope: str, day: date, **more: object) -> list[dict[str, Any]]:
    """Return the usage lines of one day."""
    got = asker("github", usage(scope), {**day_of(day), **more})
    assert got.status == 200
    found: list[dict[str, Any]] = got.json["usageItems"]
    return found


def days(count: int = 40) -> list[date]:
    """Return the world's days."""
    return [FIRST + timedelta(days=n) for n in range(count)]


@pytest.mark.parametrize("scope", ["organization", "user"])
def test_days_add_up_to_the_truth(asker: Asker, scope: str) -> None:
    """Day by day, each line is the truth's: net, gross and quantity, to the last digit."""
    truth = asker.world.truth("github", scope=scope)
    for day in days():
        rows = lines(asker, scope, day)
        got = sorted(
            (
                row["sku"],
                str(row.get("repositoryName")),
                Decimal(row["netAmount"]),
                Decimal(row["grossAmount"]),
                Decimal(row["quantity"]),
            )
            for row in rows
        )
        prefix = "sim-user/" if scope == "user" else ""
        true = sorted(
            (str(line.sku), str(line.resource).removeprefix(prefix), line.billed, line.listed, line.quantity)
            for line in truth.charges(day, day + timedelta(days=1))
        )
        assert got == true
        assert all(abs(row["grossAmount"] - row["discountAmount"] - row["netAmount"]) < Decimal("1e-6") for row in rows)


def test_a_month_of_lines_is_its_days(asker: Asker) -> None:
    """A month answers the same daily lines as its days one by one."""
    month = asker("github", usage("organization"), {"year": 2026, "month": 11}).json["usageItems"]
    assert month == [row for n in range(1, 23) for row in lines(asker, "organization", date(2026, 11, n))]
    assert not lines(asker, "organization", date(2026, 11, 30))


def test_an_enterprise_is_whole_only_with_every_cost_centre(asker: Asker) -> None:
    """The plain call answers what belongs to no cost centre; all centres, deleted ones too, make the rest."""
    truth = asker.world.truth("github", scope="enterprise")
    centres = [centre["id"] for centre in asker("github", f"{ENTERPRISE}{BILLING}/cost-centers").json["costCenters"]]
    states = [
        len(asker("github", f"{ENTERPRISE}{BILLING}/cost-centers", {"state": state}).json["costCenters"])
        for state in ("active", "deleted")
    ]
    assert states == [2, 1]
    plain = exact_sum(Decimal(row["netAmount"]) for day in days() for row in lines(asker, "enterprise", day))
    parts = exact_sum(
        Decimal(row["netAmount"])
        for day in days()
        for c in centres
        for row in lines(asker, "enterprise", day, cost_center_id=c)
    )
    assert plain < truth.total()
    assert plain + parts == truth.total()
    assert asker("github", usage("enterprise"), {**day_of(TODAY), "cost_center_id": "nobody"}).status == 404


def test_one_line_can_stand_in_two_cost_centres(asker: Asker) -> None:
    """On some day one SKU of one repository is billed to two cost centres."""
    places = asker.world.truth("github", scope="enterprise").spend(("day", "sku", "resource", "cost_center_id"))
    keys = [key[:3] for key in places if key[2] is not None]
    assert len(keys) > len(set(keys))


def test_the_bare_call_is_a_trap(asker: Asker) -> None:
    """Without a month, lines are months dated at their first event, and add up to the same."""
    rows = asker("github", usage("organization")).json["usageItems"]
    assert rows == asker("github", usage("organization"), {"year": 2026}).json["usageItems"]
    keys = [(row["date"][:7], row["sku"], row.get("repositoryName")) for row in rows]
    assert len(keys) == len(set(keys))
    assert {row["date"][8:10] for row in rows} != {"01"}
    assert all(len(row["date"]) == 20 for row in rows)
    total = exact_sum(Decimal(row["netAmount"]) for row in rows)
    assert abs(total - asker.world.truth("github").total()) < Decimal("0.000001")


def test_lines_and_summary_spell_differently(asker: Asker) -> None:
    """Lines carry display names, the summary machine ids, and both agree within a cent per product."""
    month = asker("github", usage("organization"), {"year": 2026, "month": 11}).json["usageItems"]
    summary = asker("github", f"{ORG}{BILLING}/usage/summary").json
    assert summary["timePeriod"] == {"year": 2026, "month": 11}
    assert {row["product"] for row in month} >= {"actions", "copilot"}
    assert {"Actions Linux", "Actions storage"} <= {row["sku"] for row in month}
    assert {"Minutes", "GigabyteHours"} <= {row["unitType"] for row in month}
    assert {("Actions", "actions_linux", "minutes")} <= {
        (row["product"], row["sku"], row["unitType"]) for row in summary["usageItems"]
    }
    for product in {row["product"] for row in month}:
        by_line = exact_sum(Decimal(row["netAmount"]) for row in month if row["product"] == product)
        title = {"actions": "Actions", "copilot": "Copilot", "git_lfs": "Git LFS"}.get(product, product.title())
        by_summary = exact_sum(Decimal(row["netAmount"]) for row in summary["usageItems"] if row["product"] == title)
        assert abs(by_line - by_summary) < Decimal("0.01")


def test_the_summary_covers_all_cost_centres_unless_one_is_named(asker: Asker) -> None:
    """The enterprise's summary is whole by default; "none" and each centre are its parts."""
    path = f"{ENTERPRISE}{BILLING}/usage/summary"
    centres = [centre["id"] for centre in asker("github", f"{ENTERPRISE}{BILLING}/cost-centers").json["costCenters"]]

    def net(**query: object) -> Decimal:
        return exact_sum(
            Decimal(row["netAmount"])
            for row in asker("github", path, {"year": 2026, "month": 11, **query}).json["usageItems"]
        )

    assert abs(net() - exact_sum(net(cost_center_id=which) for which in ("none", *centres))) < Decimal("0.000001")
    assert abs(net() - net(organization="sim-east") - net(organization="sim-west")) < Decimal("0.000001")
    assert asker("github", path, {"cost_center_id": centres[0]}).json["costCenter"]["id"] == centres[0]


@pytest.mark.parametrize("scope", SCOPES)
def test_credits_by_model_are_a_part_of_copilot(asker: Asker, scope: str) -> None:
    """Model rows add up to the credits of the usage lines, and one call per person gives the same."""
    path = f"{SCOPES[scope]}{BILLING}/ai_credit/usage"
    true = asker.world.truth("github", scope=scope).usage(("dataset", "meter"), date(2026, 11, 1))
    rows = asker("github", path).json["usageItems"]
    assert (
        exact_sum(Decimal(row["grossQuantity"]) for row in rows)
        == true["ai_credit", "copilot_ai_credits"]
        == true["usage", "copilot_ai_credits"]
    )
    residues = [row["grossQuantity"] - row["discountQuantity"] - row["netQuantity"] for row in rows]
    assert all(abs(residue) < Decimal("1e-6") for residue in residues)
    if scope != "user":
        people = exact_sum(
            Decimal(row["grossQuantity"])
            for who in ("dana", "eli", "farid")
            for row in asker("github", path, {"user": who}).json["usageItems"]
        )
        assert people == true["ai_credit", "copilot_ai_credits"]
    assert not asker("github", f"{SCOPES[scope]}{BILLING}/premium_request/usage").json["usageItems"]


def test_premium_requests_end_where_credits_begin(make_asker: Callable[..., Asker]) -> None:
    """Until the end of May 2026 the unit is the request, from June on the credit."""
    asker = make_asker(today=date(2026, 6, 20))
    for month, sku in ((5, "premium_request"), (6, "ai_credit")):
        for kind in ("premium_request", "ai_credit"):
            rows = asker("github", f"{ORG}{BILLING}/{kind}/usage", {"year": 2026, "month": month}).json["usageItems"]
            assert bool(rows) == (kind == sku)


def test_amounts_are_floats_with_their_residue(make_asker: Callable[..., Asker]) -> None:
    """Nets carry the residue of binary arithmetic, prices come in scientific notation, public use nets to zero."""
    asker = make_asker(days=120)
    body = asker("github", usage("organization"), {"year": 2026, "month": 11}).body
    assert b"1.35e-7" in body or b"1.35e-07" in body
    truth = asker.world.truth("github")
    assert any(len(line.billed.as_tuple().digits) >= 16 for line in truth.charges())
    free = [line for line in truth.charges() if (line.resource or "").endswith("/docs")]
    assert free
    assert all(line.billed == 0 < line.listed for line in free if line.listed is not None)
    assert any(line.resource is None for line in truth.charges())


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (usage("organization"), {"month": 13}),
        (usage("organization"), {"year": 2026, "month": 2, "day": 30}),
        (usage("organization"), {"day": 3}),
        (usage("organization"), {"year": "this"}),
        (usage("organization"), {"year": 1999}),
        (usage("organization"), {"cost_center_id": "x"}),
        (usage("organization"), {"per_page": 100}),
        (f"{ORG}{BILLING}/budgets", {"per_page": 101}),
        (f"{ORG}{BILLING}/budgets", {"scope": "planet"}),
        (f"{ENTERPRISE}{BILLING}/cost-centers", {"state": "asleep"}),
    ],
)
def test_wrong_questions_are_refused(asker: Asker, path: str, query: dict[str, object]) -> None:
    """Each wrong parameter is a 400 whose body carries its status as a string."""
    got = asker("github", path, query)
    assert (got.status, got.json["status"]) == (400, "400")


@pytest.mark.parametrize(
    ("key", "path", "status", "says"),
    [
        (None, usage("organization"), 401, "Requires authentication"),
        ("ghp" + "_nobody", usage("organization"), 401, "Bad credentials"),
        ("sim-github-finegrained", usage("organization"), 403, "Resource not accessible by personal access token"),
        ("sim-github-finegrained", usage("user"), 403, "Resource not accessible by personal access token"),
        ("sim-github-finegrained", usage("enterprise"), 404, "Not Found"),
        ("sim-github-noscope", usage("organization"), 404, "Not Found"),
        ("sim-github-user", usage("organization"), 404, "Not Found"),
        ("sim-github-user", usage("user"), 200, ""),
        ("sim-github-classic", "/organizations/other/settings/billing/usage", 404, "Not Found"),
        ("sim-github-classic", "/organizations/sim-east/settings/billing/ai_credit/usage", 404, "Not Found"),
        ("sim-github-classic", "/orgs/sim-org/settings/billing/actions", 410, "moved"),
        ("sim-github-classic", "/users/sim-user/settings/billing/shared-storage", 410, "moved"),
        ("sim-github-classic", f"{ORG}{BILLING}/invoices", 404, ""),
    ],
)
def test_keys_open_what_they_may(asker: Asker, key: str | None, path: str, status: int, says: str) -> None:
    """Refusals are the vendor's, hide what must not be known, and name the permission that would help."""
    got = asker("github", path, key=key)
    assert got.status == status
    assert says in got.json.get("message", "")
    if key in {"sim-github-finegrained", "sim-github-noscope"}:
        assert got.headers["x-accepted-github-permissions"]


def test_the_quota_is_told_and_kept(make_asker: Callable[..., Asker]) -> None:
    """Every answer counts down, the free call does not, and an empty quota is a 403 with nothing remaining."""
    asker = make_asker(quotas={"github": Quota(3, 3600.0, windowed=True)})
    remaining = [asker("github", f"{ORG}{BILLING}/budgets").headers["x-ratelimit-remaining"] for _ in range(3)]
    assert remaining == ["2", "1", "0"]
    core = asker("github", "/rate_limit").json["resources"]["core"]
    assert (core["limit"], core["remaining"], core["used"]) == (3, 0, 3)
    got = asker("github", f"{ORG}{BILLING}/budgets")
    assert (got.status, got.headers["x-ratelimit-remaining"], got.headers["x-ratelimit-resource"]) == (403, "0", "core")
    noon = int(asker.world.now().timestamp())
    assert noon < int(got.headers["x-ratelimit-reset"]) <= noon + 3600
    assert "retry-after" not in got.headers


def test_the_api_s_own_limit_has_two_shapes(asker: Asker) -> None:
    """The older version repeats the core quota on top, the newer does not; no token means sixty an hour."""
    old, new = (
        asker("github", "/rate_limit", headers={"x-github-api-version": v}).json for v in ("2022-11-28", "2026-03-10")
    )
    assert old["rate"]["limit"] == 5000
    assert "rate" not in new
    assert asker("github", "/rate_limit", key=None).json["resources"]["core"]["limit"] == 60
    assert asker("github", "/rate_limit", headers={"x-github-api-version": "2025-01-01"}).status == 200
    assert asker("github", usage("user"), headers={"x-github-api-version": "2025-01-01"}).status == 400


def test_unchanged_answers_are_304(asker: Asker) -> None:
    """A tag sent back gets no body, and another token's tag gets a whole answer."""
    first = asker("github", usage("user"))
    assert asker("github", usage("user"), headers={"if-none-match": first.headers["etag"]}).status == 304
    other = asker("github", usage("user"), key="sim-github-user", headers={"if-none-match": first.headers["etag"]})
    assert other.status == 200


def test_budgets_come_in_pages(asker: Asker) -> None:
    """Ten budgets a page unless asked otherwise, until there is no next page."""
    path, seen, page = f"{ORG}{BILLING}/budgets", [], 1
    while True:
        got = asker("github", path, {"page": page}).json
        seen += got["budgets"]
        if not got["has_next_page"]:
            break
        page += 1
    assert page == 2
    assert [row["id"] for row in seen] == [row["id"] for row in asker.world.truth("github").budgets]
    assert got["total_count"] == len(seen)
    assert {
        row["budget_scope"] for row in asker("github", path, {"scope": "user", "per_page": 100}).json["budgets"]
    } == {"user"}
    assert asker("github", path, {"user": "dana"}).json["effective_budget"]["consumed_amount"] is not None


def test_budgets_can_be_written(asker: Asker) -> None:
    """A budget is created, changed and deleted, and a wrong one is refused field by field."""
    path = f"{ORG}{BILLING}/budgets"
    wish = {
        "budget_amount": 200,
        "budget_scope": "organization",
        "budget_type": "ProductPricing",
        "budget_product_sku": "actions",
    }
    made = asker("github", path, method="POST", body=wish)
    assert made.status == 200
    one = f"{path}/{made.json['budget']['id']}"
    assert asker("github", one).json["budget_amount"] == 200
    assert asker("github", one, method="PATCH", body={"budget_amount": 300}).status == 200
    assert asker("github", one).json["budget_amount"] == 300
    assert asker("github", one, method="DELETE").status == 200
    assert asker("github", one).status == 404
    wrong = asker("github", path, method="POST", body={**wish, "budget_amount": -1, "budget_scope": "planet"})
    assert wrong.status == 422
    assert {error["field"] for error in wrong.json["errors"]} == {"budget_amount", "budget_scope"}
    assert asker("github", path, method="POST", body=[]).status == 422
    assert asker.raw("POST", f"/github{path}", "", {"authorization": "Bearer sim-github-classic"}, b"{").status == 400


def test_exports_are_jobs_with_a_signed_link(asker: Asker) -> None:
    """An export is accepted, then processing, then complete; its link takes no token and its rows are the truth's."""
    path = f"{ENTERPRISE}{BILLING}/reports"
    start, end = TODAY - timedelta(days=20), TODAY - timedelta(days=1)
    wish = {"report_type": "detailed", "start_date": start.isoformat(), "end_date": end.isoformat()}
    made = asker("github", path, method="POST", body=wish)
    assert made.status == 202
    states = [asker("github", f"{path}/{made.json['id']}").json for _ in range(2)]
    assert [state["status"] for state in states] == ["processing", "completed"]
    [link] = states[1]["download_urls"]
    target, _, query = link.removeprefix("http://localhost").partition("?")
    got = asker.raw("GET", target, query, {})
    assert got.headers["content-type"].startswith("text/csv")
    assert got.body.startswith(b"\xef\xbb\xbfdate,")
    net = exact_sum(Decimal(line.split(",")[8]) for line in got.body.decode("utf-8-sig").splitlines()[1:])
    assert net == asker.world.truth("github", scope="enterprise").total(start, end + timedelta(days=1))
    assert asker.raw("GET", target, query, {"authorization": "Bearer sim-github-classic"}).status == 400
    assert asker("github", path).json["usage_report_exports"][0]["status"] == "completed"
    for wrong in ({"report_type": "all"}, {"start_date": "2026-01-01"}, {"end_date": "2027-01-01"}, {"start_date": 5}):
        assert asker("github", path, method="POST", body={**wish, **wrong}).status == 400


def test_an_export_without_rows_has_no_link(asker: Asker) -> None:
    """An empty window completes without a link."""
    path = f"{ENTERPRISE}{BILLING}/reports"
    made = asker(
        "github",
        path,
        method="POST",
        body={"report_type": "ai_credit", "start_date": "2026-01-01", "end_date": "2026-01-02"},
    )
    states = [asker("github", f"{path}/{made.json['id']}").json for _ in range(2)]
    assert states[1]["status"] == "completed"
    assert "download_urls" not in states[1]


def test_a_multi_user_budget_knows_its_people(asker: Asker) -> None:
    """People's states can be sorted and cut by how much they used."""
    budgets = asker("github", f"{ENTERPRISE}{BILLING}/budgets", {"per_page": 100}).json["budgets"]
    shared = next(row for row in budgets if row["budget_scope"] == "multi_user_customer")
    path = f"{ENTERPRISE}{BILLING}/budgets/{shared['id']}/user-states"
    states = asker("github", path, {"sort_order": "1"}).json["user_states"]
    assert states == sorted(states, key=lambda state: -state["consumed_amount"])
    assert len(asker("github", path, {"threshold_lower_bound": 80}).json["user_states"]) == 2
