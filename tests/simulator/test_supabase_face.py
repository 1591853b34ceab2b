"""Supabase's face refuses what the vendor refuses, and keeps to the vendor's contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from outlay.simulator.faces.base import Quota
from outlay.simulator.shapes import check
from outlay.simulator.worlds.supabase import SupabaseAccount
from simulator.asking import Asker

INTERVALS = ("15min", "30min", "1hr", "3hr", "1day", "3day", "7day")


def ref(asker: Asker) -> str:
    """Return the first project."""
    account = asker.world.account("supabase")
    assert isinstance(account, SupabaseAccount)
    return account.projects[0].ref


def questions(asker: Asker) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield every route with its template and parameters."""
    yield "/v1/organizations", "/v1/organizations", {}
    yield "/v1/projects", "/v1/projects", {}
    for organization in asker("supabase", "/v1/organizations").json:
        path, template = f"/v1/organizations/{organization['slug']}", "/v1/organizations/{slug}"
        yield path, template, {}
        yield f"{path}/entitlements", f"{template}/entitlements", {}
        for query in ({}, {"limit": 2, "offset": 1}, {"statuses": "INACTIVE", "sort": "name_desc"}, {"search": "shop"}):
            yield f"{path}/projects", f"{template}/projects", query
    for project in asker("supabase", "/v1/projects").json:
        path, template = f"/v1/projects/{project['ref']}", "/v1/projects/{ref}"
        yield path, template, {}
        analytics = "/analytics/endpoints"
        for interval in INTERVALS:
            yield (
                f"{path}{analytics}/usage.api-counts",
                f"{template}{analytics}/usage.api-counts",
                {"interval": interval},
            )
        stats = {"interval": "1day", "function_id": "f"}
        yield f"{path}{analytics}/functions.combined-stats", f"{template}{analytics}/functions.combined-stats", stats
        for rest in ("/billing/addons", f"{analytics}/usage.api-requests-count", "/config/disk", "/config/disk/util",
                     "/config/disk/autoscale"):  # fmt: skip
            yield f"{path}{rest}", f"{template}{rest}", {}


def test_answers_keep_to_the_contract(make_asker: Callable[..., Asker]) -> None:
    """Each route answers what the contract allows; a parameter nobody knows is refused."""
    asker = make_asker(quotas={"supabase": None})
    for path, template, query in questions(asker):
        got = asker("supabase", path, query)
        check("supabase", template, got.status, got.body)
        assert got.status == (400 if "paused" in got.body.decode() else 200), (path, got.body)
        assert asker("supabase", path, {**query, "utterly": "unknown"}).status == 400


def test_an_interval_is_how_far_back_and_one_of_a_list(asker: Asker) -> None:
    """`1d` is no interval; a longer one holds a shorter one, up to seven days."""
    path = f"/v1/projects/{ref(asker)}/analytics/endpoints/usage.api-counts"
    assert asker("supabase", path, {"interval": "1d"}).status == 400
    sizes = [len(asker("supabase", path, {"interval": interval}).json["result"]) for interval in INTERVALS]
    assert sizes == sorted(sizes)
    assert 168 <= sizes[-1] <= 170


def test_what_is_available_stands_beside_what_is_selected(asker: Asker) -> None:
    """The trap is there: every add-on with its price, selected or not."""
    body = asker("supabase", f"/v1/projects/{ref(asker)}/billing/addons").json
    assert len(body["available_addons"]) > len(body["selected_addons"]) > 0


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        (None, "/v1/organizations", 401),
        ("sim-supabase-nobody", "/v1/organizations", 401),
        ("sim-supabase-names", "/v1/organizations/sim-pro", 403),
        ("sim-supabase-noanalytics", "/v1/projects/{ref}/analytics/endpoints/usage.api-counts", 403),
        ("sim-supabase-full", "/v1/organizations/nobody", 404),
        ("sim-supabase-full", "/v1/projects/short", 404),
    ],
)
def test_keys_open_what_they_may(asker: Asker, key: str | None, path: str, status: int) -> None:
    """Wrong tokens get 401, missing permissions 403, strangers 404, in the vendor's words."""
    got = asker("supabase", path.format(ref=ref(asker)), key=key)
    assert got.status == status
    assert set(got.json) == {"message"}


def test_request_counts_have_a_quota_of_their_own(asker: Asker) -> None:
    """The thirty-first within a minute is refused while others still answer; the reset is seconds, not a time."""
    strict = Asker(asker.world, quotas={"supabase": Quota(120, 60.0, windowed=True)})
    path = f"/v1/projects/{ref(asker)}/analytics/endpoints/usage.api-counts"
    answers = [strict("supabase", path).status for _ in range(31)]
    assert answers == [200] * 30 + [429]
    other = strict("supabase", "/v1/organizations")
    assert other.status == 200
    assert 0 < int(other.headers["x-ratelimit-reset"]) <= 60
