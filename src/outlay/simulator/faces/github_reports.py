"""GitHub's exports: a job, its state, and a CSV behind a signed link that takes no token."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any

from outlay.simulator.faces.base import Answer, Ask, Refusal, to_json
from outlay.simulator.faces.github_usage import account_of
from outlay.simulator.worlds.github import GitHubAccount, Item, stated

_DAYS_MAX = {"detailed": 31, "summarized": 366, "premium_request": 31, "ai_credit": 31}
_METERED = (
    "date",
    "product",
    "sku",
    "quantity",
    "unit_type",
    "applied_cost_per_quantity",
    "gross_amount",
    "discount_amount",
    "net_amount",
    "organization",
    "repository",
    "cost_center_name",
)
_BY_MODEL = (
    "date",
    "username",
    "product",
    "sku",
    "model",
    "quantity",
    "unit_type",
    "applied_cost_per_quantity",
    "gross_amount",
    "discount_amount",
    "net_amount",
    "total_monthly_quota",
    "organization",
    "repository",
    "cost_center_name",
    "aic_quantity",
    "aic_gross_amount",
)


def _wish(ask: Ask) -> tuple[str, date, date]:
    try:
        wish = json.loads(ask.body)
        kind, start = wish["report_type"], date.fromisoformat(wish["start_date"])
        end = date.fromisoformat(wish.get("end_date") or ask.now.date().isoformat())
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refusal(400, "report_type and start_date are needed; dates are YYYY-MM-DD") from None
    if kind not in _DAYS_MAX:
        raise Refusal(400, f"Unknown report_type: {kind}")
    if not start <= end <= ask.now.date() or (end - start).days >= _DAYS_MAX[kind]:
        raise Refusal(400, f"The dates of a {kind} report span at most {_DAYS_MAX[kind]} days and lie in the past")
    return kind, start, end


def create_report(ask: Ask) -> Answer:
    """Start an export."""
    account = account_of("enterprise", ask)
    kind, start, end = _wish(ask)
    row = {
        "id": account.uuid("report", len(account.reports)),
        "report_type": kind,
        "start_date": start.isoformat(),
        "end_date": end.isoformat(),
        "status": "processing",
        "created_at": ask.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "actor": "dana",
    }
    account.reports[row["id"]] = dict(row)
    return Answer(to_json(row), 202)


def reports(ask: Ask) -> Answer:
    """Answer the exports so far."""
    ask.query.finish()
    return Answer(to_json({"usage_report_exports": list(account_of("enterprise", ask).reports.values())}))


def report(ask: Ask) -> Answer:
    """Answer one export: still processing the first time it is asked for, complete the second.

    Null: an export without rows completes without a link.
    """
    ask.query.finish()
    account = account_of("enterprise", ask)
    row = account.reports.get(ask.places["report_id"])
    if row is None:
        raise Refusal(404, "Not Found")
    answer = Answer(to_json(row))
    if row["status"] == "processing":
        row["status"] = "completed"
        if _rows(account, row):
            label = (ask.credential or "").partition(":")[2]
            row["download_urls"] = [f"{ask.base_url}/_files/{row['id']}?sig={label or '-'}"]
    return answer


def download(ask: Ask) -> Answer:
    """Answer the CSV of a signed link, which takes no Authorization header."""
    if "authorization" in ask.headers:
        raise Refusal(400, "Only one authentication method is allowed")
    label = ask.query.needed("sig")
    account = ask.world.account("github", "" if label == "-" else label)
    assert isinstance(account, GitHubAccount)
    row = account.reports.get(ask.places["report_id"])
    if row is None:
        raise Refusal(404, "Not Found")
    text = io.StringIO()
    by_model = row["report_type"] in {"premium_request", "ai_credit"}
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if by_model else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerow(_columns(row["report_type"]))
    writer.writerows(_rows(account, row))
    return Answer(text.getvalue().encode("utf-8-sig"), media_type="text/csv; charset=utf-8")


def _columns(kind: str) -> tuple[str, ...]:
    if kind in {"premium_request", "ai_credit"}:
        return _BY_MODEL
    return (*_METERED, "username", "workflow_path") if kind == "detailed" else _METERED


def _rows(account: GitHubAccount, row: dict[str, Any]) -> list[list[Any]]:
    start, end = date.fromisoformat(row["start_date"]), date.fromisoformat(row["end_date"])
    centres = {centre.id: centre.name for centre in account.cost_centres}
    lines: dict[str, Callable[[date, Item, str], Iterable[list[Any]]]] = {
        "detailed": lambda day, item, centre: [[*_metered(day, item, centre), "dana", ".github/workflows/ci.yml"]],
        "summarized": lambda day, item, centre: [_metered(day, item, centre)],
        "ai_credit": lambda day, item, centre: _by_model(day, item, centre, "copilot_ai_credits"),
        "premium_request": lambda day, item, centre: _by_model(day, item, centre, "copilot_premium_request"),
    }
    days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
    write = lines[row["report_type"]]
    return [
        line
        for day in days
        for item in account.items("enterprise", day)
        for line in write(day, item, centres.get(item.cost_centre or "", ""))
    ]


def _metered(day: date, item: Item, centre: str) -> list[Any]:
    repository = item.repository.name if item.repository else ""
    return [
        day.isoformat(),
        item.sku.product,
        item.sku.id,
        stated(float(item.quantity)),
        item.sku.unit_id,
        item.sku.price,
        item.gross,
        item.discount,
        item.net,
        item.owner,
        repository,
        centre,
    ]


def _by_model(day: date, item: Item, centre: str, sku: str) -> Iterable[list[Any]]:
    if item.sku.id != sku:
        return
    for share in item.shares:
        gross, discount = float(share.quantity) * item.sku.price, float(share.discounted) * item.sku.price
        yield [
            day.isoformat(),
            share.person,
            item.sku.product,
            item.sku.id,
            share.model,
            float(share.quantity),
            item.sku.unit_id,
            item.sku.price,
            gross,
            discount,
            gross - discount,
            1500,
            item.owner,
            "",
            centre,
            float(share.quantity),
            gross,
        ]
